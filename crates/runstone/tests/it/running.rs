//! Servers as processes: started on a free port in folders of their own, asked over HTTP, stopped
//! or killed.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The key of the administrator that [`PROVISION`] makes.
pub const KEY: &str = "test-key";
/// An organization with one administrator, and a second organization.
pub const PROVISION: &str = "organizations:\n  - {name: acme, kind: shared}\n  - {name: other, kind: shared}\nusers:\n  - name: ada\n    email: ada@example.com\n    roles: {acme: admin, other: reader}\n    api_keys:\n      - {key: test-key, description: for tests}\n";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// A client that retries nothing.
pub fn client() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().no_proxy().build().unwrap()
        })
        .clone()
}

/// Folders of one installation: home, data and a place for files.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// Empty folders.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let place = Self { folder };
        place.write("provision.yml", PROVISION);
        place
    }

    /// A path below the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path below the folder as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// A program in a clean environment.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TZ", "UTC")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Our program.
    pub fn runstone<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_runstone"));
        command.args(words);
        command
    }

    /// Runs our program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        self.runstone(words).output().unwrap()
    }

    /// Runs our program, which must succeed, and gives what it printed.
    pub fn ok<S: AsRef<OsStr>>(&self, words: &[S]) -> String {
        succeeded(&self.run(words))
    }

    /// Runs our program, which must fail with exit code 1, and gives what it complained about.
    pub fn fails<S: AsRef<OsStr>>(&self, words: &[S]) -> String {
        failed(&self.run(words))
    }

    /// Starts `serve` with the organizations of [`PROVISION`].
    pub fn serve(&self) -> Running {
        self.serve_with(&[])
    }

    /// The same with further words.
    pub fn serve_with(&self, more: &[&str]) -> Running {
        let (data, provision) = (self.text("data"), self.text("provision.yml"));
        let mut words = vec!["serve", "--listen", "127.0.0.1:0"];
        if !more.contains(&"--database-url") {
            words.extend(["--data-dir", &data]);
        }
        words.extend(["--provision", &provision, "--log-level", "info"]);
        words.extend(more);
        Running::start(self.runstone(&words), "listening on ")
    }
}

/// What a program printed that succeeded.
pub fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a program complained about that failed with exit code 1.
pub fn failed(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}\n{error}",
        String::from_utf8_lossy(&output.stdout)
    );
    error
}

/// A running server.
pub struct Running {
    child: Child,
    /// Its URL.
    pub host: String,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a program and waits for the line with its URL.
    pub fn start(mut command: Command, before_url: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Arc::new(Mutex::new(String::new()));
        let err = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            gather(child.stdout.take().unwrap(), &out),
            gather(child.stderr.take().unwrap(), &err),
        ];
        let mut running = Self {
            child,
            host: String::new(),
            out,
            err,
            readers,
        };
        running.host = running.wait(|text| {
            let rest = text.split_once(before_url)?.1;
            // The line is complete.
            rest.contains('\n')
                .then(|| rest.split_whitespace().next().unwrap().to_owned())
        });
        running
    }

    /// Waits until `found` finds something in what was printed.
    pub fn wait<T>(&mut self, found: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.out.lock().unwrap()) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "ended: {ended:?}\n{}\n{}",
                self.out.lock().unwrap(),
                self.err.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was printed so far.
    pub fn printed(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// What was logged so far.
    pub fn logged(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks the server to stop, and waits until it has.
    pub fn stop(self) -> (ExitStatus, String, String) {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until the server has ended.
    pub fn ended(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "still running: {}",
                self.logged()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.printed(), self.logged())
    }

    /// Kills the server in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// One request; the status and the body.
    pub fn raw(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Vec<u8>) {
        let request = request(&self.host, method, path, body);
        block_on(async {
            let answer = request.send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.bytes().await.unwrap().to_vec(),
            )
        })
    }

    /// One request with JSON both ways.
    pub fn json(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, bytes) = self.raw(method, path, body.map(Value::to_string).as_deref());
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        (status, value)
    }

    /// A GET that must succeed.
    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.json("GET", path, None);
        assert_eq!(status, 200, "GET {path}: {value}");
        value
    }

    /// A PUT that must succeed; whether something was made.
    pub fn put(&self, path: &str, body: &Value) -> bool {
        let (status, value) = self.json("PUT", path, Some(body));
        assert!(matches!(status, 200 | 201), "PUT {path}: {status} {value}");
        status == 201
    }

    /// A command of the published client against this server.
    pub fn published(&self, place: &Place, client: &Path) -> Command {
        let mut command = place.program(client);
        command
            .env("KOSLI_HOST", &self.host)
            .env("KOSLI_ORG", "acme")
            .env("KOSLI_API_TOKEN", KEY);
        command
    }
}

/// A request with the administrator's key.
pub fn request(
    host: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> reqwest::RequestBuilder {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = client()
        .request(method, format!("{host}{path}"))
        .bearer_auth(KEY);
    match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_owned()),
        None => request,
    }
}

fn gather(
    stream: impl std::io::Read + Send + 'static,
    into: &Arc<Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            into.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        let _ = stream.read_to_end(&mut line);
    })
}

/// A report of type server with one artifact for each digit: named by it, its fingerprint made of
/// it.
pub fn server_report(digits: &str) -> Value {
    let artifacts: Vec<Value> = digits
        .chars()
        .map(|digit| {
            let fingerprint = digit.to_string().repeat(64);
            serde_json::json!({
                "digests": {format!("app-{digit}"): fingerprint},
                "creationTimestamp": 1_772_359_200,
            })
        })
        .collect();
    serde_json::json!({ "artifacts": artifacts })
}

/// Makes an environment.
pub fn environment(running: &Running, name: &str, kind: &str) {
    running.put(
        "/api/v2/environments/acme",
        &serde_json::json!({"name": name, "type": kind, "description": ""}),
    );
}

/// Reports to an environment of type server.
pub fn report(running: &Running, name: &str, digits: &str) -> bool {
    running.put(
        &format!("/api/v2/environments/acme/{name}/report/server"),
        &server_report(digits),
    )
}

/// Number of entries of the organization's log, read from its checkpoint.
pub fn log_size(running: &Running) -> u64 {
    let (status, note) = running.raw("GET", "/log/acme/checkpoint", None);
    // Behind a guard that holds nothing yet, nothing is published.
    if status == 404 {
        return 0;
    }
    assert_eq!(status, 200);
    let note = String::from_utf8(note).unwrap();
    note.lines().nth(1).unwrap().parse().unwrap()
}
