//! From a commit through its trail to the place it runs: the same lines with our client and with
//! the published one, against one server.

use std::process::Command;

use super::{named_on_failure, published};
use crate::running::{KEY, Place, Running, failed, succeeded};

const TEMPLATE: &str = "version: 1
trail:
  attestations:
    - {name: ticket, type: generic}
  artifacts:
    - name: web
      attestations:
        - {name: unit-test, type: junit}
";
const JUNIT: &str = "<testsuite name=\"s\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.1\" timestamp=\"2026-03-01T10:00:00\"><testcase name=\"a\"/></testsuite>";

pub fn git(place: &Place, words: &[&str]) -> String {
    let mut command = place.program("git");
    command
        .args(["-C", &place.text("code")])
        .args(["-c", "user.name=Jo", "-c", "user.email=jo@example.com"])
        .args(words);
    succeeded(&command.output().unwrap()).trim().to_owned()
}

/// What happens to `line` with one of the two clients.
pub struct Client<'a> {
    make: Box<dyn Fn() -> Command + 'a>,
}

impl Client<'_> {
    fn command(&self, line: &str) -> Command {
        let mut command = (self.make)();
        command.args(line.split_whitespace());
        command
    }

    pub fn ok(&self, line: &str) -> String {
        named_on_failure(line, || succeeded(&self.command(line).output().unwrap()))
    }

    /// What is said beside the answer.
    pub fn told(&self, line: &str) -> String {
        String::from_utf8_lossy(&self.command(line).output().unwrap().stderr).into_owned()
    }

    pub fn fails(&self, line: &str) -> String {
        named_on_failure(line, || failed(&self.command(line).output().unwrap()))
    }
}

pub fn clients<'a>(place: &'a Place, running: &'a Running) -> Vec<(&'static str, Client<'a>)> {
    let ours = move || {
        let host = running.host.as_str();
        place.runstone(&["--host", host, "--org", "acme", "--api-token", KEY])
    };
    let mut clients = vec![(
        "ours",
        Client {
            make: Box::new(ours),
        },
    )];
    if let Some(program) = published() {
        let make = move || running.published(place, &program);
        clients.push((
            "published",
            Client {
                make: Box::new(make),
            },
        ));
    }
    clients
}

#[test]
fn a_commit_is_followed_to_where_it_runs() {
    let place = Place::new();
    let running = place.serve();
    for folder in ["code", "junit"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    place.write("flow.yml", TEMPLATE);
    place.write("junit/results.xml", JUNIT);
    git(&place, &["init", "-q"]);
    git(&place, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let commit = git(&place, &["rev-parse", "HEAD"]);
    let (template, results, code) = (
        place.text("flow.yml"),
        place.text("junit"),
        place.text("code"),
    );
    for (flow, client) in clients(&place, &running) {
        // Each has an artifact of its own.
        place.write("web.bin", flow);
        let (file, repo) = (place.text("web.bin"), format!("--repo-root {code}"));
        let about = format!("--flow {flow} --trail t1 --commit {commit} {repo}");
        client.ok(&format!("create flow {flow} --template-file {template}"));
        client.ok(&format!(
            "begin trail t1 --flow {flow} --commit {commit} {repo}"
        ));
        client.ok(&format!("attest artifact {file} --artifact-type file --name web {about} --build-url http://b --commit-url http://c"));
        client.ok(&format!(
            "attest junit --name web.unit-test --results-dir {results} {about}"
        ));
        let trail = client.ok(&format!("get trail t1 --flow {flow}"));
        assert!(trail.contains("INCOMPLETE"), "{trail}");
        client.ok(&format!(
            "attest generic --name ticket --flow {flow} --trail t1 --attachments {template}"
        ));
        let trail = client.ok(&format!("get trail t1 --flow {flow}"));
        assert!(trail.contains("Compliance:        COMPLIANT"), "{trail}");
        let missing = client.fails(&format!(
            "attest generic --name x --flow {flow} --trail t1 --fingerprint {}",
            "f".repeat(64)
        ));
        assert!(
            missing.contains("does not exist in trail \"t1\""),
            "{missing}"
        );
        client.ok(&format!("create environment {flow}-env --type server"));
        client.ok(&format!(
            "snapshot path {flow}-env --name deployed --path {file}"
        ));
        let fingerprint = client.ok(&format!("fingerprint {file} --artifact-type file"));
        let artifact = client.ok(&format!("get artifact {flow}@{}", fingerprint.trim()));
        for told in [
            "COMPLIANT",
            &commit,
            "web reported",
            "unit-test evidence received",
            &format!("Started running in {flow}-env#1 environment"),
        ] {
            assert!(artifact.contains(told), "{told}: {artifact}");
        }
        let list = client.ok(&format!("list artifacts --flow {flow}"));
        assert!(list.contains(&commit[..7]), "{list}");
        let found = client.ok(&format!("search {}", &commit[..10]));
        assert!(found.contains(&commit), "{found}");
        let attestation = client.ok(&format!("get attestation ticket --flow {flow} --trail t1"));
        assert!(attestation.contains("generic"), "{attestation}");
    }
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY]);
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "rebuild", "--data-dir", &place.text("data")]);
}
