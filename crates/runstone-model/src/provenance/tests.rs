//! Bodies of flows, trails and artifacts: what is read, and what is refused with which words.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use serde_json::{Value, json};

use super::*;
use crate::fact::ApprovalState;
use crate::read::FieldErrors;

const FP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHA: &str = "cccccccccccccccccccccccccccccccccccccccc";

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, FieldErrors>, expected: &[(&str, &str)]) {
    let errors = result.unwrap_err();
    let found: Vec<_> = errors
        .0
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    assert_eq!(found, expected);
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[test]
fn flows() {
    let flow = create_flow(&text(
        &json!({"name": "a.b-c_d~e", "description": "", "visibility": "public"}),
    ));
    let flow = flow.unwrap();
    assert_eq!(
        (flow.name.as_str(), flow.description.as_str()),
        ("a.b-c_d~e", "")
    );
    assert_eq!(
        (flow.visibility.as_deref(), flow.template),
        (Some("public"), None)
    );
    let flow = create_flow(&text(
        &json!({"name": "a", "description": "d", "visibility": null}),
    ));
    assert_eq!(flow.unwrap().visibility, None);
    refused(
        create_flow(&text(
            &json!({"name": "foo bar", "visibility": "secret", "template": []}),
        )),
        &[
            ("description", "Field required [input: None]"),
            (
                "name",
                r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\.\-_~]*$' [input: foo bar]",
            ),
            ("template", "Extra inputs are not permitted [input: []]"),
            (
                "visibility",
                "Input should be 'public' or 'private' [input: secret]",
            ),
        ],
    );
    let legacy = json!({"name": "a", "description": "", "template": ["artifact", "test"]});
    let names = create_legacy_flow(&text(&legacy))
        .unwrap()
        .template
        .unwrap();
    assert_eq!(names, ["artifact", "test"]);
    let none = json!({"name": "a", "description": ""});
    assert_eq!(create_legacy_flow(&text(&none)).unwrap().template, None);
    let long = "x".repeat(256);
    refused(
        create_legacy_flow(&text(
            &json!({"name": long, "description": "", "template": [1]}),
        )),
        &[
            (
                "name",
                &format!("String should have at most 255 characters [input: {long}]"),
            ),
            ("template[0]", "Input should be a valid string [input: 1]"),
        ],
    );
}

#[test]
fn renames() {
    assert_eq!(
        rename_flow(br#"{"new_name": "new"}"#).unwrap().as_str(),
        "new"
    );
    refused(
        rename_flow(br#"{"new_name": "new illegal name"}"#),
        &[(
            "new_name",
            r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\.\-_~]*$' [input: new illegal name]",
        )],
    );
    refused(
        rename_flow(b"null"),
        &[(
            "body",
            "Input should be a valid dictionary or object to extract fields from [input: None]",
        )],
    );
}

#[test]
fn trails() {
    let trail = create_trail(&text(&json!({
        "name": "t", "description": "d", "origin_url": "o",
        "git_commit_info": {"sha1": SHA, "message": "m", "parents": [SHA], "timestamp": 5},
        "repo_info": {"name": "r", "url": "u", "namespace_path": ["a", "b"], "additional_info": {"x": 1}},
        "external_urls": {"l": {"href": "https://x"}}, "user_data": {},
    })))
    .unwrap();
    assert_eq!(trail.name.as_str(), "t");
    assert_eq!(trail.description.as_deref(), Some("d"));
    assert_eq!(trail.origin_url.as_deref(), Some("o"));
    let commit = trail.git_commit_info.unwrap();
    assert_eq!(
        Value::from(commit.for_trail()),
        json!({"sha1": SHA, "message": "m", "author": "", "branch": "", "timestamp": 5, "url": ""})
    );
    assert_eq!(commit.told["parents"], json!([SHA]));
    assert_eq!(
        trail.repo_info.unwrap().told["additional_info"],
        json!({"x": 1})
    );
    assert_eq!(trail.external_urls.unwrap()["l"]["href"], "https://x");
    assert_eq!(trail.user_data, Some(json!({})));

    let bare = create_trail(br#"{"name": "t"}"#).unwrap();
    assert_eq!(
        (bare.description, bare.user_data, bare.origin_url),
        (None, None, None)
    );
    assert_eq!(
        (bare.git_commit_info, bare.repo_info, bare.external_urls),
        (None, None, None)
    );
    refused(
        create_trail(&text(
            &json!({"name": "foo?$bar", "template": "x", "external_urls": []}),
        )),
        &[
            (
                "external_urls",
                "Input should be a valid dictionary [input: []]",
            ),
            (
                "name",
                r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\-_.~]*$' [input: foo?$bar]",
            ),
            ("template", "Extra inputs are not permitted [input: x]"),
        ],
    );
}

#[test]
fn artifacts() {
    let artifact = create_artifact(&text(&json!({
        "fingerprint": FP, "filename": "f", "build_url": "b", "commit_url": "https://c/1",
        "trail_name": "t", "template_reference_name": "-web", "git_commit": SHA,
        "git_commit_info": {"sha1": SHA}, "repo_info": {"name": "r", "url": "u"},
        "repo_url": "https://r", "is_compliant": false, "description": "d",
        "external_urls": {}, "annotations": {"any": {"thing": 1}}, "user_data": [1],
        "commits_list": [{"sha1": SHA}], "template": ["artifact"], "unknown": {"kept": "not"},
    })))
    .unwrap();
    assert_eq!(artifact.fingerprint.to_hex(), FP);
    assert_eq!(
        (artifact.filename.as_str(), artifact.build_url.as_str()),
        ("f", "b")
    );
    assert_eq!(
        (artifact.commit_url.as_str(), artifact.repo_url.as_str()),
        ("https://c/1", "https://r")
    );
    assert_eq!(artifact.trail_name.as_ref().unwrap().as_str(), "t");
    assert_eq!(
        artifact.template_reference_name.as_ref().unwrap().as_str(),
        "-web"
    );
    assert_eq!(
        (artifact.commit(), artifact.is_compliant),
        (Some([0xcc; 20]), Some(false))
    );
    assert_eq!(artifact.description.as_deref(), Some("d"));
    assert_eq!(artifact.annotations.unwrap()["any"], json!({"thing": 1}));
    assert_eq!(artifact.commits_list.unwrap().len(), 1);
    assert_eq!(
        (artifact.template, artifact.user_data),
        (Some(json!(["artifact"])), Some(json!([1])))
    );
    assert!(artifact.external_urls.is_some() && artifact.repo_info.is_some());

    let bare = json!({"fingerprint": FP, "filename": "f", "build_url": "b", "commit_url": "https://c",
                      "trail_name": null, "git_commit": null, "git_commit_info": {"sha1": SHA}});
    let bare = create_artifact(&text(&bare)).unwrap();
    assert_eq!(
        (bare.trail_name.as_ref(), bare.repo_url.as_str()),
        (None, "")
    );
    assert_eq!((bare.git_commit, bare.commit()), (None, Some([0xcc; 20])));
    refused(
        create_artifact(&text(&json!({
            "fingerprint": "7509e5bda0", "filename": 1, "commit_url": "c",
            "external_urls": {"x": {"href": "https://x", "fingerprint": "7509e5bda0", "y": 1}},
            "trail_name": "", "template_reference_name": "a b", "commits_list": [{}],
        }))),
        &[
            ("build_url", "Field required [input: None]"),
            ("commit_url", "Input should be a valid URL [input: c]"),
            ("commits_list[0].sha1", "Field required [input: None]"),
            (
                "external_urls.x.fingerprint",
                "String should match pattern '^[a-f0-9]{64}$' [input: 7509e5bda0]",
            ),
            (
                "external_urls.x.y",
                "Extra inputs are not permitted [input: 1]",
            ),
            ("filename", "Input should be a valid string [input: 1]"),
            (
                "fingerprint",
                "String should match pattern '^[a-f0-9]{64}$' [input: 7509e5bda0]",
            ),
            (
                "template_reference_name",
                r"String should match pattern '^[a-zA-Z0-9\-_]+$' [input: a b]",
            ),
            (
                "trail_name",
                r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\-_.~]*$' [input: ]",
            ),
        ],
    );
}

#[test]
fn urls() {
    let url = |url: &str| {
        create_artifact(&text(
            &json!({"fingerprint": FP, "filename": "f", "build_url": "",
                                      "commit_url": url}),
        ))
        .is_ok()
    };
    for good in [
        "http://a",
        "https://a.b:1/c?d#e",
        "git+ssh://git@host/x",
        "HTTPS://A",
    ] {
        assert!(url(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "://a",
        "http://",
        "http:///x",
        "ht tp://a",
        "1http://a",
        "http://a b",
        "http://a\nb",
        "h_p://a",
        "http:a",
    ] {
        assert!(!url(bad), "{bad}");
    }
}

#[test]
fn approvals() {
    let approval = create_approval(&text(&json!({
        "artifact_fingerprint": FP, "description": "d", "src_commit_list": [SHA],
        "environment": "prod", "oldest_commit": "HEAD~1", "user_data": {"a": 1},
        "approvals": [{"state": "APPROVED", "comment": "", "approved_by": "ada", "approval_url": "undefined"}],
    })))
    .unwrap();
    assert_eq!(approval.fingerprint.to_hex(), FP);
    assert_eq!(approval.environment.as_deref(), Some("prod"));
    assert_eq!(approval.state, ApprovalState::Approved);
    assert_eq!(
        approval.told.keys().collect::<Vec<_>>(),
        [
            "description",
            "src_commit_list",
            "oldest_commit",
            "approvals",
            "user_data"
        ]
    );
    // Nobody said anything yet: it is a request, and for every environment.
    for none in [json!([]), Value::Null] {
        let request = create_approval(&text(&json!({
            "artifact_fingerprint": FP, "description": "", "src_commit_list": [],
            "environment": "", "approvals": none,
        })))
        .unwrap();
        assert_eq!(request.state, ApprovalState::Pending);
        assert_eq!(request.environment, None);
    }
    refused(
        create_approval(&text(&json!({
            "artifact_fingerprint": "7509e5bda0", "src_commit_list": ["HEAD"],
            "approvals": [{"state": "MAYBE"}], "release": 1,
        }))),
        &[
            (
                "approvals[0].state",
                "Input should be 'APPROVED' or 'UNAPPROVED' [input: MAYBE]",
            ),
            (
                "artifact_fingerprint",
                "String should match pattern '^[a-f0-9]{64}$' [input: 7509e5bda0]",
            ),
            ("description", "Field required [input: None]"),
            ("release", "Extra inputs are not permitted [input: 1]"),
            (
                "src_commit_list[0]",
                "String should match pattern '^[a-f0-9]{40}$' [input: HEAD]",
            ),
        ],
    );
    let commits = vec![SHA; APPROVED_COMMITS_MAX + 1];
    refused(
        create_approval(&text(&json!({
            "artifact_fingerprint": FP, "description": "", "src_commit_list": commits,
        }))),
        &[(
            "src_commit_list",
            "List should have at most 10000 items [input: 10001]",
        )],
    );
}

#[test]
fn deployments() {
    let deployment = create_deployment(&text(
        &json!({"artifact_fingerprint": FP, "environment": "prod", "build_url": "http://b"}),
    ))
    .unwrap();
    assert_eq!(deployment.environment, "prod");
    assert_eq!(deployment.told["build_url"], "http://b");
    let errors = create_deployment(b"{}").unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors:?}");
}
