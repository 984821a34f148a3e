//! Which model answers: Bedrock, or the small demo model on this machine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_aws::{
    Bedrock,
    clients::{self, BedrockConfig},
};
use bedrock_diy_core::{
    Code, Failure,
    catalogue::Catalogue,
    error::Result,
    model::{ModelAnswer, ModelRequest},
    ports::{DeltaSink, Model},
};
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::OnceCell};

use crate::project_files::ProjectFiles;

/// The demo model's id.
pub const DEMO: &str = "demo.smollm2-135m-instruct-v1:0";

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The model for cards that name none.
    pub default_model: String,
    /// What is said about it before anything runs.
    pub notice: String,
}

/// Applies `--model`, and decides which model answers where nobody named one.
///
/// Fails with [`Code::ModelAccessDenied`] where Bedrock is needed and no credentials are found: a
/// stand-in is never taken silently.
pub async fn choose(
    projects: &mut [ProjectFiles],
    wanted: Option<&str>,
    catalogue: &Catalogue,
) -> Result<Choice> {
    if let Some(wanted) = wanted {
        let model = if wanted == "demo" { DEMO } else { wanted };
        for files in projects.iter_mut() {
            files.settings.model = Some(model.to_owned());
            files
                .cards
                .iter_mut()
                .for_each(|card| card.draft.settings.model = None);
        }
        return decide(model, &[model]).await;
    }
    let named: Vec<_> = projects
        .iter()
        .flat_map(|files| {
            let cards = files.cards.iter().filter(|card| card.is_active);
            cards
                .filter_map(|card| card.draft.settings.model.as_deref())
                .chain(files.settings.model.as_deref())
        })
        .collect();
    let default = if named.iter().any(|model| *model != DEMO) {
        &catalogue.default_model
    } else {
        DEMO
    };
    decide(default, &named).await
}

async fn decide(default: &str, named: &[&str]) -> Result<Choice> {
    let notice = match named.iter().find(|model| **model != DEMO) {
        None => "Model: the demo model SmolLM2-135M-Instruct on this machine. It is free, and good for trying things out only; \
                 name a Bedrock model with --model or in project.yaml for real work."
            .to_owned(),
        Some(model) => match clients::credentials_found().await {
            Some(source) => format!("Model: {model} on Amazon Bedrock, with credentials from {source}."),
            None => {
                return Err(Failure::new(
                    Code::ModelAccessDenied,
                    format!(
                        "{model} is a Bedrock model, and no AWS credentials were found. Sign in with `aws sso login`, set AWS_PROFILE or \
                         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or take the demo model with --model demo"
                    ),
                ));
            }
        },
    };
    Ok(Choice {
        default_model: default.to_owned(),
        notice,
    })
}

/// Bedrock, and beside it the demo model, each made when it is first asked.
pub struct Models {
    bedrock: OnceCell<Bedrock>,
    demo: OnceCell<Bedrock>,
    server: Arc<DemoServer>,
}

/// The demo model's server, started when it is first asked for.
struct DemoServer {
    cache: PathBuf,
    /// Where it runs, whichever thread asks for it first.
    #[cfg_attr(not(feature = "demo-model"), expect(dead_code, reason = "nothing is run"))]
    runtime: Handle,
    started: OnceCell<Started>,
}

impl Models {
    /// Models; the demo model's file is kept in `cache`, and its server runs on the runtime that this is
    /// called on.
    #[must_use]
    pub fn new(cache: PathBuf) -> Self {
        Self {
            bedrock: OnceCell::new(),
            demo: OnceCell::new(),
            server: Arc::new(DemoServer {
                cache,
                runtime: Handle::current(),
                started: OnceCell::new(),
            }),
        }
    }

    /// The same models, for another thread: with connections of its own.
    #[must_use]
    pub fn for_another_thread(&self) -> Self {
        Self {
            bedrock: OnceCell::new(),
            demo: OnceCell::new(),
            server: Arc::clone(&self.server),
        }
    }

    /// Gets the demo model ready, so that the first article need not wait for it.
    pub async fn prepare(&self, model: &str) -> Result<()> {
        if model == DEMO {
            self.server.url().await.map(|_| ())
        } else {
            Ok(())
        }
    }

    async fn bedrock(&self) -> &Bedrock {
        self.bedrock
            .get_or_init(|| made(BedrockConfig::FromEnvironment))
            .await
    }

    async fn demo(&self) -> Result<&Bedrock> {
        self.demo
            .get_or_try_init(|| async {
                Ok(made(BedrockConfig::LocalServer(self.server.url().await?)).await)
            })
            .await
    }
}

/// On the heap: reading the configuration takes a state of 11 kB, which every call would carry along.
fn made(config: BedrockConfig) -> BoxFuture<'static, Bedrock> {
    Box::pin(async { Bedrock::new(clients::bedrock(config).await) })
}

#[async_trait]
impl Model for Models {
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        on_delta: DeltaSink<'_>,
    ) -> Result<ModelAnswer> {
        if request.model == DEMO {
            self.demo().await?.converse(request, deadline, on_delta).await
        } else {
            self.bedrock().await.converse(request, deadline, on_delta).await
        }
    }
}

/// The demo model behind a model server in this process; the Bedrock adapter talks to it as to
/// Bedrock.
#[cfg(feature = "demo-model")]
type Started = bedrock_diy_model_server::ModelServer<bedrock_diy_model_server::local::LocalModel>;

#[cfg(feature = "demo-model")]
impl DemoServer {
    /// Where it listens.
    async fn url(&self) -> Result<String> {
        let started = self.started.get_or_try_init(|| async {
            let starting = self.runtime.spawn(start_demo(self.cache.clone()));
            starting.await.map_err(|error| {
                Failure::new(
                    Code::ModelUnavailable,
                    format!("starting the demo model ended early: {error}"),
                )
            })?
        });
        Ok(started.await?.url())
    }
}

#[cfg(feature = "demo-model")]
async fn start_demo(cache: PathBuf) -> Result<Started> {
    use bedrock_diy_model_server::{ModelServer, local};

    let trouble = |what: String| Failure::new(Code::ModelUnavailable, what);
    let loaded = tokio::task::spawn_blocking(move || {
        let file = local::fetch(&cache, &mut |step| crate::terminal::say(step))
            .map_err(|error| trouble(error.to_string()))?;
        local::LocalModel::load(&file).map_err(|error| trouble(error.to_string()))
    });
    let model = loaded
        .await
        .map_err(|error| trouble(format!("loading the demo model ended early: {error}")))??;
    ModelServer::start(model)
        .await
        .map_err(|error| trouble(error.to_string()))
}

#[cfg(not(feature = "demo-model"))]
type Started = std::convert::Infallible;

#[cfg(not(feature = "demo-model"))]
impl DemoServer {
    async fn url(&self) -> Result<String> {
        let started = self.started.get_or_try_init(|| async {
            Err(Failure::new(
                Code::ModelNotFound,
                format!(
                    "this bedrock-diy was built without the demo model (its file would lie in {}): name a Bedrock model with --model",
                    self.cache.display()
                ),
            ))
        });
        match *started.await? {}
    }
}
