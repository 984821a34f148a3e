//! Asks, and takes the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{Outcome, clock, connection::Connection, requests::Requests, servers::Asker};

/// How hard, and how long.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// So many connections, each with one request after the other.
    pub(crate) connections: usize,
    /// Before anything counts.
    pub(crate) warm_up: Duration,
    /// What counts.
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Half of the answers came within so many microseconds.
    pub(crate) p50: f64,
    /// And so many of a hundred.
    pub(crate) p99: f64,
    /// The server's CPU time an answer, in microseconds: all its threads, the kernel's on their behalf included.
    pub(crate) cpu: f64,
    /// Which part of the time the server's core worked for it.
    pub(crate) busy: f64,
}

/// Asks this server. Fails where an answer has another status than it must have.
pub(crate) async fn run(
    load: Load,
    server: u32,
    asker: &Asker,
    requests: &Arc<Requests>,
) -> Outcome<Measured> {
    // Numbers go on where the last run ended: what is new stays new.
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let end = Instant::now() + load.warm_up + load.time + Duration::from_millis(50);
    let mut asking = JoinSet::new();
    for _ in 0..load.connections {
        let (mut connection, requests) = (Connection::open(asker.address).await?, Arc::clone(requests));
        asking.spawn(async move {
            let (mut request, mut answered) = (Vec::new(), Vec::new());
            loop {
                requests.write(NUMBER.fetch_add(1, Ordering::Relaxed), &mut request);
                let began = Instant::now();
                let answer = connection.ask(&request).await?;
                if answer.status != requests.status {
                    let body = String::from_utf8_lossy(answer.body);
                    return Err(format!("{} instead of {}: {body}", answer.status, requests.status).into());
                }
                let now = Instant::now();
                answered.push((now, now - began));
                if now >= end {
                    return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answered);
                }
            }
        });
    }
    tokio::time::sleep(load.warm_up).await;
    let (from, cpu_before) = (Instant::now(), clock::cpu(server)?);
    tokio::time::sleep(load.time).await;
    let (to, cpu) = (Instant::now(), clock::cpu(server)?.saturating_sub(cpu_before));
    let mut times = Vec::new();
    while let Some(answered) = asking.join_next().await {
        let within = answered??.into_iter().filter(|(at, _)| (from..to).contains(at));
        times.extend(within.map(|(_, time)| time));
    }
    times.sort_unstable();
    let micros = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
    let (time, answers) = ((to - from).as_secs_f64(), times.len() as f64);
    Ok(Measured {
        rate: answers / time,
        p50: micros(times.get(times.len() / 2)),
        p99: micros(times.get(times.len() * 99 / 100)),
        cpu: cpu.as_secs_f64() * 1e6 / answers,
        busy: cpu.as_secs_f64() / time,
    })
}
