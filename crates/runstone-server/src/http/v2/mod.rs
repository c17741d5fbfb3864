//! The API: one module per noun, each with its endpoints and their handlers.

mod diff;
mod environments;
mod events;
mod journal;
mod reports;
mod search;
mod snapshots;
mod tags;

use runstone_model::command::Refusal;
use runstone_model::fact::{Environment, Organization, SnapshotNo};
use runstone_model::id::Micros;
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
    endpoints.extend(tags::endpoints());
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
