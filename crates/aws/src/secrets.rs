//! Secrets in the Parameter Store of AWS Systems Manager, encrypted with the account's key for it.

use async_trait::async_trait;
use aws_sdk_ssm::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_parameter::DeleteParameterError, get_parameter::GetParameterError,
        put_parameter::PutParameterError,
    },
    types::ParameterType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    hook::Secret,
    ports::{SecretName, Secrets},
};

use crate::{config::Config, storage::failure};

/// Secrets, a parameter a name, as a JSON array of texts.
///
/// A parameter is a standard one: it costs nothing, and holds 4 kB, which is seven of the longest secrets. Its
/// earlier values stay in its history, for whoever may read that, until it is deleted.
#[derive(Debug, Clone)]
pub struct ParameterStore {
    client: Client,
    path: String,
}

impl ParameterStore {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            path: config.secrets_path.clone(),
        }
    }

    fn parameter(&self, name: &SecretName) -> String {
        format!("{}/{}", self.path, name.as_str())
    }
}

#[async_trait]
impl Secrets for ParameterStore {
    async fn put(&self, name: &SecretName, secrets: &[Secret]) -> Result<()> {
        let texts: Vec<_> = secrets.iter().map(Secret::reveal).collect();
        let json = serde_json::to_string(&texts).map_err(|_| broken(name))?;
        // Two braces would be a reference to another parameter, and are refused. In this document they are in texts
        // alone, where they may be escaped.
        let json = json.replace('{', r"\u007b");
        let put = self
            .client
            .put_parameter()
            .name(self.parameter(name))
            .r#type(ParameterType::SecureString)
            .overwrite(true)
            .value(json);
        let stored = put.send().await;
        stored.map(|_| ()).map_err(|error| not_stored(name, &error))
    }

    async fn get(&self, name: &SecretName) -> Result<Vec<Secret>> {
        let get = self
            .client
            .get_parameter()
            .name(self.parameter(name))
            .with_decryption(true);
        let got = match get.send().await {
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetParameterError::is_parameter_not_found) =>
            {
                return Ok(Vec::new());
            }
            got => got.map_err(|error| failure(&format!("reading the secrets {}", name.as_str()), &error))?,
        };
        let json = got.parameter.and_then(|parameter| parameter.value);
        let json = json.ok_or_else(|| broken(name))?;
        // Serde's own words could quote what they are about.
        let texts: Vec<String> = serde_json::from_str(&json).map_err(|_| broken(name))?;
        Ok(texts.into_iter().map(Secret::stored).collect())
    }

    async fn delete(&self, name: &SecretName) -> Result<()> {
        let delete = self.client.delete_parameter().name(self.parameter(name));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteParameterError::is_parameter_not_found) =>
            {
                Ok(())
            }
            Err(error) => Err(failure(
                &format!("removing the secrets {}", name.as_str()),
                &error,
            )),
        }
    }
}

/// As [`failure`], without the service's own words: when it finds fault with a value, it quotes it.
fn not_stored(name: &SecretName, error: &SdkError<PutParameterError, HttpResponse>) -> Failure {
    let what = format!("storing the secrets {}", name.as_str());
    let mut failure = failure(&what, error);
    if let Some(refused) = error.as_service_error() {
        let code = refused.code().unwrap_or("no name");
        failure.detail = format!("{what}: the service says {code}");
    }
    failure
}

fn broken(name: &SecretName) -> Failure {
    Failure::new(
        Code::InternalError,
        format!(
            "the parameter of the secrets {} is no list of texts",
            name.as_str()
        ),
    )
}
