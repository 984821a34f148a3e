//! A scripted model behind a server in the test's own process.

use bedrock_diy_model_server::{
    ModelServer,
    scripted::{Script, ScriptedModel},
};

/// A model server that answers by rule.
pub struct ScriptedServer(ModelServer<ScriptedModel>);

impl ScriptedServer {
    /// Starts one.
    pub async fn start(script: Script) -> Self {
        let model = ScriptedModel::new(script).expect("the script is valid");
        Self(ModelServer::start(model).await.expect("a port is free"))
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// How often the model was asked, whatever came of it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.counters().calls
    }

    /// How many calls it is answering now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.0.counters().in_flight
    }

    /// How many calls ended so (`end_turn`, `ThrottlingException` …).
    #[must_use]
    pub fn ended(&self, outcome: &str) -> u64 {
        self.0
            .counters()
            .by_outcome
            .get(outcome)
            .copied()
            .unwrap_or_default()
    }

    /// Answers by other rules from now on.
    pub fn set_script(&self, script: Script) {
        self.0.model().set_script(script).expect("the script is valid");
    }
}
