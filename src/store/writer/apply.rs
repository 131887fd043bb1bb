//! Turns the writes of a batch into as few statements as their order allows.
//!
//! Messages, artifacts, audit rows, catchup events, webhook deliveries and receipts depend on nothing else in the
//! database, so they are gathered over the whole batch and inserted together; activity times keep only the newest per
//! row. Any other write runs in its place, after what was gathered so far.

use std::collections::HashMap;

use diesel::prelude::*;

use super::super::connection::{each_backend, insert_all};
use super::super::rows::{
    ArtifactRow, AuditRow, CatchupRow, ChannelMessageRow, DeliveryRow, ReceiptRow, ThreadMessageRow,
};
use super::super::schema::{
    artifacts, audit_log, catchup_events, channel_messages, channels, threads, webhook_deliveries,
};
use super::super::statement::Prepared;
use super::super::{DbConnection, DbError, idempotency, messages, threads as thread_queries};
use super::{Commit, Write};
use crate::domain::ids::{ChannelId, ThreadId};

#[derive(Default)]
struct Gathered<'a> {
    thread_messages: Vec<&'a ThreadMessageRow>,
    channel_messages: Vec<&'a ChannelMessageRow>,
    artifacts: Vec<&'a ArtifactRow>,
    audit: Vec<&'a AuditRow>,
    catchup: Vec<&'a CatchupRow>,
    webhooks: Vec<&'a DeliveryRow>,
    receipts: Vec<&'a ReceiptRow>,
    thread_activity: HashMap<ThreadId, i64>,
    channel_activity: HashMap<ChannelId, i64>,
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
            Write::Webhook(row) => gathered.webhooks.push(row),
            Write::Receipt(row) => gathered.receipts.push(row),
            Write::ThreadActivity(id, at) => keep_newest(&mut gathered.thread_activity, *id, *at),
            Write::ChannelActivity(id, at) => keep_newest(&mut gathered.channel_activity, *id, *at),
            Write::Thread(update) => thread_queries::apply_update(conn, update)?,
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

impl Gathered<'_> {
    fn insert(self, conn: &mut DbConnection) -> Result<(), DbError> {
        messages::insert_in_threads(conn, &self.thread_messages)?;
        insert_all!(conn, channel_messages::table, &self.channel_messages, 8);
        insert_all!(conn, artifacts::table, &self.artifacts, 14);
        insert_all!(conn, audit_log::table, &self.audit, 8);
        insert_all!(conn, catchup_events::table, &self.catchup, 6);
        insert_all!(conn, webhook_deliveries::table, &self.webhooks, 13);
        for row in self.receipts {
            idempotency::insert(conn, row)?;
        }
        for (id, at) in self.thread_activity {
            let row = threads::table.find(id.to_string()).filter(threads::last_activity_at.lt(at));
            let newer = Prepared(diesel::update(row).set(threads::last_activity_at.eq(at)));
            each_backend!(conn, |c| newer.execute(c))?;
        }
        for (id, at) in self.channel_activity {
            let row = channels::table.find(id.to_string()).filter(channels::last_activity_at.lt(at));
            let newer = Prepared(diesel::update(row).set(channels::last_activity_at.eq(at)));
            each_backend!(conn, |c| newer.execute(c))?;
        }
        Ok(())
    }
}
