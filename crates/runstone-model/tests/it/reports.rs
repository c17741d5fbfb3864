//! Reports of every kind: what is read, how it is grouped, every error text, and that reading
//! element by element is the same.

use proptest::prelude::*;
use proptest::sample::subsequence;
use runstone_model::name::EnvironmentKind;
use runstone_model::read::FieldErrors;
use runstone_model::report::{
    Compared, Detail, LastReport, Report, ReportLimits, Same, group_within, read_element_at,
    read_report, split_elements,
};
use serde_json::{Value, json};

use EnvironmentKind as Kind;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn read(kind: Kind, body: &Value) -> Result<Report, FieldErrors> {
    read_report(kind, body.to_string().as_bytes(), &ReportLimits::default())
}

fn lines(result: Result<Report, FieldErrors>) -> Vec<String> {
    let errors = result.unwrap_err();
    errors
        .0
        .iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect()
}

fn details(report: &Report) -> Vec<(String, String, String)> {
    report
        .artifacts
        .iter()
        .map(|artifact| {
            (
                artifact.name.clone(),
                artifact
                    .fingerprint
                    .map_or_else(String::new, |f| f.to_hex()),
                String::from_utf8(artifact.detail.as_bytes().to_vec()).unwrap(),
            )
        })
        .collect()
}

fn check(kind: Kind, body: &Value, expected: &[(&str, &str, &str)]) {
    let report = read(kind, body).unwrap();
    let found = details(&report);
    let found: Vec<_> = found
        .iter()
        .map(|(name, fingerprint, detail)| (name.as_str(), fingerprint.as_str(), detail.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn kubernetes() {
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1",
        "uid": "u", "controller": true, "blockOwnerDeletion": null, "newer": {"x": [1.5]}});
    let body = json!({"artifacts": [
        {"podName": "web-2", "namespace": "prod", "digests": {"web:1": A, "side:1": B},
         "creationTimestamp": 30, "owners": [owner]},
        {"podName": "web-1", "namespace": "prod", "digests": {"web:1": A},
         "creationTimestamp": 20, "owners": null},
        {"podName": "web-1", "namespace": "dev", "digests": {"web:1": A},
         "creationTimestamp": 10.0, "owners": []},
    ]});
    check(
        Kind::K8s,
        &body,
        &[
            (
                "web:1",
                A,
                r#"{"pods":{"prod/web-1":{"ns":"prod","t":20},"web-1":{"ns":"dev","owners":[],"t":10},"web-2":{"ns":"prod","owners":[{"apiVersion":"apps/v1","controller":true,"kind":"ReplicaSet","name":"web-1","uid":"u"}],"t":30}},"t":[10,20,30]}"#,
            ),
            (
                "side:1",
                B,
                r#"{"pods":{"web-2":{"ns":"prod","owners":[{"apiVersion":"apps/v1","controller":true,"kind":"ReplicaSet","name":"web-1","uid":"u"}],"t":30}},"t":[30]}"#,
            ),
        ],
    );
    let report = read(Kind::K8s, &body).unwrap();
    let view = report.artifacts[0].detail.parse().unwrap();
    assert_eq!(report.artifacts[0].detail.instances(), 3);
    assert_eq!(view.timestamps, [10, 20, 30]);
    let pods = view.pods.unwrap();
    assert_eq!(pods["web-1"].namespace, "dev");
    let owners = pods["web-2"].owners.as_ref().unwrap();
    assert_eq!(owners[0].controller, Some(true));
    assert_eq!(owners[0].block_owner_deletion, None);
}

#[test]
fn a_pod_that_looks_qualified_is_not_lost() {
    let pod = |namespace: &str, name: &str| json!({"podName": name, "namespace": namespace, "digests": {"i": A}, "creationTimestamp": 1});
    let body = json!({"artifacts": [pod("a", "x"), pod("b", "x"), pod("c", "b/x"), pod("a", "x")]});
    check(
        Kind::K8s,
        &body,
        &[(
            "i",
            A,
            r#"{"pods":{"b/b/x":{"ns":"b","t":1},"b/x":{"ns":"c","t":1},"x":{"ns":"a","t":1}},"t":[1,1,1,1]}"#,
        )],
    );
}

#[test]
fn ecs_keeps_the_task_that_started_first() {
    let body = json!({"type": "ECS", "artifacts": [
        {"taskArn": "arn:b", "digests": {"web": "", "db": A}, "creationTimestamp": 5},
        {"taskArn": "arn:a", "digests": {"web": ""}, "creationTimestamp": 4,
         "cluster_name": "c", "service_name": null},
    ]});
    check(
        Kind::Ecs,
        &body,
        &[
            (
                "web",
                "",
                r#"{"ecs":{"cluster_name":"c","task_arn":"arn:a"},"t":[4,5]}"#,
            ),
            ("db", A, r#"{"ecs":{"task_arn":"arn:b"},"t":[5]}"#),
        ],
    );
}

#[test]
fn azure_and_cloud_run() {
    let body = json!({"artifacts": [{"app_name": "shop", "app_kind": "app,linux", "digests": {"i": ""},
        "digests_source": "acr", "creationTimestamp": 1}]});
    check(
        Kind::AzureApps,
        &body,
        &[(
            "i",
            "",
            r#"{"azure":{"app_kind":"app,linux","app_name":"shop","digests_source":"acr"},"t":[1]}"#,
        )],
    );
    let body = json!({"type": "cloud-run", "artifacts": [
        {"kind": "job", "digests": {"i": A}, "creationTimestamp": 1, "jobName": "nightly", "serviceName": null},
        {"kind": "service", "digests": {"j": A}, "creationTimestamp": 2, "serviceName": "s", "revisionName": "s-1"},
    ]});
    check(
        Kind::CloudRun,
        &body,
        &[
            (
                "i",
                A,
                r#"{"cloud_run":{"job_name":"nightly","kind":"job"},"t":[1]}"#,
            ),
            (
                "j",
                A,
                r#"{"cloud_run":{"kind":"service","revision_name":"s-1","service_name":"s"},"t":[2]}"#,
            ),
        ],
    );
    let view_of = read(Kind::CloudRun, &body).unwrap();
    let view = view_of.artifacts[1].detail.parse().unwrap();
    assert_eq!(view.cloud_run.unwrap().service_name.as_deref(), Some("s"));
}

#[test]
fn plain_kinds() {
    for kind in [Kind::Lambda, Kind::S3, Kind::Docker, Kind::Server] {
        let body = json!({"type": kind.as_wire(), "artifacts": [
            {"digests": {"b\"\\\u{e9}": B, "a": A}, "creationTimestamp": 7},
            {"digests": {"a": A}, "creationTimestamp": 6},
            {"digests": {"a": B}, "creationTimestamp": 0},
            {"digests": {}, "creationTimestamp": 253_402_300_799_i64},
        ]});
        check(
            kind,
            &body,
            &[
                ("a", A, r#"{"t":[6,7]}"#),
                ("a", B, r#"{"t":[0]}"#),
                ("b\"\\\u{e9}", B, r#"{"t":[7]}"#),
            ],
        );
        for empty in [json!({"artifacts": []}), json!({"artifacts": null})] {
            check(kind, &empty, &[]);
        }
    }
}

#[test]
fn a_logical_environment_receives_none() {
    let body = json!({"artifacts": []});
    assert!(read(Kind::Logical, &body).is_err());
    assert!(split_elements(Kind::Logical, b"{}", &ReportLimits::default()).is_err());
}

#[test]
fn errors_name_every_member() {
    let body = json!({"type": "k8s", "more": 1, "artifacts": [
        {"podName": 7, "digests": {"x": "zz", "": A, "n": null, "c\n": A}, "creationTimestamp": "now",
         "owners": [{"kind": "x", "apiVersion": "v", "name": "n", "uid": "u", "controller": "so"}, 3]},
        {"podName": "p", "namespace": "n", "digests": [A], "creationTimestamp": -1, "extra": true},
        {"podName": "p", "namespace": "n", "digests": {"x": ""}, "creationTimestamp": 1.5, "owners": {}},
        "text",
    ]});
    assert_eq!(
        lines(read(Kind::K8s, &body)),
        [
            "artifacts[0].creationTimestamp: Input should be a valid integer, unable to parse string as an integer [input: now]",
            "artifacts[0].digests.: String should have at least 1 character [input: ]",
            "artifacts[0].digests.c\n: String should not contain control characters [input: c\\n]",
            "artifacts[0].digests.n: Input should be a valid string [input: None]",
            "artifacts[0].digests.x: String should match pattern '^[a-f0-9]{64}$' [input: zz]",
            "artifacts[0].namespace: Field required [input: None]",
            "artifacts[0].owners[0].controller: Input should be a valid boolean, unable to interpret input [input: so]",
            "artifacts[0].owners[1]: Input should be a valid dictionary or object to extract fields from [input: 3]",
            "artifacts[0].podName: Input should be a valid string [input: 7]",
            "artifacts[1].creationTimestamp: Input should be greater than or equal to 0 [input: -1]",
            &format!("artifacts[1].digests: Input should be a valid dictionary [input: [\"{A}\"]]"),
            "artifacts[1].extra: Extra inputs are not permitted [input: True]",
            "artifacts[2].creationTimestamp: Input should be a valid integer, got a number with a fractional part [input: 1.5]",
            "artifacts[2].digests.x: String should match pattern '^[a-f0-9]{64}$' [input: ]",
            "artifacts[2].owners: Input should be a valid list [input: {}]",
            "artifacts[3]: Input should be a valid dictionary or object to extract fields from [input: text]",
            "more: Extra inputs are not permitted [input: 1]",
            "type: Input should be 'K8S' [input: k8s]",
        ]
    );
}

#[test]
fn errors_of_other_kinds() {
    let body = json!({"artifacts": [{"app_name": "a", "app_kind": "k", "digests": {"x": "y"},
        "digests_source": "guess", "creationTimestamp": 253_402_300_800_i64}]});
    assert_eq!(
        lines(read(Kind::AzureApps, &body)),
        [
            "artifacts[0].creationTimestamp: Input should be less than or equal to 253402300799 [input: 253402300800]",
            "artifacts[0].digests.x: String should match pattern '^([a-f0-9]{64})?$' [input: y]",
            "artifacts[0].digests_source: Input should be 'acr', 'logs' or 'kosli-cli' [input: guess]",
        ]
    );
    let body = json!({"artifacts": [{"kind": "pod", "digests": {}, "creationTimestamp": true}]});
    assert_eq!(
        lines(read(Kind::CloudRun, &body)),
        [
            "artifacts[0].creationTimestamp: Input should be a valid integer [input: True]",
            "artifacts[0].kind: Input should be 'service' or 'job' [input: pod]",
        ]
    );
    assert_eq!(
        lines(read(Kind::Server, &json!({"artifacts": {}}))),
        ["artifacts: Input should be a valid list [input: {}]"]
    );
    assert_eq!(
        lines(read(Kind::Server, &json!({}))),
        ["artifacts: Field required [input: None]"]
    );
    assert_eq!(
        lines(read(Kind::Server, &json!({"type": null, "artifacts": []}))),
        ["type: Input should be 'server' [input: None]"]
    );
}

#[test]
fn absurd_bodies() {
    let limits = ReportLimits::default();
    let check = |body: &str, start: &str| {
        let whole = read_report(Kind::Server, body.as_bytes(), &limits).unwrap_err();
        let found: Vec<_> = whole
            .0
            .iter()
            .map(|(path, text)| format!("{path}: {text}"))
            .collect();
        assert!(found[0].starts_with(start), "{found:?}");
        assert_eq!(by_elements(Kind::Server, body.as_bytes()), Err(whole));
    };
    check("", "body: Invalid JSON: the input ends too early");
    check(
        "{\"artifacts\":[",
        "body: Invalid JSON: the input ends too early",
    );
    check("[]", "body: Input should be a valid dictionary");
    check("null", "body: Input should be a valid dictionary");
    let element =
        |time: &str| format!(r#"{{"artifacts":[{{"digests":{{}},"creationTimestamp":{time}}}]}}"#);
    check(
        &element("1e999"),
        "artifacts[0]: Invalid JSON at line 1 column ",
    );
    check(
        &element("99999999999999999999999999"),
        "artifacts[0].creationTimestamp: Input should be less than or equal to 253402300799 [input: 100000000000000000000000000",
    );
    check(
        &element("-9223372036854775809"),
        "artifacts[0].creationTimestamp: Input should be greater than or equal to 0 [input: -9223372036854776000]",
    );
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    check(
        &element(&deep),
        "artifacts[0]: Invalid JSON at line 1 column ",
    );
    check(
        &deep,
        "body: Input should be a valid dictionary or object to extract fields from [input: [[[",
    );
    let long = format!("{{\"artifacts\":[],\"x\":{deep}}}");
    check(&long, "x: Extra inputs are not permitted [input: [[[");
    check(
        r#"{"artifacts":[{"digests":{"a":"","a":""},"creationTimestamp":1}]}"#,
        "artifacts[0].digests.a: Member 'a' is given more than once",
    );
    check(
        r#"{"artifacts":[{"digests":{},"digests":{},"creationTimestamp":1}]}"#,
        "artifacts[0].digests: Member 'digests' is given more than once [input: {}]",
    );
    check(
        r#"{"artifacts":[],"artifacts":[]}"#,
        "artifacts: Member 'artifacts' is given more than once [input: []]",
    );
    check(
        r#"{"artifacts":[{"digests":{"\ud800":""},"creationTimestamp":1}]}"#,
        "artifacts[0]: Invalid JSON at line 1 column ",
    );
    let invalid =
        read_report(Kind::Server, b"{\"artifacts\":[\"\xc3\x28\"]}", &limits).unwrap_err();
    assert_eq!(
        invalid.0["body"],
        r#"Invalid JSON: byte 15 is not UTF-8 [input: \xc3(\"]}]"#
    );
}

#[test]
fn errors_around_and_within_the_elements_are_told_together() {
    let body =
        r#"{"artifacts":[{"digests":{},"creationTimestamp":1e999},7],"type":"S3","x":1e999}"#;
    let found = read_report(Kind::Server, body.as_bytes(), &ReportLimits::default()).unwrap_err();
    assert_eq!(found.0.keys().collect::<Vec<_>>(), ["x"]);
    let body = body.replace("\"x\":1e999", "\"x\":1");
    let found = read_report(Kind::Server, body.as_bytes(), &ReportLimits::default()).unwrap_err();
    assert_eq!(
        found.0.keys().collect::<Vec<_>>(),
        ["artifacts[0]", "artifacts[1]", "type", "x"]
    );
}

#[test]
fn limits_hold() {
    let limits = ReportLimits {
        elements_max: 2,
        artifacts_max: 3,
        name_bytes_max: 4,
        element_bytes_max: 300,
    };
    let element = |names: &[&str]| {
        let digests: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!(A)))
            .collect();
        json!({"digests": digests, "creationTimestamp": 1})
    };
    let read = |elements: &[Value]| {
        let body = json!({"artifacts": elements}).to_string();
        let whole = read_report(Kind::Server, body.as_bytes(), &limits);
        let split = split_elements(Kind::Server, body.as_bytes(), &limits);
        assert!(split.is_ok() || whole.is_err());
        whole
    };
    assert!(read(&[element(&["a", "b"]), element(&["b", "four"])]).is_ok());
    assert_eq!(
        lines(read(&[element(&["a", "b"]), element(&["c", "d"])])),
        ["artifacts: List should have at most 3 items after validation, not 4 [input: 4]"]
    );
    assert_eq!(
        lines(read(&[element(&[]), element(&[]), element(&[])])),
        ["artifacts: List should have at most 2 items after validation, not 3 [input: 3]"]
    );
    assert_eq!(
        lines(read(&[element(&["fives"])])),
        ["artifacts[0].digests.fives: String should have at most 4 bytes [input: fives]"]
    );
    let long = lines(read(&[element(&["a"]), element(&["a", "b", "c", "d"])]));
    assert_eq!(long.len(), 1);
    assert!(
        long[0].starts_with("artifacts[1]: Element should have at most 300 bytes, not 3"),
        "{long:?}"
    );
}

#[test]
fn instances_are_counted_without_reading() {
    let check = |bytes: &str, expected: u64| {
        assert_eq!(
            Detail::from_canonical(bytes.as_bytes()).instances(),
            expected
        );
    };
    check(r#"{"t":[]}"#, 0);
    check(r#"{"t":[1]}"#, 1);
    check(
        r#"{"pods":{"a,[":{"ns":"","owners":[],"t":1}},"t":[1,2,3]}"#,
        3,
    );
    check("", 0);
    check("{}", 0);
}

/// The report read element by element, as the unchanged path does.
fn by_elements(kind: Kind, body: &[u8]) -> Result<Report, FieldErrors> {
    let limits = ReportLimits::default();
    let mut errors = FieldErrors::default();
    let mut elements = Vec::new();
    for (index, raw) in split_elements(kind, body, &limits)?.into_iter().enumerate() {
        match read_element_at(kind, raw, index, &limits) {
            Ok(element) => elements.push(element),
            Err(found) => errors.0.extend(found.0),
        }
    }
    if errors.0.is_empty() {
        group_within(&elements, &limits)
    } else {
        Err(errors)
    }
}

/// Few different values, so that they collide.
fn word() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "",
        "\u{1f600}",
        "\u{fb01}",
        "q\"\\\u{7f}",
    ])
    .prop_map(Value::from)
}

fn time() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (0_i64..4).prop_map(Value::from),
        1 => prop::sample::select(vec![json!(3.0), json!(-1), json!("x"), json!(u64::MAX), json!(null)]),
    ]
}

fn digests() -> impl Strategy<Value = Value> {
    let digest = prop_oneof![
        8 => prop::sample::select(vec![json!(A), json!(B)]),
        2 => Just(json!("")),
        1 => prop::sample::select(vec![json!("zz"), json!(7)]),
    ];
    let name = prop::sample::select(vec!["a", "b", "c/d:1", "é"]);
    prop::collection::btree_map(name, digest, 0..3)
        .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
}

/// An element of `kind`, mostly right.
fn element(kind: Kind) -> impl Strategy<Value = Value> {
    let source = prop::sample::select(vec!["acr", "logs", "service", "job"]);
    let owner = word().prop_map(|w| json!({"apiVersion": w, "kind": "k", "name": w, "uid": "u"}));
    let extra = prop::bool::weighted(0.03);
    (
        word(),
        word(),
        digests(),
        time(),
        source,
        prop::option::of(prop::collection::vec(owner, 0..2)),
        extra,
    )
        .prop_map(move |(one, two, digests, time, source, owners, extra)| {
            let mut element = json!({"digests": digests, "creationTimestamp": time});
            let more = match kind {
                Kind::K8s => json!({"podName": one, "namespace": two, "owners": owners}),
                Kind::Ecs => json!({"taskArn": one, "cluster_name": two, "service_name": null}),
                Kind::AzureApps => {
                    json!({"app_name": one, "app_kind": two, "digests_source": source})
                }
                Kind::CloudRun => json!({"kind": source, "serviceName": one, "jobName": two}),
                _ => json!({}),
            };
            element
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            if extra {
                element["surprise"] = json!([1]);
            }
            element
        })
}

fn reported() -> impl Strategy<Value = (Kind, Vec<Value>)> {
    prop::sample::select(Kind::ALL[..8].to_vec())
        .prop_flat_map(|kind| (Just(kind), prop::collection::vec(element(kind), 0..6)))
}

/// What becomes of a report after the last one, told by reading both whole.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused(FieldErrors),
    SameArtifacts,
    Differs(Report),
}

fn outcome(
    kind: Kind,
    last: Option<&Report>,
    body: &[u8],
    limits: &ReportLimits,
    include_scaling: bool,
) -> Outcome {
    let report = match read_report(kind, body, limits) {
        Ok(report) => report,
        Err(errors) => return Outcome::Refused(errors),
    };
    let identities = |report: &Report| -> Vec<_> {
        report
            .artifacts
            .iter()
            .map(|artifact| {
                let count = include_scaling.then(|| artifact.detail.instances());
                (artifact.fingerprint, artifact.name.clone(), count)
            })
            .collect()
    };
    if last.is_some_and(|last| identities(last) == identities(&report)) {
        Outcome::SameArtifacts
    } else {
        Outcome::Differs(report)
    }
}

/// Drives bodies through a lane that prepares and one that reads everything, which must agree.
fn check_lane(
    kind: Kind,
    bodies: &[Vec<u8>],
    limits: &ReportLimits,
    include_scaling: bool,
) -> Vec<Option<Same>> {
    let mut last: Option<LastReport> = None;
    let mut whole: Option<Report> = None;
    let mut recognised = Vec::new();
    for body in bodies {
        let text = String::from_utf8_lossy(body);
        let expected = outcome(kind, whole.as_ref(), body, limits, include_scaling);
        let same = last
            .as_ref()
            .and_then(|last| last.recognise(kind, body, limits));
        recognised.push(same);
        let prepared = LastReport::compare(last.as_ref(), kind, body, limits, include_scaling);
        // What is prepared for the next one does not depend on what was known before.
        let anew = match LastReport::compare(None, kind, body, limits, include_scaling) {
            Ok(Compared::Differs { next, .. }) => Some(next),
            Ok(other) => panic!("nothing is like nothing: {other:?}"),
            Err(_) => None,
        };
        let found = match prepared {
            Err(errors) => Outcome::Refused(errors),
            Ok(Compared::Identical | Compared::SameElements) => {
                assert!(same.is_some());
                // Not only the artifacts: every detail is that of the last report.
                assert_eq!(read_report(kind, body, limits).ok(), whole, "{text}");
                Outcome::SameArtifacts
            }
            Ok(Compared::SameArtifacts(next)) => {
                assert_eq!(Some(&next), anew.as_ref(), "{text}");
                last = Some(next);
                Outcome::SameArtifacts
            }
            Ok(Compared::Differs { report, next }) => {
                assert_eq!(Some(&next), anew.as_ref(), "{text}");
                last = Some(next);
                Outcome::Differs(report)
            }
        };
        assert_eq!(found, expected, "{text}");
        if let Ok(report) = read_report(kind, body, limits) {
            whole = Some(report);
        }
    }
    recognised
}

#[test]
fn a_last_report_is_recognised_in_any_order() {
    let one = format!(r#"{{"digests":{{"a":"{A}"}},"creationTimestamp":1}}"#);
    let two = format!(r#"{{"digests":{{"a":"{A}"}},"creationTimestamp":12}}"#);
    let spaced = format!(r#"{{ "digests":{{"a":"{A}"}},"creationTimestamp":1}}"#);
    let check = |bodies: &[String], expected: &[Option<Same>]| {
        let bodies: Vec<_> = bodies
            .iter()
            .map(|body| body.clone().into_bytes())
            .collect();
        for include_scaling in [false, true] {
            let found = check_lane(
                Kind::Server,
                &bodies,
                &ReportLimits::default(),
                include_scaling,
            );
            assert_eq!(found, expected);
        }
    };
    let of = |elements: &[&str]| format!(r#"{{"artifacts":[{}]}}"#, elements.join(","));
    check(
        &[
            of(&[&one, &two]),
            of(&[&one, &two]),
            of(&[&two, &one]),
            format!("{{\"artifacts\":[{two} ,\n\t{one}]}}"),
            // Another number of each, another element, another text of the same element.
            of(&[&one, &one]),
            of(&[&one, &two, &one]),
            of(&[&two, &one, &one]),
            of(&[&one, &spaced, &two]),
            // What goes around the elements is compared as it stands.
            format!(r#"{{"artifacts":[{one},{spaced},{two}],"type":"server"}}"#),
            format!(r#"{{"artifacts":[{two},{one},{spaced}],"type":"server"}}"#),
            format!(r#"{{"artifacts":[{two},{one},{spaced},],"type":"server"}}"#),
            of(&[]),
            of(&[]),
            "{\"artifacts\":[ ]}".to_owned(),
        ],
        &[
            None,
            Some(Same::Body),
            Some(Same::Elements),
            Some(Same::Elements),
            None,
            None,
            Some(Same::Elements),
            None,
            None,
            Some(Same::Elements),
            None,
            None,
            Some(Same::Body),
            None,
        ],
    );
}

#[test]
fn a_last_report_of_another_kind_or_other_limits_is_not_used() {
    let body = json!({"artifacts": []}).to_string().into_bytes();
    let limits = ReportLimits::default();
    let narrow = ReportLimits {
        elements_max: 5,
        ..limits
    };
    let Ok(Compared::Differs { next, .. }) =
        LastReport::compare(None, Kind::Server, &body, &limits, false)
    else {
        panic!("the first report differs");
    };
    assert_eq!(
        next.recognise(Kind::Server, &body, &limits),
        Some(Same::Body)
    );
    assert_eq!(next.recognise(Kind::Docker, &body, &limits), None);
    assert_eq!(next.recognise(Kind::Server, &body, &narrow), None);
    assert!(next.bytes() >= body.len());
}

/// Texts of elements of `kind`, some wrong, some of them other texts of the same element.
fn texts(kind: Kind) -> impl Strategy<Value = Vec<String>> {
    let text = (element(kind), 0..12_u8).prop_map(|(value, style)| {
        let plain = value.to_string();
        match style {
            0 => serde_json::to_string_pretty(&value).unwrap(),
            // A member twice, with the same and with another value.
            1 => plain.replacen('{', "{\"creationTimestamp\":1,", 1),
            2 => plain.replacen("\"digests\":{", "\"digests\":{\"a\":\"\",", 1),
            3 => plain.replacen("\"a\"", "\"\\u0061\"", 1),
            4 => format!("{plain}{plain}"),
            5 => "7".to_owned(),
            _ => plain,
        }
    });
    prop::collection::vec(text, 1..5)
}

/// Bodies made of few texts again and again, in several styles.
fn lane() -> impl Strategy<Value = (Kind, Vec<Vec<u8>>)> {
    prop::sample::select(Kind::ALL[..8].to_vec())
        .prop_flat_map(|kind| (Just(kind), texts(kind)))
        .prop_flat_map(|(kind, texts)| {
            let body = (
                prop::collection::vec(prop::sample::select(texts), 0..5),
                prop::sample::select(vec![",", ",", " ,\n", ",,", " "]),
                prop::sample::select(vec![
                    "{\"artifacts\":[",
                    "{\"artifacts\":[",
                    " { \"artifacts\" : [ ",
                    "{\"artifacts\":[],\"artifacts\":[",
                    "{\"artifacts\":[{\"digests\":{},\"creationTimestamp\":1}],\"artifacts\":[",
                ]),
                prop::sample::select(vec!["]}", "]}", " ]}", "]} ", "]", "],\"x\":1}"]),
            )
                .prop_map(|(elements, comma, head, tail)| {
                    format!("{head}{}{tail}", elements.join(comma)).into_bytes()
                });
            (Just(kind), prop::collection::vec(body, 1..8))
        })
}

proptest! {
    #[test]
    fn element_by_element_is_the_same((kind, elements) in reported(), typed: bool) {
        let mut body = json!({"artifacts": elements});
        if typed {
            body["type"] = json!(kind.as_wire());
        }
        let body = serde_json::to_vec_pretty(&body).unwrap();
        let whole = read_report(kind, &body, &ReportLimits::default());
        prop_assert_eq!(by_elements(kind, &body), whole);
    }

    #[test]
    fn prepared_and_unprepared_reports_agree((kind, bodies) in lane(), include_scaling: bool, narrow: bool) {
        let mut limits = ReportLimits::default();
        if narrow {
            limits.elements_max = 3;
            limits.artifacts_max = 2;
        }
        check_lane(kind, &bodies, &limits, include_scaling);
    }

    #[test]
    fn order_means_nothing((kind, elements, shuffled) in reported().prop_flat_map(|(kind, elements)| {
        (Just(kind), Just(elements.clone()), Just(elements).prop_shuffle())
    })) {
        let ordered = read(kind, &json!({"artifacts": elements}));
        let shuffled = read(kind, &json!({"artifacts": shuffled}));
        match (ordered, shuffled) {
            (Ok(ordered), Ok(shuffled)) => prop_assert_eq!(ordered, shuffled),
            (ordered, shuffled) => prop_assert_eq!(ordered.is_err(), shuffled.is_err()),
        }
    }

    #[test]
    fn grouping_keeps_every_instance_and_is_canonical((kind, elements) in reported()) {
        let Ok(report) = read(kind, &json!({"artifacts": elements})) else { return Ok(()) };
        let expected: usize = elements.iter().map(|e| e["digests"].as_object().unwrap().len()).sum();
        let mut found = 0;
        for artifact in &report.artifacts {
            let view = artifact.detail.parse().unwrap();
            prop_assert_eq!(artifact.detail.instances(), view.timestamps.len() as u64);
            prop_assert!(view.timestamps.is_sorted());
            found += view.timestamps.len();
            // Canonical: the library, told to sort members, writes the same bytes.
            let value: Value = serde_json::from_slice(artifact.detail.as_bytes()).unwrap();
            let expected = canonical(&value);
            prop_assert_eq!(expected.as_bytes(), artifact.detail.as_bytes());
        }
        prop_assert_eq!(found, expected);
        let identities: Vec<_> = report.artifacts.iter().map(|a| (a.fingerprint, &a.name)).collect();
        prop_assert!(identities.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for kind in Kind::ALL {
            let whole = read_report(kind, &body, &ReportLimits::default());
            prop_assert_eq!(whole.is_err(), by_elements(kind, &body).is_err());
        }
    }

    #[test]
    fn damaged_bodies_never_panic_and_agree(
        (kind, elements) in reported(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = json!({"artifacts": elements}).to_string().into_bytes();
        for (place, byte) in hits {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let whole = read_report(kind, &body, &ReportLimits::default());
        let split = by_elements(kind, &body);
        prop_assert_eq!(whole.clone().ok(), split.ok());
        if let Err(errors) = whole {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(errors.0.values().all(|text| text.contains(" [input: ")));
        }
    }

    #[test]
    fn leaving_out_members_names_exactly_them(gone in subsequence(vec!["podName", "namespace", "digests", "creationTimestamp"], 1..=4)) {
        let mut element = json!({"podName": "p", "namespace": "n", "digests": {}, "creationTimestamp": 1});
        for name in &gone {
            element.as_object_mut().unwrap().remove(*name);
        }
        let mut expected: Vec<_> = gone
            .iter()
            .map(|name| format!("artifacts[0].{name}: Field required [input: None]"))
            .collect();
        expected.sort();
        prop_assert_eq!(lines(read(Kind::K8s, &json!({"artifacts": [element]}))), expected);
    }
}

/// RFC 8785 for values without fractions, written independently of the model.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort_by_key(|name| name.encode_utf16().collect::<Vec<_>>());
            let members: Vec<_> = names
                .into_iter()
                .map(|name| {
                    format!(
                        "{}:{}",
                        Value::from(name.as_str()),
                        canonical(&members[name])
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}
