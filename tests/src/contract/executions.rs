use bedrock_diy_core::{JobId, intake::Lane, ports::Executions};

use super::acceptance;

/// However many start it at once, there is one execution of a name. `count` says how many there are or were.
pub async fn an_execution_starts_once<F: Future<Output = usize>>(
    executions: &dyn Executions,
    count: impl Fn(JobId) -> F,
) {
    let job = acceptance("started").job.job_id;
    let (a, b, c) = tokio::join!(
        executions.start(&job, Lane::Bulk),
        executions.start(&job, Lane::Bulk),
        executions.start(&job, Lane::Bulk)
    );
    for started in [a, b, c] {
        started.unwrap();
    }
    assert_eq!(count(job).await, 1);
}

/// Stopping what is not there, or stopping twice, is no failure; and a name is used once, ever.
pub async fn stopping_is_always_possible<F: Future<Output = usize>>(
    executions: &dyn Executions,
    count: impl Fn(JobId) -> F,
) {
    let job = acceptance("stopped").job.job_id;
    executions.stop(&job).await.unwrap();
    executions.start(&job, Lane::Bulk).await.unwrap();
    executions.stop(&job).await.unwrap();
    executions.stop(&job).await.unwrap();
    executions.start(&job, Lane::Bulk).await.unwrap();
    assert_eq!(count(job).await, 1);
}
