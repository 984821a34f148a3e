use bedrock_diy_core::{
    intake::Lane,
    ports::{Executions, Started},
};

use super::acceptance;

/// However many start it at once, there is one execution of a name.
pub async fn an_execution_starts_once(executions: &dyn Executions) {
    let job = acceptance("started").job.job_id;
    let (a, b, c) = tokio::join!(
        executions.start(&job, Lane::Bulk),
        executions.start(&job, Lane::Bulk),
        executions.start(&job, Lane::Bulk)
    );
    let started = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert_eq!(
        started.iter().filter(|started| **started == Started::New).count(),
        1
    );
}

/// Stopping what is not there, or stopping twice, is no failure.
pub async fn stopping_is_always_possible(executions: &dyn Executions) {
    let job = acceptance("stopped").job.job_id;
    executions.stop(&job).await.unwrap();
    executions.start(&job, Lane::Bulk).await.unwrap();
    executions.stop(&job).await.unwrap();
    executions.stop(&job).await.unwrap();
    assert_eq!(
        executions.start(&job, Lane::Bulk).await.unwrap(),
        Started::Already,
        "a name is used once, ever"
    );
}
