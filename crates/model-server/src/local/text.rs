//! From the model's bytes to text that can be sent.

/// Gathers bytes, gives text: whole characters only, and nothing that might be the begin of a stop sequence.
pub(crate) struct TextOut {
    stops: Vec<String>,
    /// Bytes that make no whole character yet.
    bytes: Vec<u8>,
    /// Text that might be the begin of a stop sequence.
    held: String,
}

/// What a token brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Out {
    /// This text; it may be empty.
    Text(String),
    /// The text before a stop sequence, and the sequence.
    Stopped(String, String),
}

impl TextOut {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self {
            stops,
            bytes: Vec::new(),
            held: String::new(),
        }
    }

    /// Takes a token's bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Out {
        self.bytes.extend_from_slice(bytes);
        let end = match std::str::from_utf8(&self.bytes) {
            // The begin of a character is kept; bytes that can't be one are shown as U+FFFD.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.bytes.len(),
        };
        let whole: Vec<u8> = self.bytes.drain(..end).collect();
        self.held.push_str(&String::from_utf8_lossy(&whole));
        let met = self
            .stops
            .iter()
            .filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)))
            .min();
        if let Some((at, stop)) = met {
            let stop = stop.clone();
            self.held.truncate(at);
            return Out::Stopped(std::mem::take(&mut self.held), stop);
        }
        let kept = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - kept);
        Out::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What is left when the answer ends.
    pub(crate) fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.bytes)));
        text
    }
}

/// How many bytes at the end of `text` are the begin of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    ends.filter(|end| text.ends_with(&stop[..*end]))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Out {
        Out::Text(text.to_owned())
    }

    #[test]
    fn a_character_waits_for_its_last_byte() {
        let mut out = TextOut::new(&[]);
        assert_eq!(out.push(b"Gr\xc3"), text("Gr"));
        assert_eq!(out.push(b"\xbc"), text("ü"));
        assert_eq!(out.push(b"\xe2\x82"), text(""));
        assert_eq!(out.finish(), "\u{fffd}");
    }

    #[test]
    fn bytes_that_are_no_character_do_not_hold_up_the_rest() {
        let mut out = TextOut::new(&[]);
        assert_eq!(out.push(b"a\xff"), text("a\u{fffd}"));
        assert_eq!(out.push(b"b"), text("b"));
    }

    #[test]
    fn a_stop_sequence_is_found_across_tokens_and_not_sent() {
        let mut out = TextOut::new(&["###".to_owned(), "END".to_owned()]);
        assert_eq!(out.push(b"one #"), text("one "));
        assert_eq!(out.push(b"#"), text(""));
        assert_eq!(out.push(b" two E"), text("## two "));
        assert_eq!(
            out.push(b"ND three"),
            Out::Stopped(String::new(), "END".to_owned())
        );
    }

    #[test]
    fn what_was_held_back_comes_at_the_end() {
        let mut out = TextOut::new(&["###".to_owned()]);
        assert_eq!(out.push(b"one ##"), text("one "));
        assert_eq!(out.finish(), "##");
    }
}
