//! The victim of the crash tests: writes without pause and prints a line for each report that was
//! acknowledged, until it is killed. Or it rebuilds, slowly, and prints a line for each step.
//!
//! Arguments: `sqlite DIRECTORY SEED` or `postgres URL DIRECTORY SEED`; `rebuild` before them.
#![expect(clippy::unwrap_used, reason = "a test program")]

use std::io::Write as _;
use std::sync::Arc;

use runstone_model::command::{Action, Caller, Command, PutEnvironment, RecordReport, Reply};
use runstone_model::fact::OrganizationKind;
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_store::{Clock, Engine, Options, Store, SystemRandom, Wanted};

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Micros {
        #[expect(clippy::disallowed_methods, reason = "the victim runs in real time")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        Micros(since.as_micros() as i64)
    }
}

fn command(store: &Store, organization: &str, action: Action) -> Command {
    Command {
        caller: Caller::System("provision"),
        organization: organization.to_owned(),
        action,
        salt: store.salt(),
    }
}

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let rebuilds = arguments[0] == "rebuild";
    if rebuilds {
        arguments.remove(0);
    }
    let (engine, folder, seed) = match arguments[0].as_str() {
        "sqlite" => (
            Engine::Sqlite {
                directory: arguments[1].clone().into(),
            },
            arguments[1].clone(),
            &arguments[2],
        ),
        _ => (
            Engine::Postgres {
                url: arguments[1].clone(),
            },
            arguments[2].clone(),
            &arguments[3],
        ),
    };
    let seed: u64 = seed.parse().unwrap();
    let options = Options {
        engine,
        blobs: Some(format!("{folder}/blobs")),
        blob_options: Vec::new(),
        key_file: Some(format!("{folder}/keys").into()),
        create_key_file: true,
        host: "runstone.test".to_owned(),
        guard: None,
        clock: Arc::new(Wall),
        random: Arc::new(SystemRandom),
    };
    if rebuilds {
        runstone_store::rebuild(&options, &mut |progress| {
            let line = format!("{} {}\n", progress.what, progress.done);
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
        })
        .await
        .unwrap();
        return;
    }
    let store = Store::open(options).await.unwrap();
    store
        .submit(command(
            &store,
            "",
            Action::PutOrganization {
                id: format!("{seed:016x}"),
                name: "acme".to_owned(),
                kind: OrganizationKind::Shared,
                public: false,
                description: String::new(),
            },
        ))
        .await
        .unwrap();
    let mut workers = Vec::new();
    for worker in 0..4u64 {
        let store = store.clone();
        workers.push(tokio::spawn(async move {
            let environment = format!("env-{worker}");
            store
                .submit(command(
                    &store,
                    "acme",
                    Action::PutEnvironment(PutEnvironment {
                        name: environment.clone(),
                        kind: EnvironmentKind::Server,
                        description: String::new(),
                        include_scaling: Some(worker % 2 == 0),
                        require_provenance: None,
                        included_environments: None,
                        policies: None,
                    }),
                ))
                .await
                .unwrap();
            for round in 0u64.. {
                // The round stands in the fingerprint, so that the reader can tell them apart.
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&round.to_be_bytes());
                bytes[8..16].copy_from_slice(&seed.to_be_bytes());
                let mut artifacts = vec![Observed {
                    name: "changing".to_owned(),
                    fingerprint: Some(Fingerprint(bytes)),
                    detail: Detail::from_canonical(format!("{{\"t\":[{round}]}}").into_bytes()),
                }];
                if round % 7 == 3 {
                    artifacts.push(Observed {
                        name: "x".repeat(200),
                        fingerprint: Some(Fingerprint([0xff; 32])),
                        detail: Detail::from_canonical(&b"{\"t\":[1,2,3]}"[..]),
                    });
                }
                let done = store
                    .submit(command(
                        &store,
                        "acme",
                        Action::RecordReport(RecordReport {
                            environment: environment.clone(),
                            kind: EnvironmentKind::Server,
                            report: Arc::new(Report { artifacts }),
                            claim: None,
                            unshared: None,
                        }),
                    ))
                    .await
                    .unwrap();
                let Reply::Snapshot(no) = done.reply else {
                    panic!("each report differs: {done:?}");
                };
                let head = if round % 16 == 0 {
                    let mut read = store.read().await.unwrap();
                    let organization = done.entries[0].0;
                    let head = read.log(organization, None).await.unwrap().unwrap();
                    let root = head.note.lines().nth(2).unwrap_or_default();
                    format!(" {} {root}", head.size)
                } else {
                    String::new()
                };
                // One write per line: a killed process prints whole lines or none.
                let line = format!("ack {environment} {no} {round}{head}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        }));
    }
    workers.push(tokio::spawn(erase_for_ever(store)));
    for worker in workers {
        worker.await.unwrap();
    }
}

/// Writes texts, some too large for the database, and erases them.
async fn erase_for_ever(store: Store) {
    for round in 0u64.. {
        // Random digits do not become small.
        let mut noise = vec![0; if round % 2 == 0 { 100_000 } else { 100 }];
        store.fill_random(&mut noise);
        store
            .submit(command(
                &store,
                "acme",
                Action::PutEnvironment(PutEnvironment {
                    name: "told".to_owned(),
                    kind: EnvironmentKind::Server,
                    description: runstone_model::id::encode_hex(&noise),
                    include_scaling: None,
                    require_provenance: None,
                    included_environments: None,
                    policies: None,
                }),
            ))
            .await
            .unwrap();
        let told = Wanted::Environment("told".to_owned());
        let done = store.erase("acme", &told, "asked for").await.unwrap();
        assert_eq!(done.bodies.len(), 1);
    }
}
