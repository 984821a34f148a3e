//! Jobs and results of an API look as those of this machine.

use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Project, ScriptedServer, Served};
use serde_json::{Value, json};

use super::{Somebody, done, failed, served, write};

const LIST: [&str; 6] = ["jobs", "list", "--project", "news", "--json", "--all"];

fn lines(printed: &str) -> Vec<Value> {
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The id of the first job of this status.
fn id<'a>(jobs: &'a [Value], status: &str) -> &'a str {
    let job = jobs.iter().find(|job| job["status"] == status).unwrap();
    job["jobId"].as_str().unwrap()
}

/// Six jobs that have ended, one of them badly.
async fn worked() -> (ScriptedServer, Project, Served, Somebody) {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let script = Script::default().rule(truncated.user_contains("tunnel"));
    let (model, project, served, ada) = served(2, script).await;
    tokio::task::block_in_place(|| {
        let folder = ada.folder("articles");
        for number in 0..5 {
            let (name, text) = (format!("{number}.txt"), format!("Bridge {number} opens."));
            write(&folder, &[(&name, &text)]);
        }
        write(&folder, &[("tunnel.txt", "=The tunnel opens.")]);
        let submit = [
            "submit",
            "articles",
            "--project",
            "news",
            "--batch",
            "mon day",
            "--wait",
        ];
        assert_eq!(ada.ask(&submit).code, Some(1));
    });
    (model, project, served, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_the_same_from_here_and_from_the_api() {
    let (_model, _project, _served, ada) = worked().await;
    tokio::task::block_in_place(|| {
        let (here, there) = (lines(&done(ada.run(&LIST))), lines(&ada.asked(&LIST)));
        assert_eq!((here.len(), there.len()), (6, 6));
        for there in &there {
            let here = here.iter().find(|here| here["jobId"] == there["jobId"]).unwrap();
            let fields = there.as_object().unwrap().iter();
            for (field, value) in fields.filter(|(field, _)| *field != "article") {
                assert_eq!(&here[field], value, "{field}");
            }
            assert_eq!(here["article"]["name"], there["article"]["name"]);
            assert_eq!(
                here["article"]["source"]["size"],
                there["article"]["source"]["size"]
            );
        }
        let table = ada.asked(&["jobs", "list", "--project", "news", "--limit", "2"]);
        let (_, last) = table.split_once("--before ").unwrap();
        let rest = ada.asked(&[
            "jobs",
            "list",
            "--project",
            "news",
            "--json",
            "--before",
            &last[..26],
        ]);
        assert_eq!(lines(&rest), there[2..]);
        let failures = ada.asked(&[
            "jobs",
            "list",
            "--project",
            "news",
            "--status",
            "failed",
            "--json",
        ]);
        assert_eq!(lines(&failures).len(), 1);

        let good = id(&there, "SUCCEEDED");
        let show = ["jobs", "show", good];
        let told = |shown: &str| {
            let is_told = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
            shown.lines().filter(is_told).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(&ada.asked(&show)), told(&done(ada.run(&show))));
        let shown: Value = serde_json::from_str(&ada.asked(&["jobs", "show", good, "--json"])).unwrap();
        assert_eq!(
            (&shown["job"]["jobId"], &shown["stages"][1]["promptId"]),
            (&json!(good), &json!("step-2"))
        );
        let events = ["jobs", "events", good, "--json"];
        let happened = ada.asked(&events);
        assert_eq!(happened, done(ada.run(&events)));
        assert_eq!(lines(&happened).last().unwrap()["type"], "job.succeeded");
        assert_eq!(ada.asked(&["follow", good, "--json"]), happened);
        let bad = id(&there, "FAILED");
        for followed in [ada.ask(&["follow", bad]), ada.run(&["follow", bad])] {
            assert_eq!(followed.code, Some(1));
            assert!(followed.stdout.lines().last().unwrap().contains("job.failed"));
        }
        let whose = failed(ada.ask(&["jobs", "list"]), 2);
        assert!(whose.contains("--project"), "{whose}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_found_by_the_beginning_of_its_id_and_tried_again() {
    let (model, _project, _served, ada) = worked().await;
    tokio::task::block_in_place(|| {
        let jobs = lines(&ada.asked(&LIST));
        let (bad, good) = (id(&jobs, "FAILED"), id(&jobs, "SUCCEEDED"));
        assert!(
            ada.asked(&["jobs", "show", &bad[..20].to_lowercase()])
                .contains("FAILED")
        );
        model.set_script(Script::default());
        let again = ada.asked(&["jobs", "retry", bad]);
        let refused = failed(ada.ask(&["jobs", "retry", good]), 2);
        assert!(refused.contains("only failed and cancelled jobs"), "{refused}");
        let cancelled = ada.asked(&["jobs", "cancel", good]);
        assert_eq!(cancelled.trim(), format!("{good} SUCCEEDED"));
        let shown = ada.asked(&["jobs", "show", bad]);
        assert!(
            shown.contains(&format!("Retried  as {}", again.trim())),
            "{shown}"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_the_api_has_the_rows_of_one_from_here() {
    let (_model, _project, _served, ada) = worked().await;
    tokio::task::block_in_place(|| {
        let export = [
            "results",
            "export",
            "--project",
            "news",
            "--batch",
            "mon day",
            "--format",
        ];
        let written = |name: &str| std::fs::read(ada.folder(name)).unwrap();
        let sorted = |name: &str| {
            let text = String::from_utf8(written(name)).unwrap();
            let mut rows: Vec<_> = text.lines().map(str::to_owned).collect();
            rows.sort();
            rows
        };
        for format in ["csv", "jsonl", "parquet"] {
            let with = |out| [export.as_slice(), &[format, "--out", out]].concat();
            done(ada.run(&with("here")));
            ada.asked(&with("there"));
            if format == "parquet" {
                assert!(written("there").starts_with(b"PAR1") && written("there").ends_with(b"PAR1"));
            } else {
                assert_eq!(sorted("here"), sorted("there"), "{format}");
                assert_eq!(sorted("there").len(), if format == "csv" { 7 } else { 6 });
            }
            assert!(!ada.folder("there.part").exists());
        }
        let printed = ada.asked(&[export.as_slice(), &["csv"]].concat());
        assert!(printed.contains("tunnel.txt"), "{printed}");
        let all = failed(ada.ask(&["results", "export", "--project", "news"]), 2);
        assert!(all.contains("--batch"), "{all}");
        let none = [
            "results",
            "export",
            "--project",
            "news",
            "--batch",
            "none",
            "--out",
            "there",
        ];
        failed(ada.ask(&none), 2);
    });
}
