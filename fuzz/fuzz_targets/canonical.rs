//! Canonical JSON: writing it again changes nothing, and it says what the original said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::canonical;
use runstone_model::name::{EnvironmentName, OrganizationName};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(name) = EnvironmentName::parse(text) {
            assert_eq!(name.as_str(), text);
        }
        if let Ok(name) = OrganizationName::parse(text) {
            assert_eq!(name.as_str(), text);
        }
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    let written = canonical::to_string(&value);
    let again: serde_json::Value = serde_json::from_str(&written).expect("canonical JSON is JSON");
    assert_eq!(canonical::to_string(&again), written);
});
