//! `serve`: settings, errors at the start, stopping, restarting, dying.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::running::{
    KEY, Place, Running, block_on, environment, log_size, report, request, server_report,
};

/// Links in answers that do not change with the port.
const BASE: [&str; 2] = ["--base-url", "https://runstone.example.com"];

#[test]
fn a_restart_keeps_everything_and_provisions_nothing_twice() {
    let place = Place::new();
    let running = place.serve_with(&BASE);
    environment(&running, "prod", "server");
    assert!(report(&running, "prod", "ab"));
    assert!(!report(&running, "prod", "ba"), "the order means nothing");
    assert!(report(&running, "prod", "bc"));
    let size = log_size(&running);
    let snapshot = running.get("/api/v2/snapshots/acme/prod/2");
    let (_, note) = running.raw("GET", "/log/acme/checkpoint", None);
    let (status, printed, logged) = running.stop();
    assert!(status.success(), "{printed}{logged}");
    assert!(logged.contains("stopped"), "{logged}");
    assert!(
        !place.path("data/admin.sock").exists(),
        "the socket goes with the server"
    );

    let running = place.serve_with(&BASE);
    assert_eq!(log_size(&running), size);
    assert_eq!(running.raw("GET", "/log/acme/checkpoint", None).1, note);
    assert_eq!(running.get("/api/v2/snapshots/acme/prod/2"), snapshot);
    assert!(!report(&running, "prod", "bc"), "still the same");
    assert!(
        running.logged().contains("provision.created=0"),
        "{}",
        running.logged()
    );
}

#[test]
fn settings_come_from_flags_variables_and_the_config_file() {
    let place = Place::new();
    place.write(
        "settings.yml",
        &format!(
            "listen: 127.0.0.1:0\ndata-dir: {}\nprovision: {}\nlog-format: json\nlog-level: warn\n",
            place.text("from-file"),
            place.text("provision.yml")
        ),
    );
    let mut command = place.runstone(&["serve", "--log-level", "info"]);
    command
        .env("RUNSTONE_CONFIG_FILE", place.path("settings.yml"))
        .env("RUNSTONE_DATA_DIR", place.path("from-variable"));
    let running = Running::start(command, "listening on ");
    environment(&running, "prod", "server");
    assert!(place.path("from-variable/runstone.db").exists());
    assert!(!place.path("from-file").exists());
    let (_, _, logged) = running.stop();
    let messages: Vec<Value> = logged
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(
        messages.iter().any(|line| line["message"] == "serving"),
        "{logged}"
    );
    assert!(!logged.contains(KEY));
}

#[test]
fn what_stands_in_the_way_is_said() {
    let place = Place::new();
    let running = place.serve();
    let address = running.host.strip_prefix("http://").unwrap().to_owned();
    let (data, other) = (place.text("data"), place.text("other"));
    let check = |words: &[&str], expected: &[&str]| {
        let mut all = vec!["serve", "--log-level", "error"];
        all.extend(words);
        let error = place.fails(&all);
        for part in expected {
            assert!(error.contains(part), "{words:?}: {error}");
        }
    };
    check(
        &["--listen", "127.0.0.1:0", "--data-dir", &data],
        &["is in use by another process", &data, "--data-dir"],
    );
    check(
        &["--listen", &address, "--data-dir", &other],
        &["the address is in use", &address, "--listen"],
    );
    check(
        &["--listen", "nowhere", "--data-dir", &other],
        &["cannot listen on nowhere"],
    );
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            "postgres://u@127.0.0.1:1/x",
        ],
        &["PostgreSQL needs --key-file"],
    );
    let start = ["--listen", "127.0.0.1:0", "--data-dir", &other];
    let none = place.text("none.pem");
    place.write("text.pem", "no key");
    let text = place.text("text.pem");
    for (flag, value, expected) in [
        ("--trusted-keys", none.as_str(), "cannot read"),
        (
            "--trusted-keys",
            &text,
            "neither a public key nor a certificate",
        ),
        ("--max-attachment", "0", "must be a number of MB"),
        ("--max-attachment", "9999999", "must be a number of MB"),
    ] {
        check(&[&start[..], &[flag, value]].concat(), &[expected]);
    }
    check(
        &["--listen", "127.0.0.1:0", "--database-url", "mysql://x"],
        &["--database-url must begin with postgres://"],
    );
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &other,
            "--base-url",
            "here",
        ],
        &["--base-url must be a URL"],
    );
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &other,
            "--log-format",
            "xml",
        ],
        &["--log-format must be text or json, not xml"],
    );
    place.write("bad.yml", "organizations:\n  - {name: acme, kind: big}\n");
    let bad = place.text("bad.yml");
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &other,
            "--provision",
            &bad,
        ],
        &["bad.yml", "organizations[0].kind"],
    );
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &other,
            "--provision",
            "/no/file",
        ],
        &["cannot read provision file /no/file"],
    );
    assert!(!place.path("other").exists(), "nothing was made on the way");
}

/// Writers that report until the server goes away, and what it acknowledged to each.
fn load(host: &str, writers: usize) -> Vec<tokio::task::JoinHandle<u64>> {
    (0..writers)
        .map(|writer| {
            let host = host.to_owned();
            tokio::spawn(async move {
                let path = format!("/api/v2/environments/acme/load-{writer}/report/server");
                let mut acknowledged = 0;
                for digits in ["ab", "bc"].iter().cycle() {
                    // Each report but perhaps the first differs from the one before and makes a
                    // snapshot.
                    let body = server_report(digits).to_string();
                    match request(&host, "PUT", &path, Some(&body)).send().await {
                        Ok(answer) if answer.status() == 201 => acknowledged += 1,
                        Ok(answer) if answer.status() == 200 => {}
                        _ => break,
                    }
                }
                acknowledged
            })
        })
        .collect()
}

fn prepare(running: &Running, writers: usize) {
    for writer in 0..writers {
        environment(running, &format!("load-{writer}"), "server");
    }
}

fn snapshots(running: &Running, writers: usize) -> BTreeMap<usize, u64> {
    (0..writers)
        .map(|writer| {
            let (status, latest) = running.json(
                "GET",
                &format!("/api/v2/snapshots/acme/load-{writer}/-1"),
                None,
            );
            let count = if status == 200 {
                latest["index"].as_u64().unwrap()
            } else {
                0
            };
            (writer, count)
        })
        .collect()
}

#[test]
fn a_stop_under_load_loses_nothing() {
    const WRITERS: usize = 4;
    let place = Place::new();
    let running = place.serve();
    prepare(&running, WRITERS);
    let acknowledged = block_on(async {
        let writers = load(&running.host, WRITERS);
        tokio::time::sleep(Duration::from_millis(700)).await;
        running.signal(rustix::process::Signal::TERM);
        let mut counts = Vec::new();
        for writer in writers {
            counts.push(writer.await.unwrap());
        }
        counts
    });
    let (status, _, logged) = running.ended();
    assert!(status.success(), "{logged}");
    assert!(acknowledged.iter().sum::<u64>() > 0);
    let running = place.serve();
    let found = snapshots(&running, WRITERS);
    for (writer, count) in acknowledged.into_iter().enumerate() {
        // A request that was in work when its connection was closed may have been stored unanswered.
        assert!(
            (count..=count + 1).contains(&found[&writer]),
            "{writer}: {count} {found:?}"
        );
    }
}

#[test]
fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    const WRITERS: usize = 3;
    const RUNS: u64 = 20;
    let place = Place::new();
    let running = place.serve();
    prepare(&running, WRITERS);
    running.stop();
    let mut sure = vec![0; WRITERS];
    let mut remembered: Option<(u64, String)> = None;
    for seed in 0..RUNS {
        let running = place.serve();
        let before = snapshots(&running, WRITERS);
        for (writer, count) in sure.iter_mut().enumerate() {
            assert!(before[&writer] >= *count, "run {seed}, writer {writer}");
            *count = before[&writer];
        }
        if let Some((size, _)) = &remembered {
            assert!(log_size(&running) >= *size, "run {seed}");
        }
        // Golden ratio steps spread the moments of death over a quarter of a second.
        let delay = 5 + (seed * 158) % 250;
        let (acknowledged, note) = block_on(async {
            let writers = load(&running.host, WRITERS);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            let note = request(&running.host, "GET", "/log/acme/checkpoint", None)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            running.signal(rustix::process::Signal::KILL);
            let mut counts = Vec::new();
            for writer in writers {
                counts.push(writer.await.unwrap());
            }
            (counts, note)
        });
        running.kill();
        for (writer, count) in acknowledged.into_iter().enumerate() {
            sure[writer] += count;
        }
        let size = note.lines().nth(1).unwrap().parse().unwrap();
        remembered = Some((size, note));
    }
    let running = place.serve();
    let found = snapshots(&running, WRITERS);
    for (writer, count) in sure.into_iter().enumerate() {
        assert!(
            found[&writer] >= count,
            "writer {writer}: {count} {found:?}"
        );
    }
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY]);
    running.stop();
    let data = place.text("data");
    place.ok(&["admin", "fsck", "--data-dir", &data]);
}
