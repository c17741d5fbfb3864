//! Custom types of attestation and controls: versions, what judges, what is decided about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_model::command::{
    Action, Attest, Caller, ControlAction, FlowAction, Refusal, Reply, TypeAction,
};
use runstone_model::control::{ChangeControl, ControlTexts};
use runstone_model::event::{ControlEvent, Event, FlowEvent, TypeEvent};
use runstone_model::fact::{Control, ControlNo, CustomType, TypeNo};

use crate::decisions::{ACME, World, key};

fn put_type(name: &str, description: Option<&str>) -> Action {
    Action::Type(TypeAction::Put {
        name: name.to_owned(),
        description: description.map(ToOwned::to_owned),
        comment: Some("why".to_owned()),
        definition: r#"{"type_schema":null,"evaluator":{"content_type":"default"}}"#.into(),
    })
}

fn archive_type(name: &str) -> Action {
    Action::Type(TypeAction::Archive {
        name: name.to_owned(),
    })
}

fn attest(kind: &str, version: Option<u32>, control: Option<&str>) -> Action {
    Action::Flow(FlowAction::Attest(Box::new(Attest {
        flow: "web".to_owned(),
        trail: "t1".to_owned(),
        name: "gate".to_owned(),
        kind: kind.to_owned(),
        is_compliant: true,
        fingerprint: None,
        targets: Vec::new(),
        commit: None,
        repo: None,
        original_kind: None,
        version,
        control: control.map(ToOwned::to_owned),
        content: "{}".into(),
        attachment: None,
    })))
}

fn control(action: ControlAction) -> Action {
    Action::Control(action)
}

fn create(identifier: &str, name: &str) -> Action {
    control(ControlAction::Create {
        identifier: identifier.to_owned(),
        texts: ControlTexts {
            name: name.to_owned(),
            description: Some("what it is".to_owned()),
            links: BTreeMap::new(),
        },
    })
}

fn change(identifier: &str, change: ChangeControl) -> Action {
    control(ControlAction::Change {
        identifier: identifier.to_owned(),
        change,
    })
}

fn tag(identifier: &str, value: &str) -> Action {
    control(ControlAction::Tag {
        identifier: identifier.to_owned(),
        set: [("team".to_owned(), value.to_owned())].into(),
        remove: Vec::new(),
    })
}

impl World {
    fn bob(&mut self, action: Action) -> Result<Reply, Refusal> {
        self.submit(Caller::Key(key("bob").verifier), "acme", action)
    }

    fn custom_type(&self, no: u32) -> Arc<CustomType> {
        self.view.custom_type(ACME, TypeNo(no)).unwrap().unwrap()
    }

    fn control(&self, no: u32) -> Arc<Control> {
        self.view.control(ACME, ControlNo(no)).unwrap().unwrap()
    }

    /// The version with which the last attestation was recorded.
    fn recorded(&self) -> Option<u32> {
        match &self.logs[&ACME].last().unwrap().event {
            Event::Flow(FlowEvent::Attested { version, .. }) => *version,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_put_of_a_type_is_a_version_and_an_archived_one_comes_back() {
    let mut world = World::new();
    let put = |text| put_type("person", text);
    assert_eq!(world.bob(put(Some("first"))), Ok(Reply::Created));
    assert_eq!(world.bob(put_type("other", None)), Ok(Reply::Created));
    assert_eq!(world.bob(put(None)), Ok(Reply::Created));
    let known = world.custom_type(1);
    assert_eq!(
        (known.versions, known.description.as_deref()),
        (2, Some("first"))
    );
    assert_eq!(world.custom_type(2).name, "other");
    assert_eq!(world.bob(archive_type("person")), Ok(Reply::Changed));
    assert_eq!(world.bob(archive_type("person")), Ok(Reply::Unchanged));
    assert!(world.custom_type(1).archived_at.is_some());
    assert_eq!(world.bob(put(Some(""))), Ok(Reply::Created));
    let known = world.custom_type(1);
    assert_eq!((known.versions, known.archived_at), (3, None));
    assert_eq!(known.description, None, "an empty text clears it");
    let log = &world.logs[&ACME];
    assert!(matches!(
        &log[log.len() - 2].event,
        Event::Type(TypeEvent::Restored { no: TypeNo(1) })
    ));
    assert_eq!(
        world.bob(archive_type("nobody")),
        Err(Refusal::TypeMissing {
            name: "nobody".to_owned(),
            organization: "acme".to_owned()
        })
    );
}

#[test]
fn only_the_newest_version_of_a_living_type_judges() {
    let mut world = World::new();
    let kind = "custom:person";
    let missing = Err(Refusal::TypeMissing {
        name: "person".to_owned(),
        organization: "acme".to_owned(),
    });
    let stale = Err(Refusal::TypeChangedMeanwhile {
        name: "person".to_owned(),
    });
    assert_eq!(world.bob(attest(kind, Some(1), None)), missing);
    world.acme(put_type("person", None));
    assert_eq!(world.bob(attest(kind, None, None)), stale);
    assert_eq!(world.bob(attest(kind, Some(1), None)), Ok(Reply::Created));
    assert_eq!(world.recorded(), Some(1));
    world.acme(put_type("person", None));
    assert_eq!(world.bob(attest(kind, Some(1), None)), stale);
    assert_eq!(world.bob(attest(kind, Some(2), None)), Ok(Reply::Created));
    assert_eq!(world.recorded(), Some(2));
    world.acme(archive_type("person"));
    assert_eq!(world.bob(attest(kind, Some(2), None)), missing);
    world.acme(put_type("person", None));
    assert_eq!(world.bob(attest(kind, Some(3), None)), Ok(Reply::Created));
    // What is no custom type has no version of one.
    assert_eq!(
        world.bob(attest("generic", Some(9), None)),
        Ok(Reply::Created)
    );
    assert_eq!(world.recorded(), None);
}

#[test]
fn a_control_is_unique_and_decisions_name_its_version() {
    let mut world = World::new();
    let decide = |identifier| attest("system:decision", None, Some(identifier));
    assert_eq!(world.bob(decide("SDLC-1")), Ok(Reply::Created));
    assert_eq!(world.recorded(), None, "there is no such control yet");
    assert_eq!(
        world.bob(create("SDLC-1", "Review")),
        Err(Refusal::Forbidden),
        "controls are for administrators"
    );
    assert_eq!(world.acme(create("SDLC-1", "Review")), Reply::Created);
    assert_eq!(world.acme(create("SDLC-2", "Other")), Reply::Created);
    world.bob(decide("SDLC-1")).unwrap();
    assert_eq!(world.recorded(), Some(1));
    let renamed = ChangeControl {
        name: Some("Four eyes".to_owned()),
        ..ChangeControl::default()
    };
    assert_eq!(world.acme(change("SDLC-1", renamed)), Reply::Changed);
    assert_eq!(
        world.acme(change("SDLC-1", ChangeControl::default())),
        Reply::Changed
    );
    let known = world.control(1);
    assert_eq!(known.version, 3, "it grows with every change");
    assert_eq!(known.texts.name, "Four eyes");
    assert_eq!(known.texts.description.as_deref(), Some("what it is"));
    for (action, reply) in [
        (true, Reply::Changed),
        (true, Reply::Unchanged),
        (false, Reply::Changed),
        (false, Reply::Unchanged),
        (true, Reply::Changed),
    ] {
        let identifier = "SDLC-1".to_owned();
        let action = if action {
            ControlAction::Archive { identifier }
        } else {
            ControlAction::Restore { identifier }
        };
        assert_eq!(world.acme(control(action)), reply);
    }
    world.bob(decide("SDLC-1")).unwrap();
    assert_eq!(world.recorded(), Some(3), "also of an archived one");
    let exists = Refusal::ControlExists {
        identifier: "SDLC-1".to_owned(),
        organization: "acme".to_owned(),
    };
    let system = Caller::System("test");
    assert_eq!(
        world.submit(system.clone(), "acme", create("SDLC-1", "again")),
        Err(exists)
    );
    assert_eq!(
        world.submit(system, "acme", tag("SDLC-9", "red")),
        Err(Refusal::ControlMissing {
            identifier: "SDLC-9".to_owned(),
            organization: "acme".to_owned()
        })
    );
    assert_eq!(world.acme(tag("SDLC-2", "red")), Reply::Changed);
    assert_eq!(world.acme(tag("SDLC-2", "red")), Reply::Unchanged);
    assert_eq!(world.control(2).tags["team"], "red");
}

#[test]
fn erased_texts_of_types_and_controls_are_empty_and_the_rest_stays() {
    let mut world = World::new();
    world.acme(put_type("person", Some("old")));
    let old = world.last(ACME);
    assert_eq!(old.len(), 2, "a description and a comment");
    world.acme(put_type("person", Some("new")));
    let new = world.last(ACME);
    world.erase("ada", &old).unwrap();
    assert_eq!(world.custom_type(1).description.as_deref(), Some("new"));
    world.erase("ada", &new).unwrap();
    assert_eq!(world.custom_type(1).description, None);
    assert_eq!(world.custom_type(1).versions, 2);

    world.acme(create("SDLC-1", "first"));
    let first = world.last(ACME);
    let renamed = ChangeControl {
        name: Some("second".to_owned()),
        ..ChangeControl::default()
    };
    world.acme(change("SDLC-1", renamed));
    let second = world.last(ACME);
    world.acme(tag("SDLC-1", "red"));
    let tags = world.last(ACME);
    world.erase("ada", &first).unwrap();
    assert_eq!(world.control(1).texts.name, "second");
    world.erase("ada", &second).unwrap();
    world.erase("ada", &tags).unwrap();
    let known = world.control(1);
    assert_eq!(known.texts, ControlTexts::default());
    assert_eq!(known.tags["team"], "");
    assert_eq!((known.identifier.as_str(), known.version), ("SDLC-1", 2));
    assert!(
        world.logs[&ACME]
            .iter()
            .any(|entry| matches!(&entry.event, Event::Control(ControlEvent::Tagged { .. })))
    );
}
