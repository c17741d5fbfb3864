//! Tags (`api-environments.md` section 15.1). Controls are known, but none exists yet.

use axum::http::{Method, StatusCode};
use runstone_api::tag::{PatchTags, RESOURCE_TYPES};
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
    let org = &call.organization.name;
    let missing = match call.parts.param("resource_type") {
        // Wrapped in quotes as clients expect it.
        "control" | "controls" => Some(format!(
            "\"Control '{id}' does not exist in organization '{org}'\""
        )),
        "env" | "environment" | "environments" | "flow" | "flows" | "repo" | "repos" => None,
        _ => {
            return Err(AppError::bad(format!(
                "Valid resource types are: {}.",
                RESOURCE_TYPES.join(", ")
            )));
        }
    };
    let tags = read::patch_tags(&call.body)?;
    if let Some(message) = missing {
        return Err(AppError::missing(message));
    }
    let app = &call.parts.app;
    match call.parts.param("resource_type") {
        "flow" | "flows" => {
            app.tag_flow(call.caller, &call.organization, id, tags)
                .await?;
        }
        "repo" | "repos" => {
            app.tag_repo(call.caller, &call.organization, id, tags)
                .await?;
        }
        _ => {
            app.tag_environment(call.caller, &call.organization, id, tags)
                .await?;
        }
    }
    Ok(answer::ok(StatusCode::OK))
}
