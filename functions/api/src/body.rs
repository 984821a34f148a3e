//! Bodies: limited before they are read, and checked against the schema that the OpenAPI document shows.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{Code, fault::Fault};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jsonschema::Validator;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;

/// A document that can be sent.
pub(crate) trait Document: DeserializeOwned + ToSchema + 'static {
    /// The most bytes that it may have.
    const MAX_BYTES: usize = 1_000_000;
}

/// A body that is a JSON document of this kind.
///
/// What comes fails with 400 (no JSON), 413, 415, or 422 with everything that its schema does not allow.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: Document> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported("application/json"));
        }
        let bytes = read(request, T::MAX_BYTES, "Send less.").await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match written(&self.0) {
            Ok(json) => written_json(json),
            Err(problem) => problem.into_response(),
        }
    }
}

/// Writes a document as JSON.
pub(crate) fn written(document: &impl Serialize) -> Result<Bytes, Problem> {
    // Most documents have some hundred bytes: grown from nothing, they would be copied again and again.
    let mut json = Vec::with_capacity(2_048);
    match serde_json::to_writer(&mut json, document) {
        Ok(()) => Ok(json.into()),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            Err(Problem::internal())
        }
    }
}

/// The answer that is a document which has been written.
pub(crate) fn written_json(json: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Reads a document, or says everything that is wrong with it.
pub(crate) fn parse<T: Document>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))?;
    let faults: Vec<_> = validator::<T>()?
        .iter_errors(&value)
        .map(|error| {
            let field = error.instance_path().to_string();
            // Masked: what was sent is not repeated.
            Fault::new(Code::InvalidRequest, field, error.masked().to_string())
        })
        .collect();
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    // What the schema can't say: an id's characters, a moment's format.
    serde_json::from_value(value)
        .map_err(|error| Problem::invalid(vec![Fault::new(Code::InvalidRequest, "", error.to_string())]))
}

/// Whether a body is said to be JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// The media type of a body, without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(said.split(';').next()?.trim().to_ascii_lowercase())
}

/// Reads a body of at most so many bytes: one that says that it is larger is not read at all.
pub(crate) async fn read(request: Request, limit: usize, remedy: &str) -> Result<Bytes, Problem> {
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_large(limit, remedy));
    }
    let body: Body = request.into_body();
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::too_large(limit, remedy)),
        Err(_) => Err(Problem::malformed("The body broke off before its end.")),
    }
}

/// The schema of a kind of document, compiled once.
fn validator<T: Document>() -> Result<Arc<Validator>, Problem> {
    static COMPILED: OnceLock<Mutex<HashMap<TypeId, Arc<Validator>>>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(Mutex::default);
    let kept = || compiled.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = kept().get(&TypeId::of::<T>()) {
        return Ok(Arc::clone(validator));
    }
    let validator = jsonschema::validator_for(&schema::<T>()).map_err(|error| {
        tracing::error!(%error, schema = %T::name(), "a schema can't be compiled");
        Problem::internal()
    })?;
    let validator = Arc::new(validator);
    kept().insert(TypeId::of::<T>(), Arc::clone(&validator));
    Ok(validator)
}

/// A document's schema, with those that it refers to where the OpenAPI document has them too.
fn schema<T: Document>() -> Value {
    let mut referred = Vec::new();
    T::schemas(&mut referred);
    let components: serde_json::Map<_, _> = referred
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    let mut schema = json!(T::schema());
    schema["components"] = json!({ "schemas": components });
    schema
}
