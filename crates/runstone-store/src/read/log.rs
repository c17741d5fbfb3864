//! Logs: heads, tiles, bundles, entries, bodies and receipts, as they are published.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use runstone_journal::tile::{TILE_WIDTH, decode_bundle, encode_bundle};
use runstone_model::event::{Actor, Entry};
use runstone_model::fact::{EntryIndex, OrganizationNo};

use super::{Read, ReadError};
use crate::engine::Pace;
use crate::value::{DbError, Value};

/// So many bundles are held at once.
const BUNDLES_MAX: usize = 64;

/// A log as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Organization.
    pub organization: OrganizationNo,
    /// Origin of the epoch asked for.
    pub origin: String,
    /// Its eight digits.
    pub epoch: String,
    /// Published size.
    pub size: u64,
    /// Signed checkpoint.
    pub note: String,
    /// Public keys of all epochs, oldest first.
    pub keys: Vec<LogKey>,
    /// All epochs, oldest first: digits, first size, last size.
    pub epochs: Vec<(String, u64, Option<u64>)>,
}

/// A public key and the sizes it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// In the form of the signed-note specification.
    pub vkey: String,
    /// First size.
    pub from_size: u64,
    /// Last size; none = still in use.
    pub to_size: Option<u64>,
}

impl Read {
    /// A log: its current epoch, or one by its digits.
    pub async fn log(
        &mut self,
        organization: OrganizationNo,
        epoch: Option<&str>,
    ) -> Result<Option<LogHead>, ReadError> {
        let conn = self.conn().await?;
        let Some(head) = conn
            .query_one(
                "SELECT origin, epoch, size, note FROM heads WHERE organization = $1",
                &[organization.0.into()],
            )
            .await?
        else {
            return Ok(None);
        };
        let mut keys = Vec::new();
        for row in conn
            .query(
                "SELECT vkey, from_size, to_size FROM log_keys WHERE organization = $1 ORDER BY from_size, generation",
                &[organization.0.into()],
            )
            .await?
        {
            keys.push(LogKey {
                vkey: row.text(0)?.to_owned(),
                from_size: row.number(1)?,
                to_size: row.optional_int(2)?.map(|size| size as u64),
            });
        }
        let mut epochs = Vec::new();
        let mut found = None;
        for row in conn
            .query(
                "SELECT epoch, from_size, to_size, origin, note FROM epochs WHERE organization = $1 ORDER BY from_size",
                &[organization.0.into()],
            )
            .await?
        {
            let to = row.optional_int(2)?.map(|size| size as u64);
            if Some(row.text(0)?) == epoch
                && let Some(size) = to
            {
                found = Some((row.text(3)?.to_owned(), size, row.text(4)?.to_owned()));
            }
            epochs.push((row.text(0)?.to_owned(), row.number(1)?, to));
        }
        let (mut origin, mut size, mut note) = (
            head.text(0)?.to_owned(),
            head.number(2)?,
            head.text(3)?.to_owned(),
        );
        let mut name = head.text(1)?.to_owned();
        match (epoch, found) {
            (None, _) => {}
            (Some(asked), _) if asked == name => {}
            (Some(asked), Some((old_origin, old_size, old_note))) => {
                origin = old_origin;
                size = old_size;
                note = old_note;
                asked.clone_into(&mut name);
            }
            (Some(_), None) => return Ok(None),
        }
        // What the guard has not seen yet is not published.
        if let Some((guarded_size, guarded_note)) = self.guarded.of(&origin)
            && guarded_size < size
        {
            size = guarded_size;
            note = guarded_note;
        }
        Ok(Some(LogHead {
            organization,
            origin,
            epoch: name,
            size,
            note,
            keys,
            epochs,
        }))
    }

    /// Hashes of a tile as it is in the tree of `size` leaves; none if it is not in it.
    pub async fn tile(
        &mut self,
        organization: OrganizationNo,
        size: u64,
        level: u8,
        n: u64,
        width: Option<u8>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let width = width.map_or(TILE_WIDTH, u64::from);
        if !is_within(size, level, n, width) {
            return Ok(None);
        }
        crate::log::partial_tile(self.conn().await?, organization, level, n, width as u16)
            .await
            .map(Some)
    }

    /// An entry bundle as it is in the tree of `size` leaves; none if it is not in it.
    pub async fn bundle(
        &mut self,
        organization: OrganizationNo,
        size: u64,
        n: u64,
        width: Option<u8>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let width = width.map_or(TILE_WIDTH, u64::from);
        if !is_within(size, 0, n, width) {
            return Ok(None);
        }
        let entries = self.entries(organization, n * TILE_WIDTH, width).await?;
        if entries.len() as u64 != width {
            return Err(DbError::Corrupt(format!(
                "entries of bundle {n} are missing"
            )));
        }
        encode_bundle(&entries)
            .map(Some)
            .map_err(|error| DbError::Corrupt(error.to_string()))
    }

    /// Entries from `first` on, at most `count` and not beyond their bundle.
    pub(crate) async fn entries(
        &mut self,
        organization: OrganizationNo,
        first: u64,
        count: u64,
    ) -> Result<Vec<Arc<[u8]>>, ReadError> {
        crate::journal::entries(self.conn().await?, organization, first, count).await
    }

    /// Bytes of an entry.
    pub async fn entry(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self
            .entries(organization, index, 1)
            .await?
            .first()
            .map(|bytes| bytes.to_vec()))
    }

    /// Who caused entries, set-wise.
    pub async fn actors(
        &mut self,
        organization: OrganizationNo,
        entries: &[EntryIndex],
    ) -> Result<HashMap<EntryIndex, Actor>, ReadError> {
        let actor = |bytes: &[u8]| {
            Entry::actor_of(bytes).map_err(|error| DbError::Corrupt(error.to_string()))
        };
        let wanted: BTreeSet<EntryIndex> = entries.iter().copied().collect();
        let numbers = wanted.iter().map(|index| *index as i64).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT e.position, e.bytes FROM ID_TABLE($1) CROSS JOIN entries e WHERE e.organization = $2 AND e.position = i.value",
                &[Value::Ints(numbers), organization.0.into()],
            )
            .await?;
        let mut found = HashMap::with_capacity(wanted.len());
        for row in &rows {
            found.insert(row.number(0)?, actor(&row.blob(1)?)?);
        }
        // The others are sealed.
        let mut bundles: Vec<i64> = wanted
            .iter()
            .filter(|index| !found.contains_key(index))
            .map(|index| (index / TILE_WIDTH) as i64)
            .collect();
        bundles.dedup();
        self.bound(bundles.len().saturating_mul(4))?;
        for bundles in bundles.chunks(BUNDLES_MAX) {
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT b.n, b.bytes FROM ID_TABLE($1) CROSS JOIN bundles b WHERE b.organization = $2 AND b.n = i.value",
                    &[Value::Ints(bundles.to_vec()), organization.0.into()],
                )
                .await?;
            for row in &rows {
                let first = row.number(0)? * TILE_WIDTH;
                let all = split_bundle(&crate::bodies::unseal(&row.blob(1)?)?)?;
                for (bytes, index) in all.iter().zip(first..) {
                    if wanted.contains(&index) {
                        found.insert(index, actor(bytes)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Bytes of a body an entry names.
    pub async fn body(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
        position: u32,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(entry) = self.entry(organization, index).await? else {
            return Ok(None);
        };
        let digests =
            Entry::body_digests(&entry).map_err(|error| DbError::Corrupt(error.to_string()))?;
        let Some(digest) = digests.get(position as usize) else {
            return Ok(None);
        };
        let blobs = self.blobs.clone();
        let found = crate::journal::body(
            self.conn().await?,
            &blobs,
            organization,
            index,
            position,
            digest,
        )
        .await;
        if let Err(DbError::Corrupt(_)) = &found {
            // It may have been erased since this transaction began, which still sees its row.
            let mut later = self.database.read(Pace::Long).await?;
            let row = later
                .conn()
                .query_one(
                    "SELECT entry FROM bodies WHERE organization = $1 AND entry = $2 AND position = $3",
                    &[organization.0.into(), index.into(), position.into()],
                )
                .await?;
            if row.is_none() {
                return Ok(None);
            }
        }
        found.map(|body| body.map(|bytes| bytes.to_vec()))
    }

    /// The receipt of an entry: a `.tlog-proof` against the published checkpoint; none while no
    /// published checkpoint covers it.
    pub async fn receipt(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
    ) -> Result<Option<String>, ReadError> {
        let Some(head) = self.log(organization, None).await? else {
            return Ok(None);
        };
        let receipts = self.receipts(&head, &[index]).await?;
        Ok(receipts.into_iter().next().flatten())
    }
}

/// Whether the first `width` hashes of a tile exist in a tree of `size` leaves.
fn is_within(size: u64, level: u8, n: u64, width: u64) -> bool {
    if level > 7 || width == 0 || width > TILE_WIDTH {
        return false;
    }
    let complete = size >> (8 * u32::from(level));
    n.checked_mul(TILE_WIDTH)
        .and_then(|first| first.checked_add(width))
        .is_some_and(|end| end <= complete)
}

/// Bundle bytes split into entries.
pub(crate) fn split_bundle(bytes: &[u8]) -> Result<Vec<Arc<[u8]>>, DbError> {
    Ok(decode_bundle(bytes, TILE_WIDTH as u16)
        .map_err(|error| DbError::Corrupt(error.to_string()))?
        .into_iter()
        .map(Arc::from)
        .collect())
}
