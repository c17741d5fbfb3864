//! Reports that are not valid: the contracted answer, and never an internal error.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, put_environment, servers};

#[tokio::test]
async fn what_is_wrong_is_named() {
    let good = json!({"digests": {"a": fp('a')}, "creationTimestamp": 1});
    let cases: Vec<(String, &str, String)> = vec![
        (String::new(), "body", "Invalid JSON".into()),
        ("{".into(), "body", "Invalid JSON".into()),
        (
            "[]".into(),
            "body",
            "Input should be a valid dictionary or object to extract fields from [input: []]"
                .into(),
        ),
        (
            "null".into(),
            "body",
            "Input should be a valid dictionary or object to extract fields from [input: None]"
                .into(),
        ),
        (
            "{}".into(),
            "artifacts",
            "Field required [input: None]".into(),
        ),
        (
            json!({"artifacts": "x"}).to_string(),
            "artifacts",
            "Input should be a valid list [input: x]".into(),
        ),
        (
            json!({"artifacts": [], "more": 1}).to_string(),
            "more",
            "Extra inputs are not permitted [input: 1]".into(),
        ),
        (
            json!({"artifacts": [], "type": "docker"}).to_string(),
            "type",
            "Input should be 'server' [input: docker]".into(),
        ),
        (
            json!({"artifacts": [1]}).to_string(),
            "artifacts[0]",
            "Input should be a valid dictionary or object".into(),
        ),
        (
            json!({"artifacts": [good, {"creationTimestamp": 1}]}).to_string(),
            "artifacts[1].digests",
            "Field required".into(),
        ),
        (
            json!({"artifacts": [{"digests": {"a": "A".repeat(64)}, "creationTimestamp": 1}]})
                .to_string(),
            "artifacts[0].digests.a",
            format!(
                "String should match pattern '^[a-f0-9]{{64}}$' [input: {}]",
                "A".repeat(64)
            ),
        ),
        (
            json!({"artifacts": [{"digests": {"a": ""}, "creationTimestamp": 1}]}).to_string(),
            "artifacts[0].digests.a",
            "String should match pattern '^[a-f0-9]{64}$' [input: ]".into(),
        ),
        (
            json!({"artifacts": [{"digests": {}, "creationTimestamp": -1}]}).to_string(),
            "artifacts[0].creationTimestamp",
            "Input should be greater than or equal to 0 [input: -1]".into(),
        ),
        (
            json!({"artifacts": [{"digests": {"": fp('a')}, "creationTimestamp": 1}]}).to_string(),
            "artifacts[0].digests.",
            "String should have at least 1 character [input: ]".into(),
        ),
        (
            format!(r#"{{"artifacts":[],"artifacts":[{good}]}}"#),
            "artifacts",
            "Member 'artifacts' is given more than once".into(),
        ),
    ];
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        for (body, path, text) in &cases {
            let reply = server
                .put(
                    "/api/v2/environments/acme/env/report/server",
                    ADMIN,
                    body.clone(),
                )
                .await;
            assert_eq!(reply.status.as_u16(), 400, "{body}");
            let answer = reply.json();
            assert_eq!(answer["message"], "Input payload validation failed");
            let found = answer["errors"][path].as_str().unwrap_or_default();
            assert!(found.starts_with(text.as_str()), "{body}: {answer}");
        }
        let null = json!({"artifacts": null}).to_string();
        let reply = server
            .put("/api/v2/environments/acme/env/report/server", ADMIN, null)
            .await;
        assert_eq!(
            reply.status.as_u16(),
            201,
            "the first report makes a snapshot, also an empty one"
        );
    }
}

/// JSON of any shape, often close to a report.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from(fp('a'))),
        Just(Value::from("")),
    ];
    let name = prop_oneof![
        Just("artifacts".to_owned()),
        Just("digests".to_owned()),
        Just("creationTimestamp".to_owned()),
        Just("type".to_owned()),
        Just("podName".to_owned()),
        Just("namespace".to_owned()),
        Just("owners".to_owned()),
        Just("kind".to_owned()),
        ".{0,8}",
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn nothing_is_an_internal_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async {
        let server = servers().await.remove(0);
        for kind in ["K8S", "server", "cloud-run"] {
            put_environment(&server, kind, kind).await;
        }
        server
    });
    let body = prop_oneof![
        any_json().prop_map(|value| value.to_string().into_bytes()),
        any_json().prop_map(|value| json!({"artifacts": [value]}).to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
        (1..2_000_usize)
            .prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes()),
        (1..2_000_usize).prop_map(|depth| format!(
            r#"{{"artifacts":{}1{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
        .into_bytes()),
    ];
    let kind = prop_oneof![Just("K8S"), Just("server"), Just("cloud-run")];
    let path_part = "[ -~]{0,20}";
    let strategy = (kind, body, path_part);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |(kind, body, part)| {
            runtime.block_on(async {
                let path = format!("/api/v2/environments/acme/{kind}/report/{kind}");
                let reply = server.put(&path, ADMIN, body.clone()).await;
                prop_assert!(matches!(reply.status.as_u16(), 200 | 201 | 400), "{} {}", reply.status, reply.text());
                if reply.status.as_u16() == 400 {
                    prop_assert!(!reply.message().is_empty());
                }
                let other = server.put("/api/v2/environments/acme", ADMIN, body).await;
                prop_assert!(other.status.as_u16() < 500, "{}", other.text());
                let part = runstone_api::path::segment(&part);
                for path in [
                    format!("/api/v2/snapshots/acme/{kind}/{part}"),
                    format!("/api/v2/environments/acme/{kind}/events?interval={part}&start={part}&start_ts={part}"),
                    format!("/api/v2/env-diff/acme?snappish1={kind}{part}&snappish2={part}"),
                    format!("/api/v2/search/acme/sha/{part}"),
                    format!("/api/v2/environments/{part}/{part}?page={part}&tag={part}"),
                    format!("/log/acme/{part}"),
                    format!("/log/acme/tile/{part}/{part}"),
                    format!("/api/v2/journal/acme/bodies/{part}/{part}"),
                ] {
                    let status = server.get(&path, ADMIN).await.status.as_u16();
                    prop_assert!(status < 500, "{status} {path}");
                }
                Ok(())
            })
        })
        .unwrap();
}
