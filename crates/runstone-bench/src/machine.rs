//! What the machine can do at this moment, so that a ratio and not a rate is judged.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// Bytes of an entry in every comparison with raw appends.
pub const ENTRY_BYTES: usize = 400;

/// Appends of 400 bytes with `fdatasync` each, per second, to a file that grows.
pub fn append_rate(folder: &Path, time: Duration) -> anyhow::Result<f64> {
    let path = folder.join("append");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [7; ENTRY_BYTES];
    let began = Instant::now();
    let mut count = 0u32;
    while began.elapsed() < time {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Bytes per second of SHA-256 over blocks of 1 MiB in memory, the sum of `threads` threads.
pub fn sha256_rate(threads: usize, time: Duration) -> f64 {
    let hash = move || {
        let block = vec![7u8; 1 << 20];
        let began = Instant::now();
        let mut bytes = 0u64;
        let mut sum = 0u8;
        while began.elapsed() < time {
            sum ^= Sha256::digest(&block)[0];
            bytes += block.len() as u64;
        }
        std::hint::black_box(sum);
        bytes as f64 / began.elapsed().as_secs_f64()
    };
    let others: Vec<_> = (1..threads).map(|_| std::thread::spawn(hash)).collect();
    let own = hash();
    others
        .into_iter()
        .map(|thread| thread.join().expect("hashing does not fail"))
        .sum::<f64>()
        + own
}

/// Processor time this process has used so far, in seconds; 0 where nobody tells.
pub fn processor_time() -> f64 {
    // Behind the name, which may hold blanks: state, ten numbers, then user and system time in
    // hundredths of a second.
    let found = std::fs::read_to_string("/proc/self/stat").ok();
    let ticks = found.as_deref().and_then(|text| {
        let mut rest = text.rsplit_once(") ")?.1.split(' ').skip(11);
        let user: f64 = rest.next()?.parse().ok()?;
        let system: f64 = rest.next()?.parse().ok()?;
        Some(user + system)
    });
    ticks.unwrap_or(0.0) / 100.0
}

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Load average over the last minute.
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|rest| rest.trim().parse().ok())
        .ok_or_else(|| anyhow::anyhow!("the kernel does not tell the resident memory"))?;
    Ok(kilobytes * 1024)
}
