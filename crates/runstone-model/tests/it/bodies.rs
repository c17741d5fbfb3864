//! Request bodies other than reports: what is accepted, and every error text.

use proptest::prelude::*;
use runstone_model::name::{EnvironmentKind, EnvironmentName, OrganizationName, TagKey};
use runstone_model::read::{
    self, ERRORS_MAX, FieldErrors, INPUT_CHARS_MAX, PatchEnvironment, QueryReader,
};

/// The errors as `path: text` lines.
fn lines<T: std::fmt::Debug>(result: Result<T, FieldErrors>) -> Vec<String> {
    let errors = result.unwrap_err();
    errors
        .0
        .iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect()
}

#[test]
fn environment_is_read() {
    let body = br#"{"name":"prod-1.x_y~z","type":"azure-apps","description":""}"#;
    let put = read::put_environment(body).unwrap();
    assert_eq!(put.name.as_str(), "prod-1.x_y~z");
    assert_eq!(put.kind, EnvironmentKind::AzureApps);
    assert_eq!(put.description, "");
    assert_eq!(put.include_scaling, None);
    assert_eq!(put.included_environments, None);

    let body = br#"{"name":"all","type":"logical","description":"d","include_scaling":true,
        "require_provenance":null,"included_environments":["b","a",""],"policies":null}"#;
    let put = read::put_environment(body).unwrap();
    assert_eq!(put.include_scaling, Some(true));
    assert_eq!(put.included_environments.unwrap(), ["b", "a", ""]);
    assert_eq!(put.policies, None);
}

#[test]
fn all_errors_of_an_environment_are_told_at_once() {
    let body = br#"{"name":"-bad","type":"k8s","include_scaling":"perhaps","extra":{"a":[1,true]},
        "included_environments":["a",7],"policies":"p"}"#;
    assert_eq!(
        lines(read::put_environment(body)),
        [
            "description: Field required [input: None]",
            r#"extra: Extra inputs are not permitted [input: {"a": [1, true]}]"#,
            "include_scaling: Input should be a valid boolean, unable to interpret input [input: perhaps]",
            "included_environments[1]: Input should be a valid string [input: 7]",
            r"name: String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$' [input: -bad]",
            "policies: Input should be a valid list [input: p]",
            "type: Input should be 'K8S', 'ECS', 'S3', 'lambda', 'server', 'docker', 'azure-apps', \
             'cloud-run' or 'logical' [input: k8s]",
        ]
    );
}

#[test]
fn bodies_that_are_no_object() {
    let check = |body: &[u8], expected: &str| {
        assert_eq!(lines(read::rename_environment(body)), [expected]);
        assert_eq!(lines(read::put_environment(body)), [expected]);
    };
    let object = "Input should be a valid dictionary or object to extract fields from";
    check(b"null", &format!("body: {object} [input: None]"));
    check(b"[1]", &format!("body: {object} [input: [1]]"));
    check(b"\"x\"", &format!("body: {object} [input: x]"));
    check(
        b"",
        "body: Invalid JSON: the input ends too early at line 1 column 0 [input: ]",
    );
    check(
        b"{\"new_name\": ",
        "body: Invalid JSON: the input ends too early at line 1 column 13 [input: {\"new_name\": ]",
    );
    check(
        b"hello",
        "body: Invalid JSON at line 1 column 1 [input: hello]",
    );
    check(
        b"{\"new_name\":\"\xff\xfe\"}",
        r#"body: Invalid JSON: byte 13 is not UTF-8 [input: \xff\xfe\"}]"#,
    );
    check(
        b"{} {}",
        "body: Invalid JSON at line 1 column 4 [input: {} {}]",
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let found = lines(read::rename_environment(deep.as_bytes()));
    assert!(
        found[0].starts_with("body: Invalid JSON at line 1 column "),
        "{found:?}"
    );
    let member = format!("{{\"new_name\":{deep}}}");
    assert_eq!(lines(read::rename_environment(member.as_bytes())).len(), 1);
}

#[test]
fn repeated_members_are_refused() {
    assert_eq!(
        lines(read::rename_environment(
            br#"{"new_name":"a","new_name":"b"}"#
        ))
        .len(),
        1
    );
    let found = lines(read::rename_environment(
        br#"{"new_name":"a","new_\u006eame":"b"}"#,
    ));
    assert_eq!(
        found,
        ["new_name: Member 'new_name' is given more than once [input: b]"]
    );
}

#[test]
fn rename_and_join() {
    let renamed = read::rename_environment(br#"{"new_name":"next"}"#).unwrap();
    assert_eq!(renamed.as_str(), "next");
    assert_eq!(
        lines(read::rename_environment(
            br#"{"new_name":"new illegal name"}"#
        )),
        [
            r"new_name: String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$' [input: new illegal name]"
        ]
    );
    assert_eq!(
        lines(read::rename_environment(b"{}")),
        ["new_name: Field required [input: None]"]
    );
    let joined = read::join_environment(br#"{"physical_env_name":""}"#).unwrap();
    assert_eq!(joined, "");
    assert_eq!(
        lines(read::join_environment(br#"{"physical_env_name":null}"#)),
        ["physical_env_name: Input should be a valid string [input: None]"]
    );
}

#[test]
fn patch_changes_only_what_is_given() {
    assert_eq!(
        read::patch_environment(b"{}").unwrap(),
        PatchEnvironment::default()
    );
    let patch = read::patch_environment(
        br#"{"description":"","include_scaling":"no","included_environments":[],"policies":null}"#,
    )
    .unwrap();
    assert_eq!(patch.description.as_deref(), Some(""));
    assert_eq!(patch.include_scaling, Some(false));
    assert_eq!(patch.included_environments, Some(vec![]));
    assert_eq!(patch.policies, None);
    assert_eq!(
        lines(read::patch_environment(
            br#"{"name":"x","include_scaling":[]}"#
        )),
        [
            "include_scaling: Input should be a valid boolean [input: []]",
            "name: Extra inputs are not permitted [input: x]",
        ]
    );
}

#[test]
fn tags() {
    let tags = read::patch_tags(
        br#"{"set_tags":{"team":"platform","url":"https://x/?a=b"},"remove_tags":[""]}"#,
    )
    .unwrap();
    assert_eq!(tags.set[&TagKey::parse("team").unwrap()], "platform");
    assert_eq!(tags.remove, [""]);
    let none = read::patch_tags(br#"{"set_tags":null,"remove_tags":null}"#).unwrap();
    assert_eq!(none, read::PatchTags::default());
    assert_eq!(
        lines(read::patch_tags(br#"{"set_tags":["a"]}"#)),
        [r#"set_tags: Input should be a valid dictionary [input: ["a"]]"#]
    );
    assert_eq!(
        lines(read::patch_tags(
            br#"{"set_tags":{"bad key":"v","n":1,"d":"1","d":"2"},"remove_tags":[null]}"#
        )),
        [
            "remove_tags[0]: Input should be a valid string [input: None]",
            "set_tags.d: Member 'd' is given more than once [input: 2]",
        ]
    );
    assert_eq!(
        lines(read::patch_tags(br#"{"set_tags":{"bad key":"v","n":1}}"#)),
        [
            r"set_tags.bad key: String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\-_\.~]*$' [input: bad key]",
            "set_tags.n: Input should be a valid string [input: 1]",
        ]
    );
}

#[test]
fn errors_and_inputs_are_bounded() {
    let many: Vec<String> = (0..5_000).map(|n| format!("\"x{n}\":{n}")).collect();
    let body = format!("{{{}}}", many.join(","));
    let errors = read::patch_environment(body.as_bytes()).unwrap_err();
    assert_eq!(errors.0.len(), ERRORS_MAX);

    let huge = format!(r#"{{"new_name":"{}"}}"#, "a".repeat(1 << 20));
    let errors = read::rename_environment(huge.as_bytes()).unwrap_err();
    assert!(errors.0["body"].starts_with("Body should have at most 1048576 bytes [input: {"));

    let long = "ä".repeat(100_000);
    let body = format!(r#"{{"new_name":"{long}","{long}":"{long}","y":[["{long}"]]}}"#);
    let errors = read::rename_environment(body.as_bytes()).unwrap_err();
    assert_eq!(errors.0.len(), 3);
    for (path, text) in &errors.0 {
        assert!(path.chars().count() <= INPUT_CHARS_MAX + 1);
        assert!(text.chars().count() <= INPUT_CHARS_MAX + 100);
        assert!(text.contains('…'));
    }
}

#[test]
fn names() {
    for good in ["a", "0", "prod", "a.b-c_d", "a~1", &"x".repeat(255)] {
        assert_eq!(EnvironmentName::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        "-a",
        ".a",
        "~a",
        "a b",
        "a#1",
        "a@{now}",
        "a/b",
        "ä",
        "a\n",
        &"x".repeat(256),
    ] {
        assert!(EnvironmentName::parse(bad).is_err(), "{bad:?}");
    }
    assert!(OrganizationName::parse("cyber-dojo").is_ok());
    for bad in ["api", "login", "log", "_server", "a.b", "a~b"] {
        assert!(OrganizationName::parse(bad).is_err(), "{bad}");
    }
    assert!(TagKey::parse("a.b~c-d_e").is_ok());
    for kind in EnvironmentKind::ALL {
        assert_eq!(EnvironmentKind::from_wire(kind.as_wire()), Some(kind));
    }
    assert_eq!(EnvironmentKind::from_wire("k8s"), None);
}

#[test]
fn query_values() {
    let mut query = QueryReader::new();
    assert_eq!(query.integer("page", Some("3"), 1, None), Some(3));
    assert_eq!(query.integer("page", None, 1, None), None);
    assert_eq!(query.boolean("reverse", Some("True")), Some(true));
    assert_eq!(
        query.number("start_ts", Some("1700000000.5")),
        Some(1_700_000_000.5)
    );
    assert_eq!(query.finish(), Ok(()));

    let mut query = QueryReader::new();
    query.integer("page", Some("0"), 1, None);
    query.integer("per_page", Some("51"), 1, Some(50));
    query.integer("x", Some("abc"), 1, None);
    query.boolean("reverse", Some("perhaps"));
    query.number("start_ts", Some("soon"));
    query.number("end_ts", Some("inf"));
    query.one_of("sort_direction", Some("up"), &[("asc", 1), ("desc", 2)]);
    query.one_of(
        "type[0]",
        Some("k8s"),
        &[("name", 1), ("last_modified_at", 2), ("last_changed_at", 3)],
    );
    query.required("snappish1", None);
    assert_eq!(
        lines(query.finish()),
        [
            "query.end_ts: Input should be a finite number [input: inf]",
            "query.page: Input should be greater than or equal to 1 [input: 0]",
            "query.per_page: Input should be less than or equal to 50 [input: 51]",
            "query.reverse: Input should be a valid boolean, unable to interpret input [input: perhaps]",
            "query.snappish1: Field required [input: None]",
            "query.sort_direction: Input should be 'asc' or 'desc' [input: up]",
            "query.start_ts: Input should be a valid number, unable to parse string as a number [input: soon]",
            "query.type[0]: Input should be 'name', 'last_modified_at' or 'last_changed_at' [input: k8s]",
            "query.x: Input should be a valid integer, unable to parse string as an integer [input: abc]",
        ]
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::put_environment(&body);
        let _ = read::patch_environment(&body);
        let _ = read::rename_environment(&body);
        let _ = read::join_environment(&body);
        let _ = read::patch_tags(&body);
    }

    #[test]
    fn a_refused_name_is_quoted(name in "\\PC{0,200}") {
        let body = serde_json::json!({"new_name": name}).to_string();
        match read::rename_environment(body.as_bytes()) {
            Ok(read) => prop_assert_eq!(read.as_str(), name),
            Err(errors) => {
                let tail = format!(" [input: {name}]");
                prop_assert!(errors.0["new_name"].ends_with(&tail));
            }
        }
    }

    #[test]
    fn expressions_and_intervals_never_panic_and_quote(text in ".{0,40}", len in 0_u64..5, now: i64) {
        use runstone_model::expression::{Snappish, SnapshotRef};
        use runstone_model::id::Micros;
        use runstone_model::interval::{EventsQuery, Interval};
        match SnapshotRef::parse(&text) {
            Ok(expression) => {
                let resolved = expression.resolve(Micros(now), len, |_| len);
                prop_assert!(resolved.is_err() || (1..=len).contains(&resolved.unwrap()));
            }
            Err(error) => prop_assert_eq!(error.message(), format!("Bad snappish {}", text)),
        }
        if let Err(error) = Snappish::candidates(&text) {
            prop_assert_eq!(error.message(), format!("Bad snappish {}", text));
        }
        let query = EventsQuery { start: Some(&text), ..EventsQuery::default() };
        for interval in [Interval::parse(&text), Interval::of_events(&query)] {
            match interval {
                Ok(interval) => {
                    let range = interval.resolve(Micros(now), len, |_| len);
                    prop_assert!(range.is_none_or(|r| *r.start() >= 1 && *r.end() <= len && !r.is_empty()));
                }
                Err(error) => {
                    prop_assert_eq!(error.message(), format!("Invalid interval value: {}", text));
                }
            }
        }
    }

    #[test]
    fn grammatical_expressions_resolve_within(
        text in "(#|~|-|)[0-9]{1,20}|@\\{[0-9]{1,20}\\.(hours|day|weeks|months)\\.ago\\}|@\\{[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\}",
        len: u64, now: i64, at: u64,
    ) {
        use runstone_model::expression::SnapshotRef;
        use runstone_model::id::Micros;
        if let Ok(expression) = SnapshotRef::parse(&text) {
            match expression.resolve(Micros(now), len, |_| at) {
                Ok(index) => prop_assert!(index >= 1 && index <= len),
                Err(error) => {
                    prop_assert!(error.resolved < 1 || error.resolved > i128::from(len));
                    let quoted = SnapshotRef::quoted("e", &text);
                    prop_assert!(error.message("o", "e", &quoted).contains(&text));
                }
            }
        }
    }
}
