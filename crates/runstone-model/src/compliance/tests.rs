//! Tables for every observed fact and every choice, and properties against a second evaluation
//! that is written down from the contract and knows no counting.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const A: Fingerprint = Fingerprint([0xaa; 32]);
const B: Fingerprint = Fingerprint([0xbb; 32]);
const C1: CommitBytes = [1; 20];
const C2: CommitBytes = [2; 20];

struct Plain;

impl Ids for Plain {
    fn template(&self, no: u32) -> String {
        format!("template-{no}")
    }
    fn artifact(&self, no: u32) -> String {
        format!("artifact-{no}")
    }
    fn attestation(&self, no: u32) -> String {
        format!("attestation-{no}")
    }
}

/// A trail told step by step; every step takes a second and is checked against the second
/// evaluation, the counts taken anew and a state built from nothing.
struct Story {
    state: TrailState,
    facts: Vec<TrailFact>,
    begun: Arc<Template>,
    seconds: i64,
    no: u32,
}

fn template(text: &str) -> Arc<Template> {
    Arc::new(Template::read(text.as_bytes()).unwrap())
}

impl Story {
    fn of(template: Arc<Template>) -> Self {
        Self {
            state: TrailState::new(1, template.clone(), Micros(0)),
            facts: Vec::new(),
            begun: template,
            seconds: 0,
            no: 0,
        }
    }

    fn begin(text: &str) -> Self {
        Self::of(template(text))
    }

    fn tell(&mut self, fact: TrailFact) {
        self.facts.push(fact.clone());
        self.state.apply(fact);
        self.check();
    }

    fn check(&self) {
        let mut again = TrailState::new(1, self.begun.clone(), Micros(0));
        for fact in &self.facts {
            again.apply(fact.clone());
        }
        assert_eq!(again, self.state);
        assert_eq!(again.status(), self.state.status());
        // What was counted report by report is what is counted anew.
        let mut counted = self.state.clone();
        counted.judge_everything();
        assert_eq!(counted.judged, self.state.judged);
        assert_eq!(counted.trail_tally, self.state.trail_tally);
        assert_eq!(counted.artifacts_tally, self.state.artifacts_tally);
        let slow = slow(&self.state.template, &self.facts);
        let status = self.state.status();
        assert_eq!(status.state, slow.state, "{:?}", self.facts);
        let states: BTreeMap<String, Option<State>> = status
            .artifacts
            .iter()
            .map(|artifact| (artifact.shown.clone(), artifact.state))
            .collect();
        assert_eq!(states, slow.artifacts, "{:?}", self.facts);
        for (key, records) in &self.state.records {
            for fingerprint in records.keys() {
                let by_status = self.state.artifact_status(key.name(), *fingerprint);
                let by_count = self.state.artifact_state(key.name(), *fingerprint);
                assert_eq!(by_status.unwrap().state, by_count);
                assert!(self.state.knows(*fingerprint));
            }
        }
    }

    fn tick(&mut self) -> (u32, Micros) {
        self.no += 1;
        self.seconds += 1;
        (self.no, Micros(self.seconds * Micros::SECOND))
    }

    fn artifact(&mut self, name: &str, fingerprint: Fingerprint, commit: CommitBytes) {
        let (no, at) = self.tick();
        self.tell(TrailFact::Artifact(ArtifactReport {
            no,
            name: (!name.is_empty()).then(|| name.to_owned()),
            fingerprint,
            commit: Some(commit),
            at,
        }));
    }

    fn report(&mut self, binding: Binding, name: &str, kind: &str, compliant: bool, over: bool) {
        let (no, at) = self.tick();
        self.tell(TrailFact::Attestation(AttestationReport {
            no,
            name: name.to_owned(),
            kind: kind.to_owned(),
            compliant,
            overrides: over,
            binding,
            at,
        }));
    }

    fn trail(&mut self, name: &str, kind: &str, compliant: bool) {
        self.report(Binding::Trail, name, kind, compliant, false);
    }

    fn on(&mut self, fingerprint: Fingerprint, name: &str, kind: &str, compliant: bool) {
        let binding = Binding::Artifact(fingerprint);
        self.report(binding, name, kind, compliant, false);
    }

    fn target(&mut self, target: &str, commit: CommitBytes, name: &str, compliant: bool) {
        let binding = targets(&[target], commit);
        self.report(binding, name, "generic", compliant, false);
    }

    fn change(&mut self, text: &str) {
        let no = self.state.template_no + 1;
        self.tell(TrailFact::Template {
            no,
            template: template(text),
        });
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.state.status().to_json(&Plain)).unwrap()
    }

    /// `STATE`, then the trail's attestations, then each artifact: `name=STATUS[attestations]`.
    /// Attestations: `name:kind` and `-` (missing), `+` or `!` (says no), `?` if unexpected.
    fn line(&self) -> String {
        let status = self.state.status();
        let list = |statuses: &[AttestationStatus<'_>]| -> String {
            let words: Vec<String> = statuses
                .iter()
                .map(|status| {
                    let sign = match status.report {
                        None => "-",
                        Some((_, true)) => "+",
                        Some((_, false)) => "!",
                    };
                    let unexpected = if status.unexpected { "?" } else { "" };
                    format!("{}:{}{sign}{unexpected}", status.name, status.kind)
                })
                .collect();
            words.join(" ")
        };
        let mut words = vec![
            status.state.as_wire().to_owned(),
            list(&status.attestations),
        ];
        for artifact in &status.artifacts {
            let unexpected = if artifact.unexpected { "?" } else { "" };
            words.push(format!(
                "{}{unexpected}={}[{}]",
                artifact.shown,
                artifact.status(),
                list(&artifact.attestations)
            ));
        }
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    #[track_caller]
    fn expect(&self, line: &str) {
        assert_eq!(self.line(), line);
    }
}

fn targets(names: &[&str], commit: CommitBytes) -> Binding {
    Binding::Targets {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        commit,
    }
}

// ---- A second evaluation, from the text of section 6 ----

struct Slow {
    state: State,
    artifacts: BTreeMap<String, Option<State>>,
}

fn slow(template: &Template, facts: &[TrailFact]) -> Slow {
    let reports: Vec<&AttestationReport> = facts
        .iter()
        .filter_map(|fact| match fact {
            TrailFact::Attestation(report) => Some(report),
            _ => None,
        })
        .collect();
    // "bad" and "missing" of one scope, told by which reports count there.
    let judge = |demanded: &AttestationSlots, counts: &dyn Fn(&Binding) -> bool| {
        let mut newest: BTreeMap<&str, &AttestationReport> = BTreeMap::new();
        for report in &reports {
            if counts(&report.binding) {
                newest.insert(&report.name, report);
            }
        }
        let bad = newest.values().any(|report| !report.compliant);
        let missing = demanded.iter().any(|slot| {
            !newest
                .get(slot.name.as_str())
                .is_some_and(|report| slot.demand.accepts(&report.kind))
        });
        (bad, missing)
    };
    let (trail_bad, trail_missing) = judge(&template.attestations, &|binding| {
        *binding == Binding::Trail
    });

    let mut newest: BTreeMap<String, Option<&ArtifactReport>> = BTreeMap::new();
    for slot in template.artifacts() {
        newest.insert(slot.name.clone(), None);
    }
    for report in &reports {
        if let Binding::Targets { names, .. } = &report.binding {
            for name in names {
                newest.insert(name.clone(), None);
            }
        }
    }
    for fact in facts {
        if let TrailFact::Artifact(report) = fact {
            let shown = report.name.clone();
            newest.insert(
                shown.unwrap_or_else(|| report.fingerprint.to_hex()),
                Some(report),
            );
        }
    }
    let (mut any_bad, mut any_missing) = (trail_bad, trail_missing);
    let mut artifacts = BTreeMap::new();
    for (shown, report) in newest {
        let Some(report) = report else {
            let (bad, _) = judge(
                &AttestationSlots::default(),
                &|binding| matches!(binding, Binding::Targets { names, .. } if names.contains(&shown)),
            );
            any_bad |= bad;
            any_missing |= template.artifact(&shown).is_some();
            artifacts.insert(shown, None);
            continue;
        };
        let (bad, missing) =
            judge(
                template.demanded_of(report.name.as_deref()),
                &|binding| match binding {
                    Binding::Trail => false,
                    Binding::Artifact(fingerprint) => *fingerprint == report.fingerprint,
                    Binding::Targets { names, commit } => {
                        report.commit == Some(*commit)
                            && report
                                .name
                                .as_ref()
                                .is_some_and(|name| names.contains(name))
                    }
                },
            );
        any_bad |= bad;
        any_missing |= missing;
        let state = if bad || trail_bad {
            State::NonCompliant
        } else if missing || trail_missing {
            State::Incomplete
        } else {
            State::Compliant
        };
        artifacts.insert(shown, Some(state));
    }
    let state = if any_bad {
        State::NonCompliant
    } else if any_missing {
        State::Incomplete
    } else {
        State::Compliant
    };
    Slow { state, artifacts }
}

// ---- Tables ----

const FULL: &str = "trail:
  attestations: [{name: pr, type: pull_request}]
  artifacts:
    - {name: web, attestations: [{name: test, type: junit}, {name: scan, type: snyk}]}
    - {name: db}
";

#[test]
fn fact_1_and_6_what_is_missing_makes_incomplete() {
    let mut story = Story::begin("trail: {attestations: [{name: pr, type: pull_request}]}");
    story.expect("INCOMPLETE pr:pull_request-");
    story.trail("pr", "pull_request", true);
    story.expect("COMPLIANT pr:pull_request+");

    let mut story = Story::begin(
        "trail: {artifacts: [{name: web, attestations: [{name: test, type: junit}]}]}",
    );
    story.expect("INCOMPLETE web=MISSING[test:junit-]");
    story.artifact("web", A, C1);
    story.expect("INCOMPLETE web=INCOMPLETE[test:junit-]");
    story.on(A, "test", "junit", true);
    story.expect("COMPLIANT web=COMPLIANT[test:junit+]");
}

#[test]
fn fact_2_a_missing_attestation_of_the_trail_holds_its_artifacts() {
    let mut story = Story::begin(FULL);
    story.artifact("db", B, C1);
    story.artifact("web", A, C1);
    story.on(A, "test", "junit", true);
    story.on(A, "scan", "snyk", true);
    story.expect(
        "INCOMPLETE pr:pull_request- web=INCOMPLETE[test:junit+ scan:snyk+] db=INCOMPLETE[]",
    );
    story.trail("pr", "pull_request", true);
    story.expect("COMPLIANT pr:pull_request+ web=COMPLIANT[test:junit+ scan:snyk+] db=COMPLIANT[]");
    // By symmetry, one that says no.
    story.trail("pr", "pull_request", false);
    story.expect(
        "NON-COMPLIANT pr:pull_request! web=NON-COMPLIANT[test:junit+ scan:snyk+] db=NON-COMPLIANT[]",
    );
}

#[test]
fn fact_3_a_missing_sibling_changes_no_other_artifact() {
    let mut story = Story::begin("trail: {artifacts: [{name: web}, {name: db}]}");
    story.artifact("web", A, C1);
    story.expect("INCOMPLETE web=COMPLIANT[] db=MISSING[]");
    story.artifact("db", B, C1);
    story.expect("COMPLIANT web=COMPLIANT[] db=COMPLIANT[]");
}

#[test]
fn facts_4_and_5_unexpected_attestations_change_only_what_they_deny() {
    let mut story = Story::begin("trail: {artifacts: [{name: web}, {name: db}]}");
    story.artifact("web", A, C1);
    story.artifact("db", B, C1);
    story.on(A, "lint", "generic", true);
    story.trail("audit", "generic", true);
    story.expect("COMPLIANT audit:generic+? web=COMPLIANT[lint:generic+?] db=COMPLIANT[]");
    story.on(A, "lint", "generic", false);
    story.expect("NON-COMPLIANT audit:generic+? web=NON-COMPLIANT[lint:generic!?] db=COMPLIANT[]");
    story.on(A, "lint", "generic", true);
    story.trail("audit", "generic", false);
    story.expect(
        "NON-COMPLIANT audit:generic!? web=NON-COMPLIANT[lint:generic+?] db=NON-COMPLIANT[]",
    );
}

#[test]
fn facts_7_8_and_9_the_empty_template_judges_only_what_is_reported() {
    let mut story = Story::begin(crate::template::EMPTY_TEXT);
    story.expect("COMPLIANT");
    story.artifact("", A, C1);
    story.expect(&format!("COMPLIANT {A}?=COMPLIANT[]"));
    story.artifact("web", B, C1);
    story.trail("pr", "pull_request", true);
    story.expect(&format!(
        "COMPLIANT pr:pull_request+? {A}?=COMPLIANT[] web?=COMPLIANT[]"
    ));
    story.on(B, "test", "junit", false);
    story.expect(&format!(
        "NON-COMPLIANT pr:pull_request+? {A}?=COMPLIANT[] web?=NON-COMPLIANT[test:junit!?]"
    ));
}

#[test]
fn o2_what_says_no_outweighs_what_is_missing() {
    let mut story = Story::begin(FULL);
    story.artifact("web", A, C1);
    story.on(A, "test", "junit", false);
    story.expect(
        "NON-COMPLIANT pr:pull_request- web=NON-COMPLIANT[test:junit! scan:snyk-] db=MISSING[]",
    );
}

#[test]
fn o3_another_kind_does_not_fill_the_slot() {
    let mut story = Story::begin(
        "trail: {attestations: [{name: a, type: generic}, {name: b, type: '*'}, {name: c, type: decision}, {name: d, type: 'custom:x'}]}",
    );
    story.trail("z", "jira", true);
    story.trail("a", "junit", true);
    story.trail("b", "junit", true);
    story.trail("c", "system:decision", true);
    story.trail("d", "custom:x", true);
    story
        .expect("INCOMPLETE a:generic- b:junit+ c:system:decision+ d:custom:x+ z:jira+? a:junit+?");
    story.trail("a", "junit", false);
    story.expect(
        "NON-COMPLIANT a:generic- b:junit+ c:system:decision+ d:custom:x+ z:jira+? a:junit!?",
    );
    story.trail("a", "generic", true);
    story.trail("d", "custom:y", true);
    story.expect(
        "INCOMPLETE a:generic+ b:junit+ c:system:decision+ d:custom:x- z:jira+? d:custom:y+?",
    );
    story.trail("a", "junit", true);
    // The newest report of a name counts, whatever its kind.
    story.expect(
        "INCOMPLETE a:generic- b:junit+ c:system:decision+ d:custom:x- z:jira+? a:junit+? d:custom:y+?",
    );
}

#[test]
fn missing_slots_show_the_kind_as_statuses_spell_it() {
    let story =
        Story::begin("trail: {attestations: [{name: a, type: '*'}, {name: c, type: decision}]}");
    story.expect("INCOMPLETE a:*- c:system:decision-");
}

#[test]
fn o14_and_o15_overrides() {
    let mut story = Story::begin("trail: {attestations: [{name: t, type: junit}]}");
    story.report(Binding::Trail, "t", "junit", true, true);
    story.expect("COMPLIANT t:junit+");
    let slot = |story: &Story| story.json()["attestations_statuses"][0].clone();
    assert_eq!(slot(&story)["attestation_id"], "attestation-1");
    assert_eq!(slot(&story)["overridden_attestation_id"], Value::Null);
    story.trail("t", "junit", false);
    story.expect("NON-COMPLIANT t:junit!");
    assert_eq!(slot(&story)["overridden_attestation_id"], Value::Null);
    story.report(Binding::Trail, "t", "junit", true, true);
    story.expect("COMPLIANT t:junit+");
    assert_eq!(slot(&story)["overridden_attestation_id"], "attestation-2");
    story.report(Binding::Trail, "t", "junit", false, true);
    assert_eq!(slot(&story)["overridden_attestation_id"], "attestation-3");
    story.report(Binding::Trail, "t", "generic", true, true);
    story.expect("INCOMPLETE t:junit- t:generic+?");
}

#[test]
fn an_override_replaces_what_counted_however_it_was_bound() {
    let mut story = Story::begin("version: 1");
    assert_eq!(story.state.newest("t", &Binding::Artifact(A)), None);
    story.target("web", C1, "t", false);
    story.artifact("web", A, C1);
    assert_eq!(story.state.newest("t", &Binding::Artifact(A)), Some(1));
    assert_eq!(story.state.newest("u", &Binding::Artifact(A)), None);
    assert_eq!(story.state.newest("t", &Binding::Artifact(B)), None);
    assert_eq!(story.state.newest("t", &Binding::Trail), None);
    story.report(Binding::Artifact(A), "t", "generic", true, true);
    story.expect("COMPLIANT web?=COMPLIANT[t:generic+?]");
    let slot = &story.json()["artifacts_statuses"]["web"]["attestations_statuses"][0];
    assert_eq!(slot["overridden_attestation_id"], "attestation-1");
    // And the other way round.
    assert_eq!(story.state.newest("t", &targets(&["web"], C1)), Some(3));
    assert_eq!(story.state.newest("t", &targets(&["web"], C2)), None);
    assert_eq!(
        story.state.newest("t", &targets(&["db", "web"], C1)),
        Some(3)
    );
    story.report(targets(&["web"], C1), "t", "generic", false, true);
    story.expect("NON-COMPLIANT web?=NON-COMPLIANT[t:generic!?]");
    let slot = &story.json()["artifacts_statuses"]["web"]["attestations_statuses"][0];
    assert_eq!(slot["overridden_attestation_id"], "attestation-3");
    assert_eq!(story.state.newest("t", &Binding::Artifact(A)), Some(4));
    story.trail("t", "generic", true);
    assert_eq!(story.state.newest("t", &Binding::Trail), Some(5));
}

#[test]
fn o24_the_legacy_list_asks_every_artifact() {
    let names = ["artifact", "test"].map(ToOwned::to_owned).to_vec();
    let mut story = Story::of(Arc::new(Template::legacy(names)));
    story.expect("COMPLIANT");
    story.artifact("", A, C1);
    story.artifact("web", B, C1);
    story.expect(&format!(
        "INCOMPLETE {A}?=INCOMPLETE[test:*-] web?=INCOMPLETE[test:*-]"
    ));
    story.on(A, "test", "snyk", true);
    story.on(B, "test", "junit", true);
    story.expect(&format!(
        "COMPLIANT {A}?=COMPLIANT[test:snyk+] web?=COMPLIANT[test:junit+]"
    ));
}

#[test]
fn o25_attestations_wait_for_their_artifact_in_either_order() {
    let mut story = Story::begin(FULL);
    story.target("web", C1, "test", true);
    story.expect(
        "INCOMPLETE pr:pull_request- web=MISSING[test:junit- scan:snyk- test:generic+?] db=MISSING[]",
    );
    story.report(
        targets(&["web", "db", "web"], C1),
        "test",
        "junit",
        true,
        false,
    );
    story.expect(
        "INCOMPLETE pr:pull_request- web=MISSING[test:junit+ scan:snyk-] db=MISSING[test:junit+?]",
    );
    story.artifact("web", A, C1);
    story.expect(
        "INCOMPLETE pr:pull_request- web=INCOMPLETE[test:junit+ scan:snyk-] db=MISSING[test:junit+?]",
    );
    story.report(targets(&["web"], C1), "scan", "snyk", true, false);
    story.artifact("db", B, C2);
    story.trail("pr", "pull_request", true);
    // Of another commit: not what was attested.
    story.expect("COMPLIANT pr:pull_request+ web=COMPLIANT[test:junit+ scan:snyk+] db=COMPLIANT[]");
}

#[test]
fn what_waits_and_says_no_is_not_green() {
    let mut story = Story::begin("version: 1");
    story.target("web", C1, "test", true);
    story.expect("COMPLIANT web?=MISSING[test:generic+?]");
    story.target("web", C1, "lint", false);
    story.expect("NON-COMPLIANT web?=MISSING[test:generic+? lint:generic!?]");
    // A later commit is fine: what counts is the newest of the name.
    story.target("web", C2, "lint", true);
    story.expect("COMPLIANT web?=MISSING[test:generic+? lint:generic+?]");
    story.artifact("web", A, C1);
    story.expect("NON-COMPLIANT web?=NON-COMPLIANT[test:generic+? lint:generic!?]");
    story.artifact("web", B, C2);
    story.expect("COMPLIANT web?=COMPLIANT[lint:generic+?]");
    story.artifact("web", A, C1);
    story.expect("NON-COMPLIANT web?=NON-COMPLIANT[test:generic+? lint:generic!?]");
}

#[test]
fn announced_artifacts_come_last_in_the_order_of_their_first_attestation() {
    let mut story = Story::begin("trail: {artifacts: [{name: y}, {name: b}]}");
    story.target("z", C1, "t", true);
    story.target("a", C1, "t", true);
    story.artifact("q", A, C1);
    story.artifact("c", B, C1);
    story.expect(
        "INCOMPLETE y=MISSING[] b=MISSING[] q?=COMPLIANT[] c?=COMPLIANT[] z?=MISSING[t:generic+?] a?=MISSING[t:generic+?]",
    );
}

#[test]
fn a_report_again_shows_the_newest_and_keeps_what_was_attested() {
    let mut story = Story::begin(FULL);
    story.artifact("web", A, C1);
    story.on(A, "test", "junit", true);
    story.artifact("web", A, C1);
    let web = story.json()["artifacts_statuses"]["web"].clone();
    assert_eq!(web["artifact_id"], "artifact-3");
    assert_eq!(web["evaluated_at"], json!(3.0));
    assert_eq!(
        web["attestations_statuses"][0]["attestation_id"],
        "attestation-2"
    );
    // Another fingerprint: what was said of the first does not count for it.
    story.artifact("web", B, C1);
    story.expect("INCOMPLETE pr:pull_request- web=INCOMPLETE[test:junit- scan:snyk-] db=MISSING[]");
    // What is said of the first from now on changes nothing, but is there when it comes back.
    story.on(A, "test", "junit", false);
    story.on(A, "scan", "snyk", true);
    story.expect("INCOMPLETE pr:pull_request- web=INCOMPLETE[test:junit- scan:snyk-] db=MISSING[]");
    let old = story.state.artifact_status(Some("web"), A).unwrap();
    assert_eq!(old.state, Some(State::NonCompliant));
    assert_eq!(old.report, Some((3, A)));
    assert_eq!(story.state.artifact_status(Some("db"), A), None);
    assert_eq!(story.state.artifact_state(None, A), None);
    story.artifact("web", A, C1);
    story.expect(
        "NON-COMPLIANT pr:pull_request- web=NON-COMPLIANT[test:junit! scan:snyk+] db=MISSING[]",
    );
    assert!(!story.state.knows(Fingerprint([7; 32])));
}

#[test]
fn a_report_again_with_another_commit_loses_what_waited_for_the_first() {
    let mut story =
        Story::begin("trail: {artifacts: [{name: web, attestations: [{name: t, type: '*'}]}]}");
    story.target("web", C1, "t", true);
    story.artifact("web", A, C1);
    story.expect("COMPLIANT web=COMPLIANT[t:generic+]");
    story.artifact("web", A, C2);
    story.expect("INCOMPLETE web=INCOMPLETE[t:*-]");
    story.target("web", C1, "t", false);
    story.expect("INCOMPLETE web=INCOMPLETE[t:*-]");
}

#[test]
fn one_fingerprint_under_two_names_is_attested_once() {
    let mut story = Story::begin("version: 1");
    story.artifact("web", A, C1);
    story.artifact("app", A, C1);
    story.on(A, "t", "generic", false);
    story.expect("NON-COMPLIANT web?=NON-COMPLIANT[t:generic!?] app?=NON-COMPLIANT[t:generic!?]");
    assert_eq!(story.state.keys_of(A).count(), 2);
    story.target("app", C1, "t", true);
    // The newer of both counts, for the name it was meant for.
    story.expect("NON-COMPLIANT web?=NON-COMPLIANT[t:generic!?] app?=COMPLIANT[t:generic+?]");
    story.on(A, "t", "generic", true);
    story.expect("COMPLIANT web?=COMPLIANT[t:generic+?] app?=COMPLIANT[t:generic+?]");
}

#[test]
fn unexpected_ones_stand_in_the_order_of_their_first_report() {
    let mut story = Story::begin("version: 1");
    for name in ["m", "b", "z", "a"] {
        story.trail(name, "generic", true);
    }
    story.trail("z", "generic", true);
    story.trail("m", "generic", true);
    story.expect("COMPLIANT m:generic+? b:generic+? z:generic+? a:generic+?");
    story.artifact("web", A, C1);
    story.target("web", C1, "x", true);
    story.on(A, "c", "generic", true);
    story.on(A, "x", "generic", true);
    assert!(
        story
            .line()
            .ends_with("web?=COMPLIANT[x:generic+? c:generic+?]")
    );
    // So do artifacts, whichever was reported last.
    story.artifact("app", B, C1);
    story.artifact("web", A, C1);
    assert!(story.line().ends_with("c:generic+?] app?=COMPLIANT[]"));
}

#[test]
fn times_and_templates_of_evaluations() {
    let mut story = Story::begin(FULL);
    assert_eq!(story.json()["evaluated_at"], json!(0.0));
    story.artifact("web", A, C1);
    story.change("trail: {artifacts: [{name: web, attestations: [{name: test, type: junit}]}]}");
    let status = story.json();
    assert_eq!(status["evaluated_at"], json!(1.0));
    assert_eq!(status["flow_template_id"], "template-2");
    // Judged by the new one, but last seen under the old one.
    assert_eq!(
        status["artifacts_statuses"]["web"]["flow_template_id"],
        "template-1"
    );
    story.expect("INCOMPLETE web=INCOMPLETE[test:junit-]");
    story.on(A, "test", "junit", true);
    story.trail("pr", "pull_request", true);
    let status = story.json();
    assert_eq!(status["evaluated_at"], json!(3.0));
    let web = &status["artifacts_statuses"]["web"];
    assert_eq!(web["flow_template_id"], "template-2");
    assert_eq!(web["evaluated_at"], json!(2.0));
    story.change("trail: {artifacts: [{name: web}, {name: db}]}");
    story.target("db", C1, "test", true);
    story.target("db", C2, "scan", true);
    let status = story.json();
    assert_eq!(
        status["artifacts_statuses"]["db"]["evaluated_at"],
        json!(5.0)
    );
    assert_eq!(
        status["artifacts_statuses"]["db"]["flow_template_id"],
        "template-3"
    );
    assert_eq!(
        status["artifacts_statuses"]["web"]["flow_template_id"],
        "template-2"
    );
    story.change("version: 1");
    assert_eq!(story.state.template_no(), 4);
    assert!(story.state.template().is_empty());
    story.expect(
        "COMPLIANT pr:pull_request+? web?=COMPLIANT[test:junit+?] db?=MISSING[test:generic+? scan:generic+?]",
    );
    story.artifact("web", A, C1);
    assert_eq!(
        story.json()["artifacts_statuses"]["web"]["flow_template_id"],
        "template-4"
    );
}

#[test]
fn the_whole_shape_on_the_wire() {
    let mut story = Story::begin(FULL);
    story.trail("pr", "pull_request", true);
    story.artifact("web", A, C1);
    story.on(A, "scan", "snyk", false);
    let missing = |name: &str, kind: &str| {
        json!({"attestation_name": name, "attestation_type": kind, "attestation_id": null,
               "overridden_attestation_id": null, "status": "MISSING", "is_compliant": null,
               "unexpected": false})
    };
    let complete = |name: &str, kind: &str, id: &str, compliant: bool| {
        json!({"attestation_name": name, "attestation_type": kind, "attestation_id": id,
               "overridden_attestation_id": null, "status": "COMPLETE", "is_compliant": compliant,
               "unexpected": false})
    };
    let expected = json!({
        "status": "NON-COMPLIANT", "is_compliant": false,
        "attestations_statuses": [complete("pr", "pull_request", "attestation-1", true)],
        "artifacts_statuses": {
            "web": {
                "artifact_fingerprint": A.to_hex(), "artifact_id": "artifact-2",
                "status": "NON-COMPLIANT", "is_compliant": false,
                "attestations_statuses": [
                    missing("test", "junit"), complete("scan", "snyk", "attestation-3", false)
                ],
                "unexpected": false, "evaluated_at": 3.0, "flow_template_id": "template-1"
            },
            "db": {
                "artifact_fingerprint": null, "artifact_id": null,
                "status": "MISSING", "is_compliant": null, "attestations_statuses": [],
                "unexpected": false, "evaluated_at": 3.0, "flow_template_id": "template-1"
            }
        },
        "evaluated_at": 3.0, "flow_template_id": "template-1"
    });
    assert_eq!(story.json(), expected);
    // The order of members too.
    assert_eq!(story.state.status().to_json(&Plain), expected.to_string());
}

#[test]
fn states_have_their_words() {
    for (state, word) in [
        (State::Compliant, "COMPLIANT"),
        (State::NonCompliant, "NON-COMPLIANT"),
        (State::Incomplete, "INCOMPLETE"),
    ] {
        assert_eq!(state.as_wire(), word);
        assert_eq!(State::from_wire(word), Some(state));
        assert_eq!(state.is_compliant(), word == "COMPLIANT");
    }
    assert_eq!(State::from_wire("MISSING"), None);
}

#[test]
fn a_large_trail_stays_cheap() {
    let mut state = TrailState::new(1, template(FULL), Micros(0));
    let fact = |no: u32| {
        TrailFact::Attestation(AttestationReport {
            no,
            name: format!("n{}", no * 7 % 10_007),
            kind: "generic".to_owned(),
            compliant: true,
            overrides: false,
            binding: if no.is_multiple_of(2) {
                Binding::Trail
            } else {
                Binding::Artifact(A)
            },
            at: Micros(i64::from(no)),
        })
    };
    state.apply(TrailFact::Artifact(ArtifactReport {
        no: 1,
        name: Some("web".to_owned()),
        fingerprint: A,
        commit: None,
        at: Micros(0),
    }));
    for no in 1..=10_000 {
        state.apply(fact(no));
        assert_eq!(state.state(), State::Incomplete);
    }
    let status = state.status();
    assert_eq!(status.attestations.len(), 5_001);
    assert_eq!(status.artifacts[0].attestations.len(), 5_002);
}

// ---- Properties ----

fn any_template() -> impl Strategy<Value = Arc<Template>> {
    prop::sample::select(vec![
        "version: 1",
        FULL,
        "trail: {attestations: [{name: a, type: generic}]}",
        "trail: {artifacts: [{name: web, attestations: [{name: a, type: '*'}]}]}",
        "trail: {artifacts: [{name: web, attestations: [{name: a, type: junit}, {name: b, type: generic}]}, {name: db, attestations: [{name: a, type: generic}]}]}",
        "trail: {attestations: [{name: b, type: '*'}], artifacts: [{name: db}]}",
        r#"["artifact", "a"]"#,
    ])
    .prop_map(|text| Arc::new(Template::from_stored(text).unwrap()))
}

fn any_binding() -> impl Strategy<Value = Binding> {
    prop_oneof![
        Just(Binding::Trail),
        prop::sample::select(vec![A, B]).prop_map(Binding::Artifact),
        (
            prop::collection::btree_set(prop::sample::select(vec!["web", "db", "new"]), 1..3),
            prop::sample::select(vec![C1, C2]),
        )
            .prop_map(|(names, commit)| {
                let names: Vec<&str> = names.into_iter().collect();
                targets(&names, commit)
            }),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Template(Arc<Template>),
    Artifact(Option<&'static str>, Fingerprint, Option<CommitBytes>),
    Attestation(Binding, &'static str, &'static str, bool, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let artifact = (
        prop::option::of(prop::sample::select(vec!["web", "db", "new"])),
        prop::sample::select(vec![A, B]),
        prop::option::of(prop::sample::select(vec![C1, C2])),
    )
        .prop_map(|(name, fingerprint, commit)| Step::Artifact(name, fingerprint, commit));
    let attestation = (
        any_binding(),
        prop::sample::select(vec!["a", "b", "c", "pr", "test"]),
        prop::sample::select(vec!["generic", "junit"]),
        any::<bool>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(binding, name, kind, ok, over)| {
            Step::Attestation(binding, name, kind, ok, over)
        });
    prop_oneof![
        1 => any_template().prop_map(Step::Template),
        3 => artifact,
        8 => attestation,
    ]
}

fn play(story: &mut Story, step: Step) {
    match step {
        Step::Template(template) => {
            let no = story.state.template_no + 1;
            story.tell(TrailFact::Template { no, template });
        }
        Step::Artifact(name, fingerprint, commit) => {
            let (no, at) = story.tick();
            story.tell(TrailFact::Artifact(ArtifactReport {
                no,
                name: name.map(ToOwned::to_owned),
                fingerprint,
                commit,
                at,
            }));
        }
        Step::Attestation(binding, name, kind, ok, over) => {
            story.report(binding, name, kind, ok, over);
        }
    }
}

proptest! {
    /// Fact by fact, from nothing, counted anew and by the second evaluation: the same
    /// (the checks are in [`Story::tell`]).
    #[test]
    fn all_ways_agree(template in any_template(), steps in prop::collection::vec(any_step(), 0..40)) {
        let mut story = Story::of(template);
        for step in steps {
            play(&mut story, step);
        }
    }

    /// One more report that says yes never makes anything worse, unless it hides another of its
    /// name or brings an artifact of its own.
    #[test]
    fn more_evidence_is_never_worse(
        template in any_template(),
        steps in prop::collection::vec(any_step(), 0..30),
        binding in any_binding(),
    ) {
        let mut story = Story::of(template);
        for step in steps {
            play(&mut story, step);
        }
        let before = story.state.state();
        let states = |story: &Story| -> BTreeMap<String, Option<State>> {
            let status = story.state.status();
            status.artifacts.iter().map(|a| (a.shown.clone(), a.state)).collect()
        };
        let artifacts = states(&story);
        story.report(binding, "fresh", "generic", true, false);
        prop_assert!(story.state.state() <= before);
        for (name, state) in states(&story) {
            if let Some(before) = artifacts.get(&name) {
                prop_assert!(state <= *before);
            }
        }
    }

    /// And one that says no never makes anything better.
    #[test]
    fn a_denial_is_never_better(
        template in any_template(),
        steps in prop::collection::vec(any_step(), 0..30),
        on_trail in any::<bool>(),
    ) {
        let mut story = Story::of(template);
        for step in steps {
            play(&mut story, step);
        }
        let before = story.state.state();
        let binding = if on_trail { Binding::Trail } else { Binding::Artifact(A) };
        story.report(binding, "fresh", "generic", false, false);
        prop_assert!(story.state.state() >= before);
        if on_trail {
            prop_assert_eq!(story.state.state(), State::NonCompliant);
        }
    }

    /// The order in which facts about different slots arrive means nothing: artifacts before
    /// their attestations, after them or between.
    #[test]
    fn order_means_nothing_across_slots(
        template in any_template(),
        steps in prop::collection::vec(any_step(), 0..14),
        order in any::<u64>(),
    ) {
        // One fact per slot and one artifact per name and fingerprint, so that none is newer.
        let mut seen = BTreeSet::new();
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| match step {
                Step::Template(_) => false,
                Step::Artifact(name, fingerprint, _) => {
                    let same_thing = name.map_or(format!("{fingerprint}"), ToOwned::to_owned);
                    seen.insert(same_thing)
                }
                Step::Attestation(_, name, _, _, over) => !over && seen.insert((*name).to_owned()),
            })
            .collect();
        let mut shuffled = steps.clone();
        let mut seed = order;
        for index in (1..shuffled.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(index, (seed >> 33) as usize % (index + 1));
        }
        let told = |steps: Vec<Step>| {
            let mut story = Story::of(template.clone());
            for step in steps {
                play(&mut story, step);
            }
            let status = story.state.status();
            let mut lines: Vec<String> = status
                .artifacts
                .iter()
                .map(|artifact| {
                    let mut attestations: Vec<_> = artifact
                        .attestations
                        .iter()
                        .map(|a| (a.name, a.kind, a.report.map(|(_, ok)| ok), a.unexpected))
                        .collect();
                    attestations.sort_unstable();
                    format!("{} {} {attestations:?}", artifact.shown, artifact.status())
                })
                .collect();
            lines.sort();
            lines.push(status.state.as_wire().to_owned());
            lines
        };
        prop_assert_eq!(told(steps), told(shuffled));
    }
}
