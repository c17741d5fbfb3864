//! Several callers at once.

use std::sync::Arc;

use runstone_server::testing::TestServer;
use serde_json::json;

use crate::support::{ADMIN, fp, put_environment, read, report, server_report, servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_creates_of_one_name() {
    for server in servers().await {
        let server = Arc::new(server);
        for round in 0..10 {
            let name = format!("env-{round}");
            let body = json!({"name": name, "type": "server", "description": "x"}).to_string();
            let calls: Vec<_> = (0..4)
                .map(|_| {
                    let (server, body) = (Arc::clone(&server), body.clone());
                    tokio::spawn(async move {
                        server.put("/api/v2/environments/acme", ADMIN, body).await
                    })
                })
                .collect();
            let mut created = 0;
            for call in calls {
                let status = call.await.unwrap().status.as_u16();
                assert!(status == 201 || status == 409, "{status}");
                created += usize::from(status == 201);
            }
            assert!(created >= 1);
        }
        let all = read(&server, "/environments/acme").await;
        assert_eq!(all.as_array().unwrap().len(), 10);
    }
}

/// Scenario E8, smaller: many reporters at once, each with its own history.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_reporters_at_once() {
    const REPORTERS: usize = 8;
    const ROUNDS: usize = 5;
    for server in servers().await {
        let server = Arc::new(server);
        for reporter in 0..REPORTERS {
            put_environment(&server, &format!("env-{reporter}"), "server").await;
        }
        let work: Vec<_> = (0..REPORTERS)
            .map(|reporter| tokio::spawn(reporting(Arc::clone(&server), reporter)))
            .collect();
        for work in work {
            work.await.unwrap();
        }
        for reporter in 0..REPORTERS {
            let snapshots = read(
                &server,
                &format!("/snapshots/acme/env-{reporter}?per_page=100"),
            )
            .await;
            assert_eq!(
                snapshots.as_array().unwrap().len(),
                ROUNDS,
                "none lost, none doubled"
            );
            let latest = read(&server, &format!("/snapshots/acme/env-{reporter}/-1")).await;
            assert_eq!(latest["artifact_compliance_count"]["null"], 200);
        }
    }

    async fn reporting(server: Arc<TestServer>, reporter: usize) {
        let path = format!("/api/v2/environments/acme/env-{reporter}/report/server");
        for round in 0..ROUNDS {
            let print = fp(char::from_digit(round as u32, 16).unwrap());
            let names: Vec<String> = (0..199).map(|n| format!("artifact-{n}")).collect();
            let same = fp('f');
            let mut artifacts: Vec<(&str, &str, i64)> = names
                .iter()
                .map(|name| (name.as_str(), same.as_str(), 1))
                .collect();
            artifacts.push(("moving", &print, 2));
            let body = server_report(&artifacts);
            for (status, body) in [(201, body.clone()), (200, body)] {
                let reply = server.put(&path, ADMIN, body).await;
                assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
            }
        }
    }
}

/// Reports that arrive together for one environment are applied one after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_environment_at_once() {
    for server in servers().await {
        let server = Arc::new(server);
        put_environment(&server, "env", "server").await;
        let calls: Vec<_> = (0..20_u32)
            .map(|n| {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let print = fp(char::from_digit(n % 16, 16).unwrap());
                    let body = server_report(&[(&format!("a{n}"), &print, 1)]);
                    server
                        .put("/api/v2/environments/acme/env/report/server", ADMIN, body)
                        .await
                        .status
                        .as_u16()
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 201);
        }
        let snapshots = read(&server, "/snapshots/acme/env?per_page=100").await;
        assert_eq!(snapshots.as_array().unwrap().len(), 20);
    }
}

/// Two servers on one database: neither is misled by what it remembers.
#[tokio::test]
async fn two_servers_take_turns() {
    for one in servers().await {
        if one.clock_stands() {
            continue;
        }
        let two = one.beside().await;
        put_environment(&one, "env", "server").await;
        let (a, b) = (fp('a'), fp('b'));
        for (server, print, status) in [
            (&one, &a, 201),
            (&two, &a, 200),
            (&one, &a, 200),
            (&two, &b, 201),
            (&one, &a, 201),
            (&two, &b, 201),
            (&two, &b, 200),
            (&one, &b, 200),
        ] {
            let found = report(server, "env", &[("x", print, 1)]).await;
            assert_eq!(found, status);
        }
        for server in [&one, &two] {
            let latest = read(server, "/snapshots/acme/env/-1").await;
            assert_eq!(
                (&latest["index"], &latest["is_latest"]),
                (&json!(4), &json!(true))
            );
        }
        // What one saw, the other tells once it is shared.
        let before = read(&one, "/environments/acme/env").await;
        report(&two, "env", &[("x", &b, 1)]).await;
        two.share_seen().await;
        let after = read(&one, "/environments/acme/env").await;
        assert!(before["last_reported_at"].as_f64() < after["last_reported_at"].as_f64());
        let own = read(&two, "/environments/acme/env").await;
        assert_eq!(own["last_reported_at"], after["last_reported_at"]);
    }
}
