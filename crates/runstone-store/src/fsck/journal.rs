//! The logs: entries, bodies, tiles, and what they make of head, epochs and keys.
//!
//! What is read and proven here is handed on to the [`Replica`], which replays it meanwhile.

use std::collections::BTreeMap;

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle::{Edge, FullTile, leaf_hash};
use runstone_journal::note::{Signer, VerifierKey, derive_signing_seed};
use runstone_journal::tile::{TILE_WIDTH, full_tile_count};
use runstone_model::event::{Entry, Event};
use runstone_model::fact::{OrganizationNo, SERVER, SERVER_NAME};
use runstone_model::id::{Digest, Micros};

use super::Check;
use super::derived::{Replica, next_difference};
use super::report::Report;
use crate::admin::Progress;
use crate::conn::Conn;
use crate::keys::Secrets;
use crate::rebuild::Missing;
use crate::scan;
use crate::table::{self, Table};
use crate::value::{DbError, Record, Value};

/// A log as its head states it.
pub(super) struct Head {
    organization: OrganizationNo,
    id: String,
    pub(super) name: String,
    epoch: String,
    origin: String,
    epoch_from: u64,
    pub(super) size: u64,
    root: [u8; 32],
    note: String,
    last_at: i64,
    body_bytes: i64,
}

impl Check<'_> {
    pub(super) async fn heads(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        for row in conn
            .query(
                "SELECT organization, id, name, epoch, origin, epoch_from, size, root, note, last_at, body_bytes FROM heads ORDER BY organization",
                &[],
            )
            .await?
        {
            self.logs.push(Head {
                organization: OrganizationNo(row.ordinal(0)?),
                id: row.text(1)?.to_owned(),
                name: row.text(2)?.to_owned(),
                epoch: row.text(3)?.to_owned(),
                origin: row.text(4)?.to_owned(),
                epoch_from: row.number(5)?,
                size: row.number(6)?,
                root: row.sha256(7)?,
                note: row.text(8)?.to_owned(),
                last_at: row.int(9)?,
                body_bytes: row.int(10)?,
            });
        }
        if self
            .logs
            .first()
            .is_none_or(|head| head.organization != SERVER || head.id != SERVER_NAME)
        {
            self.report
                .add("table heads", "the server's log is missing");
        }
        Ok(())
    }

    /// No journal row or body lies beyond a log.
    pub(super) async fn strays(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        for (table, column, end) in [
            ("entries", "position", "h.size"),
            ("bodies", "entry", "h.size"),
            ("bundles", "n", "h.size / 256"),
            ("tiles", "n", "h.size"),
            ("epochs", "from_size", "h.size + 1"),
            ("log_keys", "from_size", "h.size + 1"),
        ] {
            for row in conn
                .query(
                    &format!(
                        "SELECT t.organization, t.{column} FROM {table} t LEFT JOIN heads h ON h.organization = t.organization WHERE h.organization IS NULL OR t.{column} < 0 OR t.{column} >= {end} LIMIT 10"
                    ),
                    &[],
                )
                .await?
            {
                self.report.add(
                    format!(
                        "table {table}, organization {}, {column} {}",
                        row.int(0)?,
                        row.int(1)?
                    ),
                    "belongs to no log, or lies beyond its end",
                );
            }
        }
        Ok(())
    }

    /// No erased body still lies in the blob store: a crash may have left one until the next start.
    pub(super) async fn unwanted(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        for row in conn
            .query(
                "SELECT id, digest FROM unwanted_blobs ORDER BY id, digest",
                &[],
            )
            .await?
        {
            let (id, digest) = (row.text(0)?, Digest(row.sha256(1)?));
            let lies = match &self.blobs {
                Some(blobs) => blobs
                    .get(id, &digest)
                    .await
                    .map_err(DbError::Blobs)?
                    .is_some(),
                None => false,
            };
            if lies {
                self.report.add(
                    format!("body {digest} of {id}"),
                    "was erased and still lies in the blob store; the next start removes it",
                );
            }
        }
        Ok(())
    }

    /// One log, from its first entry to its head; whether the replica got all of it.
    pub(super) async fn log(
        &mut self,
        conn: &mut Conn,
        replica: &mut Replica,
        head: &Head,
        total: u64,
        follows: &mut bool,
    ) -> Result<(), DbError> {
        let mut log = Walk::new(head, first_origin(conn, head).await?, self.secrets.as_ref());
        let mut tiles = Tiles::new(head);
        let log_name = &head.name;
        let mut readable = true;
        replica.begin(head.organization, log_name).await;
        for n in 0..head.size.div_ceil(TILE_WIDTH) {
            let chunk = scan::chunk(conn, head.organization, n, head.size).await?;
            if chunk.twice {
                self.report.add(
                    format!("log {log_name}, bundle {n}"),
                    "is there both sealed and as rows",
                );
            }
            for (entry, body) in &chunk.stray {
                self.report.add(
                    format!("log {log_name}, entry {entry}, body {body}"),
                    "is named by no entry",
                );
            }
            let mut entries = Vec::with_capacity(chunk.entries.len());
            let mut bodies = Vec::new();
            for stored in &chunk.entries {
                let opened = scan::open(stored, &head.id, self.blobs.as_ref()).await?;
                for (body, what) in &opened.problems {
                    let place = match body {
                        Some(body) => {
                            format!("log {log_name}, entry {}, body {body}", stored.position)
                        }
                        None => format!("log {log_name}, entry {}", stored.position),
                    };
                    self.report.add(place, what);
                }
                self.report.counts.bodies += opened.bodies;
                log.body_bytes = log.body_bytes.saturating_add(stored.body_bytes());
                let place = || format!("log {log_name}, entry {}", stored.position);
                let leaf = leaf_hash(&stored.bytes);
                if stored.leaf.is_some_and(|stored| stored != leaf) {
                    self.report
                        .add(place(), "does not have the leaf hash stored with it");
                }
                match opened.entry {
                    Some(entry) => {
                        log.missing.add(stored.position, &opened.missing);
                        log.entry(&entry, self.secrets.as_ref(), |what| {
                            self.report.add(place(), what);
                        });
                        if let Event::SnapshotRecorded { .. } = &entry.event {
                            bodies.extend(stored.elements_row(head.organization));
                        }
                        entries.push((stored.position, entry));
                    }
                    None => readable = false,
                }
                log.edge.push(leaf, &mut |tile| tiles.derived.push(tile));
            }
            tiles.compare(conn, &mut self.report).await?;
            self.report.counts.entries += chunk.entries.len() as u64;
            if readable {
                replica.entries(entries, bodies).await;
            }
            (self.progress)(Progress {
                what: "entries",
                done: self.report.counts.entries,
                total,
            });
        }
        tiles.surplus(conn, &mut self.report).await?;
        self.report.counts.tiles += tiles.count;
        for (entry, body) in log.missing.rest() {
            self.report.add(
                format!("log {log_name}, entry {entry}, body {body}"),
                "is missing, and no entry erased it",
            );
        }
        *follows = readable;
        self.report.counts.logs += 1;
        self.head(conn, head, &log).await
    }

    /// Head, epochs and keys of a log are what its entries make.
    async fn head(&mut self, conn: &mut Conn, head: &Head, log: &Walk) -> Result<(), DbError> {
        let place = format!("log {}, head", head.name);
        let mut differs = |column: &str, same: bool| {
            if !same {
                self.report.add(
                    place.clone(),
                    format!("{column} is not what the entries give"),
                );
            }
        };
        differs("root", log.edge.root() == head.root);
        differs("last_at", log.last_at == head.last_at);
        differs("epoch", log.epoch == head.epoch);
        differs("origin", log.origin == head.origin);
        differs("epoch_from", log.epoch_from == head.epoch_from);
        differs("body_bytes", log.body_bytes == head.body_bytes);
        match log.sign(self.secrets.as_ref()) {
            Some(Ok(note)) => differs("note", note == head.note),
            Some(Err(error)) => self.report.add(place.clone(), error),
            None => {
                // Without the key file the stored public keys are all there is.
                let keys: Vec<VerifierKey> = conn
                    .query(
                        "SELECT vkey FROM log_keys WHERE organization = $1 AND to_size IS NULL",
                        &[head.organization.0.into()],
                    )
                    .await?
                    .iter()
                    .filter_map(|row| VerifierKey::parse(row.text(0).ok()?).ok())
                    .collect();
                let stated = Checkpoint::open(head.note.as_bytes(), &keys);
                differs(
                    "note",
                    stated.is_ok_and(|stated| {
                        stated.root == log.edge.root() && stated.size == head.size
                    }),
                );
            }
        }
        let epochs = conn
            .query(
                &format!(
                    "SELECT {} FROM epochs WHERE organization = $1 ORDER BY from_size",
                    table::EPOCHS.column_list()
                ),
                &[head.organization.0.into()],
            )
            .await?;
        let expected: Vec<Record> = log.epochs.values().cloned().map(Record).collect();
        self.same_rows(&head.name, &table::EPOCHS, &epochs, &expected);
        if self.secrets.is_some() {
            let keys = conn
                .query(
                    &format!(
                        "SELECT {} FROM log_keys WHERE organization = $1 ORDER BY from_size, generation",
                        table::LOG_KEYS.column_list()
                    ),
                    &[head.organization.0.into()],
                )
                .await?;
            let expected: Vec<Record> = log.key_rows.values().cloned().map(Record).collect();
            self.same_rows(&head.name, &table::LOG_KEYS, &keys, &expected);
        }
        Ok(())
    }

    fn same_rows(&mut self, log: &str, table: &Table, found: &[Record], expected: &[Record]) {
        let mut differences = Vec::new();
        let mut found = found.iter().peekable();
        let mut expected = expected.iter().peekable();
        while let Some(difference) = next_difference(table, &mut found, &mut expected) {
            differences.push(difference);
        }
        for (row, what) in differences {
            self.report
                .add(format!("log {log}, table {}, {row}", table.name), what);
        }
    }
}

/// Origin of a log's first epoch, which stands for itself: its random digits follow from nothing.
async fn first_origin(conn: &mut Conn, head: &Head) -> Result<(String, String), DbError> {
    conn.query_one(
        "SELECT epoch, origin FROM epochs WHERE organization = $1 AND from_size = 0",
        &[head.organization.0.into()],
    )
    .await?
    .map(|row| Ok::<_, DbError>((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
    .transpose()?
    .ok_or_else(|| DbError::Corrupt("the row of its first epoch is missing".to_owned()))
}

/// A key that signs.
struct Key {
    generation: u32,
    from_size: u64,
    until: Option<i64>,
}

/// What the entries of a log make of its head, epochs and keys.
struct Walk {
    organization: OrganizationNo,
    edge: Edge,
    body_bytes: i64,
    last_at: i64,
    epoch: String,
    origin: String,
    epoch_from: u64,
    keys: Vec<Key>,
    epochs: BTreeMap<u64, Vec<Value>>,
    key_rows: BTreeMap<(u64, u32), Vec<Value>>,
    missing: Missing,
}

impl Walk {
    fn new(head: &Head, (epoch, origin): (String, String), secrets: Option<&Secrets>) -> Self {
        let mut this = Self {
            organization: head.organization,
            edge: Edge::new(),
            body_bytes: 0,
            last_at: 0,
            epoch,
            origin,
            epoch_from: 0,
            keys: Vec::new(),
            epochs: BTreeMap::new(),
            key_rows: BTreeMap::new(),
            missing: Missing::default(),
        };
        this.open_epoch();
        this.put_keys(secrets, None);
        this
    }

    fn open_epoch(&mut self) {
        self.keys = vec![Key {
            generation: 0,
            from_size: self.epoch_from,
            until: None,
        }];
        self.epochs.insert(
            self.epoch_from,
            vec![
                self.organization.0.into(),
                self.epoch_from.into(),
                self.epoch.as_str().into(),
                self.origin.as_str().into(),
                Value::Null,
                Value::Null,
            ],
        );
    }

    /// The entry at the edge, before it is pushed.
    fn entry(&mut self, entry: &Entry, secrets: Option<&Secrets>, mut problem: impl FnMut(String)) {
        let size = self.edge.size();
        if entry.received.0 <= self.last_at {
            problem("was not received after the entry before it".to_owned());
        }
        self.last_at = entry.received.0;
        for (entry, body) in self.missing.erase(&entry.event) {
            problem(format!(
                "erases body {body} of entry {entry}, which is still there or another"
            ));
        }
        match &entry.event {
            Event::KeyRotated { generation, vkey } => {
                if let Some(secrets) = secrets
                    && crate::log::vkey(secrets, &self.origin, *generation).as_ref() != Ok(vkey)
                {
                    problem("names another key than the one of its generation".to_owned());
                }
                for key in &mut self.keys {
                    key.until
                        .get_or_insert(entry.received.0 + crate::log::KEY_OVERLAP);
                }
                self.put_keys(secrets, None);
                self.keys.push(Key {
                    generation: *generation,
                    from_size: size,
                    until: None,
                });
                self.put_keys(secrets, None);
            }
            Event::EpochBegun {
                epoch,
                origin,
                size: stated,
                root,
                ..
            } if size == 0 => {
                // An epoch of no entries left nothing behind but its name in this entry: the
                // rows are those of the new one already.
                let begins = origin.rsplit_once('/').map(|(prefix, _)| prefix)
                    == self.origin.rsplit_once('/').map(|(prefix, _)| prefix);
                if !begins || *epoch != self.epoch || *stated != 0 || root.0 != self.edge.root() {
                    problem("does not continue from the log before it".to_owned());
                }
            }
            Event::EpochBegun {
                epoch,
                origin,
                size: stated,
                root,
                ..
            } => {
                if *origin != self.origin || *stated != size || root.0 != self.edge.root() {
                    problem("does not continue from the log before it".to_owned());
                }
                let note = self.sign(secrets).and_then(Result::ok);
                self.put_keys(secrets, Some(size));
                if let Some(row) = self.epochs.get_mut(&self.epoch_from) {
                    row[4] = size.into();
                    row[5] = note.into();
                }
                let prefix = self
                    .origin
                    .rsplit_once('/')
                    .map_or(self.origin.as_str(), |(prefix, _)| prefix);
                self.origin = format!("{prefix}/{epoch}");
                epoch.clone_into(&mut self.epoch);
                self.epoch_from = size;
                self.open_epoch();
                self.put_keys(secrets, None);
            }
            _ => {}
        }
        let at = Micros(self.last_at);
        let (ended, keys) = std::mem::take(&mut self.keys)
            .into_iter()
            .partition(|key| key.until.is_some_and(|until| Micros(until) <= at));
        self.keys = ended;
        if !self.keys.is_empty() {
            self.put_keys(secrets, Some(size));
        }
        self.keys = keys;
    }

    fn signer(&self, generation: u32, secrets: &Secrets) -> Result<Signer, String> {
        let seed = derive_signing_seed(&secrets.seed, &self.origin, generation);
        Signer::new(&self.origin, &seed).map_err(|error| error.to_string())
    }

    fn put_keys(&mut self, secrets: Option<&Secrets>, to_size: Option<u64>) {
        for key in &self.keys {
            let vkey = secrets
                .and_then(|secrets| self.signer(key.generation, secrets).ok())
                .map(|signer| signer.verifier_key().to_string());
            self.key_rows.insert(
                (key.from_size, key.generation),
                vec![
                    self.organization.0.into(),
                    key.from_size.into(),
                    key.generation.into(),
                    self.origin.as_str().into(),
                    vkey.into(),
                    to_size.into(),
                    key.until.into(),
                ],
            );
        }
    }

    /// The checkpoint at the edge as the store signs it; none without the key file.
    fn sign(&self, secrets: Option<&Secrets>) -> Option<Result<String, String>> {
        let secrets = secrets?;
        let sign = || {
            let signers = self
                .keys
                .iter()
                .rev()
                .map(|key| self.signer(key.generation, secrets))
                .collect::<Result<Vec<_>, _>>()?;
            Checkpoint {
                origin: self.origin.clone(),
                size: self.edge.size(),
                root: self.edge.root(),
            }
            .sign(&signers.iter().collect::<Vec<_>>())
            .map(|note| note.to_string())
            .map_err(|error| error.to_string())
        };
        Some(sign())
    }
}

/// Full tiles of a log, derived and stored.
struct Tiles<'a> {
    head: &'a Head,
    derived: Vec<FullTile>,
    count: u64,
}

impl<'a> Tiles<'a> {
    fn new(head: &'a Head) -> Self {
        Self {
            head,
            derived: Vec::new(),
            count: 0,
        }
    }

    fn place(&self, level: u8, n: u64) -> String {
        format!("log {}, tile {level}/{n}", self.head.name)
    }

    async fn compare(&mut self, conn: &mut Conn, report: &mut Report) -> Result<(), DbError> {
        for tile in std::mem::take(&mut self.derived) {
            let row = conn
                .query_one(
                    "SELECT bytes FROM tiles WHERE organization = $1 AND level = $2 AND n = $3",
                    &[
                        self.head.organization.0.into(),
                        i64::from(tile.level).into(),
                        tile.n.into(),
                    ],
                )
                .await?;
            match row {
                None => report.add(self.place(tile.level, tile.n), "is missing"),
                Some(row) => {
                    let stored = row.blob(0)?;
                    if stored[..] != tile.hashes[..] {
                        let first = stored
                            .iter()
                            .zip(tile.hashes.iter())
                            .position(|(a, b)| a != b)
                            .map_or_else(
                                || "has another length".to_owned(),
                                |at| format!("hash {} is not what the entries give", at / 32),
                            );
                        report.add(self.place(tile.level, tile.n), first);
                    }
                }
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Tiles that are stored and do not exist in the tree.
    async fn surplus(&self, conn: &mut Conn, report: &mut Report) -> Result<(), DbError> {
        let stored = conn
            .query_one(
                "SELECT count(*) FROM tiles WHERE organization = $1",
                &[self.head.organization.0.into()],
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let expected: u64 = (0..8)
            .map(|level| full_tile_count(level, self.head.size))
            .sum();
        if stored > expected {
            for row in conn
                .query(
                    "SELECT level, n FROM tiles WHERE organization = $1 ORDER BY level, n",
                    &[self.head.organization.0.into()],
                )
                .await?
            {
                let (level, n) = (row.int(0)?, row.int(1)?);
                let exists = u8::try_from(level).is_ok_and(|level| {
                    level < 8
                        && u64::try_from(n)
                            .is_ok_and(|n| n < full_tile_count(level, self.head.size))
                });
                if !exists {
                    report.add(
                        format!("log {}, tile {level}/{n}", self.head.name),
                        "is not in the tree",
                    );
                }
            }
        }
        Ok(())
    }
}
