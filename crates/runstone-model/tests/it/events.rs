//! Entries as they stand in journals: fixed bytes of every version ever written, and what is left
//! of them when their private bodies are erased.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use runstone_model::compliance::State;
use runstone_model::event::{
    Actor, Attachment, Claim, Content, ControlEvent, ENTRY_BYTES_MAX, ERASED_BODIES_MAX, Effects,
    Entry, Event, FlowEvent, KeySecret, LegacyEvent, NewTemplate, Settings, Subject, TemplateText,
    Text, TypeEvent, Verdicts, Verifier,
};
use runstone_model::fact::{
    AccountNo, ApprovalNo, ApprovalState, ArtifactNo, AttestationNo, ControlNo, DeploymentNo,
    EnvironmentNo, FlowNo, Identity, Member, OrganizationKind, OrganizationNo, RepoNo, TemplateNo,
    TrailNo, TypeNo, UserNo, Visibility,
};
use runstone_model::id::{Commit, Digest, Fingerprint, Micros};
use runstone_model::limit::{Limit, Limited, Limits};
use runstone_model::name::EnvironmentKind;
use runstone_model::role::Role;

/// Stands in every text that a person wrote.
const MARK: &str = "free-text";

fn text(salt: u8, text: &str) -> Text {
    Text {
        text: Some(format!("{MARK} {text}")),
        salt: [salt; 32],
    }
}

fn events() -> Vec<(Subject, Event)> {
    let salt = [7; 32];
    let organization = Subject::Organization(OrganizationNo(3));
    let user = Subject::User(UserNo(4));
    let account = Subject::Account(AccountNo(5));
    let environment = Subject::Environment(EnvironmentNo(6));
    let no = EnvironmentNo(6);
    let secret = || KeySecret {
        verifier: Digest([9; 32]),
        description: format!("{MARK} of a key"),
    };
    let verifier = || Verifier {
        verifier: Some(Digest([9; 32])),
        salt: [1; 32],
    };
    let settings = || Settings {
        description: format!("{MARK} of an environment"),
        include_scaling: true,
        require_provenance: false,
        members: vec![EnvironmentNo(1), EnvironmentNo(2)],
    };
    let description = || format!("{MARK}: what it is");
    vec![
        (
            organization,
            Event::OrganizationCreated {
                no: OrganizationNo(3),
                id: "0123456789abcdef".to_owned(),
                name: "acme".to_owned(),
                kind: OrganizationKind::Shared,
                public: true,
                description: description(),
                salt,
            },
        ),
        (
            organization,
            Event::OrganizationChanged {
                no: OrganizationNo(3),
                public: false,
                description: description(),
                salt,
            },
        ),
        (
            organization,
            Event::OrganizationLimited {
                no: OrganizationNo(3),
                limits: Limits::default()
                    .with(Limited::Bytes, Limit::Unlimited)
                    .with(Limited::Environments, Limit::AtMost(20)),
            },
        ),
        (
            organization,
            Event::OrganizationClosed {
                no: OrganizationNo(3),
                reason: description(),
                salt,
            },
        ),
        (
            user,
            Event::UserCreated {
                no: UserNo(4),
                name: format!("{MARK} ada"),
                email: format!("{MARK}@example.com"),
                salt,
            },
        ),
        (
            user,
            Event::UserChanged {
                no: UserNo(4),
                name: format!("{MARK} ada"),
                email: format!("{MARK}@example.org"),
                salt,
            },
        ),
        (
            user,
            Event::UserCreatedV2 {
                no: UserNo(4),
                name: text(1, "ada"),
                email: text(2, "ada@example.com"),
            },
        ),
        (
            user,
            Event::UserChangedV2 {
                no: UserNo(4),
                email: text(1, "ada@example.org"),
            },
        ),
        (
            user,
            Event::UserKeyCreated {
                user: UserNo(4),
                key: "aabbccdd00112233".to_owned(),
                expires_at: None,
                secret: secret(),
                salt,
            },
        ),
        (
            user,
            Event::UserKeyCreatedV2 {
                user: UserNo(4),
                key: "aabbccdd00112233".to_owned(),
                expires_at: Some(Micros(5)),
                verifier: verifier(),
                description: text(2, "of a key"),
            },
        ),
        (
            user,
            Event::RoleGranted {
                user: UserNo(4),
                role: Role::Admin,
            },
        ),
        (
            account,
            Event::ServiceAccountCreated {
                no: AccountNo(5),
                name: "ci".to_owned(),
                role: Role::Snapshotter,
                description: description(),
                salt,
            },
        ),
        (
            account,
            Event::ServiceAccountChanged {
                no: AccountNo(5),
                role: Role::Reader,
                description: description(),
                salt,
            },
        ),
        (
            account,
            Event::ServiceAccountKeyCreated {
                account: AccountNo(5),
                key: "aabbccdd00112244".to_owned(),
                expires_at: Some(Micros(5)),
                secret: secret(),
                salt,
            },
        ),
        (
            account,
            Event::ServiceAccountKeyCreatedV2 {
                account: AccountNo(5),
                key: "aabbccdd00112244".to_owned(),
                expires_at: None,
                verifier: verifier(),
                description: text(2, "of a key"),
            },
        ),
        (
            environment,
            Event::EnvironmentCreated {
                no,
                name: "all".to_owned(),
                kind: EnvironmentKind::Logical,
                settings: settings(),
                snapshot: Some(1),
                salt,
            },
        ),
        (
            environment,
            Event::EnvironmentChanged {
                no,
                settings: settings(),
                snapshot: None,
                salt,
            },
        ),
        (
            environment,
            Event::EnvironmentCreatedV2 {
                no,
                name: "all".to_owned(),
                kind: EnvironmentKind::Logical,
                include_scaling: false,
                require_provenance: true,
                description: Some(text(1, "of an environment")),
                members: Some(vec![EnvironmentNo(1), EnvironmentNo(2)]),
                snapshot: Some(1),
            },
        ),
        (
            environment,
            Event::EnvironmentChangedV2 {
                no,
                include_scaling: true,
                require_provenance: false,
                description: None,
                members: None,
                snapshot: None,
            },
        ),
        (
            environment,
            Event::EnvironmentArchived {
                no,
                name: "all-archived-at-5".to_owned(),
            },
        ),
        (
            environment,
            Event::EnvironmentRenamed {
                no,
                name: "every".to_owned(),
            },
        ),
        (
            environment,
            Event::EnvironmentTagged {
                no,
                set: BTreeMap::from([("team".to_owned(), description())]),
                removed: vec!["old".to_owned()],
                salt,
            },
        ),
        (
            environment,
            Event::EnvironmentTaggedV2 {
                no,
                set: BTreeMap::from([("team".to_owned(), Some(description()))]),
                removed: vec!["old".to_owned()],
                salt,
            },
        ),
        (
            environment,
            Event::EnvironmentTaggedV2 {
                no,
                set: BTreeMap::new(),
                removed: vec!["team".to_owned()],
                salt: [0; 32],
            },
        ),
        (
            environment,
            Event::SnapshotRecorded {
                environment: no,
                snapshot: 2,
                effective: Micros(8),
                effects: Arc::new(Effects {
                    added: vec![(
                        Arc::new(Identity {
                            fingerprint: Some(Fingerprint([1; 32])),
                            name: "web:1".to_owned(),
                            count: None,
                        }),
                        Arc::from(&br#"{"t":[1]}"#[..]),
                    )],
                    changed: vec![(Digest([2; 32]), Arc::from(&br#"{"t":[2]}"#[..]))],
                    removed: vec![Digest([3; 32])],
                    logical: vec![(EnvironmentNo(9), 4)],
                }),
            },
        ),
        (
            environment,
            Event::ObservationRecorded {
                environment: no,
                from: Micros(1),
                to: Micros(2),
                reports: 3,
                longest_gap: 1,
                reporter: "agent".to_owned(),
            },
        ),
        (
            Subject::Log,
            Event::EpochBegun {
                epoch: "00000000".to_owned(),
                origin: "h/log/acme/11111111".to_owned(),
                size: 5,
                root: Digest([4; 32]),
                signed_size: 6,
                reason: description(),
                salt,
            },
        ),
        (
            Subject::Log,
            Event::KeyRotated {
                generation: 1,
                vkey: "h/log/acme/11111111+00000000+AA==".to_owned(),
            },
        ),
        (Subject::Log, Event::ClockMovedBack { by: 9 }),
        (
            Subject::Log,
            Event::BodiesErased {
                bodies: vec![(5, 0, Digest([5; 32])), (6, 1, Digest([6; 32]))],
                reason: description(),
                salt,
            },
        ),
    ]
    .into_iter()
    .chain(
        flow_events()
            .into_iter()
            .map(|(subject, event)| (subject, Event::Flow(event))),
    )
    .chain(legacy_events())
    .chain(
        type_events()
            .into_iter()
            .map(|event| (Subject::Type(TypeNo(2)), Event::Type(event))),
    )
    .chain(
        control_events()
            .into_iter()
            .map(|event| (Subject::Control(ControlNo(3)), Event::Control(event))),
    )
    .collect()
}

fn content(salt: u8, json: &str) -> Content {
    Content {
        json: Some(json.into()),
        salt: [salt; 32],
    }
}

fn legacy_events() -> Vec<(Subject, Event)> {
    let approval = |environment, state, reviews: &str| {
        Event::Legacy(LegacyEvent::ApprovalReported {
            flow: FlowNo(2),
            no: ApprovalNo(5),
            artifact: ArtifactNo(8),
            trail: TrailNo(3),
            fingerprint: Fingerprint([9; 32]),
            environment,
            state,
            content: content(12, &format!("{{\"approvals\":[{reviews}]}}")),
        })
    };
    let review = format!("{{\"approved_by\":\"{MARK}\"}}");
    let deployment = Event::Legacy(LegacyEvent::DeploymentReported {
        flow: FlowNo(2),
        no: DeploymentNo(18),
        artifact: ArtifactNo(8),
        trail: TrailNo(3),
        fingerprint: Fingerprint([9; 32]),
        environment: EnvironmentNo(6),
        content: content(13, &format!("{{\"description\":\"{MARK}\"}}")),
    });
    [
        approval(None, ApprovalState::Pending, ""),
        approval(Some(EnvironmentNo(6)), ApprovalState::Approved, &review),
        approval(None, ApprovalState::Unapproved, &review),
        deployment,
    ]
    .into_iter()
    .map(|event| (Subject::Trail(TrailNo(3)), event))
    .collect()
}

fn type_events() -> Vec<TypeEvent> {
    let no = TypeNo(2);
    let definition = r#"{"type_schema":{"type":"object","minProperties":1},"evaluator":{"content_type":"jq","rules":[".age > 21.5"]},"summary":null}"#;
    vec![
        TypeEvent::Versioned {
            no,
            name: "person".to_owned(),
            version: 1,
            definition: definition.into(),
            description: Some(text(1, "of a type")),
            comment: Some(text(2, "on a version")),
        },
        TypeEvent::Versioned {
            no,
            name: "person".to_owned(),
            version: 2,
            definition: definition.into(),
            description: None,
            comment: Some(text(2, "on a version")),
        },
        TypeEvent::Archived { no },
        TypeEvent::Restored { no },
    ]
}

fn control_events() -> Vec<ControlEvent> {
    let no = ControlNo(3);
    let texts = || {
        content(
            4,
            &format!("{{\"description\":null,\"links\":{{\"a\":\"{MARK}\"}},\"name\":\"{MARK}\"}}"),
        )
    };
    vec![
        ControlEvent::Created {
            no,
            identifier: "SDLC-1".to_owned(),
            texts: texts(),
        },
        ControlEvent::Changed {
            no,
            version: 2,
            texts: texts(),
        },
        ControlEvent::Archived { no },
        ControlEvent::Restored { no },
        ControlEvent::Tagged {
            no,
            set: BTreeMap::from([("team".to_owned(), Some(format!("{MARK} red")))]),
            removed: vec!["old".to_owned()],
            salt: [3; 32],
        },
        ControlEvent::Tagged {
            no,
            set: BTreeMap::new(),
            removed: vec!["team".to_owned()],
            salt: [0; 32],
        },
    ]
}

fn flow_events() -> Vec<(Subject, FlowEvent)> {
    let (flow, trail, repo) = (FlowNo(2), TrailNo(3), RepoNo(4));
    let about = |subject| move |event| (subject, event);
    let of_flow = about(Subject::Flow(flow));
    let of_trail = about(Subject::Trail(trail));
    let of_repo = about(Subject::Repo(repo));
    let tags = || {
        BTreeMap::from([
            ("ci".to_owned(), Some(format!("{MARK} github"))),
            ("team".to_owned(), Some(format!("{MARK} red"))),
        ])
    };
    let yaml = || TemplateText::Yaml("version: 1\n".to_owned());
    let members = || {
        BTreeMap::from([
            (Member::Description, content(1, &format!("\"{MARK}\""))),
            (
                Member::UserData,
                content(2, &format!("{{\"a\":\"{MARK}\"}}")),
            ),
        ])
    };
    let commit = Commit([7; 20]);
    vec![
        of_flow(FlowEvent::Created {
            no: flow,
            name: "runner".to_owned(),
            visibility: Visibility::Private,
            description: Some(text(1, "of a flow")),
            template: NewTemplate {
                no: TemplateNo(5),
                text: yaml(),
            },
        }),
        of_flow(FlowEvent::Changed {
            no: flow,
            visibility: Visibility::Public,
            description: Some(text(1, "of a flow")),
            template: Some(NewTemplate {
                no: TemplateNo(6),
                text: TemplateText::Names(vec!["artifact".to_owned(), "test".to_owned()]),
            }),
        }),
        of_flow(FlowEvent::Changed {
            no: flow,
            visibility: Visibility::Public,
            description: None,
            template: None,
        }),
        of_flow(FlowEvent::Archived { no: flow }),
        of_flow(FlowEvent::Restored { no: flow }),
        of_flow(FlowEvent::Renamed {
            no: flow,
            name: "runs".to_owned(),
        }),
        of_flow(FlowEvent::Tagged {
            no: flow,
            set: tags(),
            removed: vec!["old".to_owned()],
            salt: [3; 32],
        }),
        of_repo(FlowEvent::RepoRecorded {
            no: repo,
            provider: Some("github".to_owned()),
            id: Some("290597708".to_owned()),
            name: "acme/runner".to_owned(),
            facts: "{\"additional_info\":null,\"namespace_path\":[\"acme\"],\"url\":\"https://git.example.com/acme/runner\"}".to_owned(),
            description: Some(text(4, "of a repository")),
        }),
        of_repo(FlowEvent::RepoTagged {
            no: repo,
            set: tags(),
            removed: vec![],
            salt: [3; 32],
        }),
        of_trail(FlowEvent::TrailBegun {
            no: trail,
            flow,
            name: "t1".to_owned(),
            implicit: false,
            commit: Some(commit),
            repo: Some(repo),
            template: TemplateNo(6),
            own_template: Some(yaml()),
            members: members(),
            verdicts: Verdicts {
                trail: Some(State::Incomplete),
                artifacts: vec![],
            },
        }),
        of_trail(FlowEvent::TrailUpdated {
            no: trail,
            commit: None,
            repo: None,
            template: Some(NewTemplate {
                no: TemplateNo(7),
                text: yaml(),
            }),
            members: members(),
            changes: vec!["template".to_owned(), "user_data".to_owned()],
            // More than an entry has room for.
            verdicts: Verdicts {
                trail: None,
                artifacts: (1..=17)
                    .map(|no| (ArtifactNo(no), State::NonCompliant))
                    .collect(),
            },
        }),
        of_trail(FlowEvent::ArtifactReported {
            no: ArtifactNo(8),
            trail,
            name: Some("runner".to_owned()),
            fingerprint: Fingerprint([9; 32]),
            filename: "acme/runner:1".to_owned(),
            commit: Some(commit),
            repo: Some(repo),
            content: content(5, &format!("{{\"build_url\":\"{MARK}\"}}")),
            verdicts: Verdicts {
                trail: Some(State::Compliant),
                artifacts: vec![(ArtifactNo(8), State::Compliant)],
            },
        }),
        of_trail(FlowEvent::Attested {
            no: AttestationNo(10),
            trail,
            name: "coverage".to_owned(),
            kind: "custom:coverage".to_owned(),
            is_compliant: true,
            fingerprint: Some(Fingerprint([9; 32])),
            targets: vec!["runner".to_owned()],
            commit: Some(commit),
            repo: None,
            overrides: None,
            original_kind: None,
            version: Some(2),
            control: None,
            content: content(6, &format!("{{\"payload\":{{\"who\":\"{MARK}\"}}}}")),
            attachment: Some(Attachment {
                digest: Digest([11; 32]),
                bytes: 100_000_000,
                held: None,
            }),
            verdicts: Verdicts::default(),
        }),
        of_trail(FlowEvent::Attested {
            no: AttestationNo(11),
            trail,
            name: "coverage".to_owned(),
            kind: "override".to_owned(),
            is_compliant: false,
            fingerprint: None,
            targets: vec![],
            commit: None,
            repo: None,
            overrides: Some(AttestationNo(10)),
            original_kind: Some("custom:coverage".to_owned()),
            version: None,
            control: Some("SDLC-1".to_owned()),
            content: content(6, "{}"),
            attachment: None,
            verdicts: Verdicts::default(),
        }),
        of_trail(FlowEvent::Attested {
            no: AttestationNo(12),
            trail,
            name: "scan".to_owned(),
            kind: "generic".to_owned(),
            is_compliant: true,
            fingerprint: None,
            targets: vec![],
            commit: None,
            repo: None,
            overrides: None,
            original_kind: None,
            version: None,
            control: None,
            content: content(7, "{}"),
            attachment: Some(Attachment {
                digest: Digest::of(b"small"),
                bytes: 5,
                held: Some(Arc::from(*b"small")),
            }),
            verdicts: Verdicts::default(),
        }),
    ]
}

fn entry(subject: Subject, event: Event) -> Entry {
    let state = matches!(event, Event::SnapshotRecorded { .. }).then_some(Digest([8; 32]));
    Entry {
        organization: "0123456789abcdef".to_owned(),
        event,
        subjects: vec![(subject, Some(17))],
        actor: Actor::User(UserNo(1)),
        received: Micros(1_790_000_000_000_000),
        claim: state.map(|_| Claim {
            at: Some(Micros(1)),
            by: "agent".to_owned(),
            sequence: Some(2),
            imported: false,
        }),
        state,
    }
}

#[test]
fn every_version_ever_written_has_these_bytes_and_is_read_back() {
    let mut shown = String::new();
    for (subject, event) in events() {
        let entry = entry(subject, event);
        let (bytes, bodies) = entry.encode();
        writeln!(shown, "{}", String::from_utf8_lossy(&bytes)).unwrap();
        for body in &bodies {
            let (kind, json) = match body.in_hand() {
                Some(bytes) if body.private => ("private", &bytes[32..]),
                Some(bytes) => ("plain", &bytes[..]),
                None => ("stored before", &b""[..]),
            };
            writeln!(shown, "  {kind} {}", String::from_utf8_lossy(json)).unwrap();
        }
        let bodies: Vec<_> = bodies.iter().map(|body| body.in_hand().cloned()).collect();
        assert_eq!(Entry::decode(&bytes, &bodies).unwrap(), entry);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn no_entry_or_plain_body_holds_what_people_wrote() {
    for (subject, event) in events() {
        let (bytes, bodies) = entry(subject, event).encode();
        assert!(!String::from_utf8_lossy(&bytes).contains(MARK));
        for body in bodies.iter().filter(|body| !body.private) {
            let bytes = body.in_hand().map_or(&[][..], |bytes| bytes);
            assert!(!String::from_utf8_lossy(bytes).contains(MARK));
        }
    }
}

#[test]
fn erased_bodies_leave_a_readable_entry_that_still_tells_where_they_were() {
    for (subject, event) in events() {
        let entry = entry(subject, event);
        let (bytes, bodies) = entry.encode();
        let private: Vec<usize> = (0..bodies.len())
            .filter(|position| bodies[*position].private)
            .collect();
        let told: Vec<usize> = entry
            .event
            .private_bodies()
            .into_iter()
            .map(|(position, _)| position as usize)
            .collect();
        assert_eq!(told, private, "{:?}", entry.event);
        let kept: Vec<_> = bodies
            .iter()
            .map(|body| body.in_hand().filter(|_| !body.private).map(Arc::clone))
            .collect();
        let read = Entry::decode(&bytes, &kept).unwrap();
        assert!(!format!("{read:?}").contains(MARK));
        assert_eq!(read.event.private_bodies(), entry.event.private_bodies());
        assert_eq!(read.subjects, entry.subjects);
        let positions: Vec<bool> = read.encode().1.iter().map(|body| body.private).collect();
        let before: Vec<bool> = bodies.iter().map(|body| body.private).collect();
        assert_eq!(positions, before, "a reader still knows which are private");
    }
}

#[test]
fn an_erasure_fits_into_an_entry() {
    let bodies = vec![(u64::MAX >> 10, 7, Digest([255; 32])); ERASED_BODIES_MAX];
    let event = Event::BodiesErased {
        bodies,
        reason: "long ".repeat(10_000),
        salt: [1; 32],
    };
    let (bytes, _) = entry(Subject::Log, event).encode();
    assert!(bytes.len() <= ENTRY_BYTES_MAX, "{} bytes", bytes.len());
}
