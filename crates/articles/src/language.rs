use oxilangtag::LanguageTag;

/// Tags are not longer where they are of use (RFC 5646, section 4.4.1).
const LONGEST: usize = 35;

/// The language tag in its canonical spelling (`en_us` gives `en-US`), or `None` if it isn't a BCP 47 tag.
pub(crate) fn validated(tag: &str) -> Option<String> {
    let tag = tag.trim();
    if tag.len() > LONGEST {
        return None;
    }
    let tag = tag.replace('_', "-");
    LanguageTag::parse_and_normalize(&tag)
        .ok()
        .map(LanguageTag::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_normalised_or_refused() {
        assert_eq!(validated("KO").as_deref(), Some("ko"));
        assert_eq!(validated(" en_us ").as_deref(), Some("en-US"));
        assert_eq!(validated("zh-hant-tw").as_deref(), Some("zh-Hant-TW"));
        assert_eq!(validated("English, please"), None);
        assert_eq!(validated(""), None);
        assert_eq!(validated(&format!("en-x{}", "-longer".repeat(9))), None);
    }
}
