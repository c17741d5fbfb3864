//! The detail of a running artifact: how many instances, since when, and where.
//!
//! Owns its canonical form: JSON as RFC 8785 writes it (members sorted, integers only), so that
//! equal details are equal bytes. Members: `t` start times, ascending, one per instance; `pods`,
//! `ecs`, `azure`, `cloud_run` as the kind gives them; absent members are left out. The form is
//! stored and must stay readable; add members, never change one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Context, ElementInstances};

/// Canonical bytes of a detail.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Detail(Box<[u8]>);

/// Stored bytes are not a detail.
#[derive(Debug, thiserror::Error)]
#[error("stored detail cannot be read")]
pub struct DetailError(#[from] serde_json::Error);

/// The members of a detail, borrowed from its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct DetailView<'a> {
    /// Start of each instance, Unix seconds, ascending.
    #[serde(rename = "t", default)]
    pub timestamps: Vec<i64>,
    /// K8S: pods by name; of pods with one name in several namespaces, all but that of the first
    /// namespace are keyed `namespace/name`.
    #[serde(borrow, default)]
    pub pods: Option<BTreeMap<Cow<'a, str>, Pod<'a>>>,
    /// ECS: the task that started first.
    #[serde(borrow, default)]
    pub ecs: Option<EcsContext<'a>>,
    /// azure-apps: the app that started first.
    #[serde(borrow, default)]
    pub azure: Option<AzureContext<'a>>,
    /// cloud-run: the service revision or job that started first.
    #[serde(borrow, default)]
    pub cloud_run: Option<CloudRunContext<'a>>,
}

// The members of the following structs are declared in the order of their stored names, because
// they are written in the order of declaration and the canonical form is sorted.

/// A pod that runs the artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pod<'a> {
    /// Its namespace.
    #[serde(borrow, rename = "ns")]
    pub namespace: Cow<'a, str>,
    /// Its owners; absent if the reporter said nothing about them.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Vec<Owner<'a>>>,
    /// Its creation, Unix seconds.
    #[serde(rename = "t")]
    pub created_at_seconds: i64,
}

/// What owns a pod, for example a replica set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner<'a> {
    /// API group and version.
    #[serde(borrow)]
    pub api_version: Cow<'a, str>,
    /// Whether the owner cannot be deleted before the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
    /// Whether the owner manages the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Type of the owner.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its unique id in the cluster.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
}

/// The ECS task of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EcsContext<'a> {
    /// Name of the cluster, where the reporter fills it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<Cow<'a, str>>,
    /// Name of the service, where the reporter fills it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<Cow<'a, str>>,
    /// The task.
    #[serde(borrow)]
    pub task_arn: Cow<'a, str>,
}

/// The Azure app of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AzureContext<'a> {
    /// Kind of app.
    #[serde(borrow)]
    pub app_kind: Cow<'a, str>,
    /// Name of the app.
    #[serde(borrow)]
    pub app_name: Cow<'a, str>,
    /// How the digest was found: `acr`, `logs` or `kosli-cli`.
    #[serde(borrow)]
    pub digests_source: Cow<'a, str>,
}

/// The Cloud Run service revision or job of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CloudRunContext<'a> {
    /// Name of the job.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub job_name: Option<Cow<'a, str>>,
    /// `service` or `job`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Name of the revision.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub revision_name: Option<Cow<'a, str>>,
    /// Name of the service.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<Cow<'a, str>>,
}

impl Detail {
    /// The detail of instances of one artifact, in any order.
    pub(super) fn of<'e, 'a: 'e>(elements: impl Iterator<Item = &'e ElementInstances<'a>>) -> Self {
        let mut timestamps = Vec::new();
        let mut pods: Vec<(&str, &Pod<'a>, i64)> = Vec::new();
        let mut ecs = None;
        let mut azure = None;
        let mut cloud_run = None;
        for element in elements {
            let at = element.created_at_seconds;
            timestamps.push(at);
            match &element.context {
                Context::None => {}
                Context::Pod { name, pod } => pods.push((name, pod, at)),
                Context::Ecs(context) => keep_first(&mut ecs, at, context),
                Context::Azure(context) => keep_first(&mut azure, at, context),
                Context::CloudRun(context) => keep_first(&mut cloud_run, at, context),
            }
        }
        Self::write(timestamps, pods, azure, cloud_run, ecs)
    }

    /// One detail of the same artifact in several places, as if all its instances had been
    /// reported together.
    pub fn join(parts: &[Self]) -> Result<Self, DetailError> {
        let views = parts
            .iter()
            .map(Self::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let mut timestamps = Vec::new();
        let mut pods: Vec<(&str, &Pod<'_>, i64)> = Vec::new();
        let mut ecs = None;
        let mut azure = None;
        let mut cloud_run = None;
        for view in &views {
            timestamps.extend_from_slice(&view.timestamps);
            for (key, pod) in view.pods.iter().flatten() {
                let name = key
                    .strip_prefix(&*pod.namespace)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .unwrap_or(key);
                pods.push((name, pod, pod.created_at_seconds));
            }
            let at = view.timestamps.first().copied().unwrap_or(i64::MAX);
            if let Some(context) = &view.ecs {
                keep_first(&mut ecs, at, context);
            }
            if let Some(context) = &view.azure {
                keep_first(&mut azure, at, context);
            }
            if let Some(context) = &view.cloud_run {
                keep_first(&mut cloud_run, at, context);
            }
        }
        Ok(Self::write(timestamps, pods, azure, cloud_run, ecs))
    }

    fn write(
        mut timestamps: Vec<i64>,
        pods: Vec<(&str, &Pod<'_>, i64)>,
        azure: Option<(i64, &AzureContext<'_>)>,
        cloud_run: Option<(i64, &CloudRunContext<'_>)>,
        ecs: Option<(i64, &EcsContext<'_>)>,
    ) -> Self {
        timestamps.sort_unstable();

        let mut out = Vec::with_capacity(16 + timestamps.len() * 11 + pods.len() * 256);
        out.push(b'{');
        write_context(&mut out, "azure", azure);
        write_context(&mut out, "cloud_run", cloud_run);
        write_context(&mut out, "ecs", ecs);
        if !pods.is_empty() {
            out.extend_from_slice(b"\"pods\":{");
            for (index, (key, pod, at)) in keyed(pods).into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(&mut out, &key);
                out.extend_from_slice(b":{\"ns\":");
                write_text(&mut out, &pod.namespace);
                if let Some(owners) = &pod.owners {
                    out.extend_from_slice(b",\"owners\":[");
                    for (index, owner) in owners.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        write_owner(&mut out, owner);
                    }
                    out.push(b']');
                }
                out.extend_from_slice(b",\"t\":");
                write_integer(&mut out, at);
                out.push(b'}');
            }
            out.extend_from_slice(b"},");
        }
        out.extend_from_slice(b"\"t\":[");
        for (index, at) in timestamps.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_integer(&mut out, *at);
        }
        out.extend_from_slice(b"]}");
        Self(out.into_boxed_slice())
    }

    /// The detail stored as `bytes`, which [`Detail::as_bytes`] once returned.
    pub fn from_canonical(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of instances; see [`instances_in`].
    pub fn instances(&self) -> u64 {
        instances_in(&self.0)
    }

    /// The members.
    pub fn parse(&self) -> Result<DetailView<'_>, DetailError> {
        DetailView::parse(&self.0)
    }
}

/// Number of instances, read off the end of a detail's bytes: `t` is the last member.
/// Zero if the bytes are no detail.
pub fn instances_in(detail: &[u8]) -> u64 {
    let Some(times) = detail.strip_suffix(b"]}") else {
        return 0;
    };
    let mut commas = 0;
    for (index, byte) in times.iter().enumerate().rev() {
        match byte {
            b',' => commas += 1,
            b'[' if index + 1 == times.len() => return 0,
            b'[' => return commas + 1,
            _ => {}
        }
    }
    0
}

impl<'a> DetailView<'a> {
    /// The members of a detail that is stored as `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DetailError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The names of the pods in a detail that is stored as `bytes`, in the order of the canonical
/// form; none if it is no detail of pods. What else stands there is passed over.
pub fn pod_names(bytes: &[u8]) -> Result<Option<Vec<Cow<'_, str>>>, DetailError> {
    #[derive(Deserialize)]
    struct Pods<'a> {
        #[serde(borrow, default)]
        pods: Option<Names<'a>>,
    }
    Ok(serde_json::from_slice::<Pods<'_>>(bytes)?
        .pods
        .map(|names| names.0))
}

/// The names of an object's members.
struct Names<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Names<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut names = Vec::with_capacity(1);
                while let Some(Borrowed(name)) = map.next_key()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// A text, borrowed where it stands without escapes.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Keeps the smallest of (time, context), so that the order of elements does not matter.
fn keep_first<'e, T: Ord>(first: &mut Option<(i64, &'e T)>, at: i64, context: &'e T) {
    if first.is_none_or(|kept| (at, context) < kept) {
        *first = Some((at, context));
    }
}

/// One entry per pod, under keys that tell equal names of different namespaces apart, sorted as
/// RFC 8785 asks. A pod that is reported twice keeps its earlier time.
fn keyed<'e, 'a>(
    mut pods: Vec<(&'e str, &'e Pod<'a>, i64)>,
) -> Vec<(Cow<'e, str>, &'e Pod<'a>, i64)> {
    pods.sort_unstable_by(|(a_name, a, a_at), (b_name, b, b_at)| {
        (a_name, &a.namespace, a_at, &a.owners).cmp(&(b_name, &b.namespace, b_at, &b.owners))
    });
    pods.dedup_by(|b, a| a.0 == b.0 && a.1.namespace == b.1.namespace);
    let unique = pods.windows(2).all(|pair| pair[0].0 != pair[1].0);
    let mut keyed: Vec<(Cow<'e, str>, &Pod<'a>, i64)> = Vec::with_capacity(pods.len());
    if unique {
        keyed.extend(
            pods.into_iter()
                .map(|(name, pod, at)| (Cow::Borrowed(name), pod, at)),
        );
    } else {
        // First the bare names, then the qualified ones; a pod whose bare name looks like a
        // qualified one makes the latter longer, so that no pod is lost.
        let mut taken = std::collections::HashSet::new();
        let mut later = Vec::new();
        for (name, pod, at) in pods {
            if taken.insert(Cow::Borrowed(name)) {
                keyed.push((Cow::Borrowed(name), pod, at));
            } else {
                later.push((name, pod, at));
            }
        }
        for (name, pod, at) in later {
            let mut key = format!("{}/{name}", pod.namespace);
            while !taken.insert(Cow::Owned(key.clone())) {
                key = format!("{}/{key}", pod.namespace);
            }
            keyed.push((Cow::Owned(key), pod, at));
        }
    }
    // Byte order is the order of RFC 8785 except beyond the basic plane; bare names are sorted.
    if !unique || keyed.iter().any(|(key, _, _)| !key.is_ascii()) {
        keyed.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
    }
    keyed
}

fn write_context<T: Serialize>(out: &mut Vec<u8>, name: &str, context: Option<(i64, &T)>) {
    if let Some((_, context)) = context {
        write_text(out, name);
        out.push(b':');
        serde_json::to_writer(&mut *out, context).expect("texts can be written to memory");
        out.push(b',');
    }
}

fn write_owner(out: &mut Vec<u8>, owner: &Owner<'_>) {
    out.extend_from_slice(b"{\"apiVersion\":");
    write_text(out, &owner.api_version);
    for (name, value) in [
        (&b",\"blockOwnerDeletion\":"[..], owner.block_owner_deletion),
        (b",\"controller\":", owner.controller),
    ] {
        if let Some(value) = value {
            out.extend_from_slice(name);
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }
    out.extend_from_slice(b",\"kind\":");
    write_text(out, &owner.kind);
    out.extend_from_slice(b",\"name\":");
    write_text(out, &owner.name);
    out.extend_from_slice(b",\"uid\":");
    write_text(out, &owner.uid);
    out.push(b'}');
}

/// Writes a JSON string; the library escapes exactly as RFC 8785 asks.
fn write_text(out: &mut Vec<u8>, text: &str) {
    // Counted, not searched: without an early exit this runs on whole registers.
    let escaped = text
        .bytes()
        .filter(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\')
        .count();
    if escaped == 0 {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("texts can be written to memory");
    }
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    use std::io::Write as _;
    write!(out, "{value}").expect("numbers can be written to memory");
}
