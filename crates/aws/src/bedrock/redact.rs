//! What a service said, fit for logs and events.

use bedrock_diy_core::model::ModelRequest;

/// How much of a message is kept, in characters.
const KEPT: usize = 300;

/// How much of a message is looked for in a request at a time, in characters. Names of fields and models
/// are mostly shorter than two of these, sentences are longer.
const PIECE: usize = 16;

/// A service's message without what it quotes of the request's texts: these end in no log.
///
/// Passages of at least `2 * PIECE - 1` characters are found; the validation framework's own form of
/// quoting (`Value '…' at 'messages…'`) is emptied whatever its length.
pub(super) fn without_quotes(message: &str, request: &ModelRequest) -> String {
    let message = without_values(message.trim());
    let characters: Vec<char> = message.chars().take(KEPT).collect();
    let texts = || {
        let messages = request.messages.iter().map(|message| message.text.as_str());
        messages.chain([request.system.as_str()])
    };
    let mut kept = String::with_capacity(message.len());
    for piece in characters.chunks(PIECE) {
        let piece: String = piece.iter().collect();
        let is_quoted = piece.chars().count() == PIECE && texts().any(|text| text.contains(&piece));
        match (is_quoted, kept.ends_with('…')) {
            (true, true) => {}
            (true, false) => kept.push('…'),
            (false, _) => kept.push_str(&piece),
        }
    }
    kept
}

fn without_values(message: &str) -> String {
    match (message.find("Value '"), message.rfind("' at '")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}Value '…{}", &message[..start], &message[end..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::{model::Message, project::InferenceParameters};

    use super::*;

    fn request(article: &str) -> ModelRequest {
        ModelRequest {
            model: "us.acme.strict-v1:0".into(),
            parameters: InferenceParameters::default(),
            system: "Write a headline.".into(),
            messages: vec![Message::user(article)],
            guardrail: None,
            output_schema: None,
            send_schema: false,
        }
    }

    #[test]
    fn a_message_that_quotes_nothing_stays_as_it_is() {
        let message = "Malformed input request: #/top_p: 2 is not less or equal to 1";
        assert_eq!(
            without_quotes(message, &request("The old bridge is closed.")),
            message
        );
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let kept = without_quotes(&"가".repeat(1000), &request("An article"));
        assert_eq!(kept, "가".repeat(KEPT));
    }

    #[test]
    fn what_is_quoted_is_left_out() {
        let article = "The council of Nordhafen voted on Monday to close the old bridge.";
        let kept = without_quotes(&format!("Not JSON: {article} Try again."), &request(article));
        assert!(
            kept.starts_with("Not JSON: ") && kept.ends_with("Try again."),
            "{kept}"
        );
        assert!(kept.contains('…') && !kept.contains("Nordhafen"), "{kept}");
    }
}
