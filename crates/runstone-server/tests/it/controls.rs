//! Controls, and what was decided about them (`api-organisation.md` section 8).

use axum::http::{Method, StatusCode};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::flows::send_form;
use crate::support::{ADMIN, fp, put_environment, read, refusal, servers};

async fn send(server: &TestServer, method: Method, path: &str, body: Value) -> Reply {
    let path = format!("/api/v2{path}");
    server.send(method, &path, ADMIN, body.to_string()).await
}

/// What a change that succeeds answers.
async fn change(server: &TestServer, method: Method, path: &str, body: Value) -> Value {
    let reply = send(server, method, path, body).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
    reply.json()
}

async fn make(server: &TestServer, identifier: &str, name: &str) {
    let body = json!({"identifier": identifier, "name": name});
    let reply = send(server, Method::POST, "/controls/acme", body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
}

async fn tag(server: &TestServer, identifier: &str, tags: Value) -> Reply {
    let path = format!("/tags/acme/control/{identifier}");
    send(server, Method::PATCH, &path, json!({"set_tags": tags})).await
}

#[tokio::test]
async fn a_control_is_made_changed_archived_and_found() {
    for server in servers().await {
        let body = json!({"identifier": "SDLC-1", "name": "Code review", "description": "four eyes",
            "links": {"docs": "https://example.com/d"}});
        let reply = send(&server, Method::POST, "/controls/acme", body.clone()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let made = reply.json();
        let members: Vec<&String> = made.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "identifier",
                "name",
                "description",
                "links",
                "version",
                "created_by",
                "created_at",
                "tags",
                "archived",
                "policies_referencing"
            ]
        );
        assert_eq!(made["version"], 1);
        assert_eq!(made["created_by"], "ada");
        assert_eq!(made["policies_referencing"], json!([]));
        assert_eq!(read(&server, "/controls/acme/SDLC-1").await, made);

        let reply = send(&server, Method::POST, "/controls/acme", body.clone()).await;
        assert_eq!(reply.status, StatusCode::CONFLICT);
        assert_eq!(
            reply.message(),
            "A control with identifier 'SDLC-1' already exists in organization 'acme'"
        );

        let path = "/controls/acme/SDLC-1";
        let changed = change(&server, Method::PUT, path, json!({"name": "Review"})).await;
        assert_eq!(changed["version"], 2);
        assert_eq!(changed["name"], "Review");
        assert_eq!(changed["description"], "four eyes");
        assert_eq!(changed["links"], made["links"]);
        assert_eq!(changed["created_at"], made["created_at"]);
        let body = json!({"description": null, "links": {}});
        let changed = change(&server, Method::PUT, path, body.clone()).await;
        assert_eq!(changed["description"], Value::Null);
        assert_eq!(changed["links"], json!({}));
        let changed = change(&server, Method::PUT, path, body).await;
        assert_eq!(changed["version"], 4, "it grows with every change");

        let versions = read(&server, "/controls/acme/SDLC-1/versions?per_page=3").await;
        assert_eq!(versions["total_count"], 4);
        assert_eq!(versions["total_pages"], 2);
        assert_eq!(versions["versions"][0]["version"], 4);
        assert_eq!(versions["versions"][2]["name"], "Review");
        assert_eq!(versions["versions"][2]["status"], "edited");
        let href = versions["_links"]["next"]["href"].as_str().unwrap();
        assert!(href.ends_with("/versions?per_page=3&page=2"), "{href}");
        let oldest = read(
            &server,
            "/controls/acme/SDLC-1/versions?sort_direction=asc&per_page=1",
        )
        .await;
        let first = read(&server, "/controls/acme/SDLC-1/versions/1").await;
        assert_eq!(oldest["versions"], json!([first]));
        assert_eq!(first["name"], "Code review");
        assert_eq!(first["status"], "created");
        assert_eq!(first["created_by"], "ada");
        for path in ["5", "0", "x", "99999999999"] {
            let path = format!("/controls/acme/SDLC-1/versions/{path}");
            let found = refusal(&server, &path).await;
            assert_eq!(found, (404, "Control or version not found".to_owned()));
        }

        let archived = change(
            &server,
            Method::POST,
            "/controls/acme/SDLC-1/archive",
            json!(null),
        )
        .await;
        assert_eq!(archived["archived"], true);
        assert_eq!(archived["version"], 4);
        let path = "/controls/acme/SDLC-1/archive";
        assert_eq!(
            change(&server, Method::POST, path, json!(null)).await,
            archived
        );
        assert_eq!(read(&server, "/controls/acme/SDLC-1").await, archived);
        let body = json!({"identifier": "SDLC-1", "name": "again"});
        let reply = send(&server, Method::POST, "/controls/acme", body).await;
        assert_eq!(
            reply.status,
            StatusCode::CONFLICT,
            "its identifier stays taken"
        );
        assert_eq!(read(&server, "/controls/acme").await["total_count"], 0);
        let list = read(&server, "/controls/acme?archived=true").await;
        assert_eq!(list["controls"][0]["identifier"], "SDLC-1");
        assert_eq!(list["controls"][0].get("policies_referencing"), None);
        let path = "/controls/acme/SDLC-1/unarchive";
        let back = change(&server, Method::POST, path, json!(null)).await;
        assert_eq!(back["archived"], false);

        let missing = "Control 'SDLC-2' does not exist in organization 'acme'";
        for path in [
            "/controls/acme/SDLC-2",
            "/controls/acme/SDLC-2/versions",
            "/controls/acme/SDLC-2/decisions",
            "/controls/acme/SDLC-2/coverage",
        ] {
            assert_eq!(refusal(&server, path).await, (404, missing.to_owned()));
        }
        for (method, path, body) in [
            (Method::PUT, "", json!({"name": "x"})),
            (Method::POST, "/archive", json!(null)),
            (Method::POST, "/unarchive", json!(null)),
        ] {
            let path = format!("/controls/acme/SDLC-2{path}");
            let reply = send(&server, method, &path, body).await;
            assert_eq!(
                (reply.status.as_u16(), reply.message()),
                (404, missing.to_owned())
            );
        }
        let reply = tag(&server, "SDLC-2", json!({"a": "b"})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert_eq!(reply.message(), format!("\"{missing}\""));
    }
}

#[tokio::test]
async fn controls_are_listed_by_name_and_found_by_part_and_tag() {
    for server in servers().await {
        for (identifier, name) in [
            ("C-3", "beta"),
            ("C-1", "Alpha"),
            ("C-2", "beta"),
            ("X-9", "gamma"),
        ] {
            make(&server, identifier, name).await;
        }
        for (identifier, tags) in [
            ("C-1", json!({"level": "high", "team": "red"})),
            ("C-2", json!({"level": "low"})),
        ] {
            let reply = tag(&server, identifier, tags).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        }
        for (query, expected) in [
            ("", vec!["C-1", "C-2", "C-3", "X-9"]),
            ("?sort_direction=desc", vec!["X-9", "C-3", "C-2", "C-1"]),
            ("?per_page=2&page=2", vec!["C-3", "X-9"]),
            ("?page=9", vec![]),
            ("?search=BETA", vec!["C-2", "C-3"]),
            ("?search=c-", vec!["C-1", "C-2", "C-3"]),
            ("?search=alpha&tag=level", vec!["C-1"]),
            ("?tag=level", vec!["C-1", "C-2"]),
            ("?tag=level:high", vec!["C-1"]),
            ("?tag=level&tag=team:red", vec!["C-1"]),
            ("?tag=level:none", vec![]),
        ] {
            let page = read(&server, &format!("/controls/acme{query}")).await;
            let found: Vec<&str> = page["controls"]
                .as_array()
                .unwrap()
                .iter()
                .map(|control| control["identifier"].as_str().unwrap())
                .collect();
            assert_eq!(found, expected, "{query}");
        }
        for query in [
            "?per_page=101",
            "?page=0",
            "?sort_direction=up",
            "?archived=maybe",
        ] {
            let (status, _) = refusal(&server, &format!("/controls/acme{query}")).await;
            assert_eq!(status, 400, "{query}");
        }
        assert_eq!(
            read(&server, "/controls/acme/tags").await,
            json!({"level": ["high", "low"], "team": ["red"]})
        );
        let body = json!({"remove_tags": ["team", "absent"]});
        change(&server, Method::PATCH, "/tags/acme/controls/C-1", body).await;
        assert_eq!(
            read(&server, "/controls/acme/C-1").await["tags"],
            json!({"level": "high"})
        );
        // Changing controls is for administrators, and so are their tags.
        let reply = server
            .send(
                Method::PATCH,
                "/api/v2/tags/acme/control/C-1",
                "KEY-member",
                json!({"set_tags": {"a": "b"}}).to_string(),
            )
            .await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        put_environment(&server, "prod", "server").await;
        put_environment(&server, "beta", "K8S").await;
        let coverage = read(&server, "/controls/acme/C-1/coverage").await;
        assert_eq!(coverage["total"], 2);
        assert_eq!(coverage["covered"], 0);
        assert_eq!(coverage["coverage_percent"], 0.0);
        assert_eq!(
            coverage["environments"],
            json!([
                {"name": "beta", "type": "K8S", "covered": false, "policies": []},
                {"name": "prod", "type": "server", "covered": false, "policies": []}
            ])
        );
        let none = read(&server, "/controls/acme/C-1/coverage?covered=true").await;
        assert_eq!(none["total"], 2);
        assert_eq!(none["total_count"], 0);
    }
}

async fn decide(server: &TestServer, flow: &str, control: &str, is_compliant: bool) {
    let data = json!({"attestation_name": "gate", "type_name": "decision", "control": control,
        "attestation_data": {"is_compliant": is_compliant}, "description": "why",
        "origin_url": "https://example.com/o", "user_data": {"a": 1}});
    let path = format!("/attestations/acme/{flow}/trail/t1/system");
    let reply = send_form(server, "POST", &path, data, None).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
}

#[tokio::test]
async fn decisions_are_kept_with_the_version_of_their_control() {
    for server in servers().await {
        decide(&server, "web", "SDLC-1", false).await;
        make(&server, "SDLC-1", "Review").await;
        make(&server, "SDLC-2", "Other").await;
        decide(&server, "web", "SDLC-1", true).await;
        let body = json!({"name": "Four eyes"});
        change(&server, Method::PUT, "/controls/acme/SDLC-1", body).await;
        change(
            &server,
            Method::POST,
            "/controls/acme/SDLC-1/archive",
            json!(null),
        )
        .await;
        decide(&server, "db", "SDLC-1", false).await;

        let report = json!({"fingerprint": fp('a'), "filename": "acme/web:1", "build_url": "https://b",
            "commit_url": "https://example.com/c", "trail_name": "t1"});
        change(&server, Method::POST, "/artifacts/acme/web", report).await;
        let data = json!({"attestation_name": "gate", "type_name": "decision", "control": "SDLC-1",
            "artifact_fingerprint": fp('a'), "attestation_data": {"is_compliant": true}});
        let reply = send_form(
            &server,
            "POST",
            "/attestations/acme/web/trail/t1/system",
            data,
            Some(("attachment_file", "report.json", b"{}")),
        )
        .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());

        let all = read(&server, "/controls/acme/SDLC-1/decisions").await;
        assert_eq!(all["total_count"], 4);
        let of = |name: &str| -> Vec<Value> {
            let decisions = all["decisions"].as_array().unwrap().iter();
            decisions.map(|one| one[name].clone()).collect()
        };
        assert_eq!(
            of("control_version"),
            [json!(2), json!(2), json!(1), json!(null)]
        );
        assert_eq!(
            of("is_compliant"),
            [json!(true), json!(false), json!(true), json!(false)]
        );
        assert_eq!(
            of("flow_name"),
            [json!("web"), json!("db"), json!("web"), json!("web")]
        );
        let newest = &all["decisions"][0];
        assert_eq!(newest["control"], "SDLC-1");
        assert_eq!(newest["attestation_name"], "gate");
        assert_eq!(newest["trail_name"], "t1");
        assert_eq!(newest["artifact_fingerprint"], fp('a'));
        assert_eq!(newest["artifact_name"], "acme/web:1");
        assert_eq!(newest["user_data"], json!({}));
        let file = &newest["evidence_files"][0];
        assert_eq!(file["filename"], "report.json");
        let href = file["download_url"].as_str().unwrap();
        let reply = server
            .get(href.strip_prefix("http://runstone.test").unwrap(), ADMIN)
            .await;
        assert_eq!(reply.text(), "{}");
        let oldest = &all["decisions"][3];
        assert_eq!(oldest["evidence_files"], json!([]));
        assert_eq!(oldest["artifact_fingerprint"], Value::Null);
        assert_eq!(oldest["description"], "why");
        assert_eq!(oldest["origin_url"], "https://example.com/o");
        assert_eq!(oldest["user_data"], json!({"a": 1}));

        let id = oldest["decision_id"].as_str().unwrap();
        let one = read(&server, &format!("/controls/acme/SDLC-1/decisions/{id}")).await;
        assert_eq!(&one, oldest);
        for path in [
            format!("SDLC-2/decisions/{id}"),
            "SDLC-1/decisions/x".to_owned(),
        ] {
            let (status, _) = refusal(&server, &format!("/controls/acme/{path}")).await;
            assert_eq!(status, 404, "{path}");
        }
        let db = read(&server, "/flows/acme/db").await;
        let db = db["id"].as_str().unwrap();
        let web = read(&server, "/flows/acme/web").await;
        let web = web["id"].as_str().unwrap();
        let at = oldest["timestamp"].as_f64().unwrap();
        for (query, count) in [
            (format!("flow_id={db}"), 1),
            (format!("flow_id={db}&flow_id={web}"), 4),
            ("flow_id=nonsense".to_owned(), 0),
            ("is_compliant=true".to_owned(), 2),
            (format!("is_compliant=false&flow_id={web}"), 1),
            (format!("to_timestamp={at}"), 1),
            (format!("from_timestamp={at}"), 4),
            (format!("from_timestamp={}", at + 1e6), 0),
            ("per_page=1&page=2".to_owned(), 4),
        ] {
            let page = read(&server, &format!("/controls/acme/SDLC-1/decisions?{query}")).await;
            assert_eq!(page["total_count"], count, "{query}");
        }
        let page = read(
            &server,
            "/controls/acme/SDLC-1/decisions?sort_direction=asc&per_page=1",
        )
        .await;
        assert_eq!(&page["decisions"][0], oldest);
        let none = read(&server, "/controls/acme/SDLC-2/decisions").await;
        assert_eq!(none["total_count"], 0);
    }
}

#[tokio::test]
async fn what_is_no_control_is_refused() {
    let server = servers().await.remove(0);
    for (body, field) in [
        (json!({"identifier": "a"}), "name"),
        (json!({"identifier": "a b", "name": "n"}), "identifier"),
        (
            json!({"identifier": "a".repeat(257), "name": "n"}),
            "identifier",
        ),
        (json!({"identifier": "a", "name": "n", "tags": {}}), "tags"),
        (
            json!({"identifier": "a", "name": "n", "links": ["x"]}),
            "links",
        ),
        (json!([]), "body"),
    ] {
        let reply = send(&server, Method::POST, "/controls/acme", body.clone()).await;
        assert_eq!(reply.status.as_u16(), 400, "{body}: {}", reply.text());
        let answer = reply.json();
        assert!(answer["errors"][field].is_string(), "{body}: {answer}");
    }
    make(&server, &"a".repeat(256), "n").await;
    make(&server, "~._-", "<b>name</b>").await;
    let reply = send(
        &server,
        Method::PUT,
        "/controls/acme/~._-",
        json!({"identifier": "b"}),
    )
    .await;
    assert_eq!(reply.status.as_u16(), 400);
    assert_eq!(read(&server, "/controls/acme").await["total_count"], 2);
}
