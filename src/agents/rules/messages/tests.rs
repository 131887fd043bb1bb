//! Tests of messages: the log, its pages and its queue, each rule once and as properties of a model.

use hxa_domain::query::Query;
use proptest::prelude::*;
use serde_json::{json, to_value};

use super::pages::{Backfill, PageQuery};
use super::queue::{CancelAnswer, CancelEnd, CancelStart, CancelView, QueuedState};
use super::*;

fn draft(local_id: Option<&str>, created_at: i64) -> Draft {
    let content = json!({"role": "user"});
    Draft {
        id: format!("m{created_at}"),
        local_id: local_id.map(str::to_owned),
        content,
        created_at,
        scheduled_at: None,
    }
}

fn stored(append: Append) -> (Message, Log) {
    match append {
        Append::Stored(message, log) => (message, log),
        Append::Repeated(_) => panic!("repeated"),
    }
}

#[test]
fn a_local_id_queues_and_repeats() {
    let (message, log) = stored(Log::default().append(draft(Some("l"), 10), None));
    assert!(message.is_queued() && message.state == DeliveryState::Queued);
    assert_eq!((message.seq, log.last_seq, log.epoch), (1, 1, 0));
    assert_eq!(log.append(draft(Some("l"), 20), Some(message.clone())), Append::Repeated(message.clone()));
    let (plain, log) = stored(log.append(draft(None, 20), None));
    assert_eq!((plain.invoked_at, plain.seq, log.head), (Some(20), 2, Some(Position { at: 20, seq: 2 })));
    let agents = Draft { content: json!({"role": "agent"}), ..draft(Some("x"), 30) };
    assert_eq!(stored(log.append(agents, None)).0.invoked_at, Some(30));
    let view = json!({
        "id": "m10", "seq": 1, "localId": "l", "content": {"role": "user"},
        "createdAt": 10, "invokedAt": null, "scheduledAt": null,
    });
    assert_eq!(to_value(message.view()).unwrap(), view);
}

#[test]
fn what_lands_before_the_head_makes_a_new_epoch() {
    let (_, log) = stored(Log::default().append(draft(None, 10), None));
    let (_, log) = stored(log.append(draft(None, 10), None));
    assert_eq!(log.epoch, 0);
    let (message, log) = stored(log.append(draft(None, 5), None));
    assert_eq!((message.seq, log.epoch, log.head), (3, 1, Some(Position { at: 10, seq: 2 })));
    assert_eq!(log.rewritten(None), Log { epoch: 2, head: None, last_seq: 3 });
}

#[test]
fn bytes_become_lists() {
    assert_eq!(buffer_json(&[0, 255]), json!({"type": "Buffer", "data": [0, 255]}));
}

#[test]
fn prompts_take_effect_once() {
    let (queued, log) = stored(Log::default().append(draft(Some("l"), 10), None));
    let (other, log) = stored(log.append(draft(None, 20), None));
    let stamped = log.stamp(vec![queued, other], 30).unwrap();
    assert_eq!(stamped.messages.len(), 1);
    assert_eq!(stamped.messages[0].position(), Position { at: 30, seq: 1 });
    assert_eq!((stamped.log.epoch, stamped.log.head), (0, Some(Position { at: 30, seq: 1 })));
    assert_eq!(stamped.log.stamp(stamped.messages.clone(), 40), None);
    // A clock that stepped back does not put a prompt before its making, and the head that moves is no rewriting.
    let (late, log) = stored(stamped.log.append(draft(Some("k"), 50), None));
    let stamped = log.stamp(vec![late], 40).unwrap();
    assert_eq!((stamped.invoked_at, stamped.log.epoch), (50, 0));
}

#[test]
fn queries_have_whole_pairs() {
    let read = |text: &str| PageQuery::read(&Query::parse(text));
    assert_eq!(read("").unwrap(), PageQuery { limit: 50, from: pages::From::Latest });
    assert_eq!(read("limit=200&beforeSeq=1&beforeAt=0").unwrap().limit, 200);
    assert!(read("afterSeq=1&afterAt=5&untilSeq=2&untilAt=6&epoch=0").is_ok());
    for bad in [
        "limit=0",
        "limit=201",
        "limit=x",
        "beforeSeq=1",
        "afterAt=1",
        "beforeSeq=0&beforeAt=1",
        "beforeSeq=1&beforeAt=1&afterSeq=1&afterAt=1",
        "untilSeq=1&untilAt=1",
        "epoch=1",
        "beforeSeq=1&beforeAt=1&epoch=1",
        "afterSeq=1&afterAt=1&untilSeq=1",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let backfill = |text: &str| Backfill::read(&Query::parse(text));
    assert_eq!(backfill("afterSeq=0"), Ok(Backfill { after_seq: 0, limit: 200 }));
    assert!(backfill("").is_err() && backfill("afterSeq=-1").is_err() && backfill("afterSeq=1&limit=201").is_err());
}

#[test]
fn an_old_epoch_begins_anew() {
    let log = Log { epoch: 3, ..Log::default() };
    let query = PageQuery::read(&Query::parse("afterSeq=1&afterAt=5&epoch=2")).unwrap();
    let plan = query.plan(log);
    let page = to_value(plan.page(vec![], vec![]).view()).unwrap();
    let wanted = json!({
        "direction": "latest", "limit": 50, "epoch": 3, "reset": true,
        "nextBeforeSeq": null, "nextBeforeAt": null, "nextAfterSeq": null, "nextAfterAt": null,
        "snapshotHeadSeq": null, "snapshotHeadAt": null, "hasMore": false,
    });
    assert_eq!(page, json!({"messages": [], "page": wanted}));
    let query = PageQuery::read(&Query::parse("afterSeq=1&afterAt=5&epoch=3")).unwrap();
    let page = query.plan(log).page(vec![], vec![]);
    assert_eq!((page.info.reset, page.info.next_after_seq, page.info.next_after_at), (false, Some(1), Some(5)));
}

#[test]
fn the_newest_page_has_the_whole_queue() {
    let (queued, mut log) = stored(Log::default().append(draft(Some("l"), 1), None));
    let mut rows = Vec::new();
    for at in 2..6 {
        let (message, next) = stored(log.append(draft(None, at), None));
        (log, _) = (next, rows.push(message));
    }
    let plan = PageQuery { limit: 2, from: pages::From::Latest }.plan(log);
    let page = plan.page(rows.split_off(1), vec![queued]);
    let seqs: Vec<i64> = page.messages.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [1, 4, 5]);
    assert_eq!((page.info.next_before_seq, page.info.next_after_seq, page.info.has_more), (Some(4), Some(5), true));
}

#[test]
fn answers_to_a_cancel_are_ranked() {
    let read = |ack| CancelAnswer::read(&ack);
    let removed = read(json!({"removed": true}));
    let in_flight = read(json!({"removed": false, "inFlight": true}));
    let consumed = read(json!({"removed": false, "consumed": true}));
    let unclear = read(json!({"removed": false, "indeterminate": true}));
    let nothing = read(json!("what"));
    assert_eq!(CancelEnd::decide(&[]), CancelEnd::Stamp);
    assert_eq!(CancelEnd::decide(&[nothing]), CancelEnd::Stamp);
    assert_eq!(CancelEnd::decide(&[nothing, removed, nothing]), CancelEnd::Delete);
    assert_eq!(CancelEnd::decide(&[removed, in_flight]), CancelEnd::Busy);
    assert_eq!(CancelEnd::decide(&[in_flight, unclear, removed]), CancelEnd::Busy);
    assert_eq!(CancelEnd::decide(&[in_flight, unclear, removed, consumed]), CancelEnd::Stamp);
}

#[test]
fn a_cancel_begins_with_what_is_known() {
    let (queued, log) = stored(Log::default().append(draft(Some("l"), 1), None));
    let (invoked, _) = stored(log.append(draft(None, 2), None));
    assert_eq!(CancelStart::decide(None, 1), CancelStart::Unknown);
    assert_eq!(CancelStart::decide(Some(invoked.clone()), 1), CancelStart::Invoked(invoked.clone()));
    assert_eq!(CancelStart::decide(Some(queued.clone()), 0), CancelStart::Delete(queued.clone()));
    assert_eq!(CancelStart::decide(Some(queued.clone()), 2), CancelStart::Ask(queued.clone()));
    let view = to_value(CancelView::Cancelled { local_id: None }).unwrap();
    assert_eq!(view, json!({"status": "cancelled", "localId": null}));
    assert_eq!(to_value(CancelView::Busy { local_id: Some("l") }).unwrap(), json!({"status": "busy", "localId": "l"}));
    let view = to_value(CancelView::Invoked { message: invoked.view() }).unwrap();
    assert_eq!((&view["status"], &view["message"]["seq"]), (&json!("invoked"), &json!(2)));
    let unclear = Message { state: DeliveryState::Indeterminate, ..queued.clone() };
    let taken = Message { invoked_at: Some(9), ..queued.clone() };
    let wanted = json!({
        "queuedLocalIds": ["l"], "indeterminateLocalIds": ["l"],
        "invokedLocalMessages": [{"localId": "l", "invokedAt": 9}],
    });
    assert_eq!(to_value(QueuedState::of(&[queued, unclear, taken, invoked])).unwrap(), wanted);
}

/// A session in memory.
#[derive(Debug, Default)]
struct Model {
    log: Log,
    rows: Vec<Message>,
}

impl Model {
    fn append(&mut self, is_queued: bool, at: i64) {
        let local_id = is_queued.then(|| format!("l{}", self.log.last_seq));
        let (message, log) = stored(self.log.append(draft(local_id.as_deref(), at), None));
        self.rows.push(message);
        self.log = log;
    }

    fn stamp(&mut self, now: i64) {
        let queued: Vec<Message> = self.rows.iter().filter(|row| row.is_queued()).cloned().collect();
        let Some(stamped) = self.log.stamp(queued, now) else { return };
        self.log = stamped.log;
        for row in stamped.messages {
            let place = self.rows.iter().position(|known| known.seq == row.seq).unwrap();
            self.rows[place] = row;
        }
    }

    /// As a database does it.
    fn page(&self, query: PageQuery) -> pages::Page {
        let plan = query.plan(self.log);
        let mut rows: Vec<Message> = self.rows.iter().filter(|row| plan.holds(row.position())).cloned().collect();
        rows.sort_by_key(Message::position);
        if !matches!(plan.query.from, pages::From::After { .. }) {
            rows.reverse();
        }
        rows.truncate(usize::try_from(query.limit + 1).unwrap());
        plan.page(rows, self.rows.iter().filter(|row| row.is_queued()).cloned().collect())
    }
}

fn model() -> impl Strategy<Value = Model> {
    proptest::collection::vec((0_u8..4, 0_i64..60), 0..60).prop_map(|steps| {
        let (mut model, mut now) = (Model::default(), 100);
        for (what, wait) in steps {
            now += wait;
            match what {
                0 => model.stamp(now),
                1 => model.append(true, now),
                // Agents say when a message was made, which is a little earlier.
                _ => model.append(false, now - wait / 2),
            }
        }
        model
    })
}

proptest! {
    /// Numbers are unique and ascending, and the head is the last position.
    #[test]
    fn the_log_knows_its_rows(model in model()) {
        prop_assert!(model.rows.iter().zip(1..).all(|(row, seq)| row.seq == seq));
        prop_assert_eq!(model.log.head, model.rows.iter().map(Message::position).max());
    }

    /// Pages before each other are the whole history, once.
    #[test]
    fn pages_before_make_the_history(model in model(), limit in 1_i64..9) {
        let mut seen = Vec::new();
        let mut query = PageQuery { limit, from: pages::From::Latest };
        for round in 0..80 {
            let page = model.page(query);
            // The newest page has queued rows beyond its limit, which come again.
            let first = page.info.next_before_at.zip(page.info.next_before_seq).map(|(at, seq)| Position { at, seq });
            let in_page = page.messages.iter().map(Message::position);
            seen.extend(in_page.filter(|at| round > 0 || first.is_some_and(|first| *at >= first)));
            let (Some(cursor), true) = (first, page.info.has_more) else { break };
            query.from = pages::From::Before(cursor);
        }
        seen.sort_unstable();
        let mut all: Vec<Position> = model.rows.iter().map(Message::position).collect();
        all.sort_unstable();
        prop_assert_eq!(seen, all);
    }

    /// A client that follows its cursor sees every change, or is told to begin anew.
    #[test]
    fn cursors_miss_nothing(model in model(), steps in proptest::collection::vec((0_u8..4, 0_i64..60), 1..20), limit in 1_i64..5) {
        let mut model = model;
        let Some(cursor) = model.log.head else { return Ok(()) };
        let epoch = model.log.epoch;
        let known: Vec<Position> = model.rows.iter().map(Message::position).collect();
        let mut now = cursor.at;
        for (what, wait) in steps {
            now += wait;
            match what {
                0 => model.stamp(now),
                1 => model.append(true, now),
                _ => model.append(false, now - wait),
            }
        }
        let mut fresh: Vec<Position> =
            model.rows.iter().map(Message::position).filter(|position| !known.contains(position)).collect();
        fresh.sort_unstable();
        let (mut seen, mut at, until) = (Vec::new(), cursor, model.log.head);
        loop {
            let from = pages::From::After { cursor: at, until, epoch: Some(epoch) };
            let page = model.page(PageQuery { limit, from });
            if page.info.reset {
                prop_assert_ne!(model.log.epoch, epoch);
                return Ok(());
            }
            seen.extend(page.messages.iter().map(Message::position));
            at = Position { at: page.info.next_after_at.unwrap(), seq: page.info.next_after_seq.unwrap() };
            if !page.info.has_more {
                break;
            }
        }
        prop_assert_eq!(seen, fresh);
    }
}
