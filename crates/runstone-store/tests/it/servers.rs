//! Several servers on one PostgreSQL: together, frozen inside a transaction, cut off, and losing
//! the reply to a COMMIT. Left out, and said so, where there is no PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use runstone_model::command::Reply;
use runstone_model::fact::EnvironmentNo;
use runstone_store::{Engine, Store, SubmitError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Bench, new_database, open, options, postgres_url, report};

const PASS: u8 = 0;
/// Holds everything from the server back.
const FREEZE: u8 = 1;
/// Ends connections as soon as a COMMIT went through, before its reply.
const CUT_AFTER_COMMIT: u8 = 2;
/// Ends connections before a COMMIT gets through.
const CUT_BEFORE_COMMIT: u8 = 3;
/// Holds everything from the client back once an INSERT went through: a server frozen inside its
/// transaction.
const FREEZE_INSIDE: u8 = 4;

/// A proxy in front of PostgreSQL that misbehaves on demand.
struct Proxy {
    url: String,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    async fn start(url: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let tokio_postgres::config::Host::Tcp(host) = config.get_hosts()[0].clone() else {
            panic!("the test server is reached over TCP");
        };
        let target = format!("{host}:{}", config.get_ports().first().unwrap_or(&5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let mode = Arc::new(AtomicU8::new(PASS));
        let shared = Arc::clone(&mode);
        let upstream = target.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(pump(client, server, Arc::clone(&shared)));
            }
        });
        Self {
            url: url.replacen(&target, &own.to_string(), 1),
            mode,
        }
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

async fn pump(client: TcpStream, server: TcpStream, mode: Arc<AtomicU8>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = Arc::clone(&mode);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let answers = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = tokio::select! {
                count = from_server.read(&mut buffer) => count.unwrap_or(0),
                _ = stopped.changed() => 0,
            };
            if count == 0 {
                break;
            }
            while back.load(Ordering::SeqCst) == FREEZE {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from_client.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        match mode.load(Ordering::SeqCst) {
            CUT_AFTER_COMMIT if contains(bytes, b"COMMIT") => {
                // The reply is held back before the COMMIT goes out.
                let _ = stop.send(true);
                let _ = to_server.write_all(bytes).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                break;
            }
            CUT_BEFORE_COMMIT if contains(bytes, b"COMMIT") => {
                let _ = stop.send(true);
                break;
            }
            FREEZE_INSIDE if contains(bytes, b"COMMIT") => {
                // The client has decided and is gone for a long while.
                tokio::time::sleep(Duration::from_secs(8)).await;
                if to_server.write_all(bytes).await.is_err() {
                    break;
                }
            }
            _ => {
                if to_server.write_all(bytes).await.is_err() {
                    break;
                }
            }
        }
    }
    answers.abort();
}

/// Two servers on one new database; the second behind a proxy.
async fn pair() -> Option<(Bench, Bench, Proxy)> {
    let Some(url) = postgres_url() else {
        println!("left out: no PostgreSQL in RUNSTONE_TEST_POSTGRES_URL");
        return None;
    };
    let url = new_database(&url).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let first = open(
        Engine::Postgres { url: url.clone() },
        Arc::clone(&folder),
        1,
    )
    .await;
    let proxy = Proxy::start(&url).await;
    let second = open(
        Engine::Postgres {
            url: proxy.url.clone(),
        },
        folder,
        2,
    )
    .await;
    first.organization("acme").await;
    first.environment("acme", "prod", false).await;
    Some((first, second, proxy))
}

/// What must hold whatever happened: every acknowledged report is there once, and the log fits.
async fn check(bench: &Bench, acknowledged: &[(u64, u8)]) {
    let folder = Arc::clone(&bench.folder);
    let store = Store::open(options(&bench.engine, &folder, bench.clock.clone(), 77))
        .await
        .unwrap();
    let mut read = store.read().await.unwrap();
    let acme = read.organization_named("acme").await.unwrap().unwrap().no;
    for (no, byte) in acknowledged {
        let running = read.running(acme, EnvironmentNo(1), *no).await.unwrap();
        assert_eq!(
            running[0].identity.fingerprint.unwrap().0[0],
            *byte,
            "#{no}"
        );
    }
    let head = read.log(acme, None).await.unwrap().unwrap();
    let keys: Vec<_> = head
        .keys
        .iter()
        .map(|key| key.vkey.parse().unwrap())
        .collect();
    for index in 0..head.size {
        let receipt = read.receipt(acme, index).await.unwrap().unwrap();
        let entry = read.entry(acme, index).await.unwrap().unwrap();
        runstone_journal::proof::verify_receipt(
            &runstone_journal::proof::Receipt::parse(receipt.as_bytes()).unwrap(),
            &entry,
            &keys,
        )
        .unwrap();
    }
    drop(read);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_write_one_history() {
    let Some((first, second, _proxy)) = pair().await else {
        return;
    };
    let mut acknowledged = Vec::new();
    for round in 0..30u8 {
        let (a, b) = tokio::join!(
            first.system("acme", report("prod", &[("web", 2 * round + 1, &[1])])),
            second.system("acme", report("prod", &[("web", 2 * round + 2, &[1])])),
        );
        for (done, byte) in [(a, 2 * round + 1), (b, 2 * round + 2)] {
            let Reply::Snapshot(no) = done.unwrap().reply else {
                panic!("each report differs from the one before");
            };
            acknowledged.push((no, byte));
        }
    }
    let mut numbers: Vec<_> = acknowledged.iter().map(|(no, _)| *no).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (1..=60).collect::<Vec<_>>(),
        "none lost or doubled"
    );
    // What one server creates the other sees at once.
    first.environment("acme", "new", false).await;
    second.report("acme", "new", &[("web", 1, &[1])]).await;
    let (a, b) = tokio::join!(
        first.environment("acme", "both", false),
        second.environment("acme", "both", false),
    );
    let ((), ()) = (a, b);
    check(&first, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_commit_is_not_guessed() {
    let Some((first, second, proxy)) = pair().await else {
        return;
    };
    let mut acknowledged = Vec::new();
    for round in 0..6u8 {
        let mode = if round % 2 == 0 {
            CUT_AFTER_COMMIT
        } else {
            CUT_BEFORE_COMMIT
        };
        // Connect before the trouble starts, so that only the COMMIT is lost.
        second
            .report("acme", "prod", &[("web", 100 + round, &[1])])
            .await;
        proxy.set(mode);
        let pass = Arc::clone(&proxy.mode);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            pass.store(PASS, Ordering::SeqCst);
        });
        // A refusal is a promise too: then nothing was stored, and trying again stores it once.
        let no = loop {
            match second
                .system("acme", report("prod", &[("web", round + 1, &[1])]))
                .await
            {
                Ok(done) => match done.reply {
                    Reply::Snapshot(no) => break no,
                    other => panic!("stored, though it was refused: {other:?}"),
                },
                Err(SubmitError::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        acknowledged.push((no, round + 1));
    }
    assert_eq!(
        acknowledged.iter().map(|(no, _)| *no).collect::<Vec<_>>(),
        [2, 4, 6, 8, 10, 12],
        "each was stored exactly once"
    );
    check(&first, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_frozen_inside_a_transaction_holds_nobody_up_for_long() {
    let Some((first, second, proxy)) = pair().await else {
        return;
    };
    second.report("acme", "prod", &[("web", 1, &[1])]).await;
    proxy.set(FREEZE_INSIDE);
    let frozen = tokio::spawn(async move {
        let result = second
            .system("acme", report("prod", &[("web", 2, &[1])]))
            .await;
        (second, result)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut acknowledged = Vec::new();
    // The lock is released when the database ends the idle transaction.
    for byte in 3..6u8 {
        let mut tries = 0;
        let no = loop {
            match first
                .system("acme", report("prod", &[("web", byte, &[1])]))
                .await
            {
                Ok(done) => match done.reply {
                    Reply::Snapshot(no) => break no,
                    other => panic!("unexpected {other:?}"),
                },
                Err(SubmitError::Unavailable { .. } | SubmitError::Busy { .. }) => {
                    tries += 1;
                    assert!(tries < 10, "the other server holds the lock for ever");
                }
                Err(error) => panic!("{error}"),
            }
        };
        acknowledged.push((no, byte));
    }
    proxy.set(PASS);
    let (_second, result) = frozen.await.unwrap();
    if let Ok(done) = result
        && let Reply::Snapshot(no) = done.reply
    {
        acknowledged.push((no, 2));
    }
    check(&first, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_refuses_and_comes_back() {
    let Some((first, second, proxy)) = pair().await else {
        return;
    };
    second.report("acme", "prod", &[("web", 1, &[1])]).await;
    proxy.set(FREEZE);
    let cut = tokio::spawn(async move {
        let result = tokio::time::timeout(
            Duration::from_mins(1),
            second.system("acme", report("prod", &[("web", 2, &[1])])),
        )
        .await;
        (second, result)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let done = first
        .system("acme", report("prod", &[("web", 3, &[1])]))
        .await
        .unwrap();
    let Reply::Snapshot(no) = done.reply else {
        panic!("the report differs");
    };
    let mut acknowledged = vec![(no, 3)];
    proxy.set(PASS);
    let (second, result) = cut.await.unwrap();
    if let Ok(Ok(done)) = result
        && let Reply::Snapshot(no) = done.reply
    {
        acknowledged.push((no, 2));
    }
    // It works again without a restart.
    let mut tries = 0;
    let no = loop {
        match second
            .system("acme", report("prod", &[("web", 9, &[1])]))
            .await
        {
            Ok(done) => match done.reply {
                Reply::Snapshot(no) => break no,
                other => panic!("unexpected {other:?}"),
            },
            Err(_) => {
                tries += 1;
                assert!(tries < 20, "it does not come back");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    };
    acknowledged.push((no, 9));
    check(&first, &acknowledged).await;
}
