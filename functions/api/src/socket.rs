//! The API for those who keep a connection open: they ask by messages, and are told what they follow.
//!
//! The same rules as for requests, because it is the same code behind: behind API Gateway's WebSocket API, and in
//! `bedrock-diy serve`.

pub(crate) mod messages;

use std::{borrow::Cow, sync::Arc};

use bedrock_diy_core::{
    access::{Action, Caller},
    follow::{ConnectionId, Had, NeverHad, Topic},
    limits,
    ports::{Following, Follows},
};

use self::messages::{Answer, Asked, Cancel, Follow, Kind, Reply, Submit, Target, Unfollow};
use crate::{
    Api, body,
    following::has_nothing_after,
    problem::{FaultDocument, Problem, ProblemDocument},
};

/// The longest message that is taken, in bytes: what API Gateway takes (Amazon API Gateway quotas, 2026-11). Longer
/// articles go through the API.
pub const MESSAGE_BYTES: usize = 128 * 1_024;

/// The longest frame that is taken, in bytes: what API Gateway takes (Amazon API Gateway quotas, 2026-11). It closes a
/// connection over which a longer one comes with 1009; a longer message comes in several frames.
pub const FRAME_BYTES: usize = 32 * 1_024;

/// The longest text that a problem says as it is where its reply would be too long, in bytes. What was sent may be part
/// of it, such as a name of a property that nobody knows; with all characters escaped, each has six times as many.
const TEXT_BYTES: usize = 1_000;

/// What the faults of a problem may have in a reply that would be too long, in bytes: with all around them, it stays below
/// [`FRAME_BYTES`].
const FAULTS_BYTES: usize = 20 * 1_024;

/// Where a message's problem happened, as a request's path says it.
const INSTANCE: &str = "/socket";

/// Answers messages.
pub struct Socket {
    pub(crate) api: Arc<Api>,
    pub(crate) follows: Arc<dyn Follows>,
}

impl Socket {
    /// Does what a message of this caller asks for, and says what became of it: every message has one reply.
    ///
    /// What the caller follows may be told before the reply that says so.
    pub async fn take(&self, connection: &ConnectionId, caller: &Caller, message: &str) -> String {
        let request_id = request_id(message);
        let answered = self.answer(connection, caller, message).await;
        let id = request_id.as_deref();
        match &answered {
            Ok(answer) => written(id, answer),
            Err(problem) => written_problem(id, problem),
        }
    }

    async fn answer(
        &self,
        connection: &ConnectionId,
        caller: &Caller,
        message: &str,
    ) -> Result<Answer<'static>, Problem> {
        if message.len() > MESSAGE_BYTES {
            return Err(Problem::too_large(
                MESSAGE_BYTES,
                "Send larger articles through the API.",
            ));
        }
        let message = message.as_bytes();
        match body::parse::<Asked>(message)?.kind {
            Kind::Ping => Ok(Answer::Pong {}),
            Kind::Follow => {
                let Follow { target, after } = body::parse(message)?;
                let wrong = |wrong: NeverHad| Problem::parameter("after", wrong.to_string());
                let topic = target.topic()?;
                let had = after.map(|after| after.parse().map_err(wrong)).transpose()?;
                if self.may_have_news(caller, &topic, had.as_ref()).await? {
                    self.follow(connection, &topic, had).await?;
                }
                Ok(Answer::Following {
                    target: Target::of(topic),
                })
            }
            Kind::Unfollow => {
                // What one follows is one's own: nobody need be asked.
                let topic = body::parse::<Unfollow>(message)?.target.topic()?;
                self.follows.unfollow(connection, &topic).await?;
                Ok(Answer::Unfollowed {
                    target: Target::of(topic),
                })
            }
            Kind::Submit => self.submit(connection, caller, body::parse(message)?).await,
            Kind::Cancel => {
                let Cancel { job_id } = body::parse(message)?;
                let job = self.api.job(caller, &job_id, Action::Write).await?;
                Ok(Answer::Cancelled {
                    job: Box::new(self.api.cancel(caller, job).await?.into()),
                })
            }
        }
    }

    async fn submit(
        &self,
        connection: &ConnectionId,
        caller: &Caller,
        submit: Submit,
    ) -> Result<Answer<'static>, Problem> {
        let (project, key) = (submit.project_id, submit.idempotency_key);
        self.api.project(caller, &project, Action::Write).await?;
        let taken = self.api.submit(caller, project, submit.article, key).await?;
        if submit.follow {
            let topic = Topic::Job(taken.job.job_id.clone());
            self.follow(connection, &topic, None).await?;
        }
        Ok(Answer::Submitted {
            job: Box::new(taken.job.into()),
            is_replay: taken.is_replay,
        })
    }

    /// Whether anything more can happen to it. Fails with 404 where the caller may not know of it.
    async fn may_have_news(
        &self,
        caller: &Caller,
        topic: &Topic,
        had: Option<&Had>,
    ) -> Result<bool, Problem> {
        match topic {
            Topic::Job(job) => {
                let job = self.api.job(caller, job, Action::Read).await?;
                Ok(!has_nothing_after(&job, had.map_or(0, Had::events)))
            }
            Topic::Batch(project, _) | Topic::Project(project) => {
                self.api.project(caller, project, Action::Read).await?;
                Ok(true)
            }
        }
    }

    async fn follow(
        &self,
        connection: &ConnectionId,
        topic: &Topic,
        had: Option<Had>,
    ) -> Result<(), Problem> {
        match self.follows.follow(connection, topic, had).await? {
            Following::Told => Ok(()),
            Following::TooMany => Err(Problem::conflict(format!(
                "This connection follows {} things, which is as many as it may: unfollow some, follow a batch or \
                 project as a whole, or open another connection.",
                limits::FOLLOWS
            ))),
            Following::TooManyJobs => Err(Problem::conflict(format!(
                "There are more than {} jobs: follow them without `after`, from now on, and ask the API what has happened \
                 before (GET /api/jobs/{{jobId}}/events).",
                limits::JOBS_SO_FAR
            ))),
        }
    }
}

fn written(request_id: Option<&str>, answer: &Answer<'_>) -> String {
    // Strings and numbers can always be written as JSON.
    serde_json::to_string(&Reply { request_id, answer }).unwrap_or_default()
}

/// A problem's reply. What was sent is part of what a problem says, and may be longer than what is sent back may be: then
/// long texts are cut, with a sign that they are, and faults that don't fit are left out; `detail` says how many they are.
fn written_problem(request_id: Option<&str>, problem: &Problem) -> String {
    let whole = problem.document(INSTANCE, request_id.unwrap_or_default());
    let texts = whole
        .faults
        .iter()
        .map(|fault| fault.field.len() + fault.detail.len());
    if whole.detail.len() + texts.sum::<usize>() <= limits::PUSH_BYTES {
        let problem = problem.document(INSTANCE, request_id.unwrap_or_default());
        let reply = written(request_id, &Answer::Problem { problem });
        if reply.len() <= limits::PUSH_BYTES {
            return reply;
        }
    }
    let mut bytes = 0;
    let texts = whole
        .faults
        .iter()
        .map(|fault| (cut(fault.field), cut(fault.detail)));
    let texts: Vec<_> = texts
        .zip(&whole.faults)
        .take_while(|((field, detail), fault)| {
            let fault = FaultDocument {
                field,
                code: fault.code,
                detail,
            };
            bytes += serde_json::to_string(&fault).map_or(0, |json| json.len() + 1);
            bytes <= FAULTS_BYTES
        })
        .collect();
    let faults: Vec<_> = texts
        .iter()
        .map(|((field, detail), fault)| FaultDocument {
            field,
            code: fault.code,
            detail,
        })
        .collect();
    let mut detail = cut(whole.detail);
    if faults.len() < whole.faults.len() {
        detail = format!("{detail} Here are the first {}.", faults.len()).into();
    }
    let problem = ProblemDocument {
        detail: &detail,
        faults,
        ..problem.document(INSTANCE, request_id.unwrap_or_default())
    };
    written(request_id, &Answer::Problem { problem })
}

/// The beginning of a text that is too long to be said.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES)]).into()
}

/// What the sender calls the message, where that can be read: also of one that can't be understood.
fn request_id(message: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        request_id: Option<String>,
    }
    let named: Named = serde_json::from_str(message).ok()?;
    let mut id = named.request_id?;
    id.truncate(id.floor_char_boundary(messages::REQUEST_ID_BYTES));
    Some(id)
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::{Code, fault::Fault};
    use serde_json::Value;

    use super::*;

    fn fault(field: &str, detail: &str) -> Fault {
        Fault::new(Code::InvalidRequest, field, detail)
    }

    fn replied(faults: Vec<Fault>) -> Value {
        let id = "\u{1}".repeat(messages::REQUEST_ID_BYTES);
        let reply = written_problem(Some(&id), &Problem::invalid(faults));
        assert!(reply.len() < FRAME_BYTES, "{} bytes", reply.len());
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(
            (&reply["type"], &reply["requestId"]),
            (&"problem".into(), &id.into())
        );
        reply["problem"].clone()
    }

    #[test]
    fn whatever_was_sent_its_problem_s_reply_fits_into_a_frame() {
        let problem = replied(vec![fault("/article", "a short one")]);
        assert_eq!(problem["detail"], "a short one");

        // A name of a property that is as long as a message, and has to be escaped.
        let long = "\u{1}".repeat(MESSAGE_BYTES);
        let problem = replied(vec![fault(&long, &long)]);
        let said = problem["faults"][0]["detail"].as_str().unwrap();
        assert!(said.starts_with("\u{1}\u{1}") && said.ends_with('…'), "{said:?}");
        assert_eq!(problem["detail"], said);
        assert_eq!(problem["faults"][0]["field"], said);

        for (text, count) in [("x", 10_000), (&long, 20)] {
            let problem = replied(vec![fault("/article", text); count]);
            let listed = problem["faults"].as_array().unwrap().len();
            assert!(listed > 0);
            assert_eq!(
                problem["detail"],
                format!("{count} things are wrong: `faults` lists them. Here are the first {listed}.")
            );
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let cut = cut(&"한".repeat(TEXT_BYTES)).into_owned();
        assert_eq!(cut, format!("{}…", "한".repeat(TEXT_BYTES / 3)));
    }
}
