//! Custom types of attestation (`api-flows.md` section 11).

use axum::http::{Method, StatusCode};
use runstone_api::attestation_type::{
    AttestationType, AttestationTypeVersion, CreateAttestationType, Evaluator, SummaryRow,
};
use runstone_api::seconds;
use runstone_model::command::Refusal;
use runstone_model::custom_type::{SCHEMA_PART, TypeVersion};
use runstone_model::fact::{CustomType, EntryIndex, Organization, TypeVersionRow};
use runstone_model::role::Right;
use runstone_store::Read;
use serde_json::Value;

use super::Names;
use super::trails::json_contents;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::multipart;
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Custom attestation types";
const MISSING: (u16, &str) = (404, "There is no such type or version.");
const INVALID: (u16, &str) = (400, "The request is not valid.");

/// Most bytes of a schema's file.
const SCHEMA_FILE_BYTES_MAX: usize = 10 << 20;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/custom-attestation-types/{org}"),
            docs(
                "get_custom_attestation_types",
                TAG,
                "List custom types of attestation",
                Success::Many(shape::<AttestationType>()),
                &[(200, "The types that are not archived, by name.")],
            ),
            list,
        ),
        write(
            Method::POST,
            Right::ChangeFlow,
            BodyBound::Form,
            api("/custom-attestation-types/{org}"),
            docs(
                "post_custom_attestation_type",
                TAG,
                "Create a custom type of attestation, or a new version of one",
                Success::Ok,
                &[(201, "The version is made."), INVALID],
            )
            .about("A form: data_json holds name, description, evaluator and summary, type_schema a JSON Schema. An archived type of this name comes back.")
            .body(shape::<CreateAttestationType>()),
            create,
        ),
        get(
            Right::Read,
            api("/custom-attestation-types/{org}/{custom_attestation_type_name}"),
            docs(
                "get_custom_attestation_type",
                TAG,
                "Get a custom type of attestation",
                Success::One(shape::<AttestationType>()),
                &[(200, "The type, archived or not."), INVALID, MISSING],
            )
            .query([param("version", Of::Integer, "Only this version.")]),
            get_one,
        ),
        write(
            Method::PUT,
            Right::ChangeFlow,
            BodyBound::Other,
            api("/custom-attestation-types/{org}/{custom_attestation_type_name}/archive"),
            docs(
                "archive_custom_attestation_type",
                TAG,
                "Archive a custom type of attestation",
                Success::Ok,
                &[
                    (
                        200,
                        "Archived; what was attested keeps what it says.",
                    ),
                    MISSING,
                ],
            ),
            archive,
        ),
    ]
}

async fn create(call: WriteCall) -> Answer {
    let app = &call.parts.app;
    let form = multipart::read(
        &call.parts.headers,
        call.body,
        SCHEMA_PART,
        SCHEMA_FILE_BYTES_MAX,
    )
    .await?;
    let made = app
        .read_type(form.data, form.file.map(|file| file.bytes))
        .await?;
    app.put_type(call.caller, &call.organization, made).await?;
    Ok(answer::ok(StatusCode::CREATED))
}

async fn archive(call: WriteCall) -> Answer {
    let name = call.parts.param("custom_attestation_type_name");
    call.parts
        .app
        .archive_type(call.caller, &call.organization, name)
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

/// Types with these versions, in the order given.
async fn show_all(
    read: &mut Read,
    organization: &Organization,
    types: Vec<(CustomType, Vec<TypeVersionRow>)>,
) -> Result<Vec<AttestationType>, AppError> {
    let versions = || types.iter().flat_map(|(_, versions)| versions);
    let entries: Vec<EntryIndex> = versions().map(|version| version.entry).collect();
    let definitions = read.definitions(organization.no, &entries).await?;
    let comments: Vec<(EntryIndex, u32)> = versions()
        .filter_map(|version| Some((version.entry, version.comment?)))
        .collect();
    let comments = json_contents(read, organization, &comments).await?;
    let mut names = Names::default();
    let mut shown = Vec::with_capacity(types.len());
    for (known, versions) in types {
        let mut listed = Vec::with_capacity(versions.len());
        for version in versions {
            let Some(definition) = definitions.get(&version.entry) else {
                continue;
            };
            let comment = version
                .comment
                .and_then(|position| comments.get(&(version.entry, position)))
                .and_then(|body| body["text"].as_str());
            let by = names.of(read, organization, &version.by).await?;
            listed.push(show_version(&version, definition, comment, by)?);
        }
        shown.push(AttestationType {
            created_by: Some(names.of(read, organization, &known.created_by).await?),
            name: known.name,
            description: known.description,
            org: organization.name.clone(),
            archived: known.archived_at.is_some(),
            created_at: Some(seconds(known.created_at)),
            last_modified_at: Some(seconds(known.modified_at)),
            versions: listed,
        });
    }
    Ok(shown)
}

fn show_version(
    version: &TypeVersionRow,
    definition: &str,
    comment: Option<&str>,
    created_by: String,
) -> Result<AttestationTypeVersion, AppError> {
    let definition: Value = serde_json::from_str(definition)
        .map_err(|error| AppError::Internal(format!("a custom type: {error}")))?;
    let demands = definition
        .as_object()
        .map(TypeVersion::from_json)
        .unwrap_or_default();
    Ok(AttestationTypeVersion {
        version: version.version,
        timestamp: seconds(version.at),
        type_schema: demands.schema,
        evaluator: Evaluator {
            content_type: if demands.rules.is_some() {
                "jq"
            } else {
                "default"
            }
            .to_owned(),
            rules: demands.rules,
        },
        summary: demands.summary.map(|rows| {
            rows.into_iter()
                .map(|row| SummaryRow {
                    name: row.name,
                    expression: row.expression,
                })
                .collect()
        }),
        created_by,
        comment: comment.map(ToOwned::to_owned),
    })
}

async fn list(mut call: ReadCall) -> Answer {
    let org = &call.organization;
    let types = call.read.custom_types(org.no).await?;
    let numbers: Vec<_> = types.iter().map(|known| known.no).collect();
    let mut versions = call.read.type_versions(org.no, &numbers).await?;
    let types = types
        .into_iter()
        .map(|known| {
            let versions = versions.remove(&known.no).unwrap_or_default();
            (known, versions)
        })
        .collect();
    let shown = show_all(&mut call.read, org, types).await?;
    answer::json(StatusCode::OK, &shown)
}

async fn get_one(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let wanted = check.integer("version", query.filled("version"), 1, None);
    check.finish()?;
    let org = &call.organization;
    let name = call.parts.param("custom_attestation_type_name");
    let known = call
        .read
        .custom_type_named(org.no, name)
        .await?
        .ok_or_else(|| Refusal::TypeMissing {
            name: name.to_owned(),
            organization: org.name.clone(),
        })?;
    let versions = match wanted {
        None => call
            .read
            .type_versions(org.no, &[known.no])
            .await?
            .remove(&known.no)
            .unwrap_or_default(),
        Some(wanted) => {
            let found = match u32::try_from(wanted) {
                Ok(version) => call.read.type_version(org.no, known.no, version).await?,
                Err(_) => None,
            };
            vec![found.ok_or_else(|| {
                AppError::missing(format!(
                    "version {wanted} does not exist for custom attestation type '{name}'"
                ))
            })?]
        }
    };
    let mut shown = show_all(&mut call.read, org, vec![(known, versions)]).await?;
    let mut shown = shown
        .pop()
        .ok_or_else(|| AppError::Internal("a type is not shown".to_owned()))?;
    if wanted.is_some() {
        shown.created_by = None;
        shown.created_at = None;
        shown.last_modified_at = None;
    }
    answer::json(StatusCode::OK, &shown)
}
