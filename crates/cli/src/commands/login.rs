//! `bedrock-diy login` and `logout`.

use std::path::Path;

use bedrock_diy_core::{access::Role, error::Result};
use serde::Deserialize;

use crate::{
    arguments::Elsewhere,
    exit::Exit,
    remote::{self, Remote},
    terminal::{plain, print, say},
};

/// Who the API takes the caller for.
#[derive(Deserialize)]
struct Me {
    subject: String,
    name: String,
    role: Role,
}

/// Signs in, and says as whom.
pub(super) async fn login(elsewhere: &Elsewhere, data: &Path) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`login`")?;
    remote.sign_in().await?;
    let me: Me = remote.get("/api/me").send().await?.json().await?;
    let (name, subject) = (plain(&me.name), plain(&me.subject));
    let who = if name == subject {
        subject.into_owned()
    } else {
        format!("{name} ({subject})")
    };
    print(format_args!("{}: {who}, {}", remote.address(), me.role))?;
    Ok(Exit::Success)
}

/// Forgets tokens.
pub(super) async fn logout(elsewhere: &Elsewhere) -> Result<Exit> {
    let text = if remote::sign_out(elsewhere).await? {
        "Signed out."
    } else {
        "Nobody was signed in."
    };
    say(text);
    Ok(Exit::Success)
}
