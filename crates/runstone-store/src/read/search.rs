//! Which artifacts there are, and when and where they ran.

use runstone_model::fact::{EnvironmentNo, OrganizationNo, Record, RecordNo, Run};
use runstone_model::id::Fingerprint;

use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Value};

impl Read {
    /// Records whose fingerprint starts with the hexadecimal digits, at most `limit`.
    pub async fn records_by_prefix(
        &mut self,
        organization: OrganizationNo,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        if digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        let digits = digits.to_ascii_lowercase();
        let bound = |fill: char| {
            let mut text = digits.clone();
            while text.len() < 64 {
                text.push(fill);
            }
            text.parse::<Fingerprint>()
                .map(|fingerprint| rows::prefix(&fingerprint))
                .map_err(|error| DbError::Other(error.to_string()))
        };
        let (last, bytes_max) = (bound('f')?, self.bodies_bytes_max());
        let mut after = (bound('0')?, 0u32);
        let mut records = Vec::new();
        // Records of unknown content stand among the others, and of long digits the prefix tells
        // only the first: what is found is looked at, until there are enough or no more.
        while records.len() < limit {
            let wanted = limit - records.len();
            let conn = self.conn().await?;
            let rows = conn
                .query(
                    "SELECT no, entry, body_at, here, prefix FROM records WHERE organization = $1 AND prefix >= $2 AND prefix <= $3 AND (prefix > $2 OR no > $4) ORDER BY prefix, no LIMIT $5",
                    &[
                        organization.0.into(),
                        after.0.into(),
                        last.into(),
                        after.1.into(),
                        (wanted as u64).into(),
                    ],
                )
                .await?;
            for (no, identity) in
                rows::read_identities(conn, organization, &rows, bytes_max).await?
            {
                if identity
                    .fingerprint
                    .is_some_and(|fingerprint| fingerprint.to_hex().starts_with(&digits))
                {
                    records.push(rows::record(no, identity));
                }
            }
            match rows.last() {
                Some(row) if rows.len() == wanted => after = (row.int(4)?, row.ordinal(0)?),
                _ => break,
            }
        }
        Ok(records)
    }

    /// Records with these fingerprints, set-wise.
    pub async fn records_of(
        &mut self,
        organization: OrganizationNo,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<Record>, ReadError> {
        let mut prefixes: Vec<i64> = fingerprints.iter().map(rows::prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let bytes_max = self.bodies_bytes_max();
        let conn = self.conn().await?;
        let rows = conn
            .query(
                "SELECT r.no, r.entry, r.body_at, r.here FROM ID_TABLE($1) CROSS JOIN records r WHERE r.organization = $2 AND r.prefix >= i.value AND r.prefix <= i.value",
                &[Value::Ints(prefixes), organization.0.into()],
            )
            .await?;
        let found = rows::read_identities(conn, organization, &rows, bytes_max).await?;
        self.bound(rows.len())?;
        let mut records: Vec<_> = found
            .into_iter()
            .map(|(no, identity)| rows::record(no, identity))
            .collect();
        records.retain(|record| {
            record
                .identity
                .fingerprint
                .is_some_and(|fingerprint| fingerprints.contains(&fingerprint))
        });
        Ok(records)
    }

    /// When and where records ran: unbroken runs in physical environments, oldest first.
    pub async fn runs(
        &mut self,
        organization: OrganizationNo,
        records: &[RecordNo],
    ) -> Result<Vec<Run>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT s.record, s.environment, s.from_no, s.to_no FROM ID_TABLE($1) CROSS JOIN spans s WHERE s.organization = $2 AND s.record = i.value ORDER BY s.record, s.environment, s.from_no",
                &[
                    Value::Ints(records.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                ],
            )
            .await?;
        self.bound(rows.len())?;
        let mut runs: Vec<Run> = Vec::new();
        for row in &rows {
            let run = Run {
                record: RecordNo(row.ordinal(0)?),
                environment: EnvironmentNo(row.ordinal(1)?),
                from: row.number(2)?,
                to: row.optional_int(3)?.map(|to| to as u64),
            };
            match runs.last_mut() {
                // Spans that touch are one run with changed details.
                Some(last)
                    if last.record == run.record
                        && last.environment == run.environment
                        && last.to.is_some_and(|to| to + 1 == run.from) =>
                {
                    last.to = run.to;
                }
                _ => runs.push(run),
            }
        }
        Ok(runs)
    }
}
