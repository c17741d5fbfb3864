//! `verify` against a running server, an exported folder and receipts; and a foreign crate that
//! judges a receipt without any code of ours (scenario E7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use signed_note::{StandardVerifier, VerifierList};

use crate::running::{KEY, Place, Running, block_on, environment, log_size, report};

/// A server with some history.
fn with_history(place: &Place) -> Running {
    let running = place.serve();
    environment(&running, "prod", "server");
    for digits in ["ab", "bc", "cd", "abc"] {
        report(&running, "prod", digits);
    }
    running
}

fn url(running: &Running) -> String {
    format!("{}/log/acme", running.host)
}

/// The current public key of the log.
fn key(running: &Running) -> String {
    let (status, keys) = running.raw("GET", "/log/acme/keys", None);
    assert_eq!(status, 200);
    let keys = String::from_utf8(keys).unwrap();
    keys.split(' ').next().unwrap().to_owned()
}

fn verify(place: &Place, words: &[&str]) -> Value {
    let mut all = vec!["verify"];
    all.extend(words);
    all.extend(["--api-token", KEY, "-o", "json"]);
    serde_json::from_str(&place.ok(&all)).unwrap()
}

#[test]
fn a_log_is_trusted_on_first_use_and_then_held_to_its_word() {
    let place = Place::new();
    let running = with_history(&place);
    let url = url(&running);
    let size = log_size(&running);
    let first = verify(&place, &[&url]);
    assert_eq!(first["keys_from"], "first use");
    assert_eq!(first["keys"], serde_json::json!([key(&running)]));
    assert_eq!(first["size"], size);
    assert_eq!(first["entries_checked"], size);
    assert_eq!(first["extends"], Value::Null);
    assert_eq!(first["valid"], true);

    report(&running, "prod", "d");
    let second = verify(&place, &[&url]);
    assert_eq!(second["keys_from"], "remembered");
    assert_eq!(second["extends"], size);
    assert_eq!(second["entries_checked"], 1);
    assert_eq!(
        verify(&place, &[&url, "--full"])["entries_checked"],
        size + 1
    );

    let text = place.ok(&["verify", &url, "--api-token", KEY]);
    assert!(
        text.contains("valid") && text.contains("remembered"),
        "{text}"
    );
    let error = place.fails(&["verify", &url]);
    assert!(
        error.contains("failed to read checkpoint"),
        "without a key the log is not shown: {error}"
    );
    let error = place.fails(&[
        "verify",
        &format!("{}/log/none", running.host),
        "--api-token",
        KEY,
    ]);
    assert!(error.contains("checkpoint"), "{error}");
}

#[test]
fn a_rotated_key_is_vouched_for_by_the_one_before() {
    let place = Place::new();
    let running = with_history(&place);
    let url = url(&running);
    let old = key(&running);
    verify(&place, &[&url]);
    let data = place.text("data");
    place.ok(&["admin", "rotate-key", "acme", "--data-dir", &data]);
    report(&running, "prod", "d");
    // The old key signs along, so that whoever trusts it goes on trusting.
    let verdict = verify(&place, &[&url]);
    assert_eq!(verdict["keys_from"], "remembered");
    assert_eq!(verdict["keys"][0], old.as_str());
    let (_, keys) = running.raw("GET", "/log/acme/keys", None);
    let keys = String::from_utf8(keys).unwrap();
    let new = keys.lines().last().unwrap().split(' ').next().unwrap();
    assert_ne!(new, old);
    // The entry that brought the new key into use stands under the old key's signature.
    assert_eq!(verdict["keys"][1], new);
    verify(&place, &[&url, "--key", new]);
}

#[test]
fn the_key_of_this_machine_is_not_shown_to_other_servers() {
    let place = Place::new();
    let other = block_on(wiremock::MockServer::start());
    std::fs::create_dir_all(place.path("home/.config/runstone")).unwrap();
    place.write(
        "home/.config/runstone/local.json",
        "{\"host\":\"http://127.0.0.1:1\",\"org\":\"local\",\"api_token\":\"secret\"}",
    );
    place.fails(&["verify", &format!("{}/log/acme", other.uri())]);
    let asked = block_on(other.received_requests()).unwrap();
    assert!(!asked.is_empty());
    for request in asked {
        assert!(!request.headers.contains_key("authorization"));
    }
}

#[test]
fn only_named_keys_count_when_some_are_named() {
    let place = Place::new();
    let running = with_history(&place);
    let url = url(&running);
    let key = key(&running);
    let pinned = verify(&place, &[&url, "--key", &key]);
    assert_eq!(pinned["keys_from"], "given");
    place.write("keys", &format!("# the log's key\n{key} 0 -\n"));
    verify(&place, &[&url, "--key-file", &place.text("keys")]);

    // A key of the same name that never signed anything here.
    let origin = key.split('+').next().unwrap();
    let signer = runstone_journal::note::Signer::new(origin, &[7; 32]).unwrap();
    let stranger = signer.verifier_key().to_string();
    let words = ["verify", &url, "--api-token", KEY, "--key", &stranger];
    let error = place.fails(&words);
    assert!(
        error.contains("signed by none of the trusted keys"),
        "{error}"
    );
    assert!(
        error.contains(&key),
        "what the log shows instead is named: {error}"
    );
    let signer = runstone_journal::note::Signer::new("elsewhere/log/x/0", &[7; 32]).unwrap();
    let words = [
        "verify",
        &url,
        "--api-token",
        KEY,
        "--key",
        &signer.verifier_key().to_string(),
    ];
    let error = place.fails(&words);
    assert!(error.contains("do not speak for"), "{error}");
    let error = place.fails(&["verify", &url, "--key", "nonsense"]);
    assert!(error.contains("--key: "), "{error}");
}

#[test]
fn an_export_is_verified_offline_and_a_changed_byte_is_named() {
    let place = Place::new();
    let running = with_history(&place);
    let key = key(&running);
    let size = log_size(&running);
    let (data, folder) = (place.text("data"), place.text("export"));
    let shown = place.ok(&["admin", "export", "acme", &folder, "--data-dir", &data]);
    assert!(shown.contains(&format!("{size} entries")), "{shown}");
    running.stop();
    let verdict = verify(&place, &[&folder, "--key", &key]);
    assert_eq!(verdict["size"], size);

    let bundle = place.path(&format!("export/tile/entries/000.p/{size}"));
    let good = std::fs::read(&bundle).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&bundle, &bad).unwrap();
    let error = place.fails(&["verify", &folder, "--key", &key, "--full"]);
    assert!(error.contains("tile/entries/000.p"), "{error}");
    std::fs::write(&bundle, &good).unwrap();
    verify(&place, &[&folder, "--key", &key, "--full"]);

    let checkpoint = place.path("export/checkpoint");
    let note = std::fs::read_to_string(&checkpoint).unwrap();
    std::fs::write(
        &checkpoint,
        note.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1),
    )
    .unwrap();
    let error = place.fails(&["verify", &folder, "--key", &key]);
    assert!(error.contains("does not hold"), "{error}");
    std::fs::remove_file(&checkpoint).unwrap();
    let error = place.fails(&["verify", &folder, "--key", &key]);
    assert!(error.contains("checkpoint is missing"), "{error}");
}

#[test]
fn a_log_that_forgets_is_found_out() {
    let place = Place::new();
    let running = with_history(&place);
    let (data, folder) = (place.text("data"), place.text("export"));
    let state = place.text("state.json");
    place.ok(&[
        "admin",
        "export",
        "acme",
        &place.text("old"),
        "--data-dir",
        &data,
    ]);
    report(&running, "prod", "e");
    place.ok(&["admin", "export", "acme", &folder, "--data-dir", &data]);
    verify(&place, &[&folder, "--state", &state]);
    let error = place.fails(&["verify", &place.text("old"), "--state", &state]);
    assert!(error.contains("rolled back"), "{error}");
    // What was remembered is not overwritten by that.
    verify(&place, &[&folder, "--state", &state]);
    std::fs::write(&state, "{").unwrap();
    let error = place.fails(&["verify", &folder, "--state", &state]);
    assert!(
        error.contains("remembers what was verified before"),
        "{error}"
    );
}

#[test]
fn an_old_receipt_holds_offline_for_us_and_for_a_foreign_crate() {
    let place = Place::new();
    let running = with_history(&place);
    let key = key(&running);
    // The entry of the first snapshot, long before the newest one.
    let size = log_size(&running);
    let index = (0..size)
        .find(|index| {
            let (_, entry) = running.raw(
                "GET",
                &format!("/api/v2/journal/acme/entries/{index}"),
                None,
            );
            String::from_utf8_lossy(&entry).contains("Snapshot")
        })
        .unwrap();
    let (status, entry) = running.raw(
        "GET",
        &format!("/api/v2/journal/acme/entries/{index}"),
        None,
    );
    assert_eq!(status, 200);
    let (status, receipt) = running.raw(
        "GET",
        &format!("/api/v2/journal/acme/receipts/{index}"),
        None,
    );
    assert_eq!(status, 200);
    running.stop();
    std::fs::write(place.path("entry.json"), &entry).unwrap();
    std::fs::write(place.path("entry.tlog-proof"), &receipt).unwrap();
    let (proof, entry_file) = (place.text("entry.tlog-proof"), place.text("entry.json"));
    let verdict = verify(&place, &[&proof, "--entry", &entry_file, "--key", &key]);
    assert_eq!(verdict["index"], index);
    assert_eq!(verdict["valid"], true);
    let error = place.fails(&["verify", &proof, "--key", &key]);
    assert!(error.contains("--entry is required"), "{error}");
    let error = place.fails(&["verify", &proof, "--entry", &entry_file]);
    assert!(error.contains("no key is trusted yet"), "{error}");
    let mut changed = entry.clone();
    changed[20] ^= 1;
    std::fs::write(place.path("entry.json"), &changed).unwrap();
    let error = place.fails(&["verify", &proof, "--entry", &entry_file, "--key", &key]);
    assert!(error.contains("the receipt does not hold"), "{error}");

    // The same by hand, with a crate that others wrote: the signature, then the path to the root.
    let receipt = String::from_utf8(receipt).unwrap();
    let (head, note) = receipt.split_once("\n\n").unwrap();
    let judge = StandardVerifier::new(&key).unwrap();
    let note = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (known, _) = note
        .verify(&VerifierList::new(vec![Box::new(judge)]))
        .unwrap();
    assert_eq!(known.len(), 1);
    let text = String::from_utf8(note.text().to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let size: u64 = lines[1].parse().unwrap();
    let root = STANDARD.decode(lines[2]).unwrap();
    let hashes: Vec<tlog_tiles::Hash> = head
        .lines()
        .skip(2)
        .map(|line| tlog_tiles::Hash(STANDARD.decode(line).unwrap().try_into().unwrap()))
        .collect();
    let root = tlog_tiles::Hash(root.try_into().unwrap());
    let leaf = tlog_tiles::record_hash(&entry);
    tlog_tiles::check_record(&hashes, size, root, index, leaf).unwrap();
    let other = tlog_tiles::record_hash(&changed);
    assert!(tlog_tiles::check_record(&hashes, size, root, index, other).is_err());
}
