//! "Did you mean": the known name that a mistaken one is closest to.

use std::cmp::Reverse;

/// The known name that somebody may have meant. Case, hyphens and underscores don't count (`max_tokens` is
/// `maxTokens`); of dotted names, the last part does.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = letters(name);
    known
        .into_iter()
        .filter_map(|candidate| {
            let last = candidate.rsplit('.').next().unwrap_or(candidate);
            Some((distance(&name, &letters(last))?, candidate))
        })
        .min_by_key(|(distance, candidate)| {
            // Of equally close ones the outer: it is what most files say.
            (
                *distance,
                candidate.matches('.').count(),
                Reverse(candidate.len()),
            )
        })
        .map(|(_, candidate)| candidate)
}

/// How many slips of the keyboard lie between two names; `None` where it is too many for a mistake.
fn distance(name: &str, candidate: &str) -> Option<usize> {
    const TELLING: usize = 4;
    let distance = strsim::osa_distance(name, candidate);
    let allowed = (candidate.chars().count() / 3).max(1);
    if distance <= allowed {
        return Some(distance);
    }
    // A part of the whole word: `schema` for `outputSchema`.
    let shares = |whole: &str, part: &str| part.len() >= TELLING && whole.contains(part);
    (shares(candidate, name) || shares(name, candidate)).then_some(distance)
}

fn letters(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = [
            "title",
            "outputSchema",
            "isActive",
            "parameters.maxTokens",
            "parameters.temperature",
        ];
        for (said, meant) in [
            ("titel", Some("title")),
            ("max_tokens", Some("parameters.maxTokens")),
            ("temp", Some("parameters.temperature")),
            ("schema", Some("outputSchema")),
            ("active", Some("isActive")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(closest(said, known), meant, "{said}");
        }
    }
}
