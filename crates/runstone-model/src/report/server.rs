//! Reports of server environments: files and directories of a machine: one element per path, under the name the user gave it.

use super::{KindReader, PLAIN};

pub(super) const READER: KindReader = PLAIN;
