use std::time::Duration;

use bedrock_diy_core::{Code, Failure, access::Role};
use bedrock_diy_http::Address;

use super::keys::Source;

/// A signature algorithm. No other is ever accepted, `none` and the symmetric ones (HS256 …) least of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, with SHA-256: what Cognito and most others sign with.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// Its name in a token's header and in a key set (RFC 7518, section 3.1).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Which issuer is believed, and what its tokens mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// The issuer, character by character as its tokens' `iss` has it:
    /// `https://cognito-idp.{region}.amazonaws.com/{userPoolId}` for Cognito. `http` is accepted for
    /// loopback addresses only.
    pub issuer: String,
    /// Whom tokens are for, one of: Cognito's app client ids, elsewhere what the issuer calls this API.
    pub audiences: Vec<String>,
    /// Where the issuer's keys are. Nothing where its discovery document says so, as it should; Cognito's
    /// are at `{issuer}/.well-known/jwks.json`, and naming that saves a first call one round trip.
    pub keys_url: Option<String>,
    /// What tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names a caller's groups or roles: its whole name, or a path with dots
    /// (`realm_access.roles`).
    pub roles_claim: String,
    /// What the groups' names begin with here: with `bedrock-diy-`, the group `bedrock-diy-admin` makes an
    /// admin and the group `admin` nobody. Empty where they are called `viewer`, `editor` and `admin`.
    pub group_prefix: String,
    /// What this API's scopes begin with: `bedrock-diy/` for `bedrock-diy/read` (viewer), `…/write`
    /// (editor) and `…/admin`. They count in tokens that have no groups: those of machine clients.
    pub scope_prefix: String,
    /// What somebody is whose token names no role; nothing where they are refused.
    pub default_role: Option<Role>,
    /// How far the issuer's clock and this one may be apart.
    pub leeway: Duration,
}

impl OidcConfig {
    /// An issuer and an audience, and for everything else what fits Cognito: RS256, `cognito:groups`, no
    /// group prefix, scopes of `bedrock-diy/`, no default role, 60 seconds of leeway.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            keys_url: None,
            algorithms: vec![Algorithm::Rs256],
            roles_claim: "cognito:groups".into(),
            group_prefix: String::new(),
            scope_prefix: "bedrock-diy/".into(),
            default_role: None,
            leeway: Duration::from_mins(1),
        }
    }

    /// The same for several audiences, and with the keys' address where that is known.
    #[must_use]
    pub fn with_keys(issuer: String, audiences: Vec<String>, keys_url: Option<String>) -> Self {
        Self {
            audiences,
            keys_url,
            ..Self::new(issuer, "")
        }
    }

    /// Checks everything that can be checked without calling anybody, and says where the keys are.
    pub(super) fn check(&self) -> Result<Source, Failure> {
        let wrong = |what: String| Failure::new(Code::InvalidRequest, what);
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(wrong(
                "an OpenID Connect issuer needs the audiences that its tokens are for, none of them empty"
                    .into(),
            ));
        }
        if self.algorithms.is_empty() {
            return Err(wrong(
                "an OpenID Connect issuer needs at least one signature algorithm: RS256 or ES256".into(),
            ));
        }
        let issuer = Address::parse(&self.issuer)
            .map_err(|why| wrong(format!("the issuer `{}` {why}", self.issuer)))?;
        if self.issuer.contains('?') {
            return Err(wrong(format!("the issuer `{}` must have no query", self.issuer)));
        }
        if let Some(url) = &self.keys_url {
            let address =
                Address::parse(url).map_err(|why| wrong(format!("the address of keys `{url}` {why}")))?;
            return Ok(Source::Keys(address));
        }
        let document = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        );
        Ok(Source::Discovery {
            issuer: self.issuer.clone(),
            encrypted: issuer.encrypted(),
            document: Address::parse(&document)
                .map_err(|why| wrong(format!("the issuer `{}` {why}", self.issuer)))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &OidcConfig) -> String {
        config.check().unwrap_err().detail
    }

    #[test]
    fn only_a_loopback_address_goes_without_encryption() {
        for issuer in [
            "https://issuer.example/pool",
            "http://127.0.0.1:8080",
            "http://[::1]:80/x",
            "http://localhost",
        ] {
            OidcConfig::new(issuer, "api").check().unwrap();
        }
        for issuer in [
            "http://issuer.example",
            "http://127.0.0.1.issuer.example",
            "http://localhost@issuer.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "issuer.example",
            "",
        ] {
            assert!(
                refusal(&OidcConfig::new(issuer, "api")).contains("https"),
                "{issuer}"
            );
            let mut config = OidcConfig::new("https://issuer.example", "api");
            config.keys_url = Some(issuer.into());
            assert!(refusal(&config).contains("https"), "{issuer}");
        }
    }

    #[test]
    fn a_configuration_that_would_let_anybody_in_is_refused() {
        assert!(refusal(&OidcConfig::new("https://issuer.example", "")).contains("audiences"));
        let mut config = OidcConfig::new("https://issuer.example", "api");
        config.algorithms.clear();
        assert!(refusal(&config).contains("RS256"));
    }

    #[test]
    fn an_issuer_that_ends_with_a_slash_has_its_document_where_the_standard_says() {
        let source = OidcConfig::new("https://issuer.example/a/", "api")
            .check()
            .unwrap();
        let Source::Discovery { issuer, document, .. } = source else {
            panic!("{source:?}");
        };
        assert_eq!(issuer, "https://issuer.example/a/");
        assert_eq!(
            document.to_string(),
            "https://issuer.example/a/.well-known/openid-configuration"
        );
    }
}
