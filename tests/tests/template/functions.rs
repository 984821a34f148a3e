//! Each function has what its program needs.

use std::collections::{BTreeMap, BTreeSet};

use bedrock_diy_core::webhook::{ALL_EVENTS, event_types};

use crate::{
    root, strings_of_programs,
    template::{Template, items, text},
};

/// What a library reads for them.
const READ_BY_LIBRARIES: [&str; 2] = ["RUST_LOG", "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH"];

#[test]
fn every_function_is_a_program_of_the_workspace_and_runs_as_told() {
    let given = [("Architecture", "x86_64"), ("FunctionMemory", "1024")];
    let template = Template::with(&given);
    let mut programs = BTreeSet::new();
    for (name, function) in template.all("AWS::Serverless::Function") {
        let metadata = &template.resource(name)["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{name}");
        let binary = text(&metadata["BuildProperties"]["Binary"]);
        assert_eq!(function["Runtime"], "provided.al2023", "{name}");
        assert_eq!(function["Handler"], "bootstrap", "{name}");
        assert_eq!(function["Architectures"][0], "x86_64", "{name}");
        assert_eq!(function["MemorySize"], "1024", "{name}");
        assert_eq!(function["Tracing"], "Active", "{name}");
        programs.insert(binary);
    }
    let mut packages = BTreeSet::new();
    for folder in std::fs::read_dir(root().join("functions")).unwrap() {
        let manifest = folder.unwrap().path().join("Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        let package = manifest["package"]["name"].as_str().unwrap();
        // `sam build` names the program, and no features.
        let names = |list: &toml::Value| -> BTreeSet<String> {
            let names = list.as_array().unwrap().iter();
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let program = &manifest["bin"][0];
        assert_eq!(program["name"].as_str(), Some(package));
        let default = names(&manifest["features"]["default"]);
        assert!(
            names(&program["required-features"]).is_subset(&default),
            "{package}"
        );
        packages.insert(package.to_owned());
    }
    assert_eq!(programs, packages);
}

#[test]
fn every_function_logs_where_somebody_clears_up() {
    let template = Template::with(&[("LogRetentionDays", "14")]);
    for (name, function) in template.all("AWS::Serverless::Function") {
        let group = text(&function["LoggingConfig"]["LogGroup"]);
        let group = group.trim_start_matches("${").trim_end_matches('}');
        assert_eq!(group, format!("{}LogGroup", name.trim_end_matches("Function")));
        let called = format!("/aws/lambda/{}", text(&function["FunctionName"]));
        assert_eq!(template.properties(group)["LogGroupName"], called);
        // Our lines are filtered by RUST_LOG, and by nothing else.
        assert_eq!(
            function["LoggingConfig"]["ApplicationLogLevel"], "TRACE",
            "{name}"
        );
    }
    for (name, group) in template.all("AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"], "14", "{name}");
    }
}

#[test]
fn libraries_never_log_what_they_send() {
    let template = Template::with(&[("LogLevel", "trace")]);
    for (name, function) in template.all("AWS::Serverless::Function") {
        let filter = &function["Environment"]["Variables"]["RUST_LOG"];
        assert_eq!(filter, "warn,bedrock_diy=trace", "{name}");
    }
}

#[test]
fn one_failed_message_fails_one_message() {
    let template = Template::with(&[("BulkConcurrency", "7"), ("LiveConcurrency", "9")]);
    let intake = template.properties("IntakeFunction");
    for (event, concurrency) in [("Bulk", "7"), ("Live", "9")] {
        let source = &intake["Events"][event]["Properties"];
        assert_eq!(
            source["FunctionResponseTypes"][0], "ReportBatchItemFailures",
            "{event}"
        );
        assert_eq!(source["BatchSize"], 10, "{event}");
        assert_eq!(
            source["ScalingConfig"]["MaximumConcurrency"], concurrency,
            "{event}"
        );
    }
}

#[test]
fn one_failed_event_or_delivery_fails_none_beside_it() {
    let template = Template::prod();
    for (function, event) in [("NotifyFunction", "Notify"), ("DeliverFunction", "Deliveries")] {
        let source = &template.properties(function)["Events"][event]["Properties"];
        assert_eq!(source["FunctionResponseTypes"][0], "ReportBatchItemFailures");
    }
}

#[test]
fn notify_hears_of_everything_that_a_webhook_can_tell() {
    let template = Template::prod();
    let rule = template.properties("NotifyRule");
    assert_eq!(rule["EventBusName"], "${EventBus}");
    assert_eq!(items(&rule["EventPattern"]["source"]), [bedrock_diy_aws::SOURCE]);
    let told: Vec<_> = event_types().filter(|name| *name != ALL_EVENTS).collect();
    assert_eq!(items(&rule["EventPattern"]["detail-type"]), told);
    let target = &rule["Targets"][0];
    assert_eq!(target["Arn"], "${NotifyQueue.Arn}");
    assert_eq!(target["DeadLetterConfig"]["Arn"], "${NotifyDeadLetterQueue.Arn}");
    for queue in ["NotifyQueue", "NotifyDeadLetterQueue"] {
        let statement = &template.properties(&format!("{queue}Policy"))["PolicyDocument"]["Statement"][0];
        assert_eq!(statement["Principal"]["Service"], "events.amazonaws.com");
        assert_eq!(
            statement["Condition"]["ArnEquals"]["aws:SourceArn"],
            "${NotifyRule.Arn}"
        );
    }
}

#[test]
fn no_deployment_lets_webhooks_lead_inward() {
    let template = Template::prod();
    for (name, function) in template.all("AWS::Serverless::Function") {
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        assert!(!variables.contains_key("WEBHOOKS_TO_THIS_MACHINE"), "{name}");
        // Nor has it an inside.
        assert_eq!(function.get("VpcConfig"), None, "{name}");
    }
}

#[test]
fn concurrency_is_reserved_only_where_it_is_asked_for() {
    let reserved = |template: &Template| {
        template
            .properties("StageFunction")
            .get("ReservedConcurrentExecutions")
            .map(text)
    };
    assert_eq!(reserved(&Template::prod()), None);
    assert_eq!(
        reserved(&Template::with(&[("StageConcurrency", "50")])),
        Some("50".to_owned())
    );
}

#[test]
fn every_variable_is_read_and_every_variable_that_is_read_is_set() {
    let template = Template::prod();
    let mut set: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, function) in template.all("AWS::Serverless::Function") {
        for variable in function["Environment"]["Variables"].as_object().unwrap().keys() {
            set.entry(variable.clone()).or_default().insert(name);
        }
    }
    let mut read = strings_of_programs();
    read.extend(READ_BY_LIBRARIES.map(str::to_owned));
    let unread: Vec<_> = set.keys().filter(|variable| !read.contains(*variable)).collect();
    assert!(unread.is_empty(), "nobody reads {unread:?}");
    // What a program reads of the same kinds, it gets. Those that begin with AWS are Lambda's.
    let kinds = ["_TABLE", "_BUCKET", "_QUEUE_URL", "_ARN"];
    let unset: Vec<_> = read
        .iter()
        .filter(|name| !name.starts_with("AWS_") && kinds.iter().any(|kind| name.ends_with(kind)))
        .filter(|name| !set.contains_key(*name))
        .collect();
    assert!(unset.is_empty(), "nobody sets {unset:?}");
}
