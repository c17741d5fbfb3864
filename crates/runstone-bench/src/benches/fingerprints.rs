//! Fingerprints: a directory of many small files against the published client, and large files
//! against what the cores can hash.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use runstone_fingerprint::{Options, directory, file};

use super::Bench;
use crate::chance::Chance;
use crate::machine::{cores, sha256_rate};
use crate::measure::Best;
use crate::result::{Goal, Row};

/// Measures.
pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    small_files(bench)?;
    large_files(bench)
}

fn small_files(bench: &mut Bench) -> anyhow::Result<()> {
    let files: u64 = bench.by_size(200, 100_000, 100_000);
    let root = bench.path("small");
    let mut chance = Chance::new(1);
    let mut block = vec![0u8; 16 * 1024];
    for byte in &mut block {
        *byte = chance.next() as u8;
    }
    for folder in 0..files.div_ceil(100) {
        let path = root.join(format!("{:02}/{folder:04}", folder % 50));
        std::fs::create_dir_all(&path)?;
        for number in 0..100.min(files - folder * 100) {
            // Mean 6 kB, as in a source tree with its dependencies.
            let length = chance.below(12_000) as usize;
            let start = chance.below((block.len() - length) as u64) as usize;
            std::fs::write(
                path.join(format!("file-{number:02}.txt")),
                &block[start..start + length],
            )?;
        }
    }
    let on_disk = bench.path("client-temp");
    std::fs::create_dir_all(&on_disk)?;
    let in_memory = tempfile::Builder::new()
        .prefix("runstone-bench-")
        .tempdir_in("/dev/shm");

    let rounds = bench.by_size(1, 3, 3);
    let mut ours = Best::new();
    let mut disk = Best::new();
    let mut memory = Best::new();
    let mut found = String::new();
    for round in 0..rounds {
        // The first run fills the page cache, for all alike.
        if round == 0 {
            directory(&root, &Options::default())?;
        }
        for _ in 0..2 {
            let began = Instant::now();
            found = directory(&root, &Options::default())?.fingerprint.to_hex();
            ours.see(1.0 / began.elapsed().as_secs_f64());
        }
        if let Some(client) = &bench.client {
            if round < 2 {
                disk.see(1.0 / run_client(client, &root, &on_disk, &found)?);
            }
            if let Ok(temp) = &in_memory {
                memory.see(1.0 / run_client(client, &root, temp.path(), &found)?);
            }
        }
    }
    let name = "fingerprints";
    let measure = format!("directory of {files} small files, page cache warm");
    let ours = 1.0 / ours.get();
    if bench.client.is_some() {
        bench.row(Row::cost(
            name,
            &measure,
            "s",
            ours,
            Some(("published client, temp on disk", 1.0 / disk.get())),
            Goal::Ratio(20.0),
        ));
    }
    if bench.client.is_some() && in_memory.is_ok() {
        bench.row(Row::cost(
            name,
            &measure,
            "s",
            ours,
            Some(("published client, temp in memory", 1.0 / memory.get())),
            Goal::Ratio(7.0),
        ));
    }
    if bench.client.is_none() {
        bench.row(Row::cost(name, &measure, "s", ours, None, Goal::None));
        bench.leave_out("the published client: RUNSTONE_TEST_KOSLI does not name it");
    }
    ensure!(found.len() == 64, "a fingerprint has 64 digits");
    Ok(())
}

/// Seconds the published client takes; it must find the same.
fn run_client(client: &Path, root: &Path, temp: &Path, expected: &str) -> anyhow::Result<f64> {
    let began = Instant::now();
    let output = Command::new(client)
        .env_clear()
        .env("HOME", temp)
        .env("TMPDIR", temp)
        .current_dir(temp)
        .args(["fingerprint", "--artifact-type", "dir"])
        .arg(root)
        .output()
        .context("cannot start the published client")?;
    let time = began.elapsed().as_secs_f64();
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || found != expected {
        bail!(
            "the published client answers {found:?} {}, not {expected}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(time)
}

fn large_files(bench: &mut Bench) -> anyhow::Result<()> {
    let files = bench.by_size(8, 2_000, 2_000);
    let large: u64 = bench.by_size(8 << 20, 1 << 30, 4 << 30);
    let root = bench.path("large");
    std::fs::create_dir_all(&root)?;
    let mut chance = Chance::new(2);
    let mut block = vec![0u8; 1 << 20];
    for part in block.chunks_mut(8) {
        part.copy_from_slice(&chance.next().to_be_bytes());
    }
    for number in 0..files {
        block[..4].copy_from_slice(&u32::to_be_bytes(number));
        std::fs::write(root.join(format!("{number:04}.bin")), &block)?;
    }
    let one = bench.path("one.bin");
    let mut out = std::fs::File::create(&one)?;
    for _ in 0..large >> 20 {
        out.write_all(&block)?;
    }
    out.sync_all()?;
    drop(out);

    let rounds = bench.by_size(1, 5, 5);
    let time = Duration::from_millis(bench.by_size(20, 1_000, 2_000));
    let cores = cores();
    let mut many = Best::new();
    let mut single = Best::new();
    let mut all_cores = Best::new();
    let mut one_core = Best::new();
    let many_bytes = f64::from(files) * block.len() as f64;
    directory(&root, &Options::default())?;
    file(&one)?;
    for _ in 0..rounds {
        let began = Instant::now();
        directory(&root, &Options::default())?;
        many.see(many_bytes / began.elapsed().as_secs_f64());
        all_cores.see(sha256_rate(cores, time));
        let began = Instant::now();
        file(&one)?;
        single.see(large as f64 / began.elapsed().as_secs_f64());
        one_core.see(sha256_rate(1, time));
    }
    let name = "fingerprints";
    bench.row(Row::rate(
        name,
        format!("directory of {files} files of 1 MiB"),
        "GB/s",
        many.get() / 1e9,
        Some(("SHA-256 on all cores at once", all_cores.get() / 1e9)),
        Goal::Ratio(0.9),
    ));
    bench.row(Row::rate(
        name,
        format!("one file of {} MiB", large >> 20),
        "GB/s",
        single.get() / 1e9,
        Some(("SHA-256 on one core", one_core.get() / 1e9)),
        Goal::Ratio(0.9),
    ));
    Ok(())
}
