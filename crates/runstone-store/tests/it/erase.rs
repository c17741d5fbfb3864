//! Erasing: nothing of a text is left anywhere, everything else stays provable (D2).

use std::path::Path;

use runstone_model::command::{Action, NewKey, PatchEnvironment, PutEnvironment, Refusal};
use runstone_model::id::Digest;
use runstone_model::limit::{Limit, Limited};
use runstone_model::name::EnvironmentKind;
use runstone_model::role::Role;
use runstone_store::{Engine, Store, SubmitError, Wanted, backup, fsck, rebuild, restore};

use crate::stories::{dump, live, options_in, options_of};
use crate::support::{Bench, benches, new_database, options};

/// Stands in every text that will be erased. Of letters that no compression shortens to less.
const MARK: &str = "Zq7Vx0Kd9Wp3";

/// A text too large for the database, whatever is done to shrink it.
fn large(seed: u64) -> String {
    use rand::{Rng as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let noise: String = (0..120_000)
        .map(|_| char::from(random.random_range(b'!'..=b'~')))
        .filter(|letter| !"\"\\".contains(*letter))
        .collect();
    format!("{MARK}{noise}{MARK}")
}

async fn patch(bench: &Bench, environment: &str, description: &str) {
    bench
        .system(
            "acme",
            Action::PatchEnvironment(PatchEnvironment {
                environment: environment.to_owned(),
                description: Some(description.to_owned()),
                ..PatchEnvironment::default()
            }),
        )
        .await
        .unwrap();
}

async fn tag(bench: &Bench, environment: &str, key: &str, value: &str) {
    bench
        .system(
            "acme",
            Action::TagEnvironment {
                environment: environment.to_owned(),
                set: [(key.to_owned(), value.to_owned())].into(),
                remove: Vec::new(),
            },
        )
        .await
        .unwrap();
}

fn key(bench: &Bench, secret: &str, description: &str) -> NewKey {
    NewKey {
        id: format!("id-{secret}"),
        verifier: bench.store.verifier(secret),
        description: description.to_owned(),
        expires_at: None,
    }
}

/// Files below a folder that hold the bytes of `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                if bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
                {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

/// Number of blobs.
fn blobs(bench: &Bench) -> usize {
    let mut count = 0;
    let mut folders = vec![bench.folder.path().join("blobs")];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                count += 1;
            }
        }
    }
    count
}

/// The store holds, and a rebuild gives the tables that are there.
async fn holds(bench: &Bench) {
    let options = options_of(bench);
    let report = fsck(&options, &mut |_| {}).await.unwrap();
    assert_eq!(report.problems, [], "{:?}", bench.engine);
    let before = dump(&options).await;
    rebuild(&options, &mut |_| {}).await.unwrap();
    let after = dump(&options).await;
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "table {table}, {:?}", bench.engine);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_erased_text_is_left_and_the_store_holds() {
    for bench in benches(50).await {
        live(&bench, 50, 200).await;
        bench.environment("acme", "told", false).await;
        for round in 0..40 {
            patch(&bench, "told", &format!("{round} {MARK} {round}")).await;
            tag(
                &bench,
                "told",
                &format!("key-{}", round % 5),
                &format!("{MARK}{round}"),
            )
            .await;
            // Other things between them, so that pages are split and joined.
            bench
                .environment("acme", &format!("other-{round}"), false)
                .await;
        }
        patch(&bench, "told", &large(1)).await;
        bench.store.seal_all().await.unwrap();
        let outside = blobs(&bench);
        assert!(outside > 0);
        let is_sqlite = matches!(bench.engine, Engine::Sqlite { .. });
        assert!(
            !is_sqlite || !files_with(bench.folder.path(), MARK).is_empty(),
            "the marker can be found"
        );
        let wanted = Wanted::Environment("told".to_owned());
        let shown = bench.store.erasable("acme", &wanted).await.unwrap();
        assert!(shown.len() > 80, "{}", shown.len());
        let done = bench
            .store
            .erase("acme", &wanted, "asked for")
            .await
            .unwrap();
        assert_eq!(done.bodies, shown);
        assert_eq!(done.entries.len(), shown.len().div_ceil(32));
        assert_eq!(done.pending, [""; 0]);
        assert_eq!(blobs(&bench), outside - 1);
        assert_eq!(
            files_with(bench.folder.path(), MARK),
            [""; 0],
            "while the store is open"
        );

        let mut read = bench.store.read().await.unwrap();
        let no = read.organization_named("acme").await.unwrap().unwrap().no;
        let told = read.environment_named(no, "told").await.unwrap().unwrap();
        assert_eq!(told.description, "");
        assert_eq!(told.tags.len(), 5);
        assert!(told.tags.values().all(String::is_empty));
        for body in &shown {
            let found = read.body(no, body.entry, body.position).await.unwrap();
            assert_eq!(found, None);
        }
        drop(read);
        assert_eq!(bench.store.erasable("acme", &wanted).await.unwrap(), []);
        // It goes on living.
        patch(&bench, "told", "a harmless text").await;
        bench.store.close().await;
        holds(&bench).await;
        assert_eq!(files_with(bench.folder.path(), MARK), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_erased_while_a_backup_is_made() {
    for bench in benches(53).await {
        bench.organization("acme").await;
        bench.environment("acme", "told", false).await;
        for salt in 0..4 {
            patch(&bench, "told", &large(salt)).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        let options = options_of(&bench);
        let (store, told) = (bench.store.clone(), std::sync::Mutex::new(Vec::new()));
        let runtime = tokio::runtime::Handle::current();
        // Called while bodies outside the database are copied.
        backup(&options, &copy, true, &mut |progress| {
            if progress.what == "blobs" {
                let wanted = Wanted::Environment("told".to_owned());
                let erased = std::thread::scope(|scope| {
                    let erase = || runtime.block_on(store.erase("acme", &wanted, "asked for"));
                    scope.spawn(erase).join().unwrap()
                });
                told.lock().unwrap().push(erased.map(|_| ()));
            }
        })
        .await
        .unwrap();
        let told = told.into_inner().unwrap();
        assert!(!told.is_empty(), "no body was copied");
        for outcome in told {
            assert!(
                matches!(&outcome, Err(SubmitError::Unavailable { reason, .. })
                    if reason.contains("a backup is being made")),
                "{outcome:?}"
            );
        }
        // Others write meanwhile and after it, and now it is erased.
        let wanted = Wanted::Environment("told".to_owned());
        let done = bench
            .store
            .erase("acme", &wanted, "asked for")
            .await
            .unwrap();
        assert!(!done.bodies.is_empty());
        bench.store.close().await;
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
        // The backup is whole.
        let target = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let engine = Engine::Sqlite {
            directory: target.path().join("data"),
        };
        let options = options_in(&engine, &target);
        restore(&copy, &options, &mut |_| {}).await.unwrap();
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_dies_leaves_erasing_free() {
    for bench in benches(54).await {
        bench.organization("acme").await;
        bench.environment("acme", "told", false).await;
        patch(&bench, "told", &large(1)).await;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        let options = options_of(&bench);
        let died = tokio::spawn(async move {
            backup(&options, &copy, true, &mut |progress| {
                assert_ne!(progress.what, "blobs", "died on purpose");
            })
            .await
        });
        assert!(died.await.unwrap_err().is_panic());
        let wanted = Wanted::Environment("told".to_owned());
        let mut tries = 0;
        // PostgreSQL notices a moment later that the session is gone.
        while let Err(error) = bench.store.erase("acme", &wanted, "asked for").await {
            tries += 1;
            assert!(tries < 50, "{error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_stays_erased_in_backups_of_either_engine() {
    for bench in benches(51).await {
        live(&bench, 51, 100).await;
        bench.environment("acme", "told", false).await;
        patch(&bench, "told", &large(2)).await;
        tag(&bench, "told", "team", MARK).await;
        let wanted = Wanted::Environment("told".to_owned());
        bench
            .store
            .erase("acme", &wanted, "asked for")
            .await
            .unwrap();
        bench.store.close().await;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        backup(&options_of(&bench), &copy, true, &mut |_| {})
            .await
            .unwrap();
        assert_eq!(files_with(&copy, MARK), [""; 0]);
        let target = std::sync::Arc::new(tempfile::tempdir().unwrap());
        // Into the other engine, where there is one.
        let engine = match crate::support::postgres_url() {
            Some(url) if matches!(bench.engine, Engine::Sqlite { .. }) => Engine::Postgres {
                url: new_database(&url).await,
            },
            _ => Engine::Sqlite {
                directory: target.path().join("data"),
            },
        };
        let options = options_in(&engine, &target);
        restore(&copy, &options, &mut |_| {}).await.unwrap();
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
        let before = dump(&options).await;
        rebuild(&options, &mut |_| {}).await.unwrap();
        assert_eq!(dump(&options).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_and_their_keys_end() {
    for bench in benches(52).await {
        bench.organization("acme").await;
        bench
            .system(
                "",
                Action::PutUser {
                    name: format!("ada {MARK}"),
                    email: format!("{MARK}@example.com"),
                },
            )
            .await
            .unwrap();
        let user = format!("ada {MARK}");
        bench
            .system(
                "",
                Action::PutUserKey {
                    user: user.clone(),
                    key: key(&bench, "secret-1", &format!("laptop of {MARK}")),
                },
            )
            .await
            .unwrap();
        for email in ["one", "two"] {
            let email = format!("{email}-{MARK}@example.com");
            let name = user.clone();
            bench
                .system("", Action::PutUser { name, email })
                .await
                .unwrap();
        }
        let wanted = Wanted::User(user.clone());
        let error = bench.store.erasable("acme", &wanted).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "user: users stand in the server's log, _server"
        );
        let fields: Vec<String> = bench
            .store
            .erase("", &wanted, "left")
            .await
            .unwrap()
            .bodies
            .into_iter()
            .map(|body| body.field)
            .collect();
        assert_eq!(
            fields,
            [
                "name",
                "email",
                "verifier:id-secret-1",
                "key-description:id-secret-1",
                "email",
                "email"
            ]
        );
        assert_eq!(files_with(bench.folder.path(), MARK), [""; 0]);
        let mut read = bench.store.read().await.unwrap();
        let verifier = bench.store.verifier("secret-1");
        assert_eq!(read.key(verifier).await.unwrap(), None);
        drop(read);
        let error = bench.store.erase("", &wanted, "left").await.unwrap_err();
        assert!(
            matches!(&error, SubmitError::Refused(Refusal::UserMissing { .. })),
            "{error}"
        );
        // Somebody new under the same name, and the same key again.
        bench
            .system(
                "",
                Action::PutUser {
                    name: user.clone(),
                    email: String::new(),
                },
            )
            .await
            .unwrap();
        bench
            .system(
                "",
                Action::PutUserKey {
                    user: user.clone(),
                    key: key(&bench, "secret-1", "again"),
                },
            )
            .await
            .unwrap();
        bench.store.close().await;
        holds(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_named_and_a_wrong_one_is_told() {
    for bench in benches(53).await {
        bench.organization("acme").await;
        bench.environment("acme", "one", false).await;
        bench.environment("acme", "two", false).await;
        let all = bench.store.erasable("acme", &Wanted::All).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].subject, "environment:2");
        let wanted = |digests: Vec<Digest>| Wanted::Digests(digests);
        let error = bench
            .store
            .erase("acme", &wanted(vec![all[0].digest, Digest([1; 32])]), "")
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("digests[1]: no private body"),
            "{error}"
        );
        let error = bench
            .store
            .erase("acme", &wanted(vec![all[0].digest, all[0].digest]), "")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("bodies[1]: "), "{error}");
        assert!(error.to_string().contains("is named twice"), "{error}");
        let done = bench
            .store
            .erase("acme", &wanted(vec![all[1].digest]), "asked for")
            .await
            .unwrap();
        assert_eq!(done.bodies.len(), 1);
        let error = bench
            .store
            .erase("gone", &Wanted::All, "")
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "organization 'gone' does not exist");
        bench.store.close().await;
        holds(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_commit_leaves_no_blob_behind_for_good() {
    for bench in benches(54).await {
        bench.organization("acme").await;
        bench.environment("acme", "told", false).await;
        patch(&bench, "told", &large(3)).await;
        let folder = bench.folder.path().join("blobs");
        let stored = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        let blob = std::fs::read_dir(stored.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let bytes = std::fs::read(blob.path()).unwrap();
        let before = blobs(&bench);
        // Only the commit: what comes after it is missing.
        let wanted = Wanted::Environment("told".to_owned());
        let found = bench.store.erasable("acme", &wanted).await.unwrap();
        let bodies = found
            .iter()
            .map(|body| (body.entry, body.position, body.digest))
            .collect();
        let reason = "asked for".to_owned();
        bench
            .system("acme", Action::EraseBodies { bodies, reason })
            .await
            .unwrap();
        bench.store.close().await;
        assert_eq!(blobs(&bench), before);
        let options = options(&bench.engine, &bench.folder, bench.clock.clone(), 9);
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems.len(), 1);
        assert!(
            report.problems[0]
                .what
                .contains("still lies in the blob store"),
            "{}",
            report.problems[0]
        );
        let store = Store::open(options.clone()).await.unwrap();
        assert_eq!(blobs(&bench), before - 1);
        store.close().await;
        holds(&bench).await;
        // A body that an entry erased and that is there again is not asked for.
        drop(bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_organization_has_no_texts_and_no_keys() {
    for bench in benches(55).await {
        live(&bench, 55, 200).await;
        bench
            .system(
                "",
                Action::PutOrganization {
                    id: "00000000000000ff".to_owned(),
                    name: "closing".to_owned(),
                    kind: runstone_model::fact::OrganizationKind::Shared,
                    public: true,
                    description: format!("about {MARK}"),
                },
            )
            .await
            .unwrap();
        for name in ["one", "two"] {
            bench
                .system(
                    "closing",
                    Action::PutEnvironment(PutEnvironment {
                        name: name.to_owned(),
                        kind: EnvironmentKind::Server,
                        description: format!("{name} {MARK}"),
                        include_scaling: None,
                        require_provenance: None,
                        included_environments: None,
                        policies: None,
                    }),
                )
                .await
                .unwrap();
        }
        bench.report("closing", "one", &[("app", 1, &[1])]).await;
        bench
            .system(
                "closing",
                Action::PutServiceAccount {
                    name: "ci".to_owned(),
                    role: Role::Admin,
                    description: format!("robot {MARK}"),
                },
            )
            .await
            .unwrap();
        bench
            .system(
                "closing",
                Action::PutServiceAccountKey {
                    account: "ci".to_owned(),
                    key: key(&bench, "secret-2", MARK),
                },
            )
            .await
            .unwrap();
        let closed = bench
            .store
            .close_organization("closing", "sold")
            .await
            .unwrap();
        assert!(!closed.was_closed);
        assert_eq!((closed.erased.bodies.len(), closed.kept), (6, 0));
        assert_eq!(files_with(bench.folder.path(), MARK), [""; 0]);
        let again = bench
            .store
            .close_organization("closing", "sold")
            .await
            .unwrap();
        assert!(again.was_closed);
        assert_eq!(again.erased.bodies, []);
        let mut read = bench.store.read().await.unwrap();
        let verifier = bench.store.verifier("secret-2");
        assert_eq!(read.key(verifier).await.unwrap(), None);
        drop(read);
        let error = bench
            .system("closing", crate::support::report("one", &[]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "organization 'closing' is closed");
        bench.store.close().await;
        holds(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_are_shown_and_survive_a_restart() {
    for bench in benches(56).await {
        bench.organization("acme").await;
        bench
            .system(
                "acme",
                Action::PutServiceAccount {
                    name: "ci".to_owned(),
                    role: Role::Admin,
                    description: String::new(),
                },
            )
            .await
            .unwrap();
        bench
            .system(
                "acme",
                Action::PutServiceAccountKey {
                    account: "ci".to_owned(),
                    key: key(&bench, "secret-3", ""),
                },
            )
            .await
            .unwrap();
        // PostgreSQL has a clock of its own.
        let is_movable = matches!(bench.engine, Engine::Sqlite { .. });
        bench.clock.advance(600_000_000);
        let put = async |store: &Store, name: &str| {
            store
                .submit(runstone_model::command::Command {
                    caller: runstone_model::command::Caller::Key(store.verifier("secret-3")),
                    organization: "acme".to_owned(),
                    action: Action::PutEnvironment(PutEnvironment {
                        name: name.to_owned(),
                        kind: EnvironmentKind::Server,
                        description: "some text".to_owned(),
                        include_scaling: None,
                        require_provenance: None,
                        included_environments: None,
                        policies: None,
                    }),
                    salt: store.salt(),
                })
                .await
                .map_err(|error| error.to_string())
        };
        let limit = |what, number| vec![(what, number)];
        let pace = limit(Limited::EntriesPerMinute, Limit::AtMost(2));
        bench.store.put_limits("acme", pace).await.unwrap();
        for number in 0..2 {
            put(&bench.store, &format!("env-{number}")).await.unwrap();
        }
        let refused = put(&bench.store, "env-6").await.unwrap_err();
        let told =
            "organization 'acme' has reached its limit of 2 entries per minute; try again in 30 s";
        assert!(refused == told || !is_movable, "{refused}");
        let shown = bench.store.limits(Some("acme")).await.unwrap();
        let used: Vec<(Limited, Option<u64>, u64)> = shown[0]
            .limits
            .iter()
            .map(|limit| (limit.what, limit.limit, limit.used))
            .collect();
        assert_eq!(used[0], (Limited::Environments, Some(10_000), 2));
        assert_eq!(used[1], (Limited::EntriesPerMinute, Some(2), 2));
        assert_eq!((used[2].0, used[2].1), (Limited::Bytes, None));
        assert!(used[2].2 > 0);
        bench.store.close().await;
        // The limit knows what was written before, whoever serves.
        let options = options(&bench.engine, &bench.folder, bench.clock.clone(), 9);
        let store = Store::open(options).await.unwrap();
        assert!(put(&store, "env-6").await.is_err());
        if is_movable {
            bench.clock.advance(30_000_000);
            put(&store, "env-6").await.unwrap();
            assert!(put(&store, "env-7").await.is_err());
        }
        let unlimited = limit(Limited::EntriesPerMinute, Limit::Unlimited);
        store.put_limits("acme", unlimited).await.unwrap();
        put(&store, "env-7").await.unwrap();
        store
            .put_limits("acme", limit(Limited::Bytes, Limit::AtMost(used[2].2)))
            .await
            .unwrap();
        assert_eq!(
            put(&store, "env-8").await.unwrap_err(),
            format!(
                "organization 'acme' has reached its limit of {} bytes of bodies",
                used[2].2
            )
        );
        // Erasing makes room.
        store.erase("acme", &Wanted::All, "room").await.unwrap();
        let wanted = store.limits(None).await.unwrap();
        assert!(wanted[0].limits[2].used < used[2].2);
        let error = store
            .put_limits("gone", limit(Limited::Bytes, Limit::Default))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "organization 'gone' does not exist");
        store.close().await;
        holds(&bench).await;
    }
}
