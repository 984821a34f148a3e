//! Who may do what: the table of docs/ACCESS.md, cell by cell, wherever the API runs.

use std::iter;

use serde_json::{Value, json};

use crate::{Client, Served, users::Users};

const TABLE: &str = include_str!("../../docs/ACCESS.md");

const ROLES: [&str; 3] = ["viewer", "editor", "admin"];
const STANDINGS: [&str; 3] = ["stranger", "member", "owner"];

/// How often something is asked for that others get in the way of.
const TRIES: usize = 10;

/// Where the API runs, and who has tokens there.
pub trait Callers {
    /// Somebody with this role.
    fn somebody(&self, name: &str, role: &str) -> Client;

    /// The same somebody, with another role from now on.
    fn another_role(&self, name: &str, role: &str) -> Client;
}

impl Callers for Served {
    fn somebody(&self, name: &str, role: &str) -> Client {
        self.somebody(name, role)
    }

    fn another_role(&self, name: &str, role: &str) -> Client {
        self.another_role(name, role)
    }
}

impl Callers for Users {
    fn somebody(&self, name: &str, role: &str) -> Client {
        self.somebody(name, role)
    }

    fn another_role(&self, name: &str, role: &str) -> Client {
        self.another_role(name, role)
    }
}

/// A line of the table: a route, and what each column is answered with.
pub struct Line {
    /// The HTTP method.
    pub method: String,
    /// The path, with its parameters in braces.
    pub path: String,
    answers: Vec<String>,
}

/// The table's lines.
#[must_use]
pub fn table() -> Vec<Line> {
    let lines = TABLE.lines().filter(|line| {
        ["| GET ", "| POST ", "| PATCH ", "| DELETE "]
            .iter()
            .any(|method| line.starts_with(method))
    });
    lines
        .map(|line| {
            let cells: Vec<_> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            Line {
                method: cells[0].clone(),
                path: cells[1].clone(),
                answers: cells[2..].to_vec(),
            }
        })
        .collect()
}

/// Somebody with a project to ask for, and what is in it.
struct Somebody {
    role: &'static str,
    standing: &'static str,
    client: Client,
    project: String,
    job: String,
    hook: String,
    webhook: String,
    delivery: String,
}

impl Somebody {
    /// What the table's line says for them.
    fn expected(&self, line: &Line) -> u16 {
        let column = match (self.role, self.standing) {
            ("admin", _) => 5,
            (_, "stranger") => 1,
            ("editor", "owner") => 4,
            ("editor", _) => 3,
            _ => 2,
        };
        match line.answers[column].as_str() {
            "by role" if self.role == "editor" => 201,
            "by role" => 403,
            status => status.parse().unwrap(),
        }
    }

    fn address(&self, line: &Line) -> String {
        let path = line
            .path
            .replace("{projectId}", &self.project)
            .replace("{promptId}", "step-1")
            .replace("{revision}/diff", "1/diff?against=1")
            .replace("{revision}", "1")
            .replace("{jobId}", &self.job)
            .replace("{stage}", "1")
            .replace("{batch}", "api")
            .replace("{hookId}", &self.hook)
            .replace("{webhookId}", &self.webhook)
            .replace("{deliveryId}", &self.delivery);
        if path.contains("{sessionId}") {
            format!(
                "{}?projectId={}",
                path.replace("{sessionId}", "talk"),
                self.project
            )
        } else {
            path
        }
    }

    /// What the route is sent.
    fn body(&self, line: &Line) -> Option<Value> {
        let name = format!("{}-{}", self.role, self.standing);
        Some(
            match (line.method.as_str(), line.path.rsplit('/').next().unwrap()) {
                ("POST", "projects") => json!({"name": format!("{name} again")}),
                ("PATCH", "{projectId}") => json!({"description": "changed"}),
                ("POST", "prompts") => json!({"title": "Another", "content": "Do it.", "isActive": false}),
                ("POST", "prompts:reorder") => json!({"order": ["step-1", "another"]}),
                ("PATCH", "{promptId}") => json!({"content": "Do it well."}),
                ("POST", "{promptId}:rollback") => json!({"revision": 1}),
                ("POST", "{promptId}:try" | "articles" | "{hookId}:test" | "{hookId}") => {
                    json!({"text": "The bridge opens."})
                }
                ("POST", "articles:upload") => json!({"name": "bridge.pdf", "bytes": 1_000}),
                ("POST", "estimate") => json!({"articles": [{"characters": 1_000}]}),
                ("POST", "hooks") => hook(),
                ("POST", "webhooks") => webhook(),
                ("PATCH", "{hookId}" | "{webhookId}") => json!({"name": "Changed"}),
                ("POST", "{hookId}:rotate" | "{webhookId}:rotate") => json!({}),
                _ => return None,
            },
        )
    }

    fn ask(&self, client: &Client, line: &Line) -> u16 {
        let ask = || {
            let mut call = client.call(&line.method, &self.address(line));
            if let Some(body) = self.body(line) {
                call = call.json(&body);
            }
            call.header("If-Match", "*").send().status
        };
        // An attempt that is noted meanwhile refuses a redelivery, which is to be asked for again.
        let is_refused = |status: &u16| *status == 409 && line.path.ends_with(":redeliver");
        let mut answers = iter::repeat_with(ask).take(TRIES);
        answers.find(|status| !is_refused(status)).unwrap_or(409)
    }
}

fn hook() -> Value {
    json!({"name": "CMS", "scheme": {"kind": "standardWebhooks"}, "mapping": {"text": "/text"}})
}

/// A webhook whose receiver is nowhere: whatever comes of it, comes of it later.
fn webhook() -> Value {
    json!({"name": "The desk", "url": "https://receiver.invalid/hook", "events": ["job.failed"]})
}

/// Nine people, each with a project that has a card, a job that has succeeded, a hook, and a webhook with a delivery.
fn everybody(callers: &impl Callers, admin: &Client) -> Vec<Somebody> {
    let mut all = Vec::new();
    for role in ROLES {
        for standing in STANDINGS {
            let name = format!("{role}-{standing}");
            let project = name.clone();
            // Viewers own what they made when they were editors.
            let person = callers.somebody(&name, if standing == "owner" { "editor" } else { role });
            let subject = person.get("/api/me").expect(200).json()["subject"].clone();
            let members = if standing == "member" {
                vec![subject]
            } else {
                Vec::new()
            };
            let maker = if standing == "owner" { &person } else { admin };
            let new = json!({"projectId": project, "name": name, "members": members});
            let _ = maker.post("/api/projects", &new).expect(201);
            let at = format!("/api/projects/{project}");
            let card = json!({"title": "Step 1", "content": "Do step 1."});
            let _ = admin.post(&format!("{at}/prompts"), &card).expect(201);
            let article = json!({"text": "The bridge opens.", "sessionId": "talk"});
            let job = admin.post(&format!("{at}/articles"), &article).expect(202).json();
            let made = admin.post(&format!("{at}/hooks"), &hook()).expect(201).json();
            let webhooks = format!("{at}/webhooks");
            let told = admin.post(&webhooks, &webhook()).expect(201).json();
            let webhook = told["webhookId"].as_str().unwrap().to_owned();
            let ping = admin.call("POST", &format!("{webhooks}/{webhook}:ping"));
            let ping = ping.send().expect(202).json();
            let client = if standing == "owner" && role != "editor" {
                callers.another_role(&name, role)
            } else {
                person
            };
            all.push(Somebody {
                role,
                standing,
                client,
                project,
                job: job["jobId"].as_str().unwrap().to_owned(),
                hook: made["hookId"].as_str().unwrap().to_owned(),
                webhook,
                delivery: ping["deliveryId"].as_str().unwrap().to_owned(),
            });
        }
    }
    for somebody in &all {
        let job = admin.ended(&format!("/api/jobs/{}", somebody.job));
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
    }
    all
}

/// Asks every route as every kind of caller, and says where an answer is not the table's.
#[must_use]
pub fn departures(callers: &impl Callers) -> Vec<String> {
    let admin = callers.somebody("the-admin", "admin");
    let everybody = everybody(callers, &admin);
    let nobody = admin.as_other(None);
    let forger = admin.as_other(Some("bd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let mut wrong = Vec::new();
    for line in table() {
        let mut expect = |who: &str, got: u16, expected: u16| {
            if got != expected {
                wrong.push(format!(
                    "{} {} as {who}: {got}, not {expected}",
                    line.method, line.path
                ));
            }
        };
        let somebodys = &everybody[0];
        let nobodys: u16 = line.answers[0].parse().unwrap();
        expect("nobody", somebodys.ask(&nobody, &line), nobodys);
        expect("a forger", somebodys.ask(&forger, &line), nobodys);
        for somebody in &everybody {
            let who = format!("{} {}", somebody.role, somebody.standing);
            expect(
                &who,
                somebody.ask(&somebody.client, &line),
                somebody.expected(&line),
            );
        }
    }
    wrong
}
