//! Any reports about a trail, a line each: what was counted report by report is what is counted
//! anew when the template changes and changes back.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use runstone_model::compliance::{
    ArtifactReport, AttestationReport, Binding, TrailFact, TrailState,
};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::template::Template;

/// `a<fingerprint>[name]`, `t<verdict><name>`, `f<fingerprint><verdict><name>` or
/// `n<commit><verdict><name>`; fingerprints, commits and verdicts are one byte each.
fn fact(no: u32, line: &str) -> Option<TrailFact> {
    let at = Micros(i64::from(no));
    let (sort, rest) = line.split_at_checked(1)?;
    let (byte, rest) = match sort {
        "t" => (0, rest),
        _ => (*rest.as_bytes().first()?, rest.get(1..)?),
    };
    let fingerprint = Fingerprint([byte; 32]);
    if sort == "a" {
        return Some(TrailFact::Artifact(ArtifactReport {
            no,
            name: (!rest.is_empty()).then(|| rest.to_owned()),
            fingerprint,
            commit: Some([byte; 20]),
            at,
        }));
    }
    let (verdict, name) = rest.split_at_checked(1)?;
    let binding = match sort {
        "t" => Binding::Trail,
        "f" => Binding::Artifact(fingerprint),
        "n" => Binding::Targets {
            names: vec!["b".to_owned(), "c".to_owned()],
            commit: [byte; 20],
        },
        _ => return None,
    };
    Some(TrailFact::Attestation(AttestationReport {
        no,
        name: name.to_owned(),
        kind: "generic".to_owned(),
        compliant: verdict != "-",
        overrides: verdict == "!",
        binding,
        at,
    }))
}

fuzz_target!(|text: &str| {
    let template =
        Template::read(b"trail: {attestations: [{name: a, type: '*'}], artifacts: [{name: b}]}")
            .expect("a template");
    let template = Arc::new(template);
    let mut state = TrailState::new(1, template.clone(), Micros(0));
    for (no, line) in (1..).zip(text.lines()) {
        if let Some(fact) = fact(no, line) {
            state.apply(fact);
        }
    }
    let mut again = state.clone();
    for (no, template) in [(2, Arc::default()), (1, template)] {
        again.apply(TrailFact::Template { no, template });
    }
    assert_eq!(again.status(), state.status());
});
