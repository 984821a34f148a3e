//! Projects of an API.

use bedrock_diy_model_server::scripted::Script;
use serde_json::json;

use super::{failed, served};

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_listed_shown_made_and_deleted() {
    let (_model, _project, _served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        let id = ada.asked(&["projects", "create", "Evening News", "--description", "Late."]);
        assert_eq!(id.trim(), "evening-news");
        let taken = failed(ada.ask(&["projects", "create", "Evening News"]), 2);
        assert!(taken.contains("The id evening-news is taken"), "{taken}");
        let listed = ada.asked(&["projects", "list", "--json"]);
        let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["projectId"], &first["description"]),
            (&json!("evening-news"), &json!("Late."))
        );
        assert!(ada.asked(&["projects", "list", "--all"]).contains("news"));
        let shown = ada.asked(&["projects", "show", "news"]);
        assert!(shown.contains("step-1") && shown.contains("Owner"), "{shown}");
        let refused = failed(ada.ask(&["projects", "delete", "evening-news"]), 2);
        assert!(refused.contains("--yes"), "{refused}");
        ada.asked(&["projects", "delete", "evening-news", "--yes"]);
        let gone = failed(ada.ask(&["projects", "show", "evening-news"]), 2);
        assert!(gone.contains("no project evening-news"), "{gone}");
        let needed = failed(ada.run(&["projects", "list"]), 2);
        assert!(needed.contains("--endpoint URL"), "{needed}");
    });
}
