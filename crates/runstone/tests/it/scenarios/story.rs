//! The public story of `cyber-dojo` (scenario G1): imported, and asked about with our client and
//! the published one.

use std::path::PathBuf;

use super::{Published, published};
use crate::running::{KEY, Place, Running, succeeded};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/cyber-dojo")
        .join(name)
}

fn replay(place: &Place, running: &Running) -> String {
    let mut command = place.program(example("run"));
    command
        .env("RUNSTONE_BIN", env!("CARGO_BIN_EXE_runstone"))
        .env("RUNSTONE_HOST", &running.host)
        .env("RUNSTONE_ORG", "acme")
        .env("RUNSTONE_API_TOKEN", KEY);
    let said = succeeded(&command.output().unwrap()).replace(&running.host, "HOST");
    // The ids of a log are random.
    let mut shown = String::new();
    let mut rest = said.as_str();
    while let Some(at) = rest.find("artifact_id=") {
        let (before, after) = rest.split_at(at + "artifact_id=".len());
        shown.push_str(before);
        shown.push_str("ID");
        rest = &after[after
            .find(|letter: char| !letter.is_ascii_hexdigit() && letter != '-')
            .unwrap_or(after.len())..];
    }
    shown + rest
}

#[test]
fn the_public_story_is_told_word_for_word() {
    let place = Place::new();
    let running = place.serve();
    let said = replay(&place, &running);
    insta::assert_snapshot!(said);
    // What was imported counts once.
    assert_eq!(replay(&place, &running), said);

    let Some(program) = published() else { return };
    let client = Published::new(&place, &running, program);
    let artifact = client.ok("get artifact runner:16d9990");
    for told in [
        "cyberdojo/runner:16d9990",
        "9af401c4350b21e3f1df17d6ad808da43d9646e75b6da902cc7c492bcfb9c625",
        "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4",
        "COMPLIANT",
        "Artifact created",
        "branch-coverage evidence received",
        "Deployment #18 to aws-beta environment",
        "Started running in aws-beta#84 environment",
        "Deployment #19 to aws-prod environment",
        "Started running in aws-prod#65 environment",
        "Scaled down from 3 to 2 in aws-beta#117 environment",
        "No longer running in aws-beta#119 environment",
        "Scaled down from 3 to 1 in aws-prod#94 environment",
        "No longer running in aws-prod#96 environment",
    ] {
        assert!(artifact.contains(told), "{told}: {artifact}");
    }
    let flows = client.ok("list flows");
    assert!(
        flows.contains("version-reporter") && !flows.contains("shas"),
        "{flows}"
    );
    let snapshot = client.ok("get snapshot aws-prod#65");
    for told in [
        "16d9990",
        "runner:85d83c6",
        "shas:7c45272",
        "differ:1a2b170",
        "shas",
    ] {
        assert!(snapshot.contains(told), "{told}: {snapshot}");
    }
    let differences = client.ok("diff snapshots aws-prod#64 aws-prod#65");
    assert!(
        differences.starts_with("Only present in aws-prod#65"),
        "{differences}"
    );
    assert!(
        differences.contains("16d9990") && !differences.contains("85d83c6"),
        "{differences}"
    );
    let approvals = client.ok("get artifact web:8d3b2a1");
    assert!(approvals.contains("aws-prod"), "{approvals}");
}

#[test]
fn a_history_that_is_not_understood_is_not_begun() {
    let place = Place::new();
    let running = place.serve();
    place.write(
        "bad.jsonl",
        "{\"at\": \"2022-08-22T11:35:00+02:00\", \"flow\": {\"name\": \"runner\", \"description\": \"\"}}\n\
         {\"at\": \"noon\", \"flow\": {}}\n\
         \n\
         {\"at\": \"2022-08-22T11:34:00+02:00\", \"flow\": {}}\n\
         {\"at\": \"2022-08-22T11:36:00+02:00\", \"weather\": {}}\n\
         {\"at\": \"2022-08-22T11:36:00+02:00\", \"artifact\": {\"fingerprint\": \"1\"}}\n\
         nothing\n",
    );
    let host = running.host.as_str();
    let common = ["--host", host, "--org", "acme", "--api-token", KEY];
    let said = place.fails(&[&["import", "history", "bad.jsonl"][..], &common].concat());
    assert_eq!(
        said.trim(),
        "Error: [runstone import history] bad.jsonl:2: \"at\" is not an RFC 3339 time: \"noon\"\n\
         bad.jsonl:4: its time is before that of line 1\n\
         bad.jsonl:5: there is no fact weather\n\
         bad.jsonl:6: artifact.flow has to be a text\n\
         bad.jsonl:7: it is no JSON object: expected ident at line 1 column 2"
    );
    let flows = place.ok(&[&["list", "flows"][..], &common].concat());
    assert!(flows.contains("No flows were found"), "{flows}");

    // What the server refuses is told with its line, and the import goes on from there.
    place.write(
        "late.jsonl",
        "{\"at\": \"2022-08-22T11:35:00+02:00\", \"flow\": {\"name\": \"runner\", \"description\": \"\", \"template\": [\"artifact\"]}}\n\
         {\"at\": \"2022-08-22T11:36:00+02:00\", \"archive\": {\"type\": \"flow\", \"name\": \"walker\"}}\n",
    );
    let line = [&["import", "history", "late.jsonl"][..], &common].concat();
    let said = place.fails(&line);
    assert_eq!(
        said.trim(),
        "Error: [runstone import history] late.jsonl:2: Flow named 'walker' does not exist for organization 'acme'\n\
         1 of 2 facts are imported; import the file again to go on"
    );
    let text = std::fs::read_to_string(place.path("late.jsonl")).unwrap();
    place.write("late.jsonl", &text.replace("walker", "runner"));
    let said = place.ok(&line);
    assert_eq!(said, "2 facts of late.jsonl are imported\n");
    let flows = place.ok(&[&["list", "flows"][..], &common].concat());
    assert!(flows.contains("No flows were found"), "{flows}");
}
