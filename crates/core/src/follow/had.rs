//! What somebody has had of a job, and what is new to them.

use std::{fmt, str::FromStr};

use serde::Serialize;

use crate::{
    event::{Event, Fact, StageDelta, Unstored},
    ids::JobId,
};

/// What somebody who follows a job has had.
///
/// As text it is the number of the last event; where pieces of an answer were shown that have no number yet, with the
/// answer and how many of its characters behind it: `17`, or `17:1c9f03ab:345`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    events: u64,
    answer: Option<PartOfAnswer>,
    /// Whether that is more than the events up to that one tell.
    is_ahead: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PartOfAnswer {
    answer: String,
    characters: u64,
}

/// What is new to somebody, and what they have had with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What they have had with it, as text.
    pub id: String,
    /// What is new.
    pub news: News,
}

/// What may be new of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum News {
    /// An event.
    Event(Event),
    /// A piece of an answer that is not stored yet, and has no number.
    Piece(LivePiece),
}

/// A piece of an answer that is not stored yet, and has no number.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LivePiece {
    job_id: JobId,
    #[serde(flatten)]
    fact: Fact,
}

impl News {
    /// What happened.
    #[must_use]
    pub fn fact(&self) -> &Fact {
        match self {
            Self::Event(event) => &event.fact,
            Self::Piece(piece) => &piece.fact,
        }
    }
}

impl Had {
    /// All events up to this number.
    #[must_use]
    pub fn up_to(events: u64) -> Self {
        Self {
            events,
            answer: None,
            is_ahead: false,
        }
    }

    /// The number of the last event.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Takes the next event, and says what is new of it.
    pub fn take(&mut self, mut event: Event) -> Shown {
        self.events = event.number;
        match &mut event.fact {
            Fact::StageDelta(delta) => *delta = self.take_piece(delta),
            // More of an answer may have been shown than was told when this happened.
            Fact::JobWaiting { .. } => {}
            _ => self.is_ahead = false,
        }
        Shown {
            id: self.to_string(),
            news: News::Event(event),
        }
    }

    /// Takes what is written and not yet stored, and says what is new of it: nothing where it was had, or where it does
    /// not come right after the last event.
    pub fn take_unstored(&mut self, job: &JobId, unstored: &Unstored) -> Option<Shown> {
        if unstored.after != self.events {
            return None;
        }
        let rest = self.take_piece(&unstored.delta);
        if rest.text.is_empty() {
            return None;
        }
        self.is_ahead = true;
        Some(Shown {
            id: self.to_string(),
            news: News::Piece(LivePiece {
                job_id: job.clone(),
                fact: Fact::StageDelta(rest),
            }),
        })
    }

    /// Takes a piece of an answer, and returns what is new of it.
    fn take_piece(&mut self, delta: &StageDelta) -> StageDelta {
        let had = self.answer.as_ref().filter(|had| had.answer == delta.answer);
        let had = had.map_or(0, |had| had.characters);
        self.is_ahead = had > delta.end();
        self.answer = Some(PartOfAnswer {
            answer: delta.answer.clone(),
            characters: had.max(delta.end()),
        });
        delta.after(had)
    }
}

impl fmt::Display for Had {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Some(PartOfAnswer { answer, characters }) if self.is_ahead => {
                write!(f, "{}:{answer}:{characters}", self.events)
            }
            _ => write!(f, "{}", self.events),
        }
    }
}

/// The text says nothing that anybody can have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be the number of an event, or the id of one that was shown")]
pub struct NeverHad;

impl FromStr for Had {
    type Err = NeverHad;

    fn from_str(text: &str) -> Result<Self, NeverHad> {
        let Some((events, part)) = text.split_once(':') else {
            return Ok(Self::up_to(text.parse().map_err(|_| NeverHad)?));
        };
        let (answer, characters) = part.split_once(':').ok_or(NeverHad)?;
        Ok(Self {
            events: events.parse().map_err(|_| NeverHad)?,
            answer: Some(PartOfAnswer {
                answer: answer.to_owned(),
                characters: characters.parse().map_err(|_| NeverHad)?,
            }),
            is_ahead: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::ProjectId, ids::PromptId, time::Timestamp};

    fn delta(offset: u64, text: &str) -> StageDelta {
        StageDelta {
            stage: 1,
            prompt_id: PromptId::new("facts").unwrap(),
            answer: "a1".into(),
            offset,
            text: text.into(),
        }
    }

    fn stored(number: u64, delta: StageDelta) -> Event {
        Event {
            job_id: JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            project_id: ProjectId::new("news").unwrap(),
            number,
            at: Timestamp::default(),
            fact: Fact::StageDelta(delta),
        }
    }

    fn text(shown: &Shown) -> &str {
        match shown.news.fact() {
            Fact::StageDelta(delta) => &delta.text,
            _ => panic!("no piece"),
        }
    }

    #[test]
    fn what_was_shown_before_it_was_stored_is_not_shown_again_whoever_goes_on() {
        let job = JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut had = Had::up_to(3);
        let unstored = Unstored {
            after: 3,
            delta: delta(0, "Hällo"),
        };
        let shown = had.take_unstored(&job, &unstored).unwrap();
        assert_eq!((text(&shown), shown.id.as_str()), ("Hällo", "3:a1:5"));
        assert!(had.take_unstored(&job, &unstored).is_none());
        let mut had: Had = shown.id.parse().unwrap();
        let shown = had.take(stored(4, delta(0, "Hällo, wo")));
        assert_eq!((text(&shown), shown.id.as_str()), (", wo", "4"));
    }

    #[test]
    fn what_nobody_can_have_had_is_refused() {
        for wrong in ["", "x", "-1", "1:2", "1:a:x", "1:a:-2"] {
            assert_eq!(wrong.parse::<Had>(), Err(NeverHad), "{wrong}");
        }
        assert_eq!("17".parse(), Ok(Had::up_to(17)));
        assert_eq!(
            "17:1c9f03ab:345".parse::<Had>().unwrap().to_string(),
            "17:1c9f03ab:345"
        );
    }
}
