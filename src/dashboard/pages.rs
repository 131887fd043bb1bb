//! Which address shows what: the portal's page, its files, and how it is set up.
//!
//! The page is the same for everybody and holds nothing of anybody: who is in, and what they see, its script asks the hub.
//! So it needs no credential.

use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError, guard, web};
use hxa_web::routing::Routes;
use serde::Serialize;

use crate::assets;
use crate::headers::secured;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_hub::config::{Config, OpenPortal};
use hxa_web::answer;
use hxa_web::middleware::has_current;
use hxa_web::params::Params;

/// The portal's page; `{{base}}` stands for the base path.
const PORTAL: &str = include_str!(concat!(env!("OUT_DIR"), "/portal.html"));

/// What may be kept, but is asked for again each time.
const NO_CACHE: (actix_web::http::header::HeaderName, &str) = (CACHE_CONTROL, "no-cache");

/// The pages of a hub.
#[derive(Debug)]
pub struct Pages {
    is_on: bool,
    base: String,
    portal: String,
    portal_tag: String,
    setup: Setup,
}

impl hxa_hub::feature::Feature for Pages {}

/// How the portal is set up, for its script.
#[derive(Debug, Serialize)]
struct Setup {
    /// Nobody logs in: whoever reaches the hub answers under the name in the address.
    open_portal: bool,
    /// Threads can be looked at under `/ui/`.
    dashboard: bool,
}

impl Pages {
    /// Those of a hub with this configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let base = config.server.base_path.as_str().to_owned();
        let portal = PORTAL.replace("{{base}}", &base);
        // The page names its files by hash, so a change of any of them changes it.
        let portal_tag = format!("\"{:016x}\"", fingerprint(portal.as_bytes()));
        let is_open = config.coordination.open_portal != OpenPortal::Closed;
        let setup = Setup { open_portal: is_open, dashboard: false };
        Self { is_on: config.server.dashboard, base, portal, portal_tag, setup }
    }

    /// Refuses as for a path that is no route when the pages are switched off.
    fn open(&self) -> ApiResult<()> {
        if self.is_on { Ok(()) } else { Err(ApiError::not_found("Route")) }
    }
}

/// FNV-1a, for telling versions of one page apart.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Registers the addresses. They are no part of the protocol and not described.
pub fn routes(routes: &mut Routes<'_>) {
    // Other methods are unknown here, as everywhere.
    let at = |path: &str| web::resource(path).guard(guard::Get());
    routes.undescribed(|config| {
        config.service(at("/portal").to(redirect));
        for path in ["/portal/", "/portal/login", "/portal/history"] {
            config.service(at(path).to(show_portal));
        }
        config.service(at("/portal/config.json").to(show_setup)).service(at("/portal/a/{name}").to(show_asset));
    });
}

/// What a handler answers, refusals included: every one of them has the headers of a page.
fn answered(outcome: ApiResult<HttpResponse>) -> HttpResponse {
    secured(outcome.unwrap_or_else(|refusal| refusal.error_response()))
}

async fn redirect(pages: web::Data<Pages>, request: HttpRequest) -> HttpResponse {
    answered(pages.open().map(|()| {
        let query = match request.query_string() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        HttpResponse::Found().insert_header((LOCATION, format!("{}/portal/{query}", pages.base))).finish()
    }))
}

async fn show_portal(pages: web::Data<Pages>, request: HttpRequest) -> HttpResponse {
    answered(pages.open().map(|()| {
        let tag = pages.portal_tag.as_str();
        if has_current(&request, tag) {
            return HttpResponse::NotModified().insert_header(NO_CACHE).insert_header((ETAG, tag)).finish();
        }
        let mut page = HttpResponse::Ok();
        page.content_type("text/html; charset=utf-8").insert_header(NO_CACHE).insert_header((ETAG, tag));
        page.body(pages.portal.clone())
    }))
}

async fn show_setup(pages: web::Data<Pages>) -> HttpResponse {
    answered(pages.open().and_then(|()| answer::ok(&pages.setup)).map(|mut setup| {
        let (name, value) = NO_CACHE;
        setup.headers_mut().insert(name, actix_web::http::header::HeaderValue::from_static(value));
        setup
    }))
}

async fn show_asset(
    pages: web::Data<Pages>,
    name: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> HttpResponse {
    answered(pages.open().and_then(|()| {
        let asset = assets::find(&name).ok_or_else(|| ApiError::not_found("File"))?;
        Ok(asset.answer(&request, params.get("h")))
    }))
}
