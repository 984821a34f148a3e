//! Web pages, reduced to their article.

mod layout;
mod scan;

use dom_query::{Document, NodeRef};
use dom_smoothie::Readability;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{ParseOpts, tree_builder::TreeBuilderOpts};

use crate::encoding;
use crate::source::Source;
use crate::text::{clean, title};
use crate::{Article, MediaType, ReadError, language};

use scan::{declared_encoding, has_endless_tag};

/// Pages nest some dozens of elements deep. The parser and the extraction need time that grows with the square of
/// the depth, so a page that is nested far deeper is refused.
const MAX_DEPTH: usize = 1_000;
/// The longest pages that people read, such as whole standards, have some 300,000 nodes.
const MAX_NODES: usize = 500_000;
/// The extraction needs time that grows with the square of one unbroken text. A longer one is no article's paragraph.
const MAX_TEXT_NODE: usize = 50_000;
/// An extraction that leaves more of the page's text behind has found a teaser, not the article.
const LEAST_SHARE: usize = 10;
/// How much is parsed between two looks at depth and nodes.
const CHUNK: usize = 4_096;

/// What is no part of an article on any page.
const SURROUNDINGS: &str = "nav, footer, aside, dialog, template, button, svg, [role=navigation], [hidden], \
                            #comments, #respond, #disqus_thread";
/// What is taken away besides where no article is found: the extraction itself knows what to do with these.
const SCRIPTS: &str = "script, style, noscript, header";

pub(crate) fn read(source: &Source<'_>) -> Result<Article, ReadError> {
    let decoded = encoding::decode(source, declared_encoding(source.bytes))?;
    let markup = clean(decoded.text);
    source.check_text_size(markup.len())?;
    let page = source.contain("HTML", || {
        let extracted = extract(parse(source, &markup)?);
        match extracted {
            Some(page) if page.text.len() >= markup.len() / LEAST_SHARE => Ok(page),
            _ => {
                let whole = whole_body(&parse(source, &markup)?);
                Ok(extracted
                    .filter(|page| page.text.len() >= whole.text.len() / LEAST_SHARE)
                    .unwrap_or(whole))
            }
        }
    })?;
    Ok(Article {
        text: clean(page.text.into()).into_owned(),
        title: title(&page.title),
        language: page.language.as_deref().and_then(language::validated),
        media_type: MediaType::Html,
        encoding: Some(decoded.encoding),
        same_as_source: false,
    })
}

struct Page {
    text: String,
    title: String,
    language: Option<String>,
}

/// The article as reader views find it; `None` where they find none.
fn extract(document: Document) -> Option<Page> {
    let language = declared_language(&document);
    let stated = stated_title(&document);
    remove_surroundings(&document);
    if has_endless_text(&document) {
        return None;
    }
    let article = Readability::with_document(document, None, None)
        .ok()?
        .parse()
        .ok()?;
    let text = layout::text_of(Document::fragment(article.content).root());
    let title = if article.title.trim().is_empty() {
        stated
    } else {
        article.title
    };
    (!text.is_empty()).then_some(Page {
        text,
        title,
        language,
    })
}

/// Whether some text goes on and on without an element in it. Scripts do, and don't count.
fn has_endless_text(document: &Document) -> bool {
    let is_script = |node: &NodeRef<'_>| node.has_name("script") || node.has_name("style");
    document.root().descendants_it().any(|node| {
        node.is_text()
            && node.text().len() > MAX_TEXT_NODE
            && !node.parent().is_some_and(|parent| is_script(&parent))
    })
}

/// All that the page says, less what is plainly not its article.
fn whole_body(document: &Document) -> Page {
    let title = stated_title(document);
    remove_surroundings(document);
    document.select(SCRIPTS).remove();
    let text = document.body().map(layout::text_of).unwrap_or_default();
    Page {
        text,
        title,
        language: declared_language(document),
    }
}

fn remove_surroundings(document: &Document) {
    // Who is quoted is a part of the quotation.
    document.select("blockquote footer").rename("p");
    document.select(SURROUNDINGS).remove();
}

/// The title that the page says it has, and else its first heading.
fn stated_title(document: &Document) -> String {
    let of_meta = || {
        document
            .select_single("meta[property='og:title']")
            .attr("content")
    };
    let title = document.select_single("head title").text();
    let title = if title.trim().is_empty() {
        of_meta().unwrap_or_else(|| document.select_single("h1").text())
    } else {
        title
    };
    title.to_string()
}

fn declared_language(document: &Document) -> Option<String> {
    let html = document.html_root();
    let of_body = || document.body().and_then(|body| body.attr("lang"));
    let of_meta = |name: &str| document.select_single(name).attr("content");
    html.attr("lang")
        .or_else(|| html.attr("xml:lang"))
        .or_else(of_body)
        .or_else(|| of_meta("meta[http-equiv=content-language i]"))
        .or_else(|| of_meta("meta[property='og:locale']"))
        .map(|lang| lang.to_string())
}

fn parse(source: &Source<'_>, markup: &str) -> Result<Document, ReadError> {
    let opts = ParseOpts {
        // What a page shows without scripts (in `noscript`) is what we want to see.
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    if has_endless_tag(markup) {
        return Err(
            source.unreadable("one of its HTML elements has too many attributes; send the article's text")
        );
    }
    let mut parser = html5ever::parse_document(Document::default(), opts);
    let mut rest = markup;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.floor_char_boundary(CHUNK.min(rest.len())));
        parser.process(StrTendril::from(chunk));
        let document = &parser.tokenizer.sink.sink;
        document.errors.borrow_mut().clear();
        if document.tree.len() > MAX_NODES {
            return Err(source.unreadable("its HTML has too many elements; send the article alone"));
        }
        if current_depth(document) > MAX_DEPTH {
            return Err(source.unreadable("its HTML is nested too deeply; send the article's text"));
        }
        rest = after;
    }
    Ok(parser.finish())
}

/// How deep the parser is just now: it adds to the end of the tree, so it is down the path of last children.
fn current_depth(document: &Document) -> usize {
    let body = document.body().map(|body| body.id);
    std::iter::successors(body, |id| document.tree.last_child_of(id).map(|child| child.id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, read};

    const PARAGRAPH: &str = "The harbour bridge opens again on Friday, the city says, after three years of work, some \
                             delay, and a bill that is twice what the council had voted for in the spring of 2023.";

    fn page(body: &str) -> Result<Article, ReadError> {
        let html = format!(
            "<!doctype html><html lang=en-gb><head><title>Bridge opens</title><style>p {{ color: red }}</style>\
             <script>if (1<2) track('me')</script></head><body>{body}</body></html>"
        );
        read("page.html", html.as_bytes(), &Limits::default())
    }

    #[test]
    fn navigation_scripts_and_styles_go_and_paragraphs_stay_apart() {
        let paragraphs = format!("<p>{PARAGRAPH}</p>").repeat(4);
        let article = page(&format!(
            "<nav><a href=/>Home</a> <a href=/sport>Sport</a></nav><div class=cookie-banner><p>We use cookies.</p>\
             </div><main><article><h1>Bridge opens</h1>{paragraphs}<h2>What next</h2><p>{PARAGRAPH}</p></article>\
             </main><aside><a href=/x>More like this</a></aside><footer>© Harbour News</footer>"
        ))
        .unwrap();
        assert_eq!(article.title.as_deref(), Some("Bridge opens"));
        assert_eq!(article.language.as_deref(), Some("en-GB"));
        assert_eq!(article.text.matches(PARAGRAPH).count(), 5);
        assert!(article.text.contains("\n\nWhat next\n\n"), "{}", article.text);
        for gone in ["Sport", "cookies", "track", "color", "More like", "©"] {
            assert!(!article.text.contains(gone), "{gone} is in {}", article.text);
        }
    }

    #[test]
    fn a_short_article_keeps_its_lead_its_lists_and_who_is_quoted() {
        let article = page(&format!(
            "<nav>Home</nav><article><header><h1>Bridge opens</h1><p>The lead says it all.</p></header><p>{PARAGRAPH}</p>\
             <ol><li>First point, made at some length.</li><li>Second point, made at some length.</li></ol>\
             <blockquote><p>We are glad.</p><footer>The mayor</footer></blockquote><table><tr><th>Year</th><th>Ships</th>\
             </tr><tr><td>2024</td><td>118</td></tr></table></article><div id=comments><p>{PARAGRAPH}</p></div>"
        ))
        .unwrap();
        for kept in [
            "The lead says it all.\n\nThe harbour",
            "1. First point, made at some length.\n2. Second",
            "We are glad.\n\nThe mayor",
            "Year\tShips\n2024\t118",
        ] {
            assert!(article.text.contains(kept), "{kept} is not in {}", article.text);
        }
        assert_eq!(article.text.matches(PARAGRAPH).count(), 1);
    }

    #[test]
    fn title_and_language_are_found_where_pages_state_them() {
        let of = |html: &str| {
            let article = read("a.html", html.as_bytes(), &Limits::default()).unwrap();
            (
                article.title.unwrap_or_default(),
                article.language.unwrap_or_default(),
            )
        };
        let both = |title: &str, language: &str| (title.to_owned(), language.to_owned());
        assert_eq!(
            of("<meta property=og:title content=Open><meta property=og:locale content=de_DE><p>Text"),
            both("Open", "de-DE")
        );
        assert_eq!(
            of("<body lang=ko><svg><title>Logo</title></svg><h1>Bridge opens</h1><p>Text"),
            both("Bridge opens", "ko")
        );
    }

    #[test]
    fn a_page_without_an_article_gives_its_whole_body() {
        let article = page("<nav>Home</nav><div>Closed on Monday.</div><div>Open on Tuesday.</div>").unwrap();
        assert_eq!(article.text, "Closed on Monday.\n\nOpen on Tuesday.");
    }

    #[test]
    fn the_charset_of_a_meta_element_is_honoured() {
        let html =
            "<html><meta http-equiv=\"Content-Type\" content=\"text/html; charset=EUC-KR\"><p>항만 대교 개통";
        let (bytes, ..) = encoding_rs::EUC_KR.encode(html);
        let article = read("a.html", &bytes, &Limits::default()).unwrap();
        assert_eq!(
            (article.text.as_str(), article.encoding),
            ("항만 대교 개통", Some("EUC-KR"))
        );
    }

    #[test]
    fn an_extraction_that_finds_but_a_fraction_gives_way_to_the_whole_body() {
        let deep = format!(
            "{}<p>{PARAGRAPH}</p>{}",
            "<div>".repeat(100),
            "</div>".repeat(100)
        );
        let article = page(&deep.repeat(20)).unwrap();
        assert_eq!(article.text.matches(PARAGRAPH).count(), 20);
    }

    #[test]
    fn one_endless_text_is_read_without_extraction() {
        let text = "this &amp; that, ".repeat(20_000);
        assert_eq!(
            page(&format!("<p>{text}"))
                .unwrap()
                .text
                .matches("this & that,")
                .count(),
            20_000
        );
    }

    #[test]
    fn a_page_nested_deeply_is_read_on_a_small_stack() {
        let deep = format!("{}<p>{PARAGRAPH}", "<div>".repeat(MAX_DEPTH - 10));
        let reader = std::thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn(move || page(&deep));
        assert_eq!(reader.unwrap().join().unwrap().unwrap().text, PARAGRAPH);
    }

    #[test]
    fn a_page_nested_too_deeply_is_refused() {
        for nested in [
            "<div>".repeat(100_000),
            "<font><div>".repeat(50_000),
            "<table><td>".repeat(50_000),
        ] {
            let error = page(&nested).unwrap_err();
            assert!(error.to_string().contains("nested too deeply"), "{error}");
        }
    }

    #[test]
    fn a_tag_with_endless_attributes_is_refused() {
        assert!(
            page(&format!("<p {}>x", "a ".repeat(5_000)))
                .unwrap_err()
                .to_string()
                .contains("too many attributes")
        );
    }
}
