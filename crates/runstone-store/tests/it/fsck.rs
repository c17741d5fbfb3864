//! Every damaged byte is named, or changes nothing that anyone can read (T2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runstone_store::{Engine, Options, Store, fsck};

use crate::stories::{dump, live, options_of, try_dump_file};
use crate::support::{benches, options, postgres_url};

fn problems(report: &runstone_store::Report) -> Vec<String> {
    report.problems.iter().map(ToString::to_string).collect()
}

/// Runs SQL on the file of a closed store.
fn damage(engine: &Engine, sql: &str) {
    let Engine::Sqlite { directory } = engine else {
        panic!("only SQLite is damaged here");
    };
    let connection = rusqlite::Connection::open(directory.join("runstone.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_damage_is_named_with_its_record() {
    let bench = benches(30).await.remove(0);
    live(&bench, 33, 900).await;
    bench.store.seal_all().await.unwrap();
    bench.store.close().await;
    let options = options_of(&bench);
    let Engine::Sqlite { directory } = &bench.engine else {
        panic!("the first bench is SQLite");
    };
    let file = directory.join("runstone.db");
    assert_eq!(
        problems(&fsck(&options, &mut |_| {}).await.unwrap()),
        [""; 0]
    );
    let good = std::fs::read(&file).unwrap();
    let cases = [
        (
            "UPDATE entries SET leaf = zeroblob(32) WHERE organization = 1 AND position = 300",
            "log acme, entry 300: does not have the leaf hash",
        ),
        (
            "DELETE FROM entries WHERE organization = 1 AND position = 300",
            "log acme: the store is damaged: entries 256 to",
        ),
        (
            "INSERT INTO entries SELECT organization, 100000, leaf, bytes, batch FROM entries WHERE organization = 1 AND position = 300",
            "table entries, organization 1, position 100000: belongs to no log",
        ),
        (
            "UPDATE bundles SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE organization = 1 AND n = 0",
            "log acme",
        ),
        (
            "UPDATE tiles SET bytes = zeroblob(8192) WHERE organization = 1 AND level = 0 AND n = 0",
            "log acme, tile 0/0: hash 0",
        ),
        (
            "DELETE FROM tiles WHERE organization = 1",
            "log acme, tile 0/0: is missing",
        ),
        (
            "INSERT INTO tiles VALUES (1, 3, 0, zeroblob(8192))",
            "log acme, tile 3/0: is not in the tree",
        ),
        (
            "DELETE FROM bodies WHERE organization = 0 AND entry = 0 AND position = 0",
            "log _server, entry 0, body 0: is missing, and no entry erased it",
        ),
        (
            "INSERT INTO bodies VALUES (0, 0, 5, 0, 0, 1, x'00')",
            "log _server, entry 0, body 5: is named by no entry",
        ),
        (
            "UPDATE bodies SET private = 0 WHERE organization = 0 AND entry = 0",
            "log _server, entry 0, body 0: is marked private or plain wrongly",
        ),
        (
            "UPDATE bodies SET bytes = zeroblob(40), encoding = 0, bytes_total = 40 WHERE organization = 0 AND entry = 0",
            "log _server, entry 0, body 0: is not the one the entry names",
        ),
        (
            "UPDATE heads SET root = zeroblob(32) WHERE organization = 1",
            "log acme, head: root is not what the entries give",
        ),
        (
            "UPDATE heads SET last_at = last_at + 1 WHERE organization = 2",
            "log umbrella, head: last_at is not",
        ),
        (
            "UPDATE heads SET note = replace(note, 'A', 'B') WHERE organization = 1",
            "log acme, head: note is not",
        ),
        (
            "UPDATE heads SET name = 'other' WHERE organization = 1",
            "table heads, organization 1: the server's log has no organization",
        ),
        (
            "UPDATE epochs SET to_size = 3 WHERE organization = 1",
            "log acme, table epochs, organization 1, from_size 0: to_size is not",
        ),
        (
            "UPDATE log_keys SET until_at = 3 WHERE organization = 1",
            "log acme, table log_keys, organization 1, from_size 0, generation 0: until_at is not",
        ),
        (
            "UPDATE records SET prefix = prefix + 1 WHERE organization = 1 AND no = 1",
            "table records, organization 1, no 1: prefix is not",
        ),
        (
            "UPDATE meta SET value = zeroblob(32)",
            "table meta: the key file is not the one",
        ),
        (
            "DROP INDEX records_by_prefix",
            "schema of records_by_prefix: is not what",
        ),
        ("CREATE TABLE more (a)", "schema of more: is unknown"),
    ];
    for (sql, expected) in cases {
        std::fs::write(&file, &good).unwrap();
        damage(&bench.engine, sql);
        let told = problems(&fsck(&options, &mut |_| {}).await.unwrap());
        assert!(
            told.iter().any(|line| line.starts_with(expected)),
            "{sql}\n{told:#?}"
        );
    }
    std::fs::write(&file, &good).unwrap();
    // Bodies outside the database: large ones and attached files. Some are of attestations that
    // were refused, which no entry names.
    let mut named = 0;
    for blob in files(&bench.folder.path().join("blobs")).iter().take(12) {
        let bytes = std::fs::read(blob).unwrap();
        std::fs::remove_file(blob).unwrap();
        let mut told = problems(&fsck(&options, &mut |_| {}).await.unwrap());
        std::fs::write(blob, &bytes[1..]).unwrap();
        let mut damaged = problems(&fsck(&options, &mut |_| {}).await.unwrap());
        std::fs::write(blob, &bytes).unwrap();
        // Without a body its log may not be replayed, which is told, too.
        told.retain(|line| line.contains(", body "));
        damaged.retain(|line| line.contains(", body "));
        assert_eq!(told.len(), damaged.len(), "{told:#?} {damaged:#?}");
        named += damaged.len();
        for line in &told {
            assert!(line.ends_with(": is missing from the blob store"), "{line}");
        }
    }
    assert!(named > 1, "the history has bodies outside");
    assert_eq!(
        problems(&fsck(&options, &mut |_| {}).await.unwrap()),
        [""; 0]
    );
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the public reads and the logs answer; an error is an answer too.
async fn answers(options: &Options) -> Result<Vec<String>, String> {
    let store = Store::open(Options {
        create_key_file: false,
        ..options.clone()
    })
    .await
    .map_err(|error| error.to_string())?;
    let result = read_all(&store).await.map_err(|error| error.to_string());
    store.close().await;
    result
}

async fn read_all(store: &Store) -> Result<Vec<String>, runstone_store::ReadError> {
    let mut told = Vec::new();
    let mut read = store.read().await?;
    let organizations = read.organizations().await?;
    told.push(format!("{organizations:?}"));
    let mut logs = vec![runstone_model::fact::SERVER];
    logs.extend(organizations.iter().map(|organization| organization.no));
    for no in logs {
        let Some(head) = read.log(no, None).await? else {
            told.push("no log".to_owned());
            continue;
        };
        told.push(format!("{head:?}"));
        for n in 0..head.size.div_ceil(256) {
            let width = (head.size - n * 256).min(256);
            let width = u8::try_from(width).ok();
            told.push(format!("{:?}", read.bundle(no, head.size, n, width).await?));
            told.push(format!(
                "{:?}",
                read.tile(no, head.size, 0, n, width).await?
            ));
        }
        for index in 0..head.size {
            told.push(format!("{:?}", read.body(no, index, 0).await?));
        }
        for environment in read.environments(no).await? {
            told.push(format!("{environment:?}"));
            for snapshot in 1..=environment.snapshots {
                told.push(format!(
                    "{:?}",
                    read.running(no, environment.no, snapshot).await?
                ));
            }
            told.push(format!(
                "{:?}",
                read.changes(no, environment.no, 1, environment.snapshots)
                    .await?
            ));
        }
        let records = read.records_by_prefix(no, "", 1_000).await?;
        let numbers: Vec<_> = records.iter().map(|record| record.no).collect();
        told.push(format!("{records:?}"));
        told.push(format!("{:?}", read.runs(no, &numbers).await?));
    }
    Ok(told)
}

/// Copies a folder with everything below it.
fn copy_folder(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

/// A byte of a store: its file and place.
type Place = (PathBuf, usize);

/// All bytes of a store, by what stands there.
fn classes(folder: &Path) -> BTreeMap<&'static str, Vec<Place>> {
    let mut classes: BTreeMap<&'static str, Vec<Place>> = BTreeMap::new();
    for file in files(folder) {
        let size = std::fs::metadata(&file).unwrap().len() as usize;
        if !file.ends_with("runstone.db") {
            let class = match file.strip_prefix(folder).unwrap().to_str().unwrap() {
                "keys" => "key file",
                path if path.starts_with("blobs/") => "blobs",
                _ => "other files",
            };
            let places = (0..size).map(|at| (file.clone(), at));
            classes.entry(class).or_default().extend(places);
            continue;
        }
        let connection = rusqlite::Connection::open_with_flags(
            &file,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .unwrap();
        let page_bytes = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))
            .unwrap() as usize;
        let mut pages: Vec<&'static str> = vec!["free pages"; size / page_bytes];
        let mut statement = connection
            .prepare("SELECT d.pageno, s.tbl_name FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name")
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let table: Option<String> = row.get(1).unwrap();
            pages[row.get::<_, i64>(0).unwrap() as usize - 1] = match table.as_deref() {
                None => "schema",
                Some("entries") => "entries",
                Some("bundles") => "bundles",
                Some("tiles") => "tiles",
                Some("bodies") => "bodies",
                Some("heads" | "epochs" | "log_keys") => "heads",
                Some("meta" | "migrations") => "meta",
                Some("seen" | "unwanted_blobs") => "operational",
                Some(_) => "derived",
            };
        }
        for at in 0..size {
            let class = if at < 100 {
                "header"
            } else {
                pages[at / page_bytes]
            };
            classes.entry(class).or_default().push((file.clone(), at));
        }
    }
    classes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_named_or_changes_nothing() {
    /// Classes of which so many flips must be named, and are tried until they are.
    const NAMED_MIN: usize = 40;
    const WATCHED: [&str; 8] = [
        "entries", "bundles", "tiles", "bodies", "heads", "derived", "blobs", "key file",
    ];
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told how thorough to be this way"
    )]
    let thorough: Option<usize> = std::env::var("RUNSTONE_TEST_THOROUGH")
        .ok()
        .map(|every| every.parse().unwrap_or(1));
    let bench = benches(31).await.remove(0);
    live(&bench, 31, 900).await;
    assert!(
        bench.store.seal_all().await.unwrap() > 0,
        "a bundle is sealed"
    );
    bench.store.close().await;
    let good = options_of(&bench);
    assert_eq!(problems(&fsck(&good, &mut |_| {}).await.unwrap()), [""; 0]);
    let expected = answers(&good).await.unwrap();
    let tables = dump(&good).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    copy_folder(bench.folder.path(), folder.path());
    let engine = Engine::Sqlite {
        directory: folder.path().join("data"),
    };
    let copy = options(&engine, &folder, bench.clock.clone(), 31);
    let database = folder.path().join("data/runstone.db");
    let mut wrong = Vec::new();
    for (class, mut places) in classes(folder.path()) {
        let watched = WATCHED.contains(&class);
        if watched && thorough.is_none() {
            // Pages are filled with zeros, and flips there show nothing new again and again.
            let good: BTreeMap<PathBuf, Vec<u8>> = files(folder.path())
                .into_iter()
                .map(|file| (file.clone(), std::fs::read(file).unwrap()))
                .collect();
            places.retain(|(file, at)| good[file][*at] != 0);
        }
        let mut named_count = 0;
        let mut tried = 0;
        // Steps of the golden ratio visit all parts of a class early; the thorough way is in order,
        // and leaves out nothing of what is small.
        let size = places.len();
        let every = thorough.map(|every| if size < 1_000 { 1 } else { every });
        let step = every.unwrap_or((size as f64 * 0.618) as usize | 1);
        let tries = every.map_or(size, |every| size.div_ceil(every));
        for index in (0..tries).map(|n| n * step % size) {
            let enough = if watched {
                named_count >= NAMED_MIN || tried >= 400
            } else {
                tried >= 12
            };
            if thorough.is_none() && enough {
                break;
            }
            tried += 1;
            let (file, at) = &places[index];
            let bytes = std::fs::read(file).unwrap();
            let mut flipped = bytes.clone();
            flipped[*at] ^= 1 << (at % 8);
            std::fs::write(file, &flipped).unwrap();
            let named = match fsck(&copy, &mut |_| {}).await {
                Ok(report) => !report.problems.is_empty(),
                Err(_) => true,
            };
            if named {
                named_count += 1;
                std::fs::write(file, &bytes).unwrap();
                continue;
            }
            let place = format!("{class}, byte {at} of {}", file.display());
            if class == "blobs" || class == "key file" {
                wrong.push(format!("{place}: not named"));
            }
            match try_dump_file(&database) {
                Ok(found) => wrong.extend(
                    tables
                        .iter()
                        .filter(|(table, rows)| {
                            !["seen", "unwanted_blobs"].contains(&table.as_str())
                                && found[*table] != **rows
                        })
                        .map(|(table, _)| format!("{place}: table {table}")),
                ),
                Err(error) => wrong.push(format!("{place}: {error}")),
            }
            let told = answers(&copy).await;
            if told.as_ref() != Ok(&expected) {
                wrong.push(format!("{place}: answers, {:?}", told.err()));
            }
            // Opening may have changed any file.
            std::fs::remove_dir_all(folder.path().join("data")).unwrap();
            copy_folder(bench.folder.path(), folder.path());
        }
        println!(
            "{class}: {named_count} of {tried} flips named, {} bytes",
            places.len()
        );
        if watched && thorough.is_none() && named_count < NAMED_MIN {
            wrong.push(format!("{class}: only {named_count} flips were named"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_checked_while_it_is_written() {
    for bench in benches(32).await {
        live(&bench, 32, 300).await;
        let options = options_of(&bench);
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(problems(&report), [""; 0]);
        assert_eq!(report.counts.logs, 3);
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_postgresql_is_named_too() {
    if postgres_url().is_none() {
        return;
    }
    let bench = benches(33).await.remove(1);
    live(&bench, 33, 300).await;
    bench.store.close().await;
    let Engine::Postgres { url } = &bench.engine else {
        panic!("the second bench is PostgreSQL");
    };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "UPDATE snapshots SET running = running + 1 WHERE organization = 1 AND environment = 1 AND no = 1; \
             UPDATE entries SET leaf = '\\x00' || substr(leaf, 2) WHERE organization = 1 AND position = 3",
        )
        .await
        .unwrap();
    let told = problems(&fsck(&options_of(&bench), &mut |_| {}).await.unwrap());
    assert!(
        told.contains(&"log acme, entry 3: does not have the leaf hash stored with it".to_owned()),
        "{told:#?}"
    );
    assert!(
        told.contains(
            &"table snapshots, organization 1, environment 1, no 1: running is not what the entries give"
                .to_owned()
        ),
        "{told:#?}"
    );
}
