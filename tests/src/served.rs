//! `bedrock-diy serve` as somebody's API, and whoever asks it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{Request, Response},
};

use crate::{Program, Project, Socket, wait::PATIENCE};

/// A server that runs until it is dropped.
pub struct Served {
    process: Child,
    log: Arc<Mutex<String>>,
    address: String,
    program: Program,
    /// The token of the machine's owner, an administrator.
    pub token: String,
}

/// Somebody who asks an API.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// A request that is being put together.
pub struct Call<'a> {
    client: &'a Client,
    method: &'a str,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: ureq::http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Served {
    /// Starts a server over the project's data folder.
    #[must_use]
    pub fn start(project: &Project, program: &Program) -> Self {
        Self::start_with(project, program, &[])
    }

    /// Starts a server with more arguments.
    #[must_use]
    pub fn start_with(project: &Project, program: &Program, more: &[&str]) -> Self {
        let dir = project.dir();
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--concurrency",
            "32",
            "--project",
        ];
        let mut command = program.command(arguments);
        command
            .arg(&dir)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("the program can be started");
        let mut said = BufReader::new(process.stderr.take().expect("it is piped"));
        let address = loop {
            let mut line = String::new();
            let read = said.read_line(&mut line).expect("it speaks UTF-8");
            assert!(read > 0, "the server ended early: {:?}", process.wait());
            if let Some((_, address)) = line.split_once("http://") {
                break address.split('/').next().unwrap().to_owned();
            }
        };
        // Whatever else it says is read, so that it never waits for a reader.
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                eprintln!("{line}");
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        let token = fs::read_to_string(project.data().join("token")).unwrap_or_default();
        Self {
            process,
            log,
            address,
            program: program.clone(),
            token: token.trim().to_owned(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The machine's owner, an administrator.
    #[must_use]
    pub fn owner(&self) -> Client {
        Client::new(&self.url(), Some(&self.token))
    }

    /// Somebody else with a token of their own.
    #[must_use]
    pub fn somebody(&self, name: &str, role: &str) -> Client {
        let added = self.program.run(["tokens", "add", name, "--role", role]);
        assert_eq!(added.code, Some(0), "{}", added.stderr);
        Client::new(&self.url(), Some(added.stdout.trim()))
    }

    /// The same somebody, with another role from now on.
    #[must_use]
    pub fn another_role(&self, name: &str, role: &str) -> Client {
        let removed = self.program.run(["tokens", "remove", name]);
        assert_eq!(removed.code, Some(0), "{}", removed.stderr);
        self.somebody(name, role)
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.process.id().to_string())
            .status();
        assert!(sent.is_ok_and(|sent| sent.success()), "it is not there any more");
    }

    /// Where connections that stay open are opened.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("{}/socket", self.url().replace("http://", "ws://"))
    }

    /// The owner's connection.
    #[must_use]
    pub fn socket(&self) -> Socket {
        self.owner().socket(&self.socket_url())
    }

    /// What it has said on standard error since it listens.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The server's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Client {
    /// Somebody who shows this token.
    #[must_use]
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let config = Agent::config_builder().http_status_as_error(false);
        Self {
            // A connection a request: what one leaves behind is nothing to the next.
            agent: config.max_redirects(0).max_idle_connections(0).build().into(),
            base: base.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// The same address, and another token or none.
    #[must_use]
    pub fn as_other(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// A connection that stays open, at this address.
    #[must_use]
    pub fn socket(&self, at: &str) -> Socket {
        Socket::open(at, self.token.as_deref())
    }

    /// The token that is shown.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request.
    #[must_use]
    pub fn call<'a>(&'a self, method: &'a str, path: &str) -> Call<'a> {
        Call {
            client: self,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Reads something.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    /// Sends something.
    #[must_use]
    pub fn post(&self, path: &str, document: &Value) -> Answer {
        self.call("POST", path).json(document).send()
    }

    /// Changes something, from the version that it has now.
    #[must_use]
    pub fn change(&self, path: &str, document: &Value) -> Answer {
        let etag = self.get(path).header("etag").unwrap_or_default();
        self.call("PATCH", path)
            .header("If-Match", &etag)
            .json(document)
            .send()
    }

    /// Waits until the job has ended.
    #[must_use]
    pub fn ended(&self, job: &str) -> Value {
        self.when(job, |job| {
            !["ACCEPTED", "RUNNING"].contains(&job["status"].as_str().unwrap())
        })
    }

    /// Waits until what is there is as it should be.
    #[must_use]
    pub fn when(&self, path: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let found = self.get(path).expect(200).json();
            if ready(&found) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{path} stays so: {found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Call<'_> {
    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With a JSON document.
    #[must_use]
    pub fn json(self, document: &Value) -> Self {
        self.body("application/json", document.to_string().into_bytes())
    }

    /// With a body of this type.
    #[must_use]
    pub fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", media_type).content(body)
    }

    /// With a body whose type is said by a header.
    #[must_use]
    pub fn content(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it: the answer's head, and its body to be read as it comes.
    #[must_use]
    pub fn listen(self) -> (Answer, impl BufRead + Send) {
        let (parts, body) = self.answer().into_parts();
        let head = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: Vec::new(),
        };
        (head, BufReader::new(body.into_reader()))
    }

    /// Sends it.
    #[must_use]
    pub fn send(self) -> Answer {
        let (parts, body) = self.answer().into_parts();
        let mut bytes = Vec::new();
        body.into_reader()
            .read_to_end(&mut bytes)
            .expect("the whole answer");
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: bytes,
        }
    }

    fn answer(self) -> Response<Body> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}{}", self.client.base, self.path));
        if let Some(token) = &self.client.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        let request = request.body(self.body).expect("a request");
        self.client.agent.run(request).expect("the server answers")
    }
}

impl Answer {
    /// The answer, which must have this status.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    /// The stable name of the problem that it is.
    #[must_use]
    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type").as_deref(),
            Some("application/problem+json")
        );
        self.json()["code"].as_str().unwrap().to_owned()
    }
}
