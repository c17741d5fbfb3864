//! What everyone may ask of the server itself: whether it works, what it is, how it does.

use axum::http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::answer::{self, Answer, JSON, TEXT};
use super::call::PublicCall;
use super::openapi;
use super::router::{Endpoint, api, public};
use crate::app::error::AppError;
use crate::app::metrics::{CACHE_BYTES, LANE_BYTES};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        public("/ready", None, ready),
        public("/live", None, live),
        public("/metrics", None, metrics),
        public("/version", None, version),
        public(api("/openapi.json"), None, document),
        public(api("/doc"), None, page),
    ]
}

async fn ready(call: PublicCall) -> Answer {
    match call.parts.app.store.ready().await {
        Ok(()) => Ok(answer::body(StatusCode::OK, TEXT, "OK")),
        Err(reason) => Err(AppError::Unavailable {
            reason,
            retry_after_seconds: 1,
        }),
    }
}

async fn live(_: PublicCall) -> Answer {
    Ok(answer::body(StatusCode::OK, TEXT, "OK"))
}

async fn metrics(call: PublicCall) -> Answer {
    let app = &call.parts.app;
    let text = app.metrics.render(
        &app.store.metrics(),
        &[
            (CACHE_BYTES, app.snapshots.bytes() as f64),
            (LANE_BYTES, app.lanes.bytes() as f64),
        ],
    );
    const PROMETHEUS: HeaderValue =
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(answer::body(StatusCode::OK, PROMETHEUS, text))
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
    commit: &'static str,
    api: &'static str,
}

async fn version(_: PublicCall) -> Answer {
    answer::json(
        StatusCode::OK,
        &Version {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("RUNSTONE_COMMIT").unwrap_or(""),
            api: "2.0",
        },
    )
}

async fn document(call: PublicCall) -> Answer {
    let document = openapi::document_json(&call.parts.origin());
    Ok(answer::body(StatusCode::OK, JSON, document))
}

async fn page(_: PublicCall) -> Answer {
    Ok(answer::body(StatusCode::OK, HTML, openapi::page()))
}
