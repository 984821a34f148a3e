//! What is shown while articles are worked.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use bedrock_diy_core::{
    JobId,
    event::{Event, Fact, StageDelta},
    model::Usage,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    arguments::Progress,
    text::{dollars, duration, grouped, shortened},
};

/// What has happened in this run, counted from events.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Articles in all, those that were done before among them.
    pub(crate) articles: usize,
    /// Articles that have ended.
    pub(crate) ended: usize,
    /// Stages whose model was asked.
    pub(crate) asked: u64,
    /// Stages whose answer came from the memo.
    pub(crate) from_memo: u64,
    /// Tokens paid for.
    pub(crate) usage: Usage,
    /// Estimated dollars; none once a price was unknown.
    pub(crate) cost: Option<f64>,
    /// Since when.
    pub(crate) began: Instant,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            articles: 0,
            ended: 0,
            asked: 0,
            from_memo: 0,
            usage: Usage::default(),
            cost: Some(0.0),
            began: Instant::now(),
        }
    }

    /// Counts what was paid.
    pub(crate) fn pay(&mut self, usage: Usage, cost: Option<f64>) {
        self.usage += usage;
        self.cost = self.cost.zip(cost).map(|(so_far, more)| so_far + more);
    }

    fn rate(&self) -> f64 {
        (self.asked + self.from_memo) as f64 / self.began.elapsed().as_secs_f64().max(0.001)
    }
}

/// Shows progress.
pub(crate) struct Display {
    kind: Kind,
    names: HashMap<JobId, String>,
    stages: HashMap<JobId, u32>,
    /// The stage whose answer is being printed.
    streaming: Option<(JobId, u32)>,
}

enum Kind {
    Bars {
        articles: ProgressBar,
        now: ProgressBar,
        _both: indicatif::MultiProgress,
    },
    Lines,
    None,
}

impl Display {
    pub(crate) fn new(progress: Progress) -> Self {
        let bars = match progress {
            Progress::Auto => std::io::stderr().is_terminal(),
            Progress::Bars => true,
            Progress::Lines | Progress::None => false,
        };
        let kind = match progress {
            _ if bars => bars_on_stderr(),
            Progress::None => Kind::None,
            _ => Kind::Lines,
        };
        Self {
            kind,
            names: HashMap::new(),
            stages: HashMap::new(),
            streaming: None,
        }
    }

    /// Says something that stays on the screen.
    pub(crate) fn say(&self, text: &str) {
        match &self.kind {
            Kind::Bars { articles, .. } => articles.suspend(|| eprintln!("{text}")),
            Kind::Lines | Kind::None => eprintln!("{text}"),
        }
    }

    /// A job that is to be shown by this name.
    pub(crate) fn name(&mut self, job: &JobId, name: &str) {
        self.names.insert(job.clone(), name.to_owned());
    }

    /// Shows what happened.
    pub(crate) fn event(&mut self, event: &Event, tally: &Tally) {
        let name = self
            .names
            .get(&event.job_id)
            .map_or_else(|| event.job_id.as_str(), String::as_str)
            .to_owned();
        if let Fact::JobStarted { stages } = &event.fact {
            self.stages.insert(event.job_id.clone(), *stages);
        }
        let stages = self.stages.get(&event.job_id).copied().unwrap_or_default();
        let line = line(event, &name, stages, tally);
        let ended = matches!(
            event.fact,
            Fact::JobSucceeded { .. } | Fact::JobFailed { .. } | Fact::JobCancelled { .. }
        );
        match &self.kind {
            Kind::Bars { articles, now, .. } => {
                articles.set_length(tally.articles as u64);
                articles.set_position(tally.ended as u64);
                articles.set_message(bar_message(tally));
                if let Some(line) = line {
                    now.set_message(shortened(&line, 100));
                }
            }
            Kind::Lines => {
                if let Some(line) = line {
                    eprintln!("{line}");
                }
            }
            Kind::None => {}
        }
        if ended {
            self.names.remove(&event.job_id);
            self.stages.remove(&event.job_id);
        }
    }

    /// Prints a piece of an answer, under a heading where another stage's answer begins.
    pub(crate) fn delta(&mut self, delta: &StageDelta) {
        let stage = (delta.job_id.clone(), delta.stage);
        let heading = (self.streaming.as_ref() != Some(&stage)).then(|| {
            let name = self
                .names
                .get(&delta.job_id)
                .map_or_else(|| delta.job_id.as_str(), String::as_str);
            format!("\n── {name} · {} ──", delta.prompt_id)
        });
        let print = || {
            let mut out = std::io::stdout().lock();
            // A reader that has gone away ends the show, not the work.
            let _ = heading.map(|heading| writeln!(out, "{heading}"));
            let _ = write!(out, "{}", delta.text);
            let _ = out.flush();
        };
        match &self.kind {
            Kind::Bars { articles, .. } => articles.suspend(print),
            Kind::Lines | Kind::None => print(),
        }
        self.streaming = Some(stage);
    }

    /// Ends a printed answer, so that what follows begins on a line of its own.
    pub(crate) fn end_stream(&mut self) {
        if self.streaming.take().is_some() {
            println!();
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        if let Kind::Bars { articles, now, .. } = &self.kind {
            now.finish_and_clear();
            articles.finish_and_clear();
        }
    }
}

fn bars_on_stderr() -> Kind {
    let both = indicatif::MultiProgress::new();
    let style =
        |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let articles = both.add(ProgressBar::new(0));
    articles.set_style(style("{bar:30} {pos}/{len} articles · {msg}").progress_chars("█▉▊▋▌▍▎▏ "));
    let now = both.add(ProgressBar::new_spinner());
    now.set_style(style("{spinner} {msg}"));
    now.enable_steady_tick(Duration::from_millis(120));
    Kind::Bars {
        articles,
        now,
        _both: both,
    }
}

fn bar_message(tally: &Tally) -> String {
    let eta = if tally.ended == 0 || tally.ended >= tally.articles {
        String::new()
    } else {
        let left = (tally.articles - tally.ended) as f64 / tally.ended as f64;
        format!(" · ETA {}", duration(tally.began.elapsed().mul_f64(left)))
    };
    format!(
        "{:.1} stages/s · {} tokens · {}{eta}",
        tally.rate(),
        grouped(tally.usage.total()),
        dollars(tally.cost)
    )
}

fn line(event: &Event, name: &str, stages: u32, tally: &Tally) -> Option<String> {
    let count = || format!("[{}/{}]", tally.ended, tally.articles);
    Some(match &event.fact {
        Fact::StageCompleted {
            stage,
            prompt_id,
            memo_hit,
            usage,
            cost,
            model_ms,
            ..
        } => {
            let how = if *memo_hit {
                "from the memo".to_owned()
            } else {
                let time = duration(Duration::from_millis(*model_ms));
                format!("{} tokens, {}, {time}", grouped(usage.total()), dollars(*cost))
            };
            let of = if stages == 0 {
                String::new()
            } else {
                format!("/{stages}")
            };
            format!("        {name}: stage {stage}{of} {prompt_id}: {how}")
        }
        Fact::JobWaiting { stage, reason, until } => {
            format!("        {name}: stage {stage} waits until {until}: {reason}")
        }
        Fact::JobSucceeded { usage, cost, .. } => {
            format!(
                "{} {name}: succeeded, {} tokens, {}",
                count(),
                grouped(usage.total()),
                dollars(*cost)
            )
        }
        Fact::JobFailed { error } => format!("{} {name}: {}: {}", count(), error.code, error.message),
        Fact::JobCancelled { .. } => format!("{} {name}: cancelled", count()),
        Fact::StageFailed {
            stage,
            prompt_id,
            code,
            usage,
            cost,
        } => {
            let (tokens, cost) = (grouped(usage.total()), dollars(*cost));
            format!("        {name}: stage {stage} {prompt_id}: {code} ({tokens} tokens, {cost})")
        }
        Fact::JobAccepted { .. } | Fact::JobStarted { .. } | Fact::StageStarted { .. } => return None,
    })
}
