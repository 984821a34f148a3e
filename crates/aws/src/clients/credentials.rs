//! Whether there are AWS credentials, answered without asking AWS.

use std::time::Duration;

use aws_config::{
    imds::{self, credentials::ImdsCredentialsProvider},
    profile::{self, Profile},
    provider_config::ProviderConfig,
};
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::http;

/// What a profile says when it leads to credentials, in the order of the shared configuration's
/// documentation (AWS SDKs and Tools Reference Guide, "Settings reference", 2026-11).
const LEADS_TO_CREDENTIALS: [&str; 7] = [
    "aws_access_key_id",
    "credential_process",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "login_session",
];

/// Where EC2's hypervisors sign ("Identify EC2 instances", Amazon EC2 User Guide, 2026-11).
const EC2_SIGNS: [(&str, &str); 2] = [
    ("/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2"),
    ("/sys/hypervisor/uuid", "ec2"),
];

/// The source of the AWS credentials that a call would use, for people; none where there is none.
///
/// Looks at the environment and the profile files, and only on an EC2 instance asks for its role, so it
/// answers within milliseconds. It does not check that the credentials are valid: a session that has
/// expired is still found, so that the first call can say so, and nobody is given a stand-in without
/// having asked for it.
pub async fn credentials_found() -> Option<String> {
    match source(&Env::real(), &Fs::real()).await {
        None if on_ec2() => instance_role().await,
        found => found,
    }
}

/// Whether this is an EC2 instance, by its hypervisor's signature; no network is asked.
pub(super) fn on_ec2() -> bool {
    EC2_SIGNS.iter().any(|(path, sign)| {
        std::fs::read_to_string(path).is_ok_and(|content| content.trim_start().starts_with(sign))
    })
}

async fn source(env: &Env, fs: &Fs) -> Option<String> {
    let set = |name: &str| env.get(name).is_ok_and(|value| !value.trim().is_empty());
    if set("AWS_BEARER_TOKEN_BEDROCK") {
        return Some("the Bedrock API key in AWS_BEARER_TOKEN_BEDROCK".into());
    }
    if set("AWS_ACCESS_KEY_ID") && set("AWS_SECRET_ACCESS_KEY") {
        return Some("the access key in AWS_ACCESS_KEY_ID".into());
    }
    if let Some(profile) = profile_with_credentials(env, fs).await {
        return Some(format!("the AWS profile `{profile}`"));
    }
    if set("AWS_WEB_IDENTITY_TOKEN_FILE") && set("AWS_ROLE_ARN") {
        return Some("the web identity in AWS_WEB_IDENTITY_TOKEN_FILE".into());
    }
    let container = [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    container
        .into_iter()
        .any(set)
        .then(|| "the role of this container".into())
}

/// The selected profile's name, if it leads to credentials. One that was chosen by `AWS_PROFILE` counts
/// in any case: whoever chose it wants to hear what is wrong with it.
async fn profile_with_credentials(env: &Env, fs: &Fs) -> Option<String> {
    if let Some(chosen) = env.get("AWS_PROFILE").ok().filter(|name| !name.is_empty()) {
        return Some(chosen);
    }
    let profiles = profile::load(fs, env, &EnvConfigFiles::default(), None)
        .await
        .ok()?;
    let name = profiles.selected_profile();
    let leads = |profile: &Profile| LEADS_TO_CREDENTIALS.iter().any(|key| profile.get(key).is_some());
    profiles
        .get_profile(name)
        .is_some_and(leads)
        .then(|| name.to_owned())
}

/// The role of this EC2 instance, if it has one. The metadata service is on the instance's own host and
/// answers within milliseconds, or not at all.
async fn instance_role() -> Option<String> {
    let config = ProviderConfig::without_region().with_http_client(http::for_this_machine());
    let client = imds::Client::builder()
        .configure(&config)
        .max_attempts(1)
        .operation_timeout(Duration::from_millis(500))
        .build();
    let provider = ImdsCredentialsProvider::builder().imds_client(client).build();
    let role = provider.provide_credentials().await;
    role.is_ok().then(|| "the role of this EC2 instance".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    async fn found(variables: Variables<'_>, config: &str) -> Option<String> {
        let home = [("HOME", "/home/editor")];
        let variables: Vec<_> = home.iter().chain(variables).copied().collect();
        let config = ("/home/editor/.aws/config".into(), config.as_bytes().to_vec());
        source(&Env::from_slice(&variables), &Fs::from_raw_map([config].into())).await
    }

    #[tokio::test]
    async fn a_machine_without_aws_has_no_credentials() {
        assert_eq!(found(&[], "").await, None);
        assert_eq!(found(&[], "[default]\nregion = eu-north-1\n").await, None);
        assert_eq!(found(&[("AWS_ACCESS_KEY_ID", "id")], "").await, None);
        assert_eq!(found(&[("AWS_BEARER_TOKEN_BEDROCK", " ")], "").await, None);
    }

    #[tokio::test]
    async fn each_source_is_named() {
        let key = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn")];
        let cases: [(Variables<'_>, &str, &str); 8] = [
            (&[("AWS_BEARER_TOKEN_BEDROCK", "key")], "", "API key"),
            (&key, "", "AWS_ACCESS_KEY_ID"),
            (&[], "[default]\naws_access_key_id = id\n", "`default`"),
            (&[], "[default]\nsso_session = desk\n", "`default`"),
            (&[], "[default]\ncredential_process = /bin/keys\n", "`default`"),
            (&[("AWS_PROFILE", "desk")], "", "`desk`"),
            (&web, "", "web identity"),
            (
                &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2")],
                "",
                "container",
            ),
        ];
        for (variables, config, expected) in cases {
            let source = found(variables, config).await.unwrap();
            assert!(source.contains(expected), "{source}");
        }
    }
}
