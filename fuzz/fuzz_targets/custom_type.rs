//! Any text as a rule and as a schema: refused, or judged within the bounds. Data and text are
//! parted by the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::custom_type::{CompiledType, TypeVersion, create_type};
use runstone_model::id::Micros;

fuzz_target!(|text: &str| {
    let (rule, data) = text
        .split_once('\0')
        .unwrap_or((text, "{\"a\":[1,{\"b\":\"c\"}]}"));
    let data = serde_json::from_str(data).unwrap_or_default();
    let _ = create_type(rule.as_bytes(), Some(text.as_bytes()));
    let schema = serde_json::from_str(rule).ok();
    for (schema, rules) in [(None, Some(vec![rule.to_owned()])), (schema, None)] {
        let version = TypeVersion {
            schema,
            rules,
            summary: None,
        };
        if let Ok(compiled) = CompiledType::new(&version) {
            let evaluation = compiled.evaluate(&data, Micros(0));
            assert_eq!(evaluation.is_compliant, evaluation.problems.is_empty());
        }
    }
});
