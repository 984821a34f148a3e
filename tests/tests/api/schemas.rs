//! The API does what its document says, whatever it is asked.

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Program, Project, Schemathesis, ScriptedServer, Served};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_answered_otherwise_than_the_document_says() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let asked = Schemathesis {
        url: &served.url(),
        token: &served.token,
        examples: "50",
        operations: &[],
        without: &[],
    };
    tokio::task::block_in_place(|| asked.run());
}
