//! Vectors of the contract (`cli.md` 3.7), exclusion, and agreement with the slow reference.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;
use runstone_fingerprint::{Options, Progress, Trace, Warning, directory, file};

use crate::tree::{Node, Tree, any_tree, plant, reference, tree};

/// Whether a path, relative to the root, is left out.
type Rule<'a> = &'a dyn Fn(&[u8]) -> bool;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const D8: &[&str] = &[
    "a.txt=alpha\n",
    "logs/1.log=x\n",
    "sub/2.log=y\n",
    "sub/b.txt=beta\n",
];
const D8A: &str = "b7487202c897d475d30feea7bc8155a064de2db9a79f7d01b990f4e6b0de6c8e";

fn exclude(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|&pattern| pattern.to_owned()).collect()
}

fn fingerprint_at(root: &Path, patterns: &[&str]) -> String {
    let options = Options {
        exclude: &exclude(patterns),
        ..Options::default()
    };
    directory(root, &options).unwrap().fingerprint.to_hex()
}

#[track_caller]
fn check(lines: &[&str], patterns: &[&str], expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    plant(&root, &tree(lines));
    assert_eq!(fingerprint_at(&root, patterns), expected, "{patterns:?}");
}

#[test]
fn files() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("f");
    fs::write(&path, "hello\n").unwrap();
    assert_eq!(
        file(&path).unwrap().to_hex(),
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    );
    let link = place.path().join("link");
    symlink("f", &link).unwrap();
    assert_eq!(file(&link).unwrap(), file(&path).unwrap());
    fs::write(&path, "").unwrap();
    assert_eq!(file(&path).unwrap().to_hex(), EMPTY);
}

#[test]
fn d1_to_d7() {
    check(&[], &[], EMPTY);
    check(
        &["a.txt=alpha\n"],
        &[],
        "3bbfe4b8c50563a586136b7d1fcc31ee2fef8959a476a6d3123503c84dc4e9e0",
    );
    let d3 = &[
        "a.txt=alpha\n",
        "sub/b.txt=beta\n",
        "sub/deep/c.txt=gamma\n",
    ];
    check(
        d3,
        &[],
        "ef7193bd76c236d739d52c75f89fbc085ee3b952088d2e927be28ae1a5c0dfe5",
    );
    check(
        d3,
        &["sub/deep"],
        "7f650a9ba040f2ed3b8c33706b516cfd60ea41ac726105ba90dcb59cf2062e6b",
    );
    check(
        &["empty="],
        &[],
        "d63ee8c8799e719d76a5933e7da19bee03d3372432b035ecf558bd482a3425c7",
    );
    check(
        &["a.txt=alpha\n", "empty/"],
        &[],
        "a3905691d3812e232d3ec47ce37506c1f0b0c234120637e7deb0dd4c08e77d3d",
    );
    check(
        &["a.txt=alpha\n", "link->a.txt"],
        &[],
        "63bb807d882899d92098e9fde70a3b613e11171964b4fd7e33ebe2a78da84585",
    );
    check(
        &["sub/b.txt=beta\n", "link->sub"],
        &[],
        "ff24f85f84aacf397018e35b25e5f6cf5314ed4f977947c53160690b66378fb2",
    );
}

#[test]
fn d8_patterns() {
    let d8 = "55d467a7e8f2653f5e107331e4b934d00e8e1beb567bf1061d621533f803af86";
    check(D8, &[], d8);
    for pattern in ["logs", "/logs", "./logs", "logs/", "log[rs]"] {
        check(D8, &[pattern], D8A);
    }
    for pattern in ["*.log", "b.txt"] {
        check(D8, &[pattern], d8);
    }
    for pattern in ["*/*.log", "**/*.log"] {
        check(
            D8,
            &[pattern],
            "d21e291062f3197392e1b5596206df0504cfef343d0dd8f0417c840892f06642",
        );
    }
    check(
        D8,
        &["sub/**"],
        "fc0d0f0cacb2e4b576fd742d806d00cb2aaca538394e65f60e5610501288d9c7",
    );
    check(
        D8,
        &["**/b.txt"],
        "4944c97cd801246f48d4c025b766ef9ef2b69b1babe8501a5ad580621356a95a",
    );
    for pattern in ["*", "**"] {
        check(D8, &[pattern], EMPTY);
    }
}

#[test]
fn d9_d10_ignore_file() {
    let with = |content: &str| -> Vec<String> {
        let mut lines: Vec<String> = D8.iter().map(|&line| line.to_owned()).collect();
        lines.push(format!(".kosli_ignore={content}"));
        lines
    };
    for (content, expected) in [
        (
            "# build noise\nlogs\nsub/*.log   # per module\n\n",
            "fdaacc9a416b8f12a81af58dc41fae8548a385dd6bc9790a393c3f6f8b7e518c",
        ),
        (
            "logs\n.kosli_ignore\n",
            "6d93a74385916bdc0c663c2b88a620166317afb89852d09616d390c285418ec7",
        ),
        (
            "*\n",
            "68050bb0b1bba3976a662bdbcb84fa0c37f0078f5301a4d6ba573ec1a81f8002",
        ),
    ] {
        let lines = with(content);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(&lines, &[], expected);
    }

    // A flag leaves the file itself out, keeps its rules, and that is worth a warning.
    let place = tempfile::tempdir().unwrap();
    let lines = with("logs\n");
    plant(
        place.path(),
        &tree(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    let options = Options {
        exclude: &exclude(&[".kosli_ignore"]),
        ..Options::default()
    };
    let found = directory(place.path(), &options).unwrap();
    assert_eq!(found.fingerprint.to_hex(), D8A);
    let path = place.path().join(".kosli_ignore");
    assert_eq!(
        found.warnings,
        [Warning::IgnoreFileExcluded(path.to_string_lossy().into())]
    );
    assert!(found.warnings[0].to_string().starts_with(&format!(
        "{} is excluded by a flag, so its rules are applied while its content is not \
         fingerprinted: ",
        path.display()
    )));
}

#[test]
fn d11_d12_order_is_of_bytes() {
    check(
        &[
            "caf\u{e9}.txt=alpha\n",
            "\u{65e5}\u{672c}.txt=beta\n",
            "cafe\u{301}.txt=gamma\n",
        ],
        &[],
        "0e588e67feebe8006d76d959395d640d9fa9456b6fbeb520e1b580022e71a482",
    );
    check(
        &[
            "a=one\n",
            "B=two\n",
            "_c=three\n",
            "Z=four\n",
            "\u{e1}=five\n",
            "a-b=six\n",
            "a.b=seven\n",
            "a0/x=eight\n",
        ],
        &[],
        "06b84e61612c52070aad96c3bdea1a0bf4a605422fafc3088c42cb46d3164436",
    );
}

#[test]
fn d13_to_d15_links_and_collisions() {
    check(
        &["a/up->.."],
        &[],
        "6eb6b96f98165ea3d4d37aaa831e112a4c19094ed96c9495bc791957fd94edc7",
    );
    let d14 = "8d148e73be3ac0b54047e751d91412eaaf6447d8dc8015406695489259e40a78";
    check(&["d/", "x=alpha\n"], &[], d14);
    check(&["d/x=alpha\n"], &[], d14);
    let d15 = "a5dfcffecb20eb4cdfa273e0e198a8ad787f03e196a803216ab2639d8c9bea78";
    check(&["sub/", "link->sub"], &[], d15);
    check(&["sub/", "link=sub"], &[], d15);
}

#[test]
fn a_root_that_is_a_link_is_followed() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("root"), &tree(D8));
    let link = place.path().join("link");
    symlink("root", &link).unwrap();
    assert_eq!(fingerprint_at(&link, &["logs"]), D8A);
}

#[test]
fn a_root_with_pattern_characters_is_literal() {
    for name in ["m[1]", "**", "a*", "\\x", "q?"] {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join(name);
        plant(&root, &tree(D8));
        for decoy in ["m1", "ab", "x", "qq"] {
            plant(&place.path().join(decoy), &tree(D8));
        }
        for pattern in ["logs", "log[s]", "lo*", "log?", "**/1.log/../../logs"] {
            if pattern.starts_with("**") {
                continue;
            }
            assert_eq!(fingerprint_at(&root, &[pattern]), D8A, "{name} {pattern}");
        }
        assert_eq!(
            fingerprint_at(&root, &["**/*.log"]),
            "d21e291062f3197392e1b5596206df0504cfef343d0dd8f0417c840892f06642",
            "{name}"
        );
        assert_eq!(fingerprint_at(&root, &["**"]), EMPTY, "{name}");
    }
}

#[test]
fn progress_and_trace_tell_everything_in_order() {
    let place = tempfile::tempdir().unwrap();
    plant(place.path(), &tree(D8));
    let seen = Mutex::new(Vec::new());
    let last = Mutex::new(Progress::default());
    let options = Options {
        exclude: &exclude(&["logs"]),
        threads: 3,
        progress: Some(&|progress| *last.lock().unwrap() = progress),
        trace: Some(&|trace: &Trace| seen.lock().unwrap().push(trace.clone())),
    };
    let found = directory(place.path(), &options).unwrap();
    assert_eq!(found.fingerprint.to_hex(), D8A);
    assert_eq!(
        found.progress,
        Progress {
            bytes: 13,
            files: 3
        }
    );
    assert_eq!(*last.lock().unwrap(), found.progress);
    let short: Vec<String> = seen
        .into_inner()
        .unwrap()
        .into_iter()
        .map(|trace| match trace {
            Trace::Excluded { path, directory } => format!("excluded {path} {directory}"),
            Trace::Name {
                path, directory, ..
            } => format!("name {path} {directory}"),
            Trace::Content { path, digest } => format!("content {path} {}", digest.len()),
        })
        .map(|line| line.replace(&format!("{}/", place.path().display()), ""))
        .collect();
    assert_eq!(
        short,
        [
            "name a.txt false",
            "content a.txt 64",
            "excluded logs true",
            "name sub true",
            "name sub/2.log false",
            "content sub/2.log 64",
            "name sub/b.txt false",
            "content sub/b.txt 64",
        ]
    );
}

#[test]
fn many_files_and_any_number_of_threads() {
    let place = tempfile::tempdir().unwrap();
    let mut many = Tree::new();
    for index in 0..8_300_usize {
        let size = if index % 997 == 0 {
            400_000
        } else {
            index % 50
        };
        many.insert(
            format!("d{}/e{}/{index}", index % 7, index % 3).into_bytes(),
            Node::File(vec![index as u8; size]),
        );
    }
    // Beyond the number of files whose size is asked for, and too much for one batch.
    for index in 0..40_usize {
        many.insert(
            format!("z/{index}").into_bytes(),
            Node::File(vec![index as u8; 500_000]),
        );
    }
    plant(place.path(), &many);
    let expected = reference(place.path(), &|_| false);
    for threads in [0, 1, 2, 5] {
        let options = Options {
            threads,
            ..Options::default()
        };
        let found = directory(place.path(), &options).unwrap();
        assert_eq!(found.fingerprint.to_hex(), expected, "{threads} threads");
        assert_eq!(found.progress.files, 8_340);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without exclusion, and with exclusion rules simple enough to state independently.
    #[test]
    fn equal_to_the_reference(mut tree in any_tree()) {
        tree.remove(&b".kosli_ignore"[..]);
        tree.retain(|_, node| !matches!(node, Node::Link(_)));
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        plant(&root, &tree);
        for rule in 0..4 {
            let (pattern, excluded): (&[&str], Rule) = match rule {
                0 => (&[], &|_| false),
                1 => (&["sub"], &|path| path == b"sub"),
                2 => (&["*.log"], &|path| path.ends_with(b".log") && !path.contains(&b'/')),
                _ => (&["sub/**"], &|path| path.starts_with(b"sub/")),
            };
            prop_assert_eq!(fingerprint_at(&root, pattern), reference(&root, excluded));
        }
    }
}
