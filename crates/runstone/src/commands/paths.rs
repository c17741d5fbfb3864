//! Artifacts that are files and directories: their fingerprints, and watching them for changes
//! (`cli.md` 7.6).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jiff::Timestamp;
use notify::{RecursiveMode, Watcher as _};
use runstone_fingerprint::{file, glob};

use crate::commands::artifact;
use crate::commands::reporting::Artifact;
use crate::context::Context;

/// One artifact on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Globs of what does not count in a directory.
    pub exclude: Vec<String>,
}

/// Whether to go on watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Go on.
    On,
}

/// Fingerprints what `specs` name, in their order.
pub fn artifacts(context: &Context, specs: &[Spec]) -> anyhow::Result<Vec<Artifact>> {
    specs
        .iter()
        .map(|spec| {
            of(context, spec).map_err(|error| {
                error.context(format!(
                    "failed to calculate fingerprint for artifact [{}]",
                    spec.name
                ))
            })
        })
        .collect()
}

fn of(context: &Context, spec: &Spec) -> anyhow::Result<Artifact> {
    context.debug(format_args!(
        "fingerprinting artifact [{}] with spec [ Include: {}, Exclude: [{}]]",
        spec.name,
        spec.path,
        spec.exclude.join(" ")
    ));
    let path = Path::new(&spec.path);
    let metadata = std::fs::metadata(path).map_err(|error| {
        anyhow::anyhow!(
            "failed to open path {path} with error: stat {path}: {reason}",
            path = spec.path,
            reason = runstone_fingerprint::os_reason(&error)
        )
    })?;
    let fingerprint = if metadata.is_dir() {
        context.debug(format_args!(
            "calculating fingerprint for path [{}] -- excluding paths: [{}]",
            spec.path,
            spec.exclude.join(" ")
        ));
        artifact::of_directory(context, &spec.path, &spec.exclude)?
    } else {
        file(path)?
    };
    context.debug(format_args!(
        "fingerprint for artifact [{}]: {fingerprint}",
        spec.name
    ));
    let created_seconds = metadata
        .modified()
        .ok()
        .and_then(|time| Timestamp::try_from(time).ok())
        .map_or(0, Timestamp::as_second);
    Ok(Artifact {
        name: spec.name.clone(),
        fingerprint,
        created_seconds,
    })
}

/// The absolute paths that `pattern` matches.
pub fn matching(pattern: &str) -> anyhow::Result<Vec<String>> {
    let absolute = std::path::absolute(pattern)?;
    let pattern = absolute.to_string_lossy().into_owned();
    let found = glob(pattern.as_bytes(), 0)?;
    Ok(found
        .into_iter()
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect())
}

/// How long events are gathered before one report answers them all.
const GATHER: Duration = Duration::from_millis(200);

/// Watches what `specs` name, and reports after each change until the user interrupts.
pub fn watch(
    context: &Context,
    specs: &[Spec],
    report: impl Fn(Timestamp) -> anyhow::Result<Watch>,
) -> anyhow::Result<()> {
    let paths: Vec<&str> = specs.iter().map(|spec| spec.path.as_str()).collect();
    let paths = paths.join(" ");
    let (sender, events) = channel();
    let mut watcher = notify::recommended_watcher(sender)?;
    for spec in specs {
        watcher.watch(Path::new(&spec.path), RecursiveMode::Recursive)?;
    }
    context.say(format_args!(
        "watching for file changes in [{paths}]. Press Ctrl+C to exit..."
    ));
    let (interrupted, interrupt) = channel();
    context.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = interrupted.send(());
        }
    });
    loop {
        if interrupt.try_recv().is_ok() {
            context.say(format_args!("\nstopping file watcher for [{paths}] ..."));
            return Ok(());
        }
        match events.recv_timeout(GATHER) {
            Ok(event) => {
                let mut changes = tell(context, event?);
                while let Ok(event) = events.recv_timeout(GATHER) {
                    changes |= tell(context, event?);
                }
                if changes {
                    report(Timestamp::now())?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the file watcher of [{paths}] ended");
            }
        }
    }
}

/// Tells an event that may change a fingerprint; reading a file does not.
fn tell(context: &Context, event: notify::Event) -> bool {
    use notify::EventKind;
    let word = match event.kind {
        EventKind::Create(_) => "CREATE",
        EventKind::Modify(_) => "WRITE",
        EventKind::Remove(_) => "REMOVE",
        EventKind::Any | EventKind::Other | EventKind::Access(_) => return false,
    };
    let path = event.paths.first().cloned().unwrap_or_else(PathBuf::new);
    context.say(format_args!("event detected: {word} on {}", path.display()));
    true
}
