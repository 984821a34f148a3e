//! Answers that keep a JSON Schema: before each token, only those are allowed that lead to a valid document.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::local::chat::Vocabulary;
use crate::local::narrow::narrow;
use crate::wire::errors::{ErrorKind, ServiceError};

/// What all constrained answers share.
pub(crate) struct Constraints {
    factory: ParserFactory,
}

impl Constraints {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Result<Self, String> {
        let words = vocabulary.all_bytes();
        let size = u32::try_from(words.len()).map_err(|_| "its vocabulary is too large".to_owned())?;
        let trie = TokTrie::from(&TokRxInfo::new(size, vocabulary.turn_end()), words);
        let env: TokEnv = Arc::new(Env {
            trie,
            tokenizer: vocabulary.tokenizer().clone(),
        });
        // Text that the schema leaves no choice about is taken in one go, instead of token by token.
        let able = InferenceCapabilities {
            ff_tokens: true,
            ..InferenceCapabilities::default()
        };
        let slices = llguidance::earley::SlicedBiasComputer::json_slices();
        let mut factory = ParserFactory::new(&env, able, &slices).map_err(|error| error.to_string())?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory })
    }

    /// The constraint that keeps an answer to `schema`; a schema that can't be kept is refused.
    pub(crate) fn for_schema(&self, schema: &str) -> Result<Constraint, ServiceError> {
        let refuse = |message: String| {
            ServiceError::validation(format!(
                "The value at outputConfig.textFormat.structure.jsonSchema.schema can't be kept by this model: \
                 {message}"
            ))
        };
        let mut schema: Value = serde_json::from_str(schema).map_err(|error| refuse(error.to_string()))?;
        narrow(&mut schema);
        if !schema.is_object() {
            return Err(refuse("it is not an object.".to_owned()));
        }
        options().apply_to(&mut schema);
        let matcher = Matcher::new(
            self.factory
                .create_parser(TopLevelGrammar::from_json_schema(schema)),
        );
        match matcher.get_error() {
            None => Ok(Constraint { matcher }),
            Some(error) => Err(refuse(error)),
        }
    }
}

/// One document a line, and no escapes but those that text needs: a small model would go on with white space
/// or `\u` for ever.
fn options() -> JsonCompileOptions {
    JsonCompileOptions {
        item_separator: ", ".to_owned(),
        key_separator: ": ".to_owned(),
        whitespace_flexible: false,
        json_allowed_escapes: Some("n\\\"".to_owned()),
        ..JsonCompileOptions::default()
    }
}

/// Where an answer is in its schema.
pub(crate) struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// The tokens that must come next, taken; none where there is a choice.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        self.matcher.consume_ff_tokens()
    }

    /// Whether the document is complete, and nothing may follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }

    /// The tokens that may come next.
    pub(crate) fn allowed(&mut self) -> Result<SimpleVob, ServiceError> {
        self.matcher.compute_mask_or_eos().map_err(|error| failed(&error))
    }

    /// Goes on by a token that was allowed.
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), ServiceError> {
        self.matcher.consume_token(token).map_err(|error| failed(&error))
    }
}

fn failed(error: &impl std::fmt::Display) -> ServiceError {
    tracing::error!(%error, "an answer lost its schema");
    ErrorKind::ModelError.into()
}

struct Env {
    trie: TokTrie,
    tokenizer: Tokenizer,
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie
            .tokenize_with_greedy_fallback(bytes, |text| match self.tokenizer.encode_fast(text, false) {
                Ok(encoded) => encoded.get_ids().to_vec(),
                Err(_) => self.trie.greedy_tokenize(text.as_bytes()),
            })
    }
}
