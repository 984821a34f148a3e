//! Results of a batch as a table, of any size.

use std::{fs, io::Read};

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Program, Project, ScriptedServer, Served};
use serde_json::{Value, json};

const JOBS: usize = 10_000;

/// The most memory that a process has had, in MB (Linux).
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_jobs_are_exported_in_bounded_memory() {
    // 4 kB an output: 40 MB in all would not fit beside what the server needs for itself.
    let long = format!("{{\"who\": \"=cmd\", \"what\": \"{}\"}}", "다리 橋 ".repeat(400));
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(Reply::text(&long)))).await;
    let project = Project::with_cards(1);
    let schema = "outputSchema:\n  type: object\n  properties:\n    who: { type: string }\n    what: { type: string }\n";
    project.card(1, schema, "Extract.");
    let program = Program::new(&project.data(), &model.url());
    let lines: Vec<_> = (0..JOBS)
        .map(|number| format!("{{\"text\": \"기사 {number}\", \"id\": \"{number}\"}}\n"))
        .collect();
    let folder = project.data().join("inbox/news/large");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("many.jsonl"), lines.concat()).unwrap();
    assert_eq!(program.run(project.serve()).code, Some(0));

    // Another process, so that what it needs is the export's.
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let at = "/api/projects/news/batches/large";
        assert_eq!(ada.get(at).expect(200).json()["counts"]["succeeded"], JOBS);
        for (format, media_type) in [
            ("csv", "text/csv; charset=utf-8"),
            ("jsonl", "application/jsonl"),
            ("parquet", "application/vnd.apache.parquet"),
        ] {
            let exported = ada.get(&format!("{at}/results?format={format}")).expect(200);
            assert_eq!(exported.header("content-type").as_deref(), Some(media_type));
            check(format, &exported.body);
        }
        let used = peak_memory(served.process_id());
        assert!(used < 100, "{used} MB");
        let _ = ada.get("/api/projects/news/batches/none/results").expect(404);
    });
}

fn check(format: &str, body: &[u8]) {
    match format {
        "csv" => {
            assert!(body.starts_with("\u{feff}article,".as_bytes()));
            let text = std::str::from_utf8(body).unwrap();
            assert_eq!(text.lines().count(), JOBS + 1);
            assert!(text.contains("step-1.who") && text.contains(",'=cmd,") && text.contains("다리 橋"));
        }
        "jsonl" => {
            let lines: Vec<Value> = body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect();
            assert_eq!(lines.len(), JOBS);
            assert_eq!(lines[0]["outputs"]["step-1"]["who"], json!("=cmd"));
        }
        _ => {
            assert!(body.starts_with(b"PAR1") && body.ends_with(b"PAR1"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_while_it_is_made() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.small_articles(300);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(32)).code, Some(0));
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let jobs = ada.get("/api/projects/news/jobs?limit=1").expect(200).json();
        let batch = jobs["items"][0]["links"]["batch"].as_str().unwrap().to_owned();
        let mut connection =
            std::net::TcpStream::connect(served.url().trim_start_matches("http://")).unwrap();
        let request = format!(
            "GET {batch}/results HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            served.token
        );
        std::io::Write::write_all(&mut connection, request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(
            answer.to_ascii_lowercase().contains("transfer-encoding: chunked"),
            "its length is not known before"
        );
    });
}
