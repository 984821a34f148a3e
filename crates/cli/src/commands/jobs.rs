//! `bedrock-diy jobs …`.

use std::{path::Path, sync::Arc};

use bedrock_diy_core::{
    Code, Failure, JobId,
    catalogue::Catalogue,
    error::Result,
    intake::{IntakeMessage, Lane, Submission},
    job::{Job, JobStatus, unknown_job},
    ports::{Applied, Clock, Executions, Jobs as _, Queue},
};
use bedrock_diy_embedded::JobFilter;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    arguments::{Jobs, ListJobs, OneJob, Status},
    exit::Exit,
    machine::Machine,
    text::{dollars, duration, grouped, shortened},
};

/// Does what was asked for with jobs.
pub(super) async fn jobs(data: &Path, catalogue: Catalogue, command: Jobs) -> Result<Exit> {
    let machine = Machine::open(data, Arc::new(catalogue))?;
    match command {
        Jobs::List(list) => list_jobs(&machine, list),
        Jobs::Show(one) => show(&machine, &one).await,
        Jobs::Events(one) => events(&machine, &one).await,
        Jobs::Retry(some) => retry(&machine, &some.jobs).await,
        Jobs::Cancel(some) => cancel(&machine, &some.jobs).await,
    }
}

fn list_jobs(machine: &Machine, list: ListJobs) -> Result<Exit> {
    let filter = JobFilter {
        project: list.project,
        batch: list.batch,
        status: list.status.map(status),
        before: None,
        limit: list.limit,
    };
    let found = machine.jobs.list(&filter)?;
    if list.json {
        for row in &found {
            println!("{}", json(&row.job)?);
        }
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "Job", "Article", "Project", "Status", "Stages", "Tokens", "Cost", "Accepted",
    ]);
    for row in &found {
        let job = &row.job;
        let status = job.error.as_ref().map_or_else(
            || job.status.to_string(),
            |error| format!("{} {}", job.status, error.code),
        );
        table.add_row([
            job.job_id.to_string(),
            shortened(&job.article.name, 40),
            job.project_id.to_string(),
            status,
            format!("{}/{}", job.stages_done, job.stages),
            grouped(job.usage.total()),
            dollars(job.cost),
            job.accepted_at.to_string(),
        ]);
    }
    println!("{table}");
    if found.len() == list.limit {
        println!("There may be more: raise --limit.");
    }
    Ok(Exit::Success)
}

async fn show(machine: &Machine, one: &OneJob) -> Result<Exit> {
    let job = find(machine, &one.job).await?;
    let stages = machine.jobs.stages(&one.job).await?;
    if one.json {
        println!("{}", json(&serde_json::json!({ "job": job, "stages": stages }))?);
        return Ok(Exit::Success);
    }
    println!("Job      {}", job.job_id);
    println!(
        "Article  {} ({} bytes)",
        job.article.name,
        grouped(job.article.source.size)
    );
    println!("Project  {}, batch {}", job.project_id, job.batch);
    println!("Status   {}", job.status);
    if let Some(error) = &job.error {
        println!("         {}: {}", error.code, error.message);
    }
    if let Some(earlier) = &job.retry_of {
        println!("Retry of {earlier}");
    }
    if let Some(ended) = job.ended_at {
        let time = std::time::Duration::from_millis(ended.millis_since(job.accepted_at));
        println!("Time     {} (accepted {})", duration(time), job.accepted_at);
    }
    println!(
        "Cost     {}, {} tokens",
        dollars(job.cost),
        grouped(job.usage.total())
    );
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "Stage",
        "Card",
        "Revision",
        "Model",
        "Tokens",
        "Cost",
        "Model time",
        "Output",
    ]);
    for stage in &stages {
        table.add_row([
            stage.stage.to_string(),
            stage.prompt_id.to_string(),
            stage.revision.to_string(),
            stage.model.clone(),
            if stage.memo_hit {
                "from the memo".to_owned()
            } else {
                grouped(stage.usage.total())
            },
            dollars(stage.cost),
            duration(std::time::Duration::from_millis(stage.model_ms)),
            stage.output.key.clone(),
        ]);
    }
    println!("{table}");
    Ok(Exit::Success)
}

async fn events(machine: &Machine, one: &OneJob) -> Result<Exit> {
    find(machine, &one.job).await?;
    for event in machine.jobs.events(&one.job, 0, usize::MAX >> 1).await? {
        if one.json {
            println!("{}", json(&event)?);
        } else {
            let facts = serde_json::to_value(&event.fact).map_err(|error| cannot_print(&error))?;
            let facts: Vec<_> = facts
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| *key != "type")
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            println!(
                "{:>4}  {}  {:<16} {}",
                event.number,
                event.at,
                event.fact.name(),
                facts.join(" ")
            );
        }
    }
    Ok(Exit::Success)
}

/// A retry is a new job: the old one stays as it ended, and its finished stages come from the memo.
async fn retry(machine: &Machine, jobs: &[JobId]) -> Result<Exit> {
    for job_id in jobs {
        let job = find(machine, job_id).await?;
        if !matches!(job.status, JobStatus::Failed | JobStatus::Cancelled) {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "the job {job_id} is {}: only failed and cancelled jobs can be retried",
                    job.status
                ),
            ));
        }
        let again = JobId::of_retry(job_id);
        let submission = Submission {
            job_id: again.clone(),
            project_id: job.project_id,
            batch: job.batch,
            name: job.article.name,
            object: job.article.source,
            meta: job.article.meta,
            session_id: job.session_id,
            fresh: false,
            retry_of: Some(job_id.clone()),
        };
        machine
            .queue
            .send(Lane::Live, vec![IntakeMessage::Submission(Box::new(submission))])
            .await?;
        println!("{again}");
    }
    eprintln!("The retries are in the queue: `bedrock-diy serve` (running or started now) works them.");
    Ok(Exit::Success)
}

async fn cancel(machine: &Machine, jobs: &[JobId]) -> Result<Exit> {
    for job_id in jobs {
        let mut job = find(machine, job_id).await?;
        while !job.status.is_terminal() {
            let change = job.cancel("command line", machine.clock.now());
            job = match machine.jobs.apply(change).await? {
                Applied::Done(job) | Applied::Stale(job) => job,
            };
        }
        machine.executions.stop(job_id).await?;
        println!("{job_id} {}", job.status);
    }
    Ok(Exit::Success)
}

async fn find(machine: &Machine, job: &JobId) -> Result<Job> {
    machine.jobs.read(job).await?.ok_or_else(|| unknown_job(job))
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
