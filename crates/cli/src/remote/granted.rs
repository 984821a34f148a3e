//! Tokens that are granted, and kept.

use bedrock_diy_core::{Code, Failure, error::Result, ports::Clock as _};
use bedrock_diy_embedded::SystemClock;
use bedrock_diy_http::Client;
use bedrock_diy_identity::private_file;
use tokio::process::Command;

use super::{
    oauth::{self, Grant, Refused, Secret},
    profiles::{MachineClient, PeopleClient, Profile},
    sign_ins::{Kept, SignIns},
};

/// The environment's secret of a machine client.
const SECRET: &str = "BEDROCK_DIY_CLIENT_SECRET";

/// The token that a program prints.
pub(super) async fn printed(profile: &Profile, words: &[String]) -> Result<String> {
    let failed = |why: &str| profile.fault(&format!("`token_command` {why}"));
    let (program, arguments) = words.split_first().ok_or_else(|| failed("is empty"))?;
    let mut command = Command::new(program);
    // What it asks and says goes to whoever sits there.
    command
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(|error| failed(&format!("can't be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(&format!("failed ({})", output.status)));
    }
    let text = String::from_utf8(output.stdout).unwrap_or_default();
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        Err(failed("printed no token"))
    } else {
        Ok(token.to_owned())
    }
}

/// Has the issuer renew what somebody signed in for.
pub(super) async fn refresh(
    http: &Client,
    profile: &Profile,
    client: &PeopleClient,
    kept: &SignIns,
    found: Option<Kept>,
) -> Result<String> {
    let nobody = |why: &str| {
        let name = &profile.name;
        let detail = format!("{why}: bedrock-diy login --profile {name}");
        Failure::new(Code::InvalidRequest, detail)
    };
    let Some(token) = found.and_then(|kept| kept.refresh_token) else {
        return Err(nobody("nobody is signed in"));
    };
    let endpoint = profile.at(client.domain(), "/oauth2/token")?;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client.client_id.as_str()),
        ("refresh_token", token.as_str()),
    ];
    match oauth::grant(http, &endpoint, &form, None).await {
        Ok(granted) => keep(kept, client.domain(), &client.client_id, granted, Some(token)),
        Err(Refused::Error(error)) => {
            kept.remove()?;
            Err(nobody(&format!(
                "the sign-in has come to its end ({error}); sign in again"
            )))
        }
        Err(Refused::Unavailable(failure)) => Err(failure),
    }
}

/// Has the issuer grant a machine a token.
pub(super) async fn machine(
    http: &Client,
    profile: &Profile,
    client: &MachineClient,
    kept: &SignIns,
) -> Result<String> {
    let secret = match &client.secret_file {
        Some(file) => private_file::text(file)?,
        None => std::env::var(SECRET).ok(),
    };
    let secret = secret
        .map(|secret| secret.trim().to_owned())
        .filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| {
        profile.fault(&format!(
            "the client's secret is neither in its `secret_file` nor in {SECRET}"
        ))
    })?;
    let endpoint = profile.at(client.domain(), "/oauth2/token")?;
    let scopes = client.scopes.join(" ");
    let mut form = vec![("grant_type", "client_credentials")];
    if !scopes.is_empty() {
        form.push(("scope", &scopes));
    }
    let who = Secret {
        client_id: &client.client_id,
        secret: &secret,
    };
    match oauth::grant(http, &endpoint, &form, Some(who)).await {
        Ok(granted) => keep(kept, client.domain(), &client.client_id, granted, None),
        Err(Refused::Error(error)) => Err(profile.fault(&format!(
            "{endpoint} grants no token ({error}): look at `client_id`, `scopes` and the secret"
        ))),
        Err(Refused::Unavailable(failure)) => Err(failure),
    }
}

/// Keeps what was granted, so that the next command need not ask: the issuer counts, and bills, what it grants.
pub(super) fn keep(
    kept: &SignIns,
    issuer: &str,
    client_id: &str,
    granted: Grant,
    refresh: Option<String>,
) -> Result<String> {
    let lasts = i64::try_from(granted.expires_in).unwrap_or(i64::MAX / 2_000);
    let all = Kept {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        access_token: granted.access_token.clone(),
        expires_at: SystemClock
            .now()
            .plus_millis(lasts.saturating_mul(1_000))
            .millis(),
        // One that is renewed without another stays good.
        refresh_token: granted.refresh_token.or(refresh),
    };
    kept.write(&all)?;
    Ok(granted.access_token)
}
