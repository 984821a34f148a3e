//! Parameters, and `samconfig.toml`.

use bedrock_diy_core::catalogue::Catalogue;
use serde_json::Value;

use crate::template::{ENVIRONMENTS, Template, items, text};

#[test]
fn every_parameter_says_what_it_is_and_what_it_may_be() {
    let template = Template::prod();
    for (name, parameter) in template.source["Parameters"].as_object().unwrap() {
        assert!(parameter["Description"].as_str().unwrap().len() > 20, "{name}");
        assert!(
            parameter.get("Default").is_some(),
            "{name}: a deployment should need no answer"
        );
        let bounded = ["AllowedValues", "AllowedPattern", "MinValue"];
        assert!(
            bounded.iter().any(|bound| parameter.get(bound).is_some()),
            "{name}"
        );
    }
}

#[test]
fn what_the_gateway_answers_by_itself_is_a_problem_document() {
    let template = Template::prod();
    let responses = &template.source["Resources"]["Api"]["Properties"]["GatewayResponses"];
    let responses = responses.as_object().unwrap();
    for kind in ["UNAUTHORIZED", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"] {
        assert!(responses.contains_key(kind), "{kind}");
    }
    for (kind, response) in responses {
        let headers = &response["ResponseParameters"]["Headers"];
        assert_eq!(headers["Content-Type"], "'application/problem+json'", "{kind}");
        let document = response["ResponseTemplates"]["application/json"]
            .as_str()
            .unwrap();
        // The gateway writes this one with its quotation marks.
        let document = document.replace("$context.error.messageString", "\"what it says\"");
        let document: Value = serde_json::from_str(&document).unwrap();
        for member in ["type", "title", "code", "detail", "instance", "requestId"] {
            assert!(document[member].is_string(), "{kind}: {member}");
        }
        assert_eq!(document["status"], response["StatusCode"], "{kind}");
    }
}

#[test]
fn every_parameter_is_in_a_group_and_used() {
    let template = Template::prod();
    let interface = &template.source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let grouped: Vec<String> = interface
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| items(&group["Parameters"]))
        .collect();
    let file = crate::file("template.yaml");
    for name in template.source["Parameters"].as_object().unwrap().keys() {
        assert!(grouped.contains(name), "{name} is in no group");
        let uses = [format!("!Ref {name}"), format!("${{{name}}}")];
        assert!(uses.iter().any(|used| file.contains(used)), "nobody uses {name}");
    }
    assert_eq!(
        grouped.len(),
        template.source["Parameters"].as_object().unwrap().len()
    );
}

#[test]
fn the_default_model_is_the_catalogues_and_may_be_invoked() {
    let template = Template::prod();
    let model = Catalogue::own().unwrap().default_model;
    assert_eq!(template.parameter("DefaultModel"), &Value::from(model.as_str()));
    let (area, id) = model.split_once('.').unwrap();
    assert_eq!(
        area, "us",
        "the default of ModelArns names the regions of another area"
    );
    for region in ["us-east-1", "us-east-2", "us-west-2"] {
        let arn = format!("arn:aws:bedrock:{region}::foundation-model/{id}");
        assert!(items(template.parameter("ModelArns")).contains(&arn), "{arn}");
    }
}

#[test]
fn samconfig_gives_every_environment_values_that_the_template_takes() {
    for environment in ENVIRONMENTS {
        let overrides = overrides(environment);
        let given: Vec<_> = overrides
            .iter()
            .map(|line| line.split_once('=').unwrap())
            .collect();
        assert!(given.contains(&("Environment", environment)), "{environment}");
        let template = Template::with(&given);
        for (name, value) in given {
            let parameter = &template.source["Parameters"][name];
            let number = || value.parse::<u64>().unwrap();
            if let Some(allowed) = parameter["AllowedValues"].as_array() {
                assert!(
                    allowed.iter().map(text).any(|one| one == value),
                    "{environment}: {name}={value}"
                );
            }
            if let Some(least) = parameter["MinValue"].as_u64() {
                assert!(number() >= least, "{environment}: {name}={value}");
            }
            if let Some(most) = parameter["MaxValue"].as_u64() {
                assert!(number() <= most, "{environment}: {name}={value}");
            }
        }
    }
}

#[test]
fn without_a_name_samconfig_means_dev() {
    let config = samconfig();
    for command in ["deploy", "build"] {
        assert_eq!(
            config["default"].get(command),
            config["dev"].get(command),
            "{command}"
        );
    }
    assert_eq!(overrides("default"), overrides("dev"));
}

fn samconfig() -> toml::Table {
    crate::file("samconfig.toml").parse().unwrap()
}

fn overrides(environment: &str) -> Vec<String> {
    let config = samconfig();
    let lines = config[environment]["deploy"]["parameters"]["parameter_overrides"]
        .as_array()
        .unwrap();
    lines
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}
