//! The journal as the API shows it: the head of a log, its entries, bodies and receipts. Ours.

use std::sync::Arc;

use axum::http::StatusCode;
use runstone_api::journal::{Epoch, Head, Key};
use runstone_api::path::{LOG, segment};
use runstone_model::command::Refusal;
use runstone_model::event::Entry;
use runstone_model::role::Right;

use crate::app::access::Naming;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer, BYTES, IMMUTABLE, JSON, PRIVATE_IMMUTABLE, TEXT};
use crate::http::call::ReadCall;
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, read_by};

const TAG: &str = "Journal";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        read_by(
            Naming::NameOrId,
            Right::Read,
            api("/journal/{org}"),
            docs(
                "get_journal",
                TAG,
                "Get the head of an organization's log",
                Success::One(shape::<Head>()),
                &[(200, "The head.")],
            ),
            head,
        ),
        read_by(
            Naming::NameOrId,
            Right::Read,
            api("/journal/{org}/entries/{index}"),
            docs(
                "get_journal_entry",
                TAG,
                "Get an entry as it stands in the log",
                Success::Other("application/json"),
                &[(200, "The entry."), (404, "There is no such entry.")],
            ),
            entry,
        ),
        read_by(
            Naming::NameOrId,
            Right::Read,
            api("/journal/{org}/receipts/{index}"),
            docs(
                "get_journal_receipt",
                TAG,
                "Get the receipt of an entry: a tlog-proof that can be verified offline",
                Success::Other("text/plain"),
                &[(200, "The receipt."), (404, "There is no such entry.")],
            ),
            receipt,
        ),
        read_by(
            Naming::NameOrId,
            Right::Read,
            api("/journal/{org}/bodies/{index}/{position}"),
            docs(
                "get_journal_body",
                TAG,
                "Get a body that an entry names",
                Success::Other("application/octet-stream"),
                &[
                    (200, "The bytes the entry's digest covers."),
                    (404, "There is no such body."),
                ],
            )
            .about("Private bodies are for administrators."),
            body,
        ),
    ]
}

async fn head(mut call: ReadCall) -> Answer {
    let log = call
        .read
        .log(call.organization.no, None)
        .await?
        .ok_or_else(|| AppError::missing("This organization has no log yet"))?;
    answer::json(
        StatusCode::OK,
        &Head {
            organization_id: call.organization.id.clone(),
            url: format!(
                "{}{LOG}/{}",
                call.parts.origin(),
                segment(&call.organization.name)
            ),
            origin: log.origin,
            epoch: log.epoch,
            size: log.size,
            checkpoint: log.note,
            keys: log
                .keys
                .into_iter()
                .map(|key| Key {
                    vkey: key.vkey,
                    from_size: key.from_size,
                    to_size: key.to_size,
                })
                .collect(),
            epochs: log
                .epochs
                .into_iter()
                .map(|(epoch, from_size, to_size)| Epoch {
                    epoch,
                    from_size,
                    to_size,
                })
                .collect(),
        },
    )
}

/// The index in the path, if a published entry has it.
async fn published(call: &mut ReadCall) -> Result<u64, AppError> {
    let text = call.parts.param("index");
    let missing = || AppError::missing(format!("There is no entry '{text}' in this log"));
    let index: u64 = text.parse().map_err(|_| missing())?;
    let size = call
        .read
        .log(call.organization.no, None)
        .await?
        .map_or(0, |log| log.size);
    if index < size {
        Ok(index)
    } else {
        Err(missing())
    }
}

fn for_good(call: &ReadCall, response: axum::response::Response) -> axum::response::Response {
    let control = if call.organization.public {
        IMMUTABLE
    } else {
        PRIVATE_IMMUTABLE
    };
    answer::cached(response, control)
}

async fn entry(mut call: ReadCall) -> Answer {
    let index = published(&mut call).await?;
    let bytes = entry_bytes(&mut call, index).await?;
    Ok(for_good(&call, answer::body(StatusCode::OK, JSON, bytes)))
}

async fn entry_bytes(call: &mut ReadCall, index: u64) -> Result<Vec<u8>, AppError> {
    call.read
        .entry(call.organization.no, index)
        .await?
        .ok_or_else(|| AppError::missing(format!("There is no entry '{index}' in this log")))
}

async fn receipt(mut call: ReadCall) -> Answer {
    let index = published(&mut call).await?;
    let text = call
        .read
        .receipt(call.organization.no, index)
        .await?
        .ok_or_else(|| AppError::missing(format!("There is no entry '{index}' in this log")))?;
    Ok(answer::body(StatusCode::OK, TEXT, text))
}

async fn body(mut call: ReadCall) -> Answer {
    let index = published(&mut call).await?;
    let bytes = entry_bytes(&mut call, index).await?;
    let damaged = |error: runstone_model::event::Unreadable| AppError::Internal(error.to_string());
    let count = Entry::body_digests(&bytes).map_err(damaged)?.len();
    let text = call.parts.param("position").to_owned();
    let missing = || AppError::missing(format!("Entry {index} has no body '{text}'"));
    let position = text
        .parse::<usize>()
        .ok()
        .filter(|position| *position < count)
        .ok_or_else(missing)?;
    let mut bodies: Vec<Option<Arc<[u8]>>> = Vec::with_capacity(count);
    for position in 0..count as u32 {
        let body = call
            .read
            .body(call.organization.no, index, position)
            .await?;
        bodies.push(body.map(Into::into));
    }
    // Whether a body is private is told by the event, which knows what it keeps where.
    let (_, kept) = Entry::decode(&bytes, &bodies).map_err(damaged)?.encode();
    let is_private = kept.get(position).is_none_or(|body| body.private);
    let administers = call.role.is_some_and(|role| role.allows(Right::Administer));
    if is_private && !administers {
        return Err(Refusal::Forbidden.into());
    }
    // An entry names only what was there.
    let found = bodies
        .swap_remove(position)
        .ok_or_else(|| AppError::missing(format!("Body '{text}' of entry {index} was erased")))?;
    let response = answer::body(StatusCode::OK, BYTES, found.to_vec());
    Ok(if is_private {
        response
    } else {
        for_good(&call, response)
    })
}
