//! What a trail's template demands, what was reported, and what follows: the compliance of a
//! trail and of its artifacts (`api-flows.md` section 6, choices O2, O3, O14, O15, O24, O25).
//!
//! Owns the verdicts. [`TrailState`] holds the newest report of every slot, takes one fact after
//! the other in the order in which the server received them, and knows the trail's state after
//! each without going through the others. It must not know what a kind of attestation means: it
//! is told whether a report is compliant.
//!
//! Numbers (`no`) of attestations, of artifact reports and of templates are those that entries
//! assign: a later report of the same sort has a higher one.

mod changes;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::changes::Changes;
pub use self::status::{ArtifactStatus, AttestationStatus, ComplianceStatus, Ids};
use crate::id::{Fingerprint, Micros};
use crate::template::{AttestationSlots, Template};

/// The raw bytes of a commit's SHA-1.
pub type CommitBytes = [u8; 20];

/// State of a trail, or of an artifact that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Everything that is demanded is there, and nothing that is there says no.
    Compliant,
    /// Nothing says no, but something that is demanded is missing.
    Incomplete,
    /// Something says no; waiting does not cure it (O2).
    NonCompliant,
}

impl State {
    /// The word on the wire.
    pub const fn as_wire(self) -> &'static str {
        match self {
            Self::Compliant => "COMPLIANT",
            Self::Incomplete => "INCOMPLETE",
            Self::NonCompliant => "NON-COMPLIANT",
        }
    }

    /// The state whose word is given.
    pub fn from_wire(text: &str) -> Option<Self> {
        [Self::Compliant, Self::Incomplete, Self::NonCompliant]
            .into_iter()
            .find(|state| state.as_wire() == text)
    }

    /// Whether it is [`State::Compliant`].
    pub const fn is_compliant(self) -> bool {
        matches!(self, Self::Compliant)
    }

    /// The state that follows from how many things say no and how many are missing.
    fn of(bad: usize, missing: usize) -> Self {
        if bad > 0 {
            Self::NonCompliant
        } else if missing > 0 {
            Self::Incomplete
        } else {
            Self::Compliant
        }
    }
}

/// What an attestation is about (section 6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// The trail.
    Trail,
    /// The artifact with this fingerprint, which this trail knows.
    Artifact(Fingerprint),
    /// Every artifact of this trail, known or to come, that has one of these names and was built
    /// from this commit.
    Targets {
        /// Names in the template.
        names: Vec<String>,
        /// Commit.
        commit: CommitBytes,
    },
}

/// A report of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactReport {
    /// Its number.
    pub no: u32,
    /// Name in the template; artifacts without one are told apart by their fingerprints.
    pub name: Option<String>,
    /// What it is.
    pub fingerprint: Fingerprint,
    /// What it was built from.
    pub commit: Option<CommitBytes>,
    /// When it was received.
    pub at: Micros,
}

/// An attestation or an override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationReport {
    /// Its number.
    pub no: u32,
    /// The name it is reported under.
    pub name: String,
    /// Its kind as statuses spell it; of an override the original kind (O14).
    pub kind: String,
    /// What it says.
    pub compliant: bool,
    /// Whether it is an override.
    pub overrides: bool,
    /// What it is about.
    pub binding: Binding,
    /// When it was received.
    pub at: Micros,
}

/// One fact about a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrailFact {
    /// The trail has another template from now on.
    Template {
        /// Its number.
        no: u32,
        /// What it demands.
        template: Arc<Template>,
    },
    /// An artifact was reported.
    Artifact(ArtifactReport),
    /// Something was attested or overridden.
    Attestation(AttestationReport),
}

/// The newest report of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newest {
    no: u32,
    at: Micros,
    template: u32,
    kind: Box<str>,
    compliant: bool,
    /// For an override: the report that was newest before it, if there was one.
    overridden: Option<u32>,
}

/// A name under which something was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The first report of the name; unexpected ones are listed in this order.
    first: u32,
    newest: Newest,
}

/// Slots by name.
type Slots = BTreeMap<Box<str>, Slot>;

/// How an artifact is told apart within a trail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKey {
    /// By its name in the template.
    Named(Box<str>),
    /// Without a name: by what it is.
    Nameless(Fingerprint),
}

impl ArtifactKey {
    /// The key of an artifact reported under this name.
    pub fn of(name: Option<&str>, fingerprint: Fingerprint) -> Self {
        match name {
            Some(name) => Self::Named(name.into()),
            None => Self::Nameless(fingerprint),
        }
    }

    /// Its name in the template.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Nameless(_) => None,
        }
    }

    /// What it is listed under: its name, else its fingerprint.
    pub fn shown(&self) -> String {
        match self {
            Self::Named(name) => name.to_string(),
            Self::Nameless(fingerprint) => fingerprint.to_hex(),
        }
    }
}

/// The reports of one artifact (a name and a fingerprint).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    first: u32,
    no: u32,
    commit: Option<CommitBytes>,
    at: Micros,
    template: u32,
}

/// How many names of a scope say no and how many that are demanded are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    bad: usize,
    missing: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.bad += other.bad;
        self.missing += other.missing;
    }

    fn take(&mut self, other: Self) {
        self.bad -= other.bad;
        self.missing -= other.missing;
    }

    fn state(self) -> State {
        State::of(self.bad, self.missing)
    }
}

/// What is counted for one artifact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Judged {
    /// Its attestations.
    own: Tally,
    /// What it contributes to the trail: at most one of each.
    weight: Tally,
}

/// Everything reported to one trail that its compliance depends on.
///
/// Applying an attestation costs a few look-ups in ordered maps, whatever the trail holds; so does
/// [`TrailState::state`]. An artifact that changes its fingerprint, and another template, are
/// judged afresh: the cost is that of what they hold. [`TrailState::status`] goes through
/// everything once.
#[derive(Debug, Clone)]
pub struct TrailState {
    template_no: u32,
    template: Arc<Template>,
    begun_at: Micros,
    /// When the newest report was received.
    newest_at: Option<Micros>,
    /// Attestations of the trail itself.
    trail: Slots,
    /// Artifacts: per key, each fingerprint reported under it.
    records: BTreeMap<ArtifactKey, BTreeMap<Fingerprint, Record>>,
    /// Attestations of artifacts, by fingerprint.
    bound: BTreeMap<Fingerprint, Slots>,
    /// Attestations for whatever has a name and a commit.
    pending: BTreeMap<Box<str>, BTreeMap<CommitBytes, Slots>>,

    // What follows from the above; never stored.
    /// Per key, the fingerprint of the newest report.
    current: BTreeMap<ArtifactKey, Fingerprint>,
    /// The keys under which a fingerprint was ever reported.
    holders: BTreeMap<Fingerprint, BTreeSet<ArtifactKey>>,
    /// Per name, the newest of its pending attestations over all commits.
    announced: BTreeMap<Box<str>, Slots>,
    /// The trail's own attestations.
    trail_tally: Tally,
    /// Per key of an artifact that is demanded, reported or announced, what its attestations say.
    judged: BTreeMap<ArtifactKey, Judged>,
    /// How many artifacts say no, and how many are missing or lack something.
    artifacts_tally: Tally,
}

/// Two states are equal if they hold the same template number and facts.
impl PartialEq for TrailState {
    fn eq(&self, other: &Self) -> bool {
        self.template_no == other.template_no
            && self.template == other.template
            && self.begun_at == other.begun_at
            && self.trail == other.trail
            && self.records == other.records
            && self.bound == other.bound
            && self.pending == other.pending
    }
}

impl Eq for TrailState {}

impl TrailState {
    /// A trail that was just begun.
    pub fn new(template_no: u32, template: Arc<Template>, begun_at: Micros) -> Self {
        let mut state = Self {
            template_no,
            template,
            begun_at,
            newest_at: None,
            trail: BTreeMap::new(),
            records: BTreeMap::new(),
            bound: BTreeMap::new(),
            pending: BTreeMap::new(),
            current: BTreeMap::new(),
            holders: BTreeMap::new(),
            announced: BTreeMap::new(),
            trail_tally: Tally::default(),
            judged: BTreeMap::new(),
            artifacts_tally: Tally::default(),
        };
        state.judge_everything();
        state
    }

    /// Number of the template that judges.
    pub fn template_no(&self) -> u32 {
        self.template_no
    }

    /// The template that judges.
    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// When the newest report was received; before any, when the trail was begun.
    pub fn evaluated_at(&self) -> Micros {
        self.newest_at.unwrap_or(self.begun_at)
    }

    /// The state of the trail.
    pub fn state(&self) -> State {
        let mut all = self.trail_tally;
        all.add(self.artifacts_tally);
        all.state()
    }

    /// The state of the artifact with this name and fingerprint, its newest report or not; none
    /// if this trail does not know it.
    pub fn artifact_state(&self, name: Option<&str>, fingerprint: Fingerprint) -> Option<State> {
        let key = ArtifactKey::of(name, fingerprint);
        let record = self.records.get(&key)?.get(&fingerprint)?;
        let own = if self.current.get(&key) == Some(&fingerprint) {
            self.judged.get(&key).copied().unwrap_or_default().own
        } else {
            self.tally_of_record(&key, fingerprint, record)
        };
        Some(self.with_trail(own).state())
    }

    /// An artifact's own tally with what the trail itself lacks.
    fn with_trail(&self, mut own: Tally) -> Tally {
        own.add(self.trail_tally);
        own
    }

    /// Whether an artifact with this fingerprint was reported to this trail.
    pub fn knows(&self, fingerprint: Fingerprint) -> bool {
        self.holders.contains_key(&fingerprint)
    }

    /// The keys under which a fingerprint was reported.
    pub fn keys_of(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &ArtifactKey> {
        self.holders.get(&fingerprint).into_iter().flatten()
    }

    /// The number of the newest report under `name` that a report bound like this would replace:
    /// what an override overrides.
    pub fn newest(&self, name: &str, binding: &Binding) -> Option<u32> {
        match binding {
            Binding::Trail => self.trail.get(name).map(|slot| slot.newest.no),
            Binding::Artifact(fingerprint) => {
                let bound = self
                    .bound
                    .get(fingerprint)
                    .and_then(|slots| slots.get(name));
                let pending = self.keys_of(*fingerprint).filter_map(|key| {
                    let record = self.records.get(key)?.get(fingerprint)?;
                    self.pending_of(key, record)?.get(name)
                });
                newest_no(bound.into_iter().chain(pending))
            }
            Binding::Targets { names, commit } => newest_no(names.iter().flat_map(|target| {
                let pending = self
                    .pending
                    .get(target.as_str())
                    .and_then(|commits| commits.get(commit))
                    .and_then(|slots| slots.get(name));
                let bound = self
                    .records
                    .get(&ArtifactKey::Named(target.as_str().into()))
                    .into_iter()
                    .flatten()
                    .filter(|(_, record)| record.commit == Some(*commit))
                    .filter_map(|(fingerprint, _)| self.bound.get(fingerprint)?.get(name));
                pending.into_iter().chain(bound)
            })),
        }
    }

    /// Takes one fact. Facts are given in the order in which they were received.
    pub fn apply(&mut self, fact: TrailFact) {
        match fact {
            TrailFact::Template { no, template } => {
                self.template_no = no;
                let same = self.template == template;
                self.template = template;
                if !same {
                    self.judge_everything();
                }
            }
            TrailFact::Artifact(report) => self.apply_artifact(report),
            TrailFact::Attestation(report) => self.apply_attestation(report),
        }
    }

    fn received(&mut self, at: Micros) {
        self.newest_at = self.newest_at.max(Some(at));
    }

    fn apply_artifact(&mut self, report: ArtifactReport) {
        self.received(report.at);
        let fingerprint = report.fingerprint;
        let key = ArtifactKey::of(report.name.as_deref(), fingerprint);
        let template = self.template_no;
        let records = self.records.entry(key.clone()).or_default();
        let before = records.get(&fingerprint);
        let same_commit = before.is_some_and(|record| record.commit == report.commit);
        let record = Record {
            first: before.map_or(report.no, |record| record.first),
            no: report.no,
            commit: report.commit,
            at: report.at,
            template,
        };
        records.insert(fingerprint, record);
        let old = self.current.insert(key.clone(), fingerprint);
        if old != Some(fingerprint) || !same_commit {
            let holders = self.holders.entry(fingerprint).or_default();
            holders.insert(key.clone());
            self.judge_artifact(&key);
        }
    }

    fn apply_attestation(&mut self, report: AttestationReport) {
        self.received(report.at);
        let newest = Newest {
            no: report.no,
            at: report.at,
            template: self.template_no,
            kind: report.kind.into(),
            compliant: report.compliant,
            overridden: report
                .overrides
                .then(|| self.newest(&report.name, &report.binding))
                .flatten(),
        };
        let name: Box<str> = report.name.into();
        match report.binding {
            Binding::Trail => {
                let before = self.trail_part(&name);
                put(&mut self.trail, &name, newest);
                self.trail_tally.take(before);
                self.trail_tally.add(self.trail_part(&name));
            }
            Binding::Artifact(fingerprint) => {
                let current = |key: &&ArtifactKey| self.current.get(*key) == Some(&fingerprint);
                let keys: Vec<_> = self.keys_of(fingerprint).filter(current).cloned().collect();
                self.around(&keys, &name, |state| {
                    put(state.bound.entry(fingerprint).or_default(), &name, newest);
                });
            }
            Binding::Targets { names, commit } => {
                for target in BTreeSet::from_iter(names) {
                    let target: Box<str> = target.into();
                    let key = ArtifactKey::Named(target.clone());
                    self.around(&[key], &name, |state| {
                        let announced = state.announced.entry(target.clone()).or_default();
                        put(announced, &name, newest.clone());
                        let commits = state.pending.entry(target.clone()).or_default();
                        let slots = commits.entry(commit).or_default();
                        put(slots, &name, newest.clone());
                    });
                }
            }
        }
    }

    /// Does `change`, which concerns the attestation `name` of the artifacts `keys` at most, and
    /// keeps the tallies.
    fn around(&mut self, keys: &[ArtifactKey], name: &str, change: impl FnOnce(&mut Self)) {
        let before: Vec<Tally> = keys.iter().map(|key| self.part(key, name)).collect();
        change(self);
        for (key, before) in keys.iter().zip(before) {
            let mut tally = self.judged.get(key).copied().unwrap_or_default().own;
            tally.take(before);
            tally.add(self.part(key, name));
            self.set_tally(key, tally);
        }
    }

    fn set_tally(&mut self, key: &ArtifactKey, own: Tally) {
        let absent = !self.current.contains_key(key) && self.is_demanded(key);
        let weight = Tally {
            bad: usize::from(own.bad > 0),
            missing: usize::from(own.missing > 0 || absent),
        };
        let old = self.judged.insert(key.clone(), Judged { own, weight });
        self.artifacts_tally.take(old.unwrap_or_default().weight);
        self.artifacts_tally.add(weight);
    }

    /// What the trail-level name contributes.
    fn trail_part(&self, name: &str) -> Tally {
        part(&self.template.attestations, name, self.trail.get(name))
    }

    /// What the name contributes to its artifact.
    fn part(&self, key: &ArtifactKey, name: &str) -> Tally {
        match self.current_record(key) {
            Some((fingerprint, record)) => self.part_of_record(key, fingerprint, record, name),
            // Not reported: what is demanded of it is missing with it, and not counted twice.
            None => Tally {
                missing: 0,
                ..part(
                    self.template.demanded_of(key.name()),
                    name,
                    self.announced_of(key).and_then(|slots| slots.get(name)),
                )
            },
        }
    }

    fn part_of_record(
        &self,
        key: &ArtifactKey,
        fingerprint: Fingerprint,
        record: &Record,
        name: &str,
    ) -> Tally {
        let bound = self
            .bound
            .get(&fingerprint)
            .and_then(|slots| slots.get(name));
        let pending = self
            .pending_of(key, record)
            .and_then(|slots| slots.get(name));
        let slot = newest_slot(bound, pending);
        part(self.template.demanded_of(key.name()), name, slot)
    }

    fn is_demanded(&self, key: &ArtifactKey) -> bool {
        key.name()
            .is_some_and(|name| self.template.artifact(name).is_some())
    }

    fn current_record(&self, key: &ArtifactKey) -> Option<(Fingerprint, &Record)> {
        let fingerprint = *self.current.get(key)?;
        Some((fingerprint, self.records.get(key)?.get(&fingerprint)?))
    }

    fn announced_of(&self, key: &ArtifactKey) -> Option<&Slots> {
        self.announced.get(key.name()?)
    }

    /// The attestations that wait for an artifact of this name and commit.
    fn pending_of(&self, key: &ArtifactKey, record: &Record) -> Option<&Slots> {
        self.pending.get(key.name()?)?.get(&record.commit?)
    }

    fn tally_of_record(
        &self,
        key: &ArtifactKey,
        fingerprint: Fingerprint,
        record: &Record,
    ) -> Tally {
        let bound = self
            .bound
            .get(&fingerprint)
            .into_iter()
            .flat_map(BTreeMap::keys);
        let pending = self.pending_of(key, record);
        let pending = pending.into_iter().flat_map(BTreeMap::keys);
        self.sum(key, bound.chain(pending), |name| {
            self.part_of_record(key, fingerprint, record, name)
        })
    }

    /// The sum over the demanded names and `names`, each once.
    fn sum<'s>(
        &'s self,
        key: &ArtifactKey,
        names: impl Iterator<Item = &'s Box<str>>,
        part: impl Fn(&str) -> Tally,
    ) -> Tally {
        let demanded = self.template.demanded_of(key.name()).iter();
        let names: BTreeSet<&str> = demanded
            .map(|slot| slot.name.as_str())
            .chain(names.map(|name| &**name))
            .collect();
        let mut tally = Tally::default();
        for name in names {
            tally.add(part(name));
        }
        tally
    }

    /// Counts one artifact afresh.
    fn judge_artifact(&mut self, key: &ArtifactKey) {
        let tally = match self.current_record(key) {
            Some((fingerprint, record)) => self.tally_of_record(key, fingerprint, record),
            None => {
                let announced = self.announced_of(key);
                let names = announced.into_iter().flat_map(BTreeMap::keys);
                self.sum(key, names, |name| self.part(key, name))
            }
        };
        self.set_tally(key, tally);
    }

    /// Counts everything afresh.
    fn judge_everything(&mut self) {
        self.judged.clear();
        self.artifacts_tally = Tally::default();
        let demanded = self.template.attestations.iter();
        let names: BTreeSet<&str> = demanded
            .map(|slot| slot.name.as_str())
            .chain(self.trail.keys().map(|name| &**name))
            .collect();
        let mut tally = Tally::default();
        for name in names {
            tally.add(self.trail_part(name));
        }
        self.trail_tally = tally;
        for key in self.keys() {
            self.judge_artifact(&key);
        }
    }

    /// Every artifact that is demanded, reported or announced.
    fn keys(&self) -> BTreeSet<ArtifactKey> {
        let demanded = self.template.artifacts().iter();
        demanded
            .map(|slot| ArtifactKey::Named(slot.name.as_str().into()))
            .chain(self.current.keys().cloned())
            .chain(self.announced.keys().cloned().map(ArtifactKey::Named))
            .collect()
    }
}

/// Puts a report into its slot.
fn put(slots: &mut Slots, name: &str, newest: Newest) {
    match slots.get_mut(name) {
        Some(slot) => slot.newest = newest,
        None => {
            let first = newest.no;
            slots.insert(name.into(), Slot { first, newest });
        }
    }
}

/// What one name contributes: whether it says no, and whether it is demanded and missing. A
/// report of another kind than the demanded one does not fill the slot (O3).
fn part(demanded: &AttestationSlots, name: &str, slot: Option<&Slot>) -> Tally {
    let filled = |slot: &Slot| {
        demanded
            .get(name)
            .is_none_or(|demanded| demanded.demand.accepts(&slot.newest.kind))
    };
    Tally {
        bad: usize::from(slot.is_some_and(|slot| !slot.newest.compliant)),
        missing: match slot {
            Some(slot) => usize::from(!filled(slot)),
            None => usize::from(demanded.get(name).is_some()),
        },
    }
}

/// The slot with the newer report.
fn newest_slot<'s>(one: Option<&'s Slot>, other: Option<&'s Slot>) -> Option<&'s Slot> {
    one.into_iter()
        .chain(other)
        .max_by_key(|slot| slot.newest.no)
}

fn newest_no<'s>(slots: impl Iterator<Item = &'s Slot>) -> Option<u32> {
    slots.map(|slot| slot.newest.no).max()
}
