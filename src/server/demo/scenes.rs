//! The demo's conversation, step by step: each does something through the public interface, waits for its peers to
//! receive it, and prints both.

use std::time::Duration;

use hxa_client::{
    ArtifactType, Event, Login, Missed, NewArtifact, NewMessage, NewTicket, Registration, ThreadStatus, Window,
};
use serde_json::{Value, json};

use super::DemoError;
use super::bot::{Bot, visitor};
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
        bot.go_offline();
    }
    Stage.say("\nEvery step happened.")?;
    Ok(cast)
}

async fn found(url: &str, admin_secret: &str) -> Result<Cast, DemoError> {
    Stage.scene(1, "An organisation and three bots")?;
    let visitor = visitor(url)?;
    let login = Login::SuperAdmin { admin_secret: admin_secret.to_owned() };
    let (operator, _) = visitor.log_in(&login).await?;
    let org = operator.create_org("demo").await?;
    Stage.did("operator", "creates the organisation \"demo\"")?;
    let entry = Registration { org_id: org.id.clone(), ..Registration::default() };
    let org_secret = Some(org.org_secret.clone());
    let ada = Registration { name: "ada".to_owned(), org_secret, ..entry.clone() };
    let ada = Bot::register(&visitor, &ada).await?;
    Stage.did("ada", "registers with the organisation's secret and is an admin")?;
    let ticket = NewTicket { reusable: true, expires_in: Some(3600), ..NewTicket::default() };
    let ticket = ada.client.create_ticket(ticket).await?;
    let entry = Registration { ticket: Some(ticket.code), ..entry };
    Stage.did("ada", "makes a ticket for others")?;
    let bob = Bot::register(&visitor, &Registration { name: "bob".to_owned(), ..entry.clone() }).await?;
    let cleo = Bot::register(&visitor, &Registration { name: "cleo".to_owned(), ..entry }).await?;
    Stage.did("bob", "registers with the ticket and is a member")?;
    Stage.did("cleo", "registers with the ticket and is a member")?;
    Ok(Cast { org_id: org.id, org_secret: org.org_secret, ada, bob, cleo })
}

async fn go_online(cast: &mut Cast) -> Scene {
    Stage.scene(2, "Sockets")?;
    cast.ada.go_online().await?;
    Stage.did("ada", "opens a WebSocket")?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        bot.go_online().await?;
        Stage.did(&bot.name, "opens a WebSocket")?;
        hear_presence(&mut cast.ada, &bot.name, true).await?;
        Stage.got("ada", &format!("bot_online: {}", bot.name))?;
    }
    Ok(())
}

/// Waits until a bot hears that another came or went.
async fn hear_presence(bot: &mut Bot, other: &str, is_online: bool) -> Scene {
    let what = format!("that {other} is {}", if is_online { "online" } else { "offline" });
    bot.hear(&what, |event| match event {
        Event::BotOnline { bot } if is_online && bot.name == other => Some(()),
        Event::BotOffline { bot } if !is_online && bot.name == other => Some(()),
        _ => None,
    })
    .await
}

async fn direct_messages(cast: &mut Cast) -> Scene {
    Stage.scene(3, "A direct message and its reply")?;
    let (question, answer) = ("Is the build green?", "Green since this morning.");
    let sent = cast.ada.op("send_dm", json!({ "to": "bob", "content": question })).await?;
    Stage.did("ada", &format!("send_dm over the socket: {question:?}; acknowledged once stored"))?;
    let sender = cast.bob.hear_message(question).await?;
    Stage.got("bob", &format!("message from {sender}: {question:?}"))?;
    let reply = cast.bob.client.send(&cast.ada.id, answer).await?;
    Stage.did("bob", &format!("POST /api/send: {answer:?}"))?;
    let sender = cast.ada.hear_message(answer).await?;
    Stage.got("ada", &format!("message from {sender}: {answer:?}"))?;
    expect(reply.channel_id == text(&sent, "channel_id")?, "the reply travels in the same channel")
}

async fn open_thread(cast: &mut Cast) -> Result<String, DemoError> {
    Stage.scene(4, "A thread")?;
    let asked = json!({ "topic": "Release 1.4", "participants": ["bob", "cleo"] });
    let created = cast.ada.op("thread_create", asked).await?;
    let thread = text(&created, "thread_id")?.to_owned();
    Stage.did("ada", "thread_create \"Release 1.4\" with bob and cleo")?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        let is_it = |event: &Event| matches!(event, Event::ThreadCreated { thread: new } if new.id == thread);
        bot.hear("of the new thread", |event| is_it(event).then_some(())).await?;
        Stage.got(&bot.name, "thread_created \"Release 1.4\", status active")?;
    }
    let content = "@bob please check the release notes";
    let question = cast.cleo.op("send_thread_message", json!({ "thread_id": thread, "content": content })).await?;
    Stage.did("cleo", &format!("send_thread_message: {content:?}"))?;
    let mentioned = cast.bob.hear_in_thread(content).await?;
    expect(mentioned == ["bob"], "the message mentions bob")?;
    Stage.got("bob", &format!("thread_message from cleo that mentions bob: {content:?}"))?;
    let content = "On it";
    let reply_to = Some(text(&question, "message_id")?.to_owned());
    cast.bob.client.send_to_thread(&thread, NewMessage { reply_to, ..content.into() }).await?;
    Stage.did("bob", &format!("POST /api/threads/…/messages, in reply to cleo: {content:?}"))?;
    for bot in [&mut cast.ada, &mut cast.cleo] {
        bot.hear_in_thread(content).await?;
        Stage.got(&bot.name, &format!("thread_message from bob: {content:?}"))?;
    }
    Ok(thread)
}

async fn change_status(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(5, "Two bots change the status at once")?;
    let known = cast.ada.client.thread(thread).await?.revision;
    let fields = |status: &str| json!({ "thread_id": thread, "status": status, "expected_revision": known });
    let changed = cast.ada.op("thread_update", fields("reviewing")).await?;
    let revision = number(&changed, "revision")?;
    Stage.did("ada", &format!("thread_update to reviewing, based on revision {known}: now revision {revision}"))?;
    let later = cast.bob.ask("thread_update", fields("resolved")).await?;
    let is_refused = later.is_err_and(|error| error.is_code("REVISION_CONFLICT"));
    expect(is_refused, "the later change on the same revision is refused")?;
    Stage.did("bob", &format!("thread_update to resolved, based on revision {known}: refused, REVISION_CONFLICT"))?;
    for bot in [&mut cast.bob, &mut cast.cleo] {
        hear_status(bot, ThreadStatus::Reviewing).await?;
        Stage.got(&bot.name, "thread_updated: status reviewing")?;
    }
    Ok(())
}

async fn hear_status(bot: &mut Bot, status: ThreadStatus) -> Scene {
    let is_it = |event: &Event| matches!(event, Event::ThreadUpdated { thread, .. } if thread.status == status);
    bot.hear(&format!("that the thread is {status:?}"), |event| is_it(event).then_some(())).await
}

async fn revise_artifact(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(6, "An artifact in three versions")?;
    let first = NewArtifact {
        artifact_key: "notes.md".to_owned(),
        kind: Some(ArtifactType::Markdown),
        title: Some("Release notes".to_owned()),
        content: Some("# 1.4".to_owned()),
        ..NewArtifact::default()
    };
    cast.ada.client.add_artifact(thread, &first).await?;
    Stage.did("ada", "adds notes.md, version 1")?;
    hear_version(&mut cast.bob, "added", 1).await?;
    let second = json!({ "thread_id": thread, "artifact_key": "notes.md", "content": "# 1.4\n\nFaster." });
    let stored = cast.bob.op("artifact_update", second).await?;
    Stage.did("bob", &format!("artifact_update of notes.md, version {}", number(&stored, "version")?))?;
    hear_version(&mut cast.ada, "updated", 2).await?;
    cast.cleo.client.update_artifact(thread, "notes.md", "# 1.4\n\nFaster and smaller.").await?;
    Stage.did("cleo", "PATCH …/artifacts/notes.md, version 3")?;
    hear_version(&mut cast.bob, "updated", 3).await?;
    let count = cast.bob.client.artifact_versions(thread, "notes.md").await?.len();
    expect(count == 3, "three versions are kept")?;
    Stage.got("bob", &format!("GET …/artifacts/notes.md/versions: {count} versions"))
}

async fn hear_version(bot: &mut Bot, expected: &str, version: u32) -> Scene {
    let what = format!("of version {version} of notes.md");
    let action = bot.hear(&what, |event| match event {
        Event::ThreadArtifact { artifact, action, .. } if artifact.version == version => Some(action.clone()),
        _ => None,
    });
    let action = action.await?;
    expect(action == expected, "the event says what was done")?;
    Stage.got(&bot.name, &format!("thread_artifact {action}: notes.md version {version}"))
}

async fn miss_things(cast: &mut Cast, thread: &str) -> Result<i64, DemoError> {
    Stage.scene(7, "Cleo goes offline and misses things")?;
    let since = hxa_store::clock::now_ms();
    cast.cleo.go_offline();
    Stage.did("cleo", "closes the socket")?;
    hear_presence(&mut cast.ada, "cleo", false).await?;
    Stage.got("ada", "bot_offline: cleo")?;
    // Catchup tells what came after a millisecond, so that millisecond must be over.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for content in ["The notes look good", "Shipping at noon"] {
        cast.ada.op("send_thread_message", json!({ "thread_id": thread, "content": content })).await?;
        Stage.did("ada", &format!("send_thread_message: {content:?}"))?;
        cast.bob.hear_in_thread(content).await?;
        Stage.got("bob", &format!("thread_message from ada: {content:?}"))?;
    }
    cast.bob.op("send_dm", json!({ "to": "cleo", "content": "Lunch?" })).await?;
    Stage.did("bob", "send_dm to cleo: \"Lunch?\"")?;
    Ok(since)
}

async fn catch_up(cast: &mut Cast, thread: &str, since: i64) -> Scene {
    Stage.scene(8, "Cleo comes back and catches up")?;
    let counts = cast.cleo.client.catchup_count(since).await?;
    let (threads, channels) = (counts.thread_activities, counts.channel_messages);
    Stage.got("cleo", &format!("GET /api/me/catchup/count: {threads} thread, {channels} channel with news"))?;
    expect((threads, channels) == (1, 1), "one thread and one channel have news")?;
    let mut told = Vec::new();
    for event in cast.cleo.client.catchup_all(since).await? {
        let (kind, count) = match event.missed {
            Missed::ThreadMessageSummary { count, .. } => ("thread_message_summary", count),
            Missed::ChannelMessageSummary { count, .. } => ("channel_message_summary", count),
            _ => continue,
        };
        told.push((kind, count));
        Stage.got("cleo", &format!("GET /api/me/catchup: {kind}, {count} new"))?;
    }
    let is_told = told.contains(&("thread_message_summary", 2)) && told.contains(&("channel_message_summary", 1));
    expect(is_told, "catchup tells two thread messages and one direct message")?;
    let window = Window { since: Some(since), ..Window::default() };
    let missed = cast.cleo.client.thread_messages(thread, window).await?;
    for message in &missed {
        let (sender, content) = (&message.sender_name, &message.content);
        Stage.got("cleo", &format!("GET /api/threads/…/messages: {sender} wrote {content:?}"))?;
    }
    expect(missed.len() == 2, "both thread messages can be read")?;
    cast.cleo.go_online().await?;
    hear_presence(&mut cast.ada, "cleo", true).await?;
    Stage.did("cleo", "opens a WebSocket again")
}

async fn resolve(cast: &mut Cast, thread: &str) -> Scene {
    Stage.scene(9, "The thread is resolved")?;
    cast.ada.client.update_thread(thread, ThreadStatus::Resolved).await?;
    Stage.did("ada", "PATCH /api/threads/…: status resolved")?;
    hear_status(&mut cast.cleo, ThreadStatus::Resolved).await?;
    Stage.got("cleo", "thread_updated: status resolved")?;
    let late = json!({ "thread_id": thread, "content": "One more thing" });
    let late = cast.bob.ask("send_thread_message", late).await?;
    let is_refused = late.is_err_and(|error| error.is_code("THREAD_CLOSED"));
    expect(is_refused, "a resolved thread takes no messages")?;
    Stage.did("bob", "send_thread_message: refused, THREAD_CLOSED")
}

/// A text of an ack.
fn text<'v>(ack: &'v Value, key: &str) -> Result<&'v str, DemoError> {
    let found = ack.get(key).and_then(Value::as_str);
    found.ok_or_else(|| DemoError::new(format!("no text {key} in {ack}")))
}

/// A whole number of an ack.
fn number(ack: &Value, key: &str) -> Result<i64, DemoError> {
    let found = ack.get(key).and_then(Value::as_i64);
    found.ok_or_else(|| DemoError::new(format!("no number {key} in {ack}")))
}

/// What must be so, and did not turn out to be.
fn expect(holds: bool, what: &str) -> Scene {
    if holds { Ok(()) } else { Err(DemoError::new(format!("it should be that {what}, but it is not"))) }
}
