//! A test: every SQL text of this crate is a statement that both engines take on a freshly
//! migrated database. It reads the texts from the source, so that none can be forgotten.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::conn::Conn;
use crate::dialect::{Dialect, END_SPAN, at_once};
use crate::engine::{Database, Place};
use crate::table;

/// Statements in the source and where they stand.
fn statements() -> BTreeMap<String, PathBuf> {
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .filter(|path| !path.ends_with("statements.rs"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            (path, text[..tests].to_owned())
        })
        .collect();
    let constant = Regex::new(r#"const (SELECT_\w+): &str\s*=\s*"((?:[^"\\]|\\.)*)""#).unwrap();
    let selects: BTreeMap<String, String> = texts
        .iter()
        .flat_map(|(_, text)| constant.captures_iter(text))
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    let whole = Regex::new(r#""((?:SELECT|INSERT|UPDATE|DELETE) [^"{}]*)""#).unwrap();
    let built =
        Regex::new(r#""\{(SELECT_\w+)?\}( [^"{}]*)"(?:,\s*(?:rows::)?(SELECT_\w+))?"#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let mut found = BTreeMap::new();
    for (path, text) in &texts {
        for literal in whole.captures_iter(text) {
            let sql = continued.replace_all(&literal[1], "").into_owned();
            found.insert(sql, path.clone());
        }
        for literal in built.captures_iter(text) {
            let name = literal.get(1).or_else(|| literal.get(3));
            let Some(select) = name.and_then(|name| selects.get(name.as_str())) else {
                continue;
            };
            found.insert(format!("{select}{}", &literal[2]), path.clone());
        }
    }
    found
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Texts that only one engine knows.
fn is_for(sql: &str, dialect: Dialect) -> bool {
    let postgres = [
        "FOR UPDATE",
        "::",
        "pg_",
        "ANY(",
        "current_setting",
        "information_schema",
    ];
    let sqlite = ["sqlite_", "pragma_", "rowid", "json_"];
    match dialect {
        Dialect::Sqlite => !postgres.iter().any(|word| sql.contains(word)),
        Dialect::Postgres => !sqlite.iter().any(|word| sql.contains(word)),
    }
}

#[tokio::test]
async fn sqlite_takes_every_statement() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::new(Place::Sqlite {
        file: folder.path().join("store.sqlite"),
    });
    database.migrate(None).await.unwrap();
    let Conn::Sqlite(connection) = database.connect_writer().await.unwrap() else {
        unreachable!("a file is opened with SQLite")
    };
    let mut prepared = 0;
    for (sql, path) in statements() {
        if is_for(&sql, Dialect::Sqlite) {
            let text = Dialect::Sqlite.statement(&sql);
            if let Err(error) = connection.prepare(&text) {
                panic!("{}: {error}\n{text}", path.display());
            }
            prepared += 1;
        }
    }
    assert!(prepared > 60, "{prepared} statements were found");
    for table in table::ALL {
        connection.prepare(table.put_one()).unwrap();
    }
    connection.prepare(END_SPAN).unwrap();
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "how the test script names the server"
)]
async fn postgresql_takes_every_statement() {
    let Ok(server) = std::env::var("RUNSTONE_TEST_POSTGRES_URL") else {
        return;
    };
    let name = format!("statements_{}", std::process::id());
    let (base, _) = server.rsplit_once('/').unwrap();
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let url = format!("{base}/{name}");
    let database = Database::new(Place::Postgres { url: url.clone() });
    database.migrate(None).await.unwrap();
    let (prepares, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut prepared = 0;
    for (sql, path) in statements() {
        if is_for(&sql, Dialect::Postgres) {
            let text = Dialect::Postgres.statement(&sql);
            if let Err(error) = prepares.prepare(&text).await {
                panic!("{}: {error:?}\n{text}", path.display());
            }
            prepared += 1;
        }
    }
    assert!(prepared > 60, "{prepared} statements were found");
    for table in table::ALL {
        prepares.prepare(table.put_arrays()).await.unwrap();
    }
    for ends in [false, true] {
        prepares
            .prepare(&at_once(table::ALL, ends, true))
            .await
            .unwrap();
    }
    drop(prepares);
    database.close();
    client
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}
