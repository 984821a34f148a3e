//! Bodies of requests to the model server: the first byte chooses the operation, the rest is the body.
#![no_main]

use bedrock_diy_model_server::Operation;
use bedrock_diy_model_server::wire::request::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let operation = match choice % 3 {
        0 => Operation::ConverseStream,
        1 => Operation::InvokeModelWithResponseStream,
        _ => Operation::CountTokens,
    };
    if let Ok(request) = parse(
        operation,
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        body.to_vec().into(),
    ) {
        let _ = (request.last_user_text(), request.content_hash());
    }
});
