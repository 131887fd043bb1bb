//! The audit trail, catch-up events, and the health of webhooks.
//!
//! Entries get ids that begin with their time, by which they are listed here. Entries that this hub derives from
//! messages and artifacts (the trail of sends, summaries of missed messages) are skipped, or they would appear twice.
//! Older servers wrote people's cookies into the trail; only their references are kept.

use serde_json::{Map, Value};

use super::super::source::Table;
use super::super::target::Parent;
use super::super::{ImportError, Move};
use super::conversations::Merged;
use super::fields::{Fields, Shape, Skip};
use super::sends::Sent;
use super::{cleaned_row, found, insert, simple, walk};
use crate::rows::{AuditRow, CatchupRow, WebhookHealthRow};
use crate::timed_ids;
use hxa_domain::ids::EventId;
use hxa_domain::secrets;

const NO_ORG: Skip = "its organisation is gone";
const READ_FROM_ROWS: Skip = "it is read out of the messages and artifacts themselves";
/// Entries of the trail that stand for rows.
const SENDS: [&str; 3] = ["message.send", "artifact.add", "artifact.update"];
/// Events that stand for rows or entries of the trail.
const SUMMARIES: [&str; 4] =
    ["channel_message_summary", "thread_message_summary", "thread_artifact_added", "thread_status_changed"];
const STATUS: &str = "thread.status_changed";

const AUDIT: Table = Table {
    name: "audit_log",
    key: &["id"],
    extra: &[(
        "topic",
        "CASE WHEN t.action = 'thread.status_changed' THEN (SELECT h.topic FROM threads h WHERE h.id = t.target_id) END",
    )],
};

/// Moves all of it.
pub fn tables(all: &mut Move, merged: &Merged) -> Result<(), ImportError> {
    let bot = ("bot_id", Parent::Bot);
    let table = Table { name: "webhook_status", key: &["bot_id"], extra: &[] };
    simple::<WebhookHealthRow>(all, &table, &[bot], health)?;
    let table = Table { name: "catchup_events", key: &["id"], extra: &[] };
    simple::<CatchupRow>(all, &table, &[("org_id", Parent::Org), ("target_bot_id", Parent::Bot)], missed)?;
    audit(all, merged)?;
    rates(all)
}

fn audit(all: &mut Move, merged: &Merged) -> Result<(), ImportError> {
    let key = all.reference_key.clone();
    walk(all, &AUDIT, &[("org_id", Parent::Org)], |all, page| {
        let (mut rows, mut sent) = (Vec::with_capacity(page.len()), Vec::new());
        for (name, mut fields) in page {
            sent.extend(Sent::of(&mut fields, merged));
            let cleaned = entry(&mut fields, &key);
            rows.extend(cleaned_row(all, AUDIT.name, &name, fields, cleaned));
        }
        sent.iter().try_for_each(|sent| sent.mark(all.target.conn()))?;
        insert(all, AUDIT.name, &rows)
    })?;
    found::<AuditRow>(all, AUDIT.name)
}

/// Limits count in memory here, over a minute and an hour.
fn rates(all: &mut Move) -> Result<(), ImportError> {
    let Some(rows) = all.source.count("rate_limit_events")? else { return Ok(()) };
    let report = all.report.table("rate_limit_events");
    (report.counted, report.read) = (rows, rows);
    report.skip_many("rate limits start anew", rows, "");
    all.progress.add(usize::try_from(rows).unwrap_or(0));
    Ok(())
}

fn health(row: &mut Fields<'_>) -> Result<WebhookHealthRow, Skip> {
    Ok(WebhookHealthRow {
        bot_id: row.parent("bot_id", Parent::Bot, "its bot is gone")?,
        last_success: row.int("last_success"),
        last_failure: row.int("last_failure"),
        consecutive_failures: row.small("consecutive_failures", 0, 0),
        degraded: row.flag("degraded"),
        hold_until: 0,
        dropped: 0,
        last_dropped: None,
    })
}

fn missed(row: &mut Fields<'_>) -> Result<CatchupRow, Skip> {
    let kind = row.required("type", "it has no type")?;
    if SUMMARIES.contains(&kind.as_str()) {
        return Err(READ_FROM_ROWS);
    }
    if !["thread_invited", "thread_participant_removed"].contains(&kind.as_str()) {
        return Err("its type is unknown");
    }
    let (id, occurred_at): (EventId, i64) = (row.id()?, row.time("occurred_at"));
    Ok(CatchupRow {
        target_bot_id: row.parent("target_bot_id", Parent::Bot, "its bot is gone")?,
        id: timed_ids::derived(occurred_at, &id.to_string()),
        org_id: row.parent("org_id", Parent::Org, NO_ORG)?,
        kind,
        payload: row.json("payload", Shape::Object).ok_or("what it says cannot be read")?,
        occurred_at,
    })
}

fn entry(row: &mut Fields<'_>, key: &[u8]) -> Result<AuditRow, Skip> {
    let action = row.required("action", "it has no action")?;
    if SENDS.contains(&action.as_str()) {
        return Err(READ_FROM_ROWS);
    }
    let org_id = row.parent("org_id", Parent::Org, NO_ORG)?;
    let created_at = row.time("created_at");
    let (id, bot_id) = (row.text("id").unwrap_or_default(), row.text("bot_id"));
    let mut detail = row.json("detail", Shape::Object);
    if action == STATUS {
        detail = Some(status_detail(detail.as_deref(), row.text("topic"), bot_id.as_deref()));
    }
    let target_id = row.text("target_id").unwrap_or_default();
    Ok(AuditRow {
        org_id,
        id: timed_ids::derived(created_at, &id),
        bot_id,
        action,
        target_type: row.text("target_type").unwrap_or_default(),
        target_id: without_cookie(target_id, key),
        detail: detail.map(|detail| detail_without_cookie(detail, key)),
        created_at,
    })
}

/// A change of status also says, for catchup, the thread's topic and who acted.
fn status_detail(detail: Option<&str>, topic: Option<String>, by: Option<&str>) -> String {
    let mut fields: Map<String, Value> = detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    fields.insert("topic".to_owned(), topic.into());
    fields.insert("by".to_owned(), by.into());
    Value::Object(fields).to_string()
}

fn detail_without_cookie(detail: String, key: &[u8]) -> String {
    const COOKIE: &str = "cleared_by_session";
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&detail) else { return detail };
    let Some(Value::String(cookie)) = fields.get_mut(COOKIE) else { return detail };
    *cookie = without_cookie(std::mem::take(cookie), key);
    Value::Object(fields).to_string()
}

/// The reference of a session in place of its cookie; other texts as they are.
pub fn without_cookie(text: String, key: &[u8]) -> String {
    let (prefix, cookie) = match text.strip_prefix("session:") {
        Some(cookie) => ("session:", cookie),
        None => ("", text.as_str()),
    };
    let is_cookie = cookie.len() == 64 && cookie.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_cookie { format!("{prefix}{}", secrets::session_ref(key, cookie)) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_leave_the_trail() {
        let cookie = "ab".repeat(32);
        let reference = secrets::session_ref(b"k", &cookie);
        assert_eq!(without_cookie(cookie.clone(), b"k"), reference);
        assert_eq!(without_cookie(format!("session:{cookie}"), b"k"), format!("session:{reference}"));
        assert_eq!(without_cookie("session".to_owned(), b"k"), "session");
        let told = detail_without_cookie(format!("{{\"cleared_by_session\":\"{cookie}\",\"x\":1}}"), b"k");
        assert_eq!(told, format!("{{\"cleared_by_session\":\"{reference}\",\"x\":1}}"));
        assert_eq!(detail_without_cookie("{\"x\": 1}".to_owned(), b"k"), "{\"x\": 1}");
    }

    #[test]
    fn a_status_change_keeps_what_catchup_says() {
        let told = status_detail(Some("{\"from\":\"active\"}"), Some("t".to_owned()), Some("b"));
        assert_eq!(told, "{\"from\":\"active\",\"topic\":\"t\",\"by\":\"b\"}");
    }
}
