//! Every running executable of a Linux machine, by path and content.
//!
//! Owns what "runs here" means: each process counts under the file it executes *now*, opened
//! through `/proc/<pid>/exe`. So a binary that was deleted or replaced on disk is hashed as it
//! runs, and one in another mount namespace needs no path from here. Kernel threads and
//! zombies execute no file; what may not be read is counted.
//!
//! A period of seconds costs little: fingerprints are kept per file identity (device, inode,
//! size, change and modification time) as long as something runs it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use procfs::process::{Process, StatFlags};
use procfs::{FromReadSI as _, KernelStats, ProcError};
use runstone_fingerprint::{Fingerprint, os_reason, stream};

/// Where and how to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The mounted process file system.
    pub proc_root: PathBuf,
    /// Clock ticks per second in which start times are counted; absent: this system's.
    pub ticks_per_second: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            proc_root: PathBuf::from("/proc"),
            ticks_per_second: None,
        }
    }
}

/// What runs on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processes {
    /// Executables by path, then fingerprint.
    pub artifacts: Vec<Executable>,
    /// Processes whose executable may not be read.
    pub unreadable: usize,
    /// Kernel threads.
    pub kernel: usize,
}

/// One executable file and the processes that run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Its path as its processes see it; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// SHA-256 of its content.
    pub fingerprint: Fingerprint,
    /// When each process started, Unix seconds, ascending. As many as there are processes.
    pub started_at: Vec<i64>,
    /// The processes' ids, in the same order.
    pub pids: Vec<i32>,
}

/// Why the machine cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process file system is not usable.
    #[error("reading {path}: {reason}")]
    ProcessFileSystem {
        /// Where it should be.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Looks at the same machine again and again.
#[derive(Debug)]
pub struct Collector {
    options: Options,
    known: HashMap<Identity, Fingerprint>,
    /// Unix seconds.
    booted_at: Option<u64>,
    /// Files read in full by the last [`Collector::collect`].
    hashed: usize,
}

/// What makes an open file the same unchanged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What one process is.
enum Seen {
    Runs {
        path: String,
        identity: Identity,
        fingerprint: Fingerprint,
        /// Ticks since the machine started.
        started: u64,
    },
    Kernel,
    Unreadable,
    /// Ended meanwhile, or has ended and waits for its parent.
    Gone,
}

impl Collector {
    /// A collector that knows no file yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            known: HashMap::new(),
            booted_at: None,
            hashed: 0,
        }
    }

    /// How many files the last [`Self::collect`] had to read.
    pub fn hashed(&self) -> usize {
        self.hashed
    }

    /// Everything that runs now.
    ///
    /// # Errors
    /// Only if the process file system as a whole cannot be read: a process that ends meanwhile
    /// is no error.
    pub fn collect(&mut self) -> Result<Processes, Error> {
        self.hashed = 0;
        let booted_at = self.boot_time()?;
        let ticks = self
            .options
            .ticks_per_second
            .unwrap_or_else(procfs::ticks_per_second)
            .max(1);
        let root = self.options.proc_root.clone();
        let failed = |error: ProcError| Error::ProcessFileSystem {
            path: root.to_string_lossy().into_owned(),
            reason: proc_reason(&error),
        };
        let mut processes = Processes::default();
        let mut running: HashMap<Identity, Fingerprint> = HashMap::new();
        let mut groups: BTreeMap<(String, Fingerprint), Vec<(i64, i32)>> = BTreeMap::new();
        for process in procfs::process::all_processes_with_root(&root).map_err(failed)? {
            let Ok(process) = process else {
                // It ended between being listed and being opened.
                continue;
            };
            match self.look_at(&process) {
                Seen::Runs {
                    path,
                    identity,
                    fingerprint,
                    started,
                } => {
                    running.insert(identity, fingerprint);
                    let started_at = (booted_at + started / ticks) as i64;
                    groups
                        .entry((path, fingerprint))
                        .or_default()
                        .push((started_at, process.pid));
                }
                Seen::Kernel => processes.kernel += 1,
                Seen::Unreadable => processes.unreadable += 1,
                Seen::Gone => {}
            }
        }
        // What no process runs any more is forgotten, so memory follows the machine.
        self.known = running;
        processes.artifacts = groups
            .into_iter()
            .map(|((path, fingerprint), mut members)| {
                members.sort_unstable();
                let (started_at, pids) = members.into_iter().unzip();
                Executable {
                    path,
                    fingerprint,
                    started_at,
                    pids,
                }
            })
            .collect();
        Ok(processes)
    }

    /// When the machine started. The kernel derives it from the wall clock and it can flicker by
    /// a second; start times must not, so the first answer is kept until it is clearly wrong.
    fn boot_time(&mut self) -> Result<u64, Error> {
        let path = self.options.proc_root.join("stat");
        let now = KernelStats::from_file(&path, procfs::current_system_info())
            .map_err(|error| Error::ProcessFileSystem {
                path: path.to_string_lossy().into_owned(),
                reason: proc_reason(&error),
            })?
            .btime;
        let kept = self
            .booted_at
            .filter(|before| before.abs_diff(now) <= 1)
            .unwrap_or(now);
        self.booted_at = Some(kept);
        Ok(kept)
    }

    fn look_at(&mut self, process: &Process) -> Seen {
        let Ok(stat) = process.stat() else {
            return Seen::Gone;
        };
        if stat.flags & StatFlags::PF_KTHREAD.bits() != 0 {
            return Seen::Kernel;
        }
        if matches!(stat.state, 'Z' | 'X' | 'x') {
            return Seen::Gone;
        }
        let opened = process
            .open_relative("exe")
            .map_err(|error| Refused::from(&error))
            .and_then(|file| {
                let metadata = file.metadata().map_err(|error| Refused::of_io(&error))?;
                let link = process.exe().map_err(|error| Refused::from(&error))?;
                Ok((file, metadata, link))
            });
        let (file, metadata, link) = match opened {
            Ok(opened) => opened,
            Err(Refused::Gone) => return Seen::Gone,
            Err(Refused::Unreadable) => return Seen::Unreadable,
        };
        let identity = Identity::from(&metadata);
        let Ok(fingerprint) = self.fingerprint(&file, identity) else {
            return Seen::Unreadable;
        };
        let process_root = self
            .options
            .proc_root
            .join(process.pid.to_string())
            .join("root");
        Seen::Runs {
            path: path_text(&link, &metadata, &process_root),
            identity,
            fingerprint,
            started: stat.starttime,
        }
    }

    fn fingerprint(&mut self, file: &File, identity: Identity) -> io::Result<Fingerprint> {
        if let Some(known) = self.known.get(&identity) {
            return Ok(*known);
        }
        let fingerprint = stream(file)?;
        self.hashed += 1;
        self.known.insert(identity, fingerprint);
        Ok(fingerprint)
    }
}

/// Why a process's executable cannot be opened.
enum Refused {
    Gone,
    Unreadable,
}

impl Refused {
    fn of_io(error: &io::Error) -> Self {
        /// "No such process": it ended after its directory was opened.
        const ESRCH: i32 = 3;
        if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) {
            Self::Gone
        } else {
            Self::Unreadable
        }
    }
}

impl From<&ProcError> for Refused {
    fn from(error: &ProcError) -> Self {
        match error {
            ProcError::NotFound(_) => Self::Gone,
            ProcError::Io(error, _) => Self::of_io(error),
            _ => Self::Unreadable,
        }
    }
}

/// The path of an executable as its process sees it.
///
/// The kernel appends " (deleted)" to the path of a file that has no name any more. A file may
/// also really be called so; it then stands under that path in the process's own root.
fn path_text(link: &Path, executable: &Metadata, process_root: &Path) -> String {
    let bytes = link.as_os_str().as_bytes();
    let Some(before) = bytes.strip_suffix(b" (deleted)") else {
        return link.to_string_lossy().into_owned();
    };
    let really_called_so = executable.nlink() > 0
        && link.strip_prefix("/").is_ok_and(|inside| {
            fs::metadata(process_root.join(inside)).is_ok_and(|there| {
                (there.dev(), there.ino()) == (executable.dev(), executable.ino())
            })
        });
    let kept = if really_called_so { bytes } else { before };
    OsStr::from_bytes(kept).to_string_lossy().into_owned()
}

fn proc_reason(error: &ProcError) -> String {
    match error {
        ProcError::PermissionDenied(_) => "permission denied".to_owned(),
        ProcError::NotFound(_) => "no such file or directory".to_owned(),
        ProcError::Io(error, _) => os_reason(error),
        other => other.to_string(),
    }
}
