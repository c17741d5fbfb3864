//! All commands. One command is one file; to add one, write the file and name it twice below: as a
//! module, so that the formatter sees it, and in the list.
//!
//! A command turns flags into one request or one collection and an answer into text. It decides
//! nothing about the domain.

mod approving;
mod artifact;
mod attesting;
mod moments;
mod proofs;
mod pull_requests;
mod reporting;
mod watch;

mod admin;
mod archive {
    pub mod attestation_type;
    pub mod control;
    pub mod environment;
    pub mod flow;
}
mod assert {
    pub mod approval;
    pub mod artifact;
    pub mod pullrequest;
    pub mod status;
}
mod attest {
    pub mod artifact;
    pub mod custom;
    pub mod decision;
    pub mod generic;
    pub mod jira;
    pub mod junit;
    pub mod override_;
    pub mod pullrequest;
    pub mod sbom;
    pub mod snyk;
    pub mod sonar;
}
mod begin {
    pub mod trail;
}
mod completion;
mod config;
mod create {
    pub mod attestation_type;
    pub mod control;
    pub mod environment;
    pub mod flow;
}
mod dev;
mod diff {
    pub mod snapshots;
}
mod expect {
    pub mod deployment;
}
mod fingerprint;
mod get {
    pub mod artifact;
    pub mod attestation;
    pub mod attestation_type;
    pub mod control;
    pub mod environment;
    pub mod flow;
    pub mod repo;
    pub mod snapshot;
    pub mod trail;
}
mod import {
    pub mod history;
}
mod join {
    pub mod environment;
}
mod list {
    pub mod artifacts;
    pub mod attestation_types;
    pub mod controls;
    pub mod environments;
    pub mod flows;
    pub mod repos;
    pub mod snapshots;
    pub mod trails;
}
mod log {
    pub mod changes;
    pub mod environment;
}
mod rename {
    pub mod environment;
    pub mod flow;
}
mod report {
    pub mod approval;
    pub mod artifact;
}
mod request {
    pub mod approval;
}
mod search;
mod serve;
mod snapshot {
    pub mod docker;
    pub mod path;
    pub mod paths;
    pub mod processes;
    pub mod server;
}
mod status;
mod tag;
mod unarchive {
    pub mod control;
}
mod update {
    pub mod control;
}
mod verify;
pub mod version;

use crate::grammar::command::{Command, Group, Tree};
use crate::grammar::flag::AUTO;

/// Every command. The server's own (`serve`, `dev`, `admin`, `verify`) have their lines here too.
static COMMANDS: &[&Command] = &[
    &admin::backup::COMMAND,
    &admin::close_organization::COMMAND,
    &admin::erase::COMMAND,
    &admin::export::COMMAND,
    &admin::fsck::COMMAND,
    &admin::limits::COMMAND,
    &admin::new_epoch::COMMAND,
    &admin::provision::COMMAND,
    &admin::rebuild::COMMAND,
    &admin::restore::COMMAND,
    &admin::rotate_key::COMMAND,
    &admin::seal::COMMAND,
    &archive::attestation_type::COMMAND,
    &archive::control::COMMAND,
    &archive::environment::COMMAND,
    &archive::flow::COMMAND,
    &assert::approval::COMMAND,
    &assert::artifact::COMMAND,
    &assert::pullrequest::azure::COMMAND,
    &assert::pullrequest::bitbucket::COMMAND,
    &assert::pullrequest::github::COMMAND,
    &assert::pullrequest::gitlab::COMMAND,
    &assert::status::COMMAND,
    &attest::artifact::COMMAND,
    &attest::custom::COMMAND,
    &attest::decision::COMMAND,
    &attest::generic::COMMAND,
    &attest::jira::COMMAND,
    &attest::junit::COMMAND,
    &attest::override_::COMMAND,
    &attest::pullrequest::azure::COMMAND,
    &attest::pullrequest::bitbucket::COMMAND,
    &attest::pullrequest::github::COMMAND,
    &attest::pullrequest::gitlab::COMMAND,
    &attest::sbom::COMMAND,
    &attest::snyk::COMMAND,
    &attest::sonar::COMMAND,
    &begin::trail::COMMAND,
    &completion::COMMAND,
    &config::COMMAND,
    &create::attestation_type::COMMAND,
    &create::control::COMMAND,
    &create::environment::COMMAND,
    &create::flow::COMMAND,
    &dev::COMMAND,
    &diff::snapshots::COMMAND,
    &expect::deployment::COMMAND,
    &fingerprint::COMMAND,
    &get::artifact::COMMAND,
    &get::attestation::COMMAND,
    &get::attestation_type::COMMAND,
    &get::control::COMMAND,
    &get::environment::COMMAND,
    &get::flow::COMMAND,
    &get::repo::COMMAND,
    &get::snapshot::COMMAND,
    &get::trail::COMMAND,
    &import::history::COMMAND,
    &join::environment::COMMAND,
    &list::artifacts::COMMAND,
    &list::attestation_types::COMMAND,
    &list::controls::COMMAND,
    &list::environments::COMMAND,
    &list::flows::COMMAND,
    &list::repos::COMMAND,
    &list::snapshots::COMMAND,
    &list::trails::COMMAND,
    &log::changes::COMMAND,
    &log::environment::COMMAND,
    &rename::environment::COMMAND,
    &rename::flow::COMMAND,
    &report::approval::COMMAND,
    &report::artifact::COMMAND,
    &request::approval::COMMAND,
    &search::COMMAND,
    &serve::COMMAND,
    &snapshot::docker::COMMAND,
    &snapshot::path::COMMAND,
    &snapshot::paths::COMMAND,
    &snapshot::processes::COMMAND,
    &snapshot::server::COMMAND,
    &status::COMMAND,
    &tag::COMMAND,
    &unarchive::control::COMMAND,
    &update::control::COMMAND,
    &verify::COMMAND,
    &version::COMMAND,
];

/// What else a pull request is called.
const PULL_REQUEST: &[&str] = &["pr", "pull_request", "mr", "mergerequest", "merge_request"];

/// Every verb with further words, with its aliases.
static GROUPS: &[Group] = &[
    group(&["admin"], &[], "Work on the store itself."),
    group(&["archive"], &[], "Hide things without deleting them."),
    group(
        &["assert"],
        &[],
        "Check something and exit with a code other than 0 if it does not hold.",
    ),
    group(
        &["assert", "pullrequest"],
        PULL_REQUEST,
        "Exit with a code other than 0 unless a commit has pull requests.",
    ),
    group(
        &["attest"],
        &[],
        "State evidence about trails and artifacts.",
    ),
    group(
        &["attest", "pullrequest"],
        PULL_REQUEST,
        "State the pull requests of a commit.",
    ),
    group(&["begin"], &["start", "init"], "Begin things."),
    group(&["create"], &["c", "cr"], "Create things."),
    group(&["diff"], &[], "Compare things."),
    group(&["expect"], &[], "Announce things."),
    group(&["get"], &["g"], "Show one thing."),
    group(&["import"], &[], "Take things in from elsewhere."),
    group(&["join"], &[], "Put things into others."),
    group(&["list"], &["l", "ls"], "Show many things."),
    group(&["log"], &["lo"], "Show what happened."),
    group(&["rename"], &["re"], "Rename things."),
    Group {
        path: &["report"],
        aliases: &[],
        about: "State things as scripts older than trails do.",
        flags: &[],
        deprecated: Some("this command is deprecated and will be removed in a future release."),
    },
    group(&["request"], &[], "Ask for things."),
    group(&["unarchive"], &[], "Take things out of the archive."),
    group(&["update"], &["u", "up"], "Change things."),
    Group {
        path: &["snapshot"],
        aliases: &[],
        about: "Report what runs.",
        flags: AUTO,
        deprecated: None,
    },
];

const fn group(
    path: &'static [&'static str],
    aliases: &'static [&'static str],
    about: &'static str,
) -> Group {
    Group {
        path,
        aliases,
        about,
        flags: &[],
        deprecated: None,
    }
}

/// The whole tree under its own name.
pub const TREE: Tree = Tree {
    groups: GROUPS,
    commands: COMMANDS,
    program: "runstone",
};

/// What the program is, in a line.
pub const ABOUT: &str =
    "What runs, set in stone: reports what runs, records it, and answers questions about it.";

/// What the program's help says about variables.
pub const VARIABLES: &str = "Any flag can be set by an environment variable: RUNSTONE_ and the flag's name in capitals with _ for -, such as RUNSTONE_API_TOKEN. KOSLI_ in place of RUNSTONE_ works too.\nThe token DRY_RUN turns --dry-run on. RUNSTONE_NOW is the time that relative times are counted from.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::grammar::command::Node;

    #[test]
    fn every_command_is_reached_by_its_path_and_no_flag_is_there_twice() {
        for command in COMMANDS {
            let mut node = Node::Root;
            for word in command.path {
                node = TREE.child(node, word).unwrap_or_else(|| {
                    panic!("{:?} has no group {word}", command.path);
                });
            }
            assert_eq!(node.path(), command.path);
            let mut names = BTreeSet::new();
            let mut shorts = BTreeSet::new();
            for flag in TREE.flags(node) {
                assert!(
                    names.insert(flag.name),
                    "{:?} --{}",
                    command.path,
                    flag.name
                );
                if let Some(short) = flag.short {
                    assert!(shorts.insert(short), "{:?} -{short}", command.path);
                }
            }
            for name in command.only_one_of.iter().flat_map(|group| group.iter()) {
                assert!(names.contains(name), "{:?} --{name}", command.path);
            }
        }
    }
}
