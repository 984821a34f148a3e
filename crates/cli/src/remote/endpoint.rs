//! Where an API is.

use std::fmt;

use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_http::Address;
use hyper::Uri;

/// Where an API is: everything before its `/api`, such as `https://….amazonaws.com/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    address: Address,
    /// Without a slash at its end.
    text: String,
}

impl Endpoint {
    /// Fails with `InvalidRequest` where it can't be one.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let detail = format!("{text:?} can't be an API's address: it {why}");
            Failure::new(Code::InvalidRequest, detail)
        };
        let address = Address::parse(text).map_err(|why| wrong(&why))?;
        if address.uri().query().is_some() {
            return Err(wrong("must have nothing behind a question mark"));
        }
        let trimmed = text.trim_end_matches('/');
        if trimmed.ends_with("/api") {
            return Err(wrong("ends with /api, which is left out here"));
        }
        Ok(Self {
            address,
            text: trimmed.to_owned(),
        })
    }

    /// Whether it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// The address of a path of the API.
    pub(super) fn at(&self, path: &str) -> Result<Uri> {
        format!("{}{path}", self.text).parse().map_err(|_| {
            let detail = format!("{path:?} can't be part of an address");
            Failure::new(Code::InvalidRequest, detail)
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_behind_the_endpoint_s_own() {
        for text in ["https://x.example.org/v1", "https://x.example.org/v1/"] {
            let uri = Endpoint::parse(text).unwrap().at("/api/me").unwrap();
            assert_eq!(uri.to_string(), "https://x.example.org/v1/api/me");
        }
        let uri = Endpoint::parse("http://localhost:8080")
            .unwrap()
            .at("/api/me?x=1");
        assert_eq!(uri.unwrap().to_string(), "http://localhost:8080/api/me?x=1");
    }

    #[test]
    fn what_can_be_no_endpoint_is_told_with_what_it_must_be() {
        for text in [
            "example.org",
            "http://example.org",
            "https://x.org/?a=b",
            "https://x.org/api/",
        ] {
            let failure = Endpoint::parse(text).unwrap_err();
            assert!(
                failure.detail.contains("can't be an API's address: it "),
                "{failure}"
            );
        }
    }
}
