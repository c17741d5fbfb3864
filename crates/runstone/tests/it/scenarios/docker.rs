//! E1 and E2: first record and change story, with a real Docker engine and the published client.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Published, published, variable};
use crate::running::{Place, succeeded};

/// Containers of one test; they go with it.
struct Engine {
    host: String,
    prefix: String,
    containers: Vec<String>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        for container in &self.containers {
            let _ = self.docker(&["rm", "-f", container]).output();
        }
    }
}

impl Engine {
    fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["-H", &self.host])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    fn ok(&self, words: &[&str]) -> String {
        succeeded(&self.docker(words).output().unwrap())
            .trim()
            .to_owned()
    }

    /// Makes an image from the one the test run made, with a label so that its digest differs, and
    /// gives it a digest in a registry's name.
    fn image(&self, registry: &str, name: &str) -> (String, String) {
        let image = format!("{registry}/{}/{name}:1", self.prefix);
        let mut build = self
            .docker(&["build", "-q", "-t", &image, "-"])
            .env("DOCKER_BUILDKIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let recipe = format!("FROM runstone/bb:1\nLABEL name={name}\n");
        build
            .stdin
            .take()
            .unwrap()
            .write_all(recipe.as_bytes())
            .unwrap();
        succeeded(&build.wait_with_output().unwrap());
        self.ok(&["push", "-q", &image]);
        let digests = self.ok(&["inspect", "--format", "{{json .RepoDigests}}", &image]);
        let digests: Vec<String> = serde_json::from_str(&digests).unwrap();
        let digest = digests[0].rsplit(':').next().unwrap().to_owned();
        (image, digest)
    }

    fn start(&mut self, image: &str) -> String {
        let id = self.ok(&["run", "-d", "--network", "none", image, "sleep", "600"]);
        self.containers.push(id.clone());
        id
    }
}

fn annotations(snapshot: &Value) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = snapshot["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| {
            (
                artifact["fingerprint"].as_str().unwrap().to_owned(),
                artifact["annotation"]["type"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn first_record_and_change_story() {
    let (Some(program), Some(host), Some(registry)) = (
        published(),
        variable("RUNSTONE_TEST_DOCKER_HOST"),
        variable("RUNSTONE_TEST_REGISTRY"),
    ) else {
        return;
    };
    let place = Place::new();
    let running = place.serve();
    let mut kosli = Published::new(&place, &running, program);
    kosli.set("DOCKER_HOST", &host);
    let mut engine = Engine {
        host,
        prefix: format!("scenario-{}", std::process::id()),
        containers: Vec::new(),
    };
    let images: Vec<(String, String)> = ["one", "two", "three", "four"]
        .iter()
        .map(|name| engine.image(&registry, name))
        .collect();
    let containers: Vec<String> = images[..3]
        .iter()
        .map(|(image, _)| engine.start(image))
        .collect();

    // E1.
    let said = kosli.ok("snapshot docker prod --auto-environment");
    assert!(said.contains("environment prod was created"), "{said}");
    assert_eq!(kosli.json("get environment prod")["type"], "docker");
    let first = kosli.json("get snapshot prod");
    assert_eq!(first["index"], 1);
    let found = annotations(&first);
    for (_, digest) in &images[..3] {
        assert!(
            found.contains(&(digest.clone(), "started-unknown".to_owned())),
            "{digest}: {found:?}"
        );
    }
    let seen = |value: Value| value["last_reported_at"].as_f64().unwrap();
    let before = seen(kosli.json("get environment prod"));
    std::thread::sleep(std::time::Duration::from_millis(50));
    kosli.ok("snapshot docker prod --auto-environment");
    assert!(seen(kosli.json("get environment prod")) > before);
    assert_eq!(kosli.json("get snapshot prod")["index"], 1, "nothing new");

    // E2: the new one beside the old one, then without it.
    engine.start(&images[3].0);
    kosli.ok("snapshot docker prod");
    let second = kosli.json("get snapshot prod");
    assert_eq!(second["index"], 2);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let between = second["timestamp"].as_f64().unwrap() as i64 + 1;
    engine.ok(&["rm", "-f", &containers[0]]);
    kosli.ok("snapshot docker prod");
    let third = kosli.json("get snapshot prod");
    assert_eq!(third["index"], 3);
    assert!(annotations(&third).contains(&(images[0].1.clone(), "exited".to_owned())));

    let log = kosli.ok("log env prod --interval 2..3");
    assert!(
        log.contains("1 instance started running (from 0 to 1)"),
        "{log}"
    );
    assert!(
        log.contains("1 instance stopped running (from 1 to 0)"),
        "{log}"
    );
    let diff = kosli.json("diff snapshots prod~1 prod");
    let side = |name: &str| diff[name]["artifacts"].as_array().unwrap().clone();
    let gone = side("snappish1");
    assert_eq!(gone.len(), 1, "only what left differs: {diff}");
    assert_eq!(gone[0]["fingerprint"], images[0].1.as_str());
    assert!(
        side("snappish2").is_empty() && side("changed").is_empty(),
        "{diff}"
    );
    let at = jiff::Timestamp::from_second(between)
        .unwrap()
        .strftime("%Y-%m-%dT%H:%M:%S");
    let then = kosli.json(&format!("get snapshot prod@{{{at}}}"));
    assert_eq!(then["index"], 2);
    let found = kosli.ok(&format!("search {}", &images[3].1[..10]));
    assert!(found.contains(&images[3].0), "{found}");
}
