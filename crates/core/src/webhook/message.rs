//! What a receiver gets: the body, and the headers of Standard Webhooks 1.0 (<https://www.standardwebhooks.com>).

use serde::Serialize;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};

use super::{Delivery, Told};
use crate::{
    error::{Code, Failure, Result},
    hook::Secret,
    time::Timestamp,
};

/// A delivery as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Where to.
    pub url: String,
    /// Its headers, but for those of every JSON document.
    pub headers: [(&'static str, String); 3],
    /// Its body.
    pub body: String,
}

/// The payload as Standard Webhooks has it.
#[derive(Serialize)]
struct Payload<'a, T> {
    #[serde(rename = "type")]
    event_type: &'a str,
    timestamp: Timestamp,
    data: &'a T,
}

/// What the bus told, with the event's own id, as EventBridge rules see it.
#[derive(Serialize)]
struct Data<'a> {
    id: String,
    #[serde(flatten)]
    told: &'a Told,
}

/// The body of a delivery of what the bus told.
pub(super) fn body_of(told: &Told) -> Result<String> {
    let data = Data { id: told.id(), told };
    body(told.event_type(), told.at(), &data)
}

/// A body with these data.
pub(super) fn body(event_type: &str, timestamp: Timestamp, data: &impl Serialize) -> Result<String> {
    let payload = Payload {
        event_type,
        timestamp,
        data,
    };
    serde_json::to_string(&payload).map_err(|error| {
        Failure::new(
            Code::InternalError,
            format!("a webhook's body can't be written as JSON: {error}"),
        )
    })
}

/// Signs a delivery at a moment, with each of the secrets: while two overlap, a receiver may check either.
///
/// Fails with [`Code::InternalError`] where there is no secret, or one that is none of Standard Webhooks.
pub fn sign(delivery: &Delivery, url: &str, secrets: &[Secret], now: Timestamp) -> Result<Signed> {
    let seconds = now.millis().div_euclid(1_000);
    let id = delivery.delivery_id.as_str();
    let unfit = || {
        Failure::new(
            Code::InternalError,
            "the webhook has no secret that can sign: rotate it",
        )
    };
    let signatures = secrets
        .iter()
        .map(|secret| {
            let key = secret.decoded()?;
            let signer = standardwebhooks::Webhook::from_bytes(key).ok()?;
            signer.sign(id, seconds, delivery.body.as_bytes()).ok()
        })
        .collect::<Option<Vec<_>>>()
        .filter(|signatures| !signatures.is_empty())
        .ok_or_else(unfit)?;
    Ok(Signed {
        url: url.to_owned(),
        headers: [
            (HEADER_WEBHOOK_ID, id.to_owned()),
            (HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
            (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
        ],
        body: delivery.body.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::delivery::samples::{delivery, now},
        *,
    };
    use crate::hook::{Call, Hook, Mapping, Scheme, verify};

    /// The hook of somebody who takes what we send.
    fn receiver() -> Hook {
        Hook {
            project_id: "news".parse().unwrap(),
            hook_id: crate::HookId::fresh(now(), 1),
            name: "us".into(),
            scheme: Scheme::StandardWebhooks {},
            mapping: Mapping::default(),
            lane: crate::intake::Lane::Live,
            is_active: true,
            created_by: "us".into(),
            created_at: now(),
            updated_at: now(),
            version: 1,
            deleted_at: None,
        }
    }

    #[test]
    fn what_is_signed_is_what_our_own_hooks_take_with_either_of_two_secrets() {
        let secrets = [[7; 32], [8; 32]].map(|random| Secret::generate(&Scheme::StandardWebhooks {}, random));
        let delivery = delivery();
        let signed = sign(&delivery, "https://example.org", &secrets, now()).unwrap();
        for secret in &secrets {
            let header = |name: &str| {
                let found = signed.headers.iter().find(|(header, _)| *header == name);
                found.map(|(_, value)| value.as_bytes())
            };
            let call = Call {
                method: "POST",
                target: "/",
                header: &header,
                body: signed.body.as_bytes(),
            };
            let taken = verify(&receiver(), std::slice::from_ref(secret), &call, now()).unwrap();
            assert_eq!(taken, delivery.delivery_id.as_str());
        }
        assert_eq!(signed.headers[1].1, "1795395600", "in seconds");
        let stranger = Secret::generate(&Scheme::StandardWebhooks {}, [9; 32]);
        let other = sign(&delivery, "https://example.org", &[stranger], now()).unwrap();
        assert_ne!(other.headers[2], signed.headers[2]);
    }

    #[test]
    fn nothing_goes_out_unsigned() {
        let failure = sign(&delivery(), "https://example.org", &[], now()).unwrap_err();
        assert!(failure.detail.contains("rotate"), "{failure}");
        let unfit = Secret::stored("no such secret".into());
        sign(&delivery(), "https://example.org", &[unfit], now()).unwrap_err();
    }

    #[test]
    fn a_body_has_the_event_as_the_bus_tells_it() {
        let body: Value = serde_json::from_str(&delivery().body).unwrap();
        assert_eq!(
            (&body["type"], &body["timestamp"]),
            (&json!("job.cancelled"), &json!(now()))
        );
        assert_eq!(body["data"]["by"], "ada");
        assert_eq!(
            body["data"]["id"].as_str().unwrap(),
            format!("{}-3", body["data"]["jobId"].as_str().unwrap())
        );
    }
}
