use std::{fmt, net::IpAddr};

use hyper::{Uri, http::uri::Scheme};

/// Where something is: by `https` anywhere, by `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Reads an address, or says what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let must = || "must be an https address (http is for loopback addresses), without user and fragment";
        let uri: Uri = text.parse().map_err(|_| must())?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let fine = match uri.scheme_str() {
            Some("https") => uri.host().is_some_and(|host| !host.is_empty()),
            Some("http") => uri.host().is_some_and(is_loopback),
            _ => false,
        };
        if !fine || authority.contains('@') || text.contains('#') {
            return Err(must().to_owned());
        }
        Ok(Self(uri))
    }

    /// Whether it is reached by `https`.
    #[must_use]
    pub fn encrypted(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(is_loopback)
    }

    /// The address as HTTP has it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_unencrypted_stays_on_this_machine() {
        for fine in [
            "https://api.example.org/v1",
            "http://localhost:8080",
            "http://127.0.0.9",
            "http://[::1]:80/x",
        ] {
            assert_eq!(
                Address::parse(fine).unwrap().encrypted(),
                fine.starts_with("https")
            );
        }
        for wrong in [
            "http://example.org",
            "http://localhost.example.org",
            "https://user@example.org",
            "https://example.org/#x",
            "ftp://localhost",
            "/api",
            "https://",
            "",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Address::parse("https://localhost").unwrap().is_loopback());
        assert!(!Address::parse("https://example.org").unwrap().is_loopback());
    }
}
