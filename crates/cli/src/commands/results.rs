//! `bedrock-diy results export`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bedrock_diy_core::{
    Code, Failure, PromptId,
    catalogue::Catalogue,
    error::Result,
    job::JobStatus,
    ports::{Jobs, Projects},
};
use bedrock_diy_embedded::RowFilter;

use crate::{
    arguments::{Export, Format},
    exit::Exit,
    machine::Machine,
    results::{CsvTable, JsonlTable, Row},
    terminal::read_by_somebody,
};

/// Jobs read at once: a table of any size goes through in pages.
const PAGE: usize = 200;

enum Writer<W: Write> {
    Csv(Box<CsvTable<W>>),
    Jsonl(JsonlTable<W>),
}

/// Writes the table.
pub(super) async fn export(data: &Path, catalogue: Catalogue, arguments: Export) -> Result<Exit> {
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let cards = columns(&machine, &arguments).await?;
    let Some(path) = &arguments.out else {
        let out = BufWriter::new(std::io::stdout().lock());
        return match write(&machine, &arguments, cards, out).await? {
            Err(error) => read_by_somebody(Err(error)).map(|()| Exit::Success),
            Ok(()) => Ok(Exit::Success),
        };
    };
    // Beside the old table until it is whole.
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = match File::create(&part) {
        Ok(file) => write(&machine, &arguments, cards, BufWriter::new(file)).await?,
        Err(error) => Err(error),
    };
    written
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| {
            Failure::new(
                Code::StorageUnavailable,
                format!("{} can't be written: {error}", path.display()),
            )
        })?;
    Ok(Exit::Success)
}

/// Writes every row, or as many as the writer takes.
async fn write(
    machine: &Machine,
    arguments: &Export,
    cards: Vec<PromptId>,
    out: impl Write,
) -> Result<std::io::Result<()>> {
    let mut writer = match arguments.format {
        Format::Csv => match CsvTable::new(out, cards) {
            Ok(table) => Writer::Csv(Box::new(table)),
            Err(error) => return Ok(Err(error)),
        },
        Format::Jsonl => Writer::Jsonl(JsonlTable::new(out)),
    };
    let mut filter = RowFilter {
        project: Some(arguments.project.clone()),
        batch: arguments.batch.clone(),
        limit: PAGE,
        ..RowFilter::default()
    };
    loop {
        let page = machine.jobs.rows(&filter)?;
        for found in page.iter().filter(|found| found.job.status.is_terminal()) {
            // A job that was tried again and ended well is told by the retry.
            if found.job.status != JobStatus::Succeeded && superseded(machine, &found.job.job_id).await? {
                continue;
            }
            let row = Row::of_job(machine, &found.job).await?;
            let written = match &mut writer {
                Writer::Csv(table) => table.write(&row),
                Writer::Jsonl(table) => table.write(&row),
            };
            if written.is_err() {
                return Ok(written);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => filter.before = Some(last.row),
            _ => break,
        }
    }
    Ok(match writer {
        Writer::Csv(table) => table.finish(),
        Writer::Jsonl(table) => table.finish(),
    })
}

async fn superseded(machine: &Machine, job: &bedrock_diy_core::JobId) -> Result<bool> {
    Ok(machine
        .jobs
        .read(&bedrock_diy_core::JobId::of_retry(job))
        .await?
        .is_some())
}

/// A column for each card of the project, in their order, those that are switched off among them:
/// earlier jobs may have outputs of theirs.
async fn columns(machine: &Machine, arguments: &Export) -> Result<Vec<PromptId>> {
    if machine.projects.project(&arguments.project).await?.is_none() {
        return Err(Failure::new(
            Code::ProjectNotFound,
            format!("there is no project {}", arguments.project),
        ));
    }
    let mut cards = machine.projects.cards(&arguments.project).await?;
    cards.sort_by(|a, b| (a.step_order, &a.prompt_id).cmp(&(b.step_order, &b.prompt_id)));
    Ok(cards.into_iter().map(|card| card.prompt_id).collect())
}
