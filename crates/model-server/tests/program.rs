//! The program: its script, its control endpoint, and what it says to a client without credentials.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

const HELLO: &str = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;

struct Program {
    child: Child,
    address: String,
}

impl Program {
    /// Starts it with a script in a file of this name.
    fn start(file: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(file);
        std::fs::write(&file, script).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_model-server"))
            .args(["--port", "0", "--script"])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// The status line's code, the headers, and the body.
    fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
    }

    fn converse(&self) -> (u16, String, Value) {
        self.http(
            "POST",
            "/model/anthropic.claude/converse",
            "authorization: AWS4-HMAC-SHA256 test\r\n",
            HELLO,
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(response: &(u16, String, Value)) -> &str {
    response.2["output"]["message"]["content"][0]["text"]
        .as_str()
        .unwrap()
}

#[test]
fn a_script_may_be_json_or_toml() {
    let json = r#"{ "rules": [{ "then": { "reply": { "content": { "template": "JSON: ${user}" } } } }] }"#;
    let toml = "[[rules]]\nthen.reply.content.template = 'TOML: ${user}'\n";
    for (file, script, expected) in [("s.json", json, "JSON: Hello"), ("s.toml", toml, "TOML: Hello")] {
        assert_eq!(answer(&Program::start(file, script).converse()), expected);
    }
}

#[test]
fn a_call_without_credentials_gets_bedrocks_refusal() {
    let program = Program::start("s.json", "{}");
    let (status, head, body) = program.http("POST", "/model/anthropic.claude/converse", "", HELLO);
    assert_eq!(status, 403);
    assert!(
        head.contains("x-amzn-errortype: missingauthenticationtokenexception"),
        "{head}"
    );
    assert!(head.contains("x-amzn-requestid: "), "{head}");
    assert_eq!(body, json!({ "message": "Missing Authentication Token" }));
}

#[test]
fn the_control_endpoint_counts_logs_resets_and_takes_scripts() {
    let program = Program::start("s.json", "{}");
    assert_eq!(answer(&program.converse()), "This is a scripted answer.");
    let script = r#"{ "rules": [{ "then": { "error": { "kind": "throttling" } } }] }"#;
    assert_eq!(program.http("POST", "/_control/script", "", script).0, 200);
    assert_eq!(program.converse().0, 429);
    let counters = program.http("GET", "/_control/counters", "", "").2;
    assert_eq!(
        counters["by_outcome"],
        json!({ "ThrottlingException": 1, "end_turn": 1 })
    );
    let requests = program.http("GET", "/_control/requests", "", "").2;
    assert_eq!(requests[1]["outcome"], "ThrottlingException");
    assert_eq!(requests[1]["body"], Value::Null);
    let (status, _, refusal) = program.http("POST", "/_control/script", "", r#"{ "rulez": [] }"#);
    assert_eq!(status, 400);
    assert!(
        refusal["message"].as_str().unwrap().contains("rulez"),
        "{refusal}"
    );
    assert_eq!(program.http("POST", "/_control/reset", "", "").0, 200);
    assert_eq!(program.http("GET", "/_control/counters", "", "").2["calls"], 0);
    assert_eq!(program.converse().0, 429, "a reset keeps the script");
}

#[test]
fn a_script_that_cannot_be_understood_stops_the_program_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    std::fs::write(&file, "rules = 3").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_model-server"))
        .arg("--script")
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("broken.toml"), "{said}");
}
