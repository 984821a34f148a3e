//! `bedrock-diy results export`.

mod elsewhere;
mod part;

use std::{
    collections::HashSet,
    io::{BufWriter, IsTerminal as _, Write},
    path::Path,
    sync::Arc,
};

use bedrock_diy_core::{
    BatchId, Code, Failure, catalogue::Catalogue, commands, error::Result, job::Job, ports::Projects,
};
use bedrock_diy_embedded::{JobRow, RowFilter};
use bedrock_diy_tables::{Columns, Row, Table};

use self::part::Part;
use crate::{
    arguments::{Elsewhere, Export, Format},
    exit::Exit,
    machine::Machine,
    remote::Remote,
    terminal::read_by_somebody,
};

/// Jobs read at once: a table of any size goes through in pages.
const PAGE: usize = 200;

/// Writes the table.
pub(super) async fn export(
    elsewhere: &Elsewhere,
    data: &Path,
    catalogue: Catalogue,
    arguments: Export,
) -> Result<Exit> {
    if arguments.format == Format::Parquet && arguments.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::new(
            Code::InvalidRequest,
            "Parquet is nothing to read on a terminal: name a file with --out FILE",
        ));
    }
    if let Some(remote) = Remote::named(elsewhere, data)? {
        return elsewhere::export(&remote, &arguments).await;
    }
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let (columns, jobs) = look(&machine, &arguments).await?;
    let Some(path) = &arguments.out else {
        let out = BufWriter::new(std::io::stdout());
        return match write(&machine, arguments.format, columns, jobs, out).await? {
            Err(error) => read_by_somebody(Err(error)).map(|()| Exit::Success),
            Ok(()) => Ok(Exit::Success),
        };
    };
    let mut part = Part::create(path)?;
    let written = write(&machine, arguments.format, columns, jobs, part.out()).await?;
    part.finish(written)?;
    Ok(Exit::Success)
}

/// The columns of the table, and the jobs that it has rows for.
///
/// The cards are those that these jobs ran with, be they switched off since: so there is a place for each
/// output. Jobs that are accepted meanwhile are for the next export.
async fn look(machine: &Machine, arguments: &Export) -> Result<(Columns, RowFilter)> {
    let project = &arguments.project;
    if machine.projects.project(project).await?.is_none() {
        return Err(Failure::new(
            Code::ProjectNotFound,
            format!("there is no project {project}"),
        ));
    }
    let mut jobs = RowFilter {
        project: Some(project.clone()),
        batch: arguments.batch.clone(),
        limit: PAGE,
        ..RowFilter::default()
    };
    let mut pages = Pages::new(machine, jobs.clone());
    let (mut seen, mut pipelines) = (HashSet::new(), Vec::new());
    while let Some(page) = pages.page()? {
        jobs.before
            .get_or_insert(page.first().map_or(0, |newest| newest.row + 1));
        let told = told(machine, page, arguments.batch.as_ref()).await?;
        for hash in told.into_iter().filter_map(|job| job.pipeline) {
            if !seen.contains(&hash) {
                pipelines.push(machine.projects.pipeline(project, &hash).await?);
                seen.insert(hash);
            }
        }
    }
    let columns = Columns::of_pipelines(&machine.projects, project, &pipelines).await?;
    Ok((columns, jobs))
}

/// Writes every row, or as many as the writer takes.
async fn write(
    machine: &Machine,
    format: Format,
    columns: Columns,
    jobs: RowFilter,
    out: impl Write + Send,
) -> Result<std::io::Result<()>> {
    let mut table = match Table::new(table_format(format), columns, out) {
        Ok(table) => table,
        Err(error) => return Ok(Err(error)),
    };
    let batch = jobs.batch.clone();
    let mut pages = Pages::new(machine, jobs);
    while let Some(page) = pages.page()? {
        for job in told(machine, page, batch.as_ref()).await? {
            let row = Row::of_job(&machine.jobs, &machine.objects, &job).await?;
            if let Err(error) = table.write(&row) {
                return Ok(Err(error));
            }
        }
    }
    Ok(table.finish())
}

/// The jobs that tell how those of a page have ended.
async fn told(machine: &Machine, page: Vec<JobRow>, batch: Option<&BatchId>) -> Result<Vec<Job>> {
    let mut told = Vec::new();
    for found in page.into_iter().filter(|found| found.job.status.is_terminal()) {
        told.extend(commands::told_by(&machine.jobs, found.job, batch).await?);
    }
    Ok(told)
}

/// The jobs that a filter lets through, a page at a time, the newest first.
struct Pages<'a> {
    machine: &'a Machine,
    filter: Option<RowFilter>,
}

impl<'a> Pages<'a> {
    fn new(machine: &'a Machine, filter: RowFilter) -> Self {
        Self {
            machine,
            filter: Some(filter),
        }
    }

    /// The next page; none after the last.
    fn page(&mut self) -> Result<Option<Vec<JobRow>>> {
        let Some(mut filter) = self.filter.take() else {
            return Ok(None);
        };
        let page = self.machine.jobs.rows(&filter)?;
        if page.len() == filter.limit {
            filter.before = page.last().map(|oldest| oldest.row);
            self.filter = Some(filter);
        }
        Ok(Some(page))
    }
}

fn table_format(format: Format) -> bedrock_diy_tables::Format {
    match format {
        Format::Csv => bedrock_diy_tables::Format::Csv,
        Format::Jsonl => bedrock_diy_tables::Format::Jsonl,
        Format::Parquet => bedrock_diy_tables::Format::Parquet,
    }
}
