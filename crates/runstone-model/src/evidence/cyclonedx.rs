//! Bills of materials: CycloneDX in JSON and XML.

use serde_json::{Value, json};

use super::xml::Tag;
use super::{Format, XmlReader, cut, items_at, str_at, text_at};

/// What the namespace of the XML form starts with; the version follows.
const NAMESPACE: &str = "http://cyclonedx.org/schema/bom/";

pub(super) static FORMAT: Format = Format {
    name: "cyclonedx",
    json: Some(|file| {
        (str_at(file, &["bomFormat"]) == Some("CycloneDX")).then(|| {
            json!({
                "version": text_at(file, &["specVersion"]),
                "serial_number": text_at(file, &["serialNumber"]),
                "name": text_at(file, &["metadata", "component", "name"]),
                "components": items_at(file, &["components"]).len(),
                "dependencies": items_at(file, &["dependencies"]).len(),
                "vulnerabilities": items_at(file, &["vulnerabilities"]).len(),
            })
        })
    }),
    xml: Some(|root| {
        let version = root.get("xmlns")?.strip_prefix(NAMESPACE)?;
        (root.name == "bom").then(|| {
            Box::new(Bom {
                version: cut(version),
                serial_number: root.get("serialNumber").map_or(Value::Null, cut),
                path: Vec::new(),
                components: 0,
                dependencies: 0,
                vulnerabilities: 0,
            }) as Box<dyn XmlReader>
        })
    }),
};

struct Bom {
    version: Value,
    serial_number: Value,
    /// The list below the root that is open.
    path: Vec<&'static str>,
    components: u64,
    dependencies: u64,
    vulnerabilities: u64,
}

impl XmlReader for Bom {
    fn begin(&mut self, depth: usize, tag: &Tag<'_>) {
        if depth == 1 {
            self.path.clear();
            let lists = ["components", "dependencies", "vulnerabilities"];
            self.path
                .extend(lists.iter().find(|list| **list == tag.name));
        }
        if depth == 2 {
            match (self.path.first().copied(), tag.name) {
                (Some("components"), "component") => self.components += 1,
                (Some("dependencies"), "dependency") => self.dependencies += 1,
                (Some("vulnerabilities"), "vulnerability") => self.vulnerabilities += 1,
                _ => {}
            }
        }
    }

    fn finish(&mut self) -> Option<Value> {
        Some(json!({
            "version": self.version,
            "serial_number": self.serial_number,
            "name": null,
            "components": self.components,
            "dependencies": self.dependencies,
            "vulnerabilities": self.vulnerabilities,
        }))
    }
}
