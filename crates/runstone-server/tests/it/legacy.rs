//! What clients older than trails ask for (`api-flows.md` section 14), and assertions (section 8).

use axum::body::Body;
use axum::http::{Method, Request};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, put_environment, read, refusal, report, servers};

const COMMIT: &str = "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4";
const OLDER: &str = "85d83c6ad23a40eecaf087abac2a58a2d2a4b3f4";

async fn post(server: &TestServer, path: &str, body: &Value) -> Reply {
    let path = format!("/api/v2{path}");
    server
        .send(Method::POST, &path, ADMIN, body.to_string())
        .await
}

async fn created(server: &TestServer, path: &str, body: &Value) {
    let reply = post(server, path, body).await;
    assert_eq!(reply.status.as_u16(), 201, "{path}: {}", reply.text());
}

/// A flow of this name, with a legacy template if one is given.
async fn put_flow(server: &TestServer, name: &str, template: Option<&[&str]>) {
    let mut body = json!({"name": name, "description": ""});
    if let Some(template) = template {
        body["template"] = json!(template);
    }
    let reply = server
        .put("/api/v2/flows/acme", ADMIN, body.to_string())
        .await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

async fn report_artifact(
    server: &TestServer,
    flow: &str,
    trail: Option<&str>,
    digit: char,
    commit: &str,
) {
    let body = json!({"fingerprint": fp(digit), "filename": format!("acme/{digit}"), "git_commit": commit,
        "git_commit_info": {"sha1": commit, "message": "m", "author": "Jo", "branch": "main", "timestamp": 1},
        "build_url": "https://example.com/b", "commit_url": "https://example.com/c", "trail_name": trail});
    created(server, &format!("/artifacts/acme/{flow}"), &body).await;
}

fn approval(digit: char, environment: Option<&str>, reviews: &[Value]) -> Value {
    let mut body = json!({"artifact_fingerprint": fp(digit), "description": "ready",
        "src_commit_list": [COMMIT, OLDER], "oldest_commit": OLDER, "approvals": reviews, "user_data": {"a": 1}});
    if let Some(environment) = environment {
        body["environment"] = environment.into();
    }
    body
}

fn review(state: &str, by: &str) -> Value {
    json!({"state": state, "comment": "fine", "approved_by": by, "approval_url": "https://example.com/a"})
}

async fn deploy(server: &TestServer, flow: &str, digit: char, environment: &str) {
    let body = json!({"artifact_fingerprint": fp(digit), "environment": environment,
        "description": "", "build_url": "https://example.com/d", "user_data": {}});
    created(server, &format!("/deployments/acme/{flow}"), &body).await;
}

/// Lines of an artifact's history; late ones are marked.
async fn history(server: &TestServer, flow: &str, digit: char) -> Vec<String> {
    let path = format!("/artifacts/acme/{flow}/fingerprint/{}", fp(digit));
    let artifact = read(server, &path).await;
    let lines = artifact["history"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let late = if line["late"] == true { " (late)" } else { "" };
            format!("{}{late}", line["event"].as_str().unwrap())
        })
        .collect()
}

async fn attest(server: &TestServer, name: &str, digit: char) {
    let body =
        json!({"attestation_name": name, "artifact_fingerprint": fp(digit), "is_compliant": true});
    let path = "/attestations/acme/web/trail/t1/generic";
    let reply = form(server, path, "data_json", &body, None).await;
    assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
}

async fn form(
    server: &TestServer,
    path: &str,
    part: &str,
    data: &Value,
    file: Option<(&str, &str)>,
) -> Reply {
    let boundary = "runstone-test-boundary";
    let file = file.map_or_else(String::new, |(part, text)| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"e.txt\"\r\n\r\n{text}\r\n"
        )
    });
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"\r\n\r\n{data}\r\n{file}--{boundary}--\r\n"
    );
    let request = Request::builder()
        .method("POST")
        .uri(format!("/api/v2{path}"))
        .header("host", "runstone.test")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={boundary}"),
        )
        .header("authorization", format!("Bearer {ADMIN}"))
        .body(Body::from(body))
        .unwrap();
    server.call(request).await
}

#[tokio::test]
async fn an_approval_is_requested_and_given() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        put_flow(&server, "web", None).await;
        report_artifact(&server, "web", Some("t1"), 'a', COMMIT).await;
        report_artifact(&server, "web", Some("t0"), 'b', OLDER).await;
        put_flow(&server, "other", None).await;
        report_artifact(&server, "other", None, 'c', COMMIT).await;
        let of_artifact = format!("/artifacts/acme/web/{}/approvals", fp('a'));
        assert_eq!(read(&server, &of_artifact).await, json!([]));
        let commit = "/approvals/acme/web/artifact-commit/prod";
        assert_eq!(
            read(&server, commit).await,
            json!({"commit_sha": Value::Null})
        );

        created(
            &server,
            "/approvals/acme/web",
            &approval('a', Some("prod"), &[]),
        )
        .await;
        let latest = read(&server, "/approvals/acme/web/-1").await;
        assert_eq!(latest["state"], "PENDING");
        assert_eq!(latest["approvals"], json!([]));
        assert_eq!(
            read(&server, commit).await["commit_sha"],
            Value::Null,
            "it was only asked for"
        );
        let given = approval('a', Some("prod"), &[review("APPROVED", "ada@example.com")]);
        created(&server, "/approvals/acme/web", &given).await;
        let shown = read(&server, "/approvals/acme/web/2").await;
        let at = shown["created_at"].clone();
        assert!(at.as_f64().unwrap() > 0.0);
        assert_eq!(
            shown,
            json!({"release_number": 2, "base_artifact": fp('b'), "artifact_name": "acme/a",
                "target_artifact": fp('a'), "description": "ready", "environment": "prod",
                "state": "APPROVED",
                "src_commit_list": [
                    {"commit_sha": COMMIT, "artifact_fingerprints": [fp('a')]},
                    {"commit_sha": OLDER, "artifact_fingerprints": [fp('b')]}],
                "approvals": [{"state": "APPROVED", "comment": "fine",
                    "approved_by": "external://ada@example.com",
                    "approval_url": "https://example.com/a", "timestamp": at}],
                "created_at": at, "last_modified_at": at, "user_data": {"a": 1}})
        );
        assert_eq!(read(&server, "/approvals/acme/web/-1").await, shown);
        assert_eq!(
            read(&server, "/approvals/acme/web/-2").await["release_number"],
            1
        );
        assert_eq!(read(&server, commit).await["commit_sha"], COMMIT);
        let list = read(&server, "/approvals/acme/web").await;
        assert_eq!(list[0], shown, "newest first");
        assert_eq!(list[1]["release_number"], 1);
        let page = read(&server, "/approvals/acme/web?page=2&per_page=1").await;
        assert_eq!(page.as_array().unwrap().len(), 1);
        assert_eq!(page[0]["release_number"], 1);
        assert_eq!(read(&server, "/approvals/acme/web?page=9").await, json!([]));
        let of_artifact = read(&server, &of_artifact).await;
        let states: Vec<&str> = of_artifact
            .as_array()
            .unwrap()
            .iter()
            .map(|approval| approval["state"].as_str().unwrap())
            .collect();
        assert_eq!(states, ["PENDING", "APPROVED"], "oldest first");

        // For every environment; and numbers are those of the flow.
        created(
            &server,
            "/approvals/acme/web",
            &approval('b', None, &[review("APPROVED", "x")]),
        )
        .await;
        assert_eq!(read(&server, commit).await["commit_sha"], OLDER);
        created(
            &server,
            "/approvals/acme/other",
            &approval('c', None, &[review("UNAPPROVED", "x")]),
        )
        .await;
        let refused = read(&server, "/approvals/acme/other/1").await;
        assert_eq!(refused["state"], "UNAPPROVED");
        assert_eq!(refused["environment"], Value::Null);

        let artifact = read(
            &server,
            &format!("/artifacts/acme/web/fingerprint/{}", fp('a')),
        )
        .await;
        assert_eq!(artifact["approvals"], json!([1, 2]));
        assert_eq!(
            history(&server, "web", 'a').await,
            [
                "Artifact created",
                "Approval #1 requested for prod environment",
                "Approval #2 given for prod environment",
            ]
        );
        let trail = read(&server, "/trails/acme/web/t1").await;
        let events = trail["events"].as_array().unwrap();
        let (request, given) = (&events[2], &events[3]);
        for (event, number, state, reviewer) in [
            (request, 1, "PENDING", Value::Null),
            (given, 2, "APPROVED", json!("external://ada@example.com")),
        ] {
            assert_eq!(event["type"], "artifact_approval_reported");
            assert_eq!(event["approval_number"], number);
            assert_eq!(event["state"], state);
            assert_eq!(event["reviewer"], reviewer);
            assert_eq!(event["artifact_fingerprint"], fp('a'));
            assert_eq!(event["git_commit_info"]["sha1"], COMMIT);
            assert!(event["environment_id"].is_string());
        }
        assert_ne!(request["approval_id"], given["approval_id"]);
        // An approval is no report: the trail's state and time are those before it.
        assert_eq!(trail["last_modified_at"], events[1]["timestamp"]);
        assert_eq!(trail["compliance_state"], "COMPLIANT");
    }
}

#[tokio::test]
async fn a_deployment_is_announced_and_comes_true() {
    for server in servers().await {
        for (name, kind) in [("beta", "server"), ("prod", "server"), ("all", "logical")] {
            put_environment(&server, name, kind).await;
        }
        let joined = server
            .put(
                "/api/v2/environments/acme/all/join",
                ADMIN,
                json!({"physical_env_name": "prod"}).to_string(),
            )
            .await;
        assert!(joined.status.is_success(), "{}", joined.text());
        put_flow(&server, "web", None).await;
        report_artifact(&server, "web", Some("t1"), 'a', COMMIT).await;
        attest(&server, "early", 'a').await;
        deploy(&server, "web", 'a', "beta").await;
        deploy(&server, "web", 'a', "prod").await;
        deploy(&server, "web", 'a', "all").await;
        attest(&server, "later", 'a').await;
        let state = |number: &'static str| {
            let server = &server;
            async move {
                let path = format!("/deployments/acme/web/{number}");
                read(server, &path).await["running_state"]["state"].clone()
            }
        };
        assert_eq!(state("1").await, "deploying");
        report(&server, "beta", &[("registry/x", &fp('a'), 1)]).await;
        report(&server, "prod", &[("registry/x", &fp('a'), 1)]).await;
        assert_eq!(state("1").await, "running");
        assert_eq!(state("-1").await, "running", "in a member of it");
        report(&server, "beta", &[]).await;
        assert_eq!(state("-3").await, "exited");
        assert_eq!(state("2").await, "running");
        let announced = |path: &'static str| {
            let server = &server;
            async move { read(server, path).await["artifacts"][0]["deployments"].clone() }
        };
        assert_eq!(announced("/snapshots/acme/beta/1").await, json!([1]));
        assert_eq!(announced("/snapshots/acme/prod/-1").await, json!([2]));
        assert_eq!(announced("/snapshots/acme/all/-1").await, json!([3]));
        let shown = read(&server, "/deployments/acme/web/1").await;
        assert_eq!(shown["deployment_id"], 1);
        assert_eq!(shown["artifact_name"], "acme/a");
        assert_eq!(shown["artifact_fingerprint"], fp('a'));
        assert_eq!(shown["environment"], "beta");
        assert_eq!(shown["build_url"], "https://example.com/d");
        let snapshot = read(&server, "/snapshots/acme/beta/2").await;
        assert_eq!(shown["running_state"]["timestamp"], snapshot["timestamp"]);
        let list = read(&server, "/deployments/acme/web").await;
        let numbers: Vec<i64> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["deployment_id"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, [3, 2, 1], "newest first");
        assert_eq!(
            list[2],
            json!({"deployment_id": 1, "artifact_name": "acme/a", "artifact_fingerprint": fp('a'),
                "environment": "beta", "created_at": shown["created_at"]})
        );
        let page = read(&server, "/deployments/acme/web?page=3&per_page=1").await;
        assert_eq!(page[0]["deployment_id"], 1);

        // What came after the first deployment is late, before it ran anywhere.
        assert_eq!(
            history(&server, "web", 'a').await,
            [
                "Artifact created",
                "early evidence received",
                "Deployment #1 to beta environment",
                "Deployment #2 to prod environment",
                "Deployment #3 to all environment",
                "later evidence received (late)",
                "Started running in beta#1 environment",
                "Started running in prod#1 environment",
                "No longer running in beta#2 environment",
            ]
        );
        let trail = read(&server, "/trails/acme/web/t1").await;
        let late: Vec<(&str, bool)> = trail["events"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|event| {
                Some((
                    event["template_reference_name"].as_str()?,
                    event["late"] == true,
                ))
            })
            .collect();
        assert_eq!(late, [("early", false), ("later", true)]);
        let path = format!("/artifacts/acme/web/fingerprint/{}", fp('a'));
        let artifact = read(&server, &path).await;
        assert_eq!(artifact["deployments"], json!([1, 2, 3]));
        let items = read(&server, "/artifacts/acme?flow_name=web").await;
        assert_eq!(items[0]["deployments"], json!([1, 2, 3]));
        let last = format!("/deployments/acme/prod/{}", fp('a'));
        assert_eq!(read(&server, &last).await["env_name"], "prod", "observed");
        // The newest snapshot follows, one that has a successor does not.
        deploy(&server, "web", 'a', "prod").await;
        deploy(&server, "web", 'a', "beta").await;
        assert_eq!(announced("/snapshots/acme/prod/-1").await, json!([2, 4]));
        assert_eq!(announced("/snapshots/acme/beta/1").await, json!([1]));
        // An approval is late only for the environment in which the artifact is already.
        created(
            &server,
            "/approvals/acme/web",
            &approval('a', Some("prod"), &[review("APPROVED", "x")]),
        )
        .await;
        put_environment(&server, "stage", "server").await;
        created(
            &server,
            "/approvals/acme/web",
            &approval('a', Some("stage"), &[review("APPROVED", "x")]),
        )
        .await;
        let lines = history(&server, "web", 'a').await;
        assert_eq!(
            lines[11..],
            [
                "Approval #1 given for prod environment (late)",
                "Approval #2 given for stage environment"
            ]
        );
        let found = read(&server, "/search/acme/sha/aaaaa").await;
        assert_eq!(
            found["artifacts"][0]["history"][2]["event"],
            "Deployment #1 to beta environment"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_named() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        put_flow(&server, "web", None).await;
        report_artifact(&server, "web", Some("t1"), 'a', COMMIT).await;
        let missing = format!(
            "Artifact with fingerprint '{}' does not exist in flow 'web' belonging to organization 'acme'",
            fp('f')
        );
        let no_flow = "Flow named 'none' does not exist for organization 'acme'";
        for (path, message) in [
            (
                "/approvals/acme/web/1",
                "Approval number '1' does not exist in flow 'web' belonging to organization 'acme'",
            ),
            (
                "/approvals/acme/web/0",
                "Approval number '0' does not exist in flow 'web' belonging to organization 'acme'",
            ),
            (
                "/approvals/acme/web/-1",
                "Approval number '-1' does not exist in flow 'web' belonging to organization 'acme'",
            ),
            (
                "/deployments/acme/web/99999999999",
                "Deployment number '99999999999' does not exist in flow 'web' belonging to organization 'acme'",
            ),
            ("/approvals/acme/none", no_flow),
            ("/approvals/acme/none/1", no_flow),
            ("/deployments/acme/none", no_flow),
            (
                &format!("/artifacts/acme/none/{}/approvals", fp('a')),
                no_flow,
            ),
            (
                &format!("/artifacts/acme/web/{}/approvals", fp('f')),
                &missing,
            ),
            (
                "/approvals/acme/web/artifact-commit/none",
                "Environment named 'none' does not exist for organization 'acme'",
            ),
        ] {
            assert_eq!(
                refusal(&server, path).await,
                (404, message.to_owned()),
                "{path}"
            );
        }
        for (path, field) in [
            ("/approvals/acme/web/latest", "approval_number"),
            ("/deployments/acme/web/abc", "deployment_number"),
            ("/approvals/acme/web?per_page=1000", "query.per_page"),
            ("/deployments/acme/web?page=0", "query.page"),
            ("/artifacts/acme/web/aaaaa/approvals", "fingerprint"),
        ] {
            let reply = crate::support::get(&server, path).await;
            assert_eq!(reply.status.as_u16(), 400, "{path}: {}", reply.text());
            assert!(
                reply.json()["errors"][field].is_string(),
                "{path}: {}",
                reply.text()
            );
        }
        let mut wrong_state = approval('a', None, &[review("PENDING", "x")]);
        wrong_state["src_commit_list"] = json!([]);
        let mut long = approval('a', None, &[]);
        long["src_commit_list"] = json!(vec![COMMIT; 10_001]);
        let mut digest = approval('a', None, &[]);
        digest["artifact_fingerprint"] = "abc".into();
        for (body, field) in [
            (wrong_state, "approvals[0].state"),
            (long, "src_commit_list"),
            (digest, "artifact_fingerprint"),
        ] {
            let reply = post(&server, "/approvals/acme/web", &body).await;
            assert_eq!(reply.status.as_u16(), 400, "{}", reply.text());
            assert!(
                reply.json()["errors"][field].is_string(),
                "{}",
                reply.text()
            );
        }
        let deployment = json!({"artifact_fingerprint": fp('a'), "environment": "none"});
        let unknown = json!({"artifact_fingerprint": fp('f'), "environment": "prod"});
        for (path, body, message) in [
            (
                "/deployments/acme/web",
                &deployment,
                "Environment named 'none' does not exist for organization 'acme'",
            ),
            ("/deployments/acme/web", &unknown, &missing),
            ("/deployments/acme/none", &deployment, no_flow),
            ("/approvals/acme/web", &approval('f', None, &[]), &missing),
            (
                "/approvals/acme/web",
                &approval('a', Some("none"), &[]),
                "Environment named 'none' does not exist for organization 'acme'",
            ),
        ] {
            let reply = post(&server, path, body).await;
            assert_eq!(
                (reply.status.as_u16(), reply.message()),
                (404, message.to_owned()),
                "{path}"
            );
        }
        // Nothing of all that took a number.
        deploy(&server, "web", 'a', "prod").await;
        assert_eq!(
            read(&server, "/deployments/acme/web/-1").await["deployment_id"],
            1
        );
    }
}

#[tokio::test]
async fn evidence_of_older_clients_is_attested() {
    for server in servers().await {
        put_flow(&server, "web", Some(&["artifact", "unit-test"])).await;
        put_flow(&server, "api", None).await;
        report_artifact(&server, "web", None, 'a', COMMIT).await;
        let of_artifact = format!("/artifacts/acme/web/fingerprint/{}", fp('a'));
        assert_eq!(read(&server, &of_artifact).await["state"], "INCOMPLETE");
        let evidence = json!({"artifact_fingerprint": fp('a'), "name": "unit-test",
            "build_url": "https://example.com/b", "user_data": {"n": 1},
            "junit_results": [{"name": "s", "failures": 0, "errors": 0, "skipped": 0, "total": 3, "duration": 1.5}]});
        let path = "/evidence/acme/artifact/web/junit";
        let reply = form(
            &server,
            path,
            "evidence_json",
            &evidence,
            Some(("evidence_file", "<testsuite/>")),
        )
        .await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let artifact = read(&server, &of_artifact).await;
        assert_eq!(artifact["state"], "COMPLIANT");
        let shown = &artifact["evidence"]["unit-test"];
        assert_eq!(shown["attestation_type"], "junit");
        assert_eq!(shown["origin_url"], "https://example.com/b");
        assert_eq!(shown["has_audit_package"], true);
        assert_eq!(
            history(&server, "web", 'a').await,
            ["Artifact created", "unit-test evidence received"]
        );

        // About a commit: in the flow that is named, in the one that knows it, in all.
        let commit = |sha: &str, flows: Value| json!({"commit_sha": sha, "name": "lint", "build_url": "", "flows": flows, "is_compliant": false});
        let path = "/evidence/acme/commit/generic";
        for (sha, flows, told) in [
            (COMMIT, json!(["api"]), [0, 1]),
            (COMMIT, Value::Null, [1, 1]),
            (OLDER, json!([]), [1, 1]),
        ] {
            let body = commit(sha, flows);
            let reply = form(&server, path, "evidence_json", &body, None).await;
            assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
            for (flow, told) in ["web", "api"].into_iter().zip(told) {
                let found = read(&server, &format!("/attestations/acme/{flow}?per_page=100")).await;
                let about = found["data"].as_array().unwrap().iter().filter(|found| {
                    found["trail_name"] == sha && found["attestation_name"] == "lint"
                });
                assert_eq!(about.count(), told, "{flow} {body}");
            }
        }
        let artifact = read(&server, &of_artifact).await;
        assert_eq!(artifact["state"], "NON-COMPLIANT", "its commit is not");

        let unknown = json!({"artifact_fingerprint": fp('f'), "name": "x", "build_url": "", "is_compliant": true});
        let reply = form(
            &server,
            "/evidence/acme/artifact/web/generic",
            "evidence_json",
            &unknown,
            None,
        )
        .await;
        assert_eq!(
            (reply.status.as_u16(), reply.message()),
            (
                404,
                format!(
                    "Artifact with fingerprint '{}' does not exist in flow 'web' belonging to organization 'acme'",
                    fp('f')
                )
            )
        );
        let wrong = json!({"artifact_fingerprint": "f", "name": "a b", "build_url": "", "is_compliant": true});
        let reply = form(
            &server,
            "/evidence/acme/artifact/web/generic",
            "evidence_json",
            &wrong,
            None,
        )
        .await;
        assert_eq!(reply.status.as_u16(), 400);
        for field in ["artifact_fingerprint", "name"] {
            assert!(
                reply.json()["errors"][field].is_string(),
                "{}",
                reply.text()
            );
        }
        let reply = form(
            &server,
            "/evidence/acme/artifact/web/generic",
            "data_json",
            &wrong,
            None,
        )
        .await;
        assert_eq!(reply.status.as_u16(), 400, "{}", reply.text());
        let reply = form(
            &server,
            "/evidence/acme/artifact/web/jira",
            "evidence_json",
            &wrong,
            None,
        )
        .await;
        assert_eq!(reply.status.as_u16(), 404, "{}", reply.text());
    }
}

#[tokio::test]
async fn an_artifact_is_asserted() {
    for server in servers().await {
        put_flow(&server, "web", None).await;
        put_flow(&server, "release", Some(&["artifact", "sign-off"])).await;
        put_environment(&server, "prod", "server").await;
        let path = format!("/asserts/acme/fingerprint/{}", fp('a'));
        assert_eq!(
            refusal(&server, &path).await,
            (
                404,
                format!(
                    "Artifact with fingerprint '{}' does not exist in organization 'acme'",
                    fp('a')
                )
            )
        );
        assert_eq!(
            refusal(&server, &format!("{path}?flow_name=web")).await,
            (
                404,
                format!(
                    "Artifact with fingerprint '{}' does not exist in flow 'web' belonging to organization 'acme'",
                    fp('a')
                )
            )
        );
        report_artifact(&server, "web", Some("t1"), 'a', COMMIT).await;
        attest(&server, "scan", 'a').await;
        let yes = read(&server, &path).await;
        assert_eq!(yes["compliant"], true);
        assert_eq!(yes["scope"], "flow");
        assert_eq!(yes["flow"], "web");
        assert_eq!(yes["trail"], "t1");
        assert_eq!(yes["allow_listing"], Value::Null);
        assert_eq!(yes["policy_evaluations"], json!([]));
        assert!(yes.get("environment").is_none());
        assert_eq!(yes["flows"][0]["html_url"], yes["html_url"]);
        assert_eq!(
            yes["flows"][0]["compliance_status"],
            yes["compliance_status"]
        );
        let mut status = yes["compliance_status"].clone();
        assert!(status["evaluated_at"].as_f64().unwrap() > 0.0);
        status["evaluated_at"] = json!(0);
        assert!(status["attestations_statuses"][0]["attestation_id"].is_string());
        status["attestations_statuses"][0]["attestation_id"] = Value::Null;
        assert_eq!(
            status,
            json!({"artifact_fingerprint": fp('a'), "status": "COMPLIANT", "is_compliant": true,
                "attestations_statuses": [{"attestation_name": "scan", "attestation_type": "generic",
                    "attestation_id": null, "overridden_attestation_id": null, "status": "COMPLETE",
                    "is_compliant": true, "unexpected": true}],
                "unexpected": true, "evaluated_at": 0})
        );

        // The second flow lacks something.
        report_artifact(&server, "release", None, 'a', COMMIT).await;
        let no = read(&server, &path).await;
        assert_eq!(no["compliant"], false);
        assert_eq!(no["flow"], "web", "the first that knew it");
        let flows: Vec<(&str, bool)> = no["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flow| (flow["flow"].as_str().unwrap(), flow["compliant"] == true))
            .collect();
        assert_eq!(flows, [("web", true), ("release", false)]);
        assert_eq!(no["flows"][1]["trail"], Value::Null);
        assert_eq!(no["flows"][1]["compliance_status"]["status"], "INCOMPLETE");
        assert_eq!(
            read(&server, &format!("{path}?flow_name=web")).await["compliant"],
            true
        );
        let only = read(&server, &format!("{path}?flow_name=release")).await;
        assert_eq!(only["compliant"], false);
        assert_eq!(only["flows"].as_array().unwrap().len(), 1);
        // Reported again, a flow moves to the end.
        report_artifact(&server, "web", Some("t2"), 'a', COMMIT).await;
        let moved = read(&server, &path).await;
        assert_eq!(moved["flow"], "release");
        assert_eq!(moved["flows"][1]["trail"], "t2");

        let there = read(
            &server,
            &format!("{path}?environment_name=prod&flow_name=web"),
        )
        .await;
        assert_eq!(there["scope"], "environment");
        assert_eq!(there["environment"], "prod");
        assert_eq!(
            there["compliant"], true,
            "templates judge where no policy does"
        );
        assert_eq!(there["policy_evaluations"], json!([]));
        for (query, status, message) in [
            (
                "environment_name=none",
                404,
                "Environment named 'none' does not exist for organization 'acme'",
            ),
            (
                "policy_name=p",
                404,
                "Policy 'p' does not exist in organization 'acme'",
            ),
            (
                "flow_name=none",
                404,
                "Flow named 'none' does not exist for organization 'acme'",
            ),
        ] {
            assert_eq!(
                refusal(&server, &format!("{path}?{query}")).await,
                (status, message.to_owned())
            );
        }
        let reply = crate::support::get(
            &server,
            &format!("{path}?environment_name=prod&policy_name=p"),
        )
        .await;
        assert_eq!(reply.status.as_u16(), 400);
        let reply = crate::support::get(&server, "/asserts/acme/fingerprint/aaaaa").await;
        assert_eq!(reply.status.as_u16(), 400);
        assert!(reply.json()["errors"]["fingerprint"].is_string());
    }
}
