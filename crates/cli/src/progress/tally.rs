//! What has happened in a run, in numbers.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bedrock_diy_core::model::Usage;

/// What has happened in this run, counted from events.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Files that the run was given; one may hold many articles.
    pub(crate) files: usize,
    /// Articles that were found in them so far, those that were done before among them.
    pub(crate) found: usize,
    /// Articles that have ended.
    pub(crate) ended: usize,
    /// Stages that each article passes.
    pub(crate) stages_each: u32,
    /// Stages of articles that have not ended.
    pub(crate) open_stages: u64,
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
    pace: Pace,
}

impl Tally {
    /// Of a run of so many files through so many cards.
    pub(crate) fn new(files: usize, stages_each: u32) -> Self {
        let began = Instant::now();
        Self {
            files,
            found: 0,
            ended: 0,
            stages_each,
            open_stages: 0,
            asked: 0,
            from_memo: 0,
            usage: Usage::default(),
            cost: Some(0.0),
            began,
            pace: Pace::default(),
        }
    }

    /// Counts what was paid.
    pub(crate) fn pay(&mut self, usage: Usage, cost: Option<f64>) {
        self.usage += usage;
        self.cost = self.cost.zip(cost).map(|(so_far, more)| so_far + more);
    }

    /// Counts a stage that went by.
    pub(crate) fn stage_done(&mut self, from_memo: bool) {
        *(if from_memo {
            &mut self.from_memo
        } else {
            &mut self.asked
        }) += 1;
        self.pace.note(self.began.elapsed(), self.stages());
    }

    /// Forgets what was counted of stages and their price, to count it anew.
    pub(crate) fn forget_stages(&mut self) {
        (self.asked, self.from_memo) = (0, 0);
        (self.usage, self.cost) = (Usage::default(), Some(0.0));
    }

    /// How many articles there are, as far as is known.
    pub(crate) fn articles(&self) -> usize {
        self.files.max(self.found)
    }

    /// Stages that went by.
    fn stages(&self) -> u64 {
        self.asked + self.from_memo
    }

    /// Stages a second, of late.
    pub(crate) fn rate(&self) -> f64 {
        self.rate_after(self.began.elapsed())
    }

    fn rate_after(&self, elapsed: Duration) -> f64 {
        self.pace.rate(elapsed, self.stages())
    }

    /// How long what is left will take at this rate.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.time_left_after(self.began.elapsed())
    }

    fn time_left_after(&self, elapsed: Duration) -> Option<Duration> {
        let articles = self.articles().saturating_sub(self.ended) as u64;
        let left = (articles * u64::from(self.stages_each)).saturating_sub(self.open_stages);
        let rate = self.rate_after(elapsed);
        (left > 0 && rate > 0.0)
            .then(|| Duration::try_from_secs_f64(left as f64 / rate).ok())
            .flatten()
    }
}

/// How fast it goes of late: what the memo answered in the first second says nothing about the hour
/// that the model will take.
#[derive(Debug, Clone, Default)]
struct Pace(VecDeque<(Duration, u64)>);

impl Pace {
    const WINDOW: Duration = Duration::from_secs(20);
    const GRAIN: Duration = Duration::from_millis(500);

    fn note(&mut self, now: Duration, stages: u64) {
        if self.0.back().is_some_and(|(last, _)| now < *last + Self::GRAIN) {
            return;
        }
        while self
            .0
            .front()
            .is_some_and(|(first, _)| *first + Self::WINDOW < now)
        {
            self.0.pop_front();
        }
        self.0.push_back((now, stages));
    }

    fn rate(&self, now: Duration, stages: u64) -> f64 {
        // Before the window is full it begins with the run.
        let (since, before) = match self.0.front() {
            Some((first, before)) if *first > Self::GRAIN * 2 => (*first, *before),
            _ => (Duration::ZERO, 0),
        };
        stages.saturating_sub(before) as f64 / now.saturating_sub(since).as_secs_f64().max(0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_late() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        pace.note(second / 10, 1_000);
        assert!((pace.rate(second, 1_000) - 1_000.0).abs() < 1.0);
        for at in 1..=60 {
            pace.note(second * at, 1_000 + u64::from(at) * 2);
        }
        assert!((pace.rate(second * 60, 1_120) - 2.0).abs() < 0.2);
    }

    #[test]
    fn what_is_left_counts_stages_and_not_articles() {
        let mut tally = Tally::new(4, 5);
        assert_eq!(tally.time_left(), None, "nobody knows before the first stage");
        tally.found = 6;
        tally.ended = 3;
        tally.open_stages = 5;
        tally.asked = 10;
        let left = tally.time_left_after(Duration::from_secs(1));
        assert_eq!(left, Some(Duration::from_secs(1)));
    }
}
