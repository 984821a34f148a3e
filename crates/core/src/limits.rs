//! Every number that bounds something, with its reason.

/// The largest article file, in bytes (50 MB): what the upload of the API takes too.
pub const ARTICLE_BYTES: u64 = 50_000_000;

/// How long a stage works on its answer at most, in seconds: waiting for its turn, the call, and the repair
/// turn, which gets what the first call left over. A Lambda may run 900 seconds (AWS Lambda quotas), as may
/// `RunStage` in the state machine; what is left is for writing the output.
pub const STAGE_SECONDS: u32 = 840;

/// The longest `timeoutSeconds` of a card: however long the first call takes, a minute of
/// [`STAGE_SECONDS`] is left for a repair turn.
pub const LONGEST_TIMEOUT_SECONDS: u32 = 780;

/// How long one model call may take where nothing is said, in seconds.
pub const TIMEOUT_SECONDS: u32 = 120;

/// The longest answer where nothing is said, in tokens.
pub const MAX_TOKENS: u32 = 4096;

/// The temperature where nothing is said.
pub const TEMPERATURE: f64 = 0.3;

/// The `top_p` where nothing is said.
pub const TOP_P: f64 = 0.9;

/// How many of a session's messages a stage sees.
pub const HISTORY_MESSAGES: usize = 50;

/// The largest prompt card, in bytes: far above any sensible prompt, far below an S3 `PutObject`.
pub const CARD_BYTES: usize = 256 * 1024;

/// The longest JSON Schema of a card, in bytes as JSON text. Longer ones are no description of an answer; and a
/// revision, which holds it, is an item that stays below 100 kB.
pub const SCHEMA_BYTES: usize = 64 * 1024;

/// The longest title or tag, in bytes: each is the head of a column or a word to find a card by.
pub const TITLE_BYTES: usize = 500;

/// The most tags of a card.
pub const TAGS: usize = 50;

/// The longest description of a project, in bytes: some paragraphs. It is read with the project for each article.
pub const DESCRIPTION_BYTES: usize = 4_000;

/// The most members of a project. What a change of them writes is one transaction, which takes 100 items
/// (`TransactWriteItems`, Amazon DynamoDB API reference, 2026-11).
pub const MEMBERS: usize = 50;

/// The longest subject of a caller, in bytes. An identity provider's are at most 255 ASCII characters (OpenID
/// Connect Core 1.0, section 2).
pub const SUBJECT_BYTES: usize = 256;

/// The longest id of a model, an inference profile or a guardrail, in bytes: as an ARN, Bedrock takes up to 2,048
/// characters (`Converse` and `GuardrailConfiguration`, Bedrock API reference, 2026-11).
pub const MODEL_ID_BYTES: usize = 2_048;

/// The most cards of a project. Each is a stage, and a stage costs 7 of the 25,000 history events that Step
/// Functions allows an execution, 40 with every retry, and 9 more each time that it waits.
pub const CARDS: usize = 100;

/// How long a stage waits for model quota before it gives up, in seconds: eight hours. Waiting costs nothing,
/// but a job that waits for ever is a job that is lost silently; and while a model answers nobody, a stage
/// looks again every 16 seconds, which would use up the execution's history events in half a day.
pub const PATIENCE_SECONDS: u64 = 8 * 60 * 60;

/// What a template may use before it is stopped: an instruction costs 1, and so do 64 bytes of text
/// (minijinja's fuel). Enough for the largest article twice over; a loop over a loop over a loop, or a
/// text that doubles and doubles, ends before it hurts its neighbours.
pub const TEMPLATE_FUEL: u64 = 2_000_000;

/// The largest delivery to a hook, in bytes: what Lambda takes from API Gateway is 6 MB with everything around it
/// (AWS Lambda quotas, 2026-11).
pub const HOOK_BODY_BYTES: usize = 5_000_000;

/// The most hooks of a project: more than anybody has CMSs, and few enough to be one list.
pub const HOOKS: usize = 50;

/// The most metadata that a hook takes out of a delivery.
pub const HOOK_METADATA: usize = 50;

/// How far the time that a delivery was signed at may be from ours, before or behind, in seconds: five minutes, as
/// the libraries of Standard Webhooks have it.
pub const HOOK_TOLERANCE_SECONDS: u64 = 5 * 60;

/// The longest JSON Pointer of a hook, in bytes.
pub const POINTER_BYTES: usize = 500;

/// The longest name of a header, or of a piece of metadata, that a hook may say, in bytes.
pub const HEADER_NAME_BYTES: usize = 100;

/// The longest header that is looked into, in bytes: what most servers take. A signature has about 100.
pub const HEADER_BYTES: usize = 8_192;

/// The longest title or name that a delivery gives its article, in bytes, before it is cut: what a file's own title
/// may have, too.
pub const LABEL_BYTES: usize = 300;

/// The text of an event that tells a piece of an answer, in bytes: with all that goes with it, and every character
/// escaped, it stays below the 32 kB of a frame of API Gateway's WebSocket APIs (Amazon API Gateway quotas, 2026-11).
pub const DELTA_BYTES: usize = 4 * 1_024;

/// How much of an answer is told while it is written, in bytes. What is longer is read where it lies.
pub const TOLD_BYTES: usize = 128 * 1_024;

/// What is new of a job and goes into one message, in bytes: with all around it, it stays below the 32 kB of a frame of API
/// Gateway's WebSocket APIs (Amazon API Gateway quotas, 2026-11). A single event is always shorter.
pub const PUSH_BYTES: usize = 30 * 1_024;

/// How much a connection that stays open may follow at once.
pub const FOLLOWS: usize = 100;

/// So many jobs a batch or project may have where whoever follows it wants to be told what has happened before. That is
/// told within the call that begins to follow, for which API Gateway waits 29 seconds (Amazon API Gateway quotas,
/// 2026-11).
pub const JOBS_SO_FAR: usize = 1_000;

/// The most outbound webhooks of a project: each event is looked at for each of them.
pub const WEBHOOKS: usize = 20;

/// The longest address of a webhook, in bytes.
pub const WEBHOOK_URL_BYTES: usize = 2_048;

/// How long a receiver has to answer, in seconds, from the look-up of its name on.
pub const WEBHOOK_SECONDS: u64 = 10;

/// How long a delivery is tried for, in seconds: a day.
pub const WEBHOOK_PATIENCE_SECONDS: u64 = 24 * 60 * 60;

/// So many attempts that fail in a row disable a webhook.
pub const WEBHOOK_FAILURES: u32 = 20;

/// What is kept of a receiver's answer, in bytes.
pub const WEBHOOK_ANSWER_BYTES: usize = 1_024;

/// The longest head of a receiver's answer, in bytes, and the most headers in it.
pub const WEBHOOK_HEAD_BYTES: usize = 16 * 1_024;
/// The most headers of a receiver's answer.
pub const WEBHOOK_HEADERS: usize = 64;

/// How long deliveries stay in the log, in days.
pub const DELIVERY_DAYS: u32 = 30;

/// A delivery with so many attempts is not sent anew: with what is kept of each answer, its item stays below 100 kB.
pub const DELIVERY_ATTEMPTS: usize = 40;
