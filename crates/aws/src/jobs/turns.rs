//! Whose turn it is in a session: an item beside the jobs names its last one, and is written by the transaction that
//! accepts that.

use aws_sdk_dynamodb::types::TransactWriteItem;
use bedrock_diy_core::{
    JobId, SessionId,
    error::Result,
    job::{Change, Job},
    ports::{Accepted, Jobs as _},
};

use super::DynamoJobs;
use crate::{
    dynamo::{self, Item, Written, put_if, text},
    storage::{failure, unavailable},
};

/// The sort key of the item, and the attribute that names the job.
const LAST: &str = "LAST";
const LAST_JOB: &str = "lastJob";

/// How often another job may have got the turn, and have ended, before it is given up.
const TRIES: u32 = 10;

impl DynamoJobs {
    /// Accepts a job that takes the turn in this session; `items` are what is written with it.
    ///
    /// The session's last job is looked at before, and named as the condition: what has ended stays so.
    pub(super) async fn accept_in_turn(
        &self,
        session: &SessionId,
        change: Change,
        items: Vec<TransactWriteItem>,
    ) -> Result<Accepted> {
        let Change { job, events, .. } = change;
        let what = format!("accepting the job {}", job.job_id);
        for _ in 0..TRIES {
            let last = self.last_job(session, &job).await?;
            let open = match last.as_ref().filter(|last| **last != job.job_id) {
                Some(last) => self.read(last).await?.filter(|last| !last.status.is_terminal()),
                None => None,
            };
            if open.is_none() {
                let mut items = items.clone();
                items.push(self.turn(session, &job, last)?);
                if let Written::All = dynamo::write(&self.client, &what, items).await? {
                    return Ok(Accepted::New(job, events));
                }
            }
            // Refused because of itself, or of another one, which may have got the turn just now.
            if let Some(known) = self.read(&job.job_id).await? {
                return Ok(Accepted::Already(known));
            }
            if let Some(open) = open {
                return Ok(Accepted::SessionBusy(open));
            }
        }
        Err(unavailable(format!(
            "{what}: others took the turn in its session {TRIES} times meanwhile"
        )))
    }

    /// The last job of the session that a job is to be the next of.
    async fn last_job(&self, session: &SessionId, next: &Job) -> Result<Option<JobId>> {
        let get = self.client.get_item().table_name(&self.table);
        let got = get
            .consistent_read(true)
            .set_key(Some(session_key(session, next)))
            .send()
            .await;
        let got = got.map_err(|error| failure("looking whose turn it is in a session", &error))?;
        let last = got.item().and_then(|item| item.get(LAST_JOB)?.as_s().ok());
        last.map(JobId::new).transpose()
    }

    /// Notes a job as its session's last one, where that still is `last`.
    fn turn(&self, session: &SessionId, job: &Job, last: Option<JobId>) -> Result<TransactWriteItem> {
        let mut item = session_key(session, job);
        item.insert(LAST_JOB.to_owned(), text(job.job_id.as_str()));
        dynamo::expires(&mut item, job.accepted_at, self.retention_days);
        match last {
            Some(last) => {
                let last = text(last.as_str());
                put_if(&self.table, item, "lastJob = :last", [(":last", last)])
            }
            None => put_if(&self.table, item, "attribute_not_exists(jobId)", []),
        }
    }
}

/// The key of a session's item: no job's id begins so.
fn session_key(session: &SessionId, of: &Job) -> Item {
    let session = format!("SESSION#{}#{session}", of.project_id);
    Item::from([
        ("jobId".to_owned(), text(session)),
        ("item".to_owned(), text(LAST)),
    ])
}
