//! `dev`: the server with the embedded store, and this machine as the first thing it records.
//!
//! It owns what a newcomer sees first. The machine is reported like any other environment, over
//! HTTP; what is printed about a change is what the server made of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runstone_api::client::{Call, Client, ClientOptions, Method, Payload, url};
use runstone_collect::runtime::processes::{Collector, Options, Processes};
use runstone_server::provision::{Plan, generate_key};
use runstone_store::Store;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock;
use crate::commands::reporting;
use crate::commands::snapshot::processes::artifacts;
use crate::config::{self, Local};
use crate::context::{Context, VERSION, parse};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::{Flag, Kind};
use crate::output::value::{field, text};
use crate::server;

/// The organization of a server that nobody has set up.
const ORGANIZATION: &str = "local";
/// Who administers it.
const USER: &str = "admin";
/// The environment that stands for this machine.
const ENVIRONMENT: &str = "this-machine";
/// The file in the data folder with the key, for the next start.
const KEY_FILE: &str = "local.json";
/// Lines about one snapshot; a busy machine changes a lot in a period.
const LINES_MAX: usize = 8;
/// Digits of a fingerprint that are shown; as many as a search needs.
const SHORT: usize = 7;

const FLAGS: &[Flag] = &[
    Flag::text(
        "data-dir",
        "[defaulted] The folder of the embedded store. One process owns it at a time.",
    )
    .default("./runstone-data"),
    Flag::text(
        "log-format",
        "[defaulted] The format of logs on stderr: text or json.",
    )
    .default("text"),
    Flag::text(
        "log-level",
        "[defaulted] What is logged: error, warn, info, debug or trace.",
    )
    .default("warn"),
    Flag::new(
        "period",
        Kind::Float,
        "[defaulted] Seconds between two looks at this machine.",
    )
    .default("10")
    .hidden(),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["dev"],
    about: "Run a server on this machine and record what runs here.",
    details: "The first start makes the organization local and an admin key, which other commands on this machine then use by themselves. Ctrl-C stops; the next start carries on.",
    flags: &[server::LISTEN, FLAGS],
    needs: Needs::Nothing,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let period = values.float("period");
    if !(0.1..=86_400.0).contains(&period) {
        anyhow::bail!("--period must be between 0.1 and 86400 seconds");
    }
    server::start_logs(values)?;
    let options = server::options(values, &context.process)?;
    server::runtime()?.block_on(async {
        let stop = server::stop_signal()?;
        let listener = server::listen(values).await?;
        let store = server::open(options).await?;
        let host = server::local_url(listener.local_addr()?);
        let (local, first) = local_access(context, &store, host).await?;
        greet(context, &local, first)?;
        let serving = server::run(context, store, listener, stop.clone());
        let recording = async {
            Recorder::new(context, local)?
                .run(Duration::from_secs_f64(period), stop)
                .await;
            Ok(())
        };
        tokio::try_join!(serving, recording)?;
        context.say("\nstopped; the next start carries on");
        Ok(())
    })
}

/// The key for this machine's organization: the one of earlier starts, else a new one.
async fn local_access(
    context: &Context,
    store: &Store,
    host: String,
) -> anyhow::Result<(Local, bool)> {
    let path = Path::new(context.values.text("data-dir")).join(KEY_FILE);
    let local = match std::fs::read(&path) {
        Ok(bytes) => {
            let kept: Local = serde_json::from_slice(&bytes)
                .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
            Local { host, ..kept }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Local {
            host,
            org: ORGANIZATION.to_owned(),
            api_token: generate_key(store),
        },
        Err(error) => anyhow::bail!("cannot read {}: {error}", path.display()),
    };
    // Kept before it is made: a start that is cut short in between is finished by the next one.
    let text = format!("{}\n", serde_json::to_string_pretty(&local)?);
    config::write_private(&path, &text)
        .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))?;
    let applied = Plan::first_start(&local.org, USER, &local.api_token)
        .apply(store)
        .await?;
    if context.process.home().is_some() {
        local.write(context.process.home()).map_err(|error| {
            anyhow::anyhow!(
                "cannot write {}: {error}",
                config::local_path(context.process.home()).display()
            )
        })?;
    }
    Ok((local, applied.created > 0))
}

/// What a newcomer reads first.
fn greet(context: &Context, local: &Local, first: bool) -> anyhow::Result<()> {
    let folder = std::path::absolute(context.values.text("data-dir"))?;
    context.say(format_args!(
        "Runstone {VERSION} serves {} and keeps its data in {}",
        local.host,
        folder.display()
    ));
    if first {
        context.say(format_args!(
            "\nThe admin key of organization {}, shown this once:\n  {}",
            local.org, local.api_token
        ));
    }
    let path = config::local_path(context.process.home());
    match context.process.home() {
        Some(_) if first => context.say(format_args!(
            "It is also in {}, which only you can read; commands on this machine use it by themselves.",
            path.display()
        )),
        Some(_) => {}
        None => context.warn("HOME is not set, so that other commands need --host, --org and --api-token"),
    }
    Ok(())
}

/// The words that start this program from where the user is.
fn program(context: &Context) -> String {
    let name = context.program();
    let Ok(own) = std::env::current_exe() else {
        return name.to_owned();
    };
    let on_path = context
        .process
        .environment
        .get("PATH")
        .into_iter()
        .flat_map(std::env::split_paths)
        .map(|folder: PathBuf| folder.join(name))
        .find(|candidate| candidate.is_file());
    let same = |path: &Path| std::fs::canonicalize(path).ok() == std::fs::canonicalize(&own).ok();
    if on_path.is_some_and(|path| same(&path)) {
        return name.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    match own.strip_prefix(&here) {
        Ok(below) => format!("./{}", below.display()),
        Err(_) => own.display().to_string(),
    }
}

/// What one look at the machine came to.
struct Look {
    processes: Processes,
    /// Whether it made a snapshot.
    changed: bool,
}

/// Reports this machine again and again.
struct Recorder<'a> {
    context: &'a Context,
    client: Client,
    local: Local,
    collector: Option<Collector>,
    /// The last failure that was told.
    failing: Option<String>,
}

impl<'a> Recorder<'a> {
    fn new(context: &'a Context, local: Local) -> anyhow::Result<Self> {
        let client = Client::new(ClientOptions {
            token: Some(local.api_token.clone()),
            retries: 3,
            proxy: None,
            user_agent: format!("Runstone/{VERSION}"),
            first_delay: Duration::from_millis(200),
        })?;
        Ok(Self {
            context,
            client,
            local,
            collector: Some(Collector::new(Options::default())),
            failing: None,
        })
    }

    fn api(&self, segments: &[&str]) -> String {
        let mut all = vec!["api", "v2"];
        all.extend_from_slice(segments);
        url(&self.local.host, &all)
    }

    async fn run(&mut self, period: Duration, stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            let look = tokio::select! {
                () = server::stopped(stop.clone()) => return,
                look = async {
                    ticks.tick().await;
                    self.look(!told).await
                } => look,
            };
            if *stop.borrow() {
                return;
            }
            match look {
                Ok(look) if told => {
                    self.failing = None;
                    if look.changed {
                        self.tell_changes().await;
                    }
                }
                Ok(look) => {
                    self.failing = None;
                    told = true;
                    self.tell_first(&look, period).await;
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    if self.failing.as_ref() != Some(&text) {
                        self.context.warn(format_args!(
                            "this machine could not be recorded: {text}; trying again"
                        ));
                        self.failing = Some(text);
                    }
                }
            }
        }
    }

    /// Looks at the machine and reports it.
    async fn look(&mut self, create: bool) -> anyhow::Result<Look> {
        if create {
            self.create().await?;
        }
        let mut collector = self
            .collector
            .take()
            .unwrap_or_else(|| Collector::new(Options::default()));
        let observed = clock::now();
        // Reading every executable takes a while the first time.
        let (collector, collected) = tokio::task::spawn_blocking(move || {
            let collected = collector.collect();
            (collector, collected)
        })
        .await?;
        self.collector = Some(collector);
        let processes = collected?;
        let segments = [
            "environments",
            &self.local.org,
            ENVIRONMENT,
            "report",
            "server",
        ];
        let body = reporting::body(&artifacts(&processes)).to_string();
        let mut call = Call::new(Method::PUT, self.api(&segments), Payload::Json(body));
        call.headers = reporting::observation(self.context, ENVIRONMENT, observed);
        let answer = self.client.send(&call, &mut |_| {}).await?;
        Ok(Look {
            processes,
            changed: answer.status == 201,
        })
    }

    /// Makes the environment; one that is there stays as it is.
    async fn create(&self) -> anyhow::Result<()> {
        let segments = ["environments", &self.local.org, ENVIRONMENT];
        match self
            .client
            .send(&Call::get(self.api(&segments)), &mut |_| {})
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error.into()),
        }
        let body = json!({
            "name": ENVIRONMENT,
            "type": "server",
            "description": "Every program that runs on this machine",
            "include_scaling": true,
        });
        let call = Call::new(
            Method::PUT,
            self.api(&["environments", &self.local.org]),
            Payload::Json(body.to_string()),
        );
        self.client.send(&call, &mut |_| {}).await?;
        Ok(())
    }

    /// The latest snapshot.
    async fn latest(&self) -> anyhow::Result<Value> {
        let segments = ["snapshots", &self.local.org, ENVIRONMENT, "-1"];
        let call = Call::get(self.api(&segments));
        parse(&self.client.send(&call, &mut |_| {}).await?.body)
    }

    async fn tell_first(&self, look: &Look, period: Duration) {
        let executables = &look.processes.artifacts;
        let running: usize = executables.iter().map(|one| one.started_at.len()).sum();
        let snapshot = match self.latest().await {
            Ok(latest) => format!("{ENVIRONMENT}#{}", text(&latest, "index")),
            Err(_) => ENVIRONMENT.to_owned(),
        };
        let unreadable = match look.processes.unreadable {
            0 => String::new(),
            1 => "; 1 process of others could not be read".to_owned(),
            many => format!("; {many} processes of others could not be read"),
        };
        let program = program(self.context);
        // Something to look for that surely runs: this program itself.
        let own = executables
            .iter()
            .find(|one| one.pids.contains(&(std::process::id() as i32)))
            .or_else(|| executables.first())
            .map(|one| one.fingerprint.to_hex())
            .unwrap_or_default();
        self.context.say(format_args!(
            "\nRecorded {running} processes of {} programs as {snapshot}{unreadable}\n\nTry in another terminal:\n  {program} get snapshot {ENVIRONMENT}\n  {program} log env {ENVIRONMENT}\n  {program} search {}\n\nLooking again every {} s; Ctrl-C stops",
            executables.len(),
            short(&own),
            period.as_secs_f64(),
        ));
    }

    async fn tell_changes(&self) {
        let latest = match self.latest().await {
            Ok(latest) => latest,
            Err(error) => {
                self.context
                    .warn(format_args!("something changed, but: {error:#}"));
                return;
            }
        };
        let time = clock::now()
            .to_zoned(self.context.times().zone.clone())
            .strftime("%H:%M:%S")
            .to_string();
        let lines = change_lines(&latest);
        let mut out = String::new();
        for line in lines.iter().take(LINES_MAX) {
            let _ = writeln!(
                out,
                "{time}  {ENVIRONMENT}#{}  {line}",
                text(&latest, "index")
            );
        }
        if lines.len() > LINES_MAX {
            let _ = writeln!(
                out,
                "{time}  {ENVIRONMENT}#{}  and {} more",
                text(&latest, "index"),
                lines.len() - LINES_MAX
            );
        }
        self.context.print(&out);
    }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT).unwrap_or(fingerprint)
}

/// One line for each change that a snapshot tells of.
fn change_lines(snapshot: &Value) -> Vec<String> {
    let artifacts = field(snapshot, "artifacts")
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let kind = |artifact: &Value| text(field(artifact, "annotation"), "type");
    let is_started = |artifact: &&Value| kind(artifact).starts_with("started");
    let mut lines = Vec::new();
    for artifact in artifacts {
        let name = text(artifact, "name");
        let fingerprint = text(artifact, "fingerprint");
        let fingerprint = short(&fingerprint);
        let annotation = field(artifact, "annotation");
        let same_name = |other: &&Value| text(other, "name") == name;
        match kind(artifact).as_str() {
            "unchanged" => {}
            "exited" => {
                // The same file with other content is one change, told where it starts.
                if !artifacts
                    .iter()
                    .filter(is_started)
                    .any(|other| same_name(&other))
                {
                    lines.push(format!("stopped {name} {fingerprint}"));
                }
            }
            "scaled" => lines.push(format!(
                "scaled  {name} {fingerprint} from {} to {}",
                text(annotation, "was"),
                text(annotation, "now")
            )),
            started if started.starts_with("started") => {
                let before = artifacts
                    .iter()
                    .filter(same_name)
                    .find(|other| kind(other) == "exited");
                lines.push(match before {
                    Some(before) => format!(
                        "changed {name} from {} to {fingerprint}",
                        short(&text(before, "fingerprint"))
                    ),
                    None => format!("started {name} {fingerprint}"),
                });
            }
            _ => lines.push(format!("changed {name} {fingerprint}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_one_line() {
        let artifact = |name: &str, digit: &str, kind: &str, was: u8, now: u8| {
            json!({
                "name": name,
                "fingerprint": digit.repeat(64),
                "annotation": {"type": kind, "was": was, "now": now},
            })
        };
        let snapshot = json!({"artifacts": [
            artifact("/bin/a", "a", "started-unknown", 0, 1),
            artifact("/bin/b", "b", "scaled", 3, 1),
            artifact("/bin/c", "c", "started-unknown", 0, 1),
            artifact("/bin/d", "d", "unchanged", 1, 1),
            artifact("/bin/c", "0", "exited", 1, 0),
            artifact("/bin/e", "e", "exited", 1, 0),
        ]});
        assert_eq!(
            change_lines(&snapshot),
            [
                "started /bin/a aaaaaaa",
                "scaled  /bin/b bbbbbbb from 3 to 1",
                "changed /bin/c from 0000000 to ccccccc",
                "stopped /bin/e eeeeeee",
            ]
        );
    }
}
