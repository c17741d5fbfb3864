//! Annotations: what a transition did to one artifact (`api-environments.md` section 5.2), the
//! words for it in events (5.4) and its place in lists (5.3).
//!
//! Owns the types of annotation, their texts and their order. It must not compare states: it is
//! told what happened.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! annotations {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// Type of an annotation, declared in the order in which the tests of section 5.2 apply.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AnnotationKind {
            $($(#[$doc])* $name,)*
        }

        impl AnnotationKind {
            /// All types, by precedence.
            pub const ALL: [Self; [$($wire),*].len()] = [$(Self::$name),*];

            /// The text on the wire.
            pub const fn as_wire(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)*
                }
            }

            /// The type written as `text`.
            pub fn from_wire(text: &str) -> Option<Self> {
                match text {
                    $($wire => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

annotations! {
    /// Not in the previous snapshot; compliant.
    StartedCompliant = "started-compliant",
    /// Not in the previous snapshot; not compliant.
    StartedNonCompliant = "started-non-compliant",
    /// Not in the previous snapshot; no policy judged it.
    StartedUnknown = "started-unknown",
    /// Not in the previous snapshot; only in imported history, where compliance was not told.
    Started = "started",
    /// Only in the previous snapshot.
    Exited = "exited",
    /// Compliance turned true.
    BecameCompliant = "became-compliant",
    /// Compliance turned false.
    BecameNonCompliant = "became-non-compliant",
    /// The flows, trails or commits it comes from changed.
    UpdatedProvenance = "updated-provenance",
    /// Another recorded detail of provenance or evaluation changed.
    Changed = "changed",
    /// Only the number of instances changed, where scaling is included.
    Scaled = "scaled",
    /// Nothing that counts changed.
    Unchanged = "unchanged",
}

impl AnnotationKind {
    /// The annotation of an artifact that was not there before.
    pub const fn started(compliant: Option<bool>) -> Self {
        match compliant {
            Some(true) => Self::StartedCompliant,
            Some(false) => Self::StartedNonCompliant,
            None => Self::StartedUnknown,
        }
    }

    /// The annotation for a changed compliance, or nothing if it is the same.
    pub const fn compliance(was: Option<bool>, now: Option<bool>) -> Option<Self> {
        match (was, now) {
            (Some(true), Some(true)) | (Some(false), Some(false)) | (None, None) => None,
            (_, Some(true)) => Some(Self::BecameCompliant),
            (_, Some(false)) => Some(Self::BecameNonCompliant),
            (_, None) => Some(Self::Changed),
        }
    }

    /// Whether an artifact with it is running in the snapshot.
    pub const fn is_running(self) -> bool {
        !matches!(self, Self::Exited)
    }

    /// Whether it makes an event.
    pub const fn is_event(self) -> bool {
        !matches!(self, Self::Unchanged)
    }

    /// Place of its group among the artifacts of a snapshot: what happened, then `unchanged`,
    /// then `exited` (section 5.3). Within a group: latest start time first, then name.
    pub const fn snapshot_class(self) -> u8 {
        match self {
            Self::Unchanged => 1,
            Self::Exited => 2,
            _ => 0,
        }
    }

    /// Place of its group among the events of a snapshot: started, became, changed and updated,
    /// scaled, exited (section 5.4; design D9). Within a group: fingerprint, then name.
    pub const fn event_class(self) -> u8 {
        match self {
            Self::StartedCompliant
            | Self::StartedNonCompliant
            | Self::StartedUnknown
            | Self::Started => 0,
            Self::BecameCompliant | Self::BecameNonCompliant => 1,
            Self::UpdatedProvenance | Self::Changed => 2,
            Self::Scaled => 3,
            Self::Unchanged => 4,
            Self::Exited => 5,
        }
    }
}

impl fmt::Display for AnnotationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_wire())
    }
}

impl Serialize for AnnotationKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_wire())
    }
}

impl<'de> Deserialize<'de> for AnnotationKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_wire(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown annotation type: {text}")))
    }
}

/// What a transition did to one artifact, with its instance counts before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Annotation {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: AnnotationKind,
    /// Instances in the previous snapshot.
    pub was: u64,
    /// Instances in this snapshot; 0 if it exited.
    pub now: u64,
}

impl Annotation {
    /// The description of the event (section 5.4; for `scaled` design D9).
    pub fn description(&self) -> String {
        let Self { kind, was, now } = *self;
        match kind {
            AnnotationKind::StartedCompliant
            | AnnotationKind::StartedNonCompliant
            | AnnotationKind::StartedUnknown
            | AnnotationKind::Started => {
                format!("{} started running (from {was} to {now})", instances(now))
            }
            AnnotationKind::Exited => {
                format!("{} stopped running (from {was} to {now})", instances(was))
            }
            AnnotationKind::Scaled if now < was => format!("Scaled down from {was} to {now}"),
            AnnotationKind::Scaled => format!("Scaled up from {was} to {now}"),
            AnnotationKind::BecameCompliant
            | AnnotationKind::BecameNonCompliant
            | AnnotationKind::UpdatedProvenance
            | AnnotationKind::Changed => format!("{} changed", instances(now)),
            AnnotationKind::Unchanged => format!("{} unchanged", instances(now)),
        }
    }

    /// The line of an artifact's history as search shows it (section 12), for the transitions
    /// that it tells: start, scaling, end.
    pub fn history(&self, environment: &str, snapshot: u64) -> Option<String> {
        let Self { kind, was, now } = *self;
        let place = format!("in {environment}#{snapshot} environment");
        match kind {
            AnnotationKind::StartedCompliant
            | AnnotationKind::StartedNonCompliant
            | AnnotationKind::StartedUnknown
            | AnnotationKind::Started => Some(format!("Started running {place}")),
            AnnotationKind::Exited => Some(format!("No longer running {place}")),
            AnnotationKind::Scaled => {
                let way = if now < was { "down" } else { "up" };
                Some(format!("Scaled {way} from {was} to {now} {place}"))
            }
            AnnotationKind::BecameCompliant
            | AnnotationKind::BecameNonCompliant
            | AnnotationKind::UpdatedProvenance
            | AnnotationKind::Changed
            | AnnotationKind::Unchanged => None,
        }
    }
}

fn instances(count: u64) -> String {
    if count == 1 {
        "1 instance".to_owned()
    } else {
        format!("{count} instances")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_events() {
        let check = |kind, was, now, expected: &str| {
            assert_eq!(Annotation { kind, was, now }.description(), expected);
        };
        use AnnotationKind as K;
        check(
            K::StartedUnknown,
            0,
            1,
            "1 instance started running (from 0 to 1)",
        );
        check(
            K::StartedCompliant,
            0,
            3,
            "3 instances started running (from 0 to 3)",
        );
        check(K::Exited, 1, 0, "1 instance stopped running (from 1 to 0)");
        check(K::Exited, 3, 0, "3 instances stopped running (from 3 to 0)");
        check(K::Changed, 1, 1, "1 instance changed");
        check(K::UpdatedProvenance, 2, 3, "3 instances changed");
        check(K::BecameNonCompliant, 1, 1, "1 instance changed");
        check(K::Scaled, 3, 1, "Scaled down from 3 to 1");
        check(K::Scaled, 1, 3, "Scaled up from 1 to 3");
        let scaled = Annotation {
            kind: K::Scaled,
            was: 3,
            now: 1,
        };
        assert_eq!(
            scaled.history("prod", 7).as_deref(),
            Some("Scaled down from 3 to 1 in prod#7 environment")
        );
    }

    #[test]
    fn wire_texts_are_read_back_and_precedence_is_that_of_the_contract() {
        for kind in AnnotationKind::ALL {
            assert_eq!(AnnotationKind::from_wire(kind.as_wire()), Some(kind));
        }
        assert_eq!(AnnotationKind::from_wire("Exited"), None);
        assert!(AnnotationKind::Changed < AnnotationKind::Scaled);
        assert!(AnnotationKind::Scaled < AnnotationKind::Unchanged);
    }

    #[test]
    fn compliance_changes() {
        let check = AnnotationKind::compliance;
        for same in [None, Some(true), Some(false)] {
            assert_eq!(check(same, same), None);
        }
        assert_eq!(
            check(None, Some(true)),
            Some(AnnotationKind::BecameCompliant)
        );
        assert_eq!(
            check(Some(true), Some(false)),
            Some(AnnotationKind::BecameNonCompliant)
        );
        assert_eq!(check(Some(true), None), Some(AnnotationKind::Changed));
    }
}
