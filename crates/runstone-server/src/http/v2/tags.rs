//! Tags (`api-environments.md` section 15.1).

use axum::http::{Method, StatusCode};
use runstone_api::tag::{PatchTags, RESOURCE_TYPES};
use runstone_model::command::Refusal;
use runstone_model::read;
use runstone_model::role::Right;

use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, WriteCall};
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, write};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![write(
        Method::PATCH,
        Right::Tag,
        BodyBound::Other,
        api("/tags/{org}/{resource_type}/{resource_id}"),
        docs(
            "patch_tags",
            "Tags",
            "Set and remove tags",
            Success::Ok,
            &[
                (200, "The tags are as asked."),
                (400, "The request is not valid."),
                (404, "There is no such resource."),
            ],
        )
        .body(shape::<PatchTags>()),
        patch,
    )]
}

async fn patch(call: WriteCall) -> Answer {
    let id = call.parts.param("resource_id");
    let kind = call.parts.param("resource_type");
    if !RESOURCE_TYPES.contains(&kind) {
        return Err(AppError::bad(format!(
            "Valid resource types are: {}.",
            RESOURCE_TYPES.join(", ")
        )));
    }
    let tags = read::patch_tags(&call.body)?;
    let app = &call.parts.app;
    match kind {
        "flow" | "flows" => {
            app.tag_flow(call.caller, &call.organization, id, tags)
                .await?;
        }
        "repo" | "repos" => {
            app.tag_repo(call.caller, &call.organization, id, tags)
                .await?;
        }
        "control" | "controls" => {
            app.tag_control(call.caller, &call.organization, id, tags)
                .await
                .map_err(|error| match error {
                    // Wrapped in quotes as clients expect it.
                    AppError::Refused(refusal @ Refusal::ControlMissing { .. }) => {
                        AppError::missing(format!("\"{refusal}\""))
                    }
                    error => error,
                })?;
        }
        _ => {
            app.tag_environment(call.caller, &call.organization, id, tags)
                .await?;
        }
    }
    Ok(answer::ok(StatusCode::OK))
}
