//! Profiles: which APIs the user asks, and how tokens for them are had.
//!
//! ```toml
//! [profile.work]
//! endpoint = "https://abcdef.execute-api.eu-central-1.amazonaws.com/v1"
//! # One of these, or none for an API on this machine:
//! cognito = { domain = "https://news.auth.eu-central-1.amazoncognito.com", client_id = "…" }
//! client_credentials = { domain = "https://news.auth….amazoncognito.com", client_id = "…", secret_file = "/…", scopes = ["bedrock-diy/read"] }
//! token_file = "/run/secrets/bedrock-diy"
//! token_command = ["pass", "show", "bedrock-diy"]
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_http::Address;
use serde::Deserialize;

use super::endpoint::Endpoint;

/// The longest name of a profile, in bytes: it is a file's name, too.
const LONGEST_NAME: usize = 64;

/// The port that the command line listens at while somebody signs in: the template's `PeopleClient` has it.
const SIGN_IN_PORT: u16 = 8976;

/// An API that the user asks.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    /// The file that it stands in.
    file: PathBuf,
    entry: Entry,
}

/// How tokens are had.
#[derive(Debug, Clone)]
pub(super) enum Grants {
    /// Nothing is said.
    None,
    File(PathBuf),
    Command(Vec<String>),
    People(PeopleClient),
    Machine(MachineClient),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profile: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    endpoint: String,
    token_file: Option<PathBuf>,
    token_command: Option<Vec<String>>,
    cognito: Option<PeopleClient>,
    client_credentials: Option<MachineClient>,
}

/// A client that people sign in with, in a browser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeopleClient {
    domain: String,
    pub(super) client_id: String,
    /// Where the sign-in pages lead back to on this machine: `http://localhost:PORT/signed-in`.
    #[serde(default = "sign_in_port")]
    pub(super) port: u16,
}

/// A client that a machine signs in with, by its secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MachineClient {
    domain: String,
    pub(super) client_id: String,
    /// The file with the secret, for its owner alone; else it is in `BEDROCK_DIY_CLIENT_SECRET`.
    pub(super) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

fn sign_in_port() -> u16 {
    SIGN_IN_PORT
}

impl Profile {
    /// The profile of this name in this file. Fails with `InvalidRequest` where there is none, or it says nothing
    /// sensible.
    pub(super) fn read(file: &Path, name: &str) -> Result<Self> {
        let at = file.display();
        let fault = |detail: String| Failure::new(Code::InvalidRequest, detail);
        let text = std::fs::read_to_string(file).map_err(|error| {
            fault(format!(
                "{at} can't be read: {error}. Write `[profile.{name}]` and `endpoint = \"https://…\"` into it"
            ))
        })?;
        let mut all: File = toml::from_str(&text).map_err(|error: toml::de::Error| {
            // The message only: a line of the file may hold what is nobody else's.
            let line = error.span().map_or(0, |span| {
                text[..span.start.min(text.len())].matches('\n').count() + 1
            });
            fault(format!("{at}:{line}: {}", error.message()))
        })?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
            return Err(fault(format!(
                "{name:?} can't be a profile's name: it must be 1 to {LONGEST_NAME} letters, digits, hyphens and underscores"
            )));
        }
        let Some(entry) = all.profile.remove(name) else {
            let names: Vec<_> = all.profile.into_keys().collect();
            return Err(fault(format!(
                "{at} has no profile {name}: it has {}",
                list(&names)
            )));
        };
        let profile = Self {
            name: name.to_owned(),
            file: file.to_owned(),
            entry,
        };
        profile.grants()?;
        Ok(profile)
    }

    /// Where the API is.
    pub(super) fn endpoint(&self) -> Result<Endpoint> {
        Endpoint::parse(&self.entry.endpoint).map_err(|failure| self.fault(&failure.detail))
    }

    /// How tokens are had. Fails where more than one way is said.
    pub(super) fn grants(&self) -> Result<Grants> {
        let entry = self.entry.clone();
        let said = [
            entry.token_file.map(Grants::File),
            entry.token_command.map(Grants::Command),
            entry.cognito.map(Grants::People),
            entry.client_credentials.map(Grants::Machine),
        ];
        let mut said = said.into_iter().flatten();
        match (said.next(), said.next()) {
            (None, _) => Ok(Grants::None),
            (Some(Grants::Command(words)), None) if words.is_empty() => Err(self.fault("`token_command` is empty")),
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(self.fault(
                "it says more than one of `token_file`, `token_command`, `cognito` and `client_credentials`: keep one",
            )),
        }
    }

    /// An address of the issuer's.
    pub(super) fn at(&self, domain: &str, path: &str) -> Result<Address> {
        let address = format!("{}{path}", domain.trim_end_matches('/'));
        Address::parse(&address).map_err(|why| self.fault(&format!("the `domain` {domain:?} {why}")))
    }

    /// Something that is wrong with it.
    pub(super) fn fault(&self, what: &str) -> Failure {
        let detail = format!("{}, profile {}: {what}", self.file.display(), self.name);
        Failure::new(Code::InvalidRequest, detail)
    }
}

impl PeopleClient {
    /// Where people sign in.
    pub(super) fn domain(&self) -> &str {
        &self.domain
    }
}

impl MachineClient {
    /// Where machines do.
    pub(super) fn domain(&self) -> &str {
        &self.domain
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: &str) -> Result<Profile> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        Profile::read(&file, name)
    }

    #[test]
    fn a_profile_says_where_and_how() {
        let text = "[profile.home]\nendpoint = 'http://localhost:1'\n[profile.work]\nendpoint = 'https://x.org/v1'\n\
                    cognito = { domain = 'https://auth.x.org/', client_id = 'c' }\n";
        let work = read(text, "work").unwrap();
        assert_eq!(work.endpoint().unwrap().to_string(), "https://x.org/v1");
        let Grants::People(client) = work.grants().unwrap() else {
            panic!("{work:?}")
        };
        assert_eq!((client.client_id.as_str(), client.port), ("c", 8976));
        let at = work.at(client.domain(), "/oauth2/token").unwrap();
        assert_eq!(at.to_string(), "https://auth.x.org/oauth2/token");
        assert!(matches!(
            read(text, "home").unwrap().grants().unwrap(),
            Grants::None
        ));
        assert!(
            read(text, "play")
                .unwrap_err()
                .detail
                .ends_with("has no profile play: it has home, work")
        );
        assert!(read(text, "../x").is_err());
    }

    #[test]
    fn a_profile_that_contradicts_itself_or_has_typos_is_refused_without_its_words() {
        let two =
            "[profile.a]\nendpoint = 'https://x.org'\ntoken_file = 'x'\ntoken_command = ['hush-hush']\n";
        assert!(read(two, "a").unwrap_err().detail.contains("more than one of"));
        let typo = "[profile.a]\nendpoint = 'https://x.org'\ntoken_comand = ['hush-hush']\n";
        let failure = read(typo, "a").unwrap_err();
        assert!(
            failure
                .detail
                .contains("config.toml:3: unknown field `token_comand`"),
            "{failure}"
        );
        assert!(!failure.detail.contains("hush"), "{failure}");
    }
}
