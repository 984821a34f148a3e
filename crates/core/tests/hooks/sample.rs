//! What WordPress, Ghost and Contentful really send: the files of `tests/hooks/`.

use bedrock_diy_core::{
    hook::{Hook, Scheme},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of `tests/hooks/`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    pub(crate) hook: Hook,
    pub(crate) secret: String,
    pub(crate) sent_at: Timestamp,
    headers: Map<String, Value>,
    body: Value,
    pub(crate) takes: Takes,
}

/// What is to come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Takes {
    pub(crate) delivery_id: Option<String>,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) text_has: String,
    pub(crate) metadata: Map<String, Value>,
    #[serde(default)]
    pub(crate) missing: Vec<String>,
}

/// What this CMS sends.
pub(crate) fn sample(cms: &str) -> Sample {
    let file = match cms {
        "wordpress" => include_str!("../../../../tests/hooks/wordpress.json"),
        "ghost" => include_str!("../../../../tests/hooks/ghost.json"),
        _ => include_str!("../../../../tests/hooks/contentful.json"),
    };
    serde_json::from_str(file).unwrap()
}

impl Sample {
    /// The body as this CMS writes it: in its own way each.
    pub(crate) fn written(&self) -> Vec<u8> {
        match self.hook.scheme {
            Scheme::HubSha256 { .. } => as_php(&self.body.to_string()),
            Scheme::Contentful {} => serde_json::to_vec_pretty(&self.body).unwrap(),
            _ => self.body.to_string().into_bytes(),
        }
    }

    /// Its headers as HTTP has them: a character a byte.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| {
            let value = value.as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap());
            (name.as_str(), value.collect())
        })
    }
}

/// PHP's `json_encode` escapes slashes, and all but ASCII in UTF-16.
fn as_php(json: &str) -> Vec<u8> {
    let mut written = String::new();
    for c in json.chars() {
        match c {
            '/' => written += "\\/",
            c if c.is_ascii() => written.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    written += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    written.into_bytes()
}
