//! Lines put together into paragraphs.

use super::content::Placed;
use super::line::{Line, is_han};

/// How much more than the usual distance of lines makes a new paragraph.
const PARAGRAPH_GAP: f64 = 1.35;
/// How much the sizes of two lines of one paragraph may differ.
const SAME_SIZE: f64 = 1.15;
/// Lines of less than this share of the usual width are not those of running text, unless they run on.
const SHORT: f64 = 0.5;
/// An indent of so much of the size begins a paragraph.
const INDENT: f64 = 0.8;

/// The lines of a page, in the order in which they are drawn.
#[derive(Default)]
pub(super) struct Layout {
    lines: Vec<Line>,
    text_len: usize,
}

/// What stands between two lines.
enum Joint {
    /// They are one paragraph.
    None,
    /// The line was broken on purpose: a list, an address, the row of a table.
    Break,
    Paragraph,
}

impl Layout {
    pub(super) fn place(&mut self, glyph: &Placed<'_>) {
        self.text_len += glyph.text.len();
        let taken = self.lines.last_mut().is_some_and(|line| line.take(glyph));
        if !taken && !glyph.text.is_empty() {
            self.lines.push(Line::begin(glyph));
        }
    }

    /// The length of all text so far, in bytes.
    pub(super) fn text_len(&self) -> usize {
        self.text_len
    }

    /// How many lines there are so far.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn into_text(mut self) -> String {
        self.lines.retain(|line| !line.text.trim().is_empty());
        let leading = self.leading();
        // Korean lines are broken between words or within them; where the file keeps the spaces, they tell which.
        let keeps_spaces = self.lines.iter().any(|line| line.text.ends_with(' '));
        let short = self.usual_width() * SHORT;
        let mut text = String::with_capacity(self.text_len);
        let mut right = f64::MIN;
        let mut previous: Option<&Line> = None;
        for line in &self.lines {
            match previous.map(|previous| joint(previous, line, leading, right.max(line.end), short)) {
                None => {}
                Some(Joint::None) => join(&mut text, line.text.trim_start(), keeps_spaces),
                Some(Joint::Break) => end_line(&mut text, "\n"),
                Some(Joint::Paragraph) => {
                    end_line(&mut text, "\n\n");
                    right = f64::MIN;
                }
            }
            // The space at its end is of use to the line that may be joined to it.
            text.push_str(line.text.trim_start());
            right = right.max(line.end);
            previous = Some(line);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The width of the lines of running text: nearly the longest, for a headline may be longer.
    fn usual_width(&self) -> f64 {
        let mut widths: Vec<_> = self.lines.iter().map(|line| line.end - line.start).collect();
        widths.sort_by(f64::total_cmp);
        widths
            .get((widths.len() * 9 / 10).min(widths.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    /// The usual distance between the lines of a paragraph, in sizes of the font.
    fn leading(&self) -> f64 {
        let steps = self.lines.windows(2).filter_map(|pair| match pair {
            [above, below] if above.runs_like(below) => Some(step(above, below)),
            _ => None,
        });
        let mut steps = steps.filter(|step| (0.8..2.5).contains(step)).collect::<Vec<_>>();
        steps.sort_by(f64::total_cmp);
        // Steps between paragraphs are larger than those within them, and may be more.
        steps.get(steps.len() / 5).copied().unwrap_or(1.5)
    }
}

/// Adds the text of the next page: a new paragraph, unless a sentence goes on there.
pub(super) fn push_page(text: &mut String, page: &str) {
    if breaks_sentence(text, page) {
        join(text, page, false);
    } else if !text.is_empty() && !page.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(page);
}

/// How far below the first line the second is, in sizes of the font.
fn step(above: &Line, below: &Line) -> f64 {
    (above.base - below.base) / above.size().max(f64::MIN_POSITIVE)
}

fn joint(above: &Line, below: &Line, leading: f64, right: f64, short: f64) -> Joint {
    let size = above.size();
    let step = step(above, below);
    let alike = size < below.size() * SAME_SIZE && below.size() < size * SAME_SIZE;
    let runs_alike = above.runs_like(below) && alike;
    // Up again: to the next column.
    if runs_alike && step < 0.0 && breaks_sentence(&above.text, &below.text) {
        return Joint::None;
    }
    let overlaps = below.start < above.end && above.start < below.end;
    // "Not within" rather than "outside", so that a position that is no number makes a paragraph too.
    let follows = step > 0.0 && step <= leading * PARAGRAPH_GAP;
    if !(runs_alike && overlaps && follows) {
        return Joint::Paragraph;
    }
    let is_indented = below.start > above.start + size * INDENT;
    if is_indented && ends_sentence(&above.text) {
        return Joint::Paragraph;
    }
    let had_room = above.end + first_word_width(below) < right - size * 0.5;
    if had_room || above.text.contains('\t') || below.text.contains('\t') || begins_item(&below.text) {
        return Joint::Break;
    }
    // The rows of a narrow table fill it; so do the lines of a narrow column, but those run on.
    if above.end - above.start < short && !runs_on(&above.text, &below.text) {
        return Joint::Break;
    }
    Joint::None
}

/// Whether the second line goes on with what the first says, as far as their letters tell.
fn runs_on(above: &str, below: &str) -> bool {
    let is_east_asian = |c: char| is_han(c) || is_hangul(c);
    breaks_sentence(above, below)
        || above.trim_end().ends_with(is_east_asian) && below.trim_start().starts_with(is_east_asian)
}

/// Joins the next line to the text of its paragraph.
fn join(text: &mut String, next: &str, keeps_spaces: bool) {
    let has_space = text.ends_with(' ');
    text.truncate(text.trim_end().len());
    let mut ends = text.chars().rev();
    let (Some(before), Some(after)) = (ends.next(), next.chars().next()) else {
        return;
    };
    let is_split = matches!(before, '-' | '\u{2010}' | '\u{ad}')
        && ends.next().is_some_and(char::is_lowercase)
        && after.is_lowercase();
    if is_split {
        text.pop();
    } else if !(is_han(before) && is_han(after)
        || keeps_spaces && is_hangul(before) && is_hangul(after) && !has_space)
    {
        text.push(' ');
    }
}

fn end_line(text: &mut String, end: &str) {
    text.truncate(text.trim_end().len());
    text.push_str(end);
}

fn first_word_width(line: &Line) -> f64 {
    let text = line.text.trim();
    let word = match text.chars().next() {
        Some(first) if is_han(first) => 1,
        _ => text.split_whitespace().next().unwrap_or_default().chars().count(),
    };
    (line.end - line.start) / text.chars().count().max(1) as f64 * (word + 1) as f64
}

/// Whether the one text stops within a sentence that the other goes on with.
fn breaks_sentence(before: &str, after: &str) -> bool {
    let stops_within = before
        .trim_end()
        .ends_with(|c: char| c.is_lowercase() || matches!(c, ',' | '-'));
    stops_within && after.trim_start().starts_with(char::is_lowercase)
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end()
        .ends_with(['.', '!', '?', ':', '"', '”', '»', '。', '」', '!', '?', '…'])
}

/// Whether the line begins an item of a list.
fn begins_item(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_number = first.strip_suffix(['.', ')']).is_some_and(|number| {
        !number.is_empty() && number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_number
        || matches!(
            first,
            "•" | "-" | "–" | "—" | "*" | "▪" | "◦" | "·" | "■" | "○" | "●"
        )
}

fn is_hangul(character: char) -> bool {
    matches!(character, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}')
}
