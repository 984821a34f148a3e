//! The state machine and the template name the same things.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::{Template, items, text};

/// The state machine as it stands in the file.
pub(crate) fn definition() -> Value {
    serde_json::from_str(&crate::file("statemachine/article.asl.json")).unwrap()
}

/// Each task with the function that it calls: the state's name and the resource's.
pub(crate) fn functions_of_states(template: &Template) -> Vec<(String, String)> {
    let definition = definition();
    let mut found = Vec::new();
    for (name, state) in definition["States"].as_object().unwrap() {
        let Some(resource) = state["Resource"].as_str() else {
            continue;
        };
        let placeholder = resource.trim_start_matches("${").trim_end_matches('}');
        let arn = text(&substitutions(template)[placeholder]);
        let function = arn.trim_start_matches("${").trim_end_matches(".Arn}").to_owned();
        found.push((name.clone(), function));
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn what_the_state_machine_leaves_open_the_template_fills_in_and_nothing_else() {
    let file = crate::file("statemachine/article.asl.json");
    let asked: BTreeSet<&str> = file
        .split("${")
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap())
        .collect();
    let template = Template::prod();
    let given: BTreeSet<&str> = substitutions(&template)
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(asked, given);
    assert!(template.properties("ArticleStateMachine")["DefinitionUri"] == "statemachine/article.asl.json");
}

#[test]
fn the_state_machine_may_call_the_functions_that_it_names_and_no_others() {
    let template = Template::prod();
    let called: BTreeSet<String> = functions_of_states(&template)
        .into_iter()
        .map(|(_, function)| format!("${{{function}.Arn}}"))
        .collect();
    let role = template.properties("ArticleStateMachineRole");
    let allowed: BTreeSet<String> = role["Policies"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap())
        .filter(|statement| statement["Action"] == "lambda:InvokeFunction")
        .flat_map(|statement| items(&statement["Resource"]))
        .collect();
    assert_eq!(called, allowed);
}

#[test]
fn executions_are_traced_and_their_errors_logged_without_data() {
    let template = Template::prod();
    let machine = template.properties("ArticleStateMachine");
    assert_eq!(
        machine["Type"], "STANDARD",
        "an article may take longer than the five minutes of EXPRESS"
    );
    assert_eq!(machine["Tracing"]["Enabled"], true);
    assert_eq!(machine["Logging"]["Level"], "ERROR");
    assert_eq!(machine["Logging"]["IncludeExecutionData"], false);
}

#[test]
fn whatever_ends_an_execution_badly_closes_its_job() {
    let template = Template::prod();
    let rule = template.properties("ExecutionEndedRule");
    assert_eq!(
        rule["EventPattern"],
        json!({
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "stateMachineArn": ["${ArticleStateMachine}"],
                "status": ["FAILED", "TIMED_OUT", "ABORTED"],
            },
        })
    );
    // AWS services put their events on the default bus.
    assert_eq!(rule.get("EventBusName"), None);
    let target = &rule["Targets"][0];
    assert_eq!(target["Arn"], "${FinishFunction.Arn}");
    assert!(target["RetryPolicy"]["MaximumRetryAttempts"].as_u64().unwrap() > 0);
    assert_eq!(target["DeadLetterConfig"]["Arn"], "${ClosingDeadLetterQueue.Arn}");
    // It arrives, or the function fails on it: either way it is not lost.
    let failed =
        &template.properties("FinishFunction")["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
    assert_eq!(failed["Destination"], "${ClosingDeadLetterQueue.Arn}");
    let permission = template.properties("ExecutionEndedPermission");
    assert_eq!(permission["FunctionName"], "${FinishFunction}");
    assert_eq!(permission["SourceArn"], "${ExecutionEndedRule.Arn}");
}

fn substitutions(template: &Template) -> &Value {
    &template.properties("ArticleStateMachine")["DefinitionSubstitutions"]
}
