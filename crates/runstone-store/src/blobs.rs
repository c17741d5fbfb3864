//! Large bodies outside the database: a folder, or an S3-compatible service by URL.
//!
//! The key is `<organization id>/<digest>`; a repeated write is the same bytes, so that it needs
//! no condition. A write returns when it is durable.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use runstone_model::id::Digest;

/// The blob store.
#[derive(Clone)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder, where it is one: its files are flushed by us.
    folder: Option<PathBuf>,
}

impl Blobs {
    /// Opens `url`: a folder (`file:///…` or a plain path) or a service (`s3://bucket/prefix`
    /// with its settings as options).
    pub(crate) fn open(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        if let Some(folder) = url
            .strip_prefix("file://")
            .or_else(|| (!url.contains("://")).then_some(url))
        {
            let folder = PathBuf::from(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("cannot make folder {}: {error}", folder.display()))?;
            let store = object_store::local::LocalFileSystem::new_with_prefix(&folder)
                .map_err(|error| error.to_string())?;
            return Ok(Self {
                store: Arc::new(store),
                prefix: Path::default(),
                folder: Some(folder),
            });
        }
        let parsed = url::Url::parse(url).map_err(|error| format!("'{url}': {error}"))?;
        let (store, prefix) =
            object_store::parse_url_opts(&parsed, options).map_err(|error| error.to_string())?;
        Ok(Self {
            store: Arc::from(store),
            prefix,
            folder: None,
        })
    }

    fn path(&self, organization: &str, digest: &Digest) -> Path {
        self.prefix
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
        self.store
            .put(&path, PutPayload::from(bytes))
            .await
            .map_err(|error| format!("cannot store a body: {error}"))?;
        if let Some(folder) = &self.folder {
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
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(format!("cannot remove a body: {error}")),
        }
        if let Some(folder) = &self.folder
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
        match self.store.get(&self.path(organization, digest)).await {
            Ok(found) => found
                .bytes()
                .await
                .map(|bytes| Some(bytes.to_vec()))
                .map_err(|error| error.to_string()),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
