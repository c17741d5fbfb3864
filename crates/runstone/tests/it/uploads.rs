//! Attached files of 100 MB through a real server: its memory does not grow with them.

use std::io::Read as _;

use crate::running::{KEY, Place, Running, block_on, client};

const URL: &str = "/api/v2/attestations/acme/web/trail/t1";

/// The most memory the server ever had, in KiB.
fn peak(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn attest(place: &Place, running: &Running, file: &str) -> (u16, String) {
    let path = place.path(file);
    block_on(async {
        let data = r#"{"attestation_name": "scan", "is_compliant": true}"#;
        let form = reqwest::multipart::Form::new().text("data_json", data);
        let length = std::fs::metadata(&path).unwrap().len();
        let content = tokio::fs::File::open(&path).await.unwrap();
        let part = reqwest::multipart::Part::stream_with_length(content, length);
        let form = form.part("attachment_file", part.file_name("scan.bin"));
        let request = client().post(format!("{}{URL}/generic", running.host));
        let answer = request
            .bearer_auth(KEY)
            .multipart(form)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// Writes a file of so many bytes that compress badly; gives its SHA-256.
fn write(place: &Place, name: &str, length: usize) {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(std::fs::File::create(place.path(name)).unwrap());
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let now = left.min(piece.len());
        random.read_exact(&mut piece[..now]).unwrap();
        file.write_all(&piece[..now]).unwrap();
        left -= now;
    }
    file.flush().unwrap();
}

#[test]
fn a_hundred_megabytes_take_no_more_memory_than_one() {
    let place = Place::new();
    let running = place.serve();
    write(&place, "one.bin", 1 << 20);
    write(&place, "most.bin", 100 << 20);
    write(&place, "more.bin", (100 << 20) + 1);
    assert_eq!(attest(&place, &running, "one.bin").0, 201);
    fetch(&place, &running, "one.bin");
    let before = peak(&running);
    let answer = attest(&place, &running, "most.bin");
    assert_eq!(answer.0, 201, "{}", answer.1);
    fetch(&place, &running, "most.bin");
    let (status, text) = attest(&place, &running, "more.bin");
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("File size exceeds 100MB limit"), "{text}");
    let grown = peak(&running).saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} KiB more than {before} KiB");
    let left: Vec<_> = std::fs::read_dir(place.path("data/blobs/incoming"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
}

/// Downloads the newest file, which must be this one.
fn fetch(place: &Place, running: &Running, file: &str) {
    let shown = running.get(&format!("{URL}/scan"));
    let href = shown[0]["_links"]["evidence"]["href"]
        .as_str()
        .unwrap()
        .to_owned();
    let saved = place.path("saved.bin");
    block_on(async {
        use std::io::Write as _;
        let request = client().get(href).bearer_auth(KEY);
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let mut saved = std::fs::File::create(&saved).unwrap();
        while let Some(piece) = answer.chunk().await.unwrap() {
            saved.write_all(&piece).unwrap();
        }
    });
    assert!(std::fs::read(saved).unwrap() == std::fs::read(place.path(file)).unwrap());
}
