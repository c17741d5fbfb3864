//! Attached files on their way in and out, and schemas that editors fetch (`api-flows.md` sections
//! 1.1, 3.8, 9.1 and 10.6).

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use runstone_model::id::Digest;
use runstone_server::Config;
use runstone_server::testing::{Reply, TestServer};
use serde_json::{Value, json};

use crate::support::{ADMIN, read, servers, servers_with};

const BOUNDARY: &str = "runstone-test-boundary";
pub const TRAIL: &str = "/attestations/acme/web/trail/t1";

/// A part of a form: its name, the name of its file if it is one, and what it holds.
pub type Part<'p> = (&'p str, Option<&'p str>, &'p [u8]);

pub fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (part, file, bytes) in parts {
        let file = file.map_or(String::new(), |name| format!("; filename=\"{name}\""));
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{part}\"{file}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub async fn post(server: &TestServer, path: &str, body: Body) -> Reply {
    let request = Request::builder()
        .method("POST")
        .uri(format!("/api/v2{path}"))
        .header("host", "runstone.test")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .header("authorization", format!("Bearer {ADMIN}"))
        .body(body)
        .unwrap();
    server.call(request).await
}

/// Attests with a file.
pub async fn attach(server: &TestServer, name: &str, file: &str, bytes: &[u8]) -> Reply {
    let data = json!({"attestation_name": name, "is_compliant": true}).to_string();
    let body = form(&[
        ("data_json", None, data.as_bytes()),
        ("attachment_file", Some(file), bytes),
    ]);
    post(server, &format!("{TRAIL}/generic"), body.into()).await
}

/// The newest attestation of a name.
pub async fn attestation(server: &TestServer, name: &str) -> Value {
    read(server, &format!("{TRAIL}/{name}")).await[0].clone()
}

async fn download(server: &TestServer, attestation: &Value, range: Option<&str>) -> Reply {
    let href = attestation["_links"]["evidence"]["href"].as_str().unwrap();
    let mut request = Request::builder()
        .uri(href.strip_prefix("http://runstone.test").unwrap())
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("accept-encoding", "gzip");
    if let Some(range) = range {
        request = request.header("range", range);
    }
    server.call(request.body(Body::empty()).unwrap()).await
}

async fn log_size(server: &TestServer) -> u64 {
    read(server, "/journal/acme").await["size"]
        .as_u64()
        .unwrap()
}

/// Bytes that repeat nowhere near.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        })
        .collect()
}

/// A body that comes in pieces of so many bytes.
fn in_pieces(bytes: Vec<u8>, piece: usize) -> Body {
    let pieces: Vec<_> = bytes
        .chunks(piece)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn files_of_any_size_and_in_either_order_come_back_as_they_were() {
    for server in servers().await {
        for (number, length) in [0, 1, 65_536, 65_537, 3_000_000].into_iter().enumerate() {
            let file = noise(length);
            let data = json!({"attestation_name": "scan", "is_compliant": true, "description": format!("{number}")})
                .to_string();
            let data = ("data_json", None, data.as_bytes());
            let attached = ("attachment_file", Some("scan.bin"), &file[..]);
            for parts in [[data, attached], [attached, data]] {
                for piece in [16, 4_096, 1 << 20] {
                    if file.len() / piece > 10_000 {
                        continue;
                    }
                    let body = in_pieces(form(&parts), piece);
                    let reply = post(&server, &format!("{TRAIL}/generic"), body).await;
                    assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
                }
                let shown = attestation(&server, "scan").await;
                assert_eq!(shown["description"], format!("{number}"));
                assert_eq!(
                    shown["evidence_archive_fingerprint"],
                    Digest::of(&file).to_hex()
                );
                let reply = download(&server, &shown, None).await;
                assert_eq!(reply.status.as_u16(), 200);
                assert_eq!(reply.body, file, "{length}");
                assert_eq!(reply.header("content-length"), length.to_string());
                assert_eq!(reply.header("content-type"), "application/octet-stream");
                assert_eq!(reply.header("content-encoding"), "");
                assert_eq!(reply.header("x-content-type-options"), "nosniff");
                assert_eq!(
                    reply.header("content-security-policy"),
                    "default-src 'none'; sandbox"
                );
                assert_eq!(
                    reply.header("content-disposition"),
                    "attachment; filename=\"scan.bin\""
                );
            }
            let shown = attestation(&server, "scan").await;
            let part = download(&server, &shown, Some("bytes=1-65536")).await;
            if length < 2 {
                assert_eq!(part.status.as_u16(), 416, "{}", part.text());
                continue;
            }
            let end = length.min(65_537);
            assert_eq!(part.status.as_u16(), 206);
            assert_eq!(part.body, &file[1..end]);
            assert_eq!(
                part.header("content-range"),
                format!("bytes 1-{}/{length}", end - 1)
            );
        }
    }
}

#[tokio::test]
async fn a_file_above_the_limit_is_refused_and_the_answer_names_it() {
    let config = Config {
        attachment_bytes_max: 2 << 20,
        ..Config::default()
    };
    for server in servers_with(config).await {
        let before = log_size(&server).await;
        let fits = noise(2 << 20);
        let reply = attach(&server, "scan", "scan.bin", &fits).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let size = log_size(&server).await;
        assert!(size > before);
        for length in [(2 << 20) + 1, 4 << 20, 30 << 20] {
            let reply = attach(&server, "scan", "scan.bin", &vec![b'x'; length]).await;
            assert_eq!(reply.status.as_u16(), 413, "{length}");
            assert_eq!(reply.message(), "File size exceeds 2MB limit");
        }
        // The same where nothing says beforehand how much comes.
        let data = json!({"attestation_name": "scan", "is_compliant": true}).to_string();
        let body = form(&[
            ("data_json", None, data.as_bytes()),
            ("attachment_file", Some("f"), &vec![b'x'; 40 << 20]),
        ]);
        let reply = post(
            &server,
            &format!("{TRAIL}/generic"),
            in_pieces(body, 100_000),
        )
        .await;
        assert_eq!(
            (reply.status.as_u16(), reply.message()),
            (413, "File size exceeds 2MB limit".to_owned())
        );
        assert_eq!(log_size(&server).await, size);
    }
}

#[tokio::test]
async fn a_form_that_is_not_whole_is_refused_and_the_part_is_named() {
    for server in servers().await {
        let size = log_size(&server).await;
        let data = json!({"attestation_name": "scan", "is_compliant": true}).to_string();
        let data = ("data_json", None, data.as_bytes());
        let large = noise(300_000);
        let file = ("attachment_file", Some("scan.bin"), &large[..]);
        let whole = form(&[data, file]);
        let after_data = form(&[data]).len();
        let refused = async |body: Vec<u8>, part: &str, text: &str| {
            let reply = post(&server, &format!("{TRAIL}/generic"), in_pieces(body, 7_000)).await;
            let shown = reply.text();
            assert_eq!(reply.status.as_u16(), 400, "{shown}");
            assert!(shown.contains(part) && shown.contains(text), "{shown}");
        };
        let ends = "ends before the form does";
        refused(
            whole[..after_data + 200_000].to_vec(),
            "attachment_file",
            ends,
        )
        .await;
        refused(whole[..whole.len() - 10].to_vec(), "attachment_file", ends).await;
        refused(whole[..100].to_vec(), "data_json", ends).await;
        refused(Vec::new(), "body", ends).await;
        refused(form(&[file]), "data_json", "Field required").await;
        refused(form(&[data, data]), "data_json", "more than once").await;
        refused(
            form(&[file, file, data]),
            "attachment_file",
            "more than once",
        )
        .await;
        refused(
            form(&[data, ("other_file", Some("f"), b"x")]),
            "other_file",
            "cannot be read",
        )
        .await;
        let nothing = ("data_json", None, &b"{\"is_compliant\": 1}"[..]);
        refused(form(&[nothing, file]), "attestation_name", "Field required").await;
        let mut endless = form(&[data]);
        endless.truncate(endless.len() - 4);
        endless.extend_from_slice(b"\r\nX-Long: ");
        endless.extend_from_slice(&vec![b'x'; 3 << 20]);
        refused(endless, "parts", "no end").await;
        // A client that goes away in the middle.
        let pieces = vec![
            Ok(Bytes::from(whole[..250_000].to_vec())),
            Err(std::io::Error::other("gone")),
        ];
        let broken = Body::from_stream(futures_util::stream::iter(pieces));
        let reply = post(&server, &format!("{TRAIL}/generic"), broken).await;
        assert_eq!(reply.status.as_u16(), 400, "{}", reply.text());
        assert_eq!(log_size(&server).await, size, "nothing was recorded");
    }
}

#[tokio::test]
async fn a_file_of_a_known_format_is_shown_with_a_summary() {
    for server in servers().await {
        let sarif = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner"}},
            "results": [{"level": "error"}]}]});
        for length in [0, 100_000] {
            let text = format!("{sarif}{}", " ".repeat(length));
            let reply = attach(&server, "scan", "scan.sarif", text.as_bytes()).await;
            assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
            let shown = attestation(&server, "scan").await;
            assert_eq!(shown["recognised_evidence"]["format"], "sarif", "{shown}");
            assert!(shown["recognised_evidence"]["summary"].is_object());
        }
        let bomb =
            b"<!DOCTYPE b [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><testsuite name=\"&b;\"/>";
        let reply = attach(&server, "scan", "scan.xml", bomb).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let shown = attestation(&server, "scan").await;
        assert_eq!(shown.get("recognised_evidence"), None);
        assert_eq!(download(&server, &shown, None).await.body, &bomb[..]);
    }
}

#[tokio::test]
async fn bombs_are_stopped_by_a_limit_or_stay_closed() {
    use std::io::Write as _;

    let config = Config {
        attachment_bytes_max: 2 << 20,
        ..Config::default()
    };
    for server in servers_with(config).await {
        let size = log_size(&server).await;
        // A request that unpacks to a thousand times its size.
        let data = json!({"attestation_name": "scan", "is_compliant": true}).to_string();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 200 << 20];
        let body = form(&[
            ("data_json", None, data.as_bytes()),
            ("attachment_file", Some("f"), &zeros),
        ]);
        packed.write_all(&body).unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() < 1 << 20);
        let request = Request::builder()
            .method("POST")
            .uri(format!("/api/v2{TRAIL}/generic"))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .header("content-encoding", "gzip")
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(Body::from(packed))
            .unwrap();
        let reply = server.call(request).await;
        assert_eq!(reply.status.as_u16(), 413, "{}", reply.text());
        assert_eq!(log_size(&server).await, size);
        // An archive is kept as it came: nobody here opens it.
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&zeros).unwrap();
        let bomb = bomb.finish().unwrap();
        let reply = attach(&server, "scan", "bomb.tgz", &bomb).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let shown = attestation(&server, "scan").await;
        assert_eq!(shown.get("recognised_evidence"), None);
        assert_eq!(download(&server, &shown, None).await.body, bomb);
    }
}

#[tokio::test]
async fn the_schema_of_templates_needs_no_key() {
    for server in servers().await {
        let reply = server.get("/api/v2/schemas/flow-template/v1", "").await;
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(reply.header("content-type"), "application/json");
        let schema = reply.json();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(schema["title"], "Runstone Flow Template");
    }
}
