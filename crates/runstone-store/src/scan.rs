//! Reading a whole log, a bundle's worth of entries with their bodies at a time, and proving of
//! each entry what it proves by itself: canonical form, and bodies that have the digests it names.
//!
//! Reads only; what follows from the entries is for whoever scans.

use std::sync::Arc;

use runstone_journal::merkle::Hash;
use runstone_journal::tile::TILE_WIDTH;
use runstone_model::event::{
    ATTACHMENT_HELD_BYTES_MAX, ELEMENT_BODY_BYTES_MAX, Entry, Stored as Written,
};
use runstone_model::fact::OrganizationNo;
use runstone_model::id::Digest;

use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::value::{DbError, Record, Value};

/// An entry as it is stored.
pub(crate) struct Stored {
    pub(crate) position: u64,
    /// Stored hash; sealed entries have theirs in the tile only.
    pub(crate) leaf: Option<Hash>,
    pub(crate) bytes: Arc<[u8]>,
    /// Rows of its bodies: entry, position, private, encoding, bytes in all, bytes.
    bodies: Vec<Record>,
}

impl Stored {
    /// The row of its effects body, if that is read for its elements.
    pub(crate) fn elements_row(&self, organization: OrganizationNo) -> Option<Vec<Value>> {
        let row = self.bodies.first()?;
        let readable = row.int(1) == Ok(0)
            && row.int(2) == Ok(0)
            && row
                .number(4)
                .is_ok_and(|total| total <= ELEMENT_BODY_BYTES_MAX as u64);
        readable.then(|| {
            let mut values = vec![organization.0.into()];
            values.extend(row.0.iter().cloned());
            values
        })
    }

    /// Bytes of its bodies as the head of the log counts them.
    pub(crate) fn body_bytes(&self) -> i64 {
        self.bodies
            .iter()
            .fold(0, |sum, row| sum.saturating_add(row.int(4).unwrap_or(0)))
    }
}

/// Entries of one bundle.
pub(crate) struct Chunk {
    pub(crate) entries: Vec<Stored>,
    /// Body rows of entries that are not there, or that have a negative position.
    pub(crate) stray: Vec<(i64, i64)>,
    /// The entries are there twice: as rows and sealed.
    pub(crate) twice: bool,
}

/// An entry that was read, with what is wrong with it.
pub(crate) struct Opened {
    /// None if it cannot be read at all; then `problems` says why.
    pub(crate) entry: Option<Entry>,
    /// Number of bodies that are there.
    pub(crate) bodies: u64,
    /// Bodies it names that are not there.
    pub(crate) missing: Vec<(u32, Digest)>,
    /// What is wrong: with a body, or with the entry itself.
    pub(crate) problems: Vec<(Option<u32>, String)>,
}

/// Reads the entries of bundle `n` of a log of `size` entries.
pub(crate) async fn chunk(
    conn: &mut Conn,
    organization: OrganizationNo,
    n: u64,
    size: u64,
) -> Result<Chunk, DbError> {
    let first = n * TILE_WIDTH;
    let end = (first + TILE_WIDTH).min(size);
    let rows = conn
        .query(
            "SELECT position, leaf, bytes FROM entries WHERE organization = $1 AND position >= $2 AND position < $3 ORDER BY position",
            &[organization.0.into(), first.into(), end.into()],
        )
        .await?;
    let bundle = conn
        .query_one(
            "SELECT bytes FROM bundles WHERE organization = $1 AND n = $2",
            &[organization.0.into(), n.into()],
        )
        .await?;
    let twice = bundle.is_some() && !rows.is_empty();
    let mut entries = Vec::with_capacity((end - first) as usize);
    match bundle {
        Some(row) if rows.is_empty() && end - first == TILE_WIDTH => {
            let bundle = crate::bodies::unseal(&row.blob(0)?)?;
            for (bytes, position) in crate::read::split_bundle(&bundle)?.into_iter().zip(first..) {
                entries.push(Stored {
                    position,
                    leaf: None,
                    bytes,
                    bodies: Vec::new(),
                });
            }
        }
        _ => {
            for row in &rows {
                entries.push(Stored {
                    position: row.number(0)?,
                    leaf: Some(row.sha256(1)?),
                    bytes: row.blob(2)?,
                    bodies: Vec::new(),
                });
            }
        }
    }
    let complete = entries.len() as u64 == end - first
        && entries
            .iter()
            .zip(first..)
            .all(|(entry, position)| entry.position == position);
    if !complete {
        return Err(DbError::Corrupt(format!(
            "entries {first} to {} are not all there",
            end - 1
        )));
    }
    let mut stray = Vec::new();
    for row in conn
        .query(
            "SELECT entry, position, private, encoding, bytes_total, bytes FROM bodies WHERE organization = $1 AND entry >= $2 AND entry < $3 ORDER BY entry, position",
            &[organization.0.into(), first.into(), end.into()],
        )
        .await?
    {
        let (entry, position) = (row.int(0)?, row.int(1)?);
        if position < 0 {
            stray.push((entry, position));
        } else {
            entries[(entry as u64 - first) as usize].bodies.push(row);
        }
    }
    Ok(Chunk {
        entries,
        stray,
        twice,
    })
}

/// Decoded bytes of a stored body; none if the blob store lacks them. `digest` finds them there.
async fn body_bytes(
    row: &Record,
    id: &str,
    digest: Option<&Digest>,
    blobs: Option<&Blobs>,
) -> Result<Option<Arc<[u8]>>, DbError> {
    let total = usize::try_from(row.int(4)?)
        .map_err(|_| DbError::Corrupt("the length is negative".to_owned()))?;
    if !row.is_null(5) {
        return crate::bodies::decode(row.int(3)?, &row.blob(5)?, total)
            .map(|bytes| Some(bytes.into()));
    }
    let (Some(blobs), Some(digest)) = (blobs, digest) else {
        return Ok(None);
    };
    match blobs.get(id, digest).await.map_err(DbError::Blobs)? {
        Some(bytes) => crate::bodies::decode_outside(row.int(3)?, bytes.into(), total).map(Some),
        None => Ok(None),
    }
}

/// Reads an entry of the log of the organization with this id. Fails only where the blob store
/// cannot be asked, which says nothing about the entry.
pub(crate) async fn open(
    stored: &Stored,
    id: &str,
    blobs: Option<&Blobs>,
) -> Result<Opened, DbError> {
    match open_whole(stored, id).await {
        Some(entry) => Ok(Opened {
            entry: Some(entry),
            bodies: stored.bodies.len() as u64,
            missing: Vec::new(),
            problems: Vec::new(),
        }),
        None => open_damaged(stored, id, blobs).await,
    }
}

/// The usual case, hashing once: all bodies are inside the database, and writing the entry again
/// gives the same bytes. That its bodies have the digests it names follows.
async fn open_whole(stored: &Stored, id: &str) -> Option<Entry> {
    let mut bodies = Vec::with_capacity(stored.bodies.len());
    for (row, position) in stored.bodies.iter().zip(0..) {
        if row.int(1) != Ok(position) {
            return None;
        }
        bodies.push(Some(body_bytes(row, id, None, None).await.ok()??));
    }
    let entry = Entry::decode(&stored.bytes, &bodies).ok()?;
    let (bytes, written) = entry.encode();
    let same = bytes[..] == stored.bytes[..]
        && written.len() == bodies.len()
        && entry.organization == id
        && written
            .iter()
            .zip(&bodies)
            .zip(&stored.bodies)
            .all(|((written, body), row)| {
                matches!(&written.content, Written::Here(bytes) if body.as_ref() == Some(bytes))
                    && row.flag(2) == Ok(written.private)
            });
    same.then_some(entry)
}

/// The other cases: bodies outside, erased or damaged, and damaged entries.
async fn open_damaged(stored: &Stored, id: &str, blobs: Option<&Blobs>) -> Result<Opened, DbError> {
    let mut opened = Opened {
        entry: None,
        bodies: stored.bodies.len() as u64,
        missing: Vec::new(),
        problems: Vec::new(),
    };
    let digests = match Entry::body_digests(&stored.bytes) {
        Ok(digests) => digests,
        Err(error) => {
            opened.problems.push((None, error.to_string()));
            return Ok(opened);
        }
    };
    let mut bodies = Vec::with_capacity(digests.len());
    let mut rows = Vec::with_capacity(digests.len());
    for (position, digest) in digests.iter().enumerate() {
        let number = position as u32;
        let Some(row) = stored
            .bodies
            .iter()
            .find(|row| row.int(1) == Ok(position as i64))
        else {
            opened.missing.push((number, *digest));
            bodies.push(None);
            rows.push(None);
            continue;
        };
        let bytes = match body_bytes(row, id, Some(digest), blobs).await {
            Ok(Some(bytes)) if Digest::of(&bytes) == *digest => Some(bytes),
            Ok(Some(_)) => {
                opened
                    .problems
                    .push((Some(number), "is not the one the entry names".to_owned()));
                None
            }
            Ok(None) => {
                opened
                    .problems
                    .push((Some(number), "is missing from the blob store".to_owned()));
                None
            }
            Err(error @ DbError::Blobs(_)) => return Err(error),
            Err(error) => {
                opened.problems.push((Some(number), error.to_string()));
                None
            }
        };
        bodies.push(bytes);
        rows.push(Some(row));
    }
    for row in &stored.bodies {
        match row.int(1) {
            Ok(position) if position < digests.len() as i64 => {}
            Ok(position) => opened.problems.push((
                u32::try_from(position).ok(),
                "is named by no entry".to_owned(),
            )),
            Err(error) => opened.problems.push((None, error.to_string())),
        }
    }
    let entry = match Entry::decode(&stored.bytes, &bodies) {
        Ok(entry) => entry,
        Err(error) => {
            if opened.problems.is_empty() {
                opened.problems.push((None, error.to_string()));
            }
            return Ok(opened);
        }
    };
    if entry.organization != id {
        opened.problems.push((
            None,
            format!("belongs to organization {}", entry.organization),
        ));
    }
    if bodies.iter().all(Option::is_some) {
        let (bytes, written) = entry.encode();
        if bytes[..] != stored.bytes[..] {
            opened
                .problems
                .push((None, "is not in canonical form".to_owned()));
        }
        for (position, (body, row)) in written.iter().zip(&rows).enumerate() {
            if row.is_some_and(|row| row.flag(2) != Ok(body.private)) {
                opened.problems.push((
                    Some(position as u32),
                    "is marked private or plain wrongly".to_owned(),
                ));
            }
            let is_file = matches!(body.content, Written::Before { .. });
            // Small files were once stored as large ones are.
            let was_file = !body.private && body.len() <= ATTACHMENT_HELD_BYTES_MAX;
            let wrong = |form: i64| {
                if form == crate::bodies::OPAQUE {
                    !is_file && !was_file
                } else {
                    is_file
                }
            };
            if row.is_some_and(|row| row.int(3).is_ok_and(wrong)) {
                opened.problems.push((
                    Some(position as u32),
                    "is stored in a form that is not its own".to_owned(),
                ));
            }
        }
    } else {
        let canonical = serde_json::from_slice(&stored.bytes)
            .map(|value| runstone_model::canonical::to_string(&value));
        if !canonical.is_ok_and(|text| text.as_bytes() == &stored.bytes[..]) {
            opened
                .problems
                .push((None, "is not in canonical form".to_owned()));
        }
    }
    opened.entry = Some(entry);
    Ok(opened)
}
