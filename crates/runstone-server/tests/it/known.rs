//! What the server remembers instead of asking the store must never show: rights end at once, and
//! an answer is never older than an acknowledged change.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Method, Request};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{
    ADMIN, PEOPLE, fp, get, put_environment, read, report, server_report, servers,
};

const REPORT: &str = "/api/v2/environments/acme/env/report/server";
const TAGS: &str = "/api/v2/tags/acme/environment/env";

fn tags(value: &str) -> String {
    json!({"set_tags": {"a": value}, "remove_tags": []}).to_string()
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_at_once() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let (a, b) = (fp('a'), fp('b'));
        let first = server_report(&[("a", &a, 1), ("b", &b, 1)]);
        let other = server_report(&[("b", &b, 1), ("a", &a, 1)]);
        let ask = async |method: Method, path: &str, body: &str| {
            let reply = server
                .send(method, path, "KEY-member", body.to_owned())
                .await;
            reply.status.as_u16()
        };
        let serial = AtomicU64::new(0);
        let all = async || {
            let tag = serial.fetch_add(1, Ordering::SeqCst).to_string();
            [
                ask(Method::PUT, REPORT, &first).await,
                ask(Method::PUT, REPORT, &other).await,
                ask(Method::PUT, REPORT, "{}").await,
                ask(
                    Method::PUT,
                    "/api/v2/environments/acme/none/report/server",
                    &first,
                )
                .await,
                ask(Method::PATCH, TAGS, &tags(&tag)).await,
                ask(Method::PATCH, TAGS, "{}").await,
                ask(Method::PATCH, "/api/v2/tags/acme/flow/f", &tags("1")).await,
            ]
        };
        assert_eq!(ask(Method::PUT, REPORT, &first).await, 201);
        let allowed = all().await;
        assert_eq!(allowed[..4], [200, 200, 400, 404]);
        assert_eq!(all().await, allowed);
        for (role, expected) in [
            ("reader", [403; 7]),
            ("member", allowed),
            ("reader", [403; 7]),
        ] {
            let plan = PEOPLE.replace(
                "roles: {acme: member, open: member}",
                &format!("roles: {{acme: {role}}}"),
            );
            server.provision(&plan).await;
            assert_eq!(all().await, expected, "{role}");
            assert_eq!(all().await, expected, "{role}");
            let path = "/api/v2/snapshots/acme/env/-1";
            assert_eq!(ask(Method::GET, path, "").await, 200);
        }
    }
}

#[tokio::test]
async fn a_key_that_is_known_ends_when_it_expires() {
    let server = TestServer::start().await;
    server.provision(PEOPLE).await;
    server
        .provision("users:\n  - {name: tim, roles: {acme: admin}, api_keys: [{key: KEY-tim, expires_at: 2026-04-02}]}\n")
        .await;
    put_environment(&server, "env", "server").await;
    let body = server_report(&[("a", &fp('a'), 1)]);
    let all = async || {
        let path = "/api/v2/snapshots/acme/env/-1";
        [
            server.put(REPORT, "KEY-tim", body.clone()).await,
            server.get(path, "KEY-tim").await,
            server.send(Method::PATCH, TAGS, "KEY-tim", tags("1")).await,
        ]
        .map(|reply| reply.status.as_u16())
    };
    assert_eq!(all().await, [201, 200, 200]);
    assert_eq!(all().await, [200, 200, 200]);
    server.clock.advance_seconds(2 * 86_400);
    assert_eq!(all().await, [401, 401, 401]);
}

async fn answer(server: &TestServer, name: &str, encoding: &str) -> Reply {
    let request = Request::get(format!("/api/v2/snapshots/acme/{name}/-1"))
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("accept-encoding", encoding)
        .header("host", "runstone.test")
        .body(Body::empty())
        .unwrap();
    server.call(request).await
}

/// Status and unpacked body.
async fn latest(server: &TestServer, name: &str, encoding: &str) -> (u16, Vec<u8>) {
    let reply = answer(server, name, encoding).await;
    if reply.header("content-encoding") != "gzip" {
        return (reply.status.as_u16(), reply.body.to_vec());
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&reply.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert!(reply.header("vary").contains("accept-encoding"));
    assert!(plain.len() > reply.body.len());
    (reply.status.as_u16(), plain)
}

#[tokio::test]
async fn the_latest_snapshot_follows_every_change() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        for round in 1..6_u64 {
            let name = format!("artifact-{round}");
            let a = fp('a');
            let artifacts = [name.as_str(), "other", "third"].map(|name| (name, a.as_str(), 1));
            assert_eq!(report(&server, "env", &artifacts).await, 201);
            for _ in 0..2 {
                let (status, plain) = latest(&server, "env", "identity").await;
                assert_eq!(status, 200);
                let shown: Value = serde_json::from_slice(&plain).unwrap();
                assert_eq!(shown["index"], round);
                assert_eq!(shown["artifacts"][0]["name"], name);
                assert_eq!(latest(&server, "env", "br, gzip;q=0.5").await.1, plain);
                let packed = answer(&server, "env", "gzip").await;
                assert_eq!(packed.header("content-encoding"), "gzip");
                assert_eq!(latest(&server, "env", "gzip;q=0, identity").await.1, plain);
            }
            // An older one is never taken for it.
            let first = read(&server, "/snapshots/acme/env/1").await;
            assert_eq!(first["artifacts"][0]["name"], "artifact-1");
        }
        let send = async |method: Method, path: &str, body: Value| {
            let reply = server.send(method, path, ADMIN, body.to_string()).await;
            assert!(reply.status.is_success(), "{path}: {}", reply.text());
        };
        // A name that leads elsewhere, or nowhere.
        send(
            Method::PUT,
            "/api/v2/environments/acme/env/rename",
            json!({"new_name": "moved"}),
        )
        .await;
        let (status, moved) = latest(&server, "moved", "identity").await;
        assert_eq!(status, 200);
        assert!(String::from_utf8(moved).unwrap().contains("/moved/"));
        send(
            Method::PUT,
            "/api/v2/environments/acme/moved/archive",
            json!({}),
        )
        .await;
        assert_eq!(latest(&server, "moved", "identity").await.0, 404);
        let body = server_report(&[("a", &fp('a'), 1)]);
        let path = "/api/v2/environments/acme/moved/report/server";
        assert_eq!(server.put(path, ADMIN, body).await.status.as_u16(), 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_are_never_older_than_what_was_acknowledged() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        put_environment(&server, "busy", "server").await;
        let server = Arc::new(server);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (server, acknowledged) = (Arc::clone(&server), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    let mut newest = 0;
                    let mut reads = 0_u32;
                    while newest < 60 {
                        // So that a failure elsewhere ends this too.
                        tokio::task::yield_now().await;
                        let least = acknowledged.load(Ordering::SeqCst);
                        let reply = get(&server, "/snapshots/acme/env/-1").await;
                        if reply.status.as_u16() == 404 {
                            assert_eq!(least, 0);
                            continue;
                        }
                        let shown = reply.json()["index"].as_u64().unwrap();
                        assert!(
                            shown >= least.max(newest),
                            "{shown} after {least}, {newest}"
                        );
                        newest = shown;
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let beside = Arc::clone(&server);
        let writer = tokio::spawn(async move {
            for round in 0..60 {
                report(
                    &beside,
                    "busy",
                    &[("a", &fp('a'), 1), ("b", &fp('b'), round)],
                )
                .await;
                let reply = beside
                    .send(Method::PATCH, TAGS, ADMIN, tags(&round.to_string()))
                    .await;
                assert_eq!(reply.status.as_u16(), 200);
            }
        });
        for round in 1..=60_u64 {
            let name = format!("artifact-{round}");
            assert_eq!(report(&server, "env", &[(&name, &fp('a'), 1)]).await, 201);
            acknowledged.store(round, Ordering::SeqCst);
            assert_eq!(report(&server, "env", &[(&name, &fp('a'), 1)]).await, 200);
        }
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn reads_of_much_are_done_where_they_hold_nobody_up() {
    let server = TestServer::start().await;
    server.provision(PEOPLE).await;
    let long = async || {
        let metrics = server.get("/metrics", "").await.text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("runstone_long_reads_total "))
            .map(str::to_owned);
        line.map_or(0, |line| line.split(' ').nth(1).unwrap().parse().unwrap())
    };
    put_environment(&server, "env", "server").await;
    let names: Vec<String> = (0..300).map(|n| format!("artifact-{n:03}")).collect();
    let a = fp('a');
    let artifacts: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), a.as_str(), 1))
        .collect();
    assert_eq!(report(&server, "env", &artifacts).await, 201);
    let before: u64 = long().await;
    let shown = read(&server, "/snapshots/acme/env/1").await;
    assert_eq!(shown["artifacts"].as_array().unwrap().len(), 300);
    let after = long().await;
    assert_eq!(after, before + 1, "300 artifacts are no short read");
    let again = read(&server, "/snapshots/acme/env/-1").await;
    assert_eq!(again, shown);
    assert_eq!(long().await, after, "the rendered one is at hand");
}
