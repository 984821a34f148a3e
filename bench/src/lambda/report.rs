//! The tables.

use std::{
    fs::File,
    io::{Cursor, Write},
    path::Path,
    time::Duration,
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    Outcome,
    function::{Name, Spent},
    phases::{self, Amount, LARGE_HTML, LARGE_TEXT, Measured},
};

/// Measures everything and prints the tables.
pub(crate) async fn all(programs: &Path, short: bool) -> Outcome {
    let amount = if short {
        Amount {
            cold: 3,
            warm: 20,
            large: (1, 2),
        }
    } else {
        Amount {
            cold: 20,
            warm: 501,
            large: (5, 10),
        }
    };
    let plain = phases::all(programs, amount, false).await?;
    let tls = phases::all(programs, amount, true).await?;
    println!("# bench-lambda\n");
    println!(
        "Medians of {} cold starts; {} warm invocations of intake, plan and finish, {} of stage.\n",
        amount.cold + 1,
        plain[0].warm.len().min(amount.warm - 1),
        plain
            .iter()
            .find(|of| of.name == Name::Stage)
            .map_or(0, |of| of.warm.len()),
    );
    for (title, measured) in [("Plain HTTP", &plain), ("TLS", &tls)] {
        println!("## {title}\n");
        println!(
            "| function | exec to first `next` ms (CPU) | first invocation ms (CPU) | warm ms, median | p99 | CPU ms an invocation | calls | CPU ms a call | peak MB |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        measured.iter().for_each(row);
        println!();
    }
    println!("## Cold start with TLS\n");
    println!(
        "Everything that a process pays once: from exec to the first `next`, and what the first invocation takes longer than a warm one.\n"
    );
    println!(
        "| function | exec to first `next` ms | first invocation above a warm one ms | together ms (CPU) | together by plain HTTP ms (CPU) |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (plain, tls) in plain.iter().zip(&tls).filter(|(of, _)| is_small(of)) {
        let (start, above) = (
            start(tls, |spent| spent.time),
            above_warm(tls, |spent| spent.time),
        );
        println!(
            "| {} | {start:.1} | {above:.1} | {:.1} ({:.1}) | {:.1} ({:.1}) |",
            tls.what,
            start + above,
            cold(tls, |spent| spent.cpu),
            cold(plain, |spent| spent.time),
            cold(plain, |spent| spent.cpu),
        );
    }
    println!("\n## Sizes\n");
    println!("| function | binary MB | zip MB |");
    println!("| --- | --- | --- |");
    for name in [Name::Intake, Name::Plan, Name::Stage, Name::Finish] {
        let (binary, zip) = sizes(&programs.join(name.program()))?;
        println!(
            "| {} | {:.2} | {:.2} |",
            name.as_str(),
            megabytes(binary),
            megabytes(zip)
        );
    }
    println!("\n## Targets\n");
    targets(&plain, &tls);
    Ok(())
}

fn row(of: &Measured) {
    let warm = sorted(of.warm.iter().map(|spent| spent.time));
    let cpu: Duration = of.warm.iter().map(|spent| spent.cpu).sum();
    println!(
        "| {} | {:.1} ({:.1}) | {:.1} ({:.1}) | {:.2} | {:.2} | {:.2} | {} | {:.2} | {:.1} |",
        of.what,
        start(of, |spent| spent.time),
        start(of, |spent| spent.cpu),
        first(of, |spent| spent.time),
        first(of, |spent| spent.cpu),
        millis(warm[warm.len() / 2]),
        millis(warm[warm.len() * 99 / 100]),
        millis(cpu) / of.warm.len() as f64,
        of.calls.len(),
        cpu_of_a_call(of),
        megabytes(of.peak),
    );
}

/// Picks the time or the CPU time.
type Pick = fn(&Spent) -> Duration;

/// From exec to the first `next`, in milliseconds.
fn start(of: &Measured, pick: Pick) -> f64 {
    millis(median(of.cold.iter().map(|(start, _)| pick(start))))
}

/// The first invocation, in milliseconds.
fn first(of: &Measured, pick: Pick) -> f64 {
    millis(median(of.cold.iter().map(|(_, first)| pick(first))))
}

/// What the first invocation takes longer than a warm one, in milliseconds.
fn above_warm(of: &Measured, pick: Pick) -> f64 {
    first(of, pick) - millis(median(of.warm.iter().map(pick)))
}

/// Everything that a process pays once, in milliseconds.
fn cold(of: &Measured, pick: Pick) -> f64 {
    start(of, pick) + above_warm(of, pick)
}

/// Whether the articles were of the usual size.
fn is_small(of: &Measured) -> bool {
    of.what == of.name.as_str()
}

fn cpu_of_a_call(of: &Measured) -> f64 {
    let cpu: Duration = of.warm.iter().map(|spent| spent.cpu).sum();
    millis(cpu) / of.warm_calls as f64
}

/// A call of a bare function took 0.175 ms of CPU where the target of 0.25 ms was set. Machines differ, and one
/// machine from hour to hour: their ratio does not.
const AGAINST_BARE: f64 = 0.25 / 0.175;

fn targets(plain: &[Measured], tls: &[Measured]) {
    let most = |all: &[Measured], of: fn(&Measured) -> f64| {
        let ours = all.iter().filter(|of| is_small(of) && of.name != Name::Bare);
        ours.map(of).fold(0.0, f64::max)
    };
    let bare = tls
        .iter()
        .find(|of| of.name == Name::Bare)
        .map_or(f64::NAN, cpu_of_a_call);
    let peak = |what: &str| {
        let both = plain.iter().chain(tls).filter(|of| of.what == what);
        both.map(|of| megabytes(of.peak)).fold(0.0, f64::max)
    };
    let rows = [
        (
            "CPU of a call, warm, by TLS",
            0.25,
            most(tls, cpu_of_a_call),
            "ms",
        ),
        (
            "the same, against a function that does nothing but four calls",
            AGAINST_BARE,
            most(tls, cpu_of_a_call) / bare,
            "times",
        ),
        (
            "cold start by TLS",
            20.0,
            most(tls, |of| cold(of, |spent| spent.time)),
            "ms",
        ),
        ("peak of stage", 24.0, peak("stage"), "MB"),
        ("peak of plan with 10 MB of text", 100.0, peak(LARGE_TEXT), "MB"),
        ("peak of plan with 10 MB of HTML", 100.0, peak(LARGE_HTML), "MB"),
        (
            "for orientation: exec to first `next`",
            6.0,
            most(plain, |of| start(of, |spent| spent.time)),
            "ms",
        ),
        (
            "for orientation: first invocation by plain HTTP",
            2.0,
            most(plain, |of| first(of, |spent| spent.time)),
            "ms",
        ),
    ];
    println!("The worst of the four functions.\n");
    println!("| asked for | measured | |");
    println!("| --- | --- | --- |");
    for (what, most, measured, unit) in rows {
        let met = if measured <= most { "met" } else { "missed" };
        println!("| {what}: at most {most:.2} {unit} | {measured:.2} {unit} | {met} |");
    }
}

/// The sizes of a binary and of a zip archive of it, in bytes.
fn sizes(program: &Path) -> Outcome<(u64, u64)> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("bootstrap", options)?;
    let binary = std::io::copy(&mut File::open(program)?, &mut zip)?;
    zip.flush()?;
    Ok((binary, zip.finish()?.into_inner().len() as u64))
}

fn median(values: impl Iterator<Item = Duration>) -> Duration {
    let values = sorted(values);
    values[values.len() / 2]
}

fn sorted(values: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut values: Vec<_> = values.collect();
    values.sort();
    values
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
