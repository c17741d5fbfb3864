//! Controls: what an organization promises to check, and the bodies that make them
//! (`api-organisation.md` section 8).
//!
//! Owns what a control says and what of it a change may leave out. It must not know what was
//! decided about a control or which rules name it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::provenance::shape::{Members, Pattern, Shape, read_body};
use crate::provenance::take;
use crate::read::{BODY_BYTES_MAX, FieldErrors};

/// Most bytes of an identifier.
pub const IDENTIFIER_BYTES_MAX: usize = 256;

/// What one version of a control says; all of it is free text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlTexts {
    /// Name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Addresses by label.
    pub links: BTreeMap<String, String>,
}

impl ControlTexts {
    /// As it is stored.
    pub fn to_json(&self) -> String {
        crate::canonical::to_string(&json!({
            "description": self.description,
            "links": self.links,
            "name": self.name,
        }))
    }

    /// Reads what [`ControlTexts::to_json`] wrote; what was erased is empty.
    pub fn from_json(json: Option<&str>) -> Self {
        let value: Value = json
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let text = |name: &str| value[name].as_str().map(ToOwned::to_owned);
        Self {
            name: text("name").unwrap_or_default(),
            description: text("description"),
            links: value["links"].as_object().map(links).unwrap_or_default(),
        }
    }

    /// The version after a change.
    pub fn changed(&self, change: &ChangeControl) -> Self {
        Self {
            name: change.name.as_ref().unwrap_or(&self.name).clone(),
            description: change
                .description
                .as_ref()
                .unwrap_or(&self.description)
                .clone(),
            links: change.links.as_ref().unwrap_or(&self.links).clone(),
        }
    }
}

/// `PUT /controls/{org}/{identifier}`: what is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeControl {
    /// Name.
    pub name: Option<String>,
    /// What it is about; none within clears it.
    pub description: Option<Option<String>>,
    /// The whole map.
    pub links: Option<BTreeMap<String, String>>,
}

const LINKS: Shape = Shape::Map(
    Some(&Pattern {
        text: "^.+$",
        fits: |label| !label.is_empty(),
        bytes_max: usize::MAX,
    }),
    &Shape::Text,
);

const CREATE: Members = Members {
    open: false,
    members: &[
        (
            "identifier",
            true,
            Shape::Matching(&Pattern {
                text: r"^[a-zA-Z0-9\-._~]+$",
                fits: |text| {
                    !text.is_empty()
                        && text
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                },
                bytes_max: IDENTIFIER_BYTES_MAX,
            }),
        ),
        ("name", true, Shape::Text),
        ("description", false, Shape::Text),
        ("links", false, LINKS),
    ],
};

const CHANGE: Members = Members {
    open: false,
    members: &[
        ("name", false, Shape::Text),
        ("description", false, Shape::Nullable(&Shape::Text)),
        ("links", false, LINKS),
    ],
};

/// Texts by label; what is no text is left out.
fn links(members: &Map<String, Value>) -> BTreeMap<String, String> {
    members
        .iter()
        .filter_map(|(label, href)| Some((label.clone(), href.as_str()?.to_owned())))
        .collect()
}

/// Reads the body of `POST /controls/{org}`: the identifier, and what it says.
pub fn create_control(body: &[u8]) -> Result<(String, ControlTexts), FieldErrors> {
    let mut object = read_body(body, BODY_BYTES_MAX, &[&CREATE])?;
    let mut text = |name: &str| take::text(&mut object, name);
    let (identifier, name) = (text("identifier"), text("name"));
    let description = text("description");
    let links = take::members(&mut object, "links").map(|members| links(&members));
    let texts = ControlTexts {
        name: name.unwrap_or_default(),
        description,
        links: links.unwrap_or_default(),
    };
    Ok((identifier.unwrap_or_default(), texts))
}

/// Reads the body of `PUT /controls/{org}/{identifier}`.
pub fn change_control(body: &[u8]) -> Result<ChangeControl, FieldErrors> {
    let mut object = read_body(body, BODY_BYTES_MAX, &[&CHANGE])?;
    Ok(ChangeControl {
        name: take::text(&mut object, "name"),
        description: object
            .shift_remove("description")
            .map(|text| text.as_str().map(ToOwned::to_owned)),
        links: take::members(&mut object, "links").map(|members| links(&members)),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn problem(errors: FieldErrors, path: &str) -> String {
        errors.0.get(path).cloned().unwrap_or_default()
    }

    #[test]
    fn a_control_is_read_whole_or_every_problem_is_named() {
        let body = br#"{"identifier":"SDLC-1","name":"Review","links":{"a.b":"https://x"}}"#;
        let (identifier, texts) = create_control(body).unwrap();
        assert_eq!(identifier, "SDLC-1");
        assert_eq!(texts.name, "Review");
        assert_eq!(texts.description, None);
        assert_eq!(texts.links["a.b"], "https://x");
        assert_eq!(ControlTexts::from_json(Some(&texts.to_json())), texts);
        assert_eq!(ControlTexts::from_json(None), ControlTexts::default());
        let long = "a".repeat(257);
        let long_body = format!(r#"{{"identifier":"{long}","name":"n"}}"#);
        for (body, path, text) in [
            (
                r#"{"identifier":"bad identifier","name":"n"}"#,
                "identifier",
                r"String should match pattern '^[a-zA-Z0-9\-._~]+$' [input: bad identifier]",
            ),
            (
                r#"{"identifier":"","name":"n"}"#,
                "identifier",
                r"String should match pattern '^[a-zA-Z0-9\-._~]+$' [input: ]",
            ),
            (
                &long_body,
                "identifier",
                "String should have at most 256 characters",
            ),
            (r#"{"identifier":"a"}"#, "name", "Field required"),
            (
                r#"{"identifier":"a","name":1}"#,
                "name",
                "Input should be a valid string",
            ),
            (
                r#"{"identifier":"a","name":"n","owner":"o"}"#,
                "owner",
                "Extra inputs are not permitted",
            ),
            (
                r#"{"identifier":"a","name":"n","links":{"":"x"}}"#,
                "links.",
                "String should match pattern",
            ),
            (
                r#"{"identifier":"a","name":"n","links":{"x":1}}"#,
                "links.x",
                "Input should be a valid string",
            ),
        ] {
            let found = problem(create_control(body.as_bytes()).unwrap_err(), path);
            assert!(found.starts_with(text), "{body}: {found}");
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let before = ControlTexts {
            name: "n".to_owned(),
            description: Some("d".to_owned()),
            links: BTreeMap::from([("a".to_owned(), "x".to_owned())]),
        };
        let after = |body: &str| before.changed(&change_control(body.as_bytes()).unwrap());
        assert_eq!(after("{}"), before);
        assert_eq!(after(r#"{"name":"m"}"#).name, "m");
        assert_eq!(after(r#"{"description":null}"#).description, None);
        assert_eq!(
            after(r#"{"description":"e"}"#).description.as_deref(),
            Some("e")
        );
        assert_eq!(after(r#"{"links":{}}"#).links, BTreeMap::new());
        assert_eq!(after(r#"{"links":null}"#).links, before.links);
        assert!(change_control(br#"{"identifier":"b"}"#).is_err());
        assert!(change_control(b"null").is_err());
    }
}
