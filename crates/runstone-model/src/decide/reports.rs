//! Reports and observations: what runs, and when it was looked.

use std::sync::Arc;

use super::{Deciding, Stop};
use crate::command::{RecordReport, Refusal, Reply};
use crate::event::{Effects, Event, REPORTER_BYTES_MAX, Subject};
use crate::fact::{EnvironmentNo, Identity, OrganizationNo, Seen};
use crate::id::Digest;
use crate::name::EnvironmentKind;
use crate::state::Head;

impl Deciding<'_> {
    /// Journals what was observed since the environment's last entry, if anything was (D8).
    pub(super) fn observe(
        &mut self,
        environment: EnvironmentNo,
        unshared: Option<&Seen>,
        seen: &mut Vec<(OrganizationNo, EnvironmentNo, Seen)>,
    ) -> Result<(), Stop> {
        let shared = self.view.seen(self.organization, environment)?;
        let observed = merge_seen(shared.as_ref(), unshared);
        if observed.reports > 0 {
            self.append(
                Subject::Environment(environment),
                Event::ObservationRecorded {
                    environment,
                    from: observed.from,
                    to: observed.to,
                    reports: observed.reports,
                    longest_gap: observed.longest_gap,
                    reporter: observed.reporter.clone(),
                },
            )?;
            seen.push((
                self.organization,
                environment,
                Seen {
                    from: observed.to,
                    to: observed.to,
                    reports: 0,
                    longest_gap: 0,
                    reporter: observed.reporter,
                },
            ));
        }
        Ok(())
    }

    pub(super) fn record_report(
        &mut self,
        report: &RecordReport,
        seen: &mut Vec<(OrganizationNo, EnvironmentNo, Seen)>,
    ) -> Result<Reply, Stop> {
        let known = self.live_environment(&report.environment)?;
        if known.kind == EnvironmentKind::Logical {
            return Err(Refusal::ReportToLogical {
                name: report.environment.clone(),
            }
            .into());
        }
        if known.kind != report.kind {
            return Err(Refusal::ReportOfOtherKind {
                name: report.environment.clone(),
                kind: known.kind,
                reported: report.kind,
            }
            .into());
        }
        if let Some(claim) = &report.claim
            && claim.by.len() > REPORTER_BYTES_MAX
        {
            return Err(Refusal::LimitExceeded {
                what: "the reporter's name in bytes",
                limit: REPORTER_BYTES_MAX as u64,
            }
            .into());
        }
        if let Some(claim) = &report.claim
            && let Some(sequence) = claim.sequence
            && self
                .view
                .sequence(self.organization, known.no, &claim.by)?
                .is_some_and(|last| sequence <= last)
        {
            return Ok(Reply::Replayed);
        }
        let head = self.view.head(self.organization, known.no)?;
        let difference = difference(head.as_deref(), report, known.include_scaling);
        if head.is_some() && difference.added.is_empty() && difference.removed.is_empty() {
            return Ok(Reply::Unchanged);
        }
        // The writer finds or makes the records when it projects; they must be loaded by then.
        for (identity, _) in &difference.added {
            self.view.record(self.organization, identity)?;
        }
        let empty = Head::default();
        let before = head.as_deref().unwrap_or(&empty);
        let added: Vec<Digest> = difference
            .added
            .iter()
            .map(|(identity, _)| identity.digest())
            .collect();
        let state = before.digest_after(difference.removed.iter(), added.iter());
        let effective = report
            .claim
            .as_ref()
            .and_then(|claim| claim.at)
            .map_or(self.at, |at| at.clamp(before.at, self.at));
        let mut logical = Vec::new();
        for no in self.view.logicals_of(self.organization, known.no)?.iter() {
            let next = self
                .view
                .head(self.organization, *no)?
                .map_or(1, |head| head.no + 1);
            logical.push((*no, next));
        }
        let snapshot = before.no + 1;
        if self.command.caller.history().is_none() {
            self.observe(known.no, report.unshared.as_ref(), seen)?;
        }
        self.append_claimed(
            Subject::Environment(known.no),
            Event::SnapshotRecorded {
                environment: known.no,
                snapshot,
                effective,
                effects: Arc::new(Effects {
                    logical,
                    ..difference
                }),
            },
            report.claim.clone(),
            Some(state),
        )?;
        // The report itself is the first observation of what comes.
        seen.retain(|(_, no, _)| *no != known.no);
        seen.push((
            self.organization,
            known.no,
            Seen {
                from: self.at,
                to: self.at,
                reports: 0,
                longest_gap: 0,
                reporter: report
                    .claim
                    .as_ref()
                    .map(|claim| claim.by.clone())
                    .unwrap_or_default(),
            },
        ));
        Ok(Reply::Snapshot(snapshot))
    }
}

/// What two observers saw of one environment, together.
pub fn merge_seen(shared: Option<&Seen>, unshared: Option<&Seen>) -> Seen {
    match (shared, unshared) {
        (None, None) => Seen::default(),
        (Some(seen), None) | (None, Some(seen)) => seen.clone(),
        (Some(shared), Some(unshared)) => {
            let (first, last) = if shared.to <= unshared.to {
                (shared, unshared)
            } else {
                (unshared, shared)
            };
            Seen {
                from: shared.from.min(unshared.from),
                to: last.to,
                reports: shared.reports + unshared.reports,
                longest_gap: shared
                    .longest_gap
                    .max(unshared.longest_gap)
                    .max(last.from.0 - first.to.0),
                reporter: last.reporter.clone(),
            }
        }
    }
}

/// What differs between the latest state and a report: both are ascending, so one walk tells.
pub(super) fn difference(
    head: Option<&Head>,
    report: &RecordReport,
    include_scaling: bool,
) -> Effects {
    let mut effects = Effects::default();
    let mut elements = head
        .map(|head| head.elements.as_slice())
        .unwrap_or_default()
        .iter()
        .peekable();
    for observed in &report.report.artifacts {
        let count = include_scaling.then(|| observed.detail.instances() as u32);
        let order = |element: &&crate::state::Element| {
            let identity = &*element.identity;
            (identity.fingerprint, identity.name.as_str(), identity.count).cmp(&(
                observed.fingerprint,
                observed.name.as_str(),
                count,
            ))
        };
        while let Some(element) = elements.next_if(|element| order(element).is_lt()) {
            effects.removed.push(element.digest);
        }
        match elements.next_if(|element| order(element).is_eq()) {
            Some(element) => {
                if *element.detail != *observed.detail.as_bytes() {
                    effects
                        .changed
                        .push((element.digest, Arc::from(observed.detail.as_bytes())));
                }
            }
            None => effects.added.push((
                Arc::new(Identity {
                    fingerprint: observed.fingerprint,
                    name: observed.name.clone(),
                    count,
                }),
                Arc::from(observed.detail.as_bytes()),
            )),
        }
    }
    for element in elements {
        effects.removed.push(element.digest);
    }
    effects
}
