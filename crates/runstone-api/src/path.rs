//! Paths: the prefix of the API and the addresses that answers link to.
//!
//! Owns how an address is put together; the origin (`http://host:8080`, no slash at the end) is
//! told by the caller.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Prefix of every endpoint of the API.
pub const API: &str = "/api/v2";
/// An older prefix of the same endpoints, still sent by some clients.
pub const API_ALIAS: &str = "/api/fastapi";
/// Prefix of the logs.
pub const LOG: &str = "/log";

/// What a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One escaped segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Page of a snapshot: `{app}/{org}/environments/{env}/snapshots/{n}`.
pub fn snapshot_html(origin: &str, org: &str, environment: &str, no: u64) -> String {
    let (org, environment) = (segment(org), segment(environment));
    format!("{origin}/{org}/environments/{environment}/snapshots/{no}")
}

/// Resource of a snapshot: `{api}/snapshots/{org}/{env}/{n}`.
pub fn snapshot_api(origin: &str, org: &str, environment: &str, no: u64) -> String {
    let (org, environment) = (segment(org), segment(environment));
    format!("{origin}{API}/snapshots/{org}/{environment}/{no}")
}

/// Page of a flow.
pub fn flow_html(origin: &str, org: &str, flow: &str) -> String {
    format!("{origin}/{}/flows/{}", segment(org), segment(flow))
}

/// Page of a trail.
pub fn trail_html(origin: &str, org: &str, flow: &str, trail: &str) -> String {
    format!("{}/trails/{}", flow_html(origin, org, flow), segment(trail))
}

/// Page of a report of an artifact.
pub fn artifact_html(origin: &str, org: &str, flow: &str, fingerprint: &str, id: &str) -> String {
    format!(
        "{}/artifacts/{fingerprint}?artifact_id={id}",
        flow_html(origin, org, flow)
    )
}

/// Resource of an artifact.
pub fn artifact_api(origin: &str, org: &str, flow: &str, fingerprint: &str) -> String {
    format!(
        "{origin}{API}/artifacts/{}/{}/fingerprint/{fingerprint}",
        segment(org),
        segment(flow)
    )
}

/// Page of a search.
pub fn search_html(origin: &str, org: &str, value: &str) -> String {
    format!("{origin}/{}/search/{}", segment(org), segment(value))
}

/// Resource of a search.
pub fn search_api(origin: &str, org: &str, value: &str) -> String {
    format!(
        "{origin}{API}/search/{}/sha/{}",
        segment(org),
        segment(value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            snapshot_html("http://h", "o", "a/b c", 3),
            "http://h/o/environments/a%2Fb%20c/snapshots/3"
        );
        assert_eq!(
            snapshot_api("http://h", "o", "a-1.b_~", 3),
            "http://h/api/v2/snapshots/o/a-1.b_~/3"
        );
    }
}
