//! E3: every type of environment at once. The published client reads recorded answers of a
//! cluster, of a cloud and of a container engine, reports them into our server, and reads back what
//! the server made of them.
//!
//! The answers have the shapes of the public interfaces of Kubernetes, Amazon ECS, Lambda and S3 and
//! of the Docker Engine. Where the client talks only to fixed hosts (Azure, Cloud Run), the bodies
//! it sends are sent for it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::{Published, published};
use crate::running::{Place, block_on};

const TIME: &str = "2026-03-01T10:00:00Z";
const SECONDS: i64 = 1_772_359_200;

fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A cluster, a cloud and an engine with recorded answers.
struct Recorded;

impl Respond for Recorded {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let json = |value: Value| {
            ResponseTemplate::new(200).set_body_raw(value.to_string(), "application/json")
        };
        if let Some(target) = request.headers.get("x-amz-target") {
            let operation = target.to_str().unwrap().rsplit('.').next().unwrap();
            return ResponseTemplate::new(200)
                .set_body_raw(ecs(operation).to_string(), "application/x-amz-json-1.1");
        }
        match path {
            "/api/v1/pods" | "/api/v1/namespaces/shop/pods" => json(pods()),
            "/2015-03-31/functions" | "/2015-03-31/functions/" => {
                json(json!({"Functions": [function()]}))
            }
            "/2015-03-31/functions/resize/configuration" => json(function()),
            "/bk" | "/bk/" => ResponseTemplate::new(200).set_body_raw(objects(), "application/xml"),
            "/bk/index.html" => object(request, b"<h1>hi</h1>\n"),
            "/bk/assets/app.js" => object(request, b"let a=1\n"),
            "/bk/assets/logo.png" => object(request, b"png\n"),
            "/_ping" => ResponseTemplate::new(200)
                .insert_header("api-version", "1.44")
                .insert_header("ostype", "linux")
                .set_body_string("OK"),
            path if path.ends_with("/containers/json") => json(json!([{
                "Id": digest('1'), "Names": ["/web"], "Image": "registry.example.com/web:1",
                "ImageID": format!("sha256:{}", digest('2')), "Created": SECONDS,
                "State": "running", "Status": "Up",
            }])),
            path if path.contains("/images/") && path.ends_with("/json") => json(json!({
                "Id": format!("sha256:{}", digest('2')),
                "RepoTags": ["registry.example.com/web:1"],
                "RepoDigests": [format!("registry.example.com/web@sha256:{}", digest('d'))],
            })),
            _ => ResponseTemplate::new(404).set_body_raw(
                json!({"message": format!("not recorded: {path}")}).to_string(),
                "application/json",
            ),
        }
    }
}

fn pods() -> Value {
    let pod = |name: &str, phase: &str, digit: char| {
        json!({
            "metadata": {
                "name": name, "namespace": "shop", "creationTimestamp": TIME,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-7d",
                    "uid": "u1", "controller": true, "blockOwnerDeletion": true}],
            },
            "spec": {"containers": [{"name": "api", "image": "registry.example.com/api:1"}]},
            "status": {"phase": phase, "containerStatuses": [{
                "name": "api", "image": "registry.example.com/api:1", "ready": true,
                "restartCount": 0,
                "imageID": format!("registry.example.com/api@sha256:{}", digest(digit)),
            }]},
        })
    };
    json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
        "items": [
            pod("api-1", "Running", 'a'), pod("api-2", "Running", 'a'), pod("job-1", "Succeeded", 'b'),
        ],
    })
}

fn ecs(operation: &str) -> Value {
    let arn = |what: &str| format!("arn:aws:ecs:eu-north-1:123456789012:{what}");
    match operation {
        "ListClusters" => json!({"clusterArns": [arn("cluster/c1")]}),
        "DescribeClusters" => {
            json!({"clusters": [{"clusterArn": arn("cluster/c1"), "clusterName": "c1", "status": "ACTIVE"}], "failures": []})
        }
        "ListServices" => json!({"serviceArns": [arn("service/c1/s1")]}),
        "DescribeServices" => {
            json!({"services": [{"serviceArn": arn("service/c1/s1"), "serviceName": "s1", "clusterArn": arn("cluster/c1"), "status": "ACTIVE"}], "failures": []})
        }
        "ListTasks" => json!({"taskArns": [arn("task/c1/t1")]}),
        "DescribeTasks" => json!({"tasks": [{
            "taskArn": arn("task/c1/t1"), "clusterArn": arn("cluster/c1"), "group": "service:s1",
            "lastStatus": "RUNNING", "startedAt": SECONDS as f64,
            "containers": [{"name": "web", "image": "registry.example.com/ecs:1", "imageDigest": format!("sha256:{}", digest('e')), "lastStatus": "RUNNING"}],
        }], "failures": []}),
        other => json!({"__type": "InvalidAction", "message": other}),
    }
}

fn function() -> Value {
    let hash = STANDARD.encode([0xcc; 32]);
    json!({
        "FunctionName": "resize", "PackageType": "Zip", "CodeSha256": hash, "Version": "$LATEST",
        "FunctionArn": "arn:aws:lambda:eu-north-1:123456789012:function:resize",
        "LastModified": "2026-03-01T10:00:00.000+0000", "CodeSize": 1, "Timeout": 3,
    })
}

fn objects() -> String {
    let mut contents = String::new();
    for (key, size) in [
        ("assets/app.js", 8),
        ("assets/logo.png", 4),
        ("index.html", 12),
    ] {
        let _ = write!(
            contents,
            "<Contents><Key>{key}</Key><LastModified>{TIME}</LastModified><ETag>&quot;0&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bk</Name><Prefix></Prefix><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    )
}

/// An object, whole or the range that is asked for.
fn object(request: &Request, content: &'static [u8]) -> ResponseTemplate {
    let answer = if request.headers.contains_key("range") {
        ResponseTemplate::new(206).insert_header(
            "content-range",
            format!("bytes 0-{}/{}", content.len() - 1, content.len()).as_str(),
        )
    } else {
        ResponseTemplate::new(200)
    };
    answer
        .insert_header("last-modified", "Sun, 01 Mar 2026 10:00:00 GMT")
        .insert_header("etag", "\"0\"")
        .set_body_raw(content, "application/octet-stream")
}

#[test]
fn all_types_report_and_are_read_back_by_the_published_client() {
    let Some(program) = published() else {
        return;
    };
    let place = Place::new();
    let running = place.serve();
    let recorded = block_on(async {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(Recorded)
            .mount(&server)
            .await;
        server
    });
    let mut kosli = Published::new(&place, &running, program);
    for (name, value) in [
        ("AWS_ENDPOINT_URL", recorded.uri()),
        ("AWS_REGION", "eu-north-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("DOCKER_HOST", recorded.uri().replace("http://", "tcp://")),
    ] {
        kosli.set(name, &value);
    }
    place.write(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: '{}'}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{token: t}}\n",
            recorded.uri()
        ),
    );
    std::fs::create_dir(place.path("site")).unwrap();
    place.write("site/index.html", "<h1>hi</h1>\n");
    place.write(
        "paths.yml",
        "version: 1\nartifacts:\n  site:\n    path: site\n",
    );

    // Each reports, and the second report of the same says nothing new.
    let reports = [
        (
            "k8s",
            "K8S",
            format!("snapshot k8s k8s --kubeconfig {}", place.text("kubeconfig")),
        ),
        ("ecs", "ECS", "snapshot ecs ecs".to_owned()),
        ("lambda", "lambda", "snapshot lambda lambda".to_owned()),
        ("s3", "S3", "snapshot s3 s3 --bucket bk".to_owned()),
        ("docker", "docker", "snapshot docker docker".to_owned()),
        (
            "server",
            "server",
            "snapshot paths server --paths-file paths.yml".to_owned(),
        ),
    ];
    for (environment, kind, line) in &reports {
        for _ in 0..2 {
            let said = kosli.ok(&format!("{line} --auto-environment"));
            assert!(
                said.contains(&format!("reported to environment {environment}")),
                "{said}"
            );
        }
        let found = kosli.json(&format!("get environment {environment}"));
        assert_eq!(found["type"], *kind);
        let snapshots = kosli.json(&format!("list snapshots {environment}"));
        assert_eq!(snapshots.as_array().unwrap().len(), 1, "{environment}");
    }
    // Two more types, as the client sends them.
    for (environment, kind, body) in [
        (
            "azure",
            "azure-apps",
            json!({"artifacts": [{
                "app_name": "shop", "app_kind": "app,linux,container", "digests_source": "acr",
                "digests": {"shop.azurecr.io/shop:1": digest('f')}, "creationTimestamp": 0,
            }]}),
        ),
        (
            "run",
            "cloud-run",
            json!({"type": "cloud-run", "artifacts": [{
                "digests": {"europe-docker.pkg.dev/p/r/run:1": digest('9')},
                "creationTimestamp": SECONDS, "kind": "service", "serviceName": "run",
                "revisionName": "run-00001",
            }]}),
        ),
    ] {
        kosli.ok(&format!("create environment {environment} --type {kind}"));
        let path = format!("/api/v2/environments/acme/{environment}/report/{kind}");
        assert!(running.put(&path, &body), "{environment}");
    }

    let expected = [
        ("k8s", "registry.example.com/api:1", digest('a'), 2),
        ("ecs", "registry.example.com/ecs:1", digest('e'), 1),
        ("lambda", "resize", "cc".repeat(32), 1),
        // The fingerprint that the contract records for this tree.
        (
            "s3",
            "bk",
            "bfb8266aafdf2b17ebcba4ff617e9bc35951d19392141170e670c8f59ded4b5b".to_owned(),
            1,
        ),
        ("docker", "registry.example.com/web:1", digest('d'), 1),
        ("server", "site", String::new(), 1),
        ("azure", "shop.azurecr.io/shop:1", digest('f'), 1),
        ("run", "europe-docker.pkg.dev/p/r/run:1", digest('9'), 1),
    ];
    for (environment, name, fingerprint, instances) in &expected {
        let snapshot = kosli.json(&format!("get snapshot {environment}"));
        let artifacts = snapshot["artifacts"].as_array().unwrap();
        assert_eq!(artifacts.len(), 1, "{snapshot}");
        assert_eq!(artifacts[0]["name"], *name);
        assert_eq!(artifacts[0]["annotation"]["now"], *instances, "{snapshot}");
        if !fingerprint.is_empty() {
            assert_eq!(artifacts[0]["fingerprint"], *fingerprint, "{environment}");
            let found = kosli.ok(&format!("search {}", &fingerprint[..12]));
            assert!(found.contains(name), "{found}");
        }
        let table = kosli.ok(&format!("get snapshot {environment}"));
        assert!(table.contains(name), "{table}");
        let log = kosli.ok(&format!("log env {environment}"));
        assert!(log.contains("started running (from 0 to"), "{log}");
    }
    let context = kosli.json("get snapshot ecs");
    assert_eq!(context["artifacts"][0]["ecs_context"]["cluster_name"], "c1");
    let pods = kosli.json("get snapshot k8s");
    assert_eq!(pods["artifacts"][0]["pods"]["api-1"]["namespace"], "shop");

    // One log of all of them, in the order in which they happened.
    let members: Vec<&str> = expected
        .iter()
        .map(|(environment, ..)| *environment)
        .collect();
    kosli.ok(&format!(
        "create environment all --type logical --included-environments {}",
        members.join(",")
    ));
    let before = kosli.json("get snapshot all");
    assert_eq!(
        before["artifacts"].as_array().unwrap().len(),
        expected.len()
    );
    std::fs::write(place.path("site/index.html"), "<h1>ho</h1>\n").unwrap();
    kosli.ok("snapshot paths server --paths-file paths.yml");
    for (environment, kind, digit) in [("azure", "azure-apps", '8'), ("docker", "docker", '7')] {
        let artifact = match environment {
            "azure" => {
                json!({"app_name": "shop", "app_kind": "app", "digests_source": "acr", "digests": {"shop.azurecr.io/shop:2": digest(digit)}, "creationTimestamp": 0})
            }
            _ => {
                json!({"digests": {"registry.example.com/web:2": digest(digit)}, "creationTimestamp": SECONDS})
            }
        };
        let path = format!("/api/v2/environments/acme/{environment}/report/{kind}");
        assert!(running.put(&path, &json!({"artifacts": [artifact]})));
    }
    let events = kosli.json("log env all --page-limit 100 --reverse");
    let events = events.as_array().unwrap();
    let times: Vec<f64> = events
        .iter()
        .map(|event| event["reported_at"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let named = |name: &str| events.iter().any(|event| event["artifact_name"] == name);
    for (_, name, ..) in &expected {
        assert!(named(name), "{name} is missing: {events:?}");
    }
    for name in ["shop.azurecr.io/shop:2", "registry.example.com/web:2"] {
        assert!(named(name), "{name} is missing: {events:?}");
    }
    let order: Vec<usize> = [
        "site",
        "shop.azurecr.io/shop:2",
        "registry.example.com/web:2",
    ]
    .iter()
    .map(|name| {
        events
            .iter()
            .rposition(|event| event["artifact_name"] == *name)
            .unwrap()
    })
    .collect();
    assert!(order.is_sorted(), "{order:?}");
    let diff = kosli.json("diff snapshots all#1 all");
    assert!(
        diff.to_string().contains("shop.azurecr.io/shop:2"),
        "{diff}"
    );
    let list = kosli.json("list environments");
    assert_eq!(list.as_array().unwrap().len(), expected.len() + 1);
    assert!(
        kosli
            .fails("snapshot docker all --auto-environment")
            .contains("logical environment all")
    );
}
