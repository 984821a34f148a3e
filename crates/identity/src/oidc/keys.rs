//! The issuer's keys, fetched when they are needed, and kept.

use std::{collections::HashMap, sync::Arc};

use bedrock_diy_core::{ports::Clock, time::Timestamp};
use bedrock_diy_http::Address;
use parking_lot::Mutex;
use serde::Deserialize;

use super::{
    config::Algorithm,
    fetch::Fetch,
    jwk::{KeyId, KeySet, PublicKey},
};
use crate::Refused;

/// How long keys are used without asking for newer ones, in milliseconds: ten minutes. A key that the
/// issuer takes back is refused after that.
const FRESH: u64 = 10 * 60 * 1_000;

/// How long keys are used while no newer ones can be had, in milliseconds: a day.
const USABLE: u64 = 24 * 60 * 60 * 1_000;

/// The shortest time between two fetches while there are keys, in milliseconds. Anybody can make up a
/// `kid`.
const PAUSE: u64 = 30 * 1_000;

/// The same while there are none: nobody can come in until there are.
const PAUSE_WITHOUT_KEYS: u64 = 5 * 1_000;

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From where the issuer's discovery document says. It must name the issuer itself, and may not
    /// lead from an encrypted address to a plain one.
    Discovery {
        issuer: String,
        encrypted: bool,
        document: Address,
    },
    /// From here.
    Keys(Address),
}

/// The keys of one issuer.
pub(super) struct Keys {
    shared: Arc<Shared>,
    /// Held by whoever fetches.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Shared {
    source: Source,
    algorithms: Vec<Algorithm>,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<KeyId, Arc<PublicKey>>,
    /// When these were fetched; nothing before the first time.
    fetched: Option<Timestamp>,
    /// When the last fetch ended, and why it failed if it did.
    tried: Option<(Timestamp, Option<String>)>,
}

/// What is known about a key.
enum Found {
    /// It is here, and fresh.
    Fresh(Arc<PublicKey>),
    /// It is here, and newer ones are due.
    Old(Arc<PublicKey>),
    /// It is not here.
    Nothing,
}

impl Keys {
    pub(super) fn new(source: Source, algorithms: Vec<Algorithm>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                algorithms,
                fetch: Fetch::new(),
                clock,
                known: Mutex::default(),
            }),
            turn: Arc::default(),
        }
    }

    /// The issuer's key of that id.
    pub(super) async fn key(&self, id: &KeyId) -> Result<Arc<PublicKey>, Refused> {
        let turn = Arc::clone(&self.turn);
        let turn = match self.shared.find(id) {
            Found::Fresh(key) => return Ok(key),
            // Whoever has a key that is good enough does not wait for another's fetch.
            Found::Old(key) => match turn.try_lock_owned() {
                Ok(turn) => turn,
                Err(_) => return Ok(key),
            },
            Found::Nothing => turn.lock_owned().await,
        };
        // Looked at again: somebody else may have fetched meanwhile.
        if let Found::Fresh(key) = self.shared.find(id) {
            return Ok(key);
        }
        if self.shared.may_fetch() {
            let shared = Arc::clone(&self.shared);
            // A task of its own: a caller who hangs up does not end what others wait for.
            let fetching = tokio::spawn(async move {
                shared.renew().await;
                drop(turn);
            });
            if fetching.await.is_err() {
                return Err(Refused::Unavailable(
                    "the issuer's keys can't be had: fetching them ended early".into(),
                ));
            }
        }
        match self.shared.find(id) {
            Found::Fresh(key) | Found::Old(key) => Ok(key),
            Found::Nothing => Err(self.shared.why_not()),
        }
    }
}

impl Shared {
    fn find(&self, id: &KeyId) -> Found {
        let now = self.clock.now();
        let known = self.known.lock();
        let (Some(key), Some(fetched)) = (known.keys.get(id), known.fetched) else {
            return Found::Nothing;
        };
        match now.millis_since(fetched) {
            age if age < FRESH => Found::Fresh(Arc::clone(key)),
            age if age < USABLE => Found::Old(Arc::clone(key)),
            _ => Found::Nothing,
        }
    }

    fn may_fetch(&self) -> bool {
        let now = self.clock.now();
        let known = self.known.lock();
        let usable = known
            .fetched
            .is_some_and(|fetched| now.millis_since(fetched) < USABLE);
        let pause = if usable { PAUSE } else { PAUSE_WITHOUT_KEYS };
        known
            .tried
            .as_ref()
            .is_none_or(|(tried, _)| now.millis_since(*tried) >= pause)
    }

    /// Fetches the keys and takes them for the old ones; keeps those where it can't.
    async fn renew(&self) {
        let fetched = self.fetch().await;
        let now = self.clock.now();
        let mut known = self.known.lock();
        let failed = match fetched {
            Ok(keys) => {
                known.keys = keys;
                known.fetched = Some(now);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the issuer's keys can't be had; those of before are used, for a day at most");
                Some(error)
            }
        };
        known.tried = Some((now, failed));
    }

    async fn fetch(&self) -> Result<HashMap<KeyId, Arc<PublicKey>>, String> {
        let address = match &self.source {
            Source::Keys(address) => address.clone(),
            Source::Discovery {
                issuer,
                encrypted,
                document,
            } => self.discover(issuer, *encrypted, document).await?,
        };
        let set: KeySet = self.fetch.json(&address).await?;
        let keys = set.usable(&self.algorithms);
        if keys.is_empty() {
            let names: Vec<_> = self.algorithms.iter().map(|known| known.as_str()).collect();
            return Err(format!("{address} has no key for {}", names.join(" or ")));
        }
        Ok(keys)
    }

    async fn discover(&self, issuer: &str, encrypted: bool, document: &Address) -> Result<Address, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let found: Discovery = self.fetch.json(document).await?;
        if found.issuer != issuer {
            return Err(format!("{document} is the document of another issuer"));
        }
        let keys = Address::parse(&found.jwks_uri)
            .map_err(|why| format!("the address of keys in {document} {why}"))?;
        if encrypted && !keys.encrypted() {
            return Err(format!("{document} leads to keys at a plain address"));
        }
        Ok(keys)
    }

    /// Why there is no such key: because the issuer has none, or because nobody knows.
    fn why_not(&self) -> Refused {
        match &self.known.lock().tried {
            Some((_, None)) => Refused::invalid("the token names a key that its issuer does not have"),
            // What exactly is wrong with the issuer is in the log, and nothing for callers.
            _ => Refused::Unavailable(
                "the issuer's keys can't be had now, and the token can't be checked".into(),
            ),
        }
    }
}
