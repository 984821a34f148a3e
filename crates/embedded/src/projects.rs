use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure, ProjectId, PromptId,
    card::{Card, CardRevision},
    error::Result,
    page::{Page, PageRequest},
    pipeline::PipelineRevision,
    ports::{Projects, Saved},
    project::Project,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Params};
use serde::de::DeserializeOwned;

use crate::{
    database::{Database, failure, from_json, to_json},
    recent::RecentProjects,
};

/// Projects, cards and their revisions in `SQLite`. What is immutable is kept in memory once read, and a project
/// until it is written.
#[derive(Debug, Clone)]
pub struct SqliteProjects {
    database: Database,
    recent: RecentProjects,
    revisions: Cache<(ProjectId, PromptId, u32), CardRevision>,
    pipelines: Cache<(ProjectId, String), PipelineRevision>,
}

type Cache<K, V> = Arc<Mutex<HashMap<K, Arc<V>>>>;

impl SqliteProjects {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            recent: RecentProjects::default(),
            revisions: Cache::default(),
            pipelines: Cache::default(),
        }
    }

    fn select<T: DeserializeOwned>(&self, what: &str, sql: &str, params: impl Params) -> Result<Option<T>> {
        let json = self.database.read(|connection| {
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.query_row(params, |row| row.get::<_, String>(0)).optional())
                .map_err(|error| failure(&error))
        })?;
        json.map(|json| from_json(what, &json)).transpose()
    }

    fn select_all<T: DeserializeOwned>(&self, what: &str, sql: &str, params: impl Params) -> Result<Vec<T>> {
        let rows = self.database.read(|connection| {
            connection
                .prepare_cached(sql)
                .and_then(|mut select| {
                    select
                        .query_map(params, |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.iter().map(|json| from_json(what, json)).collect()
    }
}

#[async_trait]
impl Projects for SqliteProjects {
    async fn project(&self, project: &ProjectId) -> Result<Option<Project>> {
        self.recent.get(project, || {
            self.select(
                "project",
                "SELECT document FROM projects WHERE project_id = ?1",
                [project.as_str()],
            )
        })
    }

    async fn projects(&self, member: Option<&str>, page: &PageRequest) -> Result<Page<Project>> {
        // A moment may be that of several projects: their ids say which of them came last.
        let (at, id) = match page.cursor.as_deref() {
            Some(cursor) => place_after(cursor).ok_or_else(|| no_page("projects"))?,
            None => (AFTER_ALL.to_owned(), String::new()),
        };
        let found: Vec<Project> = self.select_all(
            "project",
            "SELECT document FROM projects
             WHERE document ->> 'deletedAt' IS NULL
               AND (?1 IS NULL OR document ->> 'owner' = ?1
                    OR EXISTS (SELECT 1 FROM json_each(document, '$.members') WHERE value = ?1))
               AND (document ->> 'createdAt', project_id) < (?2, ?3)
             ORDER BY document ->> 'createdAt' DESC, project_id DESC LIMIT ?4",
            (member, at, id, page.limit.saturating_add(1)),
        )?;
        Ok(page_of(found, page.limit, |last| {
            format!("{}~{}", last.created_at, last.project_id)
        }))
    }

    async fn card_revisions(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        page: &PageRequest,
    ) -> Result<Page<Arc<CardRevision>>> {
        let before = match page.cursor.as_deref() {
            Some(cursor) => cursor.parse::<u32>().map_err(|_| no_page("revisions"))?,
            None => u32::MAX,
        };
        let found: Vec<CardRevision> = self.select_all(
            "card revision",
            "SELECT document FROM card_revisions
             WHERE project_id = ?1 AND prompt_id = ?2 AND revision < ?3 ORDER BY revision DESC LIMIT ?4",
            (
                project.as_str(),
                prompt.as_str(),
                before,
                page.limit.saturating_add(1),
            ),
        )?;
        let found = found.into_iter().map(Arc::new).collect();
        Ok(page_of(found, page.limit, |last: &Arc<CardRevision>| {
            last.revision.to_string()
        }))
    }

    async fn cards(&self, project: &ProjectId) -> Result<Vec<Card>> {
        self.select_all(
            "card",
            "SELECT document FROM cards WHERE project_id = ?1",
            [project.as_str()],
        )
    }

    async fn card_revision(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        revision: u32,
    ) -> Result<Arc<CardRevision>> {
        cached(
            &self.revisions,
            (project.clone(), prompt.clone(), revision),
            || {
                self.select(
                "card revision",
                "SELECT document FROM card_revisions WHERE project_id = ?1 AND prompt_id = ?2 AND revision = ?3",
                (project.as_str(), prompt.as_str(), revision),
            )?
            .ok_or_else(|| missing(&format!("revision {revision} of the card {prompt} of the project {project}")))
            },
        )
    }

    async fn put_project(&self, project: &Project, before: Option<&Project>) -> Result<Saved> {
        let id = project.project_id.as_str().to_owned();
        let expected = before.map(|before| before.version);
        let document = to_json("project", project)?;
        let forgetting = self.recent.forgetting(&project.project_id);
        self.database
            .write(move |connection| {
                // The write goes when it has been committed, before its caller is told.
                let _ = &forgetting;
                let stored = match expected {
                    None => connection.execute(
                        "INSERT INTO projects VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                        (&id, &document),
                    ),
                    Some(version) => connection.execute(
                        "UPDATE projects SET document = ?2 WHERE project_id = ?1 AND document ->> 'version' = ?3",
                        (&id, &document, version),
                    ),
                };
                if stored.map_err(|error| failure(&error))? == 1 {
                    return Ok(Saved::Done);
                }
                // What stands against it may be what was to be stored: a first try of the same.
                connection
                    .query_row(
                        "SELECT count(*) FROM projects WHERE project_id = ?1 AND document = ?2",
                        (&id, &document),
                        |row| row.get(0),
                    )
                    .map(saved)
                    .map_err(|error| failure(&error))
            })
            .await
    }

    async fn put_card(&self, card: &Card, revision: Option<&CardRevision>) -> Result<Saved> {
        let card = StoredCard::new(card)?;
        let revision = revision
            .map(|revision| Ok::<_, Failure>((revision.revision, to_json("card revision", revision)?)))
            .transpose()?;
        self.database
            .write(move |connection| {
                if card.save(connection)? == Saved::Stale {
                    return Ok(Saved::Stale);
                }
                if let Some((number, document)) = &revision {
                    connection
                        .execute(
                            "INSERT INTO card_revisions VALUES (?1, ?2, ?3, ?4)",
                            (&card.project, &card.prompt, number, document),
                        )
                        .map_err(|error| failure(&error))?;
                }
                Ok(Saved::Done)
            })
            .await
    }

    async fn put_cards(&self, cards: &[Card]) -> Result<Saved> {
        let cards = cards.iter().map(StoredCard::new).collect::<Result<Vec<_>>>()?;
        self.database
            .write(move |connection| {
                // Nothing can come between the look and the writes: they are one transaction.
                for card in &cards {
                    if !card.is_next(connection)? {
                        return Ok(Saved::Stale);
                    }
                }
                for card in &cards {
                    let _ = card.save(connection)?;
                }
                Ok(Saved::Done)
            })
            .await
    }

    async fn keep_pipeline(&self, pipeline: &PipelineRevision) -> Result<()> {
        let key = (pipeline.project_id.clone(), pipeline.hash.clone());
        if lock(&self.pipelines).contains_key(&key) {
            return Ok(());
        }
        let document = to_json("pipeline revision", pipeline)?;
        let (project, hash) = (key.0.as_str().to_owned(), key.1.clone());
        self.database
            .write(move |connection| {
                connection
                    .execute(
                        "INSERT INTO pipelines VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                        (&project, &hash, &document),
                    )
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await?;
        lock(&self.pipelines).insert(key, Arc::new(pipeline.clone()));
        Ok(())
    }

    async fn pipeline(&self, project: &ProjectId, hash: &str) -> Result<Arc<PipelineRevision>> {
        cached(&self.pipelines, (project.clone(), hash.to_owned()), || {
            self.select(
                "pipeline revision",
                "SELECT document FROM pipelines WHERE project_id = ?1 AND hash = ?2",
                (project.as_str(), hash),
            )?
            .ok_or_else(|| missing(&format!("pipeline revision {hash} of the project {project}")))
        })
    }
}

/// A moment after all that RFC 3339 can say.
const AFTER_ALL: &str = "~";

/// Where a page of projects begins: after a project that was made at a moment, as its document says it.
fn place_after(cursor: &str) -> Option<(String, String)> {
    let (at, project) = cursor.split_once('~')?;
    let at: Timestamp = at.parse().ok()?;
    let project = ProjectId::new(project).ok()?;
    Some((at.to_string(), project.into()))
}

/// A page of so many items, where one more was asked for.
pub(crate) fn page_of<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page {
        next: items.last().filter(|_| more).map(cursor),
        items,
    }
}

pub(crate) fn no_page(of: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("there is no such page of {of}"))
}

/// The version of what was never saved before.
const FIRST: u32 = 1;

/// A card as its row.
struct StoredCard {
    project: String,
    prompt: String,
    version: u32,
    document: String,
}

impl StoredCard {
    fn new(card: &Card) -> Result<Self> {
        Ok(Self {
            project: card.project_id.as_str().to_owned(),
            prompt: card.prompt_id.as_str().to_owned(),
            version: card.version,
            document: to_json("card", card)?,
        })
    }

    /// Whether the stored card's version is one less.
    fn is_next(&self, connection: &Connection) -> Result<bool> {
        let stored = connection
            .query_row(
                "SELECT document ->> 'version' FROM cards WHERE project_id = ?1 AND prompt_id = ?2",
                (&self.project, &self.prompt),
                |row| row.get::<_, u32>(0),
            )
            .optional()
            .map_err(|error| failure(&error))?;
        Ok(stored.unwrap_or(FIRST - 1) + 1 == self.version)
    }

    fn save(&self, connection: &Connection) -> Result<Saved> {
        if !self.is_next(connection)? {
            return Ok(Saved::Stale);
        }
        connection
            .execute(
                "INSERT INTO cards VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET document = excluded.document",
                (&self.project, &self.prompt, &self.document),
            )
            .map(saved)
            .map_err(|error| failure(&error))
    }
}

fn saved(rows: usize) -> Saved {
    if rows == 1 { Saved::Done } else { Saved::Stale }
}

fn cached<K: std::hash::Hash + Eq, V>(
    cache: &Cache<K, V>,
    key: K,
    read: impl FnOnce() -> Result<V>,
) -> Result<Arc<V>> {
    if let Some(kept) = lock(cache).get(&key) {
        return Ok(Arc::clone(kept));
    }
    let value = Arc::new(read()?);
    lock(cache).insert(key, Arc::clone(&value));
    Ok(value)
}

fn lock<K, V>(cache: &Cache<K, V>) -> std::sync::MutexGuard<'_, HashMap<K, Arc<V>>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(what: &str) -> Failure {
    Failure::new(Code::InternalError, format!("the {what} is not there"))
}
