//! From a conversation to the model's tokens.

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf as _;
use candle_core::{Error, Result};
use llguidance::token_bytes_from_tokenizer_json;
use tokenizers::Tokenizer;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use crate::local::CONTEXT_TOKENS;
use crate::model::{Request, Role};
use crate::wire::errors::{ErrorKind, ServiceError};

/// The system turn that the model was tuned with.
const SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// The model's tokens, and how conversations become such.
pub(crate) struct Vocabulary {
    tokenizer: Tokenizer,
    bytes: Vec<Vec<u8>>,
    longest_token: usize,
    turn_start: u32,
    turn_end: u32,
}

impl Vocabulary {
    /// Reads the vocabulary from the model's file.
    pub(crate) fn of(content: &Content) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_gguf(content)?;
        // The file names a pre-tokenizer that the reader doesn't know: single digits, then bytes.
        let split = Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
        ]);
        tokenizer.with_pre_tokenizer(Some(split));
        tokenizer.with_decoder(Some(ByteLevelDecoder::new(false, true, true)));
        // A text from outside may contain `<|im_end|>`; it must stay text and not end its turn.
        tokenizer.set_encode_special_tokens(true);
        let id = |token: &str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| Error::Msg(format!("its vocabulary lacks {token}")))
        };
        let (turn_start, turn_end) = (id("<|im_start|>")?, id("<|im_end|>")?);
        let json = tokenizer.to_string(false).map_err(Error::wrap)?;
        let json = serde_json::from_str(&json).map_err(Error::wrap)?;
        let bytes = token_bytes_from_tokenizer_json(&json).map_err(|error| Error::Msg(error.to_string()))?;
        let longest_token = bytes.iter().map(Vec::len).max().unwrap_or(1);
        Ok(Self {
            tokenizer,
            bytes,
            longest_token,
            turn_start,
            turn_end,
        })
    }

    /// The tokenizer itself.
    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The token that ends the model's turn.
    pub(crate) fn turn_end(&self) -> u32 {
        self.turn_end
    }

    /// Every token's bytes; those of special tokens begin with 0xff, which no text has.
    pub(crate) fn all_bytes(&self) -> &[Vec<u8>] {
        &self.bytes
    }

    /// A token's bytes; none for special tokens, which are no text.
    pub(crate) fn bytes_of(&self, token: u32) -> &[u8] {
        match self.bytes.get(token as usize) {
            Some(bytes) if bytes.first() != Some(&0xff) => bytes,
            _ => &[],
        }
    }

    /// The tokens of a text.
    pub(crate) fn encode(&self, text: &str) -> std::result::Result<Vec<u32>, ServiceError> {
        let encoded = self.tokenizer.encode_fast(text, false).map_err(|error| {
            tracing::error!(%error, "a text could not be tokenised");
            ServiceError::from(ErrorKind::InternalServer)
        })?;
        Ok(encoded.get_ids().to_vec())
    }

    /// The prompt of a conversation, up to where the model's turn begins.
    pub(crate) fn prompt(&self, request: &Request) -> std::result::Result<Vec<u32>, ServiceError> {
        // So much text has more tokens than fit, whatever it says; don't look at megabytes to find out.
        if request.text_bytes() > CONTEXT_TOKENS * self.longest_token {
            return Err(ServiceError::input_too_long());
        }
        let mut prompt = Vec::new();
        self.turn(&mut prompt, "system", SYSTEM)?;
        let last = request.messages.len().saturating_sub(1);
        for (n, message) in request.messages.iter().enumerate() {
            match message.role {
                // A model this small follows what it read last: the instruction comes after the content.
                Role::User if n == last && !request.system.is_empty() => {
                    self.turn(
                        &mut prompt,
                        "user",
                        &format!("{}\n\n{}", message.text, request.system),
                    )?;
                }
                Role::User => self.turn(&mut prompt, "user", &message.text)?,
                Role::Assistant => self.turn(&mut prompt, "assistant", &message.text)?,
            }
        }
        prompt.push(self.turn_start);
        prompt.extend(self.encode("assistant\n")?);
        if prompt.len() >= CONTEXT_TOKENS {
            return Err(ServiceError::input_too_long());
        }
        Ok(prompt)
    }

    fn turn(&self, prompt: &mut Vec<u32>, role: &str, text: &str) -> std::result::Result<(), ServiceError> {
        prompt.push(self.turn_start);
        prompt.extend(self.encode(&format!("{role}\n{text}"))?);
        prompt.push(self.turn_end);
        prompt.extend(self.encode("\n")?);
        Ok(())
    }
}
