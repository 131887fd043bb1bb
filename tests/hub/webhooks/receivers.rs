//! Receivers of webhooks that are slow, or say no, or ask to be left alone: what waits for them, and what does not.

use std::time::{Duration, Instant};

use hxa_connect::hub::config::Config;

use super::delivery::{ada_to_hooked_bob, calm, deliveries, health, numbers, quick, said};
use crate::harness::*;

on_both_databases! {
    a_failing_event_holds_up_its_own_conversation_alone with quick,
    conversations_with_a_slow_receiver_go_on_beside_each_other with thoughtful,
    a_receiver_that_thinks_is_asked_once with thoughtful,
    an_agent_of_twelve_seconds_is_asked_once with as_shipped,
    what_is_never_answered_is_repeated_twice_and_holds_up_nothing with brief,
    receivers_say_when_to_come_back with quick,
}

/// Local receivers are allowed, and nothing else is changed.
fn as_shipped(config: &mut Config) {
    config.webhooks.allow = vec!["127.0.0.1".to_owned()];
}

/// Answers are not waited for beside the conversation.
fn brief(config: &mut Config) {
    quick(config);
    config.webhooks.answer_ms = 500;
}

/// Conversations go on after a moment, answers are waited for.
fn thoughtful(config: &mut Config) {
    quick(config);
    config.webhooks.timeout_ms = 300;
    config.webhooks.answer_ms = 30_000;
}

/// Another member's message used to wait behind one that the receiver could not take.
async fn a_failing_event_holds_up_its_own_conversation_alone(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let cleo = org.bot("cleo").await;
    receiver.on("bad", Answer::Status(500));
    ada.send(&bob, "bad").await.ok();
    ada.send(&bob, "behind").await.ok();
    eventually(|| async { receiver.posts().len() }, |posts| *posts >= 3).await;
    let start = Instant::now();
    cleo.send(&bob, "other").await.ok();
    assert_eq!(said(&receiver.took(1).await), ["other"]);
    let took = chaos::span(start.elapsed());
    let thread = cleo.thread("t", &[&bob]).await;
    cleo.say(&thread, "in a thread").await.ok();
    assert_eq!(receiver.took(5).await[4].said(), "in a thread");
    receiver.on("bad", Answer::Status(200));
    assert_eq!(said(&receiver.took(7).await[5..]), ["bad", "behind"]);
    chaos::figure("R16", &format!("a message beside a failing one arrived after {took}"));
}

async fn conversations_with_a_slow_receiver_go_on_beside_each_other(hub: TestHub) {
    let (org, _, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Thinks(Duration::from_secs(3)));
    let start = Instant::now();
    for name in ["a", "b", "c", "d", "e"] {
        org.bot(name).await.send(&bob, name).await.ok();
    }
    eventually(|| async { receiver.posts().len() }, |posts| *posts == 5).await;
    assert_eq!(receiver.answered(), 0, "all are there before the first is answered");
    eventually(|| async { receiver.answered() }, |answered| *answered == 5).await;
    let took = chaos::span(start.elapsed());
    eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 5).await;
    assert_eq!(receiver.posts().len(), 5, "each once");
    chaos::figure("R16", &format!("5 messages to a receiver that takes 3 s: all answered after {took}"));
}

/// An agent that thought longer than the hub waited was asked the same question again and again.
async fn a_receiver_that_thinks_is_asked_once(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Thinks(Duration::from_secs(3)));
    for n in 0..5 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    let done = eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 5).await;
    assert!(done.iter().all(|row| row["attempts"] == 1 && row["unanswered"] == 1), "{done:?}");
    assert_eq!(said(&receiver.posts()), numbers(0..5), "in order, each once");
    assert_eq!(health(&ada, "bob").await["healthy"], true);
}

/// With the settings as they are shipped: a conversation waits ten seconds for an answer.
async fn an_agent_of_twelve_seconds_is_asked_once(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.always(Answer::Thinks(Duration::from_secs(12)));
    ada.send(&bob, "0").await.ok();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let done = eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 1).await;
    assert_eq!((&done[0]["attempts"], &done[0]["unanswered"]), (&json!(1), &json!(1)));
    assert_eq!(said(&receiver.posts()), ["0"]);
    chaos::figure("R16", "an agent that thinks for 12 s is asked once");
}

async fn what_is_never_answered_is_repeated_twice_and_holds_up_nothing(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    receiver.on("0", Answer::Silence);
    ada.send(&bob, "0").await.ok();
    ada.send(&bob, "1").await.ok();
    assert_eq!(said(&receiver.took(1).await), ["1"]);
    let unknown = eventually(|| deliveries(&org, &bob, "?status=unknown"), |unknown| unknown.len() == 1).await;
    assert_eq!((&unknown[0]["attempts"], &unknown[0]["unanswered"]), (&json!(3), &json!(3)));
    assert_eq!(unknown[0]["last_error"], "no answer in time");
    calm().await;
    let mut silent = receiver.posts();
    silent.retain(|post| post.said() == "0");
    assert_eq!(silent.len(), 3);
    assert!(silent.iter().all(|post| post.header("x-hub-delivery") == unknown[0]["id"]), "one id");
    receiver.on("0", Answer::Status(200));
    let path = format!("/api/org/bots/{}/webhook/deliveries/{}/replay", bob.id, unknown[0].text("id"));
    org.post(path, json!({})).await.ok();
    assert_eq!(said(&receiver.took(2).await), ["1", "0"]);
}

async fn receivers_say_when_to_come_back(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let cleo = org.bot("cleo").await;
    receiver.then([Answer::Later(429, "3")]);
    ada.send(&bob, "0").await.ok();
    let tried = |rows: &Vec<Value>| rows.first().is_some_and(|row| row["next_attempt_at"].is_i64());
    let waiting = eventually(|| deliveries(&org, &bob, "?status=pending"), tried).await;
    let pause = waiting[0].int("next_attempt_at") - waiting[0].int("created_at");
    assert!((3000..30_000).contains(&pause), "{waiting:?}");
    cleo.send(&bob, "1").await.ok();
    calm().await;
    assert_eq!(receiver.posts().len(), 1, "the receiver wants to be left alone");
    let taken = receiver.took(2).await;
    assert_eq!(taken.len(), 2);
    receiver.on("2", Answer::Later(503, "Fri, 31 Dec 2100 23:59:59 GMT"));
    receiver.on("4", Answer::Later(409, "soon"));
    ada.send(&bob, "4").await.ok();
    eventually(|| async { receiver.posts().len() }, |posts| *posts >= 5).await;
    ada.send(&bob, "behind").await.ok();
    cleo.send(&bob, "2").await.ok();
    let hour = |rows: &Vec<Value>| {
        rows.iter().any(|row| row["next_attempt_at"].as_i64().is_some_and(|at| at - row.int("created_at") > 3_000_000))
    };
    let rows = eventually(|| deliveries(&org, &bob, "?status=pending"), hour).await;
    let latest = rows.iter().filter_map(|row| Some(row["next_attempt_at"].as_i64()? - row.int("created_at"))).max();
    assert!(latest.is_some_and(|latest| latest < 4_200_000), "an hour at most: {rows:?}");
}
