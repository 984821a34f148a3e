//! `bedrock-diy run`: runs articles through a project's cards and writes the results.

mod follow;
mod submit;
mod summary;

use std::{fs::File, io::BufWriter, path::Path, sync::Arc};

use bedrock_diy_core::{
    BatchId, Code, Failure,
    catalogue::Catalogue,
    error::Result,
    pipeline::PipelineRevision,
    ports::{Clock, Jobs},
};
use bedrock_diy_embedded::FreshRuns;
use bedrock_diy_tables::{Columns, Format, Row, Table};
use tokio::sync::{mpsc, watch};
use ulid::Ulid;

use self::{
    follow::Follower,
    submit::{Entry, Submitter},
    summary::Summary,
};
use super::setup;
use crate::{
    arguments::Run,
    exit::Exit,
    inputs,
    machine::{Left, Machine},
    models,
    progress::{Display, Tally},
    push,
    results::Folders,
    terminal::say,
};

/// Runs the articles of `arguments`.
pub(super) async fn run(data: &Path, catalogue: Catalogue, arguments: Run) -> Result<Exit> {
    let mut project = setup::read_project(&arguments.project, &catalogue)?;
    let inputs = inputs::gather(
        &arguments.articles,
        &[
            arguments.out.clone(),
            data.to_owned(),
            arguments.project.join("project.yaml"),
            arguments.project.join("cards"),
        ],
    )?;
    let choice = models::choose(
        std::slice::from_mut(&mut project),
        arguments.asking.model.as_deref(),
        &catalogue,
    )
    .await?;
    setup::check_models(&project, &choice, &catalogue)?;
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let _lock = setup::lock(&machine)?;
    check_out(&arguments.out)?;
    say(&choice.notice);

    push::push(&machine.projects, &project, &author(), machine.clock.now()).await?;
    let pipeline = push::pin(&machine.projects, &project, &choice.default_model).await?;
    let left = machine.leave_alone(&pipeline).await?;
    tell_cancelled(&left);
    let models = setup::models(&machine, &choice).await?;
    let workers = setup::workers(&machine, &models, &choice, arguments.asking.concurrency)?;
    let (stopper, stop) = setup::stop_on_signal();
    let began = machine.clock.now();
    let mut follower = Follower::new(
        &machine,
        arguments.stream,
        Display::new(arguments.progress, arguments.stream),
        Tally::new(
            inputs.len(),
            u32::try_from(pipeline.cards.len()).unwrap_or(u32::MAX),
        ),
    );
    let mut working = tokio::spawn(workers.run(stop.clone()));

    let new_id =
        Ulid::from_parts(u64::try_from(began.millis()).unwrap_or_default(), rand::random()).to_string();
    let fresh_runs = FreshRuns::new(machine.database.clone());
    let run_id = if arguments.fresh {
        fresh_runs.begin(&project.id, &pipeline.hash, &new_id).await?
    } else {
        new_id
    };
    let batch = BatchId::new(format!("run-{run_id}"))?;
    let submitter = Submitter {
        machine: &machine,
        project: &project.id,
        batch: &batch,
        pipeline: &pipeline,
        left: &left,
        fresh: arguments.fresh.then(|| run_id.clone()),
    };
    let (entries, finished) = {
        let (found, entries) = mpsc::unbounded_channel();
        let submitting = async move {
            let tell = |entry: &Entry| {
                // Nobody listens after the end.
                let _ = found.send(entry.clone());
            };
            submitter.submit(inputs, tell).await
        };
        let (end, over) = watch::channel(false);
        let worked = async { tokio::try_join!(submitting, follower.follow(entries, over)) };
        tokio::pin!(worked);
        tokio::select! {
            worked = &mut worked => worked?,
            ended = &mut working => {
                ended.map_err(|error| ended_early(&error))??;
                // A stop: every article is told of all the same, the unfinished ones as what they are.
                let _ = end.send(true);
                (worked.await?.0, false)
            }
        }
    };
    let _ = stopper.send(true);
    if !working.is_finished() {
        working.await.map_err(|error| ended_early(&error))??;
    }
    follower.finish(&entries, began).await?;
    if finished {
        fresh_runs.end(&run_id).await?;
        tell_left_alone(&left);
    }

    let summary = write_results(&machine, &arguments.out, pipeline, &entries).await?;
    summary.print(&follower.tally, &arguments.out)?;
    Ok(match (finished, summary.all_succeeded()) {
        (false, _) => Exit::Interrupted,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::Success,
    })
}

fn tell_cancelled(left: &Left) {
    if left.cancelled() > 0 {
        say(format_args!(
            "Cancelled: {} that an earlier run did not finish, because the cards have changed since. Run them again to \
             have them under these.",
            left.cancelled()
        ));
    }
}

fn tell_left_alone(left: &Left) {
    if left.count() > 0 {
        say(format_args!(
            "Left alone: {} unfinished from earlier runs or from `bedrock-diy serve`. The same command as then goes on \
             with them, `bedrock-diy serve` with all.",
            left.count()
        ));
    }
}

/// Checks that results can be written, before anything is paid for.
fn check_out(out: &Path) -> Result<()> {
    let probe = out.join("results.jsonl.part");
    std::fs::create_dir_all(out)
        .and_then(|()| File::create(&probe))
        .and_then(|_| std::fs::remove_file(&probe))
        .map_err(|error| unwritable(out, &error))
}

fn unwritable(out: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("results can't be written to {}: {error}", out.display()),
    )
}

/// Writes `results.jsonl`, `results.csv` and the articles' folders, an article at a time.
async fn write_results(
    machine: &Machine,
    out: &Path,
    pipeline: PipelineRevision,
    entries: &[Entry],
) -> Result<Summary> {
    let trouble = |error: std::io::Error| unwritable(out, &error);
    std::fs::create_dir_all(out).map_err(trouble)?;
    let project = pipeline.project_id.clone();
    let columns = Columns::of_pipelines(&machine.projects, &project, &[Arc::new(pipeline)]).await?;
    // Beside the old files until they are whole: a kill leaves the earlier results, not half of these.
    let (jsonl_part, csv_part) = (out.join("results.jsonl.part"), out.join("results.csv.part"));
    let table = |format, part| {
        File::create(part).and_then(|file| Table::new(format, columns.clone(), BufWriter::new(file)))
    };
    let mut jsonl = table(Format::Jsonl, &jsonl_part).map_err(trouble)?;
    let mut csv = table(Format::Csv, &csv_part).map_err(trouble)?;
    let mut folders = Folders::new(out);
    let mut summary = Summary::default();
    for entry in entries {
        let row = row(machine, entry).await?;
        summary.add(&row, entry.done_before);
        jsonl.write(&row).map_err(trouble)?;
        csv.write(&row).map_err(trouble)?;
        folders.write(&row).map_err(trouble)?;
    }
    jsonl.finish().map_err(trouble)?;
    csv.finish().map_err(trouble)?;
    std::fs::rename(jsonl_part, out.join("results.jsonl")).map_err(trouble)?;
    std::fs::rename(csv_part, out.join("results.csv")).map_err(trouble)?;
    Ok(summary)
}

async fn row(machine: &Machine, entry: &Entry) -> Result<Row> {
    let row = match &entry.job {
        Err(failure) => Row::of_failure(&entry.name, failure),
        Ok(job_id) => match machine.jobs.read(job_id).await? {
            Some(job) => Row::of_job(&machine.jobs, &machine.objects, &job).await?,
            None => Row::waiting(job_id),
        },
    };
    Ok(Row {
        article: entry.name.clone(),
        ..row
    })
}

fn ended_early(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Code::InternalError, format!("the workers ended early: {error}"))
}

/// Who saves revisions from this machine.
fn author() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "local".to_owned())
}
