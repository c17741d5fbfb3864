//! Any bytes as any body: never a panic, and a report read whole equals one read by elements.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::name::EnvironmentKind;
use runstone_model::read;
use runstone_model::report::{
    ReportLimits, group_within, read_element_at, read_report, split_elements,
};

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let limits = ReportLimits {
        elements_max: 50,
        artifacts_max: 40,
        element_bytes_max: 1_000,
        name_bytes_max: 64,
    };
    let kind = EnvironmentKind::ALL[usize::from(*first) % EnvironmentKind::ALL.len()];
    let whole = read_report(kind, body, &limits);
    let split = split_elements(kind, body, &limits).and_then(|raw| {
        let elements: Result<Vec<_>, _> = raw
            .into_iter()
            .enumerate()
            .map(|(index, raw)| read_element_at(kind, raw, index, &limits))
            .collect();
        group_within(&elements?, &limits)
    });
    assert_eq!(whole.as_ref().ok(), split.as_ref().ok());
    match whole {
        Ok(report) => {
            for artifact in &report.artifacts {
                let view = artifact.detail.parse().expect("a detail can be read back");
                assert_eq!(view.timestamps.len() as u64, artifact.detail.instances());
            }
        }
        Err(errors) => assert!(errors.0.values().all(|text| text.contains(" [input: "))),
    }
    let _ = read::put_environment(body);
    let _ = read::patch_environment(body);
    let _ = read::rename_environment(body);
    let _ = read::join_environment(body);
    let _ = read::patch_tags(body);
});
