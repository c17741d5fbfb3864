//! Bodies of reports, one per type of environment (`api-environments.md` section 4).
//!
//! These shapes describe the wire and serve clients that write it; the server reads reports with
//! `runstone_model::report`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Artifact name → fingerprint; the empty text where a type allows unknown content.
pub type Digests = BTreeMap<String, String>;

macro_rules! reports {
    ($($(#[$doc:meta])* $report:ident of $element:ident {
        $($(#[$member:meta])* $name:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $report {
                /// The same type as in the path.
                #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
                pub kind: Option<String>,
                /// Everything that runs now.
                pub artifacts: Vec<$element>,
            }

            $(#[$doc])*
            /// One element.
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $element {
                $($(#[$member])* pub $name: $type,)*
                /// Artifact name → fingerprint.
                pub digests: Digests,
                /// Start, Unix seconds.
                #[serde(rename = "creationTimestamp")]
                pub creation_timestamp: i64,
            }
        )*
    };
}

reports! {
    /// Report of a Kubernetes cluster: one element per pod.
    K8sReport of K8sPod {
        /// Name of the pod.
        #[serde(rename = "podName")]
        pod_name: String,
        /// Its namespace.
        namespace: String,
        /// What owns it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owners: Option<Vec<K8sOwner>>,
    }
    /// Report of an ECS cluster or service: one element per task.
    EcsReport of EcsTask {
        /// The task.
        #[serde(rename = "taskArn")]
        task_arn: String,
        /// Its cluster.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster_name: Option<String>,
        /// Its service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service_name: Option<String>,
    }
    /// Report of functions: one element per function.
    LambdaReport of LambdaFunction {}
    /// Report of a bucket: one element.
    S3Report of S3Bucket {}
    /// Report of a Docker engine: one element per container.
    DockerReport of DockerContainer {}
    /// Report of a machine: one element per path.
    ServerReport of ServerPath {}
    /// Report of Azure apps: one element per app.
    AzureAppsReport of AzureApp {
        /// Name of the app.
        app_name: String,
        /// Kind of app.
        app_kind: String,
        /// `acr`, `logs` or `kosli-cli`.
        digests_source: String,
    }
    /// Report of Cloud Run: one element per revision that receives traffic, or per job.
    CloudRunReport of CloudRunInstance {
        /// `service` or `job`.
        kind: String,
        /// Name of the service.
        #[serde(rename = "serviceName", default, skip_serializing_if = "Option::is_none")]
        service_name: Option<String>,
        /// Name of the revision.
        #[serde(rename = "revisionName", default, skip_serializing_if = "Option::is_none")]
        revision_name: Option<String>,
        /// Name of the job.
        #[serde(rename = "jobName", default, skip_serializing_if = "Option::is_none")]
        job_name: Option<String>,
    }
}

/// What owns a pod. Open: members that are not known are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct K8sOwner {
    /// API group and version.
    pub api_version: String,
    /// Type of the owner.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub uid: String,
    /// Whether it manages the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether it cannot be deleted before the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}
