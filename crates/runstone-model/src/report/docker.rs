//! Reports of docker environments: containers of a Docker engine: one element per container, image name and image digest.

use super::{KindReader, PLAIN};

pub(super) const READER: KindReader = PLAIN;
