//! Results of an API, as it exports them.

use std::io::{BufWriter, stdout};

use bedrock_diy_core::{Code, Failure, error::Result};

use super::part::Part;
use crate::{
    arguments::{Export, Format},
    exit::Exit,
    remote::{Remote, escaped},
    terminal::read_by_somebody,
};

/// Writes the table as it comes, of any size.
pub(super) async fn export(remote: &Remote, arguments: &Export) -> Result<Exit> {
    let batch = arguments.batch.as_ref().ok_or_else(|| {
        let detail = "an API exports the results of one batch: say which, with --batch NAME (of `submit`, it is `api` \
                      where nothing was said)";
        Failure::new(Code::InvalidRequest, detail)
    })?;
    let format = match arguments.format {
        Format::Csv => "csv",
        Format::Jsonl => "jsonl",
        Format::Parquet => "parquet",
    };
    let at = format!(
        "/api/projects/{}/batches/{}/results",
        arguments.project,
        escaped(batch.as_str())
    );
    let answer = remote.get(&at).query("format", format).send().await?;
    match &arguments.out {
        Some(path) => {
            let mut part = Part::create(path)?;
            let written = answer.save(part.out()).await?;
            part.finish(written)?;
        }
        None => read_by_somebody(answer.save(&mut BufWriter::new(stdout())).await?)?,
    }
    Ok(Exit::Success)
}
