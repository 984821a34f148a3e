//! A session of an API: messages are sent, and their jobs followed.

use bedrock_diy_core::{Code, JobId, ProjectId, SessionId, error::Result};
use serde::Deserialize;
use serde_json::json;

use crate::{
    exit::Exit,
    following::{Following, Transcript, ended},
    remote::{JobDocument, Remote, escaped},
    terminal::{plain_lines, say},
};

/// The batch that messages are listed in.
const BATCH: &str = "chat";

/// What the articles are called that messages are.
const NAME: &str = "message";

/// Messages that are shown where a session is gone on with.
const SHOWN: usize = 2;

/// A conversation.
pub(super) struct Talk<'a> {
    remote: &'a Remote,
    project: ProjectId,
    pub(super) session: SessionId,
}

/// A page of a session's messages, the newest first.
#[derive(Debug, Deserialize)]
struct Messages {
    items: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    text: String,
}

impl<'a> Talk<'a> {
    pub(super) fn of(remote: &'a Remote, project: ProjectId, session: SessionId) -> Self {
        Self {
            remote,
            project,
            session,
        }
    }

    /// Shows what was said last, and returns what the user has said lately, in order.
    pub(super) async fn said_before(&self) -> Result<Vec<String>> {
        let at = format!("/api/sessions/{}/messages", escaped(self.session.as_str()));
        let said = self.remote.get(&at).query("projectId", self.project.as_str());
        let said: Messages = said.send().await?.json().await?;
        if said.items.is_empty() {
            say("Nothing was said in this session before.");
        }
        for message in said.items.iter().take(SHOWN).rev() {
            say(format_args!("{}: {}", message.role, plain_lines(&message.text)));
        }
        let by_user = said
            .items
            .into_iter()
            .rev()
            .filter(|message| message.role == "user");
        Ok(by_user.map(|message| message.text).collect())
    }

    /// Sends a message, and shows how it is answered. Waits for the session's turn where another one is being
    /// answered.
    pub(super) async fn say(&self, text: &str) -> Result<Exit> {
        let at = format!("/api/projects/{}/articles", self.project);
        let message = json!({
            "text": text, "name": NAME, "sessionId": self.session, "batch": BATCH, "lane": "live",
        });
        // Sent again, it is the same message.
        let key = format!("{:032x}", rand::random::<u128>());
        loop {
            let call = self.remote.post(&at).header("Idempotency-Key", &key);
            match call.persistent().json(&message).send().await {
                Ok(taken) => {
                    let job: JobDocument = taken.json().await?;
                    return self.watch(job.job_id).await;
                }
                Err(refusal) => match &refusal.job {
                    Some(open) if refusal.failure.code == Code::SessionBusy => {
                        say("An earlier message of this session is still being answered; yours goes next.");
                        if self.watch(open.clone()).await? == Exit::Interrupted {
                            return Ok(Exit::Interrupted);
                        }
                    }
                    _ => return Err(refusal.into()),
                },
            }
        }
    }

    /// Shows a job's stages until it has ended. Ctrl-C cancels it, a second one stops.
    async fn watch(&self, job: JobId) -> Result<Exit> {
        let mut following = Following::to_its_end(self.remote, job.clone());
        let mut transcript = Transcript::of(self.remote, job.clone());
        let mut exit = Exit::SomeFailed;
        let mut is_cancelled = false;
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                biased;
                _ = &mut interrupted => {
                    if is_cancelled {
                        return Ok(Exit::Interrupted);
                    }
                    is_cancelled = true;
                    interrupted.set(tokio::signal::ctrl_c());
                    let cancel = self.remote.post(&format!("/api/jobs/{job}:cancel"));
                    cancel.persistent().send().await?;
                }
                events = following.next() => {
                    let Some(events) = events? else { return Ok(exit) };
                    for event in &events {
                        transcript.tell(event).await?;
                    }
                    exit = ended(events.last()).unwrap_or(exit);
                }
            }
        }
    }
}
