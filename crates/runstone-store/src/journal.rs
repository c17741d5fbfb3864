//! Reading the journal: entries as rows or sealed bundles, bodies inside or outside.

use std::sync::Arc;

use runstone_journal::tile::TILE_WIDTH;
use runstone_model::fact::OrganizationNo;
use runstone_model::id::Digest;

use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::value::DbError;

/// Entries from `first` on, at most `count` and not beyond the bundle `first` is in.
pub(crate) async fn entries(
    conn: &mut Conn,
    organization: OrganizationNo,
    first: u64,
    count: u64,
) -> Result<Vec<Arc<[u8]>>, DbError> {
    let n = first / TILE_WIDTH;
    let end = (first + count).min((n + 1) * TILE_WIDTH);
    let rows = conn
        .query(
            "SELECT bytes FROM entries WHERE organization = $1 AND position >= $2 AND position < $3 ORDER BY position",
            &[organization.0.into(), first.into(), end.into()],
        )
        .await?;
    if !rows.is_empty() {
        return rows.iter().map(|row| row.blob(0)).collect();
    }
    let Some(row) = conn
        .query_one(
            "SELECT bytes FROM bundles WHERE organization = $1 AND n = $2",
            &[organization.0.into(), n.into()],
        )
        .await?
    else {
        return Ok(Vec::new());
    };
    let all = crate::read::split_bundle(&crate::bodies::unseal(&row.blob(0)?)?)?;
    let from = (first % TILE_WIDTH) as usize;
    Ok(all[from..from + (end - first) as usize].to_vec())
}

/// A body by the entry that names it; none if it was erased.
pub(crate) async fn body(
    conn: &mut Conn,
    blobs: &Blobs,
    organization: OrganizationNo,
    entry: u64,
    position: u32,
    digest: &Digest,
) -> Result<Option<Arc<[u8]>>, DbError> {
    let Some(row) = conn
        .query_one(
            "SELECT encoding, bytes_total, bytes FROM bodies WHERE organization = $1 AND entry = $2 AND position = $3",
            &[
                organization.0.into(),
                entry.into(),
                position.into(),
            ],
        )
        .await?
    else {
        return Ok(None);
    };
    let total = usize::try_from(row.int(1)?)
        .map_err(|_| DbError::Corrupt("length of a body".to_owned()))?;
    let bytes: Arc<[u8]> = if row.is_null(2) {
        let id = conn
            .query_one(
                "SELECT id FROM heads WHERE organization = $1",
                &[organization.0.into()],
            )
            .await?
            .ok_or_else(|| DbError::Corrupt("a log is missing".to_owned()))?;
        match blobs
            .get(id.text(0)?, digest)
            .await
            .map_err(DbError::Blobs)?
        {
            Some(bytes) => crate::bodies::decode_outside(row.int(0)?, bytes.into(), total)?,
            None => {
                return Err(DbError::Corrupt(format!(
                    "body {position} of entry {entry} is missing from the blob store"
                )));
            }
        }
    } else {
        crate::bodies::decode(row.int(0)?, &row.blob(2)?, total)?.into()
    };
    if Digest::of(&bytes) != *digest {
        return Err(DbError::Corrupt(format!(
            "body {position} of entry {entry} is not the one the entry names"
        )));
    }
    Ok(Some(bytes))
}
