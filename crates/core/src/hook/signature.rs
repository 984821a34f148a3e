//! Whether a delivery is from whom it should be, and what its id is.
//!
//! What each scheme signs was looked up in: the specification of Standard Webhooks (1.0), GitHub's "Validating
//! webhook deliveries", Ghost's `webhook-trigger.js` (6), Contentful's `node-apps-toolkit` (`sign-request.ts`),
//! all 2026-11.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{Hook, Scheme, Secret, mapping};
use crate::{limits, text::sha256_hex, time::Timestamp};

/// A delivery as it came.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The method: `POST`.
    pub method: &'a str,
    /// The path, with the query where there is one, as the sender has asked for it: with the stage in front on API
    /// Gateway's own address.
    pub target: &'a str,
    /// A header's value, by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Why a delivery is not taken. Its text says what a sender with the right secret can mend, and nothing of how
/// close a wrong signature was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This header is missing or empty.
    #[error("the delivery has no header `{0}`: set the hook's secret up at the sender")]
    MissingSignature(String),
    /// The signature is not one that any of the hook's secrets makes for this delivery.
    #[error("the delivery's signature does not fit: compare the sender's secret and the hook's scheme")]
    BadSignature,
    /// It was signed, but so many seconds ago.
    #[error(
        "the delivery was signed {seconds} seconds ago, {tolerance} are allowed: send it anew, or set the sender's clock",
        tolerance = limits::HOOK_TOLERANCE_SECONDS
    )]
    TooOld {
        /// How long ago.
        seconds: u64,
    },
    /// It was signed, but its time is so many seconds ahead of ours.
    #[error(
        "the delivery was signed {seconds} seconds ahead of our clock, {tolerance} are allowed: set the sender's clock",
        tolerance = limits::HOOK_TOLERANCE_SECONDS
    )]
    FromTheFuture {
        /// How far ahead.
        seconds: u64,
    },
    /// A header is not what it should be.
    #[error("{0}")]
    Malformed(String),
}

/// Whether the delivery is from whom it should be: one of the hook's secrets (two, while they are being changed)
/// must have signed it. Nothing of the body is looked into before that. Returns the delivery's id among the hook's:
/// the same one again has the same id.
///
/// Whether the hook takes deliveries at all is for the caller to know.
pub fn verify(hook: &Hook, secrets: &[Secret], call: &Call<'_>, now: Timestamp) -> Result<String, Refusal> {
    let named = match &hook.scheme {
        Scheme::StandardWebhooks {} => Some(standard(secrets, call, now)?),
        Scheme::HubSha256 { header } => {
            hub(secrets, call, header.as_deref().unwrap_or("x-hub-signature-256"))?;
            // No header is signed with it. Were one believed, whoever has seen a delivery could send it again under
            // new ids, and each would be another job.
            None
        }
        Scheme::Ghost {} => {
            ghost(secrets, call, now)?;
            None
        }
        Scheme::Contentful {} => contentful(secrets, call, now)?,
        Scheme::Bearer { delivery_id_header } => {
            bearer(secrets, call)?;
            // Whoever sends the secret could send any article as well: their header is as good as their body.
            match delivery_id_header {
                Some(name) => header(call, name)?.filter(|id| !id.is_empty()),
                None => None,
            }
        }
    };
    let said = hook.mapping.delivery_id.as_deref().and_then(|pointer| {
        let body: Value = serde_json::from_slice(call.body).ok()?;
        mapping::scalar(body.pointer(pointer)?).filter(|id| !id.is_empty())
    });
    Ok(match (said, named) {
        // What somebody has pointed at comes first: they know what a delivery of theirs is.
        (Some(id), _) => id,
        // From a header: signed, or sent by who knows the secret.
        (None, Some(id)) => id.to_owned(),
        // The same body again is the same job: a replay starts nothing, however late it comes.
        (None, None) => sha256_hex(call.body),
    })
}

/// Standard Webhooks: `id.time.body`. Returns the id.
fn standard<'a>(secrets: &[Secret], call: &Call<'a>, now: Timestamp) -> Result<&'a str, Refusal> {
    let id = required(call, "webhook-id")?;
    let time = required(call, "webhook-timestamp")?;
    let signatures = required(call, "webhook-signature")?;
    let at = moment("webhook-timestamp", time, 1_000)?;
    // With a full stop in it, one signed text could be read as two different deliveries.
    if id.contains('.') {
        return Err(Refusal::Malformed("`webhook-id` has a full stop in it".into()));
    }
    let given: Vec<_> = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|signature| STANDARD.decode(signature).ok())
        .collect();
    let keys = secrets.iter().filter_map(Secret::decoded);
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", call.body];
    check_signature(keys, &signed, &given)?;
    check_time(at, now)?;
    Ok(id)
}

/// The body alone.
fn hub(secrets: &[Secret], call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    let said = required(call, name)?;
    let given = match said.strip_prefix("sha256=") {
        Some(digits) => from_hex(digits),
        None => from_hex(said).or_else(|| STANDARD.decode(said).ok()),
    };
    let keys = secrets.iter().map(Secret::bytes);
    check_signature(keys, &[call.body], given.as_slice())
}

/// Ghost: the body with the time behind it. A body ends with a brace: no digit can wander from one to the other.
fn ghost(secrets: &[Secret], call: &Call<'_>, now: Timestamp) -> Result<(), Refusal> {
    const NAME: &str = "x-ghost-signature";
    let parts = required(call, NAME)?
        .strip_prefix("sha256=")
        .and_then(|rest| rest.split_once(", t="));
    let Some((digits, time)) = parts else {
        return Err(Refusal::Malformed(format!(
            "`{NAME}` is not of the form `sha256=…, t=…`"
        )));
    };
    let at = moment(NAME, time, 1)?;
    let keys = secrets.iter().map(Secret::bytes);
    let given = from_hex(digits);
    check_signature(keys, &[call.body, time.as_bytes()], given.as_slice())?;
    check_time(at, now)
}

/// Contentful: method, path, the headers of a list, and the body, a line each. Returns the delivery's id where
/// its header is signed, too.
fn contentful<'a>(secrets: &[Secret], call: &Call<'a>, now: Timestamp) -> Result<Option<&'a str>, Refusal> {
    const SIGNED: &str = "x-contentful-signed-headers";
    const TIME: &str = "x-contentful-timestamp";
    const ID: &str = "x-contentful-idempotency-key";
    let given = from_hex(required(call, "x-contentful-signature")?);
    let list = required(call, SIGNED)?;
    let at = moment(TIME, required(call, TIME)?, 1)?;
    let mut names: Vec<_> = list.split(',').map(|name| name.trim().to_lowercase()).collect();
    names.sort();
    names.dedup();
    let is_signed = |name: &str| names.iter().any(|signed| signed == name);
    if !is_signed(SIGNED) || !is_signed(TIME) {
        return Err(Refusal::Malformed(format!(
            "`{SIGNED}` does not name itself and `{TIME}`: neither would be signed"
        )));
    }
    let mut headers = Vec::new();
    for name in &names {
        if let Some(value) = bytes(call, name)? {
            // A webhook's name may have accents: sent as Latin-1, signed as UTF-8.
            let value: String = value.iter().copied().map(char::from).collect();
            headers.push(format!("{name}:{}", value.trim()));
        }
    }
    let head = format!(
        "{}\n{}\n{}\n",
        call.method,
        contentful_target(call.target),
        headers.join(";")
    );
    let keys = secrets.iter().map(Secret::bytes);
    check_signature(keys, &[head.as_bytes(), call.body], given.as_slice())?;
    check_time(at, now)?;
    if is_signed(ID) {
        return Ok(header(call, ID)?.filter(|id| !id.is_empty()));
    }
    Ok(None)
}

/// A query is escaped twice: as a component, and with the path around it.
fn contentful_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return target.trim_end_matches('?').to_owned();
    };
    let mut escaped = format!("{path}?");
    for byte in query.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%25{byte:02X}");
        }
    }
    escaped
}

/// The secret itself. Both sides go through a MAC, so that the time it takes shows neither where they differ nor
/// how long they are.
fn bearer(secrets: &[Secret], call: &Call<'_>) -> Result<(), Refusal> {
    const NAME: &str = "authorization";
    let said = required(call, NAME)?;
    let token = said
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return Err(Refusal::Malformed(format!(
            "`{NAME}` is not of the form `Bearer …`"
        )));
    };
    let digest = |bytes: &[u8]| Some(mac(b"bearer", &[bytes])?.finalize().into_bytes().to_vec());
    let given = digest(token.trim().as_bytes());
    let fits = secrets.iter().any(|secret| {
        let expected = mac(b"bearer", &[secret.reveal().as_bytes()]);
        expected.is_some_and(|expected| {
            expected
                .verify_slice(given.as_deref().unwrap_or_default())
                .is_ok()
        })
    });
    if fits { Ok(()) } else { Err(Refusal::BadSignature) }
}

/// Whether one of the given signatures is what one of the keys makes of these bytes. Compared in constant time.
fn check_signature(
    keys: impl Iterator<Item = Vec<u8>>,
    signed: &[&[u8]],
    given: &[Vec<u8>],
) -> Result<(), Refusal> {
    for key in keys {
        let Some(mac) = mac(&key, signed) else { continue };
        if given.iter().any(|given| mac.clone().verify_slice(given).is_ok()) {
            return Ok(());
        }
    }
    Err(Refusal::BadSignature)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// After the signature: whoever can't sign learns nothing of our clock.
fn check_time(at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let (behind, ahead) = (now.millis_since(at) / 1_000, at.millis_since(now) / 1_000);
    if behind > limits::HOOK_TOLERANCE_SECONDS {
        return Err(Refusal::TooOld { seconds: behind });
    }
    if ahead > limits::HOOK_TOLERANCE_SECONDS {
        return Err(Refusal::FromTheFuture { seconds: ahead });
    }
    Ok(())
}

/// A header's bytes. Fails where they are too many.
fn bytes<'a>(call: &Call<'a>, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let value = (call.header)(&name.to_lowercase());
    match value {
        Some(value) if value.len() > limits::HEADER_BYTES => Err(Refusal::Malformed(format!(
            "`{name}` has more than {} bytes",
            limits::HEADER_BYTES
        ))),
        value => Ok(value),
    }
}

/// A header's text. Fails where it is none in ASCII.
fn header<'a>(call: &Call<'a>, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = bytes(call, name)? else {
        return Ok(None);
    };
    match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Ok(Some(text.trim())),
        _ => Err(Refusal::Malformed(format!(
            "`{name}` has characters that are not ASCII"
        ))),
    }
}

fn required<'a>(call: &Call<'a>, name: &str) -> Result<&'a str, Refusal> {
    let value = header(call, name)?.filter(|value| !value.is_empty());
    value.ok_or_else(|| Refusal::MissingSignature(name.to_owned()))
}

/// A number of units of so many milliseconds since 1970, in digits and nothing else.
fn moment(name: &str, digits: &str, unit: i64) -> Result<Timestamp, Refusal> {
    let number = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse::<i64>().ok());
    let millis = number.flatten().and_then(|number| number.checked_mul(unit));
    millis
        .map(Timestamp::from_millis)
        .ok_or_else(|| Refusal::Malformed(format!("the time in `{name}` is no number")))
}

/// Lower case alone, as everybody writes it: a signature has one form.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    rest.is_empty().then(|| bytes.collect()).flatten()
}
