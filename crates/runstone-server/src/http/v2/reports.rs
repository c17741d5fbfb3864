//! Reports (`api-environments.md` section 4): one endpoint per type of environment.

use axum::http::{HeaderMap, Method, StatusCode};
use runstone_api::report::{
    AzureAppsReport, CloudRunReport, DockerReport, EcsReport, K8sReport, LambdaReport, S3Report,
    ServerReport,
};
use runstone_model::event::{Claim, REPORTER_BYTES_MAX};
use runstone_model::id::Micros;
use runstone_model::name::EnvironmentKind;
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;

use crate::app::error::AppError;
use crate::app::lanes::{Arrived, Recorded};
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, WriteCall};
use crate::http::openapi::{Shape, Success, docs, shape};
use crate::http::router::{Endpoint, api, write};

/// When a reporter observed, by its own clock: Unix seconds, or RFC 3339.
pub(crate) const OBSERVED_AT: &str = "runstone-observed-at";
/// Name of a reporter.
pub(crate) const REPORTER: &str = "runstone-reporter";
/// A reporter's running number of reports.
pub(crate) const SEQUENCE: &str = "runstone-sequence";

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
    let recorded = if let Some(recorded) = app.recognise_report(&arrived) {
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

/// What the reporter says of its report, if it says anything (design D10).
fn claim(headers: &HeaderMap) -> Result<Option<Claim>, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut text = |name: &'static str| {
        let value = headers.get(name)?;
        match value.to_str() {
            Ok(text) => Some(text.trim()),
            Err(_) => {
                errors.add(
                    &format!("header.{name}"),
                    "Header should hold visible ASCII characters",
                    &String::from_utf8_lossy(value.as_bytes()),
                );
                None
            }
        }
    };
    let (at, by, sequence) = (text(OBSERVED_AT), text(REPORTER), text(SEQUENCE));
    let at = at.and_then(|text| {
        let parsed = instant(text);
        if parsed.is_none() {
            errors.add(
                &format!("header.{OBSERVED_AT}"),
                "Header should be Unix seconds or an RFC 3339 time",
                text,
            );
        }
        parsed
    });
    if let Some(by) = by
        && by.len() > REPORTER_BYTES_MAX
    {
        errors.add(
            &format!("header.{REPORTER}"),
            &format!("Header should have at most {REPORTER_BYTES_MAX} bytes"),
            by,
        );
    }
    let sequence = sequence.and_then(|text| {
        let parsed = text
            .parse::<u64>()
            .ok()
            .filter(|number| i64::try_from(*number).is_ok());
        if parsed.is_none() {
            errors.add(
                &format!("header.{SEQUENCE}"),
                "Input should be a valid integer, unable to parse string as an integer",
                text,
            );
        }
        parsed
    });
    if sequence.is_some() && by.is_none_or(str::is_empty) {
        errors.add(
            &format!("header.{REPORTER}"),
            "Field required with a sequence",
            "None",
        );
    }
    let said = at.is_some() || by.is_some() || sequence.is_some();
    errors.into_result(Some(said.then(|| Claim {
        at,
        by: by.unwrap_or_default().to_owned(),
        sequence,
    })))
}

fn instant(text: &str) -> Option<Micros> {
    if let Ok(seconds) = text.parse::<f64>() {
        const SECONDS_MAX: f64 = 253_402_300_799.0;
        return (0.0..=SECONDS_MAX)
            .contains(&seconds)
            .then(|| Micros::from_seconds(seconds));
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    (time.as_microsecond() >= 0).then(|| Micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<Option<Claim>, FieldErrors> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        claim(&headers)
    }

    #[test]
    fn claims_are_read() {
        assert_eq!(of(&[]), Ok(None));
        let claim = of(&[
            (OBSERVED_AT, "2026-04-01T10:00:00.5Z"),
            (REPORTER, "host-1"),
            (SEQUENCE, "7"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(claim.at, Some(Micros(1_775_037_600_500_000)));
        assert_eq!((claim.by.as_str(), claim.sequence), ("host-1", Some(7)));
        let claim = of(&[(OBSERVED_AT, "1700000000.25")]).unwrap().unwrap();
        assert_eq!(claim.at, Some(Micros(1_700_000_000_250_000)));
    }

    #[test]
    fn wrong_claims_are_named() {
        let errors = of(&[(OBSERVED_AT, "noon"), (SEQUENCE, "-1"), (REPORTER, "r")]).unwrap_err();
        let names: Vec<&str> = errors.0.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["header.runstone-observed-at", "header.runstone-sequence"]
        );
        let errors = of(&[(SEQUENCE, "1")]).unwrap_err();
        assert!(errors.0.contains_key("header.runstone-reporter"));
        assert!(of(&[(OBSERVED_AT, "NaN")]).is_err());
        assert!(of(&[(OBSERVED_AT, "inf")]).is_err());
        assert!(of(&[(OBSERVED_AT, "-1")]).is_err());
    }
}
