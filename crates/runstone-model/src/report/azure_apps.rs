//! Reports of azure-apps environments: one element per app; `digests_source` tells how the digest
//! was found.

use super::{AzureContext, Context, ElementReader, KindReader};

pub(super) const READER: KindReader = KindReader {
    unknown_digest: true,
    known: &[
        "app_name",
        "app_kind",
        "digests",
        "digests_source",
        "creationTimestamp",
    ],
    context,
};

fn context<'a>(element: &mut ElementReader<'_, '_, 'a>) -> Option<Context<'a>> {
    let app_name = element.text("app_name");
    let app_kind = element.text("app_kind");
    let digests_source = element.one_of("digests_source", &["acr", "logs", "kosli-cli"]);
    Some(Context::Azure(AzureContext {
        app_kind: app_kind?,
        app_name: app_name?,
        digests_source: digests_source?,
    }))
}
