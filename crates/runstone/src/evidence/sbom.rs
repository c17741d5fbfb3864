//! Bills of materials: CycloneDX in JSON and XML, SPDX in JSON and tag-value form. Only what tells
//! the document apart is read: its format, when and with what it was made, what it is about, and how
//! many packages it lists.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Serialize;
use serde_json::Value;

use super::reason;

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The deepest nesting that is read.
const DEPTH_MAX: usize = 256;
/// Where the versions of CycloneDX have their names.
const CYCLONEDX: &str = "http://cyclonedx.org/schema/bom/";

/// A summary in the shape of `attestation_data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Such as `cyclonedx-1.5` or `spdx-2.3`.
    pub format: String,
    /// SHA-256 of the file.
    pub original_fingerprint: String,
    /// What it tells.
    pub document: Document,
}

/// What a document tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Document {
    /// When it was made, as it says.
    pub created_at: Option<String>,
    /// With what.
    pub tools: Option<Vec<String>>,
    /// What it is about, if that is one thing.
    pub subject: Option<Subject>,
    /// How many packages it lists, those in others included.
    pub package_count: usize,
}

/// What a document is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// Its fingerprint.
    pub sha256: Option<String>,
}

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// The file cannot be read.
    #[error("failed to read SBOM file [{path}]: {reason}")]
    Unreadable {
        /// Which one.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// It is a directory.
    #[error("SBOM file [{0}] is a directory; supply the SBOM file itself")]
    Directory(String),
    /// It is not what it should be.
    #[error("failed to parse SBOM file [{path}]: {reason}")]
    Unparsable {
        /// Which one.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The summary of the file at `path`.
pub fn read_file(path: &str) -> Result<Summary, SbomError> {
    let unreadable = |verb: &str, error: &std::io::Error| SbomError::Unreadable {
        path: path.to_owned(),
        reason: format!("{verb} {path}: {}", reason(error)),
    };
    let metadata = std::fs::metadata(path).map_err(|error| unreadable("stat", &error))?;
    if metadata.is_dir() {
        return Err(SbomError::Directory(path.to_owned()));
    }
    let unparsable = |reason: String| SbomError::Unparsable {
        path: path.to_owned(),
        reason,
    };
    if metadata.len() > BYTES_MAX {
        return Err(unparsable(format!("it is larger than {BYTES_MAX} bytes")));
    }
    let content = std::fs::read(path).map_err(|error| unreadable("open", &error))?;
    let (format, document) = parse(&content).map_err(unparsable)?;
    Ok(Summary {
        format,
        original_fingerprint: runstone_model::id::Digest::of(&content).to_hex(),
        document,
    })
}

/// Format and facts of a document; what is wrong with it, in words.
fn parse(content: &[u8]) -> Result<(String, Document), String> {
    if content.starts_with(&[0x1f, 0x8b]) {
        return Err("the file is gzip compressed; supply the uncompressed SBOM".to_owned());
    }
    let unknown = || {
        "unrecognised file: expected a CycloneDX or SPDX SBOM in JSON, XML or tag-value form"
            .to_owned()
    };
    let text = std::str::from_utf8(content).map_err(|_| unknown())?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let (format, document) = if text.starts_with('{') {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if value.get("spdxVersion").is_some() {
            spdx_json(&value)?
        } else if value["@context"]
            .as_str()
            .is_some_and(|context| context.contains("spdx.org"))
        {
            return Err("this is an SPDX 3.x JSON-LD document, which is not supported; supply the SBOM as SPDX JSON or tag-value".to_owned());
        } else {
            cyclonedx_json(&value)?
        }
    } else if text.starts_with('<') {
        cyclonedx_xml(text)?
    } else if text.lines().any(|line| line.starts_with("SPDXVersion:")) {
        spdx_tags(text)?
    } else {
        return Err(unknown());
    };
    if let Some(time) = &document.created_at
        && time.parse::<jiff::Timestamp>().is_err()
    {
        return Err(format!(
            "the SBOM's creation timestamp {time:?} is not an RFC 3339 date-time"
        ));
    }
    Ok((format, checked(document)?))
}

/// The document with the subject's fingerprint in our spelling.
fn checked(mut document: Document) -> Result<Document, String> {
    if let Some(sha256) = document.subject.as_mut().and_then(|it| it.sha256.as_mut()) {
        let lower = sha256.to_ascii_lowercase();
        if lower.len() != 64 || !lower.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!(
                "the SBOM's subject SHA-256 {sha256:?} is not 64 hex characters"
            ));
        }
        *sha256 = lower;
    }
    document.tools = document.tools.filter(|tools| !tools.is_empty());
    Ok(document)
}

fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `name version`.
fn tool(name: Option<String>, version: Option<String>) -> Option<String> {
    match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, _) => name,
    }
}

// ---- CycloneDX

fn cyclonedx_json(bom: &Value) -> Result<(String, Document), String> {
    let format = bom["bomFormat"].as_str().unwrap_or_default();
    if format != "CycloneDX" {
        return Err(format!(
            "not a CycloneDX SBOM: bomFormat is {format:?}, expected \"CycloneDX\""
        ));
    }
    let version = text(&bom["specVersion"]).ok_or("not a CycloneDX SBOM: no specVersion")?;
    let metadata = &bom["metadata"];
    let tools = match &metadata["tools"] {
        Value::Array(tools) => tools.iter().collect(),
        tools => items(&tools["components"])
            .iter()
            .chain(items(&tools["services"]))
            .collect::<Vec<_>>(),
    };
    let component = &metadata["component"];
    let subject = component.is_object().then(|| Subject {
        name: text(&component["name"]).unwrap_or_default(),
        version: text(&component["version"]),
        purl: text(&component["purl"]),
        sha256: items(&component["hashes"])
            .iter()
            .find(|hash| hash["alg"] == "SHA-256")
            .and_then(|hash| text(&hash["content"])),
    });
    let document = Document {
        created_at: text(&metadata["timestamp"]),
        tools: Some(
            tools
                .into_iter()
                .filter_map(|it| tool(text(&it["name"]), text(&it["version"])))
                .collect(),
        ),
        subject,
        package_count: count(&bom["components"]),
    };
    Ok((format!("cyclonedx-{version}"), document))
}

/// All components and those in them; files are no packages. The parser bounds the depth.
fn count(components: &Value) -> usize {
    items(components)
        .iter()
        .map(|component| usize::from(component["type"] != "file") + count(&component["components"]))
        .sum()
}

fn cyclonedx_xml(text: &str) -> Result<(String, Document), String> {
    let failed = |reason: &dyn std::fmt::Display| {
        format!("could not parse the file as a CycloneDX SBOM: {reason}")
    };
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut version = None;
    let mut document = Document::default();
    let mut tools = Vec::new();
    let (mut tool_name, mut tool_version) = (None, None);
    let mut is_sha256 = false;
    let mut content = String::new();
    loop {
        let event = reader.read_event().map_err(|error| failed(&error))?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let name = start.local_name().as_ref().to_owned();
                let attribute = |name: &str| {
                    start
                        .try_get_attribute(name)
                        .ok()
                        .flatten()
                        .map(|attribute| attribute.value.to_string())
                        .unwrap_or_default()
                };
                if path.is_empty() {
                    if name != "bom" {
                        return Err(failed(&format!(
                            "expected element type <bom> but have <{name}>"
                        )));
                    }
                    let namespace = attribute("xmlns");
                    version = namespace.strip_prefix(CYCLONEDX).map(str::to_owned);
                    if version.is_none() {
                        return Err(format!(
                            "not a CycloneDX SBOM: xmlns is {namespace:?}, expected a {CYCLONEDX} namespace"
                        ));
                    }
                }
                if path.len() == DEPTH_MAX {
                    return Err(failed(&format!(
                        "elements are nested more than {DEPTH_MAX} deep"
                    )));
                }
                let in_components = path.get(1).is_some_and(|part| part == "components");
                let parent = path.last().map(String::as_str);
                if name == "component"
                    && in_components
                    && parent == Some("components")
                    && attribute("type") != "file"
                {
                    document.package_count += 1;
                }
                is_sha256 = name == "hash" && attribute("alg") == "SHA-256";
                path.push(name);
                if path.join("/") == "bom/metadata/component" {
                    document.subject = Some(Subject::default());
                }
                content.clear();
                if is_empty {
                    path.pop();
                }
            }
            Event::Text(piece) => content.push_str(&piece),
            Event::End(_) => {
                let place = path.join("/");
                let said = Some(content.trim().to_owned()).filter(|said| !said.is_empty());
                let subject = document.subject.as_mut();
                match (place.as_str(), subject) {
                    ("bom/metadata/timestamp", _) => document.created_at = said,
                    ("bom/metadata/component/name", Some(subject)) => {
                        subject.name = said.unwrap_or_default();
                    }
                    ("bom/metadata/component/version", Some(subject)) => subject.version = said,
                    ("bom/metadata/component/purl", Some(subject)) => subject.purl = said,
                    ("bom/metadata/component/hashes/hash", Some(subject)) if is_sha256 => {
                        subject.sha256 = said;
                    }
                    (
                        "bom/metadata/tools/tool/name"
                        | "bom/metadata/tools/components/component/name"
                        | "bom/metadata/tools/services/service/name",
                        _,
                    ) => tool_name = said,
                    (
                        "bom/metadata/tools/tool/version"
                        | "bom/metadata/tools/components/component/version"
                        | "bom/metadata/tools/services/service/version",
                        _,
                    ) => tool_version = said,
                    (
                        "bom/metadata/tools/tool"
                        | "bom/metadata/tools/components/component"
                        | "bom/metadata/tools/services/service",
                        _,
                    ) => tools.extend(tool(tool_name.take(), tool_version.take())),
                    _ => {}
                }
                content.clear();
                path.pop();
            }
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(failed(&"unexpected end of the document")),
            _ => {}
        }
    }
    document.tools = Some(tools);
    match version {
        Some(version) => Ok((format!("cyclonedx-{version}"), document)),
        None => Err(failed(&"it has no elements")),
    }
}

// ---- SPDX

/// `spdx-2.3`; only the second generation is a list of packages.
fn spdx_format(version: &str) -> Result<String, String> {
    if version.starts_with("SPDX-2.") {
        Ok(version.to_ascii_lowercase())
    } else {
        Err(format!(
            "could not parse the file as an SPDX SBOM: unsupported SPDX version: {version}"
        ))
    }
}

/// What is known of a package.
#[derive(Default)]
struct Package {
    id: String,
    subject: Subject,
}

/// The subject, if the document describes exactly one package.
fn described(packages: Vec<Package>, mut ids: Vec<String>) -> Option<Subject> {
    ids.sort_unstable();
    ids.dedup();
    let [id] = ids.as_slice() else {
        return None;
    };
    packages
        .into_iter()
        .find(|package| package.id == *id)
        .map(|package| package.subject)
}

/// The name of a tool in a line about who made the document.
fn creating_tool(creator: &str) -> Option<String> {
    creator
        .strip_prefix("Tool:")
        .map(|name| name.trim().to_owned())
}

fn spdx_json(spdx: &Value) -> Result<(String, Document), String> {
    let format = spdx_format(spdx["spdxVersion"].as_str().unwrap_or_default())?;
    let packages: Vec<Package> = items(&spdx["packages"])
        .iter()
        .map(|package| Package {
            id: text(&package["SPDXID"]).unwrap_or_default(),
            subject: Subject {
                name: text(&package["name"]).unwrap_or_default(),
                version: text(&package["versionInfo"]),
                purl: items(&package["externalRefs"])
                    .iter()
                    .find(|reference| reference["referenceType"] == "purl")
                    .and_then(|reference| text(&reference["referenceLocator"])),
                sha256: items(&package["checksums"])
                    .iter()
                    .find(|checksum| checksum["algorithm"] == "SHA256")
                    .and_then(|checksum| text(&checksum["checksumValue"])),
            },
        })
        .collect();
    let document_id = text(&spdx["SPDXID"]).unwrap_or_default();
    let mut ids: Vec<String> = items(&spdx["documentDescribes"])
        .iter()
        .filter_map(text)
        .collect();
    for relationship in items(&spdx["relationships"]) {
        let from = text(&relationship["spdxElementId"]).unwrap_or_default();
        let to = text(&relationship["relatedSpdxElement"]).unwrap_or_default();
        match relationship["relationshipType"].as_str() {
            Some("DESCRIBES") if from == document_id => ids.push(to),
            Some("DESCRIBED_BY") if to == document_id => ids.push(from),
            _ => {}
        }
    }
    let creation = &spdx["creationInfo"];
    let document = Document {
        created_at: text(&creation["created"]),
        tools: Some(
            items(&creation["creators"])
                .iter()
                .filter_map(|creator| creating_tool(creator.as_str()?))
                .collect(),
        ),
        package_count: packages.len(),
        subject: described(packages, ids),
    };
    Ok((format, document))
}

fn spdx_tags(text: &str) -> Result<(String, Document), String> {
    let mut format = None;
    let mut document = Document::default();
    let mut tools = Vec::new();
    let mut packages: Vec<Package> = Vec::new();
    let mut ids = Vec::new();
    let mut in_package = false;
    for line in text.lines() {
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let given = Some(value.to_owned()).filter(|value| !value.is_empty());
        let package = packages.last_mut().filter(|_| in_package);
        match (tag.trim(), package) {
            ("SPDXVersion", _) => format = Some(spdx_format(value)?),
            ("Created", _) => document.created_at = given,
            ("Creator", _) => tools.extend(creating_tool(value)),
            ("PackageName", _) => {
                in_package = true;
                packages.push(Package {
                    subject: Subject {
                        name: value.to_owned(),
                        ..Subject::default()
                    },
                    ..Package::default()
                });
            }
            // What follows is about a file or a piece of one.
            ("FileName" | "SnippetSPDXID", _) => in_package = false,
            ("SPDXID", Some(package)) => value.clone_into(&mut package.id),
            ("PackageVersion", Some(package)) => package.subject.version = given,
            ("PackageChecksum", Some(package)) => {
                if let Some(sha256) = value.strip_prefix("SHA256:") {
                    package.subject.sha256 = Some(sha256.trim().to_owned());
                }
            }
            ("ExternalRef", Some(package)) => {
                let mut words = value.split_whitespace().skip(1);
                if words.next() == Some("purl") {
                    package.subject.purl = words.next().map(str::to_owned);
                }
            }
            ("Relationship", _) => {
                let words: Vec<&str> = value.split_whitespace().collect();
                match words.as_slice() {
                    ["SPDXRef-DOCUMENT", "DESCRIBES", id, ..]
                    | [id, "DESCRIBED_BY", "SPDXRef-DOCUMENT", ..] => ids.push((*id).to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    document.tools = Some(tools);
    document.package_count = packages.len();
    document.subject = described(packages, ids);
    match format {
        Some(format) => Ok((format, document)),
        None => Err("could not parse the file as an SPDX SBOM: it has no version".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn told(text: &str) -> String {
        match parse(text.as_bytes()) {
            Ok((format, document)) => {
                format!("{format} {}", serde_json::to_string(&document).unwrap())
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn all_forms_tell_the_same() {
        let sha256 = "b".repeat(64);
        let upper = sha256.to_ascii_uppercase();
        let document = |tool: &str| {
            format!(
                r#"{{"created_at":"2026-03-01T10:00:00Z","tools":["{tool}"],"subject":{{"name":"shop","version":"1","purl":"pkg:oci/shop","sha256":"{sha256}"}},"package_count":2}}"#
            )
        };
        let cyclonedx = format!("cyclonedx-1.5 {}", document("syft 1.0"));
        let spdx = format!("spdx-2.3 {}", document("syft-1.0"));
        let check = |text: String, expected: &str| assert_eq!(told(&text), expected);
        check(
            format!(
                r#"{{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{{"timestamp":"2026-03-01T10:00:00Z","tools":[{{"name":"syft","version":"1.0"}}],"component":{{"name":"shop","version":"1","purl":"pkg:oci/shop","hashes":[{{"alg":"SHA-1","content":"a"}},{{"alg":"SHA-256","content":"{upper}"}}]}}}},"components":[{{"name":"a","components":[{{"name":"b"}}]}},{{"type":"file","name":"f"}}]}}"#
            ),
            &cyclonedx,
        );
        check(
            format!(
                r#"<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.5"><metadata><timestamp>2026-03-01T10:00:00Z</timestamp><tools><components><component type="application"><group>g</group><name>syft</name><version>1.0</version></component></components></tools><component type="container"><name>shop</name><version>1</version><hashes><hash alg="SHA-1">a</hash><hash alg="SHA-256">{sha256}</hash></hashes><purl>pkg:oci/shop</purl></component></metadata><components><component type="library"><name>a</name><components><component><name>b</name></component></components></component><component type="file"/></components></bom>"#
            ),
            &cyclonedx,
        );
        check(
            format!(
                r#"{{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","creationInfo":{{"created":"2026-03-01T10:00:00Z","creators":["Tool: syft-1.0","Person: Ada"]}},"packages":[{{"SPDXID":"SPDXRef-a","name":"shop","versionInfo":"1","checksums":[{{"algorithm":"SHA256","checksumValue":"{sha256}"}}],"externalRefs":[{{"referenceType":"purl","referenceLocator":"pkg:oci/shop"}}]}},{{"SPDXID":"SPDXRef-b","name":"b"}}],"relationships":[{{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}}]}}"#
            ),
            &spdx,
        );
        check(
            format!(
                "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nCreator: Tool: syft-1.0\nCreated: 2026-03-01T10:00:00Z\n\nPackageName: shop\nSPDXID: SPDXRef-a\nPackageVersion: 1\nPackageChecksum: SHA1: a\nPackageChecksum: SHA256: {sha256}\nExternalRef: PACKAGE-MANAGER purl pkg:oci/shop\nPackageName: b\nSPDXID: SPDXRef-b\nFileName: x\nSPDXID: SPDXRef-f\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-a\n"
            ),
            &spdx,
        );
    }

    #[test]
    fn little_is_told_of_little() {
        assert_eq!(
            told(r#"{"bomFormat":"CycloneDX","specVersion":"1.4"}"#),
            r#"cyclonedx-1.4 {"created_at":null,"tools":null,"subject":null,"package_count":0}"#
        );
        assert_eq!(
            told(
                r#"{"spdxVersion":"SPDX-2.2","documentDescribes":["a","b"],"packages":[{"SPDXID":"a"},{"SPDXID":"b"}]}"#
            ),
            r#"spdx-2.2 {"created_at":null,"tools":null,"subject":null,"package_count":2}"#
        );
    }

    #[test]
    fn other_files_are_refused() {
        let unknown =
            "unrecognised file: expected a CycloneDX or SPDX SBOM in JSON, XML or tag-value form";
        for other in ["", "[1]", "hello", "x: y\n"] {
            assert_eq!(told(other), unknown, "{other}");
        }
        assert_eq!(
            told("{}"),
            "not a CycloneDX SBOM: bomFormat is \"\", expected \"CycloneDX\""
        );
        assert_eq!(
            told(r#"{"bomFormat":"CycloneDX"}"#),
            "not a CycloneDX SBOM: no specVersion"
        );
        assert_eq!(
            parse(&[0x1f, 0x8b, 0]).unwrap_err(),
            "the file is gzip compressed; supply the uncompressed SBOM"
        );
        assert_eq!(
            told("<bom/>"),
            "not a CycloneDX SBOM: xmlns is \"\", expected a http://cyclonedx.org/schema/bom/ namespace"
        );
        assert_eq!(
            told("<x/>"),
            "could not parse the file as a CycloneDX SBOM: expected element type <bom> but have <x>"
        );
        assert_eq!(
            told(r#"{"bomFormat":"CycloneDX","specVersion":"1","metadata":{"timestamp":"x"}}"#),
            "the SBOM's creation timestamp \"x\" is not an RFC 3339 date-time"
        );
        assert_eq!(
            told(
                r#"{"bomFormat":"CycloneDX","specVersion":"1","metadata":{"component":{"hashes":[{"alg":"SHA-256","content":"bb"}]}}}"#
            ),
            "the SBOM's subject SHA-256 \"bb\" is not 64 hex characters"
        );
        let deep = format!("<bom xmlns=\"{CYCLONEDX}1\">{}", "<a>".repeat(100_000));
        assert!(told(&deep).contains("nested more than"), "{}", told(&deep));
    }
}
