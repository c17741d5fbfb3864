//! An engine behind TLS: the one that `RUNSTONE_TEST_DOCKER_HOST` (`unix://…`) names, else a
//! stand-in that runs nothing.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runstone_collect::runtime::docker::{Docker, Host};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `ca.pem`, `cert.pem` and `key.pem`, the latter two issued for `names`.
fn certificates(folder: &Path, trusted: &Issuer, issuer: &Issuer, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, issuer)
        .unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("ca.pem"), trusted.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// Answers what is asked of an engine without containers.
async fn stand_in(stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let body = if head.contains("/version") {
            r#"{"ApiVersion":"1.44","MinAPIVersion":"1.24","Version":"stand-in"}"#
        } else {
            "[]"
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

/// An engine that lets in who shows a certificate of `issuer`; its port.
async fn engine(folder: &Path, issuer: &Issuer) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(
            WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap(),
        )
        .with_single_cert(
            CertificateDer::pem_file_iter(folder.join("cert.pem"))
                .unwrap()
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = std::env::var("RUNSTONE_TEST_DOCKER_HOST")
        .ok()
        .and_then(|host| host.strip_prefix("unix://").map(str::to_owned));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = match socket {
                    None => stand_in(stream).await,
                    Some(socket) => {
                        let mut engine = UnixStream::connect(socket).await.unwrap();
                        tokio::io::copy_bidirectional(&mut stream, &mut engine)
                            .await
                            .map(drop)
                    }
                };
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_tls_is_believed_only_with_the_right_certificates() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = tempfile::tempdir().unwrap();
    let folder = |name: &str| place.path().join(name);
    let (ours, other) = (issuer(), issuer());
    certificates(&folder("engine"), &ours, &ours, &["localhost"]);
    certificates(&folder("person"), &ours, &ours, &["person"]);
    certificates(&folder("distrusts"), &other, &ours, &["person"]);
    certificates(&folder("stranger"), &ours, &other, &["person"]);
    let port = engine(&folder("engine"), &ours).await;
    let ask = async |name: &str, certificates: &str| {
        let host = Host {
            address: format!("tcp://{name}:{port}"),
            certificates: Some(folder(certificates)),
        };
        Docker::connect(&host).await?.running().await.map(drop)
    };
    ask("localhost", "person").await.unwrap();
    for (name, certificates, part) in [
        ("localhost", "distrusts", "invalid peer certificate"),
        ("localhost", "stranger", ""),
        ("127.0.0.1", "person", "not valid for name"),
        ("localhost", "nothing", "ca.pem: No such file"),
    ] {
        let told = ask(name, certificates).await.unwrap_err().to_string();
        assert!(
            told.starts_with("failed to connect to the docker API at tcp://")
                && told.contains(part),
            "{name} {certificates}: {told}"
        );
    }
    // Without TLS it does not answer as an engine.
    let plain = Host::plain(format!("tcp://localhost:{port}"));
    assert!(Docker::connect(&plain).await.is_err());
}
