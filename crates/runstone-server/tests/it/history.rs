//! Imported history: what administrators tell of the past counts from the time they claim
//! (design D10).

use axum::body::Body;
use axum::http::{Request, StatusCode};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, get, put_environment, read, report, server_report, servers};

/// 22 Aug 2022 11:35:00 CEST, in seconds.
const CREATED: i64 = 1_661_160_900;

/// A write that tells of `at` as line `line` of a source.
async fn tell(
    server: &TestServer,
    key: &str,
    (at, line): (i64, u64),
    (method, path): (&str, &str),
    body: String,
) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2{path}"))
        .header("host", "runstone.test")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .header("runstone-imported-at", at.to_string())
        .header("runstone-reporter", "history.jsonl")
        .header("runstone-sequence", line.to_string())
        .body(Body::from(body))
        .unwrap();
    server.call(request).await
}

fn environment() -> String {
    json!({"name": "aws-prod", "type": "server", "description": "", "include_scaling": true})
        .to_string()
}

fn artifact(fingerprint: &str) -> String {
    json!({"fingerprint": fingerprint, "filename": "cyberdojo/runner:16d9990",
        "git_commit": "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4",
        "build_url": "https://example.com/b", "commit_url": "https://example.com/c"})
    .to_string()
}

const PUT_ENVIRONMENT: (&str, &str) = ("PUT", "/environments/acme");
const REPORT: (&str, &str) = ("PUT", "/environments/acme/aws-prod/report/server");
const ARTIFACT: (&str, &str) = ("POST", "/artifacts/acme/runner");

#[tokio::test]
async fn what_is_imported_counts_from_the_claimed_time_and_once() {
    for server in servers().await {
        let reply = tell(
            &server,
            ADMIN,
            (CREATED - 60, 1),
            PUT_ENVIRONMENT,
            environment(),
        )
        .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        for _ in 0..2 {
            let reply = tell(&server, ADMIN, (CREATED, 2), ARTIFACT, artifact(&fp('a'))).await;
            assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        }
        let first = server_report(&[("runner", &fp('a'), CREATED + 257)]);
        let reply = tell(&server, ADMIN, (CREATED + 262, 3), REPORT, first).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let reply = tell(
            &server,
            ADMIN,
            (CREATED + 900, 4),
            REPORT,
            server_report(&[]),
        )
        .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());

        let list = read(&server, "/artifacts/acme?flow_name=runner").await;
        assert_eq!(
            list.as_array().unwrap().len(),
            1,
            "line 2 came twice: {list:#}"
        );
        let artifact = read(
            &server,
            &format!("/artifacts/acme/runner/fingerprint/{}", fp('a')),
        )
        .await;
        assert_eq!(artifact["created_at"], json!(CREATED as f64));
        let history: Vec<(&str, f64)> = artifact["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                (
                    event["event"].as_str().unwrap(),
                    event["timestamp"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            history,
            [
                ("Artifact created", CREATED as f64),
                (
                    "Started running in aws-prod#1 environment",
                    (CREATED + 262) as f64
                ),
                (
                    "No longer running in aws-prod#2 environment",
                    (CREATED + 900) as f64
                ),
            ]
        );
        let snapshot = read(&server, "/snapshots/acme/aws-prod/@{2022-08-22T09:45:00}").await;
        assert_eq!(snapshot["index"], 1, "{snapshot:#}");
        assert_eq!(snapshot["timestamp"], json!((CREATED + 262) as f64));
        let shown = read(&server, "/environments/acme/aws-prod").await;
        assert_eq!(shown["last_changed_at"], json!((CREATED + 900) as f64));

        // The journal tells both times, and that this is the past.
        let journal = entries(&server).await;
        let imported: Vec<&Value> = journal
            .iter()
            .filter(|entry| entry["claimed"]["imported"] == json!(true))
            .collect();
        assert!(imported.len() >= 5, "{journal:#?}");
        let last = imported.last().unwrap();
        assert_eq!(last["claimed"]["at"], json!((CREATED + 900) * 1_000_000));
        assert_eq!(last["claimed"]["by"], "history.jsonl");
        assert_eq!(last["claimed"]["sequence"], 4);
        assert!(last["received"].as_i64().unwrap() > (CREATED + 900) * 1_000_000);
    }
}

/// Every entry of the log of `acme`.
async fn entries(server: &TestServer) -> Vec<Value> {
    let size = read(server, "/journal/acme").await["size"]
        .as_u64()
        .unwrap();
    let mut entries = Vec::new();
    for index in 0..size {
        entries.push(read(server, &format!("/journal/acme/entries/{index}")).await);
    }
    entries
}

#[tokio::test]
async fn history_is_for_administrators_in_order_and_before_live_snapshots() {
    for server in servers().await {
        let at = |seconds, line| (CREATED + seconds, line);
        let reply = tell(
            &server,
            "KEY-member",
            at(0, 1),
            PUT_ENVIRONMENT,
            environment(),
        )
        .await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        let reply = tell(&server, ADMIN, at(0, 1), PUT_ENVIRONMENT, environment()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let bad = |reply: Reply, text: &str| {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
            assert_eq!(reply.json()["message"], text);
        };
        let some = || server_report(&[("runner", &fp('a'), CREATED)]);
        bad(
            tell(&server, ADMIN, at(-1, 2), REPORT, some()).await,
            "history has to be imported in the order of time: environment 'aws-prod' was last changed at 2022-08-22T09:35:00Z, after 2022-08-22T09:34:59Z",
        );
        bad(
            tell(&server, ADMIN, (99_999_999_999, 2), REPORT, some()).await,
            "imported history has to be claimed for a time before now, not 5138-11-16T09:46:39Z",
        );
        let reply = tell(&server, ADMIN, at(60, 2), REPORT, some()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        // The same again is no change, and no observation of now.
        let reply = tell(&server, ADMIN, at(120, 3), REPORT, some()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let shown = read(&server, "/environments/acme/aws-prod").await;
        assert_eq!(
            shown["last_reported_at"],
            json!((CREATED + 60) as f64),
            "{shown:#}"
        );

        // From the first report of what runs now on, the past is closed.
        assert_eq!(
            report(&server, "aws-prod", &[("runner", &fp('b'), CREATED)]).await,
            201
        );
        bad(
            tell(&server, ADMIN, at(180, 4), REPORT, some()).await,
            "environment 'aws-prod' has snapshots of its own: history can no longer be imported",
        );
        put_environment(&server, "other", "server").await;
        let other = ("PUT", "/environments/acme/other/report/server");
        let reply = tell(&server, ADMIN, at(180, 4), other, some()).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "it was created later"
        );

        // A trail that was told of since takes nothing of before.
        let reply = server
            .send(
                axum::http::Method::POST,
                "/api/v2/artifacts/acme/runner",
                ADMIN,
                artifact(&fp('a')),
            )
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let reply = tell(&server, ADMIN, at(240, 5), ARTIFACT, artifact(&fp('c'))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
        assert!(
            reply
                .text()
                .contains("trail '16d9990ad23a40eecaf087abac2a58a2d2a4b3f4' was last changed at"),
            "{}",
            reply.text()
        );
        let reply = get(
            &server,
            &format!("/artifacts/acme/runner/fingerprint/{}", fp('c')),
        )
        .await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn wrong_claims_of_the_past_are_named() {
    for server in servers().await {
        let request = Request::builder()
            .method("PUT")
            .uri("/api/v2/environments/acme")
            .header("host", "runstone.test")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("runstone-imported-at", "noon")
            .body(Body::from(environment()))
            .unwrap();
        let reply = server.call(request).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        let errors = reply.json()["errors"].clone();
        assert_eq!(
            errors,
            json!({
                "header.runstone-imported-at": "Header should be Unix seconds or an RFC 3339 time [input: noon]",
                "header.runstone-reporter": "Field required with imported history [input: None]",
            })
        );
    }
}
