//! A file of each format, files that only look like one, and files that would do harm.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

#[track_caller]
fn check(text: &str, format: &str, summary: &Value) {
    let found = recognise(text.as_bytes()).unwrap();
    assert_eq!((found.format, &found.summary), (format, summary));
}

#[test]
fn xml_formats() {
    check(
        "\u{feff}<?xml version=\"1.0\"?>\n<testsuites name=\"all\">
           <testsuite name=\"s\" tests=\"99\"><testcase time=\"0.5\"/><testcase time=\"0.25\"><failure>a &lt; b &#65;</failure><error/></testcase></testsuite>
           <testsuite><testcase><skipped/></testcase><testcase time=\"x\"><error/></testcase><testcase><system-out/></testcase></testsuite></testsuites>",
        "junit",
        &json!({"suites": 2, "tests": 5, "passed": 2, "failures": 1, "errors": 1, "skipped": 1, "seconds": 0.75}),
    );
    check(
        "<testsuite><testcase/></testsuite>",
        "junit",
        &json!({"suites": 1, "tests": 1, "passed": 1, "failures": 0, "errors": 0, "skipped": 0, "seconds": 0.0}),
    );
    check(
        "<?xml version=\"1.0\" ?><!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
         <coverage line-rate=\"0.75\" branch-rate=\"0\" lines-covered=\"3\" lines-valid=\"4\"><packages><package><classes><class/><class/></classes></package></packages></coverage>",
        "cobertura",
        &json!({"line_rate": 0.75, "branch_rate": 0, "lines_covered": 3, "lines_valid": 4,
                "branches_covered": null, "branches_valid": null, "packages": 1, "classes": 2}),
    );
    check(
        "<!DOCTYPE report PUBLIC \"-//JACOCO//DTD Report 1.1//EN\" \"report.dtd\"><report name=\"app\"><package name=\"p\"><counter type=\"LINE\" missed=\"7\" covered=\"7\"/></package><counter type=\"LINE\" missed=\"1\" covered=\"9\"/></report>",
        "jacoco",
        &json!({"name": "app", "packages": 1, "counters": {"line": {"missed": 1, "covered": 9}}}),
    );
    check(
        "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.5\" serialNumber=\"urn:x\"><metadata><component/></metadata><components><component><components><component/></components></component><component/></components><dependencies><dependency><dependency/></dependency></dependencies></bom>",
        "cyclonedx",
        &json!({"version": "1.5", "serial_number": "urn:x", "name": null, "components": 2,
                "dependencies": 1, "vulnerabilities": 0}),
    );
}

fn statement(predicate_type: &str, predicate: &Value) -> Value {
    json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate_type,
           "subject": [{"name": "app", "digest": {"sha256": "ab"}}, {"name": "b"}], "predicate": predicate})
}

#[test]
fn json_formats() {
    check(
        &json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t", "version": "1"}},
                "results": [{"level": "error"}, {}, {"level": "note"}]}, {"tool": {"driver": {"name": "u"}}}]}).to_string(),
        "sarif",
        &json!({"version": "2.1.0", "tools": [{"name": "t", "version": "1"}, {"name": "u", "version": null}],
                "results": 3, "levels": {"error": 1, "warning": 1, "note": 1, "none": 0}}),
    );
    check(
        &json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"component": {"name": "app"}},
                "components": [{}, {}], "vulnerabilities": [{}]}).to_string(),
        "cyclonedx",
        &json!({"version": "1.6", "serial_number": null, "name": "app", "components": 2, "dependencies": 0,
                "vulnerabilities": 1}),
    );
    check(
        &json!({"spdxVersion": "SPDX-2.3", "name": "n", "packages": [{}], "relationships": [{}, {}]}).to_string(),
        "spdx",
        &json!({"version": "SPDX-2.3", "name": "n", "packages": 1, "files": 0, "relationships": 2}),
    );
    check(
        &json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
            {"type": "SpdxDocument", "name": "d"}, {"type": "software_Package"}, {"type": "software_File"},
            {"type": "Relationship"}, {"type": "Person"}]}).to_string(),
        "spdx",
        &json!({"version": "3.0.1", "name": "d", "packages": 1, "files": 1, "relationships": 1}),
    );
    check(
        &json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "i", "author": "a",
                "statements": [{"status": "fixed"}, {"status": "strange"}, {}]})
        .to_string(),
        "openvex",
        &json!({"id": "i", "author": "a", "statements": 3, "statuses":
            {"not_affected": 0, "affected": 0, "fixed": 1, "under_investigation": 0, "strange": 1}}),
    );
    check(
        &json!({"results": {"tool": {"name": "jest"}, "summary": {"tests": 3, "passed": 2, "failed": 1},
                "tests": [{}, {}, {}]}}).to_string(),
        "ctrf",
        &json!({"tool": "jest", "tests": 3, "passed": 2, "failed": 1, "pending": 0, "skipped": 0, "other": 0, "cases": 3}),
    );
}

#[test]
fn statements_and_their_envelopes() {
    let subjects = json!([{"name": "app", "sha256": "ab"}, {"name": "b", "sha256": null}]);
    let plain = statement("https://example.com/p", &json!({}));
    check(
        &plain.to_string(),
        "in-toto",
        &json!({"type": "https://in-toto.io/Statement/v1", "predicate_type": "https://example.com/p",
                "subject_count": 2, "subjects": subjects}),
    );
    let second = statement(
        "https://slsa.dev/provenance/v0.2",
        &json!({"builder": {"id": "b"}, "buildType": "t", "metadata": {"buildInvocationId": "7"}}),
    );
    let first = statement(
        "https://slsa.dev/provenance/v1",
        &json!({"buildDefinition": {"buildType": "t"},
                "runDetails": {"builder": {"id": "b"}, "metadata": {"invocationId": "7"}}}),
    );
    for provenance in [&first, &second] {
        let expected = json!({"type": "https://in-toto.io/Statement/v1",
            "predicate_type": provenance["predicateType"], "subject_count": 2, "subjects": subjects,
            "builder": "b", "build_type": "t", "invocation": "7"});
        check(&provenance.to_string(), "slsa-provenance", &expected);
    }
    let envelope = json!({"payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(plain.to_string()), "signatures": [{"keyid": "k", "sig": "s"}, {}]});
    let shown = json!({"payload_type": "application/vnd.in-toto+json", "signatures": 2, "key_ids": ["k", null],
        "statement": {"type": "https://in-toto.io/Statement/v1", "predicate_type": "https://example.com/p",
                      "subject_count": 2, "subjects": subjects}});
    check(&envelope.to_string(), "dsse", &shown);
    let bundle = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {}, "tlogEntries": [{}]}, "dsseEnvelope": envelope});
    check(
        &bundle.to_string(),
        "sigstore-bundle",
        &json!({"media_type": "application/vnd.dev.sigstore.bundle.v0.3+json", "key": "certificate",
                "log_entries": 1, "content": "dsse", "envelope": shown}),
    );
    let message = json!({"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {"publicKey": {}}, "messageSignature": {}});
    check(
        &message.to_string(),
        "sigstore-bundle",
        &json!({"media_type": "application/vnd.dev.sigstore.bundle+json;version=0.1", "key": "public_key",
                "log_entries": 0, "content": "message_signature", "envelope": null}),
    );
    let unreadable = json!({"payloadType": "x", "payload": "***", "signatures": []});
    check(
        &unreadable.to_string(),
        "dsse",
        &json!({"payload_type": "x", "signatures": 0, "key_ids": [], "statement": null}),
    );
}

#[test]
fn what_is_of_no_format_is_not_recognised() {
    for text in [
        "",
        "plain",
        "[]",
        "{}",
        "{",
        "<",
        "<html/>",
        "<testsuite>",
        "<testsuite/><testsuite/>",
        "</testsuite>",
        "<testsuite></testcase></testsuite>",
        "<coverage/>",
        "<report/>",
        "<report name=\"x\"><package/></report>",
        "<bom xmlns=\"other\"/>",
        "{\"version\": \"2.1.0\"}",
        "{\"version\": \"1\", \"runs\": []}",
        "{\"bomFormat\": \"x\"}",
        "{\"spdxVersion\": \"3\"}",
        "{\"@context\": \"https://example.com\"}",
        "{\"payload\": \"\"}",
        "{\"results\": {\"summary\": {\"tests\": 1}}}",
        "{\"_type\": \"other\"}",
        "{\"mediaType\": \"text/plain\"}",
    ] {
        assert_eq!(recognise(text.as_bytes()), None, "{text}");
    }
    assert_eq!(recognise(b"<testsuite name=\"\xff\"/>"), None);
    assert_eq!(recognise(&vec![b' '; EVIDENCE_BYTES_MAX + 1]), None);
}

#[test]
fn entities_depth_and_size_are_bounded() {
    for text in [
        "<!DOCTYPE testsuite [<!ENTITY a \"lol\">]><testsuite/>".to_owned(),
        "<!DOCTYPE testsuite [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><testsuite>&x;</testsuite>".to_owned(),
        "<testsuite>&x;</testsuite>".to_owned(),
        "<testsuite name=\"&x;\"/>".to_owned(),
        format!("<testsuite>{}{}</testsuite>", "<a>".repeat(200), "</a>".repeat(200)),
        format!("<testsuite {}/>", (0..200).map(|n| format!("a{n}=\"\" ")).collect::<Vec<_>>().concat()),
        format!("{}{}", "{\"a\":".repeat(200), "}".repeat(200)),
    ] {
        assert_eq!(recognise(text.as_bytes()), None, "{}", &text[..60.min(text.len())]);
    }
    let long = "ä".repeat(1_000);
    let file = json!({"spdxVersion": "SPDX-2.3", "name": long}).to_string();
    let name = recognise(file.as_bytes()).unwrap().summary["name"].clone();
    assert_eq!(name.as_str().unwrap(), "ä".repeat(150));
    let results: Vec<Value> = (0..100)
        .map(|n| json!({"level": format!("l{n}")}))
        .collect();
    let file = json!({"version": "2.1.0", "runs": [{"results": results}]}).to_string();
    let levels = recognise(file.as_bytes()).unwrap().summary["levels"].clone();
    assert_eq!(levels.as_object().unwrap().len(), ITEMS_MAX);
}

#[test]
fn what_is_signed_is_told_for_whoever_has_the_keys() {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    let payload = [0xfb_u8, 0xff, 0x00];
    let message = b"DSSEv1 3 k d 3 \xfb\xff\x00";
    for payload in [
        STANDARD.encode(payload),
        URL_SAFE.encode(payload),
        URL_SAFE_NO_PAD.encode(payload),
    ] {
        let file = json!({"payloadType": "k d", "payload": payload,
            "signatures": [{"keyid": "one", "sig": "AQI="}, {"sig": "AQI"}, {"keyid": "", "sig": "*"}]});
        let signed = recognise(file.to_string().as_bytes())
            .unwrap()
            .signed
            .unwrap();
        assert_eq!(signed.message.as_deref(), Some(&message[..]));
        let found: Vec<_> = signed
            .signatures
            .iter()
            .map(|signature| (signature.key_id.as_deref(), signature.bytes.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (Some("one"), Some(&[1, 2][..])),
                (None, Some(&[1, 2])),
                (None, None)
            ]
        );
        let mut bundle = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"x509CertificateChain": {"certificates": [{"rawBytes": "AQI="}, {"rawBytes": "Aw=="}, {}]}},
            "dsseEnvelope": file});
        let signed = recognise(bundle.to_string().as_bytes())
            .unwrap()
            .signed
            .unwrap();
        assert_eq!(signed.certificates, [vec![1, 2], vec![3]]);
        assert_eq!(signed.message.as_deref(), Some(&message[..]));
        bundle["verificationMaterial"] = json!({"publicKey": {"hint": "h"}});
        bundle["messageSignature"] = json!({"signature": "AQI="});
        bundle.as_object_mut().unwrap().remove("dsseEnvelope");
        let signed = recognise(bundle.to_string().as_bytes())
            .unwrap()
            .signed
            .unwrap();
        assert_eq!(signed.message, None);
        assert_eq!(signed.signatures[0].key_id.as_deref(), Some("h"));
    }
    let plain = recognise(b"<testsuite/>").unwrap();
    assert_eq!(plain.signed, None);
}
