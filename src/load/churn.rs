//! Sockets that come and go beside a long run: each opens, pings, gets its pong and closes. What a hub leaks per
//! connection shows in its memory over the run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::http::Http;
use crate::run::Run;
use crate::socket::{Frame, Socket};
use crate::stats::Timed;
use crate::target::Target;

/// Time between two sockets.
const PAUSE: Duration = Duration::from_millis(200);
/// A pong later than this is lost.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// Read buffer of a socket that only pings.
const READ_BUFFER: usize = 1 << 10;

/// Opens and closes sockets of the last bot until the run stops sending.
pub async fn churn(target: Arc<Target>, run: Arc<Run>) {
    let mut http = Http::new(Arc::clone(&target), 0);
    while !run.is_sending() {
        sleep(PAUSE).await;
    }
    while run.is_sending() {
        if let Err(why) = open_and_close(&target, &run, &mut http).await {
            run.failures.add(Failure::Closed, || format!("a churn socket: {why}"));
        }
        sleep(PAUSE).await;
    }
}

async fn open_and_close(target: &Target, run: &Run, http: &mut Http) -> Result<()> {
    let token = run.bots.last().map_or("", |bot| &bot.token);
    let asked = run.now();
    let ticket = http.ticket(token).await?;
    run.stats.record(Timed::Ticket, run.now() - asked);
    let mut socket = Socket::open(target, &ticket, 0, READ_BUFFER).await?;
    let pinged = run.now();
    pong(&mut socket).await?;
    run.stats.record(Timed::Ping, run.now() - pinged);
    socket.queue_close();
    socket.flush().await
}

/// Pings and waits for the answer; other frames are passed over.
pub async fn pong(socket: &mut Socket) -> Result<()> {
    socket.queue(r#"{"type":"ping"}"#);
    let wait = async {
        loop {
            while let Some(frame) = socket.frame()? {
                match frame {
                    Frame::Text(bytes) if is_pong(bytes) => return Ok(()),
                    Frame::Close(code, reason) => {
                        return Err(LoadError::Protocol(format!("close frame {code} {reason:?}")));
                    }
                    _ => {}
                }
            }
            if !socket.fill().await? {
                return Err(LoadError::protocol("closed before the pong"));
            }
        }
    };
    timeout(PONG_TIMEOUT, wait).await.map_err(|_| LoadError::protocol("no pong in time"))?
}

fn is_pong(bytes: &[u8]) -> bool {
    serde_json::from_slice::<crate::inbound::Inbound<'_>>(bytes).is_ok_and(|inbound| inbound.kind == "pong")
}
