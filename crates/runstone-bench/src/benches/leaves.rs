//! Appends to the Merkle tree: leaf hash of an entry, the nodes above it, full tiles.

use std::hint::black_box;
use std::time::{Duration, Instant};

use runstone_journal::merkle::{Edge, leaf_hash};

use super::Bench;
use crate::machine::{ENTRY_BYTES, sha256_rate};
use crate::measure::Best;
use crate::result::{Goal, Row};

/// Measures.
#[expect(clippy::unnecessary_wraps, reason = "all benchmarks have one shape")]
pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let time = Duration::from_millis(bench.by_size(20, 500, 1_000));
    let mut ours = Best::new();
    let mut limit = Best::new();
    for _ in 0..bench.by_size(1, 5, 5) {
        ours.see(leaves(time));
        limit.see(sha256_rate(1, time));
    }
    // A leaf of 400 bytes is seven blocks of 64; a node is two, and there is one per leaf.
    let hashed = (7 + 2) * 64;
    let (ours, limit) = (ours.get(), limit.get() / f64::from(hashed));
    bench.row(Row::rate(
        "leaves",
        "log append with hashing, entries of 400 B",
        "leaves/s",
        ours,
        Some(("SHA-256 of its blocks", limit)),
        Goal::AtLeast(2e6),
    ));
    Ok(())
}

fn leaves(time: Duration) -> f64 {
    let mut edge = Edge::new();
    let mut entry = [7u8; ENTRY_BYTES];
    let mut tiles = 0u64;
    let began = Instant::now();
    let mut count = 0u64;
    while began.elapsed() < time {
        for _ in 0..1_000 {
            entry[..8].copy_from_slice(&count.to_be_bytes());
            edge.push(leaf_hash(&entry), &mut |tile| {
                black_box(&tile);
                tiles += 1;
            });
            count += 1;
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    black_box((edge.root(), tiles));
    rate
}
