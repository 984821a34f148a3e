//! The X-Ray trace of the invocation, carried along to whatever it sets off.

/// The trace header of the invocation that is being handled; none outside Lambda. Lambda's runtime puts
/// it into the environment before each one (AWS Lambda Developer Guide, "Using the Lambda runtime API",
/// 2026-11).
pub(crate) fn header() -> Option<String> {
    std::env::var("_X_AMZN_TRACE_ID")
        .ok()
        .filter(|header| !header.is_empty())
}
