//! A stack whose functions reach AWS through a proxy that can be told to fail.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_stack::{Endpoint, LocalAws, Stack, Tools};
use serde_json::Value;

use crate::{ScriptedServer, wait::PATIENCE};

/// A stack of this test's own, with `microburst` between the functions and the local AWS.
pub struct Faulty {
    /// The stack. The test itself asks the local AWS directly: what it sees is never a fault.
    pub stack: Stack,
    /// The model that the functions ask.
    pub model: ScriptedServer,
    proxy: Proxy,
    port: u16,
    _local: LocalAws,
}

struct Proxy {
    process: Child,
    url: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Whether it has ended already is all the same.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Faulty {
    /// Deploys one whose model answers by this script.
    pub async fn deploy(script: Script) -> Self {
        let tools = tools();
        let model = ScriptedServer::start(script).await;
        let [port, behind] = free_ports();
        let url = format!("http://127.0.0.1:{port}");
        let through = Endpoint::Through(url.clone());
        let local = LocalAws::start(&tools, behind, &model.url(), through)
            .await
            .unwrap();
        let process = Command::new(tools.bin.join("microburst"))
            .args([
                "--upstream",
                &local.url(),
                "--port",
                &port.to_string(),
                "--no-resign",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("microburst can be started");
        let proxy = Proxy { process, url };
        proxy.wait_until_there().await;
        let stack = Stack::deploy(&tools, &local, &model.url()).await.unwrap();
        Self {
            stack,
            model,
            proxy,
            port: local.port(),
            _local: local,
        }
    }

    /// Has the functions' calls fail by these rules from now on, instead of by those before. What a rule may
    /// say is in the documentation of `microburst`.
    pub async fn fail(&self, rules: &Value) {
        let (url, body) = (format!("{}/_microburst/rules", self.proxy.url), rules.to_string());
        let set = move || {
            ureq::post(&url)
                .header("content-type", "application/json")
                .send(&body)
        };
        tokio::task::spawn_blocking(set)
            .await
            .unwrap()
            .expect("the rules are understood");
    }

    /// How many calls of this operation were made to fail since the proxy was started.
    pub async fn failed(&self, operation: &str) -> usize {
        let url = format!("{}/_microburst/metrics", self.proxy.url);
        let read = move || {
            let mut answer = ureq::get(&url).call().unwrap();
            answer.body_mut().read_to_string().unwrap()
        };
        let metrics = tokio::task::spawn_blocking(read).await.unwrap();
        let label = format!("operation=\"{operation}\"");
        let faults = metrics
            .lines()
            .filter(|line| line.starts_with("microburst_faults_total") && line.contains(&label));
        let count = |line: &str| {
            line.rsplit(' ')
                .next()
                .and_then(|count| count.parse::<usize>().ok())
        };
        faults
            .map(|line| count(line).expect("a count ends each line"))
            .sum()
    }

    /// Kills every process of a function, whatever it is doing, as a machine that fails does. Returns how
    /// many they were.
    #[must_use]
    pub fn kill(&self, function: &str) -> usize {
        let marks = [
            format!("GATEWAY_PORT={}", self.port),
            format!("AWS_LAMBDA_FUNCTION_NAME=bedrock-diy-{function}-dev"),
        ];
        let mut killed = 0;
        for process in std::fs::read_dir("/proc")
            .expect("the fault tests run on Linux")
            .flatten()
        {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            let has = |mark: &String| environment.split('\0').any(|variable| variable == mark);
            if marks.iter().all(has) {
                let pid = process.file_name();
                let sent = Command::new("kill").arg("-KILL").arg(pid).status();
                killed += usize::from(sent.is_ok_and(|status| status.success()));
            }
        }
        killed
    }
}

impl Proxy {
    async fn wait_until_there(&self) {
        let began = Instant::now();
        let url = format!("{}/_microburst/health", self.url);
        loop {
            let url = url.clone();
            let asked = tokio::task::spawn_blocking(move || ureq::get(&url).call().is_ok());
            if asked.await.unwrap() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "microburst does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Ports that are free just now. Both are held until both are chosen: else the second could be the first once more.
fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// What stacks are deployed with: the folders that `cargo verify` names.
fn tools() -> Tools {
    let folder = |name: &str| {
        let folder = std::env::var_os(name);
        PathBuf::from(folder.unwrap_or_else(|| panic!("`cargo verify` sets {name} for these tests")))
    };
    Tools {
        root: std::path::absolute(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap(),
        bin: folder("BEDROCK_DIY_TOOLS"),
        programs: folder("BEDROCK_DIY_PROGRAMS"),
    }
}
