//! Custom types: what they judge, what is refused, and that nothing a user writes runs for long.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use super::*;

fn of(schema: &Value, rules: &[&str]) -> Result<CompiledType, FieldErrors> {
    CompiledType::new(&TypeVersion {
        schema: Some(schema.clone()),
        rules: Some(rules.iter().map(|rule| (*rule).to_owned()).collect()),
        summary: None,
    })
}

fn rule(text: &str) -> CompiledType {
    of(&json!({}), &[text]).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn holds(text: &str, data: &Value) -> bool {
    let evaluation = rule(text).evaluate(data, Micros(0));
    assert_eq!(evaluation.is_compliant, evaluation.problems.is_empty());
    evaluation.is_compliant
}

#[test]
fn rules_judge_data() {
    let data = json!({
        "age": 42, "name": "Ada", "tags": ["a", "b"], "nested": {"deep": [1, 2, {"x": null}]},
        "findings": [{"severity": "low", "n": 1}, {"severity": "high", "n": 2}],
        "text": "{\"a\": 1.5}", "version": "1.2.3",
    });
    for (text, expected) in [
        (".age > 21", true),
        (".age > 42", false),
        (".age >= 21 and .name == \"Ada\"", true),
        (".missing", false),
        (".age", false),
        ("true, false", false),
        ("true, true", false),
        ("empty", false),
        (".name.x == 1", false),
        ("error(\"no\")", false),
        ("try error(\"no\") catch . == \"no\"", true),
        (".tags | length == 2", true),
        ("(.tags | index(\"b\")) == 1", true),
        (".tags | contains([\"a\"])", true),
        ("[\"a\"] | inside([\"a\", \"b\"])", true),
        (".nested | has(\"deep\")", true),
        (".nested.deep | has(2) and (has(3) | not)", true),
        (".nested.deep[-1].x == null", true),
        (".nested.deep[0:2] == [1, 2]", true),
        (
            "[.findings[] | select(.severity == \"critical\")] | length == 0",
            true,
        ),
        ("all(.findings[]; .severity != \"high\")", false),
        ("any(.findings[]; .n == 2)", true),
        ("[.findings[].n] | add == 3", true),
        (
            ".findings | group_by(.severity) | map(length) == [1, 1]",
            true,
        ),
        (".findings | sort_by(.n) | .[0].severity == \"low\"", true),
        (".findings | map(.n) | min == 1", true),
        (".findings | unique_by(.severity) | length == 2", true),
        ("(.text | fromjson | .a) == 1.5", true),
        (
            "(.nested | tojson) == \"{\\\"deep\\\":[1,2,{\\\"x\\\":null}]}\"",
            true,
        ),
        (".name | test(\"^A\") and (test(\"b\") | not)", true),
        (
            ".version | capture(\"(?<major>[0-9]+)\").major == \"1\"",
            true,
        ),
        (".version | split(\".\") | map(tonumber) == [1, 2, 3]", true),
        (".name | ascii_downcase | startswith(\"ad\")", true),
        ("\"\\(.name) \\(.age)\" == \"Ada 42\"", true),
        ("[.. | numbers] | length == 5", true),
        ("reduce range(10) as $i (0; . + $i) == 45", true),
        ("[range(0; 10; 3)] == [0, 3, 6, 9]", true),
        ("[limit(3; repeat(1))] == [1, 1, 1]", true),
        ("first(range(10; 20)) == 10", true),
        ("[foreach range(4) as $i (0; . + $i)] == [0, 1, 3, 6]", true),
        ("1 | until(. > 100; . * 2) == 128", true),
        ("def double(f): f * 2; double(.age) == 84", true),
        (".tags |= map(. + \"x\") | .tags == [\"ax\", \"bx\"]", true),
        (".age += 1 | .age == 43", true),
        ("del(.tags[0]) | .tags == [\"b\"]", true),
        (
            ".tags[1:] = [\"z\", \"y\"] | .tags == [\"a\", \"z\", \"y\"]",
            true,
        ),
        ("null | .[2] = 1 | . == [null, null, 1]", true),
        ("[1] | .[-1] = 2 | . == [2]", true),
        ("[1] | try (.[-2] = 2) catch true | . == true", true),
        (".age | IN(1, 42)", true),
        ("(.findings | INDEX(.severity) | .high.n) == 2", true),
        (".age | toarray == [42]", true),
        (".new.inner = 1 | .new == {\"inner\": 1}", true),
        ("to_entries | map(.key) | contains([\"age\"])", true),
        ("with_entries(.value |= 1) | .age == 1", true),
        ("[paths] | length > 5", true),
        ("keys | first == \"age\"", true),
        ("\"ab\" * 3 == \"ababab\"", true),
        (
            "{\"a\": {\"b\": 1}} * {\"a\": {\"c\": 2}} == {\"a\": {\"b\": 1, \"c\": 2}}",
            true,
        ),
        ("[1, 2, 3] - [2] == [1, 3]", true),
        ("7 % 4 == 3 and -7 / 2 == -3.5", true),
        ("\"a,b\" / \",\" == [\"a\", \"b\"]", true),
        ("(\"aXbX\" | [match(\"X\"; \"g\").offset]) == [1, 3]", true),
        ("\"aXb\" | sub(\"X\"; \"-\") == \"a-b\"", true),
        (
            "(\"äöä\" | indices(\"ä\")) == [0, 2] and (\"äö\" | length == 2)",
            true,
        ),
        (
            "(\"aGk=\" | @base64d) == \"hi\" and (\"hi\" | @base64) == \"aGk=\"",
            true,
        ),
        ("(0 | todate) == \"1970-01-01T00:00:00Z\"", true),
        ("label $out | if . then true, break $out else . end", true),
        ("[splits(\"a\")?] == []", true),
        ("now == 0", true),
        ("env == {}", true),
        ("halt", false),
        ("$ENV == {}", false),
    ] {
        if text.starts_with('$') {
            assert!(of(&json!({}), &[text]).is_err());
            continue;
        }
        assert_eq!(holds(text, &data), expected, "{text}");
    }
    let late = rule("now > 1000").evaluate(&data, Micros(1_000_500_000));
    assert!(late.is_compliant);
}

#[test]
fn schemas_judge_data() {
    let person = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "required": ["age"], "additionalProperties": false,
        "properties": {
            "age": {"type": "integer", "minimum": 0}, "mail": {"type": "string", "format": "email"},
            "kids": {"type": "array", "items": {"$ref": "#"}, "uniqueItems": true},
            "kind": {"enum": ["a", {"x": 1}]}, "code": {"pattern": "^[a-z]+$"}, "fixed": {"const": [1]},
        },
    });
    let compiled = of(&person, &["true"]).unwrap();
    let check = |data: Value| compiled.evaluate(&data, Micros(0));
    for good in [
        json!({"age": 1}),
        json!({"age": 1, "kids": [{"age": 2}, {"age": 3, "kids": []}], "kind": {"x": 1}}),
        json!({"age": 1.0, "code": "abc", "fixed": [1], "mail": "a@b.c"}),
    ] {
        assert_eq!(check(good.clone()).problems, Vec::<String>::new(), "{good}");
    }
    for bad in [
        json!(7),
        json!({}),
        json!({"age": -1}),
        json!({"age": "1"}),
        json!({"age": 1, "more": 1}),
        json!({"age": 1, "kids": [{"age": 2}, {"age": 2}]}),
        json!({"age": 1, "kids": [{"kids": []}]}),
        json!({"age": 1, "kind": "b"}),
        json!({"age": 1, "code": "A"}),
        json!({"age": 1, "fixed": [2]}),
    ] {
        assert!(!check(bad.clone()).is_compliant, "{bad}");
    }
    assert_eq!(
        check(json!({"age": "1", "kids": [{}]})).problems,
        [
            "/age: \"1\" is not of type \"integer\"",
            "/kids/0: \"age\" is a required property",
        ]
    );
    let both = of(&person, &[".age > 21", ".age < 50"]).unwrap();
    assert!(both.evaluate(&json!({"age": 30}), Micros(0)).is_compliant);
    assert_eq!(
        both.evaluate(&json!({"age": 60}), Micros(0)).problems,
        ["rule '.age < 50' does not yield true"]
    );
    for (schema, data, expected) in [
        (json!(true), json!(1), true),
        (json!({"not": true}), json!(1), false),
        (json!({"not": false}), json!(1), true),
        (
            json!({"allOf": [true, {"type": "integer"}]}),
            json!(1),
            true,
        ),
        (
            json!({"anyOf": [false, {"type": "string"}]}),
            json!(1),
            false,
        ),
        (
            json!({"if": {"type": "string"}, "then": false, "else": true}),
            json!("x"),
            false,
        ),
        (
            json!({"if": {"type": "string"}, "then": false, "else": true}),
            json!(1),
            true,
        ),
        (json!({"properties": {"a": false}}), json!({"a": 1}), false),
        (
            json!({"properties": {"default": {"type": "string"}}, "dependentRequired": {"a": ["b"]}}),
            json!({"a": 1}),
            false,
        ),
        (
            json!({"$defs": {"default": {"type": "string"}}, "$ref": "#/$defs/default"}),
            json!(1),
            false,
        ),
        (
            json!({"unevaluatedProperties": false, "properties": {"a": true}}),
            json!({"a": 1}),
            true,
        ),
        (
            json!({"unevaluatedProperties": false, "properties": {"a": true}}),
            json!({"b": 1}),
            false,
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"type": "string"}}, "items": [{"$ref": "#/definitions/a"}], "additionalItems": false}),
            json!(["x", 1]),
            false,
        ),
        (
            json!({"prefixItems": [true], "items": false}),
            json!([1, 2]),
            false,
        ),
    ] {
        let found = of(&schema, &["true"])
            .unwrap()
            .evaluate(&data, Micros(0))
            .is_compliant;
        assert_eq!(found, expected, "{schema} {data}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let create = |body: &Value, schema: Option<&str>| {
        let errors =
            create_type(body.to_string().as_bytes(), schema.map(str::as_bytes)).unwrap_err();
        let lines: Vec<String> = errors.0.iter().map(|(p, t)| format!("{p}: {t}")).collect();
        lines
    };
    let jq =
        |rules: Value| json!({"name": "t", "evaluator": {"content_type": "jq", "rules": rules}});
    assert_eq!(
        create(
            &json!({"name": "a b", "description": 1, "evaluator": {"content_type": "rego"},
                    "summary": [{"name": "x"}], "more": 1}),
            None
        ),
        [
            "description: Input should be a valid string [input: 1]",
            "evaluator.content_type: Input should be 'default' or 'jq' [input: rego]",
            "more: Extra inputs are not permitted [input: 1]",
            r"name: String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\-_~]*$' [input: a b]",
            "summary[0].expression: Field required [input: None]",
        ]
    );
    assert_eq!(
        create(
            &jq(json!([
                ".a >",
                "foo(1)",
                "$x",
                "import \"a\" as a; .",
                "\"\\(",
                "def f: f; f",
                "1 |",
                "."
            ])),
            Some("{")
        ),
        [
            "evaluator.rules[0]: Invalid jq: expected term at '' [input: .a >]",
            "evaluator.rules[1]: Invalid jq: there is no filter 'foo/1' [input: foo(1)]",
            "evaluator.rules[2]: Invalid jq: there is no variable '$x' [input: $x]",
            "evaluator.rules[3]: Invalid jq: modules cannot be used [input: import \"a\" as a; .]",
            "evaluator.rules[4]: Invalid jq: expected closing parenthesis at '' [input: \"\\(]",
            "evaluator.rules[5]: Invalid jq: 'f' calls itself; use recurse, until, while or repeat [input: def f: f; f]",
            "evaluator.rules[6]: Invalid jq: expected term at '' [input: 1 |]",
            "type_schema: Invalid JSON at line 1 column 1 [input: ]",
        ]
    );
    assert_eq!(create(&jq(json!([])), None).len(), 1);
    for recursive in [
        "def f(g): f(g | g); f(.)",
        "def f: def g: f; g; f",
        "def a: [.[] | a]; a",
        "def f: if . then {a: f} else (try f catch f) end; f",
        "def f: reduce . as [$x] (f; .); f",
        "def f: .[f]; f",
        "def f: \"\\(f)\"; f",
        "def f: . as {(f): $x} | $x; f",
        "runstone_matches(\"a\"; \"\")",
    ] {
        assert_eq!(
            create(&jq(json!([recursive])), None).len(),
            1,
            "{recursive}"
        );
    }
    let many = vec!["true"; RULES_MAX + 1];
    assert_eq!(
        create(&jq(json!(many)), None),
        ["evaluator.rules[100]: List should have at most 100 items [input: true]"]
    );
    let long = format!("\"{}\" == .", "x".repeat(rule::RULE_BYTES_MAX));
    assert!(create(&jq(json!([long])), None)[0].contains("Rule should have at most 4096 bytes"));
    let named = json!({"name": "t"});
    for (schema, expected) in [
        ("[]", "it should be an object"),
        ("{\"type\": \"strange\"}", "Invalid JSON Schema"),
        (
            "{\"$ref\": \"https://example.com/other\"}",
            "Invalid JSON Schema",
        ),
        ("{\"$ref\": \"file:///etc/passwd\"}", "Invalid JSON Schema"),
        (
            "{\"$ref\": \"#/default/a\", \"default\": {\"a\": {}}}",
            "is not supported",
        ),
        ("{\"$ref\": \"#/%64efault\"}", "is not supported"),
        ("{\"pattern\": \"(?<=a)b\"}", "Invalid JSON Schema"),
        ("{\"pattern\": \"(\"}", "Invalid JSON Schema"),
    ] {
        let found = create(&named, Some(schema));
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{schema}: {found:?}"
        );
    }
}

#[test]
fn types_are_created_shown_and_read_back() {
    let body = json!({"name": "age.check", "description": "d",
        "evaluator": {"content_type": "jq", "rules": [".age > 21"]},
        "summary": [{"name": "Age", "expression": ".age"}, {"name": "Bad", "expression": ".age.x"}]});
    let created =
        create_type(body.to_string().as_bytes(), Some(b"{\"type\": \"object\"}")).unwrap();
    assert_eq!(
        (created.name.as_str(), created.description.as_deref()),
        ("age.check", Some("d"))
    );
    let shown = created.version.to_json();
    assert_eq!(
        Value::from(shown.clone()),
        json!({"type_schema": {"type": "object"},
               "evaluator": {"content_type": "jq", "rules": [".age > 21"]},
               "summary": [{"name": "Age", "expression": ".age"}, {"name": "Bad", "expression": ".age.x"}]})
    );
    assert_eq!(TypeVersion::from_json(&shown), created.version);
    let evaluation = CompiledType::new(&created.version)
        .unwrap()
        .evaluate(&json!({"age": 30}), Micros(0));
    assert_eq!(
        evaluation.summary,
        [
            ("Age".to_owned(), json!(30)),
            ("Bad".to_owned(), Value::Null)
        ]
    );
    assert!(evaluation.is_compliant);

    for (body, schema) in [
        (json!({"name": "t"}), None),
        (
            json!({"name": "t", "evaluator": {"content_type": "default"}, "summary": null}),
            Some(&b" \n"[..]),
        ),
    ] {
        let version = create_type(body.to_string().as_bytes(), schema)
            .unwrap()
            .version;
        assert_eq!(version, TypeVersion::default());
        let shown = Value::from(version.to_json());
        assert_eq!(
            shown,
            json!({"type_schema": null, "evaluator": {"content_type": "default"}, "summary": null})
        );
        let anything = CompiledType::new(&version).unwrap();
        assert!(anything.evaluate(&json!(["any"]), Micros(0)).is_compliant);
    }
}

/// Runs a rule that should be stopped; it must end soon and not be green.
#[track_caller]
fn stopped(compiled: &CompiledType, data: &Value, expected: Stop) {
    let evaluation = compiled.evaluate(data, Micros(0));
    assert_eq!(evaluation.problems, [expected.to_string()]);
}

#[test]
fn endless_and_hungry_rules_are_stopped() {
    for (text, why) in [
        ("last(repeat(1))", Stop::Steps),
        ("[range(0; infinite)]", Stop::Steps),
        ("last(range(0; 1; 0))", Stop::Steps),
        ("[range(1e12)] | length > 1", Stop::Steps),
        ("until(false; .)", Stop::Steps),
        ("last(recurse(.))", Stop::Steps),
        ("try last(repeat(error(1)?)) catch true", Stop::Steps),
        ("last(repeat(try error(1) catch .))", Stop::Steps),
        ("\"x\" * 1000000000000 | true", Stop::Steps),
        ("reduce range(100) as $i (\"x\"; . + .) | true", Stop::Steps),
        ("reduce range(100) as $i ([1]; . + .) | true", Stop::Steps),
        ("reduce range(100) as $i (10; . * .) | true", Stop::Steps),
        (
            "reduce range(100) as $i ({\"a\": 1}; {a: ., b: .}) | tojson | true",
            Stop::Steps,
        ),
        ("[limit(1000000000; repeat([1]))] | true", Stop::Steps),
        (
            "[range(100000)] as $a | [$a[] | $a == $a] | all",
            Stop::Steps,
        ),
        ("[range(2000)] | [combinations(3)] | true", Stop::Steps),
        ("reduce range(100000) as $i (null; [.]) | true", Stop::Depth),
        (
            "reduce range(100000) as $i (null; {a: .}) | true",
            Stop::Depth,
        ),
        (
            "reduce range(100000) as $i ([]; .[0] = .) | true",
            Stop::Depth,
        ),
        ("\"x\" * 10000 | test(\"(x{1000}){1000}\")", Stop::Steps),
        ("\"x\" * 30000 | gsub(\"x*y|x\"; \"\") | true", Stop::Steps),
    ] {
        stopped(&rule(text), &json!({"a": [1, 2, 3]}), why);
    }
}

#[test]
fn schemas_that_multiply_are_stopped() {
    /// Finished, because the library remembers what it knows already, or stopped.
    #[track_caller]
    fn ends(compiled: &CompiledType, data: &Value) {
        compiled.evaluate(data, Micros(0));
    }

    let tree = |leaf: Value, how: &str| {
        let mut defs = Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({how: [next.clone(), next]}));
        }
        defs.insert("d60".to_owned(), leaf);
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    };
    for (leaf, how) in [
        (json!(true), "allOf"),
        (json!({}), "allOf"),
        (json!(false), "anyOf"),
        (json!({"type": "string"}), "anyOf"),
        (json!({"title": "t"}), "allOf"),
    ] {
        let schema = tree(leaf, how);
        ends(&of(&schema, &["true"]).unwrap(), &json!(1));
    }
    let twice = json!({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]});
    let mut deep = json!([]);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    ends(&of(&twice, &["true"]).unwrap(), &deep);
    let data = json!({"a": "x".repeat(1_000_000)});
    let patterns: Vec<Value> = (0..200)
        .map(|n| json!({"pattern": format!("x{n}y")}))
        .collect();
    let schema = json!({"properties": {"a": {"not": {"anyOf": patterns}}}});
    stopped(&of(&schema, &["true"]).unwrap(), &data, Stop::Steps);
}

#[test]
fn a_schema_that_says_nothing_but_itself_is_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [true, {"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"properties": {"x": {"$ref": "#/properties/x"}}}),
        json!({"$defs": {"a": {"$anchor": "here", "oneOf": [{"$ref": "#here"}]}}}),
        json!({"$ref": "other", "$defs": {"a": {"$id": "other", "if": {"$ref": "#"}}}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
    ] {
        let errors = of(&schema, &["true"]).err().unwrap_or_default();
        let found = errors.0.get(SCHEMA_PART).cloned().unwrap_or_default();
        assert!(found.contains("without end"), "{schema}: {errors:?}");
    }
    // Going on to a part of the value ends with the value.
    let data = json!({"child": {"child": {}}});
    for (schema, expected) in [
        (
            json!({"properties": {"child": {"$ref": "#"}}, "required": ["child"]}),
            false,
        ),
        (
            json!({"properties": {"child": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}}}}),
            true,
        ),
        (
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}}),
            true,
        ),
        (json!({"const": {"$ref": "#"}}), false),
        (json!({"not": {"enum": [{"$ref": "#"}]}}), true),
    ] {
        let compiled = of(&schema, &["true"]).unwrap_or_else(|e| panic!("{schema}: {e}"));
        assert_eq!(
            compiled.evaluate(&data, Micros(0)).is_compliant,
            expected,
            "{schema}"
        );
    }
}

#[test]
fn deep_texts_do_not_overflow_the_stack() {
    for text in [
        format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000)),
        format!("{}{}", "[".repeat(2_000), "]".repeat(2_000)),
        format!("{}.", "-".repeat(4_000)),
        "1|".repeat(2_000) + "1",
        "[".repeat(4_000),
    ] {
        let _ = of(&json!({}), &[&text]);
    }
    let mut schema = json!({});
    for _ in 0..100 {
        schema = json!({"not": schema});
    }
    assert!(
        of(&schema, &["true"])
            .unwrap()
            .evaluate(&json!(1), Micros(0))
            .is_compliant
    );
}

#[test]
fn data_of_reason_fits_the_bounds() {
    let findings: Vec<Value> = (0..20_000)
        .map(|n| json!({"id": n, "severity": "low", "package": {"name": format!("p{}", n % 100)}}))
        .collect();
    let data = json!({"findings": findings});
    let schema = json!({"properties": {"findings": {"items": {"type": "object", "required": ["id", "severity"],
        "properties": {"severity": {"enum": ["low", "high"]}, "package": {"type": "object"}}}}}});
    let compiled = of(
        &schema,
        &[
            "all(.findings[]; .severity != \"high\")",
            "[.findings[] | select(.severity == \"high\")] | length == 0",
            ".findings | group_by(.package.name) | length == 100",
            "reduce .findings[] as $f (0; . + 1) == 20000",
        ],
    );
    assert_eq!(
        compiled.unwrap().evaluate(&data, Micros(0)).problems,
        Vec::<String>::new()
    );
}
