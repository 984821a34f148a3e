use bedrock_diy_core::access::Role;
use bedrock_diy_identity::{Identity as _, Refused};
use serde_json::{Value, json};

use super::{World, config, issuer::Issuer, keys::Key, oidc};

#[tokio::test]
async fn a_good_token_says_who_and_what() {
    let world = World::new().await;
    let caller = world.caller(&world.token()).await.unwrap();
    assert_eq!(
        (caller.subject.as_str(), caller.name.as_str(), caller.role),
        ("5f1c", "ada@example.com", Role::Editor)
    );
}

#[tokio::test]
async fn elliptic_curves_sign_as_well() {
    let world = World::new().await;
    let curve = Key::p256();
    world.issuer.state.lock().keys.push(curve.published("curve"));
    let token = curve.token("curve", &world.claims());
    assert_eq!(world.caller(&token).await.unwrap().subject, "5f1c");
    let forged = Key::p256().token("curve", &world.claims());
    assert!(world.why_invalid(&forged).await.contains("signature"));
    // The other key's name: there is none of that name for this algorithm.
    let confused = curve.token("first", &world.claims());
    assert!(world.why_invalid(&confused).await.contains("does not have"));
}

#[tokio::test]
async fn a_token_of_another_key_by_the_same_name_is_forged() {
    let world = World::new().await;
    let forged = Key::rsa(true).token("first", &world.claims());
    assert!(world.why_invalid(&forged).await.contains("signature"));
}

#[tokio::test]
async fn a_token_with_any_letter_changed_is_refused() {
    let world = World::new().await;
    let good = world.token();
    world.caller(&good).await.unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            matches!(world.caller(&changed).await, Err(Refused::Invalid(_))),
            "letter {at}"
        );
    }
}

#[tokio::test]
async fn no_signature_and_a_secret_for_a_signature_are_refused() {
    let world = World::new().await;
    let claims = world.claims();
    for header in [
        json!({"alg": "none", "kid": "first"}),
        json!({"alg": "NONE", "kid": "first"}),
    ] {
        let signed = world.key.token_with(&header, &claims);
        let bare = signed.rsplit_once('.').unwrap().0;
        for token in [format!("{bare}."), signed.clone(), bare.to_owned()] {
            world.why_invalid(&token).await;
        }
    }
    let by_secret = world.key.token_by_secret("first", &claims);
    assert!(world.why_invalid(&by_secret).await.contains("RS256"));
    let empty = world.token();
    let empty = format!("{}.", empty.rsplit_once('.').unwrap().0);
    assert!(world.why_invalid(&empty).await.contains("signature"));
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used() {
    let world = World::new().await;
    let other = Key::rsa(true);
    let header = json!({"alg": "RS256", "kid": "first", "jwk": other.published("first"), "jku": "https://evil.example"});
    let token = other.token_with(&header, &world.claims());
    assert!(world.why_invalid(&token).await.contains("signature"));
    let nameless = other.token_with(
        &json!({"alg": "RS256", "jwk": other.published("x")}),
        &world.claims(),
    );
    assert!(world.why_invalid(&nameless).await.contains("kid"));
}

#[tokio::test]
async fn a_token_counts_in_its_time_only() {
    let world = World::new().await;
    let token = world.token();
    world.caller(&token).await.unwrap();
    world.clock.go_on(300 + 59);
    world.caller(&token).await.unwrap();
    world.clock.go_on(1);
    assert!(world.why_invalid(&token).await.contains("expired"));
    let mut claims = world.claims();
    claims["nbf"] = json!(world.clock.seconds() + 90);
    let early = world.key.token("first", &claims);
    assert!(world.why_invalid(&early).await.contains("nbf"));
    world.clock.go_on(30);
    world.caller(&early).await.unwrap();
}

#[tokio::test]
async fn another_audience_and_another_issuer_are_refused() {
    let world = World::new().await;
    for (claim, value, why) in [
        ("aud", json!("other"), "aud"),
        ("iss", json!("https://issuer.example"), "issuer"),
        ("iss", json!(format!("{}/", world.issuer.url)), "issuer"),
    ] {
        let mut claims = world.claims();
        claims[claim] = value;
        let token = world.key.token("first", &claims);
        assert!(world.why_invalid(&token).await.contains(why));
    }
}

#[tokio::test]
async fn a_huge_token_is_refused_before_anything_is_fetched() {
    let world = World::new().await;
    let mut claims = world.claims();
    claims["more"] = json!("x".repeat(16 * 1024));
    let token = world.key.token("first", &claims);
    assert!(world.why_invalid(&token).await.contains("16 kB"));
    assert_eq!(world.issuer.fetches(), 0);
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused() {
    let world = World::new().await;
    for claims in [json!([]), json!("x"), Value::Null, json!(7)] {
        let token = world.key.token("first", &claims);
        assert!(world.why_invalid(&token).await.contains("claims"));
    }
}

#[tokio::test]
async fn a_user_of_cognito_and_a_machine_client_get_their_roles() {
    let world = World::new().await;
    let (now, iss) = (world.clock.seconds(), &world.issuer.url);
    let user = json!({
        "iss": iss, "sub": "u-1", "username": "ada", "client_id": "api", "token_use": "access",
        "scope": "openid aws.cognito.signin.user.admin", "cognito:groups": ["viewer", "admin"], "exp": now + 300,
    });
    let machine = json!({
        "iss": iss, "sub": "api", "client_id": "api", "token_use": "access",
        "scope": "bedrock-diy/read bedrock-diy/write", "exp": now + 300,
    });
    for (claims, name, role) in [(user, "ada", Role::Admin), (machine, "api", Role::Editor)] {
        let caller = world.caller(&world.key.token("first", &claims)).await.unwrap();
        assert_eq!((caller.name.as_str(), caller.role), (name, role));
    }
    let mut claims = world.claims();
    claims["cognito:groups"] = json!([]);
    let roleless = world.key.token("first", &claims);
    assert!(world.why_invalid(&roleless).await.contains("`cognito:groups`"));
}

#[tokio::test]
async fn keys_may_lie_apart_from_an_issuer_that_can_not_be_reached() {
    let key = Key::rsa(false);
    let issuer = Issuer::start(vec![key.published("first")]).await;
    let world = World::new().await;
    let mut elsewhere = config(&issuer);
    elsewhere.issuer = "https://issuer.invalid/pool".into();
    elsewhere.keys_url = Some(format!("{}/keys", issuer.url));
    let oidc = oidc(elsewhere, &world.clock);
    let mut claims = world.claims();
    claims["iss"] = json!("https://issuer.invalid/pool");
    oidc.caller(&key.token("first", &claims)).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
}
