//! From the claims of a token that is surely the issuer's to a caller.

use bedrock_diy_core::{access::Caller, time::Timestamp};
use serde_json::Value;

use super::{config::OidcConfig, role, token::Claims};
use crate::Refused;

/// Who these claims are about, where they are for this API and count now.
pub(super) fn check(claims: &Claims, config: &OidcConfig, now: Timestamp) -> Result<Caller, Refused> {
    if text(claims, "iss") != Some(&config.issuer) {
        return Err(Refused::invalid("the token is another issuer's"));
    }
    check_audience(claims, config)?;
    check_time(claims, config, now)?;
    let subject =
        text(claims, "sub").ok_or_else(|| Refused::invalid("the token does not say whose it is (`sub`)"))?;
    let role = role::of(claims, config)?;
    // Cognito's access tokens have the user's name in `username`, its ID tokens in `cognito:username`.
    let name = [
        "email",
        "preferred_username",
        "cognito:username",
        "username",
        "client_id",
    ]
    .into_iter()
    .find_map(|claim| text(claims, claim));
    Ok(Caller {
        subject: subject.to_owned(),
        name: name.unwrap_or(subject).to_owned(),
        role,
    })
}

fn check_audience(claims: &Claims, config: &OidcConfig) -> Result<(), Refused> {
    let expected = |name: &str| config.audiences.iter().any(|audience| audience == name);
    let for_us = match (claims.get("token_use"), claims.get("aud")) {
        // Cognito's access tokens name the client that they were made for, and have no audience unless
        // one was asked for.
        (Some(Value::String(usage)), None) if usage == "access" => {
            text(claims, "client_id").is_some_and(expected)
        }
        (Some(Value::String(usage)), _) if usage != "access" && usage != "id" => {
            return Err(Refused::invalid(
                "the token is neither an access token nor an ID token (`token_use`)",
            ));
        }
        (None | Some(Value::String(_)), Some(Value::String(audience))) => expected(audience),
        (None | Some(Value::String(_)), Some(Value::Array(audiences))) => {
            audiences.iter().filter_map(Value::as_str).any(expected)
        }
        _ => false,
    };
    if for_us {
        Ok(())
    } else {
        Err(Refused::invalid(
            "the token is not for this API (`aud` or `client_id`)",
        ))
    }
}

fn check_time(claims: &Claims, config: &OidcConfig, now: Timestamp) -> Result<(), Refused> {
    // Seconds since 1970, with a fraction where somebody likes it (RFC 7519, NumericDate).
    let moment = |claim: &str| match claims.get(claim) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| Refused::invalid(format!("the token's `{claim}` is no moment in seconds"))),
    };
    let now = now.millis() as f64 / 1_000.0;
    let leeway = config.leeway.as_secs_f64();
    let expires =
        moment("exp")?.ok_or_else(|| Refused::invalid("the token does not say when it expires (`exp`)"))?;
    if now >= expires + leeway {
        return Err(Refused::invalid("the token has expired"));
    }
    if moment("nbf")?.is_some_and(|from| from > now + leeway) {
        return Err(Refused::invalid("the token does not count yet (`nbf`)"));
    }
    if moment("iat")?.is_some_and(|made| made > now + leeway) {
        return Err(Refused::invalid(
            "the token was made in the future (`iat`): its issuer's clock or this server's is wrong",
        ));
    }
    Ok(())
}

/// A claim that is a text, and not an empty one.
fn text<'a>(claims: &'a Claims, claim: &str) -> Option<&'a str> {
    claims.get(claim)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::access::Role;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn config() -> OidcConfig {
        OidcConfig::new("https://issuer.example", "api")
    }

    /// Good claims, with these in place of theirs; `null` takes one away.
    fn checked(changes: Value) -> Result<Caller, String> {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "api", "sub": "5f1c",
            "exp": NOW + 300, "iat": NOW, "cognito:groups": ["editor"],
        });
        let Value::Object(changes) = changes else {
            panic!("{changes}");
        };
        for (claim, value) in changes {
            claims[claim] = value;
        }
        let mut claims = claims.as_object().unwrap().clone();
        claims.retain(|_, value| !value.is_null());
        check(&claims, &config(), Timestamp::from_millis(NOW * 1_000)).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_caller_is_known_by_sub_and_called_by_the_friendliest_name() {
        let caller = checked(json!({"email": "ada@example.com", "username": "ada"})).unwrap();
        assert_eq!(
            caller,
            Caller {
                subject: "5f1c".into(),
                name: "ada@example.com".into(),
                role: Role::Editor
            }
        );
        assert_eq!(checked(json!({"cognito:username": "ada"})).unwrap().name, "ada");
        assert_eq!(checked(json!({})).unwrap().name, "5f1c");
    }

    #[test]
    fn a_token_for_somebody_else_is_refused() {
        for good in [
            json!({"aud": ["other", "api"]}),
            json!({"token_use": "id"}),
            json!({"token_use": "access", "aud": null, "client_id": "api"}),
            json!({"token_use": "access", "client_id": "web"}),
        ] {
            assert!(checked(good.clone()).is_ok(), "{good}");
        }
        for bad in [
            json!({"aud": null}),
            json!({"aud": "other"}),
            json!({"aud": ["other"]}),
            json!({"aud": []}),
            json!({"aud": {"api": true}}),
            json!({"aud": null, "client_id": "api"}),
            json!({"aud": null, "client_id": "api", "token_use": "id"}),
            json!({"aud": null, "client_id": "other", "token_use": "access"}),
            json!({"aud": "other", "client_id": "api", "token_use": "access"}),
            json!({"token_use": "refresh"}),
            json!({"token_use": 1}),
        ] {
            let refused = checked(bad.clone()).expect_err(&bad.to_string());
            assert!(
                refused.contains("aud") || refused.contains("token_use"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_token_of_another_issuer_or_of_nobody_is_refused() {
        for issuer in [
            json!("https://issuer.example/"),
            json!("https://Issuer.example"),
            json!(["https://issuer.example"]),
            json!(null),
        ] {
            let refused = checked(json!({"iss": issuer})).unwrap_err();
            assert!(refused.contains("another issuer"), "{refused}");
        }
        for nobody in [json!(null), json!(""), json!(7)] {
            assert!(checked(json!({"sub": nobody})).unwrap_err().contains("sub"));
        }
    }

    #[test]
    fn time_counts_to_the_second_with_a_minute_of_leeway() {
        for good in [
            json!({"exp": NOW - 59}),
            json!({"exp": NOW as f64 + 0.5}),
            json!({"nbf": NOW + 60}),
            json!({"iat": NOW + 60}),
            json!({"iat": null}),
        ] {
            assert!(checked(good.clone()).is_ok(), "{good}");
        }
        for (bad, why) in [
            (json!({"exp": NOW - 60}), "expired"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": (NOW + 300).to_string()}), "exp"),
            (json!({"nbf": NOW + 61}), "nbf"),
            (json!({"nbf": "soon"}), "nbf"),
            (json!({"iat": NOW + 61}), "iat"),
        ] {
            let refused = checked(bad.clone()).expect_err(&bad.to_string());
            assert!(refused.contains(why), "{refused}");
        }
    }
}
