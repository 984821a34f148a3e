//! Where the tokens come from that are shown to an API.

use std::path::{Path, PathBuf};

use bedrock_diy_core::{Code, Failure, error::Result, ports::Clock as _};
use bedrock_diy_embedded::SystemClock;
use bedrock_diy_http::Client;
use bedrock_diy_identity::{local_token, private_file};
use tokio::sync::Mutex;

use super::{
    endpoint::Endpoint,
    granted::{keep, machine, printed, refresh},
    profiles::{Grants, MachineClient, PeopleClient, Profile},
    sign_in,
    sign_ins::{Kept, SignIns},
};
use crate::{api, folders};

/// The environment's token.
const TOKEN: &str = "BEDROCK_DIY_TOKEN";

/// Shows tokens, and gets them where there are none.
pub(super) struct Tokens {
    source: Source,
    /// The one that was shown last. Whoever needs one meanwhile waits: one is enough for all.
    current: Mutex<Option<String>>,
}

/// Where they come from.
pub(super) enum Source {
    /// Somebody handed one over.
    Said {
        token: String,
        /// What is told where it is not good.
        advice: String,
    },
    /// A program prints one.
    Command { profile: Profile, words: Vec<String> },
    /// People sign in, in a browser.
    People {
        profile: Profile,
        client: PeopleClient,
        kept: SignIns,
    },
    /// A machine does, with its secret.
    Machine {
        profile: Profile,
        client: MachineClient,
        kept: SignIns,
    },
}

impl Source {
    /// Where tokens for this API come from: a file or the environment before a profile, and for an API on this machine
    /// without either, its data folder.
    pub(super) fn choose(
        file: Option<&Path>,
        profile: Option<Profile>,
        endpoint: &Endpoint,
        data: &Path,
    ) -> Result<Self> {
        if let Some(file) = file {
            return Self::of_file(file);
        }
        if let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty()) {
            return Ok(Self::Said {
                token: token.trim().to_owned(),
                advice: format!("{TOKEN} holds a token that is not good here: set another."),
            });
        }
        let grants = profile.as_ref().map_or(Ok(Grants::None), Profile::grants)?;
        let kept =
            |profile: &Profile| -> Result<SignIns> { Ok(SignIns::of(&folders::sign_ins()?, &profile.name)) };
        match (grants, profile) {
            (Grants::File(file), _) => Self::of_file(&file),
            (Grants::Command(words), Some(profile)) => Ok(Self::Command { profile, words }),
            (Grants::People(client), Some(profile)) => Ok(Self::People {
                kept: kept(&profile)?,
                profile,
                client,
            }),
            (Grants::Machine(client), Some(profile)) => Ok(Self::Machine {
                kept: kept(&profile)?,
                profile,
                client,
            }),
            _ if endpoint.is_loopback() => Self::of_this_machine(data),
            _ => Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "no token for {endpoint}: name a file with --token-file, set {TOKEN}, or write a profile that says \
                     how tokens are had (`bedrock-diy login --help`)"
                ),
            )),
        }
    }

    fn of_file(file: &Path) -> Result<Self> {
        let at = file.display();
        let missing = || Failure::new(Code::InvalidRequest, format!("there is no token in {at}"));
        let text = private_file::text(file)?.ok_or_else(missing)?;
        let token = text.trim();
        if token.is_empty() {
            return Err(missing());
        }
        Ok(Self::Said {
            token: token.to_owned(),
            advice: format!("{at} holds a token that is not good here: put another into it."),
        })
    }

    fn of_this_machine(data: &Path) -> Result<Self> {
        let tokens: PathBuf = api::token_file(data);
        let data = data.display();
        let token = local_token(&tokens)?.ok_or_else(|| {
            let detail = format!(
                "no token of this machine in {data}: `bedrock-diy serve` makes one at its first start; name its data \
                 folder with --data, or a token's file with --token-file"
            );
            Failure::new(Code::InvalidRequest, detail)
        })?;
        Ok(Self::Said {
            token,
            advice: format!(
                "The token of the data folder {data} was shown: name the server's own with --data, or a token's file \
                 with --token-file."
            ),
        })
    }
}

impl Tokens {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            current: Mutex::new(None),
        }
    }

    /// A token to show.
    pub(super) async fn token(&self, http: &Client) -> Result<String> {
        let mut current = self.current.lock().await;
        match &*current {
            Some(token) => Ok(token.clone()),
            None => Ok(current.insert(self.get(http, None).await?).clone()),
        }
    }

    /// Another token in place of one that was refused; nothing where there is no other.
    pub(super) async fn renew(&self, http: &Client, refused: &str) -> Result<Option<String>> {
        if matches!(self.source, Source::Said { .. }) {
            return Ok(None);
        }
        let mut current = self.current.lock().await;
        // Somebody else may have renewed it meanwhile.
        if current.as_deref() == Some(refused) {
            *current = Some(self.get(http, Some(refused)).await?);
        }
        Ok(current.clone().filter(|token| token != refused))
    }

    /// Signs in anew.
    pub(super) async fn sign_in(&self, http: &Client) -> Result<()> {
        let token = match &self.source {
            Source::Said { .. } | Source::Command { .. } => return Ok(()),
            Source::People {
                profile,
                client,
                kept,
            } => {
                let granted = sign_in::in_browser(http, profile, client).await?;
                keep(kept, client.domain(), &client.client_id, granted, None)?
            }
            Source::Machine {
                profile,
                client,
                kept,
            } => machine(http, profile, client, kept).await?,
        };
        *self.current.lock().await = Some(token);
        Ok(())
    }

    /// What to do where a token is not good.
    pub(super) fn advice(&self) -> String {
        match &self.source {
            Source::Said { advice, .. } => advice.clone(),
            Source::Command { profile, .. } => {
                format!(
                    "The `token_command` of the profile {} printed a token that is not good here.",
                    profile.name
                )
            }
            Source::People { profile, .. } | Source::Machine { profile, .. } => {
                format!("Get another: bedrock-diy login --profile {}", profile.name)
            }
        }
    }

    /// A token, another one than was `refused`.
    async fn get(&self, http: &Client, refused: Option<&str>) -> Result<String> {
        let fresh = |kept: &Option<Kept>| {
            let kept = kept.as_ref()?;
            let good =
                kept.is_fresh(SystemClock.now().millis()) && Some(kept.access_token.as_str()) != refused;
            good.then(|| kept.access_token.clone())
        };
        match &self.source {
            Source::Said { token, .. } => Ok(token.clone()),
            Source::Command { profile, words } => printed(profile, words).await,
            Source::People {
                profile,
                client,
                kept,
            } => {
                let found = kept.read(client.domain(), &client.client_id)?;
                match fresh(&found) {
                    Some(token) => Ok(token),
                    None => refresh(http, profile, client, kept, found).await,
                }
            }
            Source::Machine {
                profile,
                client,
                kept,
            } => {
                let found = kept.read(client.domain(), &client.client_id)?;
                match fresh(&found) {
                    Some(token) => Ok(token),
                    None => machine(http, profile, client, kept).await,
                }
            }
        }
    }
}
