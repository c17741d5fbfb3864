//! Hands the tree to clap, which renders help and makes completion scripts.

use clap::{Arg, ArgAction};

use super::command::{Command, Node, Tree};
use super::flag::{Flag, Kind};

/// The whole tree as clap knows it.
pub fn clap_tree(tree: &Tree) -> clap::Command {
    let mut root = clap_node(tree, Node::Root).version(crate::context::VERSION);
    // The contract gives `-v` to the version, clap would give `-V`.
    root = root.disable_version_flag(true).arg(
        Arg::new("version")
            .long("version")
            .short('v')
            .help("Print the version")
            .help_heading("Flags")
            .action(ArgAction::SetTrue),
    );
    root
}

fn clap_node(tree: &Tree, node: Node) -> clap::Command {
    let (name, about) = match node {
        Node::Root => (tree.program, crate::commands::ABOUT),
        Node::Group(group) => (group.path[group.path.len() - 1], group.about),
        Node::Command(command) => (command.path[command.path.len() - 1], command.about),
    };
    let mut clap = clap::Command::new(name)
        .about(about)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .arg(
            Arg::new("help")
                .long("help")
                .short('h')
                .help("Print help")
                .help_heading("Flags")
                .action(ArgAction::Help),
        );
    match node {
        Node::Root => {
            clap = clap
                .bin_name(tree.program)
                .after_help(crate::commands::VARIABLES)
                .args(super::flag::GLOBAL.iter().map(|flag| clap_flag(flag, true)));
        }
        Node::Group(group) => {
            clap = clap
                .visible_aliases(group.aliases.iter().copied())
                .args(group.flags.iter().map(|flag| clap_flag(flag, true)));
        }
        Node::Command(command) => clap = clap_command(clap, command, tree),
    }
    for child in tree.children(node) {
        clap = clap.subcommand(clap_node(tree, child));
    }
    clap
}

fn clap_command(clap: clap::Command, command: &'static Command, tree: &Tree) -> clap::Command {
    let mut clap = clap
        .hide(command.hidden)
        .visible_aliases(command.aliases.iter().copied())
        .override_usage(command.usage_line(tree.program))
        .args(
            command
                .flags
                .iter()
                .flat_map(|set| set.iter())
                .map(|flag| clap_flag(flag, false)),
        );
    if !command.details.is_empty() {
        clap = clap.after_help(command.details);
    }
    if !command.usage.is_empty() {
        // Completion offers file names for the arguments.
        clap = clap.arg(
            Arg::new("ARGUMENTS")
                .num_args(0..)
                .hide(true)
                .value_hint(clap::ValueHint::AnyPath),
        );
    }
    clap
}

fn clap_flag(flag: &'static Flag, global: bool) -> Arg {
    let mut arg = Arg::new(flag.name)
        .long(flag.name)
        .help(flag.help)
        .global(global)
        .help_heading(if global { "Global flags" } else { "Flags" })
        .hide(
            flag.hidden
                || flag
                    .deprecated
                    .is_some_and(|text| text != super::flag::SCALING_DEPRECATED),
        );
    if let Some(short) = flag.short {
        arg = arg.short(short);
    }
    if let Some(alias) = flag.alias {
        arg = arg.alias(alias);
    }
    if flag.is_bool() {
        return arg.action(ArgAction::SetTrue);
    }
    arg = arg.value_name(match flag.kind {
        Kind::Text | Kind::Bool | Kind::Repeated => "TEXT",
        Kind::Int | Kind::Float => "NUMBER",
        Kind::List => "A,B",
        Kind::Map => "KEY=VALUE",
    });
    if !flag.default.is_empty() {
        arg = arg.default_value(flag.default);
    }
    arg.action(ArgAction::Append)
}

/// The help text of one place.
pub fn render(tree: &Tree, node: Node) -> String {
    let mut clap = clap_tree(tree);
    clap.build();
    let mut place = &mut clap;
    for word in node.path() {
        place = place
            .find_subcommand_mut(word)
            .expect("the clap tree has every node");
    }
    place.render_help().to_string()
}

/// The help of the program and of every command, for the reference page.
#[cfg(test)]
pub fn render_all(tree: &Tree) -> String {
    fn visit(tree: &Tree, node: Node, text: &mut String) {
        use std::fmt::Write as _;
        let _ = write!(
            text,
            "# {}\n\n{}\n",
            tree.spelled_path(node),
            render(tree, node)
        );
        for child in tree.children(node) {
            visit(tree, child, text);
        }
    }
    let mut text = String::new();
    visit(tree, Node::Root, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_one_that_clap_accepts() {
        clap_tree(&crate::commands::TREE).debug_assert();
    }

    #[test]
    fn the_whole_help() {
        insta::assert_snapshot!(render_all(&crate::commands::TREE));
    }
}
