//! An API that is served elsewhere, or by another process here, and this program as its client.
//!
//! [`Remote`] knows where it is and who asks; a [`Call`](request::Call) is a request that is put together and sent. What the API
//! refuses becomes a [`Refusal`], and that a [`Failure`] for whoever typed the command.

mod answer;
mod documents;
mod endpoint;
mod granted;
mod oauth;
mod page;
mod problem;
mod profiles;
mod request;
mod sign_in;
mod sign_ins;
mod tokens;

use std::path::Path;

use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_http::Client;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::{
    documents::{JobDocument, PromptDocument, PromptSummary, StageDocument, Ticket},
    page::Pages,
    problem::Refusal,
    request::escaped,
};
use self::{endpoint::Endpoint, profiles::Profile, sign_ins::SignIns, tokens::Tokens};
use crate::{arguments::Elsewhere, folders};

/// An API, and who asks it.
pub(crate) struct Remote {
    http: Client,
    endpoint: Endpoint,
    tokens: Tokens,
}

impl Remote {
    /// The API that the arguments name; nothing where they name none, and the data folder is meant.
    pub(crate) fn named(elsewhere: &Elsewhere, data: &Path) -> Result<Option<Self>> {
        let profile = profile(elsewhere)?;
        let endpoint = match (&elsewhere.endpoint, &profile) {
            (Some(endpoint), _) => Endpoint::parse(endpoint)?,
            (None, Some(profile)) => profile.endpoint()?,
            (None, None) => return Ok(None),
        };
        let source = tokens::Source::choose(elsewhere.token_file.as_deref(), profile, &endpoint, data)?;
        Ok(Some(Self {
            http: Client::new(),
            endpoint,
            tokens: Tokens::new(source),
        }))
    }

    /// The same, where `what` can't be had without.
    pub(crate) fn needed(elsewhere: &Elsewhere, data: &Path, what: &str) -> Result<Self> {
        Self::named(elsewhere, data)?.ok_or_else(|| {
            Failure::new(
                Code::InvalidRequest,
                format!(
                    "{what} asks an API: name one with --endpoint URL or --profile NAME (`bedrock-diy serve` on this \
                     machine is --endpoint http://127.0.0.1:8080)"
                ),
            )
        })
    }

    /// Where it is, as people write it.
    pub(crate) fn address(&self) -> String {
        self.endpoint.to_string()
    }

    /// Gets a token anew, by asking whoever can grant one, and keeps it.
    pub(crate) async fn sign_in(&self) -> Result<()> {
        self.tokens.sign_in(&self.http).await
    }
}

/// Forgets the tokens of a profile, and has the issuer take them back where it does that.
///
/// Tells whether there were any.
pub(crate) async fn sign_out(elsewhere: &Elsewhere) -> Result<bool> {
    let Some(profile) = profile(elsewhere)? else {
        let detail = "name whose tokens are to be forgotten with --profile NAME: nothing else is kept";
        return Err(Failure::new(Code::InvalidRequest, detail));
    };
    let kept = SignIns::of(&folders::sign_ins()?, &profile.name);
    sign_in::sign_out(&Client::new(), &profile, &kept).await
}

/// A document of the API's, as this program knows it.
pub(crate) fn understood<T: DeserializeOwned>(document: Value) -> Result<T> {
    serde_json::from_value(document).map_err(|error| {
        let detail = format!("the API shows something that is not understood: {error}");
        Failure::new(Code::StorageUnavailable, detail)
    })
}

fn profile(elsewhere: &Elsewhere) -> Result<Option<Profile>> {
    match (&elsewhere.endpoint, &elsewhere.profile) {
        // The tokens of one would be shown to the other.
        (Some(_), Some(_)) => Err(Failure::new(
            Code::InvalidRequest,
            "both an endpoint and a profile are named, which has its own: leave out --endpoint (or \
             BEDROCK_DIY_ENDPOINT), or --profile (or BEDROCK_DIY_PROFILE)",
        )),
        (_, Some(name)) => Profile::read(&folders::config()?, name).map(Some),
        (_, None) => Ok(None),
    }
}
