//! Metrics in CloudWatch's embedded format: lines on standard output that become metrics without a call
//! (Amazon CloudWatch User Guide, "Specification: Embedded metric format", 2026-11).
//!
//! | metric | unit | by | counted where |
//! | --- | --- | --- | --- |
//! | `JobsAccepted`, `JobsSucceeded`, `JobsFailed`, `JobsCancelled` | Count | environment | their event is published |
//! | `StagesCompleted`, `MemoHits` | Count | environment | a stage's event is published |
//! | `CostUsd` | None | environment | a stage was paid |
//! | `ModelLatency` | Milliseconds | environment; model | a call was answered |
//! | `InputTokens`, `OutputTokens` | Count | environment; model | a call was answered |
//! | `ModelThrottles` | Count | environment; model | a call was throttled |
//! | `WebhooksDisabled` | Count | environment | a receiver was gone, or failed too often |
//! | `Errors` | Count | environment; code | an invocation failed |
//!
//! An event that is published again after a crash is counted again: metrics are for watching, the tables
//! are what is true.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code,
    error::Result,
    event::{Event, Fact, LiveText},
    model::{ModelAnswer, ModelRequest},
    ports::{Bus, DeltaSink, Model},
    webhook::WebhookDisabled,
};
use serde_json::{Map, Value, json};

/// The metrics' namespace.
const NAMESPACE: &str = "BedrockDiy";

/// Writes metrics of one environment.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    environment: String,
}

/// A metric's value.
struct Point {
    name: &'static str,
    unit: &'static str,
    value: f64,
}

fn count(name: &'static str, value: impl Into<f64>) -> Point {
    Point {
        name,
        unit: "Count",
        value: value.into(),
    }
}

impl Metrics {
    pub(crate) fn from_environment() -> Self {
        let environment = std::env::var("ENVIRONMENT").unwrap_or_else(|_| "unknown".to_owned());
        Self { environment }
    }

    /// An invocation failed.
    pub(crate) fn failed(&self, code: Code) {
        self.write(Some(("Code", code.as_str())), &[count("Errors", 1)]);
    }

    fn write(&self, by: Option<(&str, &str)>, points: &[Point]) {
        let line = self.line(SystemTime::now(), by, points);
        // Where standard output can't be written, nobody looks at metrics.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    /// Points for the environment, and for the environment and one thing more.
    fn line(&self, now: SystemTime, by: Option<(&str, &str)>, points: &[Point]) -> Value {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut dimensions = vec![vec!["Environment"]];
        let mut line = Map::new();
        if let Some((name, value)) = by {
            dimensions.push(vec!["Environment", name]);
            line.insert(name.to_owned(), value.into());
        }
        let metrics: Vec<_> = points
            .iter()
            .map(|point| json!({"Name": point.name, "Unit": point.unit}))
            .collect();
        line.insert("Environment".to_owned(), self.environment.as_str().into());
        line.extend(
            points
                .iter()
                .map(|point| (point.name.to_owned(), point.value.into())),
        );
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": u64::try_from(millis).unwrap_or(u64::MAX),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": dimensions,
                    "Metrics": metrics,
                }],
            }),
        );
        Value::Object(line)
    }
}

/// What an event counts for.
fn points(fact: &Fact) -> Vec<Point> {
    let cost = |cost: &Option<f64>| {
        cost.map(|cost| Point {
            name: "CostUsd",
            unit: "None",
            value: cost,
        })
    };
    match fact {
        Fact::JobAccepted { .. } => vec![count("JobsAccepted", 1)],
        Fact::JobSucceeded { .. } => vec![count("JobsSucceeded", 1)],
        Fact::JobFailed { .. } => vec![count("JobsFailed", 1)],
        Fact::JobCancelled { .. } => vec![count("JobsCancelled", 1)],
        Fact::StageCompleted {
            memo_hit, cost: paid, ..
        } => {
            let own = [
                count("StagesCompleted", 1),
                count("MemoHits", u8::from(*memo_hit)),
            ];
            own.into_iter().chain(cost(paid)).collect()
        }
        Fact::StageFailed { cost: paid, .. } => cost(paid).into_iter().collect(),
        Fact::JobStarted { .. }
        | Fact::StageStarted { .. }
        | Fact::StageDelta(_)
        | Fact::StageRetrying { .. }
        | Fact::JobWaiting { .. } => Vec::new(),
    }
}

/// A bus that counts what it publishes.
pub(crate) struct MeteredBus<B> {
    pub(crate) bus: B,
    pub(crate) metrics: Metrics,
}

#[async_trait]
impl<B: Bus> Bus for MeteredBus<B> {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        self.bus.publish(events).await?;
        for event in events {
            let points = points(&event.fact);
            if !points.is_empty() {
                self.metrics.write(None, &points);
            }
        }
        Ok(())
    }

    async fn announce(&self, disabled: &WebhookDisabled) -> Result<()> {
        self.bus.announce(disabled).await?;
        self.metrics.write(None, &[count("WebhooksDisabled", 1)]);
        Ok(())
    }

    fn delta(&self, delta: LiveText) {
        self.bus.delta(delta);
    }

    fn has_onlookers(&self) -> bool {
        self.bus.has_onlookers()
    }
}

/// A model whose calls are timed and counted.
pub(crate) struct MeteredModel {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) metrics: Metrics,
}

#[async_trait]
impl Model for MeteredModel {
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        on_delta: DeltaSink<'_>,
    ) -> Result<ModelAnswer> {
        let begun = Instant::now();
        let answer = self.model.converse(request, deadline, on_delta).await;
        let points = match &answer {
            Ok(answer) => vec![
                Point {
                    name: "ModelLatency",
                    unit: "Milliseconds",
                    value: begun.elapsed().as_secs_f64() * 1_000.0,
                },
                count("InputTokens", answer.usage.input_tokens as f64),
                count("OutputTokens", answer.usage.output_tokens as f64),
            ],
            Err(failure) if failure.code == Code::ModelThrottled => vec![count("ModelThrottles", 1)],
            Err(_) => Vec::new(),
        };
        if !points.is_empty() {
            self.metrics.write(Some(("Model", &request.model)), &points);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads_metrics_from() {
        let metrics = Metrics {
            environment: "dev".to_owned(),
        };
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let line = metrics.line(at, Some(("Model", "m")), &[count("InputTokens", 12)]);
        assert_eq!(
            line,
            json!({
                "Model": "m",
                "Environment": "dev",
                "InputTokens": 12.0,
                "_aws": {
                    "Timestamp": 1_700_000_000_123_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "BedrockDiy",
                        "Dimensions": [["Environment"], ["Environment", "Model"]],
                        "Metrics": [{"Name": "InputTokens", "Unit": "Count"}],
                    }],
                },
            })
        );
    }
}
