//! Random histories that touch every kind of entry, and copies of all tables to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use runstone_model::command::{Action, NewKey, PatchEnvironment, PutEnvironment, RecordReport};
use runstone_model::event::Claim;
use runstone_model::fact::Seen;
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_model::role::Role;
use runstone_store::{Engine, Options, SubmitError, Wanted, backup};

use crate::support::{Bench, TestClock, options};

/// Does `count` random things to two organizations; refusals are part of life.
pub async fn live(bench: &Bench, seed: u64, count: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let organizations = ["acme", "umbrella"];
    for name in organizations {
        bench.organization(name).await;
    }
    for _ in 0..count {
        bench.clock.advance(random.random_range(0..3_000_000));
        let mut organization = organizations[usize::from(random.random_bool(0.3))];
        let action = act(bench, &mut random);
        if matches!(
            action,
            Action::PutUser { .. } | Action::PutUserKey { .. } | Action::PutOrganization { .. }
        ) {
            organization = "";
        }
        match bench.system(organization, action).await {
            Ok(_) | Err(SubmitError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if random.random_bool(0.01) {
            erase_one(bench, organization, &mut random).await;
        }
    }
}

/// Erases one private body, whichever it is.
async fn erase_one(bench: &Bench, organization: &str, random: &mut StdRng) {
    let all = bench.store.erasable(organization, &Wanted::All).await;
    let all = all.unwrap();
    if all.is_empty() {
        return;
    }
    let body = &all[random.random_range(0..all.len())];
    let wanted = Wanted::Digests(vec![body.digest]);
    let done = bench.store.erase(organization, &wanted, "a reason").await;
    assert_eq!(done.unwrap().entries.len(), 1);
}

fn name(random: &mut StdRng) -> String {
    format!("env-{}", random.random_range(0..6))
}

fn act(bench: &Bench, random: &mut StdRng) -> Action {
    match random.random_range(0..100) {
        0..8 => put(random),
        8..60 => Action::RecordReport(report(bench, random)),
        60..64 => Action::RenameEnvironment {
            environment: name(random),
            new_name: name(random),
        },
        64..67 => Action::ArchiveEnvironment {
            environment: name(random),
        },
        67..72 => Action::TagEnvironment {
            environment: name(random),
            set: [(
                format!("key-{}", random.random_range(0..3)),
                "ä\"\\\u{1}".to_owned(),
            )]
            .into(),
            remove: vec![format!("key-{}", random.random_range(0..3))],
        },
        72..76 => Action::JoinEnvironment {
            logical: name(random),
            physical: name(random),
        },
        76..79 => Action::PatchEnvironment(PatchEnvironment {
            environment: name(random),
            description: Some(format!("text {}", random.random_range(0..3))),
            include_scaling: random.random_bool(0.5).then(|| random.random_bool(0.5)),
            included_environments: random
                .random_bool(0.3)
                .then(|| vec![name(random), name(random)]),
            policies: None,
        }),
        79..82 => Action::PutUser {
            name: format!("user-{}", random.random_range(0..3)),
            email: format!("{}@example.com", random.random_range(0..3)),
        },
        82..85 => Action::PutRole {
            user: format!("user-{}", random.random_range(0..3)),
            role: Role::ALL[random.random_range(0..4)],
        },
        85..88 => Action::PutUserKey {
            user: format!("user-{}", random.random_range(0..3)),
            key: key(bench, random),
        },
        88..91 => Action::PutServiceAccount {
            name: format!("robot-{}", random.random_range(0..3)),
            role: Role::ALL[random.random_range(0..4)],
            description: format!("robot {}", random.random_range(0..2)),
        },
        91..94 => Action::PutServiceAccountKey {
            account: format!("robot-{}", random.random_range(0..3)),
            key: key(bench, random),
        },
        94..96 => Action::PutOrganization {
            id: format!("{:016x}", random.random::<u64>()),
            name: "acme".to_owned(),
            kind: runstone_model::fact::OrganizationKind::Shared,
            public: random.random_bool(0.5),
            description: format!("organization {}", random.random_range(0..2)),
        },
        96..98 => Action::NoteClockMovedBack { by: 7 },
        _ => Action::RecordObservation {
            environment: runstone_model::fact::EnvironmentNo(1),
            unshared: None,
        },
    }
}

fn put(random: &mut StdRng) -> Action {
    let logical = random.random_bool(0.3);
    Action::PutEnvironment(PutEnvironment {
        name: name(random),
        kind: if logical {
            EnvironmentKind::Logical
        } else {
            EnvironmentKind::Server
        },
        description: "an environment".to_owned(),
        include_scaling: Some(random.random_bool(0.5)),
        require_provenance: None,
        included_environments: logical.then(|| vec![name(random)]),
        policies: None,
    })
}

fn key(bench: &Bench, random: &mut StdRng) -> NewKey {
    let secret = format!("rst_{}", random.random_range(0..40));
    NewKey {
        id: format!("{:08x}", random.random::<u32>()),
        verifier: bench.store.verifier(&secret),
        description: "a key".to_owned(),
        expires_at: random
            .random_bool(0.3)
            .then_some(Micros(2_000_000_000_000_000)),
    }
}

fn report(bench: &Bench, random: &mut StdRng) -> RecordReport {
    let now = bench.store.now().0;
    let count = random.random_range(0..5);
    // Now and then one too large for the database.
    let large = random.random_bool(0.02);
    let mut artifacts: Vec<Observed> = (0..count)
        .map(|_| {
            let times: Vec<String> = (0..random.random_range(1..4))
                .map(|time| time.to_string())
                .collect();
            let mut detail = format!("{{\"t\":[{}]}}", times.join(","));
            if large {
                let noise: String = (0..70_000)
                    .map(|_| char::from(random.random_range(b'a'..=b'z')))
                    .collect();
                detail = format!("{{\"noise\":\"{noise}\",\"t\":[{}]}}", times.join(","));
            }
            Observed {
                name: format!("app-{}", random.random_range(0..6)),
                fingerprint: random
                    .random_bool(0.9)
                    .then(|| Fingerprint([random.random_range(1..4); 32])),
                detail: Detail::from_canonical(detail.into_bytes()),
            }
        })
        .collect();
    artifacts.sort_by(|a, b| (a.fingerprint, &a.name).cmp(&(b.fingerprint, &b.name)));
    artifacts.dedup_by(|a, b| (a.fingerprint, &a.name) == (b.fingerprint, &b.name));
    RecordReport {
        environment: name(random),
        kind: EnvironmentKind::Server,
        report: Arc::new(Report { artifacts }),
        claim: random.random_bool(0.5).then(|| Claim {
            at: random
                .random_bool(0.5)
                .then(|| Micros(now - random.random_range(0..5_000_000))),
            by: format!("reporter-{}", random.random_range(0..2)),
            sequence: random.random_bool(0.5).then(|| random.random_range(1..100)),
        }),
        unshared: random.random_bool(0.3).then(|| Seen {
            from: Micros(now - 2_000_000),
            to: Micros(now),
            reports: 3,
            longest_gap: 1_000_000,
            reporter: "reporter-0".to_owned(),
        }),
    }
}

/// The options a bench was opened with.
pub fn options_of(bench: &Bench) -> Options {
    options(&bench.engine, &bench.folder, bench.clock.clone(), 77)
}

/// Options of a store in another folder, at a later time.
pub fn options_in(engine: &Engine, folder: &tempfile::TempDir) -> Options {
    let clock = Arc::new(TestClock::at(1_990_000_000_000_000));
    options(engine, folder, clock, 78)
}

/// Every row of every table in key order, by table; SQLite is read as it is, PostgreSQL through
/// a backup.
pub async fn dump(options: &Options) -> BTreeMap<String, Vec<String>> {
    match &options.engine {
        Engine::Sqlite { directory } => dump_file(&directory.join("runstone.db")),
        Engine::Postgres { .. } => {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            backup(options, &copy, false, &mut |_| {}).await.unwrap();
            dump_file(&copy.join("runstone.db"))
        }
    }
}

pub fn dump_file(file: &Path) -> BTreeMap<String, Vec<String>> {
    try_dump_file(file).unwrap()
}

pub fn try_dump_file(file: &Path) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let connection =
        rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables: Vec<String> = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut dump = BTreeMap::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        // Marks of batches and the pace of writing stand for themselves.
        let columns: Vec<usize> = statement
            .column_names()
            .enumerate()
            .filter(|(_, name)| !["batch", "paced_to"].contains(name))
            .map(|(column, _)| column)
            .collect();
        let mut rows: Vec<String> = statement
            .query_map([], |row| {
                let values = columns
                    .iter()
                    .map(|column| row.get_ref(*column).map(|value| format!("{value:?}")))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(values.join("|"))
            })?
            .collect::<Result<_, _>>()?;
        rows.sort();
        dump.insert(table, rows);
    }
    Ok(dump)
}
