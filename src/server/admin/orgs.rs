//! Finding organisations by what an operator calls them.

use std::sync::Arc;

use super::{AdminError, org_id};
use hxa_domain::error::ApiError;
use hxa_domain::ids::OrgId;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_store::rows::OrgRow;
use hxa_store::{DbConnection, DbError, orgs};

/// The operator's own terminal takes lists of any length.
pub const ALL: i64 = i64::MAX;
/// Organisations that a refusal names.
const NAMED: usize = 10;

/// The rows of all organisations, oldest first.
pub fn rows(conn: &mut DbConnection) -> Result<Vec<OrgRow>, DbError> {
    Ok(orgs::list(conn, None, ALL)?.rows.into_iter().map(|(row, _)| row).collect())
}

/// The organisation of these with this id or name; without one the only one.
pub fn resolve(known: &[OrgRow], given: Option<&str>) -> Result<OrgId, AdminError> {
    let Some(given) = given else {
        return match known {
            [only] => Ok(only.id),
            [] => Err(AdminError("there is no organisation".to_owned())),
            several => Err(ambiguous(several)),
        };
    };
    let known: Vec<(String, String)> = known.iter().map(|row| (row.id.to_string(), row.name.clone())).collect();
    Ok(OrgId::parse(&org_id(&known, given)?).ok_or_else(|| ApiError::not_found("Organisation"))?)
}

fn ambiguous(known: &[OrgRow]) -> AdminError {
    let shown: Vec<String> = known.iter().take(NAMED).map(|org| format!("{} ({})", org.name, org.id)).collect();
    let more = known.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    AdminError(format!("there are several organisations; say which with --org: {}{more}", shown.join(", ")))
}

/// The organisation with this id or name, in use; without one the only one.
pub async fn find(hub: &Hub, given: Option<&str>) -> Result<Arc<OrgState>, AdminError> {
    let id = resolve(&hub.store().read(rows).await?, given)?;
    Ok(hub.org(id).await?.ok_or_else(|| ApiError::not_found("Organisation"))?)
}
