//! References to issues in texts, and whether Jira knows the issues (`cli.md` 6.5,
//! `integrations.md` 8).

use std::collections::BTreeSet;

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use super::http::{Http, base};

/// What is asked for where no field is wanted; Jira would send them all.
const NO_FIELDS: &str = "non-existing-key-in-jira-fields";

/// An issue in the shape of an element of `jira_results`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Issue {
    /// Its key.
    pub issue_id: String,
    /// Its page.
    pub issue_url: String,
    /// Whether Jira says that it exists.
    pub issue_exists: bool,
    /// Its fields as Jira sends them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_fields: Option<Value>,
}

/// What came of asking for an issue.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It exists, with these fields.
    Exists(Option<Value>),
    /// It does not.
    Missing,
    /// Nobody can tell, for this reason.
    Unconfirmed(String),
}

/// Why issues cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum JiraError {
    /// Project keys that are none.
    #[error("invalid Jira project keys: [{}]", quoted(.0))]
    ProjectKeys(Vec<String>),
    /// Jira answered with something else than yes or no.
    #[error("looking up Jira issue {key} at {url} using {credentials} returned {status}: {said}")]
    Refused {
        /// The issue.
        key: String,
        /// Where it was looked up.
        url: String,
        /// As whom.
        credentials: String,
        /// The status, with what it may mean.
        status: String,
        /// What the answer says.
        said: String,
    },
    /// Jira's answer cannot be read.
    #[error("could not read Jira's answer for issue {key} at {url} (status 200 OK): {reason}")]
    Unreadable {
        /// The issue.
        key: String,
        /// Where it was looked up.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn quoted(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    keys.join(" ")
}

/// The keys as they count, or which of them are none.
pub fn project_keys(keys: &[String]) -> Result<Vec<String>, JiraError> {
    let keys: Vec<String> = keys.iter().map(|key| key.trim().to_owned()).collect();
    let is_key = |key: &&String| {
        let mut letters = key.bytes();
        let first = letters
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
        first
            && (2..=10).contains(&key.len())
            && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let wrong: Vec<String> = keys.iter().filter(|key| !is_key(key)).cloned().collect();
    if wrong.is_empty() {
        Ok(keys.iter().map(|key| key.to_ascii_uppercase()).collect())
    } else {
        Err(JiraError::ProjectKeys(wrong))
    }
}

/// The keys of issues that `text` names, sorted: of the given projects, or of any.
///
/// What is always followed by a dash and a digit belongs to another kind of number, such as those
/// of vulnerabilities, and does not count.
pub fn references(text: &str, projects: &[String]) -> Vec<String> {
    let text = text.to_uppercase();
    let pattern = if projects.is_empty() {
        r"\b[A-Z][A-Z0-9]{1,9}-[0-9]+".to_owned()
    } else {
        format!(r"\b(?:{})-[0-9]+", projects.join("|"))
    };
    let pattern = Regex::new(&pattern).expect("keys are letters, digits and underscores");
    let mut found = BTreeSet::new();
    for candidate in pattern.find_iter(&text) {
        let mut after = text[candidate.end()..].chars();
        let goes_on =
            after.next() == Some('-') && after.next().is_some_and(|letter| letter.is_ascii_digit());
        if !goes_on {
            found.insert(candidate.as_str().to_owned());
        }
    }
    found.into_iter().collect()
}

/// The values of the trailer `name` in the last paragraph of a commit message, one a line; nothing
/// if there is no such trailer.
pub fn trailer(message: &str, name: &str) -> Option<String> {
    let message = message.trim_end().replace("\r\n", "\n");
    let last = message.rsplit("\n\n").next().unwrap_or_default();
    let values: Vec<&str> = last
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect();
    (!values.is_empty()).then(|| values.join("\n"))
}

/// A Jira.
pub struct Jira {
    /// Speaks to it.
    pub http: Http,
    /// Where it is.
    pub url: String,
    /// How its caller is told in complaints.
    pub credentials: String,
    /// The fields that are wanted; empty: none.
    pub fields: String,
}

impl Jira {
    /// The page of an issue.
    pub fn page(&self, key: &str) -> String {
        format!("{}/browse/{key}", base(&self.url))
    }

    /// Asks for an issue.
    pub async fn look_up(&self, key: &str) -> Result<Found, JiraError> {
        let fields = match self.fields.as_str() {
            "" => NO_FIELDS,
            fields => fields,
        };
        let url = base(&self.url);
        let address = runstone_api::client::with_query(
            &runstone_api::client::url(url, &["rest", "api", "2", "issue", key]),
            &[("fields", fields.to_owned())],
        );
        let reply = match self.http.get(&address).await {
            Ok(reply) => reply,
            Err(reason) => {
                return Ok(Found::Unconfirmed(format!(
                    "no response from Jira at {url}: {reason}"
                )));
            }
        };
        // Jira says of wrong credentials, too, that there is no such issue, but it says why.
        let login = reply.header("x-seraph-loginreason");
        let refused = ["AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED"]
            .iter()
            .any(|reason| login.contains(reason));
        match reply.status {
            404 if refused => Ok(Found::Unconfirmed(format!(
                "Jira at {url} rejected the credentials: {}",
                self.credentials
            ))),
            404 => Ok(Found::Missing),
            200 => {
                let mut body = reply.json().map_err(|error| JiraError::Unreadable {
                    key: key.to_owned(),
                    url: url.to_owned(),
                    reason: error.to_string(),
                })?;
                let fields = body["fields"].take();
                let is_empty = fields.as_object().is_none_or(serde_json::Map::is_empty);
                Ok(Found::Exists((!is_empty).then_some(fields)))
            }
            status => Err(JiraError::Refused {
                key: key.to_owned(),
                url: url.to_owned(),
                credentials: self.credentials.clone(),
                status: match status {
                    401 | 403 => format!(
                        "{}; the credentials may have expired or been revoked",
                        reply.status_text()
                    ),
                    _ => reply.status_text(),
                },
                said: match reply.complaint() {
                    said if said.is_empty() => "the answer says no more".to_owned(),
                    said => said,
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn references_are_found_in_texts() {
        let check = |text: &str, projects: &[&str], expected: &[&str]| {
            let projects: Vec<String> = projects.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(references(text, &projects), expected, "{text}");
        };
        check("fix abc-12, ABC-12 and EX-7", &[], &["ABC-12", "EX-7"]);
        check("see note-1", &[], &["NOTE-1"]);
        check("CVE-2026-41284", &[], &[]);
        check("CVE-2026-41284 but also CVE-2026", &[], &["CVE-2026"]);
        check("ABC-1-x", &[], &["ABC-1"]);
        check("a-1 1A-2 ABCDEFGHIJK-3 xABC-4", &[], &["XABC-4"]);
        check("abc-1 ex-2 xabc-3", &["ABC"], &["ABC-1"]);
        check("release/br-7", &[], &["BR-7"]);
        check("", &[], &[]);
    }

    #[test]
    fn project_keys_have_a_form() {
        let keys = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        assert_eq!(project_keys(&keys(" abc ,A_1")).unwrap(), ["ABC", "A_1"]);
        assert_eq!(
            project_keys(&keys("abc,Z,1x")).unwrap_err().to_string(),
            "invalid Jira project keys: [\"Z\" \"1x\"]"
        );
    }

    #[test]
    fn trailers_stand_in_the_last_paragraph() {
        let message = "Fix\n\nJira: OLD-1\n\nSigned-off-by: x\nJIRA: A-1\nJira: B-2";
        assert_eq!(trailer(message, "jira").as_deref(), Some("A-1\nB-2"));
        assert_eq!(trailer(message, "Refs"), None);
        assert_eq!(trailer("Jira: A-1", "Jira").as_deref(), Some("A-1"));
    }
}
