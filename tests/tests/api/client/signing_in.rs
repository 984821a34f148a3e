//! People sign in through a browser, machines by their secret. The issuer grants what the server takes.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStderr, Stdio},
};

use bedrock_diy_model_server::scripted::Script;
use ureq::Agent;

use super::{Somebody, done, failed, issuer::Issuer, served, write};

fn profile(ada: &Somebody, url: &str, grants: &str) {
    let text = format!("[profile.work]\nendpoint = \"{url}\"\n{grants}\n");
    write(&ada.folder("config"), &[("bedrock-diy/config.toml", &text)]);
}

/// The address that somebody is to open.
fn address(said: &mut BufReader<ChildStderr>) -> String {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "no address was printed");
        if line.trim().starts_with("http") {
            return line.trim().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_their_browser_and_stay_signed_in() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        // Tokens that end at once: each command has them renewed.
        let issuer = Issuer::start(&[&served.token], 10);
        let grants = format!(
            "cognito = {{ domain = \"{}\", client_id = \"people\", port = 0 }}",
            issuer.url
        );
        profile(&ada, &served.url(), &grants);
        let list = ["projects", "list", "--profile", "work"];
        let nobody = failed(ada.run(&list), 2);
        assert!(nobody.contains("bedrock-diy login --profile work"), "{nobody}");

        let mut login = ada.command(&["login", "--profile", "work"]);
        let mut login = login
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(login.stderr.take().unwrap());
        let address = address(&mut said);
        let browser: Agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .build()
            .into();
        let page = browser.get(&address).call().unwrap();
        let back = page.headers()["location"].to_str().unwrap().to_owned();
        // A page of somebody else's may lead there, too: it does not know the state.
        let (forged, _) = back.split_once("&state=").unwrap();
        let mut forged = browser.get(format!("{forged}&state=made-up")).call().unwrap();
        assert!(
            forged
                .body_mut()
                .read_to_string()
                .unwrap()
                .contains("did not work")
        );
        let mut page = browser.get(&back).call().unwrap();
        assert!(
            page.body_mut()
                .read_to_string()
                .unwrap()
                .contains("You are signed in")
        );
        let printed = done(login.wait_with_output().unwrap().into());
        assert!(printed.contains("local, admin"), "{printed}");
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
        assert!(!printed.contains(&served.token) && !rest.contains(&served.token));

        done(ada.run(&list));
        assert_eq!(
            issuer.asked("grant_type"),
            ["authorization_code", "refresh_token"]
        );
        done(ada.run(&["logout", "--profile", "work"]));
        assert_eq!(issuer.asked("token"), ["the-refresh-token"], "it is taken back");
        let nobody = failed(ada.run(&list), 2);
        assert!(nobody.contains("nobody is signed in"), "{nobody}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_signs_in_by_its_secret_and_asks_again_only_where_it_must() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        // The first token is not good: it is renewed, and what is asked is asked again.
        let issuer = Issuer::start(&["taken-back", &served.token], 3_600);
        let grants = format!(
            "client_credentials = {{ domain = \"{}\", client_id = \"machine\", scopes = [\"bedrock-diy/read\", \"bedrock-diy/write\"] }}",
            issuer.url
        );
        profile(&ada, &served.url(), &grants);
        let list = ["projects", "list", "--profile", "work"];
        let secretless = failed(ada.run(&list), 2);
        assert!(secretless.contains("BEDROCK_DIY_CLIENT_SECRET"), "{secretless}");
        for _ in 0..3 {
            let mut command = ada.command(&list);
            done(
                command
                    .env("BEDROCK_DIY_CLIENT_SECRET", "hush")
                    .output()
                    .unwrap()
                    .into(),
            );
        }
        assert_eq!(issuer.times("/oauth2/token"), 2);
        assert_eq!(issuer.asked("scope")[0], "bedrock-diy/read bedrock-diy/write");
        assert_eq!(issuer.asked("basic")[0], "Basic bWFjaGluZTpodXNo");

        profile(&ada, &served.url(), "token_command = [\"printf\", \"not-good\"]");
        let refused = failed(ada.run(&list), 2);
        assert!(
            refused.contains("`token_command`") && !refused.contains("not-good"),
            "{refused}"
        );
        let both = failed(
            ada.run(&[
                "projects",
                "list",
                "--profile",
                "work",
                "--endpoint",
                &served.url(),
            ]),
            2,
        );
        assert!(both.contains("both an endpoint and a profile"), "{both}");
    });
}
