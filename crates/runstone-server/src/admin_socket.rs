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
use runstone_model::limit::Limit;
use runstone_store::{ErasureDone, Store, Wanted};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::provision::{self, Plan};

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

/// What can be erased, named as an administrator does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseSelection {
    /// Every private body of the log; only shown, never erased by this name.
    All,
    /// Private bodies by digest, in hexadecimal digits.
    Digests(Vec<String>),
    /// The texts of an environment.
    Environment(String),
    /// A person; in the server's log.
    User(String),
    /// The texts about a service account.
    ServiceAccount(String),
}

/// `POST /erase`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EraseRequest {
    /// Name of the organization; empty for the server's log.
    pub organization: String,
    /// What is erased.
    pub selection: EraseSelection,
    /// Why.
    pub reason: String,
    /// Only say what would be.
    pub dry_run: bool,
}

/// A private body that was erased or can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedBody {
    /// Index of the entry that names it.
    pub entry: u64,
    /// Its position there.
    pub position: u32,
    /// Its digest, in hexadecimal digits.
    pub digest: String,
    /// Its bytes.
    pub bytes: u64,
    /// What the entry is about: `environment:7`.
    pub subject: String,
    /// What it holds: `description`, `name`, `email`, `tag-values`, …; `mixed` cannot be erased.
    pub field: String,
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseAnswer {
    /// The bodies.
    pub bodies: Vec<ErasedBody>,
    /// Indexes of the entries that say so; none after a dry run.
    pub entries: Vec<u64>,
    /// What is left to be done, and when it will be.
    pub pending: Vec<String>,
}

/// `POST /close-organization`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseRequest {
    /// Name of the organization.
    pub organization: String,
    /// Why.
    pub reason: String,
}

/// A closed organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseAnswer {
    /// It was closed before.
    pub was_closed: bool,
    /// Bodies that were erased now.
    pub erased: u64,
    /// Bodies that cannot be erased.
    pub kept: u64,
    /// What is left to be done, and when it will be.
    pub pending: Vec<String>,
}

/// `POST /limits`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitsRequest {
    /// Name of the organization; none for all.
    pub organization: Option<String>,
    /// Limits to set by name: a number, `unlimited` or `default`.
    pub set: BTreeMap<String, String>,
}

/// A limit of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitAnswer {
    /// The organization.
    pub organization: String,
    /// What is limited.
    pub limit: String,
    /// What holds; none = unlimited.
    pub value: Option<u64>,
    /// Whether that is the default.
    pub is_default: bool,
    /// What is used now.
    pub used: u64,
}

/// Erases, or says what would be.
pub async fn erase_in(store: &Store, asked: EraseRequest) -> Result<EraseAnswer, String> {
    let wanted = match asked.selection {
        EraseSelection::All if !asked.dry_run => {
            return Err(
                "name what to erase: a digest, an environment, a user or a service account"
                    .to_owned(),
            );
        }
        EraseSelection::All => Wanted::All,
        EraseSelection::Digests(digests) => Wanted::Digests(
            digests
                .iter()
                .map(|digest| {
                    digest
                        .parse()
                        .map_err(|_| format!("'{digest}' is not a digest: 64 hexadecimal digits"))
                })
                .collect::<Result<_, _>>()?,
        ),
        EraseSelection::Environment(name) => Wanted::Environment(name),
        EraseSelection::User(name) => Wanted::User(name),
        EraseSelection::ServiceAccount(name) => Wanted::ServiceAccount(name),
    };
    let done = if asked.dry_run {
        let bodies = store.erasable(&asked.organization, &wanted).await;
        ErasureDone {
            bodies: bodies.map_err(|error| error.to_string())?,
            ..ErasureDone::default()
        }
    } else {
        store
            .erase(&asked.organization, &wanted, &asked.reason)
            .await
            .map_err(|error| error.to_string())?
    };
    Ok(EraseAnswer {
        bodies: done
            .bodies
            .into_iter()
            .map(|body| ErasedBody {
                entry: body.entry,
                position: body.position,
                digest: body.digest.to_hex(),
                bytes: body.bytes,
                subject: body.subject,
                field: body.field,
            })
            .collect(),
        entries: done.entries,
        pending: done.pending,
    })
}

/// Sets limits and says what holds then.
pub async fn limits_in(store: &Store, asked: LimitsRequest) -> Result<Vec<LimitAnswer>, String> {
    if !asked.set.is_empty() {
        let name = asked
            .organization
            .as_deref()
            .ok_or("limits are set for one organization: name it")?;
        let changes = provision::limits(&asked.set)?;
        store
            .put_limits(name, changes)
            .await
            .map_err(|error| error.to_string())?;
    }
    let shown = store
        .limits(asked.organization.as_deref())
        .await
        .map_err(|error| error.to_string())?;
    Ok(shown
        .into_iter()
        .flat_map(|organization| {
            let name = organization.organization;
            organization
                .limits
                .into_iter()
                .map(move |limit| LimitAnswer {
                    organization: name.clone(),
                    limit: limit.what.as_str().to_owned(),
                    value: limit.limit,
                    is_default: limit.set == Limit::Default,
                    used: limit.used,
                })
        })
        .collect())
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The reason.
    pub message: String,
}

impl From<provision::Applied> for ProvisionAnswer {
    fn from(applied: provision::Applied) -> Self {
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

impl From<runstone_store::Closed> for CloseAnswer {
    fn from(closed: runstone_store::Closed) -> Self {
        Self {
            was_closed: closed.was_closed,
            erased: closed.erased.bodies.len() as u64,
            kept: closed.kept,
            pending: closed.erased.pending,
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
        .route("/provision", post(apply_plan))
        .route("/new-epoch", post(new_epoch))
        .route("/export", post(export))
        .route("/rotate-key", post(rotate_key))
        .route("/seal", post(seal))
        .route("/erase", post(erase))
        .route("/close-organization", post(close_organization))
        .route("/limits", post(limits))
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

async fn apply_plan(State(store): State<Store>, Json(asked): Json<ProvisionRequest>) -> Response {
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

async fn erase(State(store): State<Store>, Json(asked): Json<EraseRequest>) -> Response {
    answer(erase_in(&store, asked).await)
}

async fn close_organization(
    State(store): State<Store>,
    Json(asked): Json<CloseRequest>,
) -> Response {
    let closed = store
        .close_organization(&asked.organization, &asked.reason)
        .await;
    answer(closed.map(CloseAnswer::from))
}

async fn limits(State(store): State<Store>, Json(asked): Json<LimitsRequest>) -> Response {
    answer(limits_in(&store, asked).await)
}
