//! Erasing bodies: how they are found, what goes with the commit, and what goes after it (D2).
//!
//! The entry that says so, the stored bytes and the texts shown from them go in one transaction.
//! What a transaction cannot reach goes after it, and again at the next start if a crash came
//! between: bodies outside the database, the write-ahead log, and dead rows on PostgreSQL.

use std::time::Duration;

use runstone_journal::tile::TILE_WIDTH;
use runstone_model::command::{Action, Refusal, Reply};
use runstone_model::event::{Entry, Field, Subject};
use runstone_model::fact::{EntryIndex, OrganizationNo, PrivateBody, SERVER, SERVER_NAME};
use runstone_model::id::Digest;
use runstone_model::view::{Fact, FactKey};

use crate::admin::unavailable;
use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::engine::{Database, Place};
use crate::rows::corrupt;
use crate::value::{DbError, Record};
use crate::{Store, SubmitError};

/// So many bodies are erased by one command.
const BODIES_PER_COMMAND: usize = 256;
/// The write-ahead log is emptied when no reader needs it any more; so often it is tried.
const SETTLE_ATTEMPTS: u32 = 20;

/// A body that the transaction erases.
pub(crate) struct Erased {
    pub(crate) organization: OrganizationNo,
    /// Id of the organization, where the body lies in the blob store; none if it lies inside.
    pub(crate) outside: Option<String>,
    pub(crate) entry: EntryIndex,
    pub(crate) position: u32,
    pub(crate) digest: Digest,
}

/// What a body that is to be erased takes, so that the writer can count it: its bytes before
/// compression, and whether it lies outside.
pub(crate) async fn measure(
    conn: &mut Conn,
    organization: OrganizationNo,
    entry: EntryIndex,
    position: u32,
) -> Result<(u64, bool), DbError> {
    let row = conn
        .query_one(
            "SELECT bytes_total, CASE WHEN bytes IS NULL THEN 1 ELSE 0 END FROM bodies WHERE organization = $1 AND entry = $2 AND position = $3",
            &[organization.0.into(), entry.into(), position.into()],
        )
        .await?
        .ok_or_else(|| corrupt("a body that no entry erased is missing"))?;
    Ok((row.number(0)?, row.flag(1)?))
}

/// Deletes bodies in the transaction under way, and notes those that lie outside.
pub(crate) async fn write(conn: &mut Conn, erased: &[Erased]) -> Result<(), DbError> {
    for body in erased {
        conn.execute(
            "DELETE FROM bodies WHERE organization = $1 AND entry = $2 AND position = $3",
            &[
                body.organization.0.into(),
                body.entry.into(),
                body.position.into(),
            ],
        )
        .await?;
        if let Some(id) = &body.outside {
            conn.put(
                &crate::table::UNWANTED_BLOBS,
                &[vec![id.as_str().into(), body.digest.0[..].into()]],
            )
            .await?;
        }
    }
    Ok(())
}

fn private_body(organization: OrganizationNo, row: &Record) -> Result<PrivateBody, DbError> {
    Ok(PrivateBody {
        organization,
        entry: row.number(0)?,
        position: row.ordinal(1)?,
        subject: Subject::parse(row.text(2)?).ok_or_else(|| corrupt("a subject"))?,
        field: Field::parse(row.text(3)?).ok_or_else(|| corrupt("a field"))?,
        erased_by: row.optional_int(4)?.map(|index| index as u64),
    })
}

/// Facts about bodies and texts.
pub(crate) async fn load(conn: &mut Conn, key: &FactKey) -> Result<Option<Fact>, DbError> {
    match key {
        FactKey::PrivateBody(organization, entry, position) => conn
            .query_one(
                "SELECT entry, position, subject, field, erased_by FROM private_bodies WHERE organization = $1 AND entry = $2 AND position = $3",
                &[organization.0.into(), (*entry).into(), (*position).into()],
            )
            .await?
            .map(|row| {
                private_body(*organization, &row).map(|body| Fact::PrivateBody(body.into()))
            })
            .transpose(),
        FactKey::BodyDigest(organization, entry, position) => {
            Ok(digest(conn, *organization, *entry, *position)
                .await?
                .map(Fact::BodyDigest))
        }
        FactKey::TextFrom(organization, subject, name) => conn
            .query_one(
                "SELECT entry FROM texts WHERE organization = $1 AND subject = $2 AND name = $3",
                &[
                    organization.0.into(),
                    subject.to_text().into(),
                    name.as_str().into(),
                ],
            )
            .await?
            .map(|row| row.number(0).map(Fact::TextFrom))
            .transpose(),
        FactKey::KeyWithId(id) => conn
            .query_one(
                "SELECT verifier FROM api_keys WHERE id = $1",
                &[id.as_str().into()],
            )
            .await?
            .map(|row| row.sha256(0).map(|verifier| Fact::KeyWithId(Digest(verifier))))
            .transpose(),
        other => Err(DbError::Other(format!("{other:?} is no fact about bodies"))),
    }
}

/// The digest that a stored entry names at a position.
async fn digest(
    conn: &mut Conn,
    organization: OrganizationNo,
    entry: EntryIndex,
    position: u32,
) -> Result<Option<Digest>, DbError> {
    let Ok(first) = i64::try_from(entry) else {
        return Ok(None);
    };
    let size = conn
        .query_one(
            "SELECT size FROM heads WHERE organization = $1",
            &[organization.0.into()],
        )
        .await?
        .map_or(Ok(0), |row| row.int(0))?;
    if first >= size {
        return Ok(None);
    }
    let bytes = crate::journal::entries(conn, organization, entry, 1).await?;
    let bytes = bytes
        .first()
        .ok_or_else(|| corrupt("an entry is missing"))?;
    let digests = Entry::body_digests(bytes).map_err(|error| corrupt(&error.to_string()))?;
    Ok(digests.get(position as usize).copied())
}

/// Removes bodies outside the database that an entry erased.
pub(crate) async fn remove_blobs(database: &Database, blobs: &Blobs) -> Result<u64, DbError> {
    let mut conn = database.connect_writer().await?;
    let unwanted = conn
        .query(
            "SELECT id, digest FROM unwanted_blobs ORDER BY id, digest",
            &[],
        )
        .await?;
    let count = unwanted.len() as u64;
    for row in unwanted {
        let (id, digest) = (row.text(0)?, Digest(row.sha256(1)?));
        blobs.remove(id, &digest).await.map_err(DbError::Blobs)?;
        conn.execute(
            "DELETE FROM unwanted_blobs WHERE id = $1 AND digest = $2",
            &[id.into(), digest.0[..].into()],
        )
        .await?;
    }
    Ok(count)
}

/// What can be erased, named as an administrator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every private body of the log.
    All,
    /// Those with these digests.
    Digests(Vec<Digest>),
    /// The texts of an environment: its description and the values of its tags, old ones
    /// included; archived environments by the name they have now.
    Environment(String),
    /// A person, in the server's log: name, e-mail address, and keys with their descriptions.
    User(String),
    /// A service account: its descriptions, and the descriptions of its keys.
    ServiceAccount(String),
}

/// A private body that can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasable {
    /// Entry that names it.
    pub entry: EntryIndex,
    /// Its position there.
    pub position: u32,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes, the 32 random ones included.
    pub bytes: u64,
    /// What the entry is about: `environment:7`.
    pub subject: String,
    /// What it holds: `description`, `name`, `email`, `tag-values`, `reason`, `verifier:ID`,
    /// `key-description:ID`.
    pub field: String,
    /// An early version of Runstone kept it together with what the log needs: it stays.
    pub is_mixed: bool,
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErasureDone {
    /// What was erased, or would have been.
    pub bodies: Vec<Erasable>,
    /// Entries that say so.
    pub entries: Vec<EntryIndex>,
    /// What is left to be done, and when it will be; empty if all is gone.
    pub pending: Vec<String>,
}

/// A closed organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// It was closed by an earlier call.
    pub was_closed: bool,
    /// What was erased by this call.
    pub erased: ErasureDone,
    /// Bodies that stay, because an early version of Runstone kept them together with what the
    /// log needs.
    pub kept: u64,
}

fn refused(refusal: Refusal) -> SubmitError {
    SubmitError::Refused(refusal)
}

impl Store {
    /// The private bodies of a log that are wanted and not yet erased, in the order of entries.
    /// The server's log has the empty name.
    pub async fn erasable(
        &self,
        organization: &str,
        wanted: &Wanted,
    ) -> Result<Vec<Erasable>, SubmitError> {
        let mut read = self.read().await.map_err(unavailable)?;
        let no = if organization.is_empty() {
            SERVER
        } else {
            read.organization_named(organization)
                .await
                .map_err(unavailable)?
                .ok_or_else(|| {
                    refused(Refusal::OrganizationMissing {
                        name: organization.to_owned(),
                    })
                })?
                .no
        };
        let conn = read.conn().await.map_err(unavailable)?;
        let subject = subject(conn, organization, no, wanted).await?;
        let all = erasable(conn, no, subject).await.map_err(unavailable)?;
        Ok(match wanted {
            Wanted::All | Wanted::Environment(_) | Wanted::User(_) => all,
            // What a service account may do goes on; only the texts about it go.
            Wanted::ServiceAccount(_) => all
                .into_iter()
                .filter(|body| !body.field.starts_with("verifier:"))
                .collect(),
            Wanted::Digests(digests) => digests
                .iter()
                .enumerate()
                .map(|(number, digest)| {
                    all.iter()
                        .find(|body| body.digest == *digest)
                        .cloned()
                        .ok_or_else(|| {
                            refused(Refusal::NotErasable {
                                field: format!("digests[{number}]"),
                                what: format!(
                                    "no private body {digest} stands in this log, or it was erased already"
                                ),
                            })
                        })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// Erases private bodies of a log, and what is left of them after the commit.
    pub async fn erase(
        &self,
        organization: &str,
        wanted: &Wanted,
        reason: &str,
    ) -> Result<ErasureDone, SubmitError> {
        let bodies = self.erasable(organization, wanted).await?;
        let mut done = self.erase_all(organization, bodies, reason).await?;
        done.pending = self.clear().await;
        Ok(done)
    }

    async fn erase_all(
        &self,
        organization: &str,
        bodies: Vec<Erasable>,
        reason: &str,
    ) -> Result<ErasureDone, SubmitError> {
        let mut entries = Vec::new();
        for chunk in bodies.chunks(BODIES_PER_COMMAND) {
            let named = chunk
                .iter()
                .map(|body| (body.entry, body.position, body.digest))
                .collect();
            let done = self
                .submit(self.salted(
                    organization,
                    Action::EraseBodies {
                        bodies: named,
                        reason: reason.to_owned(),
                    },
                ))
                .await?;
            entries.extend(done.entries.iter().map(|(_, index)| *index));
        }
        Ok(ErasureDone {
            bodies,
            entries,
            pending: Vec::new(),
        })
    }

    /// Closes an organization for good: nobody gets in any more, its keys end and its private
    /// bodies are erased. Its name stays taken. A repeated call finishes what a crash left.
    pub async fn close_organization(
        &self,
        name: &str,
        reason: &str,
    ) -> Result<Closed, SubmitError> {
        let done = self
            .submit(self.salted(
                "",
                Action::CloseOrganization {
                    name: name.to_owned(),
                    reason: reason.to_owned(),
                },
            ))
            .await?;
        let mut erased = ErasureDone::default();
        let mut kept;
        // A write that another server was committing may come after the first look.
        loop {
            // Why bodies were erased stays: it tells nothing of people.
            let all = self.erasable(name, &Wanted::All).await?;
            let (mixed, bodies): (Vec<_>, Vec<_>) = all
                .into_iter()
                .filter(|body| body.field != Field::Reason.to_text())
                .partition(|body| body.is_mixed);
            kept = mixed.len() as u64;
            if bodies.is_empty() {
                break;
            }
            let more = self
                .erase_all(name, bodies, "the organization was closed")
                .await?;
            erased.bodies.extend(more.bodies);
            erased.entries.extend(more.entries);
        }
        let about = self.about_organization(name).await?;
        let more = self
            .erase_all("", about, "the organization was closed")
            .await?;
        erased.bodies.extend(more.bodies);
        erased.pending = self.clear().await;
        Ok(Closed {
            was_closed: done.reply == Reply::Unchanged,
            erased,
            kept,
        })
    }

    /// The texts about an organization in the server's log, but why it was closed.
    async fn about_organization(&self, name: &str) -> Result<Vec<Erasable>, SubmitError> {
        let mut read = self.read().await.map_err(unavailable)?;
        let Some(known) = read.organization_named(name).await.map_err(unavailable)? else {
            return Ok(Vec::new());
        };
        let subject = Subject::Organization(known.no);
        let conn = read.conn().await.map_err(unavailable)?;
        Ok(erasable(conn, SERVER, Some(subject))
            .await
            .map_err(unavailable)?
            .into_iter()
            .filter(|body| body.field == Field::Description.to_text())
            .collect())
    }

    /// Removes what erased bodies left outside the transaction; says what it could not remove.
    async fn clear(&self) -> Vec<String> {
        let mut pending = Vec::new();
        if let Err(error) = remove_blobs(&self.inner.database, &self.inner.blobs).await {
            pending.push(format!(
                "bodies in the blob store could not be removed and will be at the next start: {error}"
            ));
        }
        match &self.inner.database.place {
            Place::Sqlite { .. } => {
                let mut emptied = false;
                for attempt in 0..SETTLE_ATTEMPTS {
                    if attempt > 0 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    emptied = self.inner.database.settle().await;
                    if emptied {
                        break;
                    }
                }
                if !emptied {
                    pending.push(
                        "the write-ahead log is in use; it will be emptied when the server stops"
                            .to_owned(),
                    );
                }
            }
            Place::Postgres { .. } => {
                if let Err(error) = vacuum(&self.inner.database).await {
                    pending.push(format!("dead rows wait for the next vacuum: {error}"));
                }
            }
        }
        pending
    }
}

/// Removes dead rows of the tables that showed or held erased texts.
async fn vacuum(database: &Database) -> Result<(), DbError> {
    let mut conn = database.connect_writer().await?;
    if let Conn::Postgres(postgres) = &conn {
        postgres.unlimited().await?;
    }
    conn.batch("VACUUM bodies, environments, organizations, users, accounts, api_keys, flows, repos, custom_types, controls")
        .await
}

/// What is wanted as the subject of entries; none = of all.
async fn subject(
    conn: &mut Conn,
    organization: &str,
    no: OrganizationNo,
    wanted: &Wanted,
) -> Result<Option<Subject>, SubmitError> {
    let (sql, name, missing) = match wanted {
        Wanted::All | Wanted::Digests(_) => return Ok(None),
        Wanted::Environment(name) => (
            "SELECT environment FROM environment_names WHERE organization = $1 AND name = $2 UNION ALL SELECT no FROM environments WHERE organization = $1 AND name = $2",
            name,
            Refusal::EnvironmentMissing {
                name: name.clone(),
                organization: organization.to_owned(),
            },
        ),
        Wanted::User(name) => {
            if no != SERVER {
                return Err(refused(Refusal::NotErasable {
                    field: "user".to_owned(),
                    what: format!("users stand in the server's log, {SERVER_NAME}"),
                }));
            }
            (
                "SELECT no FROM users WHERE 0 = $1 AND name = $2",
                name,
                Refusal::UserMissing { name: name.clone() },
            )
        }
        Wanted::ServiceAccount(name) => (
            "SELECT no FROM accounts WHERE organization = $1 AND name = $2",
            name,
            Refusal::AccountMissing {
                name: name.clone(),
                organization: organization.to_owned(),
            },
        ),
    };
    let row = conn
        .query_one(sql, &[no.0.into(), name.as_str().into()])
        .await
        .map_err(unavailable)?
        .ok_or_else(|| refused(missing))?;
    let number = row.ordinal(0).map_err(unavailable)?;
    Ok(Some(match wanted {
        Wanted::User(_) => Subject::User(runstone_model::fact::UserNo(number)),
        Wanted::ServiceAccount(_) => Subject::Account(runstone_model::fact::AccountNo(number)),
        _ => Subject::Environment(runstone_model::fact::EnvironmentNo(number)),
    }))
}

async fn erasable(
    conn: &mut Conn,
    organization: OrganizationNo,
    subject: Option<Subject>,
) -> Result<Vec<Erasable>, DbError> {
    let condition = match subject {
        Some(_) => " AND p.subject = $2",
        None => "",
    };
    let mut parameters = vec![organization.0.into()];
    parameters.extend(subject.map(|subject| subject.to_text().into()));
    let rows = conn
        .query(
            &format!(
                "SELECT p.entry, p.position, p.subject, p.field, p.erased_by, b.bytes_total FROM private_bodies p JOIN bodies b ON b.organization = p.organization AND b.entry = p.entry AND b.position = p.position WHERE p.organization = $1{condition} AND p.erased_by IS NULL ORDER BY p.entry, p.position"
            ),
            &parameters,
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    // A bundle is read once for all its entries.
    let mut bundle = (u64::MAX, Vec::new());
    for row in &rows {
        let body = private_body(organization, row)?;
        let (n, place) = (body.entry / TILE_WIDTH, body.entry % TILE_WIDTH);
        if bundle.0 != n {
            let first = n * TILE_WIDTH;
            let entries = crate::journal::entries(conn, organization, first, TILE_WIDTH).await;
            bundle = (n, entries?);
        }
        let digest = bundle
            .1
            .get(place as usize)
            .and_then(|bytes| Entry::body_digests(bytes).ok())
            .and_then(|digests| digests.get(body.position as usize).copied())
            .ok_or_else(|| corrupt("an entry does not name the body stored for it"))?;
        found.push(Erasable {
            entry: body.entry,
            position: body.position,
            digest,
            bytes: row.number(5)?,
            subject: body.subject.to_text(),
            field: body.field.to_text(),
            is_mixed: body.field == Field::Mixed,
        });
    }
    Ok(found)
}
