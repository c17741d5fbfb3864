//! The one list of endpoints. Routes, rights, the OpenAPI document and the generated test of who
//! may call what all come from it.
//!
//! An endpoint is made by `public`, `read` or `write`: each takes the right its handler needs, and
//! a handler's argument type fits only its own constructor, so that a handler without a stated
//! right does not compile into the list.

use axum::Router;
use axum::extract::{Request, State as Extracted};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use runstone_api::path::{API, LOG};
use runstone_model::role::Right;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::decompression::RequestDecompressionLayer;

use super::answer::{self, Answer};
use super::call::{
    BodyBound, PublicCall, ReadCall, WriteCall, serve_public, serve_read, serve_write,
};
use super::openapi::Docs;
use super::{edge, log, service, v2};
use crate::app::App;
use crate::app::access::Naming;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Anyone.
    Public,
    /// Who has this right in the organization; anyone, if the right is to read and the
    /// organization is public.
    Organization(Right),
}

/// An endpoint as tests and documents see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// Method; HEAD is answered wherever GET is.
    pub method: Method,
    /// Whole path with `{parameters}`.
    pub path: String,
    /// Who may call it.
    pub access: Access,
}

/// An endpoint.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) access: Access,
    /// None: not part of the documented API.
    pub(crate) docs: Option<Docs>,
    /// None: another endpoint, whose path takes in this one, serves it.
    route: Option<MethodRouter<App>>,
}

impl Endpoint {
    /// This endpoint as another one serves it: one whose path takes in this path, which the router
    /// cannot tell apart from it.
    pub(crate) fn served_by_another(self) -> Self {
        Self {
            route: None,
            ..self
        }
    }
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("endpoints have common methods")
}

fn respond(answer: Answer) -> axum::response::Response {
    answer.unwrap_or_else(|error| answer::error(&error))
}

/// An endpoint that anyone may call.
pub(crate) fn public<H, F>(
    path: impl Into<String>,
    docs: impl Into<Option<Docs>>,
    handler: H,
) -> Endpoint
where
    H: Fn(PublicCall) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Endpoint {
        method: Method::GET,
        path: path.into(),
        access: Access::Public,
        docs: docs.into(),
        route: Some(on(
            MethodFilter::GET,
            move |Extracted(app): Extracted<App>, request: Request| async move {
                respond(serve_public(app, request, handler).await)
            },
        )),
    }
}

/// An endpoint that reads what belongs to the organization `{org}`.
pub(crate) fn read<H, F>(
    right: Right,
    path: impl Into<String>,
    docs: impl Into<Option<Docs>>,
    handler: H,
) -> Endpoint
where
    H: Fn(ReadCall) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    read_by(Naming::Name, right, path, docs, handler)
}

/// The same, where `{org}` may also be the organization's id.
pub(crate) fn read_by<H, F>(
    naming: Naming,
    right: Right,
    path: impl Into<String>,
    docs: impl Into<Option<Docs>>,
    handler: H,
) -> Endpoint
where
    H: Fn(ReadCall) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Endpoint {
        method: Method::GET,
        path: path.into(),
        access: Access::Organization(right),
        docs: docs.into(),
        route: Some(on(
            MethodFilter::GET,
            move |Extracted(app): Extracted<App>, request: Request| async move {
                respond(serve_read(app, request, (naming, right), handler).await)
            },
        )),
    }
}

/// An endpoint that changes what belongs to the organization `{org}`.
pub(crate) fn write<H, F>(
    method: Method,
    right: Right,
    bound: BodyBound,
    path: impl Into<String>,
    docs: impl Into<Option<Docs>>,
    handler: H,
) -> Endpoint
where
    H: Fn(WriteCall) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Endpoint {
        route: Some(on(
            filter(&method),
            move |Extracted(app): Extracted<App>, request: Request| async move {
                respond(serve_write(app, request, (right, bound), handler).await)
            },
        )),
        method,
        path: path.into(),
        access: Access::Organization(right),
        docs: docs.into(),
    }
}

/// Every endpoint.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = service::endpoints();
    endpoints.extend(v2::endpoints());
    endpoints.extend(log::endpoints());
    endpoints
}

/// Every endpoint, for generated tests and documents.
pub fn routes() -> Vec<RouteInfo> {
    endpoints()
        .into_iter()
        .map(|endpoint| RouteInfo {
            method: endpoint.method,
            path: endpoint.path,
            access: endpoint.access,
        })
        .collect()
}

/// A path of the API.
pub(crate) fn api(path: &str) -> String {
    format!("{API}{path}")
}

/// A path of the logs.
pub(crate) fn logs(path: &str) -> String {
    format!("{LOG}{path}")
}

/// The router with everything around it but [`edge::normalize`], which runs before routing.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        if let Some(route) = endpoint.route {
            router = router.route(&endpoint.path, route);
        }
    }
    let compress = SizeAbove::new(answer::COMPRESSED_BYTES_MIN as u64)
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("application/gzip"));
    router
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(RequestDecompressionLayer::new())
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(compress),
        )
        .layer(axum::middleware::from_fn_with_state(
            std::sync::Arc::clone(&app),
            edge::edge,
        ))
        .with_state(app)
}
