//! Conditional requests (RFC 9110, section 13): nobody's change is lost, and polling is cheap.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};

use crate::problem::Problem;

/// The entity tag of a version: versions grow with every change.
pub(crate) fn etag(version: impl Into<u64>) -> HeaderValue {
    // A number between quotation marks is a header value.
    HeaderValue::try_from(format!("\"{}\"", version.into())).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// What a change was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfMatch(Vec<String>);

impl IfMatch {
    /// Whether the change was made from this version. Fails with 412 where it was not.
    pub(crate) fn check(&self, version: u32) -> Result<(), Problem> {
        let etag = etag(version);
        if matches(&self.0, &etag) {
            Ok(())
        } else {
            Err(Problem::stale(etag))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tags = tags(&parts.headers, &header::IF_MATCH);
        if tags.is_empty() {
            return Err(Problem::unconditional());
        }
        Ok(Self(tags))
    }
}

/// What the caller has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfNoneMatch(Vec<String>);

impl IfNoneMatch {
    /// Whether the caller has this version already.
    pub(crate) fn has(&self, etag: &HeaderValue) -> bool {
        matches(&self.0, etag)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(tags(&parts.headers, &header::IF_NONE_MATCH)))
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}

/// A proxy that compresses on the way makes a tag a weak one: the version is the same.
fn matches(tags: &[String], etag: &HeaderValue) -> bool {
    tags.iter().any(|tag| {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        strong == "*" || strong.as_bytes() == etag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(tags: &[&str]) -> IfMatch {
        IfMatch(tags.iter().map(|tag| (*tag).to_owned()).collect())
    }

    #[test]
    fn a_change_made_from_another_version_is_refused() {
        if_match(&["\"3\""]).check(3).unwrap();
        if_match(&["W/\"3\""]).check(3).unwrap();
        if_match(&["\"2\"", "\"3\""]).check(3).unwrap();
        if_match(&["*"]).check(3).unwrap();
        for tag in ["\"2\"", "3", "\"33\"", "\"\""] {
            let problem = if_match(&[tag]).check(3).unwrap_err();
            assert_eq!(problem.status(), 412, "{tag}");
        }
    }

    #[test]
    fn a_header_may_list_several_tags() {
        let mut headers = HeaderMap::new();
        headers.append(header::IF_NONE_MATCH, HeaderValue::from_static("\"1\", W/\"2\""));
        headers.append(header::IF_NONE_MATCH, HeaderValue::from_static("\"3\""));
        assert_eq!(
            tags(&headers, &header::IF_NONE_MATCH),
            ["\"1\"", "W/\"2\"", "\"3\""]
        );
    }
}
