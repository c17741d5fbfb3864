//! Every change of a system across its environments, the oldest first. Ours (design D19): paged by a
//! cursor that is pinned to an entry index, so that all pages are of one state.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::StatusCode;
use runstone_api::seconds;
use runstone_api::timeline::{
    ChangeApproval, ChangeProvenance, ChangesPage, TimelineChange, TimelineEnvironment,
};
use runstone_model::annotation::AnnotationKind;
use runstone_model::command::Refusal;
use runstone_model::event::Actor;
use runstone_model::fact::{
    Artifact, EntryIndex, Environment, EnvironmentNo, Flow, FlowNo, Snapshot, Trail, TrailNo,
};
use runstone_model::history::{Annotated, events};
use runstone_model::id::{Digest, Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::provenance::entries;
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;
use runstone_store::{Change as Step, Covered, TimelineWindow};

use super::deployments::trail_name;
use super::has_tag;
use super::legacy::Releases;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{Query, ReadCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const PER_PAGE: u64 = 100;
const PER_PAGE_MAX: u64 = 500;
/// Most snapshots that are looked at for a page.
const SNAPSHOTS_MAX: u64 = 500;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/timeline/{org}/changes"),
        docs(
            "list_changes",
            "Timeline",
            "List every change across environments",
            Success::One(shape::<ChangesPage>()),
            &[
                (200, "A page of changes, the oldest first."),
                (400, "The request is not valid."),
                (404, "There is no such environment."),
            ],
        )
        .about(
            "Of all environments, of those named, or of those that have all the tags; of a logical \
             environment those of its members. What is told of each environment has no gaps from \
             its first snapshot to its last.",
        )
        .query([
            param("environment", Of::Texts, "Names of environments."),
            param("tag", Of::Texts, "key or key:value; all must match."),
            param("since", Of::Number, "First moment, Unix seconds."),
            param(
                "until",
                Of::Number,
                "End, Unix seconds; what happened then does not count any more.",
            ),
            param("per_page", Of::Integer, "Changes of a page, at most 500."),
            param("after", Of::Text, "What the page before told as next."),
        ]),
        list,
    )]
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    /// Entries from this one on are not told of.
    pin: EntryIndex,
    /// It begins with this time and entry, or after it.
    at: Micros,
    entry: EntryIndex,
    /// Changes of that entry that the page before told of.
    skip: u64,
    /// Of what the pages are: environments and times.
    of: u64,
}

impl Cursor {
    fn to_text(self) -> String {
        format!(
            "{}.{}.{}.{}.{:016x}",
            self.pin, self.at.0, self.entry, self.skip, self.of
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = || parts.next();
        let cursor = Self {
            pin: part()?.parse().ok()?,
            at: Micros(part()?.parse().ok()?),
            entry: part()?.parse().ok()?,
            skip: part()?.parse().ok()?,
            of: u64::from_str_radix(part()?, 16).ok()?,
        };
        // One spelling only.
        (cursor.to_text() == text).then_some(cursor)
    }
}

/// What the pages are of, so that no two pages are of different things.
fn of_what(environments: &[Environment], from: Micros, until: Micros) -> u64 {
    use std::fmt::Write as _;

    let mut text = format!("{} {}", from.0, until.0);
    for environment in environments {
        let _ = write!(text, " {}", environment.no.0);
    }
    let digest = Digest::of(text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.0[..8]);
    u64::from_be_bytes(first)
}

/// The physical environments that are asked for, by name, archived ones included: what happened
/// in them stays told.
async fn environments(call: &mut ReadCall, query: &Query) -> Result<Vec<Environment>, AppError> {
    let names: Vec<&str> = query
        .all("environment")
        .filter(|name| !name.is_empty())
        .collect();
    let tags: Vec<&str> = query.all("tag").filter(|tag| !tag.is_empty()).collect();
    if !names.is_empty() && !tags.is_empty() {
        return Err(AppError::bad(
            "Environments are told by their names or by tags, not by both",
        ));
    }
    let all = call
        .read
        .environments_of_all_times(call.organization.no)
        .await?;
    let mut wanted: BTreeSet<EnvironmentNo> = BTreeSet::new();
    if names.is_empty() {
        wanted.extend(
            all.iter()
                .filter(|environment| tags.iter().all(|tag| has_tag(&environment.tags, tag)))
                .map(|environment| environment.no),
        );
    }
    for name in names {
        let found = call
            .read
            .environment_named(call.organization.no, name)
            .await?
            .ok_or_else(|| Refusal::EnvironmentMissing {
                name: name.to_owned(),
                organization: call.organization.name.clone(),
            })?;
        wanted.insert(found.no);
    }
    let members: Vec<EnvironmentNo> = all
        .iter()
        .filter(|environment| wanted.contains(&environment.no))
        .flat_map(|environment| environment.members.iter().copied())
        .collect();
    wanted.extend(members);
    let mut found: Vec<Environment> = all
        .into_iter()
        .filter(|environment| {
            wanted.contains(&environment.no) && environment.kind != EnvironmentKind::Logical
        })
        .collect();
    found.sort_by(|a, b| (&a.name, a.no).cmp(&(&b.name, b.no)));
    Ok(found)
}

fn covered_environment(
    environment: &Environment,
    covered: Option<&Covered>,
) -> TimelineEnvironment {
    TimelineEnvironment {
        name: environment.name.clone(),
        kind: environment.kind.as_wire().to_owned(),
        archived: environment.archived_at.is_some(),
        first_snapshot: covered.map(|covered| covered.first.0),
        last_snapshot: covered.map(|covered| covered.last.0),
        first_entry: covered.map(|covered| covered.first.1),
        last_entry: covered.map(|covered| covered.last.1),
        changes: covered.map_or(0, |covered| covered.events),
    }
}

/// The word for a change, without the verdict of policies.
fn word(kind: AnnotationKind) -> &'static str {
    match kind {
        AnnotationKind::Started
        | AnnotationKind::StartedCompliant
        | AnnotationKind::StartedNonCompliant
        | AnnotationKind::StartedUnknown => "started",
        other => other.as_wire(),
    }
}

/// What changes are shown with.
struct Around {
    environments: HashMap<EnvironmentNo, String>,
    actors: HashMap<EntryIndex, String>,
    reports: HashMap<Fingerprint, Vec<Artifact>>,
    releases: Releases,
    flows: HashMap<FlowNo, Flow>,
    trails: HashMap<TrailNo, Trail>,
    pin: EntryIndex,
}

impl Around {
    async fn of(
        call: &mut ReadCall,
        environments: &[Environment],
        steps: &[(Snapshot, Step)],
        pin: EntryIndex,
    ) -> Result<Self, AppError> {
        let org = call.organization.no;
        let stated: Vec<EntryIndex> = steps.iter().map(|(snapshot, _)| snapshot.entry).collect();
        let mut names: HashMap<Actor, String> = HashMap::new();
        let mut actors = HashMap::new();
        for (entry, actor) in call.read.actors(org, &stated).await? {
            // Few act often.
            if !names.contains_key(&actor) {
                let name = call.read.name_of(org, &actor).await?;
                names.insert(actor.clone(), name);
            }
            actors.insert(entry, names[&actor].clone());
        }
        let fingerprints: BTreeSet<Fingerprint> = steps
            .iter()
            .flat_map(|(_, step)| step.removed.iter().chain(&step.added))
            .filter_map(|running| running.identity.fingerprint)
            .collect();
        let fingerprints: Vec<Fingerprint> = fingerprints.into_iter().collect();
        let mut reports = call.read.provenance(org, &fingerprints).await?;
        for told in reports.values_mut() {
            *told = entries(told.iter(), Some(pin))
                .into_iter()
                .cloned()
                .collect();
        }
        let (mut flows, mut trails) = (BTreeSet::new(), BTreeSet::new());
        for report in reports.values().flatten() {
            flows.insert(report.flow);
            trails.insert(report.trail);
        }
        let flows: Vec<FlowNo> = flows.into_iter().collect();
        let trails: Vec<TrailNo> = trails.into_iter().collect();
        Ok(Self {
            environments: environments
                .iter()
                .map(|environment| (environment.no, environment.name.clone()))
                .collect(),
            actors,
            flows: call.read.flows_by_no(org, &flows).await?,
            trails: call.read.trails(org, &trails).await?,
            releases: Releases::of(&mut call.read, &call.organization, &fingerprints).await?,
            reports,
            pin,
        })
    }

    fn provenance(&self, report: &Artifact) -> Option<ChangeProvenance> {
        Some(ChangeProvenance {
            flow: self.flows.get(&report.flow)?.name.clone(),
            trail: trail_name(self.trails.get(&report.trail)?),
            artifact: report.name.clone(),
            commit: report.commit.map(|commit| commit.to_hex()),
            approvals: self
                .releases
                .approvals(report.flow, report.fingerprint)
                .filter(|approval| approval.entry < self.pin)
                .map(|approval| ChangeApproval {
                    number: approval.no.0.into(),
                    state: approval.state.as_wire().to_owned(),
                    environment: approval
                        .environment
                        .map(|no| self.releases.environment_name(no).to_owned()),
                })
                .collect(),
        })
    }

    fn show(&self, snapshot: &Snapshot, event: &Annotated<'_>) -> TimelineChange {
        debug_assert!(snapshot.entry < self.pin, "a page is of pinned entries");
        let identity = &event.running.identity;
        let provenance = identity
            .fingerprint
            .and_then(|fingerprint| self.reports.get(&fingerprint))
            .into_iter()
            .flatten()
            .filter_map(|report| self.provenance(report))
            .collect();
        TimelineChange {
            at: seconds(snapshot.at),
            environment: self
                .environments
                .get(&snapshot.environment)
                .cloned()
                .unwrap_or_default(),
            snapshot: snapshot.no,
            entry: snapshot.entry,
            kind: word(event.annotation.kind).to_owned(),
            description: event.annotation.description(),
            was: event.annotation.was,
            now: event.annotation.now,
            artifact: identity.name.clone(),
            fingerprint: identity.fingerprint.map(|fingerprint| fingerprint.to_hex()),
            provenance,
            actor: self
                .actors
                .get(&snapshot.entry)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Where a page begins: time, entry, and changes of it to leave out.
type Beginning = (Micros, EntryIndex, u64);

/// The changes of a page and where the next one begins.
fn cut(
    around: &Around,
    steps: &[(Snapshot, Step)],
    more: bool,
    skip: u64,
    per_page: u64,
) -> (Vec<TimelineChange>, Option<Beginning>) {
    let mut changes = Vec::new();
    for (position, (snapshot, step)) in steps.iter().enumerate() {
        let all = events(&step.removed, &step.added);
        let told = if position == 0 { skip } else { 0 };
        let room = per_page - changes.len() as u64;
        let left = (all.len() as u64).saturating_sub(told);
        changes.extend(
            all.iter()
                .skip(told as usize)
                .take(room as usize)
                .map(|event| around.show(snapshot, event)),
        );
        if left > room {
            return (changes, Some((snapshot.at, snapshot.entry, told + room)));
        }
    }
    let next = steps.last().filter(|_| more);
    (
        changes,
        next.map(|(snapshot, _)| (snapshot.at, snapshot.entry + 1, 0)),
    )
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    let since = check.number("since", query.filled("since"));
    let until = check.number("until", query.filled("until"));
    check.finish()?;
    let per_page = per_page.unwrap_or(PER_PAGE);
    let from = since.map_or(Micros(i64::MIN), Micros::from_seconds);
    let until = until.map_or(Micros(i64::MAX), Micros::from_seconds);
    if from > until {
        return Err(AppError::bad("The window of time begins after its end"));
    }
    let found = environments(&mut call, &query).await?;
    let of = of_what(&found, from, until);
    let org = call.organization.no;
    let size = call.read.log(org, None).await?.map_or(0, |log| log.size);
    let cursor = match query.filled("after") {
        None => Cursor {
            pin: size,
            at: from,
            entry: 0,
            skip: 0,
            of,
        },
        Some(text) => Cursor::parse(text)
            .filter(|cursor| cursor.pin <= size)
            .ok_or_else(|| {
                FieldErrors::one(
                    "query.after",
                    "Input should be what a page told as next",
                    text,
                )
            })?,
    };
    if cursor.of != of {
        return Err(AppError::bad(
            "This is no next page of what is asked for: the environments or times are others. \
             Begin again without 'after'",
        ));
    }
    let numbers: Vec<EnvironmentNo> = found.iter().map(|environment| environment.no).collect();
    let window = TimelineWindow {
        from,
        until,
        below: cursor.pin,
    };
    let covered: BTreeMap<EnvironmentNo, Covered> =
        call.read.covered(org, &numbers, &window).await?;
    let limits = (SNAPSHOTS_MAX.min(per_page), cursor.skip + per_page);
    let page = call
        .read
        .timeline(org, &numbers, &window, (cursor.at, cursor.entry), limits)
        .await?;
    let around = Around::of(&mut call, &found, &page.snapshots, cursor.pin).await?;
    let (changes, next) = cut(&around, &page.snapshots, page.more, cursor.skip, per_page);
    answer::json(
        StatusCode::OK,
        &ChangesPage {
            pinned_to: cursor.pin,
            environments: found
                .iter()
                .map(|environment| covered_environment(environment, covered.get(&environment.no)))
                .collect(),
            changes,
            next: next.map(|(at, entry, skip)| {
                Cursor {
                    at,
                    entry,
                    skip,
                    ..cursor
                }
                .to_text()
            }),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_have_one_spelling() {
        let cursor = Cursor {
            pin: 412,
            at: Micros(-5),
            entry: 398,
            skip: 2,
            of: 0xfeed,
        };
        let text = cursor.to_text();
        assert_eq!(text, "412.-5.398.2.000000000000feed");
        assert_eq!(Cursor::parse(&text), Some(cursor));
        for other in [
            "",
            "412.-5.398.2",
            "412.-5.398.2.feed",
            "+412.-5.398.2.000000000000feed",
            "412.-5.398.2.000000000000feed.1",
            "412.-5.398.-2.000000000000feed",
            "412.x.398.2.000000000000feed",
            "99999999999999999999.-5.398.2.000000000000feed",
        ] {
            assert_eq!(Cursor::parse(other), None, "{other}");
        }
    }
}
