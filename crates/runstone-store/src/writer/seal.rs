//! Sealing: complete bundles become one compressed row each, a few at a time (D5).

use std::ops::Range;
use std::time::Duration;

use runstone_journal::tile::{TILE_WIDTH, encode_bundle};
use runstone_model::fact::OrganizationNo;

use super::{Writer, connect};
use crate::conn::{Conn, Mode};
use crate::value::DbError;

/// Complete bundles that stay as rows, so that an uncertain COMMIT can still be looked for.
const UNSEALED_BUNDLES: u64 = 1;
/// So many are sealed by one transaction: each costs a flush, for which writes wait.
pub(super) const AT_ONCE: u64 = 4;
/// Fewer are sealed when nothing was written for so long.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

impl Writer {
    /// A log has grown to `size`: whether there is something to seal.
    pub(super) fn grown(&mut self, organization: OrganizationNo, size: u64) {
        let sealed = self.sealed.get(&organization).copied().unwrap_or(0);
        if sealed < bundles_to_seal(size) {
            self.unsealed.insert(organization);
        }
    }

    /// Replaces the rows of complete bundles by sealed ones, a few of each log that has so many.
    pub(super) async fn seal_some(&mut self, least: u64) {
        for organization in self.unsealed.clone() {
            let end = self
                .logs
                .get(&organization)
                .map_or(0, |log| bundles_to_seal(log.size()));
            let sealed = self.sealed.get(&organization).copied().unwrap_or(0);
            if end.saturating_sub(sealed) < least {
                continue;
            }
            match self.seal(organization, end).await {
                Ok(sealed) if sealed < end => {}
                Ok(_) => {
                    self.unsealed.remove(&organization);
                }
                Err(error) => {
                    tracing::warn!(%error, "sealing entries failed; it will be tried again");
                    self.abandon().await;
                    return;
                }
            }
        }
    }

    /// Seals a few bundles below `end`; returns how many of the log are sealed now.
    async fn seal(&mut self, organization: OrganizationNo, end: u64) -> Result<u64, DbError> {
        let conn = connect(&self.database, &mut self.conn).await?;
        let start = match self.sealed.get(&organization) {
            Some(sealed) => *sealed,
            None => conn
                .query_one(
                    "SELECT coalesce(max(n) + 1, 0) FROM bundles WHERE organization = $1",
                    &[organization.0.into()],
                )
                .await?
                .map_or(Ok(0), |row| row.number(0))?,
        };
        let next = end.min(start + AT_ONCE).max(start);
        seal_bundles(conn, organization, start..next).await?;
        self.sealed.insert(organization, next);
        Ok(next)
    }
}

/// How many bundles of a log are to be sealed.
fn bundles_to_seal(size: u64) -> u64 {
    (size / TILE_WIDTH).saturating_sub(UNSEALED_BUNDLES)
}

/// Replaces the rows of complete bundles by one sealed row each, in one transaction.
pub(crate) async fn seal_bundles(
    conn: &mut Conn,
    organization: OrganizationNo,
    bundles: Range<u64>,
) -> Result<(), DbError> {
    if bundles.is_empty() {
        return Ok(());
    }
    conn.begin(Mode::Write).await?;
    let result = async {
        for n in bundles {
            seal_bundle(conn, organization, n).await?;
        }
        Ok(())
    }
    .await;
    match result {
        Ok(()) => conn.commit().await,
        Err(error) => {
            conn.rollback().await;
            Err(error)
        }
    }
}

async fn seal_bundle(conn: &mut Conn, organization: OrganizationNo, n: u64) -> Result<(), DbError> {
    let (first, end) = (n * TILE_WIDTH, (n + 1) * TILE_WIDTH);
    let rows = conn
        .query(
            "SELECT bytes FROM entries WHERE organization = $1 AND position >= $2 AND position < $3 ORDER BY position",
            &[organization.0.into(), first.into(), end.into()],
        )
        .await?;
    if rows.len() as u64 != TILE_WIDTH {
        // Another server sealed it.
        return Ok(());
    }
    let entries = rows
        .iter()
        .map(|row| row.blob(0))
        .collect::<Result<Vec<_>, _>>()?;
    let bundle = encode_bundle(&entries).map_err(|error| DbError::Corrupt(error.to_string()))?;
    // Another server may be sealing it at this moment: it writes the same bytes.
    conn.execute(
        "INSERT INTO bundles (organization, n, bytes) VALUES ($1, $2, $3) ON CONFLICT (organization, n) DO NOTHING",
        &[
            organization.0.into(),
            n.into(),
            crate::bodies::seal(&bundle).into(),
        ],
    )
    .await?;
    conn.execute(
        "DELETE FROM entries WHERE organization = $1 AND position >= $2 AND position < $3",
        &[organization.0.into(), first.into(), end.into()],
    )
    .await?;
    Ok(())
}
