//! Settings of URLs, and every mode against a real server that offers TLS, which is started here.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::conn::Postgres;
use crate::value::DbError;

#[test]
fn settings_of_a_url() {
    let check = |url: &str, expected: Result<(Mode, SslMode), &str>| {
        let found = Target::parse(url)
            .map(|target| (target.mode, target.config.get_ssl_mode()))
            .map_err(|error| error.to_string());
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{url}"),
            Err(part) => {
                let told = found.unwrap_err();
                assert!(told.contains(part), "{url}: {told}");
            }
        }
    };
    let url = |query: &str| format!("postgres://u:p@h/d{query}");
    check(&url(""), Ok((Mode::Prefer, SslMode::Prefer)));
    check(&url("?"), Ok((Mode::Prefer, SslMode::Prefer)));
    check(
        &url("?application_name=x&sslmode=disable&connect_timeout=9"),
        Ok((Mode::Disable, SslMode::Disable)),
    );
    check(
        &url("?sslmode=require"),
        Ok((Mode::Require, SslMode::Require)),
    );
    check(
        &url("?sslmode=verify-ca&sslrootcert=/a"),
        Ok((Mode::VerifyCa, SslMode::Require)),
    );
    check(
        &url("?sslrootcert=/a%20b%3F&sslmode=verify-full"),
        Ok((Mode::VerifyFull, SslMode::Require)),
    );
    check(&url("?sslmode=allow"), Err("disable, prefer, require"));
    check(&url("?sslmode=verify-full"), Err("needs sslrootcert=FILE"));
    check(&url("?sslmode=require&sslrootcert="), Err("names no file"));
    check(&url("?sslrootcert=%2"), Err("names no file"));
    check(&url("?sslcert=/a"), Err("belong together"));
    check(&url("?sslwhatever=1"), Err("sslwhatever"));
    let target = Target::parse(&url("?sslrootcert=/a%20b%3F&sslmode=verify-full")).unwrap();
    assert_eq!(target.roots.as_deref(), Some("/a b?"));
    assert_eq!(target.config.get_password(), Some(&b"p"[..]));
}

#[tokio::test]
async fn a_server_without_tls_is_named() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The request for TLS: 8 bytes. `N` is: I have none.
            let mut request = [0; 8];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(b"N").await.unwrap();
        }
    });
    let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=require");
    assert_eq!(
        Postgres::connect(&url).await.err(),
        Some(DbError::Unavailable(
            "no safe connection to the database (sslmode=require): the server does not offer TLS"
                .to_owned()
        ))
    );
}

/// A PostgreSQL server of this test alone, ended with it.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT: end at once, and cleanly.
        let id = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        let _ = self.process.wait();
    }
}

/// The folder with PostgreSQL's programs, where the tests are told to use PostgreSQL at all.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told of real services by variables"
)]
fn programs() -> Option<PathBuf> {
    std::env::var("RUNSTONE_TEST_POSTGRES_URL").ok()?;
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// The server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg("--pdeathsig=INT")
        .arg(program);
    command
}

impl Server {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn url(&self, user: &str, host: &str, query: &str) -> String {
        format!("postgres://{user}@{host}:{}/postgres?{query}", self.port)
    }

    /// Makes certificates and a database and starts it; none where there are no programs.
    fn start() -> Option<Self> {
        let bin = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let issuer = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            let issuer =
                CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            std::fs::write(path(&format!("{name}.crt")), issuer.pem()).unwrap();
            issuer
        };
        let (ours, _other) = (issuer("ours"), issuer("other"));
        let issued = |name: &str, names: Vec<String>| {
            let mut params = CertificateParams::new(names).unwrap();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &ours).unwrap();
            std::fs::write(path(&format!("{name}.crt")), certificate.pem()).unwrap();
            std::fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        };
        issued("server", vec!["localhost".to_owned()]);
        issued("person", Vec::new());
        let data = path("data");
        let run = |command: &mut Command| {
            let done = command.output().unwrap();
            assert!(done.status.success(), "{command:?}: {done:?}");
        };
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown")
                .arg("-R")
                .arg("postgres:")
                .arg(folder.path()));
        }
        run(Command::new("chmod").arg("600").arg(path("server.key")));
        run(as_postgres(&bin.join("initdb"))
            .args(["-U", "runstone", "-A", "trust", "-E", "UTF8", "-D"])
            .arg(&data)
            .current_dir("/"));
        std::fs::write(
            data.join("pg_hba.conf"),
            "hostssl all person all cert\nhost all person all reject\nhost all all all trust\n",
        )
        .unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let process = as_postgres(&bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-h", "localhost", "-p", &port.to_string(), "-c", "ssl=on"])
            .args(["-c", "fsync=off", "-c"])
            .arg(format!("ssl_cert_file={}", path("server.crt").display()))
            .arg("-c")
            .arg(format!("ssl_key_file={}", path("server.key").display()))
            .arg("-c")
            .arg(format!("ssl_ca_file={}", path("ours.crt").display()))
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            process,
            port,
        };
        let end = Instant::now() + Duration::from_mins(1);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

/// Whether a connection that was made is encrypted; else what is told.
async fn encrypted(url: &str) -> Result<bool, String> {
    let end = Instant::now() + Duration::from_secs(30);
    let client = loop {
        match Target::parse(url).unwrap().connect().await {
            // It listens before it serves.
            Err(ConnectError::Database(error))
                if error.code().is_some_and(|code| code.code() == "57P03")
                    && Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            made => break made.map_err(|error| error.to_string())?,
        }
    };
    let row = client
        .query_one(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &[],
        )
        .await
        .unwrap();
    Ok(row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_against_a_server_with_tls() {
    let Some(server) = Server::start() else {
        return;
    };
    let (ours, other) = (server.file("ours.crt"), server.file("other.crt"));
    let check = async |host: &str, query: &str, expected: Result<bool, &str>| {
        let url = server.url("runstone", host, query);
        let found = encrypted(&url).await;
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{url}"),
            Err(part) => {
                let told = found.unwrap_err();
                assert!(told.contains(part), "{url}: {told}");
            }
        }
    };
    check("127.0.0.1", "sslmode=disable", Ok(false)).await;
    check("127.0.0.1", "", Ok(true)).await;
    check("127.0.0.1", "sslmode=prefer", Ok(true)).await;
    check("127.0.0.1", "sslmode=require", Ok(true)).await;

    let query = format!("sslmode=require&sslrootcert={ours}");
    check("127.0.0.1", &query, Ok(true)).await;
    let query = format!("sslmode=require&sslrootcert={other}");
    check("localhost", &query, Err("issued by nobody in")).await;

    let query = format!("sslmode=verify-ca&sslrootcert={ours}");
    check("127.0.0.1", &query, Ok(true)).await;
    let query = format!("sslmode=verify-ca&sslrootcert={other}");
    check("localhost", &query, Err("issued by nobody in")).await;

    let query = format!("sslmode=verify-full&sslrootcert={ours}");
    check("localhost", &query, Ok(true)).await;
    check("127.0.0.1", &query, Err("not for the name")).await;
    let query = format!("sslmode=verify-full&sslrootcert={other}");
    check("localhost", &query, Err("issued by nobody in")).await;

    let missing = server.file("missing.crt");
    let query = format!("sslmode=verify-full&sslrootcert={missing}");
    check("localhost", &query, Err(&missing)).await;
    let key = server.file("server.key");
    let query = format!("sslmode=verify-full&sslrootcert={key}");
    check("localhost", &query, Err("holds no certificate")).await;

    // A user that is known by its certificate.
    let own = format!(
        "sslmode=verify-full&sslrootcert={ours}&sslcert={}&sslkey={}",
        server.file("person.crt"),
        server.file("person.key")
    );
    let url = server.url("person", "localhost", &own);
    Target::parse(&server.url("runstone", "localhost", ""))
        .unwrap()
        .connect()
        .await
        .unwrap()
        .batch_execute("CREATE USER person")
        .await
        .unwrap();
    assert_eq!(encrypted(&url).await, Ok(true));
    let without = format!("sslmode=verify-full&sslrootcert={ours}");
    assert!(
        encrypted(&server.url("person", "localhost", &without))
            .await
            .is_err()
    );

    // The whole way, with the connections of readers and writer.
    let url = server.url(
        "runstone",
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={ours}"),
    );
    let mut postgres = Postgres::connect(&url).await.unwrap();
    assert_eq!(
        postgres.lock_heads(&[], true).await.map(drop).err(),
        Some(DbError::Other(
            "relation \"heads\" does not exist (42P01)".to_owned()
        ))
    );
}
