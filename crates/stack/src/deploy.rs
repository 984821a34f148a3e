//! Puts the template and the functions onto a local AWS, with the command that an account is deployed with.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    Outcome,
    local_aws::{LocalAws, REGION},
};

/// What a deployment is made with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The project's root.
    pub root: PathBuf,
    /// Where the Python tools are: `python`, and `sam`.
    pub bin: PathBuf,
    /// Where the functions are, built for this machine: `bedrock-diy-intake` …
    pub programs: PathBuf,
}

/// The functions, by their folders in `functions/`.
const FUNCTIONS: [&str; 9] = [
    "api",
    "authorize",
    "socket",
    "intake",
    "plan",
    "stage",
    "finish",
    "notify",
    "deliver",
];

/// The configuration in `samconfig.toml` that is deployed, and its stack.
const CONFIGURATION: &str = "dev";
const STACK: &str = "bedrock-diy-dev";

impl Tools {
    /// Deploys, and returns the template's outputs.
    pub async fn deploy(&self, local: &LocalAws) -> Outcome<BTreeMap<String, String>> {
        let folder = tempfile::tempdir().map_err(|error| format!("no folder to deploy from: {error}"))?;
        self.lay_out(folder.path()).await?;
        let config = self.root.join("samconfig.toml");
        let deploy = [
            "deploy",
            "--config-env",
            CONFIGURATION,
            "--template-file",
            "template.yaml",
        ];
        let given = ["--no-confirm-changeset", "--no-progressbar"];
        let mut sam = self.sam(local, folder.path());
        sam.args(deploy).args(given).arg("--config-file").arg(config);
        said(&mut sam).await?;
        self.outputs(local, folder.path()).await
    }

    /// The template as it is, with each function's program where `sam build` would put it.
    async fn lay_out(&self, folder: &Path) -> Outcome {
        let copy = |from: PathBuf, to: PathBuf| {
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::copy(&from, &to))
                .map_err(|error| format!("{} can't be copied: {error}", from.display()))
        };
        for file in ["template.yaml", "statemachine/article.asl.json"] {
            copy(self.root.join(file), folder.join(file))?;
        }
        for function in FUNCTIONS {
            let program = self.programs.join(format!("bedrock-diy-{function}"));
            let place = folder.join("functions").join(function).join("bootstrap");
            copy(program, place.clone())?;
            // What debuggers read is most of a program, and would be packed and unpacked for nothing.
            let mut strip = Command::new("strip");
            said(strip.arg(&place)).await?;
        }
        Ok(())
    }

    async fn outputs(&self, local: &LocalAws, folder: &Path) -> Outcome<BTreeMap<String, String>> {
        let mut sam = self.sam(local, folder);
        let listed =
            said(sam.args(["list", "stack-outputs", "--stack-name", STACK, "--output", "json"])).await?;
        let listed: Vec<Value> = serde_json::from_str(&listed)
            .map_err(|error| format!("the stack's outputs can't be read: {error}"))?;
        let text = |output: &Value, name: &str| output[name].as_str().unwrap_or_default().to_owned();
        Ok(listed
            .iter()
            .map(|output| (text(output, "OutputKey"), text(output, "OutputValue")))
            .collect())
    }

    fn sam(&self, local: &LocalAws, folder: &Path) -> Command {
        let mut sam = Command::new(self.bin.join("sam"));
        sam.current_dir(folder)
            .env("AWS_ENDPOINT_URL", local.url())
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            // Nobody is told of what is done here.
            .env("SAM_CLI_TELEMETRY", "0")
            .kill_on_drop(true);
        sam
    }
}

/// Runs a command and returns what it printed, or why it failed and with which words.
async fn said(command: &mut Command) -> Outcome<String> {
    let output = command
        .output()
        .await
        .map_err(|error| format!("{command:?} can't be started: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{command:?} failed ({}):\n{printed}{complaint}",
        output.status
    ))
}
