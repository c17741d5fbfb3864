//! Assertions (`api-flows.md` section 8, `api-environments.md` section 14). Flow templates judge:
//! no policies exist yet. Nothing is judged while asking: the verdicts are those recorded.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use runstone_api::assertion::{AssertedFlow, Assertion};
use runstone_api::path;
use runstone_model::command::Refusal;
use runstone_model::fact::{Artifact, FlowNo};
use runstone_model::id::{Named, wire_id};
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;
use serde_json::Value;

use super::flows::live_flow;
use super::live_environment;
use super::trails::WireIds;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/asserts/{org}/fingerprint/{fingerprint}"),
        docs(
            "assert_artifact",
            "Asserts",
            "Ask whether an artifact is compliant",
            Success::One(shape::<Assertion>()),
            &[
                (200, "The answer, also where it is no."),
                (400, "The request is not valid."),
                (
                    404,
                    "There is no such artifact, flow, environment or policy.",
                ),
            ],
        )
        .query([
            param("flow_name", Of::Text, "Only as an artifact of this flow."),
            param(
                "environment_name",
                Of::Text,
                "By the policies of this environment.",
            ),
            param("policy_name", Of::Texts, "By these policies."),
        ]),
        assert_artifact,
    )]
}

async fn assert_artifact(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let organization = std::sync::Arc::clone(&call.organization);
    let query = parts.query();
    let fingerprint = super::whole_fingerprint("fingerprint", parts.param("fingerprint"))?;
    let policy = query.all("policy_name").find(|name| !name.is_empty());
    let environment = match (query.filled("environment_name"), policy) {
        (Some(_), Some(policy)) => {
            let message = "Only one of environment_name and policy_name can be given";
            return Err(FieldErrors::one("query.policy_name", message, policy).into());
        }
        (None, Some(policy)) => {
            return Err(Refusal::PolicyMissing {
                name: policy.to_owned(),
                organization: organization.name.clone(),
            }
            .into());
        }
        (Some(name), None) => Some(live_environment(&mut call.read, &organization, name).await?),
        (None, None) => None,
    };
    let named = query.filled("flow_name");
    let only = match named {
        Some(name) => Some(live_flow(&mut call.read, &organization, name).await?.no),
        None => None,
    };
    let mut found = call
        .read
        .provenance(organization.no, &[fingerprint])
        .await?;
    // The newest report in each flow, by the time of that report.
    let mut newest: BTreeMap<FlowNo, Artifact> = BTreeMap::new();
    for artifact in found.remove(&fingerprint).unwrap_or_default() {
        if only.is_none_or(|flow| flow == artifact.flow) {
            newest.insert(artifact.flow, artifact);
        }
    }
    let mut reports: Vec<Artifact> = newest.into_values().collect();
    reports.sort_by_key(|artifact| artifact.no);
    let mut flows = Vec::with_capacity(reports.len());
    for report in &reports {
        flows.extend(in_flow(&mut call, report).await?);
    }
    let first = flows.first().cloned().ok_or_else(|| {
        let place = match named {
            Some(flow) => format!("flow '{flow}' belonging to organization"),
            None => "organization".to_owned(),
        };
        AppError::missing(format!(
            "Artifact with fingerprint '{fingerprint}' does not exist in {place} '{}'",
            organization.name
        ))
    })?;
    answer::json(
        StatusCode::OK,
        &Assertion {
            fingerprint: fingerprint.to_hex(),
            flow: first.flow,
            trail: first.trail,
            compliant: flows.iter().all(|flow| flow.compliant),
            scope: match environment {
                Some(_) => "environment",
                None => "flow",
            },
            html_url: first.html_url,
            compliance_status: first.compliance_status,
            flows,
            environment: environment.map(|environment| environment.name),
            policy_evaluations: Vec::new(),
            allow_listing: None,
        },
    )
}

/// How a report of an artifact stands in its flow.
async fn in_flow(call: &mut ReadCall, report: &Artifact) -> Result<Option<AssertedFlow>, AppError> {
    let organization = std::sync::Arc::clone(&call.organization);
    let org = organization.no;
    let mut trails = call.read.trails(org, &[report.trail]).await?;
    let (Some(flow), Some(trail)) = (
        call.read.flow(org, report.flow).await?,
        trails.remove(&report.trail),
    ) else {
        return Ok(None);
    };
    let reports = call.read.trail_reports(&trail).await?;
    let status = reports
        .state
        .artifact_status(report.name.as_deref(), report.fingerprint)
        .map(|status| {
            let mut text = String::new();
            status.write_json(&WireIds(&organization), &mut text);
            serde_json::from_str(&text).map(|mut status: Value| {
                // Members that stand in trails only.
                if let Value::Object(members) = &mut status {
                    members.shift_remove("artifact_id");
                    members.shift_remove("flow_template_id");
                }
                status
            })
        })
        .transpose()
        .map_err(|error| AppError::Internal(format!("a status cannot be shown: {error}")))?;
    let id = wire_id(Named::Artifact, &organization.id, report.no.0);
    let hex = report.fingerprint.to_hex();
    Ok(Some(AssertedFlow {
        html_url: path::artifact_html(
            &call.parts.origin(),
            &organization.name,
            &flow.name,
            &hex,
            &id,
        ),
        flow: flow.name,
        trail: (!trail.implicit).then_some(trail.name),
        compliant: report.state.is_compliant(),
        compliance_status: status,
    }))
}
