//! What a command is, and the tree they form.

use super::flag::{Flag, GLOBAL};
use super::spell::quoted;
use crate::context::Context;

/// How many words a command takes after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// None; a word is taken for an unknown command.
    None,
    /// None; the complaint counts them (`join environment`).
    Zero,
    /// Exactly so many.
    Exactly(usize),
    /// Between these numbers, both included.
    Between(usize, usize),
    /// At most so many.
    AtMost(usize),
    /// At least so many.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "part of the vocabulary of arguments")
    )]
    AtLeast(usize),
    /// Any number; the command counts them itself.
    Any,
    /// Exactly one of these words.
    OneOf(&'static [&'static str]),
}

impl Arguments {
    /// The complaint about `words`, if their number is wrong (`cli.md` 1.8).
    pub fn refuse(self, path: &str, words: &[String]) -> Option<String> {
        let count = words.len();
        match self {
            Self::None => words
                .first()
                .map(|word| format!("unknown command {} for \"{path}\"", quoted(word))),
            Self::Any => None,
            Self::Zero => Self::Exactly(0).refuse(path, words),
            Self::Exactly(wanted) => {
                (count != wanted).then(|| format!("accepts {wanted} arg(s), received {count}"))
            }
            Self::Between(least, most) => (count < least || count > most)
                .then(|| format!("accepts between {least} and {most} arg(s), received {count}")),
            Self::AtMost(most) => {
                (count > most).then(|| format!("accepts at most {most} arg(s), received {count}"))
            }
            Self::AtLeast(least) => (count < least)
                .then(|| format!("requires at least {least} arg(s), only received {count}")),
            Self::OneOf(choices) => Self::Exactly(1).refuse(path, words).or_else(|| {
                words
                    .iter()
                    .find(|word| !choices.contains(&word.as_str()))
                    .map(|word| format!("invalid argument {} for \"{path}\"", quoted(word)))
            }),
        }
    }
}

/// Which global values a command cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// `--org` and `--api-token`.
    Organization,
}

/// One runnable command.
pub struct Command {
    /// Words of its canonical name, without the program's.
    pub path: &'static [&'static str],
    /// Other spellings of the last word.
    pub aliases: &'static [&'static str],
    /// How its arguments are named in the usage line; empty: none.
    pub usage: &'static str,
    /// How many arguments it takes.
    pub arguments: Arguments,
    /// One line of help.
    pub about: &'static str,
    /// More help, and examples.
    pub details: &'static str,
    /// Its own flags, in groups.
    pub flags: &'static [&'static [Flag]],
    /// Global values it needs.
    pub needs: Needs,
    /// Flags of which at most one may be given, checked by the command itself.
    pub only_one_of: &'static [&'static [&'static str]],
    /// Flags of which at most one may be given, checked after the required ones.
    pub groups: &'static [&'static [&'static str]],
    /// Its own checks before anything else is looked at.
    pub check_first: fn(&Context) -> anyhow::Result<()>,
    /// Its own checks, before required flags are looked at.
    pub check: fn(&Context) -> anyhow::Result<()>,
    /// What is said when it is used, if nobody should use it any more.
    pub deprecated: Option<&'static str>,
    /// Not shown in help and completion.
    pub hidden: bool,
    /// What it does.
    pub run: fn(&mut Context) -> anyhow::Result<()>,
}

impl Command {
    /// What most commands have; a command's file overrides the rest.
    pub const DEFAULT: Self = Self {
        path: &[],
        aliases: &[],
        usage: "",
        arguments: Arguments::None,
        about: "",
        details: "",
        flags: &[],
        needs: Needs::Organization,
        only_one_of: &[],
        groups: &[],
        check_first: |_| Ok(()),
        check: |_| Ok(()),
        deprecated: None,
        hidden: false,
        run: |_| Ok(()),
    };

    /// `PROG get environment`.
    pub fn spelled_path(&self, program: &str) -> String {
        let mut text = program.to_owned();
        for word in self.path {
            text.push(' ');
            text.push_str(word);
        }
        text
    }

    /// `PROG get environment ENVIRONMENT-NAME [flags]`.
    pub fn usage_line(&self, program: &str) -> String {
        let mut text = self.spelled_path(program);
        if !self.usage.is_empty() {
            text.push(' ');
            text.push_str(self.usage);
        }
        text.push_str(" [flags]");
        text
    }
}

/// Words that only introduce further words.
pub struct Group {
    /// Words of its canonical name.
    pub path: &'static [&'static str],
    /// Other spellings of the last word.
    pub aliases: &'static [&'static str],
    /// One line of help.
    pub about: &'static str,
    /// Flags of all commands below it.
    pub flags: &'static [Flag],
    /// What is said when one of them is used, if nobody should use them any more.
    pub deprecated: Option<&'static str>,
}

/// All commands and groups, under the name the program was called by.
#[derive(Clone, Copy)]
pub struct Tree {
    /// The groups, in any order.
    pub groups: &'static [Group],
    /// The commands, in any order.
    pub commands: &'static [&'static Command],
    /// The name that is printed.
    pub program: &'static str,
}

/// A place in the tree.
#[derive(Clone, Copy)]
pub enum Node {
    /// The program itself.
    Root,
    /// A group.
    Group(&'static Group),
    /// A command.
    Command(&'static Command),
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Node").field(&self.path()).finish()
    }
}

impl Node {
    /// Words of its canonical name, without the program's.
    pub fn path(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[],
            Self::Group(group) => group.path,
            Self::Command(command) => command.path,
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[],
            Self::Group(group) => group.aliases,
            Self::Command(command) => command.aliases,
        }
    }

    /// Whether help and completion leave it out.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Command(command) if command.hidden)
    }

    /// What is said when it is used, if nobody should use it any more.
    pub fn deprecated(self) -> Option<&'static str> {
        match self {
            Self::Root => None,
            Self::Group(group) => group.deprecated,
            Self::Command(command) => command.deprecated,
        }
    }

    /// Its last word.
    pub fn name(self) -> &'static str {
        self.path().last().copied().unwrap_or_default()
    }
}

impl Tree {
    /// The children of `node`, sorted by name.
    pub fn children(&self, node: Node) -> Vec<Node> {
        let path = node.path();
        let mut children: Vec<Node> = self
            .groups
            .iter()
            .map(Node::Group)
            .chain(self.commands.iter().map(|command| Node::Command(command)))
            .filter(|child| child.path().len() == path.len() + 1 && child.path().starts_with(path))
            .collect();
        children.sort_unstable_by_key(|child| child.name());
        children
    }

    /// The child of `node` that `word` names, by its name or an alias.
    pub fn child(&self, node: Node, word: &str) -> Option<Node> {
        self.children(node)
            .into_iter()
            .find(|child| child.name() == word || child.aliases().contains(&word))
    }

    /// `PROG list`.
    pub fn spelled_path(&self, node: Node) -> String {
        let mut text = self.program.to_owned();
        for word in node.path() {
            text.push(' ');
            text.push_str(word);
        }
        text
    }

    /// All flags that count at `node`: global, of the groups above, its own.
    pub fn flags(&self, node: Node) -> Vec<&'static Flag> {
        let mut flags: Vec<&'static Flag> = GLOBAL.iter().collect();
        for group in self.groups {
            if node.path().starts_with(group.path) {
                flags.extend(group.flags);
            }
        }
        if let Node::Command(command) = node {
            flags.extend(command.flags.iter().flat_map(|set| set.iter()));
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_numbers_of_words_are_refused_as_contracted() {
        let check = |arguments: Arguments, words: &[&str], expected: &str| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(
                arguments.refuse("kosli x", &words).unwrap_or_default(),
                expected
            );
        };
        check(Arguments::None, &[], "");
        check(
            Arguments::None,
            &["y"],
            "unknown command \"y\" for \"kosli x\"",
        );
        check(Arguments::Zero, &["y"], "accepts 0 arg(s), received 1");
        check(
            Arguments::Exactly(2),
            &["y"],
            "accepts 2 arg(s), received 1",
        );
        check(
            Arguments::Between(1, 2),
            &[],
            "accepts between 1 and 2 arg(s), received 0",
        );
        check(
            Arguments::AtMost(1),
            &["a", "b"],
            "accepts at most 1 arg(s), received 2",
        );
        check(
            Arguments::AtLeast(1),
            &[],
            "requires at least 1 arg(s), only received 0",
        );
        check(
            Arguments::OneOf(&["bash"]),
            &["foo"],
            "invalid argument \"foo\" for \"kosli x\"",
        );
        check(
            Arguments::OneOf(&["bash"]),
            &[],
            "accepts 1 arg(s), received 0",
        );
    }
}
