//! Any rows as the stored form of a trail: refused, or a state that renders and is stored again.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use runstone_model::compliance::{RowKey, TrailState};
use runstone_model::template::Template;

fuzz_target!(|text: &str| {
    let rows: Vec<(RowKey, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, row)| Some((key.parse().ok()?, row)))
        .collect();
    let template =
        Template::read(b"trail: {attestations: [{name: a, type: '*'}], artifacts: [{name: b}]}")
            .expect("a template");
    if let Ok(state) = TrailState::from_rows(Arc::new(template.clone()), rows) {
        let stored = state.rows();
        let stored = stored.iter().map(|(key, row)| (key.clone(), row.as_str()));
        let again = TrailState::from_rows(Arc::new(template), stored).expect("its own rows");
        assert_eq!(again.status(), state.status());
    }
});
