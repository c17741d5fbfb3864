//! Files that are too large to be held: on their way into the blob store, and out again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use runstone_model::command::{Action, Attest, FlowAction};
use runstone_model::event::Attachment;
use runstone_model::id::Digest;
use runstone_store::{DbError, Store, fsck, rebuild};

use crate::stories::{dump, options_of};
use crate::support::{Bench, benches};

/// Bytes that repeat nowhere near.
pub fn noise(length: usize) -> Vec<u8> {
    use rand::{RngCore as _, SeedableRng as _};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(length as u64).fill_bytes(&mut bytes);
    bytes
}

pub async fn upload(store: &Store, id: &str, bytes: &[u8]) -> Result<Attachment, DbError> {
    let mut upload = store.upload(id);
    for piece in bytes.chunks(70_001) {
        upload.write(piece).await?;
    }
    assert_eq!(upload.bytes(), bytes.len() as u64);
    upload.finish().await
}

/// Attests with a file; the entry that tells it.
pub async fn attest(bench: &Bench, attachment: Attachment) -> u64 {
    let action = Action::Flow(FlowAction::Attest(Box::new(Attest {
        flow: "web".to_owned(),
        trail: "t1".to_owned(),
        name: "scan".to_owned(),
        kind: "generic".to_owned(),
        is_compliant: true,
        fingerprint: None,
        targets: Vec::new(),
        commit: None,
        repo: None,
        original_kind: None,
        version: None,
        control: None,
        content: "{}".into(),
        attachment: Some(attachment),
    })));
    let done = bench.system("acme", action).await.unwrap();
    done.entries.last().unwrap().1
}

/// The file of an entry, read in pieces.
pub async fn attached(bench: &Bench, entry: u64) -> Result<Option<Vec<u8>>, DbError> {
    let mut read = bench.store.read().await?;
    let acme = read.organization_named("acme").await?.unwrap().no;
    let Some(file) = read.attached(acme, entry, 1).await? else {
        return Ok(None);
    };
    let (bytes, digest) = (file.bytes, file.digest);
    let pieces: Vec<_> = file.pieces(0..bytes).try_collect().await?;
    let whole = pieces.concat();
    assert_eq!((whole.len() as u64, Digest::of(&whole)), (bytes, digest));
    Ok(Some(whole))
}

pub async fn organization_id(bench: &Bench) -> String {
    let mut read = bench.store.read().await.unwrap();
    let acme = read.organization_named("acme").await.unwrap();
    acme.unwrap().id.clone()
}

fn blobs(bench: &Bench) -> PathBuf {
    options_of(bench).blobs.unwrap().into()
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_size_come_back_and_lie_where_they_should() {
    for bench in benches(90).await {
        bench.organization("acme").await;
        let id = organization_id(&bench).await;
        let mut entries = Vec::new();
        for length in [0, 1, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 3_500_000] {
            let bytes = noise(length);
            let attachment = upload(&bench.store, &id, &bytes).await.unwrap();
            assert_eq!(attachment.digest, Digest::of(&bytes));
            assert_eq!(attachment.bytes, length as u64);
            assert_eq!(attachment.held.is_some(), length <= 65_536);
            let place = blobs(&bench).join(&id).join(attachment.digest.to_hex());
            assert_eq!(place.exists(), length > 65_536, "{length}");
            assert_eq!(
                &bench.store.uploaded(&id, &attachment).await.unwrap()[..],
                bytes
            );
            entries.push((attest(&bench, attachment).await, bytes));
        }
        assert_eq!(files(&blobs(&bench).join("incoming")), 0);
        for (entry, bytes) in &entries {
            assert_eq!(
                attached(&bench, *entry).await.unwrap().as_ref(),
                Some(bytes)
            );
        }
        // The journal as a whole, entries with their bodies and receipts.
        let mut read = bench.store.read().await.unwrap();
        let acme = read.organization_named("acme").await.unwrap().unwrap().no;
        let indexes: Vec<u64> = entries.iter().map(|(entry, _)| *entry).collect();
        let found = read.journal_entries(acme, &indexes).await.unwrap();
        let head = read.log(acme, None).await.unwrap().unwrap();
        let receipts = read.receipts(&head, &indexes).await.unwrap();
        for ((entry, receipt), (index, bytes)) in found.iter().zip(receipts).zip(&entries) {
            assert_eq!(entry.index, *index);
            assert_eq!(
                Some(entry.bytes.clone()),
                read.entry(acme, *index).await.unwrap()
            );
            assert_eq!(receipt, read.receipt(acme, *index).await.unwrap());
            let file = entry.bodies[1].content.clone().unwrap();
            assert_eq!(file.in_hand().is_some(), bytes.len() <= 65_536);
            let pieces = file.pieces(0..bytes.len() as u64);
            let pieces: Vec<_> = pieces.try_collect().await.unwrap();
            assert_eq!(&pieces.concat(), bytes);
        }
        drop(read);
        bench.store.close().await;
        let options = options_of(&bench);
        let report = fsck(&options, &mut |_| {}).await.unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let before = dump(&options).await;
        rebuild(&options, &mut |_| {}).await.unwrap();
        assert_eq!(dump(&options).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_leaves_nothing_and_damage_is_never_sent_whole() {
    for bench in benches(91).await {
        bench.organization("acme").await;
        let id = organization_id(&bench).await;
        let incoming = blobs(&bench).join("incoming");
        let mut broken = bench.store.upload(&id);
        broken.write(&noise(3_000_000)).await.unwrap();
        assert_eq!(files(&incoming), 1);
        drop(broken);
        assert_eq!(files(&incoming), 0);
        assert_eq!(files(&blobs(&bench).join(&id)), 0);

        let bytes = noise(2_500_000);
        let attachment = upload(&bench.store, &id, &bytes).await.unwrap();
        let place = blobs(&bench).join(&id).join(attachment.digest.to_hex());
        let entry = attest(&bench, attachment).await;
        let mut damaged = bytes.clone();
        damaged[2_400_000] ^= 1;
        for (stored, whole) in [
            (&damaged, false),
            (&bytes[..2_000_000].to_vec(), false),
            (&bytes, true),
        ] {
            std::fs::write(&place, stored).unwrap();
            let found = attached(&bench, entry).await;
            assert_eq!(found.is_ok(), whole, "{:?}", found.err());
        }
        std::fs::remove_file(&place).unwrap();
        assert!(matches!(
            attached(&bench, entry).await,
            Err(DbError::Corrupt(_))
        ));
        std::fs::write(&place, &bytes).unwrap();

        // What a crash left: an old file goes at the next start, a new one may be another server's.
        std::fs::create_dir_all(&incoming).unwrap();
        let old = std::fs::File::create(incoming.join("old")).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
        old.set_modified(long_ago).unwrap();
        std::fs::write(incoming.join("new"), "x").unwrap();
        bench.store.close().await;
        let store = Store::open(options_of(&bench)).await.unwrap();
        for _ in 0..500 {
            if files(&incoming) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!incoming.join("old").exists());
        assert!(incoming.join("new").exists());
        store.close().await;
    }
}
