//! What the filters of a PDF make of data, as lenient as the parser is that unpacks it later.

use flate2::{Decompress, FlushDecompress, Status};

/// What was seen of data that was unpacked to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// How many bytes were read.
    pub(super) read: u64,
    /// How many came of them, up to a limit.
    pub(super) size: u64,
    /// Whether all was in order, as far as it was looked at.
    pub(super) is_whole: bool,
}

impl Default for Unpacked {
    fn default() -> Self {
        Self {
            read: 0,
            size: 0,
            is_whole: true,
        }
    }
}

/// Whether data begins as zlib data does.
pub(super) fn is_zlib(head: [u8; 2]) -> bool {
    head[0] & 0x0f == 8 && u16::from_be_bytes(head).is_multiple_of(31)
}

/// Measures DEFLATE data, with the header of zlib or without it. A checksum that is cut off is no harm; one that is
/// wrong tells of text that was changed.
pub(super) fn inflated(data: &[u8], limit: u64) -> Unpacked {
    let with_header = zlib_body(data).map(|body| {
        let mut sum = Checksum::default();
        let mut unpacked = run_inflate(body, limit, |part| sum.add(part));
        let read = usize::try_from(unpacked.read).unwrap_or(body.len());
        let stated = body.get(read..).and_then(<[u8]>::first_chunk::<4>);
        let is_wrong = stated.is_some_and(|stated| u32::from_be_bytes(*stated) != sum.value());
        // At the limit there is more to come, and the sum is not yet that of all.
        unpacked.is_whole &= unpacked.size >= limit || !is_wrong;
        unpacked
    });
    // Readers try this where the other fails, and they may be more particular about what fails.
    let bare = run_inflate(data, limit, |_| {});
    match with_header {
        None => bare,
        Some(unpacked) => Unpacked {
            read: unpacked.read + bare.read,
            size: unpacked.size.max(bare.size),
            is_whole: unpacked.is_whole || bare.is_whole,
        },
    }
}

/// Unpacks DEFLATE data, up to the limit.
pub(super) fn inflate(data: &[u8], limit: u64) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(body) = zlib_body(data) {
        let unpacked = run_inflate(body, limit, |part| all.extend_from_slice(part));
        if unpacked.is_whole {
            return all;
        }
        all.clear();
    }
    run_inflate(data, limit, |part| all.extend_from_slice(part));
    all
}

/// Adler-32 (RFC 1950, section 8.2).
struct Checksum(u32, u32);

impl Default for Checksum {
    fn default() -> Self {
        Self(1, 0)
    }
}

impl Checksum {
    fn add(&mut self, part: &[u8]) {
        const BASE: u32 = 65_521;
        // So many bytes fit before a sum overflows.
        for chunk in part.chunks(5_552) {
            for byte in chunk {
                self.0 += u32::from(*byte);
                self.1 += self.0;
            }
            self.0 %= BASE;
            self.1 %= BASE;
        }
    }

    fn value(&self) -> u32 {
        self.1 << 16 | self.0
    }
}

/// What is behind the header of zlib data.
fn zlib_body(data: &[u8]) -> Option<&[u8]> {
    let (head, body) = data.split_first_chunk::<2>()?;
    is_zlib(*head).then_some(body)
}

/// Whether the first block of DEFLATE data may be one: most of what is none is told by this, which costs nothing.
fn begins_block(data: &[u8]) -> bool {
    match data {
        [] => false,
        [first, rest @ ..] => match first >> 1 & 3 {
            // A stored block has its length twice, the second time inverted.
            0 => rest
                .first_chunk::<4>()
                .is_some_and(|[a, b, c, d]| *a == !c && *b == !d),
            1 | 2 => true,
            _ => false,
        },
    }
}

fn run_inflate(data: &[u8], limit: u64, mut take: impl FnMut(&[u8])) -> Unpacked {
    const CHUNK: usize = 32 * 1024;
    if !begins_block(data) {
        return unpacked(0, 0, false);
    }
    let mut state = Decompress::new(false);
    let mut chunk = vec![0; CHUNK];
    let mut rest = data;
    loop {
        let (read, written) = (state.total_in(), state.total_out());
        let result = state.decompress(rest, &mut chunk, FlushDecompress::None);
        let read_now = usize::try_from(state.total_in() - read).unwrap_or(rest.len());
        let written_now = usize::try_from(state.total_out() - written).unwrap_or(CHUNK);
        rest = rest.get(read_now..).unwrap_or_default();
        take(chunk.get(..written_now).unwrap_or_default());
        let is_whole = match result {
            Ok(Status::StreamEnd) => true,
            Ok(_) if state.total_out() >= limit => true,
            Ok(_) if read_now + written_now > 0 => continue,
            Ok(_) | Err(_) => false,
        };
        return Unpacked {
            read: state.total_in(),
            size: state.total_out().min(limit),
            is_whole,
        };
    }
}

/// Measures LZW data. Writers differ in when they lengthen the codes; it is taken for what comes to more.
pub(super) fn lzw(data: &[u8], limit: u64) -> Unpacked {
    let [late, early] = [0, 1].map(|early| run_lzw(data, early, limit));
    Unpacked {
        read: late.read + early.read,
        size: late.size.max(early.size),
        is_whole: late.is_whole || early.is_whole,
    }
}

/// Follows the codes, and keeps only how long their texts are.
fn run_lzw(data: &[u8], early: usize, limit: u64) -> Unpacked {
    const CLEAR: usize = 256;
    const END: usize = 257;
    const MAX_CODES: usize = 4_096;
    // The two codes that are no text have none.
    let mut lengths: Vec<u64> = (0..258).map(|code| u64::from(code < CLEAR)).collect();
    let mut previous: Option<usize> = None;
    let (mut bits, mut held, mut size) = (0_u32, 0_u32, 0_u64);
    for (read, &byte) in (1..).zip(data) {
        held = held << 8 | u32::from(byte);
        bits += 8;
        let width = match lengths.len() + early {
            2_048.. => 12,
            1_024.. => 11,
            512.. => 10,
            _ => 9,
        };
        if bits < width {
            continue;
        }
        bits -= width;
        let code = (held >> bits) as usize;
        held &= (1 << bits) - 1;
        let known = lengths.len();
        let is_wrong = match code {
            CLEAR => {
                lengths.truncate(258);
                previous = None;
                continue;
            }
            END => return unpacked(read, size, true),
            _ if code < known => false,
            _ => code > known || previous.is_none() || known >= MAX_CODES,
        };
        if is_wrong {
            return unpacked(read, size, false);
        }
        if let Some(previous) = previous
            && known < MAX_CODES
        {
            lengths.push(lengths[previous] + 1);
        }
        size += lengths[code];
        previous = Some(code);
        if size >= limit {
            return unpacked(read, limit, true);
        }
    }
    unpacked(data.len() as u64, size, true)
}

/// Measures run-length data.
pub(super) fn run_length(data: &[u8], limit: u64) -> Unpacked {
    const END: u8 = 128;
    let (mut at, mut size) = (0, 0_u64);
    while let Some(&control) = data.get(at) {
        let (step, length) = match control {
            END => return unpacked(at as u64 + 1, size, true),
            0..END => (usize::from(control) + 2, usize::from(control) + 1),
            _ => (2, 257 - usize::from(control)),
        };
        at += step;
        if at > data.len() {
            break;
        }
        size += length as u64;
        if size >= limit {
            return unpacked(at as u64, limit, true);
        }
    }
    // Without its end mark the data may have lost what came last.
    unpacked(data.len() as u64, size, false)
}

fn unpacked(read: u64, size: u64, is_whole: bool) -> Unpacked {
    Unpacked { read, size, is_whole }
}

/// Undoes base 85, up to its end or to a character that it does not have; gives how many bytes were read, too.
pub(super) fn ascii_85(data: &[u8]) -> (Vec<u8>, u64) {
    let mut decoded = Vec::new();
    let mut group = (0_u32, 0_usize);
    let mut read = 0;
    for &byte in data {
        match byte {
            b'z' if group.1 == 0 => decoded.extend([0; 4]),
            b'!'..=b'u' => {
                group = (
                    group.0.wrapping_mul(85).wrapping_add(u32::from(byte - b'!')),
                    group.1 + 1,
                );
                if group.1 == 5 {
                    decoded.extend(group.0.to_be_bytes());
                    group = (0, 0);
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b'\0' => {}
            _ => break,
        }
        read += 1;
    }
    if group.1 > 1 {
        let padded = (group.1..5).fold(group.0, |value, _| value.wrapping_mul(85).wrapping_add(84));
        decoded.extend(&padded.to_be_bytes()[..group.1 - 1]);
    }
    (decoded, read)
}

pub(super) fn ascii_hex(data: &[u8]) -> Vec<u8> {
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
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    const LIMIT: u64 = 1_000_000;

    #[test]
    fn deflate_is_measured_with_and_without_its_header_and_checksum() {
        let text = b"a".repeat(100_000);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(&text).unwrap();
        let bare = bare.finish().unwrap();
        for data in [&zlib[..], &zlib[..zlib.len() - 4], &bare] {
            let unpacked = inflated(data, LIMIT);
            assert_eq!((unpacked.size, unpacked.is_whole), (100_000, true));
            assert_eq!(inflate(data, LIMIT), text);
        }
        assert!(!inflated(&zlib[..zlib.len() / 2], LIMIT).is_whole);
        let mut changed = zlib.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(!inflated(&changed, LIMIT).is_whole);
        assert_eq!(inflated(&zlib, 50_000).size, 50_000);
    }

    #[test]
    fn lzw_is_measured_by_its_codes() {
        // The example of the PDF specification (ISO 32000-1, 7.4.4.2): ten bytes of text.
        let data = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        let unpacked = lzw(&data, LIMIT);
        assert_eq!((unpacked.size, unpacked.is_whole), (10, true));
        assert!(!lzw(&[0xff; 9], LIMIT).is_whole);
        // Each code the next one: texts that grow by one.
        let codes = (0..200_u32).map(|n| if n == 0 { 65 } else { 257 + n });
        let bits = codes
            .map(|code| format!("{code:09b}"))
            .collect::<Vec<_>>()
            .concat();
        let growing: Vec<u8> = bits
            .as_bytes()
            .chunks_exact(8)
            .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | (bit - b'0')))
            .collect();
        assert_eq!(lzw(&growing, LIMIT).size, (1..=200).sum::<u64>());
        assert_eq!(lzw(&growing, 1_000).size, 1_000);
    }

    #[test]
    fn run_lengths_are_added_up() {
        let unpacked = run_length(&[4, 10, 11, 12, 13, 14, 253, 3, 128, 9], LIMIT);
        assert_eq!(unpacked, super::unpacked(9, 9, true));
        assert!(!run_length(&[4, 10], LIMIT).is_whole);
    }

    #[test]
    fn ascii_filters_are_undone() {
        assert_eq!(ascii_85(b"87cURD]i,\"Ebo80~>").0, b"Hello World!");
        assert_eq!(ascii_85(b"87cURD]i,\"Ebo7~>").0, b"Hello World");
        assert_eq!(ascii_hex(b"48 65 6C6c 6F7>"), b"Hellop");
    }
}
