//! What people ask for, the same in the API and on the command line.

use crate::{
    error::{Code, Failure, Result},
    ids::{BatchId, JobId},
    intake::{IntakeMessage, Lane, Submission},
    job::{Job, JobStatus, NewJob},
    pipeline::PipelineRevision,
    ports::{Accepted, Applied, Bus, Clock, Executions, Jobs, Projects, Queue},
};

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// Its job is known, and on its way.
    Taken(Job),
    /// It became no job: this is its session's last one, which has not ended.
    SessionBusy(Job),
}

/// Submits an article whose text is stored; its job is known from then on, and intake tells of it and starts it.
///
/// The message goes first: whoever dies between the two has lost nothing, because intake accepts the job just so. In a
/// session the job is accepted first, because the message of a job that was refused would become one later. Whoever
/// dies in between leaves a job that nobody works; its message is sent by whoever comes next: by the same submission
/// again, or by the next one in the session, which is refused because of it.
pub async fn submit(
    (projects, jobs, queue, clock): (&dyn Projects, &dyn Jobs, &dyn Queue, &dyn Clock),
    lane: Lane,
    submission: Submission,
    default_model: &str,
) -> Result<Submitted> {
    let project = submission.project_id.clone();
    let is_of_session = submission.session_id.is_some();
    if !is_of_session {
        let message = IntakeMessage::Submission(Box::new(submission.clone()));
        queue.send(lane, vec![message]).await?;
    }
    let pipeline = match PipelineRevision::current(projects, &project, default_model).await {
        Err(failure) if !failure.code.is_about_the_project() => return Err(failure),
        pipeline => pipeline,
    };
    let new = NewJob::submitted(lane, submission);
    let change = Job::accept(new, pipeline.as_ref().map_err(Clone::clone), clock.now());
    match jobs.accept(change).await? {
        Accepted::New(job, _) | Accepted::Already(job) => {
            send_on(queue, &job).await?;
            Ok(Submitted::Taken(job))
        }
        Accepted::SessionBusy(open) => {
            send_on(queue, &open).await?;
            Ok(Submitted::SessionBusy(open))
        }
    }
}

/// Sends the message of a session's job that has not begun: whoever accepted it may have died before they did.
/// It does no harm where it was sent.
pub async fn send_on(queue: &dyn Queue, job: &Job) -> Result<()> {
    if job.session_id.is_none() || job.started_at.is_some() {
        return Ok(());
    }
    let message = IntakeMessage::Submission(Box::new(job.submission()));
    queue.send(job.lane, vec![message]).await
}

/// The submission that tries a failed or cancelled job again, from the stage that it ended at: the finished
/// ones come from the memo. A job that was retried before is tried again from where that ended.
///
/// Fails with [`Code::InvalidRequest`] where the last of these jobs has not ended so.
pub async fn retry(jobs: &dyn Jobs, mut job: Job) -> Result<Submission> {
    while let Some(again) = jobs.read(&JobId::of_retry(&job.job_id)).await? {
        job = again;
    }
    if !matches!(job.status, JobStatus::Failed | JobStatus::Cancelled) {
        return Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "the job {} is {}: only failed and cancelled jobs can be retried",
                job.job_id, job.status
            ),
        ));
    }
    Ok(Submission {
        job_id: JobId::of_retry(&job.job_id),
        fresh: false,
        ..again(&job)
    })
}

/// The job whose row tells of a job in a table of results: itself, or the last one of its retries that has ended. None
/// where that has a row of its own: in a table of all batches, or of this one where the retry is in it.
pub async fn told_by(jobs: &dyn Jobs, job: Job, batch: Option<&BatchId>) -> Result<Option<Job>> {
    let first = job.job_id.clone();
    let mut last = job;
    while last.status != JobStatus::Succeeded
        && let Some(retry) = jobs.read(&JobId::of_retry(&last.job_id)).await?
        && retry.status.is_terminal()
    {
        last = retry;
    }
    let has_own_row = last.job_id != first && batch.is_none_or(|batch| *batch == last.batch);
    Ok((!has_own_row).then_some(last))
}

/// The submission that runs a job's article again with what its project runs today, and pays only for what
/// has changed; for everything where it is `fresh`.
///
/// Fails with [`Code::InvalidRequest`] where the job has not ended.
pub fn rerun(job: &Job, today: &PipelineRevision, fresh: Option<JobId>) -> Result<Submission> {
    if !job.status.is_terminal() {
        return Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "the job {} is {}: only jobs that have ended can run again",
                job.job_id, job.status
            ),
        ));
    }
    let is_fresh = fresh.is_some();
    Ok(Submission {
        job_id: fresh.unwrap_or_else(|| JobId::of_rerun(&job.job_id, &today.hash)),
        fresh: is_fresh,
        ..again(job)
    })
}

/// Cancels a job: whoever works it finds out before it begins anything new. Does nothing where it has ended.
pub async fn cancel(
    (jobs, executions, bus, clock): (&dyn Jobs, &dyn Executions, &dyn Bus, &dyn Clock),
    mut job: Job,
    by: &str,
) -> Result<Job> {
    // One that was cancelled before may still have an execution: whoever cancelled it may have died in between.
    if job.status.is_terminal() && job.status != JobStatus::Cancelled {
        return Ok(job);
    }
    while !job.status.is_terminal() {
        job = match jobs.apply(job.cancel(by, clock.now())).await? {
            Applied::Done(job, events) => {
                bus.publish(&events).await?;
                job
            }
            Applied::Stale(job) => job,
        };
    }
    executions.stop(&job.job_id).await?;
    Ok(job)
}

/// The article of a job as another one's.
fn again(job: &Job) -> Submission {
    Submission {
        fresh: false,
        retry_of: Some(job.job_id.clone()),
        ..job.submission()
    }
}
