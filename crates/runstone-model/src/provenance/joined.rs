//! Which reports of an artifact count where it runs (`api-environments.md` section 6.1), and what
//! is told of them there.
//!
//! Artifacts are joined by fingerprint alone: nothing here looks at the name under which something
//! runs.

use std::collections::BTreeMap;

use crate::fact::{Artifact, EntryIndex, FlowNaming, FlowNo};
use crate::id::Micros;

/// Of the reports of one artifact made by entries below a bound the last of each flow, in the
/// order in which they were made. The first is the primary one.
pub fn entries<'a>(
    reports: impl IntoIterator<Item = &'a Artifact>,
    below: Option<EntryIndex>,
) -> Vec<&'a Artifact> {
    let mut last: BTreeMap<FlowNo, &Artifact> = BTreeMap::new();
    for report in reports {
        if below.is_some_and(|below| report.entry >= below) {
            continue;
        }
        let known = last.entry(report.flow).or_insert(report);
        if known.no < report.no {
            *known = report;
        }
    }
    let mut entries: Vec<&Artifact> = last.into_values().collect();
    entries.sort_by_key(|report| report.no);
    entries
}

/// How a flow was called below a bound; its names are given in the order of their entries.
pub fn naming(names: &[FlowNaming], below: Option<EntryIndex>) -> Option<&FlowNaming> {
    names
        .iter()
        .rev()
        .find(|naming| below.is_none_or(|below| naming.entry < below))
}

impl FlowNaming {
    /// The name that is shown: of an archived flow with the second in which it was archived.
    pub fn shown(&self) -> String {
        match self.archived_at {
            Some(Micros(at)) => format!("{}-archived-at-{}", self.name, at.div_euclid(1_000_000)),
            None => self.name.clone(),
        }
    }
}

/// What a name says apart from where the artifact lies and which content it has: the last part of
/// its path, without a digest. Two artifacts may share it; it joins nothing.
pub fn label(name: &str) -> &str {
    let name = name.split_once("@sha256:").map_or(name, |(name, _)| name);
    let name = name.trim_end_matches(['/', '\\']);
    name.rsplit_once(['/', '\\']).map_or(name, |(_, last)| last)
}

/// A commit and the page of it on its code host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPage<'a> {
    /// 40 hexadecimal digits.
    pub sha1: &'a str,
    /// Its address, as it was told.
    pub url: &'a str,
}

/// The page on which a code host compares two commits of one repository; none where they are not
/// two, not of one, or of a host whose addresses are unknown.
pub fn comparison(previous: CommitPage<'_>, this: CommitPage<'_>) -> Option<String> {
    let place = |page: CommitPage<'_>| {
        let url = page.url.trim_end_matches('/');
        let url = url.strip_suffix(page.sha1)?;
        (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
    };
    let base = place(this)?;
    if place(previous)? != base || previous.sha1 == this.sha1 {
        return None;
    }
    let (old, new) = (previous.sha1, this.sha1);
    if let Some(repo) = base.strip_suffix("/-/commit/") {
        return Some(format!("{repo}/-/compare/{old}...{new}"));
    }
    if let Some(repo) = base.strip_suffix("/commit/") {
        return Some(if repo.contains("/_git/") {
            format!("{repo}/branchCompare?baseVersion=GC{old}&targetVersion=GC{new}")
        } else {
            format!("{repo}/compare/{old}...{new}")
        });
    }
    let repo = base.strip_suffix("/commits/")?;
    Some(if repo.contains("/repos/") {
        format!("{repo}/compare/commits?targetBranch={old}&sourceBranch={new}")
    } else {
        format!("{repo}/branches/compare/{new}..{old}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::State;
    use crate::fact::{ArtifactNo, OrganizationNo, TemplateNo, TrailNo};
    use crate::id::Fingerprint;

    fn report(no: u32, flow: u32) -> Artifact {
        Artifact {
            organization: OrganizationNo(1),
            no: ArtifactNo(no),
            flow: FlowNo(flow),
            trail: TrailNo(no),
            name: None,
            fingerprint: Fingerprint([1; 32]),
            filename: String::new(),
            commit: None,
            template: TemplateNo(1),
            repo: None,
            entry: u64::from(no) * 10,
            at: Micros(0),
            state: State::Compliant,
        }
    }

    #[test]
    fn one_report_a_flow_in_the_order_of_reports() {
        let reports = [report(1, 7), report(2, 3), report(3, 7), report(4, 5)];
        let told = |below| -> Vec<(u32, u32)> {
            entries(&reports, below)
                .iter()
                .map(|report| (report.flow.0, report.no.0))
                .collect()
        };
        assert_eq!(told(None), [(3, 2), (7, 3), (5, 4)]);
        assert_eq!(told(Some(30)), [(7, 1), (3, 2)], "the bound is exclusive");
        assert_eq!(told(Some(10)), []);
    }

    #[test]
    fn a_flow_is_called_as_it_was_then() {
        let naming_at = |entry, name: &str, archived_at| FlowNaming {
            organization: OrganizationNo(1),
            flow: FlowNo(1),
            entry,
            name: name.to_owned(),
            archived_at,
        };
        let names = [
            naming_at(1, "runner", None),
            naming_at(5, "runs", None),
            naming_at(9, "runs", Some(Micros(1_661_160_900_999_999))),
        ];
        let shown = |below| naming(&names, below).map(FlowNaming::shown);
        assert_eq!(shown(Some(1)), None);
        assert_eq!(shown(Some(5)).as_deref(), Some("runner"));
        assert_eq!(shown(Some(9)).as_deref(), Some("runs"));
        assert_eq!(shown(None).as_deref(), Some("runs-archived-at-1661160900"));
    }

    #[test]
    fn a_label_is_what_people_call_it() {
        for (name, expected) in [
            ("runner:16d9990", "runner:16d9990"),
            ("hub.example.com:5000/acme/runner:16d9990", "runner:16d9990"),
            ("acme/runner:1@sha256:abc", "runner:1"),
            ("/srv/web/", "web"),
            ("C:\\bin\\web.exe", "web.exe"),
            ("", ""),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
    }

    #[test]
    fn code_hosts_compare_commits() {
        let (old, new) = ("a".repeat(40), "b".repeat(40));
        let check = |base: &str, expected: Option<String>| {
            let urls = (format!("{base}{old}"), format!("{base}{new}"));
            let previous = CommitPage {
                sha1: &old,
                url: &urls.0,
            };
            let this = CommitPage {
                sha1: &new,
                url: &urls.1,
            };
            assert_eq!(comparison(previous, this), expected, "{base}");
            assert_eq!(comparison(this, this), None, "one commit");
        };
        check(
            "https://github.com/o/r/commit/",
            Some(format!("https://github.com/o/r/compare/{old}...{new}")),
        );
        check(
            "https://gitlab.com/o/r/-/commit/",
            Some(format!("https://gitlab.com/o/r/-/compare/{old}...{new}")),
        );
        check(
            "https://bitbucket.org/o/r/commits/",
            Some(format!(
                "https://bitbucket.org/o/r/branches/compare/{new}..{old}"
            )),
        );
        check(
            "https://code.example.com/projects/O/repos/r/commits/",
            Some(format!(
                "https://code.example.com/projects/O/repos/r/compare/commits?targetBranch={old}&sourceBranch={new}"
            )),
        );
        check(
            "https://dev.azure.com/o/p/_git/r/commit/",
            Some(format!(
                "https://dev.azure.com/o/p/_git/r/branchCompare?baseVersion=GC{old}&targetVersion=GC{new}"
            )),
        );
        check("https://example.com/c/", None);
        check("javascript:alert(1)//commit/", None);
        let of = |sha1, url| CommitPage { sha1, url };
        let urls = (
            format!("https://github.com/o/r/commit/{old}"),
            format!("https://github.com/o/other/commit/{new}"),
        );
        assert_eq!(
            comparison(of(&old, &urls.0), of(&new, &urls.1)),
            None,
            "two repositories"
        );
    }
}
