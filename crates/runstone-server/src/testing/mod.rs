//! An in-process server for tests: a clock that stands still until told, random bytes from a
//! seed, a store in a folder of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use runstone_model::id::Micros;
use runstone_store::{Clock, Engine, Options, Random, Store};
use sha2::{Digest as _, Sha256};
use tower::Service as _;

use crate::config::Config;
use crate::provision::Plan;
use crate::serve::Server;

mod clock;

pub use clock::TestClock;

/// 2026-04-01T00:00:00Z.
pub const START: Micros = Micros(1_775_001_600_000_000);

/// Bytes that follow from a seed.
pub struct TestRandom {
    seed: u64,
    next: AtomicU64,
}

impl TestRandom {
    /// The bytes of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            next: AtomicU64::new(0),
        }
    }
}

impl Random for TestRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(number.to_be_bytes());
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }
}

/// A server and everything it stands on; the folder goes with it.
pub struct TestServer {
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// Its store.
    pub store: Store,
    server: Server,
    router: Router,
    engine: Engine,
    config: Config,
    folder: Arc<tempfile::TempDir>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.text()))
    }

    /// The message of an error.
    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl TestServer {
    /// A server with the embedded store.
    pub async fn start() -> Self {
        Self::with(Config::default(), None).await
    }

    /// A server with these settings, on the embedded store or another one.
    pub async fn with(config: Config, engine: Option<Engine>) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        let engine = engine.unwrap_or_else(|| Engine::Sqlite {
            directory: folder.path().join("data"),
        });
        Self::open(config, engine, folder, 1).await
    }

    /// Another server on the same database; only PostgreSQL has several.
    pub async fn beside(&self) -> Self {
        let folder = Arc::clone(&self.folder);
        Self::open(self.config.clone(), self.engine.clone(), folder, 2).await
    }

    async fn open(
        config: Config,
        engine: Engine,
        folder: Arc<tempfile::TempDir>,
        seed: u64,
    ) -> Self {
        let clock = Arc::new(match engine {
            Engine::Postgres { .. } => TestClock::real(),
            Engine::Sqlite { .. } => TestClock::standing(START),
        });
        let options = Options {
            engine: engine.clone(),
            blobs: Some(folder.path().join("blobs").display().to_string()),
            blob_options: Vec::new(),
            key_file: Some(folder.path().join("keys")),
            create_key_file: true,
            host: "runstone.test".to_owned(),
            guard: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::new(TestRandom::new(seed)),
        };
        let store = Store::open(options).await.expect("the store opens");
        let server = Server::new(config.clone(), store.clone());
        Self {
            clock,
            store,
            router: server.router(),
            server,
            engine,
            config,
            folder,
        }
    }

    /// Whether its clock stands until it is moved.
    pub fn clock_stands(&self) -> bool {
        self.clock.stands()
    }

    /// Applies a provisioning file.
    pub async fn provision(&self, yaml: &str) {
        Plan::parse(yaml, |_| None)
            .expect("the file is valid")
            .apply(&self.store)
            .await
            .expect("the file can be applied");
    }

    /// Shares when environments were seen, as the job does.
    pub async fn share_seen(&self) {
        self.server.share_seen().await.expect("sharing succeeds");
    }

    /// Records the observations that are due, as the job does.
    pub async fn record_observations(&self) {
        self.server
            .record_observations()
            .await
            .expect("recording succeeds");
    }

    /// The server, to be run on a socket.
    pub fn server(&self) -> Server {
        self.server.clone()
    }

    /// Sends a request; an empty key sends no credential.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "runstone.test")
            .header("content-type", "application/json; charset=utf-8");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request
            .body(Body::from(body.into()))
            .expect("the request is well-formed");
        self.call(request).await
    }

    /// Sends any request.
    pub async fn call(&self, request: Request<Body>) -> Reply {
        let mut router = self.router.clone();
        let response = router
            .call(request)
            .await
            .unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("the body can be read");
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Reads.
    pub async fn get(&self, path: &str, key: &str) -> Reply {
        self.send(Method::GET, path, key, Bytes::new()).await
    }

    /// Puts.
    pub async fn put(&self, path: &str, key: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::PUT, path, key, body).await
    }
}
