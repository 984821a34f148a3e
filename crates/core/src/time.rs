//! A moment, as data: the core never asks what time it is.

use std::num::NonZeroU8;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{
    OffsetDateTime,
    format_description::well_known::{
        Iso8601, Rfc3339,
        iso8601::{Config, EncodedConfig, TimePrecision},
    },
};

use crate::error::{Code, Failure};

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 string in UTC, always with milliseconds:
/// such strings sort as the moments do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment, `millis` milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment, 0 where it is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// RFC 3339 with three digits behind the seconds.
const MILLISECONDS: Iso8601<ENCODED> = Iso8601;
const ENCODED: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: NonZeroU8::new(3),
    })
    .encode();

/// More than any moment of the calendar takes.
const LONGEST: usize = 32;

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Twenty-four characters, of which every job and event has several: no string is made for them.
        let mut text = [0; LONGEST];
        let mut left = &mut text[..];
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000);
        let written = moment
            .ok()
            .and_then(|moment| moment.format_into(&mut left, &MILLISECONDS).ok());
        match written.and_then(|length| std::str::from_utf8(text.get(..length)?).ok()) {
            Some(text) => f.write_str(text),
            // Out of the calendar's range only by a broken clock; the number still says what it was.
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = Failure;

    /// Reads RFC 3339. Fails with [`Code::InvalidRequest`], saying why.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(
                Code::InvalidRequest,
                format!("a moment that is no RFC 3339: {why}"),
            )
        };
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| wrong(&error))?;
        let millis = i64::try_from(moment.unix_timestamp_nanos() / 1_000_000);
        millis.map(Self).map_err(|error| wrong(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_rfc_3339_string_in_json_and_comes_back() {
        let moment = Timestamp::from_millis(1_795_395_600_123);
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(json, "\"2026-11-23T01:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
    }
}
