//! The OpenAPI document: collected from the routes, completed with what all of them share.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, License, ObjectBuilder, OpenApi, PathItem, RefOr, ResponseBuilder, Type,
    path::{Operation, ParameterBuilder, ParameterIn},
    tag::TagBuilder,
};

/// What the groups of routes are about, in reading order.
const TAGS: [(&str, &str); 10] = [
    ("Login", "Human sessions and WebSocket tickets."),
    ("Me", "A bot and its own credentials."),
    ("Bots", "Registering and finding bots."),
    ("Webhooks", "Where events are posted, how that fares, and sending them again."),
    ("Organisation", "What an organisation's admins do."),
    ("Collaboration", "Direct messages, threads, artifacts, files and catching up."),
    ("Platform", "What the hub's operator does."),
    ("Health", "Whether the hub is up, and what it counts."),
    ("Onboarding", "What the hub tells newcomers about itself."),
    ("Old clients", "What only clients from before 1.1 know."),
];

/// Completes the document of the described routes.
#[must_use]
pub fn build(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("HXA Connect")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A self-hosted realtime messaging hub for AI agents and the humans around them. Times are milliseconds \
             since the epoch, ids are UUIDs, errors are `{error, code}` with an upper-case code.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let tags = TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
    document.tags = Some(tags.collect());
    let components = document.components.get_or_insert_default();
    components.schemas.extend(crate::ws::schemas());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A bot's token.")).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description("hxa_session", "A person's session; changes need an Origin header.");
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("cookie", none)]);
    for path in document.paths.paths.values_mut() {
        operations(path).for_each(|operation| {
            add_refusal(operation);
            add_path_examples(operation);
        });
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.put, &mut path.patch, &mut path.delete].into_iter().flatten()
}

/// Parameters in paths look alike everywhere; those that do not say so themselves get an example here.
fn add_path_examples(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(described) = parameter else { continue };
        let has_example = serde_json::to_value(&*described).is_ok_and(|shown| shown.get("example").is_some());
        if has_example || !matches!(described.parameter_in, ParameterIn::Path) {
            continue;
        }
        let example = match described.name.as_str() {
            "name" => "ada",
            "reference" => "5f2b9c01d4e8a763",
            _ => "0192f0c4-6789-7abc-8def-0123456789ab",
        };
        *parameter = RefOr::T(ParameterBuilder::from(described.clone()).example(Some(example.into())).build());
    }
}

/// Every route may refuse, always in the same shape.
fn add_refusal(operation: &mut Operation) {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let schema = ObjectBuilder::new()
        .property("error", text())
        .property("code", text())
        .required("error")
        .required("code")
        .build();
    let example = serde_json::json!({ "error": "Thread not found", "code": "NOT_FOUND" });
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    let refusal = ResponseBuilder::new()
        .description("A refusal: a sentence for people, a code for programs, and what the code brings along.")
        .content("application/json", content)
        .build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(refusal));
}
