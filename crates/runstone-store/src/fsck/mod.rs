//! Checking a store: everything that follows from something else is derived again and compared.
//!
//! Reads only. Names every record that is damaged or missing: the log, entry and body, or the
//! table, row and column. What stands for itself (operational tables, batch marks, the pace of
//! writing) is not judged.
//!
//! A log is read and proven on the caller's thread, replayed on a second one, and SQLite checks
//! its own pages on a third; what waits between them is bounded.

mod derived;
mod journal;
mod report;
mod schema;

use crate::Options;
use crate::admin::{AdminError, Places, Progress};
use crate::blobs::Blobs;
use crate::conn::{Conn, Mode};
use crate::keys::Secrets;
use crate::table::{self, Class};
use crate::value::DbError;

use derived::Replica;
use journal::Head;
pub use report::{Problem, Report};

/// Checks a store without changing it, also while a server runs on it: all of it is read as it
/// was at one instant.
pub async fn fsck(
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AdminError> {
    let mut report = Report::default();
    let places = Places::of(options)?;
    let secrets = match Secrets::load(&places.key_file, false, &*options.random) {
        Ok(secrets) => Some(secrets),
        Err(error) => {
            report.add("key file", error);
            None
        }
    };
    // Opening a folder of blobs would make it.
    let blobs = if places.blobs.contains("://") || std::path::Path::new(&places.blobs).exists() {
        Some(places.open_blobs(options)?)
    } else {
        None
    };
    let mut conn = match places.connect_reader().await {
        Ok(conn) => conn,
        Err(AdminError::Database(error @ (DbError::Corrupt(_) | DbError::Other(_)))) => {
            report.add("database", error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let pages = schema::check_pages(&places.place);
    if let Err(error) = conn.begin(Mode::Read).await {
        report.part("database", Err(error))?;
        return Ok(report);
    }
    let mut check = Check {
        report,
        secrets,
        blobs,
        progress,
        logs: Vec::new(),
    };
    let result = check.all(&mut conn).await;
    conn.rollback().await;
    result?;
    let mut report = check.report;
    for (place, what) in pages.await.unwrap_or_default() {
        report.add(place, what);
    }
    Ok(report)
}

struct Check<'a> {
    report: Report,
    secrets: Option<Secrets>,
    blobs: Option<Blobs>,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    logs: Vec<Head>,
}

impl Check<'_> {
    async fn all(&mut self, conn: &mut Conn) -> Result<(), AdminError> {
        let schema = self.schema(conn).await;
        self.report.part("schema", schema)?;
        let meta = self.meta(conn).await;
        self.report.part("table meta", meta)?;
        let heads = self.heads(conn).await;
        self.report.part("table heads", heads)?;
        let strays = self.strays(conn).await;
        self.report.part("journal", strays)?;
        let unwanted = self.unwanted(conn).await;
        self.report.part("table unwanted_blobs", unwanted)?;
        let mut replica = Replica::start()?;
        let total = self.logs.iter().map(|head| head.size).sum();
        let mut readable = true;
        for head in std::mem::take(&mut self.logs) {
            let place = format!("log {}", head.name);
            let mut whole = false;
            let result = self.log(conn, &mut replica, &head, total, &mut whole).await;
            self.report.part(&place, result)?;
            readable &= whole;
        }
        let replayed = replica.finish().await;
        for (place, what) in replayed.findings {
            self.report.add(place, what);
        }
        let Some(mut replayed) = replayed.tables.filter(|_| readable) else {
            self.report.add(
                "derived tables",
                "could not be compared, because not every log could be replayed",
            );
            return Ok(());
        };
        let compared = self.identities(conn, &mut replayed).await;
        self.report.part("table heads", compared)?;
        for table in table::ALL {
            if table.class == Class::Derived {
                let compared = self.compare(conn, &mut replayed, table).await;
                self.report
                    .part(&format!("table {}", table.name), compared)?;
            }
        }
        Ok(())
    }
}
