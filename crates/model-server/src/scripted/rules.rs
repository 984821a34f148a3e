//! Scripts as data: which request gets which answer or fault.

use serde::{Deserialize, Serialize};

use crate::scripted::replies::{Failure, Reply};
use crate::scripted::schema::JsonSchemas;
use crate::wire::errors::ErrorKind;

/// What a scripted model does. The first rule that fits a request answers it.
///
/// As JSON, for the program and its control endpoint:
/// ```json
/// {
///   "models": ["anthropic.*"],
///   "quotas": [{ "model": "*", "requests_per_minute": 60, "tokens_per_minute": 100000, "output_burndown": 5 }],
///   "rules": [
///     { "when": { "user_contains": "urgent" }, "times": 2, "then": { "error": { "kind": "throttling" } } },
///     { "then": { "reply": { "content": { "template": "You said: ${user:80}" }, "chunks": 4 } } }
///   ]
/// }
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Patterns of the model ids that are served; `*` stands for any text. Others are refused. Default: all.
    pub models: Vec<String>,
    /// The JSON Schemas that requests may ask for. Default: those that Bedrock takes.
    pub json_schemas: JsonSchemas,
    /// Limits a minute, as Bedrock has them. Default: none.
    pub quotas: Vec<Quota>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// The answer where no rule fits. Default: a sentence that says so.
    pub otherwise: Reply,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            models: vec!["*".to_owned()],
            json_schemas: JsonSchemas::default(),
            quotas: Vec::new(),
            rules: Vec::new(),
            otherwise: Reply::text("This is a scripted answer."),
        }
    }
}

impl Script {
    /// Adds a rule behind those that are there.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds a quota.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Takes these JSON Schemas.
    #[must_use]
    pub fn json_schemas(mut self, taken: JsonSchemas) -> Self {
        self.json_schemas = taken;
        self
    }

    /// Serves only these model ids.
    #[must_use]
    pub fn models<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.models = patterns.into_iter().map(str::to_owned).collect();
        self
    }
}

/// A rule: when it fits, and what happens then.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What a request must be like. Default: anything.
    #[serde(default)]
    pub when: When,
    /// How often the rule may be used; after that, later rules have their turn. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub then: Then,
}

impl Rule {
    /// A rule with this outcome, for every request.
    #[must_use]
    pub fn new(then: Then) -> Self {
        Self {
            when: When::default(),
            times: None,
            then,
        }
    }

    /// Answers with this reply.
    #[must_use]
    pub fn reply(reply: Reply) -> Self {
        Self::new(Then::Reply(reply))
    }

    /// Answers with this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::reply(Reply::text(text))
    }

    /// Fails with this exception and its usual message.
    #[must_use]
    pub fn error(kind: ErrorKind) -> Self {
        Self::new(Then::Error(Failure { kind, message: None }))
    }

    /// Never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Then::Hang)
    }

    /// Closes the connection without a response.
    #[must_use]
    pub fn disconnect() -> Self {
        Self::new(Then::Disconnect)
    }

    /// Uses the rule so often at most.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// For model ids that fit this pattern; `*` stands for any text.
    #[must_use]
    pub fn model(mut self, pattern: impl Into<String>) -> Self {
        self.when.model = Some(pattern.into());
        self
    }

    /// For requests whose system blocks contain this text.
    #[must_use]
    pub fn system_contains(mut self, text: impl Into<String>) -> Self {
        self.when.system_contains = Some(text.into());
        self
    }

    /// For requests whose last user message contains this text.
    #[must_use]
    pub fn user_contains(mut self, text: impl Into<String>) -> Self {
        self.when.user_contains = Some(text.into());
        self
    }

    /// For the `n`th request, counted from 1, that the rule's other conditions fit.
    #[must_use]
    pub fn call(mut self, n: u64) -> Self {
        self.when.call = Some(n);
        self
    }

    /// For every `n`th request that the rule's other conditions fit.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.when.every = Some(n);
        self
    }

    /// For the first `n` calls with the same content.
    #[must_use]
    pub fn first_of_content(mut self, n: u64) -> Self {
        self.when.first_of_content = Some(n);
        self
    }

    /// For the `n`th call with the same content, counted from 1.
    #[must_use]
    pub fn repeat(mut self, n: u64) -> Self {
        self.when.repeat = Some(n);
        self
    }
}

/// Conditions; all that are set must hold.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// See [`Rule::model`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// See [`Rule::system_contains`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_contains: Option<String>,
    /// See [`Rule::user_contains`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_contains: Option<String>,
    /// See [`Rule::first_of_content`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_of_content: Option<u64>,
    /// See [`Rule::repeat`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// See [`Rule::call`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// See [`Rule::every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

/// What a rule does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It answers, perhaps with a fault in the stream.
    Reply(Reply),
    /// It fails with one of Bedrock's exceptions, before any answer.
    Error(Failure),
    /// It never answers, and keeps the connection open.
    Hang,
    /// It closes the connection without a response.
    Disconnect,
}

/// Limits of the model ids that fit a pattern; each id has its own account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// A pattern of model ids; the first quota that fits an id holds for it. Default: all.
    #[serde(default = "all")]
    pub model: String,
    /// Calls in any 60 seconds. Default: no limit.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
    /// Tokens in any 60 seconds. Default: no limit.
    #[serde(default)]
    pub tokens_per_minute: Option<u64>,
    /// How much of the quota a generated token takes when the call ends. Bedrock takes 5 for Anthropic's
    /// models since Claude 3.7, and 1 for others. Default: 1.
    /// Source: Amazon Bedrock user guide, "How tokens are counted in Amazon Bedrock".
    #[serde(default = "one")]
    pub output_burndown: u64,
    /// Tokens that are reserved for the answer of a request without `maxTokens`. Default: 4096.
    #[serde(default = "default_max_tokens")]
    pub default_max_tokens: u64,
}

impl Quota {
    /// For model ids that fit this pattern.
    pub fn of(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            requests_per_minute: None,
            tokens_per_minute: None,
            output_burndown: one(),
            default_max_tokens: default_max_tokens(),
        }
    }

    /// So many calls a minute.
    #[must_use]
    pub fn requests(mut self, per_minute: u64) -> Self {
        self.requests_per_minute = Some(per_minute);
        self
    }

    /// So many tokens a minute, a generated one counting `output_burndown` times.
    #[must_use]
    pub fn tokens(mut self, per_minute: u64, output_burndown: u64) -> Self {
        self.tokens_per_minute = Some(per_minute);
        self.output_burndown = output_burndown;
        self
    }
}

fn all() -> String {
    "*".to_owned()
}

fn one() -> u64 {
    1
}

fn default_max_tokens() -> u64 {
    4096
}
