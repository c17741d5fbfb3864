//! Random histories that touch every kind of entry, and copies of all tables to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use runstone_model::command::{
    Action, Attest, ControlAction, FlowAction, GivenTemplate, LegacyAction, NewKey,
    PatchEnvironment, PutEnvironment, PutFlow, PutTrail, RecordReport, RepoTold, ReportApproval,
    ReportArtifact, ReportDeployment, TypeAction,
};
use runstone_model::control::{ChangeControl, ControlTexts};
use runstone_model::event::{Claim, TemplateText};
use runstone_model::fact::{ApprovalState, Member, RepoId, RepoKey, Seen, Visibility};
use runstone_model::id::{Commit, Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_model::role::Role;
use runstone_store::{Engine, Options, SubmitError, Wanted, backup};

use crate::support::{Bench, TestClock, options};

/// Does `count` random things to two organizations; refusals are part of life.
pub async fn live(bench: &Bench, seed: u64, count: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let organizations = ["acme", "umbrella"];
    for name in organizations {
        bench.organization(name).await;
    }
    for _ in 0..count {
        bench.clock.advance(random.random_range(0..3_000_000));
        let mut organization = organizations[usize::from(random.random_bool(0.3))];
        let action = if random.random_bool(0.25) {
            flow_act(bench, organization, &mut random).await
        } else if random.random_bool(0.15) {
            definition_act(bench, organization, &mut random).await
        } else {
            act(bench, &mut random)
        };
        if matches!(
            action,
            Action::PutUser { .. } | Action::PutUserKey { .. } | Action::PutOrganization { .. }
        ) {
            organization = "";
        }
        match bench.system(organization, action).await {
            Ok(_) | Err(SubmitError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if random.random_bool(0.01) {
            erase_one(bench, organization, &mut random).await;
        }
    }
}

/// Erases one private body, whichever it is.
async fn erase_one(bench: &Bench, organization: &str, random: &mut StdRng) {
    let all = bench.store.erasable(organization, &Wanted::All).await;
    let all = all.unwrap();
    if all.is_empty() {
        return;
    }
    let body = &all[random.random_range(0..all.len())];
    let wanted = Wanted::Digests(vec![body.digest]);
    let done = bench.store.erase(organization, &wanted, "a reason").await;
    assert_eq!(done.unwrap().entries.len(), 1);
}

fn name(random: &mut StdRng) -> String {
    format!("env-{}", random.random_range(0..6))
}

const TEMPLATE: &str = "version: 1\ntrail:\n  attestations:\n    - {name: slot-0, type: '*'}\n  artifacts:\n    - name: part-0\n      attestations:\n        - {name: slot-1, type: generic}\n";

fn template(random: &mut StdRng) -> Option<GivenTemplate> {
    let text = match random.random_range(0..4) {
        0 => TemplateText::Yaml(TEMPLATE.to_owned()),
        1 => TemplateText::Names(vec!["artifact".to_owned(), "slot-2".to_owned()]),
        _ => return None,
    };
    let template = runstone_model::project::read_template(&text).unwrap();
    Some(GivenTemplate {
        text,
        template: Arc::new(template),
    })
}

fn commit(random: &mut StdRng) -> Option<Commit> {
    let byte = random.random_range(0..4);
    (byte > 0).then_some(Commit([byte; 20]))
}

fn repo(random: &mut StdRng) -> Option<RepoTold> {
    let no = random.random_range(0..6);
    (no < 3).then(|| RepoTold {
        key: RepoKey {
            provider: (no > 0).then(|| "git".to_owned()),
            id: RepoId::Id(no.to_string()),
        },
        name: format!("repo-{}", random.random_range(0..2)),
        facts: "{\"url\":\"https://example.com\"}".into(),
        description: Some("ä\"".to_owned()),
    })
}

/// Something random that clients older than trails tell.
fn legacy_act(
    flow: String,
    fingerprint: Fingerprint,
    content: Arc<str>,
    random: &mut StdRng,
) -> LegacyAction {
    if random.random_bool(0.5) {
        LegacyAction::ReportDeployment(ReportDeployment {
            flow,
            fingerprint,
            environment: name(random),
            content,
        })
    } else {
        LegacyAction::ReportApproval(ReportApproval {
            flow,
            fingerprint,
            environment: random.random_bool(0.5).then(|| name(random)),
            state: match random.random_range(0..3) {
                0 => ApprovalState::Pending,
                1 => ApprovalState::Approved,
                _ => ApprovalState::Unapproved,
            },
            content,
        })
    }
}

/// Something random about flows and what is in them.
async fn flow_act(bench: &Bench, organization: &str, random: &mut StdRng) -> Action {
    let flow = format!("flow-{}", random.random_range(0..4));
    let trail = format!("trail-{}", random.random_range(0..4));
    let content: Arc<str> = format!("{{\"n\":{}}}", random.random_range(0..5)).into();
    let fingerprint = Fingerprint([random.random_range(1..6); 32]);
    if random.random_bool(0.1) {
        return Action::Legacy(legacy_act(flow, fingerprint, content, random));
    }
    Action::Flow(match random.random_range(0..100) {
        0..10 => FlowAction::Put(PutFlow {
            name: flow,
            visibility: random.random_bool(0.5).then_some(Visibility::Public),
            description: format!("text {}", random.random_range(0..3)),
            template: template(random),
        }),
        10..13 => FlowAction::Archive { flow },
        13..18 => FlowAction::Rename {
            flow,
            new_name: format!("flow-{}", random.random_range(0..4)),
        },
        18..24 => FlowAction::Tag {
            flow,
            set: [(
                format!("key-{}", random.random_range(0..3)),
                format!("v{}", random.random_range(0..3)),
            )]
            .into(),
            remove: vec![format!("key-{}", random.random_range(0..3))],
        },
        24..45 => {
            let mut read = bench.store.read().await.unwrap();
            let organization = read
                .organization_named(organization)
                .await
                .unwrap()
                .unwrap();
            let known = read.flow_named(organization.no, &flow).await.unwrap();
            let known = match known {
                Some(flow) => read
                    .trail_named(organization.no, flow.no, &trail)
                    .await
                    .unwrap(),
                None => None,
            };
            FlowAction::PutTrail(PutTrail {
                flow,
                name: trail,
                commit: commit(random),
                repo: repo(random),
                template: template(random),
                members: [
                    (Member::Description, "\"d\"".into()),
                    (Member::UserData, content),
                ]
                .into(),
                compared: known.map(|trail| (trail.told_by, vec![Member::UserData])),
            })
        }
        45..65 => FlowAction::ReportArtifact(ReportArtifact {
            flow,
            trail: random.random_bool(0.8).then_some(trail),
            name: random
                .random_bool(0.7)
                .then(|| format!("part-{}", random.random_range(0..2))),
            fingerprint,
            filename: "acme/web:1".to_owned(),
            commit: commit(random),
            repo: repo(random),
            content,
        }),
        _ => {
            let overrides = random.random_bool(0.1);
            let targets = random.random_bool(0.4).then(|| "part-0".to_owned());
            let attachment = if random.random_bool(0.2) {
                let mut read = bench.store.read().await.unwrap();
                let known = read.organization_named(organization).await.unwrap();
                let id = known.unwrap().id.clone();
                // Small ones are kept like other bodies, the large one outside.
                let file = match random.random_range(0..4) {
                    0 => vec![0; 1_000],
                    _ => vec![1; 70_000],
                };
                let mut upload = bench.store.upload(&id);
                upload.write(&file).await.unwrap();
                Some(upload.finish().await.unwrap())
            } else {
                None
            };
            FlowAction::Attest(Box::new(Attest {
                flow,
                trail,
                name: format!("slot-{}", random.random_range(0..4)),
                kind: if overrides { "override" } else { "generic" }.to_owned(),
                is_compliant: random.random_bool(0.7),
                fingerprint: random.random_bool(0.3).then_some(fingerprint),
                targets: targets.into_iter().collect(),
                commit: commit(random),
                repo: repo(random),
                original_kind: overrides.then(|| "generic".to_owned()),
                version: None,
                control: None,
                content,
                attachment,
            }))
        }
    })
}

/// Something random about custom types, controls and what is attested by them.
async fn definition_act(bench: &Bench, organization: &str, random: &mut StdRng) -> Action {
    let name = format!("type-{}", random.random_range(0..3));
    let identifier = format!("C-{}", random.random_range(0..3));
    let text = |random: &mut StdRng| {
        let no = random.random_range(0..3);
        (no > 0).then(|| format!("ä\"{no}"))
    };
    let attest = |kind: String, version, control| {
        Action::Flow(FlowAction::Attest(Box::new(Attest {
            flow: "flow-0".to_owned(),
            trail: "trail-0".to_owned(),
            name: "slot-0".to_owned(),
            kind,
            is_compliant: version != Some(1),
            fingerprint: None,
            targets: Vec::new(),
            commit: None,
            repo: None,
            original_kind: None,
            version,
            control,
            content: "{}".into(),
            attachment: None,
        })))
    };
    match random.random_range(0..10) {
        0..2 => Action::Type(TypeAction::Put {
            name,
            description: text(random),
            comment: text(random),
            definition: if random.random_bool(0.1) {
                // Too large for the database.
                let noise: String = (0..70_000)
                    .map(|_| char::from(random.random_range(b'a'..=b'z')))
                    .collect();
                format!("{{\"type_schema\":{{\"description\":\"{noise}\"}}}}").into()
            } else {
                "{\"type_schema\":{\"b\":1.5,\"a\":1}}".into()
            },
        }),
        2 => Action::Type(TypeAction::Archive { name }),
        3..5 => {
            let mut read = bench.store.read().await.unwrap();
            let organization = read.organization_named(organization).await.unwrap();
            let known = read
                .custom_type_named(organization.unwrap().no, &name)
                .await
                .unwrap();
            let version = known.map(|known| known.versions);
            attest(format!("custom:{name}"), version, None)
        }
        5 => attest("system:decision".to_owned(), None, Some(identifier)),
        6 => Action::Control(ControlAction::Create {
            identifier,
            texts: ControlTexts {
                name: "a control".to_owned(),
                description: text(random),
                links: [("docs".to_owned(), "https://example.com".to_owned())].into(),
            },
        }),
        7 => Action::Control(ControlAction::Change {
            identifier,
            change: ChangeControl {
                name: text(random),
                description: Some(text(random)),
                links: None,
            },
        }),
        8 => Action::Control(if random.random_bool(0.5) {
            ControlAction::Archive { identifier }
        } else {
            ControlAction::Restore { identifier }
        }),
        _ => Action::Control(ControlAction::Tag {
            identifier,
            set: [("team".to_owned(), text(random).unwrap_or_default())].into(),
            remove: text(random)
                .map(|_| "tier".to_owned())
                .into_iter()
                .collect(),
        }),
    }
}

fn act(bench: &Bench, random: &mut StdRng) -> Action {
    match random.random_range(0..100) {
        0..8 => put(random),
        8..60 => Action::RecordReport(report(bench, random)),
        60..64 => Action::RenameEnvironment {
            environment: name(random),
            new_name: name(random),
        },
        64..67 => Action::ArchiveEnvironment {
            environment: name(random),
        },
        67..72 => Action::TagEnvironment {
            environment: name(random),
            set: [(
                format!("key-{}", random.random_range(0..3)),
                "ä\"\\\u{1}".to_owned(),
            )]
            .into(),
            remove: vec![format!("key-{}", random.random_range(0..3))],
        },
        72..76 => Action::JoinEnvironment {
            logical: name(random),
            physical: name(random),
        },
        76..79 => Action::PatchEnvironment(PatchEnvironment {
            environment: name(random),
            description: Some(format!("text {}", random.random_range(0..3))),
            include_scaling: random.random_bool(0.5).then(|| random.random_bool(0.5)),
            included_environments: random
                .random_bool(0.3)
                .then(|| vec![name(random), name(random)]),
            policies: None,
        }),
        79..82 => Action::PutUser {
            name: format!("user-{}", random.random_range(0..3)),
            email: format!("{}@example.com", random.random_range(0..3)),
        },
        82..85 => Action::PutRole {
            user: format!("user-{}", random.random_range(0..3)),
            role: Role::ALL[random.random_range(0..4)],
        },
        85..88 => Action::PutUserKey {
            user: format!("user-{}", random.random_range(0..3)),
            key: key(bench, random),
        },
        88..91 => Action::PutServiceAccount {
            name: format!("robot-{}", random.random_range(0..3)),
            role: Role::ALL[random.random_range(0..4)],
            description: format!("robot {}", random.random_range(0..2)),
        },
        91..94 => Action::PutServiceAccountKey {
            account: format!("robot-{}", random.random_range(0..3)),
            key: key(bench, random),
        },
        94..96 => Action::PutOrganization {
            id: format!("{:016x}", random.random::<u64>()),
            name: "acme".to_owned(),
            kind: runstone_model::fact::OrganizationKind::Shared,
            public: random.random_bool(0.5),
            description: format!("organization {}", random.random_range(0..2)),
        },
        96..98 => Action::NoteClockMovedBack { by: 7 },
        _ => Action::RecordObservation {
            environment: runstone_model::fact::EnvironmentNo(1),
            unshared: None,
        },
    }
}

fn put(random: &mut StdRng) -> Action {
    let logical = random.random_bool(0.3);
    Action::PutEnvironment(PutEnvironment {
        name: name(random),
        kind: if logical {
            EnvironmentKind::Logical
        } else {
            EnvironmentKind::Server
        },
        description: "an environment".to_owned(),
        include_scaling: Some(random.random_bool(0.5)),
        require_provenance: None,
        included_environments: logical.then(|| vec![name(random)]),
        policies: None,
    })
}

fn key(bench: &Bench, random: &mut StdRng) -> NewKey {
    let secret = format!("rst_{}", random.random_range(0..40));
    NewKey {
        id: format!("{:08x}", random.random::<u32>()),
        verifier: bench.store.verifier(&secret),
        description: "a key".to_owned(),
        expires_at: random
            .random_bool(0.3)
            .then_some(Micros(2_000_000_000_000_000)),
    }
}

fn report(bench: &Bench, random: &mut StdRng) -> RecordReport {
    let now = bench.store.now().0;
    let count = random.random_range(0..5);
    // Now and then one too large for the database.
    let large = random.random_bool(0.02);
    let mut artifacts: Vec<Observed> = (0..count)
        .map(|_| {
            let times: Vec<String> = (0..random.random_range(1..4))
                .map(|time| time.to_string())
                .collect();
            let mut detail = format!("{{\"t\":[{}]}}", times.join(","));
            if large {
                let noise: String = (0..70_000)
                    .map(|_| char::from(random.random_range(b'a'..=b'z')))
                    .collect();
                detail = format!("{{\"noise\":\"{noise}\",\"t\":[{}]}}", times.join(","));
            }
            Observed {
                name: format!("app-{}", random.random_range(0..6)),
                fingerprint: random
                    .random_bool(0.9)
                    .then(|| Fingerprint([random.random_range(1..4); 32])),
                detail: Detail::from_canonical(detail.into_bytes()),
            }
        })
        .collect();
    artifacts.sort_by(|a, b| (a.fingerprint, &a.name).cmp(&(b.fingerprint, &b.name)));
    artifacts.dedup_by(|a, b| (a.fingerprint, &a.name) == (b.fingerprint, &b.name));
    RecordReport {
        environment: name(random),
        kind: EnvironmentKind::Server,
        report: Arc::new(Report { artifacts }),
        claim: random.random_bool(0.5).then(|| Claim {
            at: random
                .random_bool(0.5)
                .then(|| Micros(now - random.random_range(0..5_000_000))),
            by: format!("reporter-{}", random.random_range(0..2)),
            sequence: random.random_bool(0.5).then(|| random.random_range(1..100)),
            imported: false,
        }),
        unshared: random.random_bool(0.3).then(|| Seen {
            from: Micros(now - 2_000_000),
            to: Micros(now),
            reports: 3,
            longest_gap: 1_000_000,
            reporter: "reporter-0".to_owned(),
        }),
    }
}

/// The options a bench was opened with.
pub fn options_of(bench: &Bench) -> Options {
    options(&bench.engine, &bench.folder, bench.clock.clone(), 77)
}

/// Options of a store in another folder, at a later time.
pub fn options_in(engine: &Engine, folder: &tempfile::TempDir) -> Options {
    let clock = Arc::new(TestClock::at(1_990_000_000_000_000));
    options(engine, folder, clock, 78)
}

/// Every row of every table in key order, by table; SQLite is read as it is, PostgreSQL through
/// a backup.
pub async fn dump(options: &Options) -> BTreeMap<String, Vec<String>> {
    match &options.engine {
        Engine::Sqlite { directory } => dump_file(&directory.join("runstone.db")),
        Engine::Postgres { .. } => {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            backup(options, &copy, false, &mut |_| {}).await.unwrap();
            dump_file(&copy.join("runstone.db"))
        }
    }
}

pub fn dump_file(file: &Path) -> BTreeMap<String, Vec<String>> {
    try_dump_file(file).unwrap()
}

pub fn try_dump_file(file: &Path) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let connection =
        rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables: Vec<String> = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut dump = BTreeMap::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        // Marks of batches and the pace of writing stand for themselves.
        let columns: Vec<usize> = statement
            .column_names()
            .enumerate()
            .filter(|(_, name)| !["batch", "paced_to"].contains(name))
            .map(|(column, _)| column)
            .collect();
        let mut rows: Vec<String> = statement
            .query_map([], |row| {
                let values = columns
                    .iter()
                    .map(|column| row.get_ref(*column).map(|value| format!("{value:?}")))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(values.join("|"))
            })?
            .collect::<Result<_, _>>()?;
        rows.sort();
        dump.insert(table, rows);
    }
    Ok(dump)
}
