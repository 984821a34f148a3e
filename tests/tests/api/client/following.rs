//! Jobs are followed from the command line: one, a file's, a whole batch.

use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::wait;
use serde_json::Value;

use super::{failed, served, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_file_s_outputs_are_printed_and_everything_else_beside() {
    let script = Script::default()
        .rule(
            Rule::text("The facts: a bridge.")
                .system_contains("step 1")
                .user_contains("bridge"),
        )
        .rule(
            Rule::text("The title: Bridge.")
                .system_contains("step 2")
                .user_contains("a bridge"),
        )
        .rule(Rule::text("Something else."));
    let (model, _project, _served, ada) = served(2, script).await;
    tokio::task::block_in_place(|| {
        let files = [
            ("a.txt", "The bridge opens."),
            (
                "b.jsonl",
                "{\"text\": \"One.\", \"id\": \"x\"}\n{\"text\": \"Two.\"}\n",
            ),
        ];
        write(&ada.folder("articles"), &files);
        let submit = ["submit", "articles", "--project", "news", "--follow"];
        let first = ada.ask(&submit);
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        let else_twice = "Something else.\nSomething else.\n";
        assert_eq!(
            first.stdout,
            format!(
                "The facts: a bridge.\nThe title: Bridge.\n{}",
                else_twice.repeat(2)
            ),
        );
        for said in [
            "a.txt\n",
            "b.jsonl#x",
            "── step-1 (1/2) ──",
            "── step-2 (2/2) ──",
            " tokens, ",
            "SUCCEEDED",
            "3 submitted",
        ] {
            assert!(first.stderr.contains(said), "{said}: {}", first.stderr);
        }
        let calls = model.calls();
        let again = ada.ask(&submit);
        assert_eq!(
            (again.code, again.stdout, model.calls()),
            (Some(0), first.stdout, calls)
        );
        assert!(again.stderr.contains("3 had been before"), "{}", again.stderr);

        let events = ada.asked(&[submit.as_slice(), &["--batch", "another", "--json"]].concat());
        let types: Vec<_> = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
            .collect();
        assert_eq!(types.iter().filter(|kind| *kind == "job.succeeded").count(), 3);

        let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
        model.set_script(Script::default().rule(truncated));
        let submit = [
            "submit",
            "articles/a.txt",
            "--project",
            "news",
            "--batch",
            "bad",
            "--follow",
        ];
        let bad = ada.ask(&submit);
        assert_eq!(
            bad.code,
            Some(0),
            "what was answered before comes from the memo: {}",
            bad.stderr
        );
        write(&ada.folder("articles"), &[("a.txt", "The tunnel opens.")]);
        let bad = ada.ask(&submit);
        assert_eq!(
            (bad.code, bad.stdout.as_str()),
            (Some(1), ""),
            "what is void is no output"
        );
        assert!(
            bad.stderr.contains("OutputTruncated") && bad.stderr.contains("FAILED"),
            "{}",
            bad.stderr
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_followed_to_its_last_job_s_end_wherever_it_is_listed() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let slow = Rule::reply(Reply::text("fine").latency(2, 1.0));
    let script = Script::default()
        .rule(truncated.user_contains("tunnel"))
        .rule(slow);
    let (model, _project, served, ada) = served(1, script).await;
    tokio::task::block_in_place(|| {
        // More than a page of a list.
        let records = |range: std::ops::Range<u32>| {
            let line = |number| format!("{{\"text\": \"Bridge {number} opens.\", \"id\": \"{number}\"}}\n");
            range.map(line).collect::<String>()
        };
        write(
            &ada.folder("articles"),
            &[("many.jsonl", &records(0..230)), ("z.txt", "The tunnel opens.")],
        );
        let none = ada.ask(&["follow", "--batch", "mon day", "--project", "news"]);
        assert!(failed(none, 2).contains("no job in a batch mon day"));
        let submit = ["submit", "articles", "--project", "news", "--batch", "mon day"];
        ada.asked(&submit);
        // An upload becomes its jobs soon; a list is of what there is.
        let listed = "/api/projects/news/batches/mon%20day";
        wait::until(|| served.owner().get(listed).json()["jobs"] == 231);
        let follow = ["follow", "--batch", "mon day", "--project", "news"];
        let there = ada.ask(&follow);
        assert_eq!(there.code, Some(1), "{}", there.stderr);
        let lines: Vec<_> = there.stdout.lines().collect();
        assert_eq!(lines.len(), 231);
        assert!(lines[0].starts_with("[1/231] "), "{}", lines[0]);
        assert!(lines[230].starts_with("[231/231] "), "{}", lines[230]);
        let bad: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("OutputTruncated: "))
            .collect();
        assert!(bad.len() == 1 && bad[0].contains("z.txt: "), "{bad:?}");
        assert!(
            there
                .stderr
                .contains("230 succeeded, 1 failed with OutputTruncated; "),
            "{}",
            there.stderr
        );

        let jobs = |ended: bedrock_diy_tests::Ended| {
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let mut jobs: Vec<String> = ended
                .stdout
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["jobId"].to_string())
                .collect();
            jobs.sort();
            jobs
        };
        let as_json = [follow.as_slice(), &["--json"]].concat();
        let here = jobs(ada.run(&as_json));
        assert_eq!((here.len(), &here), (231, &jobs(ada.ask(&as_json))));

        // What was tried again, and went well, has not failed.
        model.set_script(Script::default());
        let list = [
            "jobs",
            "list",
            "--project",
            "news",
            "--status",
            "failed",
            "--json",
        ];
        let failed: Value = serde_json::from_str(&ada.asked(&list)).unwrap();
        ada.asked(&["jobs", "retry", failed["jobId"].as_str().unwrap()]);
        for ended in [ada.ask(&follow), ada.run(&follow)] {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            assert!(ended.stderr.contains("231 succeeded; "), "{}", ended.stderr);
        }
        let neither = super::failed(ada.ask(&["follow"]), 2);
        assert!(neither.contains("--batch"), "{neither}");
    });
}
