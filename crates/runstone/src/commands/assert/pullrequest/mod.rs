//! `assert pullrequest`. One code host is one file.

pub mod azure;
pub mod bitbucket;
pub mod github;
pub mod gitlab;

use super::super::pull_requests::Host;
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::grammar::flag::Flag;

/// What all hosts have.
const FLAGS: &[Flag] = &[Flag::text(
    "commit",
    "[defaulted] The git commit, as the host knows it. Known in many CI systems.",
)
.default("HEAD")
.ci(Fact::Commit)];

/// Finds the pull requests of the commit; there must be one.
fn look(context: &Context, host: Host) -> anyhow::Result<()> {
    let commit = context.values.text("commit");
    let found = host.find(context, commit)?;
    let (word, name) = (host.word(), host.name());
    if found.is_empty() {
        anyhow::bail!("assert failed: found no {word}(s) in {name} for commit: {commit}");
    }
    context.say(format_args!(
        "found [{}] {word}(s) in {name} for commit: {commit}",
        found.len()
    ));
    Ok(())
}
