//! Webhooks by `https`: to a receiver whose certificate fits its name, and to no other.

use std::{io::Write, net::SocketAddr, sync::Arc};

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Program, Project, Receiver, ScriptedServer, Served};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// Something that decrypts for a receiver: where it listens, and the certificate that it shows, for `127.0.0.1`.
async fn encrypted(behind: SocketAddr) -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate says so itself.
                if let (Ok(mut stream), Ok(mut behind)) =
                    tokio::join!(acceptor.accept(stream), TcpStream::connect(behind))
                {
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                }
            });
        }
    });
    (address, cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn https_leads_to_a_receiver_whose_certificate_fits_and_to_no_other() {
    let receiver = Receiver::willing();
    let (address, certificate) = encrypted(receiver.address()).await;
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(certificate.as_bytes()).unwrap();
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url()).with("SSL_CERT_FILE", roots.path());
    let served = Served::start_with(&project, &program, &["--webhooks-to-this-machine"]);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let tried = |url: &str| {
            let new = json!({"name": "The desk", "url": url, "events": ["*"]});
            let made = ada.post("/api/projects/news/webhooks", &new).expect(201);
            let at = made.header("location").unwrap();
            let ping = ada.call("POST", &format!("{at}:ping")).send().expect(202).json();
            let id = ping["deliveryId"].as_str().unwrap();
            ada.when(&format!("{at}/deliveries/{id}"), |delivery| {
                !delivery["attempts"].as_array().unwrap().is_empty()
            })
        };
        let delivery = tried(&format!("https://{address}/desk"));
        assert_eq!(delivery["status"], "DELIVERED", "{delivery}");
        let posted = receiver.posted();
        assert_eq!(posted[0].path, "/desk");
        assert_eq!(posted[0].header("webhook-id"), delivery["deliveryId"]);

        let delivery = tried(&format!("https://localhost:{}/", address.port()));
        let error = delivery["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains("certificate"), "{error}");
        assert_eq!(receiver.posted().len(), 1);
    });
}
