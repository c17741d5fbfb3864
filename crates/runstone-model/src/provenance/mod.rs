//! What reporters tell about where software came from: the bodies that make flows, trails and
//! artifacts, and the parts that these share with attestations (`api-flows.md` sections 2, 3, 5
//! and 7).
//!
//! Owns the shapes of these bodies. Reading gives values that obey them, or every problem at
//! once. It must not know what is stored or who reports.

mod bodies;
mod joined;
mod legacy;
pub mod shape;
mod shared;
#[cfg(test)]
mod tests;

pub use self::bodies::{
    ARTIFACT_BYTES_MAX, CreateArtifact, CreateFlow, CreateTrail, create_artifact, create_flow,
    create_legacy_flow, create_trail, rename_flow,
};
pub use self::joined::{CommitPage, comparison, entries, label, naming};
pub use self::legacy::{
    APPROVED_COMMITS_MAX, CreateApproval, CreateDeployment, REVIEWS_MAX, create_approval,
    create_deployment,
};
pub(crate) use self::shared::{
    ANNOTATIONS, ATTESTATION_NAME, COMMIT, EXTERNAL_URLS, FINGERPRINT, FLOW_NAME, GIT_COMMIT,
    REPO_INFO, USER_DATA, commit_from_hex, take,
};
pub use self::shared::{GitCommit, RepoInfo};
