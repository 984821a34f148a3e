//! The HTTP API: one router, behind API Gateway and in `bedrock-diy serve`.
//!
//! **Architecture invariant:** a handler asks [`Api::project`] or [`Api::job`] before it reads or changes
//! anything of a project: what the caller may not know of does not exist for them.
//!
//! A request passes, from the outside in: its id, log line and problem document ([`requests`]); limits on
//! where it may come from (CORS); who asks ([`caller`]); then its route ([`routes`]).

mod asyncapi;
mod body;
mod caller;
mod conditions;
#[cfg(feature = "lambda")]
pub mod deployed;
mod documents;
mod ended;
mod event_schemas;
mod following;
mod openapi;
mod page;
mod problem;
mod queries;
mod requests;
mod routes;
mod socket;
mod verbs;

use std::{sync::Arc, time::Duration};

use axum::{Router, http::HeaderValue, middleware};
use bedrock_diy_core::{
    Code, Failure, ProjectId,
    access::{self, Action, Caller, Decision},
    catalogue::Catalogue,
    error::Result,
    ports::{
        Bus, Clock, Deliveries, DeliveryQueue, Downloads, Executions, Follows, History, Hooks, Identity,
        JobIndex, Jobs, Model, Objects, Projects, Queue, Secrets, Sender, Uploads, Watches, Webhooks,
    },
    project::Project,
    time::Timestamp,
};
use tower::{
    Layer,
    util::{MapRequestLayer, option_layer},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer},
};

use crate::problem::Problem;
pub use crate::{
    asyncapi::asyncapi,
    event_schemas::event_schemas,
    following::Log,
    openapi::openapi,
    socket::{FRAME_BYTES, MESSAGE_BYTES, Socket},
};

/// What the API needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// Projects and cards.
    pub projects: Arc<dyn Projects>,
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Lists of jobs.
    pub job_index: Arc<dyn JobIndex>,
    /// Article files and outputs.
    pub objects: Arc<dyn Objects>,
    /// Tickets for uploads.
    pub uploads: Arc<dyn Uploads>,
    /// For tables that are too large for an answer; none where an answer may be of any size.
    pub downloads: Option<Arc<dyn Downloads>>,
    /// Chat history.
    pub history: Arc<dyn History>,
    /// Inbound hooks.
    pub hooks: Arc<dyn Hooks>,
    /// Outbound webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// The log of what was sent to them.
    pub deliveries: Arc<dyn Deliveries>,
    /// What is to be sent to them.
    pub delivery_queue: Arc<dyn DeliveryQueue>,
    /// Who sends, to say which addresses it takes.
    pub sender: Arc<dyn Sender>,
    /// The secrets of hooks and webhooks.
    pub secrets: Arc<dyn Secrets>,
    /// Models, to try cards.
    pub model: Arc<dyn Model>,
    /// The intake queues.
    pub queue: Arc<dyn Queue>,
    /// Executions, to stop them.
    pub executions: Arc<dyn Executions>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// News of jobs, for those who follow them.
    pub watches: Arc<dyn Watches>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How the API is set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The model for projects and cards that name none.
    pub default_model: String,
    /// The web origins whose pages may ask (`https://admin.example.org`); none where it is empty.
    pub cors_origins: Vec<HeaderValue>,
    /// After so long a stream of events ends, and its client comes again: who may ask is asked anew then.
    pub longest_stream: Duration,
}

impl Settings {
    /// Fails with `InvalidRequest` where an origin is none.
    pub fn new(default_model: impl Into<String>, cors_origins: &[String]) -> Result<Self> {
        let origin = |origin: &String| {
            HeaderValue::from_str(origin).map_err(|_| {
                let detail = format!("{origin:?} is no web origin, such as https://admin.example.org");
                Failure::new(Code::InvalidRequest, detail)
            })
        };
        Ok(Self {
            default_model: default_model.into(),
            cors_origins: cors_origins.iter().map(origin).collect::<Result<_>>()?,
            longest_stream: Duration::from_mins(2),
        })
    }
}

/// The API.
pub struct Api {
    pub(crate) ports: Ports,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) settings: Settings,
    pub(crate) ended: ended::EndedJobs,
}

impl Api {
    /// Over these ports.
    #[must_use]
    pub fn new(ports: Ports, catalogue: Arc<Catalogue>, settings: Settings) -> Self {
        Self {
            ports,
            catalogue,
            settings,
            ended: ended::EndedJobs::default(),
        }
    }

    /// Everything, for whom this knows.
    pub fn router(self: Arc<Self>, identity: Arc<dyn Identity>) -> Router {
        let document = openapi();
        let known = queries::Known::of(&document);
        let closed =
            openapi::closed().route_layer(middleware::from_fn_with_state(identity, caller::identify));
        let (router, _) = openapi::open().merge(closed).split_for_parts();
        let inner = router
            .route_layer(middleware::from_fn_with_state(known, queries::refuse_unknown))
            .merge(routes::about::document(&document))
            .fallback(requests::nowhere)
            .method_not_allowed_fallback(requests::no_such_method)
            .layer(CatchPanicLayer::custom(requests::died))
            .layer(option_layer(self.cors()))
            .layer(middleware::from_fn(requests::attend))
            .with_state(self);
        // Actions are turned into segments before the router looks at the path.
        Router::new().fallback_service(MapRequestLayer::new(verbs::inward).layer(inner))
    }

    /// The same for those who keep a connection open; what they follow is told over `follows`.
    #[must_use]
    pub fn socket(self: Arc<Self>, follows: Arc<dyn Follows>) -> Socket {
        Socket { api: self, follows }
    }

    /// What browsers are told of pages of other origins; nothing where no other origin may ask.
    fn cors(&self) -> Option<CorsLayer> {
        let origins = &self.settings.cors_origins;
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.clone()))
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(openapi::exposed_headers())
            .max_age(openapi::PREFLIGHT_AGE);
        (!origins.is_empty()).then_some(cors)
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// A project in which the caller may do this. Fails with 404 where they may not know of it or it is
    /// deleted, and with 403 where they may not do this.
    pub(crate) async fn project(
        &self,
        caller: &Caller,
        id: &ProjectId,
        action: Action,
    ) -> Result<Project, Problem> {
        let unknown = || Problem::no_project(id.as_str());
        let project = self.ports.projects.project(id).await?;
        let project = project
            .filter(|project| !project.is_deleted())
            .ok_or_else(unknown)?;
        match access::decide(caller, &project, action) {
            Decision::Allowed => Ok(project),
            Decision::Unknown => Err(unknown()),
            Decision::Forbidden => Err(Problem::forbidden(format!(
                "You may see the project {id}, and not do this to it: that takes {}.",
                match action {
                    Action::Read => "a member",
                    Action::Write => "an editor who is a member",
                    Action::Manage => "its owner as an editor, or an administrator",
                }
            ))),
        }
    }
}
