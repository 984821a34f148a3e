//! `bedrock-diy chat`: a line is a message, and is answered by each of a project's stages.

mod input;
mod talk;

use std::path::Path;

use bedrock_diy_core::{Class, Code, Failure, SessionId, error::Result, project::Project};
use ulid::Ulid;

use self::{
    input::{Input, Said},
    talk::Talk,
};
use crate::{
    arguments::{Chat, Elsewhere},
    exit::Exit,
    remote::Remote,
    terminal::{plain, say},
};

/// Talks until nothing more is said.
pub(super) async fn chat(elsewhere: &Elsewhere, data: &Path, arguments: Chat) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`chat`")?;
    let project: Project = remote
        .get(&format!("/api/projects/{}", arguments.project))
        .send()
        .await?
        .json()
        .await?;
    let goes_on = arguments.session.is_some();
    let session = arguments.session.map_or_else(new_session, Ok)?;
    let talk = Talk::of(&remote, project.project_id, session);
    let mut input = Input::open()?;
    say(format_args!(
        "Session {}: come back with --session {0}. Ctrl-C cancels an answer, Ctrl-D ends.",
        plain(talk.session.as_str())
    ));
    if goes_on {
        for message in talk.said_before().await? {
            input.remember(&message);
        }
    }
    let mut all_answered = true;
    loop {
        let text = match input.line().await? {
            Said::Line(text) if text.trim().is_empty() => continue,
            Said::Line(text) => text,
            Said::Nothing => continue,
            Said::Over => break,
            Said::Stop => return Ok(Exit::Interrupted),
        };
        match talk.say(&text).await {
            Ok(Exit::Interrupted) => return Ok(Exit::Interrupted),
            Ok(exit) => all_answered &= exit == Exit::Success,
            // What time heals, or is about this message, ends no conversation of people.
            Err(failure) if input.is_of_people() || is_about_the_message(&failure) => {
                say(format_args!("{}: {}", failure.code, failure.detail));
                all_answered = false;
            }
            Err(failure) => return Err(failure),
        }
    }
    // Whoever sits there has seen how it went.
    Ok(if all_answered || input.is_of_people() {
        Exit::Success
    } else {
        Exit::SomeFailed
    })
}

fn new_session() -> Result<SessionId> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let id = Ulid::from_parts(now, rand::random()).to_string();
    SessionId::new(format!("chat-{}", id.to_lowercase()))
}

fn is_about_the_message(failure: &Failure) -> bool {
    failure.code.class() == Class::Terminal && failure.code != Code::InternalError
}
