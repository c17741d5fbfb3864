//! The texts of errors, as scripts match on them (`cli.md` 3.1, 3.2).

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use runstone_fingerprint::{LONE_BLANK_HELP, Options, directory, file};

use crate::tree::{plant, tree};

fn of_file(path: impl AsRef<Path>) -> String {
    file(path.as_ref()).unwrap_err().to_string()
}

fn of_directory(path: impl AsRef<Path>) -> String {
    directory(path.as_ref(), &Options::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn of_files() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path().display();
    assert_eq!(
        of_file(format!("{here}/no")),
        format!("open {here}/no: no such file or directory")
    );
    assert_eq!(
        of_file(place.path()),
        format!("read {here}: is a directory")
    );
    assert_eq!(of_file(""), "open : no such file or directory");
    assert_eq!(
        of_file(" "),
        format!("open  : no such file or directory. The filename is ' '. {LONE_BLANK_HELP}")
    );
}

#[test]
fn of_roots() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path().display();
    fs::write(place.path().join("f"), "").unwrap();
    assert_eq!(
        of_directory(format!("{here}/no")),
        format!("stat {here}/no: no such file or directory")
    );
    assert_eq!(
        of_directory(format!("{here}/f")),
        format!("{here}/f is not a directory")
    );
    assert_eq!(
        of_directory(format!("{here}/f/x")),
        format!("stat {here}/f/x: not a directory")
    );
    assert_eq!(of_directory(""), "stat : no such file or directory");
    assert_eq!(
        of_directory(" "),
        format!("stat  : no such file or directory. The directory path is ' '. {LONE_BLANK_HELP}")
    );
}

#[test]
fn of_what_is_inside() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    let at = root.display();
    plant(&root, &tree(&["a=1", "z->nowhere", "zz->zz"]));
    // The first in walk order, however many threads look.
    for _ in 0..20 {
        assert_eq!(
            of_directory(&root),
            format!("stat {at}/z: no such file or directory")
        );
    }
    assert_eq!(
        of_directory(format!("{at}//./")),
        format!("stat {at}/z: no such file or directory")
    );
    fs::remove_file(root.join("z")).unwrap();
    assert_eq!(
        of_directory(&root),
        format!("stat {at}/zz: too many levels of symbolic links")
    );
    fs::remove_file(root.join("zz")).unwrap();
    let _socket = UnixListener::bind(root.join("s")).unwrap();
    assert_eq!(
        of_directory(&root),
        format!("open {at}/s: no such device or address")
    );
}

#[test]
fn of_what_may_not_be_read() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    plant(&root, &tree(&["a=1", "d/"]));
    let at = root.display();
    for (name, mode) in [("a", 0o000), ("d", 0o000)] {
        let path = root.join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = fs::File::open(&path).is_err();
        if refused {
            assert_eq!(
                of_directory(&root),
                format!("open {at}/{name}: permission denied")
            );
        } else {
            eprintln!("left out: this user may read everything");
            directory(&root, &Options::default()).unwrap();
        }
        fs::set_permissions(&path, before).unwrap();
    }
}

#[test]
fn of_patterns_and_ignore_files() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    plant(&root, &tree(&["a=1"]));
    for pattern in ["[a", "a[", "x\\", "**/[", "[]a]"] {
        let options = Options {
            exclude: &[pattern.to_owned()],
            ..Options::default()
        };
        assert_eq!(
            directory(&root, &options).unwrap_err().to_string(),
            "syntax error in pattern",
            "{pattern}"
        );
    }
    let ignore = root.join(".kosli_ignore");
    fs::write(&ignore, "[a\n").unwrap();
    assert_eq!(of_directory(&root), "syntax error in pattern");
    fs::write(&ignore, vec![b'a'; 65_536]).unwrap();
    assert_eq!(
        of_directory(&root),
        format!("failed to read {}: a line is too long", ignore.display())
    );
    fs::write(&ignore, vec![b'a'; 65_535]).unwrap();
    directory(&root, &Options::default()).unwrap();
    fs::remove_file(&ignore).unwrap();
    symlink("nowhere", &ignore).unwrap();
    assert_eq!(
        of_directory(&root),
        format!("stat {}: no such file or directory", ignore.display())
    );
    fs::remove_file(&ignore).unwrap();
    symlink("a/x", &ignore).unwrap();
    assert_eq!(
        of_directory(&root),
        format!("open {}: not a directory", ignore.display())
    );
    fs::remove_file(&ignore).unwrap();
    fs::create_dir(&ignore).unwrap();
    directory(&root, &Options::default()).unwrap();
}
