//! One rule for what may be read, whichever way: over REST, live on the socket, resumed, and by webhook. Every event, with
//! every scope and from every place in a conversation, against the tables of `domain::scope`.

use std::collections::{BTreeMap, BTreeSet};

use hxa_connect::domain::scope::{EVENTS, Scope, ScopeSet, of_event};
use hxa_connect::domain::webhook::KINDS;
use hxa_connect::features::FEATURES;
use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    routes_ask_for_the_scope_of_the_table,
    every_way_of_reading_asks_for_the_scope_of_the_table with loopback_webhooks,
    no_way_of_reading_tells_more_than_rest with loopback_webhooks,
    who_is_no_admin_any_more_reads_nothing_of_admins,
}

type Kinds = BTreeSet<String>;

fn loopback_webhooks(config: &mut Config) {
    config.webhooks.allow = vec!["127.0.0.1".to_owned()];
}

fn set(scopes: &[&str]) -> ScopeSet {
    scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Kinds {
    events.iter().map(|event| event.text("type")).filter(|kind| kind != "pong").collect()
}

fn named(kinds: &[&str]) -> Kinds {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

/// Where the organisation's log stands.
async fn head(socket: &mut Socket) -> Value {
    let unknown = json!({"type": "resume", "epoch": "none", "since_seq": 0});
    let at = socket.op(unknown).await.ack();
    json!({"type": "resume", "epoch": at["epoch"], "since_seq": at["seq"]})
}

/// What a socket is told when it resumes from there.
async fn resumed(socket: &mut Socket, from: &Value) -> Vec<Value> {
    let answer = socket.op(from.clone()).await.ack();
    assert_eq!(answer["resumed"], true, "{answer}");
    answer.items("events").to_vec()
}

async fn routes_ask_for_the_scope_of_the_table(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut callers = Vec::new();
    for scope in ["read", "thread", "message", "profile"] {
        callers.push((scope, boss.scoped(&[scope]).await));
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        let concrete: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect();
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let need = FEATURES.need_of(&format!("{method} {path}"));
            for (scope, caller) in &callers {
                let reply = caller.call(&method, &concrete.join("/")).await;
                let is_refused = reply.body["code"] == "INSUFFICIENT_SCOPE";
                assert_eq!(is_refused, !need.is_covered(set(&[scope])), "{method} {path} with {scope}: {}", reply.text);
            }
        }
    }
}

/// One of every event, caused around the admin bot `reader`.
struct World {
    channel: String,
    thread: String,
}

async fn everything(hub: &TestHub, org: &Org, ada: &Bot, other: &Bot, reader: &Bot) -> World {
    let channel = ada.send(reader, "direct").await.ok().text("channel_id");
    let fields = json!({
        "topic": "t", "participants": [reader.id], "visibility": "public", "join_policy": "approval",
    });
    let thread = ada.thread_create(fields).await.ok();
    ada.say(&thread, "hello").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    ada.thread_patch(&thread, json!({"topic": "u"})).await.ok();
    let request = other.join(&thread).await.status(202).text("request_id");
    ada.decide(&thread, &request, "approve").await.ok();
    org.patch(format!("/api/org/threads/{}", thread.id()), json!({"status": "blocked"})).await.ok();
    org.settings(json!({"join_approval_required": true})).await.ok();
    let newcomer = Bot::new(hub, &org.register(json!({"ticket": org.ticket, "name": "new"})).await.ok());
    org.patch(format!("/api/org/bots/{}/status", newcomer.id), json!({"status": "active"})).await.ok();
    newcomer.socket().await.close().await;
    newcomer.patch("/api/me/name", json!({"name": "renamed"})).await.ok();
    let gone = || async { org.get(format!("/api/bots/{}", newcomer.id)).await.ok()["online"].clone() };
    eventually(gone, |online| *online == false).await;
    World { channel, thread: thread.id() }
}

impl World {
    /// Where REST shows what an event tells.
    fn route(&self, kind: &str) -> String {
        let (channel, thread) = (&self.channel, &self.thread);
        match kind {
            "message" => format!("/api/channels/{channel}/messages"),
            "channel_created" => format!("/api/channels/{channel}"),
            "thread_message" => format!("/api/threads/{thread}/messages"),
            "thread_artifact" => format!("/api/threads/{thread}/artifacts"),
            "thread_join_request" | "thread_join_resolved" => format!("/api/threads/{thread}/join-requests"),
            kind if kind.starts_with("thread_") => format!("/api/threads/{thread}"),
            kind if kind.starts_with("bot_") => "/api/bots".to_owned(),
            unknown => panic!("{unknown} is new: say here where REST shows it"),
        }
    }
}

/// A token for sending only was told on its socket, and once more when it resumed, what REST refuses it.
async fn every_way_of_reading_asks_for_the_scope_of_the_table(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, other] = org.bots(["ada", "other"]).await;
    let reader = org.admin_bot("reader").await;
    let receiver = Receiver::start();
    reader.patch("/api/me/webhook", json!({"webhook_url": receiver.url()})).await.ok();
    let sets: [&[&str]; 9] = [
        &["full"],
        &["read"],
        &["thread"],
        &["message"],
        &["profile"],
        &["read", "thread"],
        &["thread", "message", "profile"],
        &["read", "message"],
        &["read", "thread", "message", "profile"],
    ];
    let mut callers = vec![(ScopeSet::FULL, reader.clone()), (ScopeSet::FULL, reader.human("Ann").await)];
    for scopes in sets {
        let scoped = reader.scoped(scopes).await;
        callers.push((set(scopes), scoped.human("Ben").await));
        callers.push((set(scopes), scoped));
    }
    let mut watchers = Vec::new();
    for (scopes, caller) in callers {
        let socket = caller.socket().await;
        watchers.push((scopes, caller, socket));
    }
    for (_, _, socket) in &mut watchers {
        socket.everything().await;
    }
    let from = head(&mut watchers[0].2).await;
    let world = everything(&hub, &org, &ada, &other, &reader).await;
    for (scopes, caller, socket) in &mut watchers {
        let expected: Kinds =
            EVENTS.iter().filter(|(_, need)| need.is_covered(*scopes)).map(|(kind, _)| (*kind).to_owned()).collect();
        assert_eq!(kinds(&socket.everything().await), expected, "live with {scopes:?}");
        assert_eq!(kinds(&resumed(socket, &from).await), expected, "resumed with {scopes:?}");
        let query = format!(
            "?ticket={}&epoch={}&since_seq={}",
            caller.ws_ticket().await,
            from["epoch"].as_str().unwrap(),
            from["since_seq"]
        );
        let mut again = Socket::connect(&hub, &query).await;
        let told: Kinds = kinds(&again.everything().await).into_iter().filter(|kind| kind != "resumed").collect();
        assert_eq!(told, expected, "resumed at the handshake with {scopes:?}");
        again.close().await;
        for (kind, need) in EVENTS {
            let reply = caller.get(world.route(kind)).await;
            match need.is_covered(*scopes) {
                true => drop(reply.ok()),
                false => drop(reply.refused(403, "INSUFFICIENT_SCOPE")),
            }
        }
    }
    let posted = || async { receiver.taken().iter().map(|post| post.body.text("type")).collect::<Kinds>() };
    // What agents hear of what they asked people, they hear only if they asked.
    let all = KINDS.iter().filter(|kind| !kind.starts_with("request.")).map(|kind| (*kind).to_owned()).collect();
    eventually(posted, |posted| *posted == all).await;
}

/// Somebody who watches a conversation from some place.
struct Watcher {
    name: &'static str,
    caller: Caller,
    socket: Socket,
    receiver: Option<Receiver>,
}

/// What of a thread each place is told when it resumes; all that took part hear the rest live.
fn resumable(name: &str, is_private: bool) -> Kinds {
    let requests = ["thread_join_request", "thread_join_resolved"];
    let member = ["thread_participant", "thread_message", "thread_artifact", "thread_updated", "thread_status_changed"];
    let mut told = match name {
        "member" | "person watching" | "admin bot inside" | "subscribed" => named(&member),
        "invited" => named(&member),
        "removed" => return named(&["thread_participant"]),
        "asker" if is_private => return Kinds::new(),
        "asker" => return named(&["thread_join_resolved"]),
        "not subscribed" => return named(&["thread_created"]),
        _ => return Kinds::new(),
    };
    if !is_private {
        told.extend(requests.map(str::to_owned));
    }
    if name != "invited" {
        told.insert("thread_created".to_owned());
    }
    told
}

/// What a removed participant had missed before was told to it when it resumed, although REST refused it by then.
async fn no_way_of_reading_tells_more_than_rest(hub: TestHub) {
    for visibility in ["public", "members", "private"] {
        seen_from_everywhere(&hub, visibility).await;
    }
}

async fn seen_from_everywhere(hub: &TestHub, visibility: &str) {
    let is_private = visibility == "private";
    let org = hub.with_org(visibility).await;
    let ada = org.bot("ada").await;
    let mut bots = BTreeMap::new();
    for name in ["member", "invited", "removed", "asker", "outsider", "pending", "rejected"] {
        bots.insert(name, org.bot(name).await);
    }
    bots.insert("admin bot inside", org.admin_bot("inside").await);
    bots.insert("admin bot outside", org.admin_bot("outside").await);
    let mut watchers = Vec::new();
    for (name, bot) in &bots {
        let receiver = Receiver::start();
        bot.patch("/api/me/webhook", json!({"webhook_url": receiver.url()})).await.ok();
        let socket = bot.socket().await;
        watchers.push(Watcher { name, caller: (**bot).clone(), socket, receiver: Some(receiver) });
    }
    let person = bots["member"].human("Ann").await;
    for (name, caller) in
        [("person watching", &*person), ("subscribed", &*org as &Caller), ("not subscribed", &*org as &Caller)]
    {
        watchers.push(Watcher { name, caller: caller.clone(), socket: caller.socket().await, receiver: None });
    }
    for (name, status) in [("pending", "pending"), ("rejected", "rejected")] {
        let id = &bots[name].id;
        // Nobody is set back to waiting; such a bot is one that was never let in.
        if status == "rejected" {
            org.patch(format!("/api/org/bots/{id}/status"), json!({"status": status})).await.ok();
        }
    }
    for watcher in &mut watchers {
        if watcher.name != "rejected" {
            watcher.socket.everything().await;
        }
    }
    let subscribed = watchers.iter().position(|watcher| watcher.name == "subscribed").unwrap();
    let from = head(&mut watchers[subscribed].socket).await;

    let inside: Vec<&str> =
        ["member", "removed", "admin bot inside"].iter().map(|name| bots[*name].id.as_str()).collect();
    let mut fields = json!({"topic": "t", "participants": inside, "visibility": visibility});
    if !is_private {
        fields["join_policy"] = json!("approval");
    }
    let thread = ada.thread_create(fields).await.ok();
    watchers[subscribed].socket.op(json!({"type": "subscribe", "thread_id": thread.id()})).await.ack();
    ada.say(&thread, "before").await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    ada.invite(&thread, &bots["invited"]).await.ok();
    if is_private {
        bots["asker"].join(&thread).await.missing();
    } else {
        let request = bots["asker"].join(&thread).await.status(202).text("request_id");
        ada.decide(&thread, &request, "reject").await.ok();
    }
    ada.remove(&thread, &bots["removed"].id).await.ok();
    ada.thread_patch(&thread, json!({"topic": "u"})).await.ok();
    ada.artifact_update(&thread, "k", json!({"content": "2"})).await.ok();
    ada.say(&thread, "after").await.ok();
    org.patch(format!("/api/org/threads/{}", thread.id()), json!({"status": "blocked"})).await.ok();

    let world = World { channel: NOBODY.to_owned(), thread: thread.id() };
    for watcher in &mut watchers {
        judge(watcher, &world, &from, is_private).await;
    }
}

async fn judge(watcher: &mut Watcher, world: &World, from: &Value, is_private: bool) {
    let (name, expected) = (watcher.name, resumable(watcher.name, is_private));
    let of_threads = |kinds: Kinds| kinds.into_iter().filter(|kind| kind.starts_with("thread_")).collect::<Kinds>();
    if name == "rejected" {
        assert_eq!(watcher.socket.closed().await, 4403);
        watcher.caller.get(world.route("thread_message")).await.refused(403, "BOT_NOT_ACTIVE");
        watcher.caller.call("POST", "/api/ws-ticket").await.refused(403, "BOT_NOT_ACTIVE");
    } else {
        let live = watcher.socket.everything().await;
        let told = resumed(&mut watcher.socket, from).await;
        assert_eq!(of_threads(kinds(&told)), expected, "{name} resumes");
        let heard = of_threads(kinds(&live));
        match name {
            // It heard what was said while it took part.
            "removed" => assert!(heard.contains("thread_message"), "{heard:?}"),
            "subscribed" => assert!(heard.is_superset(&named(&["thread_message", "thread_artifact"])), "{heard:?}"),
            _ => assert_eq!(heard, expected, "{name} live"),
        }
        let said = |events: &[Value], what: &str| events.iter().any(|event| event["message"]["content"] == what);
        assert!(!(name == "removed" && said(&live, "after")), "after its removal");
        shown_over_rest(watcher, world, &told).await;
    }
    posted(watcher, &expected).await;
}

/// Whatever a watcher was told as it resumed it may read over REST, too, except what tells of its own place.
async fn shown_over_rest(watcher: &Watcher, world: &World, told: &[Value]) {
    if matches!(watcher.name, "subscribed" | "not subscribed") {
        watcher.caller.get(format!("/api/org/threads/{}", world.thread)).await.ok();
        return;
    }
    let own = watcher.caller.get("/api/me").await.ok().text("id");
    for event in told.iter().filter(|event| event.text("type").starts_with("thread_")) {
        let kind = event.text("type");
        let is_of_own_place = event["bot_id"] == own.as_str() && of_event(&kind) != of_event("nothing");
        let status = watcher.caller.get(world.route(&kind)).await.status;
        assert!(status == 200 || is_of_own_place, "{}: {kind} is told, and REST says {status}", watcher.name);
    }
}

/// Webhooks are told what was heard by those who took part then, and nothing else.
async fn posted(watcher: &Watcher, expected: &Kinds) {
    let Some(receiver) = &watcher.receiver else { return };
    let is_in = matches!(watcher.name, "member" | "invited" | "admin bot inside");
    let posted = || async {
        let all = receiver.taken().into_iter().map(|post| post.body.text("type"));
        all.filter(|kind| kind.starts_with("thread_")).collect::<Kinds>()
    };
    if is_in {
        let wanted: Kinds = expected.iter().filter(|kind| KINDS.contains(&kind.as_str())).cloned().collect();
        eventually(posted, |posted| *posted == wanted).await;
    } else if watcher.name != "removed" {
        assert_eq!(posted().await, Kinds::new(), "{}", watcher.name);
    }
}

async fn who_is_no_admin_any_more_reads_nothing_of_admins(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    let boss = org.admin_bot("boss").await;
    let mut socket = boss.socket().await;
    let from = head(&mut socket).await;
    org.register(json!({"ticket": org.ticket, "name": "new"})).await.ok();
    socket.next("bot_join_request").await;
    assert!(kinds(&resumed(&mut socket, &from).await).contains("bot_join_request"));
    org.patch(format!("/api/org/bots/{}/role", boss.id), json!({"auth_role": "member"})).await.ok();
    assert!(!kinds(&resumed(&mut socket, &from).await).contains("bot_join_request"));
    org.register(json!({"ticket": org.ticket, "name": "newer"})).await.ok();
    assert!(!kinds(&socket.drain().await).contains("bot_join_request"));
    boss.get("/api/org/settings").await.forbidden();
}
