//! Servers with people in them, and short ways to ask them.

use runstone_server::Config;
use runstone_server::testing::{Reply, TestServer};
use runstone_store::Engine;
use serde_json::{Value, json};

/// Organizations `acme` (private), `open` (public) and `other`, and one person for each role in
/// all of the first two: keys are `KEY-<role>`; `KEY-stranger` belongs only to `other`.
pub const PEOPLE: &str = "
organizations:
  - {name: acme}
  - {name: open, public: true}
  - {name: other}
users:
  - {name: ada, email: ada@example.com, roles: {acme: admin, open: admin}, api_keys: [{key: KEY-admin}]}
  - {name: max, roles: {acme: member, open: member}, api_keys: [{key: KEY-member}]}
  - {name: sue, roles: {acme: snapshotter, open: snapshotter}, api_keys: [{key: KEY-snapshotter}]}
  - {name: rob, roles: {acme: reader, open: reader}, api_keys: [{key: KEY-reader}]}
  - {name: sam, roles: {other: admin}, api_keys: [{key: KEY-stranger}]}
  - {name: old, roles: {acme: admin}, api_keys: [{key: KEY-expired, expires_at: 2020-01-01}]}
service_accounts:
  - {name: ci, organization: acme, role: snapshotter, api_keys: [{key: KEY-ci}]}
";

pub const ADMIN: &str = "KEY-admin";

/// Address of a PostgreSQL server for tests, if there is one.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told of real services this way"
)]
pub fn postgres_url() -> Option<String> {
    std::env::var("RUNSTONE_TEST_POSTGRES_URL").ok()
}

/// A new database on the test server.
pub fn new_database(url: &str) -> Engine {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "server_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    );
    let made = std::process::Command::new("psql")
        .args([url, "-q", "-c", &format!("CREATE DATABASE {name}")])
        .status()
        .expect("psql runs");
    assert!(made.success(), "a database can be made");
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let at = base.rfind('/').unwrap();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    Engine::Postgres {
        url: format!("{}/{name}{query}", &base[..at]),
    }
}

/// One server per engine, with [`PEOPLE`].
pub async fn servers() -> Vec<TestServer> {
    servers_with(Config::default()).await
}

pub async fn servers_with(config: Config) -> Vec<TestServer> {
    let mut servers = vec![TestServer::with(config.clone(), None).await];
    if let Some(url) = postgres_url() {
        servers.push(TestServer::with(config, Some(new_database(&url))).await);
    }
    for server in &servers {
        server.provision(PEOPLE).await;
    }
    servers
}

/// A fingerprint of one repeated digit.
pub fn fp(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub async fn put_environment(server: &TestServer, name: &str, kind: &str) {
    let body = json!({"name": name, "type": kind, "description": ""});
    let reply = server
        .put("/api/v2/environments/acme", ADMIN, body.to_string())
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (201, "\"OK\"".to_owned())
    );
}

/// A `server` report of (name, fingerprint, start).
pub fn server_report(artifacts: &[(&str, &str, i64)]) -> String {
    let artifacts: Vec<Value> = artifacts
        .iter()
        .map(|(name, fingerprint, at)| {
            json!({"digests": {*name: fingerprint}, "creationTimestamp": at})
        })
        .collect();
    json!({"artifacts": artifacts}).to_string()
}

pub async fn report(server: &TestServer, name: &str, artifacts: &[(&str, &str, i64)]) -> u16 {
    let path = format!("/api/v2/environments/acme/{name}/report/server");
    let reply = server.put(&path, ADMIN, server_report(artifacts)).await;
    assert!(reply.status.is_success(), "{}", reply.text());
    reply.status.as_u16()
}

pub async fn get(server: &TestServer, path: &str) -> Reply {
    server.get(&format!("/api/v2{path}"), ADMIN).await
}

/// A successful read as JSON.
pub async fn read(server: &TestServer, path: &str) -> Value {
    let reply = get(server, path).await;
    assert_eq!(reply.status.as_u16(), 200, "{path}: {}", reply.text());
    reply.json()
}

/// Status and message of a refused read.
pub async fn refusal(server: &TestServer, path: &str) -> (u16, String) {
    let reply = get(server, path).await;
    (reply.status.as_u16(), reply.message())
}
