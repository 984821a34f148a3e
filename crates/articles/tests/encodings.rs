//! Every encoding that articles are known to come in, there and back.
#![expect(clippy::unwrap_used, reason = "what a helper can't have fails its test")]

use bedrock_diy_articles::{Limits, read};
use encoding_rs::Encoding;

const KOREAN: &str = "청림시는 지은 지 41년 된 남문시장의 낡은 지붕을 올해 안에 모두 바꾼다고 12일 밝혔다. 사업비는 36억 원이며, \
                      공사는 4월 1일에 시작해 11월 말에 끝난다.\n\n상인회 회장은 \"비가 오면 양동이부터 찾던 시절이 끝난다\"며 반겼다.\n";
const JAPANESE: &str = "港の大橋は三年間の工事を終え、金曜日に再び開通する。市によると、費用は四十八億円で、計画より九億円多かった。\n\n\
                        「去年の秋に一車線だけ開けることもできた」と委員長は話した。一日に約二万台の車がこの橋を通っていた。\n";
const SIMPLIFIED: &str = "云溪镇首条水上公交线路将于五月一日开通，连接老码头与新城区，全程六公里，单程约二十五分钟。\n\n镇政府周三表示，\
                          票价为三元，六十五岁以上的老人免费乘坐。首批投入四艘电动船，每艘可载八十人。\n";
const TRADITIONAL: &str = "雲溪鎮首條水上公車路線將於五月一日開通，連接老碼頭與新城區，全程六公里，單程約二十五分鐘。\n\n鎮公所週三表示，\
                           票價為三元，六十五歲以上的長者免費搭乘。首批投入四艘電動船，每艘可載八十人。\n";
const GERMAN: &str = "Die Hafenbrücke öffnet am Freitag wieder, drei Jahre nachdem Prüfer Risse in zwei Pfeilern gefunden \
                      hatten. Die Arbeiten kosteten 48 Millionen Euro – neun mehr als geplant.\n\n„Wir hätten früher öffnen \
                      können“, sagte die Bürgermeisterin, „aber wir wollten es gründlich machen.“\n";
const RUSSIAN: &str = "Мост через гавань снова откроют в пятницу, через три года после того, как инженеры нашли трещины в двух \
                       опорах.\n\nРаботы обошлись городу в 48 миллионов рублей, на девять больше, чем было задумано.\n";

/// The text, the encoding it is written in and the name that it is found under.
const LEGACY: [(&str, &str, &str); 10] = [
    (KOREAN, "euc-kr", "EUC-KR"),
    (JAPANESE, "shift_jis", "Shift_JIS"),
    (JAPANESE, "euc-jp", "EUC-JP"),
    (JAPANESE, "iso-2022-jp", "ISO-2022-JP"),
    (SIMPLIFIED, "gb18030", "gb18030"),
    (SIMPLIFIED, "gbk", "gb18030"),
    (TRADITIONAL, "big5", "Big5"),
    (GERMAN, "windows-1252", "windows-1252"),
    (RUSSIAN, "windows-1251", "windows-1251"),
    (RUSSIAN, "koi8-r", "KOI8-U"),
];

fn assert_reads(bytes: &[u8], text: &str, encoding: &str) {
    let article = read("article.txt", bytes, &Limits::default()).unwrap();
    assert_eq!(article.encoding, Some(encoding), "{text}");
    assert_eq!(article.text, text);
    assert_eq!(article.same_as_source, article.text.as_bytes() == bytes);
}

#[test]
fn text_in_a_legacy_encoding_is_told_by_its_bytes() {
    for (text, label, found) in LEGACY {
        let (bytes, _, had_errors) = Encoding::for_label(label.as_bytes()).unwrap().encode(text);
        assert!(!had_errors, "{label} can't hold {text}");
        assert_reads(&bytes, text, found);
    }
}

#[test]
fn utf8_is_read_with_and_without_its_mark() {
    for text in [KOREAN, JAPANESE, SIMPLIFIED, TRADITIONAL, GERMAN, RUSSIAN] {
        assert_reads(text.as_bytes(), text, "UTF-8");
        assert_reads(format!("\u{feff}{text}").as_bytes(), text, "UTF-8");
    }
}

#[test]
fn utf16_is_read_in_both_orders_with_and_without_its_mark() {
    for text in [KOREAN, JAPANESE, SIMPLIFIED, TRADITIONAL, GERMAN, RUSSIAN] {
        for mark in ["", "\u{feff}"] {
            let units = || mark.encode_utf16().chain(text.encode_utf16());
            assert_reads(
                &units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
                text,
                "UTF-16LE",
            );
            assert_reads(
                &units().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
                text,
                "UTF-16BE",
            );
        }
    }
}

#[test]
fn a_character_of_four_bytes_in_gb18030_is_kept() {
    let text = SIMPLIFIED.replace("云溪镇", "㐀㐁镇𠀀");
    let (bytes, ..) = encoding_rs::GB18030.encode(&text);
    assert_reads(&bytes, &text, "gb18030");
}

#[test]
fn a_short_korean_headline_is_told_from_chinese_and_japanese() {
    let (bytes, ..) = encoding_rs::EUC_KR.encode("청림시, 노후 전통시장 지붕 새로 얹는다");
    assert_reads(&bytes, "청림시, 노후 전통시장 지붕 새로 얹는다", "EUC-KR");
}

#[test]
fn a_rare_sign_in_an_english_text_is_no_polish_or_chinese() {
    let frame = "The harbour bridge opens again on Friday, the city says, after three years of work. It was closed when \
                 inspectors found cracks in two of its pillars, and REPLACED has been the word ever since.\n";
    for word in [
        "£5 million",
        "naïve",
        "10 µm",
        "®",
        "Dalí",
        "Curaçao",
        "it’s “fine”",
        "20 °C",
    ] {
        let text = frame.replace("REPLACED", word);
        let (bytes, ..) = encoding_rs::WINDOWS_1252.encode(&text);
        assert_reads(&bytes, &text, "windows-1252");
    }
    for (word, encoding) in [("김하늘", "EUC-KR"), ("Москва", "windows-1251")] {
        let text = frame.replace("REPLACED", word);
        let (bytes, ..) = Encoding::for_label(encoding.as_bytes()).unwrap().encode(&text);
        assert_reads(&bytes, &text, encoding);
    }
}
