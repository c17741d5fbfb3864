//! Reading: every question the use cases ask, each inside one read transaction (D14).
//!
//! This file owns the transaction: when it begins, of which state it is, when it is given up. The
//! questions stand beside it, by what they are about.

mod access;
mod controls;
mod custom_types;
mod environments;
mod flows;
mod legacy;
mod lineage;
mod log;
mod proofs;
mod provenance;
mod search;
mod snapshots;
mod starts;
mod timeline;

use std::sync::Arc;

pub use access::Admission;
pub use controls::{Decision, DecisionFilter};
pub use flows::{AttestationFilter, TrailFilter, TrailReports};
pub use lineage::{Before, Lineage};
pub(crate) use log::split_bundle;
pub use log::{LogHead, LogKey};
pub use proofs::{JournalBody, JournalEntry};
pub use provenance::Stamp;
pub use snapshots::Change;
pub use starts::{BuildFilter, StartFilter};
pub use timeline::{Covered, TimelinePage, TimelineWindow};

use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::engine::{Database, Pace, Reader};
use crate::value::DbError;
use crate::version::Version;

/// Why reading failed.
pub type ReadError = DbError;

/// Rows that an attempt at a short read may give back at once.
const SHORT_ROWS_MAX: usize = 256;
/// Bytes that may be worked over during one.
const SHORT_BYTES_MAX: usize = 128 << 10;
/// Bytes of bodies that may be decompressed during one.
const SHORT_BODIES_BYTES_MAX: usize = 512 << 10;

/// One read transaction: everything it answers is of one instant.
pub struct Read {
    database: Database,
    pace: Pace,
    /// None until the first question.
    reader: Option<Reader>,
    /// What the store's state was just before the transaction began, if that can be told.
    began_at: Option<Version>,
    pub(crate) blobs: Blobs,
    /// Logs serve only up to the guarded size, where a guard is configured.
    guarded: Arc<crate::guard::Guarded>,
}

impl Read {
    pub(crate) fn new(
        database: Database,
        pace: Pace,
        blobs: Blobs,
        guarded: Arc<crate::guard::Guarded>,
    ) -> Self {
        Self {
            database,
            pace,
            reader: None,
            began_at: None,
            blobs,
            guarded,
        }
    }

    /// The connection, in the transaction that the first call begins.
    pub(crate) async fn conn(&mut self) -> Result<&mut Conn, ReadError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            begun => {
                // Before the transaction: what it sees is of this state or a later one.
                self.began_at = self.database.version();
                begun.insert(self.database.read(self.pace).await?)
            }
        };
        if reader.is_over() {
            return Err(DbError::TooLong);
        }
        Ok(reader.conn())
    }

    /// The state of the store that everything read so far is of, where this process alone can
    /// tell: on the embedded store, unless something was being committed meanwhile.
    pub fn version(&self) -> Option<Version> {
        self.began_at
            .filter(|version| self.database.commits.is_current(*version))
    }

    /// Gives an attempt at a short read up where there are many rows: what follows for each of
    /// them takes its time as well.
    pub(super) fn bound(&self, rows: usize) -> Result<(), ReadError> {
        if rows > SHORT_ROWS_MAX && self.pace == Pace::Short {
            return Err(DbError::TooLong);
        }
        Ok(())
    }

    /// Bytes of bodies that may be decompressed for what stands in them.
    pub(super) fn bodies_bytes_max(&self) -> usize {
        match self.pace {
            Pace::Short => SHORT_BODIES_BYTES_MAX,
            Pace::Long => usize::MAX,
        }
    }

    /// Gives an attempt at a short read up before work on so many bytes.
    pub fn bound_bytes(&self, bytes: usize) -> Result<(), ReadError> {
        if bytes > SHORT_BYTES_MAX && self.pace == Pace::Short {
            return Err(DbError::TooLong);
        }
        Ok(())
    }
}
