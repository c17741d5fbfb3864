//! Who may call what: every route of the router, with every role, in an organization that is
//! private, public, unknown or someone else's, and without a credential.

use std::str::FromStr as _;

use axum::http::Method;
use runstone_model::role::{Right, Role};
use runstone_server::testing::{Reply, TestServer};
use runstone_server::{Access, RouteInfo, routes};

use crate::support::{fp, put_environment, report, servers};

/// The route with every parameter but the organization filled in, so that whoever is let in gets
/// past the question of rights, whatever the answer then is.
fn path(route: &RouteInfo, organization: &str) -> String {
    let mut path = route.path.clone();
    for (name, value) in [
        ("{org}", organization),
        ("{env_name}", "matrix"),
        ("{snapshot_expression}", "-1"),
        ("{search_value}", "aaaaa"),
        ("{resource_type}", "env"),
        ("{resource_id}", "matrix"),
        ("{flow_name}", "matrix"),
        ("{trail_name}", "matrix"),
        ("{attestation_name}", "matrix"),
        ("{attestation_id}", "matrix"),
        ("{fingerprint}", "aaaaa"),
        ("{custom_attestation_type_name}", "matrix"),
        ("{control_identifier}", "matrix"),
        ("{version_number}", "1"),
        ("{decision_id}", "matrix"),
        ("{commit_sha}", "aaaaa"),
        ("{number}", "1"),
        ("{index}", "0"),
        ("{position}", "0"),
        ("{*path}", "checkpoint"),
        ("{*repo_name}", "matrix/repo"),
        ("{repo}", "matrix"),
    ] {
        path = path.replace(name, value);
    }
    assert!(!path.contains('{'), "{path}");
    path
}

#[derive(Debug, PartialEq)]
enum Outcome {
    LetIn,
    Unauthorized,
    Forbidden(String),
}

fn outcome(reply: &Reply) -> Outcome {
    match reply.status.as_u16() {
        401 => {
            assert_eq!(reply.text(), r#"{"message":"Unauthorized"}"#);
            Outcome::Unauthorized
        }
        403 => Outcome::Forbidden(reply.message()),
        status => {
            assert!(status < 500, "{status} {}", reply.text());
            Outcome::LetIn
        }
    }
}

fn forbidden(right: Right, is_member: bool) -> Outcome {
    Outcome::Forbidden(
        if is_member && right == Right::ArchiveEnvironment {
            "User does not have permission to archive environment"
        } else {
            "You don't have permission to access this resource"
        }
        .to_owned(),
    )
}

async fn call(server: &TestServer, route: &RouteInfo, organization: &str, key: &str) -> Outcome {
    // A body that no handler accepts, so that nothing changes.
    let body = if route.method == Method::GET {
        ""
    } else {
        "[]"
    };
    let path = path(route, organization);
    // Archiving needs no body and would go through.
    if path.ends_with("/archive") {
        let path = path.replace("matrix", "matrix-gone");
        return outcome(&server.send(route.method.clone(), &path, key, body).await);
    }
    outcome(&server.send(route.method.clone(), &path, key, body).await)
}

#[tokio::test]
async fn every_route_asks_for_its_right() {
    for server in servers().await {
        put_environment(&server, "matrix", "server").await;
        report(&server, "matrix", &[("a", &fp('a'), 1)]).await;
        let routes = routes();
        assert!(routes.len() > 25, "the list is complete");
        for route in &routes {
            let Access::Organization(right) = route.access else {
                assert!(!route.path.contains("{org}"), "{}", route.path);
                assert_eq!(call(&server, route, "", "").await, Outcome::LetIn);
                assert_eq!(call(&server, route, "", "KEY-nobody").await, Outcome::LetIn);
                continue;
            };
            for organization in ["acme", "open", "absent"] {
                let place = format!("{} {} in {organization}", route.method, route.path);
                let is_public = organization == "open" && right == Right::Read;
                for role in Role::ALL {
                    let expected = match organization {
                        "absent" => forbidden(right, false),
                        _ if role.allows(right) => Outcome::LetIn,
                        _ => forbidden(right, true),
                    };
                    let key = format!("KEY-{role}");
                    let found = call(&server, route, organization, &key).await;
                    assert_eq!(found, expected, "{role} {place}");
                }
                let stranger = if is_public {
                    Outcome::LetIn
                } else {
                    forbidden(right, false)
                };
                let nobody = || {
                    if is_public {
                        Outcome::LetIn
                    } else {
                        Outcome::Unauthorized
                    }
                };
                for (key, expected) in [
                    ("KEY-stranger", stranger),
                    ("", nobody()),
                    ("KEY-expired", nobody()),
                    ("KEY-nobody", nobody()),
                    ("DRY_RUN", nobody()),
                ] {
                    let found = call(&server, route, organization, key).await;
                    assert_eq!(found, expected, "'{key}' {place}");
                }
            }
            // A service account acts in its own organization only.
            let expected = if Role::from_str("snapshotter").unwrap().allows(right) {
                Outcome::LetIn
            } else {
                forbidden(right, true)
            };
            assert_eq!(
                call(&server, route, "acme", "KEY-ci").await,
                expected,
                "{}",
                route.path
            );
            assert_eq!(
                call(&server, route, "other", "KEY-ci").await,
                forbidden(right, false),
                "{}",
                route.path
            );
        }
    }
}

#[tokio::test]
async fn keys_come_in_either_field_of_basic() {
    use axum::body::Body;
    use axum::http::Request;
    use base64::Engine as _;
    for server in servers().await {
        for (text, status) in [
            ("KEY-reader:", 200),
            (":KEY-reader", 200),
            ("someone:KEY-reader", 200),
            ("KEY-wrong:", 401),
        ] {
            let value = base64::engine::general_purpose::STANDARD.encode(text);
            let request = Request::builder()
                .uri("/api/v2/environments/acme")
                .header("authorization", format!("Basic {value}"))
                .body(Body::empty())
                .unwrap();
            assert_eq!(server.call(request).await.status.as_u16(), status, "{text}");
        }
    }
}

#[tokio::test]
async fn the_log_of_the_server_is_for_its_administrators() {
    for server in servers().await {
        for key in ["", "KEY-admin", "KEY-stranger"] {
            for path in ["/log/_server/checkpoint", "/api/v2/journal/_server"] {
                let status = server.get(path, key).await.status.as_u16();
                assert_eq!(
                    status,
                    if key.is_empty() { 401 } else { 403 },
                    "{key} {path}"
                );
            }
        }
        // Nor is it an organization like others.
        let reply = server
            .get("/api/v2/environments/_server", "KEY-admin")
            .await;
        assert_eq!(reply.status.as_u16(), 403);
    }
}

#[tokio::test]
async fn a_snapshotter_s_second_put_changes_nothing() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        let body = r#"{"name":"prod","type":"server","description":"mine"}"#;
        let reply = server
            .put("/api/v2/environments/acme", "KEY-snapshotter", body)
            .await;
        assert_eq!(reply.status.as_u16(), 201);
        let shown = server
            .get("/api/v2/environments/acme/prod", "KEY-reader")
            .await;
        assert_eq!(shown.json()["description"], "");
        let reply = server
            .put("/api/v2/environments/acme", "KEY-member", body)
            .await;
        assert_eq!(reply.status.as_u16(), 201);
        let shown = server
            .get("/api/v2/environments/acme/prod", "KEY-reader")
            .await;
        assert_eq!(shown.json()["description"], "mine");
    }
}
