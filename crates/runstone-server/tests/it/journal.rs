//! The log as it is served: verified by the journal's own verifier over HTTP paths, with the
//! headers that caches need.

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle;
use runstone_journal::note::VerifierKey;
use runstone_journal::proof::{self, Receipt};
use runstone_journal::tile;

use crate::support::{ADMIN, fp, put_environment, read, report, servers};

#[tokio::test]
async fn the_log_is_served_in_the_open_format() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        for digit in ['a', 'b', 'c'] {
            report(&server, "env", &[("a", &fp(digit), 1)]).await;
        }
        let head = read(&server, "/journal/acme").await;
        let key = VerifierKey::parse(head["keys"][0]["vkey"].as_str().unwrap()).unwrap();
        let size = head["size"].as_u64().unwrap();
        assert_eq!(head["url"], "http://runstone.test/log/acme");

        let reply = server.get("/log/acme/checkpoint", ADMIN).await;
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(head["checkpoint"], reply.text());
        let checkpoint = Checkpoint::open(&reply.body, std::slice::from_ref(&key)).unwrap();
        assert_eq!(checkpoint.size, size);
        assert_eq!(checkpoint.origin, head["origin"].as_str().unwrap());
        assert_eq!(key.name(), checkpoint.origin);

        let bundle = server
            .get(&format!("/log/acme/tile/entries/000.p/{size}"), ADMIN)
            .await;
        assert_eq!(bundle.header("content-type"), "application/octet-stream");
        assert_eq!(
            bundle.header("cache-control"),
            "private, max-age=604800, immutable"
        );
        let entries = tile::decode_bundle(&bundle.body, size as u16).unwrap();
        let leaves: Vec<u8> = entries
            .iter()
            .flat_map(|entry| merkle::leaf_hash(entry))
            .collect();
        assert_eq!(merkle::hashes_root(&leaves), Some(checkpoint.root));
        let tile = server
            .get(&format!("/log/acme/tile/0/000.p/{size}"), ADMIN)
            .await;
        assert_eq!(tile.body.len() as u64, size * 32);

        // Names, the immutable id and the epoch all lead to the same log.
        let id = head["organization_id"].as_str().unwrap();
        let epoch = head["epoch"].as_str().unwrap();
        for path in [
            format!("/log/{id}/checkpoint"),
            format!("/log/acme/{epoch}/checkpoint"),
        ] {
            assert_eq!(server.get(&path, ADMIN).await.body, reply.body, "{path}");
        }
        let keys = server.get("/log/acme/keys", ADMIN).await.text();
        assert_eq!(
            keys,
            format!("{} 0 -\n", head["keys"][0]["vkey"].as_str().unwrap())
        );
        for path in [
            "/log/acme/tile/0/000".to_owned(),
            format!("/log/acme/tile/0/000.p/{}", size + 1),
            "/log/acme/tile/1/000.p/1".to_owned(),
            "/log/acme/tile/00/000.p/1".to_owned(),
            "/log/acme/ffffffff/checkpoint".to_owned(),
            "/log/acme/anything".to_owned(),
        ] {
            let missing = server.get(&path, ADMIN).await;
            assert_eq!(missing.status.as_u16(), 404, "{path}");
            assert!(!missing.message().is_empty());
        }

        // Every entry has a receipt that proves it against that checkpoint.
        for index in 0..size {
            let entry = server
                .get(&format!("/api/v2/journal/acme/entries/{index}"), ADMIN)
                .await;
            assert_eq!(&entry.body[..], entries[index as usize]);
            let receipt = server
                .get(&format!("/api/v2/journal/acme/receipts/{index}"), ADMIN)
                .await;
            assert!(receipt.text().starts_with("c2sp.org/tlog-proof@v1\n"));
            let receipt = Receipt::parse(&receipt.body).unwrap();
            assert_eq!(receipt.index, index);
            let keys = std::slice::from_ref(&key);
            assert_eq!(
                proof::verify_receipt(&receipt, &entry.body, keys)
                    .unwrap()
                    .size,
                size
            );
        }
        let beyond = server
            .get(&format!("/api/v2/journal/acme/entries/{size}"), ADMIN)
            .await;
        assert_eq!(beyond.status.as_u16(), 404);
    }
}

#[tokio::test]
async fn private_bodies_are_for_administrators() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        report(&server, "env", &[("a", &fp('a'), 1)]).await;
        let size = read(&server, "/journal/acme").await["size"]
            .as_u64()
            .unwrap();
        let (mut private, mut plain) = (0, 0);
        for index in 0..size {
            let entry = read(&server, &format!("/journal/acme/entries/{index}")).await;
            for (position, digest) in entry["bodies"].as_array().unwrap().iter().enumerate() {
                let path = format!("/api/v2/journal/acme/bodies/{index}/{position}");
                let body = server.get(&path, ADMIN).await;
                assert_eq!(body.status.as_u16(), 200, "{path}: {}", body.text());
                let found = runstone_model::id::Digest::of(&body.body).to_hex();
                assert_eq!(*digest, found);
                let other = server.get(&path, "KEY-member").await;
                let is_snapshot = entry["data"].get("snapshot").is_some()
                    && entry["event"]
                        .as_str()
                        .unwrap()
                        .to_lowercase()
                        .contains("snapshot");
                if is_snapshot {
                    plain += 1;
                    assert_eq!(other.body, body.body);
                } else {
                    private += 1;
                    assert_eq!(other.status.as_u16(), 403, "{entry}");
                }
            }
            let beyond = format!("/api/v2/journal/acme/bodies/{index}/9");
            assert_eq!(server.get(&beyond, ADMIN).await.status.as_u16(), 404);
        }
        assert!(private >= 2 && plain == 1, "{private} {plain}");
    }
}
