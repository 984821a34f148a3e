//! Long lists, a page at a time.

use std::marker::PhantomData;

use bedrock_diy_core::error::Result;
use serde::{Deserialize, de::DeserializeOwned};

use super::Remote;

/// The pages of a list.
pub(crate) struct Pages<'a, T> {
    remote: &'a Remote,
    path: String,
    query: Vec<(&'static str, String)>,
    next: Next,
    items: PhantomData<fn() -> T>,
}

/// Where the next page begins.
enum Next {
    First,
    At(String),
    /// There is none.
    Over,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Remote {
    /// The list at this path, with these parameters.
    pub(crate) fn list<T>(&self, path: &str, query: Vec<(&'static str, String)>) -> Pages<'_, T> {
        Pages {
            remote: self,
            path: path.to_owned(),
            query,
            next: Next::First,
            items: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Pages<'_, T> {
    /// The next page; nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>> {
        let mut call = self.remote.get(&self.path);
        for (name, value) in &self.query {
            call = call.query(name, value);
        }
        match &self.next {
            Next::First => {}
            Next::At(cursor) => call = call.query("cursor", cursor),
            Next::Over => return Ok(None),
        }
        let page: Page<T> = call.send().await?.json().await?;
        self.next = page.next.map_or(Next::Over, Next::At);
        Ok(Some(page.items))
    }

    /// All that is left.
    pub(crate) async fn all(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
