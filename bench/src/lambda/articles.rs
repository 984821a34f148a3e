//! What is worked on: a project with five cards, and articles that were dropped into the bucket.

use bedrock_diy_aws::{DynamoJobs, DynamoProjects, S3Objects};
use bedrock_diy_core::{
    JobId, ProjectId, PromptId,
    article::{Bucket, ObjectRef},
    card::{Card, CardDraft, CardRevision, CardSettings},
    job::JobStatus,
    ports::{Jobs, Objects, Projects, Saved},
    project::{Project, ProjectStatus, Settings},
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    Outcome,
    stand_in::{StandIn, config},
};

/// The cards of the project: as many stages an article.
pub(crate) const CARDS: u32 = 5;

const PROJECT: &str = "bench";

/// What an article's file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 10 kB of text.
    Small,
    /// 10 MB of text.
    LargeText,
    /// 10 MB of HTML.
    LargeHtml,
}

/// An article that was dropped.
#[derive(Debug, Clone)]
pub(crate) struct Article {
    pub(crate) job: JobId,
    object: ObjectRef,
}

/// The bench's own hands in the stand-ins.
pub(crate) struct Newsroom {
    projects: DynamoProjects,
    jobs: DynamoJobs,
    objects: S3Objects,
    dropped: usize,
}

fn stored(saved: Saved) -> Outcome {
    match saved {
        Saved::Done => Ok(()),
        Saved::Stale => Err("the stand-in says that somebody else has saved the project".into()),
    }
}

impl Newsroom {
    /// With the project in place.
    pub(crate) async fn open(stand_in: &StandIn) -> Outcome<Self> {
        let (clients, config) = (stand_in.clients(), config());
        let objects = S3Objects::new(clients.s3, config.buckets.clone());
        let newsroom = Self {
            projects: DynamoProjects::new(clients.dynamodb.clone(), objects.clone(), &config),
            jobs: DynamoJobs::new(clients.dynamodb, objects.clone(), &config),
            objects,
            dropped: 0,
        };
        newsroom.found().await?;
        Ok(newsroom)
    }

    async fn found(&self) -> Outcome {
        let project_id = ProjectId::new(PROJECT)?;
        let at = Timestamp::default();
        let project = Project {
            project_id: project_id.clone(),
            name: "Bench".to_owned(),
            description: String::new(),
            owner: "bench".to_owned(),
            members: Vec::new(),
            status: ProjectStatus::Active,
            settings: Settings::default(),
            created_at: at,
            updated_at: at,
            deleted_at: None,
            version: 1,
        };
        stored(self.projects.put_project(&project, None).await?)?;
        for step in 1..=CARDS {
            let prompt_id = PromptId::new(format!("step-{step}"))?;
            let card = Card {
                project_id: project_id.clone(),
                prompt_id: prompt_id.clone(),
                step_order: step * 10,
                is_active: true,
                revision: 1,
                created_at: at,
                updated_at: at,
                deleted_at: None,
                version: 1,
            };
            let draft = CardDraft {
                title: format!("Step {step}"),
                tags: Vec::new(),
                content: format!(
                    "Step {step}. {}",
                    "Write for people who have little time, keep to the facts. ".repeat(17)
                ),
                settings: CardSettings::default(),
            };
            let revision = CardRevision {
                project_id: project_id.clone(),
                prompt_id,
                revision: 1,
                draft,
                author: "bench".to_owned(),
                note: String::new(),
                saved_at: at,
            };
            stored(self.projects.put_card(&card, Some(&revision)).await?)?;
        }
        Ok(())
    }

    /// Drops articles, each different from all others.
    pub(crate) async fn drop(&mut self, kind: Kind, articles: usize) -> Outcome<Vec<Article>> {
        let mut dropped = Vec::new();
        for _ in 0..articles {
            self.dropped += 1;
            let extension = if kind == Kind::LargeHtml { "html" } else { "txt" };
            let key = format!("inbox/{PROJECT}/monday/{:06}.{extension}", self.dropped);
            let text = text(kind, self.dropped).into_bytes();
            let object = self.objects.put(Bucket::Articles, &key, text).await?;
            let version = object.version.as_deref().unwrap_or_default();
            dropped.push(Article {
                job: JobId::of_drop(&ProjectId::new(PROJECT)?, &key, version, None),
                object,
            });
        }
        Ok(dropped)
    }

    /// Whether the article's job has succeeded with all its stages.
    pub(crate) async fn is_done(&self, article: &Article) -> Outcome<bool> {
        let job = self.jobs.read(&article.job).await?;
        Ok(job.is_some_and(|job| job.status == JobStatus::Succeeded && job.stages_done == CARDS))
    }
}

impl Article {
    /// The bucket's notification as it comes through the queue (Amazon S3 User Guide, "Event message
    /// structure"; AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", 2026-11).
    pub(crate) fn notification(&self) -> Value {
        let bucket = config().buckets.articles;
        let body = json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2026-11-25T00:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AIDABENCH"},
            "requestParameters": {"sourceIPAddress": "192.0.2.1"},
            "responseElements": {"x-amz-request-id": "BENCH", "x-amz-id-2": "BENCH"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "bench",
                "bucket": {
                    "name": bucket,
                    "ownerIdentity": {"principalId": "A1BENCH"},
                    "arn": format!("arn:aws:s3:::{bucket}"),
                },
                "object": {
                    "key": self.object.key,
                    "size": self.object.size,
                    "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                    "versionId": self.object.version,
                    "sequencer": "0055AED6DCD90281E5",
                },
            },
        }]});
        json!({"Records": [{
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body.to_string(),
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795000000000",
                "SenderId": "AIDABENCH",
                "ApproximateFirstReceiveTimestamp": "1795000000001",
            },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:bulk",
            "awsRegion": "us-east-1",
        }]})
    }
}

fn text(kind: Kind, number: usize) -> String {
    const SENTENCE: &str = "The bridge opens on Monday, said the council. ";
    let sentences = |bytes: usize| SENTENCE.repeat(bytes / SENTENCE.len());
    match kind {
        Kind::Small => format!("Article {number}. {}", sentences(10_000)),
        Kind::LargeText => format!("Article {number}. {}", sentences(10_000_000)),
        Kind::LargeHtml => {
            let paragraph = format!("<p>{}</p>\n", sentences(500));
            let paragraphs = paragraph.repeat(10_000_000 / paragraph.len());
            format!(
                "<!doctype html><html lang=en><head><title>Article {number}</title></head><body><article>\n{paragraphs}</article></body></html>"
            )
        }
    }
}
