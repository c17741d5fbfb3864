//! Reports: the full list of what runs now, one body shape per type of environment
//! (`api-environments.md` section 4), and the artifacts observed in it.
//!
//! Owns the grouping of instances by (fingerprint, name) and the canonical form of an artifact's
//! detail. The order of the elements of a report never matters. It must not know states: comparing
//! with them is the business of `state`; only `last` knows an earlier report.
//!
//! To add a type of environment: a line in [`crate::name::EnvironmentKind`], a file here, and a
//! line in `reader_of`.

mod azure_apps;
mod cloud_run;
mod detail;
mod docker;
mod ecs;
mod k8s;
mod lambda;
mod last;
mod s3;
mod server;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use detail::{
    AzureContext, CloudRunContext, Detail, DetailError, DetailView, EcsContext, Owner, Pod,
    instances_in, pod_names,
};
pub use last::{Compared, LastReport, Same};

use crate::id::{Fingerprint, decode_hex_32};
use crate::name::EnvironmentKind;
use crate::read::{
    BODY, FieldErrors, Members, Node, Path, Reader, TextRule, body_text, enum_text, not_json,
};

/// Latest `creationTimestamp`: the last second of the year 9999.
pub const CREATION_SECONDS_MAX: i64 = 253_402_300_799;

/// Bounds of one report; an organization may be given other ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportLimits {
    /// Most elements of `artifacts` (pods, tasks, paths).
    pub elements_max: usize,
    /// Most distinct artifacts, that is (fingerprint, name) pairs.
    pub artifacts_max: usize,
    /// Most bytes of one element, which bounds the memory that reading it takes.
    pub element_bytes_max: usize,
    /// Most bytes of an artifact's name and of each text that goes with it.
    pub name_bytes_max: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            elements_max: 100_000,
            artifacts_max: 50_000,
            element_bytes_max: 1 << 20,
            name_bytes_max: 2_048,
        }
    }
}

/// What runs now, grouped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Ascending by (fingerprint, name), each pair once.
    pub artifacts: Vec<Observed>,
}

/// One running artifact with all its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Name as reported, 1 to [`ReportLimits::name_bytes_max`] bytes without control characters.
    pub name: String,
    /// Identity of the content; absent if the reporter could not tell.
    pub fingerprint: Option<Fingerprint>,
    /// Instances and what is known about them.
    pub detail: Detail,
}

/// What one element of a report says: an instance per digest, which share time and context.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementInstances<'a> {
    /// Start of the instances, Unix seconds, 0 to [`CREATION_SECONDS_MAX`].
    pub created_at_seconds: i64,
    /// Artifact names, each once, with the content's identity where known.
    pub digests: Vec<(Cow<'a, str>, Option<Fingerprint>)>,
    /// What the kind of environment adds.
    pub context: Context<'a>,
}

/// What an element says beyond artifacts and time.
#[derive(Debug, Clone, PartialEq)]
pub enum Context<'a> {
    /// Nothing more.
    None,
    /// The pod and its namespace.
    Pod {
        /// Name of the pod, unique in its namespace.
        name: Cow<'a, str>,
        /// The pod itself.
        pod: Pod<'a>,
    },
    /// The task of an ECS cluster.
    Ecs(EcsContext<'a>),
    /// The Azure app.
    Azure(AzureContext<'a>),
    /// The Cloud Run service revision or job.
    CloudRun(CloudRunContext<'a>),
}

/// How one kind of environment reads an element.
struct KindReader {
    /// Whether `""` stands for an unknown digest.
    unknown_digest: bool,
    /// Members beyond `digests` and `creationTimestamp` in the order of their declaration, and
    /// those two.
    known: &'static [&'static str],
    /// Reads the other members.
    context: for<'a> fn(&mut ElementReader<'_, '_, 'a>) -> Option<Context<'a>>,
}

/// The registry: one line per kind that receives reports.
const fn reader_of(kind: EnvironmentKind) -> Option<&'static KindReader> {
    match kind {
        EnvironmentKind::K8s => Some(&k8s::READER),
        EnvironmentKind::Ecs => Some(&ecs::READER),
        EnvironmentKind::S3 => Some(&s3::READER),
        EnvironmentKind::Lambda => Some(&lambda::READER),
        EnvironmentKind::Server => Some(&server::READER),
        EnvironmentKind::Docker => Some(&docker::READER),
        EnvironmentKind::AzureApps => Some(&azure_apps::READER),
        EnvironmentKind::CloudRun => Some(&cloud_run::READER),
        EnvironmentKind::Logical => None,
    }
}

/// The members of one element while they are read.
struct ElementReader<'r, 'p, 'a> {
    reader: &'r mut Reader,
    path: &'r Path<'p>,
    members: Members<'a>,
    text_bytes_max: usize,
}

impl<'a> ElementReader<'_, '_, 'a> {
    fn rule(&self, bytes_min: usize) -> TextRule {
        TextRule {
            bytes_min,
            bytes_max: self.text_bytes_max,
            controls: false,
        }
    }

    /// A text that must be there.
    fn text(&mut self, name: &'static str) -> Option<Cow<'a, str>> {
        let rule = self.rule(0);
        let node = self.members.required(self.reader, self.path, name)?;
        self.reader.text(&Path::Member(self.path, name), node, rule)
    }

    /// A text that may be absent or null.
    fn optional_text(&mut self, name: &'static str) -> Option<Cow<'a, str>> {
        let rule = self.rule(0);
        let node = self.members.nullable(name)?;
        self.reader.text(&Path::Member(self.path, name), node, rule)
    }

    /// One of a few words that must be there.
    fn one_of(
        &mut self,
        name: &'static str,
        words: &'static [&'static str],
    ) -> Option<Cow<'a, str>> {
        let node = self.members.required(self.reader, self.path, name)?;
        if let Node::Text(text) = &node
            && let Some(word) = words.iter().find(|word| *word == text)
        {
            return Some(Cow::Borrowed(*word));
        }
        let message = enum_text(words.iter().copied());
        self.reader
            .refuse(&Path::Member(self.path, name), &message, &node);
        None
    }

    fn created_at(&mut self) -> Option<i64> {
        const NAME: &str = "creationTimestamp";
        let node = self.members.required(self.reader, self.path, NAME)?;
        let path = Path::Member(self.path, NAME);
        self.reader.integer(&path, &node, 0, CREATION_SECONDS_MAX)
    }

    fn digests(&mut self, unknown: bool) -> Option<Vec<(Cow<'a, str>, Option<Fingerprint>)>> {
        const NAME: &str = "digests";
        let rule = self.rule(1);
        let node = self.members.required(self.reader, self.path, NAME)?;
        let path = Path::Member(self.path, NAME);
        let entries = self.reader.map(&path, node)?;
        let mut digests = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            if self.reader.is_full() {
                return None;
            }
            let path = Path::Member(&path, &name);
            let name_fits = self.reader.obeys(&path, &name, rule);
            let fingerprint = match &node {
                Node::Text(text) if unknown && text.is_empty() => Some(None),
                Node::Text(text) => {
                    decode_hex_32(text.as_bytes()).map(|raw| Some(Fingerprint(raw)))
                }
                _ => None,
            };
            match fingerprint {
                Some(fingerprint) if name_fits => digests.push((name, fingerprint)),
                Some(_) => {}
                None => {
                    let message = match &node {
                        Node::Text(_) if unknown => {
                            "String should match pattern '^([a-f0-9]{64})?$'"
                        }
                        Node::Text(_) => "String should match pattern '^[a-f0-9]{64}$'",
                        _ => "Input should be a valid string",
                    };
                    self.reader.refuse(&path, message, &node);
                }
            }
        }
        Some(digests)
    }
}

fn element<'a>(
    kind: &KindReader,
    limits: &ReportLimits,
    reader: &mut Reader,
    path: &Path<'_>,
    node: Node<'a>,
) -> Option<ElementInstances<'a>> {
    let members = reader.members(path, node, kind.known)?;
    let mut element = ElementReader {
        reader,
        path,
        members,
        text_bytes_max: limits.name_bytes_max,
    };
    let context = (kind.context)(&mut element);
    let digests = element.digests(kind.unknown_digest);
    let created_at_seconds = element.created_at();
    element.members.finish(element.reader, path);
    Some(ElementInstances {
        created_at_seconds: created_at_seconds?,
        digests: digests?,
        context: context?,
    })
}

fn logical() -> FieldErrors {
    FieldErrors::one(
        "type",
        "A logical environment receives no reports",
        EnvironmentKind::Logical.as_wire(),
    )
}

/// Reads a whole report of `kind`, naming everything that is wrong around and in its elements.
///
/// For an acceptable report equal to [`split_elements`], [`read_element`] on each element and
/// [`group_within`].
pub fn read_report(
    kind: EnvironmentKind,
    body: &[u8],
    limits: &ReportLimits,
) -> Result<Report, FieldErrors> {
    let kind_reader = reader_of(kind).ok_or_else(logical)?;
    let text = body_text(body)?;
    let mut reader = Reader::new();
    let mut elements = Vec::new();
    if let Some(raw) = split(&mut reader, kind, text, limits)? {
        let list = Path::Member(&Path::Root, "artifacts");
        elements.reserve(raw.len());
        for (index, raw) in raw.into_iter().enumerate() {
            if reader.is_full() {
                break;
            }
            let path = Path::Index(&list, index);
            elements.extend(raw_element(
                kind_reader,
                limits,
                &mut reader,
                &path,
                raw.get(),
            ));
        }
    }
    reader.errors.into_result(Some(()))?;
    group_within(&elements, limits)
}

/// One element from its text. The tree of values exists for one element at a time, so that a
/// large body takes little more memory than itself.
fn raw_element<'a>(
    kind: &KindReader,
    limits: &ReportLimits,
    reader: &mut Reader,
    path: &Path<'_>,
    text: &'a str,
) -> Option<ElementInstances<'a>> {
    if text.len() > limits.element_bytes_max {
        let message = format!(
            "Element should have at most {} bytes, not {}",
            limits.element_bytes_max,
            text.len()
        );
        reader.refuse(path, &message, &Node::Text(Cow::Borrowed(text)));
        return None;
    }
    match serde_json::from_str(text) {
        Ok(node) => element(kind, limits, reader, path, node),
        Err(error) => {
            let found = not_json(&path.to_string(), text, &error);
            reader.errors.extend(found);
            None
        }
    }
}

/// Checks everything around the elements and returns them.
fn envelope<'a>(
    reader: &mut Reader,
    kind: EnvironmentKind,
    node: Node<'a>,
    limits: &ReportLimits,
) -> Option<Vec<Node<'a>>> {
    let mut members = reader.members(&Path::Root, node, &["type", "artifacts"])?;
    if let Some(node) = members.optional("type") {
        let path = Path::Member(&Path::Root, "type");
        reader.one_of(&path, &node, &[(kind.as_wire(), ())]);
    }
    let path = Path::Member(&Path::Root, "artifacts");
    let nodes = match members.required(reader, &Path::Root, "artifacts") {
        // A Go client writes an empty list as null.
        Some(Node::Null) => Some(Vec::new()),
        Some(node) => reader.list(&path, node),
        None => None,
    };
    members.finish(reader, &Path::Root);
    let nodes = nodes?;
    if nodes.len() > limits.elements_max {
        too_many(reader, nodes.len(), limits.elements_max);
        return None;
    }
    Some(nodes)
}

fn too_many(reader: &mut Reader, count: usize, max: usize) {
    reader.errors.add(
        "artifacts",
        &format!("List should have at most {max} items after validation, not {count}"),
        &count.to_string(),
    );
}

/// The raw text of each element of `artifacts`, in order, with everything around them checked.
///
/// The elements themselves are only known to be roughly JSON: [`read_element`] judges them. Equal
/// texts mean equal elements. Where this refuses, [`read_report`] names the errors within the
/// elements as well.
pub fn split_elements<'a>(
    kind: EnvironmentKind,
    body: &'a [u8],
    limits: &ReportLimits,
) -> Result<Vec<&'a [u8]>, FieldErrors> {
    if reader_of(kind).is_none() {
        return Err(logical());
    }
    let mut reader = Reader::new();
    let raw = split(&mut reader, kind, body_text(body)?, limits)?;
    let raw = reader.errors.into_result(raw)?;
    Ok(raw.into_iter().map(|raw| raw.get().as_bytes()).collect())
}

/// Splits a body, reporting what is wrong around the elements; nothing if there are none to read.
fn split<'a>(
    reader: &mut Reader,
    kind: EnvironmentKind,
    text: &'a str,
    limits: &ReportLimits,
) -> Result<Option<Vec<&'a RawValue>>, FieldErrors> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw<'a> {
        #[serde(borrow, rename = "type", default, deserialize_with = "present")]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        artifacts: Vec<&'a RawValue>,
    }

    /// Tells a null from an absent member, which the library reads alike.
    fn present<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<&'de RawValue>, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Some)
    }

    let own = |given: &&RawValue| {
        let inner = given.get().strip_prefix('"');
        inner.and_then(|inner| inner.strip_suffix('"')) == Some(kind.as_wire())
    };
    if let Ok(raw) = serde_json::from_str::<Raw<'a>>(text)
        && raw.kind.as_ref().is_none_or(own)
        && raw.artifacts.len() <= limits.elements_max
    {
        return Ok(Some(raw.artifacts));
    }

    // The body is unusual or wrong: look at each member.
    let raw: RawObject<'a> = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            return match serde_json::from_str::<&RawValue>(text) {
                Ok(raw) if !raw.get().starts_with('{') => {
                    reader.members(&Path::Root, node_of(BODY, raw)?, &[]);
                    Ok(None)
                }
                _ => Err(not_json(BODY, text, &error)),
            };
        }
    };
    let mut list: Option<Vec<&'a RawValue>> = None;
    let mut members = Vec::with_capacity(raw.0.len());
    for (name, value) in raw.0 {
        let node = match serde_json::from_str::<Vec<&'a RawValue>>(value.get()) {
            Ok(items) if name == "artifacts" => {
                let placeholders = vec![Node::Null; items.len()];
                list = Some(items);
                Node::List(placeholders)
            }
            _ => node_of(&name, value)?,
        };
        members.push((name, node));
    }
    let nodes = envelope(reader, kind, Node::Object(members), limits);
    Ok(nodes.map(|_| list.unwrap_or_default()))
}

/// The value, or the start of its text if it is so long that it can only be shown shortened.
fn node_of<'a>(path: &str, raw: &'a RawValue) -> Result<Node<'a>, FieldErrors> {
    const BYTES_MAX: usize = 4_096;
    let text = raw.get();
    if text.len() > BYTES_MAX {
        let end = (BYTES_MAX - 3..=BYTES_MAX)
            .find(|end| text.is_char_boundary(*end))
            .expect("a character has at most four bytes");
        return Ok(Node::Text(Cow::Borrowed(&text[..end])));
    }
    serde_json::from_str(text).map_err(|error| not_json(path, text, &error))
}

/// The members of an object with their values unread.
struct RawObject<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<RawObject<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Reads one element that [`split_elements`] returned; error paths count it as `artifacts[0]`.
pub fn read_element<'a>(
    kind: EnvironmentKind,
    raw: &'a [u8],
    limits: &ReportLimits,
) -> Result<ElementInstances<'a>, FieldErrors> {
    read_element_at(kind, raw, 0, limits)
}

/// Reads one element that [`split_elements`] returned at `index`.
pub fn read_element_at<'a>(
    kind: EnvironmentKind,
    raw: &'a [u8],
    index: usize,
    limits: &ReportLimits,
) -> Result<ElementInstances<'a>, FieldErrors> {
    let kind_reader = reader_of(kind).ok_or_else(logical)?;
    let list = Path::Member(&Path::Root, "artifacts");
    let path = Path::Index(&list, index);
    let text = body_text(raw)?;
    let mut reader = Reader::new();
    let value = raw_element(kind_reader, limits, &mut reader, &path, text);
    reader.errors.into_result(value)
}

/// [`group`], refusing more distinct artifacts than `limits` allows.
pub fn group_within(
    elements: &[ElementInstances<'_>],
    limits: &ReportLimits,
) -> Result<Report, FieldErrors> {
    let artifacts = group(elements);
    if artifacts.len() > limits.artifacts_max {
        let mut reader = Reader::new();
        too_many(&mut reader, artifacts.len(), limits.artifacts_max);
        return Err(reader.errors);
    }
    Ok(Report { artifacts })
}

/// Groups instances by (fingerprint, name), ascending; the order of `elements` does not matter.
pub fn group(elements: &[ElementInstances<'_>]) -> Vec<Observed> {
    let count = elements.iter().map(|element| element.digests.len()).sum();
    let mut instances: Vec<(Option<Fingerprint>, &str, &ElementInstances<'_>)> =
        Vec::with_capacity(count);
    for element in elements {
        for (name, fingerprint) in &element.digests {
            instances.push((*fingerprint, name, element));
        }
    }
    instances.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut artifacts = Vec::new();
    for run in instances.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (fingerprint, name, _) = run[0];
        artifacts.push(Observed {
            name: name.to_owned(),
            fingerprint,
            detail: Detail::of(run.iter().map(|(_, _, element)| *element)),
        });
    }
    artifacts
}

/// The readers of kinds that add nothing to digests and time.
const PLAIN: KindReader = KindReader {
    unknown_digest: false,
    known: &["digests", "creationTimestamp"],
    context: |_| Some(Context::None),
};
