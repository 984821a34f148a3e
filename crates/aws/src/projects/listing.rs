//! Lists of projects: those of a caller from the index by owner, all of them by a scan.

use std::collections::HashMap;

use bedrock_diy_core::{
    ProjectId,
    error::Result,
    page::{Page, PageRequest},
    project::Project,
    time::Timestamp,
};

use super::{DynamoProjects, members, no_page};
use crate::{
    dynamo::{self, Item, text},
    storage::{corrupt, failure},
};

/// At least so many items are looked at with a call: deleted projects among them cost no call each.
const LOOK: usize = 25;

/// What says of a cursor that it names a membership.
const MEMBERSHIP: &str = "member";

/// A place in a list: a project, or somebody's membership in one.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    created_at: Timestamp,
    project_id: ProjectId,
    is_membership: bool,
    /// What is at the place; nothing for a membership before its project is read.
    project: Option<Project>,
}

impl DynamoProjects {
    /// A page of the projects of a caller, or of all.
    ///
    /// What is shown to nobody (deleted projects, memberships that are over) is passed over until the page is full or
    /// the list ends. A cursor names the last place that was taken.
    pub(super) async fn list(&self, member: Option<&str>, page: &PageRequest) -> Result<Page<Project>> {
        let mut from = match page.cursor.as_deref() {
            Some(cursor) => Some(Entry::read(cursor)?.key(member)),
            None => None,
        };
        let mut taken: Vec<Entry> = Vec::new();
        if page.limit == 0 {
            return Ok(page_of(taken, false));
        }
        loop {
            let look = (page.limit - taken.len()).saturating_add(1).max(LOOK);
            let (items, last) = self.look(member, look, from).await?;
            let mut entries = items.into_iter().map(Entry::of).collect::<Result<Vec<_>>>()?;
            if let Some(member) = member {
                self.fetch(&mut entries, member).await?;
            }
            let mut shown = entries.into_iter().filter(Entry::is_shown);
            taken.extend(shown.by_ref().take(page.limit - taken.len()));
            let is_full = taken.len() == page.limit;
            if is_full || last.is_none() {
                let more = is_full && (last.is_some() || shown.next().is_some());
                return Ok(page_of(taken, more));
            }
            from = last;
        }
    }

    /// Items from a place on, and where the next ones begin.
    async fn look(
        &self,
        member: Option<&str>,
        most: usize,
        from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>)> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let table = &self.config.tables.projects;
        let (items, last) = if let Some(member) = member {
            let query = self.client.query().table_name(table).index_name("byOwner");
            let query = query
                .key_condition_expression("#owner = :owner")
                // A reserved word.
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", text(member))
                .scan_index_forward(false)
                .limit(most)
                .set_exclusive_start_key(from);
            let found = query.send().await;
            let found = found.map_err(|error| failure("listing projects", &error))?;
            (found.items, found.last_evaluated_key)
        } else {
            // All of them: for administrators, and on no article's way.
            let scan = self.client.scan().table_name(table).limit(most);
            let scan = scan
                .filter_expression(format!("attribute_not_exists({})", members::MEMBER_OF))
                .set_exclusive_start_key(from);
            let found = scan.send().await;
            let found = found.map_err(|error| failure("listing projects", &error))?;
            (found.items, found.last_evaluated_key)
        };
        Ok((items.unwrap_or_default(), last))
    }

    /// Reads the projects that the caller has memberships in. What says that they are a member is the project.
    async fn fetch(&self, entries: &mut [Entry], member: &str) -> Result<()> {
        let mut missing: Vec<_> = entries
            .iter()
            .filter(|entry| entry.is_membership)
            .map(|entry| &entry.project_id)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort();
        missing.dedup();
        let keys = missing
            .into_iter()
            .map(|project| Item::from([("projectId".to_owned(), text(project.as_str()))]))
            .collect();
        let what = "reading a member's projects";
        let mut found = HashMap::new();
        for item in dynamo::read_all(&self.client, what, &self.config.tables.projects, keys).await? {
            let project: Project = dynamo::document("project", item)?;
            if project.owner != member && project.members.iter().any(|subject| subject == member) {
                found.insert(project.project_id.clone(), project);
            }
        }
        for entry in entries.iter_mut().filter(|entry| entry.is_membership) {
            entry.project = found.remove(&entry.project_id);
        }
        Ok(())
    }
}

impl Entry {
    /// An item of the table.
    fn of(item: Item) -> Result<Self> {
        if item.contains_key(members::MEMBER_OF) {
            let string = |name| {
                let value = item.get(name).and_then(|value| value.as_s().ok());
                value.map_or("", String::as_str)
            };
            let created_at = string("createdAt").parse::<Timestamp>();
            let project_id = ProjectId::new(string(members::MEMBER_OF));
            return Ok(Self {
                created_at: created_at.map_err(|error| corrupt("membership", error))?,
                project_id: project_id.map_err(|error| corrupt("membership", error))?,
                is_membership: true,
                project: None,
            });
        }
        let project: Project = dynamo::document("project", item)?;
        Ok(Self {
            created_at: project.created_at,
            project_id: project.project_id.clone(),
            is_membership: false,
            project: Some(project),
        })
    }

    fn is_shown(&self) -> bool {
        self.project.as_ref().is_some_and(|project| !project.is_deleted())
    }

    /// The place that a cursor names.
    fn read(cursor: &str) -> Result<Self> {
        let unknown = || no_page("projects");
        let mut parts = cursor.split('~');
        let (created_at, project_id) = (parts.next().unwrap_or_default(), parts.next());
        let is_membership = match parts.next() {
            None => false,
            Some(MEMBERSHIP) if parts.next().is_none() => true,
            Some(_) => return Err(unknown()),
        };
        Ok(Self {
            created_at: created_at.parse::<Timestamp>().map_err(|_| unknown())?,
            project_id: ProjectId::new(project_id.unwrap_or_default()).map_err(|_| unknown())?,
            is_membership,
            project: None,
        })
    }

    fn cursor(&self) -> String {
        let place = format!("{}~{}", self.created_at, self.project_id);
        if self.is_membership {
            format!("{place}~{MEMBERSHIP}")
        } else {
            place
        }
    }

    /// Its key, in the index by owner or in the table.
    fn key(&self, member: Option<&str>) -> Item {
        let Some(member) = member else {
            return Item::from([("projectId".to_owned(), text(self.project_id.as_str()))]);
        };
        let mut key = if self.is_membership {
            members::key(&self.project_id, member)
        } else {
            Item::from([("projectId".to_owned(), text(self.project_id.as_str()))])
        };
        key.insert("owner".to_owned(), text(member));
        key.insert("createdAt".to_owned(), text(self.created_at.to_string()));
        key
    }
}

fn page_of(taken: Vec<Entry>, more: bool) -> Page<Project> {
    Page {
        next: taken.last().filter(|_| more).map(Entry::cursor),
        items: taken.into_iter().filter_map(|entry| entry.project).collect(),
    }
}
