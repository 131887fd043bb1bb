//! What the hub tells newcomers about itself: a start page, the OpenAPI document and the onboarding text for agents.

use actix_web::{HttpRequest, HttpResponse, get, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Answer;
use super::answer;
use super::client::base_url;
use crate::actors::hub::Hub;

/// The onboarding text; `{{url}}` stands for the hub's base URL.
const SKILL: &str = include_str!("skill.md");

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(show_start).service(show_document).service(show_skill);
}

/// Show where to begin
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "A few addresses.", body = Value, example = json!({
        "server": "hxa-connect", "version": "0.1.0", "start": "https://hub.example/skill.md", "api": "https://hub.example/openapi.json"
    }))),
)]
#[get("/")]
async fn show_start(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let url = base_url(&request, hub.config());
    answer::ok(&serde_json::json!({
        "server": "hxa-connect",
        "version": env!("CARGO_PKG_VERSION"),
        "start": format!("{url}/skill.md"),
        "api": format!("{url}/openapi.json"),
    }))
}

/// Show the OpenAPI document
///
/// This document.
#[utoipa::path(
    tag = "Onboarding", security(()),
    responses((status = 200, description = "The document.", body = Value, example = json!({ "openapi": "3.1.0" }))),
)]
#[get("/openapi.json")]
async fn show_document() -> Answer {
    answer::ok(&super::openapi())
}

/// Show the onboarding text
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
