//! Fingerprint of a directory (`cli.md` 3.2): the SHA-256 of the hexadecimal hashes of names and
//! contents, in pre-order, names sorted by their bytes.
//!
//! Owns order, exclusion and the parallel plan. One thread walks and fills a queue; all threads,
//! the walking one included once it is ahead, hash the largest waiting files first; whoever
//! completes the front of the order feeds it to the outer hash. Each file is read once. Memory
//! is bounded: at most [`WAITING_MAX`] paths wait, at most [`SLOTS_MAX`] entries (80 bytes each)
//! are unfinished, each thread has one buffer. The result and the reported error (the first in
//! walk order) do not depend on timing.
//!
//! Devices, sockets and pipes are opened like files, as the contract says; a pipe without a
//! writer therefore blocks.

use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use runstone_model::id::{Fingerprint, encode_hex};
use sha2::{Digest as _, Sha256};

use crate::IGNORE_FILE;
use crate::error::{Error, os_reason};
use crate::file::{CHUNK_BYTES, hash_path};
use crate::glob::glob;
use crate::path::{as_bytes, as_path, clean, join};

/// Paths that may wait to be hashed.
const WAITING_MAX: usize = 65_536;
/// Entries that may be unfinished because one before them is still being hashed.
const SLOTS_MAX: usize = 4_194_304;
/// Entries the walk hands over at once.
const WALK_BATCH: usize = 256;
/// Small files a thread takes at once.
const TASK_BATCH: usize = 32;
/// Files below this size are taken in batches.
const SMALL_BYTES: u64 = 256 * 1024;
/// A thread that has hashed so much of a batch gives the rest of it back.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Files whose size is asked for, so that the largest can be hashed first. In a larger tree the
/// number of files decides, and asking for each would cost a quarter of the whole.
const SIZED_MAX: usize = 8_192;
/// An ignore file's line of this length or longer is refused, as the contract's reader does.
const IGNORE_LINE_BYTES_MAX: usize = 65_536;

/// How to fingerprint a directory.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Glob patterns of what to leave out, relative to the root (`cli.md` 3.3).
    pub exclude: &'a [String],
    /// Threads that hash; 0 means one per core.
    pub threads: usize,
    /// Called from any thread whenever some more was hashed.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
    /// Called in walk order for everything that enters the fingerprint or is left out.
    pub trace: Option<&'a (dyn Fn(&Trace) + Sync)>,
}

/// What was hashed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of file contents.
    pub bytes: u64,
    /// Files finished.
    pub files: u64,
}

/// One step of a directory's fingerprint, for debug output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// The path is left out; a directory with all its contents.
    Excluded {
        /// Path text, root included.
        path: String,
        /// Whether it is a directory.
        directory: bool,
    },
    /// The hash of the entry's name was added.
    Name {
        /// Path text, root included.
        path: String,
        /// Whether it is a directory.
        directory: bool,
        /// Hash of the name, 64 hexadecimal digits.
        digest: String,
    },
    /// The hash of the entry's content (a directory link's: of its text) was added.
    Content {
        /// Path text, root included.
        path: String,
        /// Hash, 64 hexadecimal digits.
        digest: String,
    },
}

/// Something the person who asked should know although there is a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// `--exclude` leaves out the ignore file, whose rules still hold.
    #[error(
        "{0} is excluded by a flag, so its rules are applied while its content is not \
         fingerprinted: whoever can write it can hide files without changing the fingerprint. \
         Give its patterns with --exclude and delete it to avoid that"
    )]
    IgnoreFileExcluded(String),
}

/// A directory's fingerprint and what was met on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// Files and bytes that were read.
    pub progress: Progress,
    /// What to tell besides.
    pub warnings: Vec<Warning>,
}

/// Fingerprint of the directory at `root`; a root that is a link is followed.
///
/// # Errors
/// `stat <root>: …`, `<root> is not a directory`, `syntax error in pattern`, and for anything
/// below the root the first failure in walk order, e.g. a dangling link's
/// `stat <path>: no such file or directory`.
pub fn directory(root: &Path, options: &Options<'_>) -> Result<Directory, Error> {
    let explain = |error: Error| error.explain_blank(root, "The directory path");
    let kind = fs::metadata(root).map_err(|error| explain(Error::os("stat", root, &error)))?;
    if !kind.is_dir() {
        return Err(explain(Error::NotDirectory(
            root.to_string_lossy().into_owned(),
        )));
    }
    let root = clean(as_bytes(root));
    let (excluded, warnings) = exclusions(&root, options.exclude)?;
    let threads = match options.threads {
        0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let queue = Queue::new(options, threads > 1);
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| queue.work());
        }
        queue.walk(&root, &excluded);
        queue.work();
    });
    let progress = queue.progress();
    let fingerprint = queue.finish()?;
    Ok(Directory {
        fingerprint,
        progress,
        warnings,
    })
}

/// The texts of all paths to leave out.
fn exclusions(root: &[u8], flags: &[String]) -> Result<(HashSet<Vec<u8>>, Vec<Warning>), Error> {
    let mut excluded = HashSet::new();
    let mut warnings = Vec::new();
    for pattern in flags {
        excluded.extend(glob_in_root(root, pattern.as_bytes())?);
    }
    let ignore_path = join(root, IGNORE_FILE.as_bytes());
    if let Some(patterns) = read_ignore_file(&ignore_path)? {
        let by_flag = excluded.contains(&ignore_path);
        for pattern in patterns {
            excluded.extend(glob_in_root(root, &pattern)?);
        }
        if by_flag {
            warnings.push(Warning::IgnoreFileExcluded(
                String::from_utf8_lossy(&ignore_path).into_owned(),
            ));
        } else {
            // Its own rules cannot hide it, or a change of them would go unnoticed.
            excluded.remove(&ignore_path);
        }
    }
    Ok((excluded, warnings))
}

fn glob_in_root(root: &[u8], pattern: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut full = root.to_vec();
    full.push(b'/');
    full.extend_from_slice(pattern);
    let full = clean(&full);
    let literal = if root == b"." {
        0
    } else {
        literal_length(root, &full)
    };
    glob(&full, literal)
}

/// How many bytes of `full` are whole leading elements of `root`: they are literal. Fewer than
/// the root's own length only if the pattern climbs out of it.
fn literal_length(root: &[u8], full: &[u8]) -> usize {
    let common = root
        .iter()
        .zip(full)
        .take_while(|(left, right)| left == right)
        .count();
    if common == root.len() && (full.len() == common || full.get(common) == Some(&b'/')) {
        return full.len().min(common + 1);
    }
    root[..common]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1)
}

/// The patterns of the ignore file, or nothing if there is none. One that is there and cannot be
/// opened is an error: passing over its rules would give another fingerprint.
fn read_ignore_file(path: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let mut file = match fs::File::open(as_path(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::os("open", as_path(path), &error)),
    };
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(None);
    }
    let failed = |reason: String| Error::IgnoreFile {
        path: String::from_utf8_lossy(path).into_owned(),
        reason,
    };
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .map_err(|error| failed(os_reason(&error)))?;
    let mut patterns = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if line.len() >= IGNORE_LINE_BYTES_MAX {
            return Err(failed("a line is too long".to_owned()));
        }
        let rule = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let rule = trim(rule);
        if !rule.is_empty() {
            patterns.push(rule.to_vec());
        }
    }
    Ok(Some(patterns))
}

/// Without white space (Unicode's) at both ends; bytes that are not UTF-8 are none.
fn trim(mut bytes: &[u8]) -> &[u8] {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.trim().as_bytes();
    }
    let space = |piece: &[u8]| {
        std::str::from_utf8(piece)
            .is_ok_and(|text| text.chars().count() == 1 && text.chars().all(char::is_whitespace))
    };
    while let Some(width) = (1..=bytes.len().min(3)).find(|&width| space(&bytes[..width])) {
        bytes = &bytes[width..];
    }
    while let Some(width) =
        (1..=bytes.len().min(3)).find(|&width| space(&bytes[bytes.len() - width..]))
    {
        bytes = &bytes[..bytes.len() - width];
    }
    bytes
}

/// A file that waits to be hashed. Ordered by size (0 where it is unknown), then earliest first.
#[derive(PartialEq, Eq)]
struct Task {
    size: u64,
    index: u64,
    path: Vec<u8>,
}

impl Ord for Task {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.size
            .cmp(&other.size)
            .then_with(|| other.index.cmp(&self.index))
    }
}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One entry of the walk, until it is fed to the outer hash.
struct Slot {
    /// Hash of the base name; none for an entry that is only traced as left out.
    name: Option<[u8; 32]>,
    content: Content,
    /// Path and whether it is a directory; only kept if there is a trace.
    traced: Option<Box<(Vec<u8>, bool)>>,
}

enum Content {
    None,
    Ready([u8; 32]),
    Pending,
}

struct State {
    waiting: BinaryHeap<Task>,
    slots: VecDeque<Slot>,
    /// Index of the first slot.
    first: u64,
    walked: bool,
    outer: Sha256,
    failure: Option<(u64, Error)>,
}

struct Queue<'a> {
    options: &'a Options<'a>,
    read_ahead: bool,
    state: Mutex<State>,
    /// Signalled when there is something to hash, or room, or nothing more to come.
    changed: Condvar,
    bytes: AtomicU64,
    files: AtomicU64,
}

/// What the walk has found and not yet handed over.
#[derive(Default)]
struct Batch {
    slots: Vec<Slot>,
    tasks: Vec<Task>,
}

struct Listed {
    name: Vec<u8>,
    kind: fs::FileType,
    size: u64,
}

impl<'a> Queue<'a> {
    fn new(options: &'a Options<'a>, read_ahead: bool) -> Self {
        Self {
            options,
            read_ahead,
            state: Mutex::new(State {
                waiting: BinaryHeap::new(),
                slots: VecDeque::new(),
                first: 0,
                walked: false,
                outer: Sha256::new(),
                failure: None,
            }),
            changed: Condvar::new(),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
        }
    }

    /// A panic in another thread ends the whole scope anyway; until then the state is used on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
        }
    }

    fn finish(self) -> Result<Fingerprint, Error> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some((_, error)) => Err(error),
            None => Ok(Fingerprint(state.outer.finalize().into())),
        }
    }

    /// Walks below `root` and queues what it finds.
    fn walk(&self, root: &[u8], excluded: &HashSet<Vec<u8>>) {
        let mut next = 0;
        let mut batch = Batch::default();
        let outcome = self.walk_tree(root, excluded, &mut next, &mut batch);
        let mut state = self.hand_over(self.lock(), batch);
        if let Err(error) = outcome {
            state.fail(next, error);
        }
        state.walked = true;
        drop(state);
        self.changed.notify_all();
    }

    fn walk_tree(
        &self,
        root: &[u8],
        excluded: &HashSet<Vec<u8>>,
        next: &mut u64,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let mut buffer = Vec::new();
        let mut sizes = SIZED_MAX;
        let mut open = vec![(root.to_vec(), list(root, &mut sizes)?.into_iter())];
        while let Some((directory, entries)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let path = join(directory, &entry.name);
            let is_directory = entry.kind.is_dir();
            let traced = self
                .options
                .trace
                .map(|_| Box::new((path.clone(), is_directory)));
            if !excluded.is_empty() && excluded.contains(&path) {
                if traced.is_some() {
                    batch.slots.push(Slot {
                        name: None,
                        content: Content::None,
                        traced,
                    });
                    *next += 1;
                }
                continue;
            }
            let content = if is_directory {
                Content::None
            } else if let Some(text) = link_to_directory(&entry, &path)? {
                Content::Ready(Sha256::digest(text).into())
            } else {
                batch.tasks.push(Task {
                    size: entry.size,
                    index: *next,
                    path: path.clone(),
                });
                Content::Pending
            };
            batch.slots.push(Slot {
                name: Some(Sha256::digest(&entry.name).into()),
                content,
                traced,
            });
            *next += 1;
            if is_directory {
                let entries = list(&path, &mut sizes)?.into_iter();
                open.push((path, entries));
            }
            if batch.slots.len() >= WALK_BATCH {
                let state = self.hand_over(self.lock(), std::mem::take(batch));
                if !self.make_room(state, &mut buffer) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hand_over<'q>(
        &self,
        mut state: MutexGuard<'q, State>,
        batch: Batch,
    ) -> MutexGuard<'q, State> {
        state.slots.extend(batch.slots);
        state.waiting.extend(batch.tasks);
        self.feed(&mut state);
        self.changed.notify_all();
        state
    }

    /// Hashes, or waits, while too much is waiting; false if walking on is of no use.
    fn make_room<'q>(&'q self, mut state: MutexGuard<'q, State>, buffer: &mut Vec<u8>) -> bool {
        loop {
            if state.failure.is_some() {
                return false;
            }
            if state.waiting.len() > WAITING_MAX {
                state = self.hash_some(state, buffer);
            } else if state.slots.len() > SLOTS_MAX {
                state = if state.waiting.is_empty() {
                    self.changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner)
                } else {
                    self.hash_some(state, buffer)
                };
            } else {
                return true;
            }
        }
    }

    /// Hashes until nothing is left to come.
    fn work(&self) {
        let mut buffer = Vec::new();
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                state = self.hash_some(state, &mut buffer);
            } else if state.walked {
                return;
            } else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes one large or several small files, hashes them unlocked, and delivers.
    fn hash_some<'q>(
        &'q self,
        mut state: MutexGuard<'q, State>,
        buffer: &mut Vec<u8>,
    ) -> MutexGuard<'q, State> {
        let mut tasks = Vec::with_capacity(TASK_BATCH);
        while let Some(task) = state.waiting.pop() {
            let small = task.size < SMALL_BYTES;
            let useless = state
                .failure
                .as_ref()
                .is_some_and(|(at, _)| task.index > *at);
            if !useless {
                tasks.push(task);
            }
            if !small || tasks.len() >= TASK_BATCH {
                break;
            }
        }
        drop(state);
        buffer.resize(CHUNK_BYTES, 0);
        let mut done = Vec::with_capacity(tasks.len());
        let mut rest = tasks.into_iter();
        let mut in_batch = 0;
        while in_batch < BATCH_BYTES
            && let Some(task) = rest.next()
        {
            let mut in_file = 0;
            let hash = hash_path(
                as_path(&task.path),
                buffer,
                self.read_ahead,
                &mut |length| {
                    self.bytes.fetch_add(length, Ordering::Relaxed);
                    in_file += length;
                    if in_file > SMALL_BYTES {
                        self.tell();
                    }
                },
            );
            in_batch += in_file;
            self.files.fetch_add(1, Ordering::Relaxed);
            done.push((task.index, hash));
        }
        self.tell();
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.extend(rest);
        if state.waiting.len() > before {
            self.changed.notify_all();
        }
        for (index, hash) in done {
            match hash {
                Ok(hash) => {
                    let at = (index - state.first) as usize;
                    state.slots[at].content = Content::Ready(hash);
                }
                Err(error) => state.fail(index, error),
            }
        }
        if self.feed(&mut state) {
            self.changed.notify_all();
        }
        state
    }

    fn tell(&self) {
        if let Some(progress) = self.options.progress {
            progress(self.progress());
        }
    }

    /// Moves finished entries from the front of the order into the outer hash; true if any.
    fn feed(&self, state: &mut State) -> bool {
        let before = state.first;
        while let Some(slot) = state.slots.front() {
            if matches!(slot.content, Content::Pending) {
                break;
            }
            let Some(slot) = state.slots.pop_front() else {
                break;
            };
            state.first += 1;
            if let Some(name) = &slot.name {
                state.outer.update(encode_hex(name));
            }
            if let Content::Ready(content) = &slot.content {
                state.outer.update(encode_hex(content));
            }
            if let (Some(trace), Some(traced)) = (self.options.trace, &slot.traced) {
                let path = || String::from_utf8_lossy(&traced.0).into_owned();
                let directory = traced.1;
                match &slot.name {
                    None => trace(&Trace::Excluded {
                        path: path(),
                        directory,
                    }),
                    Some(name) => trace(&Trace::Name {
                        path: path(),
                        directory,
                        digest: encode_hex(name),
                    }),
                }
                if let Content::Ready(content) = &slot.content {
                    trace(&Trace::Content {
                        path: path(),
                        digest: encode_hex(content),
                    });
                }
            }
        }
        state.first > before
    }
}

impl State {
    /// Keeps the failure that comes first in walk order.
    fn fail(&mut self, index: u64, error: Error) {
        if self.failure.as_ref().is_none_or(|(at, _)| index < *at) {
            self.failure = Some((index, error));
        }
    }
}

/// A directory's entries, sorted by the bytes of their names. Asks for at most `sizes` files'
/// sizes and lowers it by as many.
fn list(directory: &[u8], sizes: &mut usize) -> Result<Vec<Listed>, Error> {
    let path = as_path(directory);
    let failed = |error: io::Error| Error::os("open", path, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let mut size = 0;
        if kind.is_file() && *sizes > 0 {
            *sizes -= 1;
            // Only for the order of work; a file that is gone is found out when it is opened.
            size = entry.metadata().map_or(0, |metadata| metadata.len());
        }
        entries.push(Listed {
            size,
            name: entry.file_name().into_vec(),
            kind,
        });
    }
    entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// The text of a link that leads to a directory; nothing for everything else.
fn link_to_directory(entry: &Listed, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    if !entry.kind.is_symlink() {
        return Ok(None);
    }
    let path = as_path(path);
    let target = fs::metadata(path).map_err(|error| Error::os("stat", path, &error))?;
    if !target.is_dir() {
        return Ok(None);
    }
    fs::read_link(path)
        .map(|text| Some(text.as_os_str().as_bytes().to_vec()))
        .map_err(|error| Error::os("readlink", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_like_unicode_and_leaves_foreign_bytes() {
        for (given, trimmed) in [
            (&b" a b \t\r"[..], &b"a b"[..]),
            (b"\xc2\xa0x\xe2\x80\x83", b"x"),
            (b" \xff ", b"\xff"),
            (b"\xe2\x80\x83\xff\xc2\xa0", b"\xff"),
            (b"  ", b""),
        ] {
            assert_eq!(trim(given), trimmed);
        }
    }

    #[test]
    fn literal_prefix_is_whole_elements_of_the_root() {
        for (root, full, length) in [
            ("/t/root", "/t/root/x*", 8),
            ("/t/root", "/t/root", 7),
            ("/t/root", "/t/ro*", 3),
            ("/t/root", "/t/rootling", 3),
            ("root", "**", 0),
            ("/", "/x", 1),
        ] {
            assert_eq!(
                literal_length(root.as_bytes(), full.as_bytes()),
                length,
                "{full}"
            );
        }
    }
}
