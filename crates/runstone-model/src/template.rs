//! The template of a flow or trail: which attestations and artifacts are promised
//! (`api-flows.md` sections 3.2, 4 and 5.1).
//!
//! Owns the language: what a text means, what is wrong with it and how problems are worded for
//! the two endpoints that take one. It must not know what was reported; that is
//! [`crate::compliance`]'s.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;

use serde_json::{Map, Value, json};

use crate::attestation::kind::Demand;
use crate::read::{BODY, FieldErrors, Node, Path, Reader, TextRule, enum_text};

/// The text of the template that demands nothing.
pub const EMPTY_TEXT: &str = "version: 1\n";

/// Most bytes of a template's text; the caller refuses larger ones before reading them.
pub const TEXT_BYTES_MAX: usize = 10 << 20;

/// Most nodes (members, items and scalars) of a template, aliases counted as often as they stand.
const NODES_MAX: usize = 100_000;
/// Deepest nesting; what a template needs is seven.
const DEPTH_MAX: usize = 24;
/// Most events that aliases may repeat.
const REPEATED_MAX: usize = 20_000;
/// Most bytes of the names in a template: the bound of every reported name, and of a kind.
const NAME: TextRule = TextRule {
    bytes_min: 1,
    bytes_max: crate::name::NAME_BYTES_MAX,
    controls: false,
};
/// In legacy lists, the name that stands for the artifact itself.
const LEGACY_ARTIFACT: &str = "artifact";

/// A demanded attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationSlot {
    /// Its name.
    pub name: String,
    /// What its kind must be.
    pub demand: Demand,
}

/// Demanded attestations in the order of the template, names unique; found by name in O(log n).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttestationSlots {
    slots: Vec<AttestationSlot>,
    by_name: BTreeMap<String, usize>,
}

impl AttestationSlots {
    fn new(slots: Vec<AttestationSlot>) -> Self {
        let names = slots.iter().map(|slot| slot.name.clone());
        Self {
            by_name: names.zip(0..).collect(),
            slots,
        }
    }

    /// The slot of this name.
    pub fn get(&self, name: &str) -> Option<&AttestationSlot> {
        self.by_name.get(name).map(|index| &self.slots[*index])
    }
}

impl Deref for AttestationSlots {
    type Target = [AttestationSlot];

    fn deref(&self) -> &[AttestationSlot] {
        &self.slots
    }
}

/// A demanded artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSlot {
    /// Its name.
    pub name: String,
    /// Attestations demanded of it.
    pub attestations: AttestationSlots,
}

/// What a trail promises. Names are unique in each list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Attestations of the trail itself.
    pub attestations: AttestationSlots,
    /// Artifacts.
    artifacts: Vec<ArtifactSlot>,
    /// Where each artifact stands in the list.
    by_name: BTreeMap<String, usize>,
    /// The legacy form (section 3.2): the names as they were given. Each but `artifact` is an
    /// attestation of any kind demanded of every artifact (O24). None = written in the language.
    legacy: Option<Vec<String>>,
    /// What the legacy form demands of every artifact.
    every_artifact: AttestationSlots,
}

/// Everything that is wrong with one template, under dotted paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid template: {0}")]
pub struct TemplateErrors(FieldErrors);

impl TemplateErrors {
    /// As the flow endpoint says it: a map of fields, below the message
    /// `Input payload validation failed`. Paths start with the name of the file part.
    pub fn for_flow(&self) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for (path, text) in &self.0.0 {
            let path = if path == BODY {
                FILE_PART.to_owned()
            } else {
                format!("{FILE_PART}.{path}")
            };
            errors.0.insert(path, text.clone());
        }
        errors
    }

    /// As the trail endpoint says it: one message, `N validation errors for Template` and a line
    /// for each.
    pub fn for_trail(&self) -> String {
        let mut text = format!("{} validation errors for Template", self.0.0.len());
        for (path, problem) in &self.0.0 {
            text.push('\n');
            text.push_str(if path == BODY { "template" } else { path });
            text.push_str(": ");
            text.push_str(problem);
        }
        text
    }
}

/// The part of the request that carries a template.
pub const FILE_PART: &str = "template_file";

impl Template {
    /// Reads a template in YAML (and so in JSON), naming every problem. The caller has checked
    /// that `text` is within [`TEXT_BYTES_MAX`].
    pub fn read(text: &[u8]) -> Result<Self, TemplateErrors> {
        let node = parse(text).map_err(TemplateErrors)?;
        let mut reader = Reader::new();
        let template = read_template(&mut reader, node);
        reader.errors.into_result(template).map_err(TemplateErrors)
    }

    /// The legacy form: a list of names (section 3.2, O24). Repeated names count once.
    pub fn legacy(names: Vec<String>) -> Self {
        let mut seen = HashSet::new();
        let every_artifact = names
            .iter()
            .filter(|name| *name != LEGACY_ARTIFACT && seen.insert(name.as_str()))
            .map(|name| AttestationSlot {
                name: name.clone(),
                demand: Demand::Any,
            })
            .collect();
        Self {
            legacy: Some(names),
            every_artifact: AttestationSlots::new(every_artifact),
            ..Self::default()
        }
    }

    /// Reads a stored template: the text as it was given, or for the legacy form a JSON list of
    /// names as [`Template::legacy_text`] writes it.
    pub fn from_stored(text: &str) -> Result<Self, TemplateErrors> {
        match serde_json::from_str::<Vec<String>>(text) {
            Ok(names) => Ok(Self::legacy(names)),
            Err(_) => Self::read(text.as_bytes()),
        }
    }

    /// For the legacy form, the JSON list to store.
    pub fn legacy_text(&self) -> Option<String> {
        self.legacy
            .as_ref()
            .map(|names| Value::from(names.clone()).to_string())
    }

    /// The names of the legacy form, as given.
    pub fn legacy_names(&self) -> Option<&[String]> {
        self.legacy.as_deref()
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.attestations.is_empty() && self.artifacts.is_empty() && self.every_artifact.is_empty()
    }

    /// The demanded artifacts, in order.
    pub fn artifacts(&self) -> &[ArtifactSlot] {
        &self.artifacts
    }

    /// The artifact of this name, if it is demanded.
    pub fn artifact(&self, name: &str) -> Option<&ArtifactSlot> {
        self.by_name.get(name).map(|index| &self.artifacts[*index])
    }

    /// What is demanded of an artifact, in order; `None` for one that was reported without a name.
    pub fn demanded_of(&self, name: Option<&str>) -> &AttestationSlots {
        match name.and_then(|name| self.artifact(name)) {
            Some(artifact) => &artifact.attestations,
            None => &self.every_artifact,
        }
    }

    /// The form that clients read inside a trail (section 5.4): `version`, `trail` and the text.
    pub fn view(&self, content: &str) -> Value {
        let mut view = Map::new();
        view.insert("version".to_owned(), Value::from(1));
        view.insert("trail".to_owned(), self.trail_json());
        view.insert("content".to_owned(), Value::from(content));
        Value::Object(view)
    }

    fn trail_json(&self) -> Value {
        let slots = |slots: &[AttestationSlot]| -> Vec<Value> {
            slots
                .iter()
                .map(|slot| json!({"name": slot.name, "type": slot.demand.in_template()}))
                .collect()
        };
        let artifacts: Vec<Value> = self
            .artifacts
            .iter()
            .map(|artifact| {
                json!({"name": artifact.name, "attestations": slots(&artifact.attestations)})
            })
            .collect();
        json!({"attestations": slots(&self.attestations), "artifacts": artifacts})
    }
}

/// The tree of a YAML text, within the limits above.
fn parse(text: &[u8]) -> Result<Node<'_>, FieldErrors> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let start = error.valid_up_to();
        FieldErrors::one(
            BODY,
            &format!("Invalid YAML: byte {start} is not UTF-8"),
            &text[start..text.len().min(start + 16)]
                .escape_ascii()
                .to_string(),
        )
    })?;
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPEATED_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_recorded_anchor_events: NODES_MAX,
            max_recorded_anchor_bytes: TEXT_BYTES_MAX,
            max_total_scalar_bytes: TEXT_BYTES_MAX,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_documents: 2,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (mut what, mut found) = ("Invalid YAML".to_owned(), String::new());
        if let serde_saphyr::Error::Budget { .. }
        | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } = &error
        {
            "YAML is nested too deep, too large or repeats itself too often".clone_into(&mut what);
        } else if let serde_saphyr::Error::DuplicateMappingKey { .. } = &error {
            "Invalid YAML: a member is given more than once".clone_into(&mut what);
        }
        if let Some(place) = error.location().filter(|place| place.line() > 0) {
            what = format!("{what} at line {} column {}", place.line(), place.column());
            let line = usize::try_from(place.line()).unwrap_or(usize::MAX) - 1;
            found = text
                .lines()
                .nth(line)
                .unwrap_or("")
                .chars()
                .take(60)
                .collect();
        }
        FieldErrors::one(BODY, &what, &found)
    })
}

fn read_template(reader: &mut Reader, node: Node<'_>) -> Option<Template> {
    let root = Path::Root;
    let mut members = reader.members(&root, node, &["version", "trail"])?;
    let at = |name| Path::Member(&root, name);
    if let Some(version) = members.optional("version")
        && !(version == Node::Integer(1) || version == Node::Float(1.0))
    {
        reader.refuse(&at("version"), "Input should be 1", &version);
    }
    let mut template = Template::default();
    if let Some(trail) = members.nullable("trail") {
        let path = at("trail");
        if let Some(mut trail) = reader.members(&path, trail, &["attestations", "artifacts"]) {
            if let Some(node) = trail.optional("attestations") {
                let path = Path::Member(&path, "attestations");
                template.attestations = read_attestations(reader, &path, node);
            }
            if let Some(node) = trail.optional("artifacts") {
                let path = Path::Member(&path, "artifacts");
                template.artifacts = read_list(reader, &path, node, read_artifact, |a| &a.name);
                let names = template.artifacts.iter().map(|slot| slot.name.clone());
                template.by_name = names.zip(0..).collect();
            }
            trail.finish(reader, &path);
        }
    }
    members.finish(reader, &root);
    Some(template)
}

fn read_attestations(reader: &mut Reader, path: &Path<'_>, node: Node<'_>) -> AttestationSlots {
    AttestationSlots::new(read_list(reader, path, node, read_attestation, |slot| {
        &slot.name
    }))
}

/// Reads a list whose items have unique names.
fn read_list<T>(
    reader: &mut Reader,
    path: &Path<'_>,
    node: Node<'_>,
    read: impl Fn(&mut Reader, &Path<'_>, Node<'_>) -> Option<T>,
    name_of: impl Fn(&T) -> &String,
) -> Vec<T> {
    let nodes = reader.list(path, node).unwrap_or_default();
    let mut items: Vec<T> = Vec::with_capacity(nodes.len());
    let mut names = HashSet::with_capacity(nodes.len());
    for (index, node) in nodes.into_iter().enumerate() {
        if reader.is_full() {
            break;
        }
        let path = Path::Index(path, index);
        if let Some(item) = read(reader, &path, node) {
            let name = name_of(&item).clone();
            if names.contains(&name) {
                reader.refuse(
                    &Path::Member(&path, "name"),
                    "Names should be unique, this one is given more than once",
                    &Node::Text(name.into()),
                );
            } else {
                names.insert(name);
                items.push(item);
            }
        }
    }
    items
}

fn read_artifact(reader: &mut Reader, path: &Path<'_>, node: Node<'_>) -> Option<ArtifactSlot> {
    let mut members = reader.members(path, node, &["name", "attestations"])?;
    let name = members
        .required(reader, path, "name")
        .and_then(|node| reader.text(&Path::Member(path, "name"), node, NAME));
    let attestations = members
        .optional("attestations")
        .map(|node| read_attestations(reader, &Path::Member(path, "attestations"), node));
    members.finish(reader, path);
    Some(ArtifactSlot {
        name: name?.into_owned(),
        attestations: attestations.unwrap_or_default(),
    })
}

fn read_attestation(
    reader: &mut Reader,
    path: &Path<'_>,
    node: Node<'_>,
) -> Option<AttestationSlot> {
    let mut members = reader.members(path, node, &["name", "type"])?;
    let name = members
        .required(reader, path, "name")
        .and_then(|node| reader.text(&Path::Member(path, "name"), node, NAME));
    let demand = members.required(reader, path, "type").and_then(|node| {
        let path = Path::Member(path, "type");
        let text = reader.text(&path, node, NAME)?;
        let demand = Demand::from_template(&text);
        if demand.is_none() {
            reader.refuse(&path, &enum_text(Demand::choices()), &Node::Text(text));
        }
        demand
    });
    members.finish(reader, path);
    Some(AttestationSlot {
        name: name?.into_owned(),
        demand: demand?,
    })
}

/// The JSON Schema (2020-12) of the language, for editors. It accepts what [`Template::read`] does,
/// but for two things no schema can say: that names in one list are unique, and that the bound of
/// a name counts bytes.
pub fn json_schema() -> Value {
    let types: Vec<&str> = Demand::choices()
        .filter(|choice| !choice.contains('<'))
        .collect();
    let name = |description: &str| {
        json!({
            "description": description,
            "type": "string",
            "minLength": NAME.bytes_min,
            "maxLength": NAME.bytes_max,
            "pattern": NO_CONTROLS
        })
    };
    let list_of = |what: &str, description: &str| {
        json!({
            "description": description,
            "type": "array",
            "items": {"$ref": format!("#/$defs/{what}")},
            "default": []
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:runstone:schema:flow-template:v1",
        "title": "Runstone Flow Template",
        "description": "What a trail of the flow promises: attestations of its own, and artifacts with attestations.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "version": {
                "description": "Version of the template language.",
                "type": "integer",
                "const": 1,
                "default": 1
            },
            "trail": {
                "description": "What each trail should hold; nothing when left out.",
                "anyOf": [{"$ref": "#/$defs/trail"}, {"type": "null"}],
                "default": {"attestations": [], "artifacts": []}
            }
        },
        "$defs": {
            "trail": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "attestations": list_of(
                        "attestation",
                        "Attestations of the trail as a whole, each name once."
                    ),
                    "artifacts": list_of(
                        "artifact",
                        "Artifacts that the trail should bring forth, each name once."
                    )
                }
            },
            "artifact": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": name("The name under which the artifact is reported."),
                    "attestations": list_of(
                        "attestation",
                        "Attestations of this artifact, each name once."
                    )
                }
            },
            "attestation": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "type"],
                "properties": {
                    "name": name("The name under which the attestation is reported."),
                    "type": {
                        "description": "The kind it must have; * stands for any.",
                        "type": "string",
                        "maxLength": NAME.bytes_max,
                        "pattern": NO_CONTROLS,
                        "anyOf": [{"enum": types}, {"pattern": "^custom:.*$"}]
                    }
                }
            }
        }
    })
}

/// Names without control characters, as a schema says it.
const NO_CONTROLS: &str = "^[^\\u0000-\\u001f\\u007f]*$";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::fmt::Write as _;

    use super::*;

    const FULL: &str = "\
# what we promise
version: 1
trail:
  attestations:
    - name: pull-request
      type: pull_request
    - {name: go, type: decision}
  artifacts:
    - name: runner
      attestations: [{name: unit-test, type: junit}, {name: cover, type: 'custom:coverage'}]
    - name: bare
";

    fn problems(text: &str) -> Vec<String> {
        let errors = Template::read(text.as_bytes()).unwrap_err();
        let trail = errors.for_trail();
        trail.lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_member_is_read_and_shown() {
        let template = Template::read(FULL.as_bytes()).unwrap();
        assert_eq!(
            template.view(FULL),
            json!({
                "version": 1,
                "trail": {
                    "attestations": [
                        {"name": "pull-request", "type": "pull_request"},
                        {"name": "go", "type": "decision"},
                    ],
                    "artifacts": [
                        {"name": "runner", "attestations": [
                            {"name": "unit-test", "type": "junit"},
                            {"name": "cover", "type": "custom:coverage"},
                        ]},
                        {"name": "bare", "attestations": []},
                    ],
                },
                "content": FULL,
            })
        );
        assert_eq!(
            template.attestations[1].demand,
            Demand::Kind("system:decision".to_owned())
        );
        assert_eq!(template.demanded_of(Some("runner")).len(), 2);
        assert_eq!(template.demanded_of(Some("other")).len(), 0);
        assert_eq!(template.demanded_of(None).len(), 0);
        let runner = template.artifact("runner").unwrap();
        assert_eq!(runner.attestations.get("cover").unwrap().name, "cover");
        assert_eq!(template.artifact("bare").unwrap().name, "bare");
        assert_eq!(template.artifact("other"), None);
        assert!(!template.is_empty());
        assert_eq!(template.legacy_text(), None);
        let again = json!({"version": 1, "trail": template.trail_json()}).to_string();
        assert_eq!(Template::read(again.as_bytes()), Ok(template.clone()));
        assert_eq!(Template::from_stored(FULL), Ok(template));
    }

    #[test]
    fn texts_that_demand_nothing() {
        for text in [
            EMPTY_TEXT,
            "version: 1",
            "{}",
            "trail:",
            "trail: null",
            "trail: {}",
            "trail: {attestations: [], artifacts: []}",
            "version: 1.0",
            "---\nversion: 1\n...\n",
            "{\"version\": 1, \"trail\": null}",
        ] {
            let template =
                Template::read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert!(template.is_empty(), "{text}");
            assert_eq!(
                template.view("x")["trail"],
                json!({"attestations": [], "artifacts": []})
            );
        }
    }

    #[test]
    fn the_same_name_may_stand_in_several_scopes() {
        let text = "trail:
  attestations: [{name: a, type: '*'}]
  artifacts:
    - {name: a, attestations: [{name: a, type: generic}]}
    - {name: b, attestations: [{name: a, type: sonar}]}";
        let template = Template::read(text.as_bytes()).unwrap();
        assert_eq!(
            template.artifacts[1].attestations[0].demand.to_string(),
            "sonar"
        );
        assert_eq!(template.attestations[0].demand, Demand::Any);
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let text = "version: 2
owner: me
trail:
  more: 1
  attestations:
    - {name: a, type: not-supported}
    - {name: a, type: generic}
    - {name: a, type: junit}
    - {type: jira}
    - {name: 7, type: 8, x: y}
    - nothing
  artifacts:
    - {name: r, attestations: [{name: ''}]}
    - {name: r}
    - {attestations: {}}
";
        let choices = "Input should be 'generic', 'junit', 'snyk', 'pull_request', 'jira', 'sonar', 'custom:<name>', 'decision' or '*'";
        let expected = [
            "15 validation errors for Template".to_owned(),
            "owner: Extra inputs are not permitted [input: me]".to_owned(),
            "trail.artifacts[0].attestations[0].name: String should have at least 1 character [input: ]".to_owned(),
            "trail.artifacts[0].attestations[0].type: Field required [input: None]".to_owned(),
            "trail.artifacts[1].name: Names should be unique, this one is given more than once [input: r]".to_owned(),
            "trail.artifacts[2].attestations: Input should be a valid list [input: {}]".to_owned(),
            "trail.artifacts[2].name: Field required [input: None]".to_owned(),
            format!("trail.attestations[0].type: {choices} [input: not-supported]"),
            "trail.attestations[2].name: Names should be unique, this one is given more than once [input: a]".to_owned(),
            "trail.attestations[3].name: Field required [input: None]".to_owned(),
            "trail.attestations[4].name: Input should be a valid string [input: 7]".to_owned(),
            "trail.attestations[4].type: Input should be a valid string [input: 8]".to_owned(),
            "trail.attestations[4].x: Extra inputs are not permitted [input: y]".to_owned(),
            "trail.attestations[5]: Input should be a valid dictionary or object to extract fields from [input: nothing]".to_owned(),
            "trail.more: Extra inputs are not permitted [input: 1]".to_owned(),
            "version: Input should be 1 [input: 2]".to_owned(),
        ];
        assert_eq!(problems(text), expected);
        let errors = Template::read(text.as_bytes()).unwrap_err().for_flow();
        assert_eq!(errors.0.len(), 15);
        assert_eq!(
            errors.0["template_file.version"],
            "Input should be 1 [input: 2]"
        );
    }

    #[test]
    fn texts_that_are_no_template() {
        let first = |text: &str| problems(text)[1].clone();
        for (text, expected) in [
            (
                "",
                "template: Input should be a valid dictionary or object to extract fields from [input: None]",
            ),
            (
                "[]",
                "template: Input should be a valid dictionary or object to extract fields from [input: []]",
            ),
            ("version: true", "version: Input should be 1 [input: True]"),
            ("version: '1'", "version: Input should be 1 [input: 1]"),
            ("version:", "version: Input should be 1 [input: None]"),
            (
                "trail: {attestations: }",
                "trail.attestations: Input should be a valid list [input: None]",
            ),
            (
                "version: 1\nversion: 2",
                "template: Invalid YAML: a member is given more than once at line 2 column 1 [input: version: 2]",
            ),
        ] {
            assert_eq!(first(text), expected, "{text}");
        }
        for text in ["a: [", "a: b: c", "a:\n\t- x", "a: 1\n---\nb: 2", "x: *y"] {
            assert!(
                first(text).starts_with("template: Invalid YAML"),
                "{text}: {}",
                first(text)
            );
        }
        let bytes = Template::read(b"version: \xff").unwrap_err();
        assert_eq!(
            bytes.for_flow().0["template_file"],
            r"Invalid YAML: byte 9 is not UTF-8 [input: \xff]"
        );
        let long = format!("trail: {{artifacts: [{{name: {}}}]}}", "x".repeat(256));
        assert!(
            first(&long)
                .starts_with("trail.artifacts[0].name: String should have at most 255 bytes")
        );
    }

    #[test]
    fn bombs_are_stopped() {
        let mut laughs = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let item = format!("*{before}");
            writeln!(
                laughs,
                "{name}: &{name} [{}]",
                [item.as_str(); 9].join(", ")
            )
            .unwrap();
        }
        let deep = format!("trail: {}{}", "[".repeat(100), "]".repeat(100));
        let wide = format!("trail: [{}]", "1,".repeat(NODES_MAX));
        let lines: Vec<String> = (0..200)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect();
        let block = lines.concat();
        let merged = format!(
            "a: &a {{x: 1}}\nb:\n{}",
            "  - {<<: *a}\n".repeat(NODES_MAX / 4)
        );
        for text in [&laughs, &deep, &wide, &block, &merged] {
            let found = &problems(text)[1];
            assert!(found.starts_with("template: "), "{found}");
            assert!(found.contains("YAML"), "{found}");
        }
    }

    #[test]
    fn aliases_in_reason_are_fine() {
        let text = "trail:
  attestations: &all
    - {name: a, type: generic}
  artifacts:
    - {name: x, attestations: *all}
    - {name: y, attestations: *all}";
        assert_eq!(
            Template::read(text.as_bytes()).unwrap().artifacts[1].attestations[0].name,
            "a"
        );
    }

    #[test]
    fn words_that_old_yaml_takes_for_booleans_are_names() {
        let text = "trail: {artifacts: [{name: on}, {name: no}, {name: y}]}";
        let template = Template::read(text.as_bytes()).unwrap();
        let names: Vec<_> = template.artifacts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["on", "no", "y"]);
    }

    #[test]
    fn the_legacy_list_demands_names_of_every_artifact() {
        let names = ["artifact", "unit-test", "unit-test", "scan"].map(ToOwned::to_owned);
        let template = Template::legacy(names.to_vec());
        let demanded: Vec<_> = template
            .demanded_of(Some("any"))
            .iter()
            .map(|slot| (slot.name.as_str(), slot.demand.clone()))
            .collect();
        assert_eq!(
            demanded,
            [("unit-test", Demand::Any), ("scan", Demand::Any)]
        );
        assert_eq!(template.demanded_of(None).len(), 2);
        assert_eq!(template.legacy_names(), Some(&names[..]));
        assert!(!template.is_empty());
        assert!(Template::legacy(vec!["artifact".to_owned()]).is_empty());
        let stored = template.legacy_text().unwrap();
        assert_eq!(stored, r#"["artifact","unit-test","unit-test","scan"]"#);
        assert_eq!(Template::from_stored(&stored), Ok(template.clone()));
        assert_eq!(
            template.view("")["trail"],
            json!({"attestations": [], "artifacts": []})
        );
    }

    /// What the text says as JSON, if it says anything.
    fn as_json(text: &str) -> Option<Value> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(text, options).ok()
    }

    #[test]
    fn the_schema_judges_as_the_reader_does() {
        let schema = json_schema();
        assert!(jsonschema::meta::is_valid(&schema));
        assert_eq!(schema["$id"], "urn:runstone:schema:flow-template:v1");
        let judge = jsonschema::draft202012::new(&schema).unwrap();
        let mut templates: Vec<String> = [
            FULL,
            EMPTY_TEXT,
            "{}",
            "trail:",
            "trail: {}",
            "version: 1.0",
            "version: 1.5",
            "version: 2",
            "version: '1'",
            "version: true",
            "version:",
            "[]",
            "just text",
            "7",
            "owner: me",
            "trail: []",
            "trail: {more: 1}",
            "trail: {attestations: }",
            "trail: {attestations: {}}",
            "trail: {artifacts: }",
            "trail: {artifacts: [x]}",
            "trail: {artifacts: [{}]}",
            "trail: {artifacts: [{name: on}, {name: no}]}",
            "trail: {artifacts: [{name: ''}]}",
            "trail: {artifacts: [{name: 7}]}",
            "trail: {artifacts: [{name: a, x: y}]}",
            "trail: {artifacts: [{name: a, attestations: }]}",
            "trail: {artifacts: [{name: a, attestations: [{name: b, type: sonar}]}]}",
            "trail: {artifacts: [{name: a, attestations: [{name: b, type: Sonar}]}]}",
            "trail: {attestations: [{name: a}]}",
            "trail: {attestations: [{type: jira}]}",
            "trail: {attestations: [{name: a, type: 8}]}",
            "trail: {attestations: [{name: a, type: }]}",
            "trail: {attestations: [{name: a, type: jira, x: 1}]}",
            "trail: {attestations: [nothing]}",
            "trail: {attestations: [{name: ä ö/ü <b>, type: generic}]}",
            "trail: {attestations: [{name: \"a\\tb\", type: generic}]}",
            "trail: {attestations: [{name: \"a\\x7f\", type: generic}]}",
            "trail: {attestations: [{name: \"a\\x85\", type: generic}]}",
            "trail: {attestations: [{name: a, type: \"custom:a\\nb\"}]}",
        ]
        .map(ToOwned::to_owned)
        .to_vec();
        let kinds = Demand::choices().map(|kind| kind.replace("<name>", "coverage"));
        for kind in
            kinds.chain(["custom:", "custom", "system:decision", "override", ""].map(Into::into))
        {
            templates.push(format!(
                "trail: {{attestations: [{{name: a, type: '{kind}'}}]}}"
            ));
        }
        for length in [254, 255, 256] {
            let long = "x".repeat(length);
            templates.push(format!("trail: {{artifacts: [{{name: {long}}}]}}"));
            let kind = format!("custom:{}", "x".repeat(length - 7));
            templates.push(format!(
                "trail: {{attestations: [{{name: a, type: '{kind}'}}]}}"
            ));
        }
        let (mut accepted, mut refused) = (0, 0);
        for text in &templates {
            let value = as_json(text).unwrap_or_else(|| panic!("{text} is no YAML"));
            let read = Template::read(text.as_bytes());
            assert_eq!(judge.is_valid(&value), read.is_ok(), "{text}: {read:?}");
            *(if read.is_ok() {
                &mut accepted
            } else {
                &mut refused
            }) += 1;
        }
        assert!(accepted > 15 && refused > 25, "{accepted} {refused}");
        // What it cannot say.
        let twice = "trail: {artifacts: [{name: a}, {name: a}]}";
        assert!(
            judge.is_valid(&as_json(twice).unwrap()) && Template::read(twice.as_bytes()).is_err()
        );
    }
}
