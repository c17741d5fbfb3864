//! Servers on PostgreSQL, when `RUNSTONE_TEST_POSTGRES_URL` names one: two at once on one database,
//! and admin commands beside them.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::running::{KEY, Place, Running, block_on, environment, log_size, report};
use crate::scenarios::variable;

/// A database of its own; it goes when this is dropped.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn make() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = variable("RUNSTONE_TEST_POSTGRES_URL")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("runstone_cli_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.execute(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    fn execute(&self, statement: &str) {
        block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.server, tokio_postgres::NoTls)
                .await
                .unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute(statement).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
        });
    }

    fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').unwrap();
        format!("{before}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

struct Settings {
    words: Vec<String>,
}

impl Settings {
    fn new(place: &Place, database: &Database) -> Self {
        let words = [
            ("--database-url", database.url()),
            ("--key-file", place.text("keys")),
            ("--blobs-url", place.text("blobs")),
        ];
        Self {
            words: words
                .into_iter()
                .flat_map(|(flag, value)| [flag.to_owned(), value])
                .collect(),
        }
    }

    fn serve(&self, place: &Place) -> Running {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        place.serve_with(&words)
    }

    fn with<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let mut words = command.to_vec();
        words.extend(self.words.iter().map(String::as_str));
        words
    }
}

#[test]
fn two_servers_on_one_database_are_one_to_their_users() {
    let Some(database) = Database::make() else {
        return;
    };
    let place = Place::new();
    let settings = Settings::new(&place, &database);
    let one = settings.serve(&place);
    let two = settings.serve(&place);
    environment(&one, "prod", "server");
    assert!(report(&two, "prod", "ab"));
    assert!(
        !report(&one, "prod", "ab"),
        "the other server has it already"
    );
    assert!(report(&one, "prod", "bc"));
    assert_eq!(two.get("/api/v2/snapshots/acme/prod/-1")["index"], 2);
    let size = log_size(&one);
    assert_eq!(log_size(&two), size);

    // Nothing is locked: admin commands open the database beside the servers.
    place.ok(&settings.with(&["admin", "fsck"]));
    let shown = place.ok(&settings.with(&["admin", "provision", &place.text("provision.yml")]));
    assert!(shown.starts_with("0 created, 0 changed"), "{shown}");
    let folder = place.text("export");
    place.ok(&settings.with(&["admin", "export", "acme", &folder]));
    place.ok(&["verify", &folder]);
    let url = format!("{}/log/acme", two.host);
    place.ok(&["verify", &url, "--api-token", KEY]);
    let (status, _, logged) = one.stop();
    assert!(status.success(), "{logged}");
    assert!(report(&two, "prod", "cd"));
    two.kill();

    let again = settings.serve(&place);
    assert_eq!(log_size(&again), size + 1);
    again.stop();
    place.ok(&settings.with(&["admin", "rebuild"]));
    place.ok(&settings.with(&["admin", "fsck"]));

    // The key file is the store's own, and a missing one is not made anew.
    let missing = place.text("missing");
    let blobs = place.text("blobs");
    let url = database.url();
    let error = place.fails(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &url,
        "--blobs-url",
        &blobs,
        "--key-file",
        &missing,
    ]);
    assert!(
        error.contains("is missing: this store was made with one"),
        "{error}"
    );
    assert!(!place.path("missing").exists());
}
