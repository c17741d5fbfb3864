//! Large bodies outside the database: a folder, or an S3-compatible service by URL.
//!
//! The key is `<organization id>/<digest>`; a repeated write is the same bytes, so that it needs
//! no condition. A write returns when it is durable.

use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use runstone_model::id::Digest;

use crate::service::Service;

/// The blob store.
#[derive(Clone)]
pub(crate) struct Blobs {
    pub(crate) service: Service,
}

impl Blobs {
    /// Opens `url`: a folder (`file:///…` or a plain path) or a service (`s3://bucket/prefix`
    /// with its settings as options).
    pub(crate) fn open(url: &str, options: &[(String, String)]) -> Result<Self, String> {
        Service::open(url, options).map(|service| Self { service })
    }

    pub(crate) fn path(&self, organization: &str, digest: &Digest) -> Path {
        self.service
            .prefix
            .clone()
            .join(organization)
            .join(digest.to_hex().as_str())
    }

    /// Stores a body; durable when it returns.
    pub(crate) async fn put(
        &self,
        organization: &str,
        digest: &Digest,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        let path = self.path(organization, digest);
        self.service
            .store
            .put(&path, PutPayload::from(bytes))
            .await
            .map_err(|error| format!("cannot store a body: {}", self.service.told(&error)))?;
        // What a service has answered it keeps; files are flushed by us.
        if let Some(folder) = &self.service.folder {
            let file = folder.join(path.as_ref());
            let flush = || -> std::io::Result<()> {
                std::fs::File::open(&file)?.sync_all()?;
                if let Some(parent) = file.parent() {
                    std::fs::File::open(parent)?.sync_all()?;
                }
                std::fs::File::open(folder)?.sync_all()
            };
            flush().map_err(|error| format!("cannot flush a body: {error}"))?;
        }
        Ok(())
    }

    /// Removes a body for good; it may be gone already.
    pub(crate) async fn remove(&self, organization: &str, digest: &Digest) -> Result<(), String> {
        let path = self.path(organization, digest);
        match self.service.store.delete(&path).await {
            Ok(()) => {}
            Err(error) if Service::is_missing(&error) => {}
            Err(error) => {
                return Err(format!(
                    "cannot remove a body: {}",
                    self.service.told(&error)
                ));
            }
        }
        if let Some(folder) = &self.service.folder
            && let Some(parent) = folder.join(path.as_ref()).parent()
            && parent.exists()
        {
            std::fs::File::open(parent)
                .and_then(|parent| parent.sync_all())
                .map_err(|error| format!("cannot remove a body: {error}"))?;
        }
        Ok(())
    }

    /// The stored bytes; none if there are none.
    pub(crate) async fn get(
        &self,
        organization: &str,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, String> {
        let told = |error: &object_store::Error| {
            format!("cannot read a body: {}", self.service.told(error))
        };
        match self
            .service
            .store
            .get(&self.path(organization, digest))
            .await
        {
            Ok(found) => match found.bytes().await {
                Ok(bytes) => Ok(Some(bytes.to_vec())),
                Err(error) => Err(told(&error)),
            },
            Err(error) if Service::is_missing(&error) => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }
}
