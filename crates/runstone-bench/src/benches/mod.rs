//! The benchmarks, one per file, and the list of them.

pub mod age;
pub mod appends;
pub mod fingerprints;
pub mod history;
pub mod http;
pub mod leaves;
pub mod provenance;
pub mod states;
pub mod trails;

use std::path::PathBuf;

use tempfile::TempDir;

use crate::result::Row;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As little as shows that a benchmark still runs.
    Short,
    /// Enough for steady figures in minutes.
    Usual,
    /// The sizes of the targets.
    Full,
}

/// What every benchmark is given.
pub struct Bench {
    /// How much is measured.
    pub size: Size,
    /// Empty folder on the disk that is measured; removed at the end.
    pub folder: TempDir,
    /// Folder that temporary files of the published client may use on disk.
    pub postgres: Option<String>,
    /// The published client.
    pub client: Option<PathBuf>,
    /// Rows so far.
    pub rows: Vec<Row>,
    /// What was left out and why.
    pub left_out: Vec<String>,
}

impl Bench {
    /// One of three values by size.
    pub fn by_size<T>(&self, short: T, usual: T, full: T) -> T {
        match self.size {
            Size::Short => short,
            Size::Usual => usual,
            Size::Full => full,
        }
    }

    /// A new folder below the one that is measured.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a row and shows it.
    #[expect(clippy::print_stderr, reason = "progress; the result goes to stdout")]
    pub fn row(&mut self, row: Row) {
        eprint!("{}", crate::result::line(&row));
        self.rows.push(row);
    }

    /// Says that something cannot be measured here.
    #[expect(clippy::print_stderr, reason = "progress; the result goes to stdout")]
    pub fn leave_out(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("left out: {what}");
        self.left_out.push(what);
    }
}

/// Every benchmark, in the order it is run: its name and what it measures.
pub const ALL: &[(&str, &str)] = &[
    ("states", "durable changed states against git recorders"),
    (
        "appends",
        "durable journal appends in process, one client and many",
    ),
    ("leaves", "log appends with hashing"),
    (
        "history",
        "bytes per snapshot, any snapshot, any two, when did X run",
    ),
    ("http", "requests against the same server's trivial GET"),
    ("trails", "attesting, and trails with what was told"),
    (
        "age",
        "a long journal: pages, searches, check, start, memory",
    ),
    (
        "provenance",
        "snapshots with provenance and searches by commit beside many attestations",
    ),
    (
        "fingerprints",
        "directories and files against the published client and SHA-256",
    ),
];

/// Runs one of them.
pub async fn run(name: &str, bench: &mut Bench) -> anyhow::Result<()> {
    match name {
        "states" => states::run(bench).await,
        "appends" => appends::run(bench).await,
        "leaves" => leaves::run(bench),
        "history" => history::run(bench).await,
        "http" => http::run(bench).await,
        "trails" => trails::run(bench).await,
        "age" => age::run(bench).await,
        "provenance" => provenance::run(bench).await,
        "fingerprints" => fingerprints::run(bench),
        _ => anyhow::bail!("there is no benchmark {name}"),
    }
}
