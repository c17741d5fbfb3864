//! Custom types of attestation, and what they make of data (`api-flows.md` section 11).

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::flows::send_form;
use crate::support::{ADMIN, get, read, refusal, servers};

const PERSON: &str = r#"{"type": "object", "required": ["age"], "properties": {"age": {"type": "integer", "minimum": 0.5}}}"#;

/// `data_json` of a type with these rules.
fn with_rules(name: &str, rules: &[&str]) -> Value {
    json!({"name": name, "evaluator": {"content_type": "jq", "rules": rules}})
}

async fn post_type(server: &TestServer, data: Value, schema: Option<&str>) -> Reply {
    let file = schema.map(|text| ("type_schema", "schema.json", text.as_bytes()));
    send_form(server, "POST", "/custom-attestation-types/acme", data, file).await
}

async fn make_type(server: &TestServer, data: Value, schema: Option<&str>) {
    let reply = post_type(server, data, schema).await;
    assert_eq!(
        (reply.status, reply.text()),
        (StatusCode::CREATED, "\"OK\"".to_owned())
    );
}

async fn archive(server: &TestServer, name: &str) -> Reply {
    let path = format!("/api/v2/custom-attestation-types/acme/{name}/archive");
    server.put(&path, ADMIN, "null").await
}

async fn attest(server: &TestServer, name: &str, kind: &str, data: Value) -> Reply {
    let data = json!({"attestation_name": name, "type_name": kind, "attestation_data": data});
    let path = "/attestations/acme/runner/trail/t1/custom";
    send_form(server, "POST", path, data, None).await
}

/// What an attestation that was accepted says.
async fn judged(server: &TestServer, name: &str, kind: &str, data: Value) -> Value {
    let reply = attest(server, name, kind, data).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    read(
        server,
        &format!("/attestations/acme/runner/trail/t1/{name}"),
    )
    .await[0]
        .clone()
}

#[tokio::test]
async fn a_type_gets_versions_is_archived_and_comes_back() {
    for server in servers().await {
        assert_eq!(
            read(&server, "/custom-attestation-types/acme").await,
            json!([])
        );
        make_type(&server, json!({"name": "bare"}), None).await;
        let mut person = with_rules("person", &[".age > 21"]);
        person["description"] = json!("who it is");
        person["summary"] = json!([{"name": "Age", "expression": ".age"}]);
        make_type(&server, person.clone(), Some(PERSON)).await;
        person.as_object_mut().unwrap().remove("description");
        person["comment"] = json!("the same again");
        make_type(&server, person, Some(PERSON)).await;

        let shown = read(&server, "/custom-attestation-types/acme/person").await;
        assert_eq!(shown["description"], "who it is", "what is not told stays");
        assert_eq!(shown["org"], "acme");
        assert_eq!(shown["archived"], false);
        assert_eq!(shown["created_by"], "ada");
        assert!(shown["created_at"].is_f64() && shown["last_modified_at"].is_f64());
        let numbers: Vec<&Value> = shown["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| &version["version"])
            .collect();
        assert_eq!(numbers, [2, 1], "equal versions are versions, too");
        let newest = &shown["versions"][0];
        assert_eq!(newest["comment"], "the same again");
        assert_eq!(newest["created_by"], "ada");
        assert_eq!(
            newest["type_schema"].to_string(),
            serde_json::from_str::<Value>(PERSON).unwrap().to_string(),
            "members stay in their order"
        );
        assert_eq!(
            newest["evaluator"],
            json!({"content_type": "jq", "rules": [".age > 21"]})
        );
        assert_eq!(
            newest["summary"],
            json!([{"name": "Age", "expression": ".age"}])
        );

        let one = read(&server, "/custom-attestation-types/acme/person?version=1").await;
        let members: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["name", "description", "org", "archived", "versions"]
        );
        assert_eq!(one["versions"].as_array().unwrap().len(), 1);
        assert_eq!(one["versions"][0].get("comment"), None);
        for (path, status, message) in [
            (
                "/custom-attestation-types/acme/person?version=3",
                404,
                "version 3 does not exist for custom attestation type 'person'",
            ),
            (
                "/custom-attestation-types/acme/person?version=9999999999",
                404,
                "version 9999999999 does not exist for custom attestation type 'person'",
            ),
            (
                "/custom-attestation-types/acme/person?version=v1",
                400,
                "Input payload validation failed",
            ),
            (
                "/custom-attestation-types/acme/other",
                404,
                "Custom attestation type 'other' does not exist for org 'acme'",
            ),
        ] {
            let found = refusal(&server, path).await;
            assert_eq!(found, (status, message.to_owned()), "{path}");
        }
        let bare = read(&server, "/custom-attestation-types/acme/bare").await;
        assert_eq!(bare.get("description"), None);
        assert_eq!(bare["versions"][0]["type_schema"], Value::Null);
        assert_eq!(
            bare["versions"][0]["evaluator"],
            json!({"content_type": "default"})
        );

        let names = async || -> Vec<String> {
            let list = read(&server, "/custom-attestation-types/acme").await;
            let list = list.as_array().unwrap().iter();
            list.map(|one| one["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names().await, ["bare", "person"]);
        for _ in 0..2 {
            let reply = archive(&server, "person").await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        }
        assert_eq!(names().await, ["bare"]);
        let shown = read(&server, "/custom-attestation-types/acme/person").await;
        assert_eq!(shown["archived"], true);
        let reply = archive(&server, "other").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        let reply = attest(&server, "who", "person", json!({"age": 30})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);

        make_type(&server, json!({"name": "person", "description": ""}), None).await;
        let shown = read(&server, "/custom-attestation-types/acme/person").await;
        assert_eq!(shown["archived"], false);
        assert_eq!(shown["versions"][0]["version"], 3);
        assert_eq!(shown.get("description"), None, "an empty text clears it");
    }
}

#[tokio::test]
async fn the_newest_version_judges() {
    for server in servers().await {
        let mut person = with_rules("person", &[".age > 21"]);
        person["summary"] = json!([
            {"name": "Age", "expression": ".age"},
            {"name": "Broken", "expression": ".age.years"}
        ]);
        make_type(&server, person, Some(PERSON)).await;
        let young = judged(&server, "who", "person", json!({"age": 18})).await;
        assert_eq!(young["is_compliant"], false);
        assert_eq!(young["attestation_type"], "custom:person");
        assert_eq!(young["type_name"], "person");
        assert_eq!(young["type_version"], 1);
        assert_eq!(young["attestation_data"], json!({"age": 18}));
        assert_eq!(
            young["summary"],
            json!([{"name": "Age", "value": 18}, {"name": "Broken", "value": null}])
        );
        assert_eq!(
            young["problems"],
            json!(["rule '.age > 21' does not yield true"])
        );
        // The published client sends the value, its description a text with it.
        let grown = judged(&server, "who", "person", json!("{\"age\": 30}")).await;
        assert_eq!(grown["is_compliant"], true);
        assert_eq!(grown["attestation_data"], json!({"age": 30}));
        assert_eq!(grown.get("problems"), None);
        let broken = judged(&server, "who", "person", json!({"age": "old"})).await;
        assert_eq!(
            broken["is_compliant"], false,
            "what breaks the schema is recorded"
        );

        make_type(&server, with_rules("person", &[".age > 17"]), Some(PERSON)).await;
        let young = judged(&server, "who", "person", json!({"age": 18})).await;
        assert_eq!(young["is_compliant"], true);
        assert_eq!(young["type_version"], 2);
        make_type(&server, json!({"name": "person"}), None).await;
        let anything = judged(&server, "who", "person", json!([1])).await;
        assert_eq!(anything["is_compliant"], true);
        assert_eq!(anything["type_version"], 3);

        let all = read(&server, "/attestations/acme/runner/trail/t1/who").await;
        let said: Vec<&Value> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["is_compliant"])
            .collect();
        assert_eq!(said, [true, true, false, true, false], "newest first");
        archive(&server, "person").await;
        let trail = read(&server, "/trails/acme/runner/t1").await;
        assert_eq!(trail["compliance_state"], "COMPLIANT");
        let page = read(&server, "/attestations/acme?type=custom:person").await;
        assert_eq!(page["pagination"]["total"], 5);

        let reply = attest(&server, "who", "other", json!({})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert_eq!(
            reply.message(),
            "Custom attestation type 'other' does not exist for org 'acme'"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_judged_is_refused_by_name() {
    let mut server = servers().await;
    let server = server.remove(0);
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    let large = format!("{{\"description\": \"{}\"}}", "x".repeat(2 << 20));
    let rules = |rules: &[&str]| with_rules("bad", rules);
    let cases: Vec<(Value, Option<&str>, &str, &str)> = vec![
        (json!({}), None, "name", "Field required"),
        (
            json!({"name": "bad name"}),
            None,
            "name",
            "String should match pattern",
        ),
        (
            json!({"name": "bad", "more": 1}),
            None,
            "more",
            "Extra inputs are not permitted",
        ),
        (
            json!({"name": "bad", "evaluator": {"content_type": "rego", "rules": ["true"]}}),
            None,
            "evaluator.content_type",
            "Input should be",
        ),
        (rules(&[]), None, "evaluator.rules", "List should have"),
        (rules(&["true", ".["]), None, "evaluator.rules[1]", ""),
        (rules(&["def f: f; f"]), None, "evaluator.rules[0]", ""),
        (rules(&["nosuch(1)"]), None, "evaluator.rules[0]", ""),
        (rules(&["input"]), None, "evaluator.rules[0]", ""),
        (
            json!({"name": "bad", "summary": [{"name": "x", "expression": "def f: f; f"}]}),
            None,
            "summary[0].expression",
            "",
        ),
        (json!({"name": "bad"}), Some("{"), "type_schema", ""),
        (
            json!({"name": "bad"}),
            Some(r#"{"type": "nothing"}"#),
            "type_schema",
            "",
        ),
        (
            json!({"name": "bad"}),
            Some(r#"{"$ref": "http://169.254.169.254/latest"}"#),
            "type_schema",
            "",
        ),
        (
            json!({"name": "bad"}),
            Some(r#"{"$ref": "file:///etc/passwd"}"#),
            "type_schema",
            "",
        ),
        (
            json!({"name": "bad"}),
            Some(r##"{"anyOf": [{"$ref": "#"}]}"##),
            "type_schema",
            "Invalid JSON Schema: it refers to itself without end",
        ),
        (json!({"name": "bad"}), Some("[1]"), "type_schema", ""),
        (json!({"name": "bad"}), Some(&deep), "type_schema", ""),
        (
            json!({"name": "bad"}),
            Some(&large),
            "type_schema",
            "Schema should have at most",
        ),
    ];
    for (data, schema, path, text) in &cases {
        let reply = post_type(&server, data.clone(), *schema).await;
        let shown = schema.map(|schema| &schema[..schema.len().min(80)]);
        assert_eq!(
            reply.status.as_u16(),
            400,
            "{data} {shown:?}: {}",
            reply.text()
        );
        let answer = reply.json();
        let found = answer["errors"][path].as_str();
        assert!(
            found.is_some_and(|found| found.starts_with(text)),
            "{data} {shown:?}: {answer}"
        );
    }
    let file = "x".repeat((10 << 20) + 1);
    let reply = post_type(&server, json!({"name": "bad"}), Some(&file)).await;
    assert_eq!(
        reply.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "{}",
        reply.text()
    );
    let (_, message) = refusal(&server, "/custom-attestation-types/acme/bad").await;
    assert!(message.contains("does not exist"), "nothing was made");

    // Twice the same part, and a part that does not belong.
    let part = |name: &str, text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    for parts in [
        [
            part("data_json", r#"{"name":"bad"}"#),
            part("data_json", r#"{"name":"bad"}"#),
        ],
        [part("type_schema", "{}"), part("type_schema", "{}")],
        [
            part("data_json", r#"{"name":"bad"}"#),
            part("template_file", "version: 1"),
        ],
        [part("type_schema", "{}"), String::new()],
    ] {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v2/custom-attestation-types/acme")
            .header("content-type", "multipart/form-data; boundary=b")
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(Body::from(format!("{}--b--\r\n", parts.concat())))
            .unwrap();
        let reply = server.call(request).await;
        assert_eq!(reply.status.as_u16(), 400, "{parts:?}: {}", reply.text());
    }
    let missing = get(&server, "/custom-attestation-types/acme/bad").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_would_run_for_ever_is_stopped_and_says_no() {
    for server in servers().await {
        for (index, rule) in [
            "[range(infinite)] | length > 0",
            "[repeat(.)] | length > 0",
            "last(range(1e12)) > 0",
            "until(false; .) == 1",
            "reduce range(60) as $i (\"ab\"; . + .) | length > 0",
            "[recurse(.)] | length > 0",
        ]
        .iter()
        .enumerate()
        {
            let kind = format!("slow-{index}");
            make_type(&server, with_rules(&kind, &[rule]), None).await;
            let began = Instant::now();
            let found = judged(&server, "slow", &kind, json!({"a": 1})).await;
            assert_eq!(found["is_compliant"], false, "{rule}");
            assert!(found["problems"][0].is_string(), "{rule}: {found}");
            assert!(began.elapsed() < Duration::from_secs(30), "{rule}");
        }
        // A schema that refers to itself is ordinary, as long as it goes on to parts of the value.
        let tree = r##"{"type": "object", "properties": {"child": {"$ref": "#"}}, "additionalProperties": false}"##;
        make_type(&server, json!({"name": "tree"}), Some(tree)).await;
        let found = judged(&server, "t", "tree", json!({"child": {"child": {}}})).await;
        assert_eq!(found["is_compliant"], true);
        let found = judged(&server, "t", "tree", json!({"child": {"kid": {}}})).await;
        assert_eq!(found["is_compliant"], false);
    }
}

#[tokio::test]
async fn who_judges_while_versions_come_names_the_one_that_did() {
    for server in servers().await {
        make_type(&server, with_rules("person", &[".age > 21"]), None).await;
        let rules = [".age > 21", ".age <= 21"];
        for version in 2..=6_usize {
            let (made, told) = tokio::join!(
                make_type(
                    &server,
                    with_rules("person", &[rules[(version + 1) % 2]]),
                    None
                ),
                judged(&server, "who", "person", json!({"age": 30})),
            );
            let () = made;
            let by = told["type_version"].as_u64().unwrap();
            assert_eq!(told["is_compliant"], by % 2 == 1, "{told}");
        }
    }
}
