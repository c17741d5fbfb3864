//! Digests from registries: a small fake for the protocol's corners, and real ones where
//! `RUNSTONE_TEST_REGISTRY` (`host:port`, open) and `RUNSTONE_TEST_REGISTRY_BASIC` (`host:port`,
//! with the login in `RUNSTONE_TEST_REGISTRY_LOGIN`, `name:password`) name them. Images get into
//! them by the protocol itself, so no container engine is needed here.

use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use runstone_fingerprint::oci::{Credentials, Login, Options, fingerprint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Digest of `{}`.
const EMPTY_CONFIG: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn options(credentials: Credentials) -> Options {
    Options {
        credentials,
        timeout: Duration::from_secs(10),
        ..Options::default()
    }
}

fn login(username: &str, password: &str) -> Credentials {
    Credentials::Given(Login {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

/// Answers every plain HTTP request by `answer(head of the request)`; gives its `host:port`.
async fn fake(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = std::sync::Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut piece = [0; 1024];
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut piece).await {
                        Ok(length) if length > 0 => head.extend_from_slice(&piece[..length]),
                        _ => return,
                    }
                    // A TLS greeting: not this server's protocol.
                    if head[0] == 0x16 {
                        return;
                    }
                }
                let text = answer(&String::from_utf8_lossy(&head));
                stream.write_all(text.as_bytes()).await.ok();
            });
        }
    });
    address
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn bearer_tokens_are_fetched_with_the_login() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let address = fake(move |head| {
        let request = head.lines().next().unwrap_or_default();
        let lower = head.to_lowercase();
        let host = lower
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default();
        if request.starts_with("GET /v2/ ") {
            let challenge = format!(
                "Www-Authenticate: Bearer realm=\"http://{host}/token\",service=\"reg\"\r\n"
            );
            http("401 Unauthorized", &challenge, "")
        } else if request.starts_with("GET /token?") {
            if request.contains("scope=repository%3Ashop%2Fapi%3Apull")
                && request.contains("service=reg")
                && lower.contains("authorization: basic ym9iomh1bnrlcg==")
            {
                http("200 OK", "", r#"{"token":"t0k"}"#)
            } else {
                http("401 Unauthorized", "", "wrong login")
            }
        } else if request.starts_with("HEAD /v2/shop/api/manifests/1 ")
            && lower.contains("authorization: bearer t0k")
            && lower.contains("application/vnd.oci.image.index.v1+json")
            && lower.contains("application/vnd.docker.distribution.manifest.list.v2+json")
        {
            http(
                "200 OK",
                &format!("Docker-Content-Digest: {digest}\r\n"),
                "",
            )
        } else {
            http("400 Bad Request", "", "unexpected")
        }
    })
    .await;
    let name = format!("{address}/shop/api:1");
    let found = fingerprint(&name, &options(login("bob", "hunter")))
        .await
        .unwrap();
    assert_eq!(found.to_hex(), "ab".repeat(32));
    let error = fingerprint(&name, &options(login("bob", "other")))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("failed to get digest for //{name}: ")),
        "{error}"
    );
    assert!(error.contains("unauthorized: wrong login"), "{error}");
}

#[tokio::test]
async fn what_registries_answer_is_told() {
    let address = fake(|head| {
        let request = head.lines().next().unwrap_or_default();
        if request.contains(" /v2/ ") {
            http("200 OK", "", "{}")
        } else if request.contains("/odd/") {
            let digest = format!("Docker-Content-Digest: sha512:{}\r\n", "a".repeat(128));
            http("200 OK", &digest, "")
        } else {
            let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            http(
                "404 Not Found",
                "",
                if request.starts_with("HEAD") {
                    ""
                } else {
                    body
                },
            )
        }
    })
    .await;
    for (repository, reason) in [
        ("a", "manifest unknown"),
        ("odd", "is not a SHA-256 digest"),
    ] {
        let name = format!("{address}/{repository}:1");
        let error = fingerprint(&name, &options(Credentials::Anonymous))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("failed to get digest for //{name}: ")),
            "{error}"
        );
        assert!(error.contains(reason), "{error}");
    }
    let error = fingerprint("127.0.0.1:1/a:1", &options(Credentials::Anonymous))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("failed to get digest for //127.0.0.1:1/a:1: ")
            && error.contains("onnection refused"),
        "{error}"
    );
}

/// Puts an image without layers under `name`; gives its digest's digits.
async fn put(name: &str, auth: &RegistryAuth) -> String {
    let reference: Reference = name.parse().unwrap();
    let client = Client::try_from(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
    .unwrap();
    client
        .auth(&reference, auth, RegistryOperation::Push)
        .await
        .unwrap();
    let config = client.push_blob(&reference, &b"{}"[..], EMPTY_CONFIG).await;
    config.unwrap();
    let manifest = OciImageManifest {
        config: OciDescriptor {
            digest: EMPTY_CONFIG.to_owned(),
            size: 2,
            media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
            ..OciDescriptor::default()
        },
        ..OciImageManifest::default()
    };
    client
        .push_manifest(&reference, &OciManifest::Image(manifest))
        .await
        .unwrap();
    let (_, digest) = client
        .pull_manifest_raw(
            &reference,
            auth,
            &["application/vnd.oci.image.manifest.v1+json"],
        )
        .await
        .map(|(bytes, digest)| {
            // The digest is the one of the bytes as the registry serves them.
            use sha2::Digest as _;
            let own = runstone_model::id::encode_hex(&sha2::Sha256::digest(&bytes));
            assert_eq!(digest, format!("sha256:{own}"));
            (bytes, digest)
        })
        .unwrap();
    digest.strip_prefix("sha256:").unwrap().to_owned()
}

#[tokio::test]
async fn a_real_open_registry() {
    let Ok(registry) = std::env::var("RUNSTONE_TEST_REGISTRY") else {
        eprintln!("left out: RUNSTONE_TEST_REGISTRY names no registry");
        return;
    };
    let name = format!("{registry}/runstone/probe:1");
    let digest = put(&name, &RegistryAuth::Anonymous).await;
    let anonymous = options(Credentials::Anonymous);
    assert_eq!(
        fingerprint(&name, &anonymous).await.unwrap().to_hex(),
        digest
    );
    for by_digest in [
        format!("{registry}/runstone/probe@sha256:{digest}"),
        format!("{name}@sha256:{digest}"),
        format!("{registry}/runstone/probe:other@sha256:{digest}"),
    ] {
        assert_eq!(
            fingerprint(&by_digest, &anonymous).await.unwrap().to_hex(),
            digest
        );
    }
    let missing = format!("{registry}/runstone/probe:none");
    let error = fingerprint(&missing, &anonymous).await.unwrap_err();
    assert!(error.to_string().contains("manifest unknown"), "{error}");
}

#[tokio::test]
async fn a_real_registry_with_basic_authentication() {
    let (Ok(registry), Ok(both)) = (
        std::env::var("RUNSTONE_TEST_REGISTRY_BASIC"),
        std::env::var("RUNSTONE_TEST_REGISTRY_LOGIN"),
    ) else {
        eprintln!("left out: RUNSTONE_TEST_REGISTRY_BASIC names no registry");
        return;
    };
    let (username, password) = both.split_once(':').unwrap();
    let name = format!("{registry}/runstone/probe:1");
    let auth = RegistryAuth::Basic(username.to_owned(), password.to_owned());
    let digest = put(&name, &auth).await;
    let found = fingerprint(&name, &options(login(username, password))).await;
    assert_eq!(found.unwrap().to_hex(), digest);
    for refused in [Credentials::Anonymous, login(username, "wrong")] {
        let error = fingerprint(&name, &options(refused)).await.unwrap_err();
        assert!(error.to_string().contains("unauthorized"), "{error}");
    }
}
