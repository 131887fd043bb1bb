//! Changes of one bot: profile, name, role, status, deletion.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{actor_or_role, tell_session_store};
use crate::core::caller::{AdminCaller, BotCaller, Caller};
use crate::core::org_state::{Bot, OrgState};
use crate::fanout::broker::Selection;
use crate::fanout::event::{Audience, Event};
use crate::fanout::presence;
use crate::fanout::send_queue::close;
use crate::hub::Hub;
use crate::org::OrgChange;
use crate::wire::events;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{AuditId, BotId, ThreadId};
use hxa_domain::profile::ProfilePatch;
use hxa_domain::standing::{AuthRole, JoinStatus};
use hxa_store::audit::{self, AuditRow};
use hxa_store::bots::{BotChanges, Deletion};
use hxa_store::{bots, tickets};

/// A change of columns with its audit row; the bot in memory follows.
fn change(
    class: WriteClass,
    bot: &Bot,
    changes: BotChanges,
    trail: AuditRow,
    events: impl FnOnce(&Arc<OrgState>) -> Vec<Event> + Send + 'static,
) -> OrgChange<()> {
    let (org, id) = (bot.row.org_id, bot.id);
    let (applied, bytes) = (changes.clone(), changes.free_bytes());
    let change = OrgChange::new(
        class,
        move |conn| {
            if let Some(name) = &changes.name {
                bots::check_name(conn, org, name, Some(id))?;
            }
            bots::update(conn, id, &changes)?;
            if changes.takes_admin_rights() {
                tickets::delete_unconsumed_of(conn, &id.to_string())?;
            }
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            org.change_bot(id, |row| applied.apply(row));
            events(org)
        },
    );
    change.carrying(bytes)
}

fn now_of(org: &OrgState, id: BotId) -> ApiResult<Arc<Bot>> {
    org.bot(id).ok_or_else(|| ApiError::not_found("Bot"))
}

/// Changes the caller's own profile; returns the bot as it is then.
///
/// # Errors
/// 404 when the bot was deleted meanwhile.
pub async fn update_profile(hub: &Hub, caller: &BotCaller, patch: &ProfilePatch) -> ApiResult<Arc<Bot>> {
    update_own(hub, caller, &patch.given(), BotChanges::of_profile(patch)).await
}

/// Replaces the caller's own free data, which is JSON text; returns the bot as it is then.
///
/// # Errors
/// 404 when the bot was deleted meanwhile.
pub async fn set_metadata(hub: &Hub, caller: &BotCaller, metadata: Option<String>) -> ApiResult<Arc<Bot>> {
    update_own(hub, caller, &["metadata"], BotChanges { metadata: Some(metadata), ..BotChanges::default() }).await
}

/// Changes columns of the caller's own bot that `fields` names in the audit trail.
async fn update_own(hub: &Hub, caller: &BotCaller, fields: &[&str], changes: BotChanges) -> ApiResult<Arc<Bot>> {
    let (org, id) = (&caller.org, caller.bot.id);
    let detail = json!({ "fields": fields });
    let own = Some(id.to_string());
    let trail = AuditRow::new(org.id, hub.now(), own, "bot.profile_update", "bot", id, Some(detail));
    hub.orgs()
        .ask(Caller::Bot(caller.clone()), change(WriteClass::Profile, &caller.bot, changes, trail, |_| Vec::new()))
        .await?;
    now_of(org, id)
}

/// Changes the caller's own name; returns the bot as it is then.
///
/// # Errors
/// 409 when the name is blocked or taken.
pub async fn rename(hub: &Hub, caller: &BotCaller, name: String) -> ApiResult<Arc<Bot>> {
    let (org, id) = (&caller.org, caller.bot.id);
    let (own, old) = (Some(id.to_string()), caller.bot.row.name.clone());
    let detail = json!({ "old_name": old, "new_name": name });
    let trail = AuditRow::new(org.id, hub.now(), own, "bot.rename", "bot", id, Some(detail));
    let fields = events::BotRenamed { bot_id: id, old_name: old, new_name: name.clone() };
    let changes = BotChanges { name: Some(name), ..BotChanges::default() };
    let event = move || Event::new("bot_renamed", &fields, Audience::Org { except: None }).telling_of(id);
    let change = change(WriteClass::Profile, &caller.bot, changes, trail, move |_| vec![event()]);
    hub.orgs().ask(Caller::Bot(caller.clone()), change).await?;
    now_of(org, id)
}

/// Makes a bot admin or member. The tickets of one that was an admin end.
///
/// # Errors
/// 404 when there is no such bot, 400 `SELF_DEMOTION`.
pub async fn set_role(hub: &Hub, admin: &AdminCaller, bot: &str, role: AuthRole) -> ApiResult<()> {
    let bot = find(&admin.org, bot)?;
    let is_self = admin.bot.as_ref().is_some_and(|own| own.id == bot.id);
    if is_self && role != AuthRole::Admin {
        return Err(ApiError::new(ErrorCode::SelfDemotion, "An admin bot cannot take its own admin role away"));
    }
    let by = Some(actor_or_role(admin));
    let detail = json!({ "auth_role": role });
    let trail = AuditRow::new(admin.org.id, hub.now(), by, "bot.role_change", "bot", bot.id, Some(detail));
    let changes = BotChanges { auth_role: Some(role), ..BotChanges::default() };
    hub.orgs().ask(Caller::Admin(admin.clone()), change(WriteClass::Admin, &bot, changes, trail, |_| Vec::new())).await
}

/// Whether a bot was let in, and since when and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct BotStatus {
    bot_id: BotId,
    name: String,
    join_status: JoinStatus,
    previous_status: JoinStatus,
    #[schema(required)]
    join_status_changed_by: Option<String>,
    #[schema(required)]
    join_status_changed_at: Option<i64>,
    #[schema(required)]
    join_status_reason: Option<String>,
}

/// Approves or rejects a bot; returns the answer of the route. The same status again changes nothing. The tickets of an
/// admin bot that is rejected end.
///
/// # Errors
/// 404 when there is no such bot.
pub async fn set_status(
    hub: &Hub,
    admin: &AdminCaller,
    bot: &str,
    status: JoinStatus,
    reason: Option<String>,
) -> ApiResult<BotStatus> {
    let bot = find(&admin.org, bot)?;
    let previous = bot.row.join_status;
    if previous != status {
        let change = status_change(hub, admin, &bot, status, reason);
        hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    }
    let row = &now_of(&admin.org, bot.id)?.row;
    Ok(BotStatus {
        bot_id: row.id,
        name: row.name.clone(),
        join_status: row.join_status,
        previous_status: previous,
        join_status_changed_by: row.join_status_changed_by.clone(),
        join_status_changed_at: row.join_status_changed_at,
        join_status_reason: row.join_status_reason.clone(),
    })
}

fn status_change(
    hub: &Hub,
    admin: &AdminCaller,
    bot: &Bot,
    status: JoinStatus,
    reason: Option<String>,
) -> OrgChange<()> {
    let (id, now) = (bot.id, hub.now());
    let by = match (&admin.bot, &admin.session_ref) {
        (Some(bot), _) => format!("bot:{}", bot.id),
        (None, reference) => format!("session:{}", reference.as_deref().unwrap_or_default()),
    };
    let previous = bot.row.join_status;
    let detail = json!({ "old_status": previous, "new_status": status, "reason": reason });
    let trail = AuditRow::new(
        admin.org.id,
        now,
        Some(actor_or_role(admin)),
        "bot.join_status_changed",
        "bot",
        id,
        Some(detail),
    );
    let fields = events::BotStatusChanged {
        bot_id: id,
        name: bot.row.name.clone(),
        join_status: status,
        previous_status: previous,
        reason: reason.clone(),
    };
    let changes = BotChanges {
        join_status: Some(status),
        join_status_changed_by: Some(Some(by)),
        join_status_changed_at: Some(Some(now)),
        join_status_reason: Some(reason),
        ..BotChanges::default()
    };
    change(WriteClass::Admin, bot, changes, trail, move |org| {
        let event = Event::new("bot_status_changed", &fields, Audience::Org { except: None }).telling_of(id);
        if status != JoinStatus::Rejected {
            return vec![event];
        }
        // The rejected bot receives the event before its sockets close.
        org.channel().publish_before_closing(id, event);
        org.channel().close(&close::BOT_REJECTED, &Selection::Bot(id));
        Vec::new()
    })
}

fn find(org: &OrgState, id: &str) -> ApiResult<Arc<Bot>> {
    BotId::parse(id).and_then(|id| org.bot(id)).ok_or_else(|| ApiError::not_found("Bot"))
}

/// Who deletes a bot.
pub enum Deleter<'a> {
    /// The bot itself, or a person through its session.
    Itself(&'a BotCaller),
    /// An admin, by the bot's id.
    Admin(&'a AdminCaller, &'a str),
}

/// Deletes a bot: its credentials end, its sockets close, its name is blocked. Returns the name.
///
/// # Errors
/// 404 when there is no such bot.
pub async fn delete_bot(hub: &Hub, deleter: Deleter<'_>) -> ApiResult<String> {
    let (caller, org, bot, by, detail) = match deleter {
        Deleter::Itself(caller) => {
            let detail = json!({ "name": caller.bot.row.name, "self": true });
            let by = if caller.human.is_some() { "session".to_owned() } else { caller.bot.id.to_string() };
            (Caller::Bot(caller.clone()), caller.org.clone(), caller.bot.clone(), by, detail)
        }
        Deleter::Admin(admin, id) => {
            let bot = find(&admin.org, id)?;
            let by = admin.actor().unwrap_or_else(|| "session".to_owned());
            let detail = json!({ "name": bot.row.name, "deleted_by": by });
            (Caller::Admin(admin.clone()), admin.org.clone(), bot, by, detail)
        }
    };
    let (id, now, name) = (bot.id, hub.now(), bot.row.name.clone());
    let deletion = Deletion { org: org.id, id, name: name.clone(), by, at: now, tombstone: AuditId::at(now) };
    let trail = AuditRow::new(org.id, now, Some(id.to_string()), "bot.delete", "bot", id, Some(detail));
    hub.orgs().ask(caller, deletion_of(hub.clone(), deletion, trail)).await?;
    tell_session_store(hub).await;
    Ok(name)
}

fn deletion_of(hub: Hub, deletion: Deletion, trail: AuditRow) -> OrgChange<Vec<ThreadId>> {
    let (id, org, name) = (deletion.id, deletion.org, deletion.name.clone());
    let (rows_of, features) = (hub.features(), hub.features());
    OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            rows_of.iter().try_for_each(|feature| feature.on_bot_deleted(conn, org, id))?;
            let threads = bots::delete(conn, &deletion)?;
            audit::insert(conn, &trail)?;
            Ok(threads)
        },
        move |org, threads| {
            org.remove_bot(id);
            hub.auth().bot_deleted(id);
            org.channel().close(&close::BOT_DELETED, &Selection::Bot(id));
            for thread in threads {
                hub.threads().forget_state(org, *thread);
            }
            features.iter().for_each(|feature| feature.after_bot_deleted(org, id));
            vec![presence::deleted_event(id, &name)]
        },
    )
}
