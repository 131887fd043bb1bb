//! Requests of the Rust client whose answers are lost: what has an idempotency key is repeated and done once, and what
//! has none is sent once.

use std::time::Duration;

use hxa_client::{Client, Error, NewArtifact, NewMessage, NewThread, ThreadUpdate, Window};

use crate::harness::*;

on_both_databases! {
    what_creates_is_repeated_and_done_once,
    a_key_outlives_the_program_that_made_it,
    what_has_no_key_is_sent_once,
}

/// A way to the hub, and ada's client over it.
fn way_of(ada: &Bot) -> (Proxy, Client) {
    let way = Proxy::before(ada.hub.address());
    let client = ada.client_at(&way.url(ada.hub.url())).timeout(Duration::from_secs(5)).build().unwrap();
    (way, client)
}

async fn what_creates_is_repeated_and_done_once(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let ((way, a), b) = (way_of(&ada), bob.client());
    let mut heard = Listener::open(&b).await;
    way.set(Weather::CutAnswer);
    let sent = a.send("bob", "one").await.unwrap();
    assert!(sent.replayed, "it was stored before its answer was lost");
    way.set(Weather::CutAnswer);
    assert!(a.send_to_channel(&sent.channel_id, "two").await.unwrap().replayed);
    way.set(Weather::CutAnswer);
    let new = NewThread { topic: "t".to_owned(), participants: vec!["bob".to_owned()], ..NewThread::default() };
    let thread = a.create_thread(&new).await.unwrap();
    assert!(thread.replayed);
    way.set(Weather::CutAnswer);
    assert!(a.send_to_thread(&thread.id, "three").await.unwrap().replayed);
    way.set(Weather::CutAnswer);
    let artifact =
        NewArtifact { artifact_key: "k".to_owned(), content: Some("1".to_owned()), ..NewArtifact::default() };
    assert!(a.add_artifact(&thread.id, &artifact).await.unwrap().replayed);
    way.set(Weather::CutAnswer);
    let version = a.update_artifact(&thread.id, "k", "2").await.unwrap();
    assert_eq!((version.version, version.replayed), (2, true));
    assert_eq!(way.cuts(), 6);
    // Reads are repeated, too.
    way.set(Weather::CutAnswer);
    assert_eq!((a.artifact_versions(&thread.id, "k").await.unwrap().len(), way.cuts()), (2, 7));
    assert_eq!(b.threads(&hxa_client::ThreadQuery::default()).await.unwrap().items.len(), 1);
    assert_eq!(b.thread_messages(&thread.id, Window::default()).await.unwrap().len(), 1);
    b.send("ada", "end").await.unwrap();
    assert_eq!(heard.messages_until("end").await, ["one", "two", "end"]);
}

async fn a_key_outlives_the_program_that_made_it(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let way = Proxy::before(hub.address());
    let impatient = ada.client_at(&way.url(hub.url())).tries(1).build().unwrap();
    let message = |content: &str| NewMessage { idempotency_key: Some("order-7".to_owned()), ..content.into() };
    way.set(Weather::CutAnswer);
    assert!(matches!(impatient.send("bob", message("one")).await, Err(Error::Network(_))));
    let later = ada.client();
    assert!(later.send("bob", message("one")).await.unwrap().replayed);
    let error = later.send("bob", message("another")).await.unwrap_err();
    assert!(error.is_code("IDEMPOTENCY_MISMATCH"), "{error:?}");
    assert_eq!(bob.client().inbox(0).await.unwrap().len(), 1);
}

async fn what_has_no_key_is_sent_once(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let (way, a) = way_of(&ada);
    let thread = a.create_thread(&NewThread { topic: "0".to_owned(), ..NewThread::default() }).await.unwrap();
    way.set(Weather::CutAnswer);
    let update = ThreadUpdate { topic: Some("1".to_owned()), ..ThreadUpdate::default() };
    let outcome = a.update_thread(&thread.id, update).await;
    assert!(matches!(outcome, Err(Error::Network(_))), "{outcome:?}");
    let now = a.thread(&thread.id).await.unwrap();
    assert_eq!((now.topic.as_str(), now.revision), ("1", thread.revision + 1), "nobody knew, and it was done once");
}
