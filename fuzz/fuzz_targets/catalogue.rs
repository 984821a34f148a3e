//! A user's own `models.toml`, and what is asked of the catalogue then.
#![no_main]

use bedrock_diy_core::catalogue::Catalogue;
use bedrock_diy_core::model::{Message, ModelRequest, Usage};
use bedrock_diy_core::project::InferenceParameters;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|toml: &str| {
    let Ok(catalogue) = Catalogue::with_overrides(Some(("models.toml", toml))) else {
        return;
    };
    let ids = catalogue.families.iter().flat_map(|family| family.ids.iter());
    for model in ids.chain([&catalogue.default_model]) {
        let _ = catalogue.family(model);
        let _ = catalogue.parameters(model, &InferenceParameters::default());
        let _ = catalogue.cost(model, &Usage::default());
        let request = ModelRequest {
            model: model.clone(),
            parameters: InferenceParameters::default(),
            system: "List the facts.".to_owned(),
            messages: vec![Message::user("The bridge opens. 다리가 열린다.")],
            guardrail: None,
            output_schema: None,
            send_schema: false,
        };
        let input_tokens = catalogue.estimated_input_tokens(&request);
        let _ = catalogue.estimated_quota_tokens(&request, input_tokens);
        let _ = catalogue.check_fits(&request, input_tokens);
    }
});
