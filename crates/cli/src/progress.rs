//! What is shown while articles are worked.

mod bars;
mod tally;

use std::{
    collections::HashMap,
    io::{IsTerminal, stderr, stdout},
    time::{Duration, Instant},
};

use bedrock_diy_core::{
    JobId,
    event::{Event, Fact, LiveText},
};

pub(crate) use tally::Tally;

use self::bars::Bars;
use crate::{
    arguments::Progress,
    terminal::{self, plain, plain_lines},
    text::{dollars, duration, grouped},
};

/// Shows progress.
pub(crate) struct Display {
    kind: Kind,
    articles: HashMap<JobId, Article>,
    /// The stage whose answer is being printed.
    streaming: Option<(JobId, u32)>,
}

enum Kind {
    Bars(Box<Bars>),
    Lines,
    None,
}

/// An article that is not done.
#[derive(Debug)]
struct Article {
    name: String,
    stages: u32,
    done: u32,
    /// What it is at; nothing before it is begun.
    at: Option<At>,
}

/// What an article is at.
#[derive(Debug)]
struct At {
    what: String,
    since: Instant,
}

impl Display {
    /// `streaming` says whether answers are printed as they are written.
    pub(crate) fn new(progress: Progress, streaming: bool) -> Self {
        // An answer that is being written ends somewhere within a line: there is no room for bars below.
        let room = !(streaming && stdout().is_terminal());
        let able = || stderr().is_terminal() && !terminal::is_dumb();
        let kind = match progress {
            Progress::None => Kind::None,
            Progress::Bars if room => Kind::Bars(Box::default()),
            Progress::Auto if room && able() => Kind::Bars(Box::default()),
            Progress::Auto | Progress::Bars | Progress::Lines => Kind::Lines,
        };
        Self {
            kind,
            articles: HashMap::new(),
            streaming: None,
        }
    }

    /// An article whose job is to be shown by this name.
    pub(crate) fn name(&mut self, job: &JobId, name: &str) {
        self.articles.insert(
            job.clone(),
            Article {
                name: plain(name).into_owned(),
                stages: 0,
                done: 0,
                at: None,
            },
        );
    }

    /// Shows what happened.
    pub(crate) fn event(&mut self, event: &Event, tally: &Tally) {
        if let Some(article) = self.articles.get_mut(&event.job_id) {
            article.take(&event.fact);
        }
        match &mut self.kind {
            Kind::Bars(bars) => {
                match &event.fact {
                    Fact::JobStarted { .. } => bars.begin(&event.job_id),
                    Fact::JobFailed { .. } | Fact::JobCancelled { .. } => {
                        if let Some(line) = line(event, self.articles.get(&event.job_id), tally) {
                            terminal::say(line);
                        }
                    }
                    _ => {}
                }
                if bars.is_due() {
                    bars.draw(&self.articles, tally);
                }
            }
            Kind::Lines => {
                if let Some(line) = line(event, self.articles.get(&event.job_id), tally) {
                    terminal::say(line);
                }
            }
            Kind::None => {}
        }
        if ends(&event.fact) {
            self.articles.remove(&event.job_id);
        }
    }

    /// A job that has ended, although nobody saw it.
    pub(crate) fn forget(&mut self, job: &JobId) {
        self.articles.remove(job);
    }

    /// Shows how time passes while nothing happens.
    pub(crate) fn tick(&mut self, tally: &Tally) {
        if let Kind::Bars(bars) = &mut self.kind {
            bars.draw(&self.articles, tally);
        }
    }

    /// Prints a piece of an answer, under a heading where another stage's answer begins.
    pub(crate) fn delta(&mut self, delta: &LiveText) {
        let stage = (delta.job_id.clone(), delta.stage);
        if self.streaming.as_ref() != Some(&stage) {
            let name = self
                .articles
                .get(&delta.job_id)
                .map_or_else(|| delta.job_id.as_str(), |article| article.name.as_str());
            terminal::stream(&format!("\n── {name} · {} ──\n", delta.prompt_id));
        }
        terminal::stream(&plain_lines(&delta.text));
        self.streaming = Some(stage);
    }

    /// Ends a printed answer, so that what follows begins on a line of its own.
    pub(crate) fn end_stream(&mut self) {
        if self.streaming.take().is_some() {
            terminal::stream("\n");
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&mut self) {
        self.end_stream();
        if let Kind::Bars(bars) = &self.kind {
            bars.finish();
        }
    }
}

impl Article {
    fn take(&mut self, fact: &Fact) {
        let at = |what: String| {
            Some(At {
                what,
                since: Instant::now(),
            })
        };
        match fact {
            Fact::JobStarted { stages } => self.stages = *stages,
            Fact::StageStarted { prompt_id, .. } => self.at = at(prompt_id.to_string()),
            Fact::JobWaiting { .. } => self.at = at("waits for model quota".to_owned()),
            Fact::StageCompleted { stage, .. } => self.done = *stage,
            _ => {}
        }
    }
}

fn ends(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::JobSucceeded { .. } | Fact::JobFailed { .. } | Fact::JobCancelled { .. }
    )
}

/// What happened as a line; nothing where it is not worth one.
fn line(event: &Event, article: Option<&Article>, tally: &Tally) -> Option<String> {
    let name = article.map_or_else(|| event.job_id.as_str(), |article| article.name.as_str());
    let count = || format!("[{}/{}]", tally.ended, tally.articles());
    let line = match &event.fact {
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
            let of = article
                .filter(|article| article.stages > 0)
                .map(|article| format!("/{}", article.stages))
                .unwrap_or_default();
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
        Fact::StageRetrying {
            stage,
            prompt_id,
            code,
        } => format!("        {name}: stage {stage} {prompt_id}: {code}, tried again"),
        Fact::JobAccepted { .. }
        | Fact::JobStarted { .. }
        | Fact::StageStarted { .. }
        | Fact::StageDelta(_) => return None,
    };
    Some(plain(&line).into_owned())
}
