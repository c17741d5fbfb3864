//! Signatures that another program made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runstone_journal::trust::{Trust, TrustError};

const MESSAGE: &[u8] = b"DSSEv1 28 application/vnd.in-toto+json 2 {}";
const OTHER: &str = include_str!("../fixtures/other.pub");
const LEAF: &str = include_str!("../fixtures/leaf.pem");
const ROOT: &str = include_str!("../fixtures/root.pem");
const OTHER_ROOT: &str = include_str!("../fixtures/other-root.pem");

const MADE: [(&str, &str); 3] = [
    (
        include_str!("../fixtures/ed.pub"),
        include_str!("../fixtures/ed.sig"),
    ),
    (
        include_str!("../fixtures/ec.pub"),
        include_str!("../fixtures/ec.sig"),
    ),
    (
        include_str!("../fixtures/rsa.pub"),
        include_str!("../fixtures/rsa.sig"),
    ),
];

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text.trim()).unwrap()
}

fn leaf() -> Vec<u8> {
    let lines: Vec<_> = LEAF
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    decoded(&lines.concat())
}

#[test]
fn a_signature_is_by_the_key_that_made_it_and_no_other() {
    let everyone = MADE.map(|(key, _)| key).concat() + OTHER;
    let everyone = Trust::read(everyone.as_bytes()).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for (key, signature) in MADE {
        let signature = decoded(signature);
        let alone = Trust::read(key.as_bytes()).unwrap();
        let id = alone.key_of(MESSAGE, &signature).unwrap();
        assert_eq!(id.len(), 64);
        assert_eq!(everyone.key_of(MESSAGE, &signature), Some(id));
        ids.insert(id.to_owned());
        assert_eq!(
            Trust::read(OTHER.as_bytes())
                .unwrap()
                .key_of(MESSAGE, &signature),
            None
        );
        assert_eq!(everyone.key_of(b"another", &signature), None);
        for place in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[place] ^= 1;
            assert_eq!(everyone.key_of(MESSAGE, &wrong), None, "{place}");
            assert_eq!(everyone.key_of(MESSAGE, &signature[..place]), None);
        }
    }
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_certificate_is_believed_below_a_trusted_root_only() {
    let signature = decoded(include_str!("../fixtures/leaf.sig"));
    let chain = [leaf()];
    let check = |roots: &str, trusted: Option<bool>| {
        let trust = match roots {
            "" => Trust::default(),
            roots => Trust::read(roots.as_bytes()).unwrap(),
        };
        let found = trust.certified(&chain, MESSAGE, &signature).unwrap();
        assert!(found.signed);
        assert_eq!(found.trusted, trusted, "{roots}");
        assert_eq!(
            found.names,
            ["ada@example.com", "https://ci.example.com/job/7"]
        );
        assert_eq!(found.key.len(), 64);
        assert!(
            !trust
                .certified(&chain, b"another", &signature)
                .unwrap()
                .signed
        );
    };
    check("", None);
    check(ROOT, Some(true));
    check(OTHER_ROOT, Some(false));
    check(&format!("{OTHER_ROOT}{ROOT}"), Some(true));
    // The key of another certificate made it.
    let ec = decoded(MADE[1].1);
    let found = Trust::default().certified(&chain, MESSAGE, &ec).unwrap();
    assert!(!found.signed);
    let many = vec![leaf(); 100];
    let root = Trust::read(ROOT.as_bytes()).unwrap();
    for chain in [
        &[][..],
        &[vec![]],
        &[vec![0x30, 0x80]],
        &[leaf()[..50].to_vec()],
        &many,
    ] {
        assert_eq!(root.certified(chain, MESSAGE, &signature), None);
    }
}

#[test]
fn files_that_hold_no_keys_are_refused() {
    let key = MADE[0].0;
    for (pem, error) in [
        ("", TrustError::Empty),
        ("just text", TrustError::Empty),
        ("-----BEGIN PUBLIC KEY-----\nMCow", TrustError::NotPem),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            TrustError::Unreadable(1),
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            TrustError::Unreadable(1),
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            TrustError::OtherSection(1),
        ),
        (&key.repeat(1_001), TrustError::TooMany),
    ] {
        assert_eq!(Trust::read(pem.as_bytes()).unwrap_err(), error, "{pem:.60}");
    }
    let mut trust = Trust::read(key.as_bytes()).unwrap();
    assert!(trust.has_keys() && !trust.is_empty());
    trust.extend(Trust::read(ROOT.as_bytes()).unwrap());
    assert!(!Trust::read(ROOT.as_bytes()).unwrap().has_keys());
}
