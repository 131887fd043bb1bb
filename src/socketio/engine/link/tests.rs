//! Frames leave in order and whole, what waits is bounded, and whoever takes frames is told that there are some.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use actix::{Actor, Handler};

use super::*;

/// Keeps what the session is told.
struct Ear(Arc<Mutex<Vec<Signal>>>);

impl Actor for Ear {
    type Context = actix::Context<Self>;
}

impl Handler<Signal> for Ear {
    type Result = ();

    fn handle(&mut self, signal: Signal, _: &mut Self::Context) {
        self.0.lock().push(signal);
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn link(limit: usize) -> (Link, Arc<Mutex<Vec<Signal>>>) {
    let told = Arc::<Mutex<Vec<Signal>>>::default();
    let session = Ear(told.clone()).start();
    (Link::new("sid".into(), "client".into(), limit, session.recipient()), told)
}

fn text(text: &str) -> Frame {
    Frame::Text(text.into())
}

#[actix::test]
async fn a_poll_takes_what_fits_and_is_told_once() {
    let (link, told) = link(10_000);
    for number in 0..10 {
        link.send(&[text(&number.to_string())]).unwrap();
    }
    actix::clock::sleep(std::time::Duration::from_millis(5)).await;
    assert!(matches!(told.lock().as_slice(), [Signal::Flush]));
    let cost = text("0").cost();
    assert_eq!(link.take(cost * 3).len(), 3);
    assert_eq!(link.take(1), [text("3")], "at least one");
    assert_eq!(link.take(usize::MAX).len(), 6);
    assert_eq!(link.take(usize::MAX), []);
}

#[actix::test]
async fn a_websocket_takes_chunks_and_is_woken() {
    let (link, _) = link(10_000_000);
    let woken = Arc::<Woken>::default();
    let waker = woken.clone().into();
    let context = Context::from_waker(&waker);
    assert_eq!(link.poll_take(7, &context), Poll::Ready(Taken::Nothing));
    link.attach(7);
    assert_eq!(link.poll_take(8, &context), Poll::Ready(Taken::Nothing));
    assert!(link.poll_take(7, &context).is_pending());
    link.send(&[text("a"), Frame::Binary(vec![1].into())]).unwrap();
    link.send_and_pause(&[text("b")]).unwrap();
    link.send(&[text("c")]).unwrap();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let chunk = Bytes::from_static(b"\x81\x01a\x82\x01\x01\x81\x01b");
    assert_eq!(link.poll_take(7, &context), Poll::Ready(Taken::Bytes(chunk)));
    assert_eq!(link.poll_take(7, &context), Poll::Ready(Taken::Pause));
    assert_eq!(link.poll_take(7, &context), Poll::Ready(Taken::Bytes(Bytes::from_static(b"\x81\x01c"))));
    // Not all at once, but no frame in two parts.
    for _ in 0..3 {
        link.send(&[text(&"x".repeat(CHUNK - 10))]).unwrap();
    }
    let Poll::Ready(Taken::Bytes(chunk)) = link.poll_take(7, &context) else { panic!("no chunk") };
    assert_eq!(chunk.len(), 2 * (CHUNK - 10 + 4));
    link.end(1000, true);
    assert_eq!(link.send_text("late"), Err(SendError::Closed));
    assert!(matches!(link.poll_take(7, &context), Poll::Ready(Taken::Bytes(_))));
    assert_eq!(link.poll_take(7, &context), Poll::Ready(Taken::End(1000)));
}

#[actix::test]
async fn what_waits_is_bounded() {
    let (link, told) = link(1000);
    let mut accepted = 0;
    while link.send(&[text("")]) == Ok(()) {
        accepted += 1;
    }
    assert_eq!(accepted, 1000 / text("").cost(), "empty frames count as well");
    assert_eq!(link.send_text("more"), Err(SendError::Closed));
    assert_eq!(link.take(usize::MAX), [], "nothing is kept for a client that does not read");
    actix::clock::sleep(std::time::Duration::from_millis(5)).await;
    assert!(matches!(told.lock().as_slice(), [Signal::Flush, Signal::Close(CloseReason::QueueFull)]));
}

#[actix::test]
async fn room_is_made_by_taking() {
    let (link, _) = link(1000);
    for _ in 0..100 {
        link.send(&[text(&"x".repeat(900))]).unwrap();
        assert_eq!(link.take(usize::MAX).len(), 1);
    }
}
