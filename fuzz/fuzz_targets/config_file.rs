//! Config files in every form they may have, read the way the command line does.
#![no_main]

#[expect(dead_code, reason = "only reading is tried here")]
#[path = "../../crates/runstone/src/config.rs"]
mod config;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for files"));

fuzz_target!(|input: (u8, &[u8])| {
    let (form, bytes) = input;
    let extensions = ["json", "toml", "yml", "env"];
    let extension = extensions[usize::from(form) % extensions.len()];
    let path = FOLDER.path().join("config").with_extension(extension);
    std::fs::write(&path, bytes).expect("the folder takes files");
    if let Ok(read) = config::read(&path.to_string_lossy()) {
        let file = read.expect("the file is there");
        assert!(file.keys.keys().all(|key| *key == key.to_lowercase()));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = config::decrypt(text, None);
    }
});
