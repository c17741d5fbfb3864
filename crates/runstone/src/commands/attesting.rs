//! What commands that state evidence share: their flags, their checks and the common part of what
//! is sent (`cli.md` 4 and 5).

use runstone_api::client::{Content, FilePart, Method};
use serde_json::{Map, Value, json};

use crate::commands::artifact::{check_registry_flags, fingerprint};
use crate::context::{Context, VERSION, usage_error};
use crate::evidence::ci::{self, Fact};
use crate::evidence::git::{CommitInfo, REDACTABLE, Repository};
use crate::evidence::http::{Auth, Http};
use crate::evidence::{attachments, reason};
use crate::grammar::flag::{
    ARTIFACT_TYPE, EXCLUDE, Flag, Kind, REGISTRY_PASSWORD, REGISTRY_PROVIDER, REGISTRY_USERNAME,
};

/// `-f, --flow`.
pub const FLOW: Flag = Flag::text("flow", "The flow.").short('f').required();
/// `-T, --trail`.
pub const TRAIL: Flag = Flag::text("trail", "The trail.").short('T').required();
/// `-F, --fingerprint`.
pub const FINGERPRINT: Flag = Flag::text(
    "fingerprint",
    "[conditional] The fingerprint of the artifact. Not needed with --artifact-type.",
)
.short('F');
/// `-g, --commit`.
pub const COMMIT: Flag = Flag::text(
    "commit",
    "[conditional] The git commit, as any revision of the repository at --repo-root. Known in many CI systems.",
)
.short('g')
.ci(Fact::Commit);
/// `--redact-commit-info`.
pub const REDACT: Flag = Flag::list(
    "redact-commit-info",
    "[optional] What of the commit is not told: author, message, branch.",
);
/// `--repo-root`.
pub const REPO_ROOT: Flag = Flag::text(
    "repo-root",
    "[defaulted] The top directory of the git repository.",
)
.default(".");
/// `-o, --origin-url`.
pub const ORIGIN_URL: Flag = Flag::text(
    "origin-url",
    "[optional] The URL of where this comes from. Known in many CI systems.",
)
.short('o')
.ci(Fact::BuildUrl);
/// `--external-url`.
pub const EXTERNAL_URL: Flag = Flag::new(
    "external-url",
    Kind::Map,
    "[optional] A URL of something outside, as label=url. Can be repeated.",
);
/// `--external-fingerprint`.
pub const EXTERNAL_FINGERPRINT: Flag = Flag::new(
    "external-fingerprint",
    Kind::Map,
    "[optional] The fingerprint of what an external URL leads to, as label=fingerprint. Can be repeated.",
);
/// `--annotate`.
pub const ANNOTATE: Flag = Flag::new(
    "annotate",
    Kind::Map,
    "[optional] Further facts, as key=value. Can be repeated.",
);
/// `-u, --user-data`.
pub const USER_DATA: Flag = Flag::text(
    "user-data",
    "[optional] A JSON file with anything you want to keep along.",
)
.short('u');
/// `--attachments`.
pub const ATTACHMENTS: Flag = Flag::list(
    "attachments",
    "[optional] Files and directories to keep along. One file is kept as it is, anything else as one compressed archive.",
);
/// `--description`.
pub const DESCRIPTION: Flag = Flag::text("description", "[optional] The description.");
/// `--repo-id`.
pub const REPO_ID: Flag = Flag::text(
    "repo-id",
    "[conditional] The immutable id of the repository at its host. Known in many CI systems.",
)
.ci(Fact::RepoId);
/// `--repository`.
pub const REPOSITORY: Flag = Flag::text(
    "repository",
    "[conditional] The name of the repository, such as owner/name. Known in many CI systems.",
)
.ci(Fact::Repository);
/// `--repo-url`.
pub const REPO_URL: Flag = Flag::text(
    "repo-url",
    "[conditional] The URL of the repository. Known in many CI systems.",
)
.ci(Fact::RepoUrl);
/// `--repo-provider`.
pub const REPO_PROVIDER: Flag = Flag::text(
    "repo-provider",
    "[optional] The host of the code: github, gitlab, bitbucket, bitbucket_cloud, bitbucket_dc, azure-devops, azure_devops_services, azure_devops_server, git or subversion.",
)
.ci(Fact::RepoProvider);

/// Flags that say which repository it is about.
pub const REPO: &[Flag] = &[REPO_ID, REPOSITORY, REPO_URL, REPO_PROVIDER];

/// Flags by which an artifact is fingerprinted (group G-FP, `cli.md` 3.6).
pub const OF_ARTIFACT: &[Flag] = &[
    ARTIFACT_TYPE,
    REGISTRY_USERNAME,
    REGISTRY_PASSWORD,
    EXCLUDE,
    REGISTRY_PROVIDER,
];

/// Where an attestation belongs.
pub const PLACE: &[Flag] = &[
    FLOW,
    TRAIL,
    Flag::text(
        "name",
        "The name of the attestation as in the template; ARTIFACT.NAME for an artifact of the template that may not be reported yet.",
    )
    .short('n')
    .required(),
    FINGERPRINT,
];
/// `-g, --commit` where it may be left out.
pub const OF_COMMIT: &[Flag] = &[COMMIT];
/// The rest of group G-ATT (`cli.md` 5.1), less `--attachments` and `--repository`.
pub const MORE: &[Flag] = &[
    REDACT,
    REPO_ROOT,
    ORIGIN_URL,
    EXTERNAL_URL,
    EXTERNAL_FINGERPRINT,
    ANNOTATE,
    USER_DATA,
    DESCRIPTION,
];
/// `--attachments`.
pub const WITH_ATTACHMENTS: &[Flag] = &[ATTACHMENTS];

/// The argument of attestations.
pub const USAGE: &str = "[IMAGE-NAME | FILE-PATH | DIR-PATH]";

/// What help says of all attestations.
pub const DETAILS: &str = "Without an artifact the attestation is one of the trail. An artifact is named by the argument and --artifact-type, by --fingerprint, or before it is reported by its name in the template and --commit: --name ARTIFACT.NAME.\nThe repository is told when its id, URL and name are known.";

/// The hosts of code that the server knows.
const PROVIDERS: [&str; 10] = [
    "github",
    "gitlab",
    "bitbucket",
    "bitbucket_cloud",
    "bitbucket_dc",
    "azure-devops",
    "azure_devops_services",
    "azure_devops_server",
    "git",
    "subversion",
];

// ---- checks

/// What follows a complaint about arguments of which one looks like a truth value.
fn boolean_hint(context: &Context) -> &'static str {
    if context
        .arguments
        .iter()
        .any(|word| word == "true" || word == "false")
    {
        "\nA boolean flag takes its value with '=': --compliant=false"
    } else {
        ""
    }
}

/// At most one argument.
pub fn check_arguments(context: &Context) -> anyhow::Result<()> {
    let words = &context.arguments;
    if words.len() > 1 {
        anyhow::bail!(
            "accepts at most 1 arg(s), received {} [{}]{}",
            words.len(),
            words.join(" "),
            boolean_hint(context)
        );
    }
    Ok(())
}

/// The checks of all attestations, with those of one kind where they belong.
pub fn check(
    context: &Context,
    of_kind: impl FnOnce(&Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    if given("fingerprint") && given("artifact-type") {
        anyhow::bail!("only one of --fingerprint, --artifact-type is allowed");
    }
    of_kind(context)?;
    check_redaction(context)?;
    let argument = context.argument(0);
    if given("artifact-type") && context.arguments.is_empty() {
        return Err(usage_error(
            "artifact name argument is required when --artifact-type is set",
        ));
    }
    if !context.arguments.is_empty() && !given("artifact-type") && !given("fingerprint") {
        return Err(usage_error(format!(
            "--artifact-type or --fingerprint must be specified when artifact name ('{argument}') argument is supplied.{}",
            boolean_hint(context)
        )));
    }
    check_fingerprint(context)?;
    check_repo_flags(context)?;
    check_registry_flags(context)
}

/// The checks of commands whose artifact has to be named.
pub fn check_artifact(context: &Context) -> anyhow::Result<()> {
    if context.argument(0).is_empty() {
        return Err(usage_error(
            "docker image name or file/dir path is required",
        ));
    }
    if !context.values.is_given("artifact-type") && !context.values.is_given("fingerprint") {
        return Err(usage_error(
            "either --artifact-type or --fingerprint must be specified",
        ));
    }
    check_fingerprint(context)
}

/// Not more than one artifact is named, with a hint at how that comes about.
pub fn check_one_artifact(context: &Context) -> anyhow::Result<()> {
    let words = &context.arguments;
    if words.len() <= 1 {
        return Ok(());
    }
    let mut message = format!(
        "only one argument (docker image name or file/dir path) is allowed.\nThe {} supplied arguments are: [{}]",
        words.len(),
        words.join(", ")
    );
    if words.iter().any(|word| word == " ") {
        message.push_str("\nArguments with a leading space are probably caused by a lone backslash that has a space after it.");
    }
    Err(usage_error(message))
}

/// The form of `--fingerprint`.
pub fn check_fingerprint(context: &Context) -> anyhow::Result<()> {
    let text = context.values.text("fingerprint");
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_one = text.len() == 64 && text.bytes().all(is_hex);
    if !text.is_empty() && !is_one {
        return Err(usage_error(format!(
            "{text} is not a valid SHA256 fingerprint. It should match the pattern ^([a-f0-9]{{64}})$"
        )));
    }
    Ok(())
}

/// The values of `--redact-commit-info`.
pub fn check_redaction(context: &Context) -> anyhow::Result<()> {
    for field in context.values.list("redact-commit-info") {
        if !REDACTABLE.contains(&field.as_str()) {
            anyhow::bail!("{field} is not an allowed value for --redact-commit-info");
        }
    }
    Ok(())
}

/// The forms of `--repo-url` and `--repo-provider`.
pub fn check_repo_flags(context: &Context) -> anyhow::Result<()> {
    let url = context.values.text("repo-url");
    if context.values.is_given("repo-url") {
        let has_host = url::Url::parse(url).is_ok_and(|url| url.host_str().is_some());
        if !has_host {
            anyhow::bail!("--repo-url '{url}' is not a valid URL");
        }
    }
    let provider = context.values.text("repo-provider");
    if !provider.is_empty() && !PROVIDERS.contains(&provider) {
        anyhow::bail!(
            "--repo-provider '{provider}' is not allowed. Must be one of: {}",
            PROVIDERS.join(", ")
        );
    }
    Ok(())
}

// ---- what is sent

/// The fingerprint that the flags give or the artifact has; nothing if none is named.
pub fn artifact_fingerprint(context: &Context) -> anyhow::Result<Option<String>> {
    let given = context.values.text("fingerprint");
    if !given.is_empty() {
        return Ok(Some(given.to_owned()));
    }
    if !context.values.is_given("artifact-type") {
        return Ok(None);
    }
    let fingerprint = fingerprint(context, context.argument(0))?;
    Ok(Some(fingerprint.to_hex()))
}

/// The commit that `--commit` names; nothing if it names none.
///
/// What only the CI system told may turn out not to be there: then two warnings say so, unless the
/// command cannot do without it, to do what `needed_to` says.
pub fn commit_info(
    context: &Context,
    needed_to: Option<&str>,
) -> anyhow::Result<Option<CommitInfo>> {
    let revision = context.values.text("commit");
    if revision.is_empty() {
        return Ok(None);
    }
    let root = context.values.text("repo-root");
    let from_ci = context.values.is_from_ci("commit");
    let error = match Repository::open(root).and_then(|found| found.commit(revision)) {
        Ok(commit) => return Ok(Some(commit)),
        Err(error) => error,
    };
    if from_ci && needed_to.is_none() && !context.values.is_given("repo-root") {
        context.warn(format_args!(
                "proceeding without commit info: --commit {revision} (defaulted from the CI environment) could not be read: {error}."
            ));
        let product = if context.is_compat() {
            "Kosli"
        } else {
            "Runstone"
        };
        context.warn(format_args!(
                "{product} binds an attestation reported before its artifact through this commit, so point --repo-root at a repository containing it if that binding is needed."
            ));
        return Ok(None);
    }
    let whence = if from_ci {
        " (defaulted from the CI environment)"
    } else {
        ""
    };
    let advice = match needed_to {
        Some(purpose) => format!("The commit is required to {purpose}, so point"),
        None => "Point".to_owned(),
    };
    anyhow::bail!(
        "failed to get commit info for --commit {revision}{whence}: {error}. {advice} --repo-root at a repository containing it"
    )
}

/// What is sent of a commit: without the fields that shall not be told.
pub fn told(context: &Context, commit: &CommitInfo) -> Value {
    let mut commit = commit.clone();
    commit.redact(context.values.list("redact-commit-info"));
    commit.to_json()
}

/// What is known of the repository: told by the CI system, overridden by flags (`cli.md` 4.5).
/// Nothing unless id, name and URL are known.
pub fn repo_info(context: &Context) -> Option<Value> {
    let values = &context.values;
    let told = ci::repository(&context.process.environment).unwrap_or_else(|reason| {
        context.warn(format_args!("failed to get git repo info. {reason}"));
        Map::new()
    });
    let mut told = told;
    for (flag, name) in [
        ("repo-id", "id"),
        ("repo-url", "url"),
        ("repo-provider", "provider"),
    ] {
        let value = values.text(flag);
        if !value.is_empty() {
            told.insert(name.into(), value.into());
        }
    }
    let repository = values.text("repository");
    if values.is_given("repository") {
        told.insert("name".into(), repository.into());
        told.remove("namespace_path");
        told.remove("additional_info");
    } else if !repository.is_empty() && !told.contains_key("name") {
        told.insert("name".into(), repository.into());
    }
    if ["id", "name", "url"]
        .iter()
        .any(|name| !told.contains_key(*name))
    {
        context.warn("Repo information will not be reported as ID, Name and URL are required.");
        return None;
    }
    let mut info = Map::new();
    for name in [
        "url",
        "name",
        "id",
        "description",
        "provider",
        "namespace_path",
        "additional_info",
    ] {
        if let Some(value) = told.remove(name) {
            info.insert(name.into(), value);
        }
    }
    Some(Value::Object(info))
}

/// The JSON of a file that holds one.
pub fn read_json(path: &str) -> anyhow::Result<Value> {
    let content =
        std::fs::read(path).map_err(|error| anyhow::anyhow!("open {path}: {}", reason(&error)))?;
    serde_json::from_slice(&content)
        .map_err(|_| anyhow::anyhow!("{path} does not contain a valid JSON"))
}

/// `external_urls`, if there are any.
pub fn external_urls(context: &Context) -> anyhow::Result<Option<Value>> {
    let mut urls: Map<String, Value> = context
        .values
        .map("external-url")
        .map(|(label, url)| (label.to_owned(), json!({ "href": url })))
        .collect();
    let fingerprints: Vec<(&str, &str)> = context.values.map("external-fingerprint").collect();
    if fingerprints.len() > urls.len() {
        anyhow::bail!(
            "--external-fingerprints have labels that don't have a URL in --external-url"
        );
    }
    for (label, fingerprint) in fingerprints {
        let Some(Value::Object(url)) = urls.get_mut(label) else {
            anyhow::bail!(
                "{label} in --external-fingerprint does not match any labels in --external-url"
            );
        };
        url.insert("fingerprint".into(), fingerprint.into());
    }
    Ok((!urls.is_empty()).then_some(Value::Object(urls)))
}

/// `annotations`, if there are any.
pub fn annotations(context: &Context) -> anyhow::Result<Option<Value>> {
    let mut annotations = Map::new();
    for (key, value) in context.values.map("annotate") {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if key.is_empty() || !key.bytes().all(is_word) {
            anyhow::bail!(
                "--annotate flag should be in the format key=value. Invalid key: '{key}'. Key can only contain [A-Za-z0-9_]"
            );
        }
        annotations.insert(key.to_owned(), value.into());
    }
    Ok((!annotations.is_empty()).then_some(Value::Object(annotations)))
}

/// The artifact of the template and the attestation that a name means.
fn split_name(name: &str) -> anyhow::Result<(Option<&str>, &str)> {
    match name.split_once('.') {
        None if !name.is_empty() => Ok((None, name)),
        Some((artifact, slot))
            if !artifact.is_empty() && !slot.is_empty() && !slot.contains('.') =>
        {
            Ok((Some(artifact), slot))
        }
        _ => anyhow::bail!(
            "failed to parse attestation name: invalid attestation name format: {name}"
        ),
    }
}

/// An attestation while it is put together.
pub struct Attestation {
    /// The common members; those of the kind are appended.
    pub json: Map<String, Value>,
    /// Its name.
    pub slot: String,
    /// The commit it speaks of, with what is not told.
    pub commit: Option<CommitInfo>,
    /// Files and directories to send along.
    pub attachments: Vec<String>,
}

impl Attestation {
    /// Reads everything that all kinds have, in the order in which its errors are told.
    pub fn begin(context: &Context) -> anyhow::Result<Self> {
        Self::begin_needing(context, None)
    }

    /// The same for a kind that cannot do without the commit, because it has to do what `needed_to`
    /// says.
    pub fn begin_needing(context: &Context, needed_to: Option<&str>) -> anyhow::Result<Self> {
        let values = &context.values;
        let mut json = Map::new();
        let (artifact, slot) = split_name(values.text("name"))?;
        let fingerprint = artifact_fingerprint(context).map_err(|error| {
            anyhow::anyhow!("failed to calculate artifact fingerprint: {error:#}")
        })?;
        if let Some(fingerprint) = fingerprint {
            json.insert("artifact_fingerprint".into(), fingerprint.into());
        }
        let commit = commit_info(context, needed_to)?;
        if let Some(commit) = &commit {
            json.insert("git_commit_info".into(), told(context, commit));
        }
        if let Some(info) = repo_info(context) {
            json.insert("repo_info".into(), info);
        }
        json.insert("attestation_name".into(), slot.into());
        if let Some(artifact) = artifact {
            json.insert("target_artifacts".into(), json!([artifact]));
        }
        let user_data = match values.text("user-data") {
            "" => json!({}),
            path => read_json(path)
                .map_err(|error| anyhow::anyhow!("failed to load user data. {error}"))?,
        };
        if let Some(urls) = external_urls(context)? {
            json.insert("external_urls".into(), urls);
        }
        let annotations = annotations(context)?;
        let origin = values.text("origin-url");
        if !origin.is_empty() {
            json.insert("origin_url".into(), origin.into());
        }
        json.insert("user_data".into(), user_data);
        let description = values.text("description");
        if !description.is_empty() {
            json.insert("description".into(), description.into());
        }
        if let Some(annotations) = annotations {
            json.insert("annotations".into(), annotations);
        }
        Ok(Self {
            json,
            slot: slot.to_owned(),
            commit,
            attachments: values.list("attachments").to_vec(),
        })
    }

    /// Appends a member.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.json.insert(name.to_owned(), value.into());
    }

    /// Sends it as type `kind` of the path, with its attachments, and tells of it as a `label`
    /// attestation. False for a dry run.
    pub fn send(self, context: &Context, kind: &str, label: &str) -> anyhow::Result<bool> {
        let attachment = attachments::pack(&self.attachments)?;
        let file = attachment.as_ref().map(|attachment| FilePart {
            field: "attachment_file".into(),
            file_name: attachment.name.clone(),
            content: Content::File(attachment.path.clone()),
        });
        let sent = context
            .write_multipart(
                Method::POST,
                url(context, kind),
                &Value::Object(self.json),
                file,
            )
            .map_err(explained)?;
        if sent.is_some() {
            context.say(format_args!(
                "{label} attestation '{}' is reported to trail: {}",
                self.slot,
                context.values.text("trail")
            ));
        }
        Ok(sent.is_some())
    }
}

/// Where attestations of type `kind` are sent.
pub fn url(context: &Context, kind: &str) -> String {
    let (flow, trail) = (context.values.text("flow"), context.values.text("trail"));
    context.api(
        &["attestations", context.org(), flow, "trail", trail, kind],
        &[],
    )
}

/// A client for a system that is not ours.
pub fn foreign(auth: Auth) -> anyhow::Result<Http> {
    Ok(Http::new(auth, format!("Runstone/{VERSION}"))?)
}

/// Says in words of the command line what the server says in words of the wire.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    const WIRE: &str = "requires at least one of: artifact_fingerprint or git_commit_info.";
    const LINE: &str = "requires at least one of: specifying the fingerprint (either by calculating it using the artifact name/path and --artifact-type, or by providing it using --fingerprint) or providing --commit (requires an available git repo to access commit details)";
    let text = format!("{error:#}");
    if text.contains(WIRE) {
        anyhow::anyhow!(text.replace(WIRE, LINE))
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn names_say_what_is_meant() {
        assert_eq!(split_name("slot").unwrap(), (None, "slot"));
        assert_eq!(split_name("api.slot").unwrap(), (Some("api"), "slot"));
        for wrong in ["", ".", "a.", ".b", "a.b.c"] {
            assert_eq!(
                split_name(wrong).unwrap_err().to_string(),
                format!(
                    "failed to parse attestation name: invalid attestation name format: {wrong}"
                )
            );
        }
    }
}
