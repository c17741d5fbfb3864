//! What stands in effects bodies and is read from there: identities of records, and details.
//!
//! A body of a few KiB is decompressed once for everything that is wanted of it; rows say where
//! in it an element begins. What a large body brought stands in the rows themselves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use runstone_model::event::{ELEMENT_BODY_BYTES_MAX, Effects, Part};
use runstone_model::fact::{EnvironmentNo, Identity, OrganizationNo, RecordNo, SnapshotNo};

use super::corrupt;
use crate::conn::Conn;
use crate::value::{DbError, Record, Value};

// A body that is read for its elements always lies inside the database.
const _: () = assert!(ELEMENT_BODY_BYTES_MAX <= crate::bodies::INLINE_BYTES_MAX);

/// So many bodies are held at once.
const BODIES_MAX: usize = 256;
/// So many numbers go into one statement.
const NUMBERS_MAX: usize = 5_000;

/// What ran in a snapshot.
pub(crate) struct Stay {
    /// First snapshot of the span that covers it.
    pub(crate) since: SnapshotNo,
    pub(crate) identity: Arc<Identity>,
    pub(crate) detail: Arc<[u8]>,
}

/// An element that is wanted: entry of its body, byte in it, and the caller's number for it.
type Wanted = (u64, u32, usize);

/// Reads elements of bodies. Gives up before more than `bytes_max` bytes would be decompressed.
async fn parts(
    conn: &mut Conn,
    organization: OrganizationNo,
    mut wanted: Vec<Wanted>,
    mut bytes_max: usize,
    mut found: impl FnMut(usize, Part),
) -> Result<(), DbError> {
    wanted.sort_unstable();
    let mut body = Vec::new();
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let mut numbers: Vec<i64> = Vec::new();
        let mut end = 0;
        while let Some((number, ..)) = rest.get(end) {
            if numbers.last() != Some(&(*number as i64)) {
                if numbers.len() == BODIES_MAX {
                    break;
                }
                numbers.push(*number as i64);
            }
            end += 1;
        }
        let (chunk, later) = rest.split_at(end);
        rest = later;
        let count = numbers.len();
        let numbers = Value::Ints(numbers);
        let rows = conn
            .query(
                "SELECT b.entry, b.encoding, b.bytes_total, b.bytes FROM ID_TABLE($1) CROSS JOIN bodies b WHERE b.organization = $2 AND b.entry = i.value AND b.position = 0",
                &[numbers, organization.0.into()],
            )
            .await?;
        if rows.len() != count {
            return Err(corrupt("an effects body is missing"));
        }
        for row in &rows {
            let number = row.number(0)?;
            let total = usize::try_from(row.int(2)?)
                .ok()
                .filter(|total| *total <= ELEMENT_BODY_BYTES_MAX)
                .ok_or_else(|| corrupt("the length of a body"))?;
            bytes_max = bytes_max.checked_sub(total).ok_or(DbError::TooLong)?;
            crate::bodies::decode_into(row.int(1)?, &row.blob(3)?, total, &mut body)?;
            let first = chunk.partition_point(|(other, ..)| *other < number);
            for (_, at, slot) in chunk[first..]
                .iter()
                .take_while(|(other, ..)| *other == number)
            {
                let part =
                    Effects::part_at(&body, *at).map_err(|error| corrupt(&error.to_string()))?;
                found(*slot, part);
            }
        }
    }
    Ok(())
}

/// Numbers and identities of records, in the order of rows of the columns number, entry, byte,
/// text.
pub(crate) async fn read_identities(
    conn: &mut Conn,
    organization: OrganizationNo,
    rows: &[Record],
    bytes_max: usize,
) -> Result<Vec<(RecordNo, Arc<Identity>)>, DbError> {
    let mut read: Vec<Option<Arc<Identity>>> = Vec::with_capacity(rows.len());
    let mut wanted = Vec::new();
    for row in rows {
        if row.is_null(3) {
            wanted.push((row.number(1)?, row.ordinal(2)?, read.len()));
            read.push(None);
        } else {
            let identity =
                Identity::from_json(row.text(3)?).map_err(|error| corrupt(&error.to_string()))?;
            read.push(Some(Arc::new(identity)));
        }
    }
    parts(conn, organization, wanted, bytes_max, |slot, part| {
        read[slot] = part.identity.map(Arc::new);
    })
    .await?;
    rows.iter()
        .zip(read)
        .map(|(row, identity)| {
            let identity = identity.ok_or_else(|| corrupt("a record stands in no body"))?;
            Ok((RecordNo(row.ordinal(0)?), identity))
        })
        .collect()
}

/// Identities of records by number, set-wise. Their digests are not made: they cost more than the
/// rest, and no reader asks for them.
pub(crate) async fn identities(
    conn: &mut Conn,
    organization: OrganizationNo,
    numbers: &[RecordNo],
    bytes_max: usize,
) -> Result<HashMap<RecordNo, Arc<Identity>>, DbError> {
    let mut found = HashMap::with_capacity(numbers.len());
    for chunk in numbers.chunks(NUMBERS_MAX) {
        let rows = conn
            .query(
                "SELECT r.no, r.entry, r.body_at, r.here FROM ID_TABLE($1) CROSS JOIN records r WHERE r.organization = $2 AND r.no = i.value",
                &[
                    Value::Ints(chunk.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                ],
            )
            .await?;
        found.extend(read_identities(conn, organization, &rows, bytes_max).await?);
    }
    Ok(found)
}

/// What is known of a span while it is read.
struct Reading {
    record: RecordNo,
    since: SnapshotNo,
    until: Option<SnapshotNo>,
    part: Option<Part>,
}

/// What ran in a snapshot of a physical environment, by record, set-wise.
pub(crate) async fn stays(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
    no: SnapshotNo,
    numbers: &[RecordNo],
    bytes_max: usize,
) -> Result<HashMap<RecordNo, Stay>, DbError> {
    // Of the spans of a record in an environment exactly one covers a snapshot it runs in.
    let found = spans(
        conn,
        organization,
        environment,
        (no, no),
        numbers,
        bytes_max,
    )
    .await?;
    Ok(found
        .into_iter()
        .map(|(record, _, stay)| (record, stay))
        .collect())
}

/// Records as they ran in one snapshot each of a physical environment, set-wise. The snapshots
/// should not lie far apart.
pub(crate) async fn stays_at(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
    wanted: &[(RecordNo, SnapshotNo)],
    bytes_max: usize,
) -> Result<HashMap<(RecordNo, SnapshotNo), Stay>, DbError> {
    let numbers: BTreeSet<RecordNo> = wanted.iter().map(|(record, _)| *record).collect();
    let numbers: Vec<RecordNo> = numbers.into_iter().collect();
    let all = || wanted.iter().map(|(_, no)| *no);
    let (Some(first), Some(last)) = (all().min(), all().max()) else {
        return Ok(HashMap::new());
    };
    let mut found: HashMap<RecordNo, Vec<(Option<SnapshotNo>, Stay)>> = HashMap::new();
    for (record, until, stay) in spans(
        conn,
        organization,
        environment,
        (first, last),
        &numbers,
        bytes_max,
    )
    .await?
    {
        found.entry(record).or_default().push((until, stay));
    }
    let mut stays = HashMap::with_capacity(wanted.len());
    for (record, no) in wanted {
        let covers = |(until, stay): &&(Option<SnapshotNo>, Stay)| {
            stay.since <= *no && until.is_none_or(|until| until >= *no)
        };
        if let Some((_, stay)) = found
            .get(record)
            .and_then(|spans| spans.iter().find(covers))
        {
            let stay = Stay {
                since: stay.since,
                identity: Arc::clone(&stay.identity),
                detail: Arc::clone(&stay.detail),
            };
            stays.insert((*record, *no), stay);
        }
    }
    Ok(stays)
}

/// A record, the last snapshot of a span of it, and what ran in that.
type Spanned = (RecordNo, Option<SnapshotNo>, Stay);

/// Spans of records in a physical environment that touch some of the snapshots, set-wise.
async fn spans(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
    (first, last): (SnapshotNo, SnapshotNo),
    numbers: &[RecordNo],
    bytes_max: usize,
) -> Result<Vec<Spanned>, DbError> {
    let mut spans = Vec::with_capacity(numbers.len());
    let mut wanted = Vec::with_capacity(numbers.len());
    for chunk in numbers.chunks(NUMBERS_MAX) {
        let rows = conn
            .query(
                "SELECT s.record, s.from_no, s.entry, s.body_at, s.detail, s.to_no FROM ID_TABLE($1) CROSS JOIN spans s WHERE s.organization = $2 AND s.record = i.value AND s.environment = $3 AND s.from_no <= $4 AND (s.to_no IS NULL OR s.to_no >= $5)",
                &[
                    Value::Ints(chunk.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                    environment.0.into(),
                    last.into(),
                    first.into(),
                ],
            )
            .await?;
        for row in rows {
            let since = row.number(1)?;
            let part = if row.is_null(4) {
                wanted.push((row.number(2)?, row.ordinal(3)?, spans.len()));
                None
            } else {
                Some(Part {
                    identity: None,
                    detail: crate::bodies::unsqueeze(&row.blob(4)?)?.into(),
                })
            };
            spans.push(Reading {
                record: RecordNo(row.ordinal(0)?),
                since,
                until: row.optional_int(5)?.map(|no| no as u64),
                part,
            });
        }
    }
    parts(conn, organization, wanted, bytes_max, |slot, part| {
        spans[slot].part = Some(part);
    })
    .await?;
    // What a span with another detail began with does not say which record it is.
    let unnamed: Vec<RecordNo> = spans
        .iter()
        .filter(|span| {
            span.part
                .as_ref()
                .is_some_and(|part| part.identity.is_none())
        })
        .map(|span| span.record)
        .collect();
    let named = identities(conn, organization, &unnamed, bytes_max).await?;
    spans
        .into_iter()
        .map(|span| {
            let part = span.part.ok_or_else(|| corrupt("a detail is missing"))?;
            let identity = part
                .identity
                .map(Arc::new)
                .or_else(|| named.get(&span.record).cloned())
                .ok_or_else(|| corrupt("a record is missing"))?;
            let stay = Stay {
                since: span.since,
                identity,
                detail: part.detail,
            };
            Ok((span.record, span.until, stay))
        })
        .collect()
}

/// Details of records when they first ran in a physical environment, set-wise.
pub(crate) async fn first_details(
    conn: &mut Conn,
    organization: OrganizationNo,
    environment: EnvironmentNo,
    numbers: &[RecordNo],
    bytes_max: usize,
) -> Result<HashMap<RecordNo, Arc<[u8]>>, DbError> {
    let mut found = HashMap::with_capacity(numbers.len());
    let mut records = Vec::new();
    let mut wanted = Vec::new();
    for chunk in numbers.chunks(NUMBERS_MAX) {
        let rows = conn
            .query(
                "SELECT s.record, s.entry, s.body_at, s.detail FROM ID_TABLE($1) CROSS JOIN spans s WHERE s.organization = $2 AND s.record = i.value AND s.environment = $3 AND s.from_no = (SELECT min(f.from_no) FROM spans f WHERE f.organization = $2 AND f.record = i.value AND f.environment = $3)",
                &[
                    Value::Ints(chunk.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                    environment.0.into(),
                ],
            )
            .await?;
        for row in rows {
            let record = RecordNo(row.ordinal(0)?);
            if row.is_null(3) {
                wanted.push((row.number(1)?, row.ordinal(2)?, records.len()));
                records.push(record);
            } else {
                found.insert(record, crate::bodies::unsqueeze(&row.blob(3)?)?.into());
            }
        }
    }
    parts(conn, organization, wanted, bytes_max, |slot, part| {
        found.insert(records[slot], part.detail);
    })
    .await?;
    Ok(found)
}
