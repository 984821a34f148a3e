//! From bytes to Unicode, never with a replacement character.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    DecoderResult, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252,
};

use crate::ReadError;
use crate::source::Source;

/// How much of a long text the detector of encodings gets to see, from the first character beyond ASCII.
const SAMPLE: usize = 1_000_000;

/// How ISO-2022-JP begins each change of its characters.
const ESCAPE: u8 = 0x1b;

/// Text with the encoding that it was decoded from.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) encoding: &'static str,
}

/// Decodes the whole file.
///
/// A byte order mark decides; then bytes that are valid UTF-8; then `declared`, if the bytes are valid in it; then
/// what the bytes look like. UTF-8 goes before a declaration because a saved page often keeps the declaration of the
/// encoding it was served in, and text in a legacy encoding is practically never valid UTF-8 by chance.
pub(crate) fn decode<'a>(
    source: &Source<'a>,
    declared: Option<&'static Encoding>,
) -> Result<Decoded<'a>, ReadError> {
    let bytes = source.bytes;
    if bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff") {
        return Err(source.unreadable("it is in the encoding UTF-32; save it as UTF-8"));
    }
    let (encoding, body) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, &bytes[mark..]),
        None => (detect(bytes, declared).ok_or_else(|| source.is_binary())?, bytes),
    };
    decode_all(body, encoding)
        .map(|text| Decoded {
            text,
            encoding: encoding.name(),
        })
        .ok_or_else(|| {
            source.unreadable(format!(
                "its bytes are not valid in the encoding {}, which it seems to be in (the first of them in line {}); \
                 save it as UTF-8",
                encoding.name(),
                first_broken_line(body, encoding)
            ))
        })
}

/// Whether the bytes are text in some encoding, rather than binary data.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    Encoding::for_bom(bytes).is_some() || !has_many_controls(bytes) || bare_utf16(bytes).is_some()
}

/// Whether a byte is a control character that no text has: not white space, not the escape of ISO-2022-JP, not the
/// end-of-file mark of DOS.
pub(crate) fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=8 | 14..=25 | 28..=31 | 127)
}

fn has_many_controls(bytes: &[u8]) -> bool {
    // Counted in bytes for as long as they can't overflow: many at once.
    let controls = |chunk: &[u8]| chunk.iter().map(|&byte| u8::from(is_control(byte))).sum::<u8>();
    let count: usize = bytes
        .chunks(u8::MAX.into())
        .map(|chunk| usize::from(controls(chunk)))
        .sum();
    count * 100 > bytes.len()
}

/// The encoding of bytes without a byte order mark; `None` if they look like binary data.
fn detect(bytes: &[u8], declared: Option<&'static Encoding>) -> Option<&'static Encoding> {
    if has_many_controls(bytes) {
        return bare_utf16(bytes);
    }
    let may_be_iso_2022_jp = bytes.is_ascii() && bytes.contains(&ESCAPE);
    if !may_be_iso_2022_jp && std::str::from_utf8(bytes).is_ok() {
        return Some(UTF_8);
    }
    if let Some(declared) = declared.map(superset)
        && decode_all(bytes, declared).is_some()
    {
        return Some(declared);
    }
    // The detector is slow, and a megabyte tells it enough, unless what follows is not valid in what it guessed.
    let start = bytes
        .iter()
        .position(|byte| !byte.is_ascii() || *byte == ESCAPE)
        .unwrap_or_default();
    let sample = &bytes[start..bytes.len().min(start + SAMPLE)];
    let of_sample = guess(sample);
    let is_valid = || decode_all(bytes, of_sample).is_some();
    let guessed = if sample.len() < SAMPLE || is_valid() {
        of_sample
    } else {
        guess(bytes)
    };
    if is_western(bytes, guessed) && !is_damaged_utf8(bytes) {
        return Some(WINDOWS_1252);
    }
    // A single broken byte rules out the encoding that it is in, and then a single-byte encoding is guessed, which accepts
    // nearly all, or Shift_JIS, which accepts as katakana what is Hangul in EUC-KR.
    let voted = || damaged_multi_byte(bytes);
    Some(if guessed.is_single_byte() {
        if is_damaged_utf8(bytes) {
            UTF_8
        } else {
            voted().unwrap_or(guessed)
        }
    } else if guessed == SHIFT_JIS {
        voted()
            .filter(|voted| decode_all(bytes, voted).is_none())
            .unwrap_or(guessed)
    } else {
        guessed
    })
}

/// The encoding that the bytes look most like, judged by how often their characters follow one another.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    superset(detector.guess(None, Utf8Detection::Allow))
}

/// Whether this is a text in English or nearly so, with a rare `£` or `é`. One or two such bytes tell the detector
/// nothing, and it has guessed `Ł` of Polish or a Chinese character before; where a language has more letters than those
/// of ASCII, they are several in a hundred.
fn is_western(bytes: &[u8], guessed: &'static Encoding) -> bool {
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    // Words in another script are runs of such bytes.
    let longest_run = if guessed.is_single_byte() { 2 } else { 1 };
    let is_run = |run: &[u8]| run.len() > longest_run;
    high > 0
        && high * 100 < bytes.len()
        && !bytes.split(u8::is_ascii).any(is_run)
        && decode_all(bytes, WINDOWS_1252).is_some()
}

/// Whether the bytes hold more characters in UTF-8 than breaks of it. By chance that happens in no other encoding.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut characters, mut breaks) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        breaks += usize::from(!chunk.invalid().is_empty());
    }
    characters > 0 && characters >= breaks
}

/// The encoding that most parts of the text are in, where it is one with several bytes a character: the whole is in
/// it too, then, but for some part that is damaged.
fn damaged_multi_byte(bytes: &[u8]) -> Option<&'static Encoding> {
    const PART: usize = 100;
    const MAX_PARTS: usize = 1_000;
    let mut votes: Vec<(&'static Encoding, usize)> = Vec::new();
    let (mut parts, mut rest) = (0, bytes);
    while !rest.is_empty() && parts < MAX_PARTS {
        // No encoding has a space or a line end within a character.
        let end = rest
            .iter()
            .skip(PART)
            .position(|byte| matches!(byte, b' ' | b'\n'));
        let (part, after) = rest.split_at(end.map_or(rest.len(), |end| PART + end + 1));
        rest = after;
        if part.is_ascii() {
            continue;
        }
        parts += 1;
        let guessed = guess(part);
        match votes.iter_mut().find(|(encoding, _)| *encoding == guessed) {
            Some((_, count)) => *count += 1,
            None => votes.push((guessed, 1)),
        }
    }
    let (encoding, count) = votes.into_iter().max_by_key(|(_, count)| *count)?;
    (!encoding.is_single_byte() && encoding != UTF_8 && count * 2 > parts).then_some(encoding)
}

/// GB18030 holds all of GBK, and is what "GBK" text with rare characters really is.
fn superset(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == GBK { GB18030 } else { encoding }
}

/// The text, or `None` if a byte has no meaning in the encoding.
fn decode_all<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Option<Cow<'a, str>> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    // The single-byte encodings of the web decode their unassigned bytes to C1 controls instead of failing.
    let has_unassigned = || {
        text.chars()
            .any(|c| matches!(c, '\u{80}'..='\u{9f}') && c != '\u{85}')
    };
    (!encoding.is_single_byte() || !has_unassigned()).then_some(text)
}

/// The line, counted from 1, of the first bytes that have no meaning in the encoding.
fn first_broken_line(bytes: &[u8], encoding: &'static Encoding) -> usize {
    const CHUNK: usize = 4_096;
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut chunk = String::with_capacity(CHUNK);
    let (mut line, mut at) = (1, 0);
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(&bytes[at..], &mut chunk, true);
        at += read;
        let unassigned = chunk
            .find(|c| matches!(c, '\u{80}'..='\u{9f}') && c != '\u{85}')
            .filter(|_| encoding.is_single_byte());
        line += chunk[..unassigned.unwrap_or(chunk.len())].matches('\n').count();
        if result != DecoderResult::OutputFull || unassigned.is_some() {
            return line;
        }
        chunk.clear();
    }
}

/// UTF-16 without a byte order mark, in the byte order in which it reads as text.
///
/// Only asked for bytes with many control characters: text in UTF-16 has them in its spaces, line ends, digits and
/// CJK punctuation, and text in any other encoding does not.
fn bare_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let little = plausibility(bytes, u16::from_le_bytes);
    let big = plausibility(bytes, u16::from_be_bytes);
    let (encoding, (share, _)) = if little >= big {
        (UTF_16LE, little)
    } else {
        (UTF_16BE, big)
    };
    (share >= 0.9).then_some(encoding)
}

/// The share of characters that belong to the text's main script or to what every script uses; and that of the latter
/// alone, because ASCII in the wrong order is a text of rare Han characters.
fn plausibility(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (f64, f64) {
    const UNITS: usize = 20_000;
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return (0.0, 0.0);
    }
    let mut scripts = [0_usize; 5];
    let (mut common, mut total) = (0_usize, 0_usize);
    let units = pairs.iter().take(UNITS).copied().map(unit);
    for decoded in char::decode_utf16(units) {
        total += 1;
        match decoded.map_or(0, u32::from) {
            0x09 | 0x0a | 0x0d | 0x20..=0x7e | 0xa0..=0xbf | 0x2010..=0x203b | 0x20ac | 0xfeff => common += 1,
            0xc0..=0x24f | 0x1e00..=0x1eff => scripts[0] += 1,
            0x370..=0x3ff => scripts[1] += 1,
            0x400..=0x52f => scripts[2] += 1,
            0x590..=0x77f => scripts[3] += 1,
            0x2e80..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff01..=0xffee => {
                scripts[4] += 1;
            }
            _ => {}
        }
    }
    let main = scripts.into_iter().max().unwrap_or_default();
    let share = |count: usize| count as f64 / total.max(1) as f64;
    (share(common + main), share(common))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn decoded(bytes: &[u8], declared: Option<&'static Encoding>) -> (String, &'static str) {
        let limits = Limits::default();
        let source = Source::new("a.txt", bytes, &limits).unwrap();
        let decoded = decode(&source, declared).unwrap();
        (decoded.text.into_owned(), decoded.encoding)
    }

    #[test]
    fn a_declaration_is_believed_where_the_bytes_allow_it() {
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode("Мост");
        let declared = Encoding::for_label(b"cp1251");
        assert_eq!(decoded(&bytes, declared), ("Мост".to_owned(), "windows-1251"));
        assert_eq!(decoded("Мост".as_bytes(), declared), ("Мост".to_owned(), "UTF-8"));
    }

    #[test]
    fn gbk_is_read_as_gb18030() {
        let (bytes, ..) = GB18030.encode("港口大桥将于周五重新开放,市政府表示。");
        assert_eq!(decoded(&bytes, Encoding::for_label(b"gb2312")).1, "gb18030");
    }

    #[test]
    fn utf16_without_a_mark_is_told_from_binary_data_in_either_order() {
        for text in [
            "The bridge opens.\n",
            "Bridge",
            "다리가 금요일에 열린다.\n",
            "大桥周五开放。共三年。",
        ] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(decoded(&little, None), (text.to_owned(), "UTF-16LE"));
            assert_eq!(decoded(&big, None), (text.to_owned(), "UTF-16BE"));
        }
        assert!(!is_text(&(0..=255).collect::<Vec<u8>>()));
    }

    #[test]
    fn a_broken_byte_names_the_encoding_that_was_tried() {
        let limits = Limits::default();
        let mut utf16 = b"\xff\xfe".to_vec();
        utf16.extend("one\nhalf".encode_utf16().flat_map(u16::to_le_bytes));
        utf16.push(b'!');
        let mut utf8 = "다리가 열린다.\n".repeat(5_000).into_bytes();
        utf8.extend(b"\xeb\x8b ");
        let mut korean = encoding_rs::EUC_KR
            .encode(&"다리가 금요일에 열린다.\n".repeat(20))
            .0
            .into_owned();
        korean.extend(b"\xb4 \n");
        for (bytes, encoding, line) in [
            (utf16, "UTF-16LE", "line 2)"),
            (utf8, "UTF-8", "line 5001)"),
            (korean, "EUC-KR", "line 21)"),
        ] {
            let source = Source::new("a.txt", &bytes, &limits).unwrap();
            let said = decode(&source, None).unwrap_err().to_string();
            assert!(said.contains(encoding) && said.contains(line), "{said}");
        }
    }
}
