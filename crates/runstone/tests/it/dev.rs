//! `dev`, as a newcomer meets it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::running::{Place, Running, failed, succeeded};

fn start(place: &Place) -> Running {
    let mut running = Running::start(
        place.runstone(&["dev", "--listen", "127.0.0.1:0", "--period", "0.5"]),
        "serves ",
    );
    running.wait(|text| text.contains("Ctrl-C stops\n").then_some(()));
    running
}

fn mode(place: &Place, name: &str) -> u32 {
    let file = std::fs::metadata(place.path(name)).unwrap();
    file.permissions().mode() & 0o777
}

/// A program of our own that does nothing for a while.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start(place: &Place) -> Self {
        let copy = place.path("sleeper");
        if !copy.exists() {
            std::fs::copy("/bin/sleep", &copy).unwrap();
            // Other bytes than the system's, so that the fingerprint is ours alone.
            let mut bytes = std::fs::read(&copy).unwrap();
            bytes.extend(b"runstone");
            std::fs::write(&copy, bytes).unwrap();
        }
        // A thread of this test may hold the copy open for writing while it forks.
        for _ in 0..100 {
            match Command::new(&copy).arg("600").spawn() {
                Ok(child) => return Self(child),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
        panic!("the copy of sleep cannot be started");
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_newcomer_sees_this_machine_at_once_and_every_change_within_a_period() {
    let place = Place::new();
    let mut running = start(&place);
    let greeting = running.printed();
    let local: Value = serde_json::from_slice(
        &std::fs::read(place.path("home/.config/runstone/local.json")).unwrap(),
    )
    .unwrap();
    let key = local["api_token"].as_str().unwrap();
    assert_eq!(local["org"], "local");
    assert_eq!(local["host"], running.host.as_str());
    assert!(
        key.starts_with("rst_") && greeting.contains(key),
        "{greeting}"
    );
    assert_eq!(mode(&place, "home/.config/runstone/local.json"), 0o600);
    assert_eq!(mode(&place, "runstone-data/local.json"), 0o600);
    assert_eq!(mode(&place, "runstone-data/admin.sock"), 0o600);
    assert!(greeting.contains("this-machine#1"), "{greeting}");

    // The three commands it names work as they stand, without any set-up.
    let named: Vec<Vec<String>> = greeting
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.contains("this-machine") || line.contains(" search "))
        .map(|line| line.split(' ').skip(1).map(str::to_owned).collect())
        .collect();
    assert_eq!(named.len(), 3, "{greeting}");
    for words in &named {
        let shown = place.ok(words);
        assert!(shown.contains("runstone"), "{words:?}: {shown}");
    }
    let environment: Value =
        serde_json::from_str(&place.ok(&["get", "environment", "this-machine", "-o", "json"]))
            .unwrap();
    assert_eq!(environment["type"], "server");
    assert_eq!(environment["include_scaling"], true);

    let sleeper = Sleeper::start(&place);
    running.wait(|text| {
        text.lines()
            .any(|line| line.contains("started ") && line.contains("/sleeper "))
            .then_some(())
    });
    let log = place.ok(&["log", "env", "this-machine", "--page-limit", "100"]);
    assert!(log.contains("/sleeper"), "{log}");
    assert!(
        log.contains("1 instance started running (from 0 to 1)"),
        "{log}"
    );
    let second = Sleeper::start(&place);
    running.wait(|text| {
        text.lines()
            .any(|line| {
                line.contains("scaled ")
                    && line.contains("/sleeper ")
                    && line.ends_with("from 1 to 2")
            })
            .then_some(())
    });
    drop((sleeper, second));
    // On a busy machine other changes may fill the lines that are printed; the log has all.
    let stopped = || {
        let log = place.ok(&[
            "log",
            "env",
            "this-machine",
            "--page-limit",
            "100",
            "-o",
            "json",
        ]);
        let events: Value = serde_json::from_str(&log).unwrap();
        events.as_array().unwrap().iter().any(|event| {
            let name = event["artifact_name"].as_str().unwrap();
            let description = event["description"].as_str().unwrap();
            name.ends_with("/sleeper") && description.contains("stopped running")
        })
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !stopped() {
        assert!(
            std::time::Instant::now() < deadline,
            "the stop is not in the log"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
    }

    running.signal(Signal::INT);
    let (status, printed, logged) = running.ended();
    assert!(status.success(), "{printed}{logged}");
    assert!(
        printed.ends_with("the next start carries on\n"),
        "{printed}"
    );
    assert_eq!(printed.matches(key).count(), 1, "the key is shown once");
    assert!(!logged.contains(key));
}

#[test]
fn the_next_start_carries_on() {
    let place = Place::new();
    let running = start(&place);
    let key = std::fs::read(place.path("runstone-data/local.json")).unwrap();
    running.signal(Signal::INT);
    running.ended();
    // The user's file may be gone, or speak of another server.
    std::fs::remove_file(place.path("home/.config/runstone/local.json")).unwrap();
    let running = start(&place);
    let printed = running.printed();
    assert!(!printed.contains("rst_"), "{printed}");
    let token = |bytes: &[u8]| -> String {
        let value: Value = serde_json::from_slice(bytes).unwrap();
        value["api_token"].as_str().unwrap().to_owned()
    };
    let again = std::fs::read(place.path("home/.config/runstone/local.json")).unwrap();
    assert_eq!(token(&key), token(&again));
    let list: Value =
        serde_json::from_str(&place.ok(&["list", "snapshots", "this-machine", "-o", "json"]))
            .unwrap();
    let snapshots = list.as_array().unwrap();
    assert_eq!(snapshots.last().unwrap()["index"], 1, "{list}");
}

#[test]
fn a_second_interrupt_does_not_wait() {
    let place = Place::new();
    let running = start(&place);
    // A request that never ends its body holds the first one up.
    let address = running.host.strip_prefix("http://").unwrap();
    let local = std::fs::read(place.path("runstone-data/local.json")).unwrap();
    let local: Value = serde_json::from_slice(&local).unwrap();
    let head = format!(
        "PUT /api/v2/environments/local HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 10\r\n\r\n{{",
        local["api_token"].as_str().unwrap()
    );
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut slow, head.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(Signal::INT);
    let (status, ..) = running.ended();
    assert_eq!(status.code(), Some(130));
}

#[test]
fn two_in_one_folder_do_not_get_along() {
    let place = Place::new();
    let _running = start(&place);
    let error = failed(&place.run(&["dev", "--listen", "127.0.0.1:0"]));
    assert!(error.contains("is in use by another process"), "{error}");
    let error = failed(&place.run(&["dev", "--period", "0"]));
    assert!(error.contains("--period must be between"), "{error}");
    // Admin commands reach the store beside it.
    let shown = succeeded(&place.run(&["admin", "provision", "provision.yml"]));
    assert!(shown.contains("created"), "{shown}");
}
