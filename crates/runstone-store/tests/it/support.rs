//! A store of either engine with a settable clock and repeatable randomness.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rand::{RngCore as _, SeedableRng as _};
use runstone_model::command::{Action, Caller, Command, PutEnvironment, RecordReport};
use runstone_model::fact::{OrganizationKind, OrganizationNo};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_store::{Clock, Done, Engine, Options, Random, Store, SubmitError};

/// A clock that stands until it is moved.
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub fn at(micros: i64) -> Self {
        Self(AtomicI64::new(micros))
    }

    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

/// Random bytes that repeat.
pub struct Seeded(Mutex<rand::rngs::StdRng>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap().fill_bytes(bytes);
    }
}

/// A store, its clock and what must live as long.
pub struct Bench {
    pub store: Store,
    pub clock: Arc<TestClock>,
    pub folder: Arc<tempfile::TempDir>,
    pub engine: Engine,
}

/// Address of a PostgreSQL server for tests, if there is one.
pub fn postgres_url() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told of real services this way"
    )]
    std::env::var("RUNSTONE_TEST_POSTGRES_URL").ok()
}

/// A new database on the test server and its address.
pub async fn new_database(url: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "store_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    );
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let at = base.rfind('/').unwrap();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{}/{name}{query}", &base[..at])
}

pub async fn open(engine: Engine, folder: Arc<tempfile::TempDir>, seed: u64) -> Bench {
    let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000_000)));
    let store = Store::open(options(&engine, &folder, clock.clone(), seed))
        .await
        .unwrap();
    Bench {
        store,
        clock,
        folder,
        engine,
    }
}

pub fn options(
    engine: &Engine,
    folder: &tempfile::TempDir,
    clock: Arc<dyn Clock>,
    seed: u64,
) -> Options {
    Options {
        engine: engine.clone(),
        blobs: Some(folder.path().join("blobs").display().to_string()),
        blob_options: Vec::new(),
        key_file: Some(folder.path().join("keys")),
        create_key_file: true,
        host: "runstone.test".to_owned(),
        guard: None,
        clock,
        random: Arc::new(Seeded(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed)))),
    }
}

/// The engines to test: SQLite always, PostgreSQL where there is one.
pub async fn benches(seed: u64) -> Vec<Bench> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let directory = folder.path().join("data");
    let mut benches = vec![open(Engine::Sqlite { directory }, folder, seed).await];
    if let Some(url) = postgres_url() {
        let url = new_database(&url).await;
        let folder = Arc::new(tempfile::tempdir().unwrap());
        benches.push(open(Engine::Postgres { url }, folder, seed).await);
    }
    benches
}

impl Bench {
    pub async fn system(&self, organization: &str, action: Action) -> Result<Done, SubmitError> {
        self.store
            .submit(Command {
                caller: Caller::System("provision"),
                organization: organization.to_owned(),
                action,
                salt: self.store.salt(),
            })
            .await
    }

    pub async fn organization(&self, name: &str) -> OrganizationNo {
        let mut id = [0; 8];
        self.store.fill_random(&mut id);
        self.system(
            "",
            Action::PutOrganization {
                id: runstone_model::id::encode_hex(&id),
                name: name.to_owned(),
                kind: OrganizationKind::Shared,
                public: false,
                description: String::new(),
            },
        )
        .await
        .unwrap();
        let mut read = self.store.read().await.unwrap();
        read.organization_named(name).await.unwrap().unwrap().no
    }

    pub async fn environment(&self, organization: &str, name: &str, scaling: bool) {
        self.put(organization, name, EnvironmentKind::Server, scaling, None)
            .await;
    }

    pub async fn put(
        &self,
        organization: &str,
        name: &str,
        kind: EnvironmentKind,
        scaling: bool,
        members: Option<Vec<String>>,
    ) {
        self.system(
            organization,
            Action::PutEnvironment(PutEnvironment {
                name: name.to_owned(),
                kind,
                description: format!("the environment {name}"),
                include_scaling: Some(scaling),
                require_provenance: None,
                included_environments: members,
                policies: None,
            }),
        )
        .await
        .unwrap();
    }

    pub async fn report(
        &self,
        organization: &str,
        environment: &str,
        artifacts: &[(&str, u8, &[i64])],
    ) -> Done {
        self.system(organization, report(environment, artifacts))
            .await
            .unwrap()
    }
}

/// A report of (name, fingerprint byte, start times).
pub fn report(environment: &str, artifacts: &[(&str, u8, &[i64])]) -> Action {
    let mut artifacts: Vec<Observed> = artifacts
        .iter()
        .map(|(name, byte, times)| Observed {
            name: (*name).to_owned(),
            fingerprint: Some(Fingerprint([*byte; 32])),
            detail: Detail::from_canonical(
                format!(
                    "{{\"t\":[{}]}}",
                    times
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(",")
                )
                .into_bytes(),
            ),
        })
        .collect();
    artifacts.sort_by(|a, b| (a.fingerprint, &a.name).cmp(&(b.fingerprint, &b.name)));
    Action::RecordReport(RecordReport {
        environment: environment.to_owned(),
        kind: EnvironmentKind::Server,
        report: Arc::new(Report { artifacts }),
        claim: None,
        unshared: None,
    })
}
