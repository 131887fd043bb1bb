//! Organisations, their settings, bots and all credentials.
//!
//! Both servers store secrets as SHA-256, so they stay valid. The older server stored people's cookies in plain text;
//! here their hash is stored.

use std::collections::HashSet;

use super::super::source::Table;
use super::super::target::Parent;
use super::super::{ImportError, Move, NAMED_LIKE_AN_ID, instead_of_id};
use super::fields::{Fields, Shape, Skip};
use super::simple;
use super::trail::without_cookie;
use crate::rows::{BotRow, BotTokenRow, InviteCodeRow, OrgRow, OrgSettingsRow, SessionRow, TicketRow, TombstoneRow};
use hxa_domain::ids::{BotId, OrgId, TicketId};
use hxa_domain::secrets;
use hxa_domain::standing::{AuthRole, JoinStatus, OrgStatus};

const NO_ORG: Skip = "its organisation is gone";
const NO_BOT: Skip = "its bot is gone";
const ORG: (&str, Parent) = ("org_id", Parent::Org);
const BOT: (&str, Parent) = ("bot_id", Parent::Bot);
/// What the name of a bot is followed by when another bot of its organisation has the same.
const NAMESAKE_DIGITS: usize = 8;

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, extra: &[] }
}

/// Moves all of them.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    simple::<OrgRow>(all, &table("orgs", &["id"]), &[], org)?;
    simple::<OrgSettingsRow>(all, &table("org_settings", &["org_id"]), &[ORG], settings)?;
    let mut names = HashSet::new();
    let (key, now, keeps) = (all.reference_key.clone(), all.now, all.keeps_sessions);
    simple::<BotRow>(all, &table("bots", &["id"]), &[ORG], |fields| bot(fields, &mut names, &key))?;
    simple::<BotTokenRow>(all, &table("bot_tokens", &["id"]), &[BOT], token)?;
    let mut codes = HashSet::new();
    simple::<TicketRow>(all, &table("org_tickets", &["id"]), &[ORG], |fields| ticket(fields, &mut codes))?;
    simple::<InviteCodeRow>(all, &table("platform_invite_codes", &["id"]), &[], invite)?;
    simple::<TombstoneRow>(all, &table("deleted_bot_names", &["id"]), &[ORG], tombstone)?;
    simple::<SessionRow>(all, &table("sessions", &["id"]), &[ORG, BOT], |fields| session(fields, &key, now, keeps))
}

fn org(row: &mut Fields<'_>) -> Result<OrgRow, Skip> {
    Ok(OrgRow {
        id: row.id()?,
        name: row.text("name").unwrap_or_default(),
        secret_hash: row.hash("org_secret")?,
        persist_messages: !row.has("persist_messages") || row.flag("persist_messages"),
        status: row.word(
            "status",
            OrgStatus::parse,
            if row.has("status") { OrgStatus::Suspended } else { OrgStatus::Active },
            "its status is unknown; it is suspended now",
        ),
        join_approval_required: row.flag("join_approval_required"),
        created_at: row.time("created_at"),
    })
}

fn settings(row: &mut Fields<'_>) -> Result<OrgSettingsRow, Skip> {
    Ok(OrgSettingsRow {
        org_id: row.parent("org_id", Parent::Org, NO_ORG)?,
        messages_per_minute_per_bot: row.small("messages_per_minute_per_bot", 1, 120),
        threads_per_hour_per_bot: row.small("threads_per_hour_per_bot", 1, 30),
        file_upload_mb_per_day_per_bot: row.small("file_upload_mb_per_day_per_bot", 1, 100),
        message_ttl_days: row.days("message_ttl_days"),
        thread_auto_close_days: row.days("thread_auto_close_days"),
        artifact_retention_days: row.days("artifact_retention_days"),
        default_thread_permission_policy: row.text("default_thread_permission_policy"),
        updated_at: row.int("updated_at").unwrap_or(0),
    })
}

fn bot(row: &mut Fields<'_>, names: &mut HashSet<(OrgId, String)>, key: &[u8]) -> Result<BotRow, Skip> {
    let (id, org_id): (BotId, OrgId) = (row.id()?, row.parent("org_id", Parent::Org, NO_ORG)?);
    let mut name = row.required("name", "it has no name")?;
    if let Some(other) = instead_of_id(&name, id) {
        row.changed(NAMED_LIKE_AN_ID);
        name = other;
    }
    if !names.insert((org_id, name.clone())) {
        row.changed("another bot of its organisation has its name; its own has the beginning of its id appended now");
        name = format!("{name}-{}", id.to_string().chars().take(NAMESAKE_DIGITS).collect::<String>());
        names.insert((org_id, name.clone()));
    }
    // Servers without this column let every bot in.
    let without = if row.has("join_status") { JoinStatus::Pending } else { JoinStatus::Active };
    Ok(BotRow {
        token_hash: row.hash("token")?,
        auth_role: row.word("auth_role", AuthRole::parse, AuthRole::Member, "its role is unknown; it is a member now"),
        join_status: row.word(
            "join_status",
            JoinStatus::parse,
            without,
            "its join status is unknown; it waits for approval now",
        ),
        join_status_changed_by: row.text("join_status_changed_by").map(|by| without_cookie(by, key)),
        join_status_changed_at: row.int("join_status_changed_at"),
        join_status_reason: row.text("join_status_reason"),
        metadata: row.json("metadata", Shape::Any),
        webhook_url: row.text("webhook_url"),
        webhook_secret: row.text("webhook_secret"),
        bio: row.text("bio"),
        role: row.text("role"),
        function: row.text("function"),
        team: row.text("team"),
        tags: row.json("tags", Shape::List),
        languages: row.json("languages", Shape::List),
        protocols: row.json("protocols", Shape::Object),
        status_text: row.text("status_text"),
        timezone: row.text("timezone"),
        active_hours: row.text("active_hours"),
        version: row.text("version"),
        runtime: row.text("runtime"),
        last_seen_at: row.int("last_seen_at"),
        created_at: row.time("created_at"),
        webhook_events: None,
        webhook_old_secret: None,
        webhook_old_secret_until: None,
        id,
        org_id,
        name,
    })
}

fn token(row: &mut Fields<'_>) -> Result<BotTokenRow, Skip> {
    let scopes = if row.has("scopes") { row.json("scopes", Shape::List) } else { Some("[\"full\"]".to_owned()) };
    Ok(BotTokenRow {
        id: row.id()?,
        bot_id: row.parent("bot_id", Parent::Bot, NO_BOT)?,
        token_hash: row.hash("token")?,
        scopes: scopes.unwrap_or_else(|| {
            row.changed("its scopes cannot be read; it covers nothing now");
            "[]".to_owned()
        }),
        label: row.text("label"),
        expires_at: row.int("expires_at"),
        created_at: row.time("created_at"),
        last_used_at: row.int("last_used_at"),
        parent_id: None,
    })
}

fn ticket(row: &mut Fields<'_>, codes: &mut HashSet<String>) -> Result<TicketRow, Skip> {
    let id: TicketId = row.id()?;
    // A ticket is taken by its id, too, so one without a code of its own loses nothing.
    let code = row.text("code").filter(|code| !codes.contains(code)).unwrap_or_else(|| id.to_string());
    codes.insert(code.clone());
    Ok(TicketRow {
        org_id: row.parent("org_id", Parent::Org, NO_ORG)?,
        code,
        reusable: row.flag("reusable"),
        skip_approval: row.flag("skip_approval"),
        expires_at: row.int("expires_at").unwrap_or(0),
        consumed: row.flag("consumed"),
        created_by: row.text("created_by"),
        created_at: row.time("created_at"),
        token_id: None,
        id,
    })
}

fn invite(row: &mut Fields<'_>) -> Result<InviteCodeRow, Skip> {
    Ok(InviteCodeRow {
        id: row.id()?,
        code_hash: row.hash("code_hash")?,
        code: row.text("code"),
        label: row.text("label"),
        max_uses: row.small("max_uses", 0, 0),
        use_count: row.small("use_count", 0, 0),
        expires_at: row.int("expires_at").unwrap_or(0),
        created_at: row.time("created_at"),
    })
}

fn tombstone(row: &mut Fields<'_>) -> Result<TombstoneRow, Skip> {
    Ok(TombstoneRow {
        id: row.id()?,
        org_id: row.parent("org_id", Parent::Org, NO_ORG)?,
        name: row.required("name", "it has no name")?,
        deleted_at: row.time("deleted_at"),
        deleted_by: row.text("deleted_by"),
    })
}

fn session(row: &mut Fields<'_>, key: &[u8], now: i64, keeps: bool) -> Result<SessionRow, Skip> {
    if !keeps {
        return Err("sessions are kept in Redis; people log in again");
    }
    let cookie = row.required("id", "it has no id")?;
    let expires_at = row.time("expires_at");
    if expires_at <= now {
        return Err("it has ended");
    }
    if row.flag("is_scoped_token") {
        // It must end with its token, and nobody noted which that is.
        return Err("it was opened with a scoped token and does not say which; people log in again");
    }
    let role = row.required("role", "its role is unknown")?;
    let (org_id, bot_id) = match role.as_str() {
        "bot_owner" => {
            (Some(row.parent("org_id", Parent::Org, NO_ORG)?), Some(row.parent("bot_id", Parent::Bot, NO_BOT)?))
        }
        "org_admin" => (Some(row.parent("org_id", Parent::Org, NO_ORG)?), None),
        "super_admin" => (None, None),
        _ => return Err("its role is unknown"),
    };
    Ok(SessionRow {
        id_hash: secrets::secret_hash(&cookie),
        reference: secrets::session_ref(key, &cookie),
        role,
        org_id,
        bot_id,
        token_id: None,
        owner_name: row.text("owner_name"),
        scopes: row.json("scopes", Shape::List),
        is_scoped_token: false,
        created_at: row.time("created_at"),
        expires_at,
        person_id: None,
    })
}
