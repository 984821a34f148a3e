use bedrock_diy_core::{
    Code, ProjectId, PromptId,
    card::{Card, CardDraft, CardRevision, CardSettings},
    page::PageRequest,
    ports::{Projects, Saved},
    project::{Project, ProjectStatus, Settings},
    time::Timestamp,
};
use serde_json::json;

use super::{all_pages, now, pipeline};

pub(super) fn project(name: &str) -> Project {
    Project {
        project_id: ProjectId::new(name).unwrap(),
        name: "Contract".into(),
        description: String::new(),
        owner: "somebody".into(),
        members: Vec::new(),
        status: ProjectStatus::Active,
        settings: Settings {
            model: Some("acme.model-v1:0".into()),
            timeout_seconds: Some(30),
            ..Settings::default()
        },
        created_at: now(),
        updated_at: now(),
        deleted_at: None,
        version: 1,
    }
}

/// Stores a project that nobody else changes.
pub(super) async fn save(projects: &dyn Projects, project: &Project, before: Option<&Project>) {
    let saved = projects.put_project(project, before).await.unwrap();
    assert_eq!(saved, Saved::Done, "{}", project.project_id);
}

/// The ids of somebody's projects, read in pages of so many.
pub(super) async fn ids_of(projects: &dyn Projects, member: Option<&str>, limit: usize) -> Vec<String> {
    let found = all_pages(limit, async |page| projects.projects(member, &page).await).await;
    assert!(found.iter().all(|project| !project.is_deleted()));
    if member.is_some() {
        assert!(found.is_sorted_by_key(|project| std::cmp::Reverse(project.created_at)));
    }
    found
        .into_iter()
        .map(|project| project.project_id.into())
        .collect()
}

fn card(project: &str, number: u32) -> Card {
    Card {
        project_id: ProjectId::new(project).unwrap(),
        prompt_id: PromptId::new("facts").unwrap(),
        step_order: 10,
        is_active: true,
        revision: number,
        created_at: now(),
        updated_at: now(),
        deleted_at: None,
        version: number,
    }
}

fn revision(card: &Card, content: &str) -> CardRevision {
    CardRevision {
        project_id: card.project_id.clone(),
        prompt_id: card.prompt_id.clone(),
        revision: card.revision,
        draft: CardDraft {
            title: "Facts".into(),
            tags: vec!["facts".into()],
            content: content.to_owned(),
            settings: CardSettings {
                // In an order that no sorting makes.
                output_schema: Some(json!({"type": "object", "properties": {"b": {}, "a": {}, "": {}}})),
                ..CardSettings::default()
            },
        },
        author: "somebody".into(),
        note: String::new(),
        saved_at: now(),
    }
}

/// A project is what was stored last; one that nobody has stored is none, and has no cards.
pub async fn a_project_is_what_was_stored_last(projects: &dyn Projects) {
    let mut stored = project("stored-last");
    assert_eq!(projects.project(&stored.project_id).await.unwrap(), None);
    assert_eq!(projects.cards(&stored.project_id).await.unwrap(), []);
    save(projects, &stored, None).await;
    assert_eq!(
        projects.project(&stored.project_id).await.unwrap().as_ref(),
        Some(&stored)
    );
    let before = stored.clone();
    stored.name = "계약".into();
    stored.status = ProjectStatus::Inactive;
    stored.members = vec!["a colleague".into(), "동료".into()];
    stored.version = 2;
    save(projects, &stored, Some(&before)).await;
    assert_eq!(projects.project(&stored.project_id).await.unwrap(), Some(stored));
}

/// Who has not read the newest version of a project changes nothing: two editors lose neither's work.
pub async fn a_stale_project_is_not_stored(projects: &dyn Projects) {
    let first = project("stale");
    let edit = |name: &str| Project {
        name: name.into(),
        version: 2,
        ..first.clone()
    };
    let never_read = projects.put_project(&edit("Never read"), Some(&first)).await;
    assert_eq!(never_read.unwrap(), Saved::Stale);
    save(projects, &first, None).await;
    let other = Project {
        name: "Another of this id".into(),
        ..first.clone()
    };
    assert_eq!(projects.put_project(&other, None).await.unwrap(), Saved::Stale);
    let (mine, yours) = (edit("Mine"), edit("Yours"));
    let saved = tokio::join!(
        projects.put_project(&mine, Some(&first)),
        projects.put_project(&yours, Some(&first))
    );
    let kept = match (saved.0.unwrap(), saved.1.unwrap()) {
        (Saved::Done, Saved::Stale) => mine,
        (Saved::Stale, Saved::Done) => yours,
        other => panic!("{other:?}"),
    };
    assert_eq!(projects.project(&first.project_id).await.unwrap(), Some(kept));
}

/// Whoever has not heard that their change is stored may make it again; not after it was changed further.
pub async fn a_change_of_a_project_may_be_made_again(projects: &dyn Projects) {
    let first = Project {
        members: vec!["a colleague".into()],
        ..project("made-again")
    };
    let second = Project {
        members: vec!["another colleague".into()],
        version: 2,
        ..first.clone()
    };
    for _ in 0..2 {
        save(projects, &first, None).await;
    }
    for _ in 0..2 {
        save(projects, &second, Some(&first)).await;
    }
    assert_eq!(projects.put_project(&first, None).await.unwrap(), Saved::Stale);
    let stored = projects.project(&first.project_id).await.unwrap();
    assert_eq!(stored, Some(second));
}

/// Lists show each project and each revision once, the newest first.
pub async fn lists_of_projects_and_revisions_have_pages(projects: &dyn Projects) {
    let owner = "the owner of a list";
    for number in 0..5 {
        let listed = Project {
            owner: owner.into(),
            // Two of them at one moment.
            created_at: Timestamp::from_millis(now().millis() + number / 2 * 1_000),
            ..project(&format!("listed-{number}"))
        };
        save(projects, &listed, None).await;
    }
    let mut seen = ids_of(projects, Some(owner), 2).await;
    seen.sort();
    let listed: Vec<_> = (0..5).map(|number| format!("listed-{number}")).collect();
    assert_eq!(seen, listed);
    let mut all = ids_of(projects, None, 100).await;
    all.retain(|id| id.starts_with("listed-"));
    all.sort();
    assert_eq!(all, listed);

    for number in 1..=5 {
        let card = card("of-revisions", number);
        let said = revision(&card, &format!("Say {number}."));
        assert_eq!(projects.put_card(&card, Some(&said)).await.unwrap(), Saved::Done);
    }
    let (id, prompt) = (
        ProjectId::new("of-revisions").unwrap(),
        PromptId::new("facts").unwrap(),
    );
    let said = all_pages(2, async |page| projects.card_revisions(&id, &prompt, &page).await).await;
    let seen: Vec<_> = said
        .iter()
        .map(|revision| revision.draft.content.as_str())
        .collect();
    assert_eq!(seen, ["Say 5.", "Say 4.", "Say 3.", "Say 2.", "Say 1."]);
    let mut page = PageRequest {
        limit: 2,
        cursor: None,
    };
    let other = PromptId::new("nobody").unwrap();
    let none = projects.card_revisions(&id, &other, &page).await.unwrap();
    assert_eq!(none.items, []);
    page.cursor = Some("nonsense".into());
    let refused = projects.card_revisions(&id, &prompt, &page).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
}

/// Cards are put into another order together or not at all.
pub async fn cards_are_moved_together(projects: &dyn Projects) {
    let named = |id: &str, step_order| Card {
        prompt_id: PromptId::new(id).unwrap(),
        step_order,
        ..card("moved", 1)
    };
    let cards = [named("facts", 10), named("summary", 20)];
    for card in &cards {
        let saved = projects
            .put_card(card, Some(&revision(card, "Do it.")))
            .await
            .unwrap();
        assert_eq!(saved, Saved::Done);
    }
    let moved = |card: &Card, step_order| Card {
        step_order,
        version: card.version + 1,
        ..card.clone()
    };
    let swapped = [moved(&cards[0], 20), moved(&cards[1], 10)];
    assert_eq!(projects.put_cards(&swapped).await.unwrap(), Saved::Done);
    // One of them was read before the swap: neither is moved.
    let half_stale = [moved(&swapped[0], 30), moved(&cards[1], 40)];
    assert_eq!(projects.put_cards(&half_stale).await.unwrap(), Saved::Stale);
    let mut stored = projects.cards(&cards[0].project_id).await.unwrap();
    stored.sort_by(|a, b| a.prompt_id.cmp(&b.prompt_id));
    assert_eq!(stored, swapped);
}

/// A deleted card is stored, and can come back.
pub async fn a_deleted_card_is_stored_and_can_come_back(projects: &dyn Projects) {
    let first = card("deleted-card", 1);
    let said = revision(&first, "Do it.");
    assert_eq!(projects.put_card(&first, Some(&said)).await.unwrap(), Saved::Done);
    let deleted = Card {
        is_active: false,
        deleted_at: Some(now()),
        version: 2,
        ..first.clone()
    };
    let back = Card {
        version: 3,
        ..first.clone()
    };
    for stands in [deleted, back] {
        assert_eq!(projects.put_card(&stands, None).await.unwrap(), Saved::Done);
        assert_eq!(projects.cards(&first.project_id).await.unwrap(), [stands]);
    }
    let kept = projects
        .card_revision(&first.project_id, &first.prompt_id, 1)
        .await;
    assert_eq!(*kept.unwrap(), said);
}

/// What a revision said stays as it was, to the character and the order of its schema's keys, whatever is
/// saved after it; a card without a new revision is changed for itself.
pub async fn a_revision_stays_as_it_was(projects: &dyn Projects) {
    let first = card("revisions", 1);
    let content = "Extract the facts.\n\n{{ article }} — 사실 📰\n".repeat(3_000);
    let said = revision(&first, &content);
    assert_eq!(projects.put_card(&first, Some(&said)).await.unwrap(), Saved::Done);
    let second = card("revisions", 2);
    let saved = projects
        .put_card(&second, Some(&revision(&second, "Else.")))
        .await;
    assert_eq!(saved.unwrap(), Saved::Done);
    let off = Card {
        is_active: false,
        version: 3,
        ..second.clone()
    };
    assert_eq!(projects.put_card(&off, None).await.unwrap(), Saved::Done);

    assert_eq!(projects.cards(&first.project_id).await.unwrap(), [off]);
    let find = |number| projects.card_revision(&first.project_id, &first.prompt_id, number);
    let found = find(1).await.unwrap();
    assert_eq!(*found, said);
    let schema = |revision: &CardRevision| {
        revision
            .draft
            .settings
            .output_schema
            .as_ref()
            .unwrap()
            .to_string()
    };
    assert_eq!(schema(&found), schema(&said));
    assert_eq!(find(2).await.unwrap().draft.content, "Else.");
    find(3).await.unwrap_err();
}

/// Two who save at once do not replace each other's revision: one is told.
pub async fn a_revision_is_saved_once(projects: &dyn Projects) {
    let card = card("saved-once", 1);
    let (mine, yours) = (revision(&card, "Mine."), revision(&card, "Yours."));
    let saved = tokio::join!(
        projects.put_card(&card, Some(&mine)),
        projects.put_card(&card, Some(&yours))
    );
    let content = match (saved.0.unwrap(), saved.1.unwrap()) {
        (Saved::Done, Saved::Stale) => "Mine.",
        (Saved::Stale, Saved::Done) => "Yours.",
        other => panic!("{other:?}"),
    };
    let found = projects
        .card_revision(&card.project_id, &card.prompt_id, 1)
        .await
        .unwrap();
    assert_eq!(found.draft.content, content);
}

/// A pipeline revision is kept under its hash, however often.
pub async fn a_pipeline_revision_is_kept(projects: &dyn Projects) {
    let kept = pipeline(3);
    projects.pipeline(&kept.project_id, &kept.hash).await.unwrap_err();
    projects.keep_pipeline(&kept).await.unwrap();
    projects.keep_pipeline(&kept).await.unwrap();
    assert_eq!(
        *projects.pipeline(&kept.project_id, &kept.hash).await.unwrap(),
        kept
    );
}
