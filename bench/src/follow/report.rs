//! The measurements, and the table that they make.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bedrock_diy_model_server::{ModelServer, Settings};
use futures_util::future::try_join_all;

use crate::{
    Outcome, clock,
    follower::{Follower, delays, numbered},
    model::{Timed, now},
    servers::{CALLS, Cores, Server},
    work::Work,
};

/// Measures everything.
pub(crate) async fn all(programs: &Path, cores: Cores, short: bool) -> Outcome {
    // The clock begins before anything is timed.
    let _ = now();
    println!("| what | followers | p50 | p99 | |");
    println!("| --- | --- | --- | --- | --- |");
    let jobs = if short { 2 } else { 30 };
    first_tokens(programs, cores, 1, jobs).await?;
    first_tokens(programs, cores, if short { 20 } else { 200 }, jobs).await?;
    idle(programs, cores, if short { 100 } else { 2_000 }).await?;
    many(programs, cores, if short { 20 } else { 500 }).await
}

async fn served(
    programs: &Path,
    cores: Cores,
    work: &Work,
    model: Timed,
    calls: usize,
) -> Outcome<(ModelServer<Arc<Timed>>, Server)> {
    let model = ModelServer::start_with(Arc::new(model), Settings::lean()).await?;
    let server = Server::ours(cores, programs, &model.url(), work, calls)?;
    Ok((model, server))
}

/// One job after the other, each followed by so many.
async fn first_tokens(programs: &Path, cores: Cores, followers: usize, jobs: usize) -> Outcome {
    let work = Work::new(0, 1)?;
    let model = Timed {
        first: Duration::from_millis(400),
        pieces: 40,
        between: Duration::from_millis(20),
    };
    let (_model, server) = served(programs, cores, &work, model, CALLS).await?;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for number in 0..jobs {
        let mut submitter = Follower::open(&server.asker).await?;
        let job = submitter.submit(&format!("Article {number}."), false).await?;
        let opened = (0..followers).map(|_| async {
            let mut follower = Follower::open(&server.asker).await?;
            follower.follow(&job).await?;
            Outcome::Ok(follower)
        });
        let opened = try_join_all(opened).await?;
        let told = opened
            .into_iter()
            .map(|mut follower| async move { follower.listen().await });
        for told in try_join_all(told).await? {
            let delays = delays(&told)?;
            first.extend(delays.first());
            all.extend(delays);
        }
    }
    for (what, delays) in [("first token above the model's own", first), ("every piece", all)] {
        let (p50, p99) = quantiles(delays)?;
        let (p50, p99) = (p50 as f64 / 1_000.0, p99 as f64 / 1_000.0);
        println!("| {what} | {followers} | {p50:.2} ms | {p99:.2} ms | {jobs} jobs |");
    }
    Ok(())
}

/// So many follow a job that does nothing.
async fn idle(programs: &Path, cores: Cores, followers: usize) -> Outcome {
    let work = Work::new(0, 1)?;
    let model = Timed {
        first: Duration::from_hours(1),
        pieces: 0,
        between: Duration::ZERO,
    };
    let (_model, server) = served(programs, cores, &work, model, CALLS).await?;
    let mut submitter = Follower::open(&server.asker).await?;
    let job = submitter.submit("An article.", false).await?;
    let before = clock::memory(server.process())?;
    let mut open = Vec::new();
    for _ in 0..followers {
        let mut follower = Follower::open(&server.asker).await?;
        follower.follow(&job).await?;
        open.push(follower);
    }
    let memory = clock::memory(server.process())?.saturating_sub(before) as f64 / followers as f64;
    let (cpu, since) = (clock::cpu(server.process())?, now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let busy = clock::cpu(server.process())?.saturating_sub(cpu);
    let busy = busy.as_secs_f64() * 1e6 / (now() - since) as f64;
    println!(
        "| memory of one who is told nothing | {followers} | {:.1} kB | | {:.0} % of a core for all of them |",
        memory / 1_024.0,
        busy * 100.0
    );
    Ok(())
}

/// So many jobs at once, each with a follower of its own, and the model asked for all of them at once.
async fn many(programs: &Path, cores: Cores, jobs: usize) -> Outcome {
    let work = Work::new(0, 3)?;
    let model = Timed {
        first: Duration::from_millis(200),
        pieces: 10,
        between: Duration::from_millis(20),
    };
    let (_model, server) = served(programs, cores, &work, model, jobs).await?;
    let began = (now(), wall()?);
    let told = (0..jobs).map(|number| {
        let server = &server;
        async move {
            let mut follower = Follower::open(&server.asker).await?;
            let job = follower.submit(&format!("Article {number}."), false).await?;
            follower.follow(&job).await?;
            Outcome::Ok((follower.since, follower.listen().await?))
        }
    });
    let (mut late, mut events) = (Vec::new(), 0);
    for (since, told) in try_join_all(told).await? {
        let numbered = numbered(&told, since, began)?;
        // What was told before the reply to `follow` is not listened to.
        let is_whole = numbered.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
        if !is_whole || numbered.is_empty() {
            return Err("a follower was not told an event, or one twice".into());
        }
        events += numbered.len();
        late.extend(numbered.iter().filter_map(|(_, late)| *late));
    }
    let (p50, p99) = quantiles(late)?;
    println!(
        "| an event after it was made | {jobs}, of a job each | {} ms | {} ms | {events} events, each once and in order |",
        p50 / 1_000,
        p99 / 1_000
    );
    Ok(())
}

fn wall() -> Outcome<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

fn quantiles(mut values: Vec<u64>) -> Outcome<(u64, u64)> {
    values.sort_unstable();
    let at = |part: usize| values.get(values.len() * part / 100).copied();
    at(50).zip(at(99)).ok_or_else(|| "nothing was measured".into())
}
