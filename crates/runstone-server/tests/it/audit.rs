//! Packages and pages for auditors (`api-flows.md` sections 5.6 and 7.6): what is in them, that it
//! can be checked without us, and that nothing in a name does harm.

use std::collections::BTreeMap;
use std::io::Read as _;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runstone_journal::note::VerifierKey;
use runstone_journal::proof::{Receipt, verify_receipt};
use runstone_journal::trust::Trust;
use runstone_model::id::Digest;
use runstone_server::Config;
use runstone_server::testing::{Reply, TestServer};
use runstone_store::Wanted;
use serde_json::{Value, json};

use crate::evidence::{TRAIL, attach, attestation, form, noise, post};
use crate::support::{ADMIN, fp, get, put_environment, read, report, servers, servers_with};

const COMMIT: &str = "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4";
const PACKAGE: &str = "/trails/acme/web/t1/audit_package";

/// Files of a package by their path below its folder, whose names and marks are checked.
fn unpack(reply: &Reply, folder: &str) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/gzip");
    assert_eq!(reply.header("content-encoding"), "");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(
        reply.header("content-disposition"),
        format!("attachment; filename=\"{folder}.tar.gz\"")
    );
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&reply.body[..]));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert!(entry.header().entry_type().is_file());
        let path = entry.path().unwrap().display().to_string();
        assert!(
            path.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
                && !path.contains(".."),
            "{path}"
        );
        let path = path.strip_prefix(&format!("{folder}/")).unwrap().to_owned();
        assert!(files.insert(path.clone(), bytes).is_none(), "{path} twice");
    }
    files
}

/// What somebody checks who has nothing but the package and the key.
fn verify(files: &BTreeMap<String, Vec<u8>>) {
    let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
    let manifest = text("MANIFEST.sha256");
    let mut listed = 1;
    for line in manifest.lines() {
        let (digest, path) = line.split_once("  ").unwrap();
        assert_eq!(Digest::of(&files[path]).to_hex(), digest, "{path}");
        listed += 1;
    }
    assert_eq!(listed, files.len(), "every other file is listed");
    let keys: Vec<VerifierKey> = text("journal/keys")
        .lines()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let note = text("journal/checkpoint");
    let mut entries = 0;
    for (path, entry) in files {
        let Some(index) = path
            .strip_prefix("journal/entries/")
            .and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let receipt = &files[&format!("journal/receipts/{index}.tlog-proof")];
        let receipt = Receipt::parse(receipt).unwrap();
        assert_eq!(receipt.checkpoint, note);
        verify_receipt(&receipt, entry, &keys).unwrap();
        entries += 1;
    }
    assert!(entries > 0);
    // Whatever lies beside the entries is named by one of them.
    let named: String = files
        .iter()
        .filter(|(path, _)| path.starts_with("journal/entries/"))
        .map(|(_, entry)| String::from_utf8_lossy(entry).into_owned())
        .collect();
    for (path, bytes) in files {
        if path.starts_with("evidence/") || path.starts_with("journal/bodies/") {
            assert!(named.contains(&Digest::of(bytes).to_hex()), "{path}");
        }
    }
}

async fn put_trail(server: &TestServer) {
    let data = json!({"name": "t1", "description": "the <script>alert(1)</script> \u{1b}[31m release",
        "git_commit_info": {"sha1": COMMIT, "message": "m", "author": "Jo <jo@example.com>",
            "branch": "main", "timestamp": 1_661_160_900, "url": "https://example.com/c"}});
    let template = b"version: 1\ntrail:\n  attestations: [{name: ticket, type: jira}]\n";
    let body = form(&[
        ("data_json", None, data.to_string().as_bytes()),
        ("template_file", Some("t.yml"), template),
    ]);
    let request = axum::http::Request::builder()
        .method("PUT")
        .uri("/api/v2/trails/acme/web")
        .header("host", "runstone.test")
        .header(
            "content-type",
            "multipart/form-data; boundary=runstone-test-boundary",
        )
        .header("authorization", format!("Bearer {ADMIN}"))
        .body(axum::body::Body::from(body))
        .unwrap();
    assert_eq!(server.call(request).await.status.as_u16(), 201);
}

async fn put_artifact(server: &TestServer, trail: Option<&str>, fingerprint: &str) {
    let body = json!({"fingerprint": fingerprint, "filename": "acme/<b>web</b>:1", "git_commit": COMMIT,
        "build_url": "https://example.com/b", "commit_url": "https://example.com/c",
        "trail_name": trail, "template_reference_name": "web"});
    let path = "/api/v2/artifacts/acme/web";
    let reply = server
        .send(Method::POST, path, ADMIN, body.to_string())
        .await;
    assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
}

async fn story(server: &TestServer) -> (Vec<u8>, Vec<u8>) {
    put_trail(server).await;
    put_artifact(server, Some("t1"), &fp('a')).await;
    let (small, large) = (noise(900), noise(2_500_000));
    for (name, file, bytes) in [
        ("scan", "../../<img src=x>.bin", &small),
        ("proof", "large file.tar.gz", &large),
    ] {
        let reply = attach(server, name, file, bytes).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
    }
    let about = json!({"attestation_name": "lint", "artifact_fingerprint": fp('a'), "is_compliant": true,
        "description": "secret words"});
    let body = form(&[("data_json", None, about.to_string().as_bytes())]);
    let reply = post(server, &format!("{TRAIL}/generic"), body.into()).await;
    assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
    put_environment(server, "prod", "server").await;
    report(server, "prod", &[("web", &fp('a'), 100)]).await;
    (small, large)
}

#[tokio::test]
async fn a_package_holds_everything_and_can_be_checked_without_us() {
    for server in servers().await {
        let (small, large) = story(&server).await;
        let reply = get(&server, PACKAGE).await;
        let files = unpack(&reply, "trail-t1");
        verify(&files);
        assert_eq!(
            get(&server, PACKAGE).await.body,
            reply.body,
            "the same bytes"
        );
        assert_eq!(files["evidence/0001-scan/_img_src_x_.bin"], small);
        assert_eq!(files["evidence/0002-proof/large_file.tar.gz"], large);
        let trail: Value = serde_json::from_slice(&files["trail.json"]).unwrap();
        assert_eq!(trail, read(&server, "/trails/acme/web/t1").await);
        let shown: Value = serde_json::from_slice(&files["attestations/0001-scan.json"]).unwrap();
        assert_eq!(shown, attestation(&server, "scan").await);
        let artifact: Value = serde_json::from_slice(&files["artifacts/0001-web.json"]).unwrap();
        assert_eq!(artifact["fingerprint"], fp('a'));
        assert!(files.contains_key("attestations/0003-lint.json"));
        assert!(files["trail-page.pdf"].starts_with(b"%PDF-"));
        let entries = files
            .keys()
            .filter(|path| path.starts_with("journal/entries/"));
        assert_eq!(entries.count(), 5, "begun, reported, attested three times");
        let read_me = String::from_utf8(files["README.md"].clone()).unwrap();
        assert!(
            read_me.contains("sha256sum --check MANIFEST.sha256"),
            "{read_me}"
        );

        // Of the artifact alone, and of one attestation.
        let path = format!("/artifacts/acme/web/{}/audit_package", &fp('a')[..7]);
        let of_artifact = unpack(&get(&server, &path).await, "artifact-aaaaaaaaaaaa");
        verify(&of_artifact);
        assert!(of_artifact.contains_key("artifact-page.pdf"));
        assert!(of_artifact.contains_key("attestations/0001-lint.json"));
        assert!(!of_artifact.keys().any(|path| path.starts_with("evidence/")));
        let id = shown["attestation_id"].as_str().unwrap();
        let path = format!("{TRAIL}/attestation/{id}/audit_package");
        let of_one = unpack(&get(&server, &path).await, "attestation-scan");
        verify(&of_one);
        assert_eq!(of_one["evidence/0001-scan/_img_src_x_.bin"], small);
        assert!(of_one.contains_key("attestation-page.pdf"));

        // Also of an artifact without a trail, and of a flow that was renamed and archived.
        put_artifact(&server, None, &fp('b')).await;
        let path = format!("/artifacts/acme/web/{}/audit_package", fp('b'));
        verify(&unpack(&get(&server, &path).await, "artifact-bbbbbbbbbbbb"));
        let new = json!({"new_name": "site"}).to_string();
        server
            .put("/api/v2/flows/acme/web/rename", ADMIN, new)
            .await;
        server
            .put("/api/v2/flows/acme/site/archive", ADMIN, "")
            .await;
        for flow in ["web", "site"] {
            let path = format!("/trails/acme/{flow}/t1/audit_package");
            verify(&unpack(&get(&server, &path).await, "trail-t1"));
        }
        for (path, message) in [
            ("/trails/acme/none/t1/audit_package", "Flow named 'none'"),
            ("/trails/acme/web/t2/audit_pdf", "Trail with name 't2'"),
            (
                "/artifacts/acme/web/cccccc/audit_pdf",
                "Artifact with fingerprint",
            ),
            (
                "/attestations/acme/web/trail/t1/attestation/x/audit_pdf",
                "Attestation 'x'",
            ),
        ] {
            let reply = get(&server, path).await;
            assert_eq!(reply.status.as_u16(), 404, "{path}");
            assert!(reply.message().starts_with(message), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_page_tells_the_story_and_no_name_does_harm() {
    for server in servers().await {
        story(&server).await;
        let shown = attestation(&server, "scan").await;
        let id = shown["attestation_id"].as_str().unwrap();
        let of_one = format!("{TRAIL}/attestation/{id}/audit_pdf");
        let of_artifact = format!("/artifacts/acme/web/{}/audit_pdf", fp('a'));
        let digest = Digest::of(&noise(900)).to_hex();
        let checks: [(&str, &[&str]); 3] = [
            (
                "/trails/acme/web/t1/audit_pdf",
                &[
                    "(Trail t1 of flow web) Tj",
                    "(INCOMPLETE) Tj",
                    "(the <script>alert(1)</script> <U+001B>[31m release) Tj",
                    COMMIT,
                    "(scan) Tj",
                    "(lint) Tj",
                    "(ticket) Tj",
                    "(Promised and missing) Tj",
                    "acme/<b>web</b>:1",
                    "(Page 1 of 1) Tj",
                ],
            ),
            (
                &of_artifact,
                &[
                    "(web reported) Tj",
                    "Started running in prod#1 environment",
                    "lint evidence received",
                ],
            ),
            (&of_one, &["(scan) Tj", &digest, "src_x_.bin) Tj"]),
        ];
        for (path, parts) in checks {
            let reply = get(&server, path).await;
            assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
            assert_eq!(reply.header("content-type"), "application/pdf");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert!(
                reply
                    .header("content-disposition")
                    .starts_with("attachment")
            );
            let text = String::from_utf8_lossy(&reply.body);
            for part in parts {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert_eq!(get(&server, path).await.body, reply.body);
        }
    }
}

#[tokio::test]
async fn what_was_erased_is_shown_as_erased() {
    for server in servers().await {
        story(&server).await;
        let before = unpack(&get(&server, PACKAGE).await, "trail-t1");
        let (path, body) = before
            .iter()
            .find(|(path, bytes)| {
                path.starts_with("journal/bodies/")
                    && String::from_utf8_lossy(bytes).contains("secret words")
            })
            .unwrap();
        let wanted = Wanted::Digests(vec![Digest::of(body)]);
        server
            .store
            .erase("acme", &wanted, "asked for")
            .await
            .unwrap();
        let after = unpack(&get(&server, PACKAGE).await, "trail-t1");
        verify(&after);
        assert!(!after.contains_key(path));
        let all: Vec<u8> = after.values().flatten().copied().collect();
        assert!(!String::from_utf8_lossy(&all).contains("secret words"));
        let erased = String::from_utf8(after["journal/erased"].clone()).unwrap();
        assert!(erased.contains(&Digest::of(body).to_hex()), "{erased}");
        let page = String::from_utf8_lossy(&after["trail-page.pdf"]);
        assert!(page.contains("(erased)"), "{page}");
    }
}

#[tokio::test]
async fn signatures_are_checked_by_the_keys_that_are_trusted() {
    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../runstone-journal/tests/fixtures/", $name))
        };
    }
    let envelope = |signatures: &[(&str, &str)]| {
        let signatures: Vec<Value> = signatures
            .iter()
            .map(|(id, signature)| json!({"keyid": id, "sig": signature.trim()}))
            .collect();
        json!({"payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode("{}"),
            "signatures": signatures})
    };
    let certificate: Vec<&str> = fixture!("leaf.pem")
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let bundle = |signature: &str| {
        json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": certificate.concat()}, "tlogEntries": []},
            "dsseEnvelope": envelope(&[("", signature)])})
    };
    let verified = async |server: &TestServer, file: &Value| {
        let reply = attach(server, "signed", "a.json", file.to_string().as_bytes()).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let shown = attestation(server, "signed").await;
        let found = shown["recognised_evidence"]["signatures"]
            .as_array()
            .unwrap();
        found
            .iter()
            .map(|signature| (signature["verified"].clone(), signature["why"].clone()))
            .collect::<Vec<_>>()
    };
    let (ed, ec, leaf) = (fixture!("ed.sig"), fixture!("ec.sig"), fixture!("leaf.sig"));
    for server in servers().await {
        let found = verified(&server, &envelope(&[("a", ed)])).await;
        assert_eq!(found, [(Value::Null, json!("no key is trusted"))]);
        let found = verified(&server, &bundle(leaf)).await;
        assert_eq!(found, [(Value::Null, json!("no root is trusted"))]);
        let found = verified(&server, &bundle(ec)).await;
        assert_eq!(
            found,
            [(
                json!(false),
                json!("the key of the certificate did not make it")
            )]
        );
    }
    let mut trust = Trust::read(fixture!("ed.pub").as_bytes()).unwrap();
    trust.extend(Trust::read(fixture!("root.pem").as_bytes()).unwrap());
    let config = Config {
        trust: trust.into(),
        ..Config::default()
    };
    for server in servers_with(config).await {
        let both = envelope(&[("a", ed), ("b", ec), ("c", "!")]);
        assert_eq!(
            verified(&server, &both).await,
            [
                (json!(true), json!("a trusted key made it")),
                (json!(false), json!("no trusted key made it")),
                (json!(false), json!("the signature cannot be read")),
            ]
        );
        let shown = attestation(&server, "signed").await;
        let first = &shown["recognised_evidence"]["signatures"][0];
        assert_eq!(first["key_id"], "a");
        assert_eq!(first["verified_by"].as_str().unwrap().len(), 64);
        let found = verified(&server, &bundle(leaf)).await;
        assert_eq!(
            found,
            [(
                json!(true),
                json!("a certificate below a trusted root made it")
            )]
        );
        let shown = attestation(&server, "signed").await;
        let first = &shown["recognised_evidence"]["signatures"][0];
        assert_eq!(
            first["certificate"]["names"],
            json!(["ada@example.com", "https://ci.example.com/job/7"])
        );
        let mut changed = bundle(leaf);
        changed["dsseEnvelope"]["payload"] = STANDARD.encode("[]").into();
        let found = verified(&server, &changed).await;
        assert_eq!(found[0].0, json!(false));
        assert_eq!(
            shown["is_compliant"], true,
            "a wrong signature is told, not judged"
        );
        let mut elsewhere = bundle(leaf);
        elsewhere.as_object_mut().unwrap().remove("dsseEnvelope");
        elsewhere["messageSignature"] = json!({"signature": leaf.trim()});
        let found = verified(&server, &elsewhere).await;
        assert_eq!(
            found,
            [(
                Value::Null,
                json!("the signed file is not part of this one")
            )]
        );
    }
}
