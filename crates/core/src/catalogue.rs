//! The model catalogue: what is known about models is data (`models.toml`), and code asks the
//! catalogue, never a model's name.

use serde::Deserialize;

use crate::{
    error::{Code, Failure, Result},
    limits,
    model::{ModelRequest, Usage},
    project::InferenceParameters,
    quota::Quota,
};

/// Everything known about models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The model for projects and cards that name none.
    pub default_model: String,
    /// The families, later entries before earlier ones: a user's own entry overrides ours.
    #[serde(rename = "family", default)]
    pub families: Vec<Family>,
}

/// Models that behave and cost the same.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Its name for people.
    pub name: String,
    /// The model ids, without an inference profile's prefix.
    pub ids: Vec<String>,
    /// The prefixes of the inference profiles that serve it (`us`, `eu`, `global` …).
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Whether it is served without an inference profile too.
    #[serde(default)]
    pub on_demand: bool,
    /// The context window, in tokens: what is read and written must fit together.
    pub context_window: u64,
    /// The longest answer, in tokens.
    pub max_output: u32,
    /// The inference parameters that it accepts.
    pub parameters: Vec<Parameter>,
    /// Whether `temperature` and `topP` may be sent together.
    #[serde(default = "yes")]
    pub temperature_with_top_p: bool,
    /// Whether Converse's `outputConfig` with a JSON Schema is accepted.
    #[serde(default)]
    pub structured_output: bool,
    /// Prices; none means that no cost is estimated.
    #[serde(default)]
    pub price: Option<Price>,
    /// The shortest prefix that the prompt cache takes, in tokens.
    #[serde(default)]
    pub smallest_cacheable_prefix: Option<u32>,
    /// How many tokens of quota an output token uses.
    #[serde(default = "one")]
    pub output_burn_down: u32,
    /// Tokens per character, for estimates before a call.
    #[serde(default)]
    pub tokens_per_character: TokensPerCharacter,
    /// The account's quota, where the user has written it down.
    #[serde(default)]
    pub quota: Quota,
    /// Where these facts come from.
    pub source: String,
    /// When they were looked up (`2026-11-01`).
    pub date: String,
}

/// An inference parameter by Converse's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Parameter {
    /// The longest answer.
    MaxTokens,
    /// How freely it chooses.
    Temperature,
    /// The share of likely tokens.
    TopP,
    /// Where it stops.
    StopSequences,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read.
    pub input: f64,
    /// Tokens written.
    pub output: f64,
    /// Tokens read from the prompt cache.
    #[serde(default)]
    pub cache_read: Option<f64>,
    /// Tokens written to the prompt cache.
    #[serde(default)]
    pub cache_write: Option<f64>,
}

/// How many tokens a character makes, on average and rather too many than too few.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensPerCharacter {
    /// Of an ASCII character.
    pub ascii: f64,
    /// Of any other.
    pub other: f64,
}

impl Default for TokensPerCharacter {
    /// English takes about four characters a token; a Korean or Chinese character one to one and a
    /// half tokens in the tokenizers of models made for many languages.
    fn default() -> Self {
        Self {
            ascii: 0.27,
            other: 1.2,
        }
    }
}

const OUR_OWN: &str = include_str!("../models.toml");

impl Catalogue {
    /// The catalogue that comes with the program.
    pub fn own() -> Result<Self> {
        Self::parse(OUR_OWN, "models.toml")
    }

    /// Ours, overridden by a user's (`name` is the file's, for messages). Fails with
    /// [`Code::InvalidRequest`], naming file and line.
    pub fn with_overrides(user: Option<(&str, &str)>) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Overrides {
            default_model: Option<String>,
            #[serde(rename = "family", default)]
            families: Vec<Family>,
        }
        let mut catalogue = Self::own()?;
        if let Some((name, toml)) = user {
            let overrides: Overrides =
                toml::from_str(toml).map_err(|error| wrong_toml(name, toml, &error))?;
            catalogue.default_model = overrides.default_model.unwrap_or(catalogue.default_model);
            catalogue.families.extend(overrides.families);
        }
        Ok(catalogue)
    }

    fn parse(toml: &str, name: &str) -> Result<Self> {
        toml::from_str(toml).map_err(|error| wrong_toml(name, toml, &error))
    }

    /// The family of a model id, an inference profile's id, or the ARN of either.
    #[must_use]
    pub fn family(&self, model: &str) -> Option<&Family> {
        let id = model.rsplit_once('/').map_or(model, |(_, id)| id);
        self.families.iter().rev().find(|family| {
            family.ids.iter().any(|known| {
                id == known
                    || id
                        .strip_suffix(known.as_str())
                        .and_then(|prefix| prefix.strip_suffix('.'))
                        .is_some_and(|prefix| family.profiles.iter().any(|profile| profile == prefix))
            })
        })
    }

    /// The parameters to send: what was said explicitly, and our defaults where the model takes
    /// them. A model that the catalogue doesn't know gets what was said and nothing else.
    ///
    /// Fails with [`Code::InvalidRequest`] where something was said that the model refuses: dropping
    /// it silently would be a lie.
    pub fn parameters(&self, model: &str, said: &InferenceParameters) -> Result<InferenceParameters> {
        let Some(family) = self.family(model) else {
            return Ok(said.clone());
        };
        family.check(said)?;
        let takes = |parameter| family.parameters.contains(&parameter);
        let together = family.temperature_with_top_p;
        let temperature = said.temperature.or_else(|| {
            (takes(Parameter::Temperature) && (together || said.top_p.is_none()))
                .then_some(limits::TEMPERATURE)
        });
        let top_p = said.top_p.or_else(|| {
            (takes(Parameter::TopP) && (together || temperature.is_none())).then_some(limits::TOP_P)
        });
        Ok(InferenceParameters {
            max_tokens: Some(
                said.max_tokens
                    .unwrap_or_else(|| limits::MAX_TOKENS.min(family.max_output)),
            ),
            temperature,
            top_p,
            stop_sequences: said.stop_sequences.clone(),
        })
    }

    /// The estimated price of these tokens in US dollars, where the catalogue has one.
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        let price = self.family(model)?.price?;
        let million = |tokens: u64, dollars: f64| tokens as f64 * dollars / 1e6;
        Some(
            million(usage.input_tokens, price.input)
                + million(usage.output_tokens, price.output)
                + million(usage.cache_read_tokens, price.cache_read.unwrap_or(price.input))
                + million(usage.cache_write_tokens, price.cache_write.unwrap_or(price.input)),
        )
    }

    /// Checks that what this model costs can be counted towards `limits.costPerArticle`. Fails with
    /// [`Code::BudgetExceeded`] where no price is known: a limit that nobody keeps would be none.
    pub fn check_price(&self, model: &str) -> Result<()> {
        if self.cost(model, &Usage::default()).is_some() {
            return Ok(());
        }
        Err(Failure::new(
            Code::BudgetExceeded,
            format!(
                "no price is known for {model}, so `limits.costPerArticle` can't be kept: add the model with its price to \
                 a models.toml of your own, or remove the limit"
            ),
        ))
    }

    /// About how many tokens a request's texts make; its output schema is one, for the model reads it in
    /// one form or another.
    #[must_use]
    pub fn estimated_input_tokens(&self, request: &ModelRequest) -> u64 {
        let per_character = self
            .family(&request.model)
            .map(|family| family.tokens_per_character)
            .unwrap_or_default();
        let texts = request.messages.iter().map(|message| message.text.as_str());
        let schema = request.output_schema.as_ref().map(ToString::to_string);
        let tokens: f64 = texts
            .chain([request.system.as_str()])
            .chain(schema.as_deref())
            .map(|text| per_character.estimate(text))
            .sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, far below 2^52"
        )]
        let tokens = tokens.ceil() as u64;
        tokens
    }

    /// How many tokens of the quota a request of so many input tokens will use, about: Bedrock takes the whole `maxTokens`
    /// off at the start and settles later; what counts in the long run is the output times the
    /// burn-down rate.
    #[must_use]
    pub fn estimated_quota_tokens(&self, request: &ModelRequest, input_tokens: u64) -> u64 {
        let burn_down = self
            .family(&request.model)
            .map_or(1, |family| family.output_burn_down);
        let output = u64::from(request.parameters.max_tokens.unwrap_or(limits::MAX_TOKENS)) / 4;
        input_tokens + output * u64::from(burn_down)
    }

    /// Checks that a request of so many input tokens fits the model's context window, before anything is
    /// paid.
    ///
    /// Fails with [`Code::ArticleTooLong`]. A model that the catalogue doesn't know is not checked.
    pub fn check_fits(&self, request: &ModelRequest, input_tokens: u64) -> Result<()> {
        let Some(family) = self.family(&request.model) else {
            return Ok(());
        };
        let output = u64::from(request.parameters.max_tokens.unwrap_or(limits::MAX_TOKENS));
        if input_tokens + output <= family.context_window {
            return Ok(());
        }
        Err(Failure::new(
            Code::ArticleTooLong,
            format!(
                "about {input_tokens} tokens are to be read and up to {output} written, {} has a context window of {}",
                family.name, family.context_window
            ),
        ))
    }
}

impl Family {
    /// Checks that the model takes what was said.
    fn check(&self, said: &InferenceParameters) -> Result<()> {
        let refused = |what: &str| {
            Err(Failure::new(
                Code::InvalidRequest,
                format!("{} does not accept {what}: remove it", self.name),
            ))
        };
        let takes = |parameter| self.parameters.contains(&parameter);
        if said.temperature.is_some() && !takes(Parameter::Temperature) {
            return refused("`temperature`");
        }
        if said.top_p.is_some() && !takes(Parameter::TopP) {
            return refused("`topP`");
        }
        if !said.stop_sequences.is_empty() && !takes(Parameter::StopSequences) {
            return refused("`stopSequences`");
        }
        if said.temperature.is_some() && said.top_p.is_some() && !self.temperature_with_top_p {
            return refused("`temperature` together with `topP`");
        }
        match said.max_tokens {
            Some(tokens) if tokens > self.max_output => Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "`maxTokens` is {tokens}, {} writes at most {}",
                    self.name, self.max_output
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl TokensPerCharacter {
    fn estimate(self, text: &str) -> f64 {
        if text.is_ascii() {
            return text.len() as f64 * self.ascii;
        }
        let ascii = text.bytes().filter(u8::is_ascii).count();
        // Every character that is not ASCII has exactly one byte that is not a continuation byte.
        let other = text
            .bytes()
            .filter(|byte| byte & 0b1100_0000 == 0b1100_0000)
            .count();
        ascii as f64 * self.ascii + other as f64 * self.other
    }
}

fn wrong_toml(name: &str, toml: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map_or(1, |span| {
        1 + toml[..span.start.min(toml.len())].matches('\n').count()
    });
    Failure::new(
        Code::InvalidRequest,
        format!("{name}, line {line}: {}", error.message()),
    )
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let user = r#"
            [[family]]
            name = "Strict"
            ids = ["acme.strict-v1:0"]
            profiles = ["us"]
            context_window = 1000
            max_output = 500
            parameters = ["maxTokens", "temperature", "topP"]
            temperature_with_top_p = false
            price = { input = 1.0, output = 5.0, cache_read = 0.1 }
            output_burn_down = 5
            source = "a test"
            date = "2026-11-01"
        "#;
        Catalogue::with_overrides(Some(("user.toml", user))).unwrap()
    }

    #[test]
    fn our_own_catalogue_is_valid_and_knows_its_default_model() {
        let own = Catalogue::own().unwrap();
        let family = own.family(&own.default_model).unwrap();
        assert!(family.price.is_some());
        for family in &own.families {
            assert!(
                u64::from(family.max_output) <= family.context_window,
                "{}",
                family.name
            );
            assert!(
                family.parameters.contains(&Parameter::MaxTokens),
                "{}",
                family.name
            );
            assert!(
                !family.source.is_empty() && !family.date.is_empty(),
                "{}",
                family.name
            );
        }
    }

    #[test]
    fn a_model_is_found_by_id_profile_and_arn() {
        let catalogue = catalogue();
        for id in [
            "acme.strict-v1:0",
            "us.acme.strict-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.acme.strict-v1:0",
        ] {
            assert_eq!(
                catalogue.family(id).map(|family| family.name.as_str()),
                Some("Strict"),
                "{id}"
            );
        }
        assert!(catalogue.family("eu.acme.strict-v1:0").is_none());
    }

    #[test]
    fn defaults_are_sent_only_where_the_model_takes_them() {
        let catalogue = catalogue();
        let sent = catalogue
            .parameters("us.acme.strict-v1:0", &InferenceParameters::default())
            .unwrap();
        assert_eq!(
            (sent.max_tokens, sent.temperature, sent.top_p),
            (Some(500), Some(0.3), None)
        );
        let said = InferenceParameters {
            top_p: Some(0.5),
            ..Default::default()
        };
        let sent = catalogue.parameters("us.acme.strict-v1:0", &said).unwrap();
        assert_eq!((sent.temperature, sent.top_p), (None, Some(0.5)));
        let unknown = catalogue.parameters("acme.unknown", &said).unwrap();
        assert_eq!(unknown, said);
    }

    #[test]
    fn what_the_model_refuses_is_an_error_not_dropped() {
        let said = InferenceParameters {
            top_p: Some(0.5),
            temperature: Some(0.1),
            ..Default::default()
        };
        let failure = catalogue().parameters("us.acme.strict-v1:0", &said).unwrap_err();
        assert!(failure.detail.contains("together"), "{failure}");
        let said = InferenceParameters {
            max_tokens: Some(501),
            ..Default::default()
        };
        assert!(catalogue().parameters("us.acme.strict-v1:0", &said).is_err());
    }

    #[test]
    fn a_request_that_does_not_fit_is_refused_before_any_call() {
        let request = |characters: usize| ModelRequest {
            model: "us.acme.strict-v1:0".into(),
            parameters: InferenceParameters {
                max_tokens: Some(500),
                ..Default::default()
            },
            system: String::new(),
            messages: vec![crate::model::Message::user("가".repeat(characters))],
            guardrail: None,
            output_schema: None,
            send_schema: false,
        };
        let fits = |request: ModelRequest| {
            let catalogue = catalogue();
            catalogue.check_fits(&request, catalogue.estimated_input_tokens(&request))
        };
        assert!(fits(request(400)).is_ok());
        assert_eq!(fits(request(500)).unwrap_err().code, Code::ArticleTooLong);
    }

    #[test]
    fn costs_follow_the_price_list_and_are_unknown_without_one() {
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            ..Default::default()
        };
        assert_eq!(catalogue().cost("us.acme.strict-v1:0", &usage), Some(1.5));
        assert_eq!(catalogue().cost("acme.unknown", &usage), None);
        assert!(catalogue().check_price("us.acme.strict-v1:0").is_ok());
        let failure = catalogue().check_price("acme.unknown").unwrap_err();
        assert_eq!(failure.code, Code::BudgetExceeded);
        assert!(
            failure.detail.starts_with("no price is known for acme.unknown, "),
            "{failure}"
        );
    }

    #[test]
    fn a_broken_override_names_file_and_line() {
        let failure =
            Catalogue::with_overrides(Some(("mine.toml", "\n\n[[family]]\nname = 3\n"))).unwrap_err();
        assert!(failure.detail.starts_with("mine.toml, line 4"), "{failure}");
    }
}
