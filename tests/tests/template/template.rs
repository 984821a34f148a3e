//! The template as an environment would get it: parameters filled in, conditions decided, the functions'
//! common settings merged. What only AWS knows stands as `${Resource}` or `${Resource.Attribute}`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value, json};

use crate::yaml;

/// The environments, as the parameter allows them.
pub(crate) const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// The account of the tests.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The region of the tests: no region's name is longer.
pub(crate) const REGION: &str = "ap-southeast-1";

/// The template.
pub(crate) struct Template {
    /// As it stands in the file.
    pub(crate) source: &'static Value,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    resources: Map<String, Value>,
}

/// The file, read once for all tests.
static SOURCE: LazyLock<Value> = LazyLock::new(|| yaml::read(&crate::file("template.yaml")));

/// What `AWS::NoValue` stands for.
const NO_VALUE: &str = "${AWS::NoValue}";

impl Template {
    /// As production gets it.
    pub(crate) fn prod() -> Self {
        Self::with(&[("Environment", "prod")])
    }

    /// With these parameters; the others have their defaults.
    pub(crate) fn with(given: &[(&str, &str)]) -> Self {
        let source = &*SOURCE;
        let mut parameters: BTreeMap<String, Value> = source["Parameters"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, parameter)| (name.clone(), parameter_value(parameter, &parameter["Default"])))
            .collect();
        for (name, value) in given {
            let parameter = &source["Parameters"][*name];
            assert!(parameter.is_object(), "there is no parameter {name}");
            parameters.insert((*name).to_owned(), parameter_value(parameter, &json!(value)));
        }
        let mut template = Self {
            source,
            parameters,
            conditions: BTreeMap::new(),
            resources: Map::new(),
        };
        for (name, condition) in template.source["Conditions"].as_object().unwrap() {
            let holds = template.resolve(condition) == Value::Bool(true);
            template.conditions.insert(name.clone(), holds);
        }
        template.resources = template.resolve_resources();
        template
    }

    /// A resource, with its attributes (`Type`, `Properties`, `DeletionPolicy` …).
    pub(crate) fn resource(&self, name: &str) -> &Value {
        self.resources
            .get(name)
            .unwrap_or_else(|| panic!("there is no resource {name}"))
    }

    /// A resource's properties.
    pub(crate) fn properties(&self, name: &str) -> &Value {
        &self.resource(name)["Properties"]
    }

    /// The resources of a type: their names and properties.
    pub(crate) fn all(&self, kind: &str) -> Vec<(&str, &Value)> {
        let found: Vec<_> = self
            .resources
            .iter()
            .filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
            .collect();
        assert!(!found.is_empty(), "there is no {kind}");
        found
    }

    /// Every resource.
    pub(crate) fn resources(&self) -> &Map<String, Value> {
        &self.resources
    }

    /// A parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> &Value {
        &self.parameters[name]
    }

    fn resolve_resources(&self) -> Map<String, Value> {
        let globals = self.resolve(&self.source["Globals"]["Function"]);
        self.source["Resources"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, resource)| {
                let condition = resource["Condition"].as_str();
                condition.is_none_or(|name| self.conditions[name])
            })
            .map(|(name, resource)| {
                let mut resource = self.resolve(resource);
                if resource["Type"] == "AWS::Serverless::Function" {
                    resource["Properties"] = merged(&globals, &resource["Properties"]);
                }
                (name.clone(), resource)
            })
            .collect()
    }

    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| self.resolve(item))
                .filter(|item| item != NO_VALUE)
                .collect(),
            Value::Object(map) => match map.iter().next() {
                Some((name, argument)) if map.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) => {
                    self.call(name, argument)
                }
                _ => map
                    .iter()
                    .map(|(key, value)| (key.clone(), self.resolve(value)))
                    .filter(|(_, value)| value != NO_VALUE)
                    .collect::<Map<_, _>>()
                    .into(),
            },
            _ => value.clone(),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        match function {
            "Ref" => self.named(argument.as_str().unwrap()),
            "Fn::GetAtt" => json!(format!("${{{}}}", argument.as_str().unwrap())),
            "Fn::Sub" => self.substitute(argument.as_str().unwrap()),
            "Fn::If" => {
                let holds = self.conditions[argument[0].as_str().unwrap()];
                self.resolve(&argument[if holds { 1 } else { 2 }])
            }
            "Fn::Equals" => json!(text(&self.resolve(&argument[0])) == text(&self.resolve(&argument[1]))),
            "Fn::Not" => json!(self.resolve(&argument[0]) == Value::Bool(false)),
            "Fn::Join" => {
                let parts = self.resolve(&argument[1]);
                let parts: Vec<_> = parts.as_array().unwrap().iter().map(text).collect();
                json!(parts.join(argument[0].as_str().unwrap()))
            }
            "Fn::FindInMap" => {
                let [map, top, second] = [0, 1, 2].map(|i| text(&self.resolve(&argument[i])));
                let found = &self.source["Mappings"][map][top][second];
                assert!(!found.is_null(), "{argument} finds nothing");
                found.clone()
            }
            _ => panic!("the tests don't know {function} yet"),
        }
    }

    fn named(&self, name: &str) -> Value {
        match name {
            "AWS::AccountId" => json!(ACCOUNT),
            "AWS::Region" => json!(REGION),
            "AWS::Partition" => json!("aws"),
            _ => match self.parameters.get(name) {
                Some(value) => value.clone(),
                None => json!(format!("${{{name}}}")),
            },
        }
    }

    fn substitute(&self, template: &str) -> Value {
        let mut pieces = template.split("${");
        let mut result = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap();
            result += &text(&self.named(name));
            result += rest;
        }
        json!(result)
    }
}

/// A string as it is, anything else as JSON writes it.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A list's items; one item that stands alone is a list, too.
pub(crate) fn items(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        _ => vec![text(value)],
    }
}

fn parameter_value(parameter: &Value, value: &Value) -> Value {
    if parameter["Type"] == "CommaDelimitedList" {
        return text(value).split(',').collect();
    }
    value.clone()
}

/// SAM's rule for `Globals`: maps are merged, anything else of the function's own wins.
fn merged(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own)) => {
            let mut all = global.clone();
            for (key, value) in own {
                let below = all
                    .get(key)
                    .map_or_else(|| value.clone(), |global| merged(global, value));
                all.insert(key.clone(), below);
            }
            all.into()
        }
        _ => own.clone(),
    }
}
