//! E8: many reporters and many artifacts at once, and creations that race.

use serde_json::{Value, json};

use crate::running::{KEY, Place, block_on, environment, request};

const REPORTERS: usize = 20;
const ARTIFACTS: usize = 800;
const ROUNDS: usize = 4;

/// The report of a round: 800 artifacts of which one differs from round to round.
fn body(reporter: usize, round: usize) -> String {
    let artifacts: Vec<Value> = (0..ARTIFACTS)
        .map(|artifact| {
            let version = if artifact == 0 { round + 1 } else { 0 };
            let fingerprint = format!("{:064x}", artifact * 1_000 + version);
            json!({
                "podName": format!("pod-{artifact}"),
                "namespace": format!("n{reporter}"),
                "digests": {format!("registry/app-{artifact}:1"): fingerprint},
                "creationTimestamp": 1_772_359_200,
                "owners": null,
            })
        })
        .collect();
    json!({ "artifacts": artifacts }).to_string()
}

#[test]
fn twenty_reporters_with_eight_hundred_artifacts_each() {
    let place = Place::new();
    let running = place.serve();
    for reporter in 0..REPORTERS {
        environment(&running, &format!("k{reporter}"), "K8S");
    }
    let answers = block_on(async {
        let reporters: Vec<_> = (0..REPORTERS)
            .map(|reporter| {
                let host = running.host.clone();
                tokio::spawn(async move {
                    let path = format!("/api/v2/environments/acme/k{reporter}/report/K8S");
                    let mut answers = Vec::new();
                    for round in 0..ROUNDS {
                        let body = body(reporter, round);
                        // Each report is sent twice: the second says nothing new.
                        for _ in 0..2 {
                            let answer = request(&host, "PUT", &path, Some(&body)).send().await;
                            answers.push(answer.unwrap().status().as_u16());
                        }
                    }
                    answers
                })
            })
            .collect();
        let mut all = Vec::new();
        for reporter in reporters {
            all.push(reporter.await.unwrap());
        }
        all
    });
    for (reporter, answers) in answers.into_iter().enumerate() {
        assert_eq!(answers, [201, 200].repeat(ROUNDS), "reporter {reporter}");
        let latest = running.get(&format!("/api/v2/snapshots/acme/k{reporter}/-1"));
        assert_eq!(latest["index"], ROUNDS, "no lost or doubled snapshot");
        let count = latest["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|artifact| artifact["annotation"]["type"] != "exited")
            .count();
        assert_eq!(count, ARTIFACTS);
    }
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY]);
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
}

#[test]
fn reporters_of_one_environment_take_turns() {
    let place = Place::new();
    let running = place.serve();
    environment(&running, "shared", "K8S");
    let made = block_on(async {
        let reporters: Vec<_> = (0..REPORTERS)
            .map(|reporter| {
                let host = running.host.clone();
                tokio::spawn(async move {
                    let body = body(reporter, reporter);
                    let path = "/api/v2/environments/acme/shared/report/K8S";
                    let answer = request(&host, "PUT", path, Some(&body)).send().await;
                    answer.unwrap().status().as_u16()
                })
            })
            .collect();
        let mut made = 0;
        for reporter in reporters {
            let status = reporter.await.unwrap();
            assert!(matches!(status, 200 | 201), "{status}");
            made += u64::from(status == 201);
        }
        made
    });
    let latest = running.get("/api/v2/snapshots/acme/shared/-1");
    assert_eq!(latest["index"], made, "each 201 is one snapshot");
    assert_eq!(made, REPORTERS as u64, "all reports differ");
}

#[test]
fn creations_that_race_end_well() {
    let place = Place::new();
    let running = place.serve();
    let statuses = block_on(async {
        let creations: Vec<_> = (0..16)
            .map(|_| {
                let host = running.host.clone();
                tokio::spawn(async move {
                    let body = json!({"name": "race", "type": "server", "description": ""});
                    let path = "/api/v2/environments/acme";
                    let answer = request(&host, "PUT", path, Some(&body.to_string())).send();
                    answer.await.unwrap().status().as_u16()
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for creation in creations {
            statuses.push(creation.await.unwrap());
        }
        statuses
    });
    for status in &statuses {
        assert!(matches!(status, 200 | 201 | 409), "{statuses:?}");
    }
    assert!(statuses.iter().any(|status| *status < 300));
    let all = running.get("/api/v2/environments/acme");
    assert_eq!(all.as_array().unwrap().len(), 1);
}
