//! The only place where the two engines' SQL differs.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::table::Table;
use crate::value::DbError;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Replaces the tokens of a migration.
    pub(crate) fn migration(self, text: &str) -> String {
        let (int, txt, blob, strict, clustered) = match self {
            Self::Sqlite => (
                "INTEGER",
                "TEXT",
                "BLOB",
                " STRICT",
                " STRICT, WITHOUT ROWID",
            ),
            Self::Postgres => ("BIGINT", "TEXT COLLATE \"C\"", "BYTEA", "", ""),
        };
        text.replace("{int}", int)
            .replace("{text}", txt)
            .replace("{blob}", blob)
            .replace("{strict_clustered}", clustered)
            .replace("{strict}", strict)
    }

    /// The engine's form of a statement: `ID_TABLE($n)` is a table `i` with one column `value`,
    /// made from a list of numbers. `$n` stand in order of first use, because SQLite takes them
    /// for names and counts them by first appearance.
    pub(crate) fn statement(self, sql: &str) -> Cow<'_, str> {
        debug_assert!(parameters_in_order(sql), "order of parameters in {sql}");
        let Some((before, inner)) = sql.split_once("ID_TABLE(") else {
            return Cow::Borrowed(sql);
        };
        let (parameter, after) = inner.split_once(')').expect("statement closes ID_TABLE");
        Cow::Owned(match self {
            Self::Sqlite => format!("{before}json_each({parameter}) AS i{after}"),
            Self::Postgres => format!("{before}unnest({parameter}::bigint[]) AS i(value){after}"),
        })
    }

    /// What a failed SQLite call means.
    pub(crate) fn sqlite_error(error: &rusqlite::Error) -> DbError {
        use rusqlite::ErrorCode as Code;
        let text = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                Code::DatabaseBusy | Code::DatabaseLocked => DbError::Race(text),
                Code::DiskFull
                | Code::ReadOnly
                | Code::SystemIoFailure
                | Code::CannotOpen
                | Code::PermissionDenied => DbError::Unavailable(text),
                Code::OperationInterrupted => DbError::TooLong,
                Code::DatabaseCorrupt | Code::NotADatabase => DbError::Corrupt(text),
                _ => DbError::Other(text),
            },
            _ => DbError::Other(text),
        }
    }

    /// What a failed PostgreSQL call means.
    pub(crate) fn postgres_error(error: &tokio_postgres::Error) -> DbError {
        let mut text = error.to_string();
        let Some(state) = error.code() else {
            return DbError::Lost(text);
        };
        if let Some(server) = error.as_db_error() {
            server.message().clone_into(&mut text);
        }
        match state.code() {
            // serialization_failure, deadlock_detected, lock_not_available
            "40001" | "40P01" | "55P03" => DbError::Race(text),
            // disk_full, read_only_sql_transaction, insufficient_resources, statement timeout
            "53100" | "25006" | "53000" | "53200" | "53300" | "57014" => DbError::Unavailable(text),
            // admin shutdown, crash shutdown, cannot connect now, idle in transaction timeout
            "57P01" | "57P02" | "57P03" | "25P03" => DbError::Lost(text),
            code if code.starts_with("08") => DbError::Lost(text),
            _ => DbError::Other(format!("{text} ({})", state.code())),
        }
    }
}

/// Ends a span, its detail untouched (SQLite).
pub(crate) const END_SPAN: &str = "UPDATE spans SET to_no = $1 WHERE organization = $2 AND record = $3 AND environment = $4 AND from_no = $5";

/// An environment's last entry, the rest of its row untouched (SQLite).
pub(crate) const SET_ENTRY: &str =
    "UPDATE environments SET last_entry = $1 WHERE organization = $2 AND no = $3";

/// One statement that writes rows of several tables, ends spans, and answers with the clock
/// (PostgreSQL). Parameters are one array per column, in the order of the tables; then the five
/// of the spans; then the three of environments' entries; then those of the guard, which fails the whole statement by a division by zero.
pub(crate) fn at_once(tables: &[&Table], ends: bool, entries: bool, guard: bool) -> String {
    let mut text = String::from("WITH ");
    let mut next = 1;
    for table in tables {
        let _ = write!(text, "w{next} AS ({}), ", table.arrays_from(next));
        next += table.columns.len();
    }
    if ends {
        let _ = write!(
            text,
            "e AS (UPDATE spans s SET to_no = e.t FROM unnest(${next}::bigint[], ${}::bigint[], ${}::bigint[], ${}::bigint[], ${}::bigint[]) e(t, o, r, n, f) WHERE s.organization = e.o AND s.record = e.r AND s.environment = e.n AND s.from_no = e.f), ",
            next + 1,
            next + 2,
            next + 3,
            next + 4
        );
        next += 5;
    }
    if entries {
        let _ = write!(
            text,
            "v AS (UPDATE environments v SET last_entry = e.i FROM unnest(${next}::bigint[], ${}::bigint[], ${}::bigint[]) e(i, o, n) WHERE v.organization = e.o AND v.no = e.n), ",
            next + 1,
            next + 2
        );
        next += 3;
    }
    text.push_str("c AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)");
    if guard {
        let _ = write!(
            text,
            " SELECT c.now / (CASE WHEN EXISTS (SELECT 1 FROM unnest(${next}::bigint[], ${}::bigint[]) g(o, size) LEFT JOIN heads h ON h.organization = g.o WHERE h.size IS DISTINCT FROM g.size) OR EXISTS (SELECT 1 FROM unnest(${}::bigint[], ${}::bigint[], ${}::bigint[], ${}::bigint[]) k(o, e, t, n) LEFT JOIN seen s ON s.organization = k.o AND s.environment = k.e WHERE s.to_at IS DISTINCT FROM k.t OR s.reports IS DISTINCT FROM k.n) THEN 0 ELSE 1 END) FROM c",
            next + 1,
            next + 2,
            next + 3,
            next + 4,
            next + 5
        );
    } else {
        text.push_str(" SELECT c.now FROM c");
    }
    text
}

/// Whether the first use of each `$n` follows that of `$n-1`.
fn parameters_in_order(sql: &str) -> bool {
    let mut known = 0;
    sql.split('$').skip(1).all(|after| {
        let digits = after
            .find(|character: char| !character.is_ascii_digit())
            .map_or(after, |end| &after[..end]);
        let number = digits.parse().unwrap_or(0);
        known += u32::from(number == known + 1);
        (1..=known).contains(&number)
    })
}

/// Every SQL text of this crate is a statement that both engines take on a freshly migrated
/// database. The texts are read from the source, so that none can be forgotten.
#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::{Dialect, END_SPAN, SET_ENTRY, at_once};
    use crate::conn::Conn;
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
        connection.prepare(SET_ENTRY).unwrap();
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
        // No statement writes an environment's row and its entry.
        let others: Vec<_> = table::ALL
            .iter()
            .copied()
            .filter(|table| table.name != table::ENVIRONMENTS.name)
            .collect();
        for (tables, entries) in [(table::ALL, false), (&others, true)] {
            for ends in [false, true] {
                prepares
                    .prepare(&at_once(tables, ends, entries, true))
                    .await
                    .unwrap();
            }
        }
        drop(prepares);
        database.close();
        client
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .unwrap();
    }
}
