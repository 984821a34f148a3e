//! Glyphs put together into lines.

use hayro_font::kurbo::{Point, Vec2};

use super::content::Placed;

/// A wider gap than this share of the font's size is a space. A space is about a quarter of it, kerning a tenth.
const WORD_GAP: f64 = 0.2;
/// Han and kana are set without spaces, and spread out where a line is justified.
const HAN_GAP: f64 = 0.9;
/// A wider gap still leads to another column of a table.
const COLUMN_GAP: f64 = 2.5;
/// How far from the base line, as a share of the size, a glyph is still on the line: indices and exponents are.
const OFF_LINE: f64 = 0.45;

/// Glyphs that follow one another on one base line, in whichever direction it runs.
pub(super) struct Line {
    pub(super) text: String,
    /// Where the line begins and ends, along its direction.
    pub(super) start: f64,
    pub(super) end: f64,
    /// Where it lies across its direction: a following line has a smaller value.
    pub(super) base: f64,
    direction: Vec2,
    sizes: f64,
    glyphs: u32,
    /// Where the last glyph begins along the line, and its place in `text`.
    last: (f64, usize),
}

impl Line {
    pub(super) fn begin(glyph: &Placed<'_>) -> Self {
        let direction = direction(glyph).unwrap_or(Vec2::new(1.0, 0.0));
        let start = along(glyph.from, direction);
        Self {
            text: glyph.text.to_owned(),
            start,
            end: along(glyph.to, direction),
            base: across(glyph.from, direction),
            direction,
            sizes: glyph.size,
            glyphs: 1,
            last: (start, 0),
        }
    }

    /// The size of its font, on average.
    pub(super) fn size(&self) -> f64 {
        self.sizes / f64::from(self.glyphs)
    }

    pub(super) fn runs_like(&self, other: &Self) -> bool {
        self.direction.dot(other.direction) > 0.99
    }

    /// Takes the glyph if it stands on this line, behind what the line has already.
    pub(super) fn take(&mut self, glyph: &Placed<'_>) -> bool {
        let turned = direction(glyph).is_some_and(|direction| direction.dot(self.direction) < 0.99);
        let larger = self.size().max(glyph.size);
        let off_line = (across(glyph.from, self.direction) - self.base).abs() > larger * OFF_LINE;
        let from = along(glyph.from, self.direction);
        let gap = from - self.end;
        if turned || off_line || gap < -1.5 * larger {
            return false;
        }
        if self.is_overprint(glyph, from) {
            return true;
        }
        self.close_gap(gap, glyph);
        self.last = (from, self.text.len());
        self.text.push_str(glyph.text);
        self.end = self.end.max(along(glyph.to, self.direction));
        self.sizes += glyph.size;
        self.glyphs = self.glyphs.saturating_add(1);
        true
    }

    /// Whether this is the last glyph once more, printed over itself to look bold.
    fn is_overprint(&self, glyph: &Placed<'_>, from: f64) -> bool {
        (from - self.last.0).abs() < glyph.size * 0.1 && self.text.get(self.last.1..) == Some(glyph.text)
    }

    fn close_gap(&mut self, gap: f64, glyph: &Placed<'_>) {
        let (Some(before), Some(after)) = (self.text.chars().next_back(), glyph.text.chars().next()) else {
            return;
        };
        if gap > glyph.size * COLUMN_GAP && !after.is_whitespace() {
            self.text.truncate(self.text.trim_end().len());
            self.text.push('\t');
        } else if !before.is_whitespace() && !after.is_whitespace() {
            let least = if is_han(before) && is_han(after) {
                HAN_GAP
            } else {
                WORD_GAP
            };
            if gap > glyph.size * least {
                self.text.push(' ');
            }
        }
    }
}

/// Whether the character belongs to a writing without spaces between words: Chinese and Japanese.
pub(super) fn is_han(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{30ff}' | '\u{31f0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff01}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

fn direction(glyph: &Placed<'_>) -> Option<Vec2> {
    let advance = glyph.to - glyph.from;
    let length = advance.hypot();
    (length > 0.0 && length.is_finite()).then(|| advance / length)
}

fn along(point: Point, direction: Vec2) -> f64 {
    point.to_vec2().dot(direction)
}

fn across(point: Point, direction: Vec2) -> f64 {
    direction.cross(point.to_vec2())
}
