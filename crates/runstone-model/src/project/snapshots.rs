//! Snapshots of physical and of logical environments: the state moves on by what an entry states.

use std::sync::Arc;

use super::{Misfit, Rows, without_count};
use crate::event::Effects;
use crate::fact::{
    EntryIndex, Environment, EnvironmentNo, Identity, JudgementNo, Kept, Record, RecordNo,
    Snapshot, SnapshotNo, Span, Start,
};
use crate::id::{Digest, Fingerprint, Micros};
use crate::state::{Element, Head, Step, keyframe_due};
use crate::view::Row;

pub(super) fn append_snapshot(
    rows: &mut Rows,
    environment: EnvironmentNo,
    no: SnapshotNo,
    at: Micros,
    effects: &Effects,
) -> Result<(), Misfit> {
    let organization = rows.organization;
    let places = effects.places();
    let readable = places.are_readable();
    let entry = rows.index;
    let kept = |at: u32, detail: &Arc<[u8]>| {
        if readable {
            Kept::At(entry, at)
        } else {
            Kept::Here(Arc::clone(detail))
        }
    };
    let mut added = Vec::with_capacity(effects.added.len());
    for ((identity, detail), at) in effects.added.iter().zip(&places.added) {
        let stands = readable.then_some((entry, *at));
        let record = record(rows, identity, stands)?;
        added.push(Element {
            record: record.no,
            judgement: JudgementNo(0),
            since: no,
            identity: Arc::clone(&record.identity),
            digest: record.digest,
            detail: Arc::clone(detail),
        });
    }
    let mut head = rows
        .view
        .take_head(organization, environment)?
        .unwrap_or_default();
    if head.no + 1 != no {
        return Err(rows.contradiction(format!("snapshot {no} follows {}", head.no)));
    }
    let started = starts(&head, &added);
    // Records that left, and records that stayed with another detail: both end a span.
    let mut gone = Vec::with_capacity(effects.removed.len());
    let by_digest = positions(&head, effects);
    let mut spans = Vec::new();
    let begun = |element: &Element, at| {
        Row::Span(Span {
            organization,
            record: element.record,
            environment,
            from: element.since,
            to: None,
            detail: kept(at, &element.detail),
        })
    };
    let ended = |element: &Element| Row::SpanEnded {
        organization,
        record: element.record,
        environment,
        from: element.since,
        to: no - 1,
    };
    for digest in &effects.removed {
        let position = *by_digest
            .get(digest)
            .ok_or_else(|| rows.contradiction(format!("removed record {digest} is not there")))?;
        spans.push(ended(&head.elements[position]));
        gone.push(position);
    }
    gone.sort_unstable();
    for ((digest, detail), at) in effects.changed.iter().zip(&places.changed) {
        let position = *by_digest
            .get(digest)
            .ok_or_else(|| rows.contradiction(format!("changed record {digest} is not there")))?;
        let element = &mut head.elements[position];
        spans.push(ended(element));
        element.since = no;
        element.detail = Arc::clone(detail);
        spans.push(begun(element, *at));
    }
    let events = count_events(
        gone.iter()
            .map(|position| &*head.elements[*position].identity),
        added.iter().map(|element| &*element.identity),
    );
    for (element, at) in added.iter().zip(&places.added) {
        spans.push(begun(element, *at));
    }
    let mut known = rows.environment(environment)?;
    if rows.imported {
        known.imported = no;
    }
    let change = Change {
        no,
        at,
        events,
        gone,
        come: added,
        members: Vec::new(),
    };
    append(rows, known, head, change);
    for span in spans {
        rows.put(span);
    }
    for record in started {
        rows.put(Row::Start(Start {
            organization,
            at,
            environment,
            snapshot: no,
            record,
        }));
    }
    for (logical, snapshot) in &effects.logical {
        append_logical(rows, *logical, *snapshot, Some((environment, at, events)))?;
    }
    Ok(())
}

/// Of records that came, those whose fingerprint did not run before: one for each fingerprint.
/// What has no fingerprint is not known to be anything.
fn starts(before: &Head, come: &[Element]) -> Vec<RecordNo> {
    let mut started: Vec<(Fingerprint, RecordNo)> = come
        .iter()
        .filter_map(|element| Some((element.identity.fingerprint?, element.record)))
        .filter(|(fingerprint, _)| !runs(before, fingerprint))
        .collect();
    started.sort_unstable();
    started.dedup_by_key(|(fingerprint, _)| *fingerprint);
    started.into_iter().map(|(_, record)| record).collect()
}

/// Whether a fingerprint runs under any name; elements are sorted by identity, which begins with
/// it.
fn runs(head: &Head, fingerprint: &Fingerprint) -> bool {
    let sought = Some(*fingerprint);
    let first = head
        .elements
        .partition_point(|element| element.identity.fingerprint < sought);
    head.elements
        .get(first)
        .is_some_and(|element| element.identity.fingerprint == sought)
}

/// How a state moves on.
struct Change {
    no: SnapshotNo,
    at: Micros,
    events: u32,
    /// Positions of what left, ascending.
    gone: Vec<usize>,
    come: Vec<Element>,
    /// Of a logical environment: the members' snapshots.
    members: Vec<(EnvironmentNo, SnapshotNo)>,
}

/// Appends the snapshot that a change makes of the state before it.
fn append(rows: &mut Rows, known: Environment, mut head: Head, change: Change) {
    let (organization, environment) = (rows.organization, known.no);
    let Change { no, at, events, .. } = change;
    let mut removed: Vec<_> = change
        .gone
        .iter()
        .map(|position| head.elements[*position].record)
        .collect();
    removed.sort_unstable();
    let mut added: Vec<_> = change
        .come
        .iter()
        .map(|element| (element.record, element.judgement))
        .collect();
    added.sort_unstable();
    head.replace(&change.gone, change.come);
    head.members.clone_from(&change.members);
    let events_before = head.events;
    let step = advance(&mut head, no, at, rows.index, events, removed, added);
    rows.put(Row::Snapshot(Arc::new(Snapshot {
        organization,
        environment,
        no,
        entry: rows.index,
        at,
        events_before,
        events,
        keyframe: head.keyframe,
        running: head.elements.len() as u32,
        step,
        members: change.members,
    })));
    rows.put(Row::Head(organization, environment, Arc::new(head)));
    rows.put(Row::Environment(Arc::new(Environment {
        snapshots: no,
        changed_at: Some(at),
        ..known
    })));
}

/// Where the records that an entry names by digest stand in the state before it.
fn positions(head: &Head, effects: &Effects) -> std::collections::HashMap<Digest, usize> {
    let wanted: Vec<Digest> = effects
        .removed
        .iter()
        .chain(effects.changed.iter().map(|(digest, _)| digest))
        .copied()
        .collect();
    let stand = head.elements.iter().enumerate();
    // Mostly a few of a thousand change: then comparing is cheaper than hashing all.
    if wanted.len() <= 16 {
        stand
            .filter(|(_, element)| wanted.contains(&element.digest))
            .map(|(position, element)| (element.digest, position))
            .collect()
    } else {
        stand
            .map(|(position, element)| (element.digest, position))
            .collect()
    }
}

/// Moves the head on and returns the stored step: a keyframe when one is due.
fn advance(
    head: &mut Head,
    no: SnapshotNo,
    at: Micros,
    entry: EntryIndex,
    events: u32,
    removed: Vec<RecordNo>,
    added: Vec<(RecordNo, JudgementNo)>,
) -> Vec<u8> {
    head.no = no;
    head.at = at;
    head.entry = entry;
    head.events += u64::from(events);
    let whole_bytes = 2 + head.elements.len() as u64 * 5 / 4;
    if head.keyframe == 0 || keyframe_due(no - head.keyframe, head.step_bytes, whole_bytes) {
        let mut state: Vec<_> = head
            .elements
            .iter()
            .map(|element| (element.record, element.judgement))
            .collect();
        state.sort_unstable();
        head.keyframe = no;
        head.step_bytes = 0;
        return Step {
            whole: true,
            removed,
            added: state,
        }
        .to_bytes();
    }
    let bytes = Step {
        whole: false,
        removed,
        added,
    }
    .to_bytes();
    head.step_bytes += bytes.len() as u64;
    bytes
}

/// Number of events of a difference: a record that left and one that came and differ in nothing
/// but the count make one ("scaled").
fn count_events<'a>(
    removed: impl Iterator<Item = &'a Identity>,
    added: impl Iterator<Item = &'a Identity>,
) -> u32 {
    let left: std::collections::HashSet<_> = removed.map(Identity::key).collect();
    let mut events = left.len() as u32;
    for identity in added {
        if !left.contains(&identity.key()) {
            events += 1;
        }
    }
    events
}

/// The record with this identity, made if it is new; `stands` says where, see [`Row::Record`].
fn record(
    rows: &mut Rows,
    identity: &Arc<Identity>,
    stands: Option<(EntryIndex, u32)>,
) -> Result<Arc<Record>, Misfit> {
    if let Some(known) = rows.view.record(rows.organization, identity)? {
        return Ok(known);
    }
    let last = rows.view.counters(rows.organization)?.records;
    let record = Arc::new(Record {
        no: RecordNo(last + 1),
        identity: Arc::clone(identity),
        digest: identity.digest(),
    });
    rows.put(Row::Record(rows.organization, Arc::clone(&record), stands));
    Ok(record)
}

/// Running records and the snapshots of the members they are from.
type Union = (Vec<Arc<Record>>, Vec<(EnvironmentNo, SnapshotNo)>);

/// The running records of a logical environment: the union of its members', without counts.
fn union_of_members(rows: &mut Rows, members: &[EnvironmentNo]) -> Result<Union, Misfit> {
    let mut union = std::collections::BTreeMap::new();
    let mut snapshots = Vec::new();
    for member in members {
        let Some(head) = rows.view.head(rows.organization, *member)? else {
            continue;
        };
        snapshots.push((*member, head.no));
        for element in &head.elements {
            let identity = without_count(&element.identity);
            if let std::collections::btree_map::Entry::Vacant(new) = union.entry(identity) {
                let record = record(rows, new.key(), None)?;
                new.insert(record);
            }
        }
    }
    Ok((union.into_values().collect(), snapshots))
}

/// Appends a snapshot to a logical environment. `cause` is the member's snapshot that made it,
/// whose events are then its own; without one its own difference gives the events.
pub(super) fn append_logical(
    rows: &mut Rows,
    logical: EnvironmentNo,
    no: SnapshotNo,
    cause: Option<(EnvironmentNo, Micros, u32)>,
) -> Result<(), Misfit> {
    let organization = rows.organization;
    let known = rows.environment(logical)?;
    let (union, members) = union_of_members(rows, &known.members)?;
    let head = rows
        .view
        .take_head(organization, logical)?
        .unwrap_or_default();
    if head.no + 1 != no {
        return Err(rows.contradiction(format!("logical snapshot {no} follows {}", head.no)));
    }
    let at = cause.map_or(rows.at, |(_, at, _)| at).max(head.at);
    let running: std::collections::HashSet<_> = union.iter().map(|record| record.no).collect();
    let before: std::collections::HashSet<_> =
        head.elements.iter().map(|element| element.record).collect();
    let gone: Vec<usize> = head
        .elements
        .iter()
        .enumerate()
        .filter(|(_, element)| !running.contains(&element.record))
        .map(|(position, _)| position)
        .collect();
    let come: Vec<Element> = union
        .iter()
        .filter(|record| !before.contains(&record.no))
        .map(|record| Element {
            record: record.no,
            judgement: JudgementNo(0),
            since: no,
            identity: Arc::clone(&record.identity),
            digest: record.digest,
            detail: Arc::from(&b""[..]),
        })
        .collect();
    let events = match cause {
        Some((_, _, events)) => events,
        None => (gone.len() + come.len()) as u32,
    };
    let change = Change {
        no,
        at,
        events,
        gone,
        come,
        members,
    };
    append(rows, known, head, change);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(record: u32, fingerprint: u8, name: &str, count: Option<u32>) -> Element {
        let identity = Identity {
            fingerprint: (fingerprint > 0).then_some(Fingerprint([fingerprint; 32])),
            name: name.to_owned(),
            count,
        };
        Element {
            record: RecordNo(record),
            judgement: JudgementNo(0),
            since: 1,
            digest: identity.digest(),
            identity: Arc::new(identity),
            detail: Arc::from(&b"{\"t\":[]}"[..]),
        }
    }

    #[test]
    fn what_starts_did_not_run_before_under_any_name_or_count() {
        let before = Head::default().restore(vec![
            element(1, 3, "web", Some(2)),
            element(2, 1, "api", None),
            element(3, 0, "odd", None),
            element(4, 9, "last", None),
        ]);
        let come = [
            element(5, 3, "web", Some(5)),
            element(6, 1, "api-too", None),
            element(7, 0, "odd-too", None),
            element(9, 2, "new-too", None),
            element(8, 2, "new", None),
            element(10, 4, "newer", None),
        ];
        assert_eq!(starts(&before, &come), [RecordNo(8), RecordNo(10)]);
        assert_eq!(starts(&before, &[]), []);
        let none = Head::default();
        assert_eq!(starts(&none, &come[..3]), [RecordNo(6), RecordNo(5)]);
    }
}
