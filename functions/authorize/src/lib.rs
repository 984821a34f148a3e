//! Authorize: says for API Gateway whether a WebSocket connection may be opened, and by whom.
//!
//! The same rules as for requests: the token is checked by the same code. API Gateway keeps who it was with the
//! connection, and says so with each message.

use std::{collections::HashMap, sync::Arc};

use bedrock_diy_core::{
    Code, Failure,
    access::{Caller, Refused},
    bearer,
    error::Result,
    ports::Identity,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What authorize needs.
#[derive(Clone)]
pub struct Authorize {
    /// Who says whose a token is.
    pub identity: Arc<dyn Identity>,
}

/// Who asks for a connection (Amazon API Gateway Developer Guide, "Create a Lambda REQUEST authorizer function" for
/// WebSocket APIs, 2026-11).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connecting {
    method_arn: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    query_string_parameters: Option<HashMap<String, String>>,
}

impl Authorize {
    /// Lets in whoever shows a good token. Fails only where that can't be told now.
    pub async fn handle(&self, connecting: Connecting) -> Result<Value> {
        let known = match connecting.token() {
            Ok(token) => self.identity.caller(token).await,
            Err(refused) => Err(refused),
        };
        match known {
            Ok(caller) => Ok(answer(&connecting.method_arn, Some(&caller))),
            Err(Refused::Invalid(why)) => {
                tracing::info!(why, "a connection is refused");
                Ok(answer(&connecting.method_arn, None))
            }
            Err(Refused::Unavailable(why)) => Err(Failure::new(Code::StorageUnavailable, why)),
        }
    }
}

impl Connecting {
    fn token(&self) -> std::result::Result<&str, Refused> {
        let headers = self.headers.iter().flatten();
        let mut said = headers.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let parameter = self.query_string_parameters.as_ref();
        let parameter = parameter.and_then(|parameters| parameters.get(bearer::PARAMETER));
        let header = said.next().map(|(_, value)| value.as_str());
        Ok(bearer::token(header, parameter.map(String::as_str))?)
    }
}

fn answer(method: &str, caller: Option<&Caller>) -> Value {
    let statement = json!({
        "Action": "execute-api:Invoke",
        "Effect": if caller.is_some() { "Allow" } else { "Deny" },
        "Resource": method,
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
    match caller {
        Some(caller) => json!({
            "principalId": caller.subject,
            "policyDocument": policy,
            "context": { "subject": caller.subject, "name": caller.name, "role": caller.role },
        }),
        None => json!({ "principalId": "nobody", "policyDocument": policy }),
    }
}
