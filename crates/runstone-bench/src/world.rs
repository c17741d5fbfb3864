//! Stores under measurement, and the few commands that fill them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use runstone_model::command::{
    Action, Caller, Command, NewKey, PatchEnvironment, PutEnvironment, RecordReport,
};
use runstone_model::fact::{EnvironmentNo, OrganizationKind, OrganizationNo};
use runstone_model::id::encode_hex;
use runstone_model::name::EnvironmentKind;
use runstone_model::report::Report;
use runstone_model::role::Role;
use runstone_store::{Done, Engine, Options, Store, SystemRandom};

use crate::clock::MachineClock;

/// Name of the one organization.
pub const ORGANIZATION: &str = "bench";
/// Key of its one administrator.
pub const KEY: &str = "bench-key";

/// A store.
pub struct World {
    /// The store.
    pub store: Store,
    /// Where it is.
    pub engine: Engine,
    /// The one organization.
    pub organization: OrganizationNo,
}

impl World {
    /// Opens a store in a folder and makes the organization unless it is there.
    pub async fn open(folder: &Path) -> anyhow::Result<Self> {
        Self::with(
            Engine::Sqlite {
                directory: folder.to_owned(),
            },
            folder,
        )
        .await
    }

    /// Opens a new database on a PostgreSQL server; keys and large bodies are in the folder.
    pub async fn on_postgres(server: &str, folder: &Path) -> anyhow::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "bench_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        on_server(server, &format!("CREATE DATABASE {name}")).await?;
        let (base, query) = server.split_once('?').unwrap_or((server, ""));
        let at = base
            .rfind('/')
            .context("the address of PostgreSQL names a database")?;
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let url = format!("{}/{name}{query}", &base[..at]);
        Self::with(Engine::Postgres { url }, folder).await
    }

    async fn with(engine: Engine, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = Store::open(options(engine.clone(), folder)).await?;
        let mut world = Self {
            store,
            engine,
            organization: OrganizationNo(0),
        };
        if world.find().await?.is_none() {
            let mut id = [0; 8];
            world.store.fill_random(&mut id);
            world
                .system(
                    "",
                    Action::PutOrganization {
                        id: encode_hex(&id),
                        name: ORGANIZATION.to_owned(),
                        kind: OrganizationKind::Shared,
                        public: false,
                        description: String::new(),
                    },
                )
                .await?;
            let user = "bench-user".to_owned();
            world
                .system(
                    "",
                    Action::PutUser {
                        name: user.clone(),
                        email: String::new(),
                    },
                )
                .await?;
            world
                .system(
                    ORGANIZATION,
                    Action::PutRole {
                        user: user.clone(),
                        role: Role::Admin,
                    },
                )
                .await?;
            let key = NewKey {
                id: "bench-key-1".to_owned(),
                verifier: world.store.verifier(KEY),
                description: String::new(),
                expires_at: None,
            };
            world.system("", Action::PutUserKey { user, key }).await?;
        }
        world.organization = world
            .find()
            .await?
            .context("the organization was just made")?;
        Ok(world)
    }

    async fn find(&self) -> anyhow::Result<Option<OrganizationNo>> {
        let mut read = self.store.read().await?;
        Ok(read
            .organization_named(ORGANIZATION)
            .await?
            .map(|organization| organization.no))
    }

    async fn system(&self, organization: &str, action: Action) -> anyhow::Result<Done> {
        Ok(self
            .store
            .submit(command(&self.store, organization, action))
            .await?)
    }

    /// Has an action of the organization stored.
    pub async fn submit(&self, action: Action) -> anyhow::Result<Done> {
        self.system(ORGANIZATION, action).await
    }

    /// Makes an environment.
    pub async fn environment(&self, name: &str, kind: EnvironmentKind) -> anyhow::Result<()> {
        self.submit(Action::PutEnvironment(PutEnvironment {
            name: name.to_owned(),
            kind,
            description: String::new(),
            include_scaling: Some(false),
            require_provenance: None,
            included_environments: None,
            policies: None,
        }))
        .await?;
        Ok(())
    }

    /// Number of an environment.
    pub async fn number(&self, name: &str) -> anyhow::Result<EnvironmentNo> {
        let mut read = self.store.read().await?;
        Ok(read
            .environment_named(self.organization, name)
            .await?
            .context("the environment was made")?
            .no)
    }

    /// Size of the organization's log.
    pub async fn log_size(&self) -> anyhow::Result<u64> {
        let mut read = self.store.read().await?;
        Ok(read
            .log(self.organization, None)
            .await?
            .context("the organization has a log")?
            .size)
    }

    /// Closes the store, and drops its database if a PostgreSQL server has it.
    pub async fn end(self, server: Option<&str>) -> anyhow::Result<()> {
        self.store.close().await;
        drop(self.store);
        if let (Engine::Postgres { url }, Some(server)) = (&self.engine, server) {
            let name = url
                .rsplit('/')
                .next()
                .and_then(|last| last.split('?').next())
                .context("the database has a name")?;
            on_server(server, &format!("DROP DATABASE IF EXISTS {name} (FORCE)")).await?;
        }
        Ok(())
    }
}

/// How a store is opened: with the machine's clock; keys and large bodies are in the folder.
pub fn options(engine: Engine, folder: &Path) -> Options {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    Options {
        engine,
        blobs: Some(path("blobs").display().to_string()),
        blob_options: Vec::new(),
        key_file: Some(path("keys")),
        create_key_file: true,
        host: "bench.example".to_owned(),
        guard: None,
        clock: Arc::new(MachineClock),
        random: Arc::new(SystemRandom),
    }
}

/// A command of Runstone itself.
pub fn command(store: &Store, organization: &str, action: Action) -> Command {
    Command {
        caller: Caller::System("bench"),
        organization: organization.to_owned(),
        action,
        salt: store.salt(),
    }
}

/// A report.
pub fn report(environment: &str, kind: EnvironmentKind, report: Report) -> Action {
    Action::RecordReport(RecordReport {
        environment: environment.to_owned(),
        kind,
        report: Arc::new(report),
        claim: None,
        unshared: None,
    })
}

/// A change of one setting: the smallest command that makes an entry.
pub fn patch(environment: &str, include_scaling: bool) -> Action {
    Action::PatchEnvironment(PatchEnvironment {
        environment: environment.to_owned(),
        include_scaling: Some(include_scaling),
        ..PatchEnvironment::default()
    })
}

async fn on_server(server: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    drop(client);
    driver.await??;
    Ok(())
}
