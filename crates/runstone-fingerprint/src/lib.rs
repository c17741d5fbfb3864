//! SHA-256 identity of files, directories and container images.
//!
//! Owns the truth of what a fingerprint is: for the same input every function here returns the
//! same 64 digits as the published client (`reference/cli.md` section 3), except where the
//! contract names a defect that is not to be copied.
//!
//! Must not: print, read environment variables, know a server or a database. Nothing here is
//! asynchronous outside the feature `oci`. Warnings are returned as values.

mod directory;
pub mod docker;
mod error;
mod file;
mod glob;
#[cfg(feature = "oci")]
pub mod oci;
mod path;

pub use directory::{Directory, Options, Progress, Trace, Warning, directory};
pub use error::{Error, LONE_BLANK_HELP, os_reason};
pub use file::{file, stream};
pub use glob::{glob, walk};
pub use path::clean;
pub use runstone_model::id::Fingerprint;

/// Name of the file in a directory's root that lists what its fingerprint leaves out.
pub const IGNORE_FILE: &str = ".kosli_ignore";
