//! Every benchmark still runs: the short form, which judges nothing.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::process::Command;

#[test]
fn the_short_form_of_every_benchmark_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_runstone-bench"))
        .args(["--short", "--json"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = result["rows"].as_array().unwrap();
    let list = Command::new(env!("CARGO_BIN_EXE_runstone-bench"))
        .arg("--list")
        .output()
        .unwrap();
    for line in String::from_utf8(list.stdout).unwrap().lines() {
        let name = line.split_whitespace().next().unwrap();
        assert!(
            rows.iter()
                .any(|row| row["benchmark"] == name && row["value"].as_f64().unwrap() > 0.0),
            "{name} measured nothing: {errors}"
        );
    }
}

#[test]
fn an_unknown_name_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_runstone-bench"))
        .arg("nothing")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
