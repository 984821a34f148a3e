//! A page's elements as text: paragraphs, lists with their marks, tables with their rows.

use dom_query::NodeRef;

/// What stands between two texts; where several meet, the largest.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

enum Step<'a> {
    Open(NodeRef<'a>),
    Close(Kind),
}

/// What an element does to the text in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inline,
    Block,
    Line,
    Break,
    Item,
    /// With the number before its first item, where they are numbered.
    List(Option<i64>),
    Cell,
    Verbatim,
    Unseen,
}

#[derive(Default)]
struct Layout {
    text: String,
    gap: Gap,
    /// The mark of a list's item that has said nothing yet.
    mark: Option<String>,
    /// The lists that we are in, with the number of the last item of those that are numbered.
    lists: Vec<Option<i64>>,
}

/// The text below a node.
pub(super) fn text_of(root: NodeRef<'_>) -> String {
    let mut layout = Layout::default();
    // Not by recursion: pages nest deeper than stacks are.
    let mut steps = vec![Step::Open(root)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Close(kind) => layout.close(kind),
            Step::Open(node) if node.is_text() => layout.write(&node.text()),
            Step::Open(node) => {
                let kind = Kind::of(&node);
                layout.open(kind, &node);
                if !matches!(kind, Kind::Unseen | Kind::Verbatim) {
                    steps.push(Step::Close(kind));
                    let children = node.children_it(true);
                    steps.extend(children.map(Step::Open));
                }
            }
        }
    }
    layout.text
}

impl Kind {
    fn of(node: &NodeRef<'_>) -> Self {
        let Some(name) = node.node_name() else {
            return Self::Inline;
        };
        match &*name {
            "script" | "style" | "template" | "svg" | "head" => Self::Unseen,
            "pre" => Self::Verbatim,
            "ol" => {
                let start = node.attr("start").and_then(|start| start.trim().parse().ok());
                Self::List(Some(start.unwrap_or(1_i64).saturating_sub(1)))
            }
            "ul" | "menu" => Self::List(None),
            "li" => Self::Item,
            "br" => Self::Break,
            "tr" | "dt" | "dd" | "option" => Self::Line,
            "td" | "th" => Self::Cell,
            "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "details"
            | "div" | "dl" | "fieldset" | "figcaption" | "figure" | "footer" | "form" | "h1" | "h2"
            | "h3" | "h4" | "h5" | "h6" | "header" | "hr" | "main" | "nav" | "p" | "section" | "summary"
            | "table" => Self::Block,
            _ => Self::Inline,
        }
    }
}

impl Layout {
    fn open(&mut self, kind: Kind, node: &NodeRef<'_>) {
        self.leave_space(kind);
        match kind {
            // One after the other leaves a line empty, as many pages part their paragraphs.
            Kind::Break if self.gap >= Gap::Line => self.gap = Gap::Paragraph,
            Kind::Break => self.gap = Gap::Line,
            Kind::List(before) => self.lists.push(before),
            Kind::Item => self.mark = Some(self.next_mark(node)),
            Kind::Verbatim => {
                self.write_as_is(node.text().trim_matches('\n'));
                self.leave_space(kind);
            }
            _ => {}
        }
    }

    fn close(&mut self, kind: Kind) {
        match kind {
            Kind::List(_) => drop(self.lists.pop()),
            Kind::Item => self.mark = None,
            _ => {}
        }
        self.leave_space(kind);
    }

    fn leave_space(&mut self, kind: Kind) {
        let gap = match kind {
            Kind::Inline | Kind::Unseen | Kind::Break => Gap::None,
            Kind::Cell => Gap::Cell,
            Kind::Line | Kind::Item => Gap::Line,
            Kind::List(_) if !self.lists.is_empty() => Gap::Line,
            Kind::Block | Kind::Verbatim | Kind::List(_) => Gap::Paragraph,
        };
        self.gap = self.gap.max(gap);
    }

    /// `- ` or the number, indented by the lists around.
    fn next_mark(&mut self, item: &NodeRef<'_>) -> String {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(8));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                let stated = item.attr("value").and_then(|value| value.trim().parse().ok());
                *number = stated.unwrap_or_else(|| number.saturating_add(1));
                format!("{indent}{number}. ")
            }
            _ => format!("{indent}- "),
        }
    }

    /// Writes a text, white space collapsed as browsers do.
    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.gap = self.gap.max(Gap::Space);
        }
        for word in text.split_whitespace() {
            self.write_as_is(word);
            self.gap = Gap::Space;
        }
        if self.gap == Gap::Space && !text.ends_with(char::is_whitespace) {
            self.gap = Gap::None;
        }
    }

    fn write_as_is(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let gap = std::mem::take(&mut self.gap);
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Cell => "\t",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if let Some(mark) = self.mark.take() {
            self.text.push_str(&mark);
        }
        self.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use dom_query::Document;

    use super::*;

    fn text(html: &str) -> String {
        text_of(Document::fragment(html).root())
    }

    #[test]
    fn words_are_neither_glued_nor_torn() {
        assert_eq!(
            text("<p>The <b>har</b>bour\n <i>bridge</i>, <a>again</a> .<p>Next"),
            "The harbour bridge, again .\n\nNext"
        );
        assert_eq!(
            text("<dl><dt>Length<dd>480 m<dt>Cost<dd>48 million</dl>"),
            "Length\n480 m\nCost\n48 million"
        );
        assert_eq!(
            text(
                "<figure><img><figcaption>At dawn</figcaption></figure><details><summary>More</summary>Text</details>"
            ),
            "At dawn\n\nMore\n\nText"
        );
        assert_eq!(text("one<br>two<br><br>three"), "one\ntwo\n\nthree");
    }

    #[test]
    fn lists_keep_their_marks_and_numbers() {
        assert_eq!(
            text(
                "<p>Plan</p><ul><li>one<li><p>two</p><ol start=3><li>a<li value=7>b<li>c</ol></ul><p>End</p>"
            ),
            "Plan\n\n- one\n\n- two\n\n  3. a\n  7. b\n  8. c\n\nEnd"
        );
        assert_eq!(
            text("<ul><li> <li>one<ul><li>sub</ul><li>two</ul>"),
            "- one\n  - sub\n- two"
        );
    }

    #[test]
    fn rows_are_lines_and_code_is_kept_as_it_is() {
        let table = "<table><caption>Ships</caption><tr><th>Year<th>Ships<tr> <td>2024 <td> 118</table>";
        assert_eq!(text(table), "Ships\n\nYear\tShips\n2024\t118");
        assert_eq!(
            text("<p>Code:<pre>\n a\n  b\n</pre>end"),
            "Code:\n\n a\n  b\n\nend"
        );
        assert_eq!(text("<svg><title>X</title></svg><style>p{}</style>seen"), "seen");
    }
}
