//! The order in which stored logins are looked for, and the forms they have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use runstone_fingerprint::oci::{CredentialSources, Login};

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A file that holds one login, whose password is "p".
fn auths(key: &str, username: &str) -> String {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:p"));
    format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#)
}

fn sources(place: &Path) -> CredentialSources {
    CredentialSources {
        registry_auth_file: Some(place.join("explicit.json")),
        xdg_runtime_dir: Some(place.join("run")),
        docker_config: Some(place.join("docker")),
        home: Some(place.join("home")),
        path: Some(place.join("bin").into_os_string()),
    }
}

async fn user(sources: &CredentialSources, registry: &str, repository: &str) -> Option<String> {
    sources
        .find(registry, repository)
        .await
        .unwrap()
        .map(|login| login.username)
}

#[tokio::test]
async fn the_first_file_with_an_entry_wins() {
    let place = tempfile::tempdir().unwrap();
    let at = |path: &str| place.path().join(path);
    let found = sources(place.path());
    assert_eq!(user(&found, "h.io", "a").await, None);
    // From the last to the first: each new file hides the one before.
    let legacy = auths("h.io", "six");
    let legacy = legacy
        .strip_prefix("{\"auths\":")
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap();
    for (path, text, name) in [
        ("home/.dockercfg", legacy.to_owned(), "six"),
        ("docker/config.json", auths("h.io", "five"), "five"),
        (
            "home/.config/containers/auth.json",
            auths("h.io", "three"),
            "three",
        ),
        ("run/containers/auth.json", auths("h.io", "two"), "two"),
        ("explicit.json", auths("h.io", "one"), "one"),
    ] {
        write(&at(path), &text);
        assert_eq!(user(&found, "h.io", "a").await.as_deref(), Some(name));
    }
    // A file without a matching entry is passed over.
    write(&at("explicit.json"), &auths("other.io", "one"));
    assert_eq!(user(&found, "h.io", "a").await.as_deref(), Some("two"));
    // Without the variable the home directory's file is read.
    write(&at("home/.docker/config.json"), &auths("d.io", "home"));
    assert_eq!(user(&found, "d.io", "a").await, None);
    let without = CredentialSources {
        docker_config: None,
        ..found
    };
    assert_eq!(user(&without, "d.io", "a").await.as_deref(), Some("home"));
}

#[tokio::test]
async fn the_most_specific_entry_wins() {
    let place = tempfile::tempdir().unwrap();
    let found = sources(place.path());
    write(
        &place.path().join("explicit.json"),
        r#"{"auths":{
            "h.io": {"username":"host","password":"p"},
            "h.io/ns": {"auth":"bnM6cA=="},
            "h.io/ns/repo": {"auth":"cmVwbzpwOnE="},
            "https://index.docker.io/v1/": {"auth":"aHViOnA="},
            "empty.io": {}
        }}"#,
    );
    for (registry, repository, name) in [
        ("h.io", "ns/repo", "repo"),
        ("h.io", "ns/other", "ns"),
        ("h.io", "nsx/other", "host"),
        ("docker.io", "library/nginx", "hub"),
    ] {
        assert_eq!(
            user(&found, registry, repository).await.as_deref(),
            Some(name)
        );
    }
    assert_eq!(user(&found, "h.io:5000", "a").await, None);
    assert_eq!(user(&found, "empty.io", "a").await, None);
    let login = found.find("h.io", "ns/repo").await.unwrap().unwrap();
    assert_eq!(login.password, "p:q");
    assert!(!format!("{login:?}").contains("p:q"));
}

#[tokio::test]
async fn helpers_are_asked() {
    let place = tempfile::tempdir().unwrap();
    let found = sources(place.path());
    for (name, script) in [
        (
            "own",
            "read r; echo \"{\\\"ServerURL\\\":\\\"$r\\\",\\\"Username\\\":\\\"own-$r\\\",\\\"Secret\\\":\\\"s\\\"}\"",
        ),
        (
            "store",
            "echo credentials not found in native keychain; exit 1",
        ),
        (
            "token",
            "echo '{\"Username\":\"<token>\",\"Secret\":\"s\"}'",
        ),
        ("broken", "echo it is locked >&2; exit 1"),
    ] {
        let path = place.path().join(format!("bin/docker-credential-{name}"));
        write(
            &path,
            &format!("#!/bin/sh\n[ \"$1\" = get ] || exit 3\n{script}\n"),
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    write(
        &place.path().join("explicit.json"),
        r#"{"auths":{"own.io":{}},
            "credHelpers":{"own.io":"own","docker.io":"own","t.io":"token","b.io":"broken","n.io":"none"},
            "credsStore":"store"}"#,
    );
    assert_eq!(
        found.find("own.io", "a").await.unwrap(),
        Some(Login {
            username: "own-own.io".to_owned(),
            password: "s".to_owned()
        })
    );
    assert_eq!(
        user(&found, "docker.io", "a").await.as_deref(),
        Some("own-https://index.docker.io/v1/")
    );
    assert_eq!(user(&found, "unknown.io", "a").await, None);
    for (registry, text) in [
        ("t.io", "is an identity token"),
        (
            "b.io",
            "credential helper docker-credential-broken: it is locked",
        ),
        ("n.io", "executable file not found in $PATH"),
    ] {
        let error = found.find(registry, "a").await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn malformed_files_are_named_and_not_quoted() {
    let place = tempfile::tempdir().unwrap();
    let found = sources(place.path());
    let path = place.path().join("explicit.json");
    for text in [
        "{\"auths\":{\"h.io\":{\"auth\":\"c2VjcmV0\"}}}",
        "secret",
        "{\"auths\":{\"h.io\":\"secret\"}}",
    ] {
        write(&path, text);
        let error = found.find("h.io", "a").await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("reading {}: ", path.display())));
        assert!(!error.contains("secret"), "{error}");
    }
}
