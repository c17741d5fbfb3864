//! Reports (`api-environments.md` section 4): one endpoint per type of environment.

use axum::http::{Method, StatusCode};
use runstone_api::report::{
    AzureAppsReport, CloudRunReport, DockerReport, EcsReport, K8sReport, LambdaReport, S3Report,
    ServerReport,
};
use runstone_model::name::EnvironmentKind;
use runstone_model::role::Right;

use crate::app::error::AppError;
use crate::app::lanes::{Arrived, Recorded};
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, WriteCall};
use crate::http::claim::claim;
use crate::http::openapi::{Shape, Success, docs, shape};
use crate::http::router::{Endpoint, api, write};

pub(super) fn endpoints() -> Vec<Endpoint> {
    use EnvironmentKind as Kind;
    [
        (
            Kind::K8s,
            "report_k8s",
            "Report what runs in a Kubernetes cluster",
            shape::<K8sReport>(),
        ),
        (
            Kind::Ecs,
            "report_ecs",
            "Report what runs in ECS",
            shape::<EcsReport>(),
        ),
        (
            Kind::Lambda,
            "report_lambda",
            "Report functions",
            shape::<LambdaReport>(),
        ),
        (
            Kind::S3,
            "report_s3",
            "Report the content of a bucket",
            shape::<S3Report>(),
        ),
        (
            Kind::Docker,
            "report_docker",
            "Report containers of a Docker engine",
            shape::<DockerReport>(),
        ),
        (
            Kind::Server,
            "report_server",
            "Report files of a machine",
            shape::<ServerReport>(),
        ),
        (
            Kind::AzureApps,
            "report_azure_apps",
            "Report Azure web and function apps",
            shape::<AzureAppsReport>(),
        ),
        (
            Kind::CloudRun,
            "report_cloud_run",
            "Report Cloud Run services and jobs",
            shape::<CloudRunReport>(),
        ),
    ]
    .map(|(kind, id, summary, body)| endpoint(kind, id, summary, body))
    .into()
}

fn endpoint(
    kind: EnvironmentKind,
    id: &'static str,
    summary: &'static str,
    body: Shape,
) -> Endpoint {
    write(
        Method::PUT,
        Right::ReportSnapshot,
        BodyBound::Report,
        api(&format!("/environments/{{org}}/{{env_name}}/report/{kind}")),
        docs(
            id,
            "Environments",
            summary,
            Success::Ok,
            &[
                (200, "Nothing that counts has changed."),
                (201, "A snapshot was made."),
                (400, "The report is not valid."),
                (
                    404,
                    "There is no such environment, or it has been archived.",
                ),
                (413, "The body is larger than the limit."),
            ],
        )
        .about("The full list of what runs now, never a part of it. The order does not matter.")
        .body(body),
        move |call| report(kind, call),
    )
}

async fn report(kind: EnvironmentKind, call: WriteCall) -> Answer {
    let claim = claim(&call.parts.headers)?;
    let name = call.parts.param("env_name").to_owned();
    let app = call.parts.app;
    let environment = call
        .environment
        .ok_or_else(|| AppError::Internal("a report came without its environment".to_owned()))?;
    let arrived = Arrived {
        organization: call.organization,
        name,
        environment,
        version: call.version,
        kind,
        body: call.body,
        claim,
    };
    let recorded = if call.caller.history().is_some() {
        app.import_report(call.caller, arrived).await?
    } else if let Some(recorded) = app.recognise_report(&arrived) {
        recorded
    } else {
        // On a task of its own: a client that hangs up must not leave a lane half-way.
        let (caller, asked) = (call.caller, call.asked);
        tokio::spawn(async move { app.record_report(caller, &asked, arrived).await })
            .await
            .map_err(|error| AppError::Internal(format!("recording a report failed: {error}")))??
    };
    Ok(answer::ok(match recorded {
        Recorded::Snapshot => StatusCode::CREATED,
        Recorded::Nothing => StatusCode::OK,
    }))
}
