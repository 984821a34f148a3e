//! What is looked up in the markup before it is parsed.

use encoding_rs::Encoding;

/// The parser needs time that grows with the square of an element's attributes.
const MAX_ATTRIBUTES: usize = 1_000;
const MAX_ATTRIBUTES_OF_ALL: usize = 2_000_000;

/// Whether some tag, or all together, have more attributes than any page needs. Scripts are passed over: a
/// comparison in them looks like a tag.
pub(super) fn has_endless_tag(markup: &str) -> bool {
    let bytes = markup.as_bytes();
    let mut at = 0;
    let mut attributes = 0;
    while let Some(open) = bytes[at..].iter().position(|&byte| byte == b'<') {
        at += open + 1;
        if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let is_script = bytes[at..]
            .get(..6)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"script"));
        let tag = measure_tag(&bytes[at..]);
        attributes += tag.attributes;
        if tag.attributes > MAX_ATTRIBUTES || attributes > MAX_ATTRIBUTES_OF_ALL {
            return true;
        }
        at += tag.len;
        if is_script {
            let end = bytes[at..]
                .windows(8)
                .position(|end| end.eq_ignore_ascii_case(b"</script"));
            at = end.map_or(bytes.len(), |end| at + end);
        }
    }
    false
}

struct Tag {
    len: usize,
    attributes: usize,
}

/// Measures the tag whose name the bytes begin with, until it ends or has too many attributes.
fn measure_tag(bytes: &[u8]) -> Tag {
    let mut attributes = 0;
    let mut quote = None;
    let mut last = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (None, b'>') => return Tag { len: at, attributes },
            // A quote opens a value only after the equals sign.
            (None, b'"' | b'\'') if last == b'=' => quote = Some(byte),
            (None, b'/' | b'"' | b'\'') => attributes += 1,
            (None, _) if byte.is_ascii_whitespace() => attributes += usize::from(!last.is_ascii_whitespace()),
            _ => {}
        }
        if attributes > MAX_ATTRIBUTES {
            return Tag { len: at, attributes };
        }
        if !byte.is_ascii_whitespace() || last != b'=' {
            last = byte;
        }
    }
    Tag {
        len: bytes.len(),
        attributes,
    }
}

/// The encoding that a `<meta charset>`, a `<meta http-equiv="content-type">` or the XML declaration near the start
/// names.
pub(super) fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    const NEAR: usize = 4_096;
    let start = bytes[..bytes.len().min(NEAR)].to_ascii_lowercase();
    let of_xml = start
        .starts_with(b"<?xml")
        .then(|| encoding_in(tag(&start), b"encoding"))
        .flatten();
    let metas = start.windows(5).enumerate();
    let mut of_meta = metas
        .filter(|(_, window)| window == b"<meta")
        .filter_map(|(at, _)| encoding_in(tag(&start[at..]), b"charset"));
    let declared = of_meta.next().or(of_xml)?;
    // As the HTML standard says: a page whose ASCII declaration can be read is not in UTF-16.
    if declared.is_ascii_compatible() {
        Some(declared)
    } else {
        Some(encoding_rs::UTF_8)
    }
}

/// The tag that the bytes begin with, up to its end.
fn tag(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == b'>');
    &bytes[..end.unwrap_or(bytes.len())]
}

/// The encoding that stands behind `name` and an equals sign.
fn encoding_in(tag: &[u8], name: &[u8]) -> Option<&'static Encoding> {
    let after_name = tag
        .windows(name.len())
        .position(|window| window == name)
        .map(|at| &tag[at + name.len()..])?;
    let value = after_name
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let value = value
        .strip_prefix(b"\"")
        .or_else(|| value.strip_prefix(b"'"))
        .unwrap_or(value);
    let end = value
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\'' | b';' | b' ' | b'/'));
    Encoding::for_label(&value[..end.unwrap_or(value.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_found_in_either_form_of_the_meta_element() {
        assert_eq!(declared_encoding(b"<META Charset=Big5>"), Some(encoding_rs::BIG5));
        let long = b"<meta http-equiv=x content='text/html; charset = shift_jis'>";
        assert_eq!(declared_encoding(long), Some(encoding_rs::SHIFT_JIS));
        assert_eq!(
            declared_encoding(b"<meta charset='utf-16'>"),
            Some(encoding_rs::UTF_8)
        );
        let later = b"<meta name=viewport><script charset=big5></script><meta charset=euc-kr>";
        assert_eq!(declared_encoding(later), Some(encoding_rs::EUC_KR));
        let xhtml = b"<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><html>";
        assert_eq!(declared_encoding(xhtml), Some(encoding_rs::SHIFT_JIS));
        assert_eq!(declared_encoding(b"<p>charset=big5"), None);
        assert_eq!(declared_encoding(b"<meta charset=martian>"), None);
    }

    #[test]
    fn attributes_are_counted_outside_quotes_and_scripts_only() {
        let words = "word ".repeat(5_000);
        assert!(has_endless_tag(&format!("<p {words}>")));
        assert!(has_endless_tag(&format!("<p a='>' {words}")));
        assert!(!has_endless_tag(&format!("<p a=\"{words}\" b='{words}'>{words}")));
        assert!(!has_endless_tag(&format!("<script>if (a<b) {words}</script>")));
        assert!(!has_endless_tag(&"<script>".repeat(10_000)));
    }
}
