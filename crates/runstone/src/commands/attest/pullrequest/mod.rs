//! `attest pullrequest`. One code host is one file.

pub mod azure;
pub mod bitbucket;
pub mod github;
pub mod gitlab;

use super::super::attesting::{Attestation, REPO_ID, REPO_PROVIDER, REPO_URL};
use super::super::pull_requests::Host;
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::grammar::flag::Flag;

/// What all hosts have.
const FLAGS: &[Flag] = &[
    Flag::text(
        "commit",
        "The git commit whose pull requests are stated. Known in many CI systems.",
    )
    .short('g')
    .required()
    .ci(Fact::Commit),
    Flag::bool(
        "assert",
        "[optional] Exit with a code other than 0 if there is none.",
    ),
    REPO_ID,
    REPO_URL,
    REPO_PROVIDER,
];

/// Finds the pull requests of the commit and states them.
fn report(context: &Context, host: Host) -> anyhow::Result<()> {
    let values = &context.values;
    let mut attestation = Attestation::begin_needing(context, Some("find pull requests"))?;
    let commit = attestation.commit.as_ref().map_or_else(
        || values.text("commit").to_owned(),
        |commit| commit.sha1.clone(),
    );
    let found = host.find(context, &commit)?;
    context.say(format_args!(
        "found {} {}(s) for commit: {commit}",
        found.len(),
        host.word()
    ));
    attestation.set("git_provider", host.provider());
    attestation.set("pull_requests", serde_json::to_value(&found)?);
    attestation.send(
        context,
        "pull_request",
        &format!("{} {}", host.provider(), host.word()),
    )?;
    if found.is_empty() && values.bool("assert") && !context.is_dry_run() {
        anyhow::bail!(
            "assert failed: no {} found for the given commit: {commit}",
            host.word()
        );
    }
    Ok(())
}
