//! The other side: deliveries as they are made and signed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bedrock_diy_core::{
    HookId, ProjectId,
    hook::{Call, Hook, Mapping, Refusal, Scheme, Secret, verify},
    intake::Lane,
    text::hex,
    time::Timestamp,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A delivery on its way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
    pub(crate) body: Vec<u8>,
}

/// When everything here is sent.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_395_600_000);

pub(crate) const MINUTE: i64 = 60_000;

impl Sent {
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            target: "/hooks/01KJ8Z6Q3V9WX4T2M5N7P0R1S4".into(),
            headers: BTreeMap::new(),
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.insert(name.to_lowercase(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name).unwrap();
        self
    }

    /// Signs it at a moment, as senders of the scheme do. Those headers of Contentful are signed that are there.
    pub(crate) fn signed(self, scheme: &Scheme, secret: &str, at: Timestamp) -> Self {
        let (millis, seconds) = (at.millis().to_string(), (at.millis() / 1_000).to_string());
        match scheme {
            Scheme::StandardWebhooks {} => {
                let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
                let mac = mac(&key, &[b"msg_1.", seconds.as_bytes(), b".", &self.body]);
                self.with("webhook-id", "msg_1")
                    .with("webhook-timestamp", seconds)
                    .with("webhook-signature", format!("v1,{}", STANDARD.encode(mac)))
            }
            Scheme::HubSha256 { header: None } => {
                let mac = mac(secret.as_bytes(), &[&self.body]);
                self.with("x-hub-signature-256", format!("sha256={}", hex(&mac)))
            }
            Scheme::HubSha256 { header: Some(name) } => {
                let mac = mac(secret.as_bytes(), &[&self.body]);
                self.with(name, STANDARD.encode(mac))
            }
            Scheme::Ghost {} => {
                let mac = mac(secret.as_bytes(), &[&self.body, millis.as_bytes()]);
                self.with("x-ghost-signature", format!("sha256={}, t={millis}", hex(&mac)))
            }
            Scheme::Contentful {} => self.contentful(secret, millis),
            Scheme::Bearer { .. } => self.with("authorization", format!("Bearer {secret}")),
        }
    }

    fn contentful(mut self, secret: &str, millis: String) -> Self {
        let own = ["x-contentful-signed-headers", "x-contentful-timestamp"];
        let names = self.headers.keys().map(String::as_str).chain(own);
        let mut names: Vec<_> = names.filter(|name| name.starts_with("x-contentful-")).collect();
        names.sort_unstable();
        let list = names.join(",");
        self = self.with(own[0], list.as_str()).with(own[1], millis);
        let lines: Vec<_> = list
            .split(',')
            .map(|name| {
                let latin_1 = self.headers[name].iter().copied().map(char::from);
                format!("{name}:{}", latin_1.collect::<String>())
            })
            .collect();
        let head = format!("POST\n{}\n{}\n", self.target, lines.join(";"));
        let mac = mac(secret.as_bytes(), &[head.as_bytes(), &self.body]);
        self.with("x-contentful-signature", hex(&mac))
    }

    pub(crate) fn verified(
        &self,
        hook: &Hook,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let header = |name: &str| self.headers.get(name).map(Vec::as_slice);
        let call = Call {
            method: "POST",
            target: &self.target,
            header: &header,
            body: &self.body,
        };
        verify(hook, secrets, &call, now)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Every scheme, each with all that it may say.
pub(crate) fn schemes() -> Vec<Scheme> {
    vec![
        Scheme::StandardWebhooks {},
        Scheme::HubSha256 { header: None },
        Scheme::HubSha256 {
            header: Some("X-WP-Webhook-Signature".into()),
        },
        Scheme::Ghost {},
        Scheme::Contentful {},
        Scheme::Bearer {
            delivery_id_header: Some("Idempotency-Key".into()),
        },
    ]
}

pub(crate) fn hook(scheme: &Scheme) -> Hook {
    Hook {
        project_id: ProjectId::new("news").unwrap(),
        hook_id: HookId::fresh(NOW, 1),
        name: "A hook".into(),
        scheme: scheme.clone(),
        mapping: Mapping {
            text: "/text".into(),
            ..Mapping::default()
        },
        lane: Lane::Live,
        is_active: true,
        created_by: "somebody".into(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
        deleted_at: None,
    }
}

pub(crate) fn secret(scheme: &Scheme, byte: u8) -> Secret {
    Secret::generate(scheme, [byte; 32])
}
