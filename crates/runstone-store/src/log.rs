//! The head of a log as its writer knows it: edge, keys, epoch; signing; tiles of any size.

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle::{Edge, EdgeError, FullTile, hashes_root, leaf_hash};
use runstone_journal::note::{Signer, derive_signing_seed};
use runstone_journal::tile::TILE_WIDTH;
use runstone_model::fact::OrganizationNo;
use runstone_model::id::Micros;

use crate::conn::Conn;
use crate::keys::Secrets;
use crate::rows::Pending;
use crate::table;
use crate::value::{DbError, Value};

/// How long an old key signs beside the new one.
pub(crate) const KEY_OVERLAP: i64 = 30 * 24 * 3_600 * Micros::SECOND;

/// A signing key of a log.
pub(crate) struct Key {
    pub(crate) generation: u32,
    pub(crate) from_size: u64,
    /// Signs until then; none = the current key.
    pub(crate) until: Option<Micros>,
    pub(crate) signer: Signer,
}

/// Head of a log.
pub(crate) struct Log {
    pub(crate) organization: OrganizationNo,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) epoch: String,
    pub(crate) origin: String,
    pub(crate) epoch_from: u64,
    pub(crate) edge: Edge,
    pub(crate) last_at: Micros,
    pub(crate) keys: Vec<Key>,
    pub(crate) note: String,
    /// Bytes of all its bodies, before compression.
    pub(crate) body_bytes: u64,
    /// The instant up to which its limit of entries per minute is used up.
    pub(crate) paced_to: Micros,
}

fn journal_error(error: impl std::fmt::Display) -> DbError {
    DbError::Corrupt(error.to_string())
}

impl Log {
    /// A log without entries.
    pub(crate) fn new(
        organization: OrganizationNo,
        id: &str,
        name: &str,
        host: &str,
        epoch: String,
        secrets: &Secrets,
    ) -> Result<Self, DbError> {
        let origin = format!("{host}/log/{name}/{epoch}");
        let signer = signer(secrets, &origin, 0)?;
        Ok(Self {
            organization,
            id: id.to_owned(),
            name: name.to_owned(),
            epoch,
            origin,
            epoch_from: 0,
            edge: Edge::new(),
            last_at: Micros(0),
            keys: vec![Key {
                generation: 0,
                from_size: 0,
                until: None,
                signer,
            }],
            note: String::new(),
            body_bytes: 0,
            paced_to: Micros(0),
        })
    }

    /// Reads a head, locking it on PostgreSQL when `lock`.
    pub(crate) async fn load(
        conn: &mut Conn,
        organization: OrganizationNo,
        secrets: &Secrets,
        lock: bool,
    ) -> Result<Option<Self>, DbError> {
        let sql = "SELECT id, name, epoch, origin, epoch_from, size, root, note, last_at, body_bytes, paced_to FROM heads WHERE organization = $1";
        let sql = if lock && matches!(conn, Conn::Postgres(_)) {
            format!("{sql} FOR UPDATE")
        } else {
            sql.to_owned()
        };
        let Some(head) = conn.query_one(&sql, &[organization.0.into()]).await? else {
            return Ok(None);
        };
        let size = head.number(5)?;
        let edge = load_edge(conn, organization, size).await?;
        if edge.root() != head.sha256(6)? {
            return Err(DbError::Corrupt(format!(
                "the entries of log {} do not give the root of its head",
                head.text(3)?
            )));
        }
        let mut keys = Vec::new();
        for row in conn
            .query(
                "SELECT generation, from_size, origin, vkey, until_at FROM log_keys WHERE organization = $1 AND to_size IS NULL ORDER BY generation",
                &[organization.0.into()],
            )
            .await?
        {
            let generation = row.ordinal(0)?;
            let signer = signer(secrets, row.text(2)?, generation)?;
            if signer.verifier_key().to_string() != row.text(3)? {
                return Err(DbError::Corrupt(format!(
                    "the key file is not the one log {} was signed with",
                    row.text(2)?
                )));
            }
            keys.push(Key {
                generation,
                from_size: row.number(1)?,
                until: row.optional_int(4)?.map(Micros),
                signer,
            });
        }
        Ok(Some(Self {
            organization,
            id: head.text(0)?.to_owned(),
            name: head.text(1)?.to_owned(),
            epoch: head.text(2)?.to_owned(),
            origin: head.text(3)?.to_owned(),
            epoch_from: head.number(4)?,
            edge,
            last_at: Micros(head.int(8)?),
            keys,
            note: head.text(7)?.to_owned(),
            body_bytes: head.number(9)?,
            paced_to: Micros(head.int(10)?),
        }))
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Appends an entry received at `last_at` and hands on the rows it makes. A key whose overlap
    /// has ended by then signs no size above the one before it.
    pub(crate) fn append(&mut self, entry: &[u8], batch: Option<&[u8]>, pending: &mut Pending) {
        let organization = self.organization;
        let (size, at) = (self.edge.size(), self.last_at);
        self.keys.retain(|key| {
            let ended = key.until.is_some_and(|until| until <= at);
            if ended {
                pending.put(&table::LOG_KEYS, key_row(organization, key, Some(size)));
            }
            !ended
        });
        let leaf = leaf_hash(entry);
        pending.put(
            &table::ENTRIES,
            vec![
                organization.0.into(),
                self.edge.size().into(),
                leaf[..].into(),
                entry.into(),
                batch.into(),
            ],
        );
        self.edge.push(leaf, &mut |tile: FullTile| {
            pending.put(
                &table::TILES,
                vec![
                    organization.0.into(),
                    i64::from(tile.level).into(),
                    tile.n.into(),
                    tile.hashes[..].into(),
                ],
            );
        });
    }

    /// The signed checkpoint of the current size. The current key signs first; old ones follow
    /// while they overlap.
    pub(crate) fn sign(&self) -> Result<String, DbError> {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        let signers: Vec<&Signer> = self.keys.iter().rev().map(|key| &key.signer).collect();
        Ok(checkpoint
            .sign(&signers)
            .map_err(journal_error)?
            .to_string())
    }

    /// Signs the root and hands on the head row that publishes it.
    pub(crate) fn publish(&mut self, batch: &[u8], pending: &mut Pending) -> Result<(), DbError> {
        let size = self.edge.size();
        self.note = self.sign()?;
        pending.put(
            &table::HEADS,
            vec![
                self.organization.0.into(),
                self.id.as_str().into(),
                self.name.as_str().into(),
                self.epoch.as_str().into(),
                self.origin.as_str().into(),
                self.epoch_from.into(),
                size.into(),
                self.edge.root()[..].into(),
                self.note.as_str().into(),
                self.last_at.0.into(),
                batch.into(),
                self.body_bytes.into(),
                self.paced_to.0.into(),
            ],
        );
        Ok(())
    }

    /// Rows of a log's first epoch and key.
    pub(crate) fn put_identity(&self, pending: &mut Pending) {
        pending.put(
            &table::EPOCHS,
            vec![
                self.organization.0.into(),
                self.epoch_from.into(),
                self.epoch.as_str().into(),
                self.origin.as_str().into(),
                Value::Null,
                Value::Null,
            ],
        );
        for key in &self.keys {
            pending.put(&table::LOG_KEYS, key_row(self.organization, key, None));
        }
    }

    /// Brings the key of `generation` into use; the others sign along until the overlap ends.
    pub(crate) fn rotate(
        &mut self,
        generation: u32,
        now: Micros,
        secrets: &Secrets,
        pending: &mut Pending,
    ) -> Result<(), DbError> {
        for key in &mut self.keys {
            key.until.get_or_insert(Micros(now.0 + KEY_OVERLAP));
            pending.put(&table::LOG_KEYS, key_row(self.organization, key, None));
        }
        let key = Key {
            generation,
            from_size: self.size(),
            until: None,
            signer: signer(secrets, &self.origin, generation)?,
        };
        pending.put(&table::LOG_KEYS, key_row(self.organization, &key, None));
        self.keys.push(key);
        Ok(())
    }

    /// Ends the epoch and begins another with its own origin and key; the tree goes on.
    pub(crate) fn begin_epoch(
        &mut self,
        epoch: &str,
        secrets: &Secrets,
        pending: &mut Pending,
    ) -> Result<(), DbError> {
        let size = self.size();
        // The last checkpoint of the epoch covers all of it, also when the batch went on before
        // this.
        self.note = self.sign()?;
        let prefix = self
            .origin
            .rsplit_once('/')
            .map_or(self.origin.as_str(), |(prefix, _)| prefix);
        let origin = format!("{prefix}/{epoch}");
        pending.put(
            &table::EPOCHS,
            vec![
                self.organization.0.into(),
                self.epoch_from.into(),
                self.epoch.as_str().into(),
                self.origin.as_str().into(),
                size.into(),
                self.note.as_str().into(),
            ],
        );
        for key in &self.keys {
            pending.put(
                &table::LOG_KEYS,
                key_row(self.organization, key, Some(size)),
            );
        }
        let key = Key {
            generation: 0,
            from_size: size,
            until: None,
            signer: signer(secrets, &origin, 0)?,
        };
        epoch.clone_into(&mut self.epoch);
        self.origin = origin;
        self.epoch_from = size;
        self.keys = vec![key];
        self.put_identity(pending);
        Ok(())
    }
}

fn signer(secrets: &Secrets, origin: &str, generation: u32) -> Result<Signer, DbError> {
    let seed = derive_signing_seed(&secrets.seed, origin, generation);
    Signer::new(origin, &seed).map_err(journal_error)
}

/// Public key of a generation.
pub(crate) fn vkey(secrets: &Secrets, origin: &str, generation: u32) -> Result<String, DbError> {
    signer(secrets, origin, generation).map(|signer| signer.verifier_key().to_string())
}

fn key_row(organization: OrganizationNo, key: &Key, to_size: Option<u64>) -> Vec<Value> {
    let vkey = key.signer.verifier_key();
    vec![
        organization.0.into(),
        key.from_size.into(),
        key.generation.into(),
        vkey.name().into(),
        vkey.to_string().into(),
        to_size.into(),
        key.until.map(|until| until.0).into(),
    ]
}

impl From<EdgeError> for DbError {
    fn from(error: EdgeError) -> Self {
        journal_error(error)
    }
}

/// The edge of a tree of `size` leaves from stored leaf hashes and full tiles.
async fn load_edge(
    conn: &mut Conn,
    organization: OrganizationNo,
    size: u64,
) -> Result<Edge, DbError> {
    // The partial tiles are read first, because the edge asks for them without waiting.
    let mut partials = Vec::new();
    let mut level = 0u8;
    let mut below = size;
    loop {
        let width = (below % TILE_WIDTH) as u16;
        let bytes = if width == 0 {
            Vec::new()
        } else {
            partial_tile(conn, organization, level, below / TILE_WIDTH, width).await?
        };
        partials.push(bytes);
        below /= TILE_WIDTH;
        level += 1;
        if below == 0 {
            break;
        }
    }
    Edge::from_partials::<DbError>(size, |level, _| {
        Ok(partials
            .get(usize::from(level))
            .cloned()
            .unwrap_or_default())
    })
}

/// The first `width` hashes of a tile that need not be full: level 0 from leaf hashes, others
/// from the full tiles below.
pub(crate) async fn partial_tile(
    conn: &mut Conn,
    organization: OrganizationNo,
    level: u8,
    n: u64,
    width: u16,
) -> Result<Vec<u8>, DbError> {
    let missing = || {
        DbError::Corrupt(format!(
            "hashes of tile {level}/{n} of log {} are missing",
            organization.0
        ))
    };
    // A full tile has them all, also when the entries below were sealed.
    if let Some(row) = conn
        .query_one(
            "SELECT bytes FROM tiles WHERE organization = $1 AND level = $2 AND n = $3",
            &[organization.0.into(), i64::from(level).into(), n.into()],
        )
        .await?
    {
        let full = row.blob(0)?;
        return full
            .get(..usize::from(width) * 32)
            .map(<[u8]>::to_vec)
            .ok_or_else(missing);
    }
    let first = n * TILE_WIDTH;
    let mut bytes = Vec::with_capacity(usize::from(width) * 32);
    let rows = if level == 0 {
        conn.query(
            "SELECT leaf FROM entries WHERE organization = $1 AND position >= $2 AND position < $3 ORDER BY position",
            &[
                organization.0.into(),
                first.into(),
                (first + u64::from(width)).into(),
            ],
        )
        .await?
    } else {
        conn.query(
            "SELECT bytes FROM tiles WHERE organization = $1 AND level = $2 AND n >= $3 AND n < $4 ORDER BY n",
            &[
                organization.0.into(),
                i64::from(level - 1).into(),
                first.into(),
                (first + u64::from(width)).into(),
            ],
        )
        .await?
    };
    for row in &rows {
        if level == 0 {
            bytes.extend_from_slice(&row.sha256(0)?);
        } else {
            bytes.extend_from_slice(&hashes_root(&row.blob(0)?).ok_or_else(missing)?);
        }
    }
    if bytes.len() != usize::from(width) * 32 {
        return Err(missing());
    }
    Ok(bytes)
}
