//! `admin …` beside a running server and without one.

use serde_json::Value;

use crate::running::{KEY, Place, environment, log_size, report};

#[test]
fn provisioning_works_with_and_without_a_server_and_changes_nothing_twice() {
    let place = Place::new();
    let data = place.text("data");
    let provision = |file: &str| {
        let output = place.ok(&[
            "admin",
            "provision",
            &place.text(file),
            "--data-dir",
            &data,
            "-o",
            "json",
        ]);
        assert!(!output.contains(KEY));
        let answer: Value = serde_json::from_str(&output).unwrap();
        (
            answer["created"].as_u64().unwrap(),
            answer["changed"].as_u64().unwrap(),
        )
    };
    // A store is made where there is none.
    let (created, changed) = provision("provision.yml");
    assert_eq!(
        created + changed,
        6,
        "organizations, a user, roles and a key"
    );
    assert_eq!(provision("provision.yml"), (0, 0));

    let running = place.serve();
    assert!(
        running.logged().contains("provision.created=0"),
        "{}",
        running.logged()
    );
    assert_eq!(provision("provision.yml"), (0, 0));
    place.write(
        "more.yml",
        "service_accounts:\n  - name: ci\n    organization: acme\n    role: snapshotter\n    api_keys:\n      - {key_env: CI_KEY}\n",
    );
    let more = place.text("more.yml");
    // The variable is this process's own, not the server's.
    let error = place.fails(&["admin", "provision", &more, "--data-dir", &data]);
    assert!(error.contains("CI_KEY is not set"), "{error}");
    let mut command = place.runstone(&["admin", "provision", &more, "--data-dir", &data]);
    let output = command.env("CI_KEY", "key-of-ci").output().unwrap();
    assert!(output.status.success());
    let status = crate::running::block_on(async {
        crate::running::client()
            .get(format!("{}/api/v2/environments/acme", running.host))
            .bearer_auth("key-of-ci")
            .send()
            .await
            .unwrap()
            .status()
    });
    assert_eq!(status, 200, "the new key is known at once");
    place.write("bad.yml", "users:\n  - {name: x, roles: {acme: boss}}\n");
    let error = place.fails(&[
        "admin",
        "provision",
        &place.text("bad.yml"),
        "--data-dir",
        &data,
    ]);
    assert!(error.contains("users[0].roles.acme"), "{error}");
    place.write("gone.yml", "users:\n  - {name: x, roles: {gone: admin}}\n");
    let error = place.fails(&[
        "admin",
        "provision",
        &place.text("gone.yml"),
        "--data-dir",
        &data,
    ]);
    assert!(
        error.contains("organization 'gone' does not exist"),
        "{error}"
    );
}

#[test]
fn fsck_and_rebuild_agree_and_damage_is_named() {
    let place = Place::new();
    let data = place.text("data");
    let base = ["--base-url", "https://runstone.example.com"];
    let running = place.serve_with(&base);
    environment(&running, "prod", "server");
    for digits in ["ab", "bc", "cd", "abc"] {
        report(&running, "prod", digits);
    }
    let beside: Value =
        serde_json::from_str(&place.ok(&["admin", "fsck", "--data-dir", &data, "-o", "json"]))
            .unwrap();
    assert_eq!(beside["problems"], serde_json::json!([]));
    let error = place.fails(&["admin", "rebuild", "--data-dir", &data]);
    assert!(error.contains("stop the server first"), "{error}");
    let before = running.get("/api/v2/snapshots/acme/prod/2");
    running.stop();

    place.ok(&["admin", "rebuild", "--data-dir", &data]);
    place.ok(&["admin", "fsck", "--data-dir", &data]);
    let running = place.serve_with(&base);
    assert_eq!(running.get("/api/v2/snapshots/acme/prod/2"), before);
    running.stop();

    let error = place.fails(&["admin", "fsck", "--data-dir", &place.text("nowhere")]);
    assert!(error.contains("there is no store in"), "{error}");
    assert!(!place.path("nowhere").exists());

    // One byte of a row: the name of an environment, beside its type.
    let file = place.path("data/runstone.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes
        .windows(10)
        .position(|window| window == b"prodserver")
        .unwrap();
    bytes[at + 3] = b'x';
    std::fs::write(&file, bytes).unwrap();
    let output = place.run(&["admin", "fsck", "--data-dir", &data]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !text.starts_with("checked"),
        "what differs is named: {text}"
    );
}

#[test]
fn a_backup_becomes_a_store_again() {
    let place = Place::new();
    let data = place.text("data");
    let running = place.serve();
    environment(&running, "prod", "server");
    report(&running, "prod", "ab");
    let size = log_size(&running);
    let (backup, copy) = (place.text("backup"), place.text("copy"));
    let shown = place.ok(&[
        "admin",
        "backup",
        &backup,
        "--data-dir",
        &data,
        "--with-secrets",
    ]);
    assert!(shown.contains("/log/acme/"), "{shown}");
    report(&running, "prod", "bc");
    running.stop();

    let shown = place.ok(&["admin", "restore", &backup, "--data-dir", &copy]);
    assert!(shown.contains(&format!("{size} entries")), "{shown}");
    place.ok(&["admin", "fsck", "--data-dir", &copy]);
    let error = place.fails(&["admin", "restore", &backup, "--data-dir", &data]);
    assert!(!error.is_empty());
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&copy, &data).unwrap();
    let running = place.serve();
    assert_eq!(log_size(&running), size);
    assert_eq!(running.get("/api/v2/snapshots/acme/prod/-1")["index"], 1);
    assert!(report(&running, "prod", "cd"));
}

#[test]
fn a_restored_store_behind_its_guard_writes_only_after_a_new_epoch() {
    let place = Place::new();
    let (data, guard, copy) = (place.text("data"), place.text("guard"), place.text("copy"));
    let guarded = ["--checkpoint-guard", guard.as_str()];
    let running = place.serve_with(&guarded);
    environment(&running, "prod", "server");
    report(&running, "prod", "ab");
    let backup = place.text("backup");
    place.ok(&[
        "admin",
        "backup",
        &backup,
        "--data-dir",
        &data,
        "--with-secrets",
    ]);
    for digits in ["bc", "cd", "de"] {
        report(&running, "prod", digits);
    }
    // The log serves what the guard holds, and the guard is told twice a second: wait until it
    // has heard of all.
    let url = format!("{}/log/acme", running.host);
    let mut published = 0;
    while published == 0 || published != log_size(&running) {
        published = log_size(&running);
        std::thread::sleep(std::time::Duration::from_millis(1_200));
    }
    let state = place.text("state.json");
    place.ok(&["verify", &url, "--api-token", KEY, "--state", &state]);
    running.stop();

    let mut words = vec!["admin", "restore", &backup, "--data-dir", &copy];
    words.extend(guarded);
    let shown = place.ok(&words);
    assert!(shown.contains("writes are refused until"), "{shown}");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&copy, &data).unwrap();

    let mut words = vec![
        "admin",
        "new-epoch",
        "--reason",
        "restored",
        "--data-dir",
        &data,
    ];
    words.extend(guarded);
    let shown = place.ok(&words);
    assert!(shown.contains("are lost"), "{shown}");
    let running = place.serve_with(&guarded);
    assert!(report(&running, "prod", "ef"));
    let url = format!("{}/log/acme", running.host);
    let error = place.fails(&["verify", &url, "--api-token", KEY, "--state", &state]);
    assert!(
        error.contains("the trusted keys do not speak for"),
        "{error}"
    );
    // Its owner confirms the new key: then it is followed, and the loss is told, each time.
    let (_, keys) = running.raw("GET", "/log/acme/keys", None);
    let keys = String::from_utf8(keys).unwrap();
    let key = keys.lines().last().unwrap().split(' ').next().unwrap();
    for _ in 0..2 {
        let error = place.fails(&[
            "verify",
            &url,
            "--api-token",
            KEY,
            "--state",
            &state,
            "--key",
            key,
        ]);
        assert!(error.contains("entries of the log were lost"), "{error}");
        assert!(error.contains("lost: 3 of "), "{error}");
    }
}

/// Whether any file of a folder holds a text.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|item| {
        let path = item.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        // The socket and the lock have no content.
        std::fs::read(&path).is_ok_and(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    })
}

#[test]
fn what_people_wrote_is_erased_beside_a_server_and_without_one() {
    const MARK: &str = "Zq7Vx0Kd9Wp3";
    let place = Place::new();
    let data = place.text("data");
    let erase = |more: &[&str]| {
        let mut words = vec!["admin", "erase", "--data-dir", &data, "-o", "json"];
        words.extend(more);
        serde_json::from_str::<Value>(&place.ok(&words)).unwrap()
    };
    let running = place.serve();
    let body =
        |text: &str| serde_json::json!({"name": "prod", "type": "server", "description": text});
    running.put("/api/v2/environments/acme", &body(&format!("about {MARK}")));
    running.put(
        "/api/v2/environments/acme",
        &body(&format!("more of {MARK}")),
    );
    let tags = serde_json::json!({"set_tags": {"team": MARK}});
    let (status, _) = running.json("PATCH", "/api/v2/tags/acme/environment/prod", Some(&tags));
    assert_eq!(status, 200);
    report(&running, "prod", "ab");
    let state = place.text("state.json");
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY, "--state", &state]);
    assert!(holds(&place.path("data"), MARK));

    // What is missing is said before anything is done.
    for (more, expected) in [
        (&[][..], "required flag --organization is not set"),
        (
            &["--organization", "acme"],
            "name what to erase with --digest",
        ),
        (
            &["--organization", "acme", "--environment", "prod"],
            "required flag --reason is not set",
        ),
        (
            &[
                "--organization",
                "acme",
                "--environment",
                "prod",
                "--user",
                "ada",
                "--reason",
                "r",
            ],
            "only one of",
        ),
        (
            &[
                "--organization",
                "acme",
                "--environment",
                "gone",
                "--reason",
                "r",
            ],
            "Environment named 'gone' does not exist for organization 'acme'",
        ),
        (
            &["--organization", "acme", "--digest", "12", "--reason", "r"],
            "'12' is not a digest",
        ),
    ] {
        let mut words = vec!["admin", "erase", "--data-dir", &data];
        words.extend(more);
        let error = place.fails(&words);
        assert!(error.contains(expected), "{error}");
    }

    let all = erase(&["--organization", "acme", "--dry-run"]);
    assert_eq!(all["bodies"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(all["entries"], serde_json::json!([]));
    assert!(holds(&place.path("data"), MARK), "a dry run erases nothing");
    let digest = all["bodies"][0]["digest"].as_str().unwrap();
    assert_eq!(all["bodies"][0]["field"], "description");
    let done = erase(&[
        "--organization",
        "acme",
        "--digest",
        digest,
        "--reason",
        "asked for",
    ]);
    assert_eq!(done["bodies"].as_array().unwrap().len(), 1);
    assert_eq!(done["pending"], serde_json::json!([]));
    let shown = running.get("/api/v2/environments/acme/prod");
    assert_eq!(shown["description"], format!("more of {MARK}"));
    running.stop();

    // Without a server.
    let shown = place.ok(&[
        "admin",
        "erase",
        "--data-dir",
        &data,
        "--organization",
        "acme",
        "--environment",
        "prod",
        "--reason",
        "asked for",
    ]);
    assert!(shown.contains("2 bodies of "), "{shown}");
    assert!(!holds(&place.path("data"), MARK));
    place.ok(&["admin", "fsck", "--data-dir", &data]);
    let running = place.serve();
    let shown = running.get("/api/v2/environments/acme/prod");
    assert_eq!(shown["description"], "");
    assert_eq!(shown["tags"], serde_json::json!({"team": ""}));
    assert_eq!(running.get("/api/v2/snapshots/acme/prod/-1")["index"], 1);
    let url = format!("{}/log/acme", running.host);
    place.ok(&["verify", &url, "--api-token", KEY, "--state", &state]);
    let done = erase(&["--user", "ada", "--reason", "left"]);
    assert_eq!(done["bodies"].as_array().unwrap().len(), 4);
    let (status, _) = running.json("GET", "/api/v2/environments/acme", None);
    assert_eq!(status, 401, "the keys of a person who is forgotten end");
    assert!(!holds(&place.path("data"), "ada@example.com"));
}

#[test]
fn a_closed_organization_lets_nobody_in_and_a_restart_goes_on() {
    let place = Place::new();
    let data = place.text("data");
    let running = place.serve();
    environment(&running, "prod", "server");
    report(&running, "prod", "ab");
    let close = |name: &str| {
        place.run(&[
            "admin",
            "close-organization",
            name,
            "--reason",
            "sold",
            "--data-dir",
            &data,
        ])
    };
    let shown = String::from_utf8(close("acme").stdout).unwrap();
    assert!(shown.starts_with("organization acme is closed"), "{shown}");
    let (status, _) = running.json("GET", "/api/v2/environments/acme/prod", None);
    assert_eq!(status, 403);
    let body = crate::running::server_report("bc");
    let path = "/api/v2/environments/acme/prod/report/server";
    let (status, _) = running.json("PUT", path, Some(&body));
    assert_eq!(status, 403);
    let shown = String::from_utf8(close("acme").stdout).unwrap();
    assert_eq!(
        shown.trim(),
        "organization acme was closed already; there is nothing to do"
    );
    let gone = close("gone");
    assert_eq!(gone.status.code(), Some(1));
    let error = String::from_utf8(gone.stderr).unwrap();
    assert!(
        error.contains("organization 'gone' does not exist"),
        "{error}"
    );
    running.stop();
    // The provision file still names it.
    let running = place.serve();
    assert!(
        running.logged().contains("organization 'acme' is closed"),
        "{}",
        running.logged()
    );
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &data]);
    let folder = place.text("exported");
    place.ok(&["admin", "export", "acme", &folder, "--data-dir", &data]);
    let keys = std::fs::read_to_string(place.path("exported/keys")).unwrap();
    let key = keys.split(' ').next().unwrap();
    place.ok(&["verify", &folder, "--key", key]);
}

#[test]
fn limits_are_shown_and_set_and_told_to_whoever_meets_them() {
    let place = Place::new();
    let data = place.text("data");
    place.write(
        "provision.yml",
        &crate::running::PROVISION.replace(
            "{name: acme, kind: shared}",
            "{name: acme, kind: shared, limits: {environments: 1, bytes: unlimited}}",
        ),
    );
    let running = place.serve();
    environment(&running, "prod", "server");
    let body = serde_json::json!({"name": "more", "type": "server", "description": ""});
    let (status, answer) = running.json("PUT", "/api/v2/environments/acme", Some(&body));
    assert_eq!(status, 403);
    assert_eq!(
        answer["message"],
        "organization 'acme' has reached its limit of 1 environments"
    );
    let (_, metrics) = running.raw("GET", "/metrics", None);
    assert!(
        String::from_utf8(metrics)
            .unwrap()
            .contains("runstone_limit_refusals_total{limit=\"environments\"} 1")
    );
    let shown = place.ok(&["admin", "limits", "acme", "--data-dir", &data]);
    assert!(shown.contains("acme environments: 1 of 1\n"), "{shown}");
    assert!(shown.contains(" of unlimited"), "{shown}");
    assert!(shown.contains("of 600000 (default)"), "{shown}");
    let shown = place.ok(&[
        "admin",
        "limits",
        "acme",
        "--environments",
        "default",
        "--entries-per-minute",
        "1",
        "--data-dir",
        &data,
    ]);
    assert!(
        shown.contains("acme environments: 1 of 10000 (default)"),
        "{shown}"
    );
    let (status, answer) = running.json("PUT", "/api/v2/environments/acme", Some(&body));
    assert!(status == 201 || status == 429, "{answer}");
    let body = serde_json::json!({"name": "again", "type": "server", "description": ""});
    let response = crate::running::block_on(
        crate::running::client()
            .put(format!("{}/api/v2/environments/acme", running.host))
            .bearer_auth(KEY)
            .json(&body)
            .send(),
    )
    .unwrap();
    assert_eq!(response.status(), 429);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let text = crate::running::block_on(response.text()).unwrap();
    assert!(text.contains("its limit of 1 entries per minute"), "{text}");
    let error = place.fails(&[
        "admin",
        "limits",
        "acme",
        "--bytes",
        "many",
        "--data-dir",
        &data,
    ]);
    assert!(error.contains("'many' is not a limit"), "{error}");
    let error = place.fails(&["admin", "limits", "--bytes", "1", "--data-dir", &data]);
    assert!(error.contains("name it"), "{error}");
}
