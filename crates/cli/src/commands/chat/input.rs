//! What is typed, or comes from another program.

use std::io::{IsTerminal as _, stdin};

use bedrock_diy_core::{Code, Failure, error::Result};
use rustyline::{Behavior, Config, DefaultEditor, error::ReadlineError};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

const PROMPT: &str = "> ";

/// Where messages come from.
pub(super) enum Input {
    /// Somebody at a terminal. The editor is elsewhere while a line is typed.
    People(Option<Box<DefaultEditor>>),
    /// Another program, or a file.
    Lines(Lines<BufReader<Stdin>>),
}

/// What was said.
pub(super) enum Said {
    /// A message.
    Line(String),
    /// Ctrl-C: the line is taken back.
    Nothing,
    /// Ctrl-D, or the end of what is read.
    Over,
    /// A polite kill while nothing was being answered.
    Stop,
}

impl Input {
    pub(super) fn open() -> Result<Self> {
        if !stdin().is_terminal() {
            return Ok(Self::Lines(BufReader::new(tokio::io::stdin()).lines()));
        }
        // Prompts go to the terminal: standard output has outputs alone.
        let config = Config::builder().behavior(Behavior::PreferTerm).build();
        let editor = DefaultEditor::with_config(config).map_err(|error| unreadable(&error))?;
        Ok(Self::People(Some(Box::new(editor))))
    }

    /// Whether somebody sits there.
    pub(super) fn is_of_people(&self) -> bool {
        matches!(self, Self::People(_))
    }

    /// A message that was said before: it can be had back with the arrow keys.
    pub(super) fn remember(&mut self, message: &str) {
        if let Self::People(Some(editor)) = self {
            // A history that is full, or has it, is as good.
            let _ = editor.add_history_entry(message);
        }
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Result<Said> {
        match self {
            Self::Lines(lines) => tokio::select! {
                line = lines.next_line() => Ok(line
                    .map_err(|error| unreadable(&error))?
                    .map_or(Said::Over, Said::Line)),
                _ = tokio::signal::ctrl_c() => Ok(Said::Stop),
            },
            Self::People(place) => {
                let Some(mut editor) = place.take() else {
                    return Ok(Said::Over);
                };
                let typing = move || {
                    let typed = editor.readline(PROMPT);
                    (editor, typed)
                };
                let typed = tokio::task::spawn_blocking(typing).await;
                let (editor, typed) = typed.map_err(|error| unreadable(&error))?;
                *place = Some(editor);
                match typed {
                    Ok(line) => {
                        self.remember(&line);
                        Ok(Said::Line(line))
                    }
                    Err(ReadlineError::Interrupted) => Ok(Said::Nothing),
                    Err(ReadlineError::Eof) => Ok(Said::Over),
                    Err(error) => Err(unreadable(&error)),
                }
            }
        }
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("what is typed can't be read: {error}"),
    )
}
