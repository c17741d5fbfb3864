//! The server inside this program: its settings, and how it is started and stopped.
//!
//! A setting is a flag, a `RUNSTONE_*` variable or a key of the config file like any other value of
//! the command line (`grammar::sources`), so that this module only gives them their meaning. It
//! prints nothing.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use runstone_journal::trust::Trust;
use runstone_server::{Config, Server};
use runstone_store::{Engine, OpenError, Options, Store, SystemRandom};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::clock::SystemClock;
use crate::context::{Context, Process};
use crate::grammar::flag::Flag;
use crate::grammar::values::Values;

/// Where the data lies. The flags of every command that opens a store itself.
pub const STORE: &[Flag] = &[
    Flag::text(
        "data-dir",
        "[defaulted] The folder of the embedded store. One process owns it at a time.",
    )
    .default("./runstone-data"),
    Flag::text(
        "database-url",
        "[optional] A PostgreSQL database (postgres://…) in place of the embedded store.",
    ),
    Flag::text(
        "blobs-url",
        "[optional] Where large bodies lie: a folder, or s3://bucket/prefix with the usual AWS_* variables. Default: in the data folder. Required with --database-url.",
    ),
    Flag::text(
        "key-file",
        "[optional] The file with the signing seed and the pepper of keys; made at the first start. Default: in the data folder. Required with --database-url.",
    ),
    Flag::text(
        "checkpoint-guard",
        "[optional] A folder or s3://bucket/prefix outside the data that remembers how far each log was signed.",
    ),
    Flag::text(
        "base-url",
        "[optional] The URL under which clients reach the server, for links and for the names of new logs.",
    ),
];

/// Where the server listens.
pub const LISTEN: &[Flag] = &[Flag::text(
    "listen",
    "[defaulted] The address to listen on; port 0 takes any free one.",
)
.default("127.0.0.1:8080")];

/// What is done with attached files.
pub const EVIDENCE: &[Flag] = &[
    Flag::list(
        "trusted-keys",
        "[optional] PEM files with public keys and root certificates. Signatures in attached DSSE envelopes and Sigstore bundles are checked by them, and what came out is recorded.",
    ),
    Flag::text(
        "max-attachment",
        "[defaulted] The most MB that an attached file may have.",
    )
    .default("100"),
];

/// What the server says of itself while it runs.
pub const LOGS: &[Flag] = &[
    Flag::text("log-format", "[defaulted] The format of logs on stderr: text or json.")
        .default("text"),
    Flag::text(
        "log-level",
        "[defaulted] What is logged: error, warn, info, debug, trace, or a list such as info,runstone_store=debug.",
    )
    .default("info"),
];

/// What every command with these flags says of them in its help.
pub const DETAILS: &str = "Every flag can also be a variable (RUNSTONE_DATA_DIR for --data-dir) or a key of the config file (data-dir: /var/lib/runstone), which is ~/.runstone.yml unless --config-file or RUNSTONE_CONFIG_FILE names another one.";

/// How the store is opened.
pub fn options(values: &Values, process: &Process) -> anyhow::Result<Options> {
    let given = |name: &str| Some(values.text(name).to_owned()).filter(|text| !text.is_empty());
    let engine = match given("database-url") {
        Some(url) => {
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                anyhow::bail!("--database-url must begin with postgres://");
            }
            Engine::Postgres { url }
        }
        None => Engine::Sqlite {
            directory: PathBuf::from(values.text("data-dir")),
        },
    };
    Ok(Options {
        engine,
        blobs: given("blobs-url"),
        blob_options: process
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with("AWS_"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect(),
        key_file: given("key-file").map(PathBuf::from),
        create_key_file: true,
        host: log_host(base_url(values)?.as_deref(), &process.host_name),
        guard: given("checkpoint-guard"),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    })
}

/// `--base-url` without a slash at its end.
pub fn base_url(values: &Values) -> anyhow::Result<Option<String>> {
    let text = values.text("base-url").trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(Some(text.to_owned())),
        _ => anyhow::bail!("--base-url must be a URL such as https://runstone.example.com"),
    }
}

/// The name under which new logs are founded: the server's host as clients know it, else this
/// machine's. It is kept for good with each log and only has to tell logs apart.
fn log_host(base_url: Option<&str>, machine: &str) -> String {
    let host = base_url
        .and_then(|url| url.split_once("://"))
        .map_or(machine, |(_, rest)| rest.split('/').next().unwrap_or(rest));
    let host: String = host
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | ':' => letter,
            _ => '-',
        })
        .collect();
    if host.is_empty() {
        "localhost".to_owned()
    } else {
        host
    }
}

/// Opens the store; a failure says what to do about it.
pub async fn open(options: Options) -> anyhow::Result<Store> {
    let key_file = options.key_file.clone();
    let was_there = key_file.as_deref().is_none_or(Path::exists);
    match Store::open(options).await {
        Ok(store) => Ok(store),
        Err(OpenError::ForeignKeyFile { path }) if !was_there => {
            // It was made a moment ago, because it was missing, and is of no use.
            let _ = std::fs::remove_file(&path);
            anyhow::bail!(
                "key file {} is missing: this store was made with one; give the path of that file",
                path.display()
            )
        }
        Err(error @ OpenError::Locked { .. }) => Err(anyhow::Error::new(error).context(
            "one process owns a data directory: stop the other one, or choose another with --data-dir",
        )),
        Err(error) => Err(error.into()),
    }
}

/// Binds the address of `--listen`.
pub async fn listen(values: &Values) -> anyhow::Result<TcpListener> {
    let text = values.text("listen");
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "cannot listen on {text}: the address is in use; choose another one with --listen"
        ),
        _ => anyhow::anyhow!("cannot listen on {text}: {error}"),
    };
    TcpListener::bind(text).await.map_err(failed)
}

/// Where a client on this machine reaches a listener.
pub fn local_url(address: SocketAddr) -> String {
    let ip = address.ip();
    let ip = match ip {
        _ if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Applies the file of `--provision`.
pub fn read_plan(
    path: &str,
    process: &Process,
) -> anyhow::Result<runstone_server::provision::Plan> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("cannot read provision file {path}: {error}"))?;
    runstone_server::provision::Plan::parse(&text, |name| process.environment.get(name).cloned())
        .with_context(|| format!("provision file {path}"))
}

/// Sends what the server logs to stderr.
pub fn start_logs(values: &Values) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let level = values.text("log-level");
    let filter = EnvFilter::try_new(level)
        .map_err(|error| anyhow::anyhow!("--log-level {level}: {error}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match values.text("log-format") {
        "text" => logs
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        "json" => logs.json().flatten_event(true).try_init(),
        other => anyhow::bail!("--log-format must be text or json, not {other}"),
    };
    started.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
}

/// A runtime as wide as the machine.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// Becomes true when the user or the system asks to stop. The second time ends the process at once.
pub fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if asked {
                std::process::exit(code);
            }
            asked = true;
            let _ = sender.send(true);
        }
    });
    Ok(receiver)
}

/// Completes when `stop` becomes true.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender lives as long as the process waits for signals.
    let _ = stop.wait_for(|asked| *asked).await;
}

/// The server's own settings.
pub fn config(values: &Values) -> anyhow::Result<Config> {
    Ok(Config {
        base_url: base_url(values)?,
        attachment_bytes_max: attachment_bytes_max(values)?,
        trust: Arc::new(trust(values.list("trusted-keys"))?),
        ..Config::default()
    })
}

/// `--max-attachment`, in bytes.
fn attachment_bytes_max(values: &Values) -> anyhow::Result<u64> {
    let text = values.text("max-attachment");
    let megabytes = match text {
        "" => return Ok(Config::default().attachment_bytes_max),
        text => text.parse::<u64>().ok(),
    };
    match megabytes {
        Some(megabytes @ 1..=ATTACHMENT_MB_MAX) => Ok(megabytes << 20),
        _ => anyhow::bail!("--max-attachment must be a number of MB, 1 to {ATTACHMENT_MB_MAX}"),
    }
}

/// Most that attached files can be allowed to have, in MB: an archive cannot hold larger ones.
const ATTACHMENT_MB_MAX: u64 = 8_000;
/// Most bytes of a file with keys.
const KEYS_BYTES_MAX: u64 = 4 << 20;

/// What stands in the files of `--trusted-keys`.
fn trust(paths: &[String]) -> anyhow::Result<Trust> {
    use std::io::Read as _;

    let mut trust = Trust::default();
    for path in paths {
        let mut pem = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(KEYS_BYTES_MAX).read_to_end(&mut pem))
            .with_context(|| format!("cannot read {path}"))?;
        let read = Trust::read(&pem);
        trust.extend(read.with_context(|| format!("cannot use {path} of --trusted-keys"))?);
    }
    Ok(trust)
}

/// Serves until `stop`, with the administration socket beside it where there is a data folder.
pub async fn run(
    context: &Context,
    store: Store,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let socket = match context.values.text("database-url") {
        "" => {
            let directory = PathBuf::from(context.values.text("data-dir"));
            match runstone_server::admin_socket::listen(&directory, store.clone()) {
                Ok(socket) => Some(socket),
                // A path too long for a socket, for instance, is no reason not to serve.
                Err(error) => {
                    tracing::warn!(
                        "admin commands cannot reach this server, because there is no socket in {}: {error}",
                        directory.display()
                    );
                    None
                }
            }
        }
        _ => None,
    };
    let served = Server::new(config(&context.values)?, store)
        .run(listener, stopped(stop))
        .await;
    drop(socket);
    Ok(served?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_by_the_host_that_clients_know() {
        let check = |base: Option<&str>, machine: &str, expected: &str| {
            assert_eq!(log_host(base, machine), expected);
        };
        check(Some("https://r.example.com/below"), "box", "r.example.com");
        check(Some("http://r:8080"), "box", "r:8080");
        check(None, "box.lan", "box.lan");
        check(None, "my box+1", "my-box-1");
        check(None, "", "localhost");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_the_local_one() {
        let url = |address: &str| local_url(address.parse().expect("an address"));
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.0.0.1:80"), "http://10.0.0.1:80");
    }
}
