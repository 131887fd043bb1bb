//! The fluent test hub: a real hub on a fresh database, and typed clients that speak its public protocol.
//!
//! `on_both_databases!` names the tests of a file and runs each on SQLite and on PostgreSQL. Inside a test,
//! `hub.with_org("a").await` gives an [`Org`] (cookie of an org admin), `org.bots(["ada", "bob"]).await` gives [`Bot`]s with
//! one verb per operation of the protocol, and `ada.socket().await` a live [`Socket`]. Every verb returns a [`Call`];
//! awaiting it gives a [`Reply`] whose assertions report the line of the test, not of the harness.

mod caller;
pub mod chaos;
mod database;
mod document;
mod hub;
mod listener;
mod old;
mod org;
mod person;
mod postgres;
mod process;
mod proxy;
mod receiver;
mod redis;
mod requests;
mod shape;
mod slack;
mod socket;
mod sql;
mod wire;

pub use caller::{Call, Caller, Reply};
pub use database::{Database, Db};
pub use document::{document, error_of_example};
pub use hub::{ADMIN_SECRET, TestHub, run, run_at, run_beside, run_on_database, run_with, run_with_features};
pub use listener::Listener;
pub use org::{Bot, Id, Org};
pub use postgres::PrivatePostgres;
pub use process::{BINARY, ProcessHub, cli, cli_on, cli_with, command_on};
pub use proxy::{Proxy, Weather};
pub use receiver::{Answer, Post, Receiver};
pub use redis::{Line, redis_address, redis_prefix, run_on_redis};
pub use requests::{question, question_with};
pub use shape::{Fields, shape};
pub use slack::{
    FakeSlack, SLACK_SECRETS, SLACK_TOKEN, SlackAnswer, SlackChannel, from_slack, on_slack, signed_by, slack_form,
};
pub use socket::Socket;
pub use sql::{SqlShell, tool};
pub use wire::{Wire, client_frame, frame_head};

pub use serde_json::{Value, json};

/// How long a test waits for something that must happen; long enough for a machine that has much else to do.
pub const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// Makes two tests of every named `async fn(TestHub)`: one on SQLite, one on PostgreSQL. A name may be followed by
/// `with <fn(&mut Config)>` to run it on a hub with other settings.
macro_rules! on_both_databases {
    ($($name:ident $(with $tune:ident)?),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::harness::run($crate::harness::Db::Sqlite, &[$(super::$tune)?], super::$name);
            }
            #[test]
            fn postgres() {
                $crate::harness::run($crate::harness::Db::Postgres, &[$(super::$tune)?], super::$name);
            }
        }
    )+};
}
pub(crate) use on_both_databases;

/// Makes one more test of every named `module::function(TestHub)`: on SQLite, with sessions in Redis.
macro_rules! on_redis {
    ($($module:ident::$name:ident),+ $(,)?) => {$(
        #[test]
        fn $name() {
            $crate::harness::run_on_redis($crate::harness::Db::Sqlite, $module::$name);
        }
    )+};
}
pub(crate) use on_redis;

/// Asks again until the answer satisfies `done`, or panics after the deadline with the last answer.
#[track_caller]
pub fn eventually<T: std::fmt::Debug, Fut: Future<Output = T>>(
    mut ask: impl FnMut() -> Fut,
    done: impl Fn(&T) -> bool,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let start = std::time::Instant::now();
        loop {
            let answer = ask().await;
            if done(&answer) {
                return answer;
            }
            assert!(start.elapsed() < DEADLINE, "still {answer:?} after {DEADLINE:?} (at {caller})");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// Runs the body of a test that starts its hubs itself.
pub fn block_on<F: Future>(body: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body)
}

/// Runs bodies that mostly wait beside each other; each panics for itself.
pub fn at_once(bodies: &[fn()]) {
    let running: Vec<_> = bodies.iter().map(|body| std::thread::spawn(*body)).collect();
    let ended: Vec<_> = running.into_iter().map(std::thread::JoinHandle::join).collect();
    if let Some(panic) = ended.into_iter().find_map(Result::err) {
        std::panic::resume_unwind(panic);
    }
}

/// Milliseconds since the epoch, as the protocol counts them.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A UUID that names nothing.
pub const NOBODY: &str = "01900000-0000-7000-8000-000000000000";
