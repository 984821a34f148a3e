//! The sample articles of the newsroom.
#![expect(clippy::unwrap_used, reason = "what a helper can't have fails its test")]

use std::path::Path;

use bedrock_diy_articles::{Article, Limits, read};

fn sample(name: &str) -> Article {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/newsroom/articles")
        .join(name);
    let bytes = std::fs::read(&path).unwrap();
    let article = read(name, &bytes, &Limits::default()).unwrap();
    println!(
        "{name}: {:?}, {:?}\n{}\n",
        article.title, article.language, article.text
    );
    article
}

#[test]
fn all_sample_articles_are_read_whole() {
    // Name, title, language, how the text begins and ends.
    let expected = [
        (
            "01-harbour-bridge.txt",
            None,
            None,
            "Harbour Bridge to reopen",
            "free of charge.\n",
        ),
        (
            "02-library-night.md",
            Some("Library stays open all night during exams"),
            None,
            "# Library stays open",
            "before the winter exams.\n",
        ),
        (
            "03-orchard-frost.html",
            Some("Late frost destroys a third of Tarn Valley's apple blossom"),
            Some("en-GB"),
            "Two nights of hard frost",
            "emergency fund of 2 million pounds.",
        ),
        (
            "04-night-trains.pdf",
            Some("Night trains return to Sedgeport station"),
            Some("en-GB"),
            "Night trains return to Sedgeport station\n\nSleeper trains will stop",
            "on sale on 1 September.",
        ),
        (
            "05-school-kitchen.docx",
            Some("School kitchen cooks with food from within 50 kilometres"),
            Some("en-US"),
            "School kitchen cooks",
            "parents may come and taste.",
        ),
        (
            "06-market-roof-ko.txt",
            None,
            None,
            "청림시, 노후 전통시장",
            "임시 주차장을 연다.\n",
        ),
        (
            "07-water-bus-zh.html",
            Some("云溪镇开通首条水上公交"),
            Some("zh-CN"),
            "云溪镇首条水上公交线路",
            "延长到高铁站。",
        ),
    ];
    for (name, title, language, begin, end) in expected {
        let article = sample(name);
        assert_eq!(article.title.as_deref(), title, "{name}");
        assert_eq!(article.language.as_deref(), language, "{name}");
        assert!(article.text.starts_with(begin), "{name}: {}", article.text);
        assert!(article.text.ends_with(end), "{name}: {}", article.text);
    }
}

#[test]
fn the_korean_sample_is_decoded_and_the_english_ones_need_no_second_copy() {
    assert_eq!(sample("06-market-roof-ko.txt").encoding, Some("EUC-KR"));
    assert!(!sample("06-market-roof-ko.txt").same_as_source);
    assert!(sample("01-harbour-bridge.txt").same_as_source);
    assert!(sample("02-library-night.md").same_as_source);
}

#[test]
fn the_page_s_surroundings_are_gone_and_the_table_of_the_document_is_there() {
    let page = sample("03-orchard-frost.html").text;
    for gone in [
        "cookies",
        "Sport",
        "Cider festival",
        "All rights reserved",
        "dataLayer",
    ] {
        assert!(!page.contains(gone), "{gone}");
    }
    assert!(page.contains("\n\nCandles and sprinklers\n\n"));
    assert!(
        sample("05-school-kitchen.docx")
            .text
            .contains("Meals a day\t310\t380\nWaste a week, kg\t142\t68")
    );
}
