//! Paths, paths files and globs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use runstone_collect::Notice;
use runstone_collect::runtime::paths::{
    PathOptions, PathSpec, PathsSpec, ServerOptions, parse_spec, path, paths, read_spec, server,
};

/// `a.txt`, `b.log`, `d/c.txt`, `d/sub/d.log`, all of a known time.
fn plant(root: &Path) {
    fs::create_dir_all(root.join("d/sub")).unwrap();
    for (name, content) in [
        ("a.txt", "alpha\n"),
        ("b.log", "b"),
        ("d/c.txt", "c"),
        ("d/sub/d.log", "d"),
    ] {
        fs::write(root.join(name), content).unwrap();
    }
    for name in ["a.txt", "d"] {
        File::open(root.join(name))
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::from_millis(1_772_359_200_900))
            .unwrap();
    }
}

fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn one_path() {
    let place = tempfile::tempdir().unwrap();
    plant(place.path());
    let mut options = PathOptions {
        path: place.path().join("a.txt"),
        name: "We.B".to_owned(),
        exclude: Vec::new(),
    };
    let found = path(&options).unwrap();
    assert_eq!(found.artifacts[0].name, "We.B");
    assert_eq!(found.artifacts[0].created_at, 1_772_359_200);
    assert_eq!(
        found.artifacts[0].fingerprint.unwrap().to_hex(),
        "b6a98d9ce9a2d9149288fa3df42d377c3e42737afdcdaf714e33c0a100b51060"
    );

    options.path = place.path().join("d");
    let whole = path(&options).unwrap().artifacts[0].clone();
    assert_eq!(whole.created_at, 1_772_359_200);
    options.exclude = vec!["sub".to_owned()];
    let part = path(&options).unwrap().artifacts[0].clone();
    assert_ne!(whole.fingerprint, part.fingerprint);

    fs::write(place.path().join("d/.kosli_ignore"), "sub\n").unwrap();
    options.exclude = vec![".kosli_ignore".to_owned()];
    let found = path(&options).unwrap();
    assert_eq!(found.artifacts[0].fingerprint, part.fingerprint);
    assert!(
        matches!(&found.notices[..], [Notice::Warning(text)] if text.contains("is excluded by a flag"))
    );
}

#[test]
fn path_errors() {
    let place = tempfile::tempdir().unwrap();
    plant(place.path());
    let mut options = PathOptions {
        path: place.path().join("no"),
        name: "web".to_owned(),
        exclude: vec!["[".to_owned()],
    };
    let at = place.path().display();
    assert_eq!(
        path(&options).unwrap_err().to_string(),
        format!(
            "failed to calculate fingerprint for artifact [web]: failed to open path {at}/no \
             with error: stat {at}/no: no such file or directory"
        )
    );
    options.path = place.path().join("d");
    assert_eq!(
        path(&options).unwrap_err().to_string(),
        format!(
            "failed to calculate fingerprint for artifact [web]: failed to get a digest of path \
             {at}/d with error: syntax error in pattern"
        )
    );
}

#[test]
fn globs() {
    let place = tempfile::tempdir().unwrap();
    plant(place.path());
    let at = |name: &str| place.path().join(name);
    let names = |patterns: &[PathBuf]| -> Vec<String> {
        let options = ServerOptions {
            paths: texts(patterns),
            exclude: Vec::new(),
        };
        server(&options)
            .unwrap()
            .artifacts
            .into_iter()
            .map(|artifact| artifact.name)
            .collect()
    };
    assert_eq!(
        names(&[at("*")]),
        texts(&[at("a.txt"), at("b.log"), at("d")])
    );
    assert_eq!(
        names(&[at("**/*.log")]),
        texts(&[at("b.log"), at("d/sub/d.log")])
    );
    assert_eq!(
        names(&[at("d/../a.txt"), at("d/")]),
        texts(&[at("a.txt"), at("d")])
    );

    let with = |paths: &[PathBuf], exclude: &[&str]| {
        server(&ServerOptions {
            paths: texts(paths),
            exclude: exclude.iter().map(|&text| text.to_owned()).collect(),
        })
    };
    let whole = with(&[at("d")], &[]).unwrap().artifacts;
    let part = with(&[at("d")], &["sub"]).unwrap().artifacts;
    assert_ne!(whole[0].fingerprint, part[0].fingerprint);
    let here = place.path().display();
    assert_eq!(
        with(&[at("no"), at("none")], &[]).unwrap_err().to_string(),
        format!("no matches found for [{here}/no {here}/none]")
    );
    assert_eq!(
        with(&[at("*")], &[at("b.log").to_str().unwrap()])
            .unwrap_err()
            .to_string(),
        format!("path [{here}/b.log] is both included and excluded")
    );
    assert_eq!(
        with(&[at("d")], &[at("d").to_str().unwrap()])
            .unwrap()
            .artifacts,
        whole
    );
    assert_eq!(
        with(&[PathBuf::from("[a")], &[]).unwrap_err().to_string(),
        "syntax error in pattern"
    );
}

#[test]
fn paths_files() {
    let expected = PathsSpec {
        artifacts: [
            (
                "We.B".to_owned(),
                PathSpec {
                    path: PathBuf::from("dist/web"),
                    exclude: vec!["logs".to_owned(), "**/*.tmp".to_owned()],
                },
            ),
            (
                "two".to_owned(),
                PathSpec {
                    path: PathBuf::from("x"),
                    exclude: Vec::new(),
                },
            ),
        ]
        .into(),
    };
    let yaml = "version: 1\nartifacts:\n  We.B:\n    path: dist/web\n    exclude: [logs, \"**/*.tmp\"]\n  two: {path: x}\n";
    let json = r#"{"version":1,"artifacts":{"We.B":{"path":"dist/web","exclude":["logs","**/*.tmp"]},"two":{"path":"x"}}}"#;
    let toml = "version = 1\n[artifacts.\"We.B\"]\npath = \"dist/web\"\nexclude = [\"logs\", \"**/*.tmp\"]\n[artifacts.two]\npath = \"x\"\n";
    let place = tempfile::tempdir().unwrap();
    for (kind, text) in [
        ("yml", yaml),
        ("json", json),
        ("toml", toml),
        ("conf", yaml),
    ] {
        let file = place.path().join(format!("{kind}-spec.{kind}"));
        fs::write(&file, text).unwrap();
        assert_eq!(read_spec(&file).unwrap(), expected, "{kind}");
    }
    // Without an extension, and with another one than given.
    assert_eq!(
        read_spec(&place.path().join("toml-spec")).unwrap(),
        expected
    );
    assert_eq!(
        read_spec(&place.path().join("json-spec.yml")).unwrap(),
        expected
    );

    let data = place.path().join("data");
    plant(&data);
    let spec = PathsSpec {
        artifacts: [("b", "d"), ("A", "a.txt")]
            .map(|(name, path)| {
                let path = data.join(path);
                (
                    name.to_owned(),
                    PathSpec {
                        path,
                        exclude: Vec::new(),
                    },
                )
            })
            .into(),
    };
    let found = paths(&spec).unwrap().artifacts;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("A", "b"));
}

#[test]
fn paths_file_errors() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("no.yml");
    assert_eq!(
        read_spec(&file).unwrap_err().to_string(),
        format!(
            "failed to parse path spec file [{}] : Config File \"no\" Not Found in \"[{}]\"",
            file.display(),
            place.path().display()
        )
    );
    for (text, expected) in [
        (
            "version: 1\nfoo: 2\nartifacts: {w: {path: x}}",
            "failed to unmarshal path spec file [f] : '' has invalid keys: foo",
        ),
        (
            "version: 1\nartifacts: {w: {path: x, foo: 1}}",
            "failed to unmarshal path spec file [f] : 'artifacts.w' has invalid keys: foo",
        ),
        (
            "version: 2\nartifacts: {w: {path: x}}",
            "path spec file [f] is invalid: Key: 'PathsSpec.Version' Error:Field validation for 'Version' failed on the 'oneof' tag",
        ),
        (
            "version: 1\n",
            "path spec file [f] is invalid: Key: 'PathsSpec.Artifacts' Error:Field validation for 'Artifacts' failed on the 'required' tag",
        ),
        (
            "version: 1\nartifacts: {w: {exclude: [a]}}",
            "path spec file [f] is invalid: artifacts.w.path is required",
        ),
        (
            "version: 1\nartifacts: {w: {path: x, exclude: [[1]]}}",
            "failed to unmarshal path spec file [f] : 'artifacts.w.exclude' expected a list of texts",
        ),
        (
            "- 1",
            "failed to unmarshal path spec file [f] : '' expected a map",
        ),
    ] {
        assert_eq!(
            parse_spec("f", "yml", text).unwrap_err().to_string(),
            expected
        );
    }
    let broken = parse_spec("f", "json", "{").unwrap_err().to_string();
    assert!(
        broken.starts_with("failed to parse path spec file [f] : "),
        "{broken}"
    );
}
