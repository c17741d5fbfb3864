//! The manners of every file: rules that need no more than its text.
//!
//! A rule here is rough on purpose. It looks at lines, not at syntax; what it cannot tell apart it lets pass, and
//! clippy (`clippy.toml`) or review judges the rest. Words that must not stand anywhere are written in two halves,
//! so that this file obeys its own rules.

use super::{File, Problem};

/// Leftovers of unfinished work.
const LEFTOVERS: [&str; 7] = [
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("db", "g!("),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("assert!(", "true)"),
    concat!("#[", "ignore"),
];

/// Paths of one machine. They mean nothing to a reader elsewhere.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/tar", "get-"),
    concat!("/tmp/hel", "pers"),
];

/// Hosts that packages are fetched from. Which host that is, the machine's own settings decide.
const PACKAGE_HOSTS: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
];

/// How the repository came to be is told by its commits, not by its text.
const WORKPLACE_WORDS: [&str; 8] = [
    concat!("shared/", "reference"),
    concat!("shared/", "design"),
    concat!("helper", " agent"),
    concat!("sub", "agent"),
    concat!("coding", " session"),
    concat!("language", " model"),
    concat!("ai", " assistant"),
    concat!("issues", " show"),
];

/// Beginnings of SQL statements. Upper case only: prose and method names pass.
const SQL: [&str; 10] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "BEGIN IMMEDIATE",
    "PRAGMA ",
];

/// Reads the clock of the machine.
const CLOCK: [&str; 4] = [
    "SystemTime::now",
    "Utc::now",
    "Timestamp::now",
    "Zoned::now",
];

/// What the two pure rooms must not touch although no dependency is needed for it.
const WORLD: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "Instant::now",
];

/// What a use case must not name: it is asked by HTTP today and by something else tomorrow.
const HTTP: [&str; 4] = ["axum::", "http::", "StatusCode", "HeaderMap"];

/// Every breach of a rule in the given files.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let mut found = Findings {
            file,
            problems: &mut problems,
        };
        everywhere(file, &mut found);
        if has_ending(&file.path, "rs") {
            rust(file, &mut found);
        }
        if has_ending(&file.path, "md") {
            markdown(file, &mut found);
        }
        if file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/") {
            manifest(file, &mut found);
        }
    }
    problems
}

struct Findings<'a> {
    file: &'a File,
    problems: &'a mut Vec<Problem>,
}

impl Findings<'_> {
    /// Notes a problem; lines count from 1, and 0 means the whole file.
    fn add(&mut self, line: usize, what: impl Into<String>) {
        self.problems.push(Problem {
            place: self.file.path.clone(),
            line,
            what: what.into(),
        });
    }
}

fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, found)| found == ending)
}

/// Files that a tool writes and that must name where packages come from.
fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["Cargo.lock", "package-lock.json", "go.sum"].contains(&name)
}

/// Recorded bytes, which stay as they were recorded, and documents that are not ours.
fn is_recorded(path: &str) -> bool {
    has_ending(path, "snap")
        || path == "LICENSE"
        || path.starts_with("tests-compat/")
        || path
            .split('/')
            .any(|part| ["fixtures", "vectors", "snapshots", "testdata"].contains(&part))
}

fn everywhere(file: &File, found: &mut Findings<'_>) {
    if !is_lock_file(&file.path) {
        for (number, line) in lines(&file.text) {
            for path in MACHINE_PATHS.iter().filter(|path| stands_alone(line, path)) {
                found.add(number, format!("names a path of one machine: {path}"));
            }
            let folded = line.to_lowercase();
            for host in PACKAGE_HOSTS.iter().filter(|host| folded.contains(*host)) {
                found.add(
                    number,
                    format!("names a host that packages come from: {host}"),
                );
            }
            for word in WORKPLACE_WORDS.iter().filter(|word| folded.contains(*word)) {
                found.add(number, format!("speaks of how it was written: {word}"));
            }
        }
    }
    if !is_recorded(&file.path) {
        for (number, line) in lines(&file.text) {
            if line.ends_with([' ', '\t', '\r']) {
                found.add(number, "blanks at the end of the line");
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            found.add(0, "no line break at the end");
        }
    }
}

fn rust(file: &File, found: &mut Findings<'_>) {
    for (number, line) in lines(&file.text) {
        for leftover in LEFTOVERS.iter().filter(|leftover| line.contains(*leftover)) {
            found.add(number, format!("unfinished: {leftover}"));
        }
        if line.trim_start().starts_with(concat!("#[", "allow("))
            || line.trim_start().starts_with(concat!("#![", "allow("))
        {
            found.add(number, "write #[expect(…, reason = \"…\")], which says why and tells when it is no longer true");
        }
    }

    let Some((room, inside)) = room(&file.path) else {
        return;
    };
    if inside.starts_with("tests/") && has_ending(inside, "rs") && inside.matches('/').count() == 1
    {
        found.add(
            0,
            "one integration test binary per crate: tests/it/main.rs with modules",
        );
    }
    let Some(module) = inside.strip_prefix("src/") else {
        return;
    };
    if !begins_with_purpose(&file.text) {
        found.add(
            0,
            "does not begin with `//!`: purpose, the truth it owns, what it must not do",
        );
    }
    // A module of unit tests in a file of its own, as `#[cfg(test)] mod tests;` names it.
    if room == "xtask" || module == "tests.rs" || module.ends_with("/tests.rs") {
        return;
    }
    let pure = room == "runstone-model" || room == "runstone-journal";
    for (number, line) in shipped_lines(&file.text) {
        let code = without_comment(line);
        // A collector reads a database's own tables; it never reads ours.
        let collects = room == "runstone-collect" && module.starts_with("config/");
        // Benchmarks stand outside: they read the sizes of our tables and make a peer's.
        let measures = room == "runstone-bench";
        if room != "runstone-store" && !collects && !measures && holds_sql(code) {
            found.add(number, "SQL outside runstone-store");
        }
        if CLOCK.iter().any(|clock| code.contains(clock))
            && (pure || room == "runstone-api" || !is_clock(room, module))
        {
            found.add(
                number,
                "reads the clock: ask the Clock that is passed in (only a clock.rs reads it)",
            );
        }
        if room != "runstone"
            && !measures
            && ["env::var", "env::vars", "env::args", "env::set_var"]
                .iter()
                .any(|env| code.contains(env))
        {
            found.add(
                number,
                "reads the process environment: only the crate runstone does, and passes values on",
            );
        }
        if room == "runstone-server"
            && module.starts_with("app/")
            && let Some(name) = HTTP.iter().find(|name| stands_alone(code, name))
        {
            found.add(number, format!("a use case knows no HTTP: {name}"));
        }
        // Decision 0013: a thread of known stack that has ended when the function returns.
        let is_meter = room == "runstone-model" && module == "custom_type/meter.rs";
        if pure
            && let Some(name) = WORLD
                .iter()
                .filter(|name| !(is_meter && **name == "std::thread"))
                .find(|name| code.contains(*name))
        {
            found.add(number, format!("{room} is pure: {name}"));
        }
    }
}

/// A paragraph that names the other product must speak of its public interface: that is what ours is compatible with.
fn markdown(file: &File, found: &mut Findings<'_>) {
    const PUBLIC: [&str; 6] = [
        "client",
        "api",
        "`kosli",
        "kosli_",
        "@kosli/",
        "command line",
    ];
    let mut paragraph: Vec<(usize, String)> = Vec::new();
    let mut judge = |paragraph: &mut Vec<(usize, String)>| {
        let text: String = paragraph.iter().map(|(_, line)| line.as_str()).collect();
        if !PUBLIC.iter().any(|word| text.contains(word)) {
            for (number, _) in paragraph.iter().filter(|(_, line)| line.contains("kosli")) {
                found.add(
                    *number,
                    "names another product without meaning its public API or client",
                );
            }
        }
        paragraph.clear();
    };
    for (number, line) in lines(&file.text) {
        if line.trim().is_empty() {
            judge(&mut paragraph);
        } else {
            paragraph.push((number, line.to_lowercase()));
        }
    }
    judge(&mut paragraph);
}

fn manifest(file: &File, found: &mut Findings<'_>) {
    if !file.text.contains("[lints]\nworkspace = true") {
        found.add(0, "does not take the lints of the workspace");
    }
    if !file.text.contains("license.workspace = true") {
        found.add(0, "does not take the license of the workspace");
    }
}

/// The crate a file belongs to and its path inside.
fn room(path: &str) -> Option<(&str, &str)> {
    match path.strip_prefix("crates/") {
        Some(rest) => rest.split_once('/'),
        None => path.strip_prefix("xtask/").map(|inside| ("xtask", inside)),
    }
}

/// Where the machine's clock may be read. The context of a command is the clock of the command line.
fn is_clock(room: &str, module: &str) -> bool {
    module == "clock.rs"
        || module.ends_with("/clock.rs")
        || (room == "runstone" && module == "context.rs")
}

/// Lines with their numbers, counted from 1. Unlike `str::lines` it keeps a carriage return, which is a problem.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.split('\n'))
}

/// The lines above the module of unit tests, which by our custom stands last in its file.
fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut before: Option<&str> = None;
    lines(text).take_while(move |(_, line)| {
        let tests_begin =
            before == Some("#[cfg(test)]") && line.starts_with("mod ") && line.ends_with('{');
        if !line.starts_with("#![") && !line.starts_with("#[expect") {
            before = Some(line);
        }
        !tests_begin
    })
}

/// The line up to a comment. The two slashes of an address begin none.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(found) = line[from..].find("//") {
        let at = from + found;
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

fn holds_sql(code: &str) -> bool {
    SQL.iter().any(|start| stands_alone(code, start))
        || (code.contains(" SET ") && stands_alone(code, "UPDATE "))
        || (code.contains("FOR UPDATE") && !code.contains("fn "))
}

/// Whether `text` holds `part`, not as the rest of a longer word.
fn stands_alone(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        !text[..at]
            .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '.')
    })
}

fn begins_with_purpose(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| line.starts_with("//! "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a repository of one file.
    fn problems(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&[file]).iter().map(ToString::to_string).collect()
    }

    /// That each of the lines is a problem where it ships, each one of its own.
    #[track_caller]
    fn refused(path: &str, bad: &[&str]) {
        for line in bad {
            let found = problems(
                path,
                &format!("//! A purpose.\n\nfn f() {{\n    {line}\n}}\n"),
            );
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].starts_with(&format!("{path}:4: ")), "{found:?}");
        }
    }

    #[track_caller]
    fn accepted(path: &str, good: &[&str]) {
        for line in good {
            let found = problems(
                path,
                &format!("//! A purpose.\n\nfn f() {{\n    {line}\n}}\n"),
            );
            assert_eq!(found, [""; 0], "{line}");
        }
    }

    #[test]
    fn sql_stands_in_the_store_only() {
        let statements = [
            "let a = \"SELECT 1\";",
            "let a = \"INSERT INTO entries VALUES ($1)\";",
            "let a = \"UPDATE heads SET size = $1\";",
            "let a = \"DELETE FROM bodies\";",
            "let a = \"CREATE TABLE t (a BLOB)\";",
            "let a = \"PRAGMA journal_mode = WAL\";",
        ];
        refused(
            "crates/runstone-server/src/app/environments.rs",
            &statements,
        );
        refused("crates/runstone/src/main.rs", &statements);
        accepted("crates/runstone-store/src/tables/entries.rs", &statements);
        accepted(
            "crates/runstone-collect/src/config/postgres.rs",
            &statements,
        );
        accepted("crates/runstone/tests/it/main.rs", &statements);
        accepted(
            "crates/runstone-server/src/app/environments.rs",
            &[
                "let a = \"select one\";",
                "// SELECT 1 is the store's.",
                "let a = UNSELECT - 1;",
            ],
        );
    }

    #[test]
    fn the_clock_is_read_in_one_place() {
        let reads = [
            "let a = SystemTime::now();",
            "let a = jiff::Timestamp::now();",
            "let a = Utc::now();",
        ];
        refused("crates/runstone-store/src/writer.rs", &reads);
        refused("crates/runstone-api/src/clock.rs", &reads);
        refused("crates/runstone-model/src/clock.rs", &reads);
        accepted("crates/runstone-server/src/clock.rs", &reads);
        accepted("crates/runstone/src/command/clock.rs", &reads);
        accepted("crates/runstone/src/context.rs", &reads);
        refused("crates/runstone-store/src/context.rs", &reads);
        accepted("crates/runstone-store/tests/it/main.rs", &reads);
    }

    #[test]
    fn the_environment_is_read_by_the_binary_only() {
        let reads = [
            "let a = std::env::var(\"A\");",
            "let a = env::vars();",
            "let a = std::env::var_os(\"A\");",
        ];
        refused("crates/runstone-server/src/config.rs", &reads);
        refused("crates/runstone-collect/src/runtime/docker.rs", &reads);
        accepted("crates/runstone/src/config.rs", &reads);
        accepted("xtask/src/bench.rs", &reads);
        accepted(
            "crates/runstone-store/src/lib.rs",
            &["let a = env!(\"CARGO_PKG_VERSION\");"],
        );
    }

    #[test]
    fn use_cases_know_no_http() {
        let names = [
            "let a = axum::Json(b);",
            "let a: StatusCode = b;",
            "use crate::app::a; use http::Method;",
        ];
        refused("crates/runstone-server/src/app/environments.rs", &names);
        accepted("crates/runstone-server/src/http/router.rs", &names);
        accepted(
            "crates/runstone-server/src/app/environments.rs",
            &["// Answered 404 by http::Method."],
        );
    }

    #[test]
    fn pure_rooms_touch_nothing() {
        refused(
            "crates/runstone-model/src/state.rs",
            &["let a = std::fs::read(p);", "let a = Instant::now();"],
        );
        refused(
            "crates/runstone-journal/src/verify.rs",
            &["let a = std::thread::spawn(f);"],
        );
        accepted(
            "crates/runstone-store/src/fsck.rs",
            &["let a = std::fs::read(p);"],
        );
    }

    #[test]
    fn unit_tests_may_do_what_ships_may_not() {
        let text = "//! A purpose.\n\n#[cfg(test)]\nmod tests {\n    fn f() { std::fs::read(\"SELECT 1\"); }\n}\n";
        assert_eq!(problems("crates/runstone-model/src/id.rs", text), [""; 0]);
        let text = text.replace(
            "#[cfg(test)]\n",
            "#[cfg(test)]\n#[expect(dead_code, reason = \"r\")]\n",
        );
        assert_eq!(problems("crates/runstone-model/src/id.rs", &text), [""; 0]);
        let text = text.replace("cfg(test)", "cfg(unix)");
        assert_eq!(problems("crates/runstone-model/src/id.rs", &text).len(), 2);
    }

    #[test]
    fn every_module_says_its_purpose() {
        assert_eq!(
            problems("crates/runstone-model/src/id.rs", "use a;\n").len(),
            1
        );
        assert_eq!(
            problems("crates/runstone-model/src/lib.rs", "//!\nuse a;\n").len(),
            1
        );
        assert_eq!(problems("crates/runstone-model/src/lib.rs", "").len(), 1);
        assert_eq!(
            problems("crates/runstone-model/src/lib.rs", "//! Ids.\n"),
            [""; 0]
        );
    }

    #[test]
    fn nothing_is_left_unfinished() {
        refused("crates/runstone/src/main.rs", &LEFTOVERS);
        refused("crates/runstone/tests/it/main.rs", &LEFTOVERS);
        refused("xtask/src/bench.rs", &[concat!("#[", "allow(dead_code)]")]);
        accepted(
            "xtask/src/bench.rs",
            &["#[expect(dead_code, reason = \"r\")]"],
        );
    }

    #[test]
    fn tests_of_a_crate_are_one_binary() {
        assert_eq!(
            problems("crates/runstone/tests/kill.rs", "fn f() {}\n").len(),
            1
        );
        assert_eq!(
            problems("crates/runstone/tests/it/kill.rs", "fn f() {}\n"),
            [""; 0]
        );
    }

    #[test]
    fn no_file_tells_of_the_place_it_was_written_at() {
        for words in [&MACHINE_PATHS[..], &PACKAGE_HOSTS[..], &WORKPLACE_WORDS[..]] {
            for word in words {
                let text = format!("a line\nsee {word}\n");
                assert_eq!(problems("docs/guide.md", &text).len(), 1, "{word}");
                assert_eq!(problems("Cargo.lock", &text), [""; 0], "{word}");
            }
        }
        assert_eq!(
            problems(
                "docs/guide.md",
                "https://a.example/net/work-load/netwo/rk\n"
            ),
            [""; 0]
        );
    }

    #[test]
    fn no_blank_ends_a_line() {
        assert_eq!(problems("docs/guide.md", "a \nb\t\nc\r\nd\n").len(), 3);
        assert_eq!(problems("docs/guide.md", "a").len(), 1);
        assert_eq!(
            problems("crates/runstone/tests/it/snapshots/a.snap", "a \nb"),
            [""; 0]
        );
    }

    #[test]
    fn documents_name_only_the_public_interface_of_others() {
        assert_eq!(
            problems("docs/guide.md", "One.\n\nKosli does\nthis too.\n").len(),
            1
        );
        assert_eq!(
            problems(
                "docs/guide.md",
                "One.\n\nThe published client of Kosli\nreports here.\n"
            ),
            [""; 0]
        );
        assert_eq!(problems("docs/guide.md", "Set `KOSLI_HOST`.\n"), [""; 0]);
    }

    #[test]
    fn manifests_take_what_the_workspace_says() {
        let whole = "[package]\nlicense.workspace = true\n\n[lints]\nworkspace = true\n";
        assert_eq!(problems("crates/runstone/Cargo.toml", whole), [""; 0]);
        assert_eq!(
            problems("crates/runstone/Cargo.toml", "[package]\n").len(),
            2
        );
    }
}
