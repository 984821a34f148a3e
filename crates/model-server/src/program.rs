//! What the program's options say, and how a server is started from them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use bedrock_diy_model_server::scripted::{Script, ScriptedModel};
use bedrock_diy_model_server::{KeepRequests, Model, ModelServer, Settings};
use clap::Parser;

/// Stands in for Bedrock Runtime: point an AWS SDK's endpoint URL at it.
#[derive(Debug, Parser)]
#[command(name = "model-server", version)]
pub(crate) struct Options {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8086)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// The script to answer by, JSON or TOML. Without one, every call gets the same sentence.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Answer with the local model, whose files are in this folder, and are fetched into it if they are not.
    #[cfg(feature = "local-model")]
    #[arg(long, value_name = "FOLDER", conflicts_with = "script")]
    local: Option<PathBuf>,
    /// How many calls the request log keeps.
    #[arg(long, default_value_t = 1000, value_name = "CALLS")]
    keep_requests: usize,
    /// Keep the bodies of logged calls. They hold prompts and articles.
    #[arg(long)]
    keep_bodies: bool,
    /// Do not count calls by their content, which costs a hash for each.
    #[arg(long)]
    no_contents: bool,
    /// Also answer calls that carry no `Authorization` header.
    #[arg(long)]
    anonymous: bool,
}

/// Serves until the program is told to stop.
#[tokio::main]
pub(crate) async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let settings = options.settings();
    #[cfg(feature = "local-model")]
    if let Some(folder) = &options.local {
        use bedrock_diy_model_server::local::{LocalModel, fetch, one_thread_a_generation};
        one_thread_a_generation();
        let gguf = fetch(folder, &mut |step| tracing::info!("{step}"))?;
        return serve(LocalModel::load(&gguf)?, settings).await;
    }
    let script = options
        .script
        .as_deref()
        .map_or_else(|| Ok(Script::default()), read_script)?;
    serve(ScriptedModel::new(script)?, settings).await
}

impl Options {
    fn settings(&self) -> Settings {
        Settings {
            address: SocketAddr::new(self.address, self.port),
            require_authorization: !self.anonymous,
            control: true,
            keep_requests: match self.keep_requests {
                0 => KeepRequests::None,
                calls => KeepRequests::Last(calls),
            },
            keep_bodies: self.keep_bodies,
            track_contents: !self.no_contents,
            ..Settings::default()
        }
    }
}

async fn serve(model: impl Model, settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let mut server = ModelServer::start_with(model, settings).await?;
    // On standard output and alone, so that a program that started this one can read it.
    println!("{}", server.url());
    tokio::select! {
        () = server.wait() => {}
        stop = tokio::signal::ctrl_c() => stop?,
    }
    server.shutdown().await;
    Ok(())
}

fn read_script(file: &Path) -> Result<Script, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("The script {name} can't be read: {error}."))?;
    let script = if file.extension().is_some_and(|extension| extension == "toml") {
        toml::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    script.map_err(|error| format!("The script {name} can't be understood: {error}"))
}
