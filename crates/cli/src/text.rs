//! How numbers are written for people.

use std::time::Duration;

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An estimate in dollars, or that there is none.
pub(crate) fn dollars(cost: Option<f64>) -> String {
    match cost {
        None => "no price known".to_owned(),
        Some(0.0) => "$0".to_owned(),
        Some(cost) if cost < 0.1 => format!("~${cost:.4}"),
        Some(cost) => format!("~${cost:.2}"),
    }
}

/// `0.8 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The text, or its beginning, an ellipsis and its end where it takes more than `most` columns of a
/// terminal: names often differ at their ends. For a table, never for a result.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().map(columns).sum::<usize>() <= most {
        return text.to_owned();
    }
    let end = fitting(text.chars().rev(), most / 3);
    let end = &text[text.len() - end..];
    let begin = fitting(text.chars(), most - 1 - end.chars().map(columns).sum::<usize>());
    format!("{}…{end}", &text[..begin])
}

/// How many bytes of these characters fit into so many columns.
fn fitting(text: impl Iterator<Item = char>, most: usize) -> usize {
    let mut taken = 0;
    text.take_while(|c| {
        taken += columns(*c);
        taken <= most
    })
    .map(char::len_utf8)
    .sum()
}

/// Nearly all letters from Hangul on are two columns wide; a column too few does no harm.
fn columns(c: char) -> usize {
    if c < '\u{1100}' { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
        assert_eq!(duration(Duration::from_millis(820)), "0.8 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(shortened("한국어 기사", 11), "한국어 기사");
        assert_eq!(shortened("한국어 기사", 10), "한국어 …사");
        assert_eq!(shortened("bridge-opening-12.txt", 15), "bridge-op…2.txt");
    }
}
