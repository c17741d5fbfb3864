//! Rows that wait to be written: projected facts in their stored form, each key once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use runstone_model::fact::{Environment, Kept, Principal, SnapshotNo, Span};
use runstone_model::id::{Digest, Micros};
use runstone_model::view::Row;

use super::place;
use crate::conn::{Batch, Conn, Guard};
use crate::erase::Erased;
use crate::table::{self, Table};
use crate::value::{DbError, Value};

/// Rows to be written, each key once, the last value wins.
#[derive(Default)]
pub(crate) struct Pending {
    tables: BTreeMap<&'static str, (&'static Table, Rows)>,
    /// Logical environments whose member rows are written anew.
    members: BTreeMap<(u32, u32), Vec<u32>>,
    /// Keys that are no more.
    removed_keys: BTreeSet<Digest>,
    /// Bodies that an entry erases.
    pub(crate) erased: Vec<Erased>,
    /// Spans that end: the last snapshot and their key.
    ends: Vec<Vec<Value>>,
    /// The last entry of environments whose row is not written whole.
    entries: BTreeMap<(u32, u32), u64>,
}

#[derive(Default)]
struct Rows {
    rows: Vec<Vec<Value>>,
    positions: HashMap<Vec<u8>, usize, foldhash::fast::RandomState>,
}

impl Pending {
    pub(crate) fn put(&mut self, table: &'static Table, row: Vec<Value>) {
        debug_assert_eq!(row.len(), table.columns.len(), "columns of {}", table.name);
        let rows = &mut self
            .tables
            .entry(table.name)
            .or_insert_with(|| (table, Rows::default()))
            .1;
        match rows.positions.entry(key_bytes(&row[..table.key])) {
            std::collections::hash_map::Entry::Occupied(known) => rows.rows[*known.get()] = row,
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(rows.rows.len());
                rows.rows.push(row);
            }
        }
    }

    /// Ends a span that was begun before: only its last snapshot is written.
    fn end_span(&mut self, key: [Value; 4], to: SnapshotNo) {
        if let Some((_, rows)) = self.tables.get_mut(table::SPANS.name)
            && let Some(position) = rows.positions.get(&key_bytes(&key))
        {
            rows.rows[*position][table::SPANS.key] = to.into();
            return;
        }
        let mut end = vec![to.into()];
        end.extend(key);
        self.ends.push(end);
    }

    /// Adds the stored form of a projected row.
    pub(crate) fn put_row(&mut self, row: &Row) {
        match row {
            Row::Organization(organization) => self.put(
                &table::ORGANIZATIONS,
                vec![
                    organization.no.0.into(),
                    organization.id.as_str().into(),
                    organization.name.as_str().into(),
                    organization.kind.as_str().into(),
                    organization.public.into(),
                    organization.description.as_str().into(),
                    organization.created_at.0.into(),
                    organization.modified_at.0.into(),
                    organization.closed_at.map(|at| at.0).into(),
                    json(&organization.limits.to_json()),
                ],
            ),
            Row::Counters(organization, counters) => self.put(
                &table::COUNTERS,
                vec![
                    organization.0.into(),
                    counters.organizations.into(),
                    counters.users.into(),
                    counters.environments.into(),
                    counters.accounts.into(),
                    counters.live_environments.into(),
                ],
            ),
            Row::User(user) => self.put(
                &table::USERS,
                vec![
                    user.no.0.into(),
                    user.name.as_str().into(),
                    user.email.as_str().into(),
                    user.created_at.0.into(),
                ],
            ),
            Row::Membership(membership) => self.put(
                &table::MEMBERSHIPS,
                vec![
                    membership.organization.0.into(),
                    membership.user.0.into(),
                    membership.role.as_str().into(),
                ],
            ),
            Row::Account(account) => self.put(
                &table::ACCOUNTS,
                vec![
                    account.organization.0.into(),
                    account.no.0.into(),
                    account.name.as_str().into(),
                    account.role.as_str().into(),
                    account.description.as_str().into(),
                    account.created_at.0.into(),
                ],
            ),
            Row::Key(key) => {
                self.removed_keys.remove(&key.verifier);
                let (user, organization, account) = match key.principal {
                    Principal::User(user) => (Some(user.0), None, None),
                    Principal::Account(organization, account) => {
                        (None, Some(organization.0), Some(account.0))
                    }
                };
                self.put(
                    &table::API_KEYS,
                    vec![
                        key.verifier.as_bytes()[..].into(),
                        key.id.as_str().into(),
                        user.into(),
                        organization.into(),
                        account.into(),
                        key.description.as_str().into(),
                        key.created_at.0.into(),
                        key.expires_at.map(|at| at.0).into(),
                        key.revoked_at.map(|at| at.0).into(),
                    ],
                );
            }
            Row::EnvironmentEntry(organization, environment, entry) => {
                let key: [Value; 2] = [organization.0.into(), environment.0.into()];
                if let Some((_, rows)) = self.tables.get_mut(table::ENVIRONMENTS.name)
                    && let Some(position) = rows.positions.get(&key_bytes(&key))
                {
                    let last = table::ENVIRONMENTS.columns.len() - 1;
                    rows.rows[*position][last] = (*entry).into();
                } else {
                    self.entries.insert((organization.0, environment.0), *entry);
                }
            }
            Row::Environment(environment) => {
                self.entries
                    .remove(&(environment.organization.0, environment.no.0));
                self.put(&table::ENVIRONMENTS, environment_row(environment));
            }
            Row::EnvironmentNamed(organization, name, environment) => self.put(
                &table::ENVIRONMENT_NAMES,
                vec![
                    organization.0.into(),
                    name.as_str().into(),
                    environment.0.into(),
                ],
            ),
            Row::Members(organization, logical, members) => {
                self.members.insert(
                    (organization.0, logical.0),
                    members.iter().map(|member| member.0).collect(),
                );
            }
            Row::Record(organization, record, stands) => self.put(
                &table::RECORDS,
                vec![
                    organization.0.into(),
                    record.no.0.into(),
                    place(&record.identity).into(),
                    stands.map(|(entry, _)| entry).into(),
                    stands.map(|(_, at)| at).into(),
                    match stands {
                        Some(_) => Value::Null,
                        None => record.identity.canonical_json().into(),
                    },
                ],
            ),
            Row::Snapshot(snapshot) => self.put(
                &table::SNAPSHOTS,
                vec![
                    snapshot.organization.0.into(),
                    snapshot.environment.0.into(),
                    snapshot.no.into(),
                    snapshot.entry.into(),
                    snapshot.at.0.into(),
                    snapshot.events_before.into(),
                    snapshot.events.into(),
                    snapshot.keyframe.into(),
                    snapshot.running.into(),
                    snapshot.step.as_slice().into(),
                    if snapshot.members.is_empty() {
                        Value::Null
                    } else {
                        json(
                            &snapshot
                                .members
                                .iter()
                                .map(|(environment, no)| (environment.0, *no))
                                .collect::<Vec<_>>(),
                        )
                    },
                ],
            ),
            Row::Start(start) => self.put(
                &table::STARTS,
                vec![
                    start.organization.0.into(),
                    start.at.0.into(),
                    start.environment.0.into(),
                    start.snapshot.into(),
                    start.record.0.into(),
                ],
            ),
            Row::Span(span) => self.put(&table::SPANS, span_row(span)),
            Row::SpanEnded {
                organization,
                record,
                environment,
                from,
                to,
            } => self.end_span(
                [
                    organization.0.into(),
                    record.0.into(),
                    environment.0.into(),
                    (*from).into(),
                ],
                *to,
            ),
            Row::Sequence(organization, environment, reporter, sequence) => self.put(
                &table::SEQUENCES,
                vec![
                    organization.0.into(),
                    environment.0.into(),
                    reporter.as_str().into(),
                    (*sequence).into(),
                ],
            ),
            Row::Subject(organization, subject, entry) => self.put(
                &table::SUBJECTS,
                vec![
                    organization.0.into(),
                    subject.to_text().into(),
                    (*entry).into(),
                ],
            ),
            Row::PrivateBody(body) => self.put(
                &table::PRIVATE_BODIES,
                vec![
                    body.organization.0.into(),
                    body.entry.into(),
                    body.position.into(),
                    body.subject.to_text().into(),
                    body.field.to_text().into(),
                    body.erased_by.into(),
                ],
            ),
            Row::TextFrom(organization, subject, name, entry) => self.put(
                &table::TEXTS,
                vec![
                    organization.0.into(),
                    subject.to_text().into(),
                    name.as_str().into(),
                    (*entry).into(),
                ],
            ),
            Row::KeyRemoved(verifier, _) => {
                self.removed_keys.insert(*verifier);
            }
            Row::Head(..) => {}
            Row::Approval(_) | Row::Deployment(_) => super::legacy::put(self, row),
            Row::Type(known) => super::custom_type::put(self, known),
            Row::TypeVersion(version) => super::custom_type::put_version(self, version),
            Row::Control(known) => super::control::put(self, known),
            Row::ControlVersion(version) => super::control::put_version(self, version),
            Row::Decided(decided) => super::control::put_decided(self, decided),
            row => super::flow::put(self, row),
        }
    }

    pub(crate) fn len(&self) -> usize {
        let rows: usize = self.tables.values().map(|(_, rows)| rows.rows.len()).sum();
        rows + self.ends.len() + self.entries.len()
    }

    /// Whether more is to be done than one statement that only writes can do.
    pub(crate) fn needs_transaction(&self) -> bool {
        !(self.members.is_empty() && self.removed_keys.is_empty() && self.erased.is_empty())
    }

    /// Writes everything and becomes empty. Tells the database's clock where it has one.
    pub(crate) async fn write(
        &mut self,
        conn: &mut Conn,
        guard: Option<&Guard>,
    ) -> Result<Option<Micros>, DbError> {
        for ((organization, logical), members) in std::mem::take(&mut self.members) {
            conn.execute(
                "DELETE FROM members WHERE organization = $1 AND logical = $2",
                &[organization.into(), logical.into()],
            )
            .await?;
            for member in members {
                self.put(
                    &table::MEMBERS,
                    vec![organization.into(), member.into(), logical.into()],
                );
            }
        }
        let tables = std::mem::take(&mut self.tables);
        let tables: Vec<_> = tables
            .values()
            .map(|(table, rows)| (*table, rows.rows.as_slice()))
            .collect();
        let ends = std::mem::take(&mut self.ends);
        let entries: Vec<Vec<Value>> = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|((organization, no), entry)| vec![entry.into(), organization.into(), no.into()])
            .collect();
        let batch = Batch {
            tables: &tables,
            ends: &ends,
            entries: &entries,
        };
        let clock = conn.write(&batch, guard).await?;
        for verifier in std::mem::take(&mut self.removed_keys) {
            conn.execute(
                "DELETE FROM api_keys WHERE verifier = $1",
                &[verifier.as_bytes()[..].into()],
            )
            .await?;
        }
        crate::erase::write(conn, &std::mem::take(&mut self.erased)).await?;
        Ok(clock)
    }
}

/// The key of a row as bytes that differ where keys of one table differ.
fn key_bytes(values: &[Value]) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    for value in values {
        match value {
            Value::Int(int) => key.extend_from_slice(&int.to_be_bytes()),
            Value::Text(text) => {
                key.extend_from_slice(text.as_bytes());
                key.push(0);
            }
            Value::Blob(blob) => key.extend_from_slice(blob),
            Value::Null | Value::Ints(_) => {}
        }
    }
    key
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Value {
    Value::Text(serde_json::to_string(value).expect("plain lists and maps are serializable"))
}

fn span_row(span: &Span) -> Vec<Value> {
    let (entry, at, detail) = match &span.detail {
        Kept::At(entry, at) => (Some(*entry), Some(*at), None),
        Kept::Here(detail) => (None, None, Some(crate::bodies::squeeze(detail))),
    };
    vec![
        span.organization.0.into(),
        span.record.0.into(),
        span.environment.0.into(),
        span.from.into(),
        span.to.into(),
        entry.into(),
        at.into(),
        detail.into(),
    ]
}

fn environment_row(environment: &Environment) -> Vec<Value> {
    vec![
        environment.organization.0.into(),
        environment.no.0.into(),
        environment.name.as_str().into(),
        environment.kind.as_wire().into(),
        environment.description.as_str().into(),
        environment.include_scaling.into(),
        environment.require_provenance.into(),
        json(
            &environment
                .members
                .iter()
                .map(|member| member.0)
                .collect::<Vec<_>>(),
        ),
        json(&environment.tags),
        environment.created_at.0.into(),
        environment.modified_at.0.into(),
        environment.archived_at.map(|at| at.0).into(),
        environment.snapshots.into(),
        environment.changed_at.map(|at| at.0).into(),
        environment.last_entry.into(),
        environment.imported.into(),
    ]
}
