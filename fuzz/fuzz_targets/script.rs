//! The scripted model's rules, as JSON or TOML, and its answer to one request.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::task::{Context, Waker};

use bedrock_diy_model_server::scripted::{Script, ScriptedModel};
use bedrock_diy_model_server::wire::request::parse;
use bedrock_diy_model_server::{Model, Operation, Request};
use libfuzzer_sys::fuzz_target;

static REQUEST: LazyLock<Arc<Request>> = LazyLock::new(|| {
    let body = r#"{
        "system": [{"text": "List the facts."}],
        "messages": [{"role": "user", "content": [{"text": "The bridge opens."}]}]
    }"#;
    let model = "anthropic.claude-haiku-4-5-20251001-v1:0";
    Arc::new(parse(Operation::ConverseStream, model, body.into()).expect("it is a request"))
});

fuzz_target!(|text: &str| {
    let script: Script = match (serde_json::from_str(text), toml::from_str(text)) {
        (Ok(script), _) | (_, Ok(script)) => script,
        _ => return,
    };
    let Ok(model) = ScriptedModel::new(script) else {
        return;
    };
    let _ = model.count_tokens(&REQUEST);
    // What the answer says is known at once; when it would come is not waited for.
    let mut answer = model.answer(Arc::clone(&REQUEST));
    let _ = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
});
