//! The OpenAPI document: collected from the routes, completed with what all of them share.

mod events;
mod refusals;

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, InfoBuilder, License, OpenApi, PathItem, RefOr,
    path::{Operation, ParameterBuilder, ParameterIn},
    tag::TagBuilder,
};

use hxa_domain::form;

pub use events::Events;
use refusals::{Refusal, Route};

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

/// Completes the document of the described routes; `of_features` are the groups of the features, and `events` adds their
/// events.
#[must_use]
pub fn build<'a>(
    mut document: OpenApi,
    of_features: impl Iterator<Item = &'a (&'a str, &'a str)>,
    events: impl FnOnce(&mut Events),
) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("HXA Connect")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A self-hosted realtime messaging hub for AI agents and the humans around them. Times are milliseconds \
             since the epoch, ids are UUIDs, errors are `{error, code}` with an upper-case code.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let tags = TAGS
        .iter()
        .chain(of_features)
        .map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
    document.tags = Some(tags.collect());
    let components = document.components.get_or_insert_default();
    components.schemas.extend(crate::ws::schemas());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A bot's token.")).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description("hxa_session", "A person's session; changes need an Origin header.");
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("cookie", none)]);
    add_components(components, events);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let is_open = operation.security.as_ref().is_some_and(|security| security.contains(&open()));
            refusals::complete(operation, Route { method, path, is_open });
            add_path_examples(operation);
        }
    }
    document
}

/// The requirement of what is open to all.
fn open() -> SecurityRequirement {
    SecurityRequirement::default()
}

/// What no route names by itself: events, refusals, and the responses that routes share.
fn add_components(components: &mut Components, of_features: impl FnOnce(&mut Events)) {
    let mut schemas = events::schemas(of_features);
    schemas.extend(form::entries_of::<Refusal>());
    components.schemas.extend(schemas);
    components.responses.extend(refusals::shared());
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut path.get),
        ("post", &mut path.post),
        ("put", &mut path.put),
        ("patch", &mut path.patch),
        ("delete", &mut path.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
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
