//! What a deployment calls its resources: read from the environment once, as `template.yaml` sets it.

use bedrock_diy_core::{Code, Failure, article::Bucket, error::Result};

/// The `DynamoDB` tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// `PROJECTS_TABLE`: projects, by `projectId`.
    pub projects: String,
    /// `PROMPTS_TABLE`: cards as they stand today, by `projectId` and `promptId`.
    pub prompts: String,
    /// `PROMPT_REVISIONS_TABLE`: what was ever saved, by `card` and `revision`; pipeline revisions, too.
    pub prompt_revisions: String,
    /// `CHAT_HISTORY_TABLE`: exchanges, by `sessionId` and `timestamp`.
    pub chat_history: String,
    /// `JOBS_TABLE`: jobs with their stages and events, by `jobId` and `item`.
    pub jobs: String,
    /// `STAGE_MEMO_TABLE`: answers that were paid for, by `memoKey`.
    pub stage_memo: String,
    /// `MODEL_QUOTA_TABLE`: the line before each model, by `model` and `holder`.
    pub model_quota: String,
}

/// The S3 buckets, all of them versioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// `PROMPTS_BUCKET`: what cards say, a revision a version.
    pub prompts: String,
    /// `ARTICLES_BUCKET`: articles as they came, and their text.
    pub articles: String,
    /// `RESULTS_BUCKET`: outputs and result documents.
    pub results: String,
}

/// Everything that a deployment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The buckets.
    pub buckets: Buckets,
    /// `EVENT_BUS`: the `EventBridge` bus.
    pub event_bus: String,
    /// `RETENTION_DAYS`: how long jobs, memo entries and history are kept.
    pub retention_days: u32,
}

/// What intake needs besides: the queues and the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// `BULK_QUEUE_URL`.
    pub bulk_queue: String,
    /// `LIVE_QUEUE_URL`.
    pub live_queue: String,
    /// `STATE_MACHINE_ARN`.
    pub state_machine: String,
    /// `DEFAULT_MODEL`: for projects that name none.
    pub default_model: String,
    /// `MAX_RECEIVES`: how often the queues hand a message out before it goes to the dead-letter queue.
    pub max_receives: u32,
}

impl Config {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&[
            "PROJECTS_TABLE",
            "PROMPTS_TABLE",
            "PROMPT_REVISIONS_TABLE",
            "CHAT_HISTORY_TABLE",
            "JOBS_TABLE",
            "STAGE_MEMO_TABLE",
            "MODEL_QUOTA_TABLE",
            "PROMPTS_BUCKET",
            "ARTICLES_BUCKET",
            "RESULTS_BUCKET",
            "EVENT_BUS",
            "RETENTION_DAYS",
        ])?;
        Ok(Self {
            tables: Tables {
                projects: said.text("PROJECTS_TABLE"),
                prompts: said.text("PROMPTS_TABLE"),
                prompt_revisions: said.text("PROMPT_REVISIONS_TABLE"),
                chat_history: said.text("CHAT_HISTORY_TABLE"),
                jobs: said.text("JOBS_TABLE"),
                stage_memo: said.text("STAGE_MEMO_TABLE"),
                model_quota: said.text("MODEL_QUOTA_TABLE"),
            },
            buckets: Buckets {
                prompts: said.text("PROMPTS_BUCKET"),
                articles: said.text("ARTICLES_BUCKET"),
                results: said.text("RESULTS_BUCKET"),
            },
            event_bus: said.text("EVENT_BUS"),
            retention_days: said.number("RETENTION_DAYS")?,
        })
    }
}

impl IntakeConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&[
            "BULK_QUEUE_URL",
            "LIVE_QUEUE_URL",
            "STATE_MACHINE_ARN",
            "DEFAULT_MODEL",
            "MAX_RECEIVES",
        ])?;
        Ok(Self {
            bulk_queue: said.text("BULK_QUEUE_URL"),
            live_queue: said.text("LIVE_QUEUE_URL"),
            state_machine: said.text("STATE_MACHINE_ARN"),
            default_model: said.text("DEFAULT_MODEL"),
            max_receives: said.number("MAX_RECEIVES")?,
        })
    }
}

impl Buckets {
    /// What a bucket of the domain is called here.
    pub(crate) fn name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Articles => &self.articles,
            Bucket::Results => &self.results,
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// An environment.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// Fails with everything that is missing, not with the first.
    fn check(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<_> = names
            .iter()
            .filter(|name| self.text(name).is_empty())
            .copied()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Code::InternalError,
            format!(
                "the environment does not say {}: `template.yaml` sets them for each function",
                missing.join(", ")
            ),
        ))
    }

    fn text(&self, name: &str) -> String {
        self.0(name).unwrap_or_default().trim().to_owned()
    }

    fn number(&self, name: &str) -> Result<u32> {
        let said = self.text(name);
        said.parse().map_err(|_| {
            Failure::new(
                Code::InternalError,
                format!("the environment says {name}={said}, which is no number"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let said = |name: &str| (name != "JOBS_TABLE" && name != "EVENT_BUS").then(|| "7".to_owned());
        let failure = Config::read(&Variables(&said)).unwrap_err();
        assert!(failure.detail.contains("JOBS_TABLE, EVENT_BUS:"), "{failure}");
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let said = |_: &str| Some("many".to_owned());
        let failure = IntakeConfig::read(&Variables(&said)).unwrap_err();
        assert!(failure.detail.contains("MAX_RECEIVES=many"), "{failure}");
    }
}
