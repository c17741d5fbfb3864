//! Packages and pages for auditors: of a trail, of an artifact, of an attestation (`api-flows.md`
//! sections 5.6 and 7.6). They are there for archived flows, too.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use runstone_model::command::Refusal;
use runstone_model::fact::{Artifact, Attestation, AttestationNo, EntryIndex, Flow, Trail};
use runstone_model::id::{Micros, Named, parse_wire_id};
use runstone_model::role::Right;
use runstone_store::{AttachedFile, LogHead};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{artifacts, attestations, trails};
use crate::app::error::{AppError, with_causes};
use crate::audit::{self, Archive, Page, Table, time};
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::download::{safe_name, saved};
use crate::http::log;
use crate::http::openapi::{Docs, Success, docs};
use crate::http::router::{Endpoint, api, read as get};

const GZIP: HeaderValue = HeaderValue::from_static("application/gzip");
const PDF: HeaderValue = HeaderValue::from_static("application/pdf");
const MISSING: (u16, &str) = (
    404,
    "There is no such flow, trail, artifact or attestation.",
);
const INVALID: (u16, &str) = (400, "The request is not valid.");
/// So many objects are read at once.
const AT_ONCE: usize = 256;
/// Most characters of a name in a path of the archive.
const NAME_CHARS_MAX: usize = 40;
/// Pieces that wait for a slow client.
const PIECES_WAITING: usize = 2;
const INFALLIBLE: &str = "writing to a string succeeds";
/// What no field of an erased text says any more.
const ERASED: &str = "(erased)";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Trail,
    Artifact,
    Attestation,
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Package,
    Pdf,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let package = |id: &'static str, tag, summary| {
        docs(
            id,
            tag,
            summary,
            Success::Other("application/gzip"),
            &[(200, "A compressed tar archive."), INVALID, MISSING],
        )
        .about("Objects, evidence, journal entries with their receipts and the public keys, and how to verify them. The same state gives the same bytes.")
    };
    let pdf = |id: &'static str, tag, summary| {
        docs(
            id,
            tag,
            summary,
            Success::Other("application/pdf"),
            &[(200, "The page."), INVALID, MISSING],
        )
    };
    let trail = "/trails/{org}/{flow_name}/{trail_name}";
    let artifact = "/artifacts/{org}/{flow_name}/{fingerprint}";
    let attestation =
        "/attestations/{org}/{flow_name}/trail/{trail_name}/attestation/{attestation_id}";
    let at = |path: &str, docs: Docs, of: Of, form: Form| {
        get(Right::Read, api(path), docs, move |call| {
            serve(call, of, form)
        })
    };
    vec![
        at(
            &format!("{trail}/audit_package"),
            package(
                "download_trail_audit_package",
                "Trails",
                "Download everything about a trail, for auditors",
            ),
            Of::Trail,
            Form::Package,
        ),
        at(
            &format!("{trail}/audit_pdf"),
            pdf(
                "download_trail_audit_pdf",
                "Trails",
                "Download a page about a trail, to read",
            ),
            Of::Trail,
            Form::Pdf,
        ),
        at(
            &format!("{artifact}/audit_package"),
            package(
                "get_audit_package",
                "Artifacts",
                "Download everything about an artifact, for auditors",
            ),
            Of::Artifact,
            Form::Package,
        ),
        at(
            &format!("{artifact}/audit_pdf"),
            pdf(
                "get_artifact_audit_pdf",
                "Artifacts",
                "Download a page about an artifact, to read",
            ),
            Of::Artifact,
            Form::Pdf,
        ),
        at(
            &format!("{attestation}/audit_package"),
            package(
                "get_attestation_audit_package",
                "Attestations",
                "Download everything about an attestation, for auditors",
            ),
            Of::Attestation,
            Form::Package,
        ),
        at(
            &format!("{attestation}/audit_pdf"),
            pdf(
                "get_attestation_audit_pdf",
                "Attestations",
                "Download a page about an attestation, to read",
            ),
            Of::Attestation,
            Form::Pdf,
        ),
    ]
}

/// What goes into a package or a page.
struct Case {
    of: Of,
    /// What it is about, in words.
    title: String,
    /// Folder of the package, and name of the page.
    folder: String,
    page: &'static str,
    flow: Flow,
    trail: Trail,
    /// The trail as the API shows it; none if it was not begun by name.
    shown_trail: Option<Value>,
    /// Reports of artifacts with what the API shows of them, oldest first.
    artifacts: Vec<(Artifact, Value)>,
    /// The same of attestations.
    attestations: Vec<(Attestation, Value)>,
    /// Entries whose texts were erased.
    erased: HashSet<EntryIndex>,
    /// Entries that recorded all this, ascending.
    entries: Vec<EntryIndex>,
    head: LogHead,
}

async fn serve(mut call: ReadCall, of: Of, form: Form) -> Answer {
    // It takes its time.
    call.read.bound_bytes(usize::MAX)?;
    let case = case(&mut call, of).await?;
    let page = page(&call, &case).finish();
    match form {
        Form::Pdf => {
            let response = answer::body(StatusCode::OK, PDF, page);
            Ok(saved(response, &format!("{}.pdf", case.folder)))
        }
        Form::Package => package(&mut call, case, page).await,
    }
}

/// Gathers what is asked for.
async fn case(call: &mut ReadCall, of: Of) -> Result<Case, AppError> {
    let parts = Arc::clone(&call.parts);
    let organization = Arc::clone(&call.organization);
    let name = parts.param("flow_name");
    let flow = call.read.flow_named(organization.no, name).await?;
    let flow = flow.ok_or_else(|| Refusal::FlowMissing {
        name: name.to_owned(),
        organization: organization.name.clone(),
    })?;
    let (trail, wanted) = match of {
        Of::Trail | Of::Attestation => (named_trail(call, &flow).await?, None),
        Of::Artifact => {
            let prefix = artifacts::digits("fingerprint", parts.param("fingerprint"), 64)?;
            let found = artifacts::found_in_flow(call, &flow, prefix).await?;
            let report = found.into_iter().next().ok_or_else(|| {
                AppError::missing(format!(
                    "Artifact with fingerprint '{prefix}' does not exist in flow '{name}' belonging to organization '{}'",
                    organization.name
                ))
            })?;
            let trails = call.read.trails(organization.no, &[report.trail]).await?;
            let trail = trails.into_values().next();
            let trail = trail.ok_or_else(|| AppError::Internal("a trail is missing".to_owned()))?;
            (trail, Some(report.fingerprint))
        }
    };
    let reports = call.read.trail_reports(&trail).await?;
    let tellings = call.read.tellings(&trail).await?;
    let (mut reported, mut attested) = (reports.artifacts, reports.attestations);
    match of {
        Of::Trail => {}
        Of::Artifact => {
            reported.retain(|artifact| Some(artifact.fingerprint) == wanted);
            attested.retain(|attestation| {
                reported
                    .iter()
                    .any(|artifact| attestation.is_about(artifact))
            });
        }
        Of::Attestation => {
            let id = parts.param("attestation_id");
            let no = parse_wire_id(Named::Attestation, &organization.id, id).map(AttestationNo);
            attested.retain(|attestation| Some(attestation.no) == no);
            if attested.is_empty() {
                return Err(AppError::missing(format!(
                    "Attestation '{id}' does not exist in trail '{}'",
                    trail.name
                )));
            }
            reported.retain(|artifact| attested.iter().any(|told| told.is_about(artifact)));
        }
    }
    let origin = parts.origin();
    let shown_trail = if trail.implicit {
        None
    } else {
        let shown = trails::show(&mut call.read, &organization, &origin, &flow, &trail).await?;
        Some(to_value(&shown)?)
    };
    let mut views = Vec::with_capacity(reported.len());
    for view in artifacts::views(call, &reported).await? {
        views.push(to_value(&view)?);
    }
    let (mut shown, mut erased) = (Vec::with_capacity(attested.len()), HashSet::new());
    for some in attested.chunks(AT_ONCE) {
        let read = &mut call.read;
        shown.extend(attestations::show_all(read, &organization, &origin, some).await?);
    }
    let told = reported.iter().map(|report| report.entry);
    let told: Vec<_> = told
        .chain(attested.iter().map(|report| report.entry))
        .collect();
    for some in told.chunks(AT_ONCE) {
        let places: Vec<_> = some.iter().map(|entry| (*entry, 0)).collect();
        let contents = trails::json_contents(&mut call.read, &organization, &places).await?;
        let gone = places.iter().filter(|place| !contents.contains_key(place));
        erased.extend(gone.map(|(entry, _)| *entry));
    }
    let mut entries: Vec<EntryIndex> = tellings.iter().map(|telling| telling.entry).collect();
    entries.extend(told);
    entries.sort_unstable();
    entries.dedup();
    let head = call.read.log(organization.no, None).await?;
    let head = head.ok_or_else(|| AppError::missing("This organization has no log yet"))?;
    let (title, about, page) = match of {
        Of::Trail => (
            format!("Trail {} of flow {}", trail.name, flow.name),
            trail.name.clone(),
            "trail-page.pdf",
        ),
        Of::Artifact => {
            let report = reported.last();
            let name = report.map_or("", |report| report.filename.as_str());
            let fingerprint = report.map(|report| report.fingerprint.to_hex());
            (
                format!("Artifact {name} of flow {}", flow.name),
                fingerprint.unwrap_or_default().chars().take(12).collect(),
                "artifact-page.pdf",
            )
        }
        Of::Attestation => (
            format!("Attestation {} in trail {}", attested[0].name, trail.name),
            attested[0].name.clone(),
            "attestation-page.pdf",
        ),
    };
    let word = match of {
        Of::Trail => "trail",
        Of::Artifact => "artifact",
        Of::Attestation => "attestation",
    };
    Ok(Case {
        of,
        title,
        folder: format!("{word}-{}", short(&about)),
        page,
        flow,
        trail,
        shown_trail,
        artifacts: reported.into_iter().zip(views).collect(),
        attestations: attested.into_iter().zip(shown).collect(),
        erased,
        entries,
        head,
    })
}

/// The trail that the path names, in a flow that may be archived.
async fn named_trail(call: &mut ReadCall, flow: &Flow) -> Result<Trail, AppError> {
    let parts = Arc::clone(&call.parts);
    let (organization, name) = (&call.organization, parts.param("trail_name"));
    let found = call
        .read
        .trail_named(organization.no, flow.no, name)
        .await?;
    found.filter(|trail| !trail.implicit).ok_or_else(|| {
        AppError::missing(format!(
            "Trail with name '{name}' does not exist for Organization '{}' and Flow '{}'",
            organization.name,
            parts.param("flow_name")
        ))
    })
}

fn to_value(shown: &impl serde::Serialize) -> Result<Value, AppError> {
    serde_json::to_value(shown)
        .map_err(|error| AppError::Internal(format!("an answer cannot be written: {error}")))
}

/// A safe name that leaves room in a path.
fn short(name: &str) -> String {
    let safe = safe_name(name, "unnamed");
    safe.chars().take(NAME_CHARS_MAX).collect()
}

/// A number and a name, which together are unique.
fn numbered(position: usize, name: &str) -> String {
    format!("{:04}-{}", position + 1, short(name))
}

fn unwritten(error: io::Error) -> AppError {
    AppError::Internal(format!("a package cannot be written: {error}"))
}

/// The package: what is small is gathered in the read transaction and compressed at once; large
/// files follow as they come from the store.
async fn package(call: &mut ReadCall, case: Case, page: Vec<u8>) -> Answer {
    let mut archive = Archive::new(&case.folder);
    let mut files = Vec::new();
    fill(call, &case, &page, &mut archive, &mut files).await?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES_WAITING);
    tokio::spawn(async move {
        if let Err(error) = send(archive, files, &sender).await {
            // The answer has begun; all that can be done is to break it off.
            tracing::error!("a package cannot be sent: {}", with_causes(&error));
            let _ = sender.send(Err(error)).await;
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let response = answer::body(StatusCode::OK, GZIP, Body::from_stream(pieces));
    Ok(saved(response, &format!("{}.tar.gz", case.folder)))
}

/// Writes everything but large files, which are left for later.
async fn fill(
    call: &mut ReadCall,
    case: &Case,
    page: &[u8],
    archive: &mut Archive,
    files: &mut Vec<(String, AttachedFile)>,
) -> Result<(), AppError> {
    let head = &case.head;
    let read_me = audit::read_me(&case.title, case.page, &head.origin, head.size);
    archive
        .add("README.md", read_me.as_bytes())
        .map_err(unwritten)?;
    archive.add(case.page, page).map_err(unwritten)?;
    let mut add_json = |path: &str, value: &Value| {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
        bytes.push(b'\n');
        archive.add(path, &bytes)
    };
    if let Some(shown) = &case.shown_trail {
        add_json("trail.json", shown).map_err(unwritten)?;
    }
    for (position, (artifact, view)) in case.artifacts.iter().enumerate() {
        let name = artifact.name.as_deref().unwrap_or(&artifact.filename);
        let path = format!("artifacts/{}.json", numbered(position, name));
        add_json(&path, view).map_err(unwritten)?;
    }
    for (position, (attestation, shown)) in case.attestations.iter().enumerate() {
        let path = format!(
            "attestations/{}.json",
            numbered(position, &attestation.name)
        );
        add_json(&path, shown).map_err(unwritten)?;
    }
    let keys = log::keys(head);
    let mut policy = String::new();
    for key in &head.keys {
        writeln!(policy, "log {}", key.vkey).expect(INFALLIBLE);
    }
    policy.push_str("quorum none\n");
    archive
        .add("journal/keys", keys.as_bytes())
        .map_err(unwritten)?;
    archive
        .add("journal/policy", policy.as_bytes())
        .map_err(unwritten)?;
    let note = head.note.as_bytes();
    archive.add("journal/checkpoint", note).map_err(unwritten)?;
    let mut erased = String::new();
    for some in case.entries.chunks(AT_ONCE) {
        let entries = call
            .read
            .journal_entries(call.organization.no, some)
            .await?;
        let indexes: Vec<EntryIndex> = entries.iter().map(|entry| entry.index).collect();
        let receipts = call.read.receipts(head, &indexes).await?;
        for (entry, receipt) in entries.into_iter().zip(receipts) {
            let index = entry.index;
            let path = format!("journal/entries/{index}.json");
            archive.add(&path, &entry.bytes).map_err(unwritten)?;
            if let Some(receipt) = receipt {
                let path = format!("journal/receipts/{index}.tlog-proof");
                archive.add(&path, receipt.as_bytes()).map_err(unwritten)?;
            }
            let attached = case
                .attestations
                .iter()
                .position(|(told, _)| told.entry == index && told.is_attached);
            for (position, body) in entry.bodies.into_iter().enumerate() {
                let Some(content) = body.content else {
                    let digest = body.digest.to_hex();
                    writeln!(erased, "{index} {position} {digest}").expect(INFALLIBLE);
                    continue;
                };
                // The file stands after what was told with it.
                let path = match attached.filter(|_| position == 1) {
                    Some(place) => evidence_path(place, &case.attestations[place]),
                    None => format!("journal/bodies/{index}-{position}"),
                };
                match content.in_hand() {
                    Some(bytes) => archive.add(&path, bytes).map_err(unwritten)?,
                    None => files.push((path, content)),
                }
            }
        }
    }
    if !erased.is_empty() {
        archive
            .add("journal/erased", erased.as_bytes())
            .map_err(unwritten)?;
    }
    Ok(())
}

/// Where the file of an attestation lies.
fn evidence_path(place: usize, (attestation, shown): &(Attestation, Value)) -> String {
    let file = shown["evidence_archive_path"].as_str().unwrap_or_default();
    let file: String = safe_name(file, "evidence")
        .chars()
        .take(NAME_CHARS_MAX)
        .collect();
    format!("evidence/{}/{file}", numbered(place, &attestation.name))
}

/// Sends what is there, then the large files, then the end. Returns early where nobody listens.
async fn send(
    mut archive: Archive,
    files: Vec<(String, AttachedFile)>,
    sender: &mpsc::Sender<Result<Bytes, io::Error>>,
) -> Result<(), io::Error> {
    if sender.send(Ok(archive.take())).await.is_err() {
        return Ok(());
    }
    for (path, file) in files {
        let (bytes, digest) = (file.bytes, file.digest.to_hex());
        archive.begin(&path, bytes)?;
        let mut pieces = pin!(file.pieces(0..bytes));
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(io::Error::other)?;
            let compressed = tokio::task::spawn_blocking(move || {
                let fed = archive.feed(&piece);
                let ready = archive.take();
                (archive, fed.map(|()| ready))
            });
            let (same, ready) = compressed.await.map_err(io::Error::other)?;
            archive = same;
            let ready = ready?;
            if !ready.is_empty() && sender.send(Ok(ready)).await.is_err() {
                return Ok(());
            }
        }
        archive.end(&path, bytes, &digest)?;
    }
    let end = archive.finish()?;
    let _ = sender.send(Ok(end)).await;
    Ok(())
}

/// A text at a path of members; empty if there is none.
fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(is)) => if *is { "yes" } else { "no" }.to_owned(),
        _ => String::new(),
    }
}

fn told_at(value: &Value, path: &str) -> String {
    let at = value.pointer(path).and_then(Value::as_f64);
    at.filter(|at| *at > 0.0)
        .map(|at| time(Micros::from_seconds(at)))
        .unwrap_or_default()
}

fn page(call: &ReadCall, case: &Case) -> Page {
    let mut page = Page::new(&case.title);
    page.fact("Organization", &call.organization.name);
    let archived = case.flow.archived_at.map_or("", |_| " (archived)");
    page.fact("Flow", &format!("{}{archived}", case.flow.name));
    match case.of {
        Of::Trail => {
            if let Some(shown) = &case.shown_trail {
                trail_facts(&mut page, case, shown);
            }
        }
        Of::Artifact => {
            if let Some((artifact, view)) = case.artifacts.last() {
                artifact_facts(&mut page, case, artifact, view);
            }
        }
        Of::Attestation => {
            if let Some((attestation, shown)) = case.attestations.first() {
                attestation_facts(&mut page, case, attestation, shown);
            }
        }
    }
    if case.of != Of::Attestation || !case.artifacts.is_empty() {
        page.heading("Artifacts");
        let rows = case.artifacts.iter().map(|(artifact, view)| {
            let mut state = text(view, "/state");
            if case.erased.contains(&artifact.entry) {
                state = format!("{state} {ERASED}");
            }
            vec![
                artifact.name.clone().unwrap_or_default(),
                artifact.filename.clone(),
                artifact.fingerprint.to_hex(),
                state,
                time(artifact.at),
            ]
        });
        let table = Table {
            columns: vec![
                ("Name", 1.0),
                ("Artifact", 1.6),
                ("Fingerprint", 2.6),
                ("State", 1.1),
                ("Reported", 1.2),
            ],
            rows: rows.collect(),
        };
        page.table(&table, "None were reported.");
    }
    if case.of != Of::Attestation {
        page.heading("Attestations");
        page.table(&attestations_table(case), "None were reported.");
    }
    if case.of == Of::Trail {
        page.heading("Promised and missing");
        let table = Table {
            columns: vec![("Of", 1.0), ("Name", 1.0), ("Kind", 1.0)],
            rows: missing(case.shown_trail.as_ref()),
        };
        page.table(&table, "Nothing is missing.");
    }
    page.heading("Proof");
    page.fact("Log", &case.head.origin);
    page.fact(
        "Checkpoint",
        &format!(
            "of {} entries, in journal/checkpoint of the package",
            case.head.size
        ),
    );
    let entries: Vec<String> = case.entries.iter().map(ToString::to_string).collect();
    page.fact("Entries", &entries.join(", "));
    for key in &case.head.keys {
        page.fact("Public key", &key.vkey);
    }
    page.paragraph("This page is a summary. The audit package holds the entries, a proof of each, and how to check them without Runstone.");
    page
}

fn commit_facts(page: &mut Page, shown: &Value) {
    for (name, path) in [
        ("Commit", "/git_commit_info/sha1"),
        ("Message", "/git_commit_info/message"),
        ("Author", "/git_commit_info/author"),
        ("Branch", "/git_commit_info/branch"),
        ("Commit URL", "/git_commit_info/url"),
    ] {
        page.fact(name, &text(shown, path));
    }
}

fn links(page: &mut Page, shown: &Value) {
    if let Some(Value::Object(urls)) = shown.pointer("/external_urls") {
        for (label, url) in urls {
            let fingerprint = text(url, "/fingerprint");
            let fingerprint = match fingerprint.as_str() {
                "" => String::new(),
                fingerprint => format!(" (SHA-256 {fingerprint})"),
            };
            page.fact(
                "Link",
                &format!("{label}: {}{fingerprint}", text(url, "/href")),
            );
        }
    }
    page.fact("Page", &text(shown, "/html_url"));
}

fn trail_facts(page: &mut Page, case: &Case, shown: &Value) {
    page.fact("Trail", &case.trail.name);
    page.fact("State", &text(shown, "/compliance_state"));
    page.fact("Description", &text(shown, "/description"));
    commit_facts(page, shown);
    page.fact("Origin", &text(shown, "/origin_url"));
    let by = text(shown, "/created_by");
    page.fact("Begun", &format!("{} by {by}", time(case.trail.created_at)));
    page.fact("Last changed", &told_at(shown, "/last_modified_at"));
    links(page, shown);
}

fn artifact_facts(page: &mut Page, case: &Case, artifact: &Artifact, view: &Value) {
    page.fact("Artifact", &artifact.filename);
    page.fact("Fingerprint", &artifact.fingerprint.to_hex());
    page.fact("State", &text(view, "/state"));
    page.fact("Why", &text(view, "/state_info"));
    if !case.trail.implicit {
        page.fact("Trail", &case.trail.name);
    }
    commit_facts(page, view);
    page.fact("Commit", &text(view, "/git_commit"));
    page.fact("Build", &text(view, "/build_url"));
    page.fact("Reported", &time(artifact.at));
    links(page, view);
    page.heading("History");
    let history = view.pointer("/history").and_then(Value::as_array);
    let rows = history.into_iter().flatten().map(|line| {
        let late = if line["late"] == json!(true) {
            " (late)"
        } else {
            ""
        };
        vec![
            told_at(line, "/timestamp"),
            format!("{}{late}", text(line, "/event")),
        ]
    });
    let table = Table {
        columns: vec![("When", 1.0), ("What", 3.0)],
        rows: rows.collect(),
    };
    page.table(&table, "Nothing happened.");
}

fn attestation_facts(page: &mut Page, case: &Case, attestation: &Attestation, shown: &Value) {
    page.fact("Trail", &case.trail.name);
    page.fact("Attestation", &attestation.name);
    page.fact("Kind", &attestation.kind);
    page.fact(
        "Compliant",
        if attestation.is_compliant {
            "yes"
        } else {
            "no"
        },
    );
    page.fact("About", &about(attestation));
    page.fact("Description", &text(shown, "/description"));
    commit_facts(page, shown);
    page.fact("Origin", &text(shown, "/origin_url"));
    let by = text(shown, "/reported_by");
    page.fact("Received", &format!("{} by {by}", time(attestation.at)));
    page.fact("File", &text(shown, "/evidence_archive_path"));
    page.fact(
        "SHA-256 of it",
        &text(shown, "/evidence_archive_fingerprint"),
    );
    if let Some(recognised) = shown.get("recognised_evidence") {
        page.fact("Recognised as", &text(recognised, "/format"));
        page.fact("Summary", &recognised["summary"].to_string());
    }
    links(page, shown);
    if case.erased.contains(&attestation.entry) {
        page.fact("Text", ERASED);
    }
}

/// What an attestation is about, in a few letters.
fn about(attestation: &Attestation) -> String {
    let artifact = attestation
        .fingerprint
        .map(|fingerprint| fingerprint.to_hex().chars().take(12).collect::<String>());
    match (attestation.targets.join(", "), artifact) {
        (targets, None) if targets.is_empty() => "the trail".to_owned(),
        (targets, None) => targets,
        (targets, Some(artifact)) if targets.is_empty() => artifact,
        (targets, Some(artifact)) => format!("{targets} {artifact}"),
    }
}

fn attestations_table(case: &Case) -> Table {
    let rows = case.attestations.iter().map(|(attestation, shown)| {
        let mut name = attestation.name.clone();
        if case.erased.contains(&attestation.entry) {
            name = format!("{name} {ERASED}");
        }
        vec![
            name,
            attestation.kind.clone(),
            about(attestation),
            if attestation.is_compliant {
                "yes"
            } else {
                "no"
            }
            .to_owned(),
            time(attestation.at),
            text(shown, "/reported_by"),
            text(shown, "/evidence_archive_fingerprint"),
        ]
    });
    Table {
        columns: vec![
            ("Name", 1.5),
            ("Kind", 1.1),
            ("About", 1.2),
            ("Compliant", 0.85),
            ("Received", 1.0),
            ("By", 0.9),
            ("SHA-256 of the file", 1.6),
        ],
        rows: rows.collect(),
    }
}

/// What the template promises and nobody reported.
fn missing(shown: Option<&Value>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let Some(status) = shown.map(|shown| &shown["compliance_status"]) else {
        return rows;
    };
    let is_missing = |slot: &Value| slot["status"] == json!("MISSING");
    let mut slots = |of: &str, slots: &Value| {
        for slot in slots
            .as_array()
            .into_iter()
            .flatten()
            .filter(|slot| is_missing(slot))
        {
            rows.push(vec![
                of.to_owned(),
                text(slot, "/attestation_name"),
                text(slot, "/attestation_type"),
            ]);
        }
    };
    slots("the trail", &status["attestations_statuses"]);
    if let Some(artifacts) = status["artifacts_statuses"].as_object() {
        for (name, artifact) in artifacts {
            slots(name, &artifact["attestations_statuses"]);
        }
        for (name, _) in artifacts.iter().filter(|(_, status)| is_missing(status)) {
            rows.push(vec![name.clone(), String::new(), "artifact".to_owned()]);
        }
    }
    rows
}
