//! What a page draws, as far as it is text: the PDF text state, and nothing of colours, paths and images.

use std::borrow::Cow;
use std::sync::Arc;

use hayro_font::hayro_cmap::{BfString, load_embedded};
use hayro_font::kurbo::{Affine, Point, Vec2};
use hayro_font::{
    CMapResolverFn, Font, FontCache, FontData, FontGlyph, FontQuery, FontResolverFn, StandardFont,
    UNITS_PER_EM,
};
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Array, Dict, Name, Number, Object, Stream};
use hayro_syntax::page::{Page, Resources};

use super::layout::Layout;
use super::marks::{Marks, Say};
use super::unpack;
use crate::Limits;

/// Forms within forms. Real pages nest two or three.
const MAX_FORM_DEPTH: usize = 12;
/// Saved graphics states. Real pages nest some dozens.
const MAX_SAVED: usize = 1_000;
/// Lines of a page. A page of small print has some hundreds, a map with turned labels some thousands.
const MAX_LINES: usize = 200_000;
/// What running any stream costs at least, in bytes, so that empty forms that draw one another end too.
const LEAST_COST: u64 = 2_048;

/// Why a page could not be read.
pub(super) enum Stopped {
    /// It draws more than any article needs.
    OutOfBudget,
    /// One of its streams can't be unpacked.
    Damaged,
}

/// What was drawn so far on all pages.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) glyphs: u64,
    /// Glyphs whose character the font does not tell.
    pub(super) unknown: u64,
    pub(super) images: u64,
}

/// One glyph where it stands on the page.
pub(super) struct Placed<'t> {
    pub(super) text: &'t str,
    /// Where it begins, and where the font says that it ends.
    pub(super) from: Point,
    pub(super) to: Point,
    /// The height of the font, in the page's units.
    pub(super) size: f64,
}

/// Reads pages one after the other; fonts are kept between them.
pub(super) struct Interpreter<'f, 'a> {
    fonts: &'f FontCache<'a>,
    font_resolver: FontResolverFn,
    cmap_resolver: CMapResolverFn,
    /// How many bytes of content may still be run.
    budget: u64,
    max_text: u64,
    pub(super) seen: Seen,
}

/// The part of the graphics state that moves text.
#[derive(Clone)]
struct State<'a> {
    to_page: Affine,
    font: Option<Font<'a>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    /// Horizontal scaling, 1 by default.
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl Default for State<'_> {
    fn default() -> Self {
        Self {
            to_page: Affine::IDENTITY,
            font: None,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

/// One stream of content on its way through.
struct Run<'r, 'f, 'a> {
    interpreter: &'r mut Interpreter<'f, 'a>,
    layout: &'r mut Layout,
    resources: &'r Resources<'a>,
    state: State<'a>,
    saved: Vec<State<'a>>,
    text: Affine,
    line: Affine,
    marks: Marks,
    form_depth: usize,
}

impl<'f, 'a> Interpreter<'f, 'a> {
    pub(super) fn new(fonts: &'f FontCache<'a>, limits: &Limits) -> Self {
        Self {
            fonts,
            font_resolver: Arc::new(|query| Some(resolve_font(query))),
            cmap_resolver: Arc::new(load_embedded),
            budget: limits.max_unpacked_bytes,
            max_text: limits.max_text_bytes,
            seen: Seen::default(),
        }
    }

    /// The text of one page.
    pub(super) fn page(&mut self, page: &Page<'a>) -> Result<String, Stopped> {
        let content = page_content(page)?;
        let mut layout = Layout::default();
        self.run(&content, &mut layout, page.resources(), State::default(), 0)?;
        Ok(layout.into_text())
    }

    fn run(
        &mut self,
        content: &[u8],
        layout: &mut Layout,
        resources: &Resources<'a>,
        state: State<'a>,
        form_depth: usize,
    ) -> Result<(), Stopped> {
        let cost = LEAST_COST.max(content.len() as u64);
        self.budget = self.budget.checked_sub(cost).ok_or(Stopped::OutOfBudget)?;
        let mut run = Run {
            interpreter: self,
            layout,
            resources,
            state,
            saved: Vec::new(),
            text: Affine::IDENTITY,
            line: Affine::IDENTITY,
            marks: Marks::default(),
            form_depth,
        };
        let mut instructions = TypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            run.step(instruction)?;
        }
        Ok(())
    }
}

impl<'a> Run<'_, '_, 'a> {
    fn step(&mut self, instruction: TypedInstruction<'_, '_>) -> Result<(), Stopped> {
        use TypedInstruction as I;
        match instruction {
            I::SaveState(_) if self.saved.len() < MAX_SAVED => self.saved.push(self.state.clone()),
            I::RestoreState(_) => self.state = self.saved.pop().unwrap_or_else(|| self.state.clone()),
            I::Transform(m) => self.state.to_page *= affine([m.0, m.1, m.2, m.3, m.4, m.5]),
            I::BeginText(_) => self.set_line(Affine::IDENTITY),
            I::SetTextMatrix(m) => self.set_line(affine([m.0, m.1, m.2, m.3, m.4, m.5])),
            I::NextLine(by) => self.next_line(by.0.as_f64(), by.1.as_f64()),
            I::NextLineAndSetLeading(by) => {
                self.state.leading = -by.1.as_f64();
                self.next_line(by.0.as_f64(), by.1.as_f64());
            }
            I::NextLineUsingLeading(_) => self.next_line(0.0, -self.state.leading),
            I::CharacterSpacing(space) => self.state.char_space = space.0.as_f64(),
            I::WordSpacing(space) => self.state.word_space = space.0.as_f64(),
            I::HorizontalScaling(percent) => self.state.stretch = percent.0.as_f64() / 100.0,
            I::TextLeading(leading) => self.state.leading = leading.0.as_f64(),
            I::TextRise(rise) => self.state.rise = rise.0.as_f64(),
            I::TextFont(font) => self.set_font(font.0, font.1.as_f64()),
            I::SetGraphicsState(name) => self.set_graphics_state(name.0),
            I::ShowText(shown) => self.show(shown.0.as_bytes())?,
            I::NextLineAndShowText(shown) => {
                self.next_line(0.0, -self.state.leading);
                self.show(shown.0.as_bytes())?;
            }
            I::ShowTextWithParameters(shown) => {
                self.state.word_space = shown.0.as_f64();
                self.state.char_space = shown.1.as_f64();
                self.next_line(0.0, -self.state.leading);
                self.show(shown.2.as_bytes())?;
            }
            I::ShowTexts(shown) => self.show_array(shown.0)?,
            I::XObject(name) => self.draw(name.0)?,
            I::InlineImage(_) => self.interpreter.seen.images += 1,
            I::BeginMarkedContent(_) => self.marks.begin(),
            I::BeginMarkedContentWithProperties(span) => {
                self.marks.begin_with(span.0, span.1, self.resources);
            }
            I::EndMarkedContent(_) => self.marks.end(),
            _ => {}
        }
        Ok(())
    }

    fn set_line(&mut self, line: Affine) {
        self.line = line;
        self.text = line;
    }

    fn next_line(&mut self, right: f64, up: f64) {
        self.set_line(self.line * Affine::translate((right, up)));
    }

    fn set_font(&mut self, name: &Name<'_>, size: f64) {
        self.state.size = size;
        let interpreter = &self.interpreter;
        self.state.font = match self.resources.get_font(name) {
            Some(dict) => self.font(&dict),
            // As viewers do.
            None => interpreter
                .fonts
                .standard_font(StandardFont::Helvetica, &interpreter.font_resolver),
        };
    }

    fn set_graphics_state(&mut self, name: &Name<'_>) {
        let font = self
            .resources
            .get_ext_g_state(name)
            .and_then(|state| state.get::<Array<'a>>("Font"));
        let mut parts = font.iter().flat_map(Array::iter::<Object<'a>>);
        if let (Some(dict), Some(size)) = (
            parts.next().and_then(Object::into_dict),
            parts.next().and_then(Object::into_f32),
        ) {
            self.state.size = f64::from(size);
            self.state.font = self.font(&dict);
        }
    }

    fn font(&self, dict: &Dict<'a>) -> Option<Font<'a>> {
        let interpreter = &self.interpreter;
        interpreter
            .fonts
            .font(dict, &interpreter.font_resolver, &interpreter.cmap_resolver)
    }

    /// Draws a form's text; of an image only takes note.
    fn draw(&mut self, name: &Name<'_>) -> Result<(), Stopped> {
        let Some(form) = self.resources.get_x_object(name) else {
            return Ok(());
        };
        if unpack::is_image(&form) {
            self.interpreter.seen.images += 1;
            return Ok(());
        }
        if self.form_depth >= MAX_FORM_DEPTH {
            return Err(Stopped::Damaged);
        }
        let content = unpack::whole(&form).ok_or(Stopped::Damaged)?;
        let resources = form.dict().get::<Dict<'a>>("Resources").map(Resources::new);
        let mut state = self.state.clone();
        if let Some(matrix) = form.dict().get::<[f32; 6]>("Matrix") {
            state.to_page *= Affine::new(matrix.map(f64::from));
        }
        let resources = resources.as_ref().unwrap_or(self.resources);
        self.interpreter
            .run(&content, self.layout, resources, state, self.form_depth + 1)
    }

    fn show_array(&mut self, parts: &Array<'_>) -> Result<(), Stopped> {
        for part in parts.iter::<Object<'_>>() {
            match part {
                Object::String(shown) => self.show(shown.as_bytes())?,
                Object::Number(adjustment) => self.adjust(-adjustment.as_f64() / 1000.0 * self.state.size),
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves on along the line.
    fn adjust(&mut self, by: f64) {
        let along = match &self.state.font {
            Some(font) if !font.is_horizontal() => Vec2::new(0.0, by),
            _ => Vec2::new(by * self.state.stretch, 0.0),
        };
        self.text *= Affine::translate(along);
    }

    fn show(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let Some(font) = self.state.font.clone() else {
            self.interpreter.seen.glyphs += bytes.len() as u64;
            self.interpreter.seen.unknown += bytes.len() as u64;
            return Ok(());
        };
        let mut at = 0;
        while at < bytes.len() {
            let (code, len) = font.read_code(bytes, at);
            at += len.max(1);
            self.show_glyph(&font, code, len == 1)?;
        }
        Ok(())
    }

    fn show_glyph(&mut self, font: &Font<'a>, code: u32, is_one_byte: bool) -> Result<(), Stopped> {
        let State {
            size,
            stretch,
            rise,
            char_space,
            word_space,
            ..
        } = self.state;
        let advance = font.code_advance(code) / f64::from(UNITS_PER_EM);
        let glyph_to_page =
            self.state.to_page * self.text * Affine::new([size * stretch, 0.0, 0.0, size, 0.0, rise]);
        let from = glyph_to_page * Point::ZERO;
        // Space that is set between all characters belongs to them; it separates no words.
        let spaced = if font.is_horizontal() && size > 0.0 {
            Vec2::new(char_space / size, 0.0)
        } else {
            Vec2::ZERO
        };
        let to = glyph_to_page * (advance + spaced).to_point();
        let [_, _, across, up, _, _] = glyph_to_page.as_coeffs();

        self.interpreter.seen.glyphs += 1;
        if let Some(text) = self.text_of(font, code) {
            self.layout.place(&Placed {
                text: &text,
                from,
                to,
                size: across.hypot(up),
            });
            if self.layout.text_len() as u64 > self.interpreter.max_text
                || self.layout.line_count() > MAX_LINES
            {
                return Err(Stopped::OutOfBudget);
            }
        }
        let is_space = code == u32::from(b' ') && is_one_byte;
        let extra = char_space + if is_space { word_space } else { 0.0 };
        let along = if font.is_horizontal() {
            Vec2::new((advance.x * size + extra) * stretch, 0.0)
        } else {
            Vec2::new(0.0, advance.y * size + extra)
        };
        self.text *= Affine::translate(along);
        Ok(())
    }

    /// What a glyph says, if it says anything of its own.
    fn text_of(&mut self, font: &Font<'a>, code: u32) -> Option<Cow<'static, str>> {
        match self.marks.say() {
            Say::Nothing => return None,
            Say::Instead(text) => return Some(Cow::Owned(text)),
            Say::ItsCharacter => {}
        }
        let character = match font.glyph(font.map_code(code), code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        Some(match character {
            Some(BfString::Char(character)) => expanded(character),
            Some(BfString::String(text)) => Cow::Owned(text),
            None => {
                self.interpreter.seen.unknown += 1;
                Cow::Borrowed("\u{fffd}")
            }
        })
    }
}

fn affine(coefficients: [Number; 6]) -> Affine {
    Affine::new(coefficients.map(|number| number.as_f64()))
}

/// The content of a page, its streams one after the other.
fn page_content(page: &Page<'_>) -> Result<Vec<u8>, Stopped> {
    let contents = page.raw().get::<Object<'_>>("Contents");
    let streams: Vec<Stream<'_>> = match contents {
        Some(Object::Stream(stream)) => vec![stream],
        Some(Object::Array(streams)) => streams.iter::<Stream<'_>>().collect(),
        _ => Vec::new(),
    };
    let mut content = Vec::new();
    for stream in streams {
        content.extend_from_slice(&unpack::whole(&stream).ok_or(Stopped::Damaged)?);
        content.push(b'\n');
    }
    Ok(content)
}

/// A typographic ligature as the letters that it joins; they are glyphs, not writing.
fn expanded(character: char) -> Cow<'static, str> {
    Cow::Borrowed(match character {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        // A null is what some fonts map their missing glyph to.
        '\0' => "",
        other => return Cow::Owned(other.to_string()),
    })
}

/// A font that is not in the file, replaced for its widths by one of the standard ones.
fn resolve_font(query: &FontQuery) -> (FontData, u32) {
    match query {
        FontQuery::Standard(font) => font.get_font_data(),
        FontQuery::Fallback(query) => query.pick_standard_font().get_font_data(),
    }
}
