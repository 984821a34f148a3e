//! Who may do what: a caller's role says what they may at most, their standing to a project what they
//! may there.

use serde::{Deserialize, Serialize};

use crate::project::Project;

/// What somebody may at most, anywhere. Ordered: who may more is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads what they are a member of.
    Viewer,
    /// Makes projects, and works in those that they own or are a member of.
    Editor,
    /// May everything, in every project.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// Its name in JSON, in groups of an identity provider and in documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of that name, written exactly so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// Who it is, for as long as there is such a person or machine: a Cognito user's or another issuer's
    /// `sub`, a machine client's id, the name of a token. Projects name their owner and members by it.
    pub subject: String,
    /// What people call them: an e-mail address, a client's name. Decides nothing.
    pub name: String,
    /// What they may at most.
    pub role: Role,
}

/// Why a token tells nothing. The text is a sentence's worth for people, and may be shown to whoever
/// sent the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Malformed, forged, expired, for somebody else …: 401. Another token is needed.
    #[error("{0}")]
    Invalid(String),
    /// What the token is checked with can't be had now: 503. The same token may do later.
    #[error("{0}")]
    Unavailable(String),
}

impl Refused {
    /// The token is not good, and why.
    #[must_use]
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// What somebody stands to a project as. Ordered: who stands closer is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Neither owns it nor is a member.
    Stranger,
    /// One of its members.
    Member,
    /// Its owner.
    Owner,
}

impl Standing {
    /// Every standing, the least first.
    pub const ALL: [Self; 3] = [Self::Stranger, Self::Member, Self::Owner];
}

/// What can be done to a project. Ordered: who may do one may do those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// See it, and everything in it.
    Read,
    /// Change what is in it: cards, articles, jobs, sessions, hooks.
    Write,
    /// Change the project itself: name, settings, members, status; delete it.
    Manage,
}

impl Action {
    /// Every action, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Manage];
}

/// What to answer to somebody who asks for something in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Decision {
    /// They may.
    Allowed,
    /// They may know of it, and not do this: 403.
    Forbidden,
    /// They may not even know of it: 404, as if it weren't there.
    Unknown,
}

/// What a caller stands to a project as.
#[must_use]
pub fn standing(caller: &Caller, project: &Project) -> Standing {
    if project.owner == caller.subject {
        Standing::Owner
    } else if project.members.contains(&caller.subject) {
        Standing::Member
    } else {
        Standing::Stranger
    }
}

/// Whether a caller may do something to a project.
pub fn decide(caller: &Caller, project: &Project, action: Action) -> Decision {
    let most = match (caller.role, standing(caller, project)) {
        (Role::Admin, _) | (Role::Editor, Standing::Owner) => Action::Manage,
        (_, Standing::Stranger) => return Decision::Unknown,
        (Role::Editor, Standing::Member) => Action::Write,
        (Role::Viewer, Standing::Member | Standing::Owner) => Action::Read,
    };
    if action <= most {
        Decision::Allowed
    } else {
        Decision::Forbidden
    }
}

/// Whether a caller may make projects.
#[must_use]
pub fn may_create(caller: &Caller) -> bool {
    caller.role >= Role::Editor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Caller {
        Caller {
            subject: "ada".into(),
            name: "ada@example.com".into(),
            role,
        }
    }

    /// A project that `ada` stands to so.
    fn project(standing: Standing) -> Project {
        let owner = if standing == Standing::Owner {
            "ada"
        } else {
            "grace"
        };
        let member = if standing == Standing::Member {
            "ada"
        } else {
            "ada@example.com"
        };
        serde_json::from_value(serde_json::json!({
            "projectId": "news", "name": "News", "owner": owner, "members": ["linus", member],
            "status": "ACTIVE", "version": 1,
            "createdAt": "2026-11-23T01:00:00.000Z", "updatedAt": "2026-11-23T01:00:00.000Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_whole_table_of_who_may_what() {
        use Action::{Manage, Read, Write};
        use Decision::{Allowed, Forbidden, Unknown};
        use Role::{Admin, Editor, Viewer};
        use Standing::{Member, Owner, Stranger};
        #[rustfmt::skip]
        let table = [
            (Viewer, Stranger, Read, Unknown), (Viewer, Stranger, Write, Unknown),   (Viewer, Stranger, Manage, Unknown),
            (Viewer, Member,   Read, Allowed), (Viewer, Member,   Write, Forbidden), (Viewer, Member,   Manage, Forbidden),
            (Viewer, Owner,    Read, Allowed), (Viewer, Owner,    Write, Forbidden), (Viewer, Owner,    Manage, Forbidden),
            (Editor, Stranger, Read, Unknown), (Editor, Stranger, Write, Unknown),   (Editor, Stranger, Manage, Unknown),
            (Editor, Member,   Read, Allowed), (Editor, Member,   Write, Allowed),   (Editor, Member,   Manage, Forbidden),
            (Editor, Owner,    Read, Allowed), (Editor, Owner,    Write, Allowed),   (Editor, Owner,    Manage, Allowed),
            (Admin,  Stranger, Read, Allowed), (Admin,  Stranger, Write, Allowed),   (Admin,  Stranger, Manage, Allowed),
            (Admin,  Member,   Read, Allowed), (Admin,  Member,   Write, Allowed),   (Admin,  Member,   Manage, Allowed),
            (Admin,  Owner,    Read, Allowed), (Admin,  Owner,    Write, Allowed),   (Admin,  Owner,    Manage, Allowed),
        ];
        let mut asked = table.iter();
        for role in Role::ALL {
            for standing in Standing::ALL {
                for action in Action::ALL {
                    let (_, _, _, expected) = asked
                        .next()
                        .filter(|row| (row.0, row.1, row.2) == (role, standing, action))
                        .unwrap();
                    let decision = decide(&caller(role), &project(standing), action);
                    assert_eq!(decision, *expected, "{role} {standing:?} {action:?}");
                }
            }
        }
        assert_eq!(asked.next(), None);
    }

    #[test]
    fn somebody_is_known_by_subject_and_never_by_name() {
        for expected in Standing::ALL {
            assert_eq!(standing(&caller(Role::Editor), &project(expected)), expected);
        }
    }

    #[test]
    fn editors_and_admins_make_projects() {
        assert_eq!(
            Role::ALL.map(|role| may_create(&caller(role))),
            [false, true, true]
        );
    }

    #[test]
    fn a_role_is_found_by_the_name_that_it_has_in_json() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::from_name("Admin"), None);
    }
}
