//! Many sockets: how fast they open, whether all live, what one costs in memory, and whether closing gives it back.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::churn::pong;
use crate::context::Context;
use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::monitor::bar;
use crate::outcome::{Outcome, Snapshot, Window, per};
use crate::process::{OTHER_FILES, open_file_limit};
use crate::recorder::Recorder;
use crate::run::{Loop, Run};
use crate::setup::Fleet;
use crate::socket::Socket;
use crate::stats::{Timed, to_f64, to_u64};

/// Read buffer of a socket that is only held.
const READ_BUFFER: usize = 1 << 10;
/// A hub that has not noticed the closes after this long leaks.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens `--sockets` sockets of `--bots` bots, pings each, holds them, closes them.
pub async fn connect(context: &mut Context, name: &str) -> Result<Outcome> {
    let bots = context.bots(100).await?;
    let sockets = context.options.sockets;
    if let Some(limit) = open_file_limit().filter(|limit| *limit < sockets + OTHER_FILES) {
        let text = format!("--sockets {sockets} needs `ulimit -n {}`, it is {limit}", sockets + OTHER_FILES);
        return Err(LoadError::Options(text));
    }
    let (fleet, options) = (&context.fleet, &context.options);
    let run = Run::new(Recorder::default(), fleet.bots.clone(), 0, Loop::Closed(1), None);
    let take = || Snapshot::take(options.pid, options.db_pid);
    let (clients_before, before, began) = (clients(fleet).await?, take(), Instant::now());
    let open_sockets = open_all(fleet, &run, name, sockets, bots).await?;
    let (end, seconds) = (take(), began.elapsed().as_secs_f64());
    let totals = run.stats.totals();
    let pinging = Instant::now();
    ping_all(fleet, &run, &open_sockets).await?;
    let ping_seconds = pinging.elapsed().as_secs_f64();
    let held = clients(fleet).await?;
    let wanted = clients_before + u64::try_from(sockets).unwrap_or(0);
    if held != wanted {
        run.failures.add(Failure::Read, || format!("health counts {held} clients, {wanted} are connected"));
    }
    let after_ping = take();
    close_all(open_sockets).await;
    wait_closed(fleet, &run, clients_before).await?;
    let mut outcome = Outcome::new(name, &Window { before, start: before, end, seconds }, totals);
    outcome.setting.insert("bots".into(), json!(bots));
    outcome.setting.insert("sockets".into(), json!(sockets));
    outcome.latency_us = run.stats.latencies();
    figures(&mut outcome, sockets, [&before, &end, &after_ping, &take()]);
    outcome.figure("pings_per_s", per(u64::try_from(sockets).unwrap_or(0), ping_seconds));
    outcome.failures = run.failures.lines();
    outcome.ok = outcome.failures.is_empty();
    Ok(outcome)
}

/// A ticket and an upgrade for each socket, over a few connections at a time.
async fn open_all(fleet: &Fleet, run: &Run, name: &str, sockets: usize, bots: usize) -> Result<Vec<RefCell<Socket>>> {
    let bar = bar(name, u64::try_from(sockets).unwrap_or(0));
    let open_sockets = fleet
        .each_measured(sockets, async |http, at| {
            let token = &fleet.bot(at % bots)?.token;
            let start = run.now();
            let ticket = http.ticket(token).await?;
            run.stats.record(Timed::Ticket, run.now() - start);
            let upgrade = run.now();
            let socket = Socket::open(&fleet.target, &ticket, at, READ_BUFFER).await?;
            run.stats.record(Timed::Upgrade, run.now() - upgrade);
            bar.inc(1);
            Ok(RefCell::new(socket))
        })
        .await;
    bar.finish_and_clear();
    open_sockets
}

/// Every socket must answer a ping; presence events that piled up are read on the way.
#[expect(clippy::await_holding_refcell_ref, reason = "each cell is visited by one job, once")]
async fn ping_all(fleet: &Fleet, run: &Run, open_sockets: &[RefCell<Socket>]) -> Result<()> {
    fleet
        .each(open_sockets.len(), async |at| {
            let Some(cell) = open_sockets.get(at) else { return Ok(()) };
            let start = run.now();
            match pong(&mut cell.borrow_mut()).await {
                Ok(()) => run.stats.record(Timed::Ping, run.now() - start),
                Err(why) => run.failures.add(Failure::Closed, || format!("socket {at}: {why}")),
            }
            Ok(())
        })
        .await?;
    Ok(())
}

async fn close_all(open_sockets: Vec<RefCell<Socket>>) {
    for socket in open_sockets {
        let mut socket = socket.into_inner();
        socket.queue_close();
        // A socket that is already broken was found by the ping.
        drop(socket.flush().await);
    }
}

/// The hub must notice that the sockets are gone.
async fn wait_closed(fleet: &Fleet, run: &Run, wanted: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let now = clients(fleet).await?;
        if now <= wanted {
            return Ok(());
        }
        if began.elapsed() > CLOSE_TIMEOUT {
            run.failures.add(Failure::Read, || format!("health still counts {now} clients, {wanted} before"));
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Memory per socket when opened, after each was used once, and what is left when all are closed.
fn figures(outcome: &mut Outcome, sockets: usize, [before, opened, used, closed]: [&Snapshot; 4]) {
    let count = to_f64(u64::try_from(sockets).unwrap_or(1).max(1));
    let Some(base) = before.server.map(|usage| to_f64(usage.resident)) else { return };
    let each = |moment: &Snapshot| moment.server.map(|usage| to_u64((to_f64(usage.resident) - base).max(0.0) / count));
    outcome.figure("server_bytes_per_socket", each(opened));
    outcome.figure("server_bytes_per_socket_used", each(used));
    outcome.figure("server_bytes_per_socket_closed", each(closed));
}

async fn clients(fleet: &Fleet) -> Result<u64> {
    Ok(fleet.hub().health().await?.connected_clients)
}
