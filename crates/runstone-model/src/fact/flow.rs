//! Facts of how software got there: flows, trails, artifacts, attestations.

use std::collections::BTreeMap;

use super::{
    ArtifactNo, AttestationNo, EntryIndex, FlowNo, OrganizationNo, RepoNo, TemplateNo, TrailNo,
};
use crate::compliance::{ArtifactReport, AttestationReport, Binding, State, TrailFact};
use crate::event::{Actor, TemplateText};
use crate::id::{Commit, Fingerprint, Micros};

/// Who sees a flow. Kept as given; who may read is decided by the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// The default.
    Private,
    /// Also shown to others.
    Public,
}

impl Visibility {
    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The visibility whose word is given.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "private" => Some(Self::Private),
            "public" => Some(Self::Public),
            _ => None,
        }
    }
}

/// A flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: FlowNo,
    /// Name, unique among live flows.
    pub name: String,
    /// Who sees it.
    pub visibility: Visibility,
    /// Free text.
    pub description: String,
    /// The template that trails begun from now on take.
    pub template: TemplateNo,
    /// Key-value labels.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Micros,
    /// When it was archived.
    pub archived_at: Option<Micros>,
    /// The trail that was last active.
    pub latest_trail: Option<TrailNo>,
    /// When that was.
    pub latest_at: Option<Micros>,
    /// The repository it was last told of.
    pub repo: Option<RepoNo>,
}

/// How a flow is called from an entry on, until the next entry that names it otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowNaming {
    /// Whose.
    pub organization: OrganizationNo,
    /// The flow.
    pub flow: FlowNo,
    /// From which entry on.
    pub entry: EntryIndex,
    /// Its name.
    pub name: String,
    /// When it was archived; none while it is not.
    pub archived_at: Option<Micros>,
}

/// A version of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: TemplateNo,
    /// As it was given.
    pub text: TemplateText,
}

/// What can be told of a trail apart from its name and template; each is a private text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// Free text.
    Description,
    /// Links, by label.
    ExternalUrls,
    /// The commit it is about.
    GitCommitInfo,
    /// Where it was begun.
    OriginUrl,
    /// Anything.
    UserData,
}

impl Member {
    /// Every member, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::Description,
        Self::ExternalUrls,
        Self::GitCommitInfo,
        Self::OriginUrl,
        Self::UserData,
    ];

    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::ExternalUrls => "external_urls",
            Self::GitCommitInfo => "git_commit_info",
            Self::OriginUrl => "origin_url",
            Self::UserData => "user_data",
        }
    }

    /// The member whose word is given.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.as_str() == text)
    }
}

/// A trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: TrailNo,
    /// In which flow.
    pub flow: FlowNo,
    /// Name, unique in the flow.
    pub name: String,
    /// Not begun by name: it holds the artifacts that were reported for a commit alone.
    pub implicit: bool,
    /// The commit it is about.
    pub commit: Option<Commit>,
    /// Its template.
    pub template: TemplateNo,
    /// Where each of its texts stands: entry and position among the bodies.
    pub members: BTreeMap<Member, (EntryIndex, u32)>,
    /// The repositories it was told of, in that order.
    pub repos: Vec<RepoNo>,
    /// Who began it.
    pub created_by: Actor,
    /// When it was begun.
    pub created_at: Micros,
    /// When it was last begun again, or something was reported to it.
    pub modified_at: Micros,
    /// The entry that last wrote what is told of it.
    pub told_by: EntryIndex,
    /// The verdict on it.
    pub state: State,
}

/// What a trail was told once: when it was begun, or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Whose.
    pub organization: OrganizationNo,
    /// The trail.
    pub trail: TrailNo,
    /// By which entry.
    pub entry: EntryIndex,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: Actor,
    /// What was told otherwise than before; none when it was begun.
    pub changes: Option<Vec<String>>,
    /// Where each text that was told stands among the bodies of the entry.
    pub members: BTreeMap<Member, u32>,
    /// The commit that was told of.
    pub commit: Option<Commit>,
    /// The repository that was told of.
    pub repo: Option<RepoNo>,
    /// The template from then on, where it was told.
    pub template: Option<TemplateNo>,
}

/// A report of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: ArtifactNo,
    /// In which flow.
    pub flow: FlowNo,
    /// In which trail.
    pub trail: TrailNo,
    /// Its name in the template.
    pub name: Option<String>,
    /// What it is.
    pub fingerprint: Fingerprint,
    /// Its own name.
    pub filename: String,
    /// What it was built from.
    pub commit: Option<Commit>,
    /// The template it was evaluated with.
    pub template: TemplateNo,
    /// The repository it was built from.
    pub repo: Option<RepoNo>,
    /// The entry with everything else.
    pub entry: EntryIndex,
    /// When it was reported.
    pub at: Micros,
    /// The verdict on it.
    pub state: State,
}

/// An attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: AttestationNo,
    /// In which flow.
    pub flow: FlowNo,
    /// In which trail.
    pub trail: TrailNo,
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
    /// The attestation that it overrides.
    pub overrides: Option<AttestationNo>,
    /// The kind of what it overrides, as given.
    pub original_kind: Option<String>,
    /// The template it was evaluated with.
    pub template: TemplateNo,
    /// The repository it is about.
    pub repo: Option<RepoNo>,
    /// Whether a file is attached.
    pub is_attached: bool,
    /// The entry with everything else.
    pub entry: EntryIndex,
    /// Who attested.
    pub by: Actor,
    /// When.
    pub at: Micros,
}

/// What identifies a repository: the kind of its code host, and the id it has there or, without
/// one, its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoKey {
    /// The code host's kind.
    pub provider: Option<String>,
    /// Id or name.
    pub id: RepoId,
}

/// How a repository is told from others of its code host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RepoId {
    /// By the id it has there.
    Id(String),
    /// By its name.
    Name(String),
}

/// A repository, as it was last told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: RepoNo,
    /// The code host's kind.
    pub provider: Option<String>,
    /// The code host's id.
    pub id: Option<String>,
    /// Name, with its owner.
    pub name: String,
    /// `url`, `namespace_path` and `additional_info` as canonical JSON.
    pub facts: String,
    /// Key-value labels.
    pub tags: BTreeMap<String, String>,
    /// When it was first told of.
    pub created_at: Micros,
    /// When it was last told of.
    pub modified_at: Micros,
}

impl Repo {
    /// Where it is.
    pub fn url(&self) -> String {
        let facts: serde_json::Value = serde_json::from_str(&self.facts).unwrap_or_default();
        facts["url"].as_str().unwrap_or_default().to_owned()
    }

    /// The host in its address.
    pub fn host(&self) -> Option<String> {
        let url = self.url();
        let rest = url.split_once("://")?.1;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        (!host.is_empty()).then(|| host.to_owned())
    }

    /// Where it stands at its code host, outermost first, as far as that was told.
    pub fn namespace(&self) -> Vec<String> {
        let facts: serde_json::Value = serde_json::from_str(&self.facts).unwrap_or_default();
        facts["namespace_path"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part.as_str().map(ToOwned::to_owned))
            .collect()
    }

    /// What identifies it.
    pub fn key(&self) -> RepoKey {
        RepoKey {
            provider: self.provider.clone(),
            id: match &self.id {
                Some(id) => RepoId::Id(id.clone()),
                None => RepoId::Name(self.name.clone()),
            },
        }
    }
}

impl Artifact {
    /// What the verdicts of its trail depend on.
    pub fn to_fact(&self) -> TrailFact {
        TrailFact::Artifact(ArtifactReport {
            no: self.no.0,
            name: self.name.clone(),
            fingerprint: self.fingerprint,
            commit: self.commit.map(|commit| commit.0),
            at: self.at,
        })
    }
}

impl Attestation {
    /// What it is about: the artifact with its fingerprint, else the artifacts it names that were
    /// built from its commit, else the trail (`api-flows.md` section 6.7).
    pub fn binding(
        fingerprint: Option<Fingerprint>,
        targets: &[String],
        commit: Option<Commit>,
    ) -> Binding {
        match (fingerprint, commit) {
            (Some(fingerprint), _) => Binding::Artifact(fingerprint),
            (None, Some(commit)) if !targets.is_empty() => Binding::Targets {
                names: targets.to_vec(),
                commit: commit.0,
            },
            (None, _) => Binding::Trail,
        }
    }

    /// Whether it is about an artifact of its trail.
    pub fn is_about(&self, artifact: &Artifact) -> bool {
        match self.fingerprint {
            Some(fingerprint) => fingerprint == artifact.fingerprint,
            None => {
                self.commit.is_some()
                    && self.commit == artifact.commit
                    && artifact
                        .name
                        .as_ref()
                        .is_some_and(|name| self.targets.contains(name))
            }
        }
    }

    /// What the verdicts of its trail depend on.
    pub fn to_fact(&self) -> TrailFact {
        TrailFact::Attestation(AttestationReport {
            no: self.no.0,
            name: self.name.clone(),
            kind: self
                .original_kind
                .clone()
                .unwrap_or_else(|| self.kind.clone()),
            compliant: self.is_compliant,
            overrides: self.original_kind.is_some(),
            binding: Self::binding(self.fingerprint, &self.targets, self.commit),
            at: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_repository_is() {
        let url = "https://me@git.example.com:8443/acme/shop/web";
        let facts = serde_json::json!({"url": url, "namespace_path": ["acme", "shop"]});
        let repo = Repo {
            organization: OrganizationNo(1),
            no: RepoNo(1),
            provider: None,
            id: None,
            name: "acme/shop/web".to_owned(),
            facts: facts.to_string(),
            tags: BTreeMap::new(),
            created_at: Micros(0),
            modified_at: Micros(0),
        };
        assert_eq!(repo.url(), url);
        assert_eq!(repo.host().as_deref(), Some("git.example.com:8443"));
        assert_eq!(repo.namespace(), ["acme", "shop"]);
        let unknown = Repo {
            facts: "{}".to_owned(),
            ..repo
        };
        assert_eq!((unknown.host(), unknown.namespace().len()), (None, 0));
    }
}
