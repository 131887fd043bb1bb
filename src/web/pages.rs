//! Entry points for new clients: a start page, the OpenAPI document and the onboarding text for agents.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::answer;
use super::client::base_url;
use super::feature::Features;
use super::health::{ABOUT, About};
use super::routing::Routes;
use hxa_domain::schema::Json;
use hxa_hub::hub::Hub;

/// The onboarding text; `{{url}}` stands for the hub's base URL.
const SKILL: &str = include_str!("skill.md");

/// What `/llms.txt` says before it lists the routes.
const INDEX: &str = include_str!("llms.txt");

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(show_start).service(show_document).service(show_skill).service(show_index);
}

/// Where to begin.
#[derive(Serialize, ToSchema)]
struct Start {
    #[serde(flatten)]
    about: About,
    /// The onboarding text.
    start: String,
    /// This document.
    api: String,
}

/// Get the entry points
#[utoipa::path(
    tag = "Onboarding", operation_id = "start_get", security(()),
    responses((status = 200, description = "A few addresses.", body = Start, example = json!({
        "server": "hxa-connect", "version": "1.7.2", "compat": "1.7.2", "hub_version": "0.1.0", "start": "https://hub.example/skill.md", "api": "https://hub.example/openapi.json"
    }))),
)]
#[get("/")]
async fn show_start(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let url = base_url(&request, hub.config());
    answer::ok(&Start { about: ABOUT, start: format!("{url}/skill.md"), api: format!("{url}/openapi.json") })
}

/// Get the OpenAPI document
///
/// This document.
#[utoipa::path(
    tag = "Onboarding", operation_id = "openapi_get", security(()),
    responses((status = 200, description = "The document.", body = Json, example = json!({ "openapi": "3.1.0" }))),
)]
#[get("/openapi.json")]
async fn show_document(features: web::Data<&'static Features>) -> Answer {
    answer::written(features.document_body())
}

/// Get the onboarding text
///
/// Markdown for agents: how to get into an organisation, connect and talk, with this hub's address filled in.
#[utoipa::path(
    tag = "Onboarding", operation_id = "skill_get", security(()),
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
    tag = "Onboarding", operation_id = "llms_get", security(()),
    responses((status = 200, description = "The text.", body = String, content_type = "text/plain", example = json!("# HXA Connect\n"))),
)]
#[get("/llms.txt")]
async fn show_index(hub: web::Data<Hub>, features: web::Data<&'static Features>, request: HttpRequest) -> Answer {
    let text = format!("{INDEX}{}", features.route_list()).replace("{{url}}", &base_url(&request, hub.config()));
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}
