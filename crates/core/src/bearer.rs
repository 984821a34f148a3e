//! Bearer tokens as requests show them (RFC 6750).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::access::Refused;

/// The parameter that shows a token where no header can be set (RFC 6750, section 2.3): browsers' `EventSource` and
/// WebSocket can't.
pub const PARAMETER: &str = "access_token";

/// Why no token can be taken from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// There is none, or nothing that could be one.
    #[error("there is no token")]
    Missing,
    /// There are two, by one way each or by the same: nobody can say which counts.
    #[error("a token is shown twice")]
    Twice,
}

impl From<NoToken> for Refused {
    fn from(why: NoToken) -> Self {
        Self::invalid(match why {
            NoToken::Missing => "Say who you are: `Authorization: Bearer …`, or the parameter `access_token`",
            NoToken::Twice => {
                "Show one token, in one way: in the header `Authorization`, or as the parameter `access_token`"
            }
        })
    }
}

/// The token that a request shows: in its header `Authorization` (section 2.1), or as the parameter `access_token`,
/// decoded, where that is taken.
pub fn token<'a>(authorization: Option<&'a str>, parameter: Option<&'a str>) -> Result<&'a str, NoToken> {
    let token = match (authorization, parameter) {
        (Some(_), Some(_)) => return Err(NoToken::Twice),
        (None, None) => return Err(NoToken::Missing),
        (None, Some(token)) => token,
        (Some(said), None) => {
            let (scheme, token) = said.split_once(' ').ok_or(NoToken::Missing)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(NoToken::Missing);
            }
            token.trim()
        }
    };
    if token.is_empty() {
        Err(NoToken::Missing)
    } else {
        Ok(token)
    }
}

/// The parameter `access_token` of what stands behind the question mark, decoded.
pub fn parameter(query: &str) -> Result<Option<Cow<'_, str>>, NoToken> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut tokens = pairs.filter_map(|(name, value)| (name == PARAMETER).then_some(value));
    let token = tokens.next();
    if tokens.next().is_some() {
        return Err(NoToken::Twice);
    }
    let decoded = token.map(|token| percent_decode_str(token).decode_utf8());
    decoded.transpose().map_err(|_| NoToken::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_one_way_or_the_other() {
        assert_eq!(token(Some("Bearer abc"), None), Ok("abc"));
        assert_eq!(token(Some("bEARER  abc "), None), Ok("abc"));
        assert_eq!(token(None, Some("abc")), Ok("abc"));
        assert_eq!(token(Some("Bearer abc"), Some("abc")), Err(NoToken::Twice));
        for nothing in [None, Some(""), Some("abc"), Some("Basic abc"), Some("Bearer ")] {
            assert_eq!(token(nothing, None), Err(NoToken::Missing), "{nothing:?}");
        }
        assert_eq!(token(None, Some("")), Err(NoToken::Missing));
    }

    #[test]
    fn a_parameter_is_decoded_and_said_once() {
        let found = |query| parameter(query).map(|token| token.map(Cow::into_owned));
        assert_eq!(
            found("after=3&access_token=a%2Bb.c-d_e&wait=1"),
            Ok(Some("a+b.c-d_e".to_owned()))
        );
        assert_eq!(found("after=3&xaccess_token=a"), Ok(None));
        assert_eq!(found(""), Ok(None));
        assert_eq!(found("access_token=a&access_token=a"), Err(NoToken::Twice));
        assert_eq!(found("access_token=%FF"), Err(NoToken::Missing));
    }
}
