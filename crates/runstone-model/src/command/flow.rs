//! Commands about flows, trails, artifacts and attestations.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Attachment, TemplateText};
use crate::fact::{EntryIndex, Member, RepoKey, Visibility};
use crate::id::{Commit, Fingerprint};
use crate::template::Template;

/// What is asked of flows and what is in them. Names are already valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowAction {
    /// Create a flow or change it.
    Put(PutFlow),
    /// Hide a flow.
    Archive {
        /// Name.
        flow: String,
    },
    /// Give a flow another name.
    Rename {
        /// Name.
        flow: String,
        /// New name.
        new_name: String,
    },
    /// Set and remove tags.
    Tag {
        /// Name.
        flow: String,
        /// Keys and values.
        set: BTreeMap<String, String>,
        /// Keys; applied after `set`.
        remove: Vec<String>,
    },
    /// Begin a trail, or tell more of it.
    PutTrail(PutTrail),
    /// Report an artifact.
    ReportArtifact(ReportArtifact),
    /// Attest something.
    Attest(Box<Attest>),
    /// Set and remove tags of a repository.
    TagRepo {
        /// Its id on the wire.
        repo: String,
        /// Keys and values.
        set: BTreeMap<String, String>,
        /// Keys; applied after `set`.
        remove: Vec<String>,
    },
}

/// A template as it was given, and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenTemplate {
    /// As it was given.
    pub text: TemplateText,
    /// What it demands.
    pub template: Arc<Template>,
}

/// See the flow contract, sections 3.1 and 3.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFlow {
    /// Name.
    pub name: String,
    /// None keeps the old one, private for a new one.
    pub visibility: Option<Visibility>,
    /// Free text.
    pub description: String,
    /// None keeps the old one, empty for a new one.
    pub template: Option<GivenTemplate>,
}

/// What is told of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoTold {
    /// What identifies it.
    pub key: RepoKey,
    /// Name.
    pub name: String,
    /// `url`, `namespace_path` and `additional_info` as canonical JSON.
    pub facts: Arc<str>,
    /// Free text.
    pub description: Option<String>,
}

/// See the flow contract, section 5.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTrail {
    /// Name of the flow; made when missing.
    pub flow: String,
    /// Name.
    pub name: String,
    /// The commit that is told of.
    pub commit: Option<Commit>,
    /// The repository that is told of.
    pub repo: Option<RepoTold>,
    /// For this trail alone.
    pub template: Option<GivenTemplate>,
    /// What is told, as JSON.
    pub members: BTreeMap<Member, Arc<str>>,
    /// What was found to be told otherwise than before, and the entry that told it then; none for
    /// a trail that was not there.
    pub compared: Option<(EntryIndex, Vec<Member>)>,
}

/// See the flow contract, section 7.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportArtifact {
    /// Name of the flow; made when missing.
    pub flow: String,
    /// Name of the trail, made when missing; none: that of the commit.
    pub trail: Option<String>,
    /// Its name in the template.
    pub name: Option<String>,
    /// What it is.
    pub fingerprint: Fingerprint,
    /// Its own name.
    pub filename: String,
    /// What it was built from.
    pub commit: Option<Commit>,
    /// The repository it was built from.
    pub repo: Option<RepoTold>,
    /// Everything else, as JSON.
    pub content: Arc<str>,
}

impl ReportArtifact {
    /// The name of its trail, and whether that trail is one for a commit or artifact alone.
    pub fn trail_name(&self) -> (String, bool) {
        match (&self.trail, &self.commit) {
            (Some(name), _) => (name.clone(), false),
            (None, Some(commit)) => (commit.to_hex(), true),
            (None, None) => (self.fingerprint.to_hex(), true),
        }
    }
}

/// See the flow contract, section 9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest {
    /// Name of the flow; made when missing.
    pub flow: String,
    /// Name of the trail; made when missing.
    pub trail: String,
    /// The slot it fills.
    pub name: String,
    /// `generic`, `custom:coverage`, `system:decision`, `override`, …
    pub kind: String,
    /// What it says.
    pub is_compliant: bool,
    /// The artifact it is about.
    pub fingerprint: Option<Fingerprint>,
    /// Names in the template of the artifacts it is about.
    pub targets: Vec<String>,
    /// The commit it is about.
    pub commit: Option<Commit>,
    /// The repository it is about.
    pub repo: Option<RepoTold>,
    /// Of an override: the kind of what it overrides, as given.
    pub original_kind: Option<String>,
    /// Of a custom type: the version that judged it, which must still be the newest.
    pub version: Option<u32>,
    /// Of a decision.
    pub control: Option<String>,
    /// Everything else, as JSON.
    pub content: Arc<str>,
    /// A file that is stored already.
    pub attachment: Option<Attachment>,
}
