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

    // One byte of a record: the name of an artifact, wherever it stands first.
    let file = place.path("data/runstone.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes
        .windows(5)
        .position(|window| window == b"app-b")
        .unwrap();
    bytes[at + 4] = b'x';
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
