//! The inbox: messages from others to a bot, across all its channels.
//!
//! Channels are merged as they are read: each is a range of the key of messages, (channel, time, id), and one statement
//! over some of them stops at the page's last message. So a page costs as many rows as it has, however long the
//! channels are.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use super::page::{Page, Weigh, read_within};
use super::statement::Statement;
use super::{DbConnection, DbError};
use hxa_domain::ids::{BotId, ChannelId, MessageId};

/// Channels that one statement merges.
const MERGED: usize = 16;

/// A message in the inbox. Its sender is the other bot of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct InboxMessage {
    /// Which of [`Inbox::channels`] it is in.
    channel: i32,
    /// When it was sent, ms.
    pub created_at: i64,
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub content: String,
    /// What kind of text that is.
    pub content_type: String,
    /// Its parts as JSON, unless they are only the content.
    pub parts: Option<String>,
}

/// The columns of [`InboxMessage`].
type Columns = (Integer, BigInt, Text, Text, Text, Nullable<Text>);

/// A channel and who writes there to the reader.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Correspondent {
    /// The channel.
    pub channel_id: ChannelId,
    /// The other bot.
    pub bot_id: BotId,
}

/// A page of the inbox.
#[derive(Debug)]
pub struct Inbox {
    /// Channels with something new in them.
    pub channels: Vec<Correspondent>,
    /// The messages, oldest first.
    pub messages: Page<InboxMessage>,
}

impl InboxMessage {
    /// The position of its channel among [`Inbox::channels`].
    #[must_use]
    pub fn channel(&self) -> usize {
        usize::try_from(self.channel).unwrap_or(usize::MAX)
    }
}

impl Weigh for InboxMessage {
    fn bytes(&self) -> usize {
        self.content.len() + self.parts.as_ref().map_or(0, String::len)
    }
}

/// Messages that others sent to a bot after `since`, oldest first, at most `limit` and about `most` bytes.
///
/// Who goes on from the last one's time misses nothing: messages of one instant are never torn apart. A page ends before
/// an instant that does not fit as a whole; one that alone has more than that is given whole.
///
/// # Errors
/// When the database fails.
pub fn page(conn: &mut DbConnection, bot: BotId, since: i64, (limit, most): (usize, usize)) -> Result<Inbox, DbError> {
    let channels = active_channels(conn, bot, since)?;
    let mut reading = Reading { bot, channels: &channels, most };
    let mut messages = reading.merged(conn, since, i64::MAX, limit.saturating_add(1))?;
    let limit = limit.min(reading.fitting(&messages));
    let has_more = messages.len() > limit;
    reading.most = usize::MAX;
    if let Some(instant) = cut_between_instants(&mut messages, limit) {
        messages = reading.merged(conn, instant.saturating_sub(1), instant, usize::MAX)?;
    }
    Ok(Inbox { channels, messages: Page { rows: messages, has_more } })
}

/// Channels of a bot with activity after a time.
fn active_channels(conn: &mut DbConnection, bot: BotId, since: i64) -> Result<Vec<Correspondent>, DbError> {
    const ACTIVE: &str = "SELECT c.id, CASE WHEN c.bot_low = $1 THEN c.bot_high ELSE c.bot_low END \
        FROM channels c WHERE (c.bot_low = $1 OR c.bot_high = $1) AND c.last_activity_at > $2";
    Statement::<(Text, Text)>::of_columns(ACTIVE).text(bot).number(since).load(conn)
}

/// Whose inbox is read, and where.
struct Reading<'a> {
    bot: BotId,
    channels: &'a [Correspondent],
    /// Bytes that each statement reads, about.
    most: usize,
}

impl Reading<'_> {
    /// The first `limit` messages after `since` and up to `until`, of all channels.
    fn merged(
        &self,
        conn: &mut DbConnection,
        since: i64,
        mut until: i64,
        limit: usize,
    ) -> Result<Vec<InboxMessage>, DbError> {
        let mut messages: Vec<InboxMessage> = Vec::new();
        for first in (0..self.channels.len()).step_by(MERGED) {
            messages.extend(self.some(conn, first, (since, until), limit)?);
            if first > 0 {
                messages.sort_unstable_by_key(|message| (message.created_at, message.id));
                messages.truncate(limit.min(self.fitting(&messages).saturating_add(1)));
            }
            // What comes later than a full page is not on it.
            if messages.len() == limit || self.fitting(&messages) < messages.len() {
                until = messages.last().map_or(until, |last| last.created_at);
            }
        }
        Ok(messages)
    }

    /// How many of the messages the bytes are enough for; the first one counts whatever it has.
    fn fitting(&self, messages: &[InboxMessage]) -> usize {
        let mut left = self.most;
        let goes_over = |message: &InboxMessage| {
            let is_full = left == 0;
            left = left.saturating_sub(message.bytes());
            is_full
        };
        messages.iter().position(goes_over).unwrap_or(messages.len()).max(messages.len().min(1))
    }

    /// The same of the channels from `first` on that one statement merges.
    fn some(
        &self,
        conn: &mut DbConnection,
        first: usize,
        (since, until): (i64, i64),
        limit: usize,
    ) -> Result<Vec<InboxMessage>, DbError> {
        let some = self.channels.iter().skip(first).take(MERGED);
        let is_merged = some.len() > 1;
        // Counted from this statement's first channel, so that there are only as many texts as numbers of channels.
        let arm = |position: usize| {
            let arm = format!(
                "SELECT {position} AS channel, created_at, id, content, content_type, parts FROM channel_messages \
                 WHERE channel_id = ${value} AND created_at > $2 AND created_at <= $3 AND sender_id <> $1",
                value = position + 5
            );
            match conn {
                // It would rather sort whole channels than merge them, unless each says that it needs no more.
                DbConnection::Postgres(_) if is_merged => format!("({arm} ORDER BY created_at, id LIMIT $4)"),
                _ => arm,
            }
        };
        let arms: Vec<String> = (0..some.len()).map(arm).collect();
        let sql = format!("{} ORDER BY created_at, id LIMIT $4", arms.join(" UNION ALL "));
        let statement = Statement::<Columns>::of_columns(sql).text(self.bot).number(since).number(until);
        let statement = statement.number(i64::try_from(limit).unwrap_or(i64::MAX));
        let statement = some.fold(statement, |statement, channel| statement.text(channel.channel_id));
        let (mut messages, next) = read_within!(conn, statement, InboxMessage, self.most)?;
        // One more than fits, so that it is known at which instant the next page begins.
        messages.extend(next);
        let first = i32::try_from(first).unwrap_or(i32::MAX);
        messages.iter_mut().for_each(|message| message.channel = message.channel.saturating_add(first));
        Ok(messages)
    }
}

/// Cuts a sorted page at `limit` or before, where one instant ends and another begins. When the whole page is of one
/// instant it is left, and that instant returned.
fn cut_between_instants(page: &mut Vec<InboxMessage>, limit: usize) -> Option<i64> {
    let first_beyond = page.get(limit)?.created_at;
    let whole = page.partition_point(|row| row.created_at < first_beyond);
    if whole == 0 {
        return Some(first_beyond);
    }
    page.truncate(whole);
    None
}
