//! What the program left in its data folder, read through the public ports.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bedrock_diy::machine::Machine;
use bedrock_diy_core::{
    catalogue::Catalogue,
    event::Event,
    job::{Job, JobStatus},
    ports::Jobs,
    stage::StageRecord,
};
use bedrock_diy_embedded::RowFilter;

/// A data folder, opened after the program has ended (or beside it).
pub struct Left {
    /// The machine over it.
    pub machine: Machine,
}

impl Left {
    /// Opens the folder.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        let catalogue = Arc::new(Catalogue::own().unwrap());
        Self {
            machine: Machine::open(data, catalogue).expect("the data folder can be opened"),
        }
    }

    /// Every job.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        let all = RowFilter {
            limit: 1 << 40,
            ..RowFilter::default()
        };
        self.machine
            .jobs
            .rows(&all)
            .unwrap()
            .into_iter()
            .map(|row| row.job)
            .collect()
    }

    /// How many jobs are in which status.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<JobStatus, usize> {
        let mut statuses = BTreeMap::new();
        for job in self.jobs() {
            *statuses.entry(job.status).or_default() += 1;
        }
        statuses
    }

    /// A job's stages.
    pub async fn stages(&self, job: &Job) -> Arc<Vec<StageRecord>> {
        self.machine.jobs.stages(&job.job_id).await.unwrap()
    }

    /// A job's events.
    pub async fn events(&self, job: &Job) -> Vec<Event> {
        self.machine.jobs.events(&job.job_id, 0, 1 << 40).await.unwrap()
    }

    /// Fails unless every job's events are numbered 1, 2, 3 … up to its version.
    pub async fn assert_events_have_no_holes(&self) {
        for job in self.jobs() {
            let numbers: Vec<_> = self.events(&job).await.iter().map(|event| event.number).collect();
            assert_eq!(
                numbers,
                (1..=job.version).collect::<Vec<_>>(),
                "events of {}",
                job.job_id
            );
        }
    }
}
