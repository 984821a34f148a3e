//! What an earlier process left, while it is left alone.

use bedrock_diy_core::intake::Lane;

/// Where a lane's messages and executions lie that were set aside: under a name that nobody works.
pub(crate) fn aside(lane: Lane) -> String {
    format!("{} aside", lane.as_str())
}
