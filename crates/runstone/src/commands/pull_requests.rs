//! What `attest pullrequest` and `assert pullrequest` share: the flags of each code host, and the
//! look-up.

use std::time::Duration;

use crate::commands::attest::jira::exactly_one;
use crate::commands::attesting::foreign;
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::evidence::http::Auth;
use crate::evidence::pull_requests::azure::Azure;
use crate::evidence::pull_requests::bitbucket::Bitbucket;
use crate::evidence::pull_requests::github::GitHub;
use crate::evidence::pull_requests::gitlab::GitLab;
use crate::evidence::pull_requests::{PullRequest, last_part};
use crate::grammar::flag::Flag;

/// A code host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Azure DevOps.
    Azure,
    /// Bitbucket Cloud.
    Bitbucket,
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
}

impl Host {
    /// How the wire names it.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Bitbucket => "bitbucket",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        }
    }

    /// How people name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Azure => "Azure DevOps",
            Self::Bitbucket => "Bitbucket",
            Self::GitHub => "Github",
            Self::GitLab => "Gitlab",
        }
    }

    /// What it calls a pull request.
    pub fn word(self) -> &'static str {
        match self {
            Self::GitLab => "merge request",
            _ => "pull request",
        }
    }

    /// The pull requests that contain `commit`.
    pub fn find(self, context: &Context, commit: &str) -> anyhow::Result<Vec<PullRequest>> {
        let text = |name: &str| context.values.text(name).to_owned();
        let repository = text("repository");
        let found = match self {
            Self::Azure => {
                let host = Azure {
                    // The name does not count; the token is the password.
                    http: foreign(Auth::Basic(String::new(), text("azure-token")))?,
                    org_url: text("azure-org-url"),
                    project: text("project"),
                    repository: last_part(&repository).to_owned(),
                };
                context.block_on(host.find(commit))?
            }
            Self::Bitbucket => {
                let auth = match text("bitbucket-access-token") {
                    token if !token.is_empty() => Auth::Bearer(token),
                    _ => Auth::Basic(text("bitbucket-username"), text("bitbucket-password")),
                };
                let host = Bitbucket {
                    http: foreign(auth)?,
                    base_url: text("bitbucket-base-url"),
                    workspace: text("bitbucket-workspace"),
                    repository,
                };
                context.block_on(host.find(commit))?
            }
            Self::GitHub => {
                let host = GitHub {
                    http: foreign(Auth::Bearer(text("github-token")))?,
                    base_url: text("github-base-url"),
                    owner: text("github-org"),
                    repository: last_part(&repository).to_owned(),
                    pauses: pauses(context),
                };
                context.block_on(host.find(commit))?
            }
            Self::GitLab => {
                let host = GitLab {
                    http: foreign(Auth::Header("private-token", text("gitlab-token")))?,
                    base_url: text("gitlab-base-url"),
                    project: format!("{}/{repository}", text("gitlab-org")),
                };
                context.block_on(host.find(commit))?
            }
        };
        Ok(found)
    }
}

/// How long GitHub gets to know of a merge.
fn pauses(context: &Context) -> Vec<Duration> {
    let unit = context.first_delay();
    [10, 20, 30].map(|units| unit * units).to_vec()
}

/// `--repository`, which the host is asked by.
pub const REPOSITORY: Flag = Flag::text("repository", "The repository. Known in many CI systems.")
    .required()
    .ci(Fact::Repository);

/// Of Azure DevOps.
pub const AZURE: &[Flag] = &[
    REPOSITORY,
    Flag::text("azure-token", "The personal access token.").required(),
    Flag::text(
        "azure-org-url",
        "The URL of the organization or collection, such as https://dev.azure.com/acme. Known in Azure Pipelines.",
    )
    .required()
    .ci(Fact::AzureOrgUrl),
    Flag::text("project", "The project. Known in Azure Pipelines.")
        .required()
        .ci(Fact::AzureProject),
];

/// Of Bitbucket.
pub const BITBUCKET: &[Flag] = &[
    REPOSITORY,
    Flag::text(
        "bitbucket-access-token",
        "[conditional] The access token of the repository, project or workspace.",
    ),
    Flag::text(
        "bitbucket-username",
        "[conditional] The user name, with --bitbucket-password.",
    ),
    Flag::text(
        "bitbucket-password",
        "[conditional] The API token of the user.",
    ),
    Flag::text(
        "bitbucket-workspace",
        "The workspace. Known in Bitbucket Pipelines.",
    )
    .required()
    .ci(Fact::BitbucketWorkspace),
    Flag::text(
        "bitbucket-base-url",
        "[optional] The URL of another place that speaks the API of Bitbucket Cloud.",
    ),
];

/// Of GitHub.
pub const GITHUB: &[Flag] = &[
    REPOSITORY,
    Flag::text("github-token", "The token.").required(),
    Flag::text("github-org", "The owner. Known in GitHub Actions.")
        .required()
        .ci(Fact::GitHubOrg),
    Flag::text(
        "github-base-url",
        "[optional] The URL of a GitHub Enterprise server.",
    ),
];

/// Of GitLab.
pub const GITLAB: &[Flag] = &[
    REPOSITORY,
    Flag::text("gitlab-token", "The token.").required(),
    Flag::text("gitlab-org", "The group. Known in GitLab CI.")
        .required()
        .ci(Fact::GitLabOrg),
    Flag::text(
        "gitlab-base-url",
        "[optional] The URL of a GitLab server of your own.",
    ),
];

/// The flags that say who one is at Bitbucket.
pub fn check_bitbucket(context: &Context) -> anyhow::Result<()> {
    exactly_one(context, "bitbucket-username", "bitbucket-access-token")?;
    exactly_one(context, "bitbucket-password", "bitbucket-access-token")
}
