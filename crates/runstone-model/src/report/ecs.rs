//! Reports of ECS environments: one element per task.

use super::{Context, EcsContext, ElementReader, KindReader};

pub(super) const READER: KindReader = KindReader {
    unknown_digest: true,
    known: &[
        "taskArn",
        "digests",
        "creationTimestamp",
        "cluster_name",
        "service_name",
    ],
    context,
};

fn context<'a>(element: &mut ElementReader<'_, '_, 'a>) -> Option<Context<'a>> {
    let task_arn = element.text("taskArn");
    let cluster_name = element.optional_text("cluster_name");
    let service_name = element.optional_text("service_name");
    Some(Context::Ecs(EcsContext {
        cluster_name,
        service_name,
        task_arn: task_arn?,
    }))
}
