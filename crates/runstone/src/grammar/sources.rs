//! Gives the flags that the command line left open their values from the environment and the
//! config file (`cli.md` 1.3 to 1.5, 13).

use std::collections::BTreeMap;

use super::values::{Refusal, Source, Values};

/// The prefixes of variables, the stronger one first.
pub const PREFIXES: [&str; 2] = ["RUNSTONE_", "KOSLI_"];

/// The variable of the flag `name` under `prefix`.
pub fn variable(prefix: &str, name: &str) -> String {
    let mut text = prefix.to_owned();
    text.push_str(&name.to_ascii_uppercase().replace('-', "_"));
    text
}

/// Sets the flags that nothing set yet; the complaints, if any, one per line.
///
/// `config` is the path of the config file and its keys in lower case. An empty variable counts
/// as unset.
pub fn bind(
    values: &mut Values,
    environment: &BTreeMap<String, String>,
    config: Option<&(String, BTreeMap<String, String>)>,
) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut flags = values.flags().to_vec();
    flags.sort_unstable_by_key(|flag| flag.name);
    for flag in flags {
        // The older spelling of a flag counts as that flag.
        if values.is_given(flag.same_as.unwrap_or(flag.name)) || flag.name == "config-file" {
            continue;
        }
        let from_environment = PREFIXES.iter().find_map(|prefix| {
            let name = variable(prefix, flag.name);
            let value = environment.get(&name).filter(|value| !value.is_empty())?;
            Some((value.clone(), Source::Environment(name)))
        });
        let from_config = || {
            let (path, keys) = config?;
            let value = keys.get(flag.name)?;
            Some((value.clone(), Source::Config(path.clone())))
        };
        let Some((value, source)) = from_environment.or_else(from_config) else {
            continue;
        };
        match values.set(flag, &value, source.clone()) {
            Ok(()) => {}
            Err(Refusal::Empty(name)) => faults.push(format!(
                "flag '--{name}' was given an empty value by {}",
                source.spelled()
            )),
            Err(Refusal::Invalid(reason)) => faults.push(format!(
                "failed to set flag '--{}' from {}: {reason}",
                flag.name,
                source.spelled()
            )),
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;
    use crate::grammar::flag::{DRY_RUN, GLOBAL, PAGE};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn values() -> Values {
        Values::new(GLOBAL.iter().chain(PAGE).chain(DRY_RUN).collect())
    }

    #[test]
    fn line_beats_environment_beats_config() {
        let mut values = values();
        let host = GLOBAL.iter().find(|flag| flag.name == "host").unwrap();
        values.set(host, "line", Source::Line).unwrap();
        let environment = map(&[
            ("KOSLI_HOST", "env"),
            ("KOSLI_ORG", "older"),
            ("RUNSTONE_ORG", "newer"),
            ("KOSLI_API_TOKEN", ""),
        ]);
        let config = (
            "f.yml".to_owned(),
            map(&[("org", "file"), ("api-token", "token"), ("unknown", "x")]),
        );
        bind(&mut values, &environment, Some(&config)).unwrap();
        assert_eq!(values.text("host"), "line");
        assert_eq!(values.text("org"), "newer");
        assert_eq!(values.text("api-token"), "token");
    }

    #[test]
    fn all_bad_values_are_told_together() {
        let environment = map(&[("KOSLI_PAGE", "x"), ("KOSLI_DRY_RUN", "perhaps")]);
        let config = ("f.yml".to_owned(), map(&[("org", "")]));
        assert_eq!(
            bind(&mut values(), &environment, Some(&config)).unwrap_err(),
            "failed to set flag '--dry-run' from environment variable KOSLI_DRY_RUN: invalid argument \"perhaps\" for \"-D, --dry-run\" flag: strconv.ParseBool: parsing \"perhaps\": invalid syntax\nflag '--org' was given an empty value by config file [f.yml]\nfailed to set flag '--page' from environment variable KOSLI_PAGE: invalid argument \"x\" for \"--page\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"
        );
    }
}
