//! Trees on disk, their random generation, and a slow, sequential reference fingerprint.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use runstone_model::id::encode_hex;
use sha2::{Digest as _, Sha256};

/// What stands below the root, by path bytes.
pub type Tree = BTreeMap<Vec<u8>, Node>;

#[derive(Debug, Clone)]
pub enum Node {
    Directory,
    File(Vec<u8>),
    Link(Vec<u8>),
}

pub fn path_of(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

/// Makes `tree` below `root`. What does not fit (a file where a directory is needed) is left out.
pub fn plant(root: &Path, tree: &Tree) {
    fs::create_dir_all(root).unwrap();
    for (path, node) in tree {
        let path = path_of(root, path);
        if fs::create_dir_all(path.parent().unwrap()).is_err()
            || fs::symlink_metadata(&path).is_ok()
        {
            continue;
        }
        match node {
            Node::Directory => fs::create_dir(&path).unwrap(),
            Node::File(content) => fs::write(&path, content).unwrap(),
            Node::Link(target) => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), &path).unwrap();
            }
        }
    }
}

/// `path=content` for files, `path/` for directories, `path->target` for links.
pub fn tree(lines: &[&str]) -> Tree {
    lines
        .iter()
        .map(|line| {
            if let Some((path, target)) = line.split_once("->") {
                (path.into(), Node::Link(target.into()))
            } else if let Some((path, content)) = line.split_once('=') {
                (path.into(), Node::File(content.into()))
            } else {
                (line.trim_end_matches('/').into(), Node::Directory)
            }
        })
        .collect()
}

/// The definition, written as plainly as possible: recursion, one thread, everything in memory,
/// exclusion decided by `excluded` on the path relative to the root.
pub fn reference(root: &Path, excluded: &dyn Fn(&[u8]) -> bool) -> String {
    let mut text = String::new();
    descend(root, b"", excluded, &mut text);
    hash(text.as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes))
}

fn descend(directory: &Path, relative: &[u8], excluded: &dyn Fn(&[u8]) -> bool, text: &mut String) {
    let mut names: Vec<Vec<u8>> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_vec())
        .collect();
    names.sort();
    for name in names {
        let path = directory.join(OsStr::from_bytes(&name));
        let relative = if relative.is_empty() {
            name.clone()
        } else {
            [relative, b"/", &name].concat()
        };
        if excluded(&relative) {
            continue;
        }
        text.push_str(&hash(&name));
        if path.is_symlink() && path.is_dir() {
            let link = fs::read_link(&path).unwrap();
            text.push_str(&hash(link.as_os_str().as_bytes()));
        } else if path.is_dir() {
            descend(&path, &relative, excluded, text);
        } else {
            text.push_str(&hash(&fs::read(&path).unwrap()));
        }
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "sub", "logs", "x.log", "b.txt"])
            .prop_map(|name| name.as_bytes().to_vec()),
        2 => prop::sample::select(vec![
            &b"m[1]"[..], b"m1", b"a b", b"star*", b"q?", b"back\\slash", b"-dash", b"..x", b"#h",
            b".hidden", b".kosli_ignore", b"\xff\xfe", b"\xc3\xa9", b"e\xcc\x81", b"new\nline",
            b"**", b" ", b"{a,b}", b"Z", b"a-b", b"a.b", b"~", b"\xe6\x97\xa5",
        ]).prop_map(<[u8]>::to_vec),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(name(), 1..4).prop_map(|names| names.join(&b'/'))
}

/// Patterns that meet the generated names.
pub fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "*", "**", "*.log", "**/*.log", "**/b.txt", "sub/**", "a/*", "[ab]*", "m[1]",
            "m\\[1]", "..", ".", "../**", "../*", "/a", "./a", "a/", "?", "??", "**/a/**", "*/",
            "a**b", "[^a]*", "**.log", "sub/../a", "\\*", "*/*", "*/*/*", "**/logs", "**/sub/*",
            ".kosli_ignore", "**/.kosli_ignore", ".*", "s*/**", "***", "**/**", "a/**/b", "[",
            "[a-", "x\\", "**/m[1]", "star\\*", "*\u{e9}", "[\u{e0}-\u{ff}]", "#h", "sub",
            "../root/a", "../r*/a", "../root/**/a", "**[ab]", "a//b", "!a", "b.txt/..",
        ]).prop_map(str::to_owned),
        1 => prop::collection::vec(
            prop::sample::select(vec!["a", "b", "*", "**", "/", "?", "[a-s]", "sub", ".log", "x"]),
            1..6,
        ).prop_map(|pieces| pieces.concat()),
    ]
}

pub fn ignore_file() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![
            4 => pattern(),
            1 => prop::sample::select(vec!["", "# note", "  logs  # why", "\tsub\r", "\u{a0}a"])
                .prop_map(str::to_owned),
        ],
        0..4,
    )
    .prop_map(|lines| lines.join("\n").into_bytes())
}

/// Random trees: directories, files (some empty), links to files, directories and to nothing.
pub fn any_tree() -> impl Strategy<Value = Tree> {
    let node = prop_oneof![
        2 => Just(Node::Directory),
        6 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Node::File),
        2 => prop_oneof![
            20 => prop::sample::select(vec![".", "..", "../root", "/etc/hostname"])
                .prop_map(|target| Node::Link(target.as_bytes().to_vec())),
            1 => path().prop_map(Node::Link),
        ],
    ];
    (
        prop::collection::btree_map(path(), node, 0..14),
        prop::option::weighted(0.3, ignore_file()),
    )
        .prop_map(|(mut tree, ignore)| {
            if let Some(ignore) = ignore {
                tree.insert(b".kosli_ignore".to_vec(), Node::File(ignore));
            }
            tree
        })
}
