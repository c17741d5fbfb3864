//! Provisioning: what already holds writes nothing, keys work whichever way they were given.

use runstone_model::id::encode_hex;
use runstone_server::provision::Plan;
use runstone_server::{keys, provision};
use sha2::Digest as _;

use crate::support::{PEOPLE, read, servers};

#[tokio::test]
async fn a_second_time_changes_nothing() {
    for server in servers().await {
        let size = read(&server, "/journal/acme").await["size"].clone();
        let applied = Plan::parse(PEOPLE, |_| None)
            .unwrap()
            .apply(&server.store)
            .await
            .unwrap();
        assert_eq!((applied.created, applied.changed), (0, 0));
        assert!(applied.unchanged > 10);
        assert_eq!(read(&server, "/journal/acme").await["size"], size);
        let changed = PEOPLE.replace(
            "roles: {acme: reader, open: reader}",
            "roles: {acme: member}",
        );
        let applied = Plan::parse(&changed, |_| None)
            .unwrap()
            .apply(&server.store)
            .await
            .unwrap();
        assert_eq!((applied.created, applied.changed), (0, 1));
        let reply = server
            .put("/api/v2/environments/acme", "KEY-reader", "{}")
            .await;
        assert_eq!(reply.status.as_u16(), 400, "let in now");
    }
}

#[tokio::test]
async fn keys_work_however_they_were_given() {
    for server in servers().await {
        let digest = encode_hex(&sha2::Sha256::digest(b"by-digest"));
        let yaml = format!(
            "users:\n  - name: eve\n    roles: {{acme: reader}}\n    api_keys:\n      - key_env: EVE\n      - key_sha256: {digest}\n"
        );
        let plan = Plan::parse(&yaml, |name| {
            (name == "EVE").then(|| "by-variable".to_owned())
        })
        .unwrap();
        plan.apply(&server.store).await.unwrap();
        for key in ["by-variable", "by-digest"] {
            let reply = server.get("/api/v2/environments/acme", key).await;
            assert_eq!(reply.status.as_u16(), 200, "{key}");
        }
        // Someone else's key is refused, with the member named and the key not shown.
        let taken = "users:\n  - name: mallory\n    api_keys: [{key: by-variable}]\n";
        let error = Plan::parse(taken, |_| None)
            .unwrap()
            .apply(&server.store)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("users[0].api_keys[0]: "), "{text}");
        assert!(!text.contains("by-variable"));
    }
}

#[tokio::test]
async fn a_first_start_has_an_administrator() {
    for server in servers().await {
        let key = provision::generate_key(&server.store);
        assert!(keys::is_generated(&key));
        let plan = Plan::first_start("local", "admin", &key);
        assert_eq!(plan.apply(&server.store).await.unwrap().created, 3);
        let body =
            r#"{"name":"this-machine","type":"server","description":"","include_scaling":true}"#;
        assert_eq!(
            server
                .put("/api/v2/environments/local", &key, body)
                .await
                .status
                .as_u16(),
            201
        );
        assert_eq!(plan.apply(&server.store).await.unwrap().created, 0);
    }
}
