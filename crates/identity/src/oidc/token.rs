//! A signed token (RFC 7515, RFC 7519), from text to claims that are the issuer's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    config::Algorithm,
    jwk::{KeyId, PublicKey},
};
use crate::Refused;

/// What a token says. Of the issuer, once it comes out of [`SignedToken::claims`].
pub(super) type Claims = Map<String, Value>;

/// The longest token, in bytes: as much as common servers take of all headers together.
const LONGEST: usize = 16 * 1024;

/// A token in its parts, believed by nobody yet.
#[derive(Debug)]
pub(super) struct SignedToken<'a> {
    /// Which key it says that it is signed with.
    pub(super) key_id: KeyId,
    /// What is signed: header and claims, as they came.
    message: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

/// What counts of a header. Everything else that may stand there (`jwk`, `jku`, `x5c` …) would have the
/// token choose its own key, and is not looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// What whoever reads the token must understand: nothing of it is understood here.
    crit: Option<Value>,
}

impl<'a> SignedToken<'a> {
    /// Takes a token apart, and refuses one that can't be signed with one of these algorithms.
    pub(super) fn parse(token: &'a str, algorithms: &[Algorithm]) -> Result<Self, Refused> {
        let no_token = || Refused::invalid("the token is no signed JSON web token");
        if token.len() > LONGEST {
            return Err(Refused::invalid(format!(
                "the token has more than {} kB",
                LONGEST / 1024
            )));
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(no_token)?;
        let (header, claims) = message.split_once('.').ok_or_else(no_token)?;
        if claims.contains('.') {
            return Err(no_token());
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| no_token())?;
        let algorithm = algorithms.iter().find(|known| known.as_str() == header.alg);
        let algorithm = *algorithm.ok_or_else(|| {
            let names: Vec<_> = algorithms.iter().map(|known| known.as_str()).collect();
            Refused::invalid(format!("the token is not signed with {}", names.join(" or ")))
        })?;
        if header.crit.is_some() {
            return Err(Refused::invalid(
                "the token's header asks for something that is not known here",
            ));
        }
        if !header.typ.as_deref().is_none_or(is_token_for_callers) {
            return Err(Refused::invalid(
                "the token is of a kind that says nothing about a caller",
            ));
        }
        let kid = header
            .kid
            .ok_or_else(|| Refused::invalid("the token does not name its key (`kid`)"))?;
        Ok(Self {
            key_id: KeyId { algorithm, kid },
            message,
            claims,
            signature: decode(signature)?,
        })
    }

    /// What the token says, where `key` has signed it.
    pub(super) fn claims(&self, key: &PublicKey) -> Result<Claims, Refused> {
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err(Refused::invalid("the token's signature is wrong"));
        }
        let wrong = || Refused::invalid("the token's claims are no JSON object");
        let json = URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| wrong())?;
        serde_json::from_slice(&json).map_err(|_| wrong())
    }
}

/// An issuer signs other things with the same key (messages that somebody has logged out, for one), and
/// says so in `typ`. Access tokens have it from RFC 9068.
fn is_token_for_callers(typ: &str) -> bool {
    ["JWT", "at+jwt", "application/jwt", "application/at+jwt"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(typ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

    fn refusal(header: &str) -> String {
        let token = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header));
        SignedToken::parse(&token, &BOTH).unwrap_err().to_string()
    }

    #[test]
    fn a_header_that_would_choose_its_own_rules_is_refused() {
        for (header, why) in [
            (r#"{"alg":"none","kid":"a"}"#, "not signed with RS256 or ES256"),
            (r#"{"alg":"None","kid":"a"}"#, "not signed with RS256 or ES256"),
            (r#"{"alg":"HS256","kid":"a"}"#, "not signed with RS256 or ES256"),
            (r#"{"alg":"rs256","kid":"a"}"#, "not signed with RS256 or ES256"),
            (r#"{"alg":"RS256"}"#, "kid"),
            (
                r#"{"alg":"RS256","kid":"a","crit":["b64"],"b64":false}"#,
                "not known here",
            ),
            (r#"{"alg":"RS256","kid":"a","typ":"logout+jwt"}"#, "of a kind"),
            (r#"{"alg":"RS256","alg":"none","kid":"a"}"#, "no signed"),
            (r#"{"alg":["RS256"],"kid":"a"}"#, "no signed"),
            ("[]", "no signed"),
        ] {
            assert!(refusal(header).contains(why), "{header}: {}", refusal(header));
        }
    }

    #[test]
    fn what_has_not_exactly_three_parts_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"a"}"#);
        for token in [
            String::new(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}.e30.AAAA.AAAA"),
            format!("{header}.e30.AAAA=="),
            format!(" {header}.e30.AAAA"),
        ] {
            SignedToken::parse(&token, &BOTH).unwrap_err();
        }
        SignedToken::parse(&format!("{header}.e30.AAAA"), &BOTH).unwrap();
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(token in ".{0,300}", header in ".{0,60}", claims in ".{0,60}") {
            let made = format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            for token in [token, made] {
                let _ = SignedToken::parse(&token, &BOTH);
            }
        }
    }
}
