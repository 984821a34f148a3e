//! What a PDF's streams unpack to, measured before a parser without limits unpacks them.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use hayro_syntax::Filter;
use hayro_syntax::Pdf;
use hayro_syntax::object::{Name, Object, Stream};

use crate::ReadError;
use crate::source::Source;

use super::filters::{Unpacked, ascii_85, ascii_hex, inflate, inflated, is_zlib, lzw, run_length};

/// Compressed data inside compressed data: once is rare, more often is a bomb.
const MAX_LAYERS: usize = 3;
/// The most that each compression can make of one byte.
const DEFLATE_RATIO: u64 = 1_032;
const LZW_RATIO: u64 = 1_366;
const RUN_LENGTH_RATIO: u64 = 64;
/// How often the limit of what may be unpacked is the limit of what is looked at in search of it: images are measured
/// too, as long as nobody knows that they are images.
const RAW_WORK: u64 = 20;

/// Measures whatever looks like a compressed stream in the file. Opening a PDF already unpacks some of them, and
/// which ones is known only after that.
pub(super) fn check_raw(source: &Source<'_>) -> Result<(), ReadError> {
    const KEYWORD: &[u8] = b"stream";
    let limit = source.limits.max_unpacked_bytes;
    let mut work = limit.saturating_mul(RAW_WORK);
    let mut rest = source.bytes;
    while let Some(at) = rest.windows(KEYWORD.len()).position(|window| window == KEYWORD) {
        let is_end = rest[..at].ends_with(b"end");
        rest = &rest[at + KEYWORD.len()..];
        if is_end {
            continue;
        }
        let data = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .unwrap_or(rest);
        // Streams may overlap, so that a small file has many of which each is long.
        work = measure_raw(data, limit)
            .and_then(|done| work.checked_sub(done))
            .ok_or_else(|| source.unpacks_too_large())?;
    }
    Ok(())
}

/// Measures all streams but images, which are never unpacked here, as the file's objects describe them.
pub(super) fn check_streams(source: &Source<'_>, pdf: &Pdf) -> Result<(), ReadError> {
    let mut budget = source.limits.max_unpacked_bytes;
    let streams = pdf.objects().into_iter().filter_map(Object::into_stream);
    for stream in streams.filter(|stream| !is_image(stream)) {
        let measured = measure(&stream, budget);
        if measured.size < budget {
            budget -= measured.size;
        } else if measured.is_whole {
            return Err(source.unpacks_too_large());
        } else {
            return Err(super::damaged(source));
        }
    }
    Ok(())
}

/// The unpacked data of a stream, if it can be unpacked to its end: what a lenient parser makes of a damaged one has
/// lost text that nobody would miss.
pub(super) fn whole<'a>(stream: &Stream<'a>) -> Option<Cow<'a, [u8]>> {
    if measure(stream, u64::MAX).is_whole {
        stream.decoded_data().ok()
    } else {
        None
    }
}

pub(super) fn is_image(stream: &Stream<'_>) -> bool {
    stream
        .dict()
        .get::<Name<'_>>("Subtype")
        .is_some_and(|subtype| subtype.as_str() == "Image")
}

/// What a stream comes to.
struct Measured {
    /// Its size, looked at up to a limit; of a damaged stream the most that it may be.
    size: u64,
    is_whole: bool,
}

/// Data between two filters.
enum Step<'a> {
    Data(Cow<'a, [u8]>),
    /// Not worth unpacking, or not possible; so long at most.
    AtMost(u64),
}

/// The size of a stream after its last filter.
fn measure(stream: &Stream<'_>, limit: u64) -> Measured {
    let raw = stream.raw_data();
    let filters = stream.filters();
    let mut step = Step::Data(Cow::Borrowed(&raw));
    let mut is_whole = true;
    for (at, filter) in filters.iter().enumerate() {
        let is_last = at + 1 == filters.len();
        step = match step {
            Step::AtMost(size) => Step::AtMost(size.saturating_mul(ratio(*filter))),
            // Some writers give filters to a stream that is empty.
            Step::Data(data) if data.trim_ascii().is_empty() => Step::AtMost(0),
            Step::Data(data) => {
                let unpacked = match filter {
                    Filter::FlateDecode => inflated(&data, limit),
                    Filter::LzwDecode => lzw(&data, limit),
                    Filter::RunLengthDecode => run_length(&data, limit),
                    _ => Unpacked::default(),
                };
                is_whole &= unpacked.is_whole;
                match filter {
                    Filter::FlateDecode if unpacked.is_whole && unpacked.size < limit && !is_last => {
                        Step::Data(Cow::Owned(inflate(&data, limit)))
                    }
                    Filter::FlateDecode | Filter::LzwDecode | Filter::RunLengthDecode => {
                        let most = (data.len() as u64).saturating_mul(ratio(*filter));
                        Step::AtMost(if unpacked.is_whole { unpacked.size } else { most })
                    }
                    Filter::Ascii85Decode => Step::Data(Cow::Owned(ascii_85(&data).0)),
                    Filter::AsciiHexDecode => Step::Data(Cow::Owned(ascii_hex(&data))),
                    // Decryption keeps the size; the others give images.
                    _ => Step::Data(data),
                }
            }
        };
    }
    let size = match step {
        Step::Data(data) => data.len() as u64,
        Step::AtMost(size) => size,
    };
    Measured { size, is_whole }
}

fn ratio(filter: Filter) -> u64 {
    match filter {
        Filter::FlateDecode => DEFLATE_RATIO,
        Filter::LzwDecode => LZW_RATIO,
        Filter::RunLengthDecode => RUN_LENGTH_RATIO,
        _ => 1,
    }
}

/// How many bytes were looked at to measure data of which nobody knows how it is packed; `None` if it may come to the
/// limit. Data that is not packed in one of the ways ends as such after some bytes.
fn measure_raw(data: &[u8], limit: u64) -> Option<u64> {
    let (ascii, ascii_read) = ascii_85(data);
    let mut work = ascii_read;
    for unpacked in [
        inflated(data, limit),
        lzw(data, limit),
        run_length(data, limit),
        inflated(&ascii, limit),
    ] {
        if unpacked.size >= limit {
            return None;
        }
        work += unpacked.read + unpacked.size;
    }
    Some(work + measure_inner_layers(data, limit)?)
}

/// The size of what is zlib data inside zlib data; `None` if it comes to the limit or never ends.
fn measure_inner_layers(data: &[u8], limit: u64) -> Option<u64> {
    let mut size = 0;
    for layers in 1..=MAX_LAYERS {
        let mut packed = layered(data, layers - 1);
        let mut head = [0; 2];
        if packed.read_exact(&mut head).is_err() || !is_zlib(head) {
            return Some(size);
        }
        if layers > 1 {
            let mut unpacked = layered(data, layers).take(limit);
            // An error is the end of what is no zlib data after all.
            let _ = io::copy(&mut unpacked, &mut io::sink());
            size += limit - unpacked.limit();
            if unpacked.limit() == 0 {
                return None;
            }
        }
    }
    None
}

fn layered(data: &[u8], layers: usize) -> Box<dyn Read + '_> {
    (0..layers).fold(Box::new(data), |inner, _| Box::new(ZlibDecoder::new(inner)))
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
    fn data_is_measured_through_all_its_layers() {
        let once = packed(&b"a".repeat(100_000));
        assert!((100_000..120_000).contains(&measure_raw(&once, 1_000_000).unwrap()));
        assert!((100_000..120_000).contains(&measure_raw(&packed(&once), 1_000_000).unwrap()));
        assert_eq!(measure_raw(&once, 50_000), None);
        assert_eq!(measure_raw(&packed(&once), 50_000), None);
        assert!(measure_raw(b"BT (text) Tj ET", 1_000_000).unwrap() < 1_000);
    }
}
