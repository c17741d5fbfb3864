//! The administration socket: how admin commands reach a store that a running server owns.
//!
//! Owns `admin.sock` in the data directory (design D17) and its little protocol: HTTP over a Unix
//! socket that only the directory's owner may open. What stands behind each path is a function of
//! the store; nothing is decided here. Whoever opens the socket owns the data anyway, so that
//! there is no further credential.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use runstone_store::Store;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::provision::Plan;

/// Name of the socket in the data directory.
pub const SOCKET: &str = "admin.sock";

/// `POST /provision`: the text of a provision file, and the values of the variables it names.
#[derive(Serialize, Deserialize)]
pub struct ProvisionRequest {
    /// The file.
    pub yaml: String,
    /// Variables by name, for `key_env`.
    pub variables: BTreeMap<String, String>,
}

/// What applying a plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionAnswer {
    /// Things that were made.
    pub created: usize,
    /// Things that were changed.
    pub changed: usize,
    /// Things that were so already.
    pub unchanged: usize,
}

/// `POST /new-epoch`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewEpochRequest {
    /// Name of the organization; empty for the server's log, none for every log that needs it.
    pub organization: Option<String>,
    /// Why.
    pub reason: String,
}

/// The beginning of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochAnswer {
    /// Name of the organization.
    pub organization: String,
    /// Origin of the epoch that ended.
    pub old_origin: String,
    /// Origin of the one that began.
    pub new_origin: String,
    /// Entries that it continues.
    pub size: u64,
    /// Entries that are known to have been signed.
    pub signed_size: u64,
}

/// `POST /export`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Name of the organization; `_server` for the server's log.
    pub organization: String,
    /// Folder to write, absolute.
    pub directory: PathBuf,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportAnswer {
    /// Origin of the log.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// `POST /seal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealAnswer {
    /// Bundles that were sealed.
    pub bundles: u64,
}

/// `POST /rotate-key`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Name of the organization; empty for the server's log.
    pub organization: String,
}

/// Where the rotation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateAnswer {
    /// Index of its entry.
    pub index: Option<u64>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The reason.
    pub message: String,
}

impl From<crate::provision::Applied> for ProvisionAnswer {
    fn from(applied: crate::provision::Applied) -> Self {
        Self {
            created: applied.created,
            changed: applied.changed,
            unchanged: applied.unchanged,
        }
    }
}

impl From<runstone_store::EpochBegun> for EpochAnswer {
    fn from(begun: runstone_store::EpochBegun) -> Self {
        Self {
            organization: begun.organization,
            old_origin: begun.old_origin,
            new_origin: begun.new_origin,
            size: begun.size,
            signed_size: begun.signed_size,
        }
    }
}

impl From<runstone_store::Done> for RotateAnswer {
    fn from(done: runstone_store::Done) -> Self {
        Self {
            index: done.entries.first().map(|(_, index)| *index),
        }
    }
}

impl From<runstone_store::Exported> for ExportAnswer {
    fn from(exported: runstone_store::Exported) -> Self {
        Self {
            origin: exported.origin,
            size: exported.size,
            files: exported.files,
            bytes: exported.bytes,
        }
    }
}

/// The listening socket; it goes when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens on the socket of `directory`, which this process owns.
pub fn listen(directory: &Path, store: Store) -> io::Result<AdminSocket> {
    let path = directory.join(SOCKET);
    // The socket is made where nobody else can reach it and moved to its place with its final
    // mode; that replaces what a killed process left, too.
    let making = directory.join(format!(".{SOCKET}.new"));
    let _ = std::fs::remove_dir_all(&making);
    std::fs::DirBuilder::new().mode(0o700).create(&making)?;
    let made = bind(&making.join("s"), &path);
    let _ = std::fs::remove_dir_all(&making);
    let listener = made?;
    let router = router(store);
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!("the administration socket ended: {error}");
        }
    });
    Ok(AdminSocket { path, serving })
}

fn bind(at: &Path, path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(at)?;
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(at, path)?;
    Ok(listener)
}

fn router(store: Store) -> Router {
    Router::new()
        .route("/provision", post(provision))
        .route("/new-epoch", post(new_epoch))
        .route("/export", post(export))
        .route("/rotate-key", post(rotate_key))
        .route("/seal", post(seal))
        .with_state(store)
}

fn answer<A: Serialize, E: std::fmt::Display>(result: Result<A, E>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            let message = error.to_string();
            (StatusCode::BAD_REQUEST, Json(Refused { message })).into_response()
        }
    }
}

async fn provision(State(store): State<Store>, Json(asked): Json<ProvisionRequest>) -> Response {
    let plan = match Plan::parse(&asked.yaml, |name| asked.variables.get(name).cloned()) {
        Ok(plan) => plan,
        Err(error) => return answer::<ProvisionAnswer, _>(Err(error)),
    };
    answer(plan.apply(&store).await.map(ProvisionAnswer::from))
}

async fn new_epoch(State(store): State<Store>, Json(asked): Json<NewEpochRequest>) -> Response {
    let begun = store
        .new_epoch(asked.organization.as_deref(), &asked.reason)
        .await;
    answer(begun.map(|all| all.into_iter().map(EpochAnswer::from).collect::<Vec<_>>()))
}

async fn export(State(store): State<Store>, Json(asked): Json<ExportRequest>) -> Response {
    let exported = store.export(&asked.organization, &asked.directory).await;
    answer(exported.map(ExportAnswer::from))
}

async fn rotate_key(State(store): State<Store>, Json(asked): Json<RotateRequest>) -> Response {
    let done = store.rotate_key(&asked.organization).await;
    answer(done.map(RotateAnswer::from))
}

async fn seal(State(store): State<Store>) -> Response {
    answer(store.seal_all().await.map(|bundles| SealAnswer { bundles }))
}
