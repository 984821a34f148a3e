//! Parameters behind the question mark: a name that a route does not know is a mistake, and is said.
//!
//! Ignored, `?stauts=FAILED` would list all jobs without a word.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bedrock_diy_core::bearer;
use utoipa::openapi::{OpenApi, RefOr, path::ParameterIn};

use crate::{caller::BY_PARAMETER, openapi, problem::Problem, verbs};

/// The names that each operation of a document knows.
#[derive(Debug, Clone)]
pub(crate) struct Known(Arc<HashMap<(Method, String), Vec<String>>>);

impl Known {
    /// Those of this document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let parameters = operation.parameters.iter().flatten();
                let names = parameters.filter_map(|parameter| match parameter {
                    RefOr::T(parameter) => {
                        matches!(parameter.parameter_in, ParameterIn::Query).then(|| parameter.name.clone())
                    }
                    RefOr::Ref(_) => None,
                });
                let mut names: Vec<_> = names.collect();
                if (&method, path.as_str()) == (&BY_PARAMETER.0, BY_PARAMETER.1) {
                    names.push(bearer::PARAMETER.to_owned());
                }
                known.insert((method, path.clone()), names);
            }
        }
        Self(Arc::new(known))
    }
}

/// Refuses requests with names that their route does not know.
pub(crate) async fn refuse_unknown(State(known): State<Known>, request: Request, next: Next) -> Response {
    let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else {
        return next.run(request).await;
    };
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map(|path| verbs::asked(path.as_str())).unwrap_or_default();
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let names = known
        .0
        .get(&(method, path))
        .map(Vec::as_slice)
        .unwrap_or_default();
    let unknown = query
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .find(|name| !names.iter().any(|known| known == name));
    match unknown {
        None => next.run(request).await,
        Some(unknown) => {
            let name = percent_encoding::percent_decode_str(unknown).decode_utf8_lossy();
            let detail = match names {
                [] => "this takes none behind the question mark".to_owned(),
                names => format!("this takes {}", names.join(", ")),
            };
            Problem::parameter(&name, detail).into_response()
        }
    }
}
