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

/// One statement that writes rows of several tables, ends spans, and answers with the clock
/// (PostgreSQL). Parameters are one array per column, in the order of the tables; then the five
/// of the spans; then those of the guard, which fails the whole statement by a division by zero.
pub(crate) fn at_once(tables: &[&Table], ends: bool, guard: bool) -> String {
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
