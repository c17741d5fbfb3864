//! Turns the words of the command line into a command, its flags and its arguments, in the order
//! of checks that the contract fixes (`cli.md` 1.1, 1.7, 1.8).

use super::command::{Node, Tree};
use super::flag::Flag;
use super::values::{Refusal, Source, Values};

/// What the words amount to.
pub enum Scanned {
    /// A command with its flags and arguments.
    Command(Invocation),
    /// Help for a place in the tree, and the deprecated flags before the wish.
    Help(Node, Vec<Note>),
    /// The version of the program.
    Version,
}

/// A command as it was typed.
pub struct Invocation {
    /// Which one.
    pub command: &'static super::command::Command,
    /// Values from the command line.
    pub values: Values,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Deprecated flags in the order of their use, with what is said.
    pub notes: Vec<Note>,
}

/// A deprecated flag that stood on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The flag.
    pub flag: &'static str,
    /// What is said about it.
    pub text: &'static str,
}

/// Why the words are refused.
#[derive(Debug)]
pub struct ScanError {
    /// Where in the tree; nothing: the complaint stands without the command's name.
    pub at: Option<Node>,
    /// What the command is about, as far as it was read.
    pub scope: String,
    /// The complaint.
    pub message: String,
    /// Whether `--dry-run` stood before the fault, which makes it harmless.
    pub dry_run: bool,
    /// Deprecated flags; told only if the syntax is right.
    pub notes: Vec<Note>,
}

impl ScanError {
    fn new(at: Option<Node>, message: String) -> Self {
        Self {
            at,
            scope: String::new(),
            message,
            dry_run: false,
            notes: Vec::new(),
        }
    }
}

/// Reads the words after the program's name.
pub fn scan(tree: &Tree, words: &[String]) -> Result<Scanned, ScanError> {
    let (words, empty) = join_booleans(tree, words);
    if words.first().is_some_and(|word| word == "help") {
        return help(tree, &words[1..]);
    }
    let place = descend(tree, Node::Root, Values::default(), &words);
    if let Ok((node @ (Node::Root | Node::Group(_)), _, rest)) = &place
        && let Some(index) = rest.iter().position(|word| !word.starts_with('-'))
        && !rest[index].is_empty()
        && tree.child(*node, &rest[index]).is_none()
    {
        return Err(missing(tree, *node, &rest[index..], false));
    }
    if let Some(flag) = empty {
        return Err(ScanError::new(
            None,
            format!("flag '{flag}' was given an empty value"),
        ));
    }
    let (node, inherited, rest) = place?;
    let mut parser = Parser::new(tree, node, inherited);
    let parsed = parser.parse(rest);
    let dry_run = parser.values.bool("dry-run");
    let scope = parser.values.scope();
    let fail = |message: String, notes: Vec<Note>| ScanError {
        at: Some(node),
        scope: scope.clone(),
        message,
        dry_run,
        notes,
    };
    if let Err(fault) = parsed {
        return match (fault, node) {
            (Fault::Unknown(_), Node::Root | Node::Group(_)) => {
                // The reference's own help command is only known to it at this point.
                Err(missing(tree, node, rest, matches!(node, Node::Root)))
            }
            (Fault::Unknown(message) | Fault::Other(message), _) => Err(fail(message, Vec::new())),
        };
    }
    if parser.values.bool(HELP.name) {
        return Ok(Scanned::Help(node, parser.notes));
    }
    let Node::Command(command) = node else {
        if parser.values.bool(VERSION.name) {
            return Ok(Scanned::Version);
        }
        // What follows `--` is not looked at.
        return Ok(Scanned::Help(node, Vec::new()));
    };
    let path = tree.spelled_path(node);
    if let Some(message) = command.arguments.refuse(&path, &parser.arguments) {
        return Err(fail(message, parser.notes));
    }
    Ok(Scanned::Command(Invocation {
        command,
        values: parser.values,
        arguments: parser.arguments,
        notes: parser.notes,
    }))
}

/// `help [WORDS]`, which the reference advertises and refuses; we answer it.
fn help(tree: &Tree, words: &[String]) -> Result<Scanned, ScanError> {
    let mut node = Node::Root;
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        node = match tree.child(node, word) {
            Some(child) => child,
            None => return Err(missing(tree, node, std::slice::from_ref(word), false)),
        };
    }
    Ok(Scanned::Help(node, Vec::new()))
}

/// The complaint about a word that is no command, with those there are.
fn missing(tree: &Tree, node: Node, rest: &[String], with_help: bool) -> ScanError {
    let first = match rest.first() {
        Some(word) if !word.starts_with('-') => format!("unknown command: {word}"),
        _ => "missing subcommand".to_owned(),
    };
    let mut names: Vec<&str> = tree
        .children(node)
        .iter()
        .filter(|child| !child.is_hidden())
        .map(|child| child.name())
        .collect();
    if with_help {
        names.push("help");
        names.sort_unstable();
    }
    ScanError::new(
        None,
        format!("{first}\navailable subcommands are: {}", names.join(" | ")),
    )
}

/// Rewrites `--flag true` to `--flag=true` for boolean flags; also the first one that is given an
/// empty value, as it was typed.
///
/// Only the two words, only where the flag stands alone, and not after `--`. What stands where the
/// value of another flag should be is rewritten too.
fn join_booleans(tree: &Tree, words: &[String]) -> (Vec<String>, Option<String>) {
    let mut node = Node::Root;
    for word in words.iter().take_while(|word| *word != "--") {
        node = tree.child(node, word).unwrap_or(node);
    }
    let flags = tree.flags(node);
    let is_bool = |spelling: &str| match spelling.strip_prefix("--") {
        Some(name) => flags.iter().any(|flag| flag.name == name && flag.is_bool()),
        None => lone_letter(spelling)
            .and_then(|letter| find_short(&flags, letter))
            .is_some_and(Flag::is_bool),
    };
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut empty = None;
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        if word == "--" {
            joined.push(word.clone());
            joined.extend(rest.cloned());
            break;
        }
        let (spelling, attached) = match word.split_once('=') {
            Some((spelling, attached)) => (spelling, Some(attached)),
            None => (word.as_str(), None),
        };
        if !is_bool(spelling) {
            joined.push(word.clone());
            continue;
        }
        let next = rest.peek().map(|next| next.as_str());
        if attached == Some("") || (attached.is_none() && next == Some("")) {
            empty.get_or_insert_with(|| spelling.to_owned());
        }
        match next {
            Some(value @ ("true" | "false")) if attached.is_none() => {
                joined.push(format!("{word}={value}"));
                rest.next();
            }
            _ => joined.push(word.clone()),
        }
    }
    (joined, empty)
}

fn find_long(flags: &[&'static Flag], name: &str) -> Option<&'static Flag> {
    // A command's own flag hides a global one of the same name.
    flags
        .iter()
        .rev()
        .find(|flag| flag.name == name || flag.alias == Some(name))
        .copied()
}

fn find_short(flags: &[&'static Flag], letter: char) -> Option<&'static Flag> {
    flags
        .iter()
        .rev()
        .find(|flag| flag.short == Some(letter))
        .copied()
}

/// Known everywhere, but only once the place in the tree is settled.
static HELP: Flag = Flag::bool("help", "Print help").short('h');
/// Known at the root, likewise.
static VERSION: Flag = Flag::bool("version", "Print the version").short('v');

/// Walks down the tree, reading the flags on the way with what is known at each place.
fn descend<'w>(
    tree: &Tree,
    node: Node,
    inherited: Values,
    words: &'w [String],
) -> Result<(Node, Values, &'w [String]), ScanError> {
    let flags = tree.flags(node);
    let mut passed = Vec::new();
    let mut value_follows = false;
    for (index, word) in words.iter().enumerate() {
        let is_long = word.starts_with("--");
        if is_long && !word.contains('=') {
            // Help and version are not known yet at this point, so they take the next word along,
            // which leads to the help of this place whatever the word is.
            value_follows = !find_long(&flags, &word[2..]).is_some_and(Flag::is_bool);
            passed.push(word.clone());
            continue;
        }
        if let Some(letter) = lone_letter(word)
            && !find_short(&flags, letter).is_some_and(Flag::is_bool)
        {
            value_follows = true;
            passed.push(word.clone());
            continue;
        }
        if value_follows {
            value_follows = false;
            passed.push(word.clone());
            continue;
        }
        if word.len() >= 2 && word.starts_with('-') {
            passed.push(word.clone());
            continue;
        }
        let Some(child) = tree.child(node, word) else {
            break;
        };
        let mut parser = Parser::new(tree, node, inherited);
        return match parser.parse(&passed) {
            Ok(()) if !parser.values.bool(HELP.name) => {
                descend(tree, child, parser.values, &words[index + 1..])
            }
            Ok(()) => Ok((node, Values::default(), &words[..index])),
            Err(Fault::Unknown(message)) => Err(ScanError::new(None, message)),
            Err(Fault::Other(message)) => Err(ScanError {
                at: Some(Node::Root),
                scope: String::new(),
                message,
                dry_run: false,
                notes: Vec::new(),
            }),
        };
    }
    Ok((node, inherited, words))
}

/// The letter of a word such as `-n`.
fn lone_letter(word: &str) -> Option<char> {
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters
        .next()
        .filter(|letter| *letter != '-' && *letter != '=')?;
    letters.next().is_none().then_some(letter)
}

/// What stops the reading of flags.
enum Fault {
    /// An unknown long flag.
    Unknown(String),
    /// Anything else.
    Other(String),
}

/// Reads flags and arguments at one place of the tree.
struct Parser {
    flags: Vec<&'static Flag>,
    values: Values,
    arguments: Vec<String>,
    notes: Vec<Note>,
}

impl Parser {
    fn new(tree: &Tree, node: Node, inherited: Values) -> Self {
        let mut flags = tree.flags(node);
        let mut values = Values::new(flags.clone());
        values.inherit(inherited);
        flags.push(&HELP);
        if matches!(node, Node::Root) {
            flags.push(&VERSION);
        }
        Self {
            flags,
            values,
            arguments: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn parse(&mut self, words: &[String]) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(word) = words.get(index) {
            index += 1;
            if word == "--" {
                self.arguments.extend_from_slice(&words[index..]);
                return Ok(());
            }
            if let Some(name) = word.strip_prefix("--") {
                index += self.parse_long(word, name, words.get(index))?;
            } else if word.len() > 1 && word.starts_with('-') {
                index += self.parse_short(&word[1..], words.get(index))?;
            } else {
                self.arguments.push(word.clone());
            }
        }
        Ok(())
    }

    /// Reads `--name`, `--name=value` or `--name value`; returns how many further words it took.
    fn parse_long(
        &mut self,
        word: &str,
        name: &str,
        next: Option<&String>,
    ) -> Result<usize, Fault> {
        if name.starts_with(['-', '=']) {
            return Err(Fault::Other(format!("bad flag syntax: {word}")));
        }
        let (name, attached) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let Some(flag) = find_long(&self.flags, name) else {
            return Err(Fault::Unknown(format!("unknown flag: --{name}")));
        };
        match (attached, flag.is_bool(), next) {
            (Some(value), _, _) => self.set(flag, value).map(|()| 0),
            (None, true, _) => self.set(flag, "true").map(|()| 0),
            (None, false, Some(value)) => self.set(flag, value).map(|()| 1),
            (None, false, None) => Err(Fault::Other(format!("flag needs an argument: {word}"))),
        }
    }

    /// Reads a group of shorthands without its dash; returns how many further words it took.
    fn parse_short(&mut self, group: &str, next: Option<&String>) -> Result<usize, Fault> {
        let mut rest = group;
        while let Some(letter) = rest.chars().next() {
            let after = &rest[letter.len_utf8()..];
            let Some(flag) = find_short(&self.flags, letter) else {
                return Err(Fault::Other(format!(
                    "unknown shorthand flag: '{letter}' in -{rest}"
                )));
            };
            if after.len() > 1 && after.starts_with('=') {
                return self.set(flag, &after[1..]).map(|()| 0);
            }
            if flag.is_bool() {
                self.set(flag, "true")?;
                rest = after;
                continue;
            }
            if !after.is_empty() {
                return self.set(flag, after).map(|()| 0);
            }
            return match next {
                Some(value) => self.set(flag, value).map(|()| 1),
                None => Err(Fault::Other(format!(
                    "flag needs an argument: '{letter}' in -{rest}"
                ))),
            };
        }
        Ok(0)
    }

    fn set(&mut self, flag: &'static Flag, value: &str) -> Result<(), Fault> {
        self.values
            .set(flag, value, Source::Line)
            .map_err(|refusal| match refusal {
                Refusal::Empty(name) => {
                    Fault::Other(format!("flag '--{name}' was given an empty value"))
                }
                Refusal::Invalid(reason) => Fault::Other(reason),
            })
            .inspect_err(|_| {
                // A truth value that cannot be read counts as false.
                if flag.is_bool() {
                    let unset = self.values.set(flag, "false", Source::Line);
                    debug_assert!(unset.is_ok(), "false is a truth value");
                }
            })?;
        if let Some(text) = flag.deprecated {
            self.notes.push(Note {
                flag: flag.name,
                text,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::commands::TREE;

    /// Scans the blank-separated words of `line` and tells in one text what came out.
    fn scanned(line: &str) -> String {
        let tree = Tree {
            program: "kosli",
            ..TREE
        };
        let words: Vec<String> = line
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| {
                if word == "''" {
                    String::new()
                } else {
                    word.to_owned()
                }
            })
            .collect();
        match scan(&tree, &words) {
            Ok(Scanned::Command(invocation)) => {
                let mut text = invocation.command.path.join(" ");
                for argument in &invocation.arguments {
                    let _ = write!(text, " <{argument}>");
                }
                let mut flags: Vec<_> = invocation
                    .values
                    .flags()
                    .iter()
                    .filter(|flag| invocation.values.is_given(flag.name))
                    .collect();
                flags.sort_by_key(|flag| flag.name);
                for flag in flags {
                    let _ = write!(text, " {}={}", flag.name, invocation.values.text(flag.name));
                }
                text
            }
            Ok(Scanned::Help(node, _)) => format!("help for {}", tree.spelled_path(node)),
            Ok(Scanned::Version) => "version".to_owned(),
            Err(error) => match error.at {
                Some(node) => format!("[{}] {}", tree.spelled_path(node), error.message),
                None => error.message.lines().next().unwrap_or_default().to_owned(),
            },
        }
    }

    #[test]
    fn words_become_commands() {
        let check = |line: &str, expected: &str| assert_eq!(scanned(line), expected, "{line}");
        check("ls env", "list environments");
        check("--org o g env prod", "get environment <prod> org=o");
        check("get --org=o env prod", "get environment <prod> org=o");
        check("get env prod -Hhost", "get environment <prod> host=host");
        check("get env prod -H=host", "get environment <prod> host=host");
        check(
            "archive environment x -qD",
            "archive environment <x> dry-run=true quiet=true",
        );
        check(
            "archive environment x -D false",
            "archive environment <x> dry-run=false",
        );
        check(
            "archive environment x -qD false",
            "[kosli archive environment] accepts 1 arg(s), received 2",
        );
        check(
            "archive environment x -- -D",
            "[kosli archive environment] accepts 1 arg(s), received 2",
        );
        check("get env -- -x", "get environment <-x>");
        check("get env x --org a --org b", "get environment <x> org=b");
    }

    #[test]
    fn faults_read_as_contracted() {
        let check = |line: &str, expected: &str| assert_eq!(scanned(line), expected, "{line}");
        check("nope", "unknown command: nope");
        check("list nope", "unknown command: nope");
        check("list --foo", "missing subcommand");
        check("--foo list environments", "missing subcommand");
        check("--foo nope", "unknown command: nope");
        check("nope --help", "unknown command: nope");
        check("--org x nope -D", "unknown command: x");
        check("list --debug=x nope", "unknown command: nope");
        check(
            "list -o json environments",
            "[kosli] unknown shorthand flag: 'o' in -o",
        );
        check("--page 3 list environments", "unknown flag: --page");
        check("list - x", "unknown command: x");
        check("list -o", "[kosli list] unknown shorthand flag: 'o' in -o");
        check("archive env x", "unknown command: env");
        check(
            "get environment x --foo",
            "[kosli get environment] unknown flag: --foo",
        );
        check(
            "get environment x --org",
            "[kosli get environment] flag needs an argument: --org",
        );
        check(
            "get environment x -a",
            "[kosli get environment] flag needs an argument: 'a' in -a",
        );
        check(
            "get environment x -D",
            "[kosli get environment] unknown shorthand flag: 'D' in -D",
        );
        check(
            "get environment --org '' --foo",
            "[kosli get environment] flag '--org' was given an empty value",
        );
        check(
            "archive environment --zork --dry-run=",
            "flag '--dry-run' was given an empty value",
        );
        check(
            "archive environment x --dry-run ''",
            "flag '--dry-run' was given an empty value",
        );
        check(
            "list environments x",
            "[kosli list environments] unknown command \"x\" for \"kosli list environments\"",
        );
        check(
            "list environments ---",
            "[kosli list environments] bad flag syntax: ---",
        );
    }

    #[test]
    fn help_and_version_come_first() {
        let check = |line: &str, expected: &str| assert_eq!(scanned(line), expected, "{line}");
        check("", "help for kosli");
        check("list", "help for kosli list");
        check("get env -h", "help for kosli get environment");
        check("get env --help x y z", "help for kosli get environment");
        check("--help list environments", "help for kosli");
        check("help get env", "help for kosli get environment");
        check("list -- environments", "help for kosli list");
        check("-", "help for kosli");
        check("--version list", "version");
        check("-v", "version");
        check("list -v", "[kosli list] unknown shorthand flag: 'v' in -v");
    }

    #[test]
    fn a_dry_run_before_the_fault_is_known() {
        let dry = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match scan(&TREE, &words) {
                Err(error) => error.dry_run,
                Ok(_) => panic!("{line} has no fault"),
            }
        };
        assert!(dry("archive environment x y -D"));
        assert!(dry("archive environment x -D --zork"));
        assert!(!dry("archive environment x --zork -D"));
    }
}
