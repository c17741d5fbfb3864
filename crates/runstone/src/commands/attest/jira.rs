//! `attest jira`.

use std::fmt::Write as _;

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, PLACE, REPO, USAGE, WITH_ATTACHMENTS, check,
    check_arguments, foreign,
};
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::evidence::http::Auth;
use crate::evidence::jira::{Found, Issue, Jira, project_keys, references, trailer};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text(
        "commit",
        "The git commit whose message names the issues. Known in many CI systems.",
    )
    .short('g')
    .required()
    .ci(Fact::Commit),
    Flag::text(
        "jira-base-url",
        "The URL of Jira, such as https://acme.atlassian.net.",
    )
    .required(),
    Flag::text("jira-username", "[conditional] The user name (Jira Cloud)."),
    Flag::text(
        "jira-api-token",
        "[conditional] The API token (Jira Cloud).",
    ),
    Flag::text(
        "jira-pat",
        "[conditional] The personal access token (Jira Data Center).",
    ),
    Flag::list(
        "jira-project-key",
        "[optional] Only issues of these projects count.",
    ),
    Flag::text(
        "jira-issue-fields",
        "[optional] Fields of the issues to keep, separated by commas; *all for all.",
    ),
    Flag::text(
        "jira-secondary-source",
        "[optional] A further text that may name issues, such as the name of a branch.",
    ),
    Flag::text(
        "jira-trailer",
        "[optional] Read issues only from this trailer of the commit message.",
    ),
    Flag::bool(
        "ignore-branch-match",
        "[optional] The name of the branch does not count.",
    ),
    Flag::bool(
        "assert",
        "[optional] Exit with a code other than 0 if the attestation is not compliant.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "jira"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the Jira issues that a commit names.",
    details: DETAILS,
    flags: &[
        FLAGS,
        PLACE,
        MORE,
        WITH_ATTACHMENTS,
        REPO,
        OF_ARTIFACT,
        DRY_RUN,
    ],
    check_first: check_arguments,
    check: |context| check(context, check_flags),
    run,
    ..Command::DEFAULT
};

fn check_flags(context: &Context) -> anyhow::Result<()> {
    exactly_one(context, "jira-pat", "jira-api-token")?;
    exactly_one(context, "jira-pat", "jira-username")?;
    let given = |name: &str| context.values.is_given(name);
    if given("jira-trailer") && given("jira-secondary-source") {
        anyhow::bail!("only one of --jira-trailer, --jira-secondary-source is allowed");
    }
    Ok(())
}

/// One of the two flags is given, and not the other.
pub fn exactly_one(context: &Context, a: &str, b: &str) -> anyhow::Result<()> {
    match (context.values.is_given(a), context.values.is_given(b)) {
        (true, true) => anyhow::bail!("only one of --{a}, --{b} is allowed"),
        (false, false) => anyhow::bail!("at least one of --{a}, --{b} is required"),
        _ => Ok(()),
    }
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut attestation = Attestation::begin_needing(context, Some("search for Jira issue keys"))?;
    let projects = project_keys(values.list("jira-project-key"))?;
    let (text, place) = sources(context, &attestation);
    let keys = references(&text, &projects);
    let (auth, credentials) = match values.text("jira-pat") {
        "" => {
            let user = values.text("jira-username");
            let token = values.text("jira-api-token");
            (
                Auth::Basic(user.to_owned(), token.to_owned()),
                format!("username {user} and API token"),
            )
        }
        pat => (
            Auth::Bearer(pat.to_owned()),
            "personal access token".to_owned(),
        ),
    };
    let jira = Jira {
        http: foreign(auth)?,
        url: values.text("jira-base-url").to_owned(),
        credentials,
        fields: values.text("jira-issue-fields").to_owned(),
    };
    let mut issues = Vec::new();
    let mut unconfirmed: Vec<(String, String)> = Vec::new();
    for key in keys {
        let found = context.block_on(jira.look_up(&key))?;
        context.debug(format_args!("looked up Jira issue {key}: {found:?}"));
        let (issue_exists, issue_fields) = match found {
            Found::Exists(fields) => (true, fields),
            Found::Missing => (false, None),
            Found::Unconfirmed(reason) => {
                unconfirmed.push((key.clone(), reason));
                (false, None)
            }
        };
        issues.push(Issue {
            issue_url: jira.page(&key),
            issue_id: key,
            issue_exists,
            issue_fields,
        });
    }
    if let Some((_, reason)) = unconfirmed.first() {
        let keys: Vec<&str> = unconfirmed.iter().map(|(key, _)| key.as_str()).collect();
        context.warn(format_args!(
            "could not confirm {} in Jira: {reason}. Unconfirmed issues are counted as not found in the attestation.",
            keys.join(", ")
        ));
    }
    attestation.set("jira_results", serde_json::to_value(&issues)?);
    let sent = attestation.send(context, "jira", "jira");
    let verdict = if values.bool("assert") && !context.is_dry_run() {
        verdict(&issues, &unconfirmed, &place)
    } else {
        None
    };
    match (sent, verdict) {
        (sent, None) => sent.map(drop),
        (Ok(_), Some(verdict)) => Err(anyhow::Error::msg(verdict)),
        (Err(first), Some(verdict)) => anyhow::bail!("{first:#}\nError: {verdict}"),
    }
}

/// The text that may name issues, and how it is called in complaints.
fn sources(context: &Context, attestation: &Attestation) -> (String, String) {
    let values = &context.values;
    let (message, branch) = attestation
        .commit
        .as_ref()
        .map_or(("", ""), |commit| (&commit.message, &commit.branch));
    let name = values.text("jira-trailer");
    if !name.is_empty() {
        let text = trailer(message, name).unwrap_or_else(|| {
            context.warn(format_args!(
                "trailer '{name}' was not found in the commit message"
            ));
            String::new()
        });
        return (text, format!("trailer '{name}'"));
    }
    let mut text = message.to_owned();
    if !values.bool("ignore-branch-match") {
        text.push('\n');
        text.push_str(branch);
    }
    text.push('\n');
    text.push_str(values.text("jira-secondary-source"));
    (text, "commit message or branch name".to_owned())
}

/// Why the attestation is not compliant, if it is not.
fn verdict(issues: &[Issue], unconfirmed: &[(String, String)], place: &str) -> Option<String> {
    if issues.is_empty() {
        return Some(format!("no Jira references are found in {place}"));
    }
    if issues.iter().all(|issue| issue.issue_exists) {
        return None;
    }
    let is_unconfirmed = |key: &str| unconfirmed.iter().any(|(known, _)| known == key);
    let all_confirmed = issues
        .iter()
        .any(|issue| !issue.issue_exists && !is_unconfirmed(&issue.issue_id));
    let what = if all_confirmed {
        "missing"
    } else {
        "unconfirmed"
    };
    let mut text = format!("{what} Jira issues from references found in {place}");
    for issue in issues {
        let stands = match (issue.issue_exists, is_unconfirmed(&issue.issue_id)) {
            (true, _) => "issue found",
            (false, true) => "issue not confirmed",
            (false, false) => "issue not found",
        };
        let _ = write!(text, "\n\t{}: {stands}", issue.issue_id);
    }
    if let Some((_, reason)) = unconfirmed.first() {
        let _ = write!(text, "\n\treason: {reason}");
    }
    Some(text)
}
