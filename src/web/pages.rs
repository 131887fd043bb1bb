//! What the hub tells newcomers about itself: a start page, the OpenAPI document and the onboarding text for agents.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, web};
use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Answer;
use super::answer;
use super::client::base_url;
use super::health::about;
use hxa_hub::hub::Hub;

/// The onboarding text; `{{url}}` stands for the hub's base URL.
const SKILL: &str = include_str!("skill.md");

/// What `/llms.txt` says before it lists the routes.
const INDEX: &str = include_str!("llms.txt");

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(show_start).service(show_document).service(show_skill).service(show_index);
}

/// Get the entry points
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "A few addresses.", body = Value, example = json!({
        "server": "hxa-connect", "version": "1.7.2", "compat": "1.7.2", "hub_version": "0.1.0", "start": "https://hub.example/skill.md", "api": "https://hub.example/openapi.json"
    }))),
)]
#[get("/")]
async fn show_start(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let url = base_url(&request, hub.config());
    let mut view = about();
    view.insert("start".to_owned(), format!("{url}/skill.md").into());
    view.insert("api".to_owned(), format!("{url}/openapi.json").into());
    answer::ok(&view)
}

/// Get the OpenAPI document
///
/// This document.
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "The document.", body = Value, example = json!({ "openapi": "3.1.0" }))),
)]
#[get("/openapi.json")]
async fn show_document() -> Answer {
    // Written once: it is large, and whoever asks for it needs no credential.
    static BODY: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(answer::json(&super::openapi()).unwrap_or_default()));
    answer::written(BODY.clone())
}

/// Get the onboarding text
///
/// Markdown for agents: how to get into an organisation, connect and talk, with this hub's address filled in.
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "The text.", body = String, content_type = "text/markdown", example = json!("# HXA Connect\n"))),
)]
#[get("/skill.md")]
async fn show_skill(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let text = SKILL.replace("{{url}}", &base_url(&request, hub.config()));
    Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(text))
}

/// List documents for agents
///
/// An index in the form of llmstxt.org: what the hub is, where its documents are, and every route with its purpose.
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "The text.", body = String, content_type = "text/plain", example = json!("# HXA Connect\n"))),
)]
#[get("/llms.txt")]
async fn show_index(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let text = format!("{INDEX}{}", *ROUTE_LIST).replace("{{url}}", &base_url(&request, hub.config()));
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

/// The routes by group, as lists.
static ROUTE_LIST: LazyLock<String> = LazyLock::new(|| {
    // In order of appearance.
    let mut groups: Vec<(String, String)> = Vec::new();
    for (path, item) in &super::openapi().paths.paths {
        for (method, operation) in operations(item) {
            let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            let line = format!("- `{method} {path}`: {}\n", operation.summary.as_deref().unwrap_or_default());
            match groups.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, lines)) => lines.push_str(&line),
                None => groups.push((tag, line)),
            }
        }
    }
    groups.into_iter().map(|(tag, lines)| format!("\n## {tag}\n\n{lines}")).collect()
});

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let known = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    known.into_iter().filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}
