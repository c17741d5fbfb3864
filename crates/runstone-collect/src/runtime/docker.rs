//! Containers that run in a container engine, and the registry digests of its images
//! (`cli.md` 7.5 and 3.4).
//!
//! Owns which name and which image a running container is reported under. Which of an image's
//! digests counts is decided in `runstone_fingerprint::docker`.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use runstone_fingerprint::docker::{NoRepoDigest, repo_digest};
use runstone_fingerprint::{Fingerprint, LONE_BLANK_HELP};

use crate::{Artifact, Notice};

/// Where the engine listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Containers that are looked at concurrently.
const CONCURRENT: usize = 8;

/// Where an engine listens, and how it is known to be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `unix://…`, `tcp://…` or `http://…`: the value of `DOCKER_HOST`.
    pub address: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, where TLS is asked for
    /// (`DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`).
    pub certificates: Option<PathBuf>,
}

impl Host {
    /// An engine that is reached without TLS.
    pub fn plain(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            certificates: None,
        }
    }
}

/// Seconds an engine may take for an answer.
const TIMEOUT_SECONDS: u64 = 120;

/// A container engine.
pub struct Docker {
    engine: bollard::Docker,
}

/// What runs in a container engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// One per container, named by its image, ordered by container name.
    pub artifacts: Vec<Artifact>,
    /// Containers that were left out, and why.
    pub notices: Vec<Notice>,
}

/// Why an engine could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no engine, or it does not answer.
    #[error(
        "failed to connect to the docker API at {host}; check if the path is correct and if the daemon is running: {reason}"
    )]
    Connect {
        /// Where it should be.
        host: String,
        /// Why.
        reason: String,
    },
    /// The engine refused.
    #[error("Error response from daemon: {0}")]
    Refused(String),
    /// The connection broke, or the answer makes no sense.
    #[error("docker API: {0}")]
    Failed(String),
    /// The image has no digest to be identified by.
    #[error(transparent)]
    NoRepoDigest(#[from] NoRepoDigest),
    /// The image asked for was a lone blank.
    #[error("{0}. The image ID is ' '. {LONE_BLANK_HELP}")]
    LoneBlank(Box<Error>),
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::DockerResponseServerError { message, .. } => Self::Refused(message),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What went wrong, with the cause at the bottom: the library tells of TLS only there.
fn told(error: &EngineError) -> String {
    let text = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = cause.to_string();
    if text.contains(&cause) {
        text
    } else {
        format!("{text}: {cause}")
    }
}

impl Docker {
    /// Connects to an engine and agrees on a version of its interface. TLS takes the provider of
    /// cryptography that the process has installed.
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub async fn connect(host: &Host) -> Result<Self, Error> {
        let failed = |error: EngineError| Error::Connect {
            host: host.address.clone(),
            reason: told(&error),
        };
        let connected = match &host.certificates {
            Some(folder) if !host.address.starts_with("unix://") => {
                for file in ["ca.pem", "cert.pem", "key.pem"] {
                    let path = folder.join(file);
                    if let Err(error) = std::fs::metadata(&path) {
                        return Err(Error::Connect {
                            host: host.address.clone(),
                            reason: format!("{}: {error}", path.display()),
                        });
                    }
                }
                bollard::Docker::connect_with_ssl(
                    &host.address,
                    &folder.join("key.pem"),
                    &folder.join("cert.pem"),
                    &folder.join("ca.pem"),
                    TIMEOUT_SECONDS,
                    bollard::API_DEFAULT_VERSION,
                )
            }
            _ => bollard::Docker::connect_with_host(&host.address),
        };
        let engine = connected
            .map_err(failed)?
            .negotiate_version()
            .await
            .map_err(failed)?;
        Ok(Self { engine })
    }

    /// The fingerprint of a local image by any text the engine knows it by.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such image, [`Error::NoRepoDigest`] if it was never in
    /// a registry.
    pub async fn image_fingerprint(&self, reference: &str) -> Result<Fingerprint, Error> {
        let found = async {
            let image = self.engine.inspect_image(reference).await?;
            Ok(repo_digest(
                reference,
                &image.repo_digests.unwrap_or_default(),
            )?)
        }
        .await;
        found.map_err(|error| {
            if reference == " " {
                Error::LoneBlank(Box::new(error))
            } else {
                error
            }
        })
    }

    /// Every running container.
    ///
    /// A container whose image has no registry digest, or is gone, is left out with a notice; a
    /// container that ends while it is looked at is left out silently.
    ///
    /// # Errors
    /// Any other refusal.
    pub async fn running(&self) -> Result<Running, Error> {
        let options = ListContainersOptionsBuilder::new()
            .filters(&HashMap::from([("status", vec!["running"])]))
            .build();
        let mut containers: Vec<Container> = self
            .engine
            .list_containers(Some(options))
            .await?
            .into_iter()
            .map(Container::from)
            .collect();
        containers.sort_by(|left, right| (&left.name, &left.id).cmp(&(&right.name, &right.id)));
        let looked_at: Vec<Option<Result<Artifact, Notice>>> = stream::iter(containers)
            .map(|container| self.look_at(container))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        let mut running = Running::default();
        for container in looked_at.into_iter().flatten() {
            match container {
                Ok(artifact) => running.artifacts.push(artifact),
                Err(notice) => running.notices.push(notice),
            }
        }
        Ok(running)
    }

    async fn look_at(
        &self,
        container: Container,
    ) -> Result<Option<Result<Artifact, Notice>>, Error> {
        let Some(image) = self.image_name(&container).await? else {
            return Ok(None);
        };
        let name = if container.name.is_empty() {
            &image
        } else {
            &container.name
        };
        // By id, not by name: the name may mean another image by now.
        let digests = match self.engine.inspect_image(&container.image_id).await {
            Ok(found) => found.repo_digests.unwrap_or_default(),
            Err(EngineError::DockerResponseServerError {
                status_code: 404,
                message,
            }) => {
                return Ok(Some(Err(Notice::Warning(format!(
                    "ignoring container '{name}' as its image is no longer present locally: {message}"
                )))));
            }
            Err(error) => return Err(error.into()),
        };
        let asked_as = image.strip_prefix("sha256:").unwrap_or(&image);
        Ok(Some(match repo_digest(asked_as, &digests) {
            Ok(fingerprint) => Ok(Artifact {
                fingerprint: Some(fingerprint),
                created_at: container.created_at,
                name: image,
            }),
            Err(NoRepoDigest) => Err(Notice::Note(format!(
                "ignoring container '{name}' as it uses an image with no repo digest"
            ))),
        }))
    }

    /// The name a container's image is reported under; nothing if the container is gone.
    ///
    /// Once a tag moves on, the engine lists the containers that still run the old image by the
    /// image's id. What runs has not changed, so its name must not either: the name the
    /// container was made with is taken; else the first tag the image has now; else the id.
    async fn image_name(&self, container: &Container) -> Result<Option<String>, Error> {
        if !is_id(&container.image) {
            return Ok(Some(container.image.clone()));
        }
        let made_with = match self
            .engine
            .inspect_container(&container.id, None::<InspectContainerOptions>)
            .await
        {
            Ok(found) => found.config.and_then(|config| config.image),
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(name) = made_with.filter(|name| !name.is_empty() && !is_id(name)) {
            return Ok(Some(name));
        }
        let tag = match self.engine.inspect_image(&container.image_id).await {
            Ok(image) => image.repo_tags.and_then(|tags| tags.into_iter().next()),
            // Found out, and told, when the image's digests are asked for.
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Some(tag.unwrap_or_else(|| container.image.clone())))
    }
}

/// Whether an image text is an id, long or shortened as engines show it, and no name.
fn is_id(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    (digits.len() < image.len() || matches!(digits.len(), 12 | 64))
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the engine's list says of a container.
struct Container {
    id: String,
    name: String,
    image: String,
    image_id: String,
    created_at: i64,
}

impl From<bollard::models::ContainerSummary> for Container {
    fn from(summary: bollard::models::ContainerSummary) -> Self {
        let image = summary.image.unwrap_or_default();
        Self {
            id: summary.id.unwrap_or_default(),
            name: summary
                .names
                .unwrap_or_default()
                .first()
                .map(|name| name.trim_start_matches('/').to_owned())
                .unwrap_or_default(),
            image_id: summary.image_id.unwrap_or_else(|| image.clone()),
            image,
            created_at: summary.created.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        let long = "a".repeat(64);
        for (text, expected) in [
            (long.as_str(), true),
            ("0123456789ab", true),
            ("sha256:0123456789ab", true),
            ("nginx", false),
            ("cafe", false),
            ("nginx:1", false),
            ("repo@sha256:aa", false),
        ] {
            assert_eq!(is_id(text), expected, "{text}");
        }
    }
}
