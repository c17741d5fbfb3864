//! Limits per organization (D21) as the writer keeps them, in the head of each log, so that all
//! servers of a database see the same, and a restart changes nothing.
//!
//! The pace is a bucket that holds a minute's worth of entries and fills evenly: each entry moves
//! the instant up to which the bucket is used up, and a minute ahead of the clock it is empty.

use runstone_model::command::{Action, Caller, Command, Refusal};
use runstone_model::fact::Organization;
use runstone_model::id::Micros;
use runstone_model::limit::{Limit, Limited, Limits};

use crate::admin::unavailable;
use crate::conn::Conn;
use crate::log::Log;
use crate::value::DbError;
use crate::{Store, SubmitError};

const MINUTE: i64 = 60 * Micros::SECOND;

/// How far one entry moves the pace.
fn step(limit: u64) -> i64 {
    // A limit of none is refused by its own test; beyond one entry per microsecond nothing counts.
    MINUTE / i64::try_from(limit.max(1)).unwrap_or(MINUTE)
}

/// The pace after one more entry at `at`.
pub(crate) fn paced(paced_to: Micros, at: Micros, limits: &Limits) -> Micros {
    match limits.value(Limited::EntriesPerMinute) {
        None => Micros(0),
        Some(limit) => Micros(paced_to.0.max(at.0) + step(limit)),
    }
}

/// Whether a command that writes entries may do so now.
pub(crate) fn check(
    command: &Command,
    organization: &Organization,
    log: &Log,
    now: Micros,
) -> Result<(), Refusal> {
    if matches!(command.caller, Caller::System(_)) {
        return Ok(());
    }
    if let Some(limit) = organization.limits.value(Limited::EntriesPerMinute) {
        let over = log.paced_to.0 + step(limit) - now.0 - MINUTE;
        if limit == 0 || over > 0 {
            return Err(Refusal::TooManyEntries {
                organization: organization.name.clone(),
                limit,
                retry_after_seconds: (over.max(1) as u64).div_ceil(Micros::SECOND as u64),
            });
        }
    }
    // Clearing up must stay possible.
    let makes_room = matches!(
        command.action,
        Action::ArchiveEnvironment { .. } | Action::EraseBodies { .. }
    );
    match organization.limits.value(Limited::Bytes) {
        Some(limit) if log.body_bytes >= limit && !makes_room => Err(Refusal::TooManyBytes {
            organization: organization.name.clone(),
            limit,
        }),
        _ => Ok(()),
    }
}

/// The time by the clock that entries have: the database's, where several servers share it.
async fn database_now(conn: &mut Conn) -> Result<Option<Micros>, DbError> {
    let Conn::Postgres(_) = conn else {
        return Ok(None);
    };
    conn.query_one(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        &[],
    )
    .await?
    .map(|row| row.int(0).map(Micros))
    .transpose()
}

/// A limit of an organization and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitUsed {
    /// What is limited.
    pub what: Limited,
    /// As it is set.
    pub set: Limit,
    /// What holds; none = unlimited.
    pub limit: Option<u64>,
    /// What is used now.
    pub used: u64,
}

/// The limits of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationLimits {
    /// Its name.
    pub organization: String,
    /// Every limit.
    pub limits: Vec<LimitUsed>,
}

impl Store {
    /// Sets limits of an organization; the others stay.
    pub async fn put_limits(
        &self,
        organization: &str,
        limits: Vec<(Limited, Limit)>,
    ) -> Result<crate::Done, SubmitError> {
        self.submit(self.salted(
            "",
            Action::PutLimits {
                name: organization.to_owned(),
                limits,
            },
        ))
        .await
    }

    /// The limits of one organization, or of all that are not closed, by name.
    pub async fn limits(
        &self,
        organization: Option<&str>,
    ) -> Result<Vec<OrganizationLimits>, SubmitError> {
        let mut read = self.read().await.map_err(unavailable)?;
        let mut all = read.organizations().await.map_err(unavailable)?;
        all.retain(|known| match organization {
            Some(name) => known.name == name,
            None => known.closed_at.is_none(),
        });
        if let Some(name) = organization
            && all.is_empty()
        {
            return Err(SubmitError::Refused(Refusal::OrganizationMissing {
                name: name.to_owned(),
            }));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let now = database_now(read.conn().await.map_err(unavailable)?)
            .await
            .map_err(unavailable)?
            .unwrap_or_else(|| self.now());
        let mut shown = Vec::with_capacity(all.len());
        for known in all {
            let row = read
                .conn()
                .await
                .map_err(unavailable)?
                .query_one(
                    "SELECT h.body_bytes, h.paced_to, coalesce(c.live_environments, 0) FROM heads h LEFT JOIN counters c ON c.organization = h.organization WHERE h.organization = $1",
                    &[known.no.0.into()],
                )
                .await
                .map_err(unavailable)?
                .ok_or_else(|| unavailable(crate::rows::corrupt("a log is missing")))?;
            let number = |column| row.number(column).map_err(unavailable);
            let (bytes, environments) = (number(0)?, number(2)?);
            let ahead = row.int(1).map_err(unavailable)? - now.0;
            let limits = Limited::ALL
                .into_iter()
                .map(|what| {
                    let limit = known.limits.value(what);
                    LimitUsed {
                        what,
                        set: known.limits.set(what),
                        limit,
                        used: match what {
                            Limited::Bytes => bytes,
                            Limited::Environments => environments,
                            Limited::EntriesPerMinute => limit.map_or(0, |limit| {
                                (ahead.max(0) as u64).div_ceil(step(limit).max(1) as u64)
                            }),
                        },
                    }
                })
                .collect();
            shown.push(OrganizationLimits {
                organization: known.name,
                limits,
            });
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_used_up_and_fills_evenly() {
        let limits = Limits::default().with(Limited::EntriesPerMinute, Limit::AtMost(60));
        let mut pace = Micros(0);
        let now = Micros(1_000 * MINUTE);
        for _ in 0..60 {
            pace = paced(pace, now, &limits);
        }
        assert_eq!(pace.0, now.0 + MINUTE);
        let later = Micros(now.0 + 10 * Micros::SECOND);
        assert_eq!((pace.0 - later.0) / step(60), 50);
    }
}
