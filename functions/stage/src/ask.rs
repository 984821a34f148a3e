//! Asking the model: a turn in its line, one call, and one more where the answer can be repaired.

use std::time::Duration;

use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    event::LiveText,
    job::Job,
    judge::{self, Verdict},
    limits,
    model::{ModelAnswer, ModelRequest, Usage},
    quota::Place,
    time::Timestamp,
};

use crate::{Stage, prepare::Prepared, telling::Said};

/// What became of asking the model.
pub(crate) enum Asked {
    /// A good output.
    Output {
        text: String,
        usage: Usage,
        calls: u32,
        model_time: Duration,
    },
    /// Not now; the line has a place then. Where a first answer was paid for in vain: why, and what it cost.
    Throttled {
        slot: Timestamp,
        paid: Option<(Code, Usage)>,
    },
    /// Nothing that can be an output, but paid all the same.
    Failed { failure: Failure, usage: Usage },
}

/// What became of one call.
enum Called {
    Answered(ModelAnswer),
    /// To be called again then.
    Throttled(Timestamp),
}

/// How long a repair turn waits here for its place: its first answer is paid, so better stand for a while
/// than pay for it again. It is next in the line, so a longer wait is a line that was closed, or a very slow
/// one.
const REPAIR_WAIT: Duration = Duration::from_secs(9);

impl Stage {
    /// Takes the stage's turn at the model; waits here for `patience` at most, and says when to ask again
    /// where that is not enough.
    pub(crate) async fn take_turn(
        &self,
        prepared: &Prepared,
        place: Place,
        patience: Duration,
    ) -> Result<Option<Timestamp>> {
        let mut left = patience;
        loop {
            let slot = self.reserve(prepared, place).await?;
            let wait = Duration::from_millis(slot.millis_since(self.ports.clock.now()));
            if wait.is_zero() {
                return Ok(None);
            }
            if wait > left {
                return Ok(Some(slot));
            }
            tokio::time::sleep(wait).await;
            left -= wait;
        }
    }

    async fn reserve(&self, prepared: &Prepared, place: Place) -> Result<Timestamp> {
        let (model, holder) = (&prepared.request.model, &prepared.holder);
        self.ports
            .quota
            .reserve(
                model,
                prepared.quota_tokens,
                holder,
                place,
                self.ports.clock.now(),
            )
            .await
    }

    /// Asks the model, once more where its answer can be repaired.
    pub(crate) async fn ask(&self, job: &mut Job, prepared: &Prepared, begun: Timestamp) -> Result<Asked> {
        let answer = match self.call(job, prepared, &prepared.request, begun).await? {
            Called::Answered(answer) => answer,
            Called::Throttled(slot) => return Ok(Asked::Throttled { slot, paid: None }),
        };
        let usage = answer.usage;
        let fault = match judge::judge(&answer, prepared.card.schema()) {
            Ok(Verdict::Output(text)) => {
                return Ok(Asked::Output {
                    text,
                    usage,
                    calls: 1,
                    model_time: answer.latency,
                });
            }
            Ok(Verdict::Repair(fault)) => fault,
            Err(failure) => return Ok(Asked::Failed { failure, usage }),
        };
        let request = judge::repair(&prepared.request, &answer, &fault);
        let repaired = match self.take_turn(prepared, Place::First, REPAIR_WAIT).await {
            Ok(None) => self.call(job, prepared, &request, begun).await,
            Ok(Some(slot)) => Ok(Called::Throttled(slot)),
            Err(failure) => Err(failure),
        };
        let second = match repaired {
            Ok(Called::Answered(second)) => second,
            Ok(Called::Throttled(slot)) => {
                let paid = Some((fault.code(), usage));
                return Ok(Asked::Throttled { slot, paid });
            }
            Err(failure) => return Ok(Asked::Failed { failure, usage }),
        };
        let mut usage = usage;
        usage += second.usage;
        Ok(match judge::judge(&second, prepared.card.schema()) {
            Ok(Verdict::Output(text)) => Asked::Output {
                text,
                usage,
                calls: 2,
                model_time: answer.latency + second.latency,
            },
            Ok(Verdict::Repair(fault)) => Asked::Failed {
                failure: fault.failure(),
                usage,
            },
            Err(failure) => Asked::Failed { failure, usage },
        })
    }

    /// One call, within what is left of the stage's time since `begun`.
    async fn call(
        &self,
        job: &mut Job,
        prepared: &Prepared,
        request: &ModelRequest,
        begun: Timestamp,
    ) -> Result<Called> {
        let followed = self.ports.bus.has_onlookers();
        let (said, job_id) = (Said::default(), job.job_id.clone());
        let mut on_delta = |text: &str| {
            said.more(text);
            if followed {
                self.ports.bus.delta(LiveText {
                    job_id: job_id.clone(),
                    stage: prepared.stage,
                    prompt_id: prepared.card.prompt_id().clone(),
                    text: text.to_owned(),
                });
            }
        };
        let spent = Duration::from_millis(self.ports.clock.now().millis_since(begun));
        let left = Duration::from_secs(u64::from(limits::STAGE_SECONDS)).saturating_sub(spent);
        let deadline = prepared.deadline.min(left);
        let call = self.ports.model.converse(request, deadline, &mut on_delta);
        // The deadline is the model's; this ends the wait for one's turn at it, too.
        let call = async {
            let answer = tokio::time::timeout(left, call).await;
            said.end();
            answer
        };
        let (answer, ()) = tokio::join!(call, self.tell(job, prepared, &said));
        let answer = answer.unwrap_or_else(|_| {
            Err(Failure::new(
                Code::ModelTimeout,
                format!(
                    "the stage had no answer after {} seconds of waiting and asking",
                    limits::STAGE_SECONDS
                ),
            ))
        });
        let (model, holder) = (&request.model, &prepared.holder);
        let now = self.ports.clock.now();
        match answer {
            Err(failure) if failure.code == Code::ModelThrottled => {
                self.ports
                    .quota
                    .throttled(model, holder, now, failure.retry_after)
                    .await?;
                Ok(Called::Throttled(self.reserve(prepared, Place::Last).await?))
            }
            other => {
                self.ports.quota.answered(model, holder, now).await?;
                other.map(Called::Answered)
            }
        }
    }
}
