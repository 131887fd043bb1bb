//! What every broker keeps to, as a suite that runs against any of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Broker, Channel, Credentials, ResumePoint, Roster, Selection};
use crate::fanout::event::{Audience, Event};
use crate::fanout::send_queue::{Peer, SendQueue, SendQueueLimits, SocketInfo, close};
use hxa_domain::ids::{BotId, OrgId, PersonId, TokenId};
use hxa_domain::scope::ScopeSet;
use hxa_domain::shares::Shares;

/// An organisation without bots.
pub struct Nobody;

impl Roster for Nobody {
    fn name(&self, _: BotId) -> Option<Arc<str>> {
        None
    }

    fn is_admin(&self, _: BotId) -> bool {
        false
    }
}

/// An organisation in which every bot is called ada and is no admin.
struct Everybody;

impl Roster for Everybody {
    fn name(&self, _: BotId) -> Option<Arc<str>> {
        Some(Arc::from("ada"))
    }

    fn is_admin(&self, _: BotId) -> bool {
        false
    }
}

/// Runs the suite; `broker` makes one that keeps sixteen events of each channel.
pub async fn holds<B: Broker + 'static>(broker: impl Fn() -> Arc<B>) {
    let channel = || {
        let (broker, org) = (broker(), OrgId::random());
        tokio::spawn(broker.clone().run());
        (broker.open(org, Arc::new(Everybody)), org)
    };
    numbers_reach_every_socket_in_order(channel()).await;
    only_the_audience_hears(channel()).await;
    presence_is_that_of_token_sockets(channel()).await;
    a_resume_point_tells_what_was_missed(channel()).await;
    selections_close_what_they_name(channel()).await;
    subscriptions_end_with_their_socket(channel()).await;
}

type Opened = (Arc<dyn Channel>, OrgId);

fn socket(org: OrgId, bot: Option<BotId>, peer: Peer) -> Arc<SendQueue> {
    let info = SocketInfo { org, bot, peer, scopes: ScopeSet::FULL, expires_at: None, connected_at: 0 };
    SendQueue::new(info, SendQueueLimits { bytes: 1 << 20, age_ms: 60_000, room: Shares::new(1 << 20) })
}

fn of_bot(org: OrgId, bot: BotId) -> Arc<SendQueue> {
    socket(org, Some(bot), Peer::Token(None))
}

fn of_admin(org: OrgId) -> Arc<SendQueue> {
    socket(org, None, Peer::Human { session: "admin".to_owned(), is_admin: true })
}

fn message(n: u32, bots: &[BotId], topic: Uuid) -> Event {
    Event::new("thread_message", &json!({ "n": n }), Audience::Members { bots: bots.into(), topic })
}

/// What has reached a socket, waited for until it is as much as `count` frames.
async fn frames(socket: &SendQueue, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        if socket.queued().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let frames = socket.queued().into_iter();
    frames.map(|text| serde_json::from_str(&text).unwrap()).collect()
}

fn field(frames: &[Value], name: &str) -> Vec<Value> {
    frames.iter().map(|frame| frame[name].clone()).collect()
}

async fn numbers_reach_every_socket_in_order((channel, org): Opened) {
    let (ada, bob) = (BotId::at(1), BotId::at(2));
    let (one, two, topic) = (of_bot(org, ada), of_bot(org, bob), Uuid::from_u128(1));
    channel.join(&one, None);
    channel.join(&two, None);
    channel.publish((0..3).map(|n| message(n, &[ada, bob], topic)).collect());
    channel.publish(vec![message(3, &[ada, bob], topic)]);
    // The first hears that the second came.
    for (socket, count) in [(&one, 5), (&two, 4)] {
        let all = frames(socket, count).await;
        let told: Vec<_> = all.iter().filter(|frame| frame["type"] == "thread_message").cloned().collect();
        assert_eq!(field(&told, "n"), [0, 1, 2, 3]);
        let numbers: Vec<u64> = all.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(told.iter().all(|frame| frame["epoch"] == told[0]["epoch"]));
    }
}

async fn only_the_audience_hears((channel, org): Opened) {
    let (ada, bob) = (BotId::at(1), BotId::at(2));
    let (one, two, admin) = (of_bot(org, ada), of_bot(org, bob), of_admin(org));
    [&one, &two, &admin].into_iter().for_each(|socket| channel.join(socket, None));
    channel.publish(vec![message(0, &[ada], Uuid::from_u128(1))]);
    channel.publish(vec![Event::new("bot_status_changed", &json!({ "n": 1 }), Audience::Org { except: Some(ada) })]);
    let kinds = |frames: Vec<Value>| field(&frames, "type");
    assert_eq!(kinds(frames(&two, 1).await), ["bot_status_changed"]);
    let of_ada = kinds(frames(&one, 2).await);
    assert!(of_ada.contains(&json!("thread_message")) && !of_ada.contains(&json!("bot_status_changed")), "{of_ada:?}");
    let of_admin = kinds(frames(&admin, 1).await);
    assert!(!of_admin.contains(&json!("thread_message")), "not subscribed: {of_admin:?}");
}

async fn presence_is_that_of_token_sockets((channel, org): Opened) {
    let (ada, bob) = (BotId::at(1), BotId::at(2));
    let watcher = of_bot(org, bob);
    channel.join(&watcher, None);
    let owner = socket(org, Some(ada), Peer::Human { session: "owner".to_owned(), is_admin: false });
    channel.join(&owner, None);
    assert!(!channel.is_online(ada), "people who watch do not count");
    let (first, second) = (of_bot(org, ada), of_bot(org, ada));
    channel.join(&first, None);
    channel.join(&second, None);
    assert!(channel.is_online(ada));
    assert_eq!((channel.socket_count(ada), channel.socket_total()), (3, 4));
    channel.part(&first);
    assert!(channel.is_online(ada), "one is left");
    channel.part(&second);
    channel.part(&owner);
    assert!(!channel.is_online(ada));
    assert_eq!((channel.socket_count(ada), channel.socket_total()), (0, 1));
    let told = frames(&watcher, 2).await;
    assert_eq!(field(&told, "type"), ["bot_online", "bot_offline"]);
    assert_eq!(told[0]["bot"], json!({ "id": ada, "name": "ada" }));
}

async fn a_resume_point_tells_what_was_missed((channel, org): Opened) {
    let (ada, topic) = (BotId::at(1), Uuid::from_u128(1));
    let first = of_bot(org, ada);
    channel.join(&first, None);
    channel.publish(vec![message(0, &[ada], topic)]);
    let all = frames(&first, 1).await;
    let last = all.last().unwrap();
    let point = ResumePoint { epoch: last["epoch"].as_str().unwrap().to_owned(), since: last["seq"].as_u64().unwrap() };
    channel.part(&first);
    channel.publish(vec![message(1, &[ada], topic), message(2, &[BotId::at(9)], topic)]);
    let again = of_bot(org, ada);
    channel.join(&again, Some(&point));
    channel.publish(vec![message(3, &[ada], topic)]);
    let told = frames(&again, 3).await;
    assert_eq!(
        (&told[0]["type"], &told[0]["resumed"], &told[0]["count"]),
        (&json!("resumed"), &json!(true), &json!(1))
    );
    assert_eq!(field(&told[1..], "n"), [1, 3]);

    let later = channel.resume(&again, &point);
    assert_eq!(later.missed.unwrap().len(), 2, "without what others said");
    assert_eq!((later.epoch.as_str(), later.head), (point.epoch.as_str(), told[2]["seq"].as_u64().unwrap()));
    for unknown in [
        ResumePoint { epoch: "another".to_owned(), since: point.since },
        ResumePoint { epoch: point.epoch.clone(), since: later.head + 1 },
    ] {
        assert!(channel.resume(&again, &unknown).missed.is_none(), "{unknown:?}");
        let lost = of_bot(org, ada);
        channel.join(&lost, Some(&unknown));
        assert_eq!(frames(&lost, 1).await[0]["resumed"], false, "{unknown:?}");
        channel.part(&lost);
    }
    channel.publish((0..17).map(|n| message(n, &[ada], topic)).collect());
    frames(&again, 20).await;
    assert!(channel.resume(&again, &point).missed.is_none(), "older than what is kept");
}

async fn selections_close_what_they_name((channel, org): Opened) {
    let (ada, bob, token, dora) = (BotId::at(1), BotId::at(2), TokenId::at(3), PersonId::at(4));
    let sockets = [
        of_bot(org, ada),
        of_bot(org, bob),
        socket(org, Some(ada), Peer::Token(Some(token))),
        socket(org, Some(ada), Peer::Human { session: "owner".to_owned(), is_admin: false }),
        of_admin(org),
        socket(org, None, Peer::Person { session: "dora".to_owned(), person: dora }),
    ];
    sockets.iter().for_each(|socket| channel.join(socket, None));
    assert_eq!(channel.local_sockets().len(), sockets.len());
    let credentials = |ended: Credentials| Selection::Credentials(ended);
    let cases = [
        (credentials(Credentials { primary_of: Some(ada), ..Credentials::default() }), vec![0]),
        (credentials(Credentials { tokens: [token].into(), ..Credentials::default() }), vec![2]),
        (Selection::session("owner"), vec![3]),
        (Selection::Bot(ada), vec![0, 2, 3]),
        (Selection::Admins, vec![4]),
        (Selection::session("dora"), vec![5]),
        (Selection::Person(dora), vec![5]),
        (Selection::All, vec![0, 1, 2, 3, 4, 5]),
    ];
    for (which, expected) in cases {
        let chosen: Vec<_> = (0..sockets.len()).filter(|n| which.includes(&sockets[*n].info)).collect();
        assert_eq!(chosen, expected, "{which:?}");
    }
    channel.publish_before_closing(
        bob,
        Event::new("bot_status_changed", &json!({ "n": 1 }), Audience::Org { except: None }),
    );
    let closings = channel.closings();
    channel.close(&close::BOT_REJECTED, &Selection::Bot(bob));
    assert_eq!(channel.closings(), closings + 1, "whoever has no socket sees that too");
    assert_eq!(sockets[1].close_notice(), Some(close::BOT_REJECTED));
    assert!(frames(&sockets[1], 1).await.iter().any(|frame| frame["type"] == "bot_status_changed"));
    assert!(sockets[0].close_notice().is_none());
}

async fn subscriptions_end_with_their_socket((channel, org): Opened) {
    let (admin, topic) = (of_admin(org), Uuid::from_u128(7));
    channel.join(&admin, None);
    channel.subscribe(&admin, topic);
    channel.subscribe(&admin, topic);
    channel.publish(vec![message(0, &[], topic), message(1, &[], Uuid::from_u128(8))]);
    assert_eq!(field(&frames(&admin, 1).await, "n"), [0], "once, and only its own");
    channel.unsubscribe(&admin, topic);
    channel.publish(vec![message(2, &[], topic)]);
    channel.subscribe(&admin, topic);
    channel.publish(vec![message(3, &[], topic)]);
    assert_eq!(field(&frames(&admin, 2).await, "n"), [0, 3]);
    channel.part(&admin);
    channel.publish(vec![message(4, &[], topic)]);
    assert_eq!(field(&frames(&admin, 2).await, "n"), [0, 3]);
}
