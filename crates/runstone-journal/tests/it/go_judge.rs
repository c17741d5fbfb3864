//! A judge in another language: `tests-compat/judge-go`, built on golang.org/x/mod/sumdb, must
//! accept our folders and receipts and refuse tampered ones.
//!
//! Runs where `RUNSTONE_TEST_GO=1` says that there is a Go toolchain that may fetch modules.

use crate::log::{TestLog, signer};
use runstone_journal::proof::{Receipt, prove_inclusion};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns a folder of this test run, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Builds the judge and returns the program, or `None` where it is left out.
fn build_judge() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test script says through the environment what is installed"
    )]
    let wanted = std::env::var("RUNSTONE_TEST_GO");
    if wanted.as_deref() != Ok("1") {
        #[expect(
            clippy::print_stderr,
            reason = "a test that leaves something out says so"
        )]
        {
            eprintln!("left out: the Go judge, because RUNSTONE_TEST_GO is not 1");
        }
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-compat/judge-go");
    let program = folder("judge-go").join("judge-go");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    Some(program)
}

fn run(program: &Path, arguments: &[&Path]) -> Output {
    Command::new(program)
        .args(arguments)
        .arg(signer().verifier_key().to_string())
        .output()
        .unwrap()
}

fn expected(log: &TestLog) -> String {
    let checkpoint = log.checkpoint().to_string();
    format!("ok {} {}\n", log.size(), checkpoint.lines().nth(2).unwrap())
}

fn check_accepted(output: &Output, log: &TestLog) {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected(log));
}

fn check_refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains(reason), "{shown}");
}

fn write_log(log: &TestLog, folder: &Path) {
    for (path, bytes) in log.files().files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn flip_last_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_go_judge_accepts_our_logs_and_refuses_tampered_ones() {
    let Some(judge) = build_judge() else {
        return;
    };
    for size in [0, 1, 2, 255, 256, 257, 600, 65_537] {
        let log = TestLog::new(size);
        let folder = folder(&format!("log-{size}"));
        write_log(&log, &folder);
        check_accepted(&run(&judge, &[&folder]), &log);
    }

    let log = TestLog::new(600);
    for (path, reason) in [
        ("tile/entries/001", "tile/0/001 differs"),
        ("tile/0/001", "tile/0/001 differs"),
        ("tile/1/000.p/2", "tile/1/000.p/2 differs"),
    ] {
        let folder = folder("log-tampered");
        write_log(&log, &folder);
        flip_last_byte(&folder.join(path));
        check_refused(&run(&judge, &[&folder]), reason);
    }
    let folder = folder("log-tampered");
    write_log(&log, &folder);
    let checkpoint = std::fs::read_to_string(folder.join("checkpoint")).unwrap();
    let shorter = checkpoint.replacen("\n600\n", "\n599\n", 1);
    std::fs::write(folder.join("checkpoint"), shorter).unwrap();
    check_refused(&run(&judge, &[&folder]), "invalid signature");

    check_receipts(&judge);
}

fn check_receipts(judge: &Path) {
    let mut log = TestLog::new(600);
    let folder = folder("receipts");
    let (file, entry) = (folder.join("receipt.tlog-proof"), folder.join("entry"));
    for (index, extra) in [(0, None), (257, Some(b"extra".to_vec())), (599, None)] {
        let receipt = Receipt {
            extra,
            index,
            hashes: prove_inclusion(&mut log, index, 600).unwrap(),
            checkpoint: log.checkpoint().sign(&[&signer()]).unwrap().to_string(),
        };
        std::fs::write(&file, receipt.to_string()).unwrap();
        std::fs::write(&entry, &log.entries[index as usize]).unwrap();
        let arguments = [Path::new("receipt"), &file, &entry];
        check_accepted(&run(judge, &arguments), &log);
        std::fs::write(&entry, b"another entry").unwrap();
        check_refused(&run(judge, &arguments), "invalid transparency proof");
    }
}
