//! The walls between the rooms: which crate may import which, and who alone may name a library.
//!
//! The tables here are the truth that ARCHITECTURE.md describes. They hold for what ships: an ordinary or a build
//! dependency. A dev-dependency on a *library* is free, because a test may look at a room from outside; one on a
//! room is not.

use anyhow::Context as _;
use serde_json::Value;

use super::Problem;

/// A room and the rooms it may import. A crate that is missing here is itself a problem.
const ROOMS: [(&str, &[&str]); 10] = [
    ("runstone-model", &[]),
    ("runstone-journal", &[]),
    ("runstone-fingerprint", &["runstone-model"]),
    ("runstone-api", &["runstone-model"]),
    ("runstone-store", &["runstone-model", "runstone-journal"]),
    (
        "runstone-server",
        &[
            "runstone-model",
            "runstone-journal",
            "runstone-api",
            "runstone-store",
        ],
    ),
    (
        "runstone-collect",
        &["runstone-model", "runstone-fingerprint"],
    ),
    ("runstone", EVERY_ROOM),
    ("runstone-bench", EVERY_ROOM),
    ("xtask", EVERY_ROOM),
];

const EVERY_ROOM: &[&str] = &[
    "runstone-model",
    "runstone-journal",
    "runstone-fingerprint",
    "runstone-api",
    "runstone-store",
    "runstone-server",
    "runstone-collect",
];

/// They judge and measure from outside and ship to nobody: no library is closed to them.
const OUTSIDE: [&str; 2] = ["xtask", "runstone-bench"];

/// Libraries and the rooms that alone may name them. A trailing `*` stands for any ending. No room at all means
/// that the library was decided against.
const OWNERS: &[(&str, &[&str])] = &[
    ("ed25519-dalek", &["runstone-journal"]),
    ("hkdf", &["runstone-journal"]),
    ("rustls-webpki", &["runstone-journal"]),
    ("x509-cert", &["runstone-journal"]),
    ("rusqlite", &["runstone-store"]),
    ("libsqlite3-sys", &["runstone-store"]),
    ("tokio-postgres*", &["runstone-store"]),
    ("deadpool*", &["runstone-store"]),
    ("object_store", &["runstone-store"]),
    ("axum*", &["runstone-server"]),
    ("tower-http", &["runstone-server"]),
    ("maud", &["runstone-server"]),
    ("pdf-writer", &["runstone-server"]),
    ("metrics-exporter-prometheus", &["runstone-server"]),
    ("clap", &["runstone", "runstone-collect"]),
    ("clap_*", &["runstone"]),
    ("anyhow", &["runstone"]),
    ("regorus", &["runstone"]),
    ("jaq-*", &["runstone-model"]),
    ("jsonschema", &["runstone-model"]),
    ("indicatif", &["runstone"]),
    ("oci-client", &["runstone-fingerprint"]),
    ("bollard", &["runstone-collect"]),
    ("procfs", &["runstone-collect"]),
    ("kube*", &["runstone-collect"]),
    ("k8s-openapi", &["runstone-collect"]),
    ("aws-*", &["runstone-collect"]),
    ("azure_*", &["runstone-collect"]),
    ("google-cloud-*", &["runstone-collect"]),
    ("sqlx*", &[]),
    ("chrono", &[]),
    ("lazy_static", &[]),
    ("once_cell", &[]),
];

/// Libraries that a room must not name, with the word for what it must not know.
const FORBIDDEN: &[(&str, &[(&str, &str)])] = &[
    ("runstone-model", PURE),
    ("runstone-journal", PURE),
    (
        "runstone-journal",
        &[("serde*", "the shape of an entry: to it an entry is bytes")],
    ),
    ("runstone-fingerprint", &[("reqwest", "a server")]),
    (
        "runstone-store",
        &[
            ("http", "HTTP"),
            ("hyper*", "HTTP"),
            ("reqwest", "HTTP"),
            ("utoipa*", "the wire"),
        ],
    ),
    ("runstone-collect", &[("utoipa*", "the wire")]),
];

/// What a pure room must not know.
const PURE: &[(&str, &str)] = &[
    ("tokio*", "async"),
    ("futures*", "async"),
    ("async-*", "async"),
    ("reqwest", "the network"),
    ("hyper*", "the network"),
    ("http", "the network"),
    ("url", "the network"),
    ("rustix", "files"),
    ("walkdir", "files"),
    ("tempfile", "files"),
    ("getrandom", "randomness"),
    ("rand*", "randomness"),
    ("uuid", "randomness"),
    ("tracing*", "logs: it returns values"),
];

/// Every breach of the tables above in the output of `cargo metadata`.
pub fn check(metadata: &Value) -> anyhow::Result<Vec<Problem>> {
    let packages = metadata["packages"]
        .as_array()
        .context("the metadata lists no packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let mut problem = |what: String| {
            problems.push(Problem {
                place: name.to_owned(),
                line: 0,
                what,
            });
        };
        let Some((_, imports)) = ROOMS.iter().find(|(room, _)| *room == name) else {
            problem("is not in the table of rooms in xtask/src/tidy/walls.rs".to_owned());
            continue;
        };
        for dependency in package["dependencies"]
            .as_array()
            .context("a package has no dependencies")?
        {
            let library = dependency["name"]
                .as_str()
                .context("a dependency has no name")?;
            let test_only = dependency["kind"] == "dev";
            let is_room = ROOMS.iter().any(|(room, _)| *room == library);
            if is_room {
                // A crate names itself to switch on its own feature for tests.
                let is_itself = test_only && library == name;
                if !is_itself && !imports.contains(&library) {
                    problem(format!("must not import {library}"));
                }
                continue;
            }
            if test_only || OUTSIDE.contains(&name) {
                continue;
            }
            if let Some((_, owners)) = OWNERS.iter().find(|(pattern, _)| matches(pattern, library))
                && !owners.contains(&name)
            {
                problem(match owners {
                    [] => format!("must not name {library}: no room uses it (docs/decisions)"),
                    _ => format!(
                        "must not name {library}: that belongs to {} alone",
                        owners.join(" and ")
                    ),
                });
            }
            for (_, libraries) in FORBIDDEN.iter().filter(|(room, _)| *room == name) {
                if let Some((_, secret)) = libraries
                    .iter()
                    .find(|(pattern, _)| matches(pattern, library))
                {
                    problem(format!(
                        "must not name {library}: this room does not know {secret}"
                    ));
                }
            }
            // Option structs carry flags only for the binary that switches them on.
            if name == "runstone-collect" && library == "clap" && dependency["optional"] != true {
                problem("must name clap only behind its feature `clap`".to_owned());
            }
        }
    }
    Ok(problems)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use serde_json::json;

    use super::*;

    /// The problems of one crate that names one dependency.
    fn problems(name: &str, dependency: &Value) -> Vec<String> {
        let metadata = json!({"packages": [{"name": name, "dependencies": [dependency]}]});
        check(&metadata)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn normal(library: &str) -> Value {
        json!({"name": library, "kind": null, "optional": false})
    }

    fn dev(library: &str) -> Value {
        json!({"name": library, "kind": "dev", "optional": false})
    }

    #[test]
    fn a_room_imports_only_what_the_table_allows() {
        for (room, imports) in ROOMS {
            for (other, _) in ROOMS {
                let allowed = imports.contains(&other);
                assert_eq!(
                    problems(room, &normal(other)).is_empty(),
                    allowed,
                    "{room} imports {other}"
                );
                assert_eq!(
                    problems(room, &dev(other)).is_empty(),
                    allowed || room == other,
                    "the tests of {room} import {other}"
                );
            }
        }
    }

    #[test]
    fn the_table_has_no_circle() {
        // A room may import only rooms that stand above it in the table, or the table could not be built.
        for (at, (room, imports)) in ROOMS.iter().enumerate() {
            for import in *imports {
                let position = ROOMS.iter().position(|(name, _)| name == import).unwrap();
                assert!(position < at, "{room} stands above {import}");
            }
        }
    }

    #[test]
    fn a_library_is_named_only_by_its_owner() {
        for (room, library) in [
            ("runstone-journal", "ed25519-dalek"),
            ("runstone-store", "rusqlite"),
            ("runstone-store", "tokio-postgres"),
            ("runstone-store", "object_store"),
            ("runstone-server", "axum"),
            ("runstone-server", "tower-http"),
            ("runstone", "clap"),
            ("runstone-collect", "bollard"),
            ("runstone-fingerprint", "oci-client"),
        ] {
            for (other, _) in ROOMS {
                let allowed = other == room
                    || OUTSIDE.contains(&other)
                    || (other == "runstone-collect" && library == "clap");
                let mut dependency = normal(library);
                dependency["optional"] = json!(true);
                assert_eq!(
                    problems(other, &dependency).is_empty(),
                    allowed,
                    "{other} names {library}"
                );
            }
            assert!(problems("runstone-model", &dev(library)).is_empty());
        }
        assert_eq!(
            problems("runstone-server", &normal("rusqlite")),
            ["runstone-server: must not name rusqlite: that belongs to runstone-store alone"]
        );
        assert_eq!(problems("runstone-store", &normal("sqlx-core")).len(), 1);
        assert_eq!(problems("runstone", &normal("aws-sdk-ecs")).len(), 1);
    }

    #[test]
    fn flags_reach_the_collectors_behind_a_feature_only() {
        assert_eq!(
            problems("runstone-collect", &normal("clap")),
            ["runstone-collect: must name clap only behind its feature `clap`"]
        );
    }

    #[test]
    fn a_pure_room_knows_nothing_of_the_world() {
        for library in [
            "tokio",
            "tokio-util",
            "reqwest",
            "getrandom",
            "rand",
            "tempfile",
        ] {
            assert_eq!(
                problems("runstone-model", &normal(library)).len(),
                1,
                "{library}"
            );
            assert!(
                problems("runstone-model", &dev(library)).is_empty(),
                "{library}"
            );
        }
        assert_eq!(problems("runstone-journal", &normal("serde_json")).len(), 1);
        assert!(problems("runstone-model", &normal("serde_json")).is_empty());
        assert_eq!(problems("runstone-store", &normal("hyper-util")).len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_a_problem() {
        assert_eq!(problems("runstone-extra", &normal("serde")).len(), 1);
    }
}
