//! The status of a trail and of its artifacts as it is shown (`api-flows.md` section 5.4): which
//! entries, in which order, with which words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{ArtifactKey, Newest, Record, Slots, State, Tally, TrailState};
use crate::canonical::write_string;
use crate::id::{Fingerprint, Micros};
use crate::template::AttestationSlots;

/// How numbers are shown as ids on the wire.
pub trait Ids {
    /// Of a template.
    fn template(&self, no: u32) -> String;
    /// Of an artifact report.
    fn artifact(&self, no: u32) -> String;
    /// Of an attestation.
    fn attestation(&self, no: u32) -> String;
}

/// One line of `attestations_statuses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationStatus<'s> {
    /// Name.
    pub name: &'s str,
    /// Kind of the report, or the demanded one while it is missing.
    pub kind: &'s str,
    /// The newest report: its number and what it says; none = `MISSING`.
    pub report: Option<(u32, bool)>,
    /// What an override overrides.
    pub overridden: Option<u32>,
    /// Whether the template does not ask for it.
    pub unexpected: bool,
}

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactStatus<'s> {
    /// Its name in the template, else its fingerprint.
    pub shown: String,
    /// The newest report: its number and what it reported; none = `MISSING`.
    pub report: Option<(u32, Fingerprint)>,
    /// Its state; none = `MISSING`.
    pub state: Option<State>,
    /// Its attestations.
    pub attestations: Vec<AttestationStatus<'s>>,
    /// Whether the template does not ask for it.
    pub unexpected: bool,
    /// When its newest report or attestation was received; while it is missing and nothing waits
    /// for it, that of the trail.
    pub evaluated_at: Micros,
    /// The template that was in force then.
    pub template_no: u32,
}

/// A trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComplianceStatus<'s> {
    /// Its state.
    pub state: State,
    /// Its own attestations.
    pub attestations: Vec<AttestationStatus<'s>>,
    /// Its artifacts: those of the template in its order, then others that were reported in the
    /// order of their first reports, then others that are only announced by attestations.
    pub artifacts: Vec<ArtifactStatus<'s>>,
    /// When the newest report or attestation was received; before any, when it was begun.
    pub evaluated_at: Micros,
    /// The template in force.
    pub template_no: u32,
}

impl TrailState {
    /// The status of everything.
    pub fn status(&self) -> ComplianceStatus<'_> {
        ComplianceStatus {
            state: self.state(),
            attestations: list(&self.template.attestations, merge(Some(&self.trail), None)),
            artifacts: self
                .shown_keys()
                .into_iter()
                .map(|key| self.status_of(key))
                .collect(),
            evaluated_at: self.evaluated_at(),
            template_no: self.template_no,
        }
    }

    /// The status of the artifact with this name and fingerprint, its newest report or not; none
    /// if this trail does not know it.
    pub fn artifact_status(
        &self,
        name: Option<&str>,
        fingerprint: Fingerprint,
    ) -> Option<ArtifactStatus<'_>> {
        let key = ArtifactKey::of(name, fingerprint);
        let (key, records) = self.records.get_key_value(&key)?;
        let record = records.get(&fingerprint)?;
        Some(self.status_of_record(key, fingerprint, record))
    }

    /// The keys to show, in order.
    fn shown_keys(&self) -> Vec<&ArtifactKey> {
        let demanded: BTreeMap<&str, usize> = self
            .template
            .artifacts()
            .iter()
            .map(|slot| slot.name.as_str())
            .zip(0..)
            .collect();
        let mut keys: Vec<(usize, u32, &ArtifactKey)> = Vec::with_capacity(self.judged.len());
        for key in self.judged.keys() {
            let position = key.name().and_then(|name| demanded.get(name));
            let reported = self.records.get(key).into_iter().flatten();
            let announced = self.announced_of(key).into_iter().flatten();
            let first_report = reported.map(|(_, record)| record.first).min();
            let first_announced = announced.map(|(_, slot)| slot.first).min();
            keys.push(match (position, first_report) {
                (Some(position), _) => (*position, 0, key),
                (None, Some(first)) => (demanded.len(), first, key),
                (None, None) => (demanded.len() + 1, first_announced.unwrap_or_default(), key),
            });
        }
        keys.sort_unstable();
        keys.into_iter().map(|(_, _, key)| key).collect()
    }

    fn status_of<'s>(&'s self, key: &'s ArtifactKey) -> ArtifactStatus<'s> {
        if let Some((fingerprint, record)) = self.current_record(key) {
            return self.status_of_record(key, fingerprint, record);
        }
        let entries = merge(self.announced_of(key), None);
        let newest = newest_of(&entries);
        ArtifactStatus {
            shown: key.shown(),
            report: None,
            state: None,
            unexpected: !self.is_demanded(key),
            evaluated_at: newest.map_or(self.evaluated_at(), |newest| newest.at),
            template_no: newest.map_or(self.template_no, |newest| newest.template),
            attestations: list(self.template.demanded_of(key.name()), entries),
        }
    }

    fn status_of_record<'s>(
        &'s self,
        key: &'s ArtifactKey,
        fingerprint: Fingerprint,
        record: &'s Record,
    ) -> ArtifactStatus<'s> {
        let entries = merge(self.bound.get(&fingerprint), self.pending_of(key, record));
        let newest = newest_of(&entries).filter(|newest| newest.at >= record.at);
        let evaluated_at = newest.map_or(record.at, |newest| newest.at);
        let template_no = newest.map_or(record.template, |newest| newest.template);
        let attestations = list(self.template.demanded_of(key.name()), entries);
        let mut tally = Tally::default();
        for status in &attestations {
            match status.report {
                None => tally.missing += 1,
                Some((_, false)) => tally.bad += 1,
                Some((_, true)) => {}
            }
        }
        ArtifactStatus {
            shown: key.shown(),
            report: Some((record.no, fingerprint)),
            state: Some(self.with_trail(tally).state()),
            attestations,
            unexpected: !self.is_demanded(key),
            evaluated_at,
            template_no,
        }
    }
}

/// A name and its newest report.
#[derive(Clone, Copy)]
struct Entry<'s> {
    name: &'s str,
    first: u32,
    newest: &'s Newest,
}

impl<'s> Entry<'s> {
    fn status(&self, unexpected: bool) -> AttestationStatus<'s> {
        AttestationStatus {
            name: self.name,
            kind: &self.newest.kind,
            report: Some((self.newest.no, self.newest.compliant)),
            overridden: self.newest.overridden,
            unexpected,
        }
    }
}

/// Both maps as one, in the order of names: the newer report of each name, and its first.
fn merge<'s>(one: Option<&'s Slots>, other: Option<&'s Slots>) -> Vec<Entry<'s>> {
    fn entries(slots: Option<&Slots>) -> impl Iterator<Item = Entry<'_>> {
        slots.into_iter().flatten().map(|(name, slot)| Entry {
            name,
            first: slot.first,
            newest: &slot.newest,
        })
    }
    let mut all: Vec<Entry<'s>> = entries(one).chain(entries(other)).collect();
    // The newest of a name stands first and stays; the others tell when the first report was.
    all.sort_by(|a, b| (a.name, b.newest.no).cmp(&(b.name, a.newest.no)));
    all.dedup_by(|older, kept| {
        let same = older.name == kept.name;
        if same {
            kept.first = kept.first.min(older.first);
        }
        same
    });
    all
}

fn newest_of<'s>(entries: &[Entry<'s>]) -> Option<&'s Newest> {
    let all = entries.iter().map(|entry| entry.newest);
    all.max_by_key(|newest| newest.no)
}

/// What is demanded in the order of the template, then what was not, in the order of the first
/// reports. `entries` are in the order of their names.
fn list<'s>(demanded: &'s AttestationSlots, entries: Vec<Entry<'s>>) -> Vec<AttestationStatus<'s>> {
    let mut statuses = Vec::with_capacity(demanded.len() + entries.len());
    for slot in demanded.iter() {
        let found = entries
            .binary_search_by(|entry| entry.name.cmp(&slot.name))
            .map(|index| entries[index]);
        statuses.push(match found {
            Ok(entry) if slot.demand.accepts(&entry.newest.kind) => entry.status(false),
            _ => AttestationStatus {
                name: &slot.name,
                kind: slot.demand.in_status(),
                report: None,
                overridden: None,
                unexpected: false,
            },
        });
    }
    let mut unexpected = entries;
    unexpected.retain(|entry| {
        demanded
            .get(entry.name)
            .is_none_or(|slot| !slot.demand.accepts(&entry.newest.kind))
    });
    unexpected.sort_unstable_by_key(|entry| entry.first);
    statuses.extend(unexpected.iter().map(|entry| entry.status(true)));
    statuses
}

fn write_seconds(at: Micros, out: &mut String) {
    write!(out, "{:?}", at.to_seconds()).expect("writing to a string succeeds");
}

fn write_text_or_null(text: Option<String>, out: &mut String) {
    match text {
        Some(text) => write_string(&text, out),
        None => out.push_str("null"),
    }
}

fn write_bool_or_null(value: Option<bool>, out: &mut String) {
    out.push_str(match value {
        Some(true) => "true",
        Some(false) => "false",
        None => "null",
    });
}

impl AttestationStatus<'_> {
    /// The word on the wire.
    pub fn status(&self) -> &'static str {
        match self.report {
            Some(_) => "COMPLETE",
            None => "MISSING",
        }
    }

    /// Appends the wire's object.
    pub fn write_json(&self, ids: &impl Ids, out: &mut String) {
        out.push_str("{\"attestation_name\":");
        write_string(self.name, out);
        out.push_str(",\"attestation_type\":");
        write_string(self.kind, out);
        out.push_str(",\"attestation_id\":");
        write_text_or_null(self.report.map(|(no, _)| ids.attestation(no)), out);
        out.push_str(",\"overridden_attestation_id\":");
        write_text_or_null(self.overridden.map(|no| ids.attestation(no)), out);
        out.push_str(",\"status\":\"");
        out.push_str(self.status());
        out.push_str("\",\"is_compliant\":");
        write_bool_or_null(self.report.map(|(_, compliant)| compliant), out);
        out.push_str(",\"unexpected\":");
        write_bool_or_null(Some(self.unexpected), out);
        out.push('}');
    }
}

fn write_attestations(statuses: &[AttestationStatus<'_>], ids: &impl Ids, out: &mut String) {
    out.push_str("\"attestations_statuses\":[");
    for (index, status) in statuses.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        status.write_json(ids, out);
    }
    out.push(']');
}

fn write_evaluation(at: Micros, template_no: u32, ids: &impl Ids, out: &mut String) {
    out.push_str(",\"evaluated_at\":");
    write_seconds(at, out);
    out.push_str(",\"flow_template_id\":");
    write_string(&ids.template(template_no), out);
}

impl ArtifactStatus<'_> {
    /// The word on the wire.
    pub fn status(&self) -> &'static str {
        self.state.map_or("MISSING", State::as_wire)
    }

    /// What `is_compliant` says; none = null.
    pub fn is_compliant(&self) -> Option<bool> {
        self.state.map(State::is_compliant)
    }

    /// Appends the wire's object.
    pub fn write_json(&self, ids: &impl Ids, out: &mut String) {
        out.push_str("{\"artifact_fingerprint\":");
        let fingerprint = self.report.map(|(_, fingerprint)| fingerprint.to_hex());
        write_text_or_null(fingerprint, out);
        out.push_str(",\"artifact_id\":");
        write_text_or_null(self.report.map(|(no, _)| ids.artifact(no)), out);
        out.push_str(",\"status\":\"");
        out.push_str(self.status());
        out.push_str("\",\"is_compliant\":");
        write_bool_or_null(self.is_compliant(), out);
        out.push(',');
        write_attestations(&self.attestations, ids, out);
        out.push_str(",\"unexpected\":");
        write_bool_or_null(Some(self.unexpected), out);
        write_evaluation(self.evaluated_at, self.template_no, ids, out);
        out.push('}');
    }
}

impl ComplianceStatus<'_> {
    /// Appends the wire's object.
    pub fn write_json(&self, ids: &impl Ids, out: &mut String) {
        out.push_str("{\"status\":\"");
        out.push_str(self.state.as_wire());
        out.push_str("\",\"is_compliant\":");
        write_bool_or_null(Some(self.state.is_compliant()), out);
        out.push(',');
        write_attestations(&self.attestations, ids, out);
        out.push_str(",\"artifacts_statuses\":{");
        for (index, artifact) in self.artifacts.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(&artifact.shown, out);
            out.push(':');
            artifact.write_json(ids, out);
        }
        out.push('}');
        write_evaluation(self.evaluated_at, self.template_no, ids, out);
        out.push('}');
    }

    /// The wire's object as text.
    pub fn to_json(&self, ids: &impl Ids) -> String {
        let mut text = String::with_capacity(512 + 256 * self.attestations.len());
        self.write_json(ids, &mut text);
        text
    }
}
