//! Every kind: what it reads, what it refuses and with which words, what it says, what it shows.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use super::*;

fn read(path: &str, members: &Value) -> Result<Attestation, FieldErrors> {
    let mut body = json!({"attestation_name": "n"});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let kind = Kind::by_path(path).unwrap();
    kind.read(body.to_string().as_bytes())
}

fn says(path: &str, members: &Value) -> bool {
    match read(path, members)
        .unwrap_or_else(|e| panic!("{e}"))
        .verdict
    {
        Verdict::Decided(verdict) => verdict,
        Verdict::ByType(name) => panic!("judged by {name}"),
    }
}

#[track_caller]
fn refused(path: &str, members: &Value, expected: &[(&str, &str)]) {
    let errors = read(path, members).unwrap_err();
    let found: Vec<_> = errors
        .0
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    assert_eq!(found, expected);
}

const FP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHA: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn suite(failures: i64, errors: i64, skipped: i64) -> Value {
    json!({"name": "s", "failures": failures, "errors": errors, "skipped": skipped, "total": 9,
           "duration": 1.5})
}

fn scan(low: i64, medium: i64, high: i64) -> Value {
    json!({"tool": {"name": "t", "version": "1"},
           "results": [{"low_count": 0, "medium_count": 0, "high_count": 0},
                       {"low_count": low, "medium_count": medium, "high_count": high}]})
}

fn issue(exists: bool) -> Value {
    json!({"issue_id": "A-1", "issue_url": "https://x/A-1", "issue_exists": exists})
}

fn analysis(gate: &Value) -> Value {
    let mut results = json!({"analysedAt": "2026-01-01T00:00:00+0000", "revision": SHA,
        "project": {"key": "k", "url": "https://s"}, "properties": {"kept": true}});
    if !gate.is_null() {
        results["qualityGate"] = gate.clone();
    }
    json!({"sonar_results": results})
}

#[test]
fn what_each_kind_says() {
    let junit = |suites: Value| json!({"junit_results": suites});
    let snyk = |results: Value| json!({"snyk_results": results});
    let jira = |issues: Value| json!({"jira_results": issues});
    let pulls = |pulls: Value| json!({"git_provider": "github", "pull_requests": pulls});
    let over = |to: bool| {
        json!({"reason": "r", "new_compliance_status": to,
                                 "original_attestation_type": "junit"})
    };
    let decided = |yes: Value| {
        json!({"type_name": "decision",
                                      "attestation_data": {"is_compliant": yes}})
    };
    for (path, members, expected) in [
        ("generic", json!({"is_compliant": true}), true),
        ("generic", json!({"is_compliant": false}), false),
        ("generic", json!({"is_compliant": "yes"}), true),
        ("junit", junit(json!([suite(0, 0, 5)])), true),
        ("junit", junit(json!([])), true),
        (
            "junit",
            junit(json!([suite(0, 0, 0), suite(1, 0, 0)])),
            false,
        ),
        (
            "junit",
            junit(json!([suite(0, 1, 0), suite(0, 0, 0)])),
            false,
        ),
        ("snyk", snyk(scan(0, 0, 0)), true),
        ("snyk", snyk(scan(1, 0, 0)), false),
        ("snyk", snyk(scan(0, 1, 0)), false),
        ("snyk", snyk(scan(0, 0, 1)), false),
        (
            "snyk",
            snyk(json!({"tool": {"name": "t", "version": "1"}, "results": []})),
            true,
        ),
        ("jira", jira(json!([issue(true)])), true),
        ("jira", jira(json!([issue(true), issue(false)])), false),
        ("jira", jira(json!([])), false),
        ("pull_request", pulls(json!([])), false),
        (
            "pull_request",
            pulls(json!([{"url": "u", "state": "OPEN", "merge_commit": ""}])),
            true,
        ),
        ("sonar", analysis(&json!({"status": "OK"})), true),
        ("sonar", analysis(&json!({"status": "ERROR"})), false),
        ("sonar", analysis(&Value::Null), false),
        ("system", decided(json!(true)), true),
        ("system", decided(json!(false)), false),
        ("system", decided(json!("true")), true),
        ("override", over(true), true),
        ("override", over(false), false),
    ] {
        assert_eq!(says(path, &members), expected, "{path} {members}");
    }
}

#[test]
fn what_each_kind_shows() {
    let shown = |path: &str, members: Value| read(path, &members).unwrap().payload;
    assert_eq!(shown("generic", json!({"is_compliant": true})), Map::new());
    let results = scan(1, 2, 3);
    assert_eq!(
        Value::from(shown("snyk", json!({"snyk_results": results}))),
        json!({"processed_snyk_results": results})
    );
    let pulls = json!({"git_provider": "azure", "pull_requests": []});
    assert_eq!(Value::from(shown("pull_request", pulls.clone())), pulls);
    for (path, members) in [
        ("junit", json!({"junit_results": [suite(0, 1, 2)]})),
        ("jira", json!({"jira_results": [issue(true)]})),
        (
            "sonar",
            analysis(&json!({"status": "OK", "name": "n", "conditions": [{"metric": "m"}]})),
        ),
        (
            "custom",
            json!({"type_name": "cover", "attestation_data": {"a": [1, 2.5]}}),
        ),
        (
            "override",
            json!({"reason": "r", "new_compliance_status": true,
                            "original_attestation_type": "custom:x"}),
        ),
    ] {
        assert_eq!(Value::from(shown(path, members.clone())), members);
    }
    let decision = json!({"type_name": "decision", "control": "C-1", "unknown": 1,
                          "attestation_data": {"is_compliant": true, "why": "x"}});
    assert_eq!(
        Value::from(shown("system", decision)),
        json!({"attestation_data": {"is_compliant": true, "why": "x"}, "control": "C-1"})
    );
}

#[test]
fn names_of_kinds() {
    let kind = |path: &str, members: Value| {
        let attestation = read(path, &members).unwrap();
        let in_statuses = attestation.kind_in_statuses().to_owned();
        (attestation.kind, in_statuses)
    };
    let both = |name: &str| (name.to_owned(), name.to_owned());
    assert_eq!(
        kind("generic", json!({"is_compliant": true})),
        both("generic")
    );
    assert_eq!(
        kind(
            "custom",
            json!({"type_name": "cover.age", "attestation_data": null})
        ),
        both("custom:cover.age")
    );
    let decision = json!({"type_name": "decision", "attestation_data": {"is_compliant": true},
                          "control": "C"});
    assert_eq!(kind("system", decision.clone()), both("system:decision"));
    assert_eq!(
        read("system", &decision).unwrap().control.as_deref(),
        Some("C")
    );
    for original in ["generic", "sonar", "custom:", "system:decision"] {
        let over = json!({"reason": "r", "new_compliance_status": true,
                          "original_attestation_type": original});
        assert_eq!(
            kind("override", over),
            ("override".to_owned(), original.to_owned())
        );
    }
    assert!(Kind::by_path("decision").is_none());
    assert!(!Kind::by_path("override").unwrap().multipart);
    assert!(Kind::by_path("custom").unwrap().multipart);
}

#[test]
fn data_of_custom_types_may_be_json_in_a_text() {
    let data = |data: Value| {
        let report = json!({"type_name": "t", "attestation_data": data});
        let attestation = read("custom", &report).unwrap();
        assert_eq!(
            attestation.verdict,
            Verdict::ByType(TypeName::parse("t").unwrap())
        );
        attestation.payload["attestation_data"].clone()
    };
    assert_eq!(data(json!("{\"a\": [1]}")), json!({"a": [1]}));
    assert_eq!(data(json!("plain words")), json!("plain words"));
    assert_eq!(data(json!({"a": "7"})), json!({"a": "7"}));
    assert_eq!(data(json!("7")), json!(7));
    assert_eq!(data(json!(null)), json!(null));
}

#[test]
fn both_forms_of_pull_requests() {
    let pulls = json!([
        {"url": "u", "state": "MERGED", "merge_commit": SHA, "approvers": ["a"]},
        {"url": "u", "state": "OPEN", "author": "a", "merge_commit": null,
         "approvers": [{"username": "b", "state": "APPROVED", "timestamp": 5}],
         "commits": [{"sha1": SHA, "timestamp": 1.5, "verified": true, "signature_state": "valid"}]},
    ]);
    let report = json!({"git_provider": "gitlab", "pull_requests": pulls});
    let attestation = read("pull_request", &report).unwrap();
    assert_eq!(attestation.payload["pull_requests"], pulls);
    refused(
        "pull_request",
        &json!({"git_provider": "svn", "pull_requests": [
            {"url": "u", "state": "s", "merge_commit": "abc", "title": "t"},
            {"url": "u", "state": "s", "commits": [{"sha1": "x"}], "approvers": ["a"]},
        ]}),
        &[
            (
                "git_provider",
                "Input should be 'github', 'gitlab', 'bitbucket' or 'azure' [input: svn]",
            ),
            (
                "pull_requests[0].merge_commit",
                "String should match pattern '^([a-f0-9]{40})?$' [input: abc]",
            ),
            (
                "pull_requests[0].title",
                "Extra inputs are not permitted [input: t]",
            ),
            (
                "pull_requests[1].approvers[0]",
                "Input should be a valid dictionary or object to extract fields from [input: a]",
            ),
            ("pull_requests[1].author", "Field required [input: None]"),
            (
                "pull_requests[1].commits[0].sha1",
                "String should match pattern '^[a-f0-9]{40}$' [input: x]",
            ),
        ],
    );
}

#[test]
fn common_members_are_read() {
    let attestation = read(
        "generic",
        &json!({
            "is_compliant": true, "artifact_fingerprint": FP, "target_artifacts": ["web", "db"],
            "git_commit_info": {"sha1": SHA, "author": "A <a@b>", "timestamp": 7},
            "repo_info": {"name": "r", "url": "https://r", "id": "1", "provider": "github"},
            "origin_url": "https://ci/1", "description": "d",
            "external_urls": {"site": {"href": "https://s/x", "fingerprint": FP}},
            "annotations": {"a-b_C1": "v"}, "user_data": [1, {"x": null}],
        }),
    )
    .unwrap();
    assert_eq!(attestation.name.as_str(), "n");
    assert_eq!(attestation.artifact_fingerprint.unwrap().to_hex(), FP);
    assert_eq!(attestation.target_artifacts[1].as_str(), "db");
    assert_eq!(attestation.git_commit_info.unwrap().sha1, [0xcc; 20]);
    let repo = attestation.repo_info.unwrap();
    assert_eq!((repo.name.as_str(), repo.id.as_deref()), ("r", Some("1")));
    assert_eq!(
        (repo.url.as_str(), repo.provider.as_deref()),
        ("https://r", Some("github"))
    );
    assert_eq!(attestation.origin_url.as_deref(), Some("https://ci/1"));
    assert_eq!(attestation.description.as_deref(), Some("d"));
    assert_eq!(
        attestation.external_urls.unwrap()["site"]["href"],
        "https://s/x"
    );
    assert_eq!(attestation.annotations.unwrap()["a-b_C1"], "v");
    assert_eq!(attestation.user_data, Some(json!([1, {"x": null}])));
    let bare = read(
        "generic",
        &json!({"is_compliant": true, "user_data": null, "description": null}),
    );
    let bare = bare.unwrap();
    assert_eq!(
        (bare.user_data, bare.description),
        (Some(Value::Null), None)
    );
    assert_eq!(bare.target_artifacts, []);
}

#[test]
fn every_problem_is_named() {
    refused(
        "generic",
        &json!({
            "attestation_name": "no blanks", "is_compliant": 5, "other": 1,
            "artifact_fingerprint": "7509e5bda0", "target_artifacts": ["a b", 7],
            "git_commit_info": {"message": 1}, "repo_info": {"name": "r", "provider": "cvs"},
            "external_urls": {"a.b": {"href": "https://x"}, "c": {"href": "nowhere"},
                              "d": {"href": "https://x", "fingerprint": "7509e5bda0"}},
            "annotations": {"a b": "x", "c": 1}, "user_data": "text",
        }),
        &[
            (
                "annotations.a b",
                "String should match pattern '^[A-Za-z0-9_-]+$' [input: a b]",
            ),
            ("annotations.c", "Input should be a valid string [input: 1]"),
            (
                "artifact_fingerprint",
                "String should match pattern '^[a-f0-9]{64}$' [input: 7509e5bda0]",
            ),
            (
                "attestation_name",
                r"String should match pattern '^[a-zA-Z0-9\-_,]+$' [input: no blanks]",
            ),
            (
                "external_urls.a.b",
                "String should match pattern '^[^=.]+$' [input: a.b]",
            ),
            (
                "external_urls.c.href",
                "Input should be a valid URL [input: nowhere]",
            ),
            (
                "external_urls.d.fingerprint",
                "String should match pattern '^[a-f0-9]{64}$' [input: 7509e5bda0]",
            ),
            (
                "git_commit_info.message",
                "Input should be a valid string [input: 1]",
            ),
            ("git_commit_info.sha1", "Field required [input: None]"),
            (
                "is_compliant",
                "Input should be a valid boolean, unable to interpret input [input: 5]",
            ),
            ("other", "Extra inputs are not permitted [input: 1]"),
            (
                "repo_info.provider",
                "Input should be 'github', 'gitlab', 'bitbucket', 'bitbucket_cloud', 'bitbucket_dc', 'azure-devops', 'azure_devops_services', 'azure_devops_server', 'circleci', 'git' or 'subversion' [input: cvs]",
            ),
            ("repo_info.url", "Field required [input: None]"),
            (
                "target_artifacts[0]",
                r"String should match pattern '^[a-zA-Z0-9\-_,]+$' [input: a b]",
            ),
            (
                "target_artifacts[1]",
                "Input should be a valid string [input: 7]",
            ),
            (
                "user_data",
                "Input should be a valid dictionary or list [input: text]",
            ),
        ],
    );
    refused(
        "junit",
        &json!({}),
        &[("junit_results", "Field required [input: None]")],
    );
    refused(
        "junit",
        &json!({"junit_results": [{"name": "s", "failures": 1.5, "errors": "x", "skipped": 1.0,
                                   "total": 1, "duration": "1", "more": 1}]}),
        &[
            (
                "junit_results[0].duration",
                "Input should be a valid number [input: 1]",
            ),
            (
                "junit_results[0].errors",
                "Input should be a valid integer, unable to parse string as an integer [input: x]",
            ),
            (
                "junit_results[0].failures",
                "Input should be a valid integer, got a number with a fractional part [input: 1.5]",
            ),
            (
                "junit_results[0].more",
                "Extra inputs are not permitted [input: 1]",
            ),
        ],
    );
    refused(
        "snyk",
        &json!({"snyk_results": {"tool": {"name": "t"}, "results": [{"low_count": 1}]}}),
        &[
            (
                "snyk_results.results[0].high_count",
                "Field required [input: None]",
            ),
            (
                "snyk_results.results[0].medium_count",
                "Field required [input: None]",
            ),
            ("snyk_results.tool.version", "Field required [input: None]"),
        ],
    );
    refused(
        "jira",
        &json!({"jira_results": {"issue_id": "A"}}),
        &[(
            "jira_results",
            "Input should be a valid list [input: {\"issue_id\": \"A\"}]",
        )],
    );
    refused(
        "sonar",
        &json!({"sonar_results": {"project": {}, "qualityGate": {}, "extra": 1}}),
        &[
            ("sonar_results.analysedAt", "Field required [input: None]"),
            ("sonar_results.project.key", "Field required [input: None]"),
            ("sonar_results.project.url", "Field required [input: None]"),
            (
                "sonar_results.qualityGate.status",
                "Field required [input: None]",
            ),
            ("sonar_results.revision", "Field required [input: None]"),
        ],
    );
    refused(
        "custom",
        &json!({"type_name": "custom:x"}),
        &[
            ("attestation_data", "Field required [input: None]"),
            (
                "type_name",
                r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\-_~]*$' [input: custom:x]",
            ),
        ],
    );
    refused(
        "system",
        &json!({"type_name": "other", "attestation_data": {"is_compliant": "maybe"}}),
        &[
            (
                "attestation_data.is_compliant",
                "Input should be a valid boolean, unable to interpret input [input: maybe]",
            ),
            ("type_name", "Input should be 'decision' [input: other]"),
        ],
    );
    refused(
        "override",
        &json!({"new_compliance_status": true, "original_attestation_type": "custom", "is_compliant": true}),
        &[
            (
                "is_compliant",
                "Extra inputs are not permitted [input: True]",
            ),
            (
                "original_attestation_type",
                "String should match pattern '^(generic|junit|snyk|pull_request|jira|sonar|custom:.*|system:.*)$' [input: custom]",
            ),
            ("reason", "Field required [input: None]"),
        ],
    );
}

#[test]
fn a_target_needs_a_fingerprint_or_a_commit() {
    let with = |name: &str, value: Value| {
        let mut report = json!({"is_compliant": true, "target_artifacts": ["web"]});
        report[name] = value;
        read("generic", &report)
    };
    assert!(with("artifact_fingerprint", json!(FP)).is_ok());
    assert!(with("git_commit_info", json!({"sha1": SHA})).is_ok());
    let errors = with("description", json!("d")).unwrap_err();
    assert_eq!(
        errors.0["target_artifacts"],
        "An attestation for a target artifact requires at least one of: artifact_fingerprint or git_commit_info. [input: web]"
    );
    // A trail's attestation needs neither.
    assert!(
        read(
            "generic",
            &json!({"is_compliant": true, "target_artifacts": []})
        )
        .is_ok()
    );
}

#[test]
fn bodies_that_are_no_objects() {
    let kind = Kind::by_path("generic").unwrap();
    for (body, expected) in [
        (
            &b"[]"[..],
            "Input should be a valid dictionary or object to extract fields from [input: []]",
        ),
        (
            b"{",
            "Invalid JSON: the input ends too early at line 1 column 1 [input: {]",
        ),
        (b"\xff", r"Invalid JSON: byte 0 is not UTF-8 [input: \xff]"),
    ] {
        assert_eq!(kind.read(body).unwrap_err().0["body"], expected);
    }
    let twice = br#"{"attestation_name": "a", "attestation_name": "b", "is_compliant": true}"#;
    assert_eq!(
        kind.read(twice).unwrap_err().0["attestation_name"],
        "Member 'attestation_name' is given more than once [input: b]"
    );
    let deep = "[".repeat(200);
    assert!(kind.read(deep.as_bytes()).is_err());
    let large = vec![b' '; ATTESTATION_BYTES_MAX + 1];
    assert!(kind.read(&large).unwrap_err().0["body"].starts_with("Body should have at most"));
}

#[test]
fn built_in_types_are_listed_with_their_schemas() {
    let types = system_attestation_types();
    let names: Vec<_> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "generic",
            "junit",
            "snyk",
            "pull_request",
            "jira",
            "sonar",
            "system:decision",
            "override"
        ]
    );
    let generic = &types[0]["versions"][0];
    assert_eq!(generic["version"], 1);
    assert_eq!(
        generic["type_schema"]["required"],
        json!(["attestation_name", "is_compliant"])
    );
    assert_eq!(generic["type_schema"]["additionalProperties"], false);
    assert_eq!(
        types[6]["versions"][0]["type_schema"]["additionalProperties"],
        true
    );
    assert_eq!(
        generic["type_schema"]["properties"]["attestation_name"],
        json!({"type": "string", "pattern": r"^[a-zA-Z0-9\-_,]+$"})
    );
}

#[test]
fn evidence_of_older_clients_is_an_attestation() {
    use super::evidence::{About, OF_ARTIFACTS, OF_COMMITS};
    use crate::provenance::commit_from_hex;

    let of = |path: &str| Kind::by_path(path).unwrap();
    let body = json!({"artifact_fingerprint": FP, "name": "unit-test", "build_url": "http://b",
        "is_compliant": false, "description": "d", "user_data": {"a": 1},
        "evidence_url": "http://e", "evidence_fingerprint": FP});
    let told = of("generic").read_artifact_evidence(body.to_string().as_bytes());
    let (about, attestation) = told.unwrap();
    assert_eq!(about, About::Artifact(FP.parse().unwrap()));
    assert_eq!(
        attestation.artifact_fingerprint,
        Some(FP.parse().unwrap()),
        "it is bound to the artifact"
    );
    assert_eq!(attestation.name.as_str(), "unit-test");
    assert_eq!(attestation.origin_url.as_deref(), Some("http://b"));
    assert_eq!(attestation.verdict, Verdict::Decided(false));
    assert_eq!(
        attestation.external_urls.unwrap()["evidence"],
        json!({"href": "http://e", "fingerprint": FP})
    );

    let body = json!({"commit_sha": SHA, "name": "jira", "build_url": "", "flows": ["b", "a", "b"],
        "evidence_fingerprint": FP,
        "jira_results": [{"issue_id": "A-1", "issue_url": "u", "issue_exists": true}]});
    let told = of("jira").read_commit_evidence(body.to_string().as_bytes());
    let (about, attestation) = told.unwrap();
    let flows = vec!["b".to_owned(), "a".to_owned()];
    assert_eq!(about, About::Commit(commit_from_hex(SHA).unwrap(), flows));
    assert_eq!(attestation.artifact_fingerprint, None);
    assert_eq!(
        attestation.git_commit_info.map(|commit| commit.sha1),
        commit_from_hex(SHA)
    );
    assert_eq!(attestation.payload["jira_results"][0]["issue_id"], "A-1");
    assert_eq!(attestation.annotations.unwrap()["evidence_fingerprint"], FP);

    let errors = of("generic").read_artifact_evidence(b"{\"name\": \"a.b\", \"flows\": []}");
    let fields: Vec<String> = errors.unwrap_err().0.into_keys().collect();
    assert_eq!(
        fields,
        [
            "artifact_fingerprint",
            "build_url",
            "flows",
            "is_compliant",
            "name"
        ]
    );
    for path in OF_ARTIFACTS.iter().chain(&OF_COMMITS) {
        assert!(Kind::by_path(path).is_some(), "{path}");
    }
}
