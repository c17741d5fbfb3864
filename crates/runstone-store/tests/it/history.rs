//! Random histories against a simple model in memory: every read must agree (T6).

use std::collections::BTreeMap;

use proptest::prelude::*;
use runstone_model::command::{Action, PutEnvironment, Refusal, Reply};
use runstone_model::fact::EnvironmentNo;
use runstone_model::id::Micros;
use runstone_model::name::EnvironmentKind;
use runstone_store::SubmitError;

use crate::support::{Bench, benches, report};

/// (name, fingerprint byte) to start times.
type State = BTreeMap<(String, u8), Vec<i64>>;

#[derive(Debug, Clone)]
enum Act {
    Create {
        name: u8,
        scaling: bool,
    },
    Report {
        name: u8,
        state: State,
    },
    Rename {
        from: u8,
        to: u8,
    },
    Archive {
        name: u8,
    },
    Tag {
        name: u8,
        key: u8,
        value: Option<u8>,
    },
    Describe {
        name: u8,
        text: u8,
    },
    Wait {
        micros: u32,
    },
}

fn state() -> impl Strategy<Value = State> {
    proptest::collection::btree_map(
        (0..5u8, 1..4u8).prop_map(|(name, byte)| (format!("app-{name}"), byte)),
        proptest::collection::vec(1..4i64, 1..3),
        0..5,
    )
    .prop_map(|mut state| {
        for times in state.values_mut() {
            times.sort_unstable();
        }
        state
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..4u8, any::<bool>()).prop_map(|(name, scaling)| Act::Create { name, scaling }),
        8 => (0..4u8, state()).prop_map(|(name, state)| Act::Report { name, state }),
        1 => (0..4u8, 0..4u8).prop_map(|(from, to)| Act::Rename { from, to }),
        1 => (0..4u8).prop_map(|name| Act::Archive { name }),
        2 => (0..4u8, 0..3u8, proptest::option::of(0..3u8))
            .prop_map(|(name, key, value)| Act::Tag { name, key, value }),
        1 => (0..4u8, 0..3u8).prop_map(|(name, text)| Act::Describe { name, text }),
        2 => (1..5_000_000u32).prop_map(|micros| Act::Wait { micros }),
    ]
}

/// An environment as the simple model knows it.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    scaling: bool,
    archived: bool,
    description: String,
    tags: BTreeMap<String, String>,
    snapshots: Vec<(i64, State)>,
}

#[derive(Debug, Default)]
struct Model {
    environments: Vec<Known>,
    names: BTreeMap<String, usize>,
}

fn env_name(number: u8) -> String {
    format!("env-{number}")
}

/// What decides whether a state differs: names, fingerprints and, where scaling is on, counts.
fn identity(state: &State, scaling: bool) -> Vec<(String, u8, usize)> {
    state
        .iter()
        .map(|((name, byte), times)| (name.clone(), *byte, if scaling { times.len() } else { 0 }))
        .collect()
}

impl Model {
    fn live(&self, name: &str) -> Option<usize> {
        self.names
            .get(name)
            .copied()
            .filter(|position| !self.environments[*position].archived)
    }
}

fn artifacts(state: &State) -> Vec<(&str, u8, &[i64])> {
    state
        .iter()
        .map(|((name, byte), times)| (name.as_str(), *byte, times.as_slice()))
        .collect()
}

async fn perform(bench: &Bench, model: &mut Model, act: &Act) {
    match act {
        Act::Wait { micros } => bench.clock.advance(i64::from(*micros)),
        Act::Create { name, scaling } => {
            let name = env_name(*name);
            let reply = bench
                .system(
                    "acme",
                    Action::PutEnvironment(PutEnvironment {
                        name: name.clone(),
                        kind: EnvironmentKind::Server,
                        description: String::new(),
                        include_scaling: Some(*scaling),
                        require_provenance: None,
                        included_environments: None,
                        policies: None,
                    }),
                )
                .await
                .unwrap()
                .reply;
            let live = model
                .live(&name)
                .filter(|position| model.environments[*position].name == name);
            match live {
                Some(position) => {
                    let known = &mut model.environments[position];
                    assert_eq!(
                        reply == Reply::Unchanged,
                        known.scaling == *scaling,
                        "re-put of {name}"
                    );
                    known.scaling = *scaling;
                }
                None => {
                    assert_eq!(reply, Reply::Created);
                    model.names.insert(name.clone(), model.environments.len());
                    model.environments.push(Known {
                        name,
                        scaling: *scaling,
                        ..Known::default()
                    });
                }
            }
        }
        Act::Report { name, state } => {
            let name = env_name(*name);
            let result = bench.system("acme", report(&name, &artifacts(state))).await;
            let Some(position) = model.live(&name) else {
                assert!(matches!(
                    result,
                    Err(SubmitError::Refused(
                        Refusal::EnvironmentMissing { .. } | Refusal::EnvironmentArchived { .. }
                    ))
                ));
                return;
            };
            let known = &mut model.environments[position];
            let differs = known.snapshots.last().is_none_or(|(_, last)| {
                // Counts of the last snapshot stand in its identity only if they did then.
                identity(last, known.scaling) != identity(state, known.scaling)
            });
            let reply = result.unwrap().reply;
            match reply {
                Reply::Snapshot(no) => {
                    assert_eq!(no as usize, known.snapshots.len() + 1);
                    known.snapshots.push((0, state.clone()));
                    let mut read = bench.store.read().await.unwrap();
                    let acme = read.organization_named("acme").await.unwrap().unwrap().no;
                    let made = read
                        .snapshot(acme, EnvironmentNo(position as u32 + 1), no)
                        .await
                        .unwrap()
                        .unwrap();
                    model.environments[position].snapshots.last_mut().unwrap().0 = made.at.0;
                }
                Reply::Unchanged => assert!(!differs, "a difference was missed"),
                other => panic!("unexpected {other:?}"),
            }
        }
        Act::Rename { from, to } => {
            let (from, to) = (env_name(*from), env_name(*to));
            let result = bench
                .system(
                    "acme",
                    Action::RenameEnvironment {
                        environment: from.clone(),
                        new_name: to.clone(),
                    },
                )
                .await;
            let Some(position) = model.live(&from) else {
                assert!(result.is_err());
                return;
            };
            let taken = model
                .live(&to)
                .is_some_and(|other| other != position && model.environments[other].name == to);
            assert_eq!(result.is_err(), taken, "{from} to {to}");
            if !taken && model.environments[position].name != to {
                model.environments[position].name.clone_from(&to);
                model.names.insert(to, position);
            }
        }
        Act::Archive { name } => {
            let name = env_name(*name);
            let result = bench
                .system(
                    "acme",
                    Action::ArchiveEnvironment {
                        environment: name.clone(),
                    },
                )
                .await;
            match model.live(&name) {
                Some(position) => {
                    result.unwrap();
                    model.environments[position].archived = true;
                }
                None => assert!(result.is_err()),
            }
        }
        Act::Tag { name, key, value } => {
            let name = env_name(*name);
            let key = format!("key-{key}");
            let result = bench
                .system(
                    "acme",
                    Action::TagEnvironment {
                        environment: name.clone(),
                        set: value
                            .iter()
                            .map(|value| (key.clone(), value.to_string()))
                            .collect(),
                        remove: if value.is_none() {
                            vec![key.clone()]
                        } else {
                            Vec::new()
                        },
                    },
                )
                .await;
            let Some(position) = model.live(&name) else {
                assert!(result.is_err());
                return;
            };
            let tags = &mut model.environments[position].tags;
            match value {
                Some(value) => tags.insert(key, value.to_string()),
                None => tags.remove(&key),
            };
        }
        Act::Describe { name, text } => {
            let name = env_name(*name);
            let text = format!("text {text}");
            let result = bench
                .system(
                    "acme",
                    Action::PatchEnvironment(runstone_model::command::PatchEnvironment {
                        environment: name.clone(),
                        description: Some(text.clone()),
                        ..Default::default()
                    }),
                )
                .await;
            match model.live(&name) {
                Some(position) => {
                    result.unwrap();
                    model.environments[position].description = text;
                }
                None => assert!(result.is_err()),
            }
        }
    }
}

async fn compare(bench: &Bench, model: &Model) {
    let mut read = bench.store.read().await.unwrap();
    let acme = read.organization_named("acme").await.unwrap().unwrap().no;
    let mut live: Vec<_> = model
        .environments
        .iter()
        .filter(|known| !known.archived)
        .map(|known| known.name.clone())
        .collect();
    live.sort();
    let listed: Vec<_> = read
        .environments(acme)
        .await
        .unwrap()
        .into_iter()
        .map(|environment| environment.name)
        .collect();
    assert_eq!(listed, live);
    for (name, position) in &model.names {
        let found = read.environment_named(acme, name).await.unwrap().unwrap();
        assert_eq!(found.no.0 as usize, position + 1);
    }
    for (position, known) in model.environments.iter().enumerate() {
        let no = EnvironmentNo(position as u32 + 1);
        let found = read.environment(acme, no).await.unwrap().unwrap();
        assert_eq!(found.tags, known.tags);
        assert_eq!(found.description, known.description);
        assert_eq!(found.archived_at.is_some(), known.archived);
        assert_eq!(found.snapshots as usize, known.snapshots.len());
        let mut events = 0;
        for (index, (at, state)) in known.snapshots.iter().enumerate() {
            let running = read.running(acme, no, index as u64 + 1).await.unwrap();
            let told: State = running
                .iter()
                .map(|running| {
                    let detail =
                        runstone_model::report::Detail::from_canonical(running.detail.to_vec());
                    (
                        (
                            running.identity.name.clone(),
                            running.identity.fingerprint.unwrap().0[0],
                        ),
                        detail.parse().unwrap().timestamps,
                    )
                })
                .collect();
            assert_eq!(&told, state, "{} #{}", known.name, index + 1);
            let current = read.snapshot_at(acme, no, Micros(*at)).await.unwrap();
            assert_eq!(current, index as u64 + 1);
            let before = read.snapshot_at(acme, no, Micros(*at - 1)).await.unwrap();
            assert!(before <= index as u64);
            let (snapshot, change) = read
                .changes(acme, no, index as u64 + 1, index as u64 + 1)
                .await
                .unwrap()
                .remove(0);
            assert_eq!(snapshot.events_before, events);
            events += u64::from(snapshot.events);
            // What the change says leads from the state before to this one (property 4).
            let key = |running: &runstone_model::fact::Running| {
                (
                    running.identity.name.clone(),
                    running.identity.fingerprint.unwrap().0[0],
                )
            };
            let mut applied: Vec<_> = if index == 0 {
                Vec::new()
            } else {
                known.snapshots[index - 1].1.keys().cloned().collect()
            };
            for removed in &change.removed {
                applied.retain(|known| *known != key(removed));
            }
            applied.extend(change.added.iter().map(key));
            applied.sort();
            assert_eq!(applied, state.keys().cloned().collect::<Vec<_>>());
        }
    }
    // Runs agree with the states.
    for byte in 1..4u8 {
        let records = read
            .records_by_prefix(acme, &format!("{byte:02x}{byte:02x}{byte:02x}"), 100)
            .await
            .unwrap();
        for record in &records {
            for run in read.runs(acme, &[record.no]).await.unwrap() {
                let known = &model.environments[run.environment.0 as usize - 1];
                let last = run.to.unwrap_or(known.snapshots.len() as u64);
                for no in run.from..=last {
                    let state = &known.snapshots[no as usize - 1].1;
                    assert!(state.contains_key(&(record.identity.name.clone(), byte)));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_read_agrees_with_a_simple_model(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for bench in benches(9).await {
                bench.organization("acme").await;
                let mut model = Model::default();
                for act in &acts {
                    perform(&bench, &mut model, act).await;
                }
                compare(&bench, &model).await;
                bench.store.close().await;
            }
        });
    }
}
