//! A real container engine and a real registry.
//!
//! Runs if `RUNSTONE_TEST_DOCKER_HOST` (`unix://…`) and `RUNSTONE_TEST_REGISTRY` (`host:port`)
//! name them, and a static shell stands at `/bin/busybox` or `/usr/bin/busybox`. The engine may
//! be shared: only containers and images of this test's names are looked at.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use runstone_collect::runtime::docker::{Docker, Host, Running};
use runstone_collect::{Artifact, Notice};
use runstone_fingerprint::oci;

struct Engine {
    host: String,
    /// Removed at the end, also of a failed test.
    containers: Vec<String>,
}

impl Engine {
    #[track_caller]
    fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker")
            .args(["-H", &self.host])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn run(&mut self, name: &str, image: &str) {
        self.docker(&["run", "-d", "--name", name, "--network", "none", image]);
        self.containers.push(name.to_owned());
    }

    /// An image from nothing: a static shell and a file with `content`.
    fn import(&self, image: &str, content: &str) {
        let busybox = ["/usr/bin/busybox", "/bin/busybox"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("busybox-static is installed");
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("bin")).unwrap();
        std::fs::copy(busybox, place.path().join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", place.path().join("bin/sleep")).unwrap();
        std::fs::write(place.path().join("content"), content).unwrap();
        let archive = Command::new("tar")
            .arg("-C")
            .arg(place.path())
            .args(["-c", "."])
            .output()
            .unwrap();
        assert!(archive.status.success());
        let mut import = Command::new("docker")
            .args(["-H", &self.host, "import", "-c"])
            .args(["CMD [\"/bin/sleep\",\"3600\"]", "-", image])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        import
            .stdin
            .take()
            .unwrap()
            .write_all(&archive.stdout)
            .unwrap();
        assert!(import.wait().unwrap().success());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for name in &self.containers {
            Command::new("docker")
                .args(["-H", &self.host, "rm", "-f", name])
                .output()
                .ok();
        }
    }
}

fn named<'r>(running: &'r Running, image: &str) -> Vec<&'r Artifact> {
    running
        .artifacts
        .iter()
        .filter(|artifact| artifact.name == image)
        .collect()
}

#[tokio::test]
async fn running_containers_and_their_images() {
    let (Ok(host), Ok(registry)) = (
        std::env::var("RUNSTONE_TEST_DOCKER_HOST"),
        std::env::var("RUNSTONE_TEST_REGISTRY"),
    ) else {
        eprintln!("left out: RUNSTONE_TEST_DOCKER_HOST or RUNSTONE_TEST_REGISTRY is not set");
        return;
    };
    let unique = std::process::id();
    let image = format!("{registry}/runstone/collect-{unique}:1");
    let first = format!("collect-{unique}-a");
    let second = format!("collect-{unique}-b");
    let mut engine = Engine {
        host: host.clone(),
        containers: Vec::new(),
    };
    engine.import(&image, "one");
    engine.run(&first, &image);

    // Never in a registry: no digest, and the container is left out with a word.
    let docker = Docker::connect(&Host::plain(host.as_str())).await.unwrap();
    let no_digest =
        "repo digest unavailable for the image, has it been pushed to or pulled from a registry?";
    assert_eq!(
        docker
            .image_fingerprint(&image)
            .await
            .unwrap_err()
            .to_string(),
        no_digest
    );
    let running = docker.running().await.unwrap();
    assert!(named(&running, &image).is_empty());
    assert!(running.notices.contains(&Notice::Note(format!(
        "ignoring container '{first}' as it uses an image with no repo digest"
    ))));

    // Pushed: engine, container and registry agree.
    engine.docker(&["push", &image]);
    let fingerprint = docker.image_fingerprint(&image).await.unwrap();
    let told = engine.docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &image]);
    assert!(told.ends_with(&format!("@sha256:{fingerprint}")), "{told}");
    let in_registry = oci::fingerprint(&image, &oci::Options::default()).await;
    assert_eq!(in_registry.unwrap(), fingerprint);
    let running = docker.running().await.unwrap();
    let found = named(&running, &image);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fingerprint, Some(fingerprint));
    let created = engine.docker(&["ps", "--filter", &format!("name={first}"), "-q"]);
    assert!(!created.is_empty());
    assert!(found[0].created_at > 1_700_000_000);

    // The tag moves: the old container still runs what it ran, under the name it had.
    engine.import(&image, "two");
    engine.docker(&["push", &image]);
    engine.run(&second, &image);
    let moved = docker.image_fingerprint(&image).await.unwrap();
    assert_ne!(moved, fingerprint);
    let listed = engine.docker(&[
        "ps",
        "--no-trunc",
        "--filter",
        &format!("name={first}"),
        "--format",
        "{{.Image}}",
    ]);
    assert_ne!(listed, image, "the engine names the old image by its id");
    let running = docker.running().await.unwrap();
    let found: Vec<_> = named(&running, &image)
        .iter()
        .map(|artifact| artifact.fingerprint)
        .collect();
    assert_eq!(found, [Some(fingerprint), Some(moved)]);

    // A stopped container does not run.
    engine.docker(&["rm", "-f", &first]);
    let running = docker.running().await.unwrap();
    assert_eq!(named(&running, &image).len(), 1);

    let missing = docker.image_fingerprint("runstone/none:1").await;
    let missing = missing.unwrap_err().to_string();
    assert!(
        missing.starts_with("Error response from daemon: ") && missing.contains("No such image"),
        "{missing}"
    );
    let blank = docker.image_fingerprint(" ").await.unwrap_err().to_string();
    assert!(blank.contains(". The image ID is ' '. "), "{blank}");
}

#[tokio::test]
async fn no_engine_is_told() {
    let place = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/docker.sock", place.path().display());
    let error = match Docker::connect(&Host::plain(host.as_str())).await {
        Ok(_) => panic!("there is no engine"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.starts_with(&format!(
            "failed to connect to the docker API at {host}; check if the path is correct and if \
             the daemon is running: "
        )),
        "{error}"
    );
}
