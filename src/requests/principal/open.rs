//! The open portal: people who do not log in and act under whichever name they give.
//!
//! Only where the operator says so. A page of somewhere else must not act through a browser that reaches the hub: such a
//! page cannot send JSON here, and a name that resolves to this machine is not one of the hub's own.

use std::net::IpAddr;

use actix_web::HttpRequest;

use super::Principal;
use crate::rules::{PersonRole, Who};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;
use hxa_domain::query::Query;
use hxa_hub::auth;
use hxa_hub::config::{Config, OpenPortal};
use hxa_hub::core::caller::{AdminCaller, Caller};
use hxa_hub::hub::Hub;
use hxa_store::{DbConnection, DbError, orgs};

/// What somebody is called who gives no name, as in the original portal.
const NAMELESS: &str = "default";

/// The organisation whose portal is open where there are several.
const ORG: &str = "default";

/// Whether the hub's portal is open.
pub fn is_open(hub: &Hub) -> bool {
    hub.config().coordination.open_portal != OpenPortal::Closed
}

/// Whoever comes without a credential.
///
/// # Errors
/// 403 when the page is not the hub's own; 404 when it cannot be told which organisation is meant.
pub async fn enter(hub: &Hub, request: &HttpRequest) -> ApiResult<Principal> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_own(host, hub.config()) {
        return Err(ApiError::forbidden(
            "An open portal is reached by the hub's address, localhost or its configured domain",
        ));
    }
    let org = hub.store().read(find_org).await?.ok_or_else(|| ApiError::not_found("Organisation"))?;
    let org = hub.org(org).await?.ok_or_else(|| ApiError::not_found("Organisation"))?;
    auth::check_org(&org)?;
    let name = Query::parse(request.query_string()).filled("responder_id").unwrap_or(NAMELESS).to_owned();
    let who = Who::Person { handle: name.into(), role: PersonRole::Coordinator };
    let caller = Caller::Admin(AdminCaller::by_secret(org, None));
    Ok(Principal { caller, who, credential: None, expires_at: None })
}

/// The only organisation, or the one that is made for those who name none.
fn find_org(conn: &mut DbConnection) -> Result<Option<OrgId>, DbError> {
    const MOST: i64 = 100;
    let rows = orgs::list(conn, None, MOST)?.rows;
    Ok(match rows.as_slice() {
        [(only, _)] => Some(only.id),
        several => several.iter().find(|(org, _)| org.name == ORG).map(|(org, _)| org.id),
    })
}

/// Whether a host is an address, this machine's own name or the configured domain: names of strangers may resolve to it too.
fn is_own(host: &str, config: &Config) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let name = if port.contains(']') || !port.bytes().all(|digit| digit.is_ascii_digit()) { host } else { name };
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let public = config.server.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    bare.parse::<IpAddr>().is_ok()
        || bare.eq_ignore_ascii_case("localhost")
        || config.server.domain.as_deref().is_some_and(|domain| domain.eq_ignore_ascii_case(name))
        || public.as_ref().and_then(url::Url::host_str).is_some_and(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_point_here_are_the_hubs_own() {
        let mut config = Config::default();
        config.server.domain = Some("hub.example".to_owned());
        for own in
            ["127.0.0.1", "127.0.0.1:4800", "[::1]:4800", "[::1]", "localhost:4800", "LOCALHOST", "hub.example:80"]
        {
            assert!(is_own(own, &config), "{own}");
        }
        for other in ["", "evil.example", "evil.example:4800", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            assert!(!is_own(other, &config), "{other}");
        }
    }
}
