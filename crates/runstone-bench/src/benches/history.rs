//! A long history of one environment: its bytes on disk, any snapshot of it, any two, and when
//! something ran; against full JSON, a join table, and git.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use runstone_model::command::Reply;
use runstone_model::fact::{JudgementNo, RecordNo};
use runstone_model::id::Fingerprint;
use runstone_model::name::EnvironmentKind;
use rusqlite::{Connection, OpenFlags};

use super::Bench;
use super::states::file;
use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::git::{GitCommand, Promise};
use crate::measure::{Latencies, seconds};
use crate::result::{Goal, Row};
use crate::world::{ORGANIZATION, World, command, report};

/// Name of the environment.
pub const ENVIRONMENT: &str = "history";
/// Reports that are on their way to the writer at once while a history is made.
const IN_FLIGHT: usize = 64;

/// A history on disk.
pub struct History {
    /// Folder of the store.
    pub folder: PathBuf,
    /// Snapshots.
    pub snapshots: u64,
    /// Mean bytes of a report's body.
    pub body_bytes: f64,
    /// What ran in the middle, for searches.
    pub middle: Vec<Fingerprint>,
}

/// Makes a history of so many snapshots of so many artifacts, and seals it.
pub async fn make(
    folder: PathBuf,
    artifacts: usize,
    snapshots: u64,
    mut each: impl FnMut(&Fleet, &[usize]) -> anyhow::Result<()>,
) -> anyhow::Result<History> {
    let world = World::open(&folder).await?;
    world.environment(ENVIRONMENT, EnvironmentKind::K8s).await?;
    let mut fleet = Fleet::new(artifacts, 7);
    let all: Vec<_> = (0..artifacts).collect();
    let mut bytes = 0;
    let mut middle = Vec::new();
    let mut done = 0;
    while done < snapshots {
        let mut waiting = Vec::with_capacity(IN_FLIGHT);
        for _ in 0..IN_FLIGHT.min((snapshots - done) as usize) {
            let changed = if done == 0 { all.clone() } else { fleet.step() };
            each(&fleet, &changed)?;
            done += 1;
            bytes += fleet
                .pods
                .iter()
                .map(|pod| pod.json.len() + 1)
                .sum::<usize>();
            if done == snapshots.div_ceil(2) {
                middle = fleet.pods.iter().map(|pod| pod.fingerprint).collect();
            }
            let action = report(ENVIRONMENT, EnvironmentKind::K8s, fleet.report());
            let store = world.store.clone();
            let command = command(&store, ORGANIZATION, action);
            let (sent, taken) = tokio::sync::oneshot::channel();
            waiting.push(tokio::spawn(async move {
                let answer = store.submit(command);
                tokio::pin!(answer);
                // One poll puts it into the queue; the next report may follow it then.
                let mut sent = Some(sent);
                std::future::poll_fn(|context| {
                    let polled = answer.as_mut().poll(context);
                    if let Some(sent) = sent.take() {
                        let _ = sent.send(());
                    }
                    polled
                })
                .await
            }));
            let _ = taken.await;
        }
        for task in waiting {
            let made = task.await??;
            ensure!(
                matches!(made.reply, Reply::Snapshot(_)),
                "a changed state made no snapshot"
            );
        }
    }
    world.store.seal_all().await?;
    world.end(None).await?;
    Ok(History {
        folder,
        snapshots,
        body_bytes: bytes as f64 / snapshots as f64,
        middle,
    })
}

fn open(folder: &Path) -> anyhow::Result<Connection> {
    Ok(Connection::open_with_flags(
        folder.join("runstone.db"),
        OpenFlags::SQLITE_OPEN_READ_WRITE,
    )?)
}

/// Used bytes by class of table, everything, and everything with free pages.
struct Sizes {
    classes: BTreeMap<&'static str, u64>,
    tables: Vec<(String, u64)>,
    used: u64,
    file: u64,
}

fn sizes(folder: &Path) -> anyhow::Result<Sizes> {
    let database = open(folder)?;
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let mut statement = database.prepare(
        "SELECT s.name, coalesce(m.tbl_name, s.name), coalesce(m.type, 'table'), sum(s.pgsize) FROM dbstat s LEFT JOIN sqlite_schema m ON m.name = s.name GROUP BY 1, 2, 3 ORDER BY 4 DESC",
    )?;
    let mut sizes = Sizes {
        classes: BTreeMap::new(),
        tables: Vec::new(),
        used: 0,
        file: 0,
    };
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    for row in rows {
        let (name, table, kind, bytes) = row?;
        let bytes = bytes as u64;
        let class = match (table.as_str(), kind.as_str()) {
            (_, "index") => "indexes",
            ("snapshots", _) => "state",
            ("heads" | "epochs" | "log_keys" | "entries" | "bundles" | "tiles", _) => "journal",
            ("bodies", _) => "bodies",
            _ => "derived rows and the rest",
        };
        *sizes.classes.entry(class).or_default() += bytes;
        sizes.used += bytes;
        sizes.tables.push((name, bytes));
    }
    let blobs = folder.join("blobs");
    if blobs.exists() {
        let bytes = crate::git::folder_bytes(&blobs)?;
        *sizes.classes.entry("bodies").or_default() += bytes;
        sizes.used += bytes;
    }
    sizes.file = std::fs::metadata(folder.join("runstone.db"))?.len();
    Ok(sizes)
}

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    thousand(bench).await?;
    hundred(bench).await
}

/// 1,000 artifacts: bytes, and reads at any age.
async fn thousand(bench: &mut Bench) -> anyhow::Result<()> {
    let artifacts = bench.by_size(60, 1_000, 1_000);
    let snapshots = bench.by_size(600, 5_000, 100_000);
    let joined = bench.by_size(600, 5_000, 5_000);
    let mut table = JoinTable::new(&bench.path("join.db"))?;
    let began = Instant::now();
    let mut recorded = 0;
    let history = make(
        bench.path("history"),
        artifacts,
        snapshots,
        |fleet, changed| {
            if recorded < joined {
                table.record(fleet, changed)?;
            }
            recorded += 1;
            Ok(())
        },
    )
    .await?;
    let per_second = snapshots as f64 / began.elapsed().as_secs_f64();
    let join_bytes = table.bytes()? as f64 / f64::from(joined);
    let sizes = sizes(&history.folder)?;
    let each = |bytes: u64| bytes as f64 / snapshots as f64;
    let name = "history";
    let title = format!("bytes per snapshot, {artifacts} artifacts, {snapshots} snapshots, sealed");
    bench.row(Row::cost(
        name,
        &title,
        "B",
        each(sizes.used),
        Some(("full JSON", history.body_bytes)),
        Goal::Ratio(200.0),
    ));
    bench.row(Row::cost(
        name,
        &title,
        "B",
        each(sizes.used),
        Some(("join table", join_bytes)),
        Goal::Ratio(10.0),
    ));
    for (class, bytes) in &sizes.classes {
        bench.row(Row::cost(
            name,
            format!("of these: {class}"),
            "B",
            each(*bytes),
            None,
            Goal::None,
        ));
    }
    for (table, bytes) in sizes.tables.iter().take(12) {
        bench.row(Row::cost(
            name,
            format!("of these: {table} alone"),
            "B",
            each(*bytes),
            None,
            Goal::None,
        ));
    }
    bench.row(Row::cost(
        name,
        "the file with its free pages",
        "B",
        each(sizes.file),
        None,
        Goal::None,
    ));
    bench.row(Row::rate(
        name,
        format!("snapshots recorded, {IN_FLIGHT} at once, reports made in between"),
        "1/s",
        per_second,
        None,
        Goal::None,
    ));
    reads(bench, &history).await
}

/// Any snapshot, any two.
async fn reads(bench: &mut Bench, history: &History) -> anyhow::Result<()> {
    let calls = bench.by_size(30, 2_000, 5_000);
    let world = World::open(&history.folder).await?;
    let environment = world.number(ENVIRONMENT).await?;
    let mut chance = Chance::new(5);
    let mut any = || 1 + chance.below(history.snapshots);
    let mut ids = Latencies::default();
    let mut whole = Latencies::default();
    let mut two = Latencies::default();
    let mut change = Latencies::default();
    for _ in 0..calls {
        let no = any();
        let began = Instant::now();
        let mut read = world.store.read().await?;
        black_box(read.state(world.organization, environment, no).await?);
        drop(read);
        ids.push(began.elapsed());

        let no = any();
        let began = Instant::now();
        let mut read = world.store.read().await?;
        black_box(read.running(world.organization, environment, no).await?);
        drop(read);
        whole.push(began.elapsed());

        let (first, second) = (any(), any());
        let began = Instant::now();
        let mut read = world.store.read().await?;
        let first = read.state(world.organization, environment, first).await?;
        let second = read.state(world.organization, environment, second).await?;
        drop(read);
        black_box(difference(&first, &second));
        two.push(began.elapsed());

        let no = any();
        let began = Instant::now();
        let mut read = world.store.read().await?;
        black_box(
            read.changes(world.organization, environment, no, no)
                .await?,
        );
        drop(read);
        change.push(began.elapsed());
    }
    for (measure, times, goal) in [
        ("any snapshot, records", &ids, Goal::AtMost(100.0)),
        ("any two, difference of records", &two, Goal::AtMost(100.0)),
        ("any snapshot with names and details", &whole, Goal::None),
        (
            "changes of any one snapshot with details",
            &change,
            Goal::None,
        ),
    ] {
        bench.row(Row::cost(
            "history",
            format!(
                "{measure}, in store, median (p99 {:.0} us)",
                times.at(0.99) * 1e6
            ),
            "us",
            times.at(0.5) * 1e6,
            None,
            goal,
        ));
    }
    world.end(None).await
}

/// What is in one state only; both are sorted by record.
fn difference(
    first: &[(RecordNo, JudgementNo)],
    second: &[(RecordNo, JudgementNo)],
) -> (Vec<RecordNo>, Vec<RecordNo>) {
    let only = |of: &[(RecordNo, JudgementNo)], other: &[(RecordNo, JudgementNo)]| {
        let mut position = 0;
        of.iter()
            .filter(|(record, _)| {
                while other.get(position).is_some_and(|(known, _)| known < record) {
                    position += 1;
                }
                other.get(position).is_none_or(|(known, _)| known != record)
            })
            .map(|(record, _)| *record)
            .collect()
    };
    (only(first, second), only(second, first))
}

/// 100 artifacts, against git after it has packed everything.
async fn hundred(bench: &mut Bench) -> anyhow::Result<()> {
    let artifacts = bench.by_size(20, 100, 100);
    let snapshots: u64 = bench.by_size(300, 1_000, 1_000);
    // Commits cost; the short form makes git record only the first states.
    let commits = bench.by_size(10, snapshots, snapshots);
    let git = GitCommand::new(&bench.path("git-history"), Promise::Default)?;
    let mut recorded = 0;
    let history = make(
        bench.path("history-100"),
        artifacts,
        snapshots,
        |fleet, changed| {
            recorded += 1;
            if recorded > commits {
                return Ok(());
            }
            let files: Vec<_> = changed.iter().map(|number| file(fleet, *number)).collect();
            git.record(&files)
        },
    )
    .await?;
    git.collect()?;
    let name = "history";
    let sizes = sizes(&history.folder)?;
    bench.row(Row::cost(
        name,
        format!("bytes of {snapshots} snapshots, {artifacts} artifacts, sealed"),
        "kB",
        sizes.used as f64 / 1e3,
        Some((
            if commits == snapshots {
                "git after gc"
            } else {
                "git after gc, the first states only"
            },
            git.bytes()? as f64 / 1e3,
        )),
        Goal::Ratio(1.0),
    ));
    for (class, bytes) in &sizes.classes {
        bench.row(Row::cost(
            name,
            format!("of these: {class}"),
            "kB",
            *bytes as f64 / 1e3,
            None,
            Goal::None,
        ));
    }
    for (table, bytes) in sizes.tables.iter().take(12) {
        bench.row(Row::cost(
            name,
            format!("of these: {table} alone"),
            "kB",
            *bytes as f64 / 1e3,
            None,
            Goal::None,
        ));
    }

    let world = World::open(&history.folder).await?;
    let searches = bench.by_size(3, 200, 1_000);
    let mut chance = Chance::new(11);
    let mut ours = Latencies::default();
    for _ in 0..searches {
        let wanted = history.middle[chance.below(history.middle.len() as u64) as usize].to_hex();
        let began = Instant::now();
        let mut read = world.store.read().await?;
        let records = read
            .records_by_prefix(world.organization, &wanted, 10)
            .await?;
        let numbers: Vec<_> = records.iter().map(|record| record.no).collect();
        let runs = read.runs(world.organization, &numbers).await?;
        drop(read);
        ours.push(began.elapsed());
        ensure!(!runs.is_empty(), "what ran is not found");
    }
    let mut theirs = Latencies::default();
    for _ in 0..bench.by_size(1, 10, 20) {
        let wanted = history.middle[chance.below(history.middle.len() as u64) as usize].to_hex();
        let ((), time) = seconds(|| {
            git.run(&["log", "--format=%H", &format!("-S{wanted}")])
                .map(drop)
        })?;
        theirs.push(Duration::from_secs_f64(time));
    }
    bench.row(Row::cost(
        name,
        "when did X run, in store, median",
        "us",
        ours.at(0.5) * 1e6,
        Some(("git log -S after gc", theirs.at(0.5) * 1e6)),
        Goal::Ratio(1_000.0),
    ));
    world.end(None).await
}

/// Peer: a table of artifacts and a table of (snapshot, artifact).
struct JoinTable {
    database: Connection,
    running: Vec<i64>,
    artifacts: i64,
    snapshots: i64,
    path: PathBuf,
}

impl JoinTable {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let database = Connection::open(path)?;
        database.execute_batch(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             CREATE TABLE artifacts (no INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
             CREATE TABLE running (snapshot INTEGER NOT NULL, artifact INTEGER NOT NULL, PRIMARY KEY (snapshot, artifact)) WITHOUT ROWID;",
        )?;
        Ok(Self {
            database,
            running: Vec::new(),
            artifacts: 0,
            snapshots: 0,
            path: path.to_owned(),
        })
    }

    fn record(&mut self, fleet: &Fleet, changed: &[usize]) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        self.snapshots += 1;
        self.running.resize(fleet.pods.len(), 0);
        {
            let mut artifact = transaction
                .prepare_cached("INSERT OR IGNORE INTO artifacts VALUES (?1, ?2, ?3)")?;
            for number in changed {
                let pod = &fleet.pods[*number];
                self.artifacts += 1;
                artifact.execute((self.artifacts, &pod.fingerprint.0[..], &pod.json))?;
                self.running[*number] = self.artifacts;
            }
            let mut running = transaction.prepare_cached("INSERT INTO running VALUES (?1, ?2)")?;
            for artifact in &self.running {
                running.execute((self.snapshots, artifact))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn bytes(self) -> anyhow::Result<u64> {
        self.database
            .close()
            .map_err(|(_, error)| error)
            .context("cannot close the join table")?;
        Ok(std::fs::metadata(self.path)?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_one_side_has_alone() {
        let state = |numbers: &[u32]| -> Vec<_> {
            numbers
                .iter()
                .map(|number| (RecordNo(*number), JudgementNo(0)))
                .collect()
        };
        let (first, second) = difference(&state(&[1, 2, 4, 9]), &state(&[2, 3, 9, 10]));
        assert_eq!(first, [RecordNo(1), RecordNo(4)]);
        assert_eq!(second, [RecordNo(3), RecordNo(10)]);
    }
}
