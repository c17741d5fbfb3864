//! Custom types of attestation: making them, and judging data by them.
//!
//! What users wrote is compiled and run on threads that may block, not more at once than the
//! machine has room for; how long it may take is the model's business. Compiled versions are kept:
//! a version never changes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use runstone_model::command::{Action, Caller, Refusal, TypeAction};
use runstone_model::custom_type::{CompiledType, CreateType, Evaluation, TypeVersion, create_type};
use runstone_model::fact::{Organization, OrganizationNo, TypeNo};
use runstone_model::name::TypeName;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::State;
use super::error::AppError;

/// So many compiled versions are kept.
const COMPILED_MAX: usize = 256;
/// So many are compiled or judge at once at least.
const AT_ONCE_MIN: usize = 2;

/// A version, whatever its name.
type Key = (OrganizationNo, TypeNo, u32);

/// What judges.
pub(crate) struct Judges {
    slots: Semaphore,
    compiled: Mutex<Compiled>,
}

#[derive(Default)]
struct Compiled {
    types: HashMap<Key, Arc<CompiledType>>,
    order: VecDeque<Key>,
}

/// What the newest version of a type made of data.
pub(crate) struct Judgement {
    /// Which version.
    pub(crate) version: u32,
    /// What it found.
    pub(crate) evaluation: Evaluation,
}

impl Judges {
    pub(crate) fn new() -> Self {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            slots: Semaphore::new(at_once.max(AT_ONCE_MIN)),
            compiled: Mutex::default(),
        }
    }

    /// Runs what may take long on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|_| AppError::Internal("the judges are closed".to_owned()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| AppError::Internal(format!("a judgement was stopped: {error}")))
    }

    fn known(&self, key: Key) -> Option<Arc<CompiledType>> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.types.get(&key).cloned()
    }

    fn keep(&self, key: Key, version: &Arc<CompiledType>) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.types.insert(key, Arc::clone(version)).is_none() {
            compiled.order.push_back(key);
        }
        while compiled.order.len() > COMPILED_MAX {
            if let Some(oldest) = compiled.order.pop_front() {
                compiled.types.remove(&oldest);
            }
        }
    }
}

impl State {
    /// Reads a type that is to be made, and compiles it.
    pub(crate) async fn read_type(
        &self,
        data: Bytes,
        schema: Option<Bytes>,
    ) -> Result<CreateType, AppError> {
        let read = self
            .judges
            .run(move || create_type(&data, schema.as_deref()))
            .await?;
        Ok(read?)
    }

    /// Makes a type or a new version of one (`api-flows.md` section 11.1).
    pub(crate) async fn put_type(
        &self,
        caller: Caller,
        organization: &Organization,
        made: CreateType,
    ) -> Result<(), AppError> {
        let definition = Value::Object(made.version.to_json()).to_string();
        let action = Action::Type(TypeAction::Put {
            name: made.name.as_str().to_owned(),
            description: made.description,
            comment: made.comment,
            definition: definition.into(),
        });
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Hides a type (section 11.4).
    pub(crate) async fn archive_type(
        &self,
        caller: Caller,
        organization: &Organization,
        name: &str,
    ) -> Result<(), AppError> {
        let action = Action::Type(TypeAction::Archive {
            name: name.to_owned(),
        });
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// What the newest version of a type makes of data that came now.
    pub(crate) async fn judge(
        &self,
        organization: &Organization,
        name: &TypeName,
        data: &Value,
    ) -> Result<Judgement, AppError> {
        let mut read = self.read().await?;
        let known = read
            .custom_type_named(organization.no, name.as_str())
            .await?
            .filter(|known| known.archived_at.is_none())
            .ok_or_else(|| Refusal::TypeMissing {
                name: name.as_str().to_owned(),
                organization: organization.name.clone(),
            })?;
        let version = known.versions;
        let key = (organization.no, known.no, version);
        let compiled = match self.judges.known(key) {
            Some(compiled) => compiled,
            None => {
                let missing = || AppError::Internal(format!("version {version} of {name}"));
                let made = read
                    .type_version(organization.no, known.no, version)
                    .await?
                    .ok_or_else(missing)?;
                let definition = read
                    .definitions(organization.no, &[made.entry])
                    .await?
                    .remove(&made.entry)
                    .ok_or_else(missing)?;
                let compiled = self.judges.run(move || compile(&definition)).await??;
                self.judges.keep(key, &compiled);
                compiled
            }
        };
        // A slow judgement must not hold a transaction open.
        drop(read);
        let (data, now) = (data.clone(), self.now());
        let evaluation = self
            .judges
            .run(move || compiled.evaluate(&data, now))
            .await?;
        Ok(Judgement {
            version,
            evaluation,
        })
    }
}

/// Compiles a definition that was accepted once.
fn compile(definition: &str) -> Result<Arc<CompiledType>, AppError> {
    let damaged = |what: String| AppError::Internal(format!("a custom type: {what}"));
    let definition: Value =
        serde_json::from_str(definition).map_err(|error| damaged(error.to_string()))?;
    let members = definition
        .as_object()
        .ok_or_else(|| damaged("no object".to_owned()))?;
    CompiledType::new(&TypeVersion::from_json(members))
        .map(Arc::new)
        .map_err(|errors| damaged(errors.to_string()))
}
