//! Runs one command line from its words to an exit code, in the contract's order of checks
//! (`cli.md` 1.8 to 1.10, 1.13). It is the only place that prints errors.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::rc::Rc;

use crate::config::{self, Local, Undecryptable};
use crate::context::{Context, Process, Streams, WithUsage, usage_error};
use crate::evidence::ci;
use crate::grammar::command::{Needs, Node, Tree};
use crate::grammar::flag::SCALING_DEPRECATED;
use crate::grammar::help;
use crate::grammar::scan::{Invocation, Note, Scanned, scan};
use crate::grammar::sources;
use crate::grammar::values::{Source, Values};

/// The name by which scripts written for the published client call us.
const COMPAT_NAME: &str = "kosli";
/// What is said when an error does not count.
const DRY_RUN_ERROR: &str =
    "Encountered an error but --dry-run is enabled. Exiting with 0 exit code.";

/// The name that is printed for a program called by `path`.
pub fn program_name(path: &str) -> &'static str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.strip_suffix(".exe").unwrap_or(name) == COMPAT_NAME {
        COMPAT_NAME
    } else {
        "runstone"
    }
}

/// Runs the words after the program's name.
pub fn run(process: Process, words: &[String]) -> ExitCode {
    let tree = Tree {
        program: process.program,
        ..crate::commands::TREE
    };
    let streams = Streams::Process;
    let invocation = match scan(&tree, words) {
        Ok(Scanned::Help(node, notes)) => {
            say_deprecations(&streams, &process, Some(node), &notes);
            streams.out(&help::render(&tree, node));
            return ExitCode::SUCCESS;
        }
        Ok(Scanned::Version) => {
            streams.out(&format!("{}\n", crate::commands::version::long()));
            return ExitCode::SUCCESS;
        }
        Ok(Scanned::Command(invocation)) => invocation,
        Err(error) => {
            say_deprecations(&streams, &process, error.at, &error.notes);
            let line = match error.at {
                Some(node) => format!(
                    "Error: [{}{}] {}\n",
                    tree.spelled_path(node),
                    error.scope,
                    error.message
                ),
                None => format!("Error: {}\n", error.message),
            };
            // What the flags mean is not settled yet, so nothing is left out.
            return fail(&streams, &line, error.dry_run, false);
        }
    };
    say_deprecations(
        &streams,
        &process,
        Some(Node::Command(invocation.command)),
        &invocation.notes,
    );
    let process = Rc::new(process);
    match several_servers(&invocation, &process) {
        Some(servers) => run_on_each(&invocation, &process, &servers),
        None => {
            let mut context = context(&invocation, &process, streams.clone());
            match run_once(&mut context) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let line = format!("Error: {}\n", error_text(&context, &error));
                    fail(&streams, &line, context.is_dry_run(), context.is_quiet())
                }
            }
        }
    }
}

/// Prints an error line; during a dry run it is only told, with a warning unless quiet.
fn fail(streams: &Streams, line: &str, dry_run: bool, quiet: bool) -> ExitCode {
    if dry_run {
        streams.out(line);
        if !quiet {
            streams.err(&format!("[warning] {DRY_RUN_ERROR}\n"));
        }
        ExitCode::SUCCESS
    } else {
        streams.err(line);
        ExitCode::FAILURE
    }
}

fn say_deprecations(streams: &Streams, process: &Process, at: Option<Node>, notes: &[Note]) {
    if let Some(node) = at
        && let Some(text) = node.deprecated()
    {
        let name = node.name();
        let text = text.replace(COMPAT_NAME, process.program);
        streams.err(&format!("Command \"{name}\" is deprecated, {text}\n"));
    }
    for note in notes {
        // Runstone honours the scaling flags (decision D9); only scripts for the published client
        // are told what they know.
        if note.text != SCALING_DEPRECATED || process.is_compat() {
            streams.err(&format!(
                "Flag --{} has been deprecated, {}\n",
                note.flag, note.text
            ));
        }
    }
}

fn context(invocation: &Invocation, process: &Rc<Process>, streams: Streams) -> Context {
    Context::new(
        invocation.command,
        invocation.values.clone(),
        invocation.arguments.clone(),
        Rc::clone(process),
        streams,
    )
}

/// The message with the command's name, flow and trail, and the usage line if it wants one.
fn error_text(context: &Context, error: &anyhow::Error) -> String {
    let mut text = format!(
        "[{}{}",
        context.command.spelled_path(context.program()),
        context.values.scope()
    );
    // anyhow's plain form leaves the causes out, its alternate one joins them.
    let _ = write!(text, "] {error:#}");
    if error.is::<WithUsage>() {
        let _ = write!(
            text,
            "\nUsage: {}",
            context.command.usage_line(context.program())
        );
    }
    text
}

/// All checks after the grammar's, then the command.
fn run_once(context: &mut Context) -> anyhow::Result<()> {
    bind(context)?;
    if let Some(message) = context.process.complaint() {
        anyhow::bail!(message);
    }
    let command = context.command;
    (command.check_first)(context)?;
    if command.needs == Needs::Organization {
        for name in ["org", "api-token"] {
            if context.values.text(name).is_empty() {
                return Err(usage_error(format!("--{name} is not set")));
            }
        }
    }
    for group in command.only_one_of {
        let given = group
            .iter()
            .filter(|name| context.values.is_given(name))
            .count();
        if given > 1 {
            let names: Vec<String> = group.iter().map(|name| format!("--{name}")).collect();
            anyhow::bail!("only one of {} is allowed", names.join(", "));
        }
    }
    (command.check)(context)?;
    if let Some(message) = context.values.missing() {
        anyhow::bail!(message);
    }
    for group in command.groups {
        let mut given: Vec<&str> = group
            .iter()
            .copied()
            .filter(|name| context.values.is_given(name))
            .collect();
        if given.len() > 1 {
            given.sort_unstable();
            anyhow::bail!(
                "if any flags in the group [{}] are set none of the others can be; [{}] were all set",
                group.join(" "),
                given.join(" ")
            );
        }
    }
    (command.run)(context)
}

/// Gives the flags that the command line left open their values.
fn bind(context: &mut Context) -> anyhow::Result<()> {
    let process = Rc::clone(&context.process);
    let is_config = context.command.path == ["config"];
    // A command's own --config-file is not the client's.
    let lookup = config::lookup(
        context.values.text("config-file"),
        &process.environment,
        process.home(),
        process.is_compat(),
    );
    context.debug(format_args!("processing config file [{}]", lookup.path));
    let file = config::read(&lookup.path).map_err(anyhow::Error::msg)?;
    if file.is_none() {
        context.debug(format_args!(
            "config file [{}] not found. Skipping.",
            lookup.path
        ));
    }
    if !lookup.explicit
        && let Some(stray) = config::stray()
    {
        context.warn(format_args!(
            "config file [{stray}] in the current directory is no longer loaded automatically. To keep using it, pass --config-file {stray} or set {variable}={stray}. To apply its settings to every command, move them to your home config file with '{program} config'.",
            variable = sources::variable(
                if process.is_compat() { "KOSLI_" } else { "RUNSTONE_" },
                "config-file"
            ),
            program = process.program,
        ));
    }
    let file = file.map(|file| (file.path, file.keys));
    sources::bind(&mut context.values, &process.environment, file.as_ref())
        .map_err(anyhow::Error::msg)?;
    ci::set_defaults(&mut context.values, &process.environment);
    decrypt_token(context);
    if !is_config {
        use_local_server(&mut context.values, &process);
    }
    if context.values.text("api-token") == "DRY_RUN" {
        turn_dry_run_on(&mut context.values);
    }
    if context.values.bool("debug") && context.values.bool("quiet") {
        context.debug("--quiet is ignored because --debug is set");
    }
    if let Some(message) = context.values.leading_dash() {
        anyhow::bail!(message);
    }
    Ok(())
}

fn turn_dry_run_on(values: &mut Values) {
    if let Some(flag) = values
        .flags()
        .iter()
        .copied()
        .find(|flag| flag.name == "dry-run")
    {
        let set = values.set(flag, "true", Source::Line);
        debug_assert!(set.is_ok(), "true is a truth value");
    }
}

/// A token from the file is decrypted; one that cannot be is used as it stands.
fn decrypt_token(context: &mut Context) {
    let Some(Source::Config(path)) = context.values.source("api-token").cloned() else {
        return;
    };
    match config::decrypt(context.values.text("api-token"), context.process.home()) {
        Ok(token) => context.values.replace_text("api-token", &token),
        Err(reason) => {
            if let Undecryptable::Failed(reason) = reason {
                context.warn(format_args!(
                    "failed to decrypt api token from [{path}]: {reason}"
                ));
            }
            context.warn(format_args!(
                "using api token from [{path}] as plain text. It is recommended to encrypt your api token by setting it with: {} config --api-token <token>",
                context.program()
            ));
        }
    }
}

/// Fills what is still open from the file that `dev` left, if it speaks of the server meant.
fn use_local_server(values: &mut Values, process: &Process) {
    if values.is_given("org") && values.is_given("api-token") {
        return;
    }
    let Some(local) = Local::read(process.home()) else {
        return;
    };
    let same_host = |host: &str| host.trim_end_matches('/') == local.host.trim_end_matches('/');
    if values.is_given("host") && !same_host(values.text("host")) {
        return;
    }
    // A token given elsewhere belongs to an organization of its own choosing, and the other way
    // round a name alone may well go with the local key.
    let named = [
        ("host", &local.host),
        ("org", &local.org),
        ("api-token", &local.api_token),
    ];
    for (name, value) in named {
        let flag = values
            .flags()
            .iter()
            .copied()
            .find(|flag| flag.name == name);
        if let Some(flag) = flag
            && !values.is_given(name)
        {
            let set = values.set(flag, value, Source::Local);
            debug_assert!(set.is_ok(), "dev writes no empty values");
        }
    }
}

/// The (host, token) pairs, if both are lists of the same length (`cli.md` 1.13).
fn several_servers(
    invocation: &Invocation,
    process: &Rc<Process>,
) -> Option<Vec<(String, String)>> {
    if invocation.command.path == ["config"] {
        return None;
    }
    let buffer = Streams::Buffer(Rc::default());
    let mut probe = context(invocation, process, buffer);
    bind(&mut probe).ok()?;
    let split = |name: &str| -> Vec<String> {
        probe
            .values
            .text(name)
            .split(',')
            .map(|part| part.trim().to_owned())
            .collect()
    };
    let (hosts, tokens) = (split("host"), split("api-token"));
    (hosts.len() == tokens.len() && hosts.len() > 1)
        .then(|| hosts.into_iter().zip(tokens).collect())
}

/// Runs the command for each server and shows the first one's output.
fn run_on_each(
    invocation: &Invocation,
    process: &Rc<Process>,
    servers: &[(String, String)],
) -> ExitCode {
    let streams = Streams::Process;
    let mut errors = String::new();
    let mut dry_run = false;
    let mut debug = false;
    let mut quiet = false;
    let mut buffers = Vec::new();
    for (index, (host, token)) in servers.iter().enumerate() {
        let buffer = Rc::new(RefCell::new(Vec::new()));
        let mut context = context(invocation, process, Streams::Buffer(Rc::clone(&buffer)));
        for (name, value) in [("host", host), ("api-token", token)] {
            let flag = context
                .values
                .flags()
                .iter()
                .copied()
                .find(|flag| flag.name == name)
                .expect("global flags are known to every command");
            let set = context.values.set(flag, value, Source::Line);
            debug_assert!(
                set.is_ok() || value.is_empty(),
                "a text flag takes any text"
            );
        }
        let result = run_once(&mut context);
        dry_run |= context.is_dry_run();
        debug |= context.values.bool("debug");
        quiet |= context.is_quiet();
        if let Err(error) = result {
            if index > 0 {
                errors.push('\n');
            }
            let _ = write!(errors, "[{host}]\n{}", error_text(&context, &error));
        }
        buffers.push(String::from_utf8_lossy(&buffer.borrow()).into_owned());
    }
    if debug {
        for (index, ((host, _), buffer)) in servers.iter().zip(&buffers).enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            streams.out(&format!("\n[debug] [{host}]{between}{buffer}"));
            if index == 0 {
                streams.out("\n");
            }
        }
    } else if let Some(first) = buffers.first() {
        streams.out(first);
    }
    if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        fail(&streams, &format!("Error: {errors}\n"), dry_run, quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_what_is_printed() {
        assert_eq!(program_name("/usr/bin/kosli"), "kosli");
        assert_eq!(program_name("kosli.exe"), "kosli");
        assert_eq!(program_name("./runstone"), "runstone");
        assert_eq!(program_name("kosli2"), "runstone");
    }
}
