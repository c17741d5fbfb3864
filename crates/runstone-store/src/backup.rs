//! Backups: a consistent copy of a store in a folder, and the way back into either engine (D17).
//!
//! The folder holds `runstone.db` (a SQLite file of the store's own schema, whatever the engine),
//! `blobs/` with every body outside the database that it names, `checkpoints/` with the signed
//! checkpoint of each log, and `manifest.json`, written last, with size and SHA-256 of every
//! file. `keys` is there only when secrets were asked for.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use runstone_model::event::Entry;
use runstone_model::fact::OrganizationNo;
use runstone_model::id::{Digest, encode_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Options;
use crate::admin::{AdminError, Places, Progress, make_empty, write_file};
use crate::blobs::Blobs;
use crate::conn::{Conn, Mode};
use crate::dialect::Dialect;
use crate::engine::{Database, Place, open_sqlite};
use crate::guard::{Guard, Guarded, Publisher};
use crate::keys::Secrets;
use crate::pause::Pause;
use crate::table::{self, Table};
use crate::value::{DbError, Record, Value};

const FORMAT: &str = "runstone-backup-1";
const MANIFEST: &str = "manifest.json";
const DATABASE: &str = "runstone.db";
/// Rows copied at once.
const PAGE: u64 = 1_000;

/// A backup was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupDone {
    /// Files, the manifest not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Origin and size of each log.
    pub logs: Vec<(String, u64)>,
}

/// A backup was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Origin and size of each log.
    pub logs: Vec<(String, u64)>,
    /// How the checkpoint guard is ahead of the restored logs. If it is, nothing can be written
    /// until `runstone admin new-epoch --reason TEXT` says why.
    pub stopped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: String,
    /// Microseconds since 1970.
    created_at: i64,
    logs: Vec<ManifestLog>,
    /// By path relative to the folder.
    files: BTreeMap<String, ManifestFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestLog {
    origin: String,
    size: u64,
    root: String,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct ManifestFile {
    bytes: u64,
    sha256: String,
}

/// Copies a store into an empty or new folder, also while servers run on it: everything is as it
/// was at one instant. Nothing is erased meanwhile; who asks for it is told to come back. Without `with_secrets` the key file has to be kept elsewhere.
pub async fn backup(
    options: &Options,
    directory: &Path,
    with_secrets: bool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<BackupDone, AdminError> {
    let places = Places::of(options)?;
    let mut conn = places.connect_reader().await?;
    // Until the end: what the copy names is there when it is fetched.
    let pause = Pause::begin(&places).await?;
    make_empty(directory)?;
    let file = directory.join(DATABASE);
    match &mut conn {
        Conn::Sqlite(connection) => {
            connection
                .execute("VACUUM INTO ?1", [file.to_string_lossy()])
                .map_err(|error| Dialect::sqlite_error(&error))?;
        }
        Conn::Postgres(_) => {
            let database = Database::new(Place::Sqlite { file: file.clone() });
            database.migrate(None).await?;
            let mut target = database.connect_writer().await?;
            conn.begin(Mode::Read).await?;
            let copied = copy(&mut conn, &mut target, progress).await;
            conn.rollback().await;
            copied?;
            drop(target);
        }
    }
    drop(conn);
    let mut copy = Conn::Sqlite(open_sqlite(&file, false)?);
    // One file, without another beside it.
    copy.query("PRAGMA journal_mode = DELETE", &[]).await?;
    std::fs::File::open(&file)
        .and_then(|file| file.sync_all())
        .map_err(AdminError::file(&file))?;
    let blobs = places.open_blobs(options)?;
    copy_blobs(&mut copy, &blobs, directory, progress).await?;
    drop(pause);
    let mut logs = Vec::new();
    for row in copy
        .query(
            "SELECT id, origin, size, root, note FROM heads ORDER BY organization",
            &[],
        )
        .await?
    {
        let path = directory.join("checkpoints").join(row.text(0)?);
        write_file(&path, row.text(4)?.as_bytes())?;
        logs.push(ManifestLog {
            origin: row.text(1)?.to_owned(),
            size: row.number(2)?,
            root: encode_hex(&row.sha256(3)?),
        });
    }
    drop(copy);
    if with_secrets {
        Secrets::load(&places.key_file, false, &*options.random)?.write(&directory.join("keys"))?;
    }
    let files = list(directory, progress)?;
    let done = BackupDone {
        files: files.len() as u64,
        bytes: files.values().map(|file| file.bytes).sum(),
        logs: logs
            .iter()
            .map(|log| (log.origin.clone(), log.size))
            .collect(),
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        created_at: options.clock.now().0,
        logs,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain JSON");
    write_file(&directory.join(MANIFEST), &text)?;
    std::fs::File::open(directory)
        .and_then(|folder| folder.sync_all())
        .map_err(AdminError::file(directory))?;
    Ok(done)
}

/// Copies every row of every table, in key order.
async fn copy(
    from: &mut Conn,
    to: &mut Conn,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), AdminError> {
    to.begin(Mode::Write).await?;
    let result = copy_tables(from, to, progress).await;
    match result {
        Ok(()) => Ok(to.commit().await?),
        Err(error) => {
            to.rollback().await;
            Err(error.into())
        }
    }
}

async fn copy_tables(
    from: &mut Conn,
    to: &mut Conn,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), DbError> {
    let mut done = 0;
    for table in table::ALL {
        let mut last: Option<Vec<Value>> = None;
        loop {
            let rows = page(from, table, last.as_deref()).await?;
            let Some(end) = rows.last() else { break };
            last = Some(end.0[..table.key].to_vec());
            done += rows.len() as u64;
            let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.0).collect();
            to.put(table, &rows).await?;
            progress(Progress {
                what: "rows",
                done,
                total: 0,
            });
        }
    }
    Ok(())
}

/// Rows after a key, in key order.
async fn page(
    conn: &mut Conn,
    table: &Table,
    after: Option<&[Value]>,
) -> Result<Vec<Record>, DbError> {
    let key: Vec<_> = table.columns[..table.key].iter().map(|c| c.0).collect();
    let key = key.join(", ");
    let parameters: Vec<_> = (1..=table.key).map(|n| format!("${n}")).collect();
    let condition = if after.is_some() {
        format!(" WHERE ({key}) > ({})", parameters.join(", "))
    } else {
        String::new()
    };
    conn.query(
        &format!(
            "SELECT {} FROM {}{condition} ORDER BY {key} LIMIT {PAGE}",
            table.column_list(),
            table.name
        ),
        after.unwrap_or_default(),
    )
    .await
}

/// Copies the bodies that lie outside the database and that its copy names.
async fn copy_blobs(
    copy: &mut Conn,
    blobs: &Blobs,
    directory: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), AdminError> {
    let named = outside(copy).await?;
    let total = named.len() as u64;
    for ((id, digest), done) in named.into_iter().zip(1..) {
        let bytes = blobs
            .get(&id, &digest)
            .await
            .map_err(AdminError::Service)?
            .ok_or_else(|| {
                AdminError::Damaged(format!("body {digest} of {id} is not in the blob store"))
            })?;
        write_file(
            &directory.join("blobs").join(&id).join(digest.to_hex()),
            &bytes,
        )?;
        progress(Progress {
            what: "blobs",
            done,
            total,
        });
    }
    Ok(())
}

/// Organization id and digest of each body outside the database, each once.
async fn outside(conn: &mut Conn) -> Result<Vec<(String, Digest)>, DbError> {
    let mut found = Vec::new();
    let rows = conn
        .query(
            "SELECT b.organization, h.id, b.entry, b.position FROM bodies b JOIN heads h ON h.organization = b.organization WHERE b.bytes IS NULL ORDER BY b.organization, b.entry, b.position",
            &[],
        )
        .await?;
    for row in rows {
        let index = row.number(2)?;
        let entries =
            crate::journal::entries(conn, OrganizationNo(row.ordinal(0)?), index, 1).await?;
        let digests = entries
            .first()
            .and_then(|bytes| Entry::body_digests(bytes).ok())
            .unwrap_or_default();
        let digest = digests.get(row.ordinal(3)? as usize).ok_or_else(|| {
            DbError::Corrupt(format!(
                "entry {index} does not name the body stored for it"
            ))
        })?;
        found.push((row.text(1)?.to_owned(), *digest));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Size and hash of a file.
fn measure(path: &Path) -> Result<ManifestFile, AdminError> {
    let measure = || -> std::io::Result<ManifestFile> {
        let mut file = std::fs::File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            hash.update(&buffer[..read]);
        }
        Ok(ManifestFile {
            bytes,
            sha256: encode_hex(&hash.finalize()),
        })
    };
    measure().map_err(AdminError::file(path))
}

/// Every file below a folder but its manifest, measured.
fn list(
    directory: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<BTreeMap<String, ManifestFile>, AdminError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = directory.join(&folder);
        for item in std::fs::read_dir(&path).map_err(AdminError::file(&path))? {
            let item = item.map_err(AdminError::file(&path))?;
            let name = folder.join(item.file_name());
            let path = item.path();
            if path.is_dir() {
                folders.push(name);
            } else if name != Path::new(MANIFEST) {
                files.insert(name.to_string_lossy().into_owned(), measure(&path)?);
                progress(Progress {
                    what: "files",
                    done: files.len() as u64,
                    total: 0,
                });
            }
        }
    }
    Ok(files)
}

/// Puts a backup into an empty store of either engine, after its files were compared with its
/// manifest. A key file in the backup is put in place when there is none.
pub async fn restore(
    directory: &Path,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Restored, AdminError> {
    let manifest = check_manifest(directory, progress)?;
    let places = Places::of(options)?;
    let _lock = places
        .folder
        .as_deref()
        .map(crate::lock_directory)
        .transpose()?;
    let source = directory.join(DATABASE);
    check_empty(&places).await?;
    let secrets = secrets(directory, &source, &places, options).await?;
    let blobs = places.open_blobs(options)?;
    let mut done = 0;
    for name in manifest.files.keys() {
        let Some((id, digest)) = name
            .strip_prefix("blobs/")
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        let digest: Digest = digest
            .parse()
            .map_err(|error| AdminError::Damaged(format!("{name}: {error}")))?;
        let path = directory.join(name);
        let bytes = std::fs::read(&path).map_err(AdminError::file(&path))?;
        blobs
            .put(id, &digest, bytes)
            .await
            .map_err(AdminError::Service)?;
        done += 1;
        progress(Progress {
            what: "blobs",
            done,
            total: 0,
        });
    }
    let database = Database::new(places.place.clone());
    match &places.place {
        Place::Sqlite { file } => {
            let part = file.with_extension("restoring");
            let copy = || -> std::io::Result<()> {
                std::fs::copy(&source, &part)?;
                std::fs::File::open(&part)?.sync_all()?;
                std::fs::rename(&part, file)?;
                if let Some(folder) = file.parent() {
                    std::fs::File::open(folder)?.sync_all()?;
                }
                Ok(())
            };
            copy().map_err(AdminError::file(file))?;
            database.migrate(Some(&blobs)).await?;
        }
        Place::Postgres { .. } => {
            let mut from = Conn::Sqlite(open_sqlite(&source, true)?);
            let made_with = from
                .query_one("SELECT count(*) FROM migrations", &[])
                .await?
                .map_or(Ok(0), |row| row.number(0))?;
            if made_with != crate::engine::MIGRATIONS.len() as u64 {
                return Err(AdminError::Refused(
                    "the backup was made by another version of Runstone: restore it into a data directory with this version first, and back that up"
                        .to_owned(),
                ));
            }
            database.migrate(Some(&blobs)).await?;
            let mut to = database.connect_writer().await?;
            if let Conn::Postgres(postgres) = &to {
                postgres.unlimited().await?;
            }
            copy(&mut from, &mut to, progress).await?;
        }
    }
    crate::check_secrets(&database, &secrets, &places.key_file).await?;
    let mut stopped = Vec::new();
    if let Some(url) = &options.guard {
        let open = |reason| crate::OpenError::Url {
            url: crate::service::shown(url),
            reason,
        };
        let guard = Guard::open(url, &options.blob_options).map_err(open)?;
        let guarded = std::sync::Arc::new(Guarded::new(true));
        Publisher::new(guard, std::sync::Arc::clone(&guarded), database.clone())
            .begin()
            .await
            .map_err(open)?;
        stopped.extend(guarded.stopped_logs().into_values());
        if stopped.is_empty() {
            stopped.extend(guarded.why_stopped());
        }
    }
    database.close();
    database.settle().await;
    Ok(Restored {
        logs: manifest
            .logs
            .into_iter()
            .map(|log| (log.origin, log.size))
            .collect(),
        stopped,
    })
}

/// The manifest of a folder whose files are all there and as it says.
fn check_manifest(
    directory: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Manifest, AdminError> {
    let path = directory.join(MANIFEST);
    let text = std::fs::read(&path).map_err(AdminError::file(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| AdminError::Damaged(format!("{}: {error}", path.display())))?;
    if manifest.format != FORMAT {
        return Err(AdminError::Damaged(format!(
            "{} is of format {}, not {FORMAT}",
            path.display(),
            manifest.format
        )));
    }
    let found = list(directory, progress)?;
    for (name, file) in &manifest.files {
        match found.get(name) {
            Some(found) if found == file => {}
            Some(_) => {
                return Err(AdminError::Damaged(format!(
                    "{name} in the backup is not what its manifest says"
                )));
            }
            None => {
                return Err(AdminError::Damaged(format!(
                    "{name} is missing from the backup"
                )));
            }
        }
    }
    if let Some(name) = found
        .keys()
        .find(|name| !manifest.files.contains_key(*name))
    {
        return Err(AdminError::Damaged(format!(
            "{name} in the backup is not in its manifest"
        )));
    }
    if !manifest.files.contains_key(DATABASE) {
        return Err(AdminError::Damaged("the backup has no database".to_owned()));
    }
    Ok(manifest)
}

async fn check_empty(places: &Places) -> Result<(), AdminError> {
    match &places.place {
        Place::Sqlite { file } => {
            if file.exists() {
                return Err(AdminError::Refused(format!(
                    "{} exists: a backup is restored into an empty store only",
                    file.display()
                )));
            }
        }
        Place::Postgres { url } => {
            let mut conn = Conn::Postgres(crate::conn::Postgres::connect(url).await?);
            let exists = conn
                .query_one("SELECT to_regclass('heads')::text", &[])
                .await?
                .is_some_and(|row| !row.is_null(0));
            if exists
                && conn
                    .query_one("SELECT organization FROM heads LIMIT 1", &[])
                    .await?
                    .is_some()
            {
                return Err(AdminError::Refused(
                    "the database holds a store: a backup is restored into an empty one only"
                        .to_owned(),
                ));
            }
        }
    }
    Ok(())
}

/// The secrets the backup was made with: from the key file in place, else from the backup.
async fn secrets(
    directory: &Path,
    source: &Path,
    places: &Places,
    options: &Options,
) -> Result<Secrets, AdminError> {
    let backed_up = directory.join("keys");
    let from_backup = !places.key_file.exists() && backed_up.exists();
    let path = if from_backup {
        &backed_up
    } else {
        &places.key_file
    };
    let secrets = Secrets::load(path, false, &*options.random)?;
    let mut conn = Conn::Sqlite(open_sqlite(source, true)?);
    let known = conn
        .query_one("SELECT value FROM meta WHERE name = 'key-check'", &[])
        .await?
        .ok_or_else(|| AdminError::Damaged("the backup does not know its key file".to_owned()))?;
    if *known.blob(0)? != secrets.check_value()[..] {
        return Err(crate::OpenError::ForeignKeyFile { path: path.clone() }.into());
    }
    if from_backup {
        secrets.write(&places.key_file)?;
    }
    Ok(secrets)
}
