//! The OpenAPI 3.1 document, generated from the list of endpoints.

use std::borrow::Cow;
use std::collections::BTreeSet;

use runstone_api::error::ErrorBody;
use runstone_api::path::API;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder,
    PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, ServerBuilder, Type,
    schema::{ArrayBuilder, OneOfBuilder},
};
use utoipa::{PartialSchema, ToSchema};

use super::router::{Access, Endpoint, endpoints};

/// A shape of the wire.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    name: fn() -> Cow<'static, str>,
    schema: fn() -> RefOr<Schema>,
    parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

/// The shape of a type.
pub(crate) fn shape<T: ToSchema + PartialSchema>() -> Shape {
    Shape {
        name: T::name,
        schema: T::schema,
        parts: T::schemas,
    }
}

/// The body of a successful answer.
#[derive(Clone, Copy)]
pub(crate) enum Success {
    /// The text `"OK"`.
    Ok,
    /// A value.
    One(Shape),
    /// A value of one of two shapes.
    Either(Shape, Shape),
    /// A list.
    Many(Shape),
    /// A list, or with paging parameters an envelope.
    ManyOrPage(Shape, Shape),
    /// Something that is not JSON.
    Other(&'static str),
}

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Text,
    Texts,
    Integer,
    Number,
    Boolean,
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    pub(crate) required: bool,
    pub(crate) text: &'static str,
}

/// A query parameter that may be absent.
pub(crate) const fn param(name: &'static str, of: Of, text: &'static str) -> Param {
    Param {
        name,
        of,
        required: false,
        text,
    }
}

/// What the document says of an endpoint.
#[derive(Clone)]
pub(crate) struct Docs {
    pub(crate) id: Cow<'static, str>,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) query: Vec<Param>,
    pub(crate) body: Option<Shape>,
    pub(crate) statuses: &'static [(u16, &'static str)],
    pub(crate) success: Success,
}

/// What the document says of an endpoint; errors that all endpoints share are added.
pub(crate) fn docs(
    id: impl Into<Cow<'static, str>>,
    tag: &'static str,
    summary: &'static str,
    success: Success,
    statuses: &'static [(u16, &'static str)],
) -> Docs {
    Docs {
        id: id.into(),
        tag,
        summary,
        description: "",
        query: Vec::new(),
        body: None,
        statuses,
        success,
    }
}

impl Docs {
    pub(crate) fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    pub(crate) fn query(mut self, params: impl IntoIterator<Item = Param>) -> Self {
        self.query.extend(params);
        self
    }

    pub(crate) fn body(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }
}

fn simple(kind: Type) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(kind).into()
}

fn list_of(item: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    ArrayBuilder::new().items(item.into()).into()
}

fn of(kind: Of) -> RefOr<Schema> {
    match kind {
        Of::Text => simple(Type::String),
        Of::Integer => simple(Type::Integer),
        Of::Number => simple(Type::Number),
        Of::Boolean => simple(Type::Boolean),
        Of::Texts => list_of(simple(Type::String)),
    }
}

fn reference(shape: Shape) -> RefOr<Schema> {
    Ref::from_schema_name((shape.name)()).into()
}

fn path_params(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_start_matches('*'))
    })
}

fn operation(endpoint: &Endpoint, docs: &Docs) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(docs.id.clone()))
        .tag(docs.tag)
        .summary(Some(docs.summary));
    if !docs.description.is_empty() {
        operation = operation.description(Some(docs.description));
    }
    for name in path_params(&endpoint.path) {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(simple(Type::String))),
        );
    }
    for param in &docs.query {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(param.name)
                .parameter_in(ParameterIn::Query)
                .required(if param.required {
                    Required::True
                } else {
                    Required::False
                })
                .description(Some(param.text))
                .schema(Some(of(param.of))),
        );
    }
    if let Some(body) = docs.body {
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(
                    "application/json",
                    ContentBuilder::new().schema(Some((body.schema)())).build(),
                )
                .build(),
        ));
    }
    let mut statuses: Vec<(u16, &str)> = docs.statuses.to_vec();
    if let Access::Organization(_) = endpoint.access {
        statuses.push((401, "No usable credential."));
        statuses.push((403, "The caller may not do this."));
    }
    statuses.sort_unstable();
    for (status, text) in statuses {
        let mut response = ResponseBuilder::new().description(text);
        if status < 300 {
            let (media, schema) = match docs.success {
                Success::Ok => ("application/json", simple(Type::String)),
                Success::One(shape) => ("application/json", reference(shape)),
                Success::Either(one, other) => (
                    "application/json",
                    OneOfBuilder::new()
                        .item(reference(one))
                        .item(reference(other))
                        .into(),
                ),
                Success::Many(shape) | Success::ManyOrPage(shape, _) => {
                    ("application/json", list_of(reference(shape)))
                }
                Success::Other(media) => (media, simple(Type::String)),
            };
            response = response.content(media, ContentBuilder::new().schema(Some(schema)).build());
        } else {
            response = response.content(
                "application/json",
                ContentBuilder::new()
                    .schema(Some(reference(shape::<ErrorBody>())))
                    .build(),
            );
        }
        operation = operation.response(status.to_string(), response.build());
    }
    if endpoint.access == Access::Public {
        operation = operation.security(SecurityRequirement::default());
    }
    operation
}

fn method(endpoint: &Endpoint) -> HttpMethod {
    match endpoint.method.as_str() {
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The document.
fn document(origin: &str) -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    let mut tags = BTreeSet::new();
    for endpoint in endpoints() {
        let (Some(docs), Some(path)) = (&endpoint.docs, endpoint.path.strip_prefix(API)) else {
            continue;
        };
        tags.insert(docs.tag);
        let mut add = |shape: Shape| {
            schemas.push(((shape.name)().into_owned(), (shape.schema)()));
            (shape.parts)(&mut schemas);
        };
        match docs.success {
            Success::One(shape) | Success::Many(shape) => add(shape),
            Success::ManyOrPage(one, other) | Success::Either(one, other) => {
                add(one);
                add(other);
            }
            Success::Ok | Success::Other(_) => {}
        }
        if let Some(body) = docs.body {
            (body.parts)(&mut schemas);
        }
        let item = PathItem::new(method(&endpoint), operation(&endpoint, docs));
        paths = paths.path(path.replace("{*", "{"), item);
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(
            "HTTPBearer",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        )
        .security_scheme(
            "HTTPBasic",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build()),
        );
    let no_scopes: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Runstone API")
                .version("2.0")
                .description(Some(
                    "Records what runs, when it changed, and proves it. Send an API key as a \
                     bearer token.",
                ))
                .build(),
        )
        .servers(Some([ServerBuilder::new()
            .url(format!("{origin}{API}"))
            .build()]))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some([
            SecurityRequirement::new("HTTPBearer", no_scopes),
            SecurityRequirement::new("HTTPBasic", no_scopes),
        ]))
        .tags(Some(
            tags.into_iter()
                .map(|tag| TagBuilder::new().name(tag).build()),
        ))
        .build()
}

/// The document as JSON.
pub(crate) fn document_json(origin: &str) -> String {
    serde_json::to_string(&document(origin)).expect("the document can be written")
}

/// A page that lists the operations, without anything loaded from elsewhere.
pub(crate) fn page() -> String {
    use std::fmt::Write as _;

    let mut rows = String::new();
    for endpoint in endpoints() {
        let Some(docs) = &endpoint.docs else {
            continue;
        };
        let who = match endpoint.access {
            Access::Public => "anyone".to_owned(),
            Access::Organization(right) => format!("{right:?}"),
        };
        writeln!(
            rows,
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            endpoint.method,
            escape(&endpoint.path),
            escape(docs.summary),
            escape(&who),
        )
        .expect("writing to a string succeeds");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Runstone API</title>\n<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem;\
         color-scheme:light dark}}table{{border-collapse:collapse}}td,th{{text-align:left;\
         padding:.2rem 1rem .2rem 0;border-bottom:1px solid #8884}}</style></head>\n\
         <body><h1>Runstone API</h1>\n<p>The machine-readable description is \
         <a href=\"/api/v2/openapi.json\">openapi.json</a>. Send an API key as \
         <code>Authorization: Bearer KEY</code>.</p>\n<table><thead><tr><th>Method</th>\
         <th>Path</th><th>What it does</th><th>Right</th></tr></thead>\n<tbody>\n{rows}</tbody>\
         </table></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
