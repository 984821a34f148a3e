//! A scripted model behind a server in the test's own process.

use bedrock_diy_model_server::{
    ModelServer,
    scripted::{Script, ScriptedModel},
};

use crate::wait;

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

    /// Waits until it is answering nobody, and nobody new has come for a moment: what was sent by a process that was
    /// killed is read a moment later.
    pub fn comes_to_rest(&self) {
        const LOOKS: u32 = 10;
        let (mut calls, mut looks) = (self.calls(), 0);
        wait::until(|| {
            let counters = self.0.counters();
            if counters.in_flight > 0 || counters.calls != calls {
                (calls, looks) = (counters.calls, 0);
            }
            looks += 1;
            looks > LOOKS
        });
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
