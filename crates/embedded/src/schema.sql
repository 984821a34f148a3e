-- Every commit writes whole pages, so what is written together lies together: rows are added at the end
-- of their tables, and small indexes find what belongs to one job. A job has a number (`seq`) that grows,
-- so the jobs that are worked at once are neighbours in those indexes. Only what must be found by a hash
-- (job id, memo key) is spread over its index.

CREATE TABLE projects (
    project_id TEXT PRIMARY KEY,
    document   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE cards (
    project_id TEXT NOT NULL,
    prompt_id  TEXT NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (project_id, prompt_id)
) WITHOUT ROWID;

CREATE TABLE card_revisions (
    project_id TEXT NOT NULL,
    prompt_id  TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (project_id, prompt_id, revision)
) WITHOUT ROWID;

CREATE TABLE pipelines (
    project_id TEXT NOT NULL,
    hash       TEXT NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (project_id, hash)
) WITHOUT ROWID;

CREATE TABLE jobs (
    seq         INTEGER PRIMARY KEY,
    job_id      TEXT NOT NULL UNIQUE,
    project_id  TEXT NOT NULL,
    batch       TEXT NOT NULL,
    status      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    document    TEXT NOT NULL
);
CREATE INDEX jobs_by_project ON jobs (project_id);
CREATE INDEX jobs_by_batch ON jobs (project_id, batch);

-- What happened to a job, one row a change: its events as an array, the last of which has this number,
-- and the stage that they finished.
CREATE TABLE changes (
    change INTEGER PRIMARY KEY,
    job    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    events TEXT NOT NULL,
    stage  TEXT
);
CREATE UNIQUE INDEX changes_of_job ON changes (job, number);

-- A key's folder is kept once, so that the outputs of a job lie together and their keys stay short.
CREATE TABLE folders (
    folder INTEGER PRIMARY KEY,
    bucket TEXT NOT NULL,
    path   TEXT NOT NULL,
    UNIQUE (bucket, path)
);

-- `file` names a file in the objects folder where the bytes are too many for a row.
CREATE TABLE objects (
    object  INTEGER PRIMARY KEY,
    folder  INTEGER NOT NULL,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    size    INTEGER NOT NULL,
    bytes   BLOB,
    file    TEXT
);
CREATE UNIQUE INDEX objects_by_key ON objects (folder, name, version);

-- Keys are hashes, so each new row lands on another page: short rows make few pages.
CREATE TABLE memo (
    memo_key           BLOB PRIMARY KEY,
    folder             INTEGER NOT NULL,
    name               TEXT NOT NULL,
    size               INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE chat_history (
    project_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    timestamp  INTEGER NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (project_id, session_id, timestamp)
) WITHOUT ROWID;

-- One row a session, so that a list of them need not count exchanges.
CREATE TABLE chat_sessions (
    project_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    exchanges  INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (project_id, session_id)
) WITHOUT ROWID;
CREATE INDEX chat_sessions_by_time ON chat_sessions (project_id, last_at, session_id);

-- The last job of each session: another one is accepted only where it has ended.
CREATE TABLE session_jobs (
    project_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    job        INTEGER NOT NULL,
    PRIMARY KEY (project_id, session_id)
) WITHOUT ROWID;

CREATE TABLE hooks (
    hook_id    TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    document   TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX hooks_by_project ON hooks (project_id, hook_id);

-- Each lane has its own order of waking: a live execution is found without passing the bulk ones.
CREATE TABLE executions (
    seq      INTEGER PRIMARY KEY,
    job_id   TEXT NOT NULL UNIQUE,
    lane     TEXT NOT NULL,
    status   TEXT NOT NULL,
    wake_at  INTEGER NOT NULL,
    position TEXT NOT NULL
);
CREATE INDEX executions_ready ON executions (lane, wake_at, seq) WHERE status = 'READY';
CREATE INDEX executions_running ON executions (seq) WHERE status = 'RUNNING';

-- `receives` counts towards the dead-letter queue, `throttles` only lengthens the pauses.
CREATE TABLE messages (
    seq        INTEGER PRIMARY KEY,
    queue      TEXT NOT NULL,
    visible_at INTEGER NOT NULL,
    receives   INTEGER NOT NULL DEFAULT 0,
    throttles  INTEGER NOT NULL DEFAULT 0,
    body       TEXT NOT NULL
);
CREATE INDEX messages_visible ON messages (queue, visible_at, seq);

-- Queues that every event is delivered to, by the transaction that stores it.
CREATE TABLE subscriptions (
    queue TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    seq      INTEGER PRIMARY KEY,
    queue    TEXT NOT NULL,
    receives INTEGER NOT NULL,
    died_at  INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    body     TEXT NOT NULL
);

-- Runs of `run --fresh` that have not ended.
CREATE TABLE fresh_runs (
    project_id TEXT NOT NULL,
    pipeline   TEXT NOT NULL,
    run        TEXT NOT NULL,
    PRIMARY KEY (project_id, pipeline)
) WITHOUT ROWID;

-- What `serve` has taken from the inbox folder, so that a restart need not read every file again.
CREATE TABLE inbox_files (
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL
) WITHOUT ROWID;

-- Outbound webhooks, and the log of what was sent to them.
CREATE TABLE webhooks (
    webhook_id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    document   TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_by_project ON webhooks (project_id, webhook_id);

CREATE TABLE deliveries (
    webhook_id  TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    document    TEXT NOT NULL,
    PRIMARY KEY (webhook_id, delivery_id)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_age ON deliveries (created_at);
