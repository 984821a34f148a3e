//! Tokens of an OIDC issuer.

mod claims;
mod config;
mod fetch;
mod jwk;
mod keys;
mod role;
mod token;

use std::sync::Arc;

use async_trait::async_trait;
use bedrock_diy_core::{Failure, access::Caller, ports::Clock};

use self::{keys::Keys, token::SignedToken};
use crate::{Identity, Refused};

pub use self::config::{Algorithm, OidcConfig};

/// Believes the tokens of one OIDC issuer.
///
/// A token counts when all of this holds:
///
/// - it has at most 16 kB, three parts, and a header that asks for nothing that isn't known here;
/// - it is signed by one of the algorithms of the configuration, by a key that the issuer publishes for
///   it under the token's `kid`;
/// - `iss` is the issuer, to the character; `aud` names an expected audience, or `client_id` does where
///   `token_use` is Cognito's `access`;
/// - `exp` is ahead, `nbf` and `iat` are not, give or take the leeway;
/// - it has a `sub`, and names a role: by a group, by a scope where it has no groups, or by default.
///
/// The issuer's keys are fetched when they are first needed and kept: fresh for ten minutes, then
/// fetched again; usable for a day while the issuer can't be reached. A token with an unknown `kid` has
/// them fetched at once, though not more than once in 30 seconds, so that nobody can make this server
/// call the issuer at will. Whoever needs keys at the same time shares one fetch.
pub struct Oidc {
    config: OidcConfig,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// Takes a configuration, and calls nobody yet.
    ///
    /// Fails with [`bedrock_diy_core::Code::InvalidRequest`] where the configuration contradicts itself.
    pub fn new(config: OidcConfig, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let source = config.check()?;
        let keys = Keys::new(source, config.algorithms.clone(), Arc::clone(&clock));
        Ok(Self { config, keys, clock })
    }
}

#[async_trait]
impl Identity for Oidc {
    async fn caller(&self, token: &str) -> Result<Caller, Refused> {
        let token = SignedToken::parse(token, &self.config.algorithms)?;
        let key = self.keys.key(&token.key_id).await?;
        let claims = token.claims(&key)?;
        claims::check(&claims, &self.config, self.clock.now())
    }
}
