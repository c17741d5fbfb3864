//! The API: one module per noun, each with its endpoints and their handlers.

mod artifacts;
mod asserts;
mod attestation_types;
mod attestations;
mod audit;
mod builds;
mod controls;
mod deployments;
mod diff;
mod environments;
mod events;
mod evidence;
mod flows;
mod joined;
mod journal;
mod legacy;
mod lives;
mod lookalikes;
mod paged;
mod reports;
mod repos;
mod resting;
mod schemas;
mod search;
mod snapshots;
mod tags;
mod timeline;
mod trails;

use std::collections::{BTreeMap, HashMap};

use runstone_model::command::{GivenTemplate, Refusal};
use runstone_model::event::{Actor, TemplateText};
use runstone_model::fact::{Environment, Organization, SnapshotNo};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::name::{FlowName, TrailName};
use runstone_model::read::FieldErrors;
use runstone_model::template::{Template, TemplateErrors};
use runstone_store::Read;

use super::router::Endpoint;
use crate::app::error::AppError;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = environments::endpoints();
    endpoints.extend(reports::endpoints());
    endpoints.extend(snapshots::endpoints());
    endpoints.extend(events::endpoints());
    endpoints.extend(diff::endpoints());
    endpoints.extend(search::endpoints());
    endpoints.extend(lookalikes::endpoints());
    endpoints.extend(resting::endpoints());
    endpoints.extend(flows::endpoints());
    endpoints.extend(trails::endpoints());
    endpoints.extend(artifacts::endpoints());
    endpoints.extend(attestations::endpoints());
    endpoints.extend(legacy::endpoints());
    endpoints.extend(evidence::endpoints());
    endpoints.extend(asserts::endpoints());
    endpoints.extend(audit::endpoints());
    endpoints.extend(attestation_types::endpoints());
    endpoints.extend(controls::endpoints());
    endpoints.extend(tags::endpoints());
    endpoints.extend(repos::endpoints());
    endpoints.extend(builds::endpoints());
    endpoints.extend(deployments::endpoints());
    endpoints.extend(timeline::endpoints());
    endpoints.extend(schemas::endpoints());
    endpoints.extend(journal::endpoints());
    endpoints
}

/// The live environment with this name, or the contracted answer.
pub(super) async fn live_environment(
    read: &mut Read,
    organization: &Organization,
    name: &str,
) -> Result<Environment, AppError> {
    match read.environment_named(organization.no, name).await? {
        None => Err(Refusal::EnvironmentMissing {
            name: name.to_owned(),
            organization: organization.name.clone(),
        }
        .into()),
        Some(environment) if environment.archived_at.is_some() => {
            Err(Refusal::EnvironmentArchived {
                name: name.to_owned(),
                organization: organization.name.clone(),
            }
            .into())
        }
        Some(environment) => Ok(environment),
    }
}

/// Evaluates a pure function that asks for the snapshot at a time: it is asked once for the times
/// it needs and once more with the answers.
async fn with_times<T>(
    read: &mut Read,
    environment: &Environment,
    resolve: impl Fn(&dyn Fn(Micros) -> SnapshotNo) -> T,
) -> Result<T, AppError> {
    let wanted = std::cell::RefCell::new(Vec::new());
    let first = resolve(&|at| {
        wanted.borrow_mut().push(at);
        0
    });
    let wanted = wanted.into_inner();
    if wanted.is_empty() {
        return Ok(first);
    }
    drop(first);
    let mut known = Vec::with_capacity(wanted.len());
    for at in wanted {
        let no = read
            .snapshot_at(environment.organization, environment.no, at)
            .await?;
        known.push((at, no));
    }
    Ok(resolve(&|at| {
        known
            .iter()
            .find(|(asked, _)| *asked == at)
            .map_or(0, |(_, no)| *no)
    }))
}

/// Whether `key` or `key:value` is among the tags; an empty text matches nothing.
fn has_tag(tags: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once(':') {
        None => tags.contains_key(wanted),
        Some((key, value)) => {
            !value.is_empty() && tags.get(key).is_some_and(|found| found == value)
        }
    }
}

/// Names of those who caused entries, each looked up once.
#[derive(Default)]
struct Names(HashMap<Actor, String>);

impl Names {
    async fn of(
        &mut self,
        read: &mut Read,
        organization: &Organization,
        actor: &Actor,
    ) -> Result<String, AppError> {
        if let Some(name) = self.0.get(actor) {
            return Ok(name.clone());
        }
        let name = read.name_of(organization.no, actor).await?;
        self.0.insert(actor.clone(), name.clone());
        Ok(name)
    }
}

/// A template in YAML as a client gave it.
fn given_template(bytes: &[u8]) -> Result<GivenTemplate, TemplateErrors> {
    let template = Template::read(bytes)?;
    Ok(GivenTemplate {
        // What was read as a template is text.
        text: TemplateText::Yaml(String::from_utf8_lossy(bytes).into_owned()),
        template: template.into(),
    })
}

/// The name of a flow in a path, which may be one that is to be made.
fn flow_name(text: &str) -> Result<FlowName, AppError> {
    FlowName::parse(text)
        .map_err(|error| FieldErrors::one("flow_name", &error.contracted_text(), text).into())
}

/// The name of a trail in a path, which may be one that is to be begun.
fn trail_name(text: &str) -> Result<TrailName, AppError> {
    TrailName::parse(text)
        .map_err(|error| FieldErrors::one("trail_name", &error.contracted_text(), text).into())
}

/// All 64 digits of a fingerprint.
fn whole_fingerprint(path: &str, text: &str) -> Result<Fingerprint, AppError> {
    text.parse().map_err(|_| {
        let message = "String should match pattern '^[a-f0-9]{64}$'";
        FieldErrors::one(path, message, text).into()
    })
}
