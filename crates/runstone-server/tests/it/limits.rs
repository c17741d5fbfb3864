//! Limits and what every answer carries.

use axum::body::Body;
use axum::http::{Method, Request};
use runstone_server::Config;

use crate::support::{
    ADMIN, fp, get, put_environment, report, server_report, servers, servers_with,
};

#[tokio::test]
async fn bodies_have_a_limit_that_is_named() {
    let config = Config {
        report_body_bytes_max: 2_000,
        body_bytes_max: 500,
        ..Config::default()
    };
    for server in servers_with(config).await {
        put_environment(&server, "env", "server").await;
        let large = format!(r#"{{"name":"{}"}}"#, "n".repeat(600));
        let reply = server.put("/api/v2/environments/acme", ADMIN, large).await;
        assert_eq!(reply.status.as_u16(), 413);
        assert_eq!(
            reply.message(),
            "the request body exceeds the limit of 500 bytes"
        );
        let path = "/api/v2/environments/acme/env/report/server";
        let reply = server.put(path, ADMIN, " ".repeat(2_001)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.message().as_str()),
            (413, "the request body exceeds the limit of 2000 bytes")
        );
        // Whoever may not write is told so before the body is read.
        let reply = server.put(path, "KEY-reader", " ".repeat(2_001)).await;
        assert_eq!(reply.status.as_u16(), 403);
        // Also without a declared length, and after decompression.
        let chunks = (0..5).map(|_| Ok::<_, std::io::Error>(vec![b' '; 500]));
        let request = Request::put(path)
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(Body::from_stream(futures_util::stream::iter(chunks)))
            .unwrap();
        assert_eq!(server.call(request).await.status.as_u16(), 413);
        let bomb = gzip(&vec![b' '; 1_000_000]);
        assert!(bomb.len() < 2_000);
        let request = Request::put(path)
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-encoding", "gzip")
            .body(Body::from(bomb))
            .unwrap();
        assert_eq!(server.call(request).await.status.as_u16(), 413);
    }
}

/// Stored blocks would not shrink; this is the shortest deflate of one repeated byte: the helper
/// of the platform does it.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let mut packed = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut packed)
        .unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    packed
}

#[tokio::test]
async fn bodies_may_be_compressed_both_ways() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let artifacts: Vec<(String, String)> = (0..100)
            .map(|n| (format!("artifact-{n}"), fp('a')))
            .collect();
        let artifacts: Vec<(&str, &str, i64)> = artifacts
            .iter()
            .map(|(name, print)| (name.as_str(), print.as_str(), 1))
            .collect();
        let request = Request::put("/api/v2/environments/acme/env/report/server")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-encoding", "gzip")
            .body(Body::from(gzip(server_report(&artifacts).as_bytes())))
            .unwrap();
        assert_eq!(server.call(request).await.status.as_u16(), 201);
        let request = |encoding: &str| {
            Request::get("/api/v2/snapshots/acme/env/-1")
                .header("authorization", format!("Bearer {ADMIN}"))
                .header("accept-encoding", encoding)
                .body(Body::empty())
                .unwrap()
        };
        let packed = server.call(request("gzip")).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        let plain = server.call(request("identity")).await;
        assert!(packed.body.len() * 5 < plain.body.len());
        let odd = Request::put("/api/v2/environments/acme/env/report/server")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-encoding", "snappy")
            .body(Body::from("x"))
            .unwrap();
        let reply = server.call(odd).await;
        assert_eq!(reply.status.as_u16(), 415);
        assert_eq!(reply.message(), "Unsupported Media Type");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_version() {
    for server in servers().await {
        let mut ids = std::collections::HashSet::new();
        for path in [
            "/ready",
            "/nothing",
            "/api/v2/environments/acme",
            "/api/v2/environments/none",
        ] {
            let reply = server.get(path, ADMIN).await;
            assert!(
                ids.insert(reply.header("x-request-id").to_owned()),
                "{path}"
            );
            assert_eq!(reply.header("x-server-version"), env!("CARGO_PKG_VERSION"));
        }
        assert!(!ids.contains(""));
        for (given, kept) in [("abc-1.2_3", true), ("a b", false), ("", false)] {
            let request = Request::get("/ready")
                .header("x-request-id", given)
                .body(Body::empty())
                .unwrap();
            let reply = server.call(request).await;
            assert_eq!(reply.header("x-request-id") == given, kept, "{given}");
        }
    }
}

#[tokio::test]
async fn addresses_have_one_form() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        report(&server, "env", &[("a", &fp('a'), 1)]).await;
        let expected = get(&server, "/environments/acme/env").await.body;
        for path in [
            "/api/v2/environments/acme/env/",
            "/api/fastapi/environments/acme/env",
            "/api/fastapi/environments/acme/env/",
        ] {
            let reply = server.get(path, ADMIN).await;
            assert_eq!(
                (reply.status.as_u16(), &reply.body),
                (200, &expected),
                "{path}"
            );
        }
        let body = r#"{"name":"other","type":"server","description":""}"#;
        let reply = server.put("/api/v2/environments/acme/", ADMIN, body).await;
        assert_eq!(
            reply.status.as_u16(),
            201,
            "a body is not lost to a redirect"
        );
        let head = server
            .send(Method::HEAD, "/api/v2/environments/acme/env", ADMIN, "")
            .await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        let invalid = server.get("/api/v2/environments/acme/%ff", ADMIN).await;
        assert_eq!(invalid.status.as_u16(), 400);
        assert!(invalid.json()["errors"]["path"].is_string());
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_sent_away() {
    let config = Config {
        requests_max: 0,
        ..Config::default()
    };
    for server in servers_with(config).await {
        let reply = server.get("/live", "").await;
        assert_eq!(reply.status.as_u16(), 503);
        assert_eq!(reply.header("retry-after"), "1");
        assert!(!reply.message().is_empty());
    }
}

#[tokio::test]
async fn a_closed_store_is_told_with_a_time_to_come_back() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        server.store.close().await;
        for path in ["/ready", "/api/v2/environments/acme"] {
            let reply = server.get(path, ADMIN).await;
            assert_eq!(reply.status.as_u16(), 503, "{path}");
            assert!(!reply.header("retry-after").is_empty());
        }
        assert_eq!(server.get("/live", "").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_wait_for_ever() {
    let config = Config {
        request_timeout: std::time::Duration::from_millis(50),
        ..Config::default()
    };
    for server in servers_with(config).await {
        let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let request = Request::put("/api/v2/environments/acme")
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(Body::from_stream(never))
            .unwrap();
        let reply = server.call(request).await;
        assert_eq!(reply.status.as_u16(), 503);
        assert_eq!(reply.header("retry-after"), "5");
    }
}

#[tokio::test]
async fn an_organization_has_limits_that_are_named() {
    for server in servers().await {
        let limits =
            |limits: &str| format!("organizations:\n  - name: acme\n    limits: {limits}\n");
        server.provision(&limits("{environments: 1}")).await;
        put_environment(&server, "one", "server").await;
        let put = async |name: &str| {
            let body = format!(r#"{{"name":"{name}","type":"server","description":""}}"#);
            server.put("/api/v2/environments/acme", ADMIN, body).await
        };
        let reply = put("two").await;
        assert_eq!(
            (reply.status.as_u16(), reply.message().as_str()),
            (
                403,
                "organization 'acme' has reached its limit of 1 environments"
            )
        );
        server
            .provision(&limits("{environments: unlimited, bytes: 1}"))
            .await;
        let reply = put("two").await;
        assert_eq!(
            (reply.status.as_u16(), reply.message().as_str()),
            (
                403,
                "organization 'acme' has reached its limit of 1 bytes of bodies"
            )
        );
        server
            .provision(&limits("{bytes: default, entries_per_minute: 0}"))
            .await;
        let reply = put("two").await;
        assert_eq!(reply.status.as_u16(), 429);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(
            reply
                .message()
                .starts_with("organization 'acme' has reached its limit of 0 entries per minute"),
            "{}",
            reply.message()
        );
        // What changes nothing is let through.
        assert_eq!(put("one").await.status.as_u16(), 201);
        server
            .provision(&limits("{entries_per_minute: default}"))
            .await;
        assert_eq!(put("two").await.status.as_u16(), 201);
    }
}

#[tokio::test]
async fn nobody_gets_into_a_closed_organization_and_erased_texts_say_so() {
    for server in servers().await {
        let body = r#"{"name":"prod","type":"server","description":"a text"}"#;
        server
            .put("/api/v2/environments/open", ADMIN, body.to_owned())
            .await;
        let size = server.get("/api/v2/journal/open", "").await.json()["size"].clone();
        let index = size.as_u64().unwrap() - 1;
        let path = format!("/api/v2/journal/open/bodies/{index}/0");
        let reply = server.get(&path, ADMIN).await;
        assert!(reply.text().contains("a text"), "{}", reply.text());
        let wanted = runstone_store::Wanted::Environment("prod".to_owned());
        let done = server.store.erase("open", &wanted, "asked for").await;
        assert_eq!(done.unwrap().bodies.len(), 1);
        let reply = server.get(&path, ADMIN).await;
        assert_eq!(
            (reply.status.as_u16(), reply.message()),
            (404, format!("Body '0' of entry {index} was erased"))
        );

        server
            .store
            .close_organization("open", "over")
            .await
            .unwrap();
        for path in ["/api/v2/environments/open", "/api/v2/journal/open"] {
            assert_eq!(server.get(path, ADMIN).await.status.as_u16(), 403, "{path}");
            assert_eq!(server.get(path, "").await.status.as_u16(), 401, "{path}");
        }
        let reply = server
            .put("/api/v2/environments/open", ADMIN, body.to_owned())
            .await;
        assert_eq!(reply.status.as_u16(), 403);
        // Others go on.
        put_environment(&server, "env", "server").await;
    }
}
