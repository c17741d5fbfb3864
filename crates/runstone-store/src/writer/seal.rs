//! Sealing: complete bundles become one compressed row each, while nothing waits (D5).

use runstone_journal::tile::{TILE_WIDTH, encode_bundle};
use runstone_model::fact::OrganizationNo;

use super::{Writer, connect};
use crate::conn::{Conn, Mode};
use crate::table;
use crate::value::DbError;

/// Complete bundles that stay as rows, so that an uncertain COMMIT can still be looked for.
const UNSEALED_BUNDLES: u64 = 1;

impl Writer {
    /// Replaces the rows of a few complete bundles by sealed ones, while nothing waits.
    pub(super) async fn seal_some(&mut self) {
        let organizations: Vec<_> = self.logs.keys().copied().collect();
        for organization in organizations {
            let complete = self.logs[&organization].size() / TILE_WIDTH;
            match self
                .seal(organization, complete.saturating_sub(UNSEALED_BUNDLES), 4)
                .await
            {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "sealing entries failed; it will be tried again");
                    self.abandon().await;
                    return;
                }
            }
        }
    }

    /// Seals bundles below `end`, at most `most`.
    pub(crate) async fn seal(
        &mut self,
        organization: OrganizationNo,
        end: u64,
        most: u64,
    ) -> Result<(), DbError> {
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
        self.sealed.insert(organization, start);
        for n in start..end.min(start + most) {
            seal_bundle(conn, organization, n).await?;
            self.sealed.insert(organization, n + 1);
        }
        Ok(())
    }
}

/// Replaces the rows of one complete bundle by one sealed row, in one transaction.
pub(crate) async fn seal_bundle(
    conn: &mut Conn,
    organization: OrganizationNo,
    n: u64,
) -> Result<(), DbError> {
    conn.begin(Mode::Write).await?;
    let result = async {
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
        let bundle =
            encode_bundle(&entries).map_err(|error| DbError::Corrupt(error.to_string()))?;
        conn.put(
            &table::BUNDLES,
            &[vec![
                organization.0.into(),
                n.into(),
                crate::bodies::seal(&bundle).into(),
            ]],
        )
        .await?;
        conn.execute(
            "DELETE FROM entries WHERE organization = $1 AND position >= $2 AND position < $3",
            &[organization.0.into(), first.into(), end.into()],
        )
        .await?;
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
