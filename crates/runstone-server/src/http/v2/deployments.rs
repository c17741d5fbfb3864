//! Deployments as they were observed: a fingerprint starts to run in a physical environment
//! (`api-organisation.md` section 12, `api-environments.md` section 11.2). Nobody reports them.
//!
//! Joined with where artifacts came from by fingerprint alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::http::StatusCode;
use runstone_api::deployment::{
    DayCount, Deployment as Shown, DeploymentFrequency, DeploymentPage, EnvironmentDeploymentPage,
    EnvironmentSeries, Provenance, ReplacedArtifact, RepoDeploymentStatistics,
};
use runstone_api::paging::Href;
use runstone_api::path::{API, segment};
use runstone_api::repo::SelfLink;
use runstone_api::seconds;
use runstone_model::command::Refusal;
use runstone_model::fact::{
    Artifact, EntryIndex, Environment, EnvironmentNo, Flow, FlowNo, Identity, Organization,
    OrganizationNo, RecordNo, Repo, RepoNo, Run, SnapshotNo, Start, Trail, TrailNo,
};
use runstone_model::id::{Fingerprint, Micros, Named, parse_wire_id};
use runstone_model::provenance::{CommitPage, comparison};
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;
use runstone_store::{Read, StartFilter};
use serde_json::Value;

use super::builds::{TIMES_MAX, too_many, window_params};
use super::paged::{self, Asked, Window};
use super::repos;
use super::trails::{commit_info, json_contents};
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{Query, ReadCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const TAG: &str = "Deployments";
const INVALID: (u16, &str) = (400, "The request is not valid.");
const PER_PAGE: u64 = 15;
const PER_PAGE_MAX: u64 = 50;
const PAGE_SIZE: u64 = 50;
const PAGE_SIZE_MAX: u64 = 100;
const ENVIRONMENT_WINDOW_DAYS: i64 = 30;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/deployments/{org}"),
            docs(
                "list_deployments",
                TAG,
                "List deployments",
                Success::One(shape::<DeploymentPage>()),
                &[
                    (200, "A page of deployments, newest first."),
                    INVALID,
                    (404, "There is no such environment or repository."),
                ],
            )
            .about(
                "A deployment is observed: a fingerprint starts to run in an environment that is \
                 not logical. One that comes back is deployed again.",
            )
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "per_page",
                    Of::Integer,
                    "Deployments of a page, at most 50; 0 counts only.",
                ),
                param("repo_name", Of::Text, "Name of a repository."),
                param("env_name", Of::Text, "Name of an environment."),
            ])
            .query(window_params()),
            list,
        ),
        get(
            Right::Read,
            api("/environments/{org}/{env_name}/deployments"),
            docs(
                "list_env_deployments",
                "Environments",
                "List deployments to an environment",
                Success::One(shape::<EnvironmentDeploymentPage>()),
                &[
                    (200, "A page of deployments, newest first."),
                    INVALID,
                    (404, "There is no such environment."),
                ],
            )
            .query([
                param(
                    "from",
                    Of::Text,
                    "First moment, ISO 8601; 30 days before the last, if absent.",
                ),
                param("to", Of::Text, "Last moment, ISO 8601; now, if absent."),
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "page_size",
                    Of::Integer,
                    "Deployments of a page, at most 100.",
                ),
            ]),
            of_environment,
        ),
        get(
            Right::Read,
            api("/environments/{org}/{env_name}/deployment_frequency"),
            docs(
                "get_deployment_frequency",
                "Environments",
                "Get when a flow was deployed to an environment",
                Success::One(shape::<DeploymentFrequency>()),
                &[
                    (200, "A moment for each deployment."),
                    INVALID,
                    (404, "There is no such environment or flow."),
                ],
            )
            .query([param("flow_id", Of::Text, "Id of a flow.")])
            .query(window_params()),
            frequency,
        ),
    ]
}

/// The environment of a name, archived ones included: what ran in it stays told.
async fn environment_named(
    read: &mut Read,
    organization: &Organization,
    name: &str,
) -> Result<Environment, AppError> {
    read.environment_named(organization.no, name)
        .await?
        .ok_or_else(|| {
            Refusal::EnvironmentMissing {
                name: name.to_owned(),
                organization: organization.name.clone(),
            }
            .into()
        })
}

/// The name of a trail; none of one that holds what was reported for a commit alone.
pub(super) fn trail_name(trail: &Trail) -> String {
    if trail.implicit {
        String::new()
    } else {
        trail.name.clone()
    }
}

/// Everything that deployments are shown with.
struct Around {
    environments: HashMap<EnvironmentNo, Environment>,
    identities: HashMap<RecordNo, Arc<Identity>>,
    /// Reports of what started and of what stopped, the oldest first.
    reports: HashMap<Fingerprint, Vec<Artifact>>,
    /// What stopped with a snapshot.
    stopped: HashMap<(EnvironmentNo, SnapshotNo), Vec<RecordNo>>,
    flows: HashMap<FlowNo, Flow>,
    trails: HashMap<TrailNo, Trail>,
    repos: HashMap<RepoNo, Repo>,
    contents: HashMap<(EntryIndex, u32), Value>,
}

fn fingerprints<'i>(identities: impl Iterator<Item = &'i Arc<Identity>>) -> Vec<Fingerprint> {
    let found: BTreeSet<Fingerprint> = identities
        .filter_map(|identity| identity.fingerprint)
        .collect();
    found.into_iter().collect()
}

/// Of what left with snapshots, the records whose fingerprint did not go on under another name or
/// count.
async fn stopped(
    read: &mut Read,
    org: OrganizationNo,
    places: &[(EnvironmentNo, SnapshotNo)],
    identities: &mut HashMap<RecordNo, Arc<Identity>>,
) -> Result<HashMap<(EnvironmentNo, SnapshotNo), Vec<RecordNo>>, AppError> {
    let mut left = read.removed_records(org, places).await?;
    let numbers: BTreeSet<RecordNo> = left.values().flatten().copied().collect();
    let numbers: Vec<RecordNo> = numbers.into_iter().collect();
    identities.extend(read.identities(org, &numbers).await?);
    let wanted = fingerprints(numbers.iter().filter_map(|no| identities.get(no)));
    let records = read.records_of(org, &wanted).await?;
    let whose: HashMap<RecordNo, Option<Fingerprint>> = records
        .iter()
        .map(|record| (record.no, record.identity.fingerprint))
        .collect();
    let numbers: Vec<RecordNo> = records.iter().map(|record| record.no).collect();
    let mut runs: HashMap<(EnvironmentNo, Fingerprint), Vec<Run>> = HashMap::new();
    for run in read.runs(org, &numbers).await? {
        if let Some(Some(fingerprint)) = whose.get(&run.record) {
            runs.entry((run.environment, *fingerprint))
                .or_default()
                .push(run);
        }
    }
    for ((environment, no), records) in &mut left {
        records.retain(|record| {
            let Some(fingerprint) = identities.get(record).and_then(|known| known.fingerprint)
            else {
                return false;
            };
            !runs
                .get(&(*environment, fingerprint))
                .into_iter()
                .flatten()
                .any(|run| run.from <= *no && run.to.is_none_or(|to| to >= *no))
        });
    }
    Ok(left)
}

impl Around {
    async fn of(
        read: &mut Read,
        organization: &Organization,
        starts: &[Start],
    ) -> Result<Self, AppError> {
        let org = organization.no;
        let environments = read
            .environments_of_all_times(org)
            .await?
            .into_iter()
            .map(|environment| (environment.no, environment))
            .collect();
        let records: Vec<RecordNo> = starts.iter().map(|start| start.record).collect();
        let mut identities = read.identities(org, &records).await?;
        let places: Vec<_> = starts
            .iter()
            .map(|start| (start.environment, start.snapshot))
            .collect();
        let stopped = stopped(read, org, &places, &mut identities).await?;
        let all = fingerprints(identities.values());
        let reports = read.provenance(org, &all).await?;
        let (mut flows, mut trails, mut repos) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut places = Vec::new();
        for report in reports.values().flatten() {
            flows.insert(report.flow);
            trails.insert(report.trail);
            repos.extend(report.repo);
            places.push((report.entry, 0));
        }
        let flows: Vec<FlowNo> = flows.into_iter().collect();
        let trails: Vec<TrailNo> = trails.into_iter().collect();
        let repos: Vec<RepoNo> = repos.into_iter().collect();
        Ok(Self {
            environments,
            identities,
            stopped,
            flows: read.flows_by_no(org, &flows).await?,
            trails: read.trails(org, &trails).await?,
            repos: read.repos_by_no(org, &repos).await?,
            contents: json_contents(read, organization, &places).await?,
            reports,
        })
    }

    /// The report that tells of a start: the newest made by then, else the first made later; of
    /// one of the repositories asked for, where some are.
    fn report(&self, start: &Start, repos: Option<&[RepoNo]>) -> Option<&Artifact> {
        let fingerprint = self.identities.get(&start.record)?.fingerprint?;
        let told: Vec<&Artifact> = self
            .reports
            .get(&fingerprint)?
            .iter()
            .filter(|report| {
                repos.is_none_or(|repos| report.repo.is_some_and(|repo| repos.contains(&repo)))
            })
            .collect();
        told.iter()
            .rev()
            .find(|report| report.at <= start.at)
            .or_else(|| told.first())
            .copied()
    }

    fn provenance(&self, report: &Artifact) -> Option<Provenance> {
        let flow = self.flows.get(&report.flow)?;
        let trail = self.trails.get(&report.trail)?;
        let content = self.contents.get(&(report.entry, 0));
        Some(Provenance {
            flow_name: flow.name.clone(),
            trail_name: trail_name(trail),
            template_reference_name: report.name.clone(),
            git_commit: report.commit.map(|commit| commit.to_hex()),
            git_commit_info: content
                .map(|content| commit_info(Some(&content["git_commit_info"])))
                .filter(|info| !info.is_null()),
            repo_info: report
                .repo
                .and_then(|no| self.repos.get(&no))
                .map(repos::name_of),
        })
    }

    /// What stopped with a start, of the same flow and name in the template: of several the one
    /// that was reported last.
    fn replaced(&self, start: &Start, report: &Artifact) -> Option<(&Identity, &Artifact)> {
        self.stopped
            .get(&(start.environment, start.snapshot))?
            .iter()
            .filter_map(|record| {
                let identity = self.identities.get(record)?;
                let before = self
                    .reports
                    .get(&identity.fingerprint?)?
                    .iter()
                    .rfind(|before| before.flow == report.flow && before.name == report.name)?;
                Some((identity.as_ref(), before))
            })
            .max_by_key(|(_, before)| before.no)
    }

    /// Where the code host compares what two reports were built from.
    fn comparison(&self, before: &Artifact, after: &Artifact) -> Option<String> {
        let told = |report: &Artifact| -> Option<(String, &str)> {
            let url = self.contents.get(&(report.entry, 0))?["commit_url"].as_str()?;
            Some((report.commit?.to_hex(), url))
        };
        let (old, new) = (told(before)?, told(after)?);
        let page = |told| -> CommitPage<'_> {
            let (sha1, url): &(String, &str) = told;
            CommitPage { sha1, url }
        };
        comparison(page(&old), page(&new))
    }

    /// Time from the first report of a fingerprint to its start.
    fn lead_time(&self, start: &Start) -> Option<f64> {
        let fingerprint = self.identities.get(&start.record)?.fingerprint?;
        let told = self.reports.get(&fingerprint)?;
        let built = told.iter().map(|report| report.at).min()?;
        (built <= start.at).then(|| seconds(start.at) - seconds(built))
    }

    fn show(
        &self,
        organization: &Organization,
        origin: &str,
        start: &Start,
        repos: Option<&[RepoNo]>,
    ) -> Option<Shown> {
        let identity = self.identities.get(&start.record)?;
        let environment = self.environments.get(&start.environment)?;
        let fingerprint = identity.fingerprint?.to_hex();
        let report = self.report(start, repos);
        let replaced = report.and_then(|report| self.replaced(start, report));
        let diff_url = report
            .zip(replaced)
            .and_then(|(report, (_, before))| self.comparison(before, report));
        let replaced_artifact = replaced.and_then(|(identity, before)| {
            Some(ReplacedArtifact {
                fingerprint: identity.fingerprint?.to_hex(),
                artifact_name: identity.name.clone(),
                snapshot_index: start.snapshot.saturating_sub(1),
                artifact: self.provenance(before),
            })
        });
        Some(Shown {
            deployed_at: seconds(start.at),
            artifact_name: Some(identity.name.clone()),
            env_name: Some(environment.name.clone()),
            snapshot_index: Some(start.snapshot),
            artifact: report.and_then(|report| self.provenance(report)),
            replaced_artifact,
            diff_url,
            lead_time_seconds: self.lead_time(start),
            links: SelfLink {
                this: Href {
                    href: format!(
                        "{origin}{API}/deployments/{}/{}/{fingerprint}",
                        segment(&organization.name),
                        segment(&environment.name)
                    ),
                },
            },
            fingerprint,
        })
    }
}

/// A page of deployments, with their number on all pages.
async fn page_of(
    call: &mut ReadCall,
    filter: &StartFilter,
    asked: &Asked,
) -> Result<(u64, Vec<Shown>), AppError> {
    let organization = Arc::clone(&call.organization);
    let (total, starts) = call
        .read
        .starts(organization.no, filter, |total| asked.window(total))
        .await?;
    let around = Around::of(&mut call.read, &organization, &starts).await?;
    let origin = call.parts.origin();
    let shown = starts
        .iter()
        .filter_map(|start| around.show(&organization, &origin, start, filter.repos.as_deref()))
        .collect();
    Ok((total, shown))
}

async fn envelope(mut call: ReadCall, filter: StartFilter, asked: Asked) -> Answer {
    let (total, deployments) = page_of(&mut call, &filter, &asked).await?;
    let page = DeploymentPage {
        links: asked.links(&call, total),
        page: asked.page(),
        per_page: asked.per_page(),
        total_pages: asked.total_pages(total),
        total_count: total,
        deployments,
    };
    answer::json(StatusCode::OK, &page)
}

/// The environments that the query names, archived ones included; none: of any.
async fn environments_asked(
    call: &mut ReadCall,
    query: &Query,
    parameter: &str,
) -> Result<Option<Vec<EnvironmentNo>>, AppError> {
    let mut found = None;
    for name in query.all(parameter).filter(|name| !name.is_empty()) {
        let environment = environment_named(&mut call.read, &call.organization, name).await?;
        found.get_or_insert_with(Vec::new).push(environment.no);
    }
    Ok(found)
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let asked = Asked::read(&mut check, &query, (0, PER_PAGE, PER_PAGE_MAX));
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let environments = environments_asked(&mut call, &query, "env_name").await?;
    let repos = match query.filled("repo_name") {
        None => None,
        Some(name) => {
            let known = call.read.repos(call.organization.no).await?;
            let found: Vec<RepoNo> = known
                .iter()
                .filter(|repo| repo.name == name)
                .map(|repo| repo.no)
                .collect();
            if found.is_empty() {
                return Err(repos::missing(name));
            }
            Some(found)
        }
    };
    let filter = StartFilter {
        environments,
        repos,
        flow: None,
        from: window.from,
        to: window.to,
    };
    envelope(call, filter, asked).await
}

/// Deployments of what was built from a repository.
pub(super) async fn of_repo(mut call: ReadCall, repo: RepoNo) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let asked = Asked::read(&mut check, &query, (0, PER_PAGE, PER_PAGE_MAX));
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let filter = StartFilter {
        environments: environments_asked(&mut call, &query, "env").await?,
        repos: Some(vec![repo]),
        flow: None,
        from: window.from,
        to: window.to,
    };
    envelope(call, filter, asked).await
}

/// All starts of a window, the oldest first.
async fn all(call: &mut ReadCall, filter: &StartFilter) -> Result<Vec<Start>, AppError> {
    let org = call.organization.no;
    let window = |total: u64| (0, total.min(TIMES_MAX));
    let (total, mut starts) = call.read.starts(org, filter, window).await?;
    if total > TIMES_MAX {
        return Err(too_many());
    }
    starts.reverse();
    Ok(starts)
}

/// When what was built from a repository was deployed, environment by environment.
pub(super) async fn statistics_of_repo(mut call: ReadCall, repo: RepoNo) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let filter = StartFilter {
        environments: environments_asked(&mut call, &query, "env").await?,
        repos: Some(vec![repo]),
        flow: None,
        from: window.from,
        to: window.to,
    };
    let starts = all(&mut call, &filter).await?;
    let org = call.organization.no;
    let records: BTreeSet<RecordNo> = starts.iter().map(|start| start.record).collect();
    let records: Vec<RecordNo> = records.into_iter().collect();
    let identities = call.read.identities(org, &records).await?;
    let reports = call
        .read
        .provenance(org, &fingerprints(identities.values()))
        .await?;
    let environments: HashMap<EnvironmentNo, String> = call
        .read
        .environments_of_all_times(org)
        .await?
        .into_iter()
        .map(|environment| (environment.no, environment.name))
        .collect();
    let mut series: BTreeMap<(String, EnvironmentNo), EnvironmentSeries> = BTreeMap::new();
    for start in &starts {
        let Some(name) = environments.get(&start.environment) else {
            continue;
        };
        let built = identities
            .get(&start.record)
            .and_then(|identity| {
                let told = reports.get(&identity.fingerprint?)?;
                told.iter().map(|report| report.at).min()
            })
            .filter(|built| *built <= start.at);
        let series = series
            .entry((name.clone(), start.environment))
            .or_insert_with(|| EnvironmentSeries {
                env_name: name.clone(),
                deployed_at: Vec::new(),
                lead_time_seconds: Vec::new(),
            });
        series.deployed_at.push(seconds(start.at));
        series
            .lead_time_seconds
            .push(built.map(|built| seconds(start.at) - seconds(built)));
    }
    answer::json(
        StatusCode::OK,
        &RepoDeploymentStatistics {
            start_ts: seconds(window.from),
            end_ts: seconds(window.end),
            environments: series.into_values().collect(),
        },
    )
}

/// The last deployment of a fingerprint to an environment.
pub(super) async fn observed(
    mut call: ReadCall,
    environment: &str,
    fingerprint: &Fingerprint,
) -> Answer {
    let organization = Arc::clone(&call.organization);
    let known = environment_named(&mut call.read, &organization, environment).await?;
    let missing = || {
        AppError::missing(format!(
            "Artifact with fingerprint '{}' was never deployed to environment '{environment}'",
            fingerprint.to_hex()
        ))
    };
    let start = call
        .read
        .last_start(organization.no, known.no, fingerprint)
        .await?
        .ok_or_else(missing)?;
    let around = Around::of(&mut call.read, &organization, &[start]).await?;
    let origin = call.parts.origin();
    let shown = around
        .show(&organization, &origin, &start, None)
        .ok_or_else(missing)?;
    answer::json(StatusCode::OK, &shown)
}

/// A moment in ISO 8601, in UTC where it names no zone; a day is its first moment, or its last.
fn moment(name: &str, text: &str, is_last: bool) -> Result<Micros, AppError> {
    let utc = jiff::tz::TimeZone::UTC;
    let at = if let Ok(at) = text.parse::<jiff::Timestamp>() {
        Some(at)
    } else if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() <= 10
    {
        let at = if is_last {
            day.at(23, 59, 59, 999_999_000)
        } else {
            day.at(0, 0, 0, 0)
        };
        at.to_zoned(utc).ok().map(|at| at.timestamp())
    } else {
        text.parse::<jiff::civil::DateTime>()
            .ok()
            .and_then(|at| at.to_zoned(utc).ok())
            .map(|at| at.timestamp())
    };
    at.map(|at| Micros(at.as_microsecond())).ok_or_else(|| {
        let message = "Input should be a valid datetime";
        FieldErrors::one(&format!("query.{name}"), message, text).into()
    })
}

async fn of_environment(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let size = check.integer(
        "page_size",
        query.filled("page_size"),
        1,
        Some(PAGE_SIZE_MAX),
    );
    check.finish()?;
    let read = |name: &str, is_last| {
        query
            .filled(name)
            .map(|text| moment(name, text, is_last))
            .transpose()
    };
    let window = Window::of(
        read("from", false)?,
        read("to", true)?,
        call.parts.app.now(),
        ENVIRONMENT_WINDOW_DAYS,
    )?;
    let name = call.parts.param("env_name").to_owned();
    let environment = environment_named(&mut call.read, &call.organization, &name).await?;
    let asked = Asked::of(page.unwrap_or(1), size.unwrap_or(PAGE_SIZE));
    let filter = StartFilter {
        environments: Some(vec![environment.no]),
        repos: None,
        flow: None,
        from: window.from,
        to: window.to,
    };
    let (total, deployments) = page_of(&mut call, &filter, &asked).await?;
    answer::json(
        StatusCode::OK,
        &EnvironmentDeploymentPage {
            deployments,
            page: asked.page(),
            page_size: asked.per_page(),
            total_count: total,
            total_pages: asked.total_pages(total),
        },
    )
}

async fn frequency(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let name = call.parts.param("env_name").to_owned();
    let environment = environment_named(&mut call.read, &call.organization, &name).await?;
    let flow_id = query.filled("flow_id").map(ToOwned::to_owned);
    let mut flow = None;
    if let Some(id) = &flow_id {
        let no = parse_wire_id(Named::Flow, &call.organization.id, id).map(FlowNo);
        let missing = || AppError::missing("Flow not found");
        let no = no.ok_or_else(missing)?;
        let known = call.read.flow(call.organization.no, no).await?;
        flow = Some(known.ok_or_else(missing)?.no);
    }
    let filter = StartFilter {
        environments: Some(vec![environment.no]),
        repos: None,
        flow,
        from: window.from,
        to: window.to,
    };
    let starts = all(&mut call, &filter).await?;
    let mut days: BTreeMap<String, u64> = BTreeMap::new();
    for start in &starts {
        if let Ok(at) = jiff::Timestamp::from_microsecond(start.at.0) {
            let day = at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
            *days.entry(day).or_default() += 1;
        }
    }
    answer::json(
        StatusCode::OK,
        &DeploymentFrequency {
            flow_id,
            environment: environment.name,
            start_ts: seconds(window.from),
            end_ts: seconds(window.end),
            count: starts.len() as u64,
            timestamps: starts.iter().map(|start| seconds(start.at)).collect(),
            days: days
                .into_iter()
                .map(|(date, count)| DayCount { date, count })
                .collect(),
        },
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn moments_are_read() {
        let at = |text: &str, is_last| moment("from", text, is_last).unwrap().0;
        assert_eq!(at("2026-03-01", false), 1_772_323_200_000_000);
        assert_eq!(at("2026-03-01", true), 1_772_409_599_999_999);
        assert_eq!(at("2026-03-01T01:00:00", false), 1_772_326_800_000_000);
        assert_eq!(at("2026-03-01T01:00:00Z", true), 1_772_326_800_000_000);
        assert_eq!(
            at("2026-03-01T01:00:00+01:00", false),
            1_772_323_200_000_000
        );
        for text in ["yesterday", "2026-13-01", "", "1772323200"] {
            assert!(moment("from", text, false).is_err(), "{text}");
        }
    }
}
