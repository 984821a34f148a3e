//! People and machines with tokens of a deployed stack's user pool.

use bedrock_diy_stack::Stack;
use serde_json::{Value, json};
use ureq::http::Request;

use crate::Client;

/// The user pool of a stack.
pub struct Users {
    stack: Stack,
    pool: String,
    client: String,
}

const PASSWORD: &str = "A-long-enough-Passw0rd";

impl Users {
    /// Of this stack.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self {
            pool: stack.output("UserPoolId").unwrap(),
            client: stack.output("PeopleClientId").unwrap(),
            stack: stack.clone(),
        }
    }

    /// Somebody of this group, signed in; nobody's where it is empty.
    #[must_use]
    pub fn somebody(&self, name: &str, group: &str) -> Client {
        self.as_client(&self.token(name, group))
    }

    /// The same somebody, of another group from now on.
    #[must_use]
    pub fn another_role(&self, name: &str, group: &str) -> Client {
        let user = user(name);
        for was in ["viewer", "editor", "admin"] {
            let of = json!({"UserPoolId": self.pool, "Username": user, "GroupName": was});
            self.call(
                if was == group {
                    "AdminAddUserToGroup"
                } else {
                    "AdminRemoveUserFromGroup"
                },
                &of,
            );
        }
        self.as_client(&self.signed_in(name))
    }

    /// The access token of somebody of this group.
    #[must_use]
    pub fn token(&self, name: &str, group: &str) -> String {
        let user = user(name);
        let of = |more: Value| {
            let mut said = json!({"UserPoolId": self.pool, "Username": user});
            said.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            said
        };
        self.call("AdminCreateUser", &of(json!({"MessageAction": "SUPPRESS"})));
        self.call(
            "AdminSetUserPassword",
            &of(json!({"Password": PASSWORD, "Permanent": true})),
        );
        if !group.is_empty() {
            self.call("AdminAddUserToGroup", &of(json!({"GroupName": group})));
        }
        self.signed_in(name)
    }

    fn signed_in(&self, name: &str) -> String {
        let signed_in = self.call(
            "InitiateAuth",
            &json!({
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": self.client,
                "AuthParameters": {"USERNAME": user(name), "PASSWORD": PASSWORD},
            }),
        );
        signed_in["AuthenticationResult"]["AccessToken"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Whoever shows this token to the stack's API.
    #[must_use]
    pub fn as_client(&self, token: &str) -> Client {
        Client::new(&self.url(), Some(token))
    }

    /// Where the stack's API is.
    #[must_use]
    pub fn url(&self) -> String {
        let id = self.stack.output("ApiId").unwrap();
        format!("{}/_aws/execute-api/{id}/v1", self.stack.url)
    }

    /// The deployment's machine, with these scopes.
    #[must_use]
    pub fn machine(&self, scopes: &str) -> Client {
        let (id, secret) = self.machine_secret();
        let mut answer = ureq::post(format!("{}/oauth2/token", self.stack.url))
            .send_form([
                ("grant_type", "client_credentials"),
                ("client_id", &id),
                ("client_secret", &secret),
                ("scope", scopes),
            ])
            .unwrap();
        let said: Value = serde_json::from_reader(answer.body_mut().as_reader()).unwrap();
        self.as_client(said["access_token"].as_str().unwrap())
    }

    /// The id of the deployment's machine client, and its secret.
    #[must_use]
    pub fn machine_secret(&self) -> (String, String) {
        let id = self.stack.output("MachineClientId").unwrap();
        let described = self.call(
            "DescribeUserPoolClient",
            &json!({"UserPoolId": self.pool, "ClientId": id}),
        );
        let secret = described["UserPoolClient"]["ClientSecret"].as_str().unwrap();
        (id, secret.to_owned())
    }

    fn call(&self, action: &str, body: &Value) -> Value {
        let request = Request::post(&self.stack.url)
            .header("X-Amz-Target", format!("AWSCognitoIdentityProviderService.{action}"))
            .header("Content-Type", "application/x-amz-json-1.1")
            // The local AWS asks for no signature, and takes the region from here.
            .header(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/cognito-idp/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(body.to_string())
            .unwrap();
        let mut answer = ureq::run(request).unwrap_or_else(|error| panic!("{action}: {error}"));
        serde_json::from_reader(answer.body_mut().as_reader()).unwrap_or_default()
    }
}

/// People sign in with their address.
fn user(name: &str) -> String {
    format!("{name}@example.org")
}
