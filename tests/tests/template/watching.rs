//! Alarms and the dashboard.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    strings_of_programs,
    template::{Template, text},
};

/// By what a metric is written besides the environment (`crates/lambda/src/metrics.rs`).
const BY: [(&str, &[&str]); 2] = [
    (
        "Model",
        &["InputTokens", "ModelLatency", "ModelThrottles", "OutputTokens"],
    ),
    ("Code", &["Errors"]),
];

#[test]
fn every_dead_letter_rings_a_bell() {
    let template = Template::prod();
    for (name, _) in template.all("AWS::SQS::Queue") {
        if !name.ends_with("DeadLetterQueue") {
            continue;
        }
        let watched = template
            .all("AWS::CloudWatch::Alarm")
            .into_iter()
            .any(|(_, alarm)| {
                alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
                    && alarm["Dimensions"][0]["Value"] == format!("${{{name}.QueueName}}")
                    && alarm["Threshold"] == 0
                    && alarm["ComparisonOperator"] == "GreaterThanThreshold"
            });
        assert!(watched, "nobody hears of messages in {name}");
    }
}

#[test]
fn the_oldest_message_failed_executions_and_throttles_ring_bells_too() {
    let template = Template::prod();
    let mut watched = BTreeSet::new();
    for (_, alarm) in template.all("AWS::CloudWatch::Alarm") {
        let mut metrics = vec![alarm];
        for metric in alarm["Metrics"].as_array().into_iter().flatten() {
            metrics.extend(metric.pointer("/MetricStat/Metric"));
        }
        for metric in metrics {
            if let Some(name) = metric["MetricName"].as_str() {
                let of = metric["Dimensions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|d| text(&d["Value"]));
                watched.insert(format!("{name} {}", of.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    for metric in [
        "ApproximateAgeOfOldestMessage ${BulkQueue.QueueName}",
        "ApproximateAgeOfOldestMessage ${LiveQueue.QueueName}",
        "ExecutionsAborted ${ArticleStateMachine}",
        "ExecutionsFailed ${ArticleStateMachine}",
        "ExecutionsTimedOut ${ArticleStateMachine}",
        "JobsFailed prod",
        "JobsSucceeded prod",
        "ModelThrottles prod",
        "Throttles ${DeliverFunction}",
        "Throttles ${FinishFunction}",
        "Throttles ${IntakeFunction}",
        "Throttles ${NotifyFunction}",
        "Throttles ${PlanFunction}",
        "Throttles ${StageFunction}",
    ] {
        assert!(watched.contains(metric), "nobody watches {metric}");
    }
}

#[test]
fn every_alarm_reaches_the_topic_and_says_what_it_means() {
    let template = Template::prod();
    for (name, alarm) in template.all("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["AlarmActions"][0], "${AlarmTopic}", "{name}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
        assert!(alarm["AlarmDescription"].as_str().unwrap().len() > 40, "{name}");
    }
    // CloudWatch can't publish with the key that AWS keeps for SNS.
    assert_eq!(template.properties("AlarmTopic")["KmsMasterKeyId"], "${AlarmKey}");
}

#[test]
fn an_address_is_told_where_there_is_one() {
    let subscribed = |template: &Template| template.resources().contains_key("AlarmSubscription");
    assert!(!subscribed(&Template::prod()));
    let template = Template::with(&[("AlarmEmail", "newsroom@example.com")]);
    assert!(subscribed(&template));
    assert_eq!(
        template.properties("AlarmSubscription")["Endpoint"],
        "newsroom@example.com"
    );
}

#[test]
fn the_dashboard_shows_what_matters_and_names_only_metrics_that_are_written() {
    let template = Template::prod();
    let body: Value =
        serde_json::from_str(&text(&template.properties("Dashboard")["DashboardBody"])).unwrap();
    let mut shown = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            if metric[0] == "BedrockDiy" {
                shown.insert(text(&metric[1]));
            } else if let Some(expression) = metric[0]["expression"].as_str()
                && let Some((_, rest)) = expression.split_once("MetricName=\"")
            {
                assert!(expression.contains("Environment=\"prod\""), "{expression}");
                let metric = rest.split('"').next().unwrap();
                let by = BY
                    .iter()
                    .find(|(_, metrics)| metrics.contains(&metric))
                    .unwrap()
                    .0;
                let schema = ["Environment", by].map(|name| expression.contains(&format!(",{name}")));
                assert_eq!(schema, [true, true], "{expression}");
                shown.insert(metric.to_owned());
            }
        }
    }
    let written = strings_of_programs();
    for metric in &shown {
        assert!(written.contains(metric), "nobody writes {metric}");
    }
    for metric in [
        "ModelLatency",
        "Errors",
        "JobsFailed",
        "InputTokens",
        "OutputTokens",
        "ModelThrottles",
        "CostUsd",
    ] {
        assert!(shown.contains(metric), "{metric} is not shown");
    }
}

#[test]
fn alarms_name_only_metrics_that_are_written() {
    let template = Template::prod();
    let written = strings_of_programs();
    for (name, alarm) in template.all("AWS::CloudWatch::Alarm") {
        let metrics = alarm["Metrics"].as_array().into_iter().flatten();
        let metrics = metrics.filter_map(|metric| metric.pointer("/MetricStat/Metric"));
        for metric in metrics.chain([alarm]) {
            if metric["Namespace"] == "BedrockDiy" {
                let metric = text(&metric["MetricName"]);
                assert!(written.contains(&metric), "{name}: nobody writes {metric}");
            }
        }
    }
}
