//! A hook's secrets: what they look like, and how they don't get into a log.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::Scheme;
use crate::{fault::Fault, text::hex};

/// What the prefix of a Standard Webhooks secret is.
const PREFIX: &str = "whsec_";

/// Some senders show their secrets without the `=` at the end.
const BASE_64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that a hook and a CMS share. It has no `Display` and is not serialised, so that it gets nowhere by
/// accident; nor can two be compared, but by what was made with them.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A new one from this randomness, in the form that the scheme's senders take.
    #[must_use]
    pub fn generate(scheme: &Scheme, randomness: [u8; 32]) -> Self {
        match scheme {
            // Contentful takes 64 characters and no other number
            // (contentful.com/developers/docs/webhooks/secrets, 2026-11).
            Scheme::Contentful {} => Self(hex(&randomness)),
            _ => Self(format!("{PREFIX}{}", BASE_64.encode(randomness))),
        }
    }

    /// One that somebody has chosen. The fault's field is `/secret`.
    pub fn given(scheme: &Scheme, text: &str) -> Result<Self, Fault> {
        match scheme {
            Scheme::StandardWebhooks {} => {
                let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
                let long_enough = |key: Vec<u8>| (24..=64).contains(&key.len());
                if BASE_64.decode(encoded).is_ok_and(long_enough) {
                    return Ok(Self(format!("{PREFIX}{encoded}")));
                }
                Err(unfit(
                    "it must be 24 to 64 bytes in base 64, with whsec_ in front",
                ))
            }
            Scheme::Contentful {} => {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
                if text.len() == 64 && text.bytes().all(allowed) {
                    return Ok(Self(text.to_owned()));
                }
                Err(unfit(
                    "it must be 64 letters, digits, `+`, `/`, `=`, `_` and `-`, as Contentful has it",
                ))
            }
            Scheme::HubSha256 { .. } | Scheme::Ghost {} => {
                let stays = text.trim() == text && !text.contains(char::is_control);
                if stays && (16..=256).contains(&text.len()) {
                    return Ok(Self(text.to_owned()));
                }
                Err(unfit(
                    "it must be 16 to 256 bytes, without control characters and white space around it",
                ))
            }
            Scheme::Bearer { .. } => {
                if text.bytes().all(|b| b.is_ascii_graphic()) && (16..=256).contains(&text.len()) {
                    return Ok(Self(text.to_owned()));
                }
                Err(unfit(
                    "it must be 16 to 256 characters that a header may have: ASCII without spaces",
                ))
            }
        }
    }

    /// One that was stored. For adapters.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// What it says: for whoever stores it, and for whoever made it, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The key of Standard Webhooks; none where it is no such secret.
    pub(crate) fn decoded(&self) -> Option<Vec<u8>> {
        BASE_64.decode(self.0.strip_prefix(PREFIX)?).ok()
    }

    /// The key of everybody else: the text itself.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Says nothing of the secret, not even its length.
fn unfit(rule: &str) -> Fault {
    Fault::invalid("/secret", format!("this can't be the hook's secret: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scheme; 5] = [
        Scheme::StandardWebhooks {},
        Scheme::HubSha256 { header: None },
        Scheme::Ghost {},
        Scheme::Contentful {},
        Scheme::Bearer {
            delivery_id_header: None,
        },
    ];

    #[test]
    fn a_new_secret_is_one_that_could_be_given() {
        for scheme in ALL {
            let secret = Secret::generate(&scheme, [0xc7; 32]);
            let given = Secret::given(&scheme, secret.reveal()).unwrap();
            assert_eq!(given.reveal(), secret.reveal());
        }
        let secret = Secret::generate(&ALL[0], [7; 32]);
        assert_eq!(secret.decoded().unwrap(), [7; 32]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::stored("do not tell anybody".into());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let fault = Secret::given(&Scheme::Ghost {}, "too short").unwrap_err();
        assert!(!fault.detail.contains("too short"), "{fault:?}");
    }

    #[test]
    fn a_secret_that_is_easily_guessed_or_can_not_be_sent_is_refused() {
        for (scheme, text) in [
            (&ALL[0], "whsec_c2hvcnQ="),
            (&ALL[0], "whsec_not base 64 at all, whatever it says"),
            (&ALL[1], "fifteen letters"),
            (&ALL[1], " sixteen letters "),
            (&ALL[2], "sixteen letters\n"),
            (&ALL[3], "0123456789abcdef"),
            (&ALL[4], "열여섯 글자가 넘는 비밀"),
            (&ALL[4], ""),
        ] {
            assert_eq!(
                Secret::given(scheme, text).unwrap_err().field,
                "/secret",
                "{text}"
            );
        }
        Secret::given(&ALL[1], "열여섯 바이트가 넘는 비밀").unwrap();
    }
}
