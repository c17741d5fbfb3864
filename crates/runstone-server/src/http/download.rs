//! Files that are sent to be saved and never shown by a browser, as they come from the store.

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use futures_util::TryStreamExt as _;
use runstone_store::AttachedFile;

use super::answer;
use crate::app::error::with_causes;

/// Most characters of a name that is made safe.
const NAME_CHARS_MAX: usize = 100;

/// A name that means nothing to a browser, a shell or a disk: the last part of a path, of letters,
/// digits, dots, hyphens and underscores; `nameless` if nothing is left.
pub(crate) fn safe_name(name: &str, nameless: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => character,
            _ => '_',
        })
        .take(NAME_CHARS_MAX)
        .collect();
    match safe.trim_matches('.') {
        "" => nameless.to_owned(),
        safe => safe.to_owned(),
    }
}

/// Adds what makes a browser save an answer under a safe name and do nothing else with it.
pub(crate) fn saved(mut response: Response<Body>, safe_name: &str) -> Response<Body> {
    let headers = response.headers_mut();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{safe_name}\""));
    headers.insert(
        CONTENT_DISPOSITION,
        disposition.unwrap_or(HeaderValue::from_static("attachment")),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    response
}

/// A file, or the part of it that is asked for.
pub(crate) fn file(asked: &HeaderMap, file: AttachedFile, safe_name: &str) -> Response<Body> {
    let total = file.bytes;
    let asked = asked
        .get(RANGE)
        .filter(|_| !asked.contains_key(IF_RANGE))
        .and_then(|range| range.to_str().ok());
    let (status, range) = match asked.map_or(Asked::Whole, |range| part(range, total)) {
        Asked::Whole => (StatusCode::OK, 0..total),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Nowhere => {
            let text = format!("The file has {total} bytes");
            let mut response = answer::message(StatusCode::RANGE_NOT_SATISFIABLE, text);
            response
                .headers_mut()
                .insert(CONTENT_RANGE, value(format!("bytes */{total}")));
            return response;
        }
    };
    let length = range.end - range.start;
    let content = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| value(format!("bytes {}-{}/{total}", range.start, range.end - 1)));
    let pieces = file.pieces(range).inspect_err(|error| {
        // The answer has begun; all that can be done is to break it off.
        tracing::error!("a file cannot be sent: {}", with_causes(error));
    });
    let response = answer::body(status, answer::BYTES, Body::from_stream(pieces));
    let mut response = saved(response, safe_name);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(content) = content {
        headers.insert(CONTENT_RANGE, content);
    }
    response
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// How much of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    /// There is no such part.
    Nowhere,
}

/// What a header asks for (RFC 9110, section 14.1.2): one range. The whole is sent for several
/// ranges, and for what is none.
fn part(header: &str, total: u64) -> Asked {
    match bounds(header, total) {
        None => Asked::Whole,
        Some(range) if range.is_empty() => Asked::Nowhere,
        Some(range) => Asked::Part(range),
    }
}

fn bounds(header: &str, total: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", last) => Some(total.saturating_sub(number(last)?)..total),
        (first, "") => Some(number(first)?..total),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(total))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_mean_nothing_to_a_browser_or_a_disk() {
        for (name, shown) in [
            ("report.xml", "report.xml"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\a b\".tgz", "a_b_.tgz"),
            ("", "evidence"),
            ("..", "evidence"),
            ("ä\r\nSet-Cookie: a", "___Set-Cookie__a"),
        ] {
            assert_eq!(safe_name(name, "evidence"), shown, "{name}");
        }
    }

    #[test]
    fn one_part_may_be_asked_for() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-4", Asked::Part(2..5)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=2-99", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=-0", Asked::Nowhere),
            ("bytes=10-", Asked::Nowhere),
            ("bytes=10-12", Asked::Nowhere),
            ("bytes=4-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(part(header, 10), expected, "{header}");
        }
    }
}
