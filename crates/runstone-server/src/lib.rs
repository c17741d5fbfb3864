//! The server: use cases, HTTP and jobs.
//!
//! `app` decides what a caller may do and hands commands to the store; `http` turns requests
//! into use cases and answers into the wire's shapes; `audit` gives what leaves as evidence its form;
//! `jobs` do what no request asks for. No SQL,
//! no environment variables and no command line live here.

pub mod admin_socket;
mod app;
mod audit;
mod config;
mod http;
mod jobs;
pub mod keys;
pub mod provision;
mod serve;
#[cfg(feature = "testing")]
pub mod testing;

pub use config::Config;
pub use http::router::{Access, RouteInfo, routes};
pub use serve::{ServeError, Server, serve};

/// The OpenAPI 3.1 document of the API as JSON; `origin` is where it is served.
pub fn openapi_json(origin: &str) -> String {
    http::openapi::document_json(origin)
}
