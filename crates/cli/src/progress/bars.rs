//! Bars on a terminal: the run as a whole, and a row for each article that is at work.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use bedrock_diy_core::JobId;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Article, Tally};
use crate::{
    terminal,
    text::{dollars, duration, grouped, shortened},
};

/// Rows for articles. More are at work when many calls are in flight; it is said how many.
const ROWS: usize = 8;

/// Columns for an article's name.
const NAME: usize = 60;

/// Time between two drawings. Events come by the thousand; eyes don't.
const GRAIN: Duration = Duration::from_millis(100);

/// The bars of a run.
pub(super) struct Bars {
    all: MultiProgress,
    run: ProgressBar,
    numbers: ProgressBar,
    rows: Vec<Row>,
    /// Articles that have begun and have no row, the oldest first.
    waiting: VecDeque<JobId>,
    drawn: Instant,
}

struct Row {
    bar: ProgressBar,
    job: JobId,
}

impl Default for Bars {
    fn default() -> Self {
        let all = MultiProgress::new();
        let line = |template| {
            let bar = all.add(ProgressBar::new(0));
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            bar
        };
        let bars = Self {
            run: line("{wide_bar} {pos}/{len} articles"),
            numbers: line("{wide_msg}"),
            rows: Vec::new(),
            waiting: VecDeque::new(),
            drawn: Instant::now(),
            all,
        };
        terminal::show_bars(&bars.all);
        bars
    }
}

impl Bars {
    /// An article has begun.
    pub(super) fn begin(&mut self, job: &JobId) {
        self.waiting.push_back(job.clone());
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&self) -> bool {
        self.drawn.elapsed() >= GRAIN
    }

    /// Draws everything as it stands.
    pub(super) fn draw(&mut self, articles: &HashMap<JobId, Article>, tally: &Tally) {
        self.drawn = Instant::now();
        self.run.set_length(tally.articles() as u64);
        self.run.set_position(tally.ended as u64);
        self.waiting.retain(|job| articles.contains_key(job));
        // A row keeps its place: an article takes the place of one that has ended.
        self.rows.retain_mut(|row| {
            if articles.contains_key(&row.job) {
                return true;
            }
            let next = self.waiting.pop_front();
            if next.is_none() {
                self.all.remove(&row.bar);
            }
            next.map(|next| row.job = next).is_some()
        });
        while self.rows.len() < ROWS
            && let Some(job) = self.waiting.pop_front()
        {
            let bar = self.all.add(ProgressBar::new(0));
            bar.set_style(self.numbers.style());
            self.rows.push(Row { bar, job });
        }
        self.numbers.set_message(numbers(tally, self.waiting.len()));
        for row in &self.rows {
            row.bar
                .set_message(articles.get(&row.job).map(shown).unwrap_or_default());
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&self) {
        terminal::forget_bars();
        let _ = self.all.clear();
    }
}

/// `▰▰▱▱ headline 2.1 s  기사.txt`: the name comes last, where a narrow screen cuts it.
fn shown(article: &Article) -> String {
    let done = (0..article.stages.min(20))
        .map(|stage| if stage < article.done { '▰' } else { '▱' })
        .collect::<String>();
    let at = article.at.as_ref().map_or_else(String::new, |at| {
        format!("{} {}", at.what, duration(at.since.elapsed()))
    });
    format!("  {done} {at:<24} {}", shortened(&article.name, NAME))
}

fn numbers(tally: &Tally, unseen: usize) -> String {
    let unseen = match unseen {
        0 => String::new(),
        more => format!(" · {} more at work", grouped(more as u64)),
    };
    let left = tally
        .time_left()
        .map(|left| format!(" · ETA {}", duration(left)))
        .unwrap_or_default();
    format!(
        "{:.1} stages/s{left} · {} tokens · {} · {}{unseen}",
        tally.rate(),
        grouped(tally.usage.total()),
        dollars(tally.cost),
        duration(tally.began.elapsed()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_how_far_an_article_is_and_the_name_comes_last() {
        let mut article = Article {
            name: "항구 다리.txt".into(),
            stages: 4,
            done: 0,
            at: None,
        };
        assert!(shown(&article).starts_with("  ▱▱▱▱ "));
        article.done = 2;
        article.at = Some(super::super::At {
            what: "headline".into(),
            since: Instant::now(),
        });
        let row = shown(&article);
        assert!(row.starts_with("  ▰▰▱▱ headline 0.0 s "), "{row}");
        assert!(row.ends_with(" 항구 다리.txt"), "{row}");
    }
}
