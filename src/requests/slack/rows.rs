//! The outbox in the database: which messages about a request Slack is to have, has, or will never have.
//!
//! A change of a request adds rows in its own commit; only the [sender](super::sender) changes and deletes them afterwards, one
//! request at a time. What a message says is not stored: it is made of the request when it is sent, so a row is small and a message
//! that was late says how things are. At most two messages that ask wait for one request: the first may be under way, and the second
//! says the newest.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use crate::rules::RequestId;
use hxa_domain::ids::OrgId;
use hxa_slack::Posted;
use hxa_slack::outbox::{Entry, Kind, Status};
use hxa_store::statement::{Statement, Value};
use hxa_store::{DbConnection, DbError, FeatureWrite};

/// Messages of one request that ask and that Slack may have, beyond which a request that only changes hands asks no more; those
/// that are there can still be answered.
const MOST_ASKS: usize = 32;
/// Messages that ask and wait at the same time.
const MOST_WAITING: usize = 2;

crate::rules::words::stored_words! {
    /// What a message is.
    What {
        Ask = "ask",
        Reassigned = "reassigned",
        Delegated = "delegated",
        Over = "over",
    }
}

crate::rules::words::stored_words! {
    /// Where a message stands.
    Standing {
        Waiting = "waiting",
        Posted = "posted",
        Sent = "sent",
        Failed = "failed",
    }
}

/// A row, with its columns in their order.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Row {
    /// Its number; later ones of a request are greater.
    pub seq: i64,
    /// What it is.
    pub what: What,
    /// The message that it takes the place of.
    pub of_seq: Option<i64>,
    /// Whom it names.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// The conversation that the message is in.
    pub channel: Option<String>,
    /// The message in it.
    pub ts: Option<String>,
    /// Why it was given up.
    pub error: Option<String>,
    /// When it may be tried, ms.
    pub due_at: i64,
    /// When it was put here, ms.
    pub queued_at: i64,
    /// Attempts that failed.
    pub failures: i32,
}

type Columns = (
    BigInt,
    Text,
    Nullable<BigInt>,
    Text,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    BigInt,
    BigInt,
    Integer,
);
const COLUMNS: &str = "seq, kind, of_seq, name, status, channel, ts, error, due_at, queued_at, failures";

impl Row {
    /// The row as the rules of sending see it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let status = match self.standing {
            Standing::Waiting => Status::Waiting,
            Standing::Posted | Standing::Sent => Status::Sent,
            Standing::Failed => Status::GivenUp,
        };
        Entry {
            id: self.seq,
            kind: self.of_seq.map_or(Kind::Post, |of| Kind::Update { of }),
            status,
            due_at: self.due_at,
            queued_at: self.queued_at,
            failures: u32::try_from(self.failures).unwrap_or_default(),
        }
    }

    /// Where the message is, if Slack has it.
    #[must_use]
    pub fn place(&self) -> Option<Posted> {
        Some(Posted { channel: self.channel.clone()?, ts: self.ts.clone()? })
    }

    fn is_waiting_ask(&self) -> bool {
        self.what == What::Ask && self.standing == Standing::Waiting
    }
}

/// The rows of a request, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut DbConnection, request: RequestId) -> Result<Vec<Row>, DbError> {
    let list = format!("SELECT {COLUMNS} FROM slack_outbox WHERE request_id = $1 ORDER BY seq");
    Statement::<Columns>::of_columns(list).text(request).load(conn)
}

/// Requests whose messages are not done with, behind one in the order of organisation and id; at most a thousand.
///
/// # Errors
/// When the database fails.
pub fn list_open(
    conn: &mut DbConnection,
    after: Option<&(OrgId, RequestId)>,
) -> Result<Vec<(OrgId, RequestId)>, DbError> {
    const OPEN: &str = "SELECT DISTINCT org_id, request_id FROM slack_outbox \
         WHERE status <> 'sent' AND (org_id, request_id) > ($1, $2) ORDER BY org_id, request_id LIMIT 1000";
    let (org, id) = after.map(|(org, id)| (org.to_string(), id.to_string())).unwrap_or_default();
    Statement::<(Text, Text)>::of_columns(OPEN).text(org).text(id).load(conn)
}

/// What a change of a request owes to Slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The request.
    pub request: RequestId,
    /// Its organisation.
    pub org: OrgId,
    /// What there is to say.
    pub news: News,
    /// Now, ms.
    pub at: i64,
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Somebody is asked.
    Asked {
        /// Who.
        name: String,
        /// Whether they may answer beside somebody else.
        is_delegate: bool,
        /// Whether the request waits for this message, so that it is never left out.
        is_needed: bool,
    },
    /// The request has ended.
    Over {
        /// Who has ended it, where the request does not say so.
        by: String,
    },
}

impl FeatureWrite for Owed {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        let rows = list(conn, self.request)?;
        for (seq, (what, of, name)) in (self.next_seq(&rows)..).zip(self.additions(&rows)) {
            self.insert(conn, (seq, what, of), &name)?;
        }
        Ok(())
    }
}

impl Owed {
    /// Numbers grow with time, so that the number of a deleted row does not come again.
    fn next_seq(&self, rows: &[Row]) -> i64 {
        rows.last().map_or(self.at, |last| last.seq.saturating_add(1).max(self.at))
    }

    /// What is added to these rows, in order.
    fn additions(&self, rows: &[Row]) -> Vec<(What, Option<i64>, String)> {
        let asks: Vec<&Row> = rows.iter().filter(|row| row.what == What::Ask).collect();
        let instead = |what: What, name: &String| {
            let updates = asks.iter().map(|ask| (what, Some(ask.seq), name.clone()));
            updates.collect::<Vec<_>>()
        };
        match &self.news {
            News::Over { by } => instead(What::Over, by),
            News::Asked { name, is_delegate, is_needed } => {
                let waiting = asks.iter().filter(|ask| ask.is_waiting_ask()).count();
                if waiting >= MOST_WAITING || (!is_needed && asks.len() >= MOST_ASKS) {
                    return Vec::new();
                }
                let what = if *is_delegate { What::Delegated } else { What::Reassigned };
                let newest = asks.last().map(|ask| (what, Some(ask.seq), name.clone()));
                newest.into_iter().chain([(What::Ask, None, name.clone())]).collect()
            }
        }
    }

    fn insert(
        &self,
        conn: &mut DbConnection,
        (seq, what, of): (i64, What, Option<i64>),
        name: &str,
    ) -> Result<(), DbError> {
        const INSERT: &str = "INSERT INTO slack_outbox \
             (request_id, seq, org_id, kind, of_seq, name, status, due_at, queued_at, failures) \
             VALUES ($1, $2, $3, $4, $5, $6, 'waiting', $7, $7, 0)";
        let insert = Statement::new(INSERT).text(self.request).number(seq).text(self.org).text(what);
        insert.value(Value::Number(of)).text(name).number(self.at).execute(conn)?;
        Ok(())
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Slack has it, there.
    Posted(Posted),
    /// It is tried again, at a time and after so many failures.
    Again(i64, u32),
    /// It is given up.
    Failed(String),
}

/// Stores what became of a message that asks, or of one that takes its place and is tried again.
///
/// # Errors
/// When the database fails.
pub fn settle(conn: &mut DbConnection, request: RequestId, seq: i64, fate: &Fate) -> Result<(), DbError> {
    const POSTED: &str =
        "UPDATE slack_outbox SET status = 'posted', channel = $3, ts = $4 WHERE request_id = $1 AND seq = $2";
    const AGAIN: &str = "UPDATE slack_outbox SET due_at = $3, failures = $4 WHERE request_id = $1 AND seq = $2";
    const FAILED: &str = "UPDATE slack_outbox SET status = 'failed', error = $3 WHERE request_id = $1 AND seq = $2";
    let of = |sql: &str| Statement::new(sql).text(request).number(seq);
    match fate {
        Fate::Posted(place) => of(POSTED).text(&place.channel).text(&place.ts),
        Fate::Again(at, failures) => of(AGAIN).number(*at).number(i64::from(*failures)),
        Fate::Failed(code) => of(FAILED).text(code),
    }
    .execute(conn)?;
    Ok(())
}

/// The request says now that Slack has a message.
///
/// # Errors
/// When the database fails.
pub fn mark_sent(conn: &mut DbConnection, request: RequestId, seq: i64) -> Result<(), DbError> {
    const SENT: &str = "UPDATE slack_outbox SET status = 'sent' WHERE request_id = $1 AND seq = $2";
    Statement::new(SENT).text(request).number(seq).execute(conn)?;
    Ok(())
}

/// Deletes what was to take the place of a message.
///
/// # Errors
/// When the database fails.
pub fn delete_updates(conn: &mut DbConnection, request: RequestId, seq: i64) -> Result<(), DbError> {
    const DELETE: &str = "DELETE FROM slack_outbox WHERE request_id = $1 AND of_seq = $2";
    Statement::new(DELETE).text(request).number(seq).execute(conn)?;
    Ok(())
}

/// Deletes rows, with what was to take their place.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, request: RequestId, seqs: &[i64]) -> Result<(), DbError> {
    const DELETE: &str = "DELETE FROM slack_outbox WHERE request_id = $1 AND (seq = $2 OR of_seq = $2)";
    for seq in seqs {
        Statement::new(DELETE).text(request).number(*seq).execute(conn)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, Sample};

    fn row(seq: i64, what: What, standing: Standing) -> Row {
        let of_seq = (what != What::Ask).then_some(1);
        let (name, channel, ts, error) = ("dora".to_owned(), None, None, None);
        Row { seq, what, of_seq, name, standing, channel, ts, error, due_at: NOW, queued_at: NOW, failures: 0 }
    }

    fn owed(news: News) -> Owed {
        Owed { request: RequestId::at(NOW), org: OrgId::at(NOW), news, at: NOW }
    }

    fn asked(is_needed: bool) -> Owed {
        owed(News::Asked { name: "emil".to_owned(), is_delegate: false, is_needed })
    }

    fn kinds(owed: &Owed, rows: &[Row]) -> Vec<(What, Option<i64>)> {
        owed.additions(rows).into_iter().map(|(what, of, _)| (what, of)).collect()
    }

    #[test]
    fn who_is_asked_next_is_told_beside_the_message_before() {
        assert_eq!(kinds(&asked(true), &[]), [(What::Ask, None)]);
        let before = [row(1, What::Ask, Standing::Sent)];
        assert_eq!(kinds(&asked(false), &before), [(What::Reassigned, Some(1)), (What::Ask, None)]);
        let delegate = News::Asked { name: "emil".to_owned(), is_delegate: true, is_needed: false };
        assert_eq!(kinds(&owed(delegate), &before), [(What::Delegated, Some(1)), (What::Ask, None)]);
    }

    #[test]
    fn messages_of_one_request_are_bounded() {
        let waiting = [row(1, What::Ask, Standing::Waiting), row(2, What::Ask, Standing::Waiting)];
        assert!(kinds(&asked(true), &waiting).is_empty(), "the second one will say the newest");
        let many: Vec<Row> = (0..32).map(|seq| row(seq, What::Ask, Standing::Sent)).collect();
        assert!(kinds(&asked(false), &many).is_empty());
        assert_eq!(kinds(&asked(true), &many).len(), 2, "an escalation is always told");
    }

    #[test]
    fn an_end_is_told_in_every_message_that_asked() {
        let rows = [
            row(1, What::Ask, Standing::Sent),
            row(2, What::Reassigned, Standing::Sent),
            row(3, What::Ask, Standing::Sent),
        ];
        let over = owed(News::Over { by: String::new() });
        assert_eq!(kinds(&over, &rows), [(What::Over, Some(1)), (What::Over, Some(3))]);
        assert!(kinds(&over, &[]).is_empty());
    }

    #[test]
    fn numbers_grow_with_time_and_never_repeat() {
        assert_eq!(asked(true).next_seq(&[]), NOW);
        assert_eq!(asked(true).next_seq(&[row(NOW + 5, What::Ask, Standing::Sent)]), NOW + 6);
    }

    #[test]
    fn rows_are_stored_changed_and_deleted() {
        let mut sample = Sample::new();
        let kept = sample.ask(&serde_json::json!({}));
        let id = kept.request.id;
        let owed = Owed { request: id, org: sample.org, ..asked(true) };
        let conn = &mut sample.conn;
        owed.apply(conn).unwrap();
        assert_eq!(list_open(conn, None).unwrap(), [(sample.org, id)]);
        assert!(list_open(conn, Some(&(sample.org, id))).unwrap().is_empty());
        let seq = list(conn, id).unwrap()[0].seq;
        settle(conn, id, seq, &Fate::Again(NOW + 9, 2)).unwrap();
        let again = list(conn, id).unwrap();
        assert_eq!((again[0].due_at, again[0].failures, again[0].standing), (NOW + 9, 2, Standing::Waiting));
        let place = Posted { channel: "C1".to_owned(), ts: "1.2".to_owned() };
        settle(conn, id, seq, &Fate::Posted(place.clone())).unwrap();
        assert_eq!(list(conn, id).unwrap()[0].place(), Some(place));
        assert_eq!(list_open(conn, None).unwrap().len(), 1, "the request does not say so yet");
        mark_sent(conn, id, seq).unwrap();
        assert!(list_open(conn, None).unwrap().is_empty());
        Owed { news: News::Over { by: "ada".to_owned() }, ..owed }.apply(conn).unwrap();
        assert_eq!(list(conn, id).unwrap().len(), 2);
        settle(conn, id, seq, &Fate::Failed("x".to_owned())).unwrap();
        assert_eq!(list(conn, id).unwrap()[0].error.as_deref(), Some("x"));
        delete(conn, id, &[seq]).unwrap();
        assert!(list(conn, id).unwrap().is_empty());
    }
}
