//! Who may do what, and that nobody may do more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::template::{Template, items, text};

/// Where a resource is `*`, and why nothing narrower is possible.
const ANY_RESOURCE: [(&str, &str); 3] = [
    ("TracingPolicy", "X-Ray's actions know no resources"),
    (
        "ArticleStateMachineRole",
        "vended logs' actions know no resources",
    ),
    ("AlarmKey", "in a key's own policy, `*` is the key"),
];

/// Where a resource is everything below a name, and why.
const ANY_BELOW: [(&str, &str, &str); 8] = [
    ("ApiRole", "/prod/hooks/*", "each hook has secrets of its own"),
    ("ApiRole", "/prod/webhooks/*", "and so has each webhook"),
    ("DeliverRole", "/prod/webhooks/*", "it signs with them"),
    (
        "ApiRole",
        "${ArticleStateMachine.Name}:*",
        "each job has an execution of its own",
    ),
    (
        "SocketRole",
        "${ArticleStateMachine.Name}:*",
        "jobs are cancelled over connections, too",
    ),
    ("SocketRole", "/@connections/*", "it replies over any of them"),
    ("StageRole", "/@connections/*", "it tells whoever follows its job"),
    ("NotifyRole", "/@connections/*", "it tells whoever follows"),
];

/// Where an action is a wildcard, and why.
const ANY_ACTION: [(&str, &str); 1] = [(
    "AlarmKey",
    "a key that the account can't administer could never be changed again",
)];

#[test]
fn no_action_is_a_wildcard() {
    let template = Template::prod();
    let mut used = BTreeSet::new();
    for (name, statement) in allowing(&template) {
        for action in items(&statement["Action"]) {
            if action.contains('*') {
                assert!(
                    ANY_ACTION.iter().any(|(of, _)| *of == name),
                    "{name} allows {action}"
                );
                used.insert(name);
            }
        }
        assert!(statement.get("NotAction").is_none(), "{name}");
    }
    assert_eq!(
        used.len(),
        ANY_ACTION.len(),
        "a justification is not needed any more"
    );
}

#[test]
fn no_resource_is_a_wildcard_but_for_objects_of_a_bucket_and_a_short_list() {
    let template = Template::prod();
    let (mut used, mut below_used) = (BTreeSet::new(), BTreeSet::new());
    for (name, statement) in allowing(&template) {
        assert!(statement.get("NotResource").is_none(), "{name}");
        for resource in items(&statement["Resource"]) {
            let objects = resource
                .strip_suffix("/*")
                .is_some_and(|bucket| bucket.contains("Bucket.Arn}") && !bucket.contains('*'));
            let below = ANY_BELOW
                .iter()
                .find(|(of, end, _)| *of == name && resource.ends_with(end));
            below_used.extend(below.map(|(of, end, _)| (*of, *end)));
            if resource.contains('*') && !objects && below.is_none() {
                assert_eq!(resource, "*", "{name}");
                assert!(
                    ANY_RESOURCE.iter().any(|(of, _)| *of == name),
                    "{name} allows it on everything"
                );
                used.insert(name);
            }
        }
    }
    assert_eq!(
        (used.len(), below_used.len()),
        (ANY_RESOURCE.len(), ANY_BELOW.len()),
        "a justification is not needed any more"
    );
}

#[test]
fn only_stages_and_trials_call_bedrock_and_only_models_and_guardrails_that_are_named() {
    let guardrail = "arn:aws:bedrock:us-east-1:123456789012:guardrail/a1b2c3";
    let template = Template::with(&[("GuardrailArns", guardrail)]);
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, statement) in allowing(&template) {
        for action in items(&statement["Action"]) {
            if action.starts_with("bedrock:") {
                // Stages, and the API, which tries cards.
                assert!(["StageRole", "ApiRole"].contains(&name), "{name}");
                allowed
                    .entry(action)
                    .or_default()
                    .extend(items(&statement["Resource"]));
            }
        }
    }
    let actions: Vec<&str> = allowed.keys().map(String::as_str).collect();
    assert_eq!(
        actions,
        [
            "bedrock:ApplyGuardrail",
            "bedrock:InvokeModel",
            "bedrock:InvokeModelWithResponseStream"
        ]
    );
    assert!(
        allowed.values().flatten().all(|resource| !resource.contains('*')),
        "{allowed:?}"
    );
    assert_eq!(
        allowed["bedrock:ApplyGuardrail"],
        BTreeSet::from([guardrail.to_owned()])
    );
    assert_eq!(
        allowed["bedrock:InvokeModel"],
        allowed["bedrock:InvokeModelWithResponseStream"]
    );
    let guardrails = "bedrock:ApplyGuardrail".to_owned();
    let without = Template::prod();
    assert!(
        allowing(&without)
            .iter()
            .all(|(_, statement)| !items(&statement["Action"]).contains(&guardrails))
    );
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let template = Template::prod();
    let mut roles = BTreeSet::new();
    for (name, function) in template.all("AWS::Serverless::Function") {
        let role = text(&function["Role"]);
        assert_eq!(
            role,
            format!("${{{}Role.Arn}}", name.trim_end_matches("Function"))
        );
        assert!(roles.insert(role), "{name} shares its role");
        assert!(
            function.get("Policies").is_none(),
            "{name}: SAM ignores Policies beside a Role"
        );
    }
}

#[test]
fn a_service_acts_only_for_this_account() {
    // Roles are taken on by the service for the resource that names them; policies of resources are open to
    // whoever the service acts for, unless they say for whom.
    let template = Template::prod();
    for (name, resource) in template.resources() {
        let kind = resource["Type"].as_str().unwrap();
        if kind.starts_with("AWS::IAM::") {
            continue;
        }
        for statement in statements(resource) {
            if statement["Effect"] == "Allow" && statement["Principal"].get("Service").is_some() {
                let account = &statement["Condition"]["StringEquals"]["aws:SourceAccount"];
                assert_eq!(account, crate::template::ACCOUNT, "{name}");
            }
        }
    }
}

#[test]
fn nothing_is_taken_over_an_open_line() {
    let template = Template::prod();
    let guarded = [
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
    ];
    for (kind, policy_kind, property) in guarded {
        for (name, _) in template.all(kind) {
            let refuses = template.all(policy_kind).into_iter().any(|(policy, properties)| {
                items(&properties[property]) == [format!("${{{name}}}")]
                    && statements(template.resource(policy)).iter().any(|statement| {
                        statement["Effect"] == "Deny"
                            && statement["Principal"] == "*"
                            && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
                    })
            });
            assert!(refuses, "{name} may be used without TLS");
        }
    }
}

/// The statements that allow something, with the resource that they are in.
fn allowing(template: &Template) -> Vec<(&str, &Value)> {
    let mut found = Vec::new();
    for (name, resource) in template.resources() {
        let allowing = statements(resource)
            .into_iter()
            .filter(|statement| statement["Effect"] == "Allow");
        // Who may take a role on is another question.
        let allowing = allowing.filter(|statement| statement["Action"] != "sts:AssumeRole");
        found.extend(allowing.map(|statement| (name.as_str(), statement)));
    }
    assert!(!found.is_empty());
    found
}

/// Every policy statement in a resource, wherever it is.
fn statements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(map) if map.contains_key("Effect") => vec![value],
        Value::Object(map) => map.values().flat_map(statements).collect(),
        Value::Array(list) => list.iter().flat_map(statements).collect(),
        _ => Vec::new(),
    }
}
