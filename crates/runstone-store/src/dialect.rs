//! The only place where the two engines' SQL differs.

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
    /// made from a list of numbers; SQLite counts `$n` by first appearance, so that it gets `?n`.
    pub(crate) fn statement(self, sql: &str) -> String {
        let sql = match sql.split_once("ID_TABLE(") {
            None => sql.to_owned(),
            Some((before, inner)) => {
                let (parameter, after) = inner.split_once(')').expect("statement closes ID_TABLE");
                match self {
                    Self::Sqlite => format!("{before}json_each({parameter}) AS i{after}"),
                    Self::Postgres => {
                        format!("{before}unnest({parameter}::bigint[]) AS i(value){after}")
                    }
                }
            }
        };
        match self {
            Self::Sqlite => sql.replace('$', "?"),
            Self::Postgres => sql,
        }
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
