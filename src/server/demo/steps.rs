//! The demo's conversation, step by step: each does something through the public interface, waits for its peers to
//! receive it, and prints both.

use std::time::Duration;

use hxa_client::{
    ArtifactType, Event, Login, Missed, NewArtifact, NewMessage, NewTicket, Registration, ThreadStatus, Window,
};
use serde_json::{Value, json};

use super::DemoError;
use super::bot::{Bot, visitor};
use super::output::Output;

type StepResult = Result<(), DemoError>;

/// The bots that take part, and the credentials of their organisation.
pub struct Participants {
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

/// Runs all steps on the hub at `url`.
pub async fn run(url: &str, admin_secret: &str) -> Result<Participants, DemoError> {
    let mut bots = set_up(url, admin_secret).await?;
    go_online(&mut bots).await?;
    direct_messages(&mut bots).await?;
    let thread = open_thread(&mut bots).await?;
    change_status(&mut bots, &thread).await?;
    revise_artifact(&mut bots, &thread).await?;
    let since = go_offline_and_miss(&mut bots, &thread).await?;
    catch_up(&mut bots, &thread, since).await?;
    resolve(&mut bots, &thread).await?;
    for bot in [&mut bots.ada, &mut bots.bob, &mut bots.cleo] {
        bot.go_offline();
    }
    Output.line("\nEvery step happened.")?;
    Ok(bots)
}

async fn set_up(url: &str, admin_secret: &str) -> Result<Participants, DemoError> {
    Output.step(1, "An organisation and three bots")?;
    let visitor = visitor(url)?;
    let login = Login::SuperAdmin { admin_secret: admin_secret.to_owned() };
    let (operator, _) = visitor.log_in(&login).await?;
    let org = operator.create_org("demo").await?;
    Output.sent("operator", "creates the organisation \"demo\"")?;
    let entry = Registration { org_id: org.id.clone(), ..Registration::default() };
    let org_secret = Some(org.org_secret.clone());
    let ada = Registration { name: "ada".to_owned(), org_secret, ..entry.clone() };
    let ada = Bot::register(&visitor, &ada).await?;
    Output.sent("ada", "registers with the organisation's secret and is an admin")?;
    let ticket = NewTicket { reusable: true, expires_in: Some(3600), ..NewTicket::default() };
    let ticket = ada.client.create_ticket(ticket).await?;
    let entry = Registration { ticket: Some(ticket.code), ..entry };
    Output.sent("ada", "makes a ticket for others")?;
    let bob = Bot::register(&visitor, &Registration { name: "bob".to_owned(), ..entry.clone() }).await?;
    let cleo = Bot::register(&visitor, &Registration { name: "cleo".to_owned(), ..entry }).await?;
    Output.sent("bob", "registers with the ticket and is a member")?;
    Output.sent("cleo", "registers with the ticket and is a member")?;
    Ok(Participants { org_id: org.id, org_secret: org.org_secret, ada, bob, cleo })
}

async fn go_online(bots: &mut Participants) -> StepResult {
    Output.step(2, "Sockets")?;
    bots.ada.go_online().await?;
    Output.sent("ada", "opens a WebSocket")?;
    for bot in [&mut bots.bob, &mut bots.cleo] {
        bot.go_online().await?;
        Output.sent(&bot.name, "opens a WebSocket")?;
        wait_for_presence(&mut bots.ada, &bot.name, true).await?;
        Output.received("ada", &format!("bot_online: {}", bot.name))?;
    }
    Ok(())
}

/// Waits until a bot receives that another came online or went offline.
async fn wait_for_presence(bot: &mut Bot, other: &str, is_online: bool) -> StepResult {
    let what = format!("that {other} is {}", if is_online { "online" } else { "offline" });
    bot.wait_for(&what, |event| match event {
        Event::BotOnline { bot } if is_online && bot.name == other => Some(()),
        Event::BotOffline { bot } if !is_online && bot.name == other => Some(()),
        _ => None,
    })
    .await
}

async fn direct_messages(bots: &mut Participants) -> StepResult {
    Output.step(3, "A direct message and its reply")?;
    let (question, answer) = ("Is the build green?", "Green since this morning.");
    let sent = bots.ada.op("send_dm", json!({ "to": "bob", "content": question })).await?;
    Output.sent("ada", &format!("send_dm over the socket: {question:?}; acknowledged once stored"))?;
    let sender = bots.bob.wait_for_message(question).await?;
    Output.received("bob", &format!("message from {sender}: {question:?}"))?;
    let reply = bots.bob.client.send(&bots.ada.id, answer).await?;
    Output.sent("bob", &format!("POST /api/send: {answer:?}"))?;
    let sender = bots.ada.wait_for_message(answer).await?;
    Output.received("ada", &format!("message from {sender}: {answer:?}"))?;
    expect(reply.channel_id == text(&sent, "channel_id")?, "the reply travels in the same channel")
}

async fn open_thread(bots: &mut Participants) -> Result<String, DemoError> {
    Output.step(4, "A thread")?;
    let asked = json!({ "topic": "Release 1.4", "participants": ["bob", "cleo"] });
    let created = bots.ada.op("thread_create", asked).await?;
    let thread = text(&created, "thread_id")?.to_owned();
    Output.sent("ada", "thread_create \"Release 1.4\" with bob and cleo")?;
    for bot in [&mut bots.bob, &mut bots.cleo] {
        let is_it = |event: &Event| matches!(event, Event::ThreadCreated { thread: new } if new.id == thread);
        bot.wait_for("of the new thread", |event| is_it(event).then_some(())).await?;
        Output.received(&bot.name, "thread_created \"Release 1.4\", status active")?;
    }
    let content = "@bob please check the release notes";
    let question = bots.cleo.op("send_thread_message", json!({ "thread_id": thread, "content": content })).await?;
    Output.sent("cleo", &format!("send_thread_message: {content:?}"))?;
    let mentioned = bots.bob.wait_for_thread_message(content).await?;
    expect(mentioned == ["bob"], "the message mentions bob")?;
    Output.received("bob", &format!("thread_message from cleo that mentions bob: {content:?}"))?;
    let content = "On it";
    let reply_to = Some(text(&question, "message_id")?.to_owned());
    bots.bob.client.send_to_thread(&thread, NewMessage { reply_to, ..content.into() }).await?;
    Output.sent("bob", &format!("POST /api/threads/…/messages, in reply to cleo: {content:?}"))?;
    for bot in [&mut bots.ada, &mut bots.cleo] {
        bot.wait_for_thread_message(content).await?;
        Output.received(&bot.name, &format!("thread_message from bob: {content:?}"))?;
    }
    Ok(thread)
}

async fn change_status(bots: &mut Participants, thread: &str) -> StepResult {
    Output.step(5, "Two bots change the status at once")?;
    let known = bots.ada.client.thread(thread).await?.revision;
    let fields = |status: &str| json!({ "thread_id": thread, "status": status, "expected_revision": known });
    let changed = bots.ada.op("thread_update", fields("reviewing")).await?;
    let revision = number(&changed, "revision")?;
    Output.sent("ada", &format!("thread_update to reviewing, based on revision {known}: now revision {revision}"))?;
    let later = bots.bob.ask("thread_update", fields("resolved")).await?;
    let is_refused = later.is_err_and(|error| error.is_code("REVISION_CONFLICT"));
    expect(is_refused, "the later change on the same revision is refused")?;
    Output.sent("bob", &format!("thread_update to resolved, based on revision {known}: refused, REVISION_CONFLICT"))?;
    for bot in [&mut bots.bob, &mut bots.cleo] {
        wait_for_status(bot, ThreadStatus::Reviewing).await?;
        Output.received(&bot.name, "thread_updated: status reviewing")?;
    }
    Ok(())
}

async fn wait_for_status(bot: &mut Bot, status: ThreadStatus) -> StepResult {
    let is_it = |event: &Event| matches!(event, Event::ThreadUpdated { thread, .. } if thread.status == status);
    bot.wait_for(&format!("that the thread is {status:?}"), |event| is_it(event).then_some(())).await
}

async fn revise_artifact(bots: &mut Participants, thread: &str) -> StepResult {
    Output.step(6, "An artifact in three versions")?;
    let first = NewArtifact {
        artifact_key: "notes.md".to_owned(),
        kind: Some(ArtifactType::Markdown),
        title: Some("Release notes".to_owned()),
        content: Some("# 1.4".to_owned()),
        ..NewArtifact::default()
    };
    bots.ada.client.add_artifact(thread, &first).await?;
    Output.sent("ada", "adds notes.md, version 1")?;
    wait_for_version(&mut bots.bob, "added", 1).await?;
    let second = json!({ "thread_id": thread, "artifact_key": "notes.md", "content": "# 1.4\n\nFaster." });
    let stored = bots.bob.op("artifact_update", second).await?;
    Output.sent("bob", &format!("artifact_update of notes.md, version {}", number(&stored, "version")?))?;
    wait_for_version(&mut bots.ada, "updated", 2).await?;
    bots.cleo.client.update_artifact(thread, "notes.md", "# 1.4\n\nFaster and smaller.").await?;
    Output.sent("cleo", "PATCH …/artifacts/notes.md, version 3")?;
    wait_for_version(&mut bots.bob, "updated", 3).await?;
    let count = bots.bob.client.artifact_versions(thread, "notes.md").await?.len();
    expect(count == 3, "three versions are kept")?;
    Output.received("bob", &format!("GET …/artifacts/notes.md/versions: {count} versions"))
}

async fn wait_for_version(bot: &mut Bot, expected: &str, version: u32) -> StepResult {
    let what = format!("of version {version} of notes.md");
    let action = bot.wait_for(&what, |event| match event {
        Event::ThreadArtifact { artifact, action, .. } if artifact.version == version => Some(action.clone()),
        _ => None,
    });
    let action = action.await?;
    expect(action == expected, "the event says what was done")?;
    Output.received(&bot.name, &format!("thread_artifact {action}: notes.md version {version}"))
}

async fn go_offline_and_miss(bots: &mut Participants, thread: &str) -> Result<i64, DemoError> {
    Output.step(7, "Cleo goes offline and misses things")?;
    let since = hxa_store::clock::now_ms();
    bots.cleo.go_offline();
    Output.sent("cleo", "closes the socket")?;
    wait_for_presence(&mut bots.ada, "cleo", false).await?;
    Output.received("ada", "bot_offline: cleo")?;
    // Catchup lists what came after a millisecond, so that millisecond must be over.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for content in ["The notes look good", "Shipping at noon"] {
        bots.ada.op("send_thread_message", json!({ "thread_id": thread, "content": content })).await?;
        Output.sent("ada", &format!("send_thread_message: {content:?}"))?;
        bots.bob.wait_for_thread_message(content).await?;
        Output.received("bob", &format!("thread_message from ada: {content:?}"))?;
    }
    bots.bob.op("send_dm", json!({ "to": "cleo", "content": "Lunch?" })).await?;
    Output.sent("bob", "send_dm to cleo: \"Lunch?\"")?;
    Ok(since)
}

async fn catch_up(bots: &mut Participants, thread: &str, since: i64) -> StepResult {
    Output.step(8, "Cleo comes back and catches up")?;
    let counts = bots.cleo.client.catchup_count(since).await?;
    let (threads, channels) = (counts.thread_activities, counts.channel_messages);
    Output.received("cleo", &format!("GET /api/me/catchup/count: {threads} thread, {channels} channel with news"))?;
    expect((threads, channels) == (1, 1), "one thread and one channel have news")?;
    let mut told = Vec::new();
    for event in bots.cleo.client.catchup_all(since).await? {
        let (kind, count) = match event.missed {
            Missed::ThreadMessageSummary { count, .. } => ("thread_message_summary", count),
            Missed::ChannelMessageSummary { count, .. } => ("channel_message_summary", count),
            _ => continue,
        };
        told.push((kind, count));
        Output.received("cleo", &format!("GET /api/me/catchup: {kind}, {count} new"))?;
    }
    let is_told = told.contains(&("thread_message_summary", 2)) && told.contains(&("channel_message_summary", 1));
    expect(is_told, "catchup tells two thread messages and one direct message")?;
    let window = Window { since: Some(since), ..Window::default() };
    let missed = bots.cleo.client.thread_messages(thread, window).await?;
    for message in &missed {
        let (sender, content) = (&message.sender_name, &message.content);
        Output.received("cleo", &format!("GET /api/threads/…/messages: {sender} wrote {content:?}"))?;
    }
    expect(missed.len() == 2, "both thread messages can be read")?;
    bots.cleo.go_online().await?;
    wait_for_presence(&mut bots.ada, "cleo", true).await?;
    Output.sent("cleo", "opens a WebSocket again")
}

async fn resolve(bots: &mut Participants, thread: &str) -> StepResult {
    Output.step(9, "The thread is resolved")?;
    bots.ada.client.update_thread(thread, ThreadStatus::Resolved).await?;
    Output.sent("ada", "PATCH /api/threads/…: status resolved")?;
    wait_for_status(&mut bots.cleo, ThreadStatus::Resolved).await?;
    Output.received("cleo", "thread_updated: status resolved")?;
    let late = json!({ "thread_id": thread, "content": "One more thing" });
    let late = bots.bob.ask("send_thread_message", late).await?;
    let is_refused = late.is_err_and(|error| error.is_code("THREAD_CLOSED"));
    expect(is_refused, "a resolved thread takes no messages")?;
    Output.sent("bob", "send_thread_message: refused, THREAD_CLOSED")
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
fn expect(holds: bool, what: &str) -> StepResult {
    if holds { Ok(()) } else { Err(DemoError::new(format!("it should be that {what}, but it is not"))) }
}
