//! Large bodies and the checkpoint guard in an S3-compatible service, given by its URL in
//! `RUNSTONE_TEST_S3_ENDPOINT` (D2, D5).

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};
use runstone_model::command::{Action, Caller, Command, PatchEnvironment};
use runstone_model::event::Entry;
use runstone_model::fact::OrganizationNo;
use runstone_model::id::Digest;
use runstone_store::{
    DbError, Engine, Options, Store, SubmitError, Wanted, backup, fsck, rebuild, restore,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::stories::{dump, options_in, options_of};
use crate::support::{Bench, benches, report};

/// Stands for what may be seen by nobody.
const SECRET: &str = "hushhushhush";

/// A bucket of its own in the service for tests.
struct Bucket {
    endpoint: String,
    name: String,
}

impl Bucket {
    /// A new one; none, said aloud, where no service is given.
    fn new() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        #[expect(
            clippy::disallowed_methods,
            reason = "tests are told of real services this way"
        )]
        let Ok(endpoint) = std::env::var("RUNSTONE_TEST_S3_ENDPOINT") else {
            println!("skipped: RUNSTONE_TEST_S3_ENDPOINT is not set");
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("store-{}-{number}", std::process::id());
        let host = endpoint.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(Self { endpoint, name })
    }

    /// Looks at it from outside.
    fn client(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_access_key_id("tests")
            .with_secret_access_key(SECRET)
            .build()
            .unwrap()
    }

    /// Keys of all objects, sorted.
    async fn keys(&self) -> Vec<String> {
        let list = self.client().list_with_delimiter(None).await.unwrap();
        let mut folders = list.common_prefixes;
        let mut keys: Vec<String> = Vec::new();
        keys.extend(
            list.objects
                .iter()
                .map(|object| object.location.to_string()),
        );
        while let Some(folder) = folders.pop() {
            let list = self
                .client()
                .list_with_delimiter(Some(&folder))
                .await
                .unwrap();
            folders.extend(list.common_prefixes);
            keys.extend(
                list.objects
                    .iter()
                    .map(|object| object.location.to_string()),
            );
        }
        keys.sort();
        keys
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let found = self.client().get(&Path::from(key)).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let payload = PutPayload::from(bytes);
        self.client().put(&Path::from(key), payload).await.unwrap();
    }

    async fn delete(&self, key: &str) {
        self.client().delete(&Path::from(key)).await.unwrap();
    }

    fn settings(&self) -> Vec<(String, String)> {
        settings(&self.endpoint)
    }

    /// Options of a store with its blobs here.
    fn blobs(&self, options: Options) -> Options {
        Options {
            blobs: Some(format!("s3://{}/blobs", self.name)),
            blob_options: self.settings(),
            ..options
        }
    }

    /// The same with its guard.
    fn guard(&self, options: Options) -> Options {
        Options {
            guard: Some(format!("s3://{}/guard", self.name)),
            blob_options: self.settings(),
            ..options
        }
    }
}

fn settings(endpoint: &str) -> Vec<(String, String)> {
    [
        ("aws_endpoint_url", endpoint),
        ("aws_access_key_id", "tests"),
        ("aws_secret_access_key", SECRET),
        ("aws_pager", "less: a variable that is no setting"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A way to the service that can be cut.
struct Line {
    endpoint: String,
    on: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Line {
    async fn to(endpoint: &str) -> Self {
        let service = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let on = Arc::new(AtomicBool::new(true));
        let (cut, cuts) = watch::channel(());
        let open = Arc::clone(&on);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let (service, mut cuts) = (service.clone(), cuts.clone());
                // Only later ones count.
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(service).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { endpoint, on, cut }
    }

    fn switch(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
        if !on {
            self.cut.send(()).unwrap();
        }
    }
}

/// A bench reopened with other options.
async fn reopen(bench: Bench, options: Options) -> Bench {
    bench.store.close().await;
    let store = Store::open(options).await.unwrap();
    Bench { store, ..bench }
}

/// A text that no compression brings below 64 KiB.
fn large(seed: u64) -> String {
    use rand::{Rng as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    (0..120_000)
        .map(|_| char::from(random.random_range(b'#'..=b'[')))
        .collect()
}

async fn describe(store: &Store, text: &str) -> Result<u64, SubmitError> {
    let done = store
        .submit(Command {
            caller: Caller::System("test"),
            organization: "acme".to_owned(),
            action: Action::PatchEnvironment(PatchEnvironment {
                environment: "prod".to_owned(),
                description: Some(text.to_owned()),
                ..PatchEnvironment::default()
            }),
            salt: store.salt(),
        })
        .await?;
    Ok(done.entries[0].1)
}

async fn try_report(store: &Store, byte: u8) -> Result<(), SubmitError> {
    store
        .submit(Command {
            caller: Caller::System("test"),
            organization: "acme".to_owned(),
            action: report("prod", &[("web", byte, &[i64::from(byte)])]),
            salt: store.salt(),
        })
        .await
        .map(|_| ())
}

/// The digest of an entry's body that holds `text`, and its position.
async fn find(store: &Store, no: OrganizationNo, entry: u64, text: &str) -> (Digest, u32) {
    let mut read = store.read().await.unwrap();
    let bytes = read.entry(no, entry).await.unwrap().unwrap();
    for (digest, position) in Entry::body_digests(&bytes).unwrap().into_iter().zip(0..) {
        let body = read.body(no, entry, position).await.unwrap().unwrap();
        assert_eq!(Digest::of(&body), digest);
        if body.windows(text.len()).any(|part| part == text.as_bytes()) {
            return (digest, position);
        }
    }
    panic!("no body of entry {entry} holds the text");
}

async fn body(
    store: &Store,
    no: OrganizationNo,
    at: (u64, u32),
) -> Result<Option<Vec<u8>>, DbError> {
    store.read().await?.body(no, at.0, at.1).await
}

async fn problems(options: &Options) -> Vec<String> {
    let report = fsck(options, &mut |_| {}).await.unwrap();
    report.problems.iter().map(ToString::to_string).collect()
}

fn unavailable(result: Result<u64, SubmitError>) -> String {
    match result {
        Err(SubmitError::Unavailable { reason, .. }) => reason,
        other => panic!("not refused as unavailable: {other:?}"),
    }
}

async fn organization_id(bench: &Bench) -> String {
    let mut read = bench.store.read().await.unwrap();
    read.organization_named("acme")
        .await
        .unwrap()
        .unwrap()
        .id
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_lie_in_the_bucket_by_organization_and_digest() {
    for bench in benches(70).await {
        let Some(bucket) = Bucket::new() else { return };
        let options = bucket.blobs(options_of(&bench));
        let bench = reopen(bench, options.clone()).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        try_report(&bench.store, 1).await.unwrap();
        assert_eq!(bucket.keys().await, [""; 0], "small ones stay inside");
        let text = large(1);
        let entry = describe(&bench.store, &text).await.unwrap();
        let (digest, position) = find(&bench.store, acme, entry, &text).await;
        let id = organization_id(&bench).await;
        let key = format!("blobs/{id}/{}", digest.to_hex());
        assert_eq!(bucket.keys().await, std::slice::from_ref(&key));
        let bench = reopen(bench, options.clone()).await;
        assert_eq!(find(&bench.store, acme, entry, &text).await.0, digest);
        bench.store.close().await;
        assert_eq!(problems(&options).await, [""; 0]);
        let before = dump(&options).await;
        rebuild(&options, &mut |_| {}).await.unwrap();
        assert_eq!(dump(&options).await, before);

        // A changed byte and a lost object: no wrong answer, and fsck names the body.
        let good = bucket.get(&key).await;
        let mut bad = good.clone();
        bad[40_000] ^= 1;
        for damage in [Some(bad), None] {
            match damage {
                Some(bytes) => bucket.put(&key, bytes).await,
                None => bucket.delete(&key).await,
            }
            let store = Store::open(options.clone()).await.unwrap();
            let error = body(&store, acme, (entry, position)).await.unwrap_err();
            assert!(matches!(error, DbError::Corrupt(_)), "{error:?}");
            // Everything else is readable, and life goes on.
            let mut read = store.read().await.unwrap();
            assert_eq!(read.environments(acme).await.unwrap().len(), 1);
            drop(read);
            store.close().await;
            let named = format!("log acme, entry {entry}, body {position}: ");
            let found = problems(&options).await;
            assert!(
                found.iter().any(|line| line.starts_with(&named)),
                "{found:?}"
            );
            assert!(rebuild(&options, &mut |_| {}).await.is_err());
        }
        bucket.put(&key, good).await;
        assert_eq!(problems(&options).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_bodies_leave_the_bucket_and_backups_carry_the_others() {
    for bench in benches(71).await {
        let Some(bucket) = Bucket::new() else { return };
        let options = bucket.blobs(options_of(&bench));
        let bench = reopen(bench, options.clone()).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        let (first, second) = (large(2), large(3));
        let gone = describe(&bench.store, &first).await.unwrap();
        let kept = describe(&bench.store, &second).await.unwrap();
        let (digest, position) = find(&bench.store, acme, gone, &first).await;
        let (_, kept_position) = find(&bench.store, acme, kept, &second).await;
        assert_eq!(bucket.keys().await.len(), 2);
        // A read that began before still sees the row; it is told of no damage.
        let mut early = bench.store.read().await.unwrap();
        early.environments(acme).await.unwrap();
        let done = bench
            .store
            .erase("acme", &Wanted::Digests(vec![digest]), "asked for")
            .await
            .unwrap();
        assert!(
            done.pending.iter().all(|left| !left.contains("blob store")),
            "{:?}",
            done.pending
        );
        assert_eq!(early.body(acme, gone, position).await, Ok(None));
        drop(early);
        let keys = bucket.keys().await;
        assert_eq!(keys.len(), 1);
        assert!(!keys[0].ends_with(&digest.to_hex()));
        assert_eq!(body(&bench.store, acme, (gone, position)).await, Ok(None));

        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        backup(&options, &copy, true, &mut |_| {}).await.unwrap();
        bench.store.close().await;
        // Into another bucket, and into a folder.
        for elsewhere in [Bucket::new(), None] {
            let target = Arc::new(tempfile::tempdir().unwrap());
            let engine = Engine::Sqlite {
                directory: target.path().join("data"),
            };
            let mut into = options_in(&engine, &target);
            if let Some(bucket) = &elsewhere {
                into = bucket.blobs(into);
            }
            restore(&copy, &into, &mut |_| {}).await.unwrap();
            assert_eq!(problems(&into).await, [""; 0]);
            if let Some(bucket) = &elsewhere {
                assert_eq!(bucket.keys().await, keys);
            }
            let store = Store::open(into).await.unwrap();
            let found = body(&store, acme, (kept, kept_position)).await;
            let found = found.unwrap().unwrap();
            assert!(
                found
                    .windows(second.len())
                    .any(|part| part == second.as_bytes())
            );
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_costs_only_what_needs_it_and_comes_back() {
    for bench in benches(72).await {
        let Some(bucket) = Bucket::new() else { return };
        let line = Line::to(&bucket.endpoint).await;
        let options = Options {
            blob_options: settings(&line.endpoint),
            ..bucket.blobs(options_of(&bench))
        };
        let bench = reopen(bench, options.clone()).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        let text = large(4);
        let entry = describe(&bench.store, &text).await.unwrap();
        let (_, position) = find(&bench.store, acme, entry, &text).await;

        line.switch(false);
        let error = body(&bench.store, acme, (entry, position))
            .await
            .unwrap_err();
        let DbError::Blobs(reason) = &error else {
            panic!("{error:?}");
        };
        assert!(reason.starts_with("cannot read a body: "), "{reason}");
        let began = Instant::now();
        let other = large(5);
        // In one batch, as far as the queue makes one: what needs no large body is stored.
        let (refused, small, also) = tokio::join!(
            describe(&bench.store, &other),
            try_report(&bench.store, 2),
            describe(&bench.store, "short"),
        );
        let reason = unavailable(refused);
        assert!(reason.starts_with("cannot store a body: "), "{reason}");
        assert!(!reason.contains(SECRET), "{reason}");
        small.unwrap();
        let last = also.unwrap();
        // The next one does not ask the service again at once.
        unavailable(describe(&bench.store, &other).await);
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
        let error = fsck(&options, &mut |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("cannot read a body"), "{error}");
        // A restart needs no service.
        let bench = reopen(bench, options.clone()).await;
        unavailable(describe(&bench.store, &other).await);
        try_report(&bench.store, 3).await.unwrap();

        line.switch(true);
        let found = body(&bench.store, acme, (entry, position)).await;
        assert!(found.unwrap().is_some());
        let began = Instant::now();
        let stored = loop {
            match describe(&bench.store, &other).await {
                Ok(entry) => break entry,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(stored, last + 2, "what was refused left no entry");
        find(&bench.store, acme, stored, &other).await;
        bench.store.close().await;
        assert_eq!(problems(&options).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_no_missing_body() {
    let Some(bucket) = Bucket::new() else { return };
    let bench = benches(73).await.remove(0);
    let options = bucket.blobs(options_of(&bench));
    let bench = reopen(bench, options.clone()).await;
    let acme = bench.organization("acme").await;
    bench.environment("acme", "prod", false).await;
    let text = large(6);
    let entry = describe(&bench.store, &text).await.unwrap();
    let (_, position) = find(&bench.store, acme, entry, &text).await;
    let wrong = Options {
        blobs: Some("s3://no-such-bucket-here".to_owned()),
        ..options
    };
    let bench = reopen(bench, wrong).await;
    let error = body(&bench.store, acme, (entry, position))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DbError::Blobs(reason) if reason.contains("NoSuchBucket")),
        "{error:?}"
    );
    let reason = unavailable(describe(&bench.store, &large(7)).await);
    assert!(reason.contains("NoSuchBucket"), "{reason}");
    bench.store.close().await;
}

async fn published(store: &Store, no: OrganizationNo) -> u64 {
    let mut read = store.read().await.unwrap();
    read.log(no, None).await.unwrap().unwrap().size
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{what}: not in 20 s"
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_in_a_bucket_advances_and_stops_a_store_that_is_behind() {
    for bench in benches(74).await {
        let Some(bucket) = Bucket::new() else { return };
        let line = Line::to(&bucket.endpoint).await;
        let options = Options {
            blob_options: settings(&line.endpoint),
            ..bucket.guard(options_of(&bench))
        };
        let bench = reopen(bench, options.clone()).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        try_report(&bench.store, 1).await.unwrap();
        let outside = tempfile::tempdir().unwrap();
        let copy = outside.path().join("copy");
        backup(&options, &copy, true, &mut |_| {}).await.unwrap();
        try_report(&bench.store, 2).await.unwrap();
        until("published", async || {
            published(&bench.store, acme).await == 3
        })
        .await;
        // One record for each log, named by the hash of its origin, and what the service was
        // tried with.
        let keys = bucket.keys().await;
        assert_eq!(keys.len(), 3, "{keys:?}");
        assert!(keys.contains(&"guard/conditions".to_owned()), "{keys:?}");

        // While the service is away writes are acknowledged and not published.
        line.switch(false);
        try_report(&bench.store, 3).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(published(&bench.store, acme).await, 3);
        assert_eq!(bench.store.stopped(), None);
        line.switch(true);
        until("published", async || {
            published(&bench.store, acme).await == 4
        })
        .await;

        // An old copy beside it: it is stopped, and goes on only in a new epoch.
        let target = Arc::new(tempfile::tempdir().unwrap());
        let engine = Engine::Sqlite {
            directory: target.path().join("data"),
        };
        let into = bucket.guard(options_in(&engine, &target));
        let restored = restore(&copy, &into, &mut |_| {}).await.unwrap();
        assert_eq!(restored.stopped.len(), 1, "{restored:?}");
        let store = Store::open(into).await.unwrap();
        let reason = store.stopped().unwrap();
        assert!(
            reason.contains("holds size 4")
                && reason.contains("it was rolled back")
                && reason.contains("runstone admin new-epoch --reason"),
            "{reason}"
        );
        assert!(matches!(
            try_report(&store, 4).await,
            Err(SubmitError::Unavailable { .. })
        ));
        let begun = store.new_epoch(None, "restored").await.unwrap();
        assert_eq!((begun[0].size, begun[0].signed_size), (2, 4));
        try_report(&store, 4).await.unwrap();
        until("published", async || published(&store, acme).await == 4).await;
        store.close().await;
        // The other goes on with its own.
        try_report(&bench.store, 5).await.unwrap();
        until("published", async || {
            published(&bench.store, acme).await == 5
        })
        .await;
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_one_database_advance_one_guard() {
    let Some(bucket) = Bucket::new() else { return };
    for bench in benches(75).await {
        if !matches!(bench.engine, Engine::Postgres { .. }) {
            continue;
        }
        let options = bucket.guard(options_of(&bench));
        let bench = reopen(bench, options.clone()).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        let other = Store::open(options.clone()).await.unwrap();
        for byte in 1..20 {
            let store = if byte % 2 == 0 { &other } else { &bench.store };
            try_report(store, byte).await.unwrap();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        for store in [&other, &bench.store] {
            until("published", async || published(store, acme).await == 20).await;
            assert_eq!(store.stopped(), None);
        }
        bench.store.close().await;
        other.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_by_a_store_that_cannot_be_opened_or_reached() {
    let bench = benches(76).await.remove(0);
    let options = options_of(&bench);
    bench.store.close().await;
    for url in [
        format!("s3://tests:{SECRET}@bucket/below"),
        format!("s3://bucket/below?aws_secret_access_key={SECRET}"),
        format!("s3://tests:{SECRET}/{SECRET}@bucket"),
    ] {
        let blobs = Options {
            blobs: Some(url.clone()),
            ..options.clone()
        };
        let guard = Options {
            guard: Some(url),
            ..options.clone()
        };
        for options in [blobs, guard] {
            let Err(error) = Store::open(options).await else {
                panic!("it was opened");
            };
            let told = format!("{error} {error:?}");
            assert!(told.contains("s3://bucket"), "{told}");
            assert!(!told.contains(SECRET), "{told}");
        }
    }
    // Nobody listens there; the password of an endpoint is not shown either.
    let away = format!("http://tests:{SECRET}@127.0.0.1:9");
    let both = Options {
        blobs: Some("s3://bucket".to_owned()),
        guard: Some("s3://bucket".to_owned()),
        blob_options: settings(&away),
        ..options
    };
    let store = Store::open(both).await.unwrap();
    let told = store.stopped().unwrap();
    assert!(
        told.contains("the checkpoint guard cannot be reached"),
        "{told}"
    );
    assert!(!told.contains(SECRET), "{told}");
    store.close().await;
}

/// A service that keeps objects in memory and honours only the named conditions of writes.
async fn partial_service(honoured: &'static [&'static str]) -> String {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

    type Objects = Arc<Mutex<HashMap<String, (u64, Vec<u8>)>>>;

    async fn serve(stream: TcpStream, objects: Objects, honoured: &[&str]) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                if line.trim_end().is_empty() {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let header = |name: &str| {
                head.iter()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned())
            };
            let length = header("content-length").map_or(0, |text| text.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            let mut words = head[0].split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let answer = {
                let mut objects = objects.lock().unwrap();
                let known = objects.get(path).cloned();
                let tag = known.as_ref().map(|(tag, _)| format!("\"{tag}\""));
                let fails = |name: &str| match header(name) {
                    Some(wanted) if honoured.contains(&name) => match name {
                        "if-none-match" => tag.is_some(),
                        _ => tag.as_ref() != Some(&wanted),
                    },
                    _ => false,
                };
                match (method, known) {
                    ("PUT", _) if fails("if-none-match") || fails("if-match") => {
                        "HTTP/1.1 412 No\r\nContent-Length: 0\r\n\r\n"
                            .to_owned()
                            .into_bytes()
                    }
                    ("PUT", known) => {
                        let tag = known.map_or(1, |(tag, _)| tag + 1);
                        objects.insert(path.to_owned(), (tag, body));
                        format!("HTTP/1.1 200 OK\r\nETag: \"{tag}\"\r\nContent-Length: 0\r\n\r\n")
                            .into_bytes()
                    }
                    (_, Some((tag, bytes))) => {
                        let mut answer = format!(
                            "HTTP/1.1 200 OK\r\nETag: \"{tag}\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
                            bytes.len()
                        )
                        .into_bytes();
                        answer.extend_from_slice(&bytes);
                        answer
                    }
                    (_, None) => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
                        .to_owned()
                        .into_bytes(),
                }
            };
            stream.write_all(&answer).await?;
        }
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let objects = Objects::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&objects), honoured));
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ignores_conditions_is_no_guard() {
    let bench = benches(77).await.remove(0);
    let options = options_of(&bench);
    bench.store.close().await;
    let with = |endpoint: &str| Options {
        guard: Some("s3://bucket/guard".to_owned()),
        blob_options: settings(endpoint),
        ..options.clone()
    };
    let cases: [(&'static [&'static str], Option<&str>); 4] = [
        (&["if-none-match", "if-match"], None),
        (&["if-none-match"], Some("ignores If-Match on writes")),
        (&["if-match"], Some("ignores If-None-Match on writes")),
        (&[], Some("ignores If-None-Match on writes")),
    ];
    for (honoured, expected) in cases {
        let endpoint = partial_service(honoured).await;
        // The second time the object is there already.
        for _ in 0..2 {
            match (Store::open(with(&endpoint)).await, expected) {
                (Ok(store), None) => {
                    assert_eq!(store.stopped(), None);
                    store.close().await;
                }
                (Err(error), Some(part)) => {
                    let told = error.to_string();
                    assert!(
                        told.starts_with("cannot open s3://bucket/guard: ") && told.contains(part),
                        "{told}"
                    );
                }
                (opened, _) => panic!("{honoured:?}: {:?}", opened.err()),
            }
        }
    }
    // Nobody answers when the store is opened; what answers later is no guard either.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap();
    let store = Store::open(with(&format!("http://{address}")))
        .await
        .unwrap();
    assert!(store.stopped().is_some());
    let late = partial_service(&["if-none-match"]).await;
    let late = late.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let late = late.clone();
            tokio::spawn(async move {
                let mut service = TcpStream::connect(late).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut service).await;
            });
        }
    });
    until("found out", async || {
        store
            .stopped()
            .is_some_and(|reason| reason.contains("ignores If-Match on writes"))
    })
    .await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go_in_pieces() {
    use crate::uploads::{attached, attest, noise, upload};

    for bench in benches(76).await {
        let Some(bucket) = Bucket::new() else { return };
        let options = bucket.blobs(options_of(&bench));
        let bench = reopen(bench, options.clone()).await;
        bench.organization("acme").await;
        let id = organization_id(&bench).await;
        let mut expected = Vec::new();
        for length in [65_536, 65_537, 5 << 20, (5 << 20) + 1, 17_000_000] {
            let bytes = noise(length);
            let attachment = upload(&bench.store, &id, &bytes).await.unwrap();
            if length > 65_536 {
                expected.push(format!("blobs/{id}/{}", attachment.digest.to_hex()));
                expected.sort();
            }
            assert_eq!(bucket.keys().await, expected, "{length}");
            let entry = attest(&bench, attachment).await;
            assert_eq!(attached(&bench, entry).await.unwrap(), Some(bytes));
        }
        let mut broken = bench.store.upload(&id);
        broken.write(&noise(12_000_000)).await.unwrap();
        drop(broken);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(bucket.keys().await, expected);
        // What a crash left in the service is younger than this clock by months.
        bucket.put("blobs/incoming/left", b"x".to_vec()).await;
        bench.store.close().await;
        assert_eq!(problems(&options).await, [""; 0]);
        bench.clock.advance(400 * 24 * 3_600 * 1_000_000);
        let bench = reopen(bench, options).await;
        for _ in 0..500 {
            if bucket.keys().await == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(bucket.keys().await, expected);
        bench.store.close().await;
    }
}
