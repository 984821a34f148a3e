//! What the API takes and shows. These are promises to its callers: they change more slowly than what is
//! stored, and never by accident (the OpenAPI document is committed).

pub(crate) mod articles;
pub(crate) mod hooks;
pub(crate) mod jobs;
pub(crate) mod projects;
pub(crate) mod prompts;
pub(crate) mod sessions;
pub(crate) mod webhooks;
