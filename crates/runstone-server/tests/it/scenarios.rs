//! Scenarios of shipped tests (`api-environments.md` section 16) and of the acceptance list.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, get, put_environment, read, report, server_report, servers};

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn three_reports_make_three_snapshots() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        for digit in ['a', 'b', 'c'] {
            assert_eq!(
                report(&server, "env", &[("file", &fp(digit), 1)]).await,
                201
            );
            server.clock.advance_seconds(10);
        }
        for (expression, index) in [
            ("%231", 1),
            ("1", 1),
            ("~1", 2),
            ("~0", 3),
            ("-1", 3),
            ("-3", 1),
            ("@%7Bnow%7D", 3),
            ("@%7B0.hours.ago%7D", 3),
            ("@%7B2026-04-01T00:00:12%7D", 2),
        ] {
            if expression.contains("2026") && !server.clock_stands() {
                continue;
            }
            let snapshot = read(&server, &format!("/snapshots/acme/env/{expression}")).await;
            assert_eq!(snapshot["index"], index, "{expression}");
            assert_eq!(snapshot["is_latest"], index == 3);
        }
        let all: Vec<u64> = read(&server, "/snapshots/acme/env?interval=&reverse=true")
            .await
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["index"].as_u64().unwrap())
            .collect();
        assert_eq!(all, [1, 2, 3]);
        for (query, expected) in [
            ("interval=2..3", vec![3, 2]),
            ("interval=~1", vec![2]),
            ("interval=NOW", vec![3]),
            ("interval=..2", vec![3, 2]),
            ("per_page=2", vec![3, 2]),
            ("per_page=2&page=2", vec![1]),
            ("per_page=2&page=2&reverse=true", vec![3]),
            ("page=9", vec![]),
            ("per_page=100000", vec![3, 2, 1]),
        ] {
            let found: Vec<u64> = read(&server, &format!("/snapshots/acme/env?{query}"))
                .await
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["index"].as_u64().unwrap())
                .collect();
            assert_eq!(found, expected, "{query}");
        }
        put_environment(&server, "none", "server").await;
        assert_eq!(get(&server, "/snapshots/acme/none").await.text(), "[]");
    }
}

#[tokio::test]
async fn what_runs_in_both_is_not_changed() {
    for server in servers().await {
        for name in ["one", "two"] {
            put_environment(&server, name, "server").await;
        }
        report(
            &server,
            "one",
            &[("same", &fp('a'), 1), ("more", &fp('b'), 1)],
        )
        .await;
        report(
            &server,
            "two",
            &[
                ("same", &fp('a'), 9),
                ("more", &fp('b'), 1),
                ("more", &fp('b'), 2),
            ],
        )
        .await;
        let diff = read(
            &server,
            "/env-diff/acme?snappish1=one&snappish2=two@%7Bnow%7D",
        )
        .await;
        assert_eq!(
            diff["snappish1"],
            json!({"snapshot_id": "one#1", "artifacts": []})
        );
        assert_eq!(diff["not-changed"]["artifacts"][0]["fingerprint"], fp('a'));
        assert_eq!(
            diff["not-changed"]["artifacts"][0]["most_recent_timestamp"],
            9
        );
        let changed = &diff["changed"]["artifacts"][0];
        assert_eq!(
            (&changed["s1_instance_count"], &changed["s2_instance_count"]),
            (&json!(1), &json!(2))
        );
        assert!(changed.get("pods").is_none() && changed.get("instance_count").is_none());
        let same = read(&server, "/env-diff/acme?snappish1=two&snappish2=two%231").await;
        assert_eq!(
            same["not-changed"]["artifacts"].as_array().unwrap().len(),
            2
        );
        assert_eq!(same["changed"]["artifacts"], json!([]));
    }
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    for server in servers().await {
        for (name, kind) in [
            ("alpha", "server"),
            ("Beta", "docker"),
            ("gamma", "K8S"),
            ("alphabet", "docker"),
        ] {
            put_environment(&server, name, kind).await;
            server.clock.advance_seconds(1);
        }
        let tags = r#"{"set_tags":{"team":"platform"}}"#;
        for name in ["alpha", "gamma"] {
            let path = format!("/api/v2/tags/acme/environments/{name}");
            assert_eq!(
                server
                    .send(Method::PATCH, &path, ADMIN, tags)
                    .await
                    .status
                    .as_u16(),
                200
            );
        }
        for (query, expected) in [
            ("", vec!["Beta", "alpha", "alphabet", "gamma"]),
            ("name=ALPHA", vec!["alpha", "alphabet"]),
            ("name=", vec!["Beta", "alpha", "alphabet", "gamma"]),
            ("type=docker&type=K8S", vec!["Beta", "alphabet", "gamma"]),
            ("tag=team:platform", vec!["alpha", "gamma"]),
            ("tag=team", vec!["alpha", "gamma"]),
            ("tag=team&tag=tier", vec![]),
            ("tag=", vec![]),
            ("tag=team:", vec![]),
            ("tag=team:other", vec![]),
            ("space_id=x", vec![]),
            ("space_id=", vec!["Beta", "alpha", "alphabet", "gamma"]),
            (
                "sort=name&sort_direction=desc",
                vec!["gamma", "alphabet", "alpha", "Beta"],
            ),
            (
                "sort=last_changed_at",
                vec!["Beta", "alpha", "alphabet", "gamma"],
            ),
            (
                "sort=last_modified_at",
                vec!["alpha", "Beta", "gamma", "alphabet"],
            ),
        ] {
            let found = read(&server, &format!("/environments/acme?{query}")).await;
            assert_eq!(names(&found), expected, "{query}");
        }
        let page = read(&server, "/environments/acme?page=99").await;
        assert_eq!(
            (
                &page["environments"],
                &page["page"],
                &page["per_page"],
                &page["total_pages"],
                &page["total_count"]
            ),
            (&json!([]), &json!(99), &json!(15), &json!(1), &json!(4))
        );
        let mut gathered = Vec::new();
        for page in 1..=3 {
            let page = read(
                &server,
                &format!("/environments/acme?page={page}&per_page=2&sort=name&sort_direction=desc"),
            )
            .await;
            gathered.extend(names(&page["environments"]).into_iter().map(str::to_owned));
            assert_eq!(page["total_pages"], 2);
        }
        assert_eq!(gathered, ["gamma", "alphabet", "alpha", "Beta"]);
    }
}

#[tokio::test]
async fn events_of_intervals_and_pages() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        // Snapshot n starts file n and stops file n-1; the first starts two.
        for (index, digit) in "abcde".chars().enumerate() {
            let keep = fp('9');
            report(
                &server,
                "env",
                &[("keep", &keep, 1), ("file", &fp(digit), index as i64)],
            )
            .await;
            server.clock.advance_seconds(3_600);
        }
        let all = read(&server, "/environments/acme/env/events?per_page=100").await;
        let all: Vec<(u64, String)> = pairs(&all);
        assert_eq!(all.len(), 10);
        assert_eq!(all[0].0, 5);
        for (query, expected) in [
            ("interval=NOW", vec![5, 5]),
            ("interval=1..2", vec![2, 2, 1, 1]),
            ("interval=1..2&reverse=true", vec![1, 1, 2, 2]),
            ("interval=&start=1&end=2", vec![2, 2, 1, 1]),
            ("start=-1", vec![5, 5]),
            ("start=1hour&end=NOW", vec![5, 5]),
            ("start=2h&end=1h", vec![5, 5, 4, 4]),
            ("start_ts=1775001600.5&end_ts=1775005200.5", vec![2, 2]),
            ("start_ts=99999999999", vec![]),
            ("page=99", vec![]),
        ] {
            let is_about_time = query.contains('h') || query.contains("_ts=17");
            if is_about_time && !server.clock_stands() {
                continue;
            }
            let path = format!("/environments/acme/env/events?{query}");
            let reply = get(&server, &path).await;
            let found: Vec<u64> = pairs(&reply.json())
                .into_iter()
                .map(|(index, _)| index)
                .collect();
            assert_eq!(found, expected, "{query}");
        }
        // Pages of every size, in both directions, neither overlap nor skip; the order within a
        // snapshot is the same in both.
        for reverse in [false, true] {
            let whole = pairs(
                &read(
                    &server,
                    &format!("/environments/acme/env/events?per_page=100&reverse={reverse}"),
                )
                .await,
            );
            for per_page in 1..=11 {
                let mut gathered = Vec::new();
                for page in 1..=(10_u64.div_ceil(per_page)) {
                    let path = format!(
                        "/environments/acme/env/events?per_page={per_page}&page={page}&reverse={reverse}"
                    );
                    let reply = get(&server, &path).await;
                    assert_eq!(reply.header("x-total-count"), "10");
                    assert_eq!(
                        reply.header("x-total-pages"),
                        10_u64.div_ceil(per_page).to_string()
                    );
                    assert_eq!(reply.header("link").is_empty(), per_page >= 10);
                    gathered.extend(pairs(&reply.json()));
                }
                assert_eq!(gathered, whole, "{per_page} {reverse}");
            }
        }
    }
}

fn pairs(events: &Value) -> Vec<(u64, String)> {
    events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let index = event["snapshot_index"].as_u64().unwrap();
            (index, format!("{} {}", event["type"], event["sha256"]))
        })
        .collect()
}

/// Scenario E1: the first record, and the same again.
#[tokio::test]
async fn a_first_record_and_the_same_again() {
    for server in servers().await {
        let missing = get(&server, "/environments/acme/prod").await;
        assert_eq!(missing.status.as_u16(), 404);
        put_environment(&server, "prod", "docker").await;
        let body = server_report(&[
            ("web", &fp('a'), 1),
            ("db", &fp('b'), 2),
            ("cache", &fp('c'), 3),
        ]);
        let path = "/api/v2/environments/acme/prod/report/docker";
        assert_eq!(
            server.put(path, ADMIN, body.clone()).await.status.as_u16(),
            201
        );
        let before = read(&server, "/environments/acme/prod").await;
        server.clock.advance_seconds(60);
        assert_eq!(server.put(path, ADMIN, body).await.status.as_u16(), 200);
        let after = read(&server, "/environments/acme/prod").await;
        assert_eq!(read(&server, "/snapshots/acme/prod/-1").await["index"], 1);
        assert_eq!(before["last_changed_at"], after["last_changed_at"]);
        assert!(before["last_reported_at"].as_f64() < after["last_reported_at"].as_f64());
        assert_eq!(after["last_modified_at"], after["last_reported_at"]);
    }
}

/// Scenario E2: a container replaced with both alive for a while.
#[tokio::test]
async fn the_story_of_a_change() {
    for server in servers().await {
        put_environment(&server, "prod", "docker").await;
        let path = "/api/v2/environments/acme/prod/report/docker";
        for artifacts in [
            vec![("web", fp('a'), 1)],
            vec![("web", fp('a'), 1), ("web", fp('b'), 2)],
            vec![("web", fp('b'), 2)],
        ] {
            let artifacts: Vec<(&str, &str, i64)> = artifacts
                .iter()
                .map(|(name, print, at)| (*name, print.as_str(), *at))
                .collect();
            assert_eq!(
                server
                    .put(path, ADMIN, server_report(&artifacts))
                    .await
                    .status
                    .as_u16(),
                201
            );
            server.clock.advance_seconds(60);
        }
        let events = read(
            &server,
            "/environments/acme/prod/events?interval=2..3&reverse=true",
        )
        .await;
        let told: Vec<&str> = events
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["description"].as_str().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                "1 instance started running (from 0 to 1)",
                "1 instance stopped running (from 1 to 0)"
            ]
        );
        let diff = read(&server, "/env-diff/acme?snappish1=prod~1&snappish2=prod").await;
        assert_eq!(diff["snappish1"]["artifacts"][0]["fingerprint"], fp('a'));
        assert_eq!(diff["snappish2"]["artifacts"], json!([]));
        if server.clock_stands() {
            let between = read(&server, "/snapshots/acme/prod/@%7B2026-04-01T00:01:30%7D").await;
            assert_eq!(between["index"], 2);
        }
        let found = read(&server, &format!("/search/acme/sha/{}", fp('a'))).await;
        let history: Vec<&str> = found["artifacts"][0]["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        assert_eq!(
            history,
            [
                "Started running in prod#1 environment",
                "No longer running in prod#3 environment"
            ]
        );
        assert_eq!(found["artifacts"][0]["exited_from"], json!(["prod"]));
        assert_eq!(found["artifacts"][0]["running_in"], json!([]));
    }
}

/// Counts alone make a snapshot where scaling is included, and only there (design D9).
#[tokio::test]
async fn scaling_is_told_where_it_is_included() {
    for server in servers().await {
        put_environment(&server, "plain", "server").await;
        let body = json!({"name": "counted", "type": "server", "description": "", "include_scaling": true});
        server
            .put("/api/v2/environments/acme", ADMIN, body.to_string())
            .await;
        let (three, one) = (
            vec![
                ("web", fp('a'), 1),
                ("web", fp('a'), 2),
                ("web", fp('a'), 3),
            ],
            vec![("web", fp('a'), 3)],
        );
        for (name, expected) in [("plain", [201, 200]), ("counted", [201, 201])] {
            for (artifacts, status) in [&three, &one].into_iter().zip(expected) {
                let artifacts: Vec<(&str, &str, i64)> = artifacts
                    .iter()
                    .map(|(name, print, at)| (*name, print.as_str(), *at))
                    .collect();
                assert_eq!(report(&server, name, &artifacts).await, status, "{name}");
                server.clock.advance_seconds(60);
            }
        }
        assert_eq!(
            read(&server, "/environments/acme/counted").await["include_scaling"],
            true
        );
        let snapshot = read(&server, "/snapshots/acme/counted/2").await;
        assert_eq!(
            snapshot["artifacts"][0]["annotation"],
            json!({"type": "scaled", "was": 3, "now": 1})
        );
        let events = read(&server, "/environments/acme/counted/events").await;
        assert_eq!(events[0]["type"], "scaled");
        assert_eq!(events[0]["description"], "Scaled down from 3 to 1");
        let found = read(&server, &format!("/search/acme/sha/{}", fp('a'))).await;
        let history: Vec<&str> = found["artifacts"][0]["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        assert_eq!(
            history,
            [
                "Started running in plain#1 environment",
                "Started running in counted#1 environment",
                "Scaled down from 3 to 1 in counted#2 environment",
            ]
        );
        // What a later snapshot shows of plain counts only the snapshot's own report.
        let plain = read(&server, "/snapshots/acme/plain/-1").await;
        assert_eq!(
            plain["artifacts"][0]["annotation"],
            json!({"type": "started-unknown", "was": 0, "now": 3})
        );
    }
}

/// A logical environment tells what its members do, under its own name and numbers.
#[tokio::test]
async fn a_logical_environment_follows_its_members() {
    for server in servers().await {
        for name in ["one", "two"] {
            put_environment(&server, name, "server").await;
        }
        let body = json!({"name": "all", "type": "logical", "description": "", "included_environments": ["one"]});
        server
            .put("/api/v2/environments/acme", ADMIN, body.to_string())
            .await;
        assert_eq!(
            read(&server, "/environments/acme/all").await["last_changed_at"],
            json!(null)
        );
        report(&server, "one", &[("web", &fp('a'), 1)]).await;
        server.clock.advance_seconds(60);
        report(&server, "two", &[("web", &fp('a'), 5), ("db", &fp('b'), 6)]).await;
        server.clock.advance_seconds(60);
        let join = r#"{"physical_env_name":"two"}"#;
        server
            .put("/api/v2/environments/acme/all/join", ADMIN, join)
            .await;
        let snapshot = read(&server, "/snapshots/acme/all/-1").await;
        assert_eq!(
            (&snapshot["index"], &snapshot["type"]),
            (&json!(2), &json!("logical"))
        );
        let artifacts = snapshot["artifacts"].as_array().unwrap();
        assert_eq!(names(&snapshot["artifacts"]), ["db", "web"]);
        assert_eq!(artifacts[1]["creationTimestamp"], json!([1, 5]));
        assert_eq!(
            artifacts[1]["annotation"],
            json!({"type": "unchanged", "was": 1, "now": 2})
        );
        report(&server, "one", &[("web", &fp('c'), 9)]).await;
        let shown = read(&server, "/environments/acme/all").await;
        let member = read(&server, "/environments/acme/one").await;
        assert_eq!(shown["last_changed_at"], member["last_changed_at"]);
        assert_eq!(shown["last_reported_at"], json!(null));
        let events = read(&server, "/environments/acme/all/events?interval=3").await;
        let told: Vec<(&str, u64, &str)> = events
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                (
                    event["environment_name"].as_str().unwrap(),
                    event["snapshot_index"].as_u64().unwrap(),
                    event["type"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [("all", 3, "started-unknown"), ("all", 3, "exited")]);
        server
            .put("/api/v2/environments/acme/two/archive", ADMIN, "null")
            .await;
        let shown = read(&server, "/environments/acme/all").await;
        assert_eq!(shown["included_environments"], json!(["one"]));
    }
}
