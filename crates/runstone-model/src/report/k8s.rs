//! Reports of K8S environments: one element per running pod, each image with the digest the
//! runtime resolved.

use super::{Context, ElementReader, KindReader, Owner, Pod};
use crate::read::{Node, Path};

pub(super) const READER: KindReader = KindReader {
    unknown_digest: false,
    known: &[
        "podName",
        "namespace",
        "digests",
        "creationTimestamp",
        "owners",
    ],
    context,
};

fn context<'a>(element: &mut ElementReader<'_, '_, 'a>) -> Option<Context<'a>> {
    let name = element.text("podName");
    let namespace = element.text("namespace");
    let owners = match element.members.nullable("owners") {
        None => Some(None),
        Some(node) => owners(element, node).map(Some),
    };
    Some(Context::Pod {
        name: name?,
        pod: Pod {
            namespace: namespace?,
            // The element's time is read after its context; `Detail::of` fills it in.
            created_at_seconds: 0,
            owners: owners?,
        },
    })
}

fn owners<'a>(element: &mut ElementReader<'_, '_, 'a>, node: Node<'a>) -> Option<Vec<Owner<'a>>> {
    let list = Path::Member(element.path, "owners");
    let nodes = element.reader.list(&list, node)?;
    let mut owners = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.into_iter().enumerate() {
        if element.reader.is_full() {
            return None;
        }
        owners.extend(owner(element, &Path::Index(&list, index), node));
    }
    Some(owners)
}

/// An open object: a newer cluster may add members, which are not kept.
fn owner<'a>(
    element: &mut ElementReader<'_, '_, 'a>,
    path: &Path<'_>,
    node: Node<'a>,
) -> Option<Owner<'a>> {
    const KNOWN: &[&str] = &[
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let rule = element.rule(0);
    let reader = &mut *element.reader;
    let mut members = reader.members(path, node, KNOWN)?;
    let mut text = |name: &'static str| {
        let node = members.required(reader, path, name)?;
        reader.text(&Path::Member(path, name), node, rule)
    };
    let api_version = text("apiVersion");
    let kind = text("kind");
    let name = text("name");
    let uid = text("uid");
    let mut boolean = |name: &'static str| {
        let node = members.nullable(name)?;
        reader.boolean(&Path::Member(path, name), &node)
    };
    let controller = boolean("controller");
    let block_owner_deletion = boolean("blockOwnerDeletion");
    members.finish_open(reader, path);
    Some(Owner {
        api_version: api_version?,
        block_owner_deletion,
        controller,
        kind: kind?,
        name: name?,
        uid: uid?,
    })
}
