//! Repositories, as they are told of in passing (`api-organisation.md` section 10).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::StatusCode;
use runstone_api::paging::Href;
use runstone_api::path::{self, API, segment};
use runstone_api::repo::{
    BuiltArtifact, LiveArtifact, LiveArtifacts, LiveEmbedded, LiveEnvironment, Repo as Shown,
    RepoFilterOptions, RepoName, RepoPage, SelfLink,
};
use runstone_api::seconds;
use runstone_model::fact::{Artifact, EnvironmentNo, FlowNo, Organization, Repo};
use runstone_model::id::{Fingerprint, Micros, Named, parse_wire_id, wire_id};
use runstone_model::role::Right;

use super::builds::window_params;
use super::lives::lives;
use super::paged::Asked;
use super::trails::json_contents;
use super::{deployments, has_tag};
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{Query, ReadCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const TAG: &str = "Repos";
const INVALID: (u16, &str) = (400, "The request is not valid.");
const MISSING: (u16, &str) = (404, "There is no such repository.");
const PER_PAGE: u64 = 15;
const PER_PAGE_MAX: u64 = 50;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let facets = [
        param("provider", Of::Text, "Kind of the code host."),
        param("vcs_instance", Of::Text, "Host in the address."),
        param(
            "namespace",
            Of::Text,
            "Where it stands at the code host: the outer parts, with slashes between.",
        ),
        param("tag", Of::Texts, "key or key:value; all must match."),
    ];
    let which = [
        param("provider", Of::Text, "Kind of the code host."),
        param(
            "id",
            Of::Text,
            "Id of the repository; its name does not count then.",
        ),
    ];
    let in_environments = [param("env", Of::Texts, "Only in these environments.")];
    vec![
        get(
            Right::Read,
            api("/repos/{org}"),
            docs(
                "list_repos",
                TAG,
                "List repositories",
                Success::One(shape::<RepoPage>()),
                &[(200, "A page of repositories, by name."), INVALID],
            )
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "per_page",
                    Of::Integer,
                    "Repositories of a page, at most 50.",
                ),
                param("name", Of::Text, "The whole name."),
                param("search", Of::Text, "Part of the name, in any case."),
                param(
                    "repo_id",
                    Of::Text,
                    "Id at the code host; wins over the name.",
                ),
                param("sort_direction", Of::Text, "asc or desc."),
            ])
            .query(facets),
            list,
        ),
        get(
            Right::Read,
            api("/repos/{org}/filter-options"),
            docs(
                "list_repo_filter_options",
                TAG,
                "List what repositories can be filtered by",
                Success::One(shape::<RepoFilterOptions>()),
                &[
                    (200, "The values; each facet ignores its own filter."),
                    INVALID,
                ],
            )
            .query(facets),
            filter_options,
        ),
        get(
            Right::Read,
            api("/repos/{org}/tags"),
            docs(
                "list_repo_tag_choices",
                TAG,
                "List the tags of repositories",
                Success::Other("application/json"),
                &[(200, "Every key with its values.")],
            ),
            tag_choices,
        ),
        get(
            Right::Read,
            api("/repos/{org}/live-artifacts/{*repo_name}"),
            docs(
                "get_repo_live_artifacts",
                TAG,
                "Get what was built from a repository and runs now",
                Success::One(shape::<LiveArtifacts>()),
                &[(200, "Each artifact in each environment."), MISSING],
            )
            .query(which),
            live_artifacts,
        ),
        get(
            Right::Read,
            api("/repos/{org}/{*repo_name}"),
            docs(
                "get_repo",
                TAG,
                "Get a repository",
                Success::One(shape::<Shown>()),
                &[
                    (200, "The repository."),
                    (400, "Several have the name."),
                    MISSING,
                ],
            )
            .about("The name may hold slashes, escaped or not.")
            .query(which),
            get_repo,
        ),
        get(
            Right::Read,
            api("/repos/{org}/{repo}/deployments"),
            docs(
                "list_repo_deployments",
                TAG,
                "List deployments of what was built from a repository",
                Success::One(shape::<runstone_api::deployment::DeploymentPage>()),
                &[
                    (200, "A page of deployments, newest first."),
                    INVALID,
                    MISSING,
                ],
            )
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "per_page",
                    Of::Integer,
                    "Deployments of a page, at most 50; 0 counts only.",
                ),
            ])
            .query(in_environments)
            .query(window_params()),
            get_repo,
        )
        .served_by_another(),
        get(
            Right::Read,
            api("/repos/{org}/{repo}/deployment-statistics"),
            docs(
                "get_repo_deployment_statistics",
                TAG,
                "Get when what was built from a repository was deployed",
                Success::One(shape::<runstone_api::deployment::RepoDeploymentStatistics>()),
                &[(200, "A series for each environment."), INVALID, MISSING],
            )
            .query(in_environments)
            .query(window_params()),
            get_repo,
        )
        .served_by_another(),
    ]
}

/// There is no repository with this name or id.
pub(super) fn missing(name: &str) -> AppError {
    AppError::missing(format!("Repo '{name}' not found"))
}

/// A repository in what was built from it.
pub(super) fn name_of(repo: &Repo) -> RepoName {
    RepoName {
        name: repo.name.clone(),
        repo_id: repo.id.clone().unwrap_or_else(|| repo.name.clone()),
    }
}

fn rfc3339(at: Micros) -> Option<String> {
    jiff::Timestamp::from_microsecond(at.0)
        .ok()
        .map(|at| at.to_string())
}

fn show(organization: &Organization, origin: &str, repo: &Repo) -> Shown {
    let id = wire_id(Named::Repo, &organization.id, repo.no.0);
    Shown {
        name: repo.name.clone(),
        url: repo.url(),
        provider: repo.provider.clone(),
        repo_id: repo.id.clone(),
        latest_activity: rfc3339(repo.modified_at),
        tags: repo.tags.clone(),
        vcs_instance: repo.host(),
        namespace_path: repo.namespace(),
        links: SelfLink {
            this: Href {
                href: format!(
                    "{origin}{API}/repos/{}/{id}?id={id}",
                    segment(&organization.name)
                ),
            },
        },
        id,
    }
}

/// What repositories are filtered by.
struct Facets<'q> {
    provider: Option<&'q str>,
    host: Option<&'q str>,
    namespace: Vec<&'q str>,
    tags: Vec<&'q str>,
}

impl<'q> Facets<'q> {
    fn of(query: &'q Query) -> Self {
        Self {
            provider: query.filled("provider"),
            host: query.filled("vcs_instance"),
            namespace: query
                .filled("namespace")
                .unwrap_or_default()
                .split('/')
                .filter(|part| !part.is_empty())
                .collect(),
            tags: query.all("tag").filter(|tag| !tag.is_empty()).collect(),
        }
    }

    fn has_provider(&self, repo: &Repo) -> bool {
        self.provider
            .is_none_or(|provider| repo.provider.as_deref() == Some(provider))
    }

    fn has_host(&self, repo: &Repo) -> bool {
        self.host
            .is_none_or(|host| repo.host().as_deref() == Some(host))
    }

    fn is_within(&self, repo: &Repo) -> bool {
        let path = repo.namespace();
        self.namespace.len() <= path.len()
            && self
                .namespace
                .iter()
                .zip(&path)
                .all(|(wanted, part)| wanted == part)
    }

    fn has_tags(&self, repo: &Repo) -> bool {
        self.tags.iter().all(|tag| has_tag(&repo.tags, tag))
    }
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let asked = Asked::read(&mut check, &query, (1, PER_PAGE, PER_PAGE_MAX));
    let descending = check.one_of(
        "sort_direction",
        query.filled("sort_direction"),
        &[("asc", false), ("desc", true)],
    );
    check.finish()?;
    let (name, search) = (query.filled("name"), query.filled("search"));
    if name.is_some() && search.is_some() {
        return Err(AppError::bad("name and search cannot be given together"));
    }
    let outer = query.filled("repo_id");
    let name = name.filter(|_| outer.is_none());
    let search = search.map(str::to_lowercase);
    let facets = Facets::of(&query);
    let mut found = call.read.repos(call.organization.no).await?;
    found.retain(|repo| {
        outer.is_none_or(|id| repo.id.as_deref() == Some(id))
            && name.is_none_or(|name| repo.name == name)
            && search
                .as_ref()
                .is_none_or(|part| repo.name.to_lowercase().contains(part))
            && facets.has_provider(repo)
            && facets.has_host(repo)
            && facets.is_within(repo)
            && facets.has_tags(repo)
    });
    // By name and number already.
    if descending == Some(true) {
        found.reverse();
    }
    let total = found.len() as u64;
    let (offset, length) = asked.window(total);
    let origin = call.parts.origin();
    let repos = found
        .iter()
        .skip(offset as usize)
        .take(length as usize)
        .map(|repo| show(&call.organization, &origin, repo))
        .collect();
    let page = RepoPage {
        links: asked.links(&call, total),
        page: asked.page(),
        per_page: asked.per_page(),
        total_pages: asked.total_pages(total),
        total_count: total,
        repos,
    };
    answer::json(StatusCode::OK, &page)
}

async fn filter_options(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let facets = Facets::of(&query);
    let found = call.read.repos(call.organization.no).await?;
    let (mut providers, mut hosts, mut namespaces) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for repo in found.iter().filter(|repo| facets.has_tags(repo)) {
        let (provider, host, within) = (
            facets.has_provider(repo),
            facets.has_host(repo),
            facets.is_within(repo),
        );
        if host && within {
            providers.extend(repo.provider.clone());
        }
        if provider && within {
            hosts.extend(repo.host());
        }
        if provider && host && within {
            namespaces.extend(repo.namespace().into_iter().nth(facets.namespace.len()));
        }
    }
    answer::json(
        StatusCode::OK,
        &RepoFilterOptions {
            providers: providers.into_iter().collect(),
            vcs_instances: hosts.into_iter().collect(),
            namespace_values: namespaces.into_iter().collect(),
        },
    )
}

async fn tag_choices(mut call: ReadCall) -> Answer {
    let mut choices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for repo in call.read.repos(call.organization.no).await? {
        for (key, value) in repo.tags {
            choices.entry(key).or_default().insert(value);
        }
    }
    answer::json(StatusCode::OK, &choices)
}

/// The repository that a path and a query name. Of several with one name the newest is taken
/// where `is_lenient`, or where they are of one kind of code host; else they are told apart by the
/// query.
async fn named(call: &mut ReadCall, name: &str, is_lenient: bool) -> Result<Repo, AppError> {
    let query = call.parts.query();
    if let Some(id) = query.filled("id") {
        return with_id(call, id).await?.ok_or_else(|| missing(name));
    }
    let provider = query.filled("provider");
    let mut found = call.read.repos(call.organization.no).await?;
    found.retain(|repo| {
        repo.name == name && provider.is_none_or(|wanted| repo.provider.as_deref() == Some(wanted))
    });
    let providers: BTreeSet<&str> = found
        .iter()
        .map(|repo| repo.provider.as_deref().unwrap_or("no provider"))
        .collect();
    if providers.len() > 1 && !is_lenient {
        let providers: Vec<&str> = providers.into_iter().collect();
        return Err(AppError::bad(format!(
            "Multiple repos named '{name}' exist ({}). Specify the 'provider' of the one that is meant.",
            providers.join(", ")
        )));
    }
    found
        .into_iter()
        .max_by_key(|repo| repo.no)
        .ok_or_else(|| missing(name))
}

async fn with_id(call: &mut ReadCall, id: &str) -> Result<Option<Repo>, AppError> {
    let organization = &call.organization;
    let Some(no) = parse_wire_id(Named::Repo, &organization.id, id) else {
        return Ok(None);
    };
    Ok(call
        .read
        .repo(organization.no, runstone_model::fact::RepoNo(no))
        .await?)
}

async fn get_repo(mut call: ReadCall) -> Answer {
    let name = call.parts.param("repo_name").to_owned();
    // Two resources below an id, which holds no slash; a name that looks like one is a name unless
    // there is such an id.
    if let Some((id, below)) = name.split_once('/')
        && matches!(below, "deployments" | "deployment-statistics")
        && let Some(repo) = with_id(&mut call, id).await?
    {
        return if below == "deployments" {
            deployments::of_repo(call, repo.no).await
        } else {
            deployments::statistics_of_repo(call, repo.no).await
        };
    }
    let repo = named(&mut call, &name, false).await?;
    let origin = call.parts.origin();
    answer::json(StatusCode::OK, &show(&call.organization, &origin, &repo))
}

async fn live_artifacts(mut call: ReadCall) -> Answer {
    let name = call.parts.param("repo_name").to_owned();
    let repo = named(&mut call, &name, true)
        .await
        .map_err(|error| match error {
            AppError::Missing(_) => AppError::missing("Repo not found"),
            other => other,
        })?;
    let org = call.organization.no;
    let running = call.read.running_from(org, repo.no).await?;
    let lives = lives(&mut call.read, org, &running).await?;
    let mut reports = call.read.provenance(org, &running).await?;
    // The newest report of each that tells of this repository.
    let reports: BTreeMap<Fingerprint, Artifact> = running
        .iter()
        .filter_map(|fingerprint| {
            let mut told = reports.remove(fingerprint)?;
            told.retain(|report| report.repo == Some(repo.no));
            Some((*fingerprint, told.pop()?))
        })
        .collect();
    let flows: BTreeSet<FlowNo> = reports.values().map(|report| report.flow).collect();
    let flows: Vec<FlowNo> = flows.into_iter().collect();
    let flows = call.read.flows_by_no(org, &flows).await?;
    let places: Vec<_> = reports.values().map(|report| (report.entry, 0)).collect();
    let contents = json_contents(&mut call.read, &call.organization, &places).await?;
    let environments = call.read.environments(org).await?;
    let by_name: HashMap<&str, EnvironmentNo> = environments
        .iter()
        .map(|environment| (environment.name.as_str(), environment.no))
        .collect();

    let (origin, organization) = (call.parts.origin(), &call.organization);
    let link = |href: String| SelfLink {
        this: Href { href },
    };
    let mut embedded = LiveEmbedded {
        environments: Vec::new(),
        artifacts: Vec::new(),
    };
    let (mut used, mut live) = (BTreeSet::new(), Vec::new());
    for (fingerprint, report) in &reports {
        let Some(life) = lives.get(fingerprint) else {
            continue;
        };
        let artifact_id = wire_id(Named::Artifact, &organization.id, report.no.0);
        for (environment, snapshot) in &life.running {
            let Some(no) = by_name.get(environment.as_str()) else {
                continue;
            };
            used.insert(*no);
            let started_at = life
                .happened
                .iter()
                .find(|happened| happened.environment == *no && happened.snapshot == *snapshot)
                .map(|happened| happened.at)
                .unwrap_or_default();
            live.push(LiveArtifact {
                environment_id: wire_id(Named::Environment, &organization.id, no.0),
                artifact_id: artifact_id.clone(),
                artifact_name: report.filename.clone(),
                snapshot_index: *snapshot,
                compliance: None,
                started_at: seconds(started_at),
                links: link(path::snapshot_api(
                    &origin,
                    &organization.name,
                    environment,
                    *snapshot,
                )),
            });
        }
        let flow = flows
            .get(&report.flow)
            .map_or("", |flow| flow.name.as_str());
        let hex = fingerprint.to_hex();
        embedded.artifacts.push(BuiltArtifact {
            id: artifact_id,
            links: link(path::artifact_api(&origin, &organization.name, flow, &hex)),
            fingerprint: hex,
            commit_sha: report.commit.map(|commit| commit.to_hex()),
            commit_url: contents
                .get(&(report.entry, 0))
                .and_then(|content| content["commit_url"].as_str())
                .filter(|url| !url.is_empty())
                .map(ToOwned::to_owned),
        });
    }
    embedded.environments = environments
        .iter()
        .filter(|environment| used.contains(&environment.no))
        .map(|environment| LiveEnvironment {
            id: wire_id(Named::Environment, &organization.id, environment.no.0),
            name: environment.name.clone(),
            kind: environment.kind.as_wire().to_owned(),
            links: link(format!(
                "{origin}{API}/environments/{}/{}",
                segment(&organization.name),
                segment(&environment.name)
            )),
        })
        .collect();
    answer::json(
        StatusCode::OK,
        &LiveArtifacts {
            links: link(format!("{origin}{}", call.parts.path())),
            embedded,
            live_artifacts: live,
        },
    )
}
