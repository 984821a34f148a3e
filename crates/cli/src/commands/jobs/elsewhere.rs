//! Jobs of an API. What is printed is what is printed of this machine's jobs, as far as the API tells it.

use bedrock_diy_core::{Code, Failure, JobId, ProjectId, error::Result, project::Project, time::Timestamp};
use serde_json::{Value, json};

use super::{
    shown::{Shown, ShownStage, list_table, print_stages},
    status, told,
};
use crate::{
    arguments::{Jobs, ListJobs, OneJob},
    exit::Exit,
    remote::{JobDocument, Pages, Remote, understood},
    terminal::{print, say},
};

/// Jobs that are listed at once: as many as the API shows.
pub(super) const PAGE: usize = 200;

/// So many projects are looked at for a job of which the beginning of its id is said.
const PROJECTS: usize = 50;

/// So many of a project's newest jobs are looked at for the beginning of an id.
const SEARCHED: usize = 1_000;

/// Does what was asked for with jobs.
pub(super) async fn jobs(remote: &Remote, command: Jobs) -> Result<Exit> {
    match command {
        Jobs::List(list) => list_jobs(remote, &list).await,
        Jobs::Show(one) => show(remote, &one).await,
        Jobs::Retry(some) => retry(remote, &some.jobs).await,
        Jobs::Cancel(some) => cancel(remote, &some.jobs).await,
        Jobs::Events(one) => {
            let job = find(remote, &one.job).await?.job_id;
            told::of_api(remote, &job, one.json, false).await
        }
        Jobs::DeadLetters(_) => Err(untold(
            "messages that could not be handled: look at the dead-letter queues",
        )),
    }
}

/// Tells what happens to a job until it has ended.
pub(super) async fn follow(remote: &Remote, job: &str, as_json: bool) -> Result<Exit> {
    let job = find(remote, job).await?.job_id;
    told::of_api(remote, &job, as_json, true).await
}

fn untold(what: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("the API does not show {what}"))
}

async fn list_jobs(remote: &Remote, list: &ListJobs) -> Result<Exit> {
    let project = list.project.as_ref().ok_or_else(|| {
        let detail =
            "say whose jobs to list, with --project ID: `bedrock-diy projects list` lists the projects";
        Failure::new(Code::InvalidRequest, detail)
    })?;
    let before = match &list.before {
        Some(job) => Some(find(remote, job).await?),
        None => None,
    };
    let most = if list.all { usize::MAX } else { list.limit };
    let mut query = vec![("limit", PAGE.min(most.saturating_add(1)).to_string())];
    query.extend(list.batch.as_ref().map(|batch| ("batch", batch.to_string())));
    query.extend(list.status.map(|said| ("status", status(said).to_string())));
    // The moment is one that several may have been accepted at: those are gone through here.
    query.extend(
        before
            .as_ref()
            .map(|job| ("to", job.accepted_at.plus_millis(1).to_string())),
    );
    let mut pages = remote.list::<Value>(&format!("/api/projects/{project}/jobs"), query);
    let mut skip = Skip(before.map(|job| (job.job_id, job.accepted_at)));
    let mut table = list_table();
    let (mut last, mut listed, mut more) = (None, 0, false);
    'pages: while let Some(page) = pages.next().await? {
        for document in page {
            let job: JobDocument = understood(document.clone())?;
            if skip.takes(&job) {
                continue;
            }
            if listed == most {
                more = true;
                break 'pages;
            }
            listed += 1;
            if list.json {
                print(as_here(document))?;
            } else {
                table.add_row(Shown::from(&job).row());
            }
            last = Some(job.job_id);
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
    if let Some(last) = last.filter(|_| more) {
        print(format_args!(
            "There are more: go on with --before {last}, or take --all."
        ))?;
    }
    Ok(Exit::Success)
}

/// What a list begins behind: a job, and when it was accepted.
struct Skip(Option<(JobId, Timestamp)>);

impl Skip {
    /// Whether this one comes no later in the list than the job that it begins behind.
    fn takes(&mut self, job: &JobDocument) -> bool {
        let Some((id, at)) = &self.0 else { return false };
        if job.accepted_at < *at {
            self.0 = None;
            return false;
        }
        if job.job_id == *id {
            self.0 = None;
        }
        true
    }
}

async fn show(remote: &Remote, one: &OneJob) -> Result<Exit> {
    let id = find(remote, &one.job).await?.job_id;
    let document: Value = remote.get(&path(&id)).send().await?.json().await?;
    if one.json {
        let mut job = as_here(document);
        let stages = job.as_object_mut().and_then(|job| job.remove("finishedStages"));
        let mut stages = stages.unwrap_or_else(|| json!([]));
        for stage in stages.as_array_mut().into_iter().flatten() {
            let key = stage["output"].take();
            stage["output"] = json!({ "key": key });
        }
        print(json!({ "job": job, "stages": stages }))?;
        return Ok(Exit::Success);
    }
    let job: JobDocument = understood(document)?;
    let later = JobId::of_retry(&id);
    let later = match remote.get(&path(&later)).send().await {
        Ok(_) => Some(later),
        Err(refusal) if refusal.is_not_found() => None,
        Err(refusal) => return Err(refusal.into()),
    };
    Shown::from(&job).print(later.as_ref())?;
    print_stages(job.finished_stages.iter().map(ShownStage::from))?;
    Ok(Exit::Success)
}

async fn retry(remote: &Remote, jobs: &[String]) -> Result<Exit> {
    for id in find_all(remote, jobs).await? {
        let again: JobDocument = remote
            .post(&format!("{}:retry", path(&id)))
            .send()
            .await?
            .json()
            .await?;
        print(again.job_id)?;
    }
    say("The retries run from now on: `bedrock-diy jobs show` says how they stand.");
    Ok(Exit::Success)
}

async fn cancel(remote: &Remote, jobs: &[String]) -> Result<Exit> {
    for id in find_all(remote, jobs).await? {
        let job: JobDocument = remote
            .post(&format!("{}:cancel", path(&id)))
            .send()
            .await?
            .json()
            .await?;
        print(format_args!("{} {}", job.job_id, job.status))?;
    }
    Ok(Exit::Success)
}

/// All are looked at before anything is done with one.
async fn find_all(remote: &Remote, jobs: &[String]) -> Result<Vec<JobId>> {
    let mut found = Vec::new();
    for job in jobs {
        found.push(find(remote, job).await?.job_id);
    }
    Ok(found)
}

/// The job of this id, or the one whose id begins so among the newest.
async fn find(remote: &Remote, said: &str) -> Result<JobDocument> {
    // Ids have capitals; nobody types them.
    let beginning = said.to_ascii_uppercase();
    if let Ok(id) = JobId::new(beginning.clone()) {
        return remote.get(&path(&id)).send().await?.json().await;
    }
    let wrong = |detail: String| Err(Failure::new(Code::InvalidRequest, detail));
    let mut found: Option<JobDocument> = None;
    if !beginning.is_empty() && beginning.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        for project in projects(remote).await? {
            let mut jobs = newest(remote, &project.project_id);
            let mut searched = 0;
            while searched < SEARCHED
                && let Some(page) = jobs.next().await?
            {
                searched += page.len();
                for job in page
                    .into_iter()
                    .filter(|job| job.job_id.as_str().starts_with(&beginning))
                {
                    if let Some(other) = &found {
                        let (one, other) = (job.job_id, &other.job_id);
                        return wrong(format!(
                            "{said:?} is the beginning of several jobs' ids, such as {one} and {other}: write more of it"
                        ));
                    }
                    found = Some(job);
                }
            }
        }
    }
    match found {
        Some(job) => Ok(job),
        None => wrong(format!(
            "no job's id is {said:?}, and none of the newest {SEARCHED} of each project begins so: write the whole id"
        )),
    }
}

/// The projects whose jobs are looked through: all of them for an administrator, else the caller's.
async fn projects(remote: &Remote) -> Result<Vec<Project>> {
    let at = "/api/projects";
    let limit = PROJECTS.to_string();
    let page: Value = match remote
        .get(at)
        .query("limit", &limit)
        .query("all", "true")
        .send()
        .await
    {
        Ok(answer) => answer.json().await?,
        Err(refusal) if refusal.status == Some(403) => {
            remote.get(at).query("limit", &limit).send().await?.json().await?
        }
        Err(refusal) => return Err(refusal.into()),
    };
    understood(page["items"].clone())
}

fn newest<'a>(remote: &'a Remote, project: &ProjectId) -> Pages<'a, JobDocument> {
    remote.list(
        &format!("/api/projects/{project}/jobs"),
        vec![("limit", PAGE.to_string())],
    )
}

fn path(job: &JobId) -> String {
    format!("/api/jobs/{job}")
}

/// A job as this machine's own are printed, as far as the API tells it: programs read one shape.
pub(super) fn as_here(mut job: Value) -> Value {
    if let Some(fields) = job.as_object_mut() {
        // They are the API's, and lead nowhere from here.
        fields.remove("links");
    }
    let article = job["article"].take();
    let mut meta = article.clone();
    if let Some(meta) = meta.as_object_mut() {
        meta.retain(|field, _| !matches!(field.as_str(), "name" | "bytes"));
    }
    job["article"] = json!({ "name": article["name"], "source": { "size": article["bytes"] }, "meta": meta });
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_elsewhere_is_printed_as_one_here() {
        let job = json!({
            "jobId": "x", "links": {"self": "/api/jobs/x"},
            "article": {"name": "a.txt", "bytes": 4, "title": "A", "mediaType": "text/plain"},
        });
        assert_eq!(
            as_here(job),
            json!({
                "jobId": "x",
                "article": {"name": "a.txt", "source": {"size": 4}, "meta": {"title": "A", "mediaType": "text/plain"}},
            })
        );
    }
}
