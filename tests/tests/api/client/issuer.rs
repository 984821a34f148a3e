//! A small OAuth 2.0 issuer, as Amazon Cognito's sign-in pages are one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_core::text::sha256_hex;
use percent_encoding::percent_decode_str;

use super::stand_in::{Asked, response, serve};

/// What it grants, and what it was asked.
#[derive(Default)]
pub(super) struct Said {
    /// Access tokens, in this order; the last one again and again.
    pub(super) tokens: Vec<String>,
    /// For how long, in seconds.
    pub(super) lasts: u64,
    /// Forms that were sent to the token endpoint and to the revocation endpoint, with their paths.
    pub(super) asked: Vec<(String, HashMap<String, String>)>,
    challenge: String,
}

/// The issuer.
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) said: Arc<Mutex<Said>>,
}

impl Issuer {
    pub(super) fn start(tokens: &[&str], lasts: u64) -> Self {
        let said = Arc::new(Mutex::new(Said {
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            lasts,
            ..Said::default()
        }));
        let shared = Arc::clone(&said);
        let url = serve(move |asked| Some(answer(&asked, &shared)));
        Self { url, said }
    }

    /// The values of a field of all forms that were sent.
    pub(super) fn asked(&self, field: &str) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.asked
            .iter()
            .filter_map(|(_, form)| form.get(field).cloned())
            .collect()
    }

    /// How often a path was asked.
    pub(super) fn times(&self, path: &str) -> usize {
        self.said
            .lock()
            .unwrap()
            .asked
            .iter()
            .filter(|(asked, _)| asked == path)
            .count()
    }
}

fn fields(text: &str) -> HashMap<String, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn answer(asked: &Asked, said: &Mutex<Said>) -> String {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let mut said = said.lock().unwrap();
    if path == "/oauth2/authorize" {
        let asked = fields(query);
        let flow = (
            asked["response_type"].as_str(),
            asked["code_challenge_method"].as_str(),
        );
        assert_eq!(flow, ("code", "S256"));
        said.challenge.clone_from(&asked["code_challenge"]);
        let back = format!("{}?code=the-code&state={}", asked["redirect_uri"], asked["state"]);
        return response("302 Found", &format!("Location: {back}\r\n"), "");
    }
    let mut form = fields(&asked.body);
    let basic = asked.headers.get("authorization").cloned();
    form.extend(basic.map(|basic| ("basic".to_owned(), basic)));
    let (status, body) = granted(path, &form, &mut said);
    said.asked.push((path.to_owned(), form));
    response(status, "Content-Type: application/json\r\n", &body)
}

fn granted(path: &str, form: &HashMap<String, String>, said: &mut Said) -> (&'static str, String) {
    if path == "/oauth2/revoke" {
        return ("200 OK", String::new());
    }
    let good = match form["grant_type"].as_str() {
        "authorization_code" => {
            let digest = sha256_hex(form["code_verifier"].as_bytes());
            let digest: Vec<_> = (0..32)
                .map(|at| u8::from_str_radix(&digest[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            form["code"] == "the-code" && URL_SAFE_NO_PAD.encode(digest) == said.challenge
        }
        "refresh_token" => form["refresh_token"] == "the-refresh-token",
        "client_credentials" => form.contains_key("basic"),
        _ => false,
    };
    if !good {
        return ("400 Bad Request", "{\"error\": \"invalid_grant\"}".to_owned());
    }
    let token = if said.tokens.len() > 1 {
        said.tokens.remove(0)
    } else {
        said.tokens[0].clone()
    };
    let refresh = if form["grant_type"] == "authorization_code" {
        "\"the-refresh-token\""
    } else {
        "null"
    };
    let lasts = said.lasts;
    (
        "200 OK",
        format!("{{\"access_token\": \"{token}\", \"expires_in\": {lasts}, \"refresh_token\": {refresh}}}"),
    )
}
