//! Who may do what: the table of docs/ACCESS.md, cell by cell.

use std::collections::BTreeSet;

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{
    Program, Project, ScriptedServer, Served,
    access::{departures, table},
};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_kind_of_caller_as_the_table_says() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let departures = tokio::task::block_in_place(|| departures(&served));
    assert_eq!(departures, Vec::<String>::new());
}

#[test]
fn the_table_has_every_route_of_the_document() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let routes: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let lines: BTreeSet<_> = table()
        .iter()
        .map(|line| format!("{} {}", line.method, line.path.split('?').next().unwrap()))
        .collect();
    assert_eq!(lines, routes);
}
