//! What is said to people and to other programs: beside the bars where there are some, and never to
//! nobody. A reader that has gone away (`… | head -1`) has read enough; that ends no work.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bedrock_diy_core::{Code, Failure, error::Result};
use indicatif::MultiProgress;

/// The bars on standard error, while there are some. Logs come from everywhere, so this is one for the
/// whole process, as standard error is.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

fn bars() -> MutexGuard<'static, Option<MultiProgress>> {
    BARS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts these bars on the screen: what is said from now on stands above them.
pub(crate) fn show_bars(shown: &MultiProgress) {
    *bars() = Some(shown.clone());
}

/// Nothing is in the way any more.
pub(crate) fn forget_bars() {
    *bars() = None;
}

/// Runs this while no bar is on the screen.
fn beside_bars<T>(say: impl FnOnce() -> T) -> T {
    match &*bars() {
        Some(shown) => shown.suspend(say),
        None => say(),
    }
}

/// Whether standard error shows colours: a file or another program would get their codes.
pub(crate) fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted && !is_dumb()
}

/// Whether the terminal can't move its cursor.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Says a line on standard error.
pub(crate) fn say(text: impl Display) {
    // Whoever closed it does not want to hear it.
    let _ = beside_bars(|| writeln!(io::stderr().lock(), "{text}"));
}

/// Prints a line on standard output.
///
/// Fails where it can't be written, but not where its reader has gone away.
pub(crate) fn print(text: impl Display) -> Result<()> {
    read_by_somebody(beside_bars(|| writeln!(io::stdout().lock(), "{text}")))
}

/// Asks whoever sits there. Fails where nobody does.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::new(
            Code::InvalidRequest,
            "nothing was done, because nobody sits at a terminal who could be asked: say --yes if it is meant",
        ));
    }
    beside_bars(|| {
        let mut out = io::stderr().lock();
        write!(out, "{question} [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    })
    .map_err(|error: io::Error| {
        let detail = format!("nothing was done, because nobody could be asked: {error}");
        Failure::new(Code::StorageUnavailable, detail)
    })
}

/// Prints a piece of text on standard output as it comes. It is shown at once; nobody need see it.
pub(crate) fn stream(text: &str) {
    let _ = beside_bars(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    });
}

/// Whether printing went well. A reader that has gone away is none of our business.
pub(crate) fn read_by_somebody(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Code::StorageUnavailable,
            format!("standard output can't be written: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Standard error for logs: a line at a time, above the bars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        beside_bars(|| io::stderr().lock().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A name or message from outside as part of one line: no character of it moves the cursor, or
/// commands the terminal.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// The same for a text of several lines.
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(commands) {
        text.replace(commands, "\u{fffd}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_commands_no_terminal() {
        assert_eq!(plain("기사 📰.txt"), "기사 📰.txt");
        assert_eq!(
            plain("a\u{1b}[2Jb\nc\u{9b}1m"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}1m"
        );
        assert_eq!(plain_lines("one\n\ttwo\r\u{7}"), "one\n\ttwo\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_failure_and_a_full_disk_is_one() {
        assert!(read_by_somebody(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let failure = read_by_somebody(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(failure.code, Code::StorageUnavailable);
    }
}
