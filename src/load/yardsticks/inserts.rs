//! Durable multi-row inserts of message rows, over one connection, one transaction after the other: the same rows in
//! the same table as the hub's, with nothing before or after them.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use hxa_domain::ids::{BotId, MessageId, ThreadId};
use hxa_store::clock::now_ms;
use hxa_store::rows::ThreadMessageRow;
use hxa_store::{Backend, Catalogue, DbConnection, PostgresTarget, messages, migrate};

use super::Rate;
use crate::error::{LoadError, Result};
use crate::stats::to_f64;

const MEASURED: Duration = Duration::from_secs(3);
/// Rows per transaction: as many as the hub's writer takes at most.
const ROWS: usize = 512;

/// Rows per second into a scratch database at `place`, which is removed again.
pub fn measure(place: &str, threads: usize, size: usize) -> Result<Rate> {
    let name = format!("hxa_load_{:08x}", rand::random::<u32>());
    if place.contains("://") {
        let admin = postgres(place.to_owned());
        execute(&admin, &format!("CREATE DATABASE {name}"))?;
        let rate = insert(&postgres(named(place, &name)), threads, size);
        execute(&admin, &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        return rate;
    }
    let folder = Path::new(place).join(name);
    std::fs::create_dir(&folder).map_err(LoadError::io("make a scratch database"))?;
    let rate = insert(&Backend::Sqlite(folder.join("scratch.db")), threads, size);
    std::fs::remove_dir_all(&folder).map_err(LoadError::io("remove a scratch database"))?;
    rate
}

fn postgres(url: String) -> Backend {
    Backend::Postgres(PostgresTarget { url, statement_timeout_ms: 30_000 })
}

/// The URL with another database's name.
fn named(url: &str, database: &str) -> String {
    let (rest, query) = url.split_once('?').map_or((url, String::new()), |(rest, query)| (rest, format!("?{query}")));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("postgres", rest));
    let host = rest.split('/').next().unwrap_or(rest);
    format!("{scheme}://{host}/{database}{query}")
}

fn execute(backend: &Backend, sql: &str) -> Result<()> {
    connect(backend)?.batch_execute(sql).map_err(failed)
}

fn connect(backend: &Backend) -> Result<DbConnection> {
    backend.connect().map_err(failed)
}

fn failed(why: impl std::fmt::Display) -> LoadError {
    LoadError::Database(why.to_string())
}

fn insert(backend: &Backend, threads: usize, size: usize) -> Result<Rate> {
    migrate::migrate(&Catalogue::default(), backend).map_err(LoadError::Database)?;
    let mut conn = connect(backend)?;
    let threads: Vec<ThreadId> = (0..threads).map(|_| ThreadId::at(now_ms())).collect();
    let sender = BotId::at(now_ms()).to_string();
    let mut turn = threads.iter().cycle();
    let (mut done, mut spent) = (0_u64, Duration::ZERO);
    while spent < MEASURED {
        let rows: Vec<ThreadMessageRow> = turn.by_ref().take(ROWS).map(|thread| row(*thread, &sender, size)).collect();
        let rows: Vec<&ThreadMessageRow> = rows.iter().collect();
        let began = Instant::now();
        conn.batch_execute("BEGIN").map_err(failed)?;
        messages::insert_in_threads(&mut conn, &rows).map_err(|why| LoadError::Database(format!("{why:?}")))?;
        conn.batch_execute("COMMIT").map_err(failed)?;
        spent += began.elapsed();
        done += u64::try_from(rows.len()).unwrap_or(0);
    }
    Ok(Rate { per_s: to_f64(done) / spent.as_secs_f64(), per_cpu_s: None })
}

fn row(thread: ThreadId, sender: &str, size: usize) -> ThreadMessageRow {
    let at = now_ms();
    ThreadMessageRow {
        thread_id: thread,
        created_at: at,
        id: MessageId::at(at),
        sender_id: Some(sender.to_owned()),
        content: "x".repeat(size),
        content_type: "text".to_owned(),
        parts: None,
        metadata: None,
        mentions: None,
        mention_all: false,
        reply_to_id: None,
        via_socket: true,
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_another_database() {
        assert_eq!(
            named("postgres://me:pw@host:1/a?sslmode=require", "b"),
            "postgres://me:pw@host:1/b?sslmode=require"
        );
        assert_eq!(named("postgres://host", "b"), "postgres://host/b");
    }
}
