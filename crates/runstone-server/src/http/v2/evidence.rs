//! Evidence as clients older than trails report it (`api-flows.md` section 14.3): an adapter onto
//! attestations.

use axum::http::{Method, StatusCode};
use runstone_model::attestation::Kind;
use runstone_model::attestation::evidence::{OF_ARTIFACTS, OF_COMMITS};
use runstone_model::role::Right;

use super::attestations::attached;
use crate::app::told;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, WriteCall};
use crate::http::multipart;
use crate::http::openapi::{Success, docs};
use crate::http::router::{Endpoint, api, write};

const TAG: &str = "Evidence";
const MISSING: (u16, &str) = (404, "There is no such flow or artifact.");
const INVALID: (u16, &str) = (400, "The request is not valid.");
/// The parts of a form: JSON, and what is attached.
const PARTS: (&str, &str) = ("evidence_json", "evidence_file");

pub(super) fn endpoints() -> Vec<Endpoint> {
    let kind = |path: &str| Kind::by_path(path).expect("evidence is of a known kind");
    let of_artifacts = OF_ARTIFACTS.into_iter().map(|path| {
        write(
            Method::POST,
            Right::Attest,
            BodyBound::Upload,
            api(&format!("/evidence/{{org}}/artifact/{{flow_name}}/{path}")),
            docs(
                format!("post_{path}_artifact_evidence"),
                TAG,
                "Report evidence about an artifact, as older clients do",
                Success::Ok,
                &[(201, "It is attested."), INVALID, MISSING],
            )
            .about("It becomes an attestation in the trail of the artifact's newest report."),
            move |call| report(call, kind(path), true),
        )
    });
    let of_commits = OF_COMMITS.into_iter().map(|path| {
        write(
            Method::POST,
            Right::Attest,
            BodyBound::Upload,
            api(&format!("/evidence/{{org}}/commit/{path}")),
            docs(
                format!("post_{path}_commit_evidence"),
                TAG,
                "Report evidence about a commit, as older clients do",
                Success::Ok,
                &[(201, "It is attested."), INVALID],
            )
            .about(
                "It becomes an attestation in the trail named by the commit, in each of the flows: those that are named, else those with an artifact of the commit, else all.",
            ),
            move |call| report(call, kind(path), false),
        )
    });
    of_artifacts.chain(of_commits).collect()
}

async fn report(call: WriteCall, kind: &'static Kind, is_of_artifact: bool) -> Answer {
    let (app, id) = (&call.parts.app, &call.organization.id);
    let flow = if is_of_artifact {
        let flow = super::flow_name(call.parts.param("flow_name"))?;
        flow.as_str().to_owned()
    } else {
        String::new()
    };
    let read = |data: &bytes::Bytes| {
        Ok(if is_of_artifact {
            kind.read_artifact_evidence(data)?
        } else {
            kind.read_commit_evidence(data)?
        })
    };
    let headers = &call.parts.headers;
    let ((about, attestation), file) =
        multipart::receive(app, headers, call.upload, id, PARTS, read).await?;
    let places = app
        .places_of_evidence(&call.organization, &flow, &about)
        .await?;
    let attachment = attached(app, id, file).await?;
    let attest = told::attestation("", "", attestation, None, attachment)?;
    app.attest_in(&call.caller, &call.organization, &attest, places)
        .await?;
    Ok(answer::ok(StatusCode::CREATED))
}
