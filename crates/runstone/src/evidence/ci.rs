//! The CI system a command runs in, as its environment variables tell: defaults of flags and facts
//! about the repository (`cli.md` 4.4, 4.5; `integrations.md` 5).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::git::web_url;
use crate::grammar::values::Values;

/// The environment of a process.
pub type Environment = BTreeMap<String, String>;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Bitbucket Pipelines.
    Bitbucket,
    /// GitHub Actions.
    GitHub,
    /// TeamCity.
    TeamCity,
    /// GitLab CI.
    GitLab,
    /// Azure Pipelines.
    AzureDevOps,
    /// CircleCI.
    CircleCi,
    /// AWS CodeBuild.
    CodeBuild,
    /// Jenkins.
    Jenkins,
}

/// What a CI system can tell a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The commit that is built.
    Commit,
    /// The repository's name as the system's own API takes it.
    Repository,
    /// The page of the commit.
    CommitUrl,
    /// The page of the build.
    BuildUrl,
    /// The repository's immutable id.
    RepoId,
    /// The page of the repository.
    RepoUrl,
    /// The host of the code.
    RepoProvider,
    /// Owner at GitHub.
    GitHubOrg,
    /// Workspace at Bitbucket.
    BitbucketWorkspace,
    /// Namespace at GitLab.
    GitLabOrg,
    /// Organization at Azure DevOps.
    AzureOrgUrl,
    /// Project at Azure DevOps.
    AzureProject,
}

/// The variables that give a system away, in the order in which they count.
const SIGNS: [(&str, System); 8] = [
    ("BITBUCKET_BUILD_NUMBER", System::Bitbucket),
    ("GITHUB_RUN_NUMBER", System::GitHub),
    ("TEAMCITY_VERSION", System::TeamCity),
    ("GITLAB_CI", System::GitLab),
    ("TF_BUILD", System::AzureDevOps),
    ("CIRCLECI", System::CircleCi),
    ("CODEBUILD_CI", System::CodeBuild),
    ("JENKINS_URL", System::Jenkins),
];

/// Variables under which a process documents or tests itself: then no default counts.
const SILENCERS: [&str; 2] = ["DOCS", "KOSLI_TESTS"];

/// The system the process runs in. A variable that is there but empty counts.
pub fn detect(environment: &Environment) -> Option<System> {
    SIGNS
        .iter()
        .find(|(name, _)| environment.contains_key(*name))
        .map(|(_, system)| *system)
}

/// The template of a fact: `$NAME` stands for a variable.
fn template(system: System, fact: Fact) -> &'static str {
    use Fact::{
        AzureOrgUrl, AzureProject, BitbucketWorkspace, BuildUrl, Commit, CommitUrl, GitHubOrg,
        GitLabOrg, RepoId, RepoProvider, RepoUrl, Repository,
    };
    match (system, fact) {
        (System::GitHub, Commit) => "$GITHUB_SHA",
        (System::GitHub, Repository) => "$GITHUB_REPOSITORY",
        (System::GitHub, CommitUrl) => "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/commit/$GITHUB_SHA",
        (System::GitHub, BuildUrl) => {
            "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
        }
        (System::GitHub, RepoId) => "$GITHUB_REPOSITORY_ID",
        (System::GitHub, RepoUrl) => "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY",
        (System::GitHub, RepoProvider) => "github",
        (System::GitHub, GitHubOrg) => "$GITHUB_REPOSITORY_OWNER",

        (System::Bitbucket, Commit) => "$BITBUCKET_COMMIT",
        (System::Bitbucket, Repository) => "$BITBUCKET_REPO_SLUG",
        (System::Bitbucket, CommitUrl) => {
            "https://bitbucket.org/$BITBUCKET_WORKSPACE/$BITBUCKET_REPO_SLUG/commits/$BITBUCKET_COMMIT"
        }
        (System::Bitbucket, BuildUrl) => {
            "https://bitbucket.org/$BITBUCKET_WORKSPACE/$BITBUCKET_REPO_SLUG/addon/pipelines/home#!/results/$BITBUCKET_BUILD_NUMBER"
        }
        (System::Bitbucket, RepoId) => "$BITBUCKET_REPO_UUID",
        (System::Bitbucket, RepoUrl) => "$BITBUCKET_GIT_HTTP_ORIGIN",
        (System::Bitbucket, RepoProvider) => "bitbucket_cloud",
        (System::Bitbucket, BitbucketWorkspace) => "$BITBUCKET_WORKSPACE",

        (System::GitLab, Commit) => "$CI_COMMIT_SHA",
        (System::GitLab, Repository) => "$CI_PROJECT_NAME",
        (System::GitLab, CommitUrl) => "$CI_PROJECT_URL/-/commit/$CI_COMMIT_SHA",
        (System::GitLab, BuildUrl) => "$CI_JOB_URL",
        (System::GitLab, RepoId) => "$CI_PROJECT_ID",
        (System::GitLab, RepoUrl) => "$CI_PROJECT_URL",
        (System::GitLab, RepoProvider) => "gitlab",
        (System::GitLab, GitLabOrg) => "$CI_PROJECT_NAMESPACE",

        (System::AzureDevOps, Commit) => "$BUILD_SOURCEVERSION",
        (System::AzureDevOps, Repository) => "$BUILD_REPOSITORY_NAME",
        (System::AzureDevOps, CommitUrl) => {
            "$SYSTEM_COLLECTIONURI$SYSTEM_TEAMPROJECT/_git/$BUILD_REPOSITORY_NAME/commit/$BUILD_SOURCEVERSION"
        }
        (System::AzureDevOps, BuildUrl) => {
            "$SYSTEM_COLLECTIONURI$SYSTEM_TEAMPROJECT/_build/results?buildId=$BUILD_BUILDID"
        }
        (System::AzureDevOps, RepoId) => "$BUILD_REPOSITORY_ID",
        (System::AzureDevOps, RepoUrl) => "$BUILD_REPOSITORY_URI",
        (System::AzureDevOps, AzureOrgUrl) => "$SYSTEM_COLLECTIONURI",
        (System::AzureDevOps, AzureProject) => "$SYSTEM_TEAMPROJECT",

        (System::CircleCi, Commit) => "$CIRCLE_SHA1",
        (System::CircleCi, Repository) => "$CIRCLE_PROJECT_REPONAME",
        (System::CircleCi, CommitUrl) => "$CIRCLE_REPOSITORY_URL/commit/$CIRCLE_SHA1",
        (System::CircleCi, BuildUrl) => "$CIRCLE_BUILD_URL",
        (System::CircleCi, RepoUrl) => "$CIRCLE_REPOSITORY_URL",

        (System::CodeBuild, Commit) => "$CODEBUILD_RESOLVED_SOURCE_VERSION",
        (System::CodeBuild, CommitUrl) => {
            "$CODEBUILD_SOURCE_REPO_URL/commit/$CODEBUILD_RESOLVED_SOURCE_VERSION"
        }
        (System::CodeBuild, BuildUrl) => "$CODEBUILD_BUILD_URL",
        (System::CodeBuild, RepoUrl) => "$CODEBUILD_SOURCE_REPO_URL",

        (System::Jenkins, Commit) => "$GIT_COMMIT",
        (System::Jenkins, CommitUrl) => "$GIT_URL/commit/$GIT_COMMIT",
        (System::Jenkins, BuildUrl) => "$BUILD_URL",

        (System::TeamCity, Commit) => "$BUILD_VCS_NUMBER",
        _ => "",
    }
}

/// The fact, empty if the system does not tell it.
pub fn fact(system: System, fact: Fact, environment: &Environment) -> String {
    if (system, fact) == (System::AzureDevOps, Fact::RepoProvider) {
        return azure_provider(environment).to_owned();
    }
    let template = template(system, fact);
    // These know the repository only by the URL it was cloned from.
    if fact == Fact::CommitUrl
        && matches!(
            system,
            System::CircleCi | System::CodeBuild | System::Jenkins
        )
        && let Some((repository, commit)) = template.split_once("/commit/")
    {
        let repository = web_url(&expand(repository, environment));
        let commit = expand(commit, environment);
        let word = if repository.contains("bitbucket.org") {
            "commits"
        } else {
            "commit"
        };
        return format!("{repository}/{word}/{commit}");
    }
    expand(template, environment)
}

/// Replaces each `$NAME` by the variable, an unset one by nothing.
fn expand(template: &str, environment: &Environment) -> String {
    let mut parts = template.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(part.len());
        text.push_str(variable(environment, &part[..end]));
        text.push_str(&part[end..]);
    }
    text
}

fn variable<'a>(environment: &'a Environment, name: &str) -> &'a str {
    environment.get(name).map_or("", String::as_str)
}

/// Gives the flags that a CI system knows about their defaults.
pub fn set_defaults(values: &mut Values, environment: &Environment) {
    if SILENCERS.iter().any(|name| environment.contains_key(*name)) {
        return;
    }
    let Some(system) = detect(environment) else {
        return;
    };
    for flag in values.flags().to_vec() {
        if let Some(known) = flag.ci {
            values.set_ci_default(flag.name, fact(system, known, environment));
        }
    }
}

/// What the system knows of the repository, in the shape of `repo_info`.
///
/// Nothing outside CI; the reason if the system does not tell.
pub fn repository(environment: &Environment) -> Result<Map<String, Value>, String> {
    let Some(system) = detect(environment) else {
        return Ok(Map::new());
    };
    let known = |name: &str| Value::from(variable(environment, name));
    let told = |known: Fact| Value::from(fact(system, known, environment));
    let mut info = Map::new();
    let mut set = |name: &str, value: Value| {
        let empty = match &value {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if !empty {
            info.insert(name.to_owned(), value);
        }
    };
    match system {
        System::GitHub => {
            set("url", told(Fact::RepoUrl));
            set("name", known("GITHUB_REPOSITORY"));
            set("id", told(Fact::RepoId));
            set("provider", told(Fact::RepoProvider));
        }
        System::GitLab => {
            set("url", told(Fact::RepoUrl));
            set("name", known("CI_PROJECT_PATH"));
            set("id", told(Fact::RepoId));
            set("description", known("CI_PROJECT_DESCRIPTION"));
            set("provider", told(Fact::RepoProvider));
            let namespace = variable(environment, "CI_PROJECT_NAMESPACE");
            if !namespace.is_empty() {
                set("namespace_path", namespace.split('/').collect());
            }
        }
        System::Bitbucket => {
            set("url", told(Fact::RepoUrl));
            set("name", known("BITBUCKET_REPO_FULL_NAME"));
            set("id", told(Fact::RepoId));
            set("provider", told(Fact::RepoProvider));
            let workspace = variable(environment, "BITBUCKET_WORKSPACE");
            if !workspace.is_empty() {
                set("namespace_path", json!([workspace]));
            }
            let project = variable(environment, "BITBUCKET_PROJECT_KEY");
            if !project.is_empty() {
                set("additional_info", json!({ "project_key": project }));
            }
        }
        System::AzureDevOps => {
            set("url", told(Fact::RepoUrl));
            let path = azure_path(environment);
            let name = variable(environment, "BUILD_REPOSITORY_NAME");
            set(
                "name",
                match &path {
                    Some([collection, project]) if !name.is_empty() => {
                        format!("{collection}/{project}/{name}").into()
                    }
                    _ => name.into(),
                },
            );
            set("id", told(Fact::RepoId));
            set("provider", told(Fact::RepoProvider));
            if let Some(path) = path {
                set("namespace_path", json!(path));
            }
        }
        System::CircleCi => {
            set("url", told(Fact::RepoUrl));
            set("name", told(Fact::Repository));
            set("provider", "circleci".into());
        }
        System::Jenkins | System::CodeBuild | System::TeamCity => {
            let name = match system {
                System::Jenkins => "Jenkins",
                System::CodeBuild => "Code Build",
                _ => "Teamcity",
            };
            return Err(format!("unsupported CI: {name}"));
        }
    }
    Ok(info)
}

/// The host of the code that an Azure pipeline builds.
fn azure_provider(environment: &Environment) -> &'static str {
    match variable(environment, "BUILD_REPOSITORY_PROVIDER") {
        "GitHub" | "GitHubEnterprise" => return "github",
        "Bitbucket" => return "bitbucket_cloud",
        "Git" => return "git",
        "Svn" => return "subversion",
        _ => {}
    }
    let collection = url::Url::parse(variable(environment, "SYSTEM_COLLECTIONURI"));
    match collection.ok().as_ref().and_then(url::Url::host_str) {
        None => "azure-devops",
        Some(host)
            if host == "dev.azure.com"
                || host.ends_with(".dev.azure.com")
                || host.ends_with(".visualstudio.com") =>
        {
            "azure_devops_services"
        }
        Some(_) => "azure_devops_server",
    }
}

/// Collection and project of a repository that lies at Azure itself.
fn azure_path(environment: &Environment) -> Option<[String; 2]> {
    let provider = variable(environment, "BUILD_REPOSITORY_PROVIDER");
    if !matches!(provider, "" | "TfsGit") {
        return None;
    }
    let url = url::Url::parse(variable(environment, "SYSTEM_COLLECTIONURI")).ok()?;
    let host = url.host_str()?;
    let collection = if host.ends_with(".visualstudio.com") {
        host.split('.').next()
    } else {
        url.path().split('/').rfind(|part| !part.is_empty())
    }?;
    let project = variable(environment, "SYSTEM_TEAMPROJECT");
    (!collection.is_empty() && !project.is_empty())
        .then(|| [collection.to_owned(), project.to_owned()])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn environment(text: &str) -> Environment {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// All facts the system of `text` tells, one line each.
    fn told(text: &str) -> String {
        use std::fmt::Write as _;
        let environment = environment(text);
        let system = detect(&environment).unwrap();
        let mut told = String::new();
        for known in [
            Fact::Commit,
            Fact::Repository,
            Fact::CommitUrl,
            Fact::BuildUrl,
            Fact::RepoId,
            Fact::RepoUrl,
            Fact::RepoProvider,
            Fact::GitHubOrg,
            Fact::BitbucketWorkspace,
            Fact::GitLabOrg,
            Fact::AzureOrgUrl,
            Fact::AzureProject,
        ] {
            let value = fact(system, known, &environment);
            if !value.is_empty() {
                let _ = writeln!(told, "{known:?} {value}");
            }
        }
        let _ = match repository(&environment) {
            Ok(info) => writeln!(told, "{}", Value::Object(info)),
            Err(reason) => writeln!(told, "{reason}"),
        };
        told
    }

    #[test]
    fn every_system_tells_what_it_knows() {
        insta::assert_snapshot!(
            [
                "GITHUB_RUN_NUMBER=1 GITHUB_SHA=abc GITHUB_REPOSITORY=acme/shop GITHUB_SERVER_URL=https://github.com GITHUB_RUN_ID=7 GITHUB_REPOSITORY_ID=42 GITHUB_REPOSITORY_OWNER=acme",
                "BITBUCKET_BUILD_NUMBER=3 BITBUCKET_COMMIT=abc BITBUCKET_REPO_SLUG=shop BITBUCKET_WORKSPACE=acme BITBUCKET_REPO_UUID={u} BITBUCKET_GIT_HTTP_ORIGIN=http://bitbucket.org/acme/shop BITBUCKET_REPO_FULL_NAME=acme/shop BITBUCKET_PROJECT_KEY=PK",
                "GITLAB_CI=true CI_COMMIT_SHA=abc CI_PROJECT_NAME=shop CI_PROJECT_URL=https://gitlab.com/acme/sub/shop CI_JOB_URL=https://gitlab.com/j/1 CI_PROJECT_ID=9 CI_PROJECT_PATH=acme/sub/shop CI_PROJECT_NAMESPACE=acme/sub CI_PROJECT_DESCRIPTION=d",
                "TF_BUILD=True BUILD_SOURCEVERSION=abc BUILD_REPOSITORY_NAME=shop SYSTEM_COLLECTIONURI=https://dev.azure.com/acme/ SYSTEM_TEAMPROJECT=web BUILD_BUILDID=5 BUILD_REPOSITORY_ID=rid BUILD_REPOSITORY_URI=https://dev.azure.com/acme/web/_git/shop BUILD_REPOSITORY_PROVIDER=TfsGit",
                "TF_BUILD=True BUILD_SOURCEVERSION=abc BUILD_REPOSITORY_NAME=acme/shop SYSTEM_COLLECTIONURI=https://acme.visualstudio.com/ SYSTEM_TEAMPROJECT=web BUILD_REPOSITORY_PROVIDER=GitHub",
                "TF_BUILD=True BUILD_REPOSITORY_NAME=shop SYSTEM_COLLECTIONURI=https://acme.visualstudio.com/ SYSTEM_TEAMPROJECT=web",
                "TF_BUILD=True BUILD_REPOSITORY_NAME=shop SYSTEM_COLLECTIONURI=https://tfs.acme.io/tfs/Main/ SYSTEM_TEAMPROJECT=web",
                "CIRCLECI=true CIRCLE_SHA1=abc CIRCLE_PROJECT_REPONAME=shop CIRCLE_REPOSITORY_URL=git@github.com:acme/shop.git CIRCLE_BUILD_URL=https://c/1",
                "CIRCLECI=true CIRCLE_SHA1=abc CIRCLE_REPOSITORY_URL=https://bitbucket.org/acme/shop",
                "CODEBUILD_CI=true CODEBUILD_RESOLVED_SOURCE_VERSION=abc CODEBUILD_SOURCE_REPO_URL=https://github.com/acme/shop.git CODEBUILD_BUILD_URL=https://b/1",
                "JENKINS_URL=x GIT_COMMIT=abc GIT_URL=git@gitlab.acme.io:acme/shop.git BUILD_URL=https://j/1",
                "TEAMCITY_VERSION=1 BUILD_VCS_NUMBER=abc",
                "GITHUB_RUN_NUMBER= GITLAB_CI=true",
            ]
            .map(|text| format!("# {text}\n{}", told(text)))
            .join("\n")
        );
    }

    #[test]
    fn the_first_sign_counts() {
        assert_eq!(
            detect(&environment("JENKINS_URL=x BITBUCKET_BUILD_NUMBER=")),
            Some(System::Bitbucket)
        );
        assert_eq!(detect(&Environment::new()), None);
    }
}
