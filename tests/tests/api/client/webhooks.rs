//! Webhooks at a command line.

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Program, Project, Receiver, Reply, ScriptedServer, Served};
use serde_json::Value;

use super::{Somebody, done, failed};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_tried_looked_at_and_mended_at_a_command_line() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start_with(&project, &program, &["--webhooks-to-this-machine"]);
    let ada = Somebody::new(&program, &served.url());
    let receiver = Receiver::willing();
    tokio::task::block_in_place(|| {
        let url = receiver.url("/desk");
        let made = ada.asked(&[
            "webhooks",
            "create",
            "--project",
            "news",
            &url,
            "--name",
            "The desk",
            "--events",
            "job.failed",
        ]);
        let mut made = made.lines();
        let (id, secret) = (made.next().unwrap(), made.next().unwrap());
        assert!(secret.starts_with("whsec_"), "{secret}");
        let listed = ada.asked(&["webhooks", "list", "--project", "news"]);
        assert!(listed.contains(id) && listed.contains("The desk"), "{listed}");
        assert!(!listed.contains(secret));
        let pinged = ada.asked(&["webhooks", "ping", "--project", "news", id]);
        assert!(pinged.contains("DELIVERED 200"), "{pinged}");

        receiver.reply(|_| Reply::Status(410, "moved away".to_owned()));
        let refused = ada.ask(&["webhooks", "ping", "--project", "news", id]);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stdout.contains("FAILED 410"), "{}", refused.stdout);
        let shown = ada.asked(&["webhooks", "show", "--project", "news", id]);
        assert!(shown.contains("off (gone)"), "{shown}");
        let off = failed(ada.ask(&["webhooks", "ping", "--project", "news", id]), 2);
        assert!(off.contains("switched off"), "{off}");

        receiver.reply(|_| Reply::Status(200, String::new()));
        let on = ada.asked(&["webhooks", "enable", "--project", "news", id]);
        assert!(on.contains("on"), "{on}");
        let again = ada.asked(&["webhooks", "redeliver", "--project", "news", id, "--failed"]);
        assert_eq!(again.lines().count(), 1);
        let posted = receiver.wait(|posted| posted.len() >= 3);
        assert_eq!(posted[2].header("webhook-id"), again.trim());
        let delivery = format!("/api/projects/news/webhooks/{id}/deliveries/{}", again.trim());
        let _ = served
            .owner()
            .when(&delivery, |delivery| delivery["status"] == "DELIVERED");
        let log = ada.asked(&["webhooks", "deliveries", "--project", "news", id, "--json"]);
        let newest: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(newest["attempts"][0]["answer"], "moved away");
        assert_eq!(newest["attempts"][1]["status"], 200);
        let none = ada.asked(&["webhooks", "deliveries", "--project", "news", id, "--failed"]);
        assert!(none.contains("no such deliveries"), "{none}");

        let rotated = ada.asked(&["webhooks", "rotate", "--project", "news", id, "--only"]);
        assert!(rotated.starts_with("whsec_") && rotated.trim() != secret);
        let kept = failed(ada.ask(&["webhooks", "delete", "--project", "news", id]), 2);
        assert!(kept.contains("--yes"), "{kept}");
        done(ada.ask(&["webhooks", "delete", "--project", "news", id, "--yes"]));
        assert!(
            ada.asked(&["webhooks", "list", "--project", "news"])
                .contains("no webhooks")
        );
        let inward = failed(
            ada.ask(&["webhooks", "create", "--project", "news", "https://10.0.0.1/"]),
            2,
        );
        assert!(inward.contains("public internet"), "{inward}");
    });
}
