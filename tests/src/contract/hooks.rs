use bedrock_diy_core::{
    HookId, ProjectId,
    hook::{Hook, Mapping, Scheme, Secret, TextType},
    intake::Lane,
    ports::{Hooks, Saved, SecretName, Secrets},
};

use super::now;

fn hook(project: &str, number: u128) -> Hook {
    Hook {
        project_id: ProjectId::new(project).unwrap(),
        hook_id: id(project, number),
        name: "블로그".into(),
        scheme: Scheme::HubSha256 {
            header: Some("X-Signature".into()),
        },
        mapping: Mapping {
            text: "/post/content".into(),
            title: Some("/post/title".into()),
            metadata: [("author".to_owned(), "/post/author".to_owned())].into(),
            media_type: TextType::Html,
            ..Mapping::default()
        },
        lane: Lane::Live,
        is_active: true,
        created_by: "somebody".into(),
        created_at: now(),
        updated_at: now(),
        version: 1,
        deleted_at: None,
    }
}

/// Hooks of other projects have other ids, as those that are drawn have.
fn id(project: &str, number: u128) -> HookId {
    let place = project.bytes().fold(0, |sum, byte| sum * 256 + u128::from(byte));
    HookId::fresh(now(), place << 16 | number)
}

/// A hook is what was stored last; one that nobody has stored is none.
pub async fn a_hook_is_what_was_stored_last(hooks: &dyn Hooks) {
    let first = hook("h-last", 1);
    let find = || hooks.hook(&first.project_id, &first.hook_id);
    assert_eq!(find().await.unwrap(), None);
    assert_eq!(hooks.by_id(&first.hook_id).await.unwrap(), None);
    assert_eq!(hooks.put_hook(&first, None).await.unwrap(), Saved::Done);
    assert_eq!(find().await.unwrap().as_ref(), Some(&first));
    assert_eq!(hooks.by_id(&first.hook_id).await.unwrap().as_ref(), Some(&first));
    let second = Hook {
        scheme: Scheme::Ghost {},
        mapping: Mapping {
            text: "/text".into(),
            ..Mapping::default()
        },
        is_active: false,
        version: 2,
        ..first.clone()
    };
    assert_eq!(hooks.put_hook(&second, Some(&first)).await.unwrap(), Saved::Done);
    assert_eq!(find().await.unwrap().as_ref(), Some(&second));
    assert_eq!(hooks.by_id(&first.hook_id).await.unwrap(), Some(second));
}

/// A hook is found in its own project and in no other.
pub async fn a_hook_is_its_projects(hooks: &dyn Hooks) {
    let (mine, yours) = (hook("h-mine", 1), hook("h-your", 1));
    for hook in [&mine, &yours] {
        assert_eq!(hooks.put_hook(hook, None).await.unwrap(), Saved::Done);
    }
    let found = hooks.hook(&yours.project_id, &mine.hook_id).await.unwrap();
    assert_eq!(found, None);
    assert_eq!(hooks.hooks(&mine.project_id).await.unwrap(), [mine]);
}

/// A list has the hooks in the order in which they were made.
pub async fn hooks_are_listed_in_their_order(hooks: &dyn Hooks) {
    let mut made: Vec<_> = (1..=5).map(|number| hook("h-list", number)).collect();
    for hook in made.iter().rev() {
        assert_eq!(hooks.put_hook(hook, None).await.unwrap(), Saved::Done);
    }
    made.sort_by(|a, b| a.hook_id.cmp(&b.hook_id));
    assert_eq!(hooks.hooks(&made[0].project_id).await.unwrap(), made);
    let nobody = ProjectId::new("h-none").unwrap();
    assert_eq!(hooks.hooks(&nobody).await.unwrap(), []);
}

/// Who has not read the newest version of a hook changes nothing; a first try whose answer was lost counts.
pub async fn a_stale_hook_is_not_stored(hooks: &dyn Hooks) {
    let first = hook("h-stale", 1);
    let edit = |name: &str| Hook {
        name: name.into(),
        version: 2,
        ..first.clone()
    };
    let (mine, yours) = (edit("Mine"), edit("Yours"));
    let never_stored = hooks.put_hook(&mine, Some(&first)).await.unwrap();
    assert_eq!(never_stored, Saved::Stale);
    assert_eq!(hooks.put_hook(&first, None).await.unwrap(), Saved::Done);
    assert_eq!(hooks.put_hook(&first, None).await.unwrap(), Saved::Done);
    let other = Hook {
        name: "Another of this id".into(),
        ..first.clone()
    };
    assert_eq!(hooks.put_hook(&other, None).await.unwrap(), Saved::Stale);
    let saved = tokio::join!(
        hooks.put_hook(&mine, Some(&first)),
        hooks.put_hook(&yours, Some(&first))
    );
    let kept = match (saved.0.unwrap(), saved.1.unwrap()) {
        (Saved::Done, Saved::Stale) => mine,
        (Saved::Stale, Saved::Done) => yours,
        other => panic!("{other:?}"),
    };
    assert_eq!(hooks.put_hook(&kept, Some(&first)).await.unwrap(), Saved::Done);
    assert_eq!(hooks.by_id(&first.hook_id).await.unwrap(), Some(kept));
}

/// A deleted hook is found nowhere, and its id is not to be had again.
pub async fn a_deleted_hook_is_found_no_more(hooks: &dyn Hooks) {
    let (kept, first) = (hook("h-gone", 1), hook("h-gone", 2));
    for hook in [&kept, &first] {
        assert_eq!(hooks.put_hook(hook, None).await.unwrap(), Saved::Done);
    }
    let deleted = Hook {
        deleted_at: Some(now()),
        version: 2,
        ..first.clone()
    };
    assert_eq!(hooks.put_hook(&deleted, Some(&first)).await.unwrap(), Saved::Done);
    assert_eq!(hooks.hook(&first.project_id, &first.hook_id).await.unwrap(), None);
    assert_eq!(hooks.by_id(&first.hook_id).await.unwrap(), None);
    assert_eq!(hooks.hooks(&kept.project_id).await.unwrap(), [kept]);
    assert_eq!(hooks.put_hook(&first, None).await.unwrap(), Saved::Stale);
}

/// Secrets are what was stored last, in their order; what was removed is gone, and may be removed again.
pub async fn secrets_are_what_was_stored_last(secrets: &dyn Secrets) {
    let name = SecretName::of_hook(&id("secret", 1));
    let other = SecretName::of_hook(&id("secret", 2));
    let texts = async |name: &SecretName| {
        let found = secrets.get(name).await.unwrap();
        found
            .iter()
            .map(|secret| secret.reveal().to_owned())
            .collect::<Vec<_>>()
    };
    let all = |texts: &[&str]| -> Vec<_> {
        texts
            .iter()
            .map(|text| Secret::stored((*text).to_owned()))
            .collect()
    };
    secrets.delete(&name).await.unwrap();
    assert_eq!(texts(&name).await, Vec::<String>::new());
    let awkward = "열여섯 바이트가 넘는 \"비밀\" \\ {{ssm:x}}";
    let old = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    secrets.put(&name, &all(&[old])).await.unwrap();
    secrets.put(&other, &all(&["of another hook"])).await.unwrap();
    assert_eq!(texts(&name).await, [old]);
    secrets.put(&name, &all(&[awkward, old])).await.unwrap();
    assert_eq!(texts(&name).await, [awkward, old]);
    let long = "a".repeat(256);
    secrets.put(&name, &all(&[&long, &long])).await.unwrap();
    assert_eq!(texts(&name).await, [long.as_str(), &long]);
    secrets.delete(&name).await.unwrap();
    assert_eq!(texts(&name).await, Vec::<String>::new());
    assert_eq!(texts(&other).await, ["of another hook"]);
}
