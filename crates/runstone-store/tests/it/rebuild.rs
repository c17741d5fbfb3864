//! Replaying a journal into empty tables gives the tables that were there (property 1).

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use runstone_store::{Engine, backup, fsck, rebuild, restore};

use crate::crash::victim;
use crate::stories::{dump, live, options_in, options_of};
use crate::support::{benches, new_database, postgres_url};

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_gives_the_same_tables() {
    for seed in 0..3 {
        for bench in benches(seed).await {
            live(&bench, seed, 400).await;
            bench.store.close().await;
            let options = options_of(&bench);
            let before = dump(&options).await;
            let counts = rebuild(&options, &mut |_| {}).await.unwrap();
            assert!(counts.entries > 100 && counts.rows > 100, "{counts:?}");
            let after = dump(&options).await;
            for (table, rows) in &before {
                assert_eq!(rows, &after[table], "table {table}, seed {seed}");
            }
            let report = fsck(&options, &mut |_| {}).await.unwrap();
            assert_eq!(report.problems, [], "seed {seed}, {:?}", bench.engine);
            assert_eq!(report.counts.entries, counts.entries);
            assert_eq!(report.counts.rows, counts.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_rebuild_one_journal_to_the_same_tables() {
    let Some(url) = postgres_url() else {
        return;
    };
    for seed in 10..12 {
        let mut benches = benches(seed).await;
        let sqlite = benches.remove(0);
        live(&sqlite, seed, 300).await;
        sqlite.store.close().await;
        let options = options_of(&sqlite);
        let before = dump(&options).await;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        backup(&options, &copy, true, &mut |_| {}).await.unwrap();
        let engine = Engine::Postgres {
            url: new_database(&url).await,
        };
        let target = Arc::new(tempfile::tempdir().unwrap());
        let options = options_in(&engine, &target);
        restore(&copy, &options, &mut |_| {}).await.unwrap();
        rebuild(&options, &mut |_| {}).await.unwrap();
        let after = dump(&options).await;
        for (table, rows) in &before {
            assert_eq!(rows, &after[table], "table {table}, seed {seed}");
        }
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_repairs_damaged_tables_and_refuses_a_damaged_journal() {
    let bench = benches(20).await.remove(0);
    live(&bench, 20, 200).await;
    bench.store.close().await;
    let options = options_of(&bench);
    let before = dump(&options).await;
    let Engine::Sqlite { directory } = &bench.engine else {
        panic!("the first bench is SQLite");
    };
    let file = directory.join("runstone.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch("UPDATE snapshots SET events = events + 1; DELETE FROM users; INSERT INTO members VALUES (1, 900, 901)")
        .unwrap();
    drop(connection);
    let report = fsck(&options, &mut |_| {}).await.unwrap();
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(
            |line| line.starts_with("table snapshots, organization 1, environment ")
                && line.contains(", no 1: events is not")
        ),
        "{told:?}"
    );
    assert!(
        told.contains(&"table users, no 1: the row is missing".to_owned()),
        "{told:?}"
    );
    assert!(
        told.contains(
            &"table members, organization 1, member 900, logical 901: the row follows from no entry"
                .to_owned()
        ),
        "{told:?}"
    );
    rebuild(&options, &mut |_| {}).await.unwrap();
    assert_eq!(dump(&options).await, before);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch("UPDATE snapshots SET events = 9; UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), 'provision', 'PROVISION') AS BLOB) WHERE organization = 1 AND position < 20")
        .unwrap();
    drop(connection);
    let damaged = dump(&options).await;
    let error = rebuild(&options, &mut |_| {}).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("do not give the root of its head"),
        "{error}"
    );
    assert_eq!(
        dump(&options).await,
        damaged,
        "a rebuild that fails changes nothing"
    );
}

/// Statements that take a store back to the schema before each migration, the latest first. What
/// the tables held then is not needed: all that is derived is written anew.
fn back_to(migration: usize, engine: &Engine) -> String {
    let tokens = match engine {
        Engine::Sqlite { .. } => [
            "INTEGER",
            "TEXT",
            "BLOB",
            " STRICT, WITHOUT ROWID",
            "x'0000'",
        ],
        Engine::Postgres { .. } => ["BIGINT", "TEXT COLLATE \"C\"", "BYTEA", "", "'\\x0000'"],
    };
    let first = |table: &str| {
        let begin = format!("CREATE TABLE {table} (");
        let line = include_str!("../../src/migrations/0001_record.sql")
            .lines()
            .find(|line| line.starts_with(&begin))
            .unwrap();
        line.replace("{int}", tokens[0])
            .replace("{text}", tokens[1])
            .replace("{blob}", tokens[2])
            .replace("{strict_clustered}", tokens[3])
    };
    let controls = "DROP TABLE custom_types; DROP TABLE type_versions; DROP TABLE controls; \
         DROP TABLE control_versions; DROP TABLE decisions; DELETE FROM migrations WHERE no >= 10;";
    let labels = "DROP INDEX artifacts_by_label; ALTER TABLE artifacts DROP COLUMN label; \
         DELETE FROM migrations WHERE no >= 9;";
    let legacy =
        "DROP TABLE approvals; DROP TABLE deployments; DELETE FROM migrations WHERE no >= 8;";
    let pages = format!(
        "DROP TABLE starts; DROP TABLE flows; DROP TABLE flow_names; DROP TABLE templates; DROP TABLE trails; \
         DROP TABLE tellings; DROP TABLE artifacts; DROP TABLE artifact_states; \
         DROP TABLE flow_namings; DROP TABLE attestations; DROP TABLE repos; \
         ALTER TABLE environments DROP COLUMN imported; \
         ALTER TABLE environments DROP COLUMN last_entry; DROP TABLE counters; {}; \
         ALTER TABLE counters ADD COLUMN live_environments {} NOT NULL DEFAULT 0; \
         DROP TABLE records; {} CREATE INDEX records_by_prefix ON records (organization, prefix); \
         DROP TABLE spans; {} INSERT INTO spans VALUES (1, 1, 1, 1, NULL, {}); \
         DELETE FROM migrations WHERE no >= 3;",
        first("counters"),
        tokens[0],
        first("records"),
        first("spans"),
        tokens[4],
    );
    let erasure = "DROP TABLE private_bodies; DROP TABLE texts; DROP TABLE unwanted_blobs; \
         DROP INDEX api_keys_by_id; ALTER TABLE heads DROP COLUMN body_bytes; \
         ALTER TABLE heads DROP COLUMN paced_to; ALTER TABLE counters DROP COLUMN live_environments; \
         ALTER TABLE organizations DROP COLUMN closed_at; ALTER TABLE organizations DROP COLUMN limits; \
         DELETE FROM migrations WHERE no = 2;";
    let [int, text, _, end, _] = tokens;
    let provenance = format!(
        "ALTER TABLE environments DROP COLUMN imported; \
         DROP TABLE starts; DROP INDEX artifacts_by_time; \
         DROP TABLE flow_namings; DROP TABLE artifact_states; \
         CREATE TABLE artifact_states (organization {int} NOT NULL, artifact {int} NOT NULL, state {text} NOT NULL, PRIMARY KEY (organization, artifact)){end}; \
         DROP INDEX artifacts_by_repo; DROP INDEX artifacts_by_prefix; \
         CREATE INDEX artifacts_by_prefix ON artifacts (organization, prefix, no); \
         DELETE FROM migrations WHERE no >= 5;"
    );
    match migration {
        1 => format!("{controls} {labels} {legacy} {pages} {erasure}"),
        2 => format!("{controls} {labels} {legacy} {pages}"),
        4 => format!("{controls} {labels} {legacy} {provenance}"),
        7 => format!("{controls} {labels} {legacy}"),
        8 => format!("{controls} {labels}"),
        _ => controls.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_earlier_schema_is_brought_up_to_date() {
    for (seed, migration) in [(23, 1), (24, 2), (25, 4), (26, 7), (27, 8), (28, 9)] {
        for bench in benches(seed).await {
            live(&bench, seed, 200).await;
            bench.store.close().await;
            let options = options_of(&bench);
            let before = dump(&options).await;
            let back = back_to(migration, &bench.engine);
            match &bench.engine {
                Engine::Sqlite { directory } => {
                    let file = directory.join("runstone.db");
                    let connection = rusqlite::Connection::open(&file).unwrap();
                    connection.execute_batch(&back).unwrap();
                }
                Engine::Postgres { url } => {
                    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                        .await
                        .unwrap();
                    tokio::spawn(connection);
                    client.batch_execute(&back).await.unwrap();
                }
            }
            let store = runstone_store::Store::open(options.clone()).await.unwrap();
            store.close().await;
            let after = dump(&options).await;
            for (table, rows) in &before {
                assert_eq!(rows, &after[table], "table {table}");
            }
            let report = fsck(&options, &mut |_| {}).await.unwrap();
            assert_eq!(report.problems, []);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_killed_in_the_middle_leaves_the_tables_as_they_were() {
    for bench in benches(21).await {
        live(&bench, 21, 900).await;
        bench.store.close().await;
        let options = options_of(&bench);
        let before = dump(&options).await;
        // The victim keeps keys and blobs in the folder it is given.
        let folder = bench.folder.path().display().to_string();
        let arguments = match &bench.engine {
            Engine::Sqlite { directory } => {
                for name in ["keys", "blobs"] {
                    let link = directory.join(name);
                    std::os::unix::fs::symlink(bench.folder.path().join(name), link).unwrap();
                }
                vec!["sqlite".to_owned(), directory.display().to_string()]
            }
            Engine::Postgres { url } => vec!["postgres".to_owned(), url.clone(), folder],
        };
        let mut child = Command::new(victim())
            .arg("rebuild")
            .args(arguments)
            .arg("0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut steps = BufReader::new(child.stdout.take().unwrap()).lines();
        // The server's log is replayed, the others wait: rows are gone and not all there again.
        let first = steps.next().unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(first.starts_with("entries "), "{first}");
        let rest: Vec<_> = steps.map_while(Result::ok).collect();
        let all: u64 = before["entries"].len() as u64;
        assert!(
            rest.iter().all(|step| *step != format!("entries {all}")),
            "it was killed too late: {rest:?}"
        );
        assert_eq!(dump(&options).await, before, "{:?}", bench.engine);
        rebuild(&options, &mut |_| {}).await.unwrap();
        assert_eq!(dump(&options).await, before, "{:?}", bench.engine);
    }
}
