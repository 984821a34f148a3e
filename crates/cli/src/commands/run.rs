//! `bedrock-diy run`: works a set of articles off and writes the results.

use std::{collections::HashSet, fs::File, io::BufWriter, path::Path, sync::Arc};

use bedrock_diy_core::{
    BatchId, Code, Failure, PromptId,
    catalogue::Catalogue,
    error::Result,
    pipeline::PipelineRevision,
    ports::{Clock, Jobs},
};
use ulid::Ulid;

use super::{
    follow::Follower,
    setup,
    submit::{Entry, Submitter},
    summary::Summary,
};
use crate::{
    arguments::Run,
    exit::Exit,
    inputs,
    machine::Machine,
    models,
    progress::{Display, Tally},
    push,
    results::{CsvTable, Folders, JsonlTable, Row},
};

/// Runs the articles of `arguments`.
pub(super) async fn run(data: &Path, catalogue: Catalogue, arguments: Run) -> Result<Exit> {
    let mut project = setup::read_project(&arguments.project, &catalogue)?;
    let inputs = inputs::gather(&arguments.articles)?;
    let choice = models::choose(
        std::slice::from_mut(&mut project),
        arguments.asking.model.as_deref(),
        &catalogue,
    )
    .await?;
    setup::check_models(&project, &choice, &catalogue)?;
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let _lock = machine.data.lock()?;
    let display = Display::new(arguments.progress);
    display.say(&choice.notice);

    push::push(&machine, &project, &author()).await?;
    let pipeline = push::pin(&machine, &project, &choice.default_model).await?;
    let workers = setup::workers(&machine, &choice, arguments.asking.concurrency).await?;
    let (stopper, stop) = setup::stop_on_signal();
    let mut follower = Follower {
        machine: &machine,
        events: machine.bus.follow_events(),
        deltas: arguments.stream.then(|| machine.bus.follow_deltas()),
        display,
        tally: Tally::new(),
        open: HashSet::new(),
    };
    let mut working = tokio::spawn(workers.run(stop.clone()));

    let now = machine.clock.now();
    let run_id =
        Ulid::from_parts(u64::try_from(now.millis()).unwrap_or_default(), rand::random()).to_string();
    let batch = BatchId::new(format!("run-{run_id}"))?;
    let submitter = Submitter {
        machine: &machine,
        project: &project.id,
        batch: &batch,
        pipeline: &pipeline,
        fresh: arguments.fresh.then_some(run_id),
    };
    let entries = submitter.submit(inputs, |entry| follower.add(entry)).await?;
    let finished = tokio::select! {
        finished = follower.follow(stop.clone()) => finished?,
        ended = &mut working => {
            ended.map_err(|error| Failure::new(Code::InternalError, format!("the workers ended early: {error}")))??;
            false
        }
    };
    let _ = stopper.send(true);
    if !working.is_finished() {
        working.await.map_err(|error| {
            Failure::new(Code::InternalError, format!("the workers ended early: {error}"))
        })??;
    }
    follower.display.finish();

    let summary = write_results(&machine, &arguments.out, &pipeline, &entries).await?;
    summary.print(&follower.tally, &arguments.out);
    Ok(match (finished, summary.all_succeeded()) {
        (false, _) => Exit::Interrupted,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::Success,
    })
}

/// Writes `results.jsonl`, `results.csv` and the articles' folders, an article at a time.
async fn write_results(
    machine: &Machine,
    out: &Path,
    pipeline: &PipelineRevision,
    entries: &[Entry],
) -> Result<Summary> {
    let trouble = |error: std::io::Error| {
        Failure::new(
            Code::StorageUnavailable,
            format!("results can't be written to {}: {error}", out.display()),
        )
    };
    std::fs::create_dir_all(out).map_err(trouble)?;
    let cards: Vec<PromptId> = pipeline.cards.iter().map(|card| card.prompt_id.clone()).collect();
    // Beside the old files until they are whole: a kill leaves the earlier results, not half of these.
    let (jsonl_part, csv_part) = (out.join("results.jsonl.part"), out.join("results.csv.part"));
    let mut jsonl = JsonlTable::new(BufWriter::new(File::create(&jsonl_part).map_err(trouble)?));
    let mut csv =
        CsvTable::new(BufWriter::new(File::create(&csv_part).map_err(trouble)?), cards).map_err(trouble)?;
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
            Some(job) => Row::of_job(machine, &job).await?,
            None => Row::waiting(job_id),
        },
    };
    Ok(Row {
        article: entry.name.clone(),
        ..row
    })
}

/// Who saves revisions from this machine.
fn author() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "local".to_owned())
}
