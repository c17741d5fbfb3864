//! A clean world for one run of the program: empty environment, own home, fixed zone and clock, and
//! a server that answers from `data/answers.json`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The clock of runs whose output is kept.
const NOW: &str = "2026-11-21T12:00:00Z";

/// Answers by method and path, with or without the query; otherwise `{}`.
struct Answers(Vec<(String, String, u16, Value)>, String);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let with_query = target(request);
        let found = self.0.iter().find(|(method, known, ..)| {
            method == request.method.as_str() && (known == path || *known == with_query)
        });
        let (status, body) = found.map_or((200, "{}".to_owned()), |(_, _, status, body)| {
            let body = match body {
                Value::String(text) => text.clone(),
                // Some answers refer to further pages of the same server.
                body => body.to_string().replace("SERVER", &self.1),
            };
            (*status, body)
        });
        ResponseTemplate::new(status).set_body_raw(body, "application/json")
    }
}

/// The answers that stand in the files.
fn answers() -> Vec<(String, String, u16, Value)> {
    let mut answers: Vec<_> = serde_json::from_str(include_str!("data/answers.json")).unwrap();
    for more in [
        include_str!("data/trails.json"),
        include_str!("data/changes.json"),
    ] {
        let more: Vec<_> = serde_json::from_str(more).unwrap();
        answers.extend(more);
    }
    answers
}

/// The parts of a multipart body, one line each, without the boundary that differs each time. Of
/// a compressed archive its names and contents.
fn parts(content_type: &str, body: &[u8]) -> Option<String> {
    let boundary = content_type.split_once("boundary=")?.1.trim_matches('"');
    let delimiter = format!("--{boundary}").into_bytes();
    let mut shown = String::new();
    let mut rest = body;
    while let Some(at) = find(rest, &delimiter) {
        let part = &rest[..at];
        rest = &rest[at + delimiter.len()..];
        let Some(end) = find(part, b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&part[..end]);
        let mut lines: Vec<String> = head
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
                None => line.to_owned(),
            })
            .collect();
        lines.sort_unstable();
        let content = &part[end + 4..part.len() - 2];
        let content = match serde_json::from_slice::<Value>(content) {
            Ok(json) => json.to_string(),
            Err(_) if content.starts_with(&[0x1f, 0x8b]) => archive(content),
            Err(_) => String::from_utf8_lossy(content).into_owned(),
        };
        let _ = writeln!(shown, "{} | {content}", lines.join("; "));
    }
    Some(shown)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Names and contents of a compressed archive, in the order of the names.
fn archive(bytes: &[u8]) -> String {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut entries: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            format!("{name}={content:?}")
        })
        .collect();
    entries.sort_unstable();
    format!("archive {}", entries.join(" "))
}

/// Path and query of a request.
fn target(request: &Request) -> String {
    match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    }
}

/// The world of a test.
pub struct World {
    runtime: tokio::runtime::Runtime,
    server: MockServer,
    folder: TempDir,
    /// Name the program is called by.
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl World {
    /// A world whose program is `program`.
    fn with_program(program: PathBuf, folder: TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let answers = answers();
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(any())
                .respond_with(Answers(answers, server.uri()))
                .mount(&server)
                .await;
            server
        });
        for name in ["home", "tree/fold/a", "temp"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let mut world = Self {
            runtime,
            server,
            folder,
            program,
            environment: Vec::new(),
        };
        world.write("fold/a/f", "hi\n");
        let home = world.home();
        world
            .set("PATH", "/usr/bin:/bin")
            .set("TZ", "UTC")
            .set("HOME", home.to_str().unwrap());
        world
    }

    /// The program under its own name.
    pub fn runstone() -> Self {
        let mut world = Self::with_program(
            env!("CARGO_BIN_EXE_runstone").into(),
            tempfile::tempdir().unwrap(),
        );
        world.set("RUNSTONE_TEST_NOW", NOW);
        world.connect("RUNSTONE_");
        world
    }

    /// The program linked under the published client's name.
    pub fn compat() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("kosli");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_runstone"), &program).unwrap();
        let mut world = Self::with_program(program, folder);
        world.set("RUNSTONE_TEST_NOW", NOW);
        world.connect("KOSLI_");
        world
    }

    /// The same without a fixed clock, to be compared with another program.
    pub fn compat_now() -> Self {
        let mut world = Self::compat();
        world.unset("RUNSTONE_TEST_NOW");
        world
    }

    fn connect(&mut self, prefix: &str) {
        let host = self.server.uri();
        self.set(&format!("{prefix}HOST"), &host)
            .set(&format!("{prefix}ORG"), "o")
            .set(&format!("{prefix}API_TOKEN"), "t")
            .set(&format!("{prefix}MAX_API_RETRIES"), "0")
            .set("RUNSTONE_TEST_RETRY_MS", "1");
    }

    /// URL of the server.
    pub fn host(&self) -> String {
        self.server.uri()
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.unset(name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Writes a file in the working directory, with a fixed time of change.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join("tree").join(name);
        std::fs::write(&path, content).unwrap();
        let seconds = 1_772_359_200;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let mut place = path.as_path();
        while place.starts_with(self.folder.path().join("tree")) {
            std::fs::File::open(place)
                .unwrap()
                .set_modified(time)
                .unwrap();
            place = place.parent().unwrap();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the tests find git as the caller does"
    )]
    /// Makes `tree/repo` a git repository with three commits on branch `main`, the same every time.
    pub fn make_repository(&self) {
        let repository = self.folder.path().join("tree/repo");
        std::fs::create_dir_all(&repository).unwrap();
        let git = |words: &[&str], time: &str| {
            let output = Command::new("git")
                .args(words)
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", self.folder.path())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_AUTHOR_NAME", "Ada Example")
                .env("GIT_AUTHOR_EMAIL", "ada@example.com")
                .env("GIT_AUTHOR_DATE", time)
                .env("GIT_COMMITTER_NAME", "Somebody Else")
                .env("GIT_COMMITTER_EMAIL", "else@example.com")
                .env("GIT_COMMITTER_DATE", time)
                .current_dir(&repository)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "git {words:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        git(&["init", "-q"], "");
        git(&["symbolic-ref", "HEAD", "refs/heads/main"], "");
        for (number, message) in [
            "First",
            "Second & <third>",
            "Fix ABC-12 and EX-7\n\nSee CVE-2026-41284, not note.\n\nRefs: EX-9",
        ]
        .iter()
        .enumerate()
        {
            std::fs::write(repository.join("file"), number.to_string()).unwrap();
            git(&["add", "file"], "");
            let time = format!("{} +0100", 1_772_359_200 + number * 60);
            git(&["commit", "-q", "-m", message], &time);
        }
        git(
            &["tag", "-a", "v1", "-m", "one", "HEAD~1"],
            "1772359300 +0000",
        );
        git(
            &["remote", "add", "origin", "git@github.com:acme/shop.git"],
            "",
        );
    }

    /// Writes files in the working directory, with the folders they lie in.
    pub fn write_all(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.folder.path().join("tree").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            self.write(name, content);
        }
    }

    /// Runs another program in this world.
    pub fn run_other<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        words: &[S],
        extra: &[(String, String)],
    ) -> Output {
        Command::new(program)
            .args(words)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(extra.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path().join("tree"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the program.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        self.run_with(words, &[])
    }

    /// Runs the program with further variables.
    pub fn run_with<S: AsRef<OsStr>>(&self, words: &[S], extra: &[(String, String)]) -> Output {
        self.run_other(&self.program, words, extra)
    }

    /// What the server was asked since the last call, one line each.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.runtime.block_on(async {
            let requests = self.server.received_requests().await.unwrap_or_default();
            self.server.reset().await;
            Mock::given(any())
                .respond_with(Answers(answers(), self.server.uri()))
                .mount(&self.server)
                .await;
            requests
        });
        requests
            .iter()
            .map(|request| {
                let header = |name: &str| {
                    request
                        .headers
                        .get(name)
                        .map(|value| value.to_str().unwrap().to_owned())
                        .unwrap_or_default()
                };
                let content_type = header("content-type");
                // What GraphQL is asked, and the type of a request without a body, are each
                // client's own.
                let is_foreign = [
                    "/rest/",
                    "/api/v4/",
                    "/api/graphql",
                    "/none/",
                    "/bad/",
                    "/err/",
                    "/api/ce/",
                    "/api/project",
                    "/api/qualitygates/",
                    "/old/",
                    "/sad/",
                ]
                .iter()
                .any(|path| request.url.path().starts_with(path));
                if is_foreign {
                    return format!(
                        "{} {} [{}]",
                        request.method,
                        target(request),
                        header("authorization"),
                    );
                }
                if let Some(parts) = parts(&content_type, &request.body) {
                    return format!(
                        "{} {} [{}] [multipart]\n{parts}",
                        request.method,
                        target(request),
                        header("authorization"),
                    );
                }
                let body = match serde_json::from_slice::<Value>(&request.body) {
                    Ok(body) => body.to_string(),
                    Err(_) => String::from_utf8_lossy(&request.body).into_owned(),
                };
                format!(
                    "{} {} [{}] [{content_type}] {body}",
                    request.method,
                    target(request),
                    header("authorization"),
                )
            })
            .collect()
    }

    /// Lets the server answer requests for `path` so many times with `status` and `retry_after`
    /// seconds to wait, before it answers as usual.
    pub fn refuse(&self, path: &str, status: u16, retry_after: Option<u64>, times: u64) {
        let mut answer = ResponseTemplate::new(status).set_body_raw(
            format!("{{\"message\":\"answer {status}\"}}"),
            "application/json",
        );
        if let Some(seconds) = retry_after {
            answer = answer.insert_header("Retry-After", seconds.to_string());
        }
        let mock = Mock::given(wiremock::matchers::path(path))
            .respond_with(answer)
            .up_to_n_times(times)
            .with_priority(1);
        self.runtime.block_on(mock.mount(&self.server));
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Names in lower case and values of the last report's headers.
    pub fn headers_of_the_last_report(&self) -> BTreeMap<String, String> {
        let requests = self
            .runtime
            .block_on(self.server.received_requests())
            .unwrap();
        let report = requests
            .iter()
            .rfind(|request| request.url.path().contains("/report/"))
            .unwrap();
        report
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    /// The text without what differs from run to run.
    pub fn redacted(&self, text: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        text.replace(&self.host(), "SERVER")
            .replace(&self.host()["http://".len()..], "SERVER")
            .replace(folder, "DIR")
    }

    /// A line with the server's URL for `SERVER`; variables that have it in their name keep theirs.
    pub fn filled(&self, line: &str) -> String {
        line.replace("_SERVER_", "\0")
            .replace("SERVER", &self.host())
            .replace('\0', "_SERVER_")
    }

    /// Runs each line's words and keeps everything: output, exit code, requests. A line may begin
    /// with variables as `NAME=value`; a value `-` stands for none.
    pub fn transcript(&self, lines: &str) -> String {
        let mut text = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (extra, words) = split(&self.filled(line));
            let output = self.run_with(&words, &extra);
            let _ = writeln!(text, "$ {line}");
            for (mark, stream) in [("", &output.stdout), ("! ", &output.stderr)] {
                let stream = self.redacted(&String::from_utf8_lossy(stream));
                for line in stream.lines() {
                    // Trailing blanks are part of the layout.
                    let shown = match line.strip_suffix(' ') {
                        Some(rest) => format!("{rest}·"),
                        None => line.to_owned(),
                    };
                    let _ = writeln!(text, "{mark}{shown}");
                }
                if !stream.is_empty() && !stream.ends_with('\n') {
                    let _ = writeln!(text, "(no end of line)");
                }
            }
            for request in self.requests() {
                let _ = writeln!(text, "> {}", self.redacted(request.trim_end()));
            }
            let _ = writeln!(text, "= {}\n", output.status.code().unwrap());
        }
        text
    }
}

/// Splits a line into its leading variables and its words; double quotes group.
pub fn split(line: &str) -> (Vec<(String, String)>, Vec<String>) {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut any = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                any = true;
            }
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            letter => word.push(letter),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    let variables = words
        .iter()
        .take_while(|word| {
            word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            })
        })
        .count();
    let rest = words.split_off(variables);
    let extra = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| {
            // An empty variable counts as unset.
            let value = if value == "-" { "" } else { value };
            (name.to_owned(), value.to_owned())
        })
        .collect();
    (extra, rest)
}
