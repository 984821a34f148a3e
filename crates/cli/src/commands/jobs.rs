//! `bedrock-diy jobs …`.

mod batch;
mod elsewhere;
mod followed;
mod shown;
pub(super) mod told;

use std::{path::Path, sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code, Failure, JobId,
    catalogue::Catalogue,
    commands,
    error::Result,
    intake::{IntakeMessage, Lane},
    job::{Job, JobStatus, unknown_job},
    ports::{Bus, Clock, Executions, Jobs as JobsPort, Queue},
};
use bedrock_diy_embedded::{JobRow, RowFilter};

pub(super) use self::followed::follow;
use self::shown::{Shown, ShownStage, list_table, print_stages};
use crate::{
    arguments::{DeadLetters, Elsewhere, Jobs, ListJobs, OneJob, Status},
    exit::Exit,
    machine::Machine,
    remote::Remote,
    terminal::{plain, print, say},
    text::shortened,
};

/// Jobs read at once: a list of any length goes through in pages.
const PAGE: usize = 500;

/// So often it is looked whether another process has stored something.
const LOOK: Duration = Duration::from_millis(200);

/// Does what was asked for with jobs.
pub(super) async fn jobs(
    elsewhere: &Elsewhere,
    data: &Path,
    catalogue: Catalogue,
    command: Jobs,
) -> Result<Exit> {
    if let Some(remote) = Remote::named(elsewhere, data)? {
        return elsewhere::jobs(&remote, command).await;
    }
    let machine = Machine::open(data, Arc::new(catalogue))?;
    match command {
        Jobs::List(list) => list_jobs(&machine, list).await,
        Jobs::Show(one) => show(&machine, &one).await,
        Jobs::Events(one) => events(&machine, &one).await,
        Jobs::DeadLetters(list) => dead_letters(&machine, &list),
        Jobs::Retry(some) => retry(&machine, &some.jobs).await,
        Jobs::Cancel(some) => cancel(&machine, &some.jobs).await,
    }
}

async fn list_jobs(machine: &Machine, list: ListJobs) -> Result<Exit> {
    let before = match &list.before {
        Some(job) => Some(row_of(machine, &find(machine, job).await?.job_id)?),
        None => None,
    };
    let mut filter = RowFilter {
        project: list.project,
        batch: list.batch,
        status: list.status.map(status),
        before,
        limit: PAGE,
        ..RowFilter::default()
    };
    let most = if list.all { usize::MAX } else { list.limit };
    let mut table = list_table();
    let mut last = None;
    let mut listed = 0;
    while listed < most {
        filter.limit = PAGE.min(most - listed);
        let page = machine.jobs.rows(&filter)?;
        for row in &page {
            if list.json {
                print(json(&row.job)?)?;
            } else {
                table.add_row(Shown::from(&row.job).row());
            }
        }
        listed += page.len();
        last = page.last().map(|row| row.job.job_id.clone());
        filter.before = page.last().map(|row| row.row);
        if page.len() < filter.limit {
            break;
        }
    }
    if list.json {
        return Ok(Exit::Success);
    }
    if listed == 0 {
        print("There are no such jobs.")?;
        return Ok(Exit::Success);
    }
    print(table)?;
    if let Some(last) = last.filter(|_| listed == most) {
        filter.limit = 1;
        if !machine.jobs.rows(&filter)?.is_empty() {
            print(format_args!(
                "There are more: go on with --before {last}, or take --all."
            ))?;
        }
    }
    Ok(Exit::Success)
}

fn dead_letters(machine: &Machine, list: &DeadLetters) -> Result<Exit> {
    let letters = machine.queue.dead_letters(list.limit)?;
    for letter in &letters {
        if list.json {
            let message = serde_json::from_str(&letter.body)
                .unwrap_or_else(|_| serde_json::Value::String(letter.body.clone()));
            print(json(&serde_json::json!({
                "queue": letter.queue,
                "diedAt": letter.died_at,
                "receives": letter.receives,
                "reason": letter.reason,
                "message": message,
            }))?)?;
            continue;
        }
        print(format_args!(
            "{} {}: {} (received {} times)",
            letter.died_at,
            letter.queue,
            plain(&letter.reason),
            letter.receives
        ))?;
        print(format_args!("    {}", shortened(&plain(&letter.body), 200)))?;
    }
    if letters.is_empty() && !list.json {
        print("Every message could be handled.")?;
    }
    Ok(Exit::Success)
}

async fn show(machine: &Machine, one: &OneJob) -> Result<Exit> {
    let job = find(machine, &one.job).await?;
    let stages = machine.jobs.stages(&job.job_id).await?;
    if one.json {
        print(json(&serde_json::json!({ "job": job, "stages": *stages }))?)?;
        return Ok(Exit::Success);
    }
    let later = JobId::of_retry(&job.job_id);
    let later = machine.jobs.read(&later).await?.map(|_| later);
    Shown::from(&job).print(later.as_ref())?;
    print_stages(stages.iter().map(ShownStage::from))?;
    Ok(Exit::Success)
}

async fn events(machine: &Machine, one: &OneJob) -> Result<Exit> {
    let job = find(machine, &one.job).await?;
    for event in machine.jobs.events(&job.job_id, 0, usize::MAX >> 1).await? {
        told::tell(&event, one.json)?;
    }
    Ok(Exit::Success)
}

/// A retry is a new job: the old one stays as it ended, and its finished stages come from the memo.
async fn retry(machine: &Machine, jobs: &[String]) -> Result<Exit> {
    // All are looked at before any is retried.
    let mut submissions = Vec::new();
    for job in jobs {
        let job = find(machine, job).await?;
        submissions.push(
            commands::retry(&machine.jobs, job)
                .await
                .map_err(|failure| Failure {
                    detail: format!("{}; nothing was retried", failure.detail),
                    ..failure
                })?,
        );
    }
    for submission in submissions {
        let again = submission.job_id.clone();
        machine
            .queue
            .send(Lane::Live, vec![IntakeMessage::Submission(Box::new(submission))])
            .await?;
        print(again)?;
    }
    say("The retries are in the queue: `bedrock-diy serve` (running or started now) works them.");
    Ok(Exit::Success)
}

async fn cancel(machine: &Machine, jobs: &[String]) -> Result<Exit> {
    let mut found = Vec::new();
    for job in jobs {
        found.push(find(machine, job).await?);
    }
    for job in found {
        let ports: (&dyn JobsPort, &dyn Executions, &dyn Bus, &dyn Clock) =
            (&machine.jobs, &machine.executions, &machine.bus, &*machine.clock);
        let job = commands::cancel(ports, job, "command line").await?;
        print(format_args!("{} {}", job.job_id, job.status))?;
    }
    Ok(Exit::Success)
}

/// The job of this id, or the one whose id begins so.
async fn find(machine: &Machine, said: &str) -> Result<Job> {
    // Ids have capitals; nobody types them.
    let beginning = said.to_ascii_uppercase();
    if let Ok(id) = JobId::new(beginning.clone()) {
        return machine.jobs.read(&id).await?.ok_or_else(|| unknown_job(&id));
    }
    let is_beginning = !beginning.is_empty() && beginning.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut found = Vec::new();
    if is_beginning {
        every_job(machine, |row| {
            if row.job.job_id.as_str().starts_with(&beginning) {
                found.push(row.job);
            }
            // Two are enough to know that it says too little.
            found.len() < 2
        })?;
    }
    match (found.pop(), found.pop()) {
        (Some(job), None) => Ok(job),
        (Some(one), Some(other)) => Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "{said:?} is the beginning of several jobs' ids, such as {one} and {other}: write more of it",
                one = one.job_id,
                other = other.job_id
            ),
        )),
        (None, _) => Err(Failure::new(
            Code::InvalidRequest,
            format!("no job's id is {said:?} or begins so: `bedrock-diy jobs list` lists them"),
        )),
    }
}

/// The job's place in the list.
fn row_of(machine: &Machine, job: &JobId) -> Result<i64> {
    let mut found = None;
    every_job(machine, |row| {
        found = (row.job.job_id == *job).then_some(row.row);
        found.is_none()
    })?;
    found.ok_or_else(|| unknown_job(job))
}

/// Shows `look` every job, the newest first, until it says false.
fn every_job(machine: &Machine, mut look: impl FnMut(JobRow) -> bool) -> Result<()> {
    let mut filter = RowFilter {
        limit: PAGE,
        ..RowFilter::default()
    };
    loop {
        let page = machine.jobs.rows(&filter)?;
        let is_last = page.len() < PAGE;
        for row in page {
            filter.before = Some(row.row);
            if !look(row) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

fn status(status: Status) -> JobStatus {
    match status {
        Status::Accepted => JobStatus::Accepted,
        Status::Running => JobStatus::Running,
        Status::Succeeded => JobStatus::Succeeded,
        Status::Failed => JobStatus::Failed,
        Status::Cancelled => JobStatus::Cancelled,
    }
}

fn json<T: serde::Serialize>(document: &T) -> Result<String> {
    serde_json::to_string(document).map_err(|error| cannot_print(&error))
}

fn cannot_print(error: &serde_json::Error) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("it can't be printed as JSON: {error}"),
    )
}
