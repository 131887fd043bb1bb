//! Which messages and artifacts came through a socket: the older server records this only in its audit trail, this hub
//! in the rows.

use diesel::prelude::*;
use serde_json::{Map, Value};

use super::super::ImportError;
use super::conversations::Merged;
use super::fields::Fields;
use crate::DbConnection;
use crate::schema::{artifacts as a, channel_messages as c, thread_messages as t};
use hxa_domain::ids::ChannelId;

/// An entry of the trail is written at most so long after its row, ms.
const LATER: i64 = 60_000;

/// A row that came through a socket.
pub struct Sent {
    target_type: String,
    target: String,
    conversation: String,
    at: i64,
}

impl Sent {
    /// Of an entry of the trail, if it says so.
    pub fn of(row: &mut Fields<'_>, merged: &Merged) -> Option<Self> {
        let detail: Map<String, Value> = serde_json::from_str(&row.text("detail")?).ok()?;
        if detail.get("via").and_then(Value::as_str) != Some("ws") {
            return None;
        }
        let conversation = detail.get("channel_id").or_else(|| detail.get("thread_id"))?.as_str()?;
        let conversation = ChannelId::parse(conversation)
            .and_then(|id| merged.get(&id))
            .map_or_else(|| conversation.to_owned(), ToString::to_string);
        Some(Self {
            target_type: row.text("target_type")?,
            target: row.text("target_id")?,
            conversation,
            at: row.int("created_at")?,
        })
    }

    /// Notes it on the row.
    pub fn mark(&self, conn: &mut DbConnection) -> Result<(), ImportError> {
        let (from, to) = (self.at.saturating_sub(LATER), self.at);
        match self.target_type.as_str() {
            "channel_message" => {
                let row = c::table
                    .filter(c::channel_id.eq(&self.conversation).and(c::created_at.between(from, to)))
                    .filter(c::id.eq(&self.target));
                diesel::update(row).set(c::via_socket.eq(true)).execute(conn)?;
            }
            "thread_message" => {
                let row = t::table
                    .filter(t::thread_id.eq(&self.conversation).and(t::created_at.between(from, to)))
                    .filter(t::id.eq(&self.target));
                diesel::update(row).set(t::via_socket.eq(true)).execute(conn)?;
            }
            "artifact" => {
                let row = a::table.filter(a::thread_id.eq(&self.conversation).and(a::id.eq(&self.target)));
                diesel::update(row).set(a::via_socket.eq(true)).execute(conn)?;
            }
            _ => {}
        }
        Ok(())
    }
}
