//! Reporting again whenever files change (`cli.md` 7.6, `--watch`).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jiff::Timestamp;
use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::context::Context;

/// How long events are gathered before one report answers them all.
const GATHER: Duration = Duration::from_millis(200);

/// Watches `paths`, and calls `report` after each change until the user interrupts.
pub fn watch(
    context: &Context,
    paths: &[PathBuf],
    report: impl Fn(Timestamp) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let named: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let named = named.join(" ");
    let (sender, events) = channel();
    let mut watcher = notify::recommended_watcher(sender)?;
    for path in paths {
        watcher.watch(Path::new(path), RecursiveMode::Recursive)?;
    }
    let (interrupted, interrupt) = channel();
    context.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = interrupted.send(());
        }
    });
    context.say(format_args!(
        "watching for file changes in [{named}]. Press Ctrl+C to exit..."
    ));
    loop {
        if interrupt.try_recv().is_ok() {
            context.say(format_args!("\nstopping file watcher for [{named}] ..."));
            return Ok(());
        }
        match events.recv_timeout(GATHER) {
            Ok(event) => {
                let mut changed = tell(context, &event?);
                while let Ok(event) = events.recv_timeout(GATHER) {
                    changed |= tell(context, &event?);
                }
                if changed {
                    report(crate::clock::now())?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the file watcher of [{named}] ended");
            }
        }
    }
}

/// Tells an event that may change a fingerprint; reading a file does not.
fn tell(context: &Context, event: &notify::Event) -> bool {
    let word = match event.kind {
        EventKind::Create(_) => "CREATE",
        EventKind::Modify(_) => "WRITE",
        EventKind::Remove(_) => "REMOVE",
        EventKind::Any | EventKind::Other | EventKind::Access(_) => return false,
    };
    let path = event.paths.first().map(PathBuf::as_path);
    context.say(format_args!(
        "event detected: {word} on {}",
        path.unwrap_or(Path::new("")).display()
    ));
    true
}
