//! Entries with everything that proves them: their bytes, their bodies and their receipts, many at
//! once.

use std::collections::{BTreeMap, HashMap};

use runstone_journal::proof::{ProofPlan, Receipt, TileId};
use runstone_journal::tile::TILE_WIDTH;
use runstone_model::event::Entry;
use runstone_model::fact::{EntryIndex, OrganizationNo};
use runstone_model::id::Digest;

use super::{LogHead, Read, ReadError};
use crate::attached::AttachedFile;
use crate::value::{DbError, Value};

/// An entry as it stands in the journal, with its bodies.
#[derive(Clone)]
pub struct JournalEntry {
    /// Its index.
    pub index: EntryIndex,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its bodies, in order.
    pub bodies: Vec<JournalBody>,
}

/// A body that an entry names.
#[derive(Clone)]
pub struct JournalBody {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The bytes; none if they were erased.
    pub content: Option<AttachedFile>,
}

impl Read {
    /// Entries by index, ascending; those that are not there are missing.
    pub async fn journal_entries(
        &mut self,
        organization: OrganizationNo,
        indexes: &[EntryIndex],
    ) -> Result<Vec<JournalEntry>, ReadError> {
        let mut wanted = indexes.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found: BTreeMap<EntryIndex, JournalEntry> = BTreeMap::new();
        // One statement for the entries of a bundle, which are stored together or sealed as one.
        for same in wanted.chunk_by(|a, b| a / TILE_WIDTH == b / TILE_WIDTH) {
            let (first, last) = (same[0], same[same.len() - 1]);
            let entries = self.entries(organization, first, last - first + 1).await?;
            for (index, bytes) in (first..).zip(entries) {
                if same.binary_search(&index).is_err() {
                    continue;
                }
                let digests = Entry::body_digests(&bytes)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?;
                let bodies = digests
                    .into_iter()
                    .map(|digest| JournalBody {
                        digest,
                        content: None,
                    })
                    .collect();
                let entry = JournalEntry {
                    index,
                    bytes: bytes.to_vec(),
                    bodies,
                };
                found.insert(index, entry);
            }
        }
        let known = found.keys().map(|index| *index as i64).collect();
        let id = match self
            .conn()
            .await?
            .query_one(
                "SELECT id FROM heads WHERE organization = $1",
                &[organization.0.into()],
            )
            .await?
        {
            Some(row) => row.text(0)?.to_owned(),
            None => return Ok(Vec::new()),
        };
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT b.entry, b.position, b.encoding, b.bytes_total, b.bytes FROM ID_TABLE($1) CROSS JOIN bodies b WHERE b.organization = $2 AND b.entry = i.value",
                &[Value::Ints(known), organization.0.into()],
            )
            .await?;
        for row in &rows {
            let (index, position) = (row.number(0)?, row.ordinal(1)?);
            let Some(body) = found
                .get_mut(&index)
                .and_then(|entry| entry.bodies.get_mut(position as usize))
            else {
                continue;
            };
            let total = row.number(3)?;
            body.content = if !row.is_null(4) {
                let bytes = crate::bodies::decode(row.int(2)?, &row.blob(4)?, total as usize)?;
                if Digest::of(&bytes) != body.digest {
                    return Err(DbError::Corrupt(format!(
                        "body {position} of entry {index} is not the one the entry names"
                    )));
                }
                Some(AttachedFile::here(body.digest, bytes.into()))
            } else if row.int(2)? == crate::bodies::OPAQUE {
                let file = AttachedFile::outside(&self.blobs, &id, body.digest, total);
                Some(file)
            } else {
                let digest = body.digest;
                let bytes = self.body(organization, index, position).await?;
                bytes.map(|bytes| AttachedFile::here(digest, bytes.into()))
            };
        }
        Ok(found.into_values().collect())
    }

    /// Receipts of entries against the published checkpoint; none for those it does not cover.
    pub async fn receipts(
        &mut self,
        head: &LogHead,
        indexes: &[EntryIndex],
    ) -> Result<Vec<Option<String>>, ReadError> {
        let corrupt =
            |error: runstone_journal::proof::ProofError| DbError::Corrupt(error.to_string());
        let mut tiles: HashMap<TileId, Vec<u8>> = HashMap::new();
        let mut receipts = Vec::with_capacity(indexes.len());
        for &index in indexes {
            if index >= head.size {
                receipts.push(None);
                continue;
            }
            let plan = ProofPlan::inclusion(index, head.size).map_err(corrupt)?;
            for id in plan.tiles() {
                if tiles.contains_key(&id) {
                    continue;
                }
                let complete = head.size >> (8 * (u32::from(id.level)));
                let width = (complete - id.index * TILE_WIDTH).min(TILE_WIDTH);
                let bytes = crate::log::partial_tile(
                    self.conn().await?,
                    head.organization,
                    id.level,
                    id.index,
                    width as u16,
                )
                .await?;
                tiles.insert(id, bytes);
            }
            let hashes = plan
                .resolve(|id| tiles.get(&id).map(Vec::as_slice))
                .map_err(corrupt)?;
            let receipt = Receipt {
                extra: None,
                index,
                hashes,
                checkpoint: head.note.clone(),
            };
            receipts.push(Some(receipt.to_string()));
        }
        Ok(receipts)
    }
}
