//! A name is never an id: nobody can take a name that has the form of one, and what is meant for an id never reaches a bot
//! that is called so since before.

use crate::harness::*;

on_both_databases! {
    names_of_the_form_of_an_id_are_refused,
}

/// The spellings of an id that a name's characters allow.
fn spellings(id: &str) -> [String; 5] {
    let bare = id.replace('-', "");
    [id.to_owned(), id.to_uppercase(), bare.clone(), bare.to_uppercase(), format!("{}-{}", &bare[..5], &bare[5..])]
}

async fn names_of_the_form_of_an_id_are_refused(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    for name in spellings(&bob.id).into_iter().chain(spellings(NOBODY)) {
        let refused = org.register(json!({"ticket": org.ticket, "name": name})).await.invalid();
        assert!(refused["error"].as_str().unwrap().contains("form of an id"), "{refused}");
        ada.patch("/api/me/name", json!({"name": name})).await.invalid();
        hub.anonymous()
            .post("/api/register", json!({"org_id": org.id, "org_secret": org.secret, "name": name}))
            .await
            .invalid();
    }
    for name in ["deadbeef", "0192f0c1-2345", "x192f0c1-2345-7abc-8def-0123456789ab"] {
        org.register(json!({"ticket": org.ticket, "name": name})).await.ok();
    }
}

#[test]
fn a_bot_called_like_an_id_gets_nothing_that_is_meant_for_it_sqlite() {
    block_on(impostors(Db::Sqlite));
}

#[test]
fn a_bot_called_like_an_id_gets_nothing_that_is_meant_for_it_postgres() {
    block_on(impostors(Db::Postgres));
}

/// A bot that was named like another's id received the other's messages as soon as that was deleted.
async fn impostors(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    let [ada, victim, impostor, loud] = org.bots(["ada", "victim", "impostor", "loud"]).await;
    let thread = ada.thread("t", &[&impostor, &loud]).await;
    victim.delete("/api/me").await.ok();
    process.signal("TERM");
    assert!(process.exited(3 * DEADLINE).await.success());
    let called = |bot: &Bot, name: &str| {
        process.database().execute(&format!("UPDATE bots SET name = '{name}' WHERE id = '{}'", bot.id));
    };
    called(&impostor, &victim.id);
    called(&loud, &ada.id.to_uppercase());
    let names = [victim.id.clone(), ada.id.to_uppercase()];
    for name in &names {
        let args = ["admin", "token", "issue", "--org", "a", "--bot", name, "--scopes", "full"];
        let output = process.cli(&args).output().unwrap();
        assert!(!output.status.success(), "a token for {name}: {}", String::from_utf8_lossy(&output.stdout));
        let output = process.cli(&["admin", "token", "list", "--org", "a", "--bot", name]).output().unwrap();
        assert!(!output.status.success(), "tokens of {name}");
    }
    process.start().await;
    let mut sockets = [impostor.socket().await, loud.socket().await];
    for name in &names {
        reaches_nobody(&ada, &boss, &org, &thread, name).await;
    }
    for socket in &mut sockets {
        let heard = socket.drain().await;
        assert!(heard.iter().all(|event| event["type"] == "thread_message"), "{heard:?}");
    }
    // They work on, are reached by their own ids, and get rid of the name.
    for bot in [&impostor, &loud] {
        bot.say(&thread, "here").await.ok();
        ada.send(bot, "by its id").await.ok();
        let name = format!("named-{}", &bot.id[30..]);
        bot.patch("/api/me/name", json!({"name": name})).await.ok();
        ada.send_body(json!({"to": name, "content": "by its name"})).await.ok();
    }
    drop(sockets);
    process.signal("TERM");
    process.exited(3 * DEADLINE).await;
}

/// Everything that takes a bot's id or name, given a text that is a bot's name and has the form of an id.
async fn reaches_nobody(ada: &Bot, boss: &Bot, org: &Org, thread: &Value, name: &str) {
    ada.send_body(json!({"to": name, "content": "secret"})).await.missing();
    ada.thread_create(json!({"topic": "t", "participants": [name]})).await.invalid();
    ada.invite_body(thread, json!({"bot_id": name})).await.missing();
    ada.remove(thread, name).await.missing();
    ada.patch(format!("/api/threads/{}/participants/{name}", thread.id()), json!({"label": "l"})).await.missing();
    ada.get(format!("/api/bots/{name}/profile")).await.missing();
    ada.get(format!("/api/bots/{name}/webhook/health")).await.missing();
    boss.get(format!("/api/bots/{name}/channels")).await.missing();
    boss.delete(format!("/api/bots/{name}")).await.missing();
    boss.patch(format!("/api/org/bots/{name}/role"), json!({"auth_role": "admin"})).await.missing();
    org.delete(format!("/api/org/threads/{}/participants/{name}", thread.id())).await.missing();
    org.post(format!("/api/org/threads/{}/participants", thread.id()), json!({"bot_id": name})).await.missing();
    org.post("/v0/api/channels", json!({"type": "direct", "members": [ada.id, name]})).await.invalid();
    ada.post("/v0/api/send", json!({"to": name, "content": "secret"})).await.missing();
    let said = ada.say(thread, &format!("hello @{name}")).await.ok();
    assert!(said["mentions"].as_array().is_none_or(Vec::is_empty), "{said}");
    let mut socket = ada.socket().await;
    socket.op(json!({"type": "send_dm", "to": name, "content": "secret"})).await.refused("NOT_FOUND");
    let op = json!({"type": "thread_invite", "thread_id": thread.id(), "bot_id": name});
    socket.op(op).await.refused("NOT_FOUND");
    let op = json!({"type": "thread_remove_participant", "thread_id": thread.id(), "bot_id": name});
    socket.op(op).await.refused("NOT_FOUND");
    socket.op(json!({"type": "thread_create", "topic": "t", "participants": [name]})).await.refused("VALIDATION_ERROR");
    socket.close().await;
}
