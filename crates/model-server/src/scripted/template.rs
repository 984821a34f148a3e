//! Answers with parts of the request in them.

use crate::model::Request;
use crate::scripted::ScriptError;

/// A template that was understood, see [`crate::scripted::Content::Template`].
#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    User(usize),
    System(usize),
    Hash,
    Model,
    Call,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                ScriptError(format!("The template's '${{{after}' lacks its closing brace."))
            })?;
            parts.push(Part::Literal(literal.to_owned()));
            parts.push(Part::parse(name)?);
            rest = after;
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self(parts))
    }

    pub(crate) fn render(&self, request: &Request, call: u64) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::User(longest) => out.push_str(first_chars(request.last_user_text(), *longest)),
                Part::System(longest) => out.push_str(first_chars(&request.system, *longest)),
                Part::Hash => out.push_str(&request.content_hash().to_string()),
                Part::Model => out.push_str(&request.model_id),
                Part::Call => out.push_str(&call.to_string()),
            }
        }
        out
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, ScriptError> {
        let (name, longest) = match name.split_once(':') {
            None => (name, usize::MAX),
            Some((name, longest)) => {
                let longest = longest.parse().map_err(|_| {
                    ScriptError(format!("'{longest}' in a template is no number of characters."))
                })?;
                (name, longest)
            }
        };
        match name {
            "user" => Ok(Self::User(longest)),
            "system" => Ok(Self::System(longest)),
            "hash" => Ok(Self::Hash),
            "model" => Ok(Self::Model),
            "call" => Ok(Self::Call),
            other => Err(ScriptError(format!(
                "A template can't have '${{{other}}}': there are user, system, hash, model and call."
            ))),
        }
    }
}

fn first_chars(text: &str, longest: usize) -> &str {
    text.char_indices()
        .nth(longest)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Role};

    fn request() -> Request {
        let message = Message {
            role: Role::User,
            text: "Grüße aus Ulm".to_owned(),
            other_blocks: Vec::new(),
        };
        Request {
            model_id: "m".to_owned(),
            system: "Be brief.".to_owned(),
            messages: vec![message],
            ..Request::default()
        }
    }

    #[test]
    fn a_template_takes_parts_of_the_request() {
        let template = Template::parse("${model}/${call}: ${user:5}, ${system}{}").unwrap();
        assert_eq!(template.render(&request(), 7), "m/7: Grüße, Be brief.{}");
    }

    #[test]
    fn the_same_request_has_the_same_hash_in_the_answer() {
        let template = Template::parse("${hash}").unwrap();
        assert_eq!(template.render(&request(), 1), template.render(&request(), 2));
    }

    #[test]
    fn an_unknown_part_is_refused_and_named() {
        let error = Template::parse("${article}").unwrap_err();
        assert!(error.to_string().contains("${article}"), "{error}");
        assert!(Template::parse("${user").is_err());
        assert!(Template::parse("${user:many}").is_err());
    }
}
