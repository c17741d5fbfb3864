//! How far the verification of a log is: told by the entries that are fetched.

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::Note;
use runstone_journal::tile::{TILE_WIDTH, TileKind, TilePath};
use runstone_journal::verify::{CHECKPOINT_PATH, Fetch, FetchError};
use runstone_store::Progress;

/// A log whose readings are counted.
pub struct Watched<'f> {
    inner: &'f mut dyn Fetch,
    tell: &'f mut dyn FnMut(Progress),
    /// Of the checkpoint, as it claims.
    size: u64,
}

impl<'f> Watched<'f> {
    /// Reads from `inner` and tells how far it is.
    pub fn new(inner: &'f mut dyn Fetch, tell: &'f mut dyn FnMut(Progress)) -> Self {
        Self {
            inner,
            tell,
            size: 0,
        }
    }
}

impl Fetch for Watched<'_> {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let found = self.inner.fetch(path)?;
        if let (CHECKPOINT_PATH, Some(bytes)) = (path, &found) {
            self.size = Note::parse(bytes)
                .ok()
                .and_then(|note| Checkpoint::parse(note.text()).ok())
                .map_or(0, |claimed| claimed.size);
        }
        if let Ok(TilePath {
            kind: TileKind::Entries,
            index,
            ..
        }) = TilePath::parse(path)
        {
            (self.tell)(Progress {
                what: "entries",
                done: (index.saturating_add(1).saturating_mul(TILE_WIDTH)).min(self.size),
                total: self.size,
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    struct Log;

    impl Fetch for Log {
        fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
            let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let note = format!("host/log/a\n300\n{root}\n\n\u{2014} host/log/a AAAAAAA=\n");
            Ok((path == CHECKPOINT_PATH).then(|| note.into_bytes()))
        }
    }

    #[test]
    fn entries_are_counted_up_to_the_size_of_the_checkpoint() {
        let mut told = Vec::new();
        let mut tell = |step: Progress| told.push((step.done, step.total));
        let (mut log, paths) = (
            Log,
            [
                "checkpoint",
                "keys",
                "tile/0/000",
                "tile/entries/000",
                "tile/entries/001.p/44",
            ],
        );
        let mut watched = Watched::new(&mut log, &mut tell);
        for path in paths {
            watched.fetch(path).unwrap();
        }
        assert_eq!(told, [(256, 300), (300, 300)]);
    }
}
