//! Checkpoints as text and as signed notes.

use crate::log::{ORIGIN, TestLog, keys, signer};
use runstone_journal::checkpoint::{Checkpoint, CheckpointError};
use runstone_journal::note::{Note, NoteError, Signer};

#[test]
fn a_checkpoint_is_three_lines() {
    let checkpoint = TestLog::new(3).checkpoint();
    let text = checkpoint.to_string();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with(&format!("{ORIGIN}\n3\n")));
    assert_eq!(Checkpoint::parse(&text).unwrap(), checkpoint);
    let published = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let empty = Checkpoint::parse(published).unwrap();
    assert_eq!(
        (empty.size, empty.root),
        (0, runstone_journal::merkle::empty_root())
    );
    assert_eq!(empty.to_string(), published);
}

#[test]
fn every_other_spelling_is_refused() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for text in [
        String::new(),
        "\n".to_owned(),
        format!("o\n1\n{root}"),
        format!("o\n1\n{root}\n\n"),
        format!("o\n1\n{root}\nextension\n"),
        format!("\n1\n{root}\n"),
        format!("o \n1\n{root}\n"),
        format!("o+p\n1\n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n1 \n{root}\n"),
        format!("o\n0x1\n{root}\n"),
        format!("o\n9223372036854775808\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        "o\n1\n\n".to_owned(),
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n".to_owned(),
        "o\n1\n47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_owned(),
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n".to_owned(),
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n".to_owned(),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
    assert!(Checkpoint::parse(&format!("o\n9223372036854775807\n{root}\n")).is_ok());
}

#[test]
fn a_signed_checkpoint_opens_with_the_key_of_its_log_only() {
    let checkpoint = TestLog::new(5).checkpoint();
    let note = checkpoint.sign(&[&signer()]).unwrap().to_string();
    assert_eq!(
        Checkpoint::open(note.as_bytes(), &keys()).unwrap(),
        checkpoint
    );
    assert_eq!(
        Checkpoint::open(note.as_bytes(), &[]),
        Err(CheckpointError::Note(NoteError::NoTrustedSignature))
    );
    // Another trusted log signs our checkpoint: it has no say here.
    let other = Signer::new("other.example/log", &[9; 32]).unwrap();
    let both = [keys(), vec![other.verifier_key().clone()]].concat();
    let foreign = Note::sign(&checkpoint.to_string(), &[&other])
        .unwrap()
        .to_string();
    assert_eq!(
        Checkpoint::open(foreign.as_bytes(), &both),
        Err(CheckpointError::WrongOrigin(ORIGIN.to_owned()))
    );
    assert_eq!(
        checkpoint.sign(&[&other]),
        Err(CheckpointError::WrongOrigin(ORIGIN.to_owned()))
    );
    let beside = checkpoint.sign(&[&other, &signer()]).unwrap().to_string();
    assert_eq!(
        Checkpoint::open(beside.as_bytes(), &both).unwrap(),
        checkpoint
    );
}

#[test]
fn what_cannot_be_a_checkpoint_is_not_signed() {
    let checkpoint = TestLog::new(5).checkpoint();
    let no_signer = checkpoint.sign(&[]);
    assert_eq!(no_signer, Err(CheckpointError::Note(NoteError::NoSigner)));
    let origin = "two\nlines".to_owned();
    let wrong = Checkpoint {
        origin,
        ..checkpoint.clone()
    };
    assert!(matches!(
        wrong.sign(&[&signer()]),
        Err(CheckpointError::Origin(_))
    ));
    let wrong = Checkpoint {
        size: u64::MAX,
        ..checkpoint
    };
    assert!(matches!(
        wrong.sign(&[&signer()]),
        Err(CheckpointError::Size(_))
    ));
}
