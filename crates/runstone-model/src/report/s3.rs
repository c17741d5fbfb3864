//! Reports of S3 environments: buckets: one element, the bucket's name and the directory-style digest of the selected content.

use super::{KindReader, PLAIN};

pub(super) const READER: KindReader = PLAIN;
