//! Tokens of an issuer that answers by HTTP: which count, and what its absence does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod caching;
mod encrypted;
mod issuer;
mod keys;
mod tokens;

use std::sync::Arc;

use bedrock_diy_core::access::Caller;
use bedrock_diy_identity::{Algorithm, Identity as _, Oidc, OidcConfig, Refused};
use serde_json::{Value, json};

use self::{
    issuer::{Hands, Issuer},
    keys::Key,
};

/// An issuer with one RSA key called `first`, and an API that believes it.
struct World {
    issuer: Issuer,
    key: Key,
    clock: Hands,
    oidc: Arc<Oidc>,
}

impl World {
    async fn new() -> Self {
        let key = Key::rsa(false);
        let issuer = Issuer::start(vec![key.published("first")]).await;
        let clock = Hands::new();
        let config = config(&issuer);
        Self {
            oidc: oidc(config, &clock),
            issuer,
            key,
            clock,
        }
    }

    /// Claims of an editor that count for five minutes.
    fn claims(&self) -> Value {
        let now = self.clock.seconds();
        json!({
            "iss": self.issuer.url, "aud": "api", "sub": "5f1c", "email": "ada@example.com",
            "iat": now, "exp": now + 300, "cognito:groups": ["editor"],
        })
    }

    /// A good token.
    fn token(&self) -> String {
        self.key.token("first", &self.claims())
    }

    async fn caller(&self, token: &str) -> Result<Caller, Refused> {
        self.oidc.caller(token).await
    }

    /// Why a token is refused for what it is.
    async fn why_invalid(&self, token: &str) -> String {
        match self.caller(token).await {
            Err(Refused::Invalid(why)) => {
                assert!(
                    !token.split('.').any(|part| part.len() > 3 && why.contains(part)),
                    "{why}"
                );
                why
            }
            other => panic!("{other:?}"),
        }
    }

    async fn is_unavailable(&self, token: &str) -> bool {
        matches!(self.caller(token).await, Err(Refused::Unavailable(_)))
    }
}

fn config(issuer: &Issuer) -> OidcConfig {
    let mut config = OidcConfig::new(issuer.url.clone(), "api");
    config.algorithms.push(Algorithm::Es256);
    config
}

fn oidc(config: OidcConfig, clock: &Hands) -> Arc<Oidc> {
    Arc::new(Oidc::new(config, Arc::new(clock.clone())).unwrap())
}
