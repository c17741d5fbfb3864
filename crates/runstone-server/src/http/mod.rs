//! HTTP: requests become use cases, answers become the wire's shapes.
//!
//! Owns routes, credentials, bodies and headers. It changes nothing except through `app`.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod claim;
pub(crate) mod download;
pub(crate) mod edge;
pub(crate) mod log;
pub(crate) mod multipart;
pub(crate) mod openapi;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod v2;
