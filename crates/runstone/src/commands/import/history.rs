//! `import history`: facts of the past, a line each, told with the times they are claimed to have
//! happened at (design D10). One line becomes one request.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use runstone_api::client::{Call, Content, FilePart, Method, Payload};
use runstone_store::Progress;
use serde_json::{Map, Value};

use crate::commands::admin::progress;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[Flag::text(
    "source",
    "[defaulted] What the journal calls the origin of these facts. The default is the name of FILE.",
)];

/// No name of an origin is longer: it stands in every entry.
const SOURCE_BYTES_MAX: usize = 128;

/// The command.
pub static COMMAND: Command = Command {
    path: &["import", "history"],
    usage: "FILE",
    arguments: Arguments::Exactly(1),
    about: "Tell of what happened before Runstone was there.",
    details: DETAILS,
    flags: &[FLAGS, DRY_RUN],
    run,
    ..Command::DEFAULT
};

const DETAILS: &str = "FILE has one JSON object a line: \"at\", the time it happened as RFC 3339, and one fact. The facts are environment, flow, trail, artifact, attestation, approval, deployment, snapshot, tag, rename and archive; what is in them is what the API takes, and where it belongs:
  {\"at\": \"2022-08-22T11:30:00+02:00\", \"flow\": {\"name\": \"runner\", \"description\": \"\", \"template\": [\"artifact\", \"unit-test\"]}}
  {\"at\": \"2022-08-22T11:35:00+02:00\", \"artifact\": {\"flow\": \"runner\", \"fingerprint\": \"...\", \"filename\": \"runner:1\", ...}}
  {\"at\": \"2022-08-22T11:36:00+02:00\", \"attestation\": {\"flow\": \"runner\", \"trail\": \"...\", \"kind\": \"generic\", \"attestation_name\": \"unit-test\", ...}}
  {\"at\": \"2022-08-22T11:39:22+02:00\", \"snapshot\": {\"environment\": \"prod\", \"type\": \"K8S\", \"artifacts\": [...]}}
Only administrators may. Lines have to be in the order of time, environments may not have snapshots of their own yet, and trails take nothing older than what they were told last. The journal keeps both times, and that this was imported.
A line counts once for each source: after an error, mend the line and import the file again.";

/// One fact, ready to be sent.
struct Fact {
    /// Of the file, from 1.
    line: usize,
    at: Timestamp,
    call: Call,
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let path = context.argument(0);
    let source = source(context, path)?;
    let text = std::fs::read_to_string(path).map_err(|error| {
        anyhow::anyhow!("cannot read {path}: {}", crate::evidence::reason(&error))
    })?;
    let facts = read(context, path, &text)?;
    if facts.is_empty() {
        context.say(format_args!("No facts were found in {path}."));
        return Ok(());
    }
    let count = facts.len();
    let mut progress = progress(context);
    for (done, mut fact) in facts.into_iter().enumerate() {
        fact.call.headers = vec![
            ("Runstone-Imported-At", fact.at.to_string()),
            ("Runstone-Reporter", source.clone()),
            ("Runstone-Sequence", fact.line.to_string()),
        ];
        if let Err(error) = context.write_call(fact.call) {
            anyhow::bail!(
                "{path}:{}: {error}\n{done} of {count} facts are imported; import the file again to go on",
                fact.line
            );
        }
        progress(Progress {
            what: "importing",
            done: done as u64 + 1,
            total: count as u64,
        });
    }
    if !context.is_dry_run() {
        context.say(format_args!("{count} facts of {source} are imported"));
    }
    Ok(())
}

fn source(context: &Context, path: &str) -> anyhow::Result<String> {
    let given = context.values.text("source");
    let source = if given.is_empty() {
        let name = Path::new(path).file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    } else {
        given.to_owned()
    };
    let printable = source
        .chars()
        .all(|letter| letter.is_ascii_graphic() || letter == ' ');
    if !printable || source.trim().is_empty() || source.len() > SOURCE_BYTES_MAX {
        anyhow::bail!(
            "'{source}' cannot be the name of a source: give at most {SOURCE_BYTES_MAX} printable ASCII characters by --source"
        );
    }
    Ok(source)
}

/// Every fact of the file. Nothing is sent before all of it is understood.
fn read(context: &Context, path: &str, text: &str) -> anyhow::Result<Vec<Fact>> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut wrong = String::new();
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let fact = understand(context, folder, line).and_then(|(at, call)| {
            match facts.last().filter(|last| last.at > at) {
                Some(last) => Err(format!("its time is before that of line {}", last.line)),
                None => Ok(Fact {
                    line: number,
                    at,
                    call,
                }),
            }
        });
        match fact {
            Ok(fact) => facts.push(fact),
            Err(reason) => writeln!(wrong, "{path}:{number}: {reason}")?,
        }
    }
    if wrong.is_empty() {
        Ok(facts)
    } else {
        anyhow::bail!("{}", wrong.trim_end())
    }
}

fn understand(context: &Context, folder: &Path, line: &str) -> Result<(Timestamp, Call), String> {
    let mut object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let at = object.remove("at").ok_or("\"at\" is missing")?;
    let at: Timestamp = at
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("\"at\" is not an RFC 3339 time: {at}"))?;
    let mut facts = object.into_iter();
    let (Some((kind, Value::Object(told))), None) = (facts.next(), facts.next()) else {
        return Err("it needs one fact beside \"at\", which is an object".to_owned());
    };
    let mut told = Told { kind: &kind, told };
    let call = request(context, folder, &mut told)?;
    Ok((at, call))
}

/// What a fact says; what names its place is taken out before the rest is sent.
struct Told<'a> {
    kind: &'a str,
    told: Map<String, Value>,
}

impl Told<'_> {
    fn take(&mut self, name: &str) -> Result<String, String> {
        match self.told.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            _ => Err(format!("{}.{name} has to be a text", self.kind)),
        }
    }

    fn rest(&mut self) -> Value {
        Value::Object(std::mem::take(&mut self.told))
    }
}

fn request(context: &Context, folder: &Path, told: &mut Told<'_>) -> Result<Call, String> {
    let org = context.org();
    let json = |method, segments: &[&str], value: Value| {
        let url = context.api(segments, &[]);
        Call::new(method, url, Payload::Json(value.to_string()))
    };
    Ok(match told.kind {
        "environment" => json(Method::PUT, &["environments", org], told.rest()),
        "flow" => match told.told.get("template") {
            None | Some(Value::Array(_)) => json(Method::PUT, &["flows", org], told.rest()),
            Some(_) => {
                let template = told.take("template")?;
                let file = part(
                    "template_file",
                    "template.yml",
                    Content::Bytes(template.into()),
                );
                form(
                    context,
                    Method::PUT,
                    &["flows", org, "template_file"],
                    told.rest(),
                    Some(file),
                )
            }
        },
        "trail" => {
            let flow = told.take("flow")?;
            let file = if told.told.contains_key("template") {
                let template = told.take("template")?;
                Some(part(
                    "template_file",
                    "template.yml",
                    Content::Bytes(template.into()),
                ))
            } else {
                None
            };
            form(
                context,
                Method::PUT,
                &["trails", org, &flow],
                told.rest(),
                file,
            )
        }
        "attestation" => {
            let (flow, trail) = (told.take("flow")?, told.take("trail")?);
            let kind = told.take("kind")?;
            let file = if told.told.contains_key("attachment") {
                let name = told.take("attachment")?;
                let path = folder.join(&name);
                if !path.is_file() {
                    return Err(format!("attestation.attachment: there is no file {name}"));
                }
                Some(part("attachment_file", &name, Content::File(path)))
            } else {
                None
            };
            let segments = ["attestations", org, &flow, "trail", &trail, &kind];
            match kind.as_str() {
                "override" => json(Method::POST, &segments, told.rest()),
                _ => form(context, Method::POST, &segments, told.rest(), file),
            }
        }
        "artifact" | "approval" | "deployment" => {
            let flow = told.take("flow")?;
            let noun = format!("{}s", told.kind);
            json(Method::POST, &[&noun, org, &flow], told.rest())
        }
        "snapshot" => {
            let environment = told.take("environment")?;
            let segments = [
                "environments",
                org,
                &environment,
                "report",
                &told.take("type")?,
            ];
            json(Method::PUT, &segments, told.rest())
        }
        "tag" => {
            let (kind, id) = (told.take("type")?, told.take("id")?);
            json(Method::PATCH, &["tags", org, &kind, &id], told.rest())
        }
        "rename" | "archive" => {
            let (kind, name) = (told.take("type")?, told.take("name")?);
            let noun = match kind.as_str() {
                "flow" => "flows",
                "environment" => "environments",
                _ => return Err(format!("{}.type is flow or environment", told.kind)),
            };
            let verb = told.kind;
            json(Method::PUT, &[noun, org, &name, verb], told.rest())
        }
        other => return Err(format!("there is no fact {other}")),
    })
}

fn part(field: &str, name: &str, content: Content) -> FilePart {
    FilePart {
        field: field.to_owned(),
        file_name: name.to_owned(),
        content,
    }
}

fn form(
    context: &Context,
    method: Method,
    segments: &[&str],
    json: Value,
    file: Option<FilePart>,
) -> Call {
    let payload = Payload::Multipart {
        field: "data_json".into(),
        json: json.to_string(),
        file,
    };
    Call::new(method, context.api(segments, &[]), payload)
}
