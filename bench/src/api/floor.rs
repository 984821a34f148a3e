//! The floor: a server that takes the same requests, answers the same sizes, and does nothing else.

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderName, StatusCode, header},
    routing::{get, post},
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    Outcome,
    servers::{Cores, Server},
};

/// What is answered.
#[derive(clap::Args)]
pub(crate) struct Floor {
    /// The size of the answer to `GET /api/jobs/{jobId}`.
    #[arg(long)]
    job_bytes: usize,
    /// The size of the answer to `POST …/articles`.
    #[arg(long)]
    accepted_bytes: usize,
}

/// Answers until the process is ended. Says where on its first line.
pub(crate) async fn run(floor: Floor) -> Outcome {
    const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
    let (job, accepted) = (document(floor.job_bytes), document(floor.accepted_bytes));
    let router = Router::new()
        .route(
            "/api/jobs/{jobId}",
            get(async move |Path(_): Path<String>| (JSON, job)),
        )
        .route(
            "/api/projects/{projectId}/articles",
            post(async move |Path(_): Path<String>, Json(_): Json<Value>| {
                (StatusCode::ACCEPTED, JSON, accepted)
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("API: http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// A JSON document of so many bytes.
fn document(bytes: usize) -> &'static str {
    // It lives as long as the process: no request copies it.
    format!("\"{}\"", "x".repeat(bytes.saturating_sub(2))).leak()
}

impl Server {
    /// The floor, with answers of these sizes.
    pub(crate) fn floor(cores: Cores, job_bytes: usize, accepted_bytes: usize) -> Outcome<Self> {
        let mut command = cores.first(&std::env::current_exe()?);
        command.args([
            "floor".to_owned(),
            format!("--job-bytes={job_bytes}"),
            format!("--accepted-bytes={accepted_bytes}"),
        ]);
        // A token of the size that the other one has: both read the same headers.
        Self::start(command, || Ok("x".repeat(46)))
    }
}
