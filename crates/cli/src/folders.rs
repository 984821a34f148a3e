//! The user's own folders, where the system has them.

use std::path::PathBuf;

use bedrock_diy_core::{Code, Failure, error::Result};
use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};

/// Where projects, jobs and results are kept.
pub(crate) fn data() -> Result<PathBuf> {
    strategy("keep data in: name a folder with --data").map(|strategy| strategy.data_dir())
}

/// The file with the user's profiles.
pub(crate) fn config() -> Result<PathBuf> {
    let strategy = strategy("read profiles from: say the address with --endpoint");
    strategy.map(|strategy| strategy.config_dir().join("config.toml"))
}

/// Where the tokens of whoever has signed in are kept.
pub(crate) fn sign_ins() -> Result<PathBuf> {
    let strategy = strategy("keep tokens in: hand one over with --token-file")?;
    let folder = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(folder.join("sign-ins"))
}

fn strategy(wanted: &str) -> Result<impl AppStrategy + use<>> {
    let arguments = AppStrategyArgs {
        top_level_domain: "org".into(),
        author: "bedrock-diy".into(),
        app_name: "bedrock-diy".into(),
    };
    choose_app_strategy(arguments).map_err(|_| {
        let detail = format!("there is no home folder to {wanted}");
        Failure::new(Code::InvalidRequest, detail)
    })
}
