//! Other servers on the same database: how the writer locks logs against them, and when it need
//! not (D15, decision 0011). With an embedded store there are none.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use runstone_model::command::{Action, Command};
use runstone_model::fact::{OrganizationNo, Principal, SERVER};
use runstone_model::id::Micros;
use runstone_model::view::{Fact, FactKey};

use super::Writer;
use crate::conn::{Conn, Guard, Mode};
use crate::value::DbError;

/// The database's clock is guessed so long after it was heard of, in microseconds.
const CLOCK_HEARD_MAX: i64 = 10 * Micros::SECOND;
/// Our two clocks may differ so much meanwhile.
const CLOCK_DRIFT_MAX: i64 = Micros::SECOND / 10;

/// What a writer on PostgreSQL knows of the other servers.
#[derive(Default)]
pub(super) struct Peers {
    /// Sizes of the logs whose facts are cached.
    pub(super) sizes: HashMap<OrganizationNo, u64>,
    /// The last locks found nothing that another server had written.
    alone: bool,
    /// The database's clock when it was last heard of, and then our steady and our wall clock.
    heard: Option<(Micros, Instant, Micros)>,
}

impl Peers {
    pub(super) fn heard(&mut self, database: Micros, wall: Micros) {
        self.heard = Some((database, Instant::now(), wall));
    }

    /// The database's clock now, if nothing speaks against guessing: our two clocks agree on how
    /// long ago it was heard of (no jump, no sleep of the machine), and that was not long.
    fn now(&self, wall: Micros) -> Option<Micros> {
        let (database, steady, then) = self.heard.filter(|_| self.alone)?;
        let elapsed = i64::try_from(steady.elapsed().as_micros()).ok()?;
        let by_wall = wall.0 - then.0;
        (elapsed <= CLOCK_HEARD_MAX && (by_wall - elapsed).abs() <= CLOCK_DRIFT_MAX)
            .then_some(Micros(database.0 + elapsed))
    }
}

impl Writer {
    /// Whether a batch may be decided on what is cached and checked when it is written, and then
    /// the time and what to check: no other server wrote lately, every log is known, and the
    /// database's clock was heard of a moment ago (decision 0011).
    pub(super) fn guess(&self, commands: &[Command]) -> Option<(Micros, Guard)> {
        let Some(Conn::Postgres(_)) = &self.conn else {
            return None;
        };
        let now = self.peers.now(self.clock.now())?;
        let mut guard = Guard::default();
        let mut known = |organization: OrganizationNo| {
            let size = *self.peers.sizes.get(&organization)?;
            if !guard.sizes.iter().any(|(no, _)| *no == organization) {
                guard.sizes.push((organization, size));
            }
            Some(size)
        };
        known(SERVER)?;
        for command in commands {
            if matches!(command.action, Action::ShareSeen(_)) {
                continue;
            }
            let organization = if command.organization.is_empty() {
                SERVER
            } else {
                self.view
                    .organization_named(&command.organization)
                    .ok()
                    .flatten()?
            };
            let size = known(organization)?;
            if self.logs.get(&organization)?.size() != size {
                return None;
            }
        }
        Some((now, guard))
    }

    /// Begins a transaction, locks the logs the commands may write, drops what another server
    /// changed, and reads the clock: the database's where several servers share it (D10, D15).
    pub(super) async fn lock(&mut self, commands: &[Command]) -> Result<Micros, DbError> {
        let conn = self.conn.as_mut().expect("connected before locking");
        let Conn::Postgres(postgres) = conn else {
            conn.begin(Mode::Write).await?;
            return Ok(self.clock.now());
        };
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut server = false;
        for command in commands {
            match &command.action {
                Action::ShareSeen(_) => {}
                _ if command.organization.is_empty() => server = true,
                _ => {
                    names.insert(&command.organization);
                }
            }
        }
        let names: Vec<&str> = names.into_iter().collect();
        let locked = postgres.lock_heads(&names, server).await?;
        let mut moved = BTreeSet::new();
        for (organization, size) in locked.sizes.into_iter().chain([(SERVER, locked.server)]) {
            if self.peers.sizes.insert(organization, size) != Some(size) {
                moved.insert(organization);
                self.logs.remove(&organization);
                self.sealed.remove(&organization);
            }
        }
        self.view.retain(|key, fact| match (key, fact) {
            // Written by every server without an entry.
            (FactKey::Seen(..), _) => false,
            // The key of a service account stands in its organization's log.
            (FactKey::Key(_), Fact::Key(key)) => match key.principal {
                Principal::User(_) => !moved.contains(&SERVER),
                Principal::Account(home, _) => !moved.contains(&home),
            },
            (FactKey::Key(_), _) => moved.is_empty(),
            _ => !moved.contains(&key.organization()),
        });
        self.peers.alone = moved.is_empty();
        self.peers.heard(locked.now, self.clock.now());
        Ok(locked.now)
    }
}
