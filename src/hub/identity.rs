//! Changes of organisations, their bots, people and credentials.
//!
//! Each is one transaction run by the organisation's actor: the rows, their audit trail, and, once durable, the same
//! change in memory, the sockets it closes and the events it causes. Checks that depend on rows run inside the
//! transaction, so that of two requests racing for a name or a ticket one is refused.

mod bots;
mod credentials;
mod keys;
mod orgs;
mod people;
mod register;
mod rotation;
mod webhook;

pub use bots::{BotStatus, Deleter, delete_bot, rename, set_metadata, set_role, set_status, update_profile};
pub use credentials::{
    NewToken, create_ticket, create_token, delete_ticket, end_own_session, end_session, release_name, revoke_token,
};
pub use keys::{NewKey, create_key, revoke_key};
pub use orgs::{
    Founder, create_invite, create_org, delete_invite, destroy, resume_destructions, rotate_secret, update_org,
    update_settings,
};
pub use people::{NewLink, create_link, create_person, delete_person, set_password, update_person};
pub use register::{Registered, plain_row, primary_token, register};
pub use rotation::{NewPrimary, rotate_token};
pub use webhook::{replay_delivery, rotate_webhook_secret, set_webhook};

use super::auth;
use crate::core::caller::AdminCaller;
use crate::hub::Hub;
use hxa_domain::error::{ApiError, ApiResult};

/// The acting admin, or what somebody with the organisation's secret is.
fn actor_or_role(admin: &AdminCaller) -> String {
    admin.actor().unwrap_or_else(|| "org_admin".to_owned())
}

/// Runs a change of several steps to its end even if its caller goes away in the middle.
async fn to_the_end<T: 'static>(steps: impl Future<Output = ApiResult<T>> + 'static) -> ApiResult<T> {
    actix_web::rt::spawn(steps).await.unwrap_or_else(|_| Err(ApiError::internal()))
}

/// Tells the session store at once what the janitor would tell it in a moment; what was refused is refused already.
async fn tell_session_store(hub: &Hub) {
    if let Err(error) = auth::end_owed_sessions(hub.auth()).await {
        log::warn!(error:% = error; "cannot delete ended sessions from the session store; trying again later");
    }
}
