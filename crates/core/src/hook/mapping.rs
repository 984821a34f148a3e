//! What of a posted JSON document is the article.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::Code, fault::Fault, ids::SessionId, limits};

/// Where in the posted JSON the parts of an article lie, as JSON Pointers (RFC 6901). What has no pointer is not
/// looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// Its text: what must be there.
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 500, pattern = "^(/([^/~]|~[01])*)*$")
    )]
    pub text: String,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 500, pattern = "^(/([^/~]|~[01])*)*$", nullable = false)
    )]
    pub title: Option<String>,
    /// What the CMS calls it: the article's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 500, pattern = "^(/([^/~]|~[01])*)*$", nullable = false)
    )]
    pub id: Option<String>,
    /// What names the delivery. Where nothing is said, or nothing is there, the scheme's own id does, else the
    /// SHA-256 of the body. A post's id would have each post taken once and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 500, pattern = "^(/([^/~]|~[01])*)*$", nullable = false)
    )]
    pub delivery_id: Option<String>,
    /// The conversation that it belongs to. It has one job at a time: what is delivered while its last one has not ended
    /// is refused with 409, and must be delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 500, pattern = "^(/([^/~]|~[01])*)*$", nullable = false)
    )]
    pub session_id: Option<String>,
    /// What else is to be known about it, by the name that it has in templates (`meta.<name>`). Any JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What the text is written in.
    #[serde(default)]
    pub media_type: TextType,
}

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TextType {
    /// Nothing: it is taken as it is.
    #[default]
    #[serde(rename = "text/plain")]
    Plain,
    /// HTML, as WordPress and Ghost have it. Only what is said in it is the article.
    #[serde(rename = "text/html")]
    Html,
    /// Markdown, as Contentful's long texts are. It stays as it is.
    #[serde(rename = "text/markdown")]
    Markdown,
}

impl TextType {
    /// The ending of a file with such a text: an article is read by its name's ending.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Plain => "txt",
            Self::Html => "html",
            Self::Markdown => "md",
        }
    }
}

/// What a delivery holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The text: never blank.
    pub text: String,
    /// The title: one line, cut with `…` where it is too long for one.
    pub title: Option<String>,
    /// What the CMS calls it: one line, cut likewise.
    pub name: Option<String>,
    /// The conversation.
    pub session_id: Option<SessionId>,
    /// What else is known.
    pub metadata: Map<String, Value>,
    /// What the text is written in.
    pub media_type: TextType,
    /// Pointers of the mapping that found nothing, or null. Not a fault: a CMS leaves out what is empty.
    pub missing: Vec<String>,
}

impl Taken {
    /// The article's name as that of a file, with `otherwise` where the CMS has none for it.
    #[must_use]
    pub fn file_name(&self, otherwise: &str) -> String {
        let name = self.name.as_deref().unwrap_or(otherwise);
        // Behind whatever ending it has: `budget.pdf` may be a post's slug.
        format!("{name}.{}", self.media_type.extension())
    }
}

impl Mapping {
    /// Every pointer that is none, by its place in the hook's document.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fields = [
            ("text", Some(&self.text)),
            ("title", self.title.as_ref()),
            ("id", self.id.as_ref()),
            ("deliveryId", self.delivery_id.as_ref()),
            ("sessionId", self.session_id.as_ref()),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, pointer)| Some((format!("/mapping/{name}"), pointer?)));
        let metadata = self
            .metadata
            .iter()
            .map(|(name, pointer)| (format!("/mapping/metadata/{}", escaped(name)), pointer));
        let mut faults: Vec<_> = fields
            .chain(metadata)
            .filter(|(_, pointer)| !is_pointer(pointer))
            .map(|(field, _)| {
                Fault::invalid(
                    field,
                    format!(
                        "a JSON Pointer has up to {} bytes and begins with `/`, such as `/post/content`; a `~` in a name is `~0`, a `/` is `~1`",
                        limits::POINTER_BYTES
                    ),
                )
            })
            .collect();
        if self.metadata.len() > limits::HOOK_METADATA {
            faults.push(Fault::invalid(
                "/mapping/metadata",
                format!(
                    "the mapping has {} metadata, {} are allowed",
                    self.metadata.len(),
                    limits::HOOK_METADATA
                ),
            ));
        }
        let names = self.metadata.keys();
        let long = names.filter(|name| name.trim().is_empty() || name.len() > limits::HEADER_NAME_BYTES);
        faults.extend(long.map(|name| {
            Fault::invalid(
                format!("/mapping/metadata/{}", escaped(name)),
                format!("a name has 1 to {} bytes", limits::HEADER_NAME_BYTES),
            )
        }));
        faults
    }
}

/// Takes the article out of a body. All faults are said at once; their fields are pointers into the body.
///
/// Of a key that is there twice, the last one counts.
pub fn take(mapping: &Mapping, body: &[u8]) -> Result<Taken, Vec<Fault>> {
    let mut body = read(body).map_err(|fault| vec![fault])?;
    let mut found = Finding {
        body: &body,
        faults: Vec::new(),
        missing: Vec::new(),
    };
    let title = found.line("title", mapping.title.as_deref());
    let name = found.line("id", mapping.id.as_deref());
    let session_id = found.session(mapping.session_id.as_deref());
    let mut metadata = Map::new();
    for (name, pointer) in &mapping.metadata {
        if let Some(value) = found.value(pointer) {
            metadata.insert(name.clone(), value.clone());
        }
    }
    found.check_text(&mapping.text);
    let Finding { faults, missing, .. } = found;
    // Taken out, not copied: it may be most of the body.
    let text = match body.pointer_mut(&mapping.text).map(Value::take) {
        Some(Value::String(text)) if faults.is_empty() => text,
        _ => return Err(faults),
    };
    Ok(Taken {
        text,
        title,
        name,
        session_id,
        metadata,
        media_type: mapping.media_type,
        missing,
    })
}

/// The body as JSON. What is nested deeper than 128 levels is refused (`serde_json`'s limit): so is nothing built
/// that would be too deep to be dropped.
fn read(body: &[u8]) -> Result<Value, Fault> {
    if body.len() > limits::HOOK_BODY_BYTES {
        return Err(Fault::new(
            Code::ArticleTooLarge,
            "",
            format!(
                "the body has {} bytes, {} are allowed",
                body.len(),
                limits::HOOK_BODY_BYTES
            ),
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The error says what was expected and where, and nothing of what stands there.
        let error = error.to_string();
        let why = match error.strip_prefix("recursion limit exceeded") {
            Some(place) => format!("it is nested deeper than 128 levels{place}"),
            None => error,
        };
        Fault::invalid("", format!("the body can't be read as JSON: {why}"))
    })
}

/// What is found in a body, and what is not.
struct Finding<'a> {
    body: &'a Value,
    faults: Vec<Fault>,
    missing: Vec<String>,
}

impl<'a> Finding<'a> {
    /// What a pointer finds; noted where that is nothing.
    fn value(&mut self, pointer: &str) -> Option<&'a Value> {
        let value = self.body.pointer(pointer).filter(|value| !value.is_null());
        if value.is_none() {
            self.missing.push(pointer.to_owned());
        }
        value
    }

    fn scalar(&mut self, what: &str, pointer: Option<&str>) -> Option<String> {
        let pointer = pointer?;
        let value = self.value(pointer)?;
        let text = scalar(value);
        if text.is_none() {
            self.faults.push(Fault::invalid(
                pointer,
                format!(
                    "{pointer}, the hook's `{what}`, is {}: it must be text or a number",
                    kind(value)
                ),
            ));
        }
        text
    }

    fn line(&mut self, what: &str, pointer: Option<&str>) -> Option<String> {
        line(&self.scalar(what, pointer)?)
    }

    fn session(&mut self, pointer: Option<&str>) -> Option<SessionId> {
        let id = self.scalar("sessionId", pointer).filter(|id| !id.is_empty())?;
        let session = SessionId::new(id);
        if session.is_err() {
            let pointer = pointer.unwrap_or_default();
            self.faults.push(Fault::invalid(
                pointer,
                format!(
                    "{pointer}, the hook's `sessionId`, must be 1 to 255 bytes without slashes and control characters"
                ),
            ));
        }
        session.ok()
    }

    fn check_text(&mut self, pointer: &str) {
        let detail = match self.body.pointer(pointer) {
            None => format!("{pointer} is not there; {}", self.top_level()),
            Some(Value::String(text)) if text.trim().is_empty() => {
                format!("{pointer} is blank: there is no article")
            }
            Some(Value::String(_)) => return,
            Some(other) => format!(
                "{pointer}, the hook's `text`, is {}: it must be text",
                kind(other)
            ),
        };
        self.faults.push(Fault::invalid(pointer, detail));
    }

    /// What the body has, by names alone.
    fn top_level(&self) -> String {
        const SHOWN: usize = 10;
        let Value::Object(fields) = self.body else {
            return format!("the body is {}", kind(self.body));
        };
        if fields.is_empty() {
            return "the body is an empty object".to_owned();
        }
        let names: Vec<_> = fields
            .keys()
            .take(SHOWN)
            .map(|name| format!("/{}", escaped(&name.chars().take(60).collect::<String>())))
            .collect();
        let more = if fields.len() > SHOWN { ", …" } else { "" };
        format!("the body has: {}{more}", names.join(", "))
    }
}

/// Text, or a number as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A label on one line: white space and control characters collapsed, `…` for what is too long. It travels with
/// messages and jobs, which are claims.
fn line(text: &str) -> Option<String> {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if line.len() > limits::LABEL_BYTES {
            break;
        }
        if !line.is_empty() && !word.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(limits::LABEL_BYTES + 1));
    }
    if line.len() > limits::LABEL_BYTES {
        line.truncate(line.floor_char_boundary(limits::LABEL_BYTES));
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_pointer(pointer: &str) -> bool {
    let escapes = pointer.split('~').skip(1);
    pointer.len() <= limits::POINTER_BYTES
        && (pointer.is_empty() || pointer.starts_with('/'))
        && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}

/// A name as a part of a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            text: "/post/content".into(),
            title: Some("/post/title".into()),
            id: Some("/post/id".into()),
            session_id: Some("/thread".into()),
            metadata: [("author".to_owned(), "/post/author".to_owned())].into(),
            ..Mapping::default()
        }
    }

    fn faults(body: &Value) -> Vec<(String, String)> {
        let faults = take(&mapping(), body.to_string().as_bytes()).unwrap_err();
        faults
            .into_iter()
            .map(|fault| (fault.field, fault.detail))
            .collect()
    }

    #[test]
    fn what_is_mapped_is_taken() {
        let body = json!({"event": "x", "thread": 7, "post": {
            "content": "다리가 열렸다.", "title": "  Bridge\n opens ", "id": 42, "author": {"name": "A"},
        }});
        let taken = take(&mapping(), body.to_string().as_bytes()).unwrap();
        assert_eq!(taken.text, "다리가 열렸다.");
        assert_eq!(taken.title.as_deref(), Some("Bridge opens"));
        assert_eq!(taken.session_id.as_ref().map(SessionId::as_str), Some("7"));
        assert_eq!(
            Value::Object(taken.metadata.clone()),
            json!({"author": {"name": "A"}})
        );
        assert_eq!(taken.missing, Vec::<String>::new());
        assert_eq!(taken.file_name("a"), "42.txt");
    }

    #[test]
    fn what_a_cms_leaves_out_is_said_and_is_no_fault() {
        let body = json!({"post": {"content": "Text.", "title": null, "id": ""}});
        let taken = take(&mapping(), body.to_string().as_bytes()).unwrap();
        assert_eq!(
            (&taken.title, &taken.name, &taken.session_id),
            (&None, &None, &None)
        );
        assert_eq!(taken.missing, ["/post/title", "/thread", "/post/author"]);
        assert_eq!(taken.file_name("a"), "a.txt");
    }

    #[test]
    fn a_text_that_is_not_there_is_named_with_what_is_and_nothing_is_told_of_that() {
        let body = json!({"post": {"html": "a secret"}, "a/b": "another"});
        assert_eq!(
            faults(&body),
            [(
                "/post/content".to_owned(),
                "/post/content is not there; the body has: /post, /a~1b".to_owned()
            )]
        );
        let (_, detail) = &faults(&json!(["a secret"]))[0];
        assert_eq!(detail, "/post/content is not there; the body is an array");
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        for nothing in [
            json!(null),
            json!(" \n\u{3000}"),
            json!({"type": "doc"}),
            json!(7),
        ] {
            let faults = faults(&json!({"post": {"content": nothing}}));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].0, "/post/content");
        }
    }

    #[test]
    fn all_faults_are_said_at_once() {
        let faults = faults(&json!({"thread": "a/b", "post": {"title": ["x"], "content": false}}));
        let fields: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["/post/title", "/thread", "/post/content"]);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let body = br#"{"post": {"content": "first"}, "post": {"content": "last"}}"#;
        assert_eq!(take(&mapping(), body).unwrap().text, "last");
    }

    #[test]
    fn ten_thousand_levels_are_refused_and_nothing_overflows() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            for body in [
                deep.clone(),
                format!("{{\"post\":{{\"content\":\"a\",\"x\":{deep}}}}}"),
            ] {
                let faults = take(&mapping(), body.as_bytes()).unwrap_err();
                assert!(faults[0].detail.contains("deeper than 128 levels"), "{faults:?}");
            }
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_refused_unread() {
        let faults = take(&mapping(), &vec![b' '; limits::HOOK_BODY_BYTES + 1]).unwrap_err();
        assert_eq!(faults[0].code, Code::ArticleTooLarge);
    }

    #[test]
    fn a_label_is_one_line_of_bounded_length() {
        assert_eq!(line("\t\0 "), None);
        for long in ["다리 ".repeat(1_000), "다".repeat(1_000)] {
            let line = line(&long).unwrap();
            assert!(
                line.len() <= limits::LABEL_BYTES + '…'.len_utf8() && line.ends_with('…'),
                "{line}"
            );
        }
    }
}
