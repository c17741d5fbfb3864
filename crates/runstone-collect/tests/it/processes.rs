//! The real process table of this machine, and a small made-up one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runstone_collect::runtime::processes::{Collector, Executable, Options, Processes};
use runstone_fingerprint::file;

/// Ends its process when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Some executable of this system that sleeps when told to, copied under a path of our own.
fn sleeper(place: &Path, name: &str) -> PathBuf {
    let path = place.join(name);
    fs::copy("/bin/sleep", &path).unwrap();
    path
}

fn start(path: &Path) -> Running {
    for _ in 0..50 {
        match Command::new(path).arg("600").stdout(Stdio::null()).spawn() {
            Ok(child) => return Running(child),
            // Another test forked while our copy was open for writing.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the copy stays busy");
}

fn find<'p>(processes: &'p Processes, path: &Path) -> Vec<&'p Executable> {
    processes
        .artifacts
        .iter()
        .filter(|executable| Path::new(&executable.path) == path)
        .collect()
}

/// Looks until `path` is found `count` times: a child is the test's binary until it has called
/// exec.
fn wait_for(collector: &mut Collector, path: &Path, count: usize) -> Executable {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = collector.collect().unwrap();
        if let [one] = find(&seen, path)[..]
            && one.started_at.len() == count
        {
            return one.clone();
        }
        assert!(Instant::now() < until, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_appears_is_counted_and_vanishes() {
    let place = tempfile::tempdir().unwrap();
    let path = sleeper(&place.path().canonicalize().unwrap(), "my sleeper");
    let mut collector = Collector::new(Options::default());
    assert!(find(&collector.collect().unwrap(), &path).is_empty());

    let first = start(&path);
    let seen = wait_for(&mut collector, &path, 1);
    assert_eq!(seen.fingerprint, file(&path).unwrap());
    assert_eq!(seen.pids, [first.0.id() as i32]);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    assert!(
        (now - 60..=now + 5).contains(&seen.started_at[0]),
        "{} is not about {now}",
        seen.started_at[0]
    );

    let second = start(&path);
    let both = wait_for(&mut collector, &path, 2);
    assert!(both.started_at.is_sorted());
    assert_eq!(both.started_at[0], seen.started_at[0]);

    drop(first);
    let one = wait_for(&mut collector, &path, 1);
    assert_eq!(one.pids, [second.0.id() as i32]);
    drop(second);
    assert!(find(&collector.collect().unwrap(), &path).is_empty());
}

#[test]
fn a_replaced_binary_is_told_as_it_runs() {
    let place = tempfile::tempdir().unwrap();
    let path = sleeper(&place.path().canonicalize().unwrap(), "app");
    let old = file(&path).unwrap();
    let mut collector = Collector::new(Options::default());
    let _running = start(&path);
    wait_for(&mut collector, &path, 1);

    // As an upgrade does: a new file under the old name.
    let fresh = path.with_extension("new");
    let mut content = fs::read(&path).unwrap();
    content.extend_from_slice(b"trailing bytes change the content, not the behaviour");
    fs::write(&fresh, content).unwrap();
    fs::set_permissions(&fresh, fs::metadata(&path).unwrap().permissions()).unwrap();
    fs::rename(&fresh, &path).unwrap();
    let new = file(&path).unwrap();
    assert_ne!(old, new);
    assert_eq!(wait_for(&mut collector, &path, 1).fingerprint, old);

    let _upgraded = start(&path);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = collector.collect().unwrap();
        let mut both: Vec<_> = find(&seen, &path)
            .iter()
            .map(|executable| executable.fingerprint)
            .collect();
        let mut expected = vec![old, new];
        expected.sort();
        both.sort();
        if both == expected {
            break;
        }
        assert!(Instant::now() < until, "{both:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_deleted_binary_keeps_its_path_and_a_strange_name_is_believed() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let deleted = sleeper(&place, "gone");
    let strange = sleeper(&place, "tool (deleted)");
    let mut collector = Collector::new(Options::default());
    let _first = start(&deleted);
    let _second = start(&strange);
    wait_for(&mut collector, &strange, 1);
    fs::remove_file(&deleted).unwrap();
    let seen = wait_for(&mut collector, &deleted, 1);
    assert_eq!(seen.fingerprint, file(&strange).unwrap());
    fs::remove_file(&strange).unwrap();
    wait_for(&mut collector, &strange, 1);
}

#[test]
fn looking_again_reads_no_file_again() {
    let place = tempfile::tempdir().unwrap();
    let path = sleeper(&place.path().canonicalize().unwrap(), "again");
    let mut collector = Collector::new(Options::default());
    let _running = start(&path);
    wait_for(&mut collector, &path, 1);
    // Other tests start programs of their own, so a quiet moment may have to be waited for.
    let quiet = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let seen = collector.collect().unwrap();
        collector.hashed() == 0 && seen.artifacts.len() > 1
    });
    assert!(quiet, "files are read again and again");
}

/// One made-up process: `flags` and `state` as in `/proc/<pid>/stat`.
fn process(root: &Path, pid: i32, flags: u32, state: char, started: u64, exe: Option<&Path>) {
    let place = root.join(pid.to_string());
    fs::create_dir_all(&place).unwrap();
    let mut fields: Vec<String> = vec!["0".to_owned(); 50];
    fields[0] = state.to_string();
    fields[6] = flags.to_string();
    fields[19] = started.to_string();
    fs::write(
        place.join("stat"),
        format!("{pid} (a) b) {}\n", fields.join(" ")),
    )
    .unwrap();
    if let Some(exe) = exe {
        symlink(exe, place.join("exe")).unwrap();
    }
}

#[test]
fn a_made_up_machine() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("proc");
    let program = place.path().join("program");
    fs::write(&program, "program").unwrap();
    process(&root, 2, 0x0020_8040, 'S', 5, None);
    process(&root, 3, 0x0020_8040, 'I', 5, None);
    process(&root, 10, 0x0040_0000, 'S', 250, Some(&program));
    process(&root, 11, 0, 'R', 100, Some(&program));
    process(&root, 12, 0, 'Z', 100, None);
    process(&root, 13, 0, 'S', 100, None);
    // May not be opened, for whatever reason: counted. Leads nowhere: it has ended.
    process(&root, 14, 0, 'S', 100, Some(Path::new("exe")));
    process(&root, 15, 0, 'S', 100, Some(Path::new("/no/such/program")));
    fs::create_dir(root.join("20")).unwrap();
    fs::create_dir(root.join("sys")).unwrap();
    fs::write(
        root.join("stat"),
        "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\nctxt 1\nbtime 1000\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
    )
    .unwrap();
    let mut collector = Collector::new(Options {
        proc_root: root.clone(),
        ticks_per_second: Some(100),
    });
    let seen = collector.collect().unwrap();
    assert_eq!(
        seen,
        Processes {
            artifacts: vec![Executable {
                path: program.to_string_lossy().into_owned(),
                fingerprint: file(&program).unwrap(),
                started_at: vec![1001, 1002],
                pids: vec![11, 10],
            }],
            unreadable: 1,
            kernel: 2,
        }
    );
    assert_eq!(collector.hashed(), 1);

    // The boot time flickers by a second and start times stay; a real jump counts.
    for (boot, first) in [(1001, 1001), (999, 1001), (5000, 5001)] {
        let text = fs::read_to_string(root.join("stat")).unwrap();
        let changed: Vec<String> = text
            .lines()
            .map(|line| {
                if line.starts_with("btime ") {
                    format!("btime {boot}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        fs::write(root.join("stat"), changed.join("\n")).unwrap();
        let seen = collector.collect().unwrap();
        assert_eq!(seen.artifacts[0].started_at[0], first);
        assert_eq!(collector.hashed(), 0);
    }

    let missing = Collector::new(Options {
        proc_root: place.path().join("none"),
        ticks_per_second: None,
    })
    .collect()
    .unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!(
            "reading {}/none/stat: no such file or directory",
            place.path().display()
        )
    );
}
