//! A job's stages, told while they run: what the model writes on standard output, everything about it beside.

use std::{
    io::{IsTerminal as _, stdout},
    time::Duration,
};

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact, StageDelta},
};

use crate::{
    remote::Remote,
    terminal::{plain, plain_lines, print, say, stream},
    text::{dollars, duration, grouped},
};

/// Tells one job's stages.
///
/// On a terminal answers are shown while they are written, and it is said where one turns out to be void. Elsewhere
/// each output is printed when it is stored: a program would take a void answer for one.
pub(crate) struct Transcript<'a> {
    remote: &'a Remote,
    job: JobId,
    is_live: bool,
    /// How many stages it has; 0 before that is known.
    stages: u32,
    /// The answer that is being shown, and what of it.
    shown: Option<(String, String)>,
}

impl<'a> Transcript<'a> {
    pub(crate) fn of(remote: &'a Remote, job: JobId) -> Self {
        Self {
            remote,
            job,
            is_live: stdout().is_terminal(),
            stages: 0,
            shown: None,
        }
    }

    /// Tells an event.
    pub(crate) async fn tell(&mut self, event: &Event) -> Result<()> {
        match &event.fact {
            Fact::JobStarted { stages } => self.stages = *stages,
            Fact::StageStarted { stage, prompt_id } => {
                say(format_args!("── {prompt_id} ({stage}/{}) ──", self.stages));
            }
            Fact::StageDelta(delta) => self.write_on(delta),
            Fact::StageCompleted {
                stage,
                output,
                memo_hit,
                usage,
                cost,
                model_ms,
                ..
            } => {
                self.finish(*stage, output.size).await?;
                if *memo_hit {
                    say("   from the memo");
                } else {
                    let time = duration(Duration::from_millis(*model_ms));
                    let tokens = grouped(usage.total());
                    say(format_args!("   {tokens} tokens, {}, {time}", dollars(*cost)));
                }
            }
            Fact::StageFailed {
                code, usage, cost, ..
            } => {
                self.end_line();
                let tokens = grouped(usage.total());
                say(format_args!("   {code} ({tokens} tokens, {})", dollars(*cost)));
            }
            Fact::StageRetrying { code, .. } => {
                self.end_line();
                say(format_args!("   {code}, tried again"));
            }
            Fact::JobWaiting { reason, until, .. } => {
                self.end_line();
                say(format_args!("   waits until {until}: {}", plain(reason)));
            }
            Fact::JobFailed { error } => {
                self.end_line();
                say(format_args!("{}: {}", error.code, plain(&error.message)));
            }
            Fact::JobCancelled { .. } => {
                self.end_line();
                say("cancelled");
            }
            Fact::JobAccepted { .. } | Fact::JobSucceeded { .. } => {}
        }
        Ok(())
    }

    /// Shows what is new of an answer.
    fn write_on(&mut self, delta: &StageDelta) {
        if !self.is_live {
            return;
        }
        if self
            .shown
            .as_ref()
            .is_some_and(|(answer, _)| *answer != delta.answer)
        {
            self.end_line();
            say("   that answer is void; another one:");
        }
        let (_, had) = self
            .shown
            .get_or_insert_with(|| (delta.answer.clone(), String::new()));
        let rest = delta.after(had.chars().count() as u64);
        had.push_str(&rest.text);
        stream(&plain_lines(&rest.text));
    }

    /// Ends a stage's output, of so many bytes, on a line of its own; what was not shown of it is told now.
    async fn finish(&mut self, stage: u32, bytes: u64) -> Result<()> {
        let had = self.shown.take().map(|(_, text)| text);
        if had.as_ref().is_some_and(|had| had.len() as u64 == bytes) {
            stream("\n");
            return Ok(());
        }
        let output = self.output(stage).await?;
        match had {
            // Of a long answer only the beginning is told while it is written.
            Some(had) if output.starts_with(&had) => print(plain_lines(&output[had.len()..])),
            Some(_) => {
                stream("\n");
                say("   what is kept of it:");
                print(plain_lines(&output))
            }
            None if self.is_live => print(plain_lines(&output)),
            None => print(output.strip_suffix('\n').unwrap_or(&output)),
        }
    }

    async fn output(&self, stage: u32) -> Result<String> {
        let at = format!("/api/jobs/{}/results/{stage}", self.job);
        let answer = self.remote.get(&at).header("Accept", "text/plain");
        answer.persistent().send().await?.text().await
    }

    /// Whatever was shown last, what follows begins on a line of its own.
    fn end_line(&mut self) {
        if self.shown.take().is_some() {
            stream("\n");
        }
    }
}
