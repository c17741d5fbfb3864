//! Organizations: made, changed, limited, closed.

use std::sync::Arc;

use super::{Deciding, Stop};
use crate::command::{Refusal, Reply};
use crate::event::{Event, Subject};
use crate::fact::{Organization, OrganizationKind, OrganizationNo, SERVER};
use crate::limit::{Limit, Limited};

impl Deciding<'_> {
    pub(super) fn put_organization(
        &mut self,
        id: &str,
        name: &str,
        kind: OrganizationKind,
        public: bool,
        description: &str,
    ) -> Result<Reply, Stop> {
        let Some(no) = self.view.organization_named(name)? else {
            let counters = self.view.counters(SERVER)?;
            let no = OrganizationNo(counters.organizations + 1);
            let salt = self.salt();
            self.append_new(
                Subject::Organization(no),
                Event::OrganizationCreated {
                    no,
                    id: id.to_owned(),
                    name: name.to_owned(),
                    kind,
                    public,
                    description: description.to_owned(),
                    salt,
                },
            );
            return Ok(Reply::Created);
        };
        let known = self.view.organization(no)?.ok_or(Refusal::Forbidden)?;
        if known.closed_at.is_some() {
            return Err(Refusal::OrganizationClosed {
                name: name.to_owned(),
            }
            .into());
        }
        if known.kind != kind {
            return Err(Refusal::OrganizationOfOtherKind {
                name: name.to_owned(),
                kind: known.kind,
            }
            .into());
        }
        if known.public == public && known.description == description {
            return Ok(Reply::Unchanged);
        }
        let salt = self.salt();
        self.append(
            Subject::Organization(no),
            Event::OrganizationChanged {
                no,
                public,
                description: description.to_owned(),
                salt,
            },
        )?;
        Ok(Reply::Changed)
    }

    fn organization(&self, name: &str) -> Result<Arc<Organization>, Stop> {
        let missing = || Refusal::OrganizationMissing {
            name: name.to_owned(),
        };
        let no = self.view.organization_named(name)?.ok_or_else(missing)?;
        Ok(self.view.organization(no)?.ok_or_else(missing)?)
    }

    pub(super) fn put_limits(
        &mut self,
        name: &str,
        changes: &[(Limited, Limit)],
    ) -> Result<Reply, Stop> {
        let known = self.organization(name)?;
        if known.closed_at.is_some() {
            return Err(Refusal::OrganizationClosed {
                name: name.to_owned(),
            }
            .into());
        }
        let limits = known.limits.changed(changes);
        if limits == known.limits {
            return Ok(Reply::Unchanged);
        }
        self.append(
            Subject::Organization(known.no),
            Event::OrganizationLimited {
                no: known.no,
                limits,
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn close_organization(&mut self, name: &str, reason: &str) -> Result<Reply, Stop> {
        let known = self.organization(name)?;
        if known.closed_at.is_some() {
            return Ok(Reply::Unchanged);
        }
        let salt = self.salt();
        self.append(
            Subject::Organization(known.no),
            Event::OrganizationClosed {
                no: known.no,
                reason: reason.to_owned(),
                salt,
            },
        )?;
        Ok(Reply::Changed)
    }
}
