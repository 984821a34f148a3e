//! Issuers as they are out there: by `https`, with certificates that the system trusts, behind proxies.
//!
//! What the system trusts and which proxy it has is in the environment, so that the API is another
//! process here: this test program again, with one test of it.

use std::{path::Path, sync::Arc};

use bedrock_diy_identity::{Identity as _, OidcConfig};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::{World, issuer::Hands, oidc};

const ISSUER: &str = "TEST_ISSUER";
const TOKEN: &str = "TEST_TOKEN";

#[tokio::test]
async fn an_issuer_is_reached_by_https_where_its_certificate_is_trusted() {
    let world = World::new().await;
    let tls = Tls::start("localhost", &world).await;
    let url = format!("https://localhost:{}", tls.port);
    let token = call_yourself(&world, &url);
    assert_eq!(
        answer(&url, &token, Some(tls.certificate()), None).await,
        "Ok ada@example.com"
    );
    assert_eq!(answer(&url, &token, None, None).await, "Unavailable");
}

#[tokio::test]
async fn an_issuer_is_reached_through_the_proxy_of_the_environment() {
    let world = World::new().await;
    let tls = Tls::start("issuer.invalid", &world).await;
    let proxy = proxy(tls.port).await;
    let url = "https://issuer.invalid";
    let token = call_yourself(&world, url);
    let trusted = Some(tls.certificate());
    assert_eq!(
        answer(url, &token, trusted, Some(proxy)).await,
        "Ok ada@example.com"
    );
    assert_eq!(answer(url, &token, trusted, None).await, "Unavailable");
}

/// Has the issuer call itself so, and makes a token of its.
fn call_yourself(world: &World, url: &str) -> String {
    let mut state = world.issuer.state.lock();
    (state.calls_itself, state.keys_at) = (Some(url.to_owned()), Some(format!("{url}/keys")));
    let mut claims = world.claims();
    claims["iss"] = json!(url);
    world.key.token("first", &claims)
}

/// What an API in such an environment says to a token.
async fn answer(issuer: &str, token: &str, trusted: Option<&Path>, proxy: Option<u16>) -> String {
    let mut api = Command::new(std::env::current_exe().unwrap());
    api.args(["--exact", "encrypted::an_api_in_an_environment_of_its_own"])
        .args(["--ignored", "--nocapture"])
        .env(ISSUER, issuer)
        .env(TOKEN, token)
        .kill_on_drop(true);
    for name in [
        "SSL_CERT_DIR",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ] {
        api.env_remove(name);
    }
    match trusted {
        Some(certificate) => api.env("SSL_CERT_FILE", certificate),
        None => api.env_remove("SSL_CERT_FILE"),
    };
    if let Some(port) = proxy {
        api.env("HTTPS_PROXY", format!("http://127.0.0.1:{port}"));
    }
    let output = api.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("says: "));
    line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
        .1
        .to_owned()
}

#[tokio::test]
#[ignore = "run by the other tests, in another process"]
async fn an_api_in_an_environment_of_its_own() {
    let config = OidcConfig::new(std::env::var(ISSUER).unwrap(), "api");
    let oidc = oidc(config, &Hands::new());
    match oidc.caller(&std::env::var(TOKEN).unwrap()).await {
        Ok(caller) => println!("says: Ok {}", caller.name),
        Err(bedrock_diy_identity::Refused::Unavailable(_)) => println!("says: Unavailable"),
        Err(refused) => println!("says: {refused}"),
    }
}

/// What makes an issuer's plain HTTP an encrypted one.
struct Tls {
    port: u16,
    folder: tempfile::TempDir,
    certificate: std::path::PathBuf,
}

impl Tls {
    async fn start(host: &str, world: &World) -> Self {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("trusted.pem");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let plain = world.issuer.url.trim_start_matches("http://").to_owned();
        let port = serve(move |client| {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            async move {
                let mut client = acceptor.accept(client).await?;
                let mut issuer = TcpStream::connect(plain).await?;
                copy_bidirectional(&mut client, &mut issuer).await.map(drop)
            }
        })
        .await;
        Self {
            port,
            folder,
            certificate,
        }
    }

    fn certificate(&self) -> &Path {
        assert!(self.folder.path().exists());
        &self.certificate
    }
}

/// A proxy that leads everybody who wants to `issuer.invalid` to a port of this machine.
async fn proxy(to: u16) -> u16 {
    serve(move |mut client| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        assert!(head.starts_with(b"CONNECT issuer.invalid:443 "));
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let mut issuer = TcpStream::connect(("127.0.0.1", to)).await?;
        copy_bidirectional(&mut client, &mut issuer).await.map(drop)
    })
    .await
}

/// Serves each connection so, on a free port, for as long as the test runs.
async fn serve<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(each(client));
        }
    });
    port
}
