//! Facts as rows and rows as facts: the one mapping between the model and the tables.

pub(crate) mod control;
pub(crate) mod custom_type;
mod elements;
pub(crate) mod flow;
pub(crate) mod legacy;
mod pending;

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_model::event::Subject;
use runstone_model::fact::{
    AccountNo, ApiKey, Environment, EnvironmentNo, Identity, Organization, OrganizationKind,
    OrganizationNo, Principal, Record as RecordFact, RecordNo, Seen, ServiceAccount, Snapshot,
    SnapshotNo, User, UserNo,
};
use runstone_model::id::{Digest, Fingerprint, Micros};
use runstone_model::limit::Limits;
use runstone_model::name::EnvironmentKind;
use runstone_model::state::{Element, Head, Step};
use runstone_model::view::{Counters, Fact, FactKey, View};

pub(crate) use self::elements::{
    Stay, first_details, identities, read_identities, stays, stays_at,
};
pub(crate) use self::pending::Pending;
use crate::conn::Conn;
use crate::value::{DbError, Record, Value};

/// First 8 bytes as a number that sorts like the bytes.
pub(crate) fn sortable(first: [u8; 8]) -> i64 {
    (u64::from_be_bytes(first) ^ (1 << 63)) as i64
}

/// Prefix of a fingerprint, for ranges of hexadecimal prefixes.
pub(crate) fn prefix(fingerprint: &Fingerprint) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&fingerprint.0[..8]);
    sortable(first)
}

/// Where a record stands in the index: by fingerprint; one of unknown content by its name, so
/// that those do not all stand in one place.
fn place(identity: &Identity) -> i64 {
    match &identity.fingerprint {
        Some(fingerprint) => prefix(fingerprint),
        None => {
            let mut first = [0; 8];
            first.copy_from_slice(&Digest::of(identity.name.as_bytes()).0[..8]);
            sortable(first)
        }
    }
}

pub(crate) fn corrupt(what: &str) -> DbError {
    DbError::Corrupt(what.to_owned())
}

fn micros(record: &Record, column: usize) -> Result<Micros, DbError> {
    record.int(column).map(Micros)
}

fn optional_micros(record: &Record, column: usize) -> Result<Option<Micros>, DbError> {
    Ok(record.optional_int(column)?.map(Micros))
}

pub(crate) const SELECT_ORGANIZATION: &str = "SELECT no, id, name, kind, public, description, created_at, modified_at, closed_at, limits FROM organizations";

pub(crate) fn organization(record: &Record) -> Result<Organization, DbError> {
    Ok(Organization {
        no: OrganizationNo(record.ordinal(0)?),
        id: record.text(1)?.to_owned(),
        name: record.text(2)?.to_owned(),
        kind: OrganizationKind::parse(record.text(3)?)
            .ok_or_else(|| corrupt("kind of an organization"))?,
        public: record.flag(4)?,
        description: record.text(5)?.to_owned(),
        created_at: micros(record, 6)?,
        modified_at: micros(record, 7)?,
        closed_at: optional_micros(record, 8)?,
        limits: serde_json::from_str(record.text(9)?)
            .ok()
            .and_then(|value| Limits::from_json(&value))
            .ok_or_else(|| corrupt("limits"))?,
    })
}

pub(crate) const SELECT_API_KEY: &str = "SELECT verifier, id, usr, organization, account, description, created_at, expires_at, revoked_at FROM api_keys";

pub(crate) fn api_key(record: &Record) -> Result<ApiKey, DbError> {
    let principal = if record.is_null(2) {
        Principal::Account(
            OrganizationNo(record.ordinal(3)?),
            AccountNo(record.ordinal(4)?),
        )
    } else {
        Principal::User(UserNo(record.ordinal(2)?))
    };
    Ok(ApiKey {
        verifier: Digest(record.sha256(0)?),
        id: record.text(1)?.to_owned(),
        principal,
        description: record.text(5)?.to_owned(),
        created_at: micros(record, 6)?,
        expires_at: optional_micros(record, 7)?,
        revoked_at: optional_micros(record, 8)?,
    })
}

pub(crate) const SELECT_ENVIRONMENT: &str = "SELECT organization, no, name, kind, description, include_scaling, require_provenance, members, tags, created_at, modified_at, archived_at, snapshots, changed_at, last_entry, imported FROM environments";

pub(crate) fn environment(record: &Record) -> Result<Environment, DbError> {
    let members: Vec<u32> =
        serde_json::from_str(record.text(7)?).map_err(|_| corrupt("members"))?;
    let tags: BTreeMap<String, String> =
        serde_json::from_str(record.text(8)?).map_err(|_| corrupt("tags"))?;
    Ok(Environment {
        organization: OrganizationNo(record.ordinal(0)?),
        no: EnvironmentNo(record.ordinal(1)?),
        name: record.text(2)?.to_owned(),
        kind: EnvironmentKind::from_wire(record.text(3)?)
            .ok_or_else(|| corrupt("type of an environment"))?,
        description: record.text(4)?.to_owned(),
        include_scaling: record.flag(5)?,
        require_provenance: record.flag(6)?,
        members: members.into_iter().map(EnvironmentNo).collect(),
        tags,
        created_at: micros(record, 9)?,
        modified_at: micros(record, 10)?,
        archived_at: optional_micros(record, 11)?,
        snapshots: record.number(12)?,
        changed_at: optional_micros(record, 13)?,
        last_entry: record.number(14)?,
        imported: record.number(15)?,
    })
}

/// The record with this number and identity.
pub(crate) fn record(no: RecordNo, identity: Arc<Identity>) -> RecordFact {
    RecordFact {
        no,
        digest: identity.digest(),
        identity,
    }
}

pub(crate) const SELECT_SNAPSHOT: &str = "SELECT organization, environment, no, entry, at, events_before, events, keyframe, running, step, members FROM snapshots";

pub(crate) fn snapshot(record: &Record) -> Result<Snapshot, DbError> {
    let members: Vec<(u32, u64)> = if record.is_null(10) {
        Vec::new()
    } else {
        serde_json::from_str(record.text(10)?).map_err(|_| corrupt("members of a snapshot"))?
    };
    Ok(Snapshot {
        organization: OrganizationNo(record.ordinal(0)?),
        environment: EnvironmentNo(record.ordinal(1)?),
        no: record.number(2)?,
        entry: record.number(3)?,
        at: micros(record, 4)?,
        events_before: record.number(5)?,
        events: record.ordinal(6)?,
        keyframe: record.number(7)?,
        running: record.ordinal(8)?,
        step: record.blob(9)?.to_vec(),
        members: members
            .into_iter()
            .map(|(environment, no)| (EnvironmentNo(environment), no))
            .collect(),
    })
}

pub(crate) const SELECT_SEEN: &str =
    "SELECT organization, environment, from_at, to_at, reports, longest_gap, reporter FROM seen";

pub(crate) fn seen(record: &Record) -> Result<(EnvironmentNo, Seen), DbError> {
    Ok((
        EnvironmentNo(record.ordinal(1)?),
        Seen {
            from: micros(record, 2)?,
            to: micros(record, 3)?,
            reports: record.number(4)?,
            longest_gap: record.int(5)?,
            reporter: record.text(6)?.to_owned(),
        },
    ))
}

pub(crate) fn seen_row(
    organization: OrganizationNo,
    environment: EnvironmentNo,
    seen: &Seen,
) -> Vec<Value> {
    vec![
        organization.0.into(),
        environment.0.into(),
        seen.from.0.into(),
        seen.to.0.into(),
        seen.reports.into(),
        seen.longest_gap.into(),
        seen.reporter.as_str().into(),
    ]
}

/// Loads facts into a view, set-wise where many of one sort are asked for.
pub(crate) async fn load(
    conn: &mut Conn,
    keys: Vec<FactKey>,
    view: &mut View,
) -> Result<(), DbError> {
    let mut records: BTreeMap<OrganizationNo, Vec<Arc<Identity>>> = BTreeMap::new();
    for key in keys {
        if view.knows(&key) {
            continue;
        }
        if let FactKey::Record(organization, identity) = key {
            records.entry(organization).or_default().push(identity);
            continue;
        }
        let fact = load_one(conn, &key).await?;
        view.insert(key, fact);
    }
    for (organization, identities) in records {
        load_records(conn, organization, identities, view).await?;
    }
    Ok(())
}

async fn load_records(
    conn: &mut Conn,
    organization: OrganizationNo,
    identities: Vec<Arc<Identity>>,
    view: &mut View,
) -> Result<(), DbError> {
    for chunk in identities.chunks(1_000) {
        let mut prefixes: Vec<i64> = chunk.iter().map(|identity| place(identity)).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let rows = conn
            .query(
                "SELECT r.no, r.entry, r.body_at, r.here FROM ID_TABLE($1) CROSS JOIN records r WHERE r.organization = $2 AND r.prefix >= i.value AND r.prefix <= i.value",
                &[Value::Ints(prefixes), organization.0.into()],
            )
            .await?;
        for identity in chunk {
            view.insert(
                FactKey::Record(organization, Arc::clone(identity)),
                Fact::Absent,
            );
        }
        for (no, identity) in read_identities(conn, organization, &rows, usize::MAX).await? {
            let found = Arc::new(record(no, identity));
            let key = FactKey::Record(organization, Arc::clone(&found.identity));
            if view.knows(&key) {
                view.insert(key, Fact::Record(found));
            }
        }
    }
    Ok(())
}

async fn load_one(conn: &mut Conn, key: &FactKey) -> Result<Fact, DbError> {
    Ok(match key {
        FactKey::Organization(no) => conn
            .query_one(
                &format!("{SELECT_ORGANIZATION} WHERE no = $1"),
                &[no.0.into()],
            )
            .await?
            .map(|row| organization(&row).map(|fact| Fact::Organization(Arc::new(fact))))
            .transpose()?,
        FactKey::OrganizationNamed(name) => conn
            .query_one(
                "SELECT no FROM organizations WHERE name = $1",
                &[name.as_str().into()],
            )
            .await?
            .map(|row| {
                row.ordinal(0)
                    .map(|no| Fact::OrganizationNamed(OrganizationNo(no)))
            })
            .transpose()?,
        FactKey::Counters(organization) => conn
            .query_one(
                "SELECT organizations, users, environments, accounts, live_environments, (SELECT max(no) FROM records WHERE organization = $1) FROM counters WHERE organization = $1",
                &[organization.0.into()],
            )
            .await?
            .map(|row| {
                Ok::<_, DbError>(Fact::Counters(Counters {
                    organizations: row.ordinal(0)?,
                    users: row.ordinal(1)?,
                    environments: row.ordinal(2)?,
                    accounts: row.ordinal(3)?,
                    live_environments: row.ordinal(4)?,
                    records: if row.is_null(5) { 0 } else { row.ordinal(5)? },
                }))
            })
            .transpose()?,
        FactKey::User(no) => conn
            .query_one(
                "SELECT no, name, email, created_at FROM users WHERE no = $1",
                &[no.0.into()],
            )
            .await?
            .map(|row| {
                Ok::<_, DbError>(Fact::User(Arc::new(User {
                    no: UserNo(row.ordinal(0)?),
                    name: row.text(1)?.to_owned(),
                    email: row.text(2)?.to_owned(),
                    created_at: micros(&row, 3)?,
                })))
            })
            .transpose()?,
        FactKey::UserNamed(name) => conn
            .query_one(
                "SELECT no FROM users WHERE name = $1",
                &[name.as_str().into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(|no| Fact::UserNamed(UserNo(no))))
            .transpose()?,
        FactKey::Membership(organization, user) => conn
            .query_one(
                "SELECT role FROM memberships WHERE organization = $1 AND usr = $2",
                &[organization.0.into(), user.0.into()],
            )
            .await?
            .map(|row| {
                row.text(0)?
                    .parse()
                    .map(Fact::Membership)
                    .map_err(|_| corrupt("a role"))
            })
            .transpose()?,
        FactKey::Account(organization, no) => conn
            .query_one(
                "SELECT name, role, description, created_at FROM accounts WHERE organization = $1 AND no = $2",
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| {
                Ok::<_, DbError>(Fact::Account(Arc::new(ServiceAccount {
                    organization: *organization,
                    no: *no,
                    name: row.text(0)?.to_owned(),
                    role: row.text(1)?.parse().map_err(|_| corrupt("a role"))?,
                    description: row.text(2)?.to_owned(),
                    created_at: micros(&row, 3)?,
                })))
            })
            .transpose()?,
        FactKey::AccountNamed(organization, name) => conn
            .query_one(
                "SELECT no FROM accounts WHERE organization = $1 AND name = $2",
                &[organization.0.into(), name.as_str().into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(|no| Fact::AccountNamed(AccountNo(no))))
            .transpose()?,
        FactKey::Key(verifier) => conn
            .query_one(
                &format!("{SELECT_API_KEY} WHERE verifier = $1"),
                &[verifier.as_bytes()[..].into()],
            )
            .await?
            .map(|row| api_key(&row).map(|fact| Fact::Key(Arc::new(fact))))
            .transpose()?,
        FactKey::Environment(organization, no) => conn
            .query_one(
                &format!("{SELECT_ENVIRONMENT} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| environment(&row).map(|fact| Fact::Environment(Arc::new(fact))))
            .transpose()?,
        FactKey::EnvironmentNamed(organization, name) => conn
            .query_one(
                "SELECT environment FROM environment_names WHERE organization = $1 AND name = $2",
                &[organization.0.into(), name.as_str().into()],
            )
            .await?
            .map(|row| {
                row.ordinal(0)
                    .map(|no| Fact::EnvironmentNamed(EnvironmentNo(no)))
            })
            .transpose()?,
        FactKey::LogicalsOf(organization, member) => {
            let rows = conn
                .query(
                    "SELECT logical FROM members WHERE organization = $1 AND member = $2 ORDER BY logical",
                    &[organization.0.into(), member.0.into()],
                )
                .await?;
            let logicals = rows
                .iter()
                .map(|row| row.ordinal(0).map(EnvironmentNo))
                .collect::<Result<Vec<_>, _>>()?;
            Some(Fact::LogicalsOf(logicals.into()))
        }
        FactKey::Head(organization, no) => load_head(conn, *organization, *no)
            .await?
            .map(|head| Fact::Head(Arc::new(head))),
        FactKey::Record(..) => return Err(DbError::Other("records load set-wise".to_owned())),
        FactKey::Seen(organization, no) => conn
            .query_one(
                &format!("{SELECT_SEEN} WHERE organization = $1 AND environment = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| seen(&row).map(|(_, seen)| Fact::Seen(seen)))
            .transpose()?,
        FactKey::Sequence(organization, no, reporter) => conn
            .query_one(
                "SELECT sequence FROM sequences WHERE organization = $1 AND environment = $2 AND reporter = $3",
                &[
                    organization.0.into(),
                    no.0.into(),
                    reporter.as_str().into(),
                ],
            )
            .await?
            .map(|row| row.number(0).map(Fact::Sequence))
            .transpose()?,
        FactKey::Subject(organization, subject) => {
            load_subject(conn, *organization, *subject).await?
        }
        FactKey::PrivateBody(..)
        | FactKey::BodyDigest(..)
        | FactKey::TextFrom(..)
        | FactKey::KeyWithId(_) => crate::erase::load(conn, key).await?,
        FactKey::Last(..)
        | FactKey::Flow(..)
        | FactKey::FlowNamed(..)
        | FactKey::Template(..)
        | FactKey::Trail(..)
        | FactKey::TrailNamed(..)
        | FactKey::TrailState(..)
        | FactKey::Repo(..)
        | FactKey::RepoKnown(..) => flow::load(conn, key).await?,
        FactKey::ArtifactIn(..) | FactKey::LastIn(..) => legacy::load(conn, key).await?,
        FactKey::Type(..) | FactKey::TypeNamed(..) => custom_type::load(conn, key).await?,
        FactKey::Control(..) | FactKey::ControlNamed(..) => control::load(conn, key).await?,
    }
    .unwrap_or(Fact::Absent))
}

async fn load_subject(
    conn: &mut Conn,
    organization: OrganizationNo,
    subject: Subject,
) -> Result<Option<Fact>, DbError> {
    conn.query_one(
        "SELECT entry FROM subjects WHERE organization = $1 AND subject = $2",
        &[organization.0.into(), subject.to_text().into()],
    )
    .await?
    .map(|row| row.number(0).map(Fact::Subject))
    .transpose()
}

/// The steps that make up a snapshot, keyframe first.
pub(crate) async fn state_at(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
    no: SnapshotNo,
) -> Result<
    Option<(
        Snapshot,
        Vec<(RecordNo, runstone_model::fact::JudgementNo)>,
        u64,
    )>,
    DbError,
> {
    let Some(row) = conn
        .query_one(
            &format!("{SELECT_SNAPSHOT} WHERE organization = $1 AND environment = $2 AND no = $3"),
            &[organization.0.into(), environment.0.into(), no.into()],
        )
        .await?
    else {
        return Ok(None);
    };
    let last = snapshot(&row)?;
    let mut state = Vec::new();
    let mut step_bytes = 0;
    let apply = |bytes: &[u8], state: &mut Vec<_>| -> Result<(), DbError> {
        Step::from_bytes(bytes)
            .map_err(|error| DbError::Corrupt(format!("{error} at snapshot {no}")))?
            .apply(state);
        Ok(())
    };
    if last.keyframe < no {
        let rows = conn
            .query(
                "SELECT step FROM snapshots WHERE organization = $1 AND environment = $2 AND no >= $3 AND no < $4 ORDER BY no",
                &[
                    organization.0.into(),
                    environment.0.into(),
                    last.keyframe.into(),
                    no.into(),
                ],
            )
            .await?;
        for (position, row) in rows.iter().enumerate() {
            let step = row.blob(0)?;
            if position > 0 {
                step_bytes += step.len() as u64;
            }
            apply(&step, &mut state)?;
        }
        step_bytes += last.step.len() as u64;
    }
    apply(&last.step, &mut state)?;
    Ok(Some((last, state, step_bytes)))
}

async fn load_head(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
) -> Result<Option<Head>, DbError> {
    let Some(row) = conn
        .query_one(
            "SELECT snapshots, kind FROM environments WHERE organization = $1 AND no = $2",
            &[organization.0.into(), environment.0.into()],
        )
        .await?
    else {
        return Ok(None);
    };
    let no = row.number(0)?;
    let logical = row.text(1)? == EnvironmentKind::Logical.as_wire();
    if no == 0 {
        return Ok(None);
    }
    let (last, state, step_bytes) = state_at(conn, organization, environment, no)
        .await?
        .ok_or_else(|| corrupt("the latest snapshot is missing"))?;
    let numbers: Vec<RecordNo> = state.iter().map(|(record, _)| *record).collect();
    let mut found = if logical {
        identities(conn, organization, &numbers, usize::MAX)
            .await?
            .into_iter()
            .map(|(number, identity)| {
                let stay = Stay {
                    since: no,
                    identity,
                    detail: Arc::from(&b""[..]),
                };
                (number, stay)
            })
            .collect()
    } else {
        stays(conn, organization, environment, no, &numbers, usize::MAX).await?
    };
    let mut elements = Vec::with_capacity(state.len());
    for (number, judgement) in state {
        let stay = found
            .remove(&number)
            .ok_or_else(|| corrupt("a record or its span is missing"))?;
        elements.push(Element {
            record: number,
            judgement,
            since: stay.since,
            digest: stay.identity.digest(),
            identity: stay.identity,
            detail: stay.detail,
        });
    }
    let mut head = Head::default();
    head.no = no;
    head.at = last.at;
    head.entry = last.entry;
    head.events = last.events_before + u64::from(last.events);
    head.keyframe = last.keyframe;
    head.step_bytes = step_bytes;
    head.members = last.members;
    Ok(Some(head.restore(elements)))
}
