use std::{net::TcpListener, sync::Arc};

use bedrock_diy_identity::{Identity as _, Refused};

use super::{
    World, config,
    issuer::{Mood, State},
    keys::Key,
    oidc,
};

#[tokio::test]
async fn keys_are_fetched_once_for_many_callers() {
    let world = World::new().await;
    let token = world.token();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (oidc, token) = (Arc::clone(&world.oidc), token.clone());
            tokio::spawn(async move { oidc.caller(&token).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(world.issuer.fetches(), 1);
    world.clock.go_on(200);
    world.caller(&token).await.unwrap();
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_fetch_for_others() {
    let world = World::new().await;
    world.issuer.state.lock().mood = Mood::Slow;
    let (oidc, token) = (Arc::clone(&world.oidc), world.token());
    let first = tokio::spawn(async move { oidc.caller(&token).await });
    world.issuer.asked.notified().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.issuer.let_go();
    world.caller(&world.token()).await.unwrap();
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn an_unknown_key_has_them_fetched_once_in_thirty_seconds() {
    let world = World::new().await;
    world.caller(&world.token()).await.unwrap();
    let made_up = |n: i32| world.key.token(&format!("made-up-{n}"), &world.claims());
    for n in 0..20 {
        assert!(world.why_invalid(&made_up(n)).await.contains("does not have"));
    }
    assert_eq!(world.issuer.fetches(), 1, "they are as fresh as can be");
    world.clock.go_on(30);
    for n in 0..20 {
        world.why_invalid(&made_up(n)).await;
    }
    assert_eq!(world.issuer.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_counts_when_it_is_first_seen_and_an_old_one_until_the_next_fetch() {
    let world = World::new().await;
    let old = world.token();
    world.caller(&old).await.unwrap();
    let second = Key::rsa(true);
    world.issuer.state.lock().keys = vec![second.published("second")];
    world.clock.go_on(60);
    world.caller(&old).await.unwrap();
    let new = second.token("second", &world.claims());
    world.caller(&new).await.unwrap();
    assert_eq!(world.issuer.fetches(), 2);
    assert!(world.why_invalid(&old).await.contains("does not have"));
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_refused_after_ten_minutes() {
    let world = World::new().await;
    world.caller(&world.token()).await.unwrap();
    world.issuer.state.lock().keys = vec![Key::rsa(true).published("second")];
    world.clock.go_on(599);
    world.caller(&world.token()).await.unwrap();
    world.clock.go_on(1);
    assert!(world.why_invalid(&world.token()).await.contains("does not have"));
}

#[tokio::test]
async fn keys_serve_on_for_a_day_while_the_issuer_is_away() {
    let world = World::new().await;
    world.caller(&world.token()).await.unwrap();
    world.issuer.state.lock().mood = Mood::Away;
    for _ in 0..23 {
        world.clock.go_on(3_600);
        world.caller(&world.token()).await.unwrap();
    }
    // Nobody knows whether the issuer has such a key.
    let unknown = world.key.token("second", &world.claims());
    assert!(world.is_unavailable(&unknown).await);
    world.clock.go_on(3_600);
    assert!(world.is_unavailable(&world.token()).await);
    world.issuer.state.lock().mood = Mood::Well;
    world.clock.go_on(5);
    world.caller(&world.token()).await.unwrap();
}

#[tokio::test]
async fn while_one_asks_an_issuer_that_does_not_answer_others_go_on() {
    let world = World::new().await;
    world.caller(&world.token()).await.unwrap();
    world.issuer.asked.notified().await;
    world.issuer.state.lock().mood = Mood::Slow;
    world.clock.go_on(600);
    let (oidc, token) = (Arc::clone(&world.oidc), world.token());
    let asks = tokio::spawn(async move { oidc.caller(&token).await });
    world.issuer.asked.notified().await;
    world.caller(&world.token()).await.unwrap();
    assert!(!asks.is_finished());
    world.issuer.let_go();
    asks.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_no_fault_of_the_token() {
    let world = World::new().await;
    // A port that was free a moment ago: nobody answers there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(&world.issuer);
    config.issuer = format!("http://{nobody}");
    let oidc = oidc(config, &world.clock);
    let refused = oidc.caller(&world.token()).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable(_)), "{refused}");
}

type Change = fn(&mut State);

/// As it was in the beginning.
fn mend(state: &mut State, world: &World) {
    state.mood = Mood::Well;
    state.keys = vec![world.key.published("first")];
    (state.calls_itself, state.keys_at) = (None, None);
}

#[tokio::test]
async fn what_is_no_issuers_answer_is_not_believed_and_asked_for_again_later() {
    let world = World::new().await;
    let changes: [(&str, Change); 6] = [
        ("away", |state| state.mood = Mood::Away),
        ("too long", |state| state.mood = Mood::Endless),
        ("elsewhere", |state| state.mood = Mood::Redirects),
        ("another issuer", |state| {
            state.calls_itself = Some("https://issuer.example".into());
        }),
        ("plain keys", |state| {
            state.keys_at = Some("http://issuer.example/keys".into());
        }),
        ("no keys", |state| state.keys.clear()),
    ];
    for (what, change) in changes {
        change(&mut world.issuer.state.lock());
        assert!(world.is_unavailable(&world.token()).await, "{what}");
        mend(&mut world.issuer.state.lock(), &world);
        assert!(
            world.is_unavailable(&world.token()).await,
            "{what}: not at once again"
        );
        world.clock.go_on(5);
        let oidc = oidc(config(&world.issuer), &world.clock);
        oidc.caller(&world.token()).await.unwrap();
    }
    world.caller(&world.token()).await.unwrap();
}
