//! What is to be done next about the messages of one request, from its rows alone.

use super::rows::{Row, Standing, What};
use crate::rules::Request;
use hxa_slack::outbox::{Entry, Next, plan};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
    /// The request must say what became of this message.
    Tell(Row),
    /// Nobody needs these rows any more.
    Drop(Vec<i64>),
    /// This message is sent.
    Send(Row),
    /// Nothing before this time, ms.
    Wait(i64),
    /// Nothing any more.
    Nothing,
}

/// What is to be done next; `rows` are all of a request, oldest first.
#[must_use]
pub fn next(request: &Request, rows: &[Row], now: i64) -> Todo {
    if let Some(row) = rows.iter().find(|row| matches!(row.standing, Standing::Posted | Standing::Failed)) {
        return Todo::Tell(row.clone());
    }
    let overtaken = overtaken(rows);
    if !overtaken.is_empty() {
        return Todo::Drop(overtaken);
    }
    let entries: Vec<Entry> = rows.iter().map(Row::entry).collect();
    let plan = plan(&entries, now);
    if !plan.pointless.is_empty() {
        return Todo::Drop(plan.pointless);
    }
    let found = |seq: i64| rows.iter().find(|row| row.seq == seq).cloned();
    match plan.next {
        Next::Send(seq) => found(seq).map_or(Todo::Nothing, Todo::Send),
        Next::WaitUntil(at) => Todo::Wait(at),
        // Nothing more can happen to a request that has ended.
        Next::Nothing if !request.state.is_open() && !rows.is_empty() => {
            Todo::Drop(rows.iter().map(|row| row.seq).collect())
        }
        Next::Nothing => Todo::Nothing,
    }
}

/// Messages that ask and wait while a later one waits, which says the newest.
fn overtaken(rows: &[Row]) -> Vec<i64> {
    let waiting = rows.iter().filter(|row| row.what == What::Ask && row.standing == Standing::Waiting);
    let mut seqs: Vec<i64> = waiting.map(|row| row.seq).collect();
    seqs.pop();
    seqs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::Input;
    use crate::samples::{NOW, Sample, dora};

    fn row(seq: i64, what: What, standing: Standing) -> Row {
        let of_seq = (what != What::Ask).then_some(1);
        let (name, channel, ts, error) = (String::new(), None, None, None);
        Row { seq, what, of_seq, name, standing, channel, ts, error, due_at: NOW, queued_at: NOW, failures: 0 }
    }

    #[test]
    fn messages_are_sent_in_order_and_told_of_at_once() {
        let request = Sample::new().ask(&json!({})).request;
        let ask = row(1, What::Ask, Standing::Waiting);
        let over = row(2, What::Over, Standing::Waiting);
        assert_eq!(next(&request, &[ask.clone(), over.clone()], NOW), Todo::Send(ask.clone()));
        assert_eq!(next(&request, std::slice::from_ref(&ask), NOW - 1), Todo::Wait(NOW));
        let posted = row(1, What::Ask, Standing::Posted);
        assert_eq!(next(&request, &[posted.clone(), over.clone()], NOW), Todo::Tell(posted));
        let sent = row(1, What::Ask, Standing::Sent);
        assert_eq!(next(&request, &[sent.clone(), over.clone()], NOW), Todo::Send(over));
        assert_eq!(next(&request, &[sent], NOW), Todo::Nothing, "kept, for it has to change one day");
        assert_eq!(next(&request, &[], NOW), Todo::Nothing);
    }

    #[test]
    fn what_nobody_needs_is_dropped() {
        let mut sample = Sample::new();
        let kept = sample.ask(&json!({}));
        let asks = [row(1, What::Ask, Standing::Waiting), row(3, What::Ask, Standing::Waiting)];
        assert_eq!(next(&kept.request, &asks, NOW), Todo::Drop(vec![1]));
        let updates = [
            row(1, What::Ask, Standing::Sent),
            row(2, What::Reassigned, Standing::Waiting),
            row(3, What::Over, Standing::Waiting),
        ];
        assert_eq!(next(&kept.request, &updates, NOW), Todo::Drop(vec![2]));
        let ended = sample.happen(&kept, Input::Cancel, &dora()).request;
        assert_eq!(next(&ended, &[row(1, What::Ask, Standing::Sent)], NOW), Todo::Drop(vec![1]));
    }
}
