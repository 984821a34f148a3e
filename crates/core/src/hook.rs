//! Inbound hooks: how a CMS hands in its articles by itself.
//!
//! A hook has an address, `/hooks/{hookId}`, and secrets. A delivery to it is [verified](verify) first, as the
//! CMS signs it; then the [mapping](Mapping) says what of the posted JSON is the article. A delivery is a job
//! once, however often it comes: its id is the job's idempotency key.

mod mapping;
mod secret;
mod signature;

pub use mapping::{Mapping, Taken, TextType, take};
pub use secret::Secret;
pub use signature::{Call, Refusal, verify};

use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    ids::{HookId, ProjectId},
    intake::Lane,
    limits,
    time::Timestamp,
};

/// An inbound hook. Its secrets lie elsewhere ([`crate::ports::Secrets`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// The project that its articles are for.
    pub project_id: ProjectId,
    /// Its id: the last part of its address.
    pub hook_id: HookId,
    /// Its name for people.
    pub name: String,
    /// How deliveries prove who sent them.
    pub scheme: Scheme,
    /// Where in the posted JSON the article lies.
    pub mapping: Mapping,
    /// The queue that its articles wait in.
    pub lane: Lane,
    /// Whether it takes deliveries.
    pub is_active: bool,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was saved: whoever changes it says which one they have read.
    pub version: u32,
    /// When it was deleted. A deleted hook is found no more; what is left of it keeps its id from being used
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// How deliveries prove who sent them.
///
/// Schemes without settings are structs without fields, so that unknown fields are refused for them, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Scheme {
    /// Standard Webhooks (<https://www.standardwebhooks.com>): id, time and body are signed.
    StandardWebhooks {},
    /// HMAC-SHA-256 of the body, as GitHub's and WebSub's `X-Hub-Signature-256: sha256=<hex>`. Many plugins of
    /// WordPress have the same under another name, in hexadecimal or base 64, with or without `sha256=`: all of
    /// them are read.
    HubSha256 {
        /// The header with the signature; `X-Hub-Signature-256` where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(
            feature = "openapi",
            schema(
                min_length = 1,
                max_length = 100,
                pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
                nullable = false
            )
        )]
        header: Option<String>,
    },
    /// As Ghost signs since 5.87: `X-Ghost-Signature: sha256=<hex>, t=<ms>` over the body with the time behind it.
    /// Versions before that sign the body alone and are refused.
    Ghost {},
    /// As Contentful signs where request verification is enabled: method, path, a list of headers and the body.
    Contentful {},
    /// `Authorization: Bearer <secret>`: nothing is signed, who knows the secret is trusted.
    Bearer {
        /// The header that names the delivery, such as `Idempotency-Key`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(
            feature = "openapi",
            schema(
                min_length = 1,
                max_length = 100,
                pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
                nullable = false
            )
        )]
        delivery_id_header: Option<String>,
    },
}

impl Hook {
    /// Everything that is wrong with it, by its places in the hook's document.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() || self.name.len() > limits::TITLE_BYTES {
            faults.push(Fault::invalid(
                "/name",
                format!("a hook has a name of up to {} bytes", limits::TITLE_BYTES),
            ));
        }
        faults.extend(self.scheme.fault());
        faults.extend(self.mapping.faults());
        faults
    }
}

impl Scheme {
    fn fault(&self) -> Option<Fault> {
        let (field, header) = match self {
            Self::HubSha256 { header } => ("/scheme/header", header),
            Self::Bearer { delivery_id_header } => ("/scheme/deliveryIdHeader", delivery_id_header),
            Self::StandardWebhooks {} | Self::Ghost {} | Self::Contentful {} => return None,
        };
        let header = header.as_deref()?;
        // What HTTP allows for a name (RFC 9110, section 5.6.2).
        let fits = (1..=limits::HEADER_NAME_BYTES).contains(&header.len())
            && header
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        (!fits).then(|| {
            Fault::invalid(
                field,
                format!(
                    "a header's name has 1 to {} letters, digits and hyphens",
                    limits::HEADER_NAME_BYTES
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook() -> Hook {
        let now = Timestamp::from_millis(1_795_395_600_000);
        Hook {
            project_id: ProjectId::new("news").unwrap(),
            hook_id: HookId::fresh(now, 1),
            name: "The blog".into(),
            scheme: Scheme::Ghost {},
            mapping: Mapping {
                text: "/post/current/html".into(),
                ..Mapping::default()
            },
            lane: Lane::Live,
            is_active: true,
            created_by: "somebody".into(),
            created_at: now,
            updated_at: now,
            version: 1,
            deleted_at: None,
        }
    }

    #[test]
    fn all_faults_are_said_at_once_with_their_places() {
        assert_eq!(hook().faults(), []);
        let mut wrong = hook();
        wrong.name = " ".into();
        wrong.scheme = Scheme::HubSha256 {
            header: Some("X Signature".into()),
        };
        wrong.mapping.text = "post/html".into();
        wrong.mapping.title = Some("/a~2".into());
        wrong.mapping.metadata = [("a/b".to_owned(), "x".to_owned())].into();
        let places: Vec<_> = wrong.faults().into_iter().map(|fault| fault.field).collect();
        assert_eq!(
            places,
            [
                "/name",
                "/scheme/header",
                "/mapping/text",
                "/mapping/title",
                "/mapping/metadata/a~1b"
            ]
        );
    }

    #[test]
    fn a_scheme_is_an_object_with_its_kind_and_refuses_what_it_does_not_know() {
        let hub = Scheme::HubSha256 { header: None };
        assert_eq!(serde_json::to_value(&hub).unwrap(), json!({"kind": "hubSha256"}));
        let bearer = json!({"kind": "bearer", "deliveryIdHeader": "Idempotency-Key"});
        assert_eq!(
            serde_json::from_value::<Scheme>(bearer).unwrap(),
            Scheme::Bearer {
                delivery_id_header: Some("Idempotency-Key".into())
            }
        );
        for unknown in [
            json!({"kind": "ghost", "header": "X"}),
            json!({"kind": "hubSha256", "headers": "X"}),
            json!({"kind": "none"}),
        ] {
            serde_json::from_value::<Scheme>(unknown).unwrap_err();
        }
    }
}
