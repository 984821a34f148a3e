//! Where a request shows its token.

use super::Refused;

/// The bearer token that a request shows: in the header `Authorization` (RFC 6750, section 2.1), or, where a browser can
/// set none, in the parameter `access_token` of its address (section 2.3). Both at once are refused, as that says.
pub fn bearer<'a>(authorization: Option<&'a str>, parameter: Option<&'a str>) -> Result<&'a str, Refused> {
    let nobody = || Refused::invalid("Say who you are: `Authorization: Bearer …`");
    match (authorization, parameter) {
        (Some(_), Some(_)) => Err(Refused::invalid(
            "Say who you are once: in the header `Authorization` or in the parameter `access_token`",
        )),
        (None, Some(token)) => Some(token.trim())
            .filter(|token| !token.is_empty())
            .ok_or_else(nobody),
        (None, None) => Err(nobody()),
        (Some(said), None) => {
            let (scheme, token) = said.split_once(' ').ok_or_else(nobody)?;
            let token = token.trim();
            if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
                Ok(token)
            } else {
                Err(nobody())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_in_one_place() {
        assert_eq!(bearer(Some("Bearer t"), None), Ok("t"));
        assert_eq!(bearer(Some("bearer  t "), None), Ok("t"));
        assert_eq!(bearer(None, Some("t")), Ok("t"));
        for (header, parameter) in [
            (None, None),
            (None, Some(" ")),
            (Some("Bearer "), None),
            (Some("Basic t"), None),
            (Some("t"), None),
            (Some("Bearer t"), Some("t")),
        ] {
            assert!(bearer(header, parameter).is_err(), "{header:?} {parameter:?}");
        }
    }
}
