//! What a PDF's streams unpack to, measured before a parser without limits unpacks them.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use hayro_syntax::Filter;
use hayro_syntax::Pdf;
use hayro_syntax::object::{Name, Object, Stream};

use crate::ReadError;
use crate::source::Source;

/// Compressed data inside compressed data: once is rare, more often is a bomb.
const MAX_LAYERS: usize = 3;
/// The most that LZW and run lengths can make of one byte.
const LZW_RATIO: u64 = 1_366;
const RUN_LENGTH_RATIO: u64 = 64;

/// Measures whatever looks like a compressed stream in the file. Opening a PDF already unpacks some of them, and
/// which ones is known only after that.
pub(super) fn check_raw(source: &Source<'_>) -> Result<(), ReadError> {
    const KEYWORD: &[u8] = b"stream";
    let mut rest = source.bytes;
    while let Some(at) = rest.windows(KEYWORD.len()).position(|window| window == KEYWORD) {
        rest = &rest[at + KEYWORD.len()..];
        let data = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .unwrap_or(rest);
        measure_layers(data, source.limits.max_unpacked_bytes).ok_or_else(|| source.unpacks_too_large())?;
    }
    Ok(())
}

/// Measures all streams but images, which are never unpacked here, as the file's objects describe them.
pub(super) fn check_streams(source: &Source<'_>, pdf: &Pdf) -> Result<(), ReadError> {
    let mut budget = source.limits.max_unpacked_bytes;
    let streams = pdf.objects().into_iter().filter_map(Object::into_stream);
    for stream in streams.filter(|stream| !is_image(stream)) {
        let size = measure(&stream, budget).ok_or_else(|| source.unpacks_too_large())?;
        budget = budget.saturating_sub(size);
    }
    Ok(())
}

pub(super) fn is_image(stream: &Stream<'_>) -> bool {
    stream
        .dict()
        .get::<Name<'_>>("Subtype")
        .is_some_and(|subtype| subtype.as_str() == "Image")
}

/// The size of a stream after its last filter, or `None` if it is or passes the limit on the way.
fn measure(stream: &Stream<'_>, limit: u64) -> Option<u64> {
    let raw = stream.raw_data();
    let filters = stream.filters();
    let mut data: Cow<'_, [u8]> = Cow::Borrowed(&raw);
    for (at, filter) in filters.iter().enumerate() {
        let is_last = at + 1 == filters.len();
        match filter {
            Filter::FlateDecode if is_last => return measure_layers(&data, limit),
            Filter::FlateDecode => {
                let mut unpacked = Vec::new();
                // An error is a damaged stream's end; what came before it counts.
                let _ = ZlibDecoder::new(&*data).take(limit).read_to_end(&mut unpacked);
                data = Cow::Owned(unpacked);
            }
            Filter::Ascii85Decode => data = Cow::Owned(ascii_85(&data)),
            Filter::AsciiHexDecode => data = Cow::Owned(ascii_hex(&data)),
            // These two are old and rare, so they are not unpacked to be measured.
            Filter::LzwDecode => return within(data.len() as u64 * LZW_RATIO, limit),
            Filter::RunLengthDecode => return within(data.len() as u64 * RUN_LENGTH_RATIO, limit),
            // Decryption keeps the size; the others give images.
            _ => {}
        }
    }
    within(data.len() as u64, limit)
}

/// The size of zlib data unpacked, layer after layer; 0 if it is none, `None` past the limit.
fn measure_layers(data: &[u8], limit: u64) -> Option<u64> {
    let mut size = 0;
    for layers in 1..=MAX_LAYERS {
        let mut packed = layered(data, layers - 1);
        let mut head = [0; 2];
        if packed.read_exact(&mut head).is_err() || !is_zlib(head) {
            return Some(size);
        }
        let mut unpacked = layered(data, layers).take(limit);
        let _ = io::copy(&mut unpacked, &mut io::sink());
        size = within(limit - unpacked.limit(), limit)?;
    }
    None
}

fn layered(data: &[u8], layers: usize) -> Box<dyn Read + '_> {
    (0..layers).fold(Box::new(data), |inner, _| Box::new(ZlibDecoder::new(inner)))
}

fn is_zlib(head: [u8; 2]) -> bool {
    head[0] & 0x0f == 8 && u16::from_be_bytes(head).is_multiple_of(31)
}

fn within(size: u64, limit: u64) -> Option<u64> {
    (size < limit).then_some(size)
}

fn ascii_85(data: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::with_capacity(data.len());
    let mut group = (0_u32, 0_usize);
    for &byte in data {
        match byte {
            b'z' if group.1 == 0 => unpacked.extend([0; 4]),
            b'!'..=b'u' => {
                group = (
                    group.0.wrapping_mul(85).wrapping_add(u32::from(byte - b'!')),
                    group.1 + 1,
                );
                if group.1 == 5 {
                    unpacked.extend(group.0.to_be_bytes());
                    group = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
    }
    if group.1 > 1 {
        let padded = (group.1..5).fold(group.0, |value, _| value.wrapping_mul(85).wrapping_add(84));
        unpacked.extend(&padded.to_be_bytes()[..group.1 - 1]);
    }
    unpacked
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits = data
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| char::from(*byte).to_digit(16));
    let digits = digits
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect::<Vec<_>>();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_stream_is_measured_through_all_its_layers() {
        let once = packed(&b"a".repeat(100_000));
        assert_eq!(measure_layers(&once, 1_000_000), Some(100_000));
        assert_eq!(measure_layers(&packed(&once), 1_000_000), Some(100_000));
        assert_eq!(measure_layers(&packed(&once), 50_000), None);
        assert_eq!(measure_layers(b"BT (text) Tj ET", 1_000_000), Some(0));
    }

    #[test]
    fn ascii_filters_are_undone() {
        assert_eq!(ascii_85(b"87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(ascii_85(b"87cURD]i,\"Ebo7~>"), b"Hello World");
        assert_eq!(ascii_hex(b"48 65 6C6c 6F7>"), b"Hellop");
    }
}
