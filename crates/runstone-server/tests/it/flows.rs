//! Flows, trails, artifacts and attestations, through the API (`api-flows.md`).

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, get, put_environment, read, report, servers};

const COMMIT: &str = "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4";

/// A form with `data_json` and perhaps a file.
pub fn form(data: &Value, file: Option<(&str, &str, &[u8])>) -> (String, Vec<u8>) {
    let boundary = "runstone-test-boundary";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"data_json\"\r\n\r\n{data}\r\n"
    )
    .into_bytes();
    if let Some((part, name, bytes)) = file {
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

pub async fn send_form(
    server: &TestServer,
    method: &str,
    path: &str,
    data: Value,
    file: Option<(&str, &str, &[u8])>,
) -> Reply {
    let (content_type, body) = form(&data, file);
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2{path}"))
        .header("host", "runstone.test")
        .header("content-type", content_type)
        .header("authorization", format!("Bearer {ADMIN}"))
        .body(Body::from(body))
        .unwrap();
    server.call(request).await
}

pub async fn put_flow(server: &TestServer, name: &str, template: Option<&str>) -> u16 {
    let reply = send_form(
        server,
        "PUT",
        "/flows/acme/template_file",
        json!({"name": name, "description": "what it is"}),
        template.map(|text| ("template_file", "template.yml", text.as_bytes())),
    )
    .await;
    assert!(reply.status.is_success(), "{}", reply.text());
    reply.status.as_u16()
}

async fn attest(server: &TestServer, kind: &str, trail: &str, data: Value) -> Reply {
    let path = format!("/attestations/acme/runner/trail/{trail}/{kind}");
    send_form(server, "POST", &path, data, None).await
}

fn commit_info() -> Value {
    json!({"sha1": COMMIT, "message": "m", "author": "Jo <jo@example.com>", "branch": "main",
        "timestamp": 1_661_160_900, "url": "https://example.com/c"})
}

async fn report_artifact(server: &TestServer, trail: &str, fingerprint: &str) -> Reply {
    let body = json!({"fingerprint": fingerprint, "filename": "cyberdojo/runner:16d9990",
        "git_commit": COMMIT, "git_commit_info": commit_info(), "build_url": "https://example.com/b",
        "commit_url": "https://example.com/c", "trail_name": trail, "template_reference_name": "runner"});
    server
        .send(
            Method::POST,
            "/api/v2/artifacts/acme/runner",
            ADMIN,
            body.to_string(),
        )
        .await
}

const TEMPLATE: &str = "version: 1\ntrail:\n  attestations:\n    - name: jira-ticket\n      type: jira\n  artifacts:\n    - name: runner\n      attestations:\n        - name: branch-coverage\n          type: junit\n";

#[tokio::test]
async fn a_flow_is_made_changed_found_renamed_and_archived() {
    for server in servers().await {
        assert_eq!(put_flow(&server, "runner", Some(TEMPLATE)).await, 201);
        assert_eq!(put_flow(&server, "runner", None).await, 200);
        let flow = read(&server, "/flows/acme/runner").await;
        assert_eq!(flow["template"], TEMPLATE);
        assert_eq!(flow["description"], "what it is");
        assert_eq!(flow["visibility"], "private");
        assert_eq!(flow["tags"], json!({}));
        let legacy =
            json!({"name": "old", "description": "", "template": ["artifact", "unit-test"]});
        let reply = server
            .put("/api/v2/flows/acme", ADMIN, legacy.to_string())
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let list = read(&server, "/flows/acme").await;
        assert_eq!(list[0]["name"], "old");
        assert_eq!(list[0]["template"], json!(["artifact", "unit-test"]));
        assert_eq!(list[1]["name"], "runner");
        let page = read(&server, "/flows/acme?per_page=1&page=2").await;
        assert_eq!(page["data"][0]["name"], "runner");
        assert_eq!(
            page["pagination"],
            json!({"total": 2, "page": 2, "per_page": 1, "page_count": 2})
        );
        let tags = json!({"set_tags": {"ci": "github"}});
        let reply = server
            .send(
                Method::PATCH,
                "/api/v2/tags/acme/flow/runner",
                ADMIN,
                tags.to_string(),
            )
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let found = read(&server, "/flows/acme?tag=ci:github").await;
        assert_eq!(found.as_array().unwrap().len(), 1);
        let bad = json!({"new_name": "new illegal name"});
        let reply = server
            .put("/api/v2/flows/acme/runner/rename", ADMIN, bad.to_string())
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            reply.json()["errors"]["new_name"],
            "String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\\.\\-_~]*$' [input: new illegal name]"
        );
        let new = json!({"new_name": "runs"});
        let reply = server
            .put("/api/v2/flows/acme/runner/rename", ADMIN, new.to_string())
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(read(&server, "/flows/acme/runner").await["name"], "runs");
        let reply = server
            .put("/api/v2/flows/acme/runs/archive", ADMIN, "")
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let reply = get(&server, "/flows/acme/runs").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert_eq!(
            reply.json()["message"],
            "Flow named 'runs' does not exist for organization 'acme'"
        );
        assert_eq!(put_flow(&server, "runs", None).await, 201);
    }
}

#[tokio::test]
async fn a_trail_tells_what_is_promised_and_what_is_there() {
    for server in servers().await {
        put_flow(&server, "runner", Some(TEMPLATE)).await;
        let data = json!({"name": "t1", "description": "first", "git_commit_info": commit_info(),
            "repo_info": {"name": "acme/runner", "url": "https://git.example.com/acme/runner", "id": "7", "provider": "github"}});
        let reply = send_form(&server, "PUT", "/trails/acme/runner", data.clone(), None).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let trail = read(&server, "/trails/acme/runner/t1").await;
        assert_eq!(trail["compliance_state"], "INCOMPLETE");
        assert_eq!(trail["git_commit_info"]["sha1"], COMMIT);
        assert_eq!(trail["created_by"], "ada");
        assert_eq!(trail["events"][0]["type"], "trail_reported");

        let reply = send_form(&server, "PUT", "/trails/acme/runner", data, None).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let again = json!({"name": "t1", "user_data": {"a": 1.5}});
        let reply = send_form(&server, "PUT", "/trails/acme/runner", again, None).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let trail = read(&server, "/trails/acme/runner/t1").await;
        assert_eq!(trail["description"], "first");
        assert_eq!(trail["user_data"], json!({"a": 1.5}));
        assert_eq!(trail["events"][1]["changes"], json!([]));
        assert_eq!(trail["events"][2]["changes"], json!(["user_data"]));

        // Before its artifact: it waits.
        let junit = json!({"attestation_name": "branch-coverage", "target_artifacts": ["runner"],
            "git_commit_info": commit_info(),
            "junit_results": [{"name": "s", "failures": 0, "errors": 0, "skipped": 0, "total": 3, "duration": 1.5}]});
        let reply = attest(&server, "junit", "t1", junit).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let reply = report_artifact(&server, "t1", &fp('a')).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let artifact = read(
            &server,
            &format!("/artifacts/acme/runner/fingerprint/{}", fp('a')),
        )
        .await;
        assert_eq!(
            artifact["state"], "INCOMPLETE",
            "the trail still lacks its ticket"
        );
        let jira = json!({"attestation_name": "jira-ticket",
            "jira_results": [{"issue_id": "A-1", "issue_url": "https://j/A-1", "issue_exists": true}]});
        let reply = attest(&server, "jira", "t1", jira).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let trail = read(&server, "/trails/acme/runner/t1").await;
        assert_eq!(trail["compliance_state"], "COMPLIANT", "{trail:#}");
        assert_eq!(
            trail["compliance_status"]["artifacts_statuses"]["runner"]["status"],
            "COMPLIANT"
        );
        let kinds: Vec<&str> = trail["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "trail_reported",
                "trail_updated",
                "trail_updated",
                "trail_attestation_for_artifact_reported",
                "artifact_creation_reported",
                "trail_attestation_reported"
            ]
        );

        let bad = json!({"attestation_name": "lint", "artifact_fingerprint": fp('a'), "is_compliant": false});
        let reply = attest(&server, "generic", "t1", bad).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let artifact = read(&server, "/artifacts/acme/runner/commit_sha/16d9990").await;
        assert_eq!(artifact[0]["state"], "NON-COMPLIANT");
        let list = read(&server, "/flows/acme").await;
        assert_eq!(list[0]["latest_state"], "NON-COMPLIANT");
        let over = json!({"attestation_name": "lint", "artifact_fingerprint": fp('a'), "reason": "known",
            "new_compliance_status": true, "original_attestation_type": "generic"});
        let reply = server
            .send(
                Method::POST,
                "/api/v2/attestations/acme/runner/trail/t1/override",
                ADMIN,
                over.to_string(),
            )
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let trail = read(&server, "/trails/acme/runner/t1").await;
        assert_eq!(trail["compliance_state"], "COMPLIANT");
        let page = read(&server, "/trails/acme?flow=runner").await;
        assert_eq!(page["data"][0]["name"], "t1");
        assert_eq!(page["pagination"]["total"], 1);

        let missing = json!({"attestation_name": "lint", "artifact_fingerprint": fp('b'), "is_compliant": true});
        let reply = attest(&server, "generic", "t1", missing).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert_eq!(
            reply.json()["message"],
            format!(
                "Artifact with fingerprint {} does not exist in trail \"t1\" of flow \"runner\" belonging to organization \"acme\"",
                fp('b')
            )
        );
        let bare = json!({"attestation_name": "lint", "target_artifacts": ["runner"], "is_compliant": true});
        let reply = attest(&server, "generic", "t1", bare).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(
            reply
                .text()
                .contains("requires at least one of: artifact_fingerprint or git_commit_info."),
            "{}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn an_artifact_carries_its_history_from_all_environments() {
    for server in servers().await {
        put_flow(&server, "runner", None).await;
        let reply = report_artifact(&server, "t1", &fp('a')).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let early = json!({"attestation_name": "branch-coverage", "artifact_fingerprint": fp('a'), "is_compliant": true});
        assert_eq!(
            attest(&server, "generic", "t1", early).await.status,
            StatusCode::CREATED
        );
        put_environment(&server, "beta", "server").await;
        report(&server, "beta", &[("other/name", &fp('a'), 1_790_000_000)]).await;
        let late = json!({"attestation_name": "approval", "artifact_fingerprint": fp('a'), "is_compliant": true});
        assert_eq!(
            attest(&server, "generic", "t1", late).await.status,
            StatusCode::CREATED
        );
        report(&server, "beta", &[]).await;
        let artifact = read(
            &server,
            &format!("/artifacts/acme/runner/fingerprint/{}", fp('a')),
        )
        .await;
        let history: Vec<&str> = artifact["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        assert_eq!(
            history,
            [
                "runner reported",
                "branch-coverage evidence received",
                "Started running in beta#1 environment",
                "approval evidence received",
                "No longer running in beta#2 environment"
            ]
        );
        assert_eq!(artifact["history"][3]["late"], true);
        assert_eq!(
            artifact["exited"],
            json!([{"environment_name": "beta", "snapshot_index": 2}])
        );
        assert_eq!(artifact["evidence"]["approval"]["is_compliant"], true);
        let trail = read(&server, "/trails/acme/runner/t1").await;
        let kinds: Vec<&str> = trail["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "trail_reported",
                "artifact_creation_reported",
                "artifact_attestation_reported",
                "artifact_started_running",
                "artifact_attestation_reported",
                "artifact_stopped_running"
            ]
        );
        let list = read(&server, "/artifacts/acme?flow_name=runner").await;
        assert_eq!(list[0]["filename"], "cyberdojo/runner:16d9990");
        let named = read(
            &server,
            &format!(
                "/attestations/acme/runner/artifact/{}/approval",
                &fp('a')[..7]
            ),
        )
        .await;
        assert_eq!(named[0]["attestation_name"], "approval");
        let id = named[0]["attestation_id"].as_str().unwrap();
        let by_id = read(&server, &format!("/attestations/acme?attestation_id={id}")).await;
        assert_eq!(by_id["data"][0]["reported_by"], "ada");
        let none = read(&server, "/attestations/acme?attestation_id=nonsense").await;
        assert_eq!(none["data"], json!([]));
    }
}

#[tokio::test]
async fn an_attached_file_comes_back_as_it_was() {
    for server in servers().await {
        put_flow(&server, "runner", None).await;
        let file: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let reply = send_form(
            &server,
            "POST",
            "/attestations/acme/runner/trail/t1/generic",
            json!({"attestation_name": "scan", "is_compliant": true}),
            Some(("attachment_file", "../scan <b>.bin", &file)),
        )
        .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let shown = read(&server, "/attestations/acme/runner/trail/t1/scan").await;
        let shown = &shown[0];
        assert_eq!(shown["has_audit_package"], true);
        let digest = runstone_model::id::Digest::of(&file).to_hex();
        assert_eq!(shown["evidence_archive_fingerprint"], digest);
        let href = shown["_links"]["evidence"]["href"].as_str().unwrap();
        let path = href.strip_prefix("http://runstone.test").unwrap();
        let reply = server.get(path, ADMIN).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.body, file);
        assert_eq!(
            reply.header("content-disposition"),
            "attachment; filename=\"scan__b_.bin\""
        );
        let none = read(&server, "/attestations/acme/runner/trail/t1/other").await;
        assert_eq!(none, json!([]));
        for (part, message) in [
            ("attachment", "cannot be read"),
            ("data_json", "more than once"),
        ] {
            let reply = send_form(
                &server,
                "POST",
                "/attestations/acme/runner/trail/t1/generic",
                json!({"attestation_name": "scan", "is_compliant": true}),
                Some((part, "x", b"{}")),
            )
            .await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
            assert!(reply.text().contains(message), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_search_finds_artifacts_by_commit_and_by_fingerprint() {
    for server in servers().await {
        put_flow(&server, "runner", None).await;
        let reply = report_artifact(&server, "t1", &fp('a')).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        put_environment(&server, "prod", "server").await;
        report(
            &server,
            "prod",
            &[
                ("registry/runner:16d9990", &fp('a'), 1),
                ("stray", &fp('b'), 1),
            ],
        )
        .await;
        let by_commit = read(&server, "/search/acme/sha/16d99").await;
        assert_eq!(by_commit["resolved_to"]["type"], "commit");
        assert_eq!(by_commit["resolved_to"]["full_match"], COMMIT);
        let by_fingerprint = read(&server, "/search/acme/sha/aaaaaaa").await;
        assert_eq!(by_fingerprint["resolved_to"]["type"], "fingerprint");
        assert_eq!(by_commit["artifacts"], by_fingerprint["artifacts"]);
        let found = &by_commit["artifacts"][0];
        assert_eq!(found["has_provenance"], true);
        assert_eq!(found["flow"], "runner");
        assert_eq!(found["trail"], "t1");
        assert_eq!(found["git_commit"], COMMIT);
        assert_eq!(found["running_in"], json!(["prod"]));
        assert_eq!(found["history"][0]["event"], "runner reported");
        assert_eq!(
            found["history"][1]["event"],
            "Started running in prod#1 environment"
        );
        let stray = read(&server, "/search/acme/sha/bbbbb").await;
        assert_eq!(stray["artifacts"][0]["has_provenance"], false);
        assert_eq!(stray["artifacts"][0]["name"], "stray");
        let reply = get(&server, "/search/acme/sha/fffff").await;
        assert_eq!(reply.json()["message"], "No matches for 'fffff'.");
    }
}
