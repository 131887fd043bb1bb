//! The permission matrices: every route of the OpenAPI document and every operation of the socket, called by every kind
//! of caller, against a table of statuses and one of answers. A route or operation that is new makes its table differ, so
//! nobody can forget to decide who may call it.
//!
//! The calls of routes go to ids that do not exist and carry no body, so a permitted caller gets 400 or 404 and changes little; the
//! few routes that would succeed and destroy the caller come last.

use hxa_connect::domain::operation::SocketOperation;

use crate::harness::*;

on_both_databases! { matrix, socket_matrix }

async fn matrix(hub: TestHub) {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut routes: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push((path.clone(), method.to_uppercase()));
        }
    }
    routes.sort_unstable();
    let mut table = String::new();
    for (path, method) in &routes {
        // With sessions of its own, since some calls end everybody's.
        let callers = callers(&TestHub::at(hub.url())).await;
        let mut row = format!("{method:6} {path:62}");
        for (name, caller) in &callers {
            let reply = caller.call(method, &concrete(path)).await;
            assert!(reply.status < 500 || reply.status == 503, "{method} {path} by {name}: {}", reply.text);
            row.push_str(&format!(" {name}={}", reply.status));
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    insta::assert_snapshot!("permission_matrix", table);
}

/// One caller of each kind, in an organisation of its own, since some calls destroy the caller.
async fn callers(hub: &TestHub) -> Vec<(&'static str, Caller)> {
    let org = hub.with_org("matrix").await;
    let (member, boss) = (org.bot("member").await, org.admin_bot("boss").await);
    let mut callers = vec![("nobody", hub.anonymous())];
    for scope in ["read", "thread", "message", "profile", "coordinate"] {
        callers.push((scope, (*member.scoped(&[scope]).await).clone()));
    }
    callers.push(("human", (*member.human("Ann").await).clone()));
    callers.push(("member", (*member).clone()));
    callers.push(("boss", (*boss).clone()));
    callers.push(("org_admin", (*org).clone()));
    for role in ["admin", "coordinator", "responder", "auditor", "viewer"] {
        callers.push((role, (*org.person(role, role).await).clone()));
    }
    callers.push(("super_admin", hub.super_admin().await.clone()));
    callers
}

/// The path with something absent in place of each parameter.
fn concrete(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect::<Vec<_>>().join("/")
}

/// Where an operation of the socket goes.
struct Place {
    /// `inside`: a channel and thread of the caller's bot. `outside`: of others; the thread is open to all.
    name: &'static str,
    channel: String,
    thread: Value,
}

/// The socket's operations, each called by every kind of caller in conversations of its bot and of others.
async fn socket_matrix(hub: TestHub) {
    let org = hub.with_org("matrix").await;
    org.settings(json!({"threads_per_hour_per_bot": 10_000, "messages_per_minute_per_bot": 10_000})).await.ok();
    let [member, owner, third] = org.bots(["member", "owner", "third"]).await;
    let boss = org.admin_bot("boss").await;
    let mut callers: Vec<(&str, &Bot, Socket)> = Vec::new();
    let mut scoped = Vec::new();
    for scope in ["full", "read", "thread", "message", "profile"] {
        scoped.push((scope, member.scoped(&[scope]).await));
    }
    let human = member.human("Ann").await;
    for (scope, caller) in &scoped {
        callers.push((*scope, &member, caller.socket().await));
    }
    callers.push(("human", &member, human.socket().await));
    callers.push(("member", &member, member.socket().await));
    callers.push(("boss", &boss, boss.socket().await));
    callers.push(("org_admin", &member, org.socket().await));
    let mut table = String::new();
    for operation in SocketOperation::ALL.iter().map(|operation| operation.as_str()) {
        for name in ["inside", "outside"] {
            let mut row = format!("{operation:25} {name:7}");
            for (caller, bot, socket) in &mut callers {
                let place = place(name, &owner, bot, &third).await;
                row.push_str(&format!(" {caller}={}", answer(socket, frame(operation, &place, &third)).await));
            }
            table.push_str(&row);
            table.push('\n');
        }
    }
    insta::assert_snapshot!("socket_permission_matrix", table);
}

async fn place(name: &'static str, owner: &Bot, bot: &Bot, third: &Bot) -> Place {
    let member = if name == "inside" { bot } else { third };
    let channel = owner.send(member, "hello").await.ok().text("channel_id");
    let thread = if name == "inside" {
        owner.thread(name, &[bot, third]).await
    } else {
        owner.thread_create(json!({"topic": name, "visibility": "public", "join_policy": "open"})).await.ok()
    };
    owner.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    Place { name, channel, thread }
}

/// A frame that nothing but its caller speaks against.
fn frame(operation: &str, place: &Place, third: &Bot) -> Value {
    let thread = &place.thread["id"];
    let mut frame = match operation {
        "ping" => json!({}),
        "resume" => json!({"epoch": "another", "since_seq": 1}),
        "subscribe" | "unsubscribe" => json!({"thread_id": thread, "channel_id": place.channel}),
        "send" => json!({"channel_id": place.channel, "content": "c"}),
        "send_dm" => json!({"to": third.id, "content": "c"}),
        "send_thread_message" => json!({"thread_id": thread, "content": "c"}),
        "thread_create" => json!({"topic": place.name}),
        "thread_update" => json!({"thread_id": thread, "topic": "new"}),
        "thread_join" | "thread_leave" => json!({"thread_id": thread}),
        "thread_invite" | "thread_remove_participant" => json!({"thread_id": thread, "bot_id": third.id}),
        "artifact_add" => json!({"thread_id": thread, "artifact_key": "new", "content": "c"}),
        "artifact_update" => json!({"thread_id": thread, "artifact_key": "k", "content": "c"}),
        unknown => panic!("{unknown} is new: say here what a good frame of it is"),
    };
    frame["type"] = json!(operation);
    frame
}

/// `ack`, `pong` or the code of the refusal.
async fn answer(socket: &mut Socket, frame: Value) -> String {
    if frame["type"] == "ping" {
        socket.send(&frame).await;
        return socket.next("pong").await.text("type");
    }
    let answer = socket.op(frame).await.0;
    answer["code"].as_str().unwrap_or("ack").to_owned()
}
