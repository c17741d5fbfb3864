//! Reports of cloud-run environments: one element per revision that receives traffic, or per job.

use super::{CloudRunContext, Context, ElementReader, KindReader};

pub(super) const READER: KindReader = KindReader {
    unknown_digest: true,
    known: &[
        "kind",
        "digests",
        "creationTimestamp",
        "serviceName",
        "revisionName",
        "jobName",
    ],
    context,
};

fn context<'a>(element: &mut ElementReader<'_, '_, 'a>) -> Option<Context<'a>> {
    let kind = element.one_of("kind", &["service", "job"]);
    let service_name = element.optional_text("serviceName");
    let revision_name = element.optional_text("revisionName");
    let job_name = element.optional_text("jobName");
    Some(Context::CloudRun(CloudRunContext {
        job_name,
        kind: kind?,
        revision_name,
        service_name,
    }))
}
