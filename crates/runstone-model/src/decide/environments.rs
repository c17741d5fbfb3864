//! Environments: made, changed, renamed, joined, tagged, archived.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flow::tagged;
use super::{Deciding, Stop};
use crate::command::{PatchEnvironment, PutEnvironment, Refusal, Reply};
use crate::event::{Event, Settings, Subject};
use crate::fact::{Environment, EnvironmentNo, Principal};
use crate::id::Micros;
use crate::limit::Limited;
use crate::name::EnvironmentKind;
use crate::role::Right;

impl Deciding<'_> {
    fn missing(&self, name: &str) -> Stop {
        Refusal::EnvironmentMissing {
            name: name.to_owned(),
            organization: self.command.organization.clone(),
        }
        .into()
    }

    pub(super) fn live_environment(&self, name: &str) -> Result<Arc<Environment>, Stop> {
        let no = self
            .view
            .environment_named(self.organization, name)?
            .ok_or_else(|| self.missing(name))?;
        let known = self
            .view
            .environment(self.organization, no)?
            .ok_or_else(|| self.missing(name))?;
        if known.archived_at.is_some() {
            return Err(Refusal::EnvironmentArchived {
                name: name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        Ok(known)
    }

    fn refuse_policies(&self, policies: Option<&Vec<String>>) -> Result<(), Stop> {
        match policies.and_then(|policies| policies.first()) {
            None => Ok(()),
            Some(name) => Err(Refusal::PolicyMissing {
                name: name.clone(),
                organization: self.command.organization.clone(),
            }
            .into()),
        }
    }

    fn refuse_more_environments(&self, live: u32) -> Result<(), Stop> {
        let Some(organization) = self.view.organization(self.organization)? else {
            return Ok(());
        };
        match organization.limits.value(Limited::Environments) {
            Some(limit) if u64::from(live) >= limit => Err(Refusal::TooManyEnvironments {
                organization: organization.name.clone(),
                limit,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// The members named, each once, in the order given.
    fn members(&self, names: &[String]) -> Result<Vec<EnvironmentNo>, Stop> {
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.live_environment(name)?;
            if member.kind == EnvironmentKind::Logical {
                return Err(Refusal::MemberIsLogical.into());
            }
            if !members.contains(&member.no) {
                members.push(member.no);
            }
        }
        Ok(members)
    }

    /// The logical snapshot that a change of members makes, if any member was ever recorded.
    fn logical_snapshot(
        &self,
        logical: Option<EnvironmentNo>,
        members: &[EnvironmentNo],
    ) -> Result<Option<u64>, Stop> {
        let head = match logical {
            Some(no) => self.view.head(self.organization, no)?,
            None => None,
        };
        let mut recorded = head.is_some();
        for member in members {
            recorded |= self.view.head(self.organization, *member)?.is_some();
        }
        Ok(recorded.then(|| head.map_or(1, |head| head.no + 1)))
    }

    pub(super) fn put_environment(&mut self, put: &PutEnvironment) -> Result<Reply, Stop> {
        let known = match self.view.environment_named(self.organization, &put.name)? {
            Some(no) => self
                .view
                .environment(self.organization, no)?
                // A name that only leads to a renamed or archived one is free.
                .filter(|known| known.archived_at.is_none() && known.name == put.name),
            None => None,
        };
        self.refuse_policies(put.policies.as_ref())?;
        let Some(known) = known else {
            let members = if put.kind == EnvironmentKind::Logical {
                self.members(put.included_environments.as_deref().unwrap_or_default())?
            } else {
                Vec::new()
            };
            let snapshot = if put.kind == EnvironmentKind::Logical {
                self.logical_snapshot(None, &members)?
            } else {
                None
            };
            let counters = self.view.counters(self.organization)?;
            self.refuse_more_environments(counters.live_environments)?;
            let no = EnvironmentNo(counters.environments + 1);
            let description = (!put.description.is_empty()).then(|| self.text(&put.description));
            self.append_new(
                Subject::Environment(no),
                Event::EnvironmentCreatedV2 {
                    no,
                    name: put.name.clone(),
                    kind: put.kind,
                    include_scaling: put.include_scaling.unwrap_or(false)
                        && put.kind != EnvironmentKind::Logical,
                    require_provenance: put.require_provenance.unwrap_or(false),
                    description,
                    members: (put.kind == EnvironmentKind::Logical).then_some(members),
                    snapshot,
                },
            );
            return Ok(Reply::Created);
        };
        if known.kind != put.kind {
            return Err(Refusal::EnvironmentOfOtherKind {
                name: put.name.clone(),
                kind: known.kind,
            }
            .into());
        }
        // A snapshotter's re-put creates or changes nothing (D18).
        if !self.may_change()? {
            return Ok(Reply::Unchanged);
        }
        let members = match &put.included_environments {
            Some(names) if known.kind == EnvironmentKind::Logical => self.members(names)?,
            _ => known.members.clone(),
        };
        self.change_settings(
            &known,
            Settings {
                description: if put.description.is_empty() {
                    known.description.clone()
                } else {
                    put.description.clone()
                },
                include_scaling: put.include_scaling.unwrap_or(known.include_scaling)
                    && known.kind != EnvironmentKind::Logical,
                require_provenance: put.require_provenance.unwrap_or(known.require_provenance),
                members,
            },
        )
    }

    fn may_change(&self) -> Result<bool, Stop> {
        let Some(verifier) = self.command.caller.key() else {
            return Ok(true);
        };
        let key = self.view.key(verifier)?.ok_or(Refusal::Unauthorized)?;
        let role = match key.principal {
            Principal::User(user) => self.view.membership(self.organization, user)?,
            Principal::Account(home, account) => self
                .view
                .account(home, account)?
                .map(|account| account.role),
        };
        Ok(role.is_some_and(|role| role.allows(Right::ChangeEnvironment)))
    }

    fn change_settings(&mut self, known: &Environment, after: Settings) -> Result<Reply, Stop> {
        let before = Settings {
            description: known.description.clone(),
            include_scaling: known.include_scaling,
            require_provenance: known.require_provenance,
            members: known.members.clone(),
        };
        if before == after {
            return Ok(Reply::Unchanged);
        }
        let snapshot = if before.members == after.members {
            None
        } else {
            self.logical_snapshot(Some(known.no), &after.members)?
        };
        let description =
            (before.description != after.description).then(|| self.text(&after.description));
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentChangedV2 {
                no: known.no,
                include_scaling: after.include_scaling,
                require_provenance: after.require_provenance,
                description,
                members: (before.members != after.members).then_some(after.members),
                snapshot,
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn patch_environment(&mut self, patch: &PatchEnvironment) -> Result<Reply, Stop> {
        let known = self.live_environment(&patch.environment)?;
        self.refuse_policies(patch.policies.as_ref())?;
        let members = match &patch.included_environments {
            Some(names) => {
                if known.kind != EnvironmentKind::Logical {
                    return Err(Refusal::NotLogical {
                        name: patch.environment.clone(),
                    }
                    .into());
                }
                self.members(names)?
            }
            None => known.members.clone(),
        };
        self.change_settings(
            &known,
            Settings {
                description: patch
                    .description
                    .clone()
                    .unwrap_or_else(|| known.description.clone()),
                include_scaling: patch.include_scaling.unwrap_or(known.include_scaling)
                    && known.kind != EnvironmentKind::Logical,
                require_provenance: known.require_provenance,
                members,
            },
        )
    }

    pub(super) fn archive(&mut self, environment: &str) -> Result<Reply, Stop> {
        let known = self.live_environment(environment)?;
        let seconds = self.at.0.div_euclid(Micros::SECOND);
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentArchived {
                no: known.no,
                name: format!("{}-archived-at-{seconds}", known.name),
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn tag(
        &mut self,
        environment: &str,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<Reply, Stop> {
        let known = self.live_environment(environment)?;
        let Some((set, removed)) = tagged(&known.tags, set, remove) else {
            return Ok(Reply::Unchanged);
        };
        let salt = self.salt();
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentTaggedV2 {
                no: known.no,
                set,
                removed,
                salt,
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn rename_environment(&mut self, name: &str, new_name: &str) -> Result<Reply, Stop> {
        let known = self.live_environment(name)?;
        if known.name == new_name {
            return Ok(Reply::Unchanged);
        }
        if let Some(other) = self.view.environment_named(self.organization, new_name)?
            && other != known.no
            && let Some(other) = self.view.environment(self.organization, other)?
            && other.archived_at.is_none()
            && other.name == new_name
        {
            return Err(Refusal::EnvironmentExists {
                name: new_name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentRenamed {
                no: known.no,
                name: new_name.to_owned(),
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn join(&mut self, logical: &str, physical: &str) -> Result<Reply, Stop> {
        let known = self.live_environment(logical)?;
        let member = self.live_environment(physical)?;
        if member.kind == EnvironmentKind::Logical {
            return Err(Refusal::MemberIsLogical.into());
        }
        if known.kind != EnvironmentKind::Logical {
            return Err(Refusal::NotLogical {
                name: logical.to_owned(),
            }
            .into());
        }
        let mut members = known.members.clone();
        if members.contains(&member.no) {
            return Ok(Reply::Unchanged);
        }
        members.push(member.no);
        self.change_settings(
            &known,
            Settings {
                description: known.description.clone(),
                include_scaling: known.include_scaling,
                require_provenance: known.require_provenance,
                members,
            },
        )
    }
}
