//! The demo's conversation, step by step: each does something through the public interface, waits for its peers to
//! receive it, and prints both.

use std::time::Duration;

use serde_json::{Value, json};

use super::DemoError;
use super::client::{Api, Bot, number, text};
use super::stage::Stage;

type Scene = Result<(), DemoError>;

/// Everybody who takes part, and what opens their organisation.
pub struct Cast {
    /// The organisation.
    pub org_id: String,
    /// Its secret.
    pub org_secret: String,
    /// An admin bot.
    pub ada: Bot,
    /// A member.
    pub bob: Bot,
    /// A member that goes away and comes back.
    pub cleo: Bot,
}

/// Plays all scenes on the hub at `url`.
pub async fn play(url: &str, admin_secret: &str) -> Result<Cast, DemoError> {
    let mut cast = found(url, admin_secret).await?;
    go_online(&mut cast).await?;
    direct_messages(&mut cast).await?;
    let thread = open_thread(&mut cast).await?;
    change_status(&mut cast, &thread).await?;
    revise_artifact(&mut cast, &thread).await?;
    let since = miss_things(&mut cast, &thread).await?;
    catch_up(&mut cast, &thread, since).await?;
    resolve(&mut cast, &thread).await?;
    for bot in [&mut cast.ada, &mut cast.bob, &mut cast.cleo] {
        bot.go_offline().await?;
    }
    Stage.say("\nEvery step happened.")?;
    Ok(cast)
}

async fn found(url: &str, admin_secret: &str) -> Result<Cast, DemoError> {
    Stage.scene(1, "An organisation and three bots")?;
    let visitor = Api::anonymous(url)?;
    let admin = visitor.log_in(json!({ "type": "super_admin", "admin_secret": admin_secret })).await?;
    let org = admin.post("/api/orgs", json!({ "name": "demo" })).await?;
    let (org_id, org_secret) = (text(&org, "/id")?.to_owned(), text(&org, "/org_secret")?.to_owned());
    Stage.did("operator", "creates the organisation \"demo\"")?;
    let ada = Bot::register(&visitor, "ada", json!({ "org_id": org_id, "org_secret": org_secret })).await?;
    Stage.did("ada", "registers with the organisation's secret and is an admin")?;
    let ticket = ada.api.post("/api/org/tickets", json!({ "reusable": true, "expires_in": 3600 })).await?;
    let entry = json!({ "org_id": org_id, "ticket": text(&ticket, "/ticket")? });
    Stage.did("ada", "makes a ticket for others")?;
    let bob = Bot::register(&visitor, "bob", entry.clone()).await?;
    let cleo = Bot::register(&visitor, "cleo", entry).await?;
    Stage.did("bob", "registers with the ticket and is a member")?;
    Stage.did("cleo", "registers with the ticket and is a member")?;
    Ok(Cast { org_id, org_secret, ada, bob, cleo })
}

async fn go_online(cast: &mut Cast) -> Scene {
    Stage.scene(2, "Sockets")?;
    cast.ada.go_online().await?;
    Stage.did("ada", "opens a WebSocket")?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        bot.go_online().await?;
        Stage.did(&bot.name, "opens a WebSocket")?;
        cast.ada.hear("bot_online", "/bot/name", &bot.name).await?;
        Stage.got("ada", &format!("bot_online: {}", bot.name))?;
    }
    Ok(())
}

async fn direct_messages(cast: &mut Cast) -> Scene {
    Stage.scene(3, "A direct message and its reply")?;
    let (question, answer) = ("Is the build green?", "Green since this morning.");
    let sent = cast.ada.op(json!({ "type": "send_dm", "to": "bob", "content": question })).await?;
    Stage.did("ada", &format!("send_dm over the socket: {question:?}; acknowledged once stored"))?;
    let heard = cast.bob.hear("message", "/message/content", question).await?;
    Stage.got("bob", &format!("message from {}: {question:?}", text(&heard, "/sender_name")?))?;
    let reply = cast.bob.api.post("/api/send", json!({ "to": cast.ada.id, "content": answer })).await?;
    Stage.did("bob", &format!("POST /api/send: {answer:?}"))?;
    let heard = cast.ada.hear("message", "/message/content", answer).await?;
    Stage.got("ada", &format!("message from {}: {answer:?}", text(&heard, "/sender_name")?))?;
    expect(text(&reply, "/channel_id")? == text(&sent, "/channel_id")?, "the reply travels in the same channel")
}

async fn open_thread(cast: &mut Cast) -> Result<String, DemoError> {
    Stage.scene(4, "A thread")?;
    let asked = json!({ "type": "thread_create", "topic": "Release 1.4", "participants": ["bob", "cleo"] });
    let created = cast.ada.op(asked).await?;
    let thread = text(&created, "/thread_id")?.to_owned();
    Stage.did("ada", "thread_create \"Release 1.4\" with bob and cleo")?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        bot.hear("thread_created", "/thread/id", &thread).await?;
        Stage.got(&bot.name, "thread_created \"Release 1.4\", status active")?;
    }
    let content = "@bob please check the release notes";
    let frame = json!({ "type": "send_thread_message", "thread_id": thread, "content": content });
    let question = cast.cleo.op(frame).await?;
    Stage.did("cleo", &format!("send_thread_message: {content:?}"))?;
    let heard = cast.bob.hear("thread_message", "/message/content", content).await?;
    expect(text(&heard, "/message/mentions/0/name")? == "bob", "the message mentions bob")?;
    Stage.got("bob", &format!("thread_message from cleo that mentions bob: {content:?}"))?;
    let content = "On it";
    let body = json!({ "content": content, "reply_to": text(&question, "/message_id")? });
    cast.bob.api.post(&format!("/api/threads/{thread}/messages"), body).await?;
    Stage.did("bob", &format!("POST /api/threads/…/messages, in reply to cleo: {content:?}"))?;
    for bot in [&mut cast.ada, &mut cast.cleo] {
        bot.hear("thread_message", "/message/content", content).await?;
        Stage.got(&bot.name, &format!("thread_message from bob: {content:?}"))?;
    }
    Ok(thread)
}

async fn change_status(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(5, "Two bots change the status at once")?;
    let known = number(&cast.ada.api.get(&format!("/api/threads/{thread}")).await?, "/revision")?;
    let frame = |status: &str| json!({ "type": "thread_update", "thread_id": thread, "status": status, "expected_revision": known });
    let changed = cast.ada.op(frame("reviewing")).await?;
    let revision = number(&changed, "/revision")?;
    Stage.did("ada", &format!("thread_update to reviewing, based on revision {known}: now revision {revision}"))?;
    let refused = cast.bob.ask(frame("resolved")).await?;
    expect(text(&refused, "/code")? == "REVISION_CONFLICT", "the later change on the same revision is refused")?;
    Stage.did("bob", &format!("thread_update to resolved, based on revision {known}: refused, REVISION_CONFLICT"))?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        bot.hear("thread_updated", "/thread/status", "reviewing").await?;
        Stage.got(&bot.name, "thread_updated: status reviewing")?;
    }
    Ok(())
}

async fn revise_artifact(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(6, "An artifact in three versions")?;
    let path = format!("/api/threads/{thread}/artifacts");
    let first = json!({ "artifact_key": "notes.md", "type": "markdown", "title": "Release notes", "content": "# 1.4" });
    cast.ada.api.post(&path, first).await?;
    Stage.did("ada", "adds notes.md, version 1")?;
    hear_version(&mut cast.bob, "added", 1).await?;
    let second = json!({
        "type": "artifact_update", "thread_id": thread, "artifact_key": "notes.md", "content": "# 1.4\n\nFaster.",
    });
    let stored = cast.bob.op(second).await?;
    Stage.did("bob", &format!("artifact_update of notes.md, version {}", number(&stored, "/version")?))?;
    hear_version(&mut cast.ada, "updated", 2).await?;
    let third = json!({ "content": "# 1.4\n\nFaster and smaller." });
    cast.cleo.api.patch(&format!("{path}/notes.md"), third).await?;
    Stage.did("cleo", "PATCH …/artifacts/notes.md, version 3")?;
    hear_version(&mut cast.bob, "updated", 3).await?;
    let versions = cast.bob.api.get(&format!("{path}/notes.md/versions")).await?;
    let count = versions.as_array().map_or(0, Vec::len);
    expect(count == 3, "three versions are kept")?;
    Stage.got("bob", &format!("GET …/artifacts/notes.md/versions: {count} versions"))
}

async fn hear_version(bot: &mut Bot, action: &str, version: i64) -> Scene {
    // Events of other versions may still be waiting: everybody hears everything.
    loop {
        let heard = bot.hear("thread_artifact", "/artifact/artifact_key", "notes.md").await?;
        if number(&heard, "/artifact/version")? == version {
            expect(text(&heard, "/action")? == action, "the event says what was done")?;
            return Stage.got(&bot.name, &format!("thread_artifact {action}: notes.md version {version}"));
        }
    }
}

async fn miss_things(cast: &mut Cast, thread: &str) -> Result<i64, DemoError> {
    Stage.scene(7, "Cleo goes offline and misses things")?;
    let since = hxa_store::clock::now_ms();
    cast.cleo.go_offline().await?;
    Stage.did("cleo", "closes the socket")?;
    cast.ada.hear("bot_offline", "/bot/name", "cleo").await?;
    Stage.got("ada", "bot_offline: cleo")?;
    // Catchup tells what came after a millisecond, so that millisecond must be over.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for content in ["The notes look good", "Shipping at noon"] {
        let frame = json!({ "type": "send_thread_message", "thread_id": thread, "content": content });
        cast.ada.op(frame).await?;
        Stage.did("ada", &format!("send_thread_message: {content:?}"))?;
        cast.bob.hear("thread_message", "/message/content", content).await?;
        Stage.got("bob", &format!("thread_message from ada: {content:?}"))?;
    }
    cast.bob.op(json!({ "type": "send_dm", "to": "cleo", "content": "Lunch?" })).await?;
    Stage.did("bob", "send_dm to cleo: \"Lunch?\"")?;
    Ok(since)
}

async fn catch_up(cast: &mut Cast, thread: &str, since: i64) -> Scene {
    Stage.scene(8, "Cleo comes back and catches up")?;
    let counts = cast.cleo.api.get(&format!("/api/me/catchup/count?since={since}")).await?;
    let (threads, channels) = (number(&counts, "/thread_activities")?, number(&counts, "/channel_messages")?);
    Stage.got("cleo", &format!("GET /api/me/catchup/count: {threads} thread, {channels} channel with news"))?;
    expect((threads, channels) == (1, 1), "one thread and one channel have news")?;
    let page = cast.cleo.api.get(&format!("/api/me/catchup?since={since}")).await?;
    let events = page.get("events").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut kinds = Vec::new();
    for event in events {
        let (kind, count) = (text(event, "/type")?, number(event, "/count")?);
        kinds.push((kind, count));
        Stage.got("cleo", &format!("GET /api/me/catchup: {kind}, {count} new"))?;
    }
    let told = kinds.contains(&("thread_message_summary", 2)) && kinds.contains(&("channel_message_summary", 1));
    expect(told, "catchup tells two thread messages and one direct message")?;
    let missed = cast.cleo.api.get(&format!("/api/threads/{thread}/messages?since={since}")).await?;
    for message in missed.as_array().map_or(&[][..], Vec::as_slice) {
        let (sender, content) = (text(message, "/sender_name")?, text(message, "/content")?);
        Stage.got("cleo", &format!("GET /api/threads/…/messages: {sender} wrote {content:?}"))?;
    }
    expect(missed.as_array().is_some_and(|messages| messages.len() == 2), "both thread messages can be read")?;
    cast.cleo.go_online().await?;
    cast.ada.hear("bot_online", "/bot/name", "cleo").await?;
    Stage.did("cleo", "opens a WebSocket again")
}

async fn resolve(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(9, "The thread is resolved")?;
    cast.ada.api.patch(&format!("/api/threads/{thread}"), json!({ "status": "resolved" })).await?;
    Stage.did("ada", "PATCH /api/threads/…: status resolved")?;
    cast.cleo.hear("thread_updated", "/thread/status", "resolved").await?;
    Stage.got("cleo", "thread_updated: status resolved")?;
    let late = json!({ "type": "send_thread_message", "thread_id": thread, "content": "One more thing" });
    let refused = cast.bob.ask(late).await?;
    expect(text(&refused, "/code")? == "THREAD_CLOSED", "a resolved thread takes no messages")?;
    Stage.did("bob", "send_thread_message: refused, THREAD_CLOSED")
}

/// What must be so, and did not turn out to be.
fn expect(holds: bool, what: &str) -> Scene {
    if holds { Ok(()) } else { Err(DemoError::new(format!("it should be that {what}, but it is not"))) }
}
