//! Word documents: a ZIP of XML parts.

mod body;
mod lists;
mod package;
mod properties;

use crate::source::Source;
use crate::text::{clean, title};
use crate::{Article, MediaType, ReadError, language};

use body::Body;
use lists::Lists;
use package::Package;
use properties::{Properties, Styles};

/// The document's paragraphs, lists and tables as it would be read if all changes were accepted, then its notes.
/// Headers, footers and comments are no part of an article.
pub(crate) fn read(source: &Source<'_>) -> Result<Article, ReadError> {
    source.contain("DOCX", || {
        let mut package = Package::open(source)?;
        let main = package.main_document()?;
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let sibling = |name: &str| {
            if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            }
        };

        let mut properties = Properties::default();
        package.read_part("docProps/core.xml", &mut properties)?;
        let mut styles = Styles::default();
        package.read_part(&sibling("styles.xml"), &mut styles)?;
        let mut lists = Lists::new(styles.lists);
        package.read_part(&sibling("numbering.xml"), &mut lists)?;

        let mut body = Body::new(lists);
        if !package.read_part(&main, &mut body)? {
            return Err(source.unreadable("the DOCX is damaged: it has no document in it; export it again"));
        }
        if body.embeds_a_file {
            return Err(source.unreadable(
                "the DOCX embeds another file in place of its text; open it in a word processor and save it again",
            ));
        }
        package.read_part(&sibling("footnotes.xml"), &mut body)?;
        package.read_part(&sibling("endnotes.xml"), &mut body)?;
        let text = clean(body.into_text().into()).into_owned();

        let language = properties.language.as_deref().and_then(language::validated);
        let language = language.or_else(|| styles.languages.of(&text).and_then(language::validated));
        Ok(Article {
            title: title(&properties.title),
            language,
            media_type: MediaType::Docx,
            encoding: None,
            same_as_source: false,
            text,
        })
    })
}

#[cfg(test)]
mod tests;
