//! What is asked.

use crate::servers::Asker;

/// Where a number belongs; as long as one.
const NUMBER: &str = "{{number}}";

/// Requests of one kind, and the status that each must be answered with.
pub(crate) struct Requests {
    asked: Asked,
    pub(crate) status: u16,
}

enum Asked {
    /// One after the other, and from the beginning again.
    Listed(Vec<Vec<u8>>),
    /// Pieces, with a number between them that none had before.
    Numbered(Vec<Vec<u8>>),
}

impl Requests {
    /// Writes the request of this number.
    pub(crate) fn write(&self, number: usize, into: &mut Vec<u8>) {
        into.clear();
        match &self.asked {
            Asked::Listed(requests) => into.extend(&requests[number % requests.len()]),
            Asked::Numbered(pieces) => {
                // Of one length: the head says how long the body is.
                let number = format!("{number:010}");
                for (at, piece) in pieces.iter().enumerate() {
                    if at > 0 {
                        into.extend(number.bytes());
                    }
                    into.extend(piece);
                }
            }
        }
    }
}

impl Asker {
    /// `GET` of each of these paths, with more header lines.
    pub(crate) fn get<'a>(
        &self,
        status: u16,
        paths: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Requests {
        let request =
            |(path, more)| format!("GET {path} HTTP/1.1\r\n{}{more}\r\n", self.headers()).into_bytes();
        Requests {
            asked: Asked::Listed(paths.into_iter().map(request).collect()),
            status,
        }
    }

    /// `POST` of an article with this text, each time another one under another key: what was asked before
    /// would come from the memo.
    pub(crate) fn post(&self, path: &str, key: &str, text: &str) -> Requests {
        let body = serde_json::json!({ "text": format!("Article {NUMBER}. {text}") }).to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\n{}Idempotency-Key: {key}-{NUMBER}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.headers(),
            body.len()
        );
        Requests {
            asked: Asked::Numbered(
                request
                    .split(NUMBER)
                    .map(|piece| piece.as_bytes().to_vec())
                    .collect(),
            ),
            status: 202,
        }
    }

    fn headers(&self) -> String {
        let Self { address, token } = self;
        format!("Host: {address}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n")
    }
}
