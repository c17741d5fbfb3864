//! Every endpoint once: status and body as they are served, members in their order.

use axum::http::Method;
use runstone_server::testing::{Reply, TestServer};
use serde_json::json;

use crate::support::{ADMIN, fp, get, put_environment, report, servers};

/// Status and body; times are left out, because on PostgreSQL the database's clock makes them.
fn shown(reply: &Reply) -> String {
    let text = reply.text();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..]
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .map_or(rest.len(), |length| start + length);
        let (before, number) = (&rest[..start], &rest[start..end]);
        shown.push_str(before);
        let is_time = number.len() > 10 && number.contains('.') && number.parse::<f64>().is_ok();
        let is_duration = before.ends_with("\"duration\":");
        shown.push_str(if is_time || is_duration {
            "TIME"
        } else {
            number
        });
        rest = &rest[end..];
    }
    shown.push_str(rest);
    format!("{}\n{shown}", reply.status.as_u16())
}

/// Two environments with a short history.
async fn story(server: &TestServer) {
    put_environment(server, "prod", "server").await;
    put_environment(server, "stage", "server").await;
    report(
        server,
        "prod",
        &[
            ("web", &fp('a'), 100),
            ("web", &fp('a'), 90),
            ("db", &fp('b'), 50),
        ],
    )
    .await;
    server.clock.advance_seconds(60);
    report(
        server,
        "prod",
        &[("web", &fp('c'), 150), ("db", &fp('b'), 50)],
    )
    .await;
    server.clock.advance_seconds(60);
    report(server, "stage", &[("web", &fp('c'), 170)]).await;
    server.clock.advance_seconds(30);
}

#[tokio::test]
async fn environments() {
    for server in servers().await {
        story(&server).await;
        let logical = json!({
            "name": "all", "type": "logical", "description": "both",
            "included_environments": ["stage", "prod"]
        });
        let reply = server
            .put("/api/v2/environments/acme", ADMIN, logical.to_string())
            .await;
        insta::assert_snapshot!("put_environment", shown(&reply));
        let tags = json!({"set_tags": {"team": "platform", "tier": "1"}, "remove_tags": ["none"]});
        let reply = server
            .send(
                Method::PATCH,
                "/api/v2/tags/acme/env/prod",
                ADMIN,
                tags.to_string(),
            )
            .await;
        insta::assert_snapshot!("patch_tags", shown(&reply));
        let reply = server
            .send(
                Method::PATCH,
                "/api/v2/environments/acme/prod",
                ADMIN,
                json!({"description": "where it counts", "policies": null}).to_string(),
            )
            .await;
        insta::assert_snapshot!("patch_environment", shown(&reply));
        insta::assert_snapshot!(
            "get_environment",
            shown(&get(&server, "/environments/acme/prod").await)
        );
        insta::assert_snapshot!(
            "get_environment_logical",
            shown(&get(&server, "/environments/acme/all").await)
        );
        insta::assert_snapshot!(
            "list_environments",
            shown(&get(&server, "/environments/acme").await)
        );
        insta::assert_snapshot!(
            "list_environments_page",
            shown(
                &get(
                    &server,
                    "/environments/acme?per_page=1&page=2&type=server&type=logical"
                )
                .await
            )
        );
    }
}

#[tokio::test]
async fn snapshots() {
    for server in servers().await {
        story(&server).await;
        insta::assert_snapshot!(
            "list_snapshots",
            shown(&get(&server, "/snapshots/acme/prod").await)
        );
        insta::assert_snapshot!(
            "get_snapshot_1",
            shown(&get(&server, "/snapshots/acme/prod/1").await)
        );
        insta::assert_snapshot!(
            "get_snapshot_latest",
            shown(&get(&server, "/snapshots/acme/prod/-1").await)
        );
        let again = get(&server, "/snapshots/acme/prod/%40%7Bnow%7D").await;
        insta::assert_snapshot!("get_snapshot_latest", shown(&again));
        let events = get(&server, "/environments/acme/prod/events?per_page=2").await;
        insta::assert_snapshot!("list_environment_events", shown(&events));
        let headers: Vec<&str> = [
            "x-total-count",
            "x-per-page",
            "x-current-page",
            "x-total-pages",
            "link",
        ]
        .map(|name| events.header(name))
        .into();
        insta::assert_snapshot!("list_environment_events_headers", headers.join("\n"));
        insta::assert_snapshot!(
            "diff_snapshots",
            shown(&get(&server, "/env-diff/acme?snappish1=prod%231&snappish2=stage").await)
        );
        insta::assert_snapshot!(
            "search_sha",
            shown(&get(&server, "/search/acme/sha/ccccc").await)
        );
    }
}

#[tokio::test]
async fn reports_of_every_type() {
    let digests = json!({"app": fp('a')});
    let unknown = json!({"app": ""});
    let cases = [
        (
            "K8S",
            json!({"podName": "web-1", "namespace": "prod", "digests": digests, "creationTimestamp": 5,
            "owners": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true, "blockOwnerDeletion": true, "new": 1}]}),
        ),
        (
            "ECS",
            json!({"taskArn": "arn:1", "digests": unknown, "creationTimestamp": 5, "cluster_name": "c"}),
        ),
        (
            "lambda",
            json!({"digests": digests, "creationTimestamp": 5}),
        ),
        ("S3", json!({"digests": digests, "creationTimestamp": 5})),
        (
            "docker",
            json!({"digests": digests, "creationTimestamp": 5}),
        ),
        (
            "server",
            json!({"digests": digests, "creationTimestamp": 5}),
        ),
        (
            "azure-apps",
            json!({"app_name": "a", "app_kind": "function", "digests": digests, "digests_source": "acr", "creationTimestamp": 5}),
        ),
        (
            "cloud-run",
            json!({"kind": "service", "serviceName": "s", "revisionName": "r", "digests": digests, "creationTimestamp": 5}),
        ),
    ];
    for server in servers().await {
        for (kind, element) in &cases {
            put_environment(&server, kind, kind).await;
            let path = format!("/api/v2/environments/acme/{kind}/report/{kind}");
            let body = json!({"type": kind, "artifacts": [element]}).to_string();
            let reply = server.put(&path, ADMIN, body.clone()).await;
            assert_eq!(shown(&reply), "201\n\"OK\"", "{kind}");
            let reply = server.put(&path, ADMIN, body).await;
            assert_eq!(shown(&reply), "200\n\"OK\"", "{kind}");
            let snapshot = get(&server, &format!("/snapshots/acme/{kind}/-1")).await;
            insta::assert_snapshot!(format!("snapshot_of_{kind}"), shown(&snapshot));
        }
    }
}

#[tokio::test]
async fn service() {
    for server in servers().await {
        let ready = server.get("/ready", "whatever").await;
        assert_eq!(shown(&ready), "200\nOK");
        assert_eq!(shown(&server.get("/live", "").await), "200\nOK");
        let version = server.get("/version", "").await.json();
        assert_eq!(version["api"], "2.0");
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
        let metrics = server.get("/metrics", "").await;
        assert!(
            metrics
                .header("content-type")
                .starts_with("text/plain; version=0.0.4")
        );
        let text = metrics.text();
        assert!(
            text.contains("# TYPE http_request_duration_seconds histogram"),
            "{text}"
        );
        assert!(text.contains(r#"route="/ready""#), "{text}");
        for path in ["/api/v2/doc", "/api/v2/doc/", "/api/fastapi/doc/"] {
            let page = server.get(path, "").await;
            assert_eq!(page.status.as_u16(), 200);
            assert!(page.text().contains("/api/v2/environments/{org}"));
            assert!(!page.text().contains("http://") && !page.text().contains("https://"));
        }
    }
}

#[tokio::test]
async fn the_document_is_complete() {
    let document = runstone_server::openapi_json("http://runstone.test");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["tags"].is_array(), "{method} {path}");
            assert!(operation["responses"].is_object(), "{method} {path}");
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is not described"
        );
    }
    for route in runstone_server::routes() {
        let Some(path) = route.path.strip_prefix("/api/v2") else {
            continue;
        };
        if path == "/doc" || path == "/openapi.json" {
            continue;
        }
        let method = route.method.as_str().to_lowercase();
        assert!(
            document["paths"][path.replace("{*", "{")][&method].is_object(),
            "{method} {path}"
        );
    }
    insta::assert_json_snapshot!("openapi", document);
}
