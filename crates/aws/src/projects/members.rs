//! Members as items of the projects table: one beside the project's own for each, so that the index by owner lists
//! what somebody is a member of as it lists what they own.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use bedrock_diy_core::{ProjectId, error::Result, project::Project};

use crate::{
    dynamo::{self, Item, text},
    storage::corrupt,
};

/// The attribute that tells a membership from a project: the project's id.
pub(super) const MEMBER_OF: &str = "memberOf";

/// Items that a transaction takes, but for the project itself (`TransactWriteItems`, Amazon DynamoDB API reference,
/// 2026-11).
const MOST_CHANGES: usize = 99;

/// What a membership is found by. No project's id has a `#` in it.
pub(super) fn key(project: &ProjectId, subject: &str) -> Item {
    Item::from([(
        "projectId".to_owned(),
        text(format!("{project}#member:{subject}")),
    )])
}

/// The writes that make the stored memberships those of the project as it is to be.
///
/// Whoever exchanges all of fifty members makes one change more than a transaction takes. A membership that stays then
/// does no harm: a list believes the project's document.
pub(super) fn changes(
    table: &str,
    before: Option<&Project>,
    project: &Project,
) -> Result<Vec<TransactWriteItem>> {
    let (were, are) = (before.map(members).unwrap_or_default(), members(project));
    let moved = before.is_some_and(|before| before.created_at != project.created_at);
    let mut changes = Vec::new();
    for subject in are.iter().filter(|subject| moved || !were.contains(*subject)) {
        let mut item = key(&project.project_id, subject);
        item.insert("owner".to_owned(), text(*subject));
        item.insert("createdAt".to_owned(), text(project.created_at.to_string()));
        item.insert(MEMBER_OF.to_owned(), text(project.project_id.as_str()));
        changes.push(dynamo::put(table, item)?);
    }
    for subject in were.difference(&are) {
        let delete = Delete::builder().table_name(table);
        let delete = delete.set_key(Some(key(&project.project_id, subject))).build();
        let delete = delete.map_err(|error| corrupt("request", error))?;
        changes.push(TransactWriteItem::builder().delete(delete).build());
    }
    changes.truncate(MOST_CHANGES);
    Ok(changes)
}

/// Who has a membership in it: each member once, and none that owns it. Nobody is listed one that was deleted.
fn members(project: &Project) -> BTreeSet<&str> {
    if project.is_deleted() {
        return BTreeSet::new();
    }
    let members = project.members.iter().map(String::as_str);
    members.filter(|member| *member != project.owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::{
        project::{ProjectStatus, Settings},
        time::Timestamp,
    };

    fn project(members: &[&str]) -> Project {
        Project {
            project_id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            owner: "the owner".into(),
            members: members.iter().map(|&member| member.into()).collect(),
            status: ProjectStatus::Active,
            settings: Settings::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version: 1,
        }
    }

    /// The members that are put, and those that are deleted.
    fn made(before: Option<&Project>, project: &Project) -> [Vec<String>; 2] {
        let changes = changes("table", before, project).unwrap();
        let subject = |item: &Item| {
            let key = item["projectId"].as_s().unwrap();
            key.strip_prefix("news#member:").unwrap().to_owned()
        };
        let put = changes.iter().filter_map(|change| change.put());
        let deleted = changes.iter().filter_map(|change| change.delete());
        [
            put.map(|put| subject(put.item())).collect(),
            deleted.map(|delete| subject(delete.key())).collect(),
        ]
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let none: [Vec<String>; 2] = [Vec::new(), Vec::new()];
        let before = project(&["a", "b", "the owner", "b"]);
        assert_eq!(made(None, &before), [vec!["a", "b"], vec![]]);
        assert_eq!(made(Some(&before), &before), none);
        assert_eq!(made(Some(&before), &project(&["b", "c"])), [vec!["c"], vec!["a"]]);
        let deleted = Project {
            deleted_at: Some(Timestamp::default()),
            ..before.clone()
        };
        assert_eq!(made(Some(&before), &deleted), [vec![], vec!["a", "b"]]);
        assert_eq!(made(Some(&deleted), &before), [vec!["a", "b"], vec![]]);
    }

    #[test]
    fn a_transaction_takes_the_exchange_of_everybody() {
        let names = |prefix: &str| (0..50).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
        let of = |names: &[String]| project(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (before, after) = (of(&names("old")), of(&names("new")));
        let [put, deleted] = made(Some(&before), &after);
        assert_eq!((put.len(), deleted.len()), (50, 49));
    }
}
