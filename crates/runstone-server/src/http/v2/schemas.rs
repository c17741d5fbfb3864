//! Schemas of the files that people write, for editors, which fetch them by URL and without a key
//! (`api-flows.md` section 3.8).

use axum::http::StatusCode;
use runstone_model::template;

use crate::http::answer::{self, Answer};
use crate::http::call::PublicCall;
use crate::http::openapi::{Success, docs};
use crate::http::router::{Endpoint, api, public};

const TAG: &str = "Schemas";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![public(
        api("/schemas/flow-template/v1"),
        docs(
            "flow_template_schema_v1",
            TAG,
            "Get the JSON Schema of the flow template file",
            Success::Other("application/json"),
            &[(200, "The schema.")],
        ),
        flow_template,
    )]
}

async fn flow_template(_: PublicCall) -> Answer {
    answer::json(StatusCode::OK, &template::json_schema())
}
