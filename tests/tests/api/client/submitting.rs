//! Articles are submitted, once, and waited for.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Nowhere, Program};
use serde_json::{Value, json};

use super::{
    Somebody, done, failed, served,
    stand_in::{response, serve},
    write,
};

/// The lines that `submit` prints, by article.
fn submitted(ada: &Somebody, arguments: &[&str]) -> Vec<Value> {
    let base = ["submit", "articles", "--project", "news", "--json"];
    let arguments: Vec<_> = base.iter().chain(arguments).copied().collect();
    let printed = ada.asked(&arguments);
    let mut lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["article"].as_str().unwrap().to_owned());
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_twice_makes_the_same_jobs() {
    let (model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        write(
            &ada.folder("articles"),
            &[
                ("a.txt", "The bridge opens."),
                ("sub/b 기사.md", "# The bridge\n\nIt opens."),
                (
                    "c.html",
                    "<html><body><p>The bridge opens on Friday, and everybody may come.</p></body></html>",
                ),
                (
                    "many.jsonl",
                    "{\"text\": \"One.\", \"id\": \"x\"}\n{\"text\": \"Two.\"}\n",
                ),
            ],
        );
        // Not UTF-8: what it is, is found out where it is read.
        std::fs::write(
            ada.folder("articles/latin.txt"),
            b"Das Caf\xE9 er\xF6ffnet am Freitag.",
        )
        .unwrap();
        let first = submitted(&ada, &["--batch", "monday", "--wait"]);
        assert_eq!(first.len(), 6, "{first:?}");
        assert!(
            first
                .iter()
                .all(|line| line["status"] == "SUCCEEDED" && line["submittedBefore"] == false),
            "{first:?}"
        );
        let names: Vec<_> = first
            .iter()
            .map(|line| line["article"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "a.txt",
                "c.html",
                "latin.txt",
                "many.jsonl#2",
                "many.jsonl#x",
                "sub/b 기사.md"
            ]
        );

        let calls = model.calls();
        let second = submitted(&ada, &["--batch", "monday", "--wait"]);
        let jobs = |lines: &[Value]| lines.iter().map(|line| line["jobId"].clone()).collect::<Vec<_>>();
        assert_eq!(jobs(&second), jobs(&first));
        assert!(
            second.iter().all(|line| line["submittedBefore"] == true),
            "{second:?}"
        );
        let batch = served
            .owner()
            .get("/api/projects/news/batches/monday")
            .expect(200)
            .json();
        assert_eq!((&batch["jobs"], model.calls()), (&json!(6), calls));

        write(&ada.folder("articles"), &[("a.txt", "The bridge opens today.")]);
        let third = submitted(&ada, &["--batch", "monday", "--wait"]);
        let new: Vec<_> = third
            .iter()
            .filter(|line| line["submittedBefore"] == false)
            .collect();
        assert_eq!((new.len(), &new[0]["article"]), (1, &json!("a.txt")));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_and_the_others_go_on() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let script = Script::default().rule(truncated.user_contains("tunnel"));
    let (_model, _project, _served, ada) = served(1, script).await;
    tokio::task::block_in_place(|| {
        write(
            &ada.folder("articles"),
            &[
                ("blank.txt", "  \n"),
                ("bridge.txt", "The bridge opens."),
                ("tunnel.txt", "The tunnel opens."),
            ],
        );
        let ended = ada.ask(&[
            "submit",
            "articles",
            "--project",
            "news",
            "--wait",
            "--session",
            "talk",
            "--lane",
            "live",
        ]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("blank.txt: InvalidRequest: the text is blank"),
            "{}",
            ended.stderr
        );
        assert!(
            ended
                .stdout
                .lines()
                .any(|line| line.contains("SUCCEEDED") && line.ends_with("bridge.txt"))
        );
        assert!(
            ended
                .stdout
                .lines()
                .any(|line| line.contains("FAILED") && line.ends_with("tunnel.txt"))
        );
        assert!(ended.stderr.contains("2 submitted, 2 failed"), "{}", ended.stderr);
        let unknown = failed(ada.ask(&["submit", "articles", "--project", "nowhere"]), 2);
        assert!(unknown.contains("no project nowhere"), "{unknown}");
    });
}

#[test]
fn an_article_that_gets_no_answer_is_submitted_again_under_the_same_key() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let url = serve(move |asked| {
        if asked.method == "GET" {
            let project = json!({
                "projectId": "news", "name": "News", "owner": "ada", "status": "ACTIVE", "version": 1,
                "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
            });
            return Some(response("200 OK", "", &project.to_string()));
        }
        let mut seen = seen.lock().unwrap();
        seen.push(asked.headers["idempotency-key"].clone());
        match seen.len() {
            1 => Some(response("503 Service Unavailable", "Retry-After: 0\r\n", "")),
            // It may have been taken: nobody knows.
            2 => None,
            3 => Some(response(
                "429 Too Many Requests",
                "Retry-After: 0\r\n",
                "{\"message\": \"Slowly\"}",
            )),
            _ => {
                let job = json!({
                    "jobId": "01J00000000000000000000000", "projectId": "news", "batch": "api", "status": "ACCEPTED",
                    "article": {"name": "a.txt", "bytes": 4}, "stages": 0, "stagesDone": 0,
                    "usage": {"inputTokens": 0, "outputTokens": 0},
                    "acceptedAt": "2026-01-01T00:00:00.000Z",
                });
                Some(response(
                    "202 Accepted",
                    "Idempotent-Replayed: true\r\n",
                    &job.to_string(),
                ))
            }
        }
    });
    let ada = Somebody::new(&Program::new(Path::new("nowhere"), "http://localhost:1"), &url);
    write(&ada.folder("articles"), &[("a.txt", "text")]);
    let mut submit = ada.command(&["submit", "articles", "--project", "news", "--endpoint", &url]);
    let printed = done(submit.env("BEDROCK_DIY_TOKEN", "token").output().unwrap().into());
    assert!(
        printed.starts_with("01J00000000000000000000000  ACCEPTED   a.txt"),
        "{printed}"
    );
    let keys = keys.lock().unwrap();
    assert!(
        keys.len() == 4 && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_server_that_is_away_are_told_with_what_to_do() {
    let (_model, project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        let with = |token: &str| {
            let mut command = ada.command(&["projects", "list", "--endpoint", &served.url()]);
            command.env("BEDROCK_DIY_TOKEN", token).output().unwrap().into()
        };
        let wrong = failed(with("hush-hush-nothing"), 2);
        assert!(
            wrong.contains("BEDROCK_DIY_TOKEN holds a token that is not good here"),
            "{wrong}"
        );
        assert!(wrong.contains("request ") && !wrong.contains("hush"), "{wrong}");
        done(with(&served.token));

        // A file that others can read is no place for a token.
        let file = ada.folder("token");
        std::fs::write(&file, &served.token).unwrap();
        let list = ["projects", "list", "--token-file", "token"];
        let open = failed(ada.ask(&list), 2);
        assert!(open.contains("chmod 600"), "{open}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            ada.asked(&list);
        }

        let elsewhere = failed(
            ada.run(&["projects", "list", "--endpoint", "http://example.org"]),
            2,
        );
        assert!(elsewhere.contains("https"), "{elsewhere}");
        let no_token = failed(
            ada.run(&["projects", "list", "--endpoint", "https://example.org/v1"]),
            2,
        );
        assert!(
            no_token.contains("no token for https://example.org/v1"),
            "{no_token}"
        );

        drop(served);
        let nowhere = Nowhere::keep();
        let url = nowhere.url();
        let away = failed(
            ada.run(&["jobs", "list", "--project", "news", "--endpoint", &url]),
            3,
        );
        assert!(
            away.contains(&url) && away.contains("does the server run?"),
            "{away}"
        );
        // Without an endpoint, the same command is about the data folder.
        assert!(done(ada.run(&["jobs", "list"])).contains("There are no such jobs."));
        drop(project);
    });
}
