//! What a command runs in: its values, the clock, the environment, the streams and the server.
//!
//! Everything that differs between two runs is here as a value, so that tests replay a run. A
//! command takes nothing from the process itself. Two variables exist for tests only:
//! `RUNSTONE_TEST_NOW` (an RFC 3339 time) stops the clock and `RUNSTONE_TEST_RETRY_MS` shortens the
//! first pause between two attempts; neither can change what is sent or accepted. A third one is
//! for readers: `RUNSTONE_NOW` is the time that relative times are counted from, in what is shown and
//! in what is asked for. What is reported keeps the machine's time.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use runstone_api::client::{
    Answer, Call, Client, ClientError, ClientOptions, Content, FilePart, Method, Payload, Trace,
    url, with_query,
};
use serde_json::Value;

use crate::grammar::command::Command;
use crate::grammar::values::Values;
use crate::output::json;
use crate::output::time::Times;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where the server is when nothing says otherwise.
pub const DEFAULT_HOST: &str = "http://127.0.0.1:8080";

/// What a run takes from the process.
#[derive(Debug, Clone)]
pub struct Process {
    /// The name that is printed: `kosli` if called so, else `runstone`.
    pub program: &'static str,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// The home directory.
    pub home: Option<PathBuf>,
    /// Clock and zone for what is shown.
    pub times: Times,
    /// The machine's clock.
    pub now: Timestamp,
    /// The name of this machine.
    pub host_name: String,
    /// Whether stderr is a terminal, where progress may be drawn.
    pub is_terminal: bool,
}

impl Process {
    /// The process as it is.
    pub fn current(program: &'static str) -> Self {
        // The one place that reads the environment and the clock.
        let (environment, now) = (
            std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect::<BTreeMap<_, _>>(),
            Timestamp::now(),
        );
        let now = environment
            .get("RUNSTONE_TEST_NOW")
            .and_then(|text| text.parse().ok())
            .unwrap_or(now);
        // Only under our own name; scripts for the published client know no such thing.
        let reading = environment
            .get("RUNSTONE_NOW")
            .filter(|_| program != "kosli")
            .and_then(|text| reading_time(text));
        let home = environment
            .get(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
            .filter(|home| !home.is_empty())
            .map(PathBuf::from);
        Self {
            program,
            home,
            now,
            times: Times {
                now: reading.unwrap_or(now),
                // A machine that does not say where it is shows UTC.
                zone: TimeZone::try_system().unwrap_or(TimeZone::UTC),
            },
            host_name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            is_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
            environment,
        }
    }

    /// What is wrong with the variables that are read here.
    pub fn complaint(&self) -> Option<String> {
        let text = self.environment.get("RUNSTONE_NOW")?;
        (!self.is_compat() && !text.is_empty() && reading_time(text).is_none()).then(|| {
            format!(
                "RUNSTONE_NOW must be a time such as 2026-03-01T10:00:00Z or a date, not {text}"
            )
        })
    }

    /// Whether the program was called by the published client's name.
    pub fn is_compat(&self) -> bool {
        self.program == "kosli"
    }

    /// The home directory.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}

/// The time of `RUNSTONE_NOW`: with an offset, or a date, which is its first instant in UTC.
fn reading_time(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

/// Where output goes. Both streams may be one buffer (`cli.md` 1.13).
#[derive(Clone)]
pub enum Streams {
    /// The process's own.
    Process,
    /// One buffer for both.
    Buffer(Rc<RefCell<Vec<u8>>>),
}

impl Streams {
    /// Writes to standard output. A reader that went away ends the process quietly.
    pub fn out(&self, text: &str) {
        match self {
            Self::Process => {
                let mut out = std::io::stdout().lock();
                if out
                    .write_all(text.as_bytes())
                    .and_then(|()| out.flush())
                    .is_err()
                {
                    std::process::exit(0);
                }
            }
            Self::Buffer(buffer) => buffer.borrow_mut().extend_from_slice(text.as_bytes()),
        }
    }

    /// Writes to standard error.
    pub fn err(&self, text: &str) {
        match self {
            Self::Process => {
                let _ = std::io::stderr().lock().write_all(text.as_bytes());
            }
            Self::Buffer(buffer) => buffer.borrow_mut().extend_from_slice(text.as_bytes()),
        }
    }
}

/// A complaint that is followed by the command's usage line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WithUsage(pub String);

/// Complains with the usage line.
pub fn usage_error(message: impl Into<String>) -> anyhow::Error {
    WithUsage(message.into()).into()
}

/// What one run of one command works with.
pub struct Context {
    /// The command.
    pub command: &'static Command,
    /// Values of its flags.
    pub values: Values,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The process.
    pub process: Rc<Process>,
    /// Where output goes.
    pub streams: Streams,
    runtime: OnceCell<tokio::runtime::Runtime>,
    client: OnceCell<Client>,
}

impl Context {
    /// A context for one run.
    pub fn new(
        command: &'static Command,
        values: Values,
        arguments: Vec<String>,
        process: Rc<Process>,
        streams: Streams,
    ) -> Self {
        Self {
            command,
            values,
            arguments,
            process,
            streams,
            runtime: OnceCell::new(),
            client: OnceCell::new(),
        }
    }

    // ---- values

    /// The argument at `index`; the grammar has counted them.
    pub fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", String::as_str)
    }

    /// The organization.
    pub fn org(&self) -> &str {
        self.values.text("org")
    }

    /// Whether nothing is to be sent.
    pub fn is_dry_run(&self) -> bool {
        self.values.bool("dry-run")
    }

    /// The name that is printed.
    pub fn program(&self) -> &'static str {
        self.process.program
    }

    /// Whether the program was called by the published client's name.
    pub fn is_compat(&self) -> bool {
        self.process.is_compat()
    }

    /// The machine's clock, for what is reported.
    pub fn now(&self) -> Timestamp {
        self.process.now
    }

    /// Clock and zone for what is shown.
    pub fn times(&self) -> &Times {
        &self.process.times
    }

    // ---- streams

    /// Prints text as it is.
    pub fn print(&self, text: &str) {
        self.streams.out(text);
    }

    /// Prints a line.
    pub fn say(&self, line: impl std::fmt::Display) {
        self.streams.out(&format!("{line}\n"));
    }

    /// Whether warnings are left out.
    pub fn is_quiet(&self) -> bool {
        self.values.bool("quiet") && !self.values.bool("debug")
    }

    /// Warns, unless quiet.
    pub fn warn(&self, line: impl std::fmt::Display) {
        if !self.is_quiet() {
            self.streams.err(&format!("[warning] {line}\n"));
        }
    }

    /// Tells a detail, if debug is on.
    pub fn debug(&self, line: impl std::fmt::Display) {
        if self.values.bool("debug") {
            self.streams.err(&format!("[debug] {line}\n"));
        }
    }

    // ---- the server

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("threads can be started")
        })
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    /// Lets a future run beside the command; it ends with the command at the latest.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(future);
    }

    /// The URL of the server followed by the segments.
    pub fn url(&self, segments: &[&str]) -> String {
        url(self.values.text("host"), segments)
    }

    /// The URL of an API path, with a query.
    pub fn api(&self, segments: &[&str], query: &[(&str, String)]) -> String {
        let mut all = vec!["api", "v2"];
        all.extend_from_slice(segments);
        with_query(&self.url(&all), query)
    }

    /// The first pause between two attempts; a second, but for tests.
    pub fn first_delay(&self) -> Duration {
        self.process
            .environment
            .get("RUNSTONE_TEST_RETRY_MS")
            .and_then(|text| text.parse().ok())
            .map_or(Duration::from_secs(1), Duration::from_millis)
    }

    fn client(&self) -> Result<&Client, ClientError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let text = |name: &str| Some(self.values.text(name).to_owned()).filter(|t| !t.is_empty());
        let first_delay = self.first_delay();
        let client = Client::new(ClientOptions {
            token: text("api-token"),
            retries: u32::try_from(self.values.int("max-api-retries")).unwrap_or_default(),
            proxy: text("http-proxy"),
            user_agent: format!("Runstone/{VERSION}"),
            first_delay,
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends a request, whether dry-run is on or not.
    pub fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        let client = self.client()?;
        let mut trace = |step: Trace<'_>| match step {
            Trace::Begins { method, url } => self.debug(format_args!("{method} {url}")),
            Trace::Answered { url, status } => {
                self.debug(format_args!(
                    "request made to {url} and got status {status}"
                ));
            }
            Trace::Waiting {
                status,
                delay,
                remaining,
            } => {
                let status = status
                    .map(|status| format!(" (status: {status})"))
                    .unwrap_or_default();
                self.debug(format_args!(
                    "{} {}{status}: retrying in {}s ({remaining} left)",
                    call.method,
                    call.url,
                    delay.as_secs()
                ));
            }
        };
        self.block_on(client.send(call, &mut trace))
    }

    /// Fetches `url`.
    pub fn get(&self, url: String) -> Result<Vec<u8>, ClientError> {
        self.send(&Call::get(url)).map(|answer| answer.body)
    }

    /// Sends a write with a JSON payload, or shows what would be sent. Nothing is returned for a
    /// dry run.
    pub fn write(
        &self,
        method: Method,
        url: String,
        json: &Value,
    ) -> anyhow::Result<Option<Answer>> {
        self.write_call(Call::new(method, url, Payload::Json(json.to_string())))
    }

    /// Sends a write, or shows what would be sent. Nothing is returned for a dry run.
    pub fn write_call(&self, call: Call) -> anyhow::Result<Option<Answer>> {
        if self.is_dry_run() {
            self.print(&format!(
                "############### THIS IS A DRY-RUN  ###############\nthe request would have been sent to: {}\n{}",
                call.url,
                self.shown_payload(&call.payload, "this is the payload that would be sent in a real run:")
            ));
            return Ok(None);
        }
        if self.values.bool("debug") {
            self.print(&format!(
                "############### PAYLOAD ###############\npayload sent to: {} {}\n{}",
                call.method,
                call.url,
                self.shown_payload(&call.payload, "this is the payload being sent:")
            ));
        }
        Ok(Some(self.send(&call)?))
    }

    /// The payload as a dry run and debug show it. The published client spells some characters as
    /// its JSON library does.
    fn shown_payload(&self, payload: &Payload, sentence: &str) -> String {
        let indented = |json: &str| {
            let text =
                json::indented(json.as_bytes(), 4).expect("payloads are made by a JSON serializer");
            if self.is_compat() {
                json::escaped_for_html(&text)
            } else {
                text
            }
        };
        match payload {
            Payload::None => format!("{sentence} \n null\n"),
            Payload::Json(json) => format!("{sentence} \n {}\n", indented(json)),
            Payload::Multipart { field, json, .. } => {
                format!("{sentence}\nField: {field}, Value: {}\n", indented(json))
            }
        }
    }

    /// Prints an answer in the format that `--output` names: the body re-indented, or what `table`
    /// makes of it.
    pub fn show(
        &self,
        body: &[u8],
        table: impl FnOnce(&Self, &Value) -> String,
    ) -> anyhow::Result<()> {
        match self.values.text("output") {
            "json" => {
                let text = json::indented(body, 2).map_err(anyhow::Error::msg)?;
                self.print(&text);
            }
            "table" => {
                let value = parse(body)?;
                self.print(&table(self, &value));
            }
            other => anyhow::bail!("unsupported output format: {other}"),
        }
        Ok(())
    }

    /// Sends a write of one JSON text and at most one file as multipart, or shows what would be
    /// sent. Nothing is returned for a dry run.
    pub fn write_multipart(
        &self,
        method: Method,
        url: String,
        json: &Value,
        file: Option<FilePart>,
    ) -> anyhow::Result<Option<Answer>> {
        self.write_call(Call::new(
            method,
            url,
            Payload::Multipart {
                field: "data_json".into(),
                json: json.to_string(),
                file,
            },
        ))
    }

    /// The file at `path` as a part named `field`. One that cannot be read is told with the request
    /// it was meant for, before anything is sent.
    pub fn file_part(
        field: &str,
        path: &str,
        method: &Method,
        url: &str,
    ) -> anyhow::Result<FilePart> {
        let path = Path::new(path);
        std::fs::File::open(path)
            .and_then(|file| file.metadata())
            .map_err(|error| {
                anyhow::anyhow!(
                    "failed to create a {method} request to {url} : open {}: {}",
                    path.display(),
                    crate::evidence::reason(&error)
                )
            })?;
        Ok(FilePart {
            field: field.to_owned(),
            file_name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            content: Content::File(path.to_owned()),
        })
    }

    /// Fetches `url` and shows the answer.
    pub fn get_and_show(
        &self,
        url: String,
        table: impl FnOnce(&Self, &Value) -> String,
    ) -> anyhow::Result<()> {
        let body = self.get(url)?;
        self.show(&body, table)
    }

    /// `page` and `per_page`.
    pub fn page_query(&self) -> Vec<(&'static str, String)> {
        vec![
            ("page", self.values.text("page").to_owned()),
            ("per_page", self.values.text("page-limit").to_owned()),
        ]
    }

    /// Checks the values of the paging flags.
    pub fn check_page(&self) -> anyhow::Result<()> {
        if self.values.int("page") <= 0 {
            return Err(usage_error("page number must be a positive integer"));
        }
        if self.values.int("page-limit") <= 0 {
            return Err(usage_error("page limit must be a positive integer"));
        }
        Ok(())
    }

    /// `No <things> were found.`, with the page if it is not the first.
    pub fn none_found(&self, things: &str) -> String {
        match self.values.int("page") {
            0 | 1 => format!("No {things} were found.\n"),
            page => format!("No {things} were found at page number {page}.\n"),
        }
    }
}

/// An answer's body as a value.
pub fn parse(body: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(body)
        .map_err(|error| anyhow::Error::msg(runstone_api::client::not_json(body, &error)))
}
