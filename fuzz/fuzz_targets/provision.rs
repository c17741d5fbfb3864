//! Provisioning files: any text is a plan or is refused with reasons.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_server::provision::{Plan, ProvisionError};

fuzz_target!(|text: &str| {
    match Plan::parse(text, |name| (name.len() < 4).then(|| "a-key".to_owned())) {
        Err(ProvisionError::Fields(fields)) => assert!(!fields.0.is_empty()),
        Ok(_) | Err(_) => {}
    }
});
