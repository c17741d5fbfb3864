//! The values of a command's flags, wherever they came from, and the rules each one must keep
//! (`cli.md` 1.7).

use std::collections::BTreeMap;

use super::flag::{Flag, Kind};
use super::spell;

/// Where a value came from, highest first (`cli.md` 1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Line,
    /// An environment variable of this name.
    Environment(String),
    /// The config file at this path.
    Config(String),
    /// What `dev` left on this machine.
    Local,
}

impl Source {
    /// How complaints name it.
    pub fn spelled(&self) -> String {
        match self {
            Self::Line => "the command line".to_owned(),
            Self::Environment(name) => format!("environment variable {name}"),
            Self::Config(path) => format!("config file [{path}]"),
            Self::Local => "the local server's file".to_owned(),
        }
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It was empty.
    Empty(&'static str),
    /// It could not be read; the reason names the flag.
    Invalid(String),
}

#[derive(Debug, Clone)]
struct Value {
    items: Vec<String>,
    pairs: BTreeMap<String, String>,
    source: Source,
}

/// The values of all flags of one command.
#[derive(Debug, Clone, Default)]
pub struct Values {
    flags: Vec<&'static Flag>,
    given: BTreeMap<&'static str, Value>,
    /// What the CI system knows; stands below every source and above a flag's own default.
    ci: BTreeMap<&'static str, String>,
}

impl Values {
    /// No values yet, for the given flags.
    pub fn new(flags: Vec<&'static Flag>) -> Self {
        Self {
            flags,
            given: BTreeMap::new(),
            ci: BTreeMap::new(),
        }
    }

    /// Makes `text` the default of the flag `name`; an empty text is none.
    pub fn set_ci_default(&mut self, name: &'static str, text: String) {
        if !text.is_empty() {
            self.ci.insert(name, text);
        }
    }

    /// Whether nothing but the CI system gave the value.
    pub fn is_from_ci(&self, name: &str) -> bool {
        !self.given.contains_key(name) && self.ci.contains_key(name)
    }

    /// The flags a value can be set for.
    pub fn flags(&self) -> &[&'static Flag] {
        &self.flags
    }

    /// Takes over the values of `other`, which knew fewer flags.
    pub fn inherit(&mut self, other: Self) {
        self.given.extend(other.given);
    }

    /// Sets `flag` to `text`: scalars are replaced, lists and maps grow while their source stays
    /// the same.
    pub fn set(&mut self, flag: &'static Flag, text: &str, source: Source) -> Result<(), Refusal> {
        // Help is the one flag whose empty value is only no truth value.
        if text.is_empty() && flag.name != "help" {
            return Err(Refusal::Empty(flag.name));
        }
        let invalid = |reason: String| {
            Refusal::Invalid(format!(
                "invalid argument {} for {} flag: {reason}",
                spell::quoted(text),
                spell::quoted(&flag.spelled())
            ))
        };
        let mut items = Vec::new();
        let mut pairs = Vec::new();
        match flag.kind {
            Kind::Text | Kind::Repeated => items.push(text.to_owned()),
            Kind::Int => items.push(spell::int(text).map_err(invalid)?.to_string()),
            Kind::Float => {
                spell::float(text).map_err(invalid)?;
                items.push(text.to_owned());
            }
            Kind::Bool => items.push(spell::bool(text).map_err(invalid)?.to_string()),
            Kind::List => {
                items = spell::csv_record(text).map_err(invalid)?;
                if items.iter().any(String::is_empty) {
                    return Err(Refusal::Empty(flag.name));
                }
            }
            Kind::Map => {
                for pair in map_pairs(text).map_err(invalid)? {
                    let Some((key, value)) = pair.split_once('=') else {
                        return Err(invalid(format!("{pair} must be formatted as key=value")));
                    };
                    pairs.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        let name = flag.same_as.unwrap_or(flag.name);
        let grows = matches!(flag.kind, Kind::List | Kind::Repeated | Kind::Map);
        match self.given.get_mut(name) {
            Some(value) if grows && value.source == source => {
                value.items.extend(items);
                value.pairs.extend(pairs);
            }
            _ => {
                let value = Value {
                    items,
                    pairs: pairs.into_iter().collect(),
                    source,
                };
                self.given.insert(name, value);
            }
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().copied().find(|flag| flag.name == name)
    }

    /// Whether any source gave a value.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Where the value came from, if any source gave one.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.given.get(name).map(|value| &value.source)
    }

    /// The scalar's text, its default, or nothing.
    pub fn text(&self, name: &str) -> &str {
        match self.given.get(name) {
            Some(value) => value.items.first().map_or("", String::as_str),
            None => match self.ci.get(name) {
                Some(text) => text,
                None => self.flag(name).map_or("", |flag| flag.default),
            },
        }
    }

    /// Replaces a scalar's text, keeping its source; a flag without a value stays so.
    pub fn replace_text(&mut self, name: &str, text: &str) {
        if let Some(value) = self.given.get_mut(name) {
            value.items = vec![text.to_owned()];
        }
    }

    /// The boolean.
    pub fn bool(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// The number; 0 if there is none.
    pub fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The double; 0 if there is none.
    pub fn float(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The list's elements.
    pub fn list(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], |value| &value.items)
    }

    /// The map's pairs, sorted by key.
    pub fn map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.given
            .get(name)
            .into_iter()
            .flat_map(|value| &value.pairs)
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The complaint about a scalar that starts with a dash, most likely a swallowed flag.
    pub fn leading_dash(&self) -> Option<String> {
        let mut flags = self.flags.clone();
        flags.sort_unstable_by_key(|flag| flag.name);
        // Of several the last one by name is told.
        flags.into_iter().rev().find_map(|flag| {
            let scalar = !matches!(flag.kind, Kind::List | Kind::Repeated | Kind::Map);
            let value = self.given.get(flag.name)?.items.first()?;
            (scalar && value.starts_with('-')).then(|| {
                format!(
                    "flag '--{}' has value '{value}' which is illegal",
                    flag.name
                )
            })
        })
    }

    /// ` flow=F trail=T`, as complaints name what a command is about; without those that have no
    /// value.
    pub fn scope(&self) -> String {
        let mut scope = String::new();
        for name in ["flow", "trail"] {
            let value = self.text(name);
            if !value.is_empty() {
                scope.extend([" ", name, "=", value]);
            }
        }
        scope
    }

    /// The complaint about required flags without a value.
    pub fn missing(&self) -> Option<String> {
        let mut missing: Vec<String> = self
            .flags
            .iter()
            .filter(|flag| {
                flag.required && !self.is_given(flag.name) && !self.is_from_ci(flag.name)
            })
            .map(|flag| format!("\"{}\"", flag.name))
            .collect();
        missing.sort_unstable();
        (!missing.is_empty()).then(|| format!("required flag(s) {} not set", missing.join(", ")))
    }
}

/// The pairs of one map value: the value itself if it has exactly one `=`, else its CSV fields.
fn map_pairs(text: &str) -> Result<Vec<String>, String> {
    if text.matches('=').count() == 1 {
        // The reference takes surrounding quotes off here.
        return Ok(vec![text.trim_matches('"').to_owned()]);
    }
    if !text.contains('=') {
        return Ok(vec![text.to_owned()]);
    }
    spell::csv_record(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    const SET: Flag = Flag::new("set", Kind::Map, "").short('s');
    const UNSET: Flag = Flag::list("unset", "").short('u');
    const PAGE: Flag = Flag::new("page", Kind::Int, "").default("1");
    const E: Flag = Flag::list("e", "").same_as("unset");
    static FLAGS: [Flag; 4] = [SET, UNSET, PAGE, E];

    fn values() -> Values {
        Values::new(FLAGS.iter().collect())
    }

    fn flag(name: &str) -> &'static Flag {
        FLAGS.iter().find(|flag| flag.name == name).unwrap()
    }

    #[test]
    fn maps_follow_the_number_of_equal_signs() {
        let check = |text: &str, expected: Result<&[(&str, &str)], &str>| {
            let mut values = values();
            let result = values.set(flag("set"), text, Source::Line);
            match expected {
                Ok(pairs) => {
                    result.unwrap();
                    assert_eq!(values.map("set").collect::<Vec<_>>(), pairs);
                }
                Err(reason) => assert_eq!(
                    result.unwrap_err(),
                    Refusal::Invalid(format!(
                        "invalid argument {} for \"-s, --set\" flag: {reason}",
                        spell::quoted(text)
                    ))
                ),
            }
        };
        check("a=1,2", Ok(&[("a", "1,2")]));
        check("c=", Ok(&[("c", "")]));
        check("a=b,c=d=e", Ok(&[("a", "b"), ("c", "d=e")]));
        check("u=https://h?a=1,2", Err("2 must be formatted as key=value"));
        check("a", Err("a must be formatted as key=value"));
    }

    #[test]
    fn lists_grow_within_one_source() {
        let mut values = values();
        values.set(flag("unset"), "a,b", Source::Line).unwrap();
        values.set(flag("e"), "c", Source::Line).unwrap();
        assert_eq!(values.list("unset"), ["a", "b", "c"]);
        assert_eq!(
            values.set(flag("unset"), "a,,b", Source::Line),
            Err(Refusal::Empty("unset"))
        );
    }

    #[test]
    fn scalars_take_the_last_value() {
        let mut values = values();
        assert_eq!(values.int("page"), 1);
        values.set(flag("page"), "2", Source::Line).unwrap();
        values.set(flag("page"), "-3", Source::Line).unwrap();
        assert_eq!(values.int("page"), -3);
        assert_eq!(
            values.leading_dash().unwrap(),
            "flag '--page' has value '-3' which is illegal"
        );
    }
}
