//! Organisations and bots as a test sees them: one verb per operation of the protocol.

use std::fmt::Display;
use std::ops::Deref;

use hxa_client::{Client, ClientBuilder};
use serde_json::{Value, json};

use super::{Call, Caller, TestHub};

/// An organisation, seen through the cookie of an org admin.
#[derive(Clone)]
pub struct Org {
    admin: Caller,
    pub id: String,
    pub secret: String,
    pub ticket: String,
}

impl Deref for Org {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.admin
    }
}

impl Org {
    pub(super) async fn create(hub: &TestHub, name: &str) -> Self {
        let org = hub.super_admin().await.post("/api/orgs", json!({"name": name})).await.ok();
        let (id, secret) = (text(&org["id"]), text(&org["org_secret"]));
        let (admin, _) = Caller::login(hub, json!({"type": "org_admin", "org_id": id, "org_secret": secret})).await;
        let ticket = admin.post("/api/org/tickets", json!({"reusable": true, "expires_in": 0})).await.ok();
        Self { admin, id, secret, ticket: text(&ticket["ticket"]) }
    }

    /// Registers ordinary members with the organisation's ticket.
    pub async fn bots<const N: usize>(&self, names: [&str; N]) -> [Bot; N] {
        let mut bots = Vec::new();
        for name in names {
            bots.push(self.bot(name).await);
        }
        bots.try_into().unwrap_or_else(|_| unreachable!())
    }

    pub async fn bot(&self, name: &str) -> Bot {
        self.bot_from(json!({"ticket": self.ticket, "name": name})).await
    }

    /// Registers with the organisation's secret, which makes an admin bot.
    pub async fn admin_bot(&self, name: &str) -> Bot {
        self.bot_from(json!({"org_secret": self.secret, "name": name})).await
    }

    pub async fn bot_from(&self, fields: Value) -> Bot {
        Bot::new(&self.hub, &self.register(fields).await.ok())
    }

    /// `POST /api/auth/register` for this organisation, without a credential of its own.
    pub fn register(&self, mut fields: Value) -> Call {
        fields["org_id"] = json!(self.id);
        self.hub.anonymous().post("/api/auth/register", fields)
    }

    pub fn settings(&self, fields: Value) -> Call {
        self.patch("/api/org/settings", fields)
    }
}

/// A bot, seen through its primary token (or another credential of the same bot, see [`Bot::by`]).
#[derive(Clone)]
pub struct Bot {
    caller: Caller,
    pub id: String,
    pub org_id: String,
}

impl Deref for Bot {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// A thread, artifact or bot is named by its id or by the JSON object that has one.
pub trait Id {
    fn id(&self) -> String;
}

impl Id for str {
    fn id(&self) -> String {
        self.to_owned()
    }
}

impl Id for String {
    fn id(&self) -> String {
        self.clone()
    }
}

impl Id for Bot {
    fn id(&self) -> String {
        self.id.clone()
    }
}

impl Id for Value {
    fn id(&self) -> String {
        text(&self["id"])
    }
}

impl Bot {
    pub fn new(hub: &TestHub, registered: &Value) -> Self {
        let caller = Caller::bearer(hub, &text(&registered["token"]));
        Self { caller, id: text(&registered["bot_id"]), org_id: text(&registered["org_id"]) }
    }

    /// The same bot with another credential.
    pub fn by(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The Rust client as this bot, over a way to the hub such as the URL of a proxy.
    pub fn client_at(&self, url: &str) -> ClientBuilder {
        Client::builder(url).token(self.secret()).use_proxy(false)
    }

    /// The Rust client as this bot.
    pub fn client(&self) -> Client {
        self.client_at(self.hub.url()).build().unwrap()
    }

    /// The same bot through a fresh scoped token.
    pub async fn scoped(&self, scopes: &[&str]) -> Self {
        let token = self.post("/api/me/tokens", json!({"scopes": scopes})).await.ok();
        self.by(Caller::bearer(&self.hub, &text(&token["token"])))
    }

    /// The same bot through the cookie of a human who logged in as it.
    pub async fn human(&self, owner: &str) -> Self {
        let body = json!({"type": "bot", "token": self.secret(), "owner_name": owner});
        self.by(Caller::login(&self.hub, body).await.0)
    }

    pub fn me(&self) -> Call {
        self.get("/api/me")
    }

    // direct messages

    pub fn send(&self, to: &Bot, content: &str) -> Call {
        self.send_body(json!({"to": to.id, "content": content}))
    }

    pub fn send_body(&self, body: Value) -> Call {
        self.post("/api/send", body)
    }

    pub fn channel(&self, id: &str) -> Call {
        self.get(format!("/api/channels/{id}"))
    }

    pub fn channel_messages(&self, id: &str, query: &str) -> Call {
        self.get(format!("/api/channels/{id}/messages{query}"))
    }

    /// Every message of a channel, page by page, newest first.
    pub async fn all_channel_messages(&self, id: &str) -> Vec<Value> {
        let mut messages = self.channel_messages(id, "?limit=1").await.list();
        while let Some(oldest) = messages.last().map(|message| message["id"].as_str().unwrap().to_owned()) {
            let page = self.channel_messages(id, &format!("?limit=200&before={oldest}")).await.ok();
            messages.extend(page["messages"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                break;
            }
        }
        messages
    }

    pub fn channels(&self) -> Call {
        self.get(format!("/api/bots/{}/channels", self.id))
    }

    pub fn inbox(&self, since: impl Display) -> Call {
        self.get(format!("/api/inbox?since={since}"))
    }

    pub fn workspace(&self, query: &str) -> Call {
        self.get(format!("/api/me/workspace{query}"))
    }

    pub fn catchup(&self, query: &str) -> Call {
        self.get(format!("/api/me/catchup{query}"))
    }

    /// All catchup events since the beginning.
    pub async fn missed(&self) -> Vec<Value> {
        let page = self.catchup("?since=0&limit=200").await.ok();
        page["events"].as_array().unwrap().clone()
    }

    pub fn catchup_count(&self, since: impl Display) -> Call {
        self.get(format!("/api/me/catchup/count?since={since}"))
    }

    pub fn upload(&self, name: &str, content: &str) -> Call {
        let head = format!("content-disposition: form-data; name=\"file\"; filename=\"{name}\"");
        let body = format!("--x\r\n{head}\r\ncontent-type: text/plain\r\n\r\n{content}\r\n--x--\r\n");
        self.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body)
    }

    // threads

    pub fn thread_create(&self, body: Value) -> Call {
        self.post("/api/threads", body)
    }

    /// A thread with these participants; its JSON.
    pub async fn thread(&self, topic: &str, participants: &[&Bot]) -> Value {
        let ids: Vec<&str> = participants.iter().map(|bot| bot.id.as_str()).collect();
        self.thread_create(json!({"topic": topic, "participants": ids})).await.ok()
    }

    pub fn threads(&self, query: &str) -> Call {
        self.get(format!("/api/threads{query}"))
    }

    pub fn thread_get(&self, thread: &(impl Id + ?Sized)) -> Call {
        self.get(format!("/api/threads/{}", thread.id()))
    }

    pub fn thread_patch(&self, thread: &(impl Id + ?Sized), fields: Value) -> Call {
        self.patch(format!("/api/threads/{}", thread.id()), fields)
    }

    pub fn status(&self, thread: &(impl Id + ?Sized), status: &str) -> Call {
        let reason = (status == "closed").then_some("manual");
        let fields = reason.map_or(json!({"status": status}), |r| json!({"status": status, "close_reason": r}));
        self.thread_patch(thread, fields)
    }

    pub fn join(&self, thread: &(impl Id + ?Sized)) -> Call {
        self.post(format!("/api/threads/{}/join", thread.id()), json!({}))
    }

    pub fn join_requests(&self, thread: &(impl Id + ?Sized)) -> Call {
        self.get(format!("/api/threads/{}/join-requests", thread.id()))
    }

    /// `verdict` is `approve` or `reject`.
    pub fn decide(&self, thread: &(impl Id + ?Sized), request: &str, verdict: &str) -> Call {
        self.post(format!("/api/threads/{}/join-requests/{request}/{verdict}", thread.id()), json!({}))
    }

    pub fn invite(&self, thread: &(impl Id + ?Sized), bot: &Bot) -> Call {
        self.invite_body(thread, json!({"bot_id": bot.id}))
    }

    pub fn invite_body(&self, thread: &(impl Id + ?Sized), body: Value) -> Call {
        self.post(format!("/api/threads/{}/participants", thread.id()), body)
    }

    pub fn remove(&self, thread: &(impl Id + ?Sized), bot: &str) -> Call {
        self.delete(format!("/api/threads/{}/participants/{bot}", thread.id()))
    }

    pub fn leave(&self, thread: &(impl Id + ?Sized)) -> Call {
        self.remove(thread, &self.id)
    }

    pub fn say(&self, thread: &(impl Id + ?Sized), content: &str) -> Call {
        self.message(thread, json!({"content": content}))
    }

    pub fn message(&self, thread: &(impl Id + ?Sized), body: Value) -> Call {
        self.post(format!("/api/threads/{}/messages", thread.id()), body)
    }

    pub fn messages(&self, thread: &(impl Id + ?Sized), query: &str) -> Call {
        self.get(format!("/api/threads/{}/messages{query}", thread.id()))
    }

    /// Every message of a thread, page by page, newest first.
    pub async fn all_messages(&self, thread: &(impl Id + ?Sized)) -> Vec<Value> {
        let (mut messages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.messages(thread, &format!("?limit=200&cursor={cursor}")).await.ok();
            messages.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return messages,
            }
        }
    }

    /// The ids of every message of a thread, newest first.
    pub async fn message_ids(&self, thread: &(impl Id + ?Sized)) -> Vec<String> {
        self.all_messages(thread).await.iter().map(|message| text(&message["id"])).collect()
    }

    // artifacts

    pub fn artifact_add(&self, thread: &(impl Id + ?Sized), body: Value) -> Call {
        self.post(format!("/api/threads/{}/artifacts", thread.id()), body)
    }

    pub fn artifact_update(&self, thread: &(impl Id + ?Sized), key: &str, body: Value) -> Call {
        self.patch(format!("/api/threads/{}/artifacts/{key}", thread.id()), body)
    }

    pub fn artifacts(&self, thread: &(impl Id + ?Sized)) -> Call {
        self.get(format!("/api/threads/{}/artifacts", thread.id()))
    }

    pub fn versions(&self, thread: &(impl Id + ?Sized), key: &str) -> Call {
        self.get(format!("/api/threads/{}/artifacts/{key}/versions", thread.id()))
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
