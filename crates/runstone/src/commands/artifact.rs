//! Fingerprints of what a command's argument names, by the flags of group G-FP (`cli.md` 3).

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use runstone_collect::runtime::docker::{DEFAULT_HOST, Docker, Host};
use runstone_fingerprint::oci::{CredentialSources, Credentials, Login};
use runstone_fingerprint::{Fingerprint, Options, Progress, Trace, directory, file, oci};

use crate::context::{Context, usage_error};

/// How long a fingerprint may take before a progress line appears.
const PROGRESS_AFTER: Duration = Duration::from_millis(700);

/// The checks of the registry flags, which come before required flags.
pub fn check_registry_flags(context: &Context) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    let (user, password) = (given("registry-username"), given("registry-password"));
    let kind = context.values.text("artifact-type");
    if (user || password) && !matches!(kind, "docker" | "oci") {
        return Err(usage_error(
            "--registry-username and registry-password are only applicable when --artifact-type is 'docker' or 'oci'",
        ));
    }
    if user != password {
        return Err(usage_error(
            "--registry-username and registry-password must both be set",
        ));
    }
    Ok(())
}

/// The fingerprint of `name` as the type that `--artifact-type` says.
pub fn fingerprint(context: &Context, name: &str) -> anyhow::Result<Fingerprint> {
    let kind = context.values.text("artifact-type");
    let fingerprint = match kind {
        "file" => file(Path::new(name))?,
        "dir" => of_directory(context, name, context.values.list("exclude"))?,
        "docker" if context.values.text("registry-username").is_empty() => {
            of_docker_image(context, name)?
        }
        "docker" | "oci" => of_registry_image(context, name)?,
        other => anyhow::bail!("{other} is not a supported artifact type"),
    };
    context.debug(format_args!(
        "calculated fingerprint: {fingerprint} for artifact: {name}"
    ));
    Ok(fingerprint)
}

/// The fingerprint of a directory, with progress on a terminal if it takes long.
fn of_directory(context: &Context, path: &str, exclude: &[String]) -> anyhow::Result<Fingerprint> {
    context.debug(format_args!(
        "calculating fingerprint for path [{path}] -- excluding paths: [{}]",
        exclude.join(" ")
    ));
    let bar = Bar::new(context);
    let progress = |progress: Progress| bar.update(progress);
    let steps = Mutex::new(Vec::new());
    let trace = |step: &Trace| {
        if let Ok(mut steps) = steps.lock() {
            steps.push(step.clone());
        }
    };
    let debug = context.values.bool("debug");
    let options = Options {
        exclude,
        threads: 0,
        progress: context.process.is_terminal.then_some(&progress),
        trace: if debug { Some(&trace) } else { None },
    };
    let result = directory(Path::new(path), &options);
    bar.finish();
    for step in steps.into_inner().unwrap_or_default() {
        tell(context, &step);
    }
    let directory = result?;
    for warning in &directory.warnings {
        context.warn(warning);
    }
    Ok(directory.fingerprint)
}

fn tell(context: &Context, step: &Trace) {
    let kind = |directory: &bool| if *directory { "dir" } else { "file" };
    match step {
        Trace::Excluded { path, directory } => {
            context.debug(format_args!("excluding {} path: {path}", kind(directory)));
        }
        Trace::Name {
            path,
            directory,
            digest,
        } => {
            let name = if *directory { "dirname" } else { "filename" };
            context.debug(format_args!(
                "{} path: {path} -- {name} digest: {digest}",
                kind(directory)
            ));
        }
        Trace::Content { path, digest } => {
            context.debug(format_args!("filename: {path} -- content digest: {digest}"));
        }
    }
}

fn of_registry_image(context: &Context, name: &str) -> anyhow::Result<Fingerprint> {
    let user = context.values.text("registry-username");
    let credentials = if user.is_empty() {
        Credentials::LookUp(credential_sources(context))
    } else {
        Credentials::Given(Login {
            username: user.to_owned(),
            password: context.values.text("registry-password").to_owned(),
        })
    };
    let options = oci::Options {
        credentials,
        ..oci::Options::default()
    };
    Ok(context.block_on(oci::fingerprint(name, &options))?)
}

fn of_docker_image(context: &Context, name: &str) -> anyhow::Result<Fingerprint> {
    context.block_on(async {
        let docker = Docker::connect(&docker_host(context)).await?;
        Ok(docker.image_fingerprint(name).await?)
    })
}

/// Where the container engine is, by the variables that `docker` reads.
pub fn docker_host(context: &Context) -> Host {
    let variable = |name: &str| {
        context
            .process
            .environment
            .get(name)
            .filter(|value| !value.is_empty())
    };
    let folder = || {
        variable("DOCKER_CERT_PATH").map_or_else(
            || {
                context
                    .process
                    .home()
                    .unwrap_or(Path::new(""))
                    .join(".docker")
            },
            PathBuf::from,
        )
    };
    Host {
        address: variable("DOCKER_HOST")
            .map_or(DEFAULT_HOST, String::as_str)
            .to_owned(),
        certificates: variable("DOCKER_TLS_VERIFY").map(|_| folder()),
    }
}

fn credential_sources(context: &Context) -> CredentialSources {
    let variable = |name: &str| {
        context
            .process
            .environment
            .get(name)
            .filter(|value| !value.is_empty())
    };
    CredentialSources {
        registry_auth_file: variable("REGISTRY_AUTH_FILE").map(Into::into),
        xdg_runtime_dir: variable("XDG_RUNTIME_DIR").map(Into::into),
        docker_config: variable("DOCKER_CONFIG").map(Into::into),
        home: context.process.home.clone(),
        path: variable("PATH").map(Into::into),
    }
}

/// A progress line that appears only when the work takes long.
struct Bar {
    bar: ProgressBar,
    began: Instant,
    shown: Mutex<Cell<bool>>,
}

impl Bar {
    fn new(context: &Context) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if context.process.is_terminal {
            bar.set_style(
                ProgressStyle::with_template(
                    "{spinner} {msg} files, {bytes} ({bytes_per_sec}) in {elapsed}",
                )
                .expect("the template is fixed"),
            );
        }
        Self {
            bar,
            began: Instant::now(),
            shown: Mutex::new(Cell::new(false)),
        }
    }

    fn update(&self, progress: Progress) {
        if self.began.elapsed() < PROGRESS_AFTER {
            return;
        }
        if let Ok(shown) = self.shown.lock()
            && !shown.replace(true)
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(progress.bytes);
        self.bar.set_message(progress.files.to_string());
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
