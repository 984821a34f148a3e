//! The tables.

use std::path::Path;

use crate::{
    Outcome,
    measure::{self, Used},
    model_server::ModelServer,
    work::Work,
};

const STAGES: usize = 5;

/// Ours, as its users and its data folder saw it.
#[derive(Clone, Copy)]
struct Run {
    used: Used,
    /// From the first article accepted to the last one ended, in seconds.
    working: f64,
    /// The data folder's database, in bytes.
    database: u64,
}

/// Measures everything and prints the tables.
pub(crate) fn all(programs: &Path, short: bool) -> Outcome {
    let (articles, runs) = if short { (200, 1) } else { (1_000, 3) };
    println!("# bench-local\n");
    println!(
        "{articles} articles of 10 kB, {STAGES} cards; medians of {runs} runs; two processes of ours (program, model server).\n"
    );
    println!(
        "| model | in flight | floor stages/s (apart) | ours stages/s | of the floor (apart) | end to end articles/s | µs a stage above the floor | CPU µs a stage (floor) | peak MB | database MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let work = Work::new(articles, STAGES)?;
    for latency in [0, 50] {
        let server = ModelServer::start(programs, latency)?;
        for in_flight in [16, 64] {
            let mut floors = Vec::new();
            let mut apart = Vec::new();
            let mut ours = Vec::new();
            for _ in 0..runs {
                floors.push(floor(&server, &work, in_flight, false)?);
                ours.push(run(programs, &server, &work, in_flight)?);
                apart.push(floor(&server, &work, in_flight, true)?);
            }
            row(articles, (latency, in_flight), &floors, &apart, &ours);
        }
    }
    println!("\n## Growth\n");
    println!("0 ms, 64 in flight.\n");
    println!("| articles | stages/s | µs CPU a stage | peak MB | database MB |");
    println!("| --- | --- | --- | --- | --- |");
    let server = ModelServer::start(programs, 0)?;
    let sizes: &[usize] = if short { &[100, 400] } else { &[100, 1_000, 10_000] };
    for articles in sizes {
        let work = Work::new(*articles, STAGES)?;
        let mut measured = Vec::new();
        for _ in 0..runs {
            measured.push(run(programs, &server, &work, 64)?);
        }
        let stages = (articles * STAGES) as f64;
        println!(
            "| {articles} | {:.0} | {:.0} | {:.0} | {:.1} |",
            stages / median(&measured, |run| run.working),
            median(&measured, |run| run.used.cpu) / stages * 1e6,
            median(&measured, |run| run.used.memory as f64) / 1e6,
            median(&measured, |run| run.database as f64) / 1e6,
        );
    }
    Ok(())
}

fn row(articles: usize, (latency, in_flight): (u64, usize), floors: &[Used], apart: &[Used], ours: &[Run]) {
    let stages = (articles * STAGES) as f64;
    let floor = median(floors, |used| used.seconds);
    let apart = median(apart, |used| used.seconds);
    let working = median(ours, |run| run.working);
    println!(
        "| {latency} ms | {in_flight} | {:.0} ({:.0}) | {:.0} | {:.0} % ({:.0} %) | {:.0} | {:.0} | {:.0} ({:.0}) | {:.0} | {:.1} |",
        stages / floor,
        stages / apart,
        stages / working,
        floor / working * 100.0,
        apart / working * 100.0,
        articles as f64 / median(ours, |run| run.used.seconds),
        (working - floor) / stages * 1e6,
        median(ours, |run| run.used.cpu) / stages * 1e6,
        median(floors, |used| used.cpu) / stages * 1e6,
        median(ours, |run| run.used.memory as f64) / 1e6,
        median(ours, |run| run.database as f64) / 1e6,
    );
}

fn floor(server: &ModelServer, work: &Work, in_flight: usize, apart: bool) -> Outcome<Used> {
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut command = environment(server);
    command.extend([
        own,
        "floor".into(),
        format!("--articles={}", work.articles().display()),
        format!("--stages={STAGES}"),
        format!("--in-flight={in_flight}"),
    ]);
    if apart {
        command.push("--apart".into());
    }
    measure::of(&command)
}

fn run(programs: &Path, server: &ModelServer, work: &Work, in_flight: usize) -> Outcome<Run> {
    let place = work.place();
    let (data, out) = (place.join("data"), place.join("results"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let program = path(&programs.join("bedrock-diy"));
    let mut command = environment(server);
    command.extend([
        program,
        "run".into(),
        path(&work.articles()),
        "--project".into(),
        path(&work.project()),
        "--data".into(),
        path(&data),
        "--out".into(),
        path(&out),
        "--model=test.model-v1:0".into(),
        "--progress=none".into(),
        format!("--concurrency={in_flight}"),
    ]);
    let used = measure::of(&command)?;
    let file = data.join("bedrock-diy.sqlite");
    let database = rusqlite::Connection::open(&file)?;
    let moment = |sql: &str| database.query_row(sql, [], |row| row.get::<_, f64>(0));
    let first = moment("SELECT min(unixepoch(document ->> 'acceptedAt', 'subsec')) FROM jobs")?;
    let last = moment("SELECT max(unixepoch(document ->> 'endedAt', 'subsec')) FROM jobs")?;
    let succeeded: usize = database.query_row(
        "SELECT count(*) FROM jobs WHERE status = 'SUCCEEDED'",
        [],
        |row| row.get(0),
    )?;
    if succeeded != std::fs::read_dir(work.articles())?.count() {
        return Err(format!("only {succeeded} articles succeeded").into());
    }
    Ok(Run {
        used,
        working: last - first,
        database: std::fs::metadata(file)?.len(),
    })
}

/// The model server as both find it: as they would find Bedrock, with keys to sign by.
fn environment(server: &ModelServer) -> Vec<String> {
    let set = |name: &str, value: &str| format!("{name}={value}");
    vec![
        "env".into(),
        set("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &server.endpoint),
        set("AWS_REGION", "us-east-1"),
        set("AWS_ACCESS_KEY_ID", "bench"),
        set("AWS_SECRET_ACCESS_KEY", "bench"),
    ]
}

fn median<T>(values: &[T], pick: impl Fn(&T) -> f64) -> f64 {
    let mut picked: Vec<_> = values.iter().map(pick).collect();
    picked.sort_by(f64::total_cmp);
    picked[picked.len() / 2]
}
