//! The unchanged path: what is recognised, what is remembered, what the journal says of it.

use axum::body::Body;
use axum::http::Request;
use runstone_server::Config;
use runstone_server::testing::TestServer;
use serde_json::{Value, json};

use crate::support::{ADMIN, PEOPLE, fp, put_environment, read, report, server_report, servers};

async fn log_size(server: &TestServer) -> u64 {
    read(server, "/journal/acme").await["size"]
        .as_u64()
        .unwrap()
}

async fn entry(server: &TestServer, index: u64) -> Value {
    read(server, &format!("/journal/acme/entries/{index}")).await
}

#[tokio::test]
async fn unchanged_reports_write_nothing() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let (a, b) = (fp('a'), fp('b'));
        assert_eq!(
            report(&server, "env", &[("a", &a, 1), ("b", &b, 2)]).await,
            201
        );
        let size = log_size(&server).await;
        for artifacts in [
            vec![("a", a.as_str(), 1), ("b", b.as_str(), 2)],
            vec![("b", b.as_str(), 2), ("a", a.as_str(), 1)],
            // Restarted instances, and another number of them, are not a change.
            vec![("b", b.as_str(), 7), ("a", a.as_str(), 1)],
            vec![
                ("b", b.as_str(), 7),
                ("b", b.as_str(), 8),
                ("a", a.as_str(), 1),
            ],
            vec![("a", a.as_str(), 1), ("b", b.as_str(), 2)],
        ] {
            server.clock.advance_seconds(10);
            assert_eq!(report(&server, "env", &artifacts).await, 200);
            assert_eq!(log_size(&server).await, size);
        }
        let metrics = server.get("/metrics", "").await.text();
        assert!(
            metrics.contains("runstone_reports_total{outcome=\"same_elements\"} 1"),
            "{metrics}"
        );
        // The same elements another number of times are not the same.
        assert_eq!(report(&server, "env", &[("a", &a, 1)]).await, 201);
        assert_eq!(report(&server, "env", &[]).await, 201);
        assert_eq!(report(&server, "env", &[]).await, 200);
    }
}

#[tokio::test]
async fn a_change_of_settings_is_seen_by_the_next_report() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let a = fp('a');
        report(&server, "env", &[("a", &a, 1), ("a", &a, 2)]).await;
        assert_eq!(
            report(&server, "env", &[("a", &a, 1), ("a", &a, 2)]).await,
            200
        );
        let body = json!({"include_scaling": true}).to_string();
        let patched = server
            .send(
                axum::http::Method::PATCH,
                "/api/v2/environments/acme/env",
                ADMIN,
                body,
            )
            .await;
        assert_eq!(patched.status.as_u16(), 200);
        assert_eq!(
            report(&server, "env", &[("a", &a, 1), ("a", &a, 2)]).await,
            201
        );
        let events = read(&server, "/environments/acme/env/events?interval=NOW").await;
        assert_eq!(events[0]["type"], "changed");
        assert_eq!(events[0]["description"], "2 instances changed");
    }
}

#[tokio::test]
async fn what_was_seen_is_shared_and_journalled_before_a_change() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let a = fp('a');
        report(&server, "env", &[("a", &a, 1)]).await;
        let size = log_size(&server).await;
        for _ in 0..3 {
            server.clock.advance_seconds(30);
            report(&server, "env", &[("a", &a, 1)]).await;
        }
        server.share_seen().await;
        server.clock.advance_seconds(45);
        report(&server, "env", &[("a", &a, 1)]).await;
        server.clock.advance_seconds(5);
        assert_eq!(report(&server, "env", &[]).await, 201);
        assert_eq!(log_size(&server).await, size + 2);
        let observation = entry(&server, size).await;
        assert!(
            observation["event"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains("observ"),
            "{observation}"
        );
        assert_eq!(observation["data"]["reports"], 4);
        let change = entry(&server, size + 1).await;
        assert!(
            change["event"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains("snapshot"),
            "{change}"
        );
    }
}

#[tokio::test]
async fn an_hour_of_silence_about_changes_is_journalled() {
    for server in servers().await {
        if !server.clock_stands() {
            continue;
        }
        put_environment(&server, "env", "server").await;
        let a = fp('a');
        report(&server, "env", &[("a", &a, 1)]).await;
        let size = log_size(&server).await;
        for _ in 0..70 {
            server.clock.advance_seconds(60);
            report(&server, "env", &[("a", &a, 1)]).await;
            server.share_seen().await;
            server.record_observations().await;
        }
        assert_eq!(log_size(&server).await, size + 1);
    }
}

#[tokio::test]
async fn claims_are_kept_and_replays_left_out() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let send = async |body: String, at: &str, sequence: u64| {
            let request = Request::put("/api/v2/environments/acme/env/report/server")
                .header("authorization", format!("Bearer {ADMIN}"))
                .header("runstone-observed-at", at)
                .header("runstone-reporter", "host-1")
                .header("runstone-sequence", sequence)
                .body(Body::from(body))
                .unwrap();
            server.call(request).await.status.as_u16()
        };
        let (a, b) = (fp('a'), fp('b'));
        let first = server_report(&[("a", &a, 1)]);
        assert_eq!(send(first.clone(), "2026-03-31T23:59:58Z", 1).await, 201);
        server.clock.advance_seconds(60);
        assert_eq!(
            send(server_report(&[("b", &b, 1)]), "1775001630.5", 2).await,
            201
        );
        assert_eq!(
            send(first, "2026-03-31T23:59:58Z", 1).await,
            200,
            "a replay"
        );
        let snapshots = read(&server, "/snapshots/acme/env?reverse=true").await;
        assert_eq!(snapshots.as_array().unwrap().len(), 2);
        assert_eq!(snapshots[0]["from"], 1_775_001_598.0);
        assert_eq!(snapshots[1]["from"], 1_775_001_630.5);
        let size = log_size(&server).await;
        let last = entry(&server, size - 1).await;
        assert_eq!(last["claimed"]["by"], "host-1");
        assert_eq!(last["claimed"]["sequence"], 2);
    }
}

/// A lane's memory is bounded: what is forgotten is read again.
#[tokio::test]
async fn lanes_forget_when_there_is_too_much() {
    let config = Config {
        lane_bytes_max: 1_500,
        ..Config::default()
    };
    let server = TestServer::with(config, None).await;
    server.provision(PEOPLE).await;
    let a = fp('a');
    for name in ["one", "two", "three"] {
        put_environment(&server, name, "server").await;
        let artifacts = [("a", a.as_str(), 1), ("b", &a, 2), ("c", &a, 3)];
        assert_eq!(report(&server, name, &artifacts).await, 201);
    }
    for name in ["one", "two", "three"] {
        let artifacts = [("a", a.as_str(), 1), ("b", &a, 2), ("c", &a, 3)];
        assert_eq!(report(&server, name, &artifacts).await, 200);
    }
    let metrics = server.get("/metrics", "").await.text();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("runstone_lane_bytes "))
        .unwrap();
    let bytes: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1.0..=1_500.0).contains(&bytes), "{line}");
}
