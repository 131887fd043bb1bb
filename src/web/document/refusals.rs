//! What operations answer beside success, told once for all: by what a route takes and by whom it may be called.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Responses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use hxa_domain::error::ErrorCode;

/// A refusal: a sentence for people, a code for programs, and what the code brings along.
#[derive(ToSchema)]
#[schema(as = Error)]
#[expect(
    dead_code,
    reason = "refusals are written by the error table's own type; this is their shape for the document"
)]
pub struct Refusal {
    /// A sentence for people.
    error: String,
    /// The row of the error table.
    code: ErrorCode,
    /// Seconds after which to try again.
    #[schema(nullable = false)]
    retry_after: Option<u64>,
    /// What to do about it.
    #[schema(nullable = false)]
    hint: Option<String>,
    /// The pending request to join.
    #[schema(nullable = false)]
    request_id: Option<String>,
    /// The thread's current revision.
    #[schema(nullable = false)]
    revision: Option<i64>,
    /// The limit that is used up.
    #[schema(nullable = false)]
    limit: Option<String>,
    /// Whose limit it is.
    #[schema(nullable = false)]
    scope: Option<String>,
    /// As many as there may be.
    #[schema(nullable = false)]
    most: Option<u64>,
    /// Where the bot's admission stands.
    #[schema(nullable = false)]
    join_status: Option<String>,
    /// A further sentence.
    #[schema(nullable = false)]
    message: Option<String>,
    /// The state that the thing is in.
    #[schema(nullable = false)]
    state: Option<String>,
    /// Who has answered already.
    #[schema(nullable = false)]
    responded_by: Option<String>,
    /// What was made under the same key before.
    #[schema(nullable = false)]
    existing_request_id: Option<String>,
    /// What is wrong, by field.
    #[schema(nullable = false)]
    details: Option<Details>,
    /// What is wrong, one by one.
    #[schema(nullable = false)]
    faults: Option<Vec<Fault>>,
}

/// What is wrong with a body, by field.
#[derive(ToSchema)]
#[schema(as = ErrorDetails)]
#[expect(dead_code, reason = "see `Refusal`")]
pub struct Details {
    /// With the body as a whole.
    #[schema(rename = "formErrors")]
    form_errors: Vec<String>,
    /// With its fields.
    #[schema(rename = "fieldErrors")]
    field_errors: BTreeMap<String, Vec<String>>,
}

/// One thing that is wrong with a body.
#[derive(ToSchema)]
#[schema(as = ErrorFault)]
#[expect(dead_code, reason = "see `Refusal`")]
pub struct Fault {
    /// The field, with dots between the levels; empty for the body as a whole.
    path: String,
    /// What is wrong.
    message: String,
}

/// A status with its name in the document, what it means, and a code that travels with it.
type Row = (u16, &'static str, &'static str, ErrorCode);

const ROWS: [Row; 13] = [
    (400, "BadRequest", "Something in the request is wrong.", ErrorCode::Validation),
    (401, "Unauthorized", "There is no usable credential.", ErrorCode::AuthRequired),
    (403, "Forbidden", "The caller may not do this.", ErrorCode::InsufficientScope),
    (404, "NotFound", "The thing does not exist, or not for the caller.", ErrorCode::NotFound),
    (408, "Timeout", "The request stopped arriving.", ErrorCode::RequestTimeout),
    (409, "Conflict", "What is there does not go with it.", ErrorCode::Conflict),
    (413, "TooLarge", "The body exceeds its limit.", ErrorCode::PayloadTooLarge),
    (415, "UnsupportedType", "The body's type or encoding is not accepted.", ErrorCode::UnsupportedMediaType),
    (416, "OutOfRange", "The range lies outside of the file.", ErrorCode::Validation),
    (429, "RateLimited", "A limit is used up; `Retry-After` says when to come back.", ErrorCode::RateLimited),
    (431, "HeadersTooLarge", "The request line and headers exceed their limit.", ErrorCode::HeadersTooLarge),
    (500, "Failed", "The hub failed.", ErrorCode::Internal),
    (503, "Unavailable", "The hub cannot serve this right now; try again.", ErrorCode::Unavailable),
];

/// The name of 304, which has no body.
const NOT_MODIFIED: &str = "NotModified";

/// The shared responses under their names.
pub fn shared() -> impl Iterator<Item = (String, RefOr<Response>)> {
    let refusals = ROWS.iter().map(|(_, name, text, code)| {
        let example = serde_json::json!({ "error": code.meaning(), "code": code.token() });
        let content = ContentBuilder::new().schema(Some(error())).example(Some(example)).build();
        let response = ResponseBuilder::new().description(*text).content("application/json", content).build();
        ((*name).to_owned(), RefOr::T(response))
    });
    let unchanged = ResponseBuilder::new().description("The client has the current version.").build();
    refusals.chain([(NOT_MODIFIED.to_owned(), RefOr::T(unchanged))])
}

fn error() -> Ref {
    Ref::from_schema_name("Error")
}

/// What can be told of a route without reading its description.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The method.
    pub method: &'a str,
    /// The template.
    pub path: &'a str,
    /// Whether it needs no credential.
    pub is_open: bool,
}

impl Route<'_> {
    /// The statuses of the refusals that it can give beside those that it describes itself.
    fn statuses(self) -> impl Iterator<Item = u16> {
        let changes = self.method != "get";
        let takes_body = matches!(self.method, "post" | "put" | "patch");
        let is_guarded = !self.is_open;
        // Whoever is not in an organisation finds nothing there; a bot that was just deleted is not found either.
        let may_miss = self.path.contains('{') || is_guarded;
        [
            (400, true),
            (401, is_guarded || changes),
            (403, is_guarded || changes),
            (404, may_miss),
            (408, takes_body),
            (409, changes),
            (413, takes_body),
            (415, takes_body),
            (429, is_guarded || changes),
            (431, true),
            (500, true),
            (503, true),
        ]
        .into_iter()
        .filter_map(|(status, is_given)| is_given.then_some(status))
    }
}

/// Completes an operation's responses: those it describes get the shape of all refusals, the others are named.
pub fn complete(operation: &mut Operation, route: Route<'_>) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            let content = ContentBuilder::new().schema(Some(error())).build();
            response.content.insert("application/json".to_owned(), RefOr::T(content));
        }
    }
    let reads_json = route.method == "get" && gives_json(&operation.responses);
    let mut name = |status: u16, name: &str| {
        let named = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.entry(status.to_string()).or_insert(named);
    };
    if reads_json {
        name(304, NOT_MODIFIED);
    }
    for status in route.statuses() {
        if let Some((_, named, ..)) = ROWS.iter().find(|(known, ..)| *known == status) {
            name(status, named);
        }
    }
}

/// Whether success is JSON, which then has a tag of its version.
fn gives_json(responses: &Responses) -> bool {
    let good = responses.responses.get("200");
    matches!(good, Some(RefOr::T(response)) if response.content.contains_key("application/json"))
}
