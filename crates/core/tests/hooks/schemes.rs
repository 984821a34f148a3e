//! What each scheme takes and refuses.

use bedrock_diy_core::{
    hook::{Refusal, Scheme, Secret},
    text::sha256_hex,
    time::Timestamp,
};

use crate::sender::{MINUTE, NOW, Sent, hook, schemes, secret};

const BODY: &str = r#"{"text": "다리가 열렸다.", "delivery": 7}"#;

fn sent(scheme: &Scheme, at: Timestamp) -> Sent {
    Sent::new(BODY).signed(scheme, secret(scheme, 1).reveal(), at)
}

#[test]
fn the_specifications_own_example_of_standard_webhooks_is_taken() {
    let scheme = Scheme::StandardWebhooks {};
    let secrets = [Secret::given(&scheme, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()];
    let sent = Sent::new(r#"{"email":"test@example.com","username":"test_user"}"#)
        .with("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk")
        .with("webhook-timestamp", "1649367553")
        .with(
            "webhook-signature",
            "v1,AAAA v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        );
    let now = Timestamp::from_millis(1_649_367_553_000);
    let delivery = sent.verified(&hook(&scheme), &secrets, now).unwrap();
    assert_eq!(delivery, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
}

#[test]
fn githubs_own_example_is_taken_in_each_of_its_forms() {
    let secret = Secret::stored("It's a Secret to Everybody".into());
    for (header, value) in [
        (
            None,
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        (
            Some("X-Signature"),
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        (
            Some("X-WC-Webhook-Signature"),
            "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=",
        ),
    ] {
        let scheme = Scheme::HubSha256 {
            header: header.map(str::to_owned),
        };
        let name = header.unwrap_or("X-Hub-Signature-256");
        let sent = Sent::new("Hello, World!").with(name, value);
        let delivery = sent
            .verified(&hook(&scheme), std::slice::from_ref(&secret), NOW)
            .unwrap();
        assert_eq!(delivery, sha256_hex(b"Hello, World!"));
    }
}

/// Signed by `signRequest` of `@contentful/node-apps-toolkit` 3.16.
#[test]
fn what_contentfuls_own_toolkit_signs_is_taken() {
    let scheme = Scheme::Contentful {};
    let secret = "0f4c1be7a9d853620f4c1be7a9d853620f4c1be7a9d853620f4c1be7a9d85362";
    let secrets = [Secret::given(&scheme, secret).unwrap()];
    let mut sent = Sent::new(r#"{"fields":{"title":"新桥"}}"#)
        .with("x-contentful-topic", "ContentManagement.Entry.publish")
        .with("x-contentful-webhook-name", b" R\xe9daction ".to_vec())
        .with("x-contentful-idempotency-key", "4b6d")
        .with("x-contentful-timestamp", "1795395600000")
        .with(
            "x-contentful-signed-headers",
            "x-contentful-idempotency-key,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic,x-contentful-webhook-name",
        )
        .with(
            "x-contentful-signature",
            "ed636ccc1c0cb4204a3965d3433f624392608d125b8e1fde1d15e843fafde441",
        );
    sent.target = "/prod/hooks/01KJ8Z6Q3V9WX4T2M5N7P0R1S4?source=cms&x=(1)".into();
    let delivery = sent.verified(&hook(&scheme), &secrets, NOW).unwrap();
    assert_eq!(delivery, "4b6d");
}

#[test]
fn either_of_two_secrets_does_while_they_are_changed() {
    for scheme in schemes() {
        let (old, new) = (secret(&scheme, 1), secret(&scheme, 2));
        let hook = hook(&scheme);
        for signer in [&old, &new] {
            let sent = Sent::new(BODY).signed(&scheme, signer.reveal(), NOW);
            sent.verified(&hook, &[new.clone(), old.clone()], NOW).unwrap();
        }
        let sent = Sent::new(BODY).signed(&scheme, old.reveal(), NOW);
        assert_eq!(
            sent.verified(&hook, &[new], NOW),
            Err(Refusal::BadSignature),
            "{scheme:?}"
        );
        assert_eq!(
            sent.verified(&hook, &[], NOW),
            Err(Refusal::BadSignature),
            "{scheme:?}"
        );
    }
}

#[test]
fn what_was_signed_long_ago_or_not_yet_is_refused() {
    for scheme in [
        Scheme::StandardWebhooks {},
        Scheme::Ghost {},
        Scheme::Contentful {},
    ] {
        let verified = |at: i64| {
            let sent = sent(&scheme, NOW.plus_millis(at));
            sent.verified(&hook(&scheme), &[secret(&scheme, 1)], NOW)
        };
        verified(-5 * MINUTE).unwrap();
        verified(5 * MINUTE).unwrap();
        assert_eq!(
            verified(-5 * MINUTE - 1_000),
            Err(Refusal::TooOld { seconds: 301 })
        );
        assert_eq!(
            verified(5 * MINUTE + 1_000),
            Err(Refusal::FromTheFuture { seconds: 301 })
        );
    }
}

#[test]
fn whoever_can_not_sign_learns_nothing_of_the_clock() {
    for scheme in [
        Scheme::StandardWebhooks {},
        Scheme::Ghost {},
        Scheme::Contentful {},
    ] {
        let sent = sent(&scheme, Timestamp::from_millis(0));
        let refusal = sent.verified(&hook(&scheme), &[secret(&scheme, 2)], NOW);
        assert_eq!(refusal, Err(Refusal::BadSignature), "{scheme:?}");
    }
}

#[test]
fn a_missing_header_is_named() {
    for scheme in schemes() {
        let whole = sent(&scheme, NOW);
        for name in whole.headers.keys() {
            for without in [whole.clone().without(name), whole.clone().with(name, " ")] {
                let refusal = without.verified(&hook(&scheme), &[secret(&scheme, 1)], NOW);
                let Err(Refusal::MissingSignature(missing)) = refusal else {
                    panic!("{scheme:?}: {refusal:?}")
                };
                assert!(missing.eq_ignore_ascii_case(name), "{missing} is not {name}");
            }
        }
    }
}

#[test]
fn headers_that_are_not_ascii_or_far_too_long_are_refused() {
    for scheme in schemes() {
        let whole = sent(&scheme, NOW);
        for name in whole.headers.keys() {
            for wrong in ["서명".as_bytes().to_vec(), vec![0xff; 20], vec![b'a'; 10_000]] {
                let refusal =
                    whole
                        .clone()
                        .with(name, wrong)
                        .verified(&hook(&scheme), &[secret(&scheme, 1)], NOW);
                assert!(matches!(refusal, Err(Refusal::Malformed(_))), "{scheme:?} {name}");
            }
        }
    }
}

#[test]
fn the_id_of_a_delivery_is_the_bodys_then_the_schemes_then_the_bodys_digest() {
    for scheme in schemes() {
        let sent = sent(&scheme, NOW);
        let own = match &scheme {
            Scheme::StandardWebhooks {} => "msg_1".to_owned(),
            _ => sha256_hex(BODY.as_bytes()),
        };
        let secrets = [secret(&scheme, 1)];
        let mut hook = hook(&scheme);
        assert_eq!(sent.verified(&hook, &secrets, NOW).unwrap(), own, "{scheme:?}");
        hook.mapping.delivery_id = Some("/delivery".into());
        let delivery = sent.verified(&hook, &secrets, NOW).unwrap();
        assert_eq!(delivery, "7");
        hook.mapping.delivery_id = Some("/text/7".into());
        assert_eq!(sent.verified(&hook, &secrets, NOW).unwrap(), own, "{scheme:?}");
    }
}

#[test]
fn a_header_names_a_delivery_only_where_its_sender_is_trusted_or_has_signed_it() {
    let bearer = Scheme::Bearer {
        delivery_id_header: Some("Idempotency-Key".into()),
    };
    let named =
        |scheme: &Scheme, sent: Sent| sent.verified(&hook(scheme), &[secret(scheme, 1)], NOW).unwrap();
    let (by_header, by_digest) = ("abc".to_owned(), sha256_hex(BODY.as_bytes()));
    assert_eq!(
        named(&bearer, sent(&bearer, NOW).with("Idempotency-Key", "abc")),
        by_header
    );
    let hub = Scheme::HubSha256 { header: None };
    let forged = sent(&hub, NOW).with("X-GitHub-Delivery", "abc");
    assert_eq!(named(&hub, forged), by_digest);
    let contentful = Scheme::Contentful {};
    let key = "X-Contentful-Idempotency-Key";
    let forged = sent(&contentful, NOW).with(key, "abc");
    assert_eq!(named(&contentful, forged), by_digest);
    let signed = Sent::new(BODY)
        .with(key, "abc")
        .signed(&contentful, secret(&contentful, 1).reveal(), NOW);
    assert_eq!(named(&contentful, signed), by_header);
}

#[test]
fn contentfuls_list_of_headers_must_cover_the_time() {
    let scheme = Scheme::Contentful {};
    let sent = sent(&scheme, NOW).with("x-contentful-signed-headers", "x-contentful-signed-headers");
    let refusal = sent.verified(&hook(&scheme), &[secret(&scheme, 1)], NOW);
    assert!(matches!(refusal, Err(Refusal::Malformed(_))), "{refusal:?}");
}

#[test]
fn an_id_that_could_be_read_in_two_ways_is_refused() {
    let scheme = Scheme::StandardWebhooks {};
    let sent = sent(&scheme, NOW).with("webhook-id", "msg.1");
    let refusal = sent.verified(&hook(&scheme), &[secret(&scheme, 1)], NOW);
    assert!(matches!(refusal, Err(Refusal::Malformed(_))), "{refusal:?}");
}

#[test]
fn a_refusal_says_what_to_do_and_tells_no_secret() {
    for refusal in [
        Refusal::MissingSignature("x-ghost-signature".into()),
        Refusal::BadSignature,
        Refusal::TooOld { seconds: 400 },
        Refusal::FromTheFuture { seconds: 400 },
    ] {
        let said = refusal.to_string();
        assert!(said.contains("the delivery") && said.contains(':'), "{said}");
    }
}
