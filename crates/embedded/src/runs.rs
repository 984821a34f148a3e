use bedrock_diy_core::{ProjectId, error::Result};
use rusqlite::OptionalExtension;

use crate::database::{Database, failure};

/// Runs that ask everything anew, and have not ended: the same command goes on with them.
#[derive(Debug, Clone)]
pub struct FreshRuns {
    database: Database,
}

impl FreshRuns {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Begins a run of the project under this pipeline revision; returns its id, which is an earlier
    /// one's where that was interrupted.
    pub async fn begin(&self, project: &ProjectId, pipeline: &str, run: &str) -> Result<String> {
        let (project, pipeline, run) = (project.clone(), pipeline.to_owned(), run.to_owned());
        self.database
            .write(move |connection| {
                let begin = || {
                    let open: Option<String> = connection
                        .query_row(
                            "SELECT run FROM fresh_runs WHERE project_id = ?1 AND pipeline = ?2",
                            (project.as_str(), &pipeline),
                            |row| row.get(0),
                        )
                        .optional()?;
                    if let Some(open) = open {
                        return Ok(open);
                    }
                    connection.execute(
                        "INSERT INTO fresh_runs VALUES (?1, ?2, ?3)",
                        (project.as_str(), &pipeline, &run),
                    )?;
                    Ok(run.clone())
                };
                begin().map_err(|error| failure(&error))
            })
            .await
    }

    /// Ends a run: the next one asks everything anew.
    pub async fn end(&self, run: &str) -> Result<()> {
        let run = run.to_owned();
        self.database
            .write(move |connection| {
                connection
                    .execute("DELETE FROM fresh_runs WHERE run = ?1", [&run])
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }
}
