//! What an organization defines itself, types of attestation and controls: the same lines with our
//! client and with the published one, against one server.

use super::flows::clients;
use crate::running::{KEY, Place};

const SCHEMA: &str =
    r#"{"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}"#;

#[test]
fn a_type_judges_by_its_newest_version() {
    let place = Place::new();
    let running = place.serve();
    for (name, text) in [
        ("schema.json", SCHEMA),
        ("broken.json", "{\"$ref\": \"http://127.0.0.1:1/x\"}"),
        ("grown.json", "{\"age\": 30}"),
        ("young.json", "{\"age\": 18}"),
        ("wrong.json", "{\"age\": \"old\"}"),
    ] {
        place.write(name, text);
    }
    let file = |name: &str| place.text(name);
    for (who, client) in clients(&place, &running) {
        let kind = format!("person-{who}");
        let said = client.ok(&format!(
            "create attestation-type {kind} --description about-people --schema {} --jq .age>21 --summary Age=.age",
            file("schema.json")
        ));
        assert!(
            said.contains(&format!("attestation-type {kind} was created")),
            "{said}"
        );
        let shown = client.ok(&format!("get attestation-type {kind}"));
        for told in ["about-people", ".age>21", "ada", "false", "jq", "minimum"] {
            // The schema is told whole, and nothing that is not in it.
            assert_eq!(shown.contains(told), told != "minimum", "{told}: {shown}");
        }
        let list = client.ok("list attestation-types");
        assert!(list.contains(&kind), "{list}");

        let attest = |name: &str, data: &str| {
            format!(
                "attest custom --name {name} --type {kind} --attestation-data {} --flow {who} --trail t1",
                file(data)
            )
        };
        let get = |name: &str| {
            let text = client.ok(&format!(
                "get attestation {name} --flow {who} --trail t1 --output json"
            ));
            let found: serde_json::Value = serde_json::from_str(&text).unwrap();
            found[0].clone()
        };
        for (name, data, expected) in [
            ("grown", "grown.json", true),
            ("young", "young.json", false),
            ("wrong", "wrong.json", false),
        ] {
            client.ok(&attest(name, data));
            let found = get(name);
            assert_eq!(found["is_compliant"], expected, "{found}");
            assert_eq!(found["attestation_type"], format!("custom:{kind}"));
            assert_eq!(found["type_version"], 1);
        }
        client.ok(&format!(
            "create attestation-type {kind} --schema {} --jq .age>17",
            file("schema.json")
        ));
        client.ok(&attest("young-again", "young.json"));
        let found = get("young-again");
        assert_eq!(found["is_compliant"], true, "{found}");
        assert_eq!(found["type_version"], 2);
        assert_eq!(get("young")["is_compliant"], false, "what was judged stays");
        let text = client.ok(&format!("get attestation young --flow {who} --trail t1"));
        assert!(text.contains(&format!("custom:{kind}")), "{text}");

        let first = client.ok(&format!("get attestation-type {kind}@v1"));
        assert!(
            first.contains(".age>21") && !first.contains(".age>17"),
            "{first}"
        );
        let missing = client.fails(&format!("get attestation-type {kind}@v3"));
        assert!(
            missing.contains(&format!(
                "version 3 does not exist for custom attestation type '{kind}'"
            )),
            "{missing}"
        );
        for (line, told) in [
            ("--jq .[", "evaluator.rules[0]"),
            ("--jq true --jq nosuch(1)", "evaluator.rules[1]"),
            ("--schema BROKEN", "type_schema"),
            ("--summary Age=.[", "summary[0].expression"),
        ] {
            let line = line.replace("BROKEN", &file("broken.json"));
            let refused = client.fails(&format!("create attestation-type {kind} {line}"));
            assert!(refused.contains(told), "{line}: {refused}");
        }
        client.ok(&format!("create attestation-type bare-{who}"));
        let bare = client.ok(&format!("get attestation-type bare-{who}"));
        assert!(bare.contains("default"), "{bare}");

        client.ok(&format!("archive attestation-type {kind}"));
        let list = client.ok("list attestation-types");
        assert!(!list.contains(&kind), "{list}");
        let refused = client.fails(&attest("late", "grown.json"));
        let unknown = format!("Custom attestation type '{kind}' does not exist for org 'acme'");
        assert!(refused.contains(&unknown), "{refused}");
        for line in [
            "get attestation-type nobody",
            "archive attestation-type nobody",
        ] {
            let missing = client.fails(line);
            assert!(
                missing.contains("Custom attestation type 'nobody' does not exist for org 'acme'"),
                "{missing}"
            );
        }
        assert_eq!(get("grown")["is_compliant"], true);
    }
    finish(&place, running);
}

#[test]
fn a_control_is_kept_and_decided_about() {
    let place = Place::new();
    let running = place.serve();
    place.write("report.json", "{}");
    for (who, client) in clients(&place, &running) {
        let id = format!("SDLC-{who}");
        let said = client.ok(&format!(
            "create control {id} --name Review --description four-eyes"
        ));
        assert!(
            said.contains(&format!("control {id} was created")),
            "{said}"
        );
        let exists = client.fails(&format!("create control {id} --name Review"));
        assert!(
            exists.contains(&format!(
                "A control with identifier '{id}' already exists in organization 'acme'"
            )),
            "{exists}"
        );
        let shown = client.ok(&format!("get control {id}"));
        for told in [id.as_str(), "Review", "four-eyes", "ada"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let decide = |control: &str, compliant: bool| {
            format!(
                "attest decision --name gate --control {control} --compliant={compliant} --flow {who} --trail t1 --attachments {}",
                place.text("report.json")
            )
        };
        client.ok(&decide(&id, false));
        client.ok(&decide(&format!("unknown-{who}"), true));
        let said = client.ok(&format!(
            "update control {id} --name Four-eyes --link docs=https://example.com/d"
        ));
        assert!(
            said.contains(&format!("control {id} was updated")),
            "{said}"
        );
        client.ok(&decide(&id, true));
        let said = client.ok(&format!("tag control {id} --set level=high"));
        assert!(said.contains("level"), "{said}");
        let shown = client.ok(&format!("get control {id}"));
        for told in ["Four-eyes", "four-eyes", "https://example.com/d", "high"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let list = client.ok(&format!(
            "list controls --search {} --tag level:high",
            &id[3..]
        ));
        assert!(list.contains(&id) && list.contains("total 1"), "{list}");
        let missing = client.fails("tag control nobody --set level=high");
        assert!(
            missing.contains("\"Control 'nobody' does not exist in organization"),
            "{missing}"
        );

        let decisions = running.get(&format!("/api/v2/controls/acme/{id}/decisions"));
        assert_eq!(decisions["total_count"], 2);
        let told: Vec<_> = decisions["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["is_compliant"].clone(), one["control_version"].clone()))
            .collect();
        assert_eq!(
            told,
            [(true.into(), 2.into()), (false.into(), 1.into())],
            "newest first, each with the version of then"
        );
        let file = &decisions["decisions"][0]["evidence_files"][0];
        assert_eq!(file["filename"], "report.json");

        for (line, archived) in [("archive", true), ("unarchive", false), ("archive", true)] {
            let said = client.ok(&format!("{line} control {id}"));
            assert!(
                said.contains(&format!("control {id} was {line}d")),
                "{said}"
            );
            let list = client.ok("list controls --archived");
            assert_eq!(list.contains(&id), archived, "{list}");
        }
        let none = client.ok(&format!("list controls --search {id}"));
        assert!(none.contains("No controls were found."), "{none}");
        let missing = client.fails("get control nobody");
        assert!(
            missing.contains("Control 'nobody' does not exist in organization 'acme'"),
            "{missing}"
        );
    }
    finish(&place, running);
}

/// The log can be verified, and the tables follow from it.
fn finish(place: &Place, running: crate::running::Running) {
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY]);
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "rebuild", "--data-dir", &place.text("data")]);
}
