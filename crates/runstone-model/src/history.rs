//! History: what two states of an environment tell about each other: the annotations of a
//! snapshot, the events of a transition, the difference of any two states, and the story of one
//! artifact.
//!
//! Owns the comparison of neighbouring states and the orders in which the contracts list their
//! outcome (`api-environments.md` sections 5, 9, 10, 12). Everything is derived; it must not
//! know how states are stored or shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::annotation::{Annotation, AnnotationKind};
use crate::fact::{EnvironmentNo, Run, Running, SnapshotNo};
use crate::id::Fingerprint;
use crate::report::{DetailError, instances_in, pod_names};

/// An artifact with what a transition did to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotated<'s> {
    /// As it runs after the transition; as it last ran if it exited.
    pub running: &'s Running,
    /// What happened.
    pub annotation: Annotation,
}

/// Number of instances.
pub fn instances(running: &Running) -> u64 {
    running
        .identity
        .count
        .map_or_else(|| instances_in(&running.detail), u64::from)
}

/// Start of the instance that started last, Unix seconds; start times stand ascending at the end
/// of a detail.
pub fn latest_start(running: &Running) -> i64 {
    let times = running.detail.strip_suffix(b"]}").unwrap_or_default();
    let start = times
        .iter()
        .rposition(|byte| !byte.is_ascii_digit())
        .map_or(0, |at| at + 1);
    std::str::from_utf8(&times[start..])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn transition(before: Option<&Running>, after: Option<&Running>) -> Option<Annotation> {
    let was = before.map_or(0, instances);
    let now = after.map_or(0, instances);
    let kind = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => AnnotationKind::started(None),
        (Some(_), None) => AnnotationKind::Exited,
        (Some(before), Some(after)) if before.judgement != after.judgement => {
            AnnotationKind::Changed
        }
        (Some(before), Some(after)) if before.identity.count == after.identity.count => {
            AnnotationKind::Unchanged
        }
        // Another record of the same artifact: its count differs, or whether counts count.
        (Some(_), Some(_)) if was == now => AnnotationKind::Changed,
        (Some(_), Some(_)) => AnnotationKind::Scaled,
    };
    Some(Annotation { kind, was, now })
}

type Key<'s> = (Option<Fingerprint>, &'s str);

fn paired<'s>(
    before: &'s [Running],
    after: &'s [Running],
) -> BTreeMap<Key<'s>, (Option<&'s Running>, Option<&'s Running>)> {
    let mut pairs: BTreeMap<_, (Option<&Running>, Option<&Running>)> = BTreeMap::new();
    for running in before {
        pairs.entry(running.identity.key()).or_default().0 = Some(running);
    }
    for running in after {
        pairs.entry(running.identity.key()).or_default().1 = Some(running);
    }
    pairs
}

fn annotated<'s>(
    before: &'s [Running],
    after: &'s [Running],
) -> impl Iterator<Item = Annotated<'s>> {
    paired(before, after)
        .into_values()
        .filter_map(|(before, after)| {
            Some(Annotated {
                running: after.or(before)?,
                annotation: transition(before, after)?,
            })
        })
}

/// The artifacts of a snapshot in the order of section 5.3: what happened, then what stayed, then
/// what exited; within each the latest start first, then the name.
pub fn annotate<'s>(before: &'s [Running], after: &'s [Running]) -> Vec<Annotated<'s>> {
    let mut artifacts: Vec<_> = annotated(before, after)
        .map(|artifact| {
            (
                artifact.annotation.kind.snapshot_class(),
                -latest_start(artifact.running),
                artifact,
            )
        })
        .collect();
    artifacts.sort_by(|a, b| {
        (
            a.0,
            a.1,
            &a.2.running.identity.name,
            a.2.running.identity.fingerprint,
        )
            .cmp(&(
                b.0,
                b.1,
                &b.2.running.identity.name,
                b.2.running.identity.fingerprint,
            ))
    });
    artifacts
        .into_iter()
        .map(|(_, _, artifact)| artifact)
        .collect()
}

/// The events of a transition in the order of section 5.4. What left and what came suffice; what
/// stayed makes no event.
pub fn events<'s>(removed: &'s [Running], added: &'s [Running]) -> Vec<Annotated<'s>> {
    let mut events: Vec<_> = annotated(removed, added)
        .filter(|event| event.annotation.kind.is_event())
        .collect();
    // By (fingerprint, name) already; the sort is stable.
    events.sort_by_key(|event| event.annotation.kind.event_class());
    events
}

/// One artifact of a difference; instances under several names count together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared<'s> {
    /// Identity of the content; none = unknown, then the name identifies it.
    pub fingerprint: Option<Fingerprint>,
    /// Name as reported.
    pub name: &'s str,
    /// Instances in the first state.
    pub was: u64,
    /// Instances in the second state.
    pub now: u64,
    /// Latest start, Unix seconds; of the second state where it runs there.
    pub latest_start: i64,
    /// K8S: names of the pods, of the second state where it runs there.
    pub pods: Option<Vec<Cow<'s, str>>>,
}

/// What differs between two states, each list by fingerprint, then name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference<'s> {
    /// Only in the first.
    pub removed: Vec<Compared<'s>>,
    /// Only in the second.
    pub added: Vec<Compared<'s>>,
    /// In both, with another number of instances.
    pub changed: Vec<Compared<'s>>,
    /// In both.
    pub same: Vec<Compared<'s>>,
}

/// Compares any two states (section 9). Details are read only of the side that is told of.
pub fn compare<'s>(
    first: &'s [Running],
    second: &'s [Running],
) -> Result<Difference<'s>, DetailError> {
    let keyed = |running: &'s Running, is_second| {
        let fingerprint = running.identity.fingerprint.as_ref();
        let name = match fingerprint {
            Some(_) => "",
            None => running.identity.name.as_str(),
        };
        ((fingerprint, name), is_second, running)
    };
    let mut all = Vec::with_capacity(first.len() + second.len());
    all.extend(first.iter().map(|running| keyed(running, false)));
    all.extend(second.iter().map(|running| keyed(running, true)));
    // Stable: of one artifact the first state's come first, each in the order of its state.
    all.sort_by_key(|(key, _, _)| *key);
    let mut difference = Difference::default();
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let (before, after) = group.split_at(group.partition_point(|(_, is_second, _)| !is_second));
        let count = |side: &[(_, bool, &Running)]| {
            side.iter().map(|(_, _, running)| instances(running)).sum()
        };
        let mut compared = Compared {
            was: count(before),
            now: count(after),
            ..Compared::default()
        };
        let told = if after.is_empty() { before } else { after };
        for (_, _, running) in told {
            compared.fingerprint = running.identity.fingerprint;
            if compared.name.is_empty() || running.identity.name.as_str() < compared.name {
                compared.name = &running.identity.name;
            }
            compared.latest_start = compared.latest_start.max(latest_start(running));
            match (pod_names(&running.detail)?, &mut compared.pods) {
                (None, _) => {}
                (Some(more), Some(names)) => names.extend(more),
                (names, none) => *none = names,
            }
        }
        let list = match (compared.was, compared.now) {
            (_, 0) => &mut difference.removed,
            (0, _) => &mut difference.added,
            (was, now) if was == now => &mut difference.same,
            _ => &mut difference.changed,
        };
        list.push(compared);
    }
    Ok(difference)
}

/// A step in the story of one artifact in one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub environment: EnvironmentNo,
    /// With which snapshot.
    pub snapshot: SnapshotNo,
    /// What happened.
    pub annotation: Annotation,
}

/// The story of one artifact, from the runs of its records: each with the count that is part of
/// the record's identity, if any. In order of environment and snapshot.
pub fn story(runs: &[(Run, Option<u32>)]) -> Vec<Step> {
    let mut by_environment: BTreeMap<EnvironmentNo, Vec<&(Run, Option<u32>)>> = BTreeMap::new();
    for run in runs {
        by_environment
            .entry(run.0.environment)
            .or_default()
            .push(run);
    }
    let mut steps = Vec::new();
    for (environment, mut runs) in by_environment {
        runs.sort_by_key(|(run, _)| run.from);
        let count = |count: Option<u32>| u64::from(count.unwrap_or(1));
        for (index, (run, now)) in runs.iter().enumerate() {
            let follows = index
                .checked_sub(1)
                .map(|before| runs[before])
                .filter(|(before, _)| before.to.is_some_and(|to| to + 1 == run.from));
            let start = match follows {
                None => Some((AnnotationKind::started(None), 0, count(*now))),
                Some((_, was)) if was.is_some() && now.is_some() => {
                    Some((AnnotationKind::Scaled, count(*was), count(*now)))
                }
                Some(_) => None,
            };
            let continued = runs
                .get(index + 1)
                .is_some_and(|(next, _)| run.to.is_some_and(|to| to + 1 == next.from));
            let end = run
                .to
                .filter(|_| !continued)
                .map(|to| (to + 1, (AnnotationKind::Exited, count(*now), 0)));
            for (snapshot, (kind, was, now)) in
                start.map(|start| (run.from, start)).into_iter().chain(end)
            {
                steps.push(Step {
                    environment,
                    snapshot,
                    annotation: Annotation { kind, was, now },
                });
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::sync::Arc;

    use super::*;
    use crate::fact::{Identity, JudgementNo, RecordNo};

    fn running(fingerprint: u8, name: &str, count: Option<u32>, times: &str) -> Running {
        Running {
            record: RecordNo(1),
            judgement: JudgementNo(0),
            identity: Arc::new(Identity {
                fingerprint: (fingerprint > 0).then_some(Fingerprint([fingerprint; 32])),
                name: name.to_owned(),
                count,
            }),
            detail: format!("{{\"t\":[{times}]}}").into_bytes().into(),
        }
    }

    fn told(artifacts: &[Annotated<'_>]) -> Vec<String> {
        artifacts
            .iter()
            .map(|artifact| {
                let Annotation { kind, was, now } = artifact.annotation;
                format!("{} {kind} {was} {now}", artifact.running.identity.name)
            })
            .collect()
    }

    #[test]
    fn artifacts_of_a_snapshot() {
        let before = [
            running(1, "stays", None, "5"),
            running(2, "stays-with-more", None, "1,9"),
            running(3, "exits", None, "100"),
            running(0, "unknown", None, "2"),
        ];
        let after = [
            running(1, "stays", None, "5"),
            running(2, "stays-with-more", None, "1,9,10"),
            running(4, "starts", None, "3"),
            running(0, "unknown", None, "2"),
        ];
        assert_eq!(
            told(&annotate(&before, &after)),
            [
                "starts started-unknown 0 1",
                "stays-with-more unchanged 2 3",
                "stays unchanged 1 1",
                "unknown unchanged 1 1",
                "exits exited 1 0",
            ]
        );
        assert_eq!(
            told(&annotate(&[], &after)).len(),
            4,
            "everything starts with the first snapshot"
        );
    }

    #[test]
    fn events_of_a_transition() {
        let removed = [
            running(9, "exits", None, "1"),
            running(5, "scales", Some(3), "1,2,3"),
            running(6, "is-counted-from-now-on", None, "1"),
        ];
        let added = [
            running(5, "scales", Some(1), "1"),
            running(6, "is-counted-from-now-on", Some(1), "1"),
            running(8, "starts", None, "1"),
            running(7, "starts", None, "1"),
        ];
        let events = events(&removed, &added);
        assert_eq!(
            told(&events),
            [
                "starts started-unknown 0 1",
                "starts started-unknown 0 1",
                "is-counted-from-now-on changed 1 1",
                "scales scaled 3 1",
                "exits exited 1 0",
            ]
        );
        assert_eq!(
            events[0].running.identity.fingerprint,
            Some(Fingerprint([7; 32]))
        );
    }

    #[test]
    fn differences_mirror_each_other() {
        let first = [
            running(1, "a", None, "1,2"),
            running(2, "b", None, "1"),
            running(3, "c", None, "7"),
            running(0, "unknown", None, "7"),
        ];
        let second = [
            running(1, "a", None, "1,4"),
            running(2, "b", None, "1,2,3"),
            running(4, "d", None, "8"),
            running(0, "unknown", None, "7"),
        ];
        let there = compare(&first, &second).unwrap();
        let names = |list: &[Compared]| -> Vec<String> {
            list.iter()
                .map(|compared| compared.name.to_owned())
                .collect()
        };
        assert_eq!(names(&there.removed), ["c"]);
        assert_eq!(names(&there.added), ["d"]);
        assert_eq!(names(&there.changed), ["b"]);
        assert_eq!(names(&there.same), ["unknown", "a"]);
        assert_eq!(there.same[1].latest_start, 4);
        assert_eq!((there.changed[0].was, there.changed[0].now), (1, 3));
        let back = compare(&second, &first).unwrap();
        assert_eq!(names(&back.added), names(&there.removed));
        assert_eq!(names(&back.removed), names(&there.added));
        let same = compare(&first, &first).unwrap();
        assert!(same.removed.is_empty() && same.added.is_empty() && same.changed.is_empty());
    }

    #[test]
    fn pods_are_named() {
        let mut pod = running(1, "a", None, "1");
        pod.detail = br#"{"pods":{"web-1":{"ns":"prod","t":1}},"t":[1]}"#[..].into();
        let mut other = pod.clone();
        other.detail = br#"{"pods":{"a\u0022":{"ns":"x","owners":[{"apiVersion":"v1","kind":"K","name":"pods","uid":"u"}],"t":1},"b":{"ns":"x","t":2}},"t":[1,2]}"#[..].into();
        let (first, second) = ([pod], [other]);
        let there = compare(&[], &first).unwrap();
        assert_eq!(there.added[0].pods, Some(vec![Cow::Borrowed("web-1")]));
        // Of both the second is told of.
        let there = compare(&first, &second).unwrap();
        let changed = &there.changed[0];
        assert_eq!((changed.was, changed.now), (1, 2));
        assert_eq!(changed.pods.as_deref().unwrap(), ["a\"", "b"]);
    }

    #[test]
    fn the_story_of_an_artifact() {
        let run = |environment, from, to, count| {
            let run = Run {
                environment: EnvironmentNo(environment),
                record: RecordNo(1),
                from,
                to,
            };
            (run, count)
        };
        let steps = story(&[
            run(2, 1, Some(3), None),
            run(2, 5, None, None),
            run(1, 4, Some(6), Some(3)),
            run(1, 7, None, Some(1)),
        ]);
        let told: Vec<String> = steps
            .iter()
            .filter_map(|step| {
                step.annotation
                    .history(&format!("env{}", step.environment.0), step.snapshot)
            })
            .collect();
        assert_eq!(
            told,
            [
                "Started running in env1#4 environment",
                "Scaled down from 3 to 1 in env1#7 environment",
                "Started running in env2#1 environment",
                "No longer running in env2#4 environment",
                "Started running in env2#5 environment",
            ]
        );
    }
}
