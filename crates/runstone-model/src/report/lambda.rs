//! Reports of lambda environments: functions of a serverless platform: one element per function, its name and the digest of its code.

use super::{KindReader, PLAIN};

pub(super) const READER: KindReader = PLAIN;
