//! Any bytes as a template: read or refused with reasons, never a panic; what is read can be shown
//! and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::template::Template;

fuzz_target!(|data: &[u8]| {
    match Template::read(data) {
        Ok(template) => {
            let mut view = template.view("");
            view.as_object_mut()
                .expect("a view is an object")
                .remove("content");
            let again = Template::read(view.to_string().as_bytes());
            assert_eq!(again.expect("what was shown can be read"), template);
        }
        Err(errors) => {
            assert!(!errors.for_flow().0.is_empty());
            assert!(
                errors
                    .for_trail()
                    .contains(" validation errors for Template\n")
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Template::from_stored(text);
    }
});
