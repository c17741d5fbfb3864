//! What runs is joined with where it comes from, by fingerprint alone (`api-environments.md`
//! sections 6, 8, 9 and 10), and a snapshot that has a successor never changes.

use axum::http::Method;
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, get, put_environment, read, refusal, report, servers};

async fn post(server: &TestServer, path: &str, body: &Value) -> Reply {
    let reply = server
        .send(
            Method::POST,
            &format!("/api/v2{path}"),
            ADMIN,
            body.to_string(),
        )
        .await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
    reply
}

async fn put(server: &TestServer, path: &str, body: &Value) {
    let reply = server
        .put(&format!("/api/v2{path}"), ADMIN, body.to_string())
        .await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
}

/// The commit of one repeated digit.
fn sha1(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// An artifact whose fingerprint and commit are of one digit is reported to a flow.
async fn reported(server: &TestServer, flow: &str, trail: &str, digit: char) {
    let commit = sha1(digit);
    let url = format!("https://github.com/acme/runner/commit/{commit}");
    let body = json!({
        "fingerprint": fp(digit), "filename": format!("acme/runner:{digit}"),
        "git_commit": commit,
        "git_commit_info": {"sha1": commit, "message": "m", "author": "Jo <jo@example.com>",
            "branch": "main", "timestamp": 1_000.5, "url": url, "parents": [sha1('9')]},
        "build_url": "https://ci.example.com/1", "commit_url": url,
        "repo_info": {"name": format!("acme/{flow}"), "url": "https://github.com/acme/runner"},
        "trail_name": trail, "template_reference_name": "runner",
    });
    post(server, &format!("/artifacts/acme/{flow}"), &body).await;
}

async fn overridden(server: &TestServer, trail: &str, digit: char, compliant: bool) {
    let body = json!({"attestation_name": "lint", "artifact_fingerprint": fp(digit),
        "reason": "seen", "new_compliance_status": compliant, "original_attestation_type": "generic"});
    let path = format!("/attestations/acme/runner/trail/{trail}/override");
    post(server, &path, &body).await;
}

async fn snapshot(server: &TestServer, expression: &str) -> Value {
    read(server, &format!("/snapshots/acme/{expression}")).await
}

/// The artifact with the fingerprint of one digit.
fn artifact(snapshot: &Value, digit: char) -> &Value {
    let artifacts = snapshot["artifacts"].as_array().unwrap();
    artifacts
        .iter()
        .find(|artifact| artifact["fingerprint"] == fp(digit))
        .unwrap_or_else(|| panic!("{digit} is in {snapshot:#}"))
}

fn flows(artifact: &Value) -> Vec<(&str, &str)> {
    artifact["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| {
            (
                flow["flow_name"].as_str().unwrap(),
                flow["trail_name"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_runs_tells_where_it_comes_from() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        put_environment(&server, "beta", "server").await;
        report(
            &server,
            "prod",
            &[("hub/x:1", &fp('a'), 3_000), ("hub/y", &fp('f'), 9)],
        )
        .await;
        let before = snapshot(&server, "prod/-1").await;
        assert_eq!(artifact(&before, 'a')["flows"], json!([]));
        // Told after it came to run, and joined all the same.
        reported(&server, "runner", "t1", 'a').await;
        report(&server, "beta", &[("other", &fp('a'), 2_000)]).await;

        let prod = snapshot(&server, "prod/-1").await;
        let found = artifact(&prod, 'a');
        let html_url = found["html_url"].as_str().unwrap();
        let (page, id) = html_url.split_once("?artifact_id=").unwrap();
        assert_eq!(
            page,
            format!(
                "http://runstone.test/acme/flows/runner/artifacts/{}",
                fp('a')
            )
        );
        let commit_url = format!("https://github.com/acme/runner/commit/{}", sha1('a'));
        let entry = json!({
            "flow_name": "runner", "trail_name": "t1", "template_reference_name": "runner",
            "git_commit": sha1('a'), "commit_url": commit_url,
            "git_commit_info": {"sha1": sha1('a'), "message": "m", "author": "Jo <jo@example.com>",
                "branch": "main", "timestamp": 1_000.5, "url": commit_url},
            "html_url": html_url, "flow_html_url": "http://runstone.test/acme/flows/runner",
            "deployment_diff": null, "commit_lead_time": 1_999.5,
            "artifact_compliance_in_flow": true, "flow_reasons_for_non_compliance": [],
        });
        assert_eq!(found["flows"], json!([entry]));
        for name in [
            "flow_name",
            "git_commit",
            "commit_url",
            "html_url",
            "flow_html_url",
            "deployment_diff",
            "commit_lead_time",
        ] {
            assert_eq!(found[name], entry[name], "{name} is of the primary flow");
        }
        let id_parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(id_parts, [8, 4, 4, 4, 8]);
        assert_eq!(found["compliant"], Value::Null);
        assert_eq!(prod["compliant"], false);

        let unknown = artifact(&prod, 'f');
        assert_eq!(
            (&unknown["flows"], &unknown["flow_name"]),
            (&json!([]), &json!(""))
        );
        for name in ["git_commit", "commit_url", "html_url", "commit_lead_time"] {
            assert_eq!(unknown[name], Value::Null, "{name}");
        }
        let beta = snapshot(&server, "beta/-1").await;
        assert_eq!(artifact(&beta, 'a')["commit_lead_time"], 999.5);
        assert_eq!(artifact(&beta, 'a')["name"], "other");
        // Since the first run, whatever starts again later.
        report(&server, "beta", &[]).await;
        report(&server, "beta", &[("other", &fp('a'), 7_000)]).await;
        let beta = snapshot(&server, "beta/-1").await;
        assert_eq!(artifact(&beta, 'a')["commit_lead_time"], 999.5);
    }
}

#[tokio::test]
async fn a_snapshot_with_a_successor_never_changes() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        reported(&server, "runner", "t1", 'a').await;
        report(&server, "prod", &[("x", &fp('a'), 1)]).await;
        let compliant = |snapshot: &Value, digit| {
            artifact(snapshot, digit)["flows"][0]["artifact_compliance_in_flow"].clone()
        };
        // The latest is told of as things stand now.
        assert_eq!(compliant(&snapshot(&server, "prod/-1").await, 'a'), true);
        overridden(&server, "t1", 'a', false).await;
        assert_eq!(compliant(&snapshot(&server, "prod/-1").await, 'a'), false);
        put(
            &server,
            "/flows/acme/runner/rename",
            &json!({"new_name": "runs"}),
        )
        .await;
        assert_eq!(
            flows(artifact(&snapshot(&server, "prod/-1").await, 'a')),
            [("runs", "t1")]
        );

        report(&server, "prod", &[("x", &fp('b'), 2)]).await;
        let first = get(&server, "/snapshots/acme/prod/1").await.text();
        overridden(&server, "t1", 'a', true).await;
        reported(&server, "promoted", "p1", 'a').await;
        reported(&server, "runs", "t2", 'b').await;
        put(
            &server,
            "/flows/acme/runs/rename",
            &json!({"new_name": "again"}),
        )
        .await;
        put(&server, "/flows/acme/promoted/archive", &json!(null)).await;
        assert_eq!(
            get(&server, "/snapshots/acme/prod/1").await.text(),
            first,
            "what came after the second was made is not told"
        );
        let second = snapshot(&server, "prod/2").await;
        let gone = artifact(&second, 'a');
        assert_eq!(compliant(&second, 'a'), true);
        assert_eq!(gone["annotation"]["type"], "exited");
        let [(name, trail), (archived, _)] = flows(gone)[..] else {
            panic!("{gone:#}");
        };
        assert_eq!((name, trail), ("again", "t1"));
        let (name, at) = archived.split_once("-archived-at-").unwrap();
        assert_eq!(name, "promoted");
        assert!(at.parse::<u64>().unwrap() > 1_600_000_000, "{archived}");
        assert_eq!(
            gone["flows"][1]["flow_html_url"],
            "http://runstone.test/acme/flows/promoted"
        );
        // The name the flow had still leads to it.
        let old = read(&server, "/flows/acme/runner").await;
        assert_eq!(old["name"], "again");
    }
}

#[tokio::test]
async fn each_flow_tells_of_its_last_report_in_the_order_of_reports() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        for (flow, trail) in [("build", "b1"), ("promote", "p1"), ("scan", "s1")] {
            reported(&server, flow, trail, 'a').await;
        }
        report(&server, "prod", &[("x", &fp('a'), 1)]).await;
        let now = snapshot(&server, "prod/-1").await;
        assert_eq!(
            flows(artifact(&now, 'a')),
            [("build", "b1"), ("promote", "p1"), ("scan", "s1")]
        );
        reported(&server, "build", "b2", 'a').await;
        let now = snapshot(&server, "prod/-1").await;
        let found = artifact(&now, 'a');
        assert_eq!(
            flows(found),
            [("promote", "p1"), ("scan", "s1"), ("build", "b2")],
            "a report moves its flow to the end"
        );
        assert_eq!(found["flow_name"], "promote");
    }
}

#[tokio::test]
async fn what_ran_before_is_compared() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        reported(&server, "runner", "t1", 'a').await;
        reported(&server, "other", "t1", 'c').await;
        report(&server, "prod", &[("x:1", &fp('a'), 1), ("o", &fp('c'), 1)]).await;
        report(
            &server,
            "prod",
            &[("x:1", &fp('a'), 1), ("x:2", &fp('b'), 5)],
        )
        .await;
        let diff = async |expression: &str, digit| {
            artifact(&snapshot(&server, expression).await, digit)["deployment_diff"].clone()
        };
        assert_eq!(diff("prod/2", 'b').await, Value::Null, "not known yet");
        reported(&server, "runner", "t2", 'b').await;
        let url = |digit| format!("https://github.com/acme/runner/commit/{}", sha1(digit));
        let both = json!({
            "diff_url": format!("https://github.com/acme/runner/compare/{}...{}", sha1('a'), sha1('b')),
            "previous_git_commit": sha1('a'), "previous_git_commit_url": url('a'),
            "previous_fingerprint": fp('a'), "previous_artifact_name": "x:1",
            "previous_artifact_compliance_state": "COMPLIANT", "previous_running": true,
            "previous_trail_name": "t1", "previous_template_reference_name": "runner",
        });
        assert_eq!(diff("prod/2", 'b').await, both);
        assert_eq!(diff("prod/2", 'a').await, Value::Null, "it was the first");
        assert_eq!(diff("prod/2", 'c').await, Value::Null, "of another flow");
        report(&server, "prod", &[("x:2", &fp('b'), 5)]).await;
        assert_eq!(diff("prod/2", 'b').await, both, "it ran beside it then");
        assert_eq!(diff("prod/3", 'b').await["previous_running"], false);
        // Back to the first.
        report(&server, "prod", &[("x:1", &fp('a'), 9)]).await;
        let back = diff("prod/4", 'a').await;
        assert_eq!(back["previous_fingerprint"], fp('b'));
        assert_eq!(back["previous_artifact_name"], "x:2");
        assert_eq!(
            back["diff_url"],
            format!(
                "https://github.com/acme/runner/compare/{}...{}",
                sha1('b'),
                sha1('a')
            )
        );
        assert_eq!(diff("prod/3", 'b').await["previous_fingerprint"], fp('a'));
    }
}

#[tokio::test]
async fn events_and_differences_tell_flow_and_commit() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        reported(&server, "runner", "t1", 'a').await;
        reported(&server, "promote", "p1", 'a').await;
        report(&server, "prod", &[("x", &fp('a'), 1), ("u", &fp('f'), 1)]).await;
        reported(&server, "runner", "t2", 'b').await;
        report(&server, "prod", &[("x", &fp('b'), 2), ("u", &fp('f'), 1)]).await;
        reported(&server, "late", "l1", 'a').await;
        let events = read(&server, "/environments/acme/prod/events").await;
        let told: Vec<_> = events
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                let text = |name: &str| event[name].as_str().unwrap();
                let artifact = &event["_links"]["artifact"];
                let flows: Vec<_> = event["flows"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|flow| {
                        assert_eq!(flow["deployments"], Value::Null);
                        flow["flow_name"].as_str().unwrap()
                    })
                    .collect();
                (
                    event["snapshot_index"].as_u64().unwrap(),
                    text("type"),
                    text("sha256").chars().next().unwrap(),
                    text("pipeline"),
                    flows.join(" "),
                    artifact["self"].as_str(),
                    event["code_diff"].as_str(),
                )
            })
            .collect();
        let api = |digit| {
            format!(
                "http://runstone.test/api/v2/artifacts/acme/runner/fingerprint/{}",
                fp(digit)
            )
        };
        let compared = format!(
            "https://github.com/acme/runner/compare/{}...{}",
            sha1('a'),
            sha1('b')
        );
        let (a, b) = (api('a'), api('b'));
        let (a, b) = (Some(a.as_str()), Some(b.as_str()));
        assert_eq!(
            told,
            [
                (
                    2,
                    "started-unknown",
                    'b',
                    "runner",
                    "runner".to_owned(),
                    b,
                    Some(compared.as_str())
                ),
                (
                    2,
                    "exited",
                    'a',
                    "runner",
                    "runner promote late".to_owned(),
                    a,
                    None
                ),
                (
                    1,
                    "started-unknown",
                    'a',
                    "runner",
                    "runner promote".to_owned(),
                    a,
                    None
                ),
                (1, "started-unknown", 'f', "", String::new(), None, None),
            ]
        );
        let count = async |query: &str| {
            let reply = get(&server, &format!("/environments/acme/prod/events?{query}")).await;
            assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
            let snapshots: Vec<u64> = reply
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["snapshot_index"].as_u64().unwrap())
                .collect();
            (
                reply.headers["x-total-count"].to_str().unwrap().to_owned(),
                snapshots,
            )
        };
        assert_eq!(
            count("repo_name=acme/runner").await,
            ("3".to_owned(), vec![2, 2, 1])
        );
        assert_eq!(
            count("repo_name=acme/runner&per_page=2&page=2").await,
            ("3".to_owned(), vec![1])
        );
        assert_eq!(
            count("repo_name=acme/runner&reverse=true&per_page=2").await,
            ("3".to_owned(), vec![1, 2])
        );
        assert_eq!(
            count("repo_name=acme/late").await,
            ("1".to_owned(), vec![2]),
            "not before it was told of"
        );
        assert_eq!(
            count("repo_name=acme/late&repo_name=acme/promote&interval=1").await,
            ("1".to_owned(), vec![1])
        );
        assert_eq!(
            refusal(&server, "/environments/acme/prod/events?repo_name=none").await,
            (404, "Repo 'none' not found".to_owned())
        );

        let diff = read(&server, "/env-diff/acme?snappish1=prod~1&snappish2=prod").await;
        let url = |digit| format!("https://github.com/acme/runner/commit/{}", sha1(digit));
        let only = |side: &str| {
            let artifact = &diff[side]["artifacts"][0];
            (artifact["flow"].clone(), artifact["commit_url"].clone())
        };
        assert_eq!(only("snappish1"), (json!("runner"), json!(url('a'))));
        assert_eq!(only("snappish2"), (json!("runner"), json!(url('b'))));
        assert_eq!(only("not-changed"), (json!(""), Value::Null));
    }
}

#[tokio::test]
async fn a_logical_environment_tells_the_same() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        let body = json!({"name": "all", "type": "logical", "description": "",
            "included_environments": ["prod"]});
        put(&server, "/environments/acme", &body).await;
        reported(&server, "runner", "t1", 'a').await;
        reported(&server, "runner", "t2", 'b').await;
        report(&server, "prod", &[("x", &fp('a'), 3_000)]).await;
        report(&server, "prod", &[("x", &fp('b'), 4_000)]).await;
        let all = snapshot(&server, "all/-1").await;
        let found = artifact(&all, 'b');
        assert_eq!(flows(found), [("runner", "t2")]);
        assert_eq!(found["deployment_diff"]["previous_fingerprint"], fp('a'));
        let found = read(
            &server,
            "/environments/acme/all/events?repo_name=acme/runner",
        )
        .await;
        assert!(found.as_array().unwrap().len() >= 3, "{found:#}");
    }
}

#[tokio::test]
async fn a_known_name_is_pointed_out_and_joins_nothing() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        reported(&server, "runner", "t1", 'a').await;
        // The tag was built again by somebody, and runs beside what was never heard of.
        report(
            &server,
            "prod",
            &[
                ("hub:5000/x/runner:a@sha256:12", &fp('b'), 1),
                ("new:1", &fp('c'), 1),
            ],
        )
        .await;
        let now = snapshot(&server, "prod/-1").await;
        assert_eq!(artifact(&now, 'b')["flows"], json!([]));
        let found = read(&server, "/lookalikes/acme/prod/-1").await;
        assert_eq!(
            found,
            json!({"snapshot_id": "prod#1", "artifacts": [{
                "name": "hub:5000/x/runner:a@sha256:12", "fingerprint": fp('b'),
                "known": [{"name": "acme/runner:a", "fingerprint": fp('a'), "flow_name": "runner",
                    "trail_name": "t1", "git_commit": sha1('a')}],
            }]})
        );
        reported(&server, "runner", "t2", 'b').await;
        let found = read(&server, "/lookalikes/acme/prod/1").await;
        assert_eq!(found["artifacts"], json!([]), "it is known now");
        let (status, _) = refusal(&server, "/lookalikes/acme/prod/2").await;
        assert_eq!(status, 404);
    }
}

#[tokio::test]
async fn a_snapshot_names_the_entries_it_rests_on() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        reported(&server, "runner", "t1", 'a').await;
        report(&server, "prod", &[("x", &fp('a'), 1)]).await;
        report(&server, "prod", &[("x", &fp('a'), 1), ("y", &fp('f'), 1)]).await;
        reported(&server, "promote", "p1", 'a').await;
        report(&server, "prod", &[]).await;
        reported(&server, "late", "l1", 'a').await;
        let told = read(&server, "/journal/acme/snapshots/prod/2").await;
        let event = async |index: &Value| {
            let entry = read(&server, &format!("/journal/acme/entries/{index}")).await;
            (entry["event"].clone(), entry["data"].clone())
        };
        let known = &told["artifacts"][0];
        assert_eq!(known["fingerprint"], fp('a'));
        assert_eq!(
            known["reported_by"].as_array().unwrap().len(),
            2,
            "{told:#}"
        );
        let (name, data) = event(&known["reported_by"][0]).await;
        assert_eq!(name, "ArtifactReported");
        assert_eq!(
            (&data["commit"], &data["fingerprint"]),
            (&json!(sha1('a')), &json!(fp('a')))
        );
        let (name, data) = event(&known["started_by"]).await;
        assert_eq!(
            (name, &data["snapshot"]),
            (json!("SnapshotRecorded"), &json!(1)),
            "{data}"
        );
        let (_, data) = event(&told["made_by"]).await;
        assert_eq!(data["snapshot"], 2, "{data}");
        let unknown = &told["artifacts"][1];
        assert_eq!(unknown["started_by"], told["made_by"]);
        assert_eq!(unknown["reported_by"], json!([]));
        assert_eq!(told["entries"].as_array().unwrap().len(), 4, "{told:#}");
    }
}
