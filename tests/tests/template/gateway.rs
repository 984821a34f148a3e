//! What API Gateway lets through, and what it writes down.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    file,
    template::{Template, text},
};

/// The one method under `/api` whose callers the function alone asks who they are.
const BY_PARAMETER: (&str, &str) = ("GET", "/api/jobs/{jobId}/events");

/// The function's methods by their resources: whether the gateway asks for a token.
fn methods(template: &Template) -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut methods: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    let events = template.properties("ApiFunction")["Events"].as_object().unwrap();
    for event in events.values() {
        let event = &event["Properties"];
        let asks = event["Auth"]["Authorizer"] != "NONE";
        let resource = methods.entry(text(&event["Path"])).or_default();
        let known = resource.insert(text(&event["Method"]), asks);
        assert_eq!(known, None, "{event}");
    }
    methods
}

/// Where a path leads: segment by segment to what names it, else to a parameter, else to what takes all the rest. What
/// was passed by is not come back to.
fn resource(resources: &[String], path: &str) -> String {
    let mut at = String::new();
    for segment in path.trim_start_matches('/').split('/') {
        let below = |segment: &str| format!("{at}/{segment}");
        let is_there = |place: &String| {
            resources
                .iter()
                .any(|resource| resource == place || resource.starts_with(&format!("{place}/")))
        };
        let parameters = resources.iter().filter_map(|resource| {
            let rest = resource.strip_prefix(&format!("{at}/"))?;
            let first = rest.split('/').next()?;
            (first.starts_with('{') && !first.ends_with("+}")).then(|| below(first))
        });
        let mut choices = std::iter::once(below(segment)).chain(parameters);
        match choices.find(is_there) {
            Some(place) => at = place,
            None => return below("{proxy+}"),
        }
    }
    at
}

#[test]
fn every_route_is_let_through_and_a_token_is_asked_for_where_the_document_says() {
    let methods = methods(&Template::prod());
    let resources: Vec<_> = methods.keys().cloned().collect();
    let document: Value = serde_json::from_str(&file("docs/openapi.json")).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let place = resource(&resources, &path.replace(['{', '}'], ""));
        let at_place = methods
            .get(&place)
            .unwrap_or_else(|| panic!("{path} leads to {place}, which has no method"));
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
        {
            if method == "PARAMETERS" {
                continue;
            }
            let asks = at_place.get(&method);
            let expected = path.starts_with("/api/") && (method.as_str(), path.as_str()) != BY_PARAMETER;
            assert_eq!(asks, Some(&expected), "{method} {path}, which leads to {place}");
            asked += 1;
        }
        if path.starts_with("/api/") {
            assert_eq!(
                at_place.get("OPTIONS"),
                Some(&false),
                "browsers ask before {path}, at {place}"
            );
        }
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn nothing_that_the_gateway_writes_has_addresses_in_it() {
    let template = Template::prod();
    let api = template.properties("Api");
    assert_eq!(api["TracingEnabled"], false, "a trace has the whole address");
    let format = text(&api["AccessLogSetting"]["Format"]);
    for variable in format.split("$context.").skip(1) {
        for address in ["path\"", "querystring", "protocol"] {
            assert!(!variable.starts_with(address), "{variable}");
        }
    }
    assert!(format.contains("$context.resourcePath"), "{format}");
    for setting in api["MethodSettings"].as_array().unwrap() {
        assert_eq!(
            setting["LoggingLevel"], "OFF",
            "execution logs have requests in them"
        );
        assert_ne!(setting["DataTraceEnabled"], true);
    }
}
