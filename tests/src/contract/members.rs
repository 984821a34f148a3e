use bedrock_diy_core::{
    Code, limits,
    page::PageRequest,
    ports::Projects,
    project::{Project, ProjectStatus},
    time::Timestamp,
};

use super::{
    now,
    projects::{ids_of, project, save},
};

/// Somebody's list has what they own and what they are a member of, once each; whoever is none any more finds it no
/// longer.
pub async fn a_list_has_what_somebody_owns_and_is_a_member_of(projects: &dyn Projects) {
    let (ada, bob) = ("ada of the members", "bob of the members");
    let made = |number: i64, owner: &str, members: &[&str]| Project {
        owner: owner.into(),
        members: members.iter().map(|&member| member.into()).collect(),
        created_at: Timestamp::from_millis(now().millis() + number * 1_000),
        ..project(&format!("members-{number}"))
    };
    let mut stored = vec![
        made(0, ada, &[bob]),
        made(1, bob, &[ada]),
        // Named twice, and its owner as well.
        made(2, bob, &[ada, ada, bob]),
        made(3, ada, &[]),
        made(4, bob, &[]),
        made(5, "cyd of the members", &[ada, bob]),
    ];
    for project in &stored {
        save(projects, project, None).await;
    }
    let ids = |numbers: &[u32]| -> Vec<String> {
        let id = |number: &u32| format!("members-{number}");
        numbers.iter().map(id).collect()
    };
    for limit in [1, 2, 100] {
        assert_eq!(ids_of(projects, Some(ada), limit).await, ids(&[5, 3, 2, 1, 0]));
        assert_eq!(ids_of(projects, Some(bob), limit).await, ids(&[5, 4, 2, 1, 0]));
        assert_eq!(ids_of(projects, Some("nobody"), limit).await, ids(&[]));
    }
    let mut change = async |number: usize, change: &dyn Fn(&mut Project)| {
        let before = stored[number].clone();
        change(&mut stored[number]);
        stored[number].version += 1;
        save(projects, &stored[number], Some(&before)).await;
    };
    change(5, &|project| project.members = vec![bob.into()]).await;
    change(4, &|project| project.members = vec![ada.into()]).await;
    // Members stay what they are where something else is changed.
    change(1, &|project| project.name = "Renamed".into()).await;
    change(0, &|project| {
        project.owner = bob.into();
        project.members = vec![ada.into()];
    })
    .await;
    assert_eq!(ids_of(projects, Some(ada), 2).await, ids(&[4, 3, 2, 1, 0]));
    assert_eq!(ids_of(projects, Some(bob), 2).await, ids(&[5, 4, 2, 1, 0]));
    let all = ids_of(projects, None, 7).await;
    for id in ids(&[0, 1, 2, 3, 4, 5]) {
        assert_eq!(all.iter().filter(|found| **found == id).count(), 1, "{id}");
    }
    for cursor in ["", "~", "nonsense", "2026~x", "2026-11-23T01:00:00.000Z~É"] {
        let page = PageRequest {
            limit: 2,
            cursor: Some(cursor.into()),
        };
        let refused = projects.projects(Some(ada), &page).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidRequest, "{cursor}");
    }
}

/// All members may be exchanged at once, as many as there may be.
pub async fn all_members_may_be_exchanged(projects: &dyn Projects) {
    let name = |kind: &str, number: usize| format!("{kind} member {number}");
    let all = |kind: &str| (0..limits::MEMBERS).map(|number| name(kind, number)).collect();
    let before = Project {
        members: all("old"),
        ..project("exchanged")
    };
    let after = Project {
        members: all("new"),
        version: 2,
        ..before.clone()
    };
    save(projects, &before, None).await;
    save(projects, &after, Some(&before)).await;
    for number in 0..limits::MEMBERS {
        let found = async |kind: &str| ids_of(projects, Some(&name(kind, number)), 5).await;
        assert_eq!(found("old").await, [] as [&str; 0]);
        assert_eq!(found("new").await, ["exchanged"]);
    }
}

/// A deleted project is in no list, and is read all the same; lists go on behind it.
pub async fn a_deleted_project_is_in_no_list(projects: &dyn Projects) {
    let (owner, member) = ("the owner of deleted ones", "a member of deleted ones");
    let made = |number: i64| Project {
        owner: owner.into(),
        members: vec![member.into()],
        created_at: Timestamp::from_millis(now().millis() + number),
        ..project(&format!("deleted-{number}"))
    };
    let mut stays = Vec::new();
    // More of them in a row than an adapter looks at together.
    for number in (0..70).rev() {
        let alive = made(number);
        save(projects, &alive, None).await;
        if number % 35 == 0 {
            stays.push(alive.project_id.to_string());
            continue;
        }
        let deleted = Project {
            deleted_at: Some(now()),
            status: ProjectStatus::Inactive,
            version: 2,
            ..alive.clone()
        };
        save(projects, &deleted, Some(&alive)).await;
        let read = projects.project(&alive.project_id).await.unwrap();
        assert_eq!(read, Some(deleted));
    }
    for caller in [owner, member] {
        for limit in [1, 2, 3] {
            assert_eq!(ids_of(projects, Some(caller), limit).await, stays);
        }
    }
    let all = ids_of(projects, None, 10).await;
    let left = all.iter().filter(|id| id.starts_with("deleted-")).count();
    assert_eq!(left, stays.len());

    let deleted = projects.project(&made(1).project_id).await.unwrap().unwrap();
    let back = Project {
        version: 3,
        ..made(1)
    };
    save(projects, &back, Some(&deleted)).await;
    stays.insert(1, "deleted-1".into());
    for caller in [owner, member] {
        assert_eq!(ids_of(projects, Some(caller), 2).await, stays);
    }
}
