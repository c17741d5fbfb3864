//! Decisions about erasing, closing and limits, on facts that follow the entries before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_model::command::{
    Action, Caller, Command, NewKey, PatchEnvironment, PutEnvironment, Refusal, Reply,
};
use runstone_model::decide::{PREVIOUS_IN_BATCH, Stop, decide};
use runstone_model::event::{Body, ERASED_BODIES_MAX, Entry, Event, KeySecret, Settings, Subject};
use runstone_model::fact::{EnvironmentNo, OrganizationKind, OrganizationNo, SERVER, UserNo};
use runstone_model::id::{Digest, Micros};
use runstone_model::limit::{Limit, Limited};
use runstone_model::name::EnvironmentKind;
use runstone_model::project::{Misfit, project};
use runstone_model::role::Role;
use runstone_model::view::{Fact, FactKey, View};

/// Logs in memory, and the facts that follow from them.
#[derive(Default)]
pub struct World {
    pub view: View,
    pub logs: BTreeMap<OrganizationNo, Vec<Entry>>,
    salts: u8,
}

impl World {
    /// A world with the organization `acme`, an administrator's key and a member's.
    pub fn new() -> Self {
        let mut world = Self::default();
        world.server(Action::PutOrganization {
            id: "0123456789abcdef".to_owned(),
            name: "acme".to_owned(),
            kind: OrganizationKind::Shared,
            public: false,
            description: "an organization".to_owned(),
        });
        for (user, role) in [("ada", Role::Admin), ("bob", Role::Member)] {
            world.server(Action::PutUser {
                name: user.to_owned(),
                email: format!("{user}@example.com"),
            });
            world.acme(Action::PutRole {
                user: user.to_owned(),
                role,
            });
            world.server(Action::PutUserKey {
                user: user.to_owned(),
                key: key(user),
            });
        }
        world
    }

    pub fn submit(
        &mut self,
        caller: Caller,
        organization: &str,
        action: Action,
    ) -> Result<Reply, Refusal> {
        self.salts += 1;
        let command = Command {
            caller,
            organization: organization.to_owned(),
            action,
            salt: [self.salts; 32],
        };
        let at = Micros(1_000_000 * i64::from(self.salts));
        let decision = loop {
            match decide(&command, at, &self.view) {
                Ok(decision) => break decision,
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::Need(key)) => self.load(key),
            }
        };
        for (organization, mut entry) in decision.entries {
            let index = self.logs.entry(organization).or_default().len() as u64;
            for (subject, previous) in &mut entry.subjects {
                if *previous == Some(PREVIOUS_IN_BATCH) {
                    *previous = self.view.subject(organization, *subject).unwrap();
                }
            }
            self.place(organization, index, entry);
        }
        Ok(decision.reply)
    }

    fn place(&mut self, organization: OrganizationNo, index: u64, entry: Entry) {
        loop {
            match project(organization, index, &entry, &mut self.view) {
                Ok(_) => break,
                Err(Misfit::Need(key)) => self.load(key),
                Err(misfit) => panic!("{misfit}"),
            }
        }
        self.logs.entry(organization).or_default().push(entry);
    }

    /// What no entry told is not there; digests are those of the logs.
    fn load(&mut self, key: FactKey) {
        let fact = match &key {
            FactKey::BodyDigest(organization, entry, position) => self
                .logs
                .get(organization)
                .and_then(|log| log.get(*entry as usize))
                .and_then(|entry| entry.encode().1.get(*position as usize).map(Body::digest))
                .map_or(Fact::Absent, Fact::BodyDigest),
            _ => Fact::Absent,
        };
        self.view.insert(key, fact);
    }

    fn server(&mut self, action: Action) -> Reply {
        self.submit(Caller::System("test"), "", action).unwrap()
    }

    pub fn acme(&mut self, action: Action) -> Reply {
        self.submit(Caller::System("test"), "acme", action).unwrap()
    }

    fn put(&mut self, name: &str) -> Result<Reply, Refusal> {
        self.submit(Caller::Key(key("bob").verifier), "acme", put(name))
    }

    /// The private bodies of a log's last entry.
    pub fn last(&self, organization: OrganizationNo) -> Vec<(u64, u32, Digest)> {
        let log = &self.logs[&organization];
        let entry = log.last().unwrap();
        let bodies = entry.encode().1;
        entry
            .event
            .private_bodies()
            .into_iter()
            .map(|(position, _)| {
                let digest = bodies[position as usize].digest();
                (log.len() as u64 - 1, position, digest)
            })
            .collect()
    }

    pub fn erase(&mut self, caller: &str, bodies: &[(u64, u32, Digest)]) -> Result<Reply, Refusal> {
        self.submit(
            Caller::Key(key(caller).verifier),
            "acme",
            Action::EraseBodies {
                bodies: bodies.to_vec(),
                reason: "asked for".to_owned(),
            },
        )
    }

    fn environment(&self, no: u32) -> Arc<runstone_model::fact::Environment> {
        let acme = OrganizationNo(1);
        let found = self.view.environment(acme, EnvironmentNo(no)).unwrap();
        found.unwrap()
    }
}

pub fn key(user: &str) -> NewKey {
    NewKey {
        id: format!("id-of-{user}"),
        verifier: Digest::of(user.as_bytes()),
        description: format!("the key of {user}"),
        expires_at: None,
    }
}

fn put(name: &str) -> Action {
    Action::PutEnvironment(PutEnvironment {
        name: name.to_owned(),
        kind: EnvironmentKind::Server,
        description: format!("about {name}"),
        include_scaling: Some(true),
        require_provenance: None,
        included_environments: None,
        policies: None,
    })
}

pub const ACME: OrganizationNo = OrganizationNo(1);

#[test]
fn an_erased_description_is_empty_and_settings_stay() {
    let mut world = World::new();
    world.put("prod").unwrap();
    let first = world.last(ACME);
    assert_eq!(world.environment(1).description, "about prod");
    world.acme(Action::PatchEnvironment(PatchEnvironment {
        environment: "prod".to_owned(),
        description: Some("a second text".to_owned()),
        ..PatchEnvironment::default()
    }));
    let second = world.last(ACME);
    // A change of something else does not copy the text.
    world.acme(Action::PatchEnvironment(PatchEnvironment {
        environment: "prod".to_owned(),
        include_scaling: Some(false),
        ..PatchEnvironment::default()
    }));
    assert_eq!(world.last(ACME), []);
    // The first text is shown no more: erasing it changes nothing that is.
    assert_eq!(world.erase("ada", &first), Ok(Reply::Changed));
    assert_eq!(world.environment(1).description, "a second text");
    let before = world.environment(1);
    assert_eq!(world.erase("ada", &second), Ok(Reply::Changed));
    let after = world.environment(1);
    assert_eq!(after.description, "");
    assert!(!after.include_scaling);
    assert_eq!(after.modified_at, before.modified_at);
}

#[test]
fn tags_keep_their_keys_and_values_set_since() {
    let mut world = World::new();
    world.put("prod").unwrap();
    let mut tag = |set: &[(&str, &str)], remove: &[&str]| {
        world.acme(Action::TagEnvironment {
            environment: "prod".to_owned(),
            set: set
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            remove: remove.iter().map(|key| (*key).to_owned()).collect(),
        });
        world.last(ACME)
    };
    let first = tag(&[("team", "ada"), ("tier", "1")], &["not there: secret"]);
    tag(&[("tier", "2")], &[]);
    assert_eq!(tag(&[], &["nothing", "team"]), [], "keys are no free text");
    tag(&[("team", "bob")], &[]);
    let log = &world.logs[&ACME];
    let bytes: Vec<u8> = log
        .iter()
        .flat_map(|entry| {
            let (bytes, bodies) = entry.encode();
            let plain = bodies.into_iter().filter(|body| !body.private);
            let plain: Vec<u8> = plain
                .filter_map(|body| body.in_hand().map(|bytes| bytes.to_vec()))
                .flatten()
                .collect();
            [bytes, plain].concat()
        })
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        !text.contains("secret") && !text.contains("nothing"),
        "{text}"
    );
    world.erase("ada", &first).unwrap();
    let tags = world.environment(1).tags.clone();
    assert_eq!(
        tags,
        [("team", "bob"), ("tier", "2")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    );
    world.acme(Action::TagEnvironment {
        environment: "prod".to_owned(),
        set: [("tier".to_owned(), "3".to_owned())].into(),
        remove: Vec::new(),
    });
    let last = world.last(ACME);
    world.erase("ada", &last).unwrap();
    assert_eq!(world.environment(1).tags["tier"], "");
    assert_eq!(world.environment(1).tags["team"], "bob");
}

#[test]
fn only_private_bodies_of_the_log_are_erased_each_once() {
    let mut world = World::new();
    world.put("prod").unwrap();
    let bodies = world.last(ACME);
    let (entry, position, digest) = bodies[0];
    let refused = |result: Result<Reply, Refusal>| result.unwrap_err().to_string();
    assert_eq!(
        refused(world.erase(
            "ada",
            &[(entry, position, digest), (entry, position, digest)]
        )),
        format!("bodies[1]: {digest} is named twice")
    );
    let other = Digest([1; 32]);
    assert_eq!(
        refused(world.erase(
            "ada",
            &[(entry, position, digest), (entry, position, other)]
        )),
        format!("bodies[1]: {other} is named twice")
    );
    assert_eq!(
        refused(world.erase("ada", &[(entry, position, other)])),
        format!("bodies[0]: entry {entry} has no private body {other} at position {position}")
    );
    assert_eq!(
        refused(world.erase("ada", &[(99, 0, digest)])),
        format!("bodies[0]: entry 99 has no private body {digest} at position 0")
    );
    // Members and administrators of other things may not.
    assert_eq!(world.erase("bob", &bodies), Err(Refusal::Forbidden));
    world.erase("ada", &bodies).unwrap();
    let index = world.logs[&ACME].len() - 1;
    assert_eq!(
        refused(world.erase("ada", &bodies)),
        format!("bodies[0]: {digest} was erased by entry {index}")
    );
    // Plain bodies stay: the names of tags are one.
    world.acme(Action::TagEnvironment {
        environment: "prod".to_owned(),
        set: [("team".to_owned(), "x".to_owned())].into(),
        remove: Vec::new(),
    });
    let index = world.logs[&ACME].len() as u64 - 1;
    let plain = world.logs[&ACME].last().unwrap().encode().1[0].digest();
    assert_eq!(
        refused(world.erase("ada", &[(index, 0, plain)])),
        format!("bodies[0]: entry {index} has no private body {plain} at position 0")
    );
    assert_eq!(world.erase("ada", &[]), Ok(Reply::Unchanged));
}

#[test]
fn many_bodies_make_several_entries_with_salts_of_their_own() {
    let mut world = World::new();
    let mut bodies = Vec::new();
    for no in 0..=ERASED_BODIES_MAX {
        world.put(&format!("env-{no}")).unwrap();
        bodies.extend(world.last(ACME));
    }
    let before = world.logs[&ACME].len();
    world.erase("ada", &bodies).unwrap();
    let made = &world.logs[&ACME][before..];
    let counts: Vec<usize> = made
        .iter()
        .map(|entry| match &entry.event {
            Event::BodiesErased { bodies, .. } => bodies.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [ERASED_BODIES_MAX, 1]);
    assert_eq!(made[1].subjects, [(Subject::Log, Some(before as u64))]);
    let reasons: Vec<Digest> = made
        .iter()
        .map(|entry| entry.encode().1[0].digest())
        .collect();
    assert_ne!(reasons[0], reasons[1]);
}

#[test]
fn a_text_that_stands_with_settings_stays() {
    let mut world = World::new();
    world.put("prod").unwrap();
    let before = world.environment(1);
    // As the first version wrote it.
    let event = Event::EnvironmentChanged {
        no: EnvironmentNo(1),
        settings: Settings {
            description: "a text of before".to_owned(),
            include_scaling: false,
            require_provenance: false,
            members: Vec::new(),
        },
        snapshot: None,
        salt: [3; 32],
    };
    let subject = Subject::Environment(before.no);
    let previous = world.view.subject(ACME, subject).unwrap();
    let index = world.logs[&ACME].len() as u64;
    let mut entry = world.logs[&ACME].last().unwrap().clone();
    entry.event = event;
    entry.subjects = vec![(subject, previous)];
    world.place(ACME, index, entry);
    let bodies = world.last(ACME);
    let refusal = world.erase("ada", &bodies).unwrap_err().to_string();
    assert!(
        refusal.contains("also holds what the log cannot be replayed without"),
        "{refusal}"
    );
    assert_eq!(world.environment(1).description, "a text of before");
}

#[test]
fn an_erased_person_has_no_name_and_no_keys() {
    let mut world = World::new();
    let bodies: Vec<(u64, u32, Digest)> = world.logs[&SERVER]
        .iter()
        .enumerate()
        .filter(|(_, entry)| {
            let user = world.view.user_named("bob").unwrap().unwrap();
            entry.subjects[0].0 == Subject::User(user)
        })
        .flat_map(|(index, entry)| {
            let bodies = entry.encode().1;
            entry
                .event
                .private_bodies()
                .into_iter()
                .map(move |(position, _)| {
                    (index as u64, position, bodies[position as usize].digest())
                })
        })
        .collect();
    assert_eq!(bodies.len(), 4, "name, e-mail, verifier, description");
    world.server(Action::EraseBodies {
        bodies,
        reason: "left".to_owned(),
    });
    assert_eq!(world.put("prod"), Err(Refusal::Unauthorized));
    let refusal = world
        .submit(
            Caller::System("test"),
            "",
            Action::PutUser {
                name: "(erased 2)".to_owned(),
                email: String::new(),
            },
        )
        .map(|_| ());
    // The erased user has that name now; nobody new gets one like it.
    assert_eq!(refusal, Ok(()));
    let refusal = world
        .submit(
            Caller::System("test"),
            "",
            Action::PutUser {
                name: "(erased 99)".to_owned(),
                email: String::new(),
            },
        )
        .unwrap_err();
    assert!(matches!(refusal, Refusal::NameReserved { .. }), "{refusal}");
    // Another person may come under the old name.
    let reply = world.server(Action::PutUser {
        name: "bob".to_owned(),
        email: String::new(),
    });
    assert_eq!(reply, Reply::Created);
}

#[test]
fn a_closed_organization_lets_nobody_in_and_keeps_its_name() {
    let mut world = World::new();
    world.acme(Action::PutServiceAccount {
        name: "ci".to_owned(),
        role: Role::Admin,
        description: String::new(),
    });
    world.acme(Action::PutServiceAccountKey {
        account: "ci".to_owned(),
        key: key("ci"),
    });
    world.put("prod").unwrap();
    let close = || Action::CloseOrganization {
        name: "acme".to_owned(),
        reason: "sold".to_owned(),
    };
    assert_eq!(world.server(close()), Reply::Changed);
    assert_eq!(world.server(close()), Reply::Unchanged);
    assert_eq!(world.put("more"), Err(Refusal::Forbidden));
    let by_account = world.submit(Caller::Key(key("ci").verifier), "acme", put("more"));
    assert_eq!(by_account, Err(Refusal::Unauthorized));
    let closed = Err(Refusal::OrganizationClosed {
        name: "acme".to_owned(),
    });
    let by_system = world.submit(Caller::System("test"), "acme", put("more"));
    assert_eq!(by_system, closed);
    let again = Action::PutOrganization {
        id: "ffff456789abcdef".to_owned(),
        name: "acme".to_owned(),
        kind: OrganizationKind::Shared,
        public: true,
        description: String::new(),
    };
    assert_eq!(world.submit(Caller::System("test"), "", again), closed);
    let observed = world.acme(Action::RecordObservation {
        environment: EnvironmentNo(1),
        unshared: None,
    });
    assert_eq!(observed, Reply::Unchanged);
    let missing = world.submit(
        Caller::System("test"),
        "",
        Action::CloseOrganization {
            name: "gone".to_owned(),
            reason: String::new(),
        },
    );
    assert!(matches!(missing, Err(Refusal::OrganizationMissing { .. })));
}

#[test]
fn environments_are_limited_and_archived_ones_do_not_count() {
    let mut world = World::new();
    let limit = |number: Limit| Action::PutLimits {
        name: "acme".to_owned(),
        limits: vec![(Limited::Environments, number)],
    };
    assert_eq!(world.server(limit(Limit::AtMost(2))), Reply::Changed);
    assert_eq!(world.server(limit(Limit::AtMost(2))), Reply::Unchanged);
    world.put("one").unwrap();
    world.put("two").unwrap();
    assert_eq!(world.put("two"), Ok(Reply::Unchanged));
    assert_eq!(
        world.put("three").unwrap_err().to_string(),
        "organization 'acme' has reached its limit of 2 environments"
    );
    world.acme(Action::ArchiveEnvironment {
        environment: "one".to_owned(),
    });
    world.put("three").unwrap();
    assert!(world.put("four").is_err());
    assert_eq!(world.server(limit(Limit::Unlimited)), Reply::Changed);
    world.put("four").unwrap();
    assert_eq!(world.server(limit(Limit::Default)), Reply::Changed);
    world.put("five").unwrap();
}

#[test]
fn what_the_first_versions_wrote_still_holds() {
    let mut world = World::new();
    world.put("prod").unwrap();
    let entry = world.logs[&ACME].last().unwrap().clone();
    let user = UserNo(3);
    let place = |world: &mut World, log: OrganizationNo, subject: Subject, event: Event| {
        loop {
            match world.view.subject(log, subject) {
                Ok(previous) => {
                    let entry = Entry {
                        event,
                        subjects: vec![(subject, previous)],
                        ..entry.clone()
                    };
                    // As it is read back from a log.
                    let (bytes, bodies) = entry.encode();
                    let bodies: Vec<_> =
                        bodies.iter().map(|body| body.in_hand().cloned()).collect();
                    let entry = Entry::decode(&bytes, &bodies).unwrap();
                    let index = world.logs[&log].len() as u64;
                    return world.place(log, index, entry);
                }
                Err(need) => world.load(need.0),
            }
        }
    };
    let (name, salt) = ("eve".to_owned(), [4; 32]);
    for event in [
        Event::UserCreated {
            no: user,
            name: name.clone(),
            email: "eve@example.com".to_owned(),
            salt,
        },
        Event::UserChanged {
            no: user,
            name,
            email: "eve@example.org".to_owned(),
            salt,
        },
        Event::UserKeyCreated {
            user,
            key: "id-of-eve".to_owned(),
            expires_at: None,
            secret: KeySecret {
                verifier: key("eve").verifier,
                description: "a key".to_owned(),
            },
            salt,
        },
    ] {
        place(&mut world, SERVER, Subject::User(user), event);
    }
    world.acme(Action::PutRole {
        user: "eve".to_owned(),
        role: Role::Member,
    });
    let no = EnvironmentNo(2);
    for event in [
        Event::EnvironmentCreated {
            no,
            name: "old".to_owned(),
            kind: EnvironmentKind::Server,
            settings: Settings {
                description: "an old text".to_owned(),
                include_scaling: true,
                require_provenance: true,
                members: Vec::new(),
            },
            snapshot: None,
            salt,
        },
        Event::EnvironmentTagged {
            no,
            set: [("team".to_owned(), "x".to_owned())].into(),
            removed: vec!["gone".to_owned()],
            salt,
        },
    ] {
        place(&mut world, ACME, Subject::Environment(no), event);
    }
    let known = world.environment(2);
    assert_eq!(known.description, "an old text");
    assert!(known.include_scaling && known.require_provenance);
    assert_eq!(known.tags["team"], "x");
    let by_eve = world.submit(Caller::Key(key("eve").verifier), "acme", put("next"));
    assert_eq!(
        by_eve,
        Ok(Reply::Created),
        "its number follows the old one's"
    );
    assert_eq!(world.environment(3).name, "next");
    // A text of today takes the place of one of then, and only it can be erased.
    world.acme(Action::PatchEnvironment(PatchEnvironment {
        environment: "old".to_owned(),
        description: Some("a new text".to_owned()),
        ..PatchEnvironment::default()
    }));
    let bodies = world.last(ACME);
    world.erase("ada", &bodies).unwrap();
    let known = world.environment(2);
    assert_eq!(known.description, "");
    assert!(known.include_scaling && known.require_provenance);
}
