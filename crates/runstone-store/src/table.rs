//! The tables: their class, columns and keys, once for all engines.
//!
//! The columns here must be those the migrations make; a test compares them.

use std::sync::OnceLock;

/// What a table is (D16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The log itself; appended, never changed but by checkpoints and sealing.
    Journal,
    /// Bytes that entries name.
    Bodies,
    /// Follows from journal and bodies; rebuild writes it.
    Derived,
    /// Neither journalled nor rebuilt.
    Operational,
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
    Blob,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// The first so many columns are the primary key.
    pub(crate) key: usize,
    texts: OnceLock<Texts>,
}

/// Statements that write a table's rows, made once.
#[derive(Debug)]
struct Texts {
    one: String,
    arrays: String,
}

use Class::{Bodies, Derived, Journal, Operational};
use Kind::{Blob, Int, Text};

macro_rules! tables {
    ($($constant:ident $class:ident $key:literal ($($column:ident $kind:ident),* $(,)?);)*) => {
        $(
            pub(crate) static $constant: Table = Table {
                name: stringify_lower!($constant),
                class: $class,
                columns: &[$((stringify!($column), $kind)),*],
                key: $key,
                texts: OnceLock::new(),
            };
        )*
        /// Every table.
        pub(crate) static ALL: &[&Table] = &[$(&$constant),*];
    };
}

macro_rules! stringify_lower {
    (META) => {
        "meta"
    };
    (HEADS) => {
        "heads"
    };
    (EPOCHS) => {
        "epochs"
    };
    (LOG_KEYS) => {
        "log_keys"
    };
    (ENTRIES) => {
        "entries"
    };
    (BUNDLES) => {
        "bundles"
    };
    (TILES) => {
        "tiles"
    };
    (BODIES) => {
        "bodies"
    };
    (COUNTERS) => {
        "counters"
    };
    (ORGANIZATIONS) => {
        "organizations"
    };
    (USERS) => {
        "users"
    };
    (MEMBERSHIPS) => {
        "memberships"
    };
    (ACCOUNTS) => {
        "accounts"
    };
    (API_KEYS) => {
        "api_keys"
    };
    (ENVIRONMENTS) => {
        "environments"
    };
    (ENVIRONMENT_NAMES) => {
        "environment_names"
    };
    (MEMBERS) => {
        "members"
    };
    (RECORDS) => {
        "records"
    };
    (SNAPSHOTS) => {
        "snapshots"
    };
    (STARTS) => {
        "starts"
    };
    (SPANS) => {
        "spans"
    };
    (SEQUENCES) => {
        "sequences"
    };
    (SUBJECTS) => {
        "subjects"
    };
    (PRIVATE_BODIES) => {
        "private_bodies"
    };
    (TEXTS) => {
        "texts"
    };
    (FLOWS) => {
        "flows"
    };
    (FLOW_NAMES) => {
        "flow_names"
    };
    (TEMPLATES) => {
        "templates"
    };
    (TRAILS) => {
        "trails"
    };
    (TELLINGS) => {
        "tellings"
    };
    (ARTIFACTS) => {
        "artifacts"
    };
    (ARTIFACT_STATES) => {
        "artifact_states"
    };
    (FLOW_NAMINGS) => {
        "flow_namings"
    };
    (ATTESTATIONS) => {
        "attestations"
    };
    (REPOS) => {
        "repos"
    };
    (APPROVALS) => {
        "approvals"
    };
    (DEPLOYMENTS) => {
        "deployments"
    };
    (CUSTOM_TYPES) => {
        "custom_types"
    };
    (TYPE_VERSIONS) => {
        "type_versions"
    };
    (CONTROLS) => {
        "controls"
    };
    (CONTROL_VERSIONS) => {
        "control_versions"
    };
    (DECISIONS) => {
        "decisions"
    };
    (SEEN) => {
        "seen"
    };
    (UNWANTED_BLOBS) => {
        "unwanted_blobs"
    };
}

tables! {
    META Operational 1 (name Text, value Blob);
    HEADS Journal 1 (organization Int, id Text, name Text, epoch Text, origin Text, epoch_from Int, size Int, root Blob, note Text, last_at Int, batch Blob, body_bytes Int, paced_to Int);
    EPOCHS Journal 2 (organization Int, from_size Int, epoch Text, origin Text, to_size Int, note Text);
    LOG_KEYS Journal 3 (organization Int, from_size Int, generation Int, origin Text, vkey Text, to_size Int, until_at Int);
    ENTRIES Journal 2 (organization Int, position Int, leaf Blob, bytes Blob, batch Blob);
    BUNDLES Journal 2 (organization Int, n Int, bytes Blob);
    TILES Journal 3 (organization Int, level Int, n Int, bytes Blob);
    BODIES Bodies 3 (organization Int, entry Int, position Int, private Int, encoding Int, bytes_total Int, bytes Blob);
    COUNTERS Derived 1 (organization Int, organizations Int, users Int, environments Int, accounts Int, live_environments Int);
    ORGANIZATIONS Derived 1 (no Int, id Text, name Text, kind Text, public Int, description Text, created_at Int, modified_at Int, closed_at Int, limits Text);
    USERS Derived 1 (no Int, name Text, email Text, created_at Int);
    MEMBERSHIPS Derived 2 (organization Int, usr Int, role Text);
    ACCOUNTS Derived 2 (organization Int, no Int, name Text, role Text, description Text, created_at Int);
    API_KEYS Derived 1 (verifier Blob, id Text, usr Int, organization Int, account Int, description Text, created_at Int, expires_at Int, revoked_at Int);
    ENVIRONMENTS Derived 2 (organization Int, no Int, name Text, kind Text, description Text, include_scaling Int, require_provenance Int, members Text, tags Text, created_at Int, modified_at Int, archived_at Int, snapshots Int, changed_at Int, last_entry Int, imported Int);
    ENVIRONMENT_NAMES Derived 2 (organization Int, name Text, environment Int);
    MEMBERS Derived 3 (organization Int, member Int, logical Int);
    RECORDS Derived 2 (organization Int, no Int, prefix Int, entry Int, body_at Int, here Text);
    SNAPSHOTS Derived 3 (organization Int, environment Int, no Int, entry Int, at Int, events_before Int, events Int, keyframe Int, running Int, step Blob, members Text);
    STARTS Derived 5 (organization Int, at Int, environment Int, snapshot Int, record Int);
    SPANS Derived 4 (organization Int, record Int, environment Int, from_no Int, to_no Int, entry Int, body_at Int, detail Blob);
    SEQUENCES Derived 3 (organization Int, environment Int, reporter Text, sequence Int);
    SUBJECTS Derived 2 (organization Int, subject Text, entry Int);
    PRIVATE_BODIES Derived 3 (organization Int, entry Int, position Int, subject Text, field Text, erased_by Int);
    TEXTS Derived 3 (organization Int, subject Text, name Text, entry Int);
    FLOWS Derived 2 (organization Int, no Int, name Text, visibility Text, description Text, template Int, tags Text, created_at Int, archived_at Int, latest_trail Int, latest_at Int, repo Int);
    FLOW_NAMES Derived 2 (organization Int, name Text, flow Int);
    TEMPLATES Derived 2 (organization Int, no Int, text Blob);
    TRAILS Derived 2 (organization Int, no Int, flow Int, name Text, implicit Int, sha1 Blob, template Int, members Text, repos Text, created_by Text, created_at Int, modified_at Int, told_by Int, state Text);
    TELLINGS Derived 3 (organization Int, trail Int, entry Int, at Int, author Text, changes Text, members Text, sha1 Blob, repo Int, template Int);
    ARTIFACTS Derived 2 (organization Int, no Int, flow Int, trail Int, name Text, prefix Int, fingerprint Blob, filename Text, sha1_prefix Int, sha1 Blob, template Int, repo Int, entry Int, at Int, label Int);
    ARTIFACT_STATES Derived 3 (organization Int, artifact Int, entry Int, state Text);
    FLOW_NAMINGS Derived 3 (organization Int, flow Int, entry Int, name Text, archived_at Int);
    ATTESTATIONS Derived 2 (organization Int, no Int, flow Int, trail Int, name Text, kind Text, is_compliant Int, fingerprint Blob, targets Text, sha1_prefix Int, sha1 Blob, overrides Int, original_kind Text, template Int, repo Int, is_attached Int, entry Int, author Text, at Int);
    REPOS Derived 2 (organization Int, no Int, known Text, provider Text, id Text, name Text, facts Text, tags Text, created_at Int, modified_at Int);
    APPROVALS Derived 3 (organization Int, flow Int, no Int, artifact Int, trail Int, prefix Int, fingerprint Blob, environment Int, state Text, entry Int, author Text, at Int);
    DEPLOYMENTS Derived 3 (organization Int, flow Int, no Int, artifact Int, trail Int, prefix Int, fingerprint Blob, environment Int, entry Int, author Text, at Int);
    CUSTOM_TYPES Derived 2 (organization Int, no Int, name Text, description Text, versions Int, created_by Text, created_at Int, modified_at Int, archived_at Int);
    TYPE_VERSIONS Derived 3 (organization Int, custom_type Int, version Int, entry Int, comment Int, author Text, at Int);
    CONTROLS Derived 2 (organization Int, no Int, identifier Text, name Text, description Text, links Text, version Int, tags Text, created_by Text, created_at Int, archived_at Int, told_by Int);
    CONTROL_VERSIONS Derived 3 (organization Int, control Int, version Int, entry Int, author Text, at Int);
    DECISIONS Derived 3 (organization Int, control Text, attestation Int, version Int);
    SEEN Operational 2 (organization Int, environment Int, from_at Int, to_at Int, reports Int, longest_gap Int, reporter Text);
    UNWANTED_BLOBS Operational 2 (id Text, digest Blob);
}

impl Table {
    /// Column names, separated by commas.
    pub(crate) fn column_list(&self) -> String {
        self.columns
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What an insert does when the key exists: the other columns are written over.
    fn conflict(&self) -> String {
        let key: Vec<_> = self.columns[..self.key].iter().map(|c| c.0).collect();
        let set: Vec<_> = self.columns[self.key..]
            .iter()
            .map(|(name, _)| format!("{name} = excluded.{name}"))
            .collect();
        if set.is_empty() {
            format!(" ON CONFLICT ({}) DO NOTHING", key.join(", "))
        } else {
            format!(
                " ON CONFLICT ({}) DO UPDATE SET {}",
                key.join(", "),
                set.join(", ")
            )
        }
    }

    /// Journal rows are only ever added, so that a second writer of one index fails loudly.
    fn tail(&self) -> String {
        match self.class {
            Journal if self.name != "heads" && self.name != "epochs" && self.name != "log_keys" => {
                String::new()
            }
            _ => self.conflict(),
        }
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| Texts {
            one: self.one_text(),
            arrays: self.arrays_text(),
        })
    }

    /// One row a call.
    pub(crate) fn put_one(&self) -> &str {
        &self.texts().one
    }

    /// All rows in one call, a parameter per column holding an array (PostgreSQL).
    pub(crate) fn put_arrays(&self) -> &str {
        &self.texts().arrays
    }

    fn one_text(&self) -> String {
        let parameters: Vec<_> = (1..=self.columns.len()).map(|n| format!("${n}")).collect();
        format!(
            "INSERT INTO {} ({}) VALUES ({}){}",
            self.name,
            self.column_list(),
            parameters.join(", "),
            self.tail()
        )
    }

    fn arrays_text(&self) -> String {
        self.arrays_from(1)
    }

    /// The same with parameters that begin at `$first`.
    pub(crate) fn arrays_from(&self, first: usize) -> String {
        let parameters: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(position, (_, kind))| {
                let sql = match kind {
                    Int => "bigint",
                    Text => "text",
                    Blob => "bytea",
                };
                format!("${}::{sql}[]", first + position)
            })
            .collect();
        format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
            self.name,
            self.column_list(),
            parameters.join(", "),
            self.tail()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn the_tables_are_those_the_migrations_make() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        for (_, text) in crate::engine::MIGRATIONS {
            let text = Dialect::Sqlite.migration(text);
            connection.execute_batch(&text).expect("the migration runs");
        }
        let mut made: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .expect("valid")
            .query_map([], |row| row.get(0))
            .expect("readable")
            .collect::<Result<_, _>>()
            .expect("names");
        made.sort();
        let mut known: Vec<String> = ALL.iter().map(|table| table.name.to_owned()).collect();
        known.sort();
        assert_eq!(made, known);
        for table in ALL {
            let columns: Vec<(String, String, i64)> = connection
                .prepare(&format!("PRAGMA table_info({})", table.name))
                .expect("valid")
                .query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(5)?)))
                .expect("readable")
                .collect::<Result<_, _>>()
                .expect("columns");
            let expected: Vec<_> = table
                .columns
                .iter()
                .enumerate()
                .map(|(position, (name, kind))| {
                    let sql = match kind {
                        Int => "INTEGER",
                        Text => "TEXT",
                        Blob => "BLOB",
                    };
                    let key = if position < table.key {
                        position as i64 + 1
                    } else {
                        0
                    };
                    ((*name).to_owned(), sql.to_owned(), key)
                })
                .collect();
            assert_eq!(columns, expected, "columns of {}", table.name);
        }
    }
}
