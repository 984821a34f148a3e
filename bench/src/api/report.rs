//! The table.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    Outcome, clock,
    connection::Connection,
    load::{self, Load, Measured},
    model_server::ModelServer,
    requests::Requests,
    servers::Asker,
    servers::{CALLS, Cores, Server},
    work::Work,
};

/// Prompt cards of the project, so stages of a job.
const CARDS: usize = 3;

/// Requests at once where the server has all that it can do.
const AT_ONCE: usize = 16;

/// What the model takes for its first words where it takes any time, in milliseconds.
const MODEL_MS: u64 = 1_000;

/// The part of the floor's rate that reading a job must reach.
const ASKED_FOR: f64 = 0.5;

/// Of one kind of request, in each round: many at once, and one alone.
#[derive(Default)]
struct Measurements {
    at_once: Vec<Measured>,
    alone: Vec<Measured>,
}

/// Measures everything and prints the table.
pub(crate) async fn all(programs: &Path, cores: Cores, short: bool) -> Outcome {
    let (jobs, rounds, seconds) = if short { (100, 1, 1) } else { (1_000, 7, 2) };
    let time = Duration::from_secs(seconds);
    let work = Work::new(0, CARDS)?;
    let quick = ModelServer::start(programs, 0)?;
    let slow = ModelServer::start(programs, MODEL_MS)?;
    let ours = Server::ours(cores, programs, &quick.endpoint, &work, CALLS)?;
    let finished = finish(&ours.asker, jobs).await?;
    let floor = Server::floor(cores, finished.job_bytes, finished.accepted_bytes)?;

    let text = article();
    let kinds = [
        ("floor: GET", &floor, finished.read(&floor.asker, 200)),
        ("read job", &ours, finished.read(&ours.asker, 200)),
        (
            "read job, unchanged (304)",
            &ours,
            finished.read(&ours.asker, 304),
        ),
        (
            "list jobs, a page of 50",
            &ours,
            ours.asker.get(200, [("/api/projects/bench/jobs?limit=50", "")]),
        ),
        (
            "floor: POST",
            &floor,
            floor
                .asker
                .post("/api/projects/bench/articles", "submitted", &text),
        ),
    ];
    let kinds = kinds.map(|(what, server, requests)| (what, server, Arc::new(requests)));
    let mut measured: [Measurements; 7] = Default::default();
    for _ in 0..rounds {
        for (of, (_, server, requests)) in measured.iter_mut().zip(&kinds) {
            of.measure(server, requests, time).await?;
        }
        for (of, model) in measured[kinds.len()..].iter_mut().zip([&quick, &slow]) {
            // Its jobs are worked meanwhile, and what is left of them goes with it.
            let server = Server::ours(cores, programs, &model.endpoint, &work, CALLS)?;
            let requests = server
                .asker
                .post("/api/projects/bench/articles", "submitted", &text);
            of.measure(&server, &Arc::new(requests), time).await?;
        }
    }

    println!("# bench-api\n");
    println!(
        "{jobs} finished jobs of {CARDS} cards, articles of {} kB; medians of {rounds} rounds; {AT_ONCE} requests at once, and one alone.",
        text.len() / 1_000
    );
    println!(
        "Answers: job {} bytes, page {} bytes, submission {} bytes.",
        finished.job_bytes, finished.page_bytes, finished.accepted_bytes
    );
    println!(
        "{}\n",
        match cores {
            Cores::Apart =>
                "The server has one core, who asks and the model server have the other one (taskset).",
            Cores::Shared =>
                "Not pinned: there is one core only, or no taskset. Who asks takes from the server's time.",
        }
    );
    println!(
        "| request | requests/s | of the floor | CPU µs a request | core busy | p50 µs | p99 µs | alone p50 µs | p99 µs |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let [get, read, unchanged, list, post, submit_quick, submit_slow] = &measured;
    row("floor: GET", get, None);
    row("read job", read, Some(get));
    row("read job, unchanged (304)", unchanged, Some(get));
    row("list jobs, a page of 50", list, Some(get));
    row("floor: POST", post, None);
    row("submit, worked at once (model 0 ms)", submit_quick, Some(post));
    row(&format!("submit, model {MODEL_MS} ms"), submit_slow, Some(post));
    println!(
        "\nPeak memory of the server that was read from: {:.0} MB.",
        clock::peak_memory(ours.process())? as f64 / 1e6
    );
    let reached = share(read, get);
    println!("\n| asked for | measured | |");
    println!("| --- | --- | --- |");
    println!(
        "| read job: at least {:.0} % of the floor's rate | {:.0} % | {} |",
        ASKED_FOR * 100.0,
        reached * 100.0,
        if reached >= ASKED_FOR { "met" } else { "missed" }
    );
    Ok(())
}

impl Measurements {
    async fn measure(&mut self, server: &Server, requests: &Arc<Requests>, time: Duration) -> Outcome {
        for (connections, of) in [(1, &mut self.alone), (AT_ONCE, &mut self.at_once)] {
            let load = Load {
                connections,
                warm_up: time / 4,
                time: if connections == 1 { time / 2 } else { time },
            };
            of.push(load::run(load, server.process(), &server.asker, requests).await?);
        }
        Ok(())
    }
}

/// Jobs that have ended, as they are read.
struct Finished {
    /// Their paths, each with its `If-None-Match`.
    jobs: Vec<(String, String)>,
    job_bytes: usize,
    page_bytes: usize,
    accepted_bytes: usize,
}

impl Finished {
    /// Requests for one after the other; answered with 304 where the asker has read it before.
    fn read(&self, asker: &Asker, status: u16) -> Requests {
        let known = |etag| if status == 304 { etag } else { "" };
        let jobs = self.jobs.iter();
        asker.get(
            status,
            jobs.map(|(path, etag)| (path.as_str(), known(etag.as_str()))),
        )
    }
}

/// Submits so many articles, and waits until their jobs have ended.
async fn finish(asker: &Asker, jobs: usize) -> Outcome<Finished> {
    let mut connection = Connection::open(asker.address).await?;
    let mut request = Vec::new();
    let submit = asker.post("/api/projects/bench/articles", "before", &article());
    let mut finished = Finished {
        jobs: Vec::new(),
        job_bytes: 0,
        page_bytes: 0,
        accepted_bytes: 0,
    };
    for number in 0..jobs {
        submit.write(number, &mut request);
        let answer = connection.ask(&request).await?;
        if answer.status != submit.status {
            return Err(format!("not accepted: {}", String::from_utf8_lossy(answer.body)).into());
        }
        finished.accepted_bytes = answer.body.len();
        let job: Value = serde_json::from_slice(answer.body)?;
        let path = job["links"]["self"].as_str().ok_or("a job without a link")?;
        finished.jobs.push((path.to_owned(), String::new()));
    }
    for (path, etag) in &mut finished.jobs {
        asker.get(200, [(path.as_str(), "")]).write(0, &mut request);
        let version = loop {
            let answer = connection.ask(&request).await?;
            finished.job_bytes = answer.body.len();
            let job: Value = serde_json::from_slice(answer.body)?;
            match job["status"].as_str() {
                Some("SUCCEEDED") => break job["version"].clone(),
                Some("ACCEPTED" | "RUNNING") => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => return Err(format!("a job has failed: {job}").into()),
            }
        };
        *etag = format!("If-None-Match: \"{version}\"\r\n");
    }
    asker
        .get(200, [("/api/projects/bench/jobs?limit=50", "")])
        .write(0, &mut request);
    finished.page_bytes = connection.ask(&request).await?.body.len();
    // What is kept in memory of jobs that were just written counts for a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(finished)
}

/// An article of 10 kB.
fn article() -> String {
    "The bridge opens on Monday, said the council. ".repeat(217)
}

/// One of the figures.
type Pick = fn(&Measured) -> f64;

fn row(what: &str, of: &Measurements, floor: Option<&Measurements>) {
    let share = floor.map_or_else(String::new, |floor| format!("{:.0} %", share(of, floor) * 100.0));
    let at_once = |pick: Pick| median(of.at_once.iter().map(pick));
    let alone = |pick: Pick| median(of.alone.iter().map(pick));
    println!(
        "| {what} | {:.0} | {share} | {:.1} | {:.0} % | {:.0} | {:.0} | {:.0} | {:.0} |",
        at_once(|measured| measured.rate),
        at_once(|measured| measured.cpu),
        at_once(|measured| measured.busy) * 100.0,
        at_once(|measured| measured.p50),
        at_once(|measured| measured.p99),
        alone(|measured| measured.p50),
        alone(|measured| measured.p99),
    );
}

/// The part of the floor's rate, round by round: two that were measured at about the same time.
fn share(of: &Measurements, floor: &Measurements) -> f64 {
    median(
        of.at_once
            .iter()
            .zip(&floor.at_once)
            .map(|(of, floor)| of.rate / floor.rate),
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
