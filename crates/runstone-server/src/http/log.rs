//! The logs as C2SP tlog-tiles asks (`journal-formats.md` b.2): checkpoint, tiles, entry bundles,
//! for the current epoch and for each, and the public keys.

use axum::http::StatusCode;
use runstone_journal::tile::{TileKind, TilePath};
use runstone_model::role::Right;
use runstone_store::LogHead;

use super::answer::{self, Answer, BYTES, IMMUTABLE, MOMENTARY, PRIVATE_IMMUTABLE, TEXT};
use super::call::ReadCall;
use super::router::{Endpoint, logs, read_by};
use crate::app::access::Naming;
use crate::app::error::AppError;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![read_by(
        Naming::NameOrId,
        Right::Read,
        logs("/{org}/{*path}"),
        None,
        serve,
    )]
}

async fn serve(mut call: ReadCall) -> Answer {
    let path = call.parts.param("path").to_owned();
    let missing = || AppError::missing(format!("There is no '{path}' in this log"));
    let organization = call.organization.no;
    // `checkpoint`, `tile/…` and `keys` belong to the current epoch; anything else names one.
    let (epoch, rest) = match path.split_once('/') {
        Some((epoch, rest)) if epoch != "tile" => (Some(epoch), rest),
        _ => (None, path.as_str()),
    };
    let log = call
        .read
        .log(organization, epoch)
        .await?
        .ok_or_else(missing)?;
    match rest {
        // Behind a guard that holds nothing yet, nothing is published.
        "checkpoint" if log.note.is_empty() => Err(missing()),
        "checkpoint" => Ok(answer::cached(
            answer::body(StatusCode::OK, TEXT, log.note),
            MOMENTARY,
        )),
        "keys" => Ok(answer::cached(
            answer::body(StatusCode::OK, TEXT, keys(&log)),
            MOMENTARY,
        )),
        _ => {
            let tile = TilePath::parse(rest).map_err(|_| missing())?;
            if !tile.is_within(log.size) {
                return Err(missing());
            }
            let width = tile.partial.map(std::num::NonZeroU8::get);
            let read = &mut call.read;
            let bytes = match tile.kind {
                TileKind::Hashes(level) => {
                    read.tile(organization, log.size, level, tile.index, width)
                        .await?
                }
                TileKind::Entries => {
                    read.bundle(organization, log.size, tile.index, width)
                        .await?
                }
            };
            let control = if call.organization.public {
                IMMUTABLE
            } else {
                PRIVATE_IMMUTABLE
            };
            Ok(answer::cached(
                answer::body(StatusCode::OK, BYTES, bytes.ok_or_else(missing)?),
                control,
            ))
        }
    }
}

/// One line per key: the verifier key, the first size it signs and the last, `-` while it still
/// signs.
pub(crate) fn keys(log: &LogHead) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for key in &log.keys {
        let to = key
            .to_size
            .map_or_else(|| "-".to_owned(), |size| size.to_string());
        writeln!(text, "{} {} {to}", key.vkey, key.from_size)
            .expect("writing to a string succeeds");
    }
    text
}
