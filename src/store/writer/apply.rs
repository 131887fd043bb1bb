//! Turns the writes of a batch into as few statements as their order allows.
//!
//! Messages, artifacts, audit rows, catch-up events, webhook deliveries and receipts depend on nothing else in the
//! database, so they are collected over the whole batch and inserted together; of activity times only the newest per
//! row is kept. The writes of features run after them, in their order. Any other write runs in its place, after the
//! rows collected so far.

use std::collections::HashMap;

use diesel::prelude::*;

use super::super::append::append;
use super::super::rows::{
    ArtifactRow, AuditRow, CatchupRow, ChannelMessageRow, DeliveryRow, PayloadRow, ReceiptRow, ThreadMessageRow,
};
use super::super::schema::{
    artifacts, audit_log, catchup_events, channel_messages, webhook_deliveries, webhook_payloads,
};
use super::super::statement::Statement;
use super::super::{DbConnection, DbError, idempotency, messages, threads as thread_queries};
use super::feature::{FeatureWrite, apply_in_order};
use super::{Commit, Write};
use hxa_domain::ids::{ChannelId, ThreadId};

#[derive(Default)]
struct Gathered<'a> {
    thread_messages: Vec<&'a ThreadMessageRow>,
    channel_messages: Vec<&'a ChannelMessageRow>,
    artifacts: Vec<&'a ArtifactRow>,
    audit: Vec<&'a AuditRow>,
    catchup: Vec<&'a CatchupRow>,
    payloads: Vec<&'a PayloadRow>,
    webhooks: Vec<&'a DeliveryRow>,
    receipts: Vec<&'a ReceiptRow>,
    thread_activity: HashMap<ThreadId, i64>,
    channel_activity: HashMap<ChannelId, i64>,
    features: Vec<&'a dyn FeatureWrite>,
}

/// Executes all writes of `commits` inside the caller's transaction.
pub fn apply(conn: &mut DbConnection, commits: &[&Commit]) -> Result<(), DbError> {
    let mut gathered = Gathered::default();
    for write in commits.iter().flat_map(|commit| &commit.writes) {
        match write {
            Write::ThreadMessage(row) => gathered.thread_messages.push(row),
            Write::ChannelMessage(row) => gathered.channel_messages.push(row),
            Write::Artifact(row) => gathered.artifacts.push(row),
            Write::Audit(row) => gathered.audit.push(row),
            Write::Catchup(row) => gathered.catchup.push(row),
            Write::Payload(row) => gathered.payloads.push(row),
            Write::Webhook(row) => gathered.webhooks.push(row),
            Write::Receipt(row) => gathered.receipts.push(row),
            Write::ThreadActivity(id, at) => keep_newest(&mut gathered.thread_activity, *id, *at),
            Write::ChannelActivity(id, at) => keep_newest(&mut gathered.channel_activity, *id, *at),
            Write::Thread(update) => thread_queries::apply_update(conn, update)?,
            Write::Feature(change) => gathered.features.push(change.as_ref()),
            Write::Run(change) => {
                std::mem::take(&mut gathered).insert(conn)?;
                change(conn)?;
            }
        }
    }
    gathered.insert(conn)
}

fn keep_newest<K: std::hash::Hash + Eq>(map: &mut HashMap<K, i64>, key: K, at: i64) {
    let newest = map.entry(key).or_insert(at);
    *newest = at.max(*newest);
}

fn keep_newest_stored(conn: &mut DbConnection, table: &str, id: impl ToString, at: i64) -> Result<(), DbError> {
    let newer = format!("UPDATE {table} SET last_activity_at = $1 WHERE id = $2 AND last_activity_at < $1");
    Statement::new(newer).number(at).text(id).execute(conn)?;
    Ok(())
}

impl Gathered<'_> {
    fn insert(self, conn: &mut DbConnection) -> Result<(), DbError> {
        messages::insert_in_threads(conn, &self.thread_messages)?;
        append!(
            conn,
            channel_messages: ChannelMessageRow {
                channel_id, created_at, id, sender_id, content, content_type, parts, via_socket,
            },
            &self.channel_messages
        );
        append!(
            conn,
            artifacts: ArtifactRow {
                thread_id, artifact_key, version, id, kind, title, content, language, url, mime_type, contributor_id,
                format_warning, via_socket, created_at,
            },
            &self.artifacts
        );
        append!(
            conn,
            audit_log: AuditRow { org_id, id, bot_id, action, target_type, target_id, detail, created_at },
            &self.audit
        );
        append!(
            conn,
            catchup_events: CatchupRow { target_bot_id, id, org_id, kind, payload, occurred_at },
            &self.catchup
        );
        append!(conn, webhook_payloads: PayloadRow { id, org_id, bytes, body }, &self.payloads);
        append!(
            conn,
            webhook_deliveries: DeliveryRow {
                bot_id, position, id, org_id, event, lane, payload_id, bytes, status, attempts, unanswered,
                next_attempt_at, last_status, last_error, created_at, finished_at,
            },
            &self.webhooks
        );
        for row in self.receipts {
            idempotency::insert(conn, row)?;
        }
        for (id, at) in self.thread_activity {
            keep_newest_stored(conn, "threads", id, at)?;
        }
        for (id, at) in self.channel_activity {
            keep_newest_stored(conn, "channels", id, at)?;
        }
        apply_in_order(&self.features, conn)
    }
}
