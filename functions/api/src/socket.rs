//! The API for those who keep a connection open: they ask by messages, and are told what they follow.
//!
//! The same rules as for requests, because it is the same code behind: behind API Gateway's WebSocket API, and in
//! `bedrock-diy serve`.

pub(crate) mod messages;

use std::sync::Arc;

use bedrock_diy_core::{
    access::{Action, Caller},
    follow::{ConnectionId, Had, NeverHad, Topic},
    limits,
    ports::{Following, Follows},
};

use self::messages::{Answer, Asked, Cancel, Follow, Kind, Reply, Submit, Target, Unfollow};
use crate::{Api, body, following::has_nothing_after, problem::Problem};

/// The longest message that is taken, in bytes: what API Gateway takes (Amazon API Gateway quotas, 2026-11). Longer
/// articles go through the API.
pub const MESSAGE_BYTES: usize = 128 * 1_024;

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
        let answer = match &answered {
            Ok(answer) => answer,
            Err(problem) => &Answer::Problem {
                problem: problem.document(INSTANCE, id.unwrap_or_default()),
            },
        };
        // Strings and numbers can always be written as JSON.
        serde_json::to_string(&Reply {
            request_id: id,
            answer,
        })
        .unwrap_or_default()
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
