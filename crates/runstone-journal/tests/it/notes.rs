//! Signed notes, keys and derivation.

use runstone_journal::note::{
    KeyError, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignature, Signer,
    VerifierKey, derive_signing_seed,
};

const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn key(vkey: &str) -> VerifierKey {
    vkey.parse().unwrap()
}

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, &[seed; 32]).unwrap()
}

#[test]
fn the_published_note_verifies() {
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_string(), NOTE);
    let keys = [key(VKEY)];
    assert_eq!(keys[0].to_string(), VKEY);
    assert_eq!(keys[0].key_id(), 0x530d_903a);
    assert_eq!(note.verify(&keys).unwrap(), [&keys[0]]);
}

#[test]
fn every_flipped_bit_of_a_note_is_refused() {
    let keys = [key(VKEY)];
    for position in 0..NOTE.len() {
        for bit in 0..8 {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[position] ^= 1 << bit;
            let verified = Note::parse(&bytes).and_then(|n| n.verify(&keys).map(|v| v.len()));
            assert!(verified.is_err(), "bit {bit} of byte {position}");
        }
    }
}

#[test]
fn a_note_under_rotation_verifies_with_each_key() {
    let (old, new) = (signer("log", 1), signer("log", 2));
    let note = Note::sign("text\n\nwith a blank line\n", &[&old, &new]).unwrap();
    let note = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(note.text(), "text\n\nwith a blank line\n");
    let keys = [old.verifier_key().clone(), new.verifier_key().clone()];
    assert_eq!(note.verify(&keys).unwrap().len(), 2);
    assert_eq!(note.verify(&keys[..1]).unwrap(), [&keys[0]]);
    assert_eq!(note.verify(&keys[1..]).unwrap(), [&keys[1]]);
}

#[test]
fn unknown_signatures_are_ignored_and_known_bad_ones_refuse() {
    let known = signer("log", 1);
    let keys = [known.verifier_key().clone()];
    let mut note = Note::sign("text\n", &[&known]).unwrap();
    for seed in 2..18 {
        // Foreign lines, one of them with our name and of another length.
        let name = if seed == 5 { "log" } else { "witness.example" };
        let mut foreign = signer(name, seed).sign("text\n");
        foreign.signature.push(seed);
        note.add_signature(foreign).unwrap();
    }
    let note = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 17);
    assert_eq!(note.verify(&keys).unwrap().len(), 1);
    assert_eq!(note.verify(&[]), Err(NoteError::NoTrustedSignature));

    let mut note = Note::sign("text\n", &[&known]).unwrap();
    note.add_signature(known.sign("other text\n")).unwrap();
    assert!(matches!(
        note.verify(&keys),
        Err(NoteError::BadSignature { .. })
    ));
    let only_foreign = Note::sign("text\n", &[&signer("log", 2)]).unwrap();
    assert_eq!(
        only_foreign.verify(&keys),
        Err(NoteError::NoTrustedSignature)
    );
    // A name or an id alone makes no known key.
    let mut note = Note::sign("text\n", &[&known]).unwrap();
    let mut namesake = known.sign("other text\n");
    namesake.key_id ^= 1;
    note.add_signature(namesake).unwrap();
    let mut same_id = known.sign("other text\n");
    same_id.name.push('2');
    note.add_signature(same_id).unwrap();
    // One key that signed twice is one key.
    note.add_signature(known.sign("text\n")).unwrap();
    assert_eq!(note.verify(&keys).unwrap(), [&keys[0]]);
    // The same key given twice is no ambiguity.
    let twice = [keys[0].clone(), keys[0].clone()];
    let note = Note::sign("text\n", &[&known]).unwrap();
    assert_eq!(note.verify(&twice).unwrap().len(), 1);
}

/// Two seeds, found by trying some eighty thousand, whose keys have the same 32-bit id.
#[test]
fn two_trusted_keys_of_one_name_and_id_are_ambiguous() {
    let signer = |number: u32| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        Signer::new("log", &seed).unwrap()
    };
    let (first, second) = (signer(32_003), signer(82_289));
    let keys = [first.verifier_key().clone(), second.verifier_key().clone()];
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[0].key_id(), keys[1].key_id());
    let note = Note::sign("text\n", &[&first]).unwrap();
    let (name, key_id) = ("log".to_owned(), 0xf526_4223);
    assert_eq!(
        note.verify(&keys),
        Err(NoteError::AmbiguousKey { name, key_id })
    );
    assert_eq!(note.verify(&keys[..1]).unwrap(), [&keys[0]]);
}

#[test]
fn malformed_notes_are_refused() {
    let line = "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv";
    for note in [
        String::new(),
        "\n".to_owned(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n\n{line}"),
        format!("text\n{line}\n"),
        format!("text\n\n{line}\n\n"),
        format!("text\n\n{line} \n"),
        format!("text\n\n {line}\n"),
        format!("text\r\n\n{line}\n"),
        format!("te\txt\n\n{line}\n"),
        "text\n\n- name Uw2QOkn8\n".to_owned(),
        "text\n\n— name\n".to_owned(),
        "text\n\n—  Uw2QOkn8\n".to_owned(),
        "text\n\n— na+me Uw2QOkn8\n".to_owned(),
        "text\n\n— na\u{a0}me Uw2QOkn8\n".to_owned(),
        "text\n\n— name Uw2QOg==\n".to_owned(),
        "text\n\n— name Uw2QOkn\n".to_owned(),
        "text\n\n— name Uw2QOkn_\n".to_owned(),
        "text\n\n— name \n".to_owned(),
    ] {
        assert!(Note::parse(note.as_bytes()).is_err(), "{note:?}");
    }
    assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::NotUtf8));
    let long = vec![b'a'; NOTE_BYTES_MAX + 1];
    assert_eq!(Note::parse(&long), Err(NoteError::TooLong(long.len())));
    let lines = format!("{line}\n").repeat(NOTE_SIGNATURES_MAX);
    let many = format!("text\n\n{lines}");
    assert_eq!(
        Note::parse(many.as_bytes()).unwrap().signatures().len(),
        NOTE_SIGNATURES_MAX
    );
    let too_many = format!("{many}{line}\n");
    assert_eq!(
        Note::parse(too_many.as_bytes()),
        Err(NoteError::TooManySignatures)
    );
}

#[test]
fn what_cannot_be_a_note_is_not_signed() {
    let signer = signer("log", 1);
    assert_eq!(
        Note::sign("no newline", &[&signer]),
        Err(NoteError::TextShape)
    );
    assert_eq!(Note::sign("", &[&signer]), Err(NoteError::TextShape));
    assert_eq!(
        Note::sign("a\tb\n", &[&signer]),
        Err(NoteError::ControlCharacter(9))
    );
    assert_eq!(Note::sign("text\n", &[]), Err(NoteError::NoSigner));
    let many = vec![&signer; NOTE_SIGNATURES_MAX + 1];
    assert_eq!(
        Note::sign("text\n", &many),
        Err(NoteError::TooManySignatures)
    );
    let mut full = Note::sign("text\n", &many[1..]).unwrap();
    let more = signer.sign("text\n");
    assert_eq!(full.add_signature(more), Err(NoteError::TooManySignatures));
    let mut note = Note::sign("text\n", &[&signer]).unwrap();
    for (name, signature) in [
        ("a b", vec![1]),
        ("", vec![1]),
        ("a\nb", vec![1]),
        ("a", vec![]),
    ] {
        let name = name.to_owned();
        let line = NoteSignature {
            name,
            key_id: 1,
            signature,
        };
        assert_eq!(note.add_signature(line), Err(NoteError::SignatureLine(2)));
    }
}

#[test]
fn wrong_keys_are_refused() {
    let refused = |vkey: &str| VerifierKey::parse(vkey).unwrap_err();
    let body = "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(refused(""), KeyError::Shape);
    assert_eq!(refused("name"), KeyError::Shape);
    assert_eq!(refused("name+530d903a"), KeyError::Shape);
    assert!(matches!(
        refused(&format!("+530d903a+{body}")),
        KeyError::Name(_)
    ));
    assert!(matches!(
        refused(&format!("a b+530d903a+{body}")),
        KeyError::Name(_)
    ));
    assert_eq!(
        refused(&format!("example.com/foo+530D903A+{body}")),
        KeyError::Shape
    );
    assert_eq!(
        refused(&format!("example.com/foo+30d903a+{body}")),
        KeyError::Shape
    );
    assert_eq!(
        refused(&format!("example.com/foo+530d903a+{body}=")),
        KeyError::Shape
    );
    assert_eq!(refused("example.com/foo+530d903a+"), KeyError::Shape);
    assert!(matches!(
        refused(&format!("example.com/fop+530d903a+{body}")),
        KeyError::Id { .. }
    ));
    assert_eq!(refused("example.com/foo+530d903a+BOky"), KeyError::Type(4));
    assert!(matches!(
        refused("example.com/foo+530d903a+AQ=="),
        KeyError::Key(_)
    ));
    // The neutral element: a key under which anybody can sign anything.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert!(matches!(
        VerifierKey::new("a", &neutral),
        Err(KeyError::Key(_))
    ));
    assert!(matches!(
        Signer::new("a+b", &[1; 32]),
        Err(KeyError::Name(_))
    ));
}

#[test]
fn nothing_prints_a_private_key() {
    let signer = signer("log", 0x5a);
    let shown = format!("{signer:?}");
    assert_eq!(shown, format!("Signer({})", signer.verifier_key()));
    assert!(!shown.contains("5a5a"));
}

#[test]
fn derived_seeds_differ_by_installation_origin_and_generation() {
    let seeds = [
        derive_signing_seed(&[1; 32], "a", 0),
        derive_signing_seed(&[1; 32], "a", 1),
        derive_signing_seed(&[1; 32], "a", 2),
        derive_signing_seed(&[1; 32], "a1", 0),
        derive_signing_seed(&[1; 32], "b", 0),
        derive_signing_seed(&[2; 32], "a", 0),
    ];
    for (i, a) in seeds.iter().enumerate() {
        assert!(seeds[..i].iter().all(|b| a != b));
    }
}

/// Made by another implementation (Python's hmac and hashlib, RFC 5869 by hand), so that a key
/// can be found again from the seed without Runstone.
#[test]
fn derived_seeds_equal_another_implementation() {
    let seed: [u8; 32] = std::array::from_fn(|i| i as u8);
    let hex = |bytes: [u8; 32]| bytes.map(|b| format!("{b:02x}")).concat();
    let origin = "journal.example/log/acme/0123abcd";
    assert_eq!(
        hex(derive_signing_seed(&seed, origin, 0)),
        "13b73032d073d50a06d2378386ed40a88113a18b04f2a7889bec97c8264e1a21"
    );
    assert_eq!(
        hex(derive_signing_seed(&seed, origin, 3)),
        "c9998ab0ff290df9c9edba7b7565dd7d9c97e8596b2a99dc3dc52adac2ecc5f0"
    );
}
