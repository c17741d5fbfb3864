//! The file and the schema: what holds the rows, before any row is looked at.

use runstone_model::id::Digest;

use super::Check;
use super::derived::temporary;
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::engine::{MIGRATIONS, Place};
use crate::value::{DbError, Record};

/// SQLite's own check of its pages and indexes, beside the rest.
pub(super) fn check_pages(place: &Place) -> tokio::task::JoinHandle<Vec<(String, String)>> {
    let place = place.clone();
    tokio::task::spawn_blocking(move || {
        let Place::Sqlite { file } = place else {
            return Vec::new();
        };
        let check = || -> Result<Vec<String>, DbError> {
            let connection = crate::engine::open_sqlite(&file, true)?;
            let found = connection
                .prepare("PRAGMA integrity_check(100)")
                .and_then(|mut statement| {
                    statement
                        .query_map([], |row| row.get::<_, String>(0))?
                        .collect::<Result<Vec<_>, _>>()
                })
                .map_err(|error| Dialect::sqlite_error(&error))?;
            Ok(found)
        };
        let place = "database file".to_owned();
        match check() {
            Ok(lines) => lines
                .into_iter()
                .filter(|line| line != "ok")
                .map(|line| (place.clone(), line))
                .collect(),
            Err(error) => vec![(place, error.to_string())],
        }
    })
}

impl Check<'_> {
    /// The schema is the one the migrations make.
    pub(super) async fn schema(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        let found = conn
            .query("SELECT no, name, digest FROM migrations ORDER BY no", &[])
            .await?;
        let expected: Vec<Record> = MIGRATIONS
            .iter()
            .zip(1u64..)
            .map(|((name, text), no)| {
                Record(vec![
                    no.into(),
                    (*name).into(),
                    Digest::of(text.as_bytes()).0[..].into(),
                ])
            })
            .collect();
        if found != expected {
            self.report.add(
                "table migrations",
                "is not what this version of Runstone writes",
            );
        }
        if let Conn::Sqlite(_) = conn {
            const SCHEMA: &str =
                "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
            let mut fresh = Conn::Sqlite(temporary()?);
            let expected = fresh.query(SCHEMA, &[]).await?;
            let found = conn.query(SCHEMA, &[]).await?;
            for object in &expected {
                if !found.contains(object) {
                    self.report.add(
                        format!("schema of {}", object.text(1)?),
                        "is not what this version of Runstone makes",
                    );
                }
            }
            for object in &found {
                if !expected.contains(object) {
                    self.report.add(
                        format!("schema of {}", object.text(1).unwrap_or("?")),
                        "is unknown to this version of Runstone",
                    );
                }
            }
        }
        Ok(())
    }

    /// The key file is the one the store was made with.
    pub(super) async fn meta(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        let rows = conn
            .query("SELECT name, value FROM meta ORDER BY name", &[])
            .await?;
        match rows.as_slice() {
            [row] if row.text(0)? == "key-check" => {
                if let Some(secrets) = &self.secrets
                    && *row.blob(1)? != secrets.check_value()[..]
                {
                    self.report.add(
                        "table meta",
                        "the key file is not the one this store was made with",
                    );
                }
            }
            _ => self
                .report
                .add("table meta", "does not hold one row named key-check"),
        }
        Ok(())
    }
}
