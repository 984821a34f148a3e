//! Which role a token's claims name.

use bedrock_diy_core::access::Role;
use serde_json::Value;

use super::{config::OidcConfig, token::Claims};
use crate::Refused;

/// The role that these claims name.
///
/// Groups come first, and the highest of several counts. Scopes count where there is no group at all: they
/// say what a machine client may. A person's scopes say what an application may do for them, and make
/// nobody more than they are.
pub(super) fn of(claims: &Claims, config: &OidcConfig) -> Result<Role, Refused> {
    let groups: Vec<_> = find(claims, &config.roles_claim).map_or_else(Vec::new, names);
    let named = if groups.is_empty() {
        let scopes = claims.get("scope").map_or_else(Vec::new, names);
        let of_scope = |scope: &&str| role_of_scope(scope.strip_prefix(config.scope_prefix.as_str())?);
        scopes.iter().filter_map(of_scope).max()
    } else {
        let of_group = |group: &&str| Role::from_name(group.strip_prefix(config.group_prefix.as_str())?);
        groups.iter().filter_map(of_group).max()
    };
    named.or(config.default_role).ok_or_else(|| {
        let OidcConfig {
            roles_claim,
            group_prefix,
            scope_prefix,
            ..
        } = config;
        Refused::invalid(format!(
            "the token names no role: its claim `{roles_claim}` has none of {group_prefix}viewer, {group_prefix}editor and {group_prefix}admin, or it has no such claim, and its `scope` none of {scope_prefix}read, {scope_prefix}write and {scope_prefix}admin"
        ))
    })
}

fn role_of_scope(scope: &str) -> Option<Role> {
    match scope {
        "read" => Some(Role::Viewer),
        "write" => Some(Role::Editor),
        "admin" => Some(Role::Admin),
        _ => None,
    }
}

/// A claim by its name, which may have dots in it (`https://example.com/roles`), or else by its path.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// The names in a claim: a list of texts, or one text with spaces between them.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => text.split_whitespace().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(config: &OidcConfig, claims: &Value) -> Option<Role> {
        of(claims.as_object().unwrap(), config).ok()
    }

    fn config() -> OidcConfig {
        OidcConfig::new("https://issuer.example", "api")
    }

    #[test]
    fn the_highest_of_several_groups_counts() {
        for (groups, expected) in [
            (json!(["viewer"]), Some(Role::Viewer)),
            (json!(["editor", "viewer", "sports"]), Some(Role::Editor)),
            (json!(["viewer", "admin", "editor"]), Some(Role::Admin)),
            (json!("viewer editor"), Some(Role::Editor)),
            (json!(["Admin", "admins", "administrator"]), None),
            (json!([{"admin": true}, 1, null]), None),
            (json!(true), None),
        ] {
            let claims = json!({ "cognito:groups": groups });
            assert_eq!(role(&config(), &claims), expected, "{groups}");
        }
    }

    #[test]
    fn scopes_count_where_there_is_no_group() {
        for (claims, expected) in [
            (json!({"scope": "bedrock-diy/read"}), Some(Role::Viewer)),
            (
                json!({"scope": "openid bedrock-diy/write bedrock-diy/read"}),
                Some(Role::Editor),
            ),
            (
                json!({"scope": "bedrock-diy/admin", "cognito:groups": []}),
                Some(Role::Admin),
            ),
            (
                json!({"scope": "read write admin other/admin bedrock-diy/"}),
                None,
            ),
            (
                json!({"scope": "bedrock-diy/admin", "cognito:groups": ["viewer"]}),
                Some(Role::Viewer),
            ),
            (
                json!({"scope": "bedrock-diy/admin", "cognito:groups": ["sports"]}),
                None,
            ),
        ] {
            assert_eq!(role(&config(), &claims), expected, "{claims}");
        }
    }

    #[test]
    fn a_claim_is_found_by_name_or_by_path_and_its_groups_may_have_a_prefix() {
        let mut config = config();
        config.roles_claim = "realm_access.roles".into();
        let claims = json!({"realm_access": {"roles": ["editor"]}});
        assert_eq!(role(&config, &claims), Some(Role::Editor));
        config.roles_claim = "https://example.com/roles".into();
        assert_eq!(
            role(&config, &json!({"https://example.com/roles": "admin"})),
            Some(Role::Admin)
        );
        config.group_prefix = "bedrock-diy-".into();
        let claims = json!({"https://example.com/roles": ["admin", "bedrock-diy-viewer"]});
        assert_eq!(role(&config, &claims), Some(Role::Viewer));
    }

    #[test]
    fn whoever_has_no_role_gets_the_default_or_hears_what_was_looked_for() {
        let mut config = config();
        let refused = of(&Claims::new(), &config).unwrap_err().to_string();
        assert!(
            refused.contains("`cognito:groups`") && refused.contains("bedrock-diy/read"),
            "{refused}"
        );
        config.default_role = Some(Role::Viewer);
        assert_eq!(role(&config, &json!({})), Some(Role::Viewer));
        assert_eq!(
            role(&config, &json!({"scope": "bedrock-diy/write"})),
            Some(Role::Editor)
        );
    }
}
