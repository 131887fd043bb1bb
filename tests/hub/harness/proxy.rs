//! A network that fails as it is told: a TCP proxy that delays, throttles, swallows, cuts and half-closes.
//!
//! It stands between the hub and PostgreSQL or between a client and the hub, on a thread of its own, and changes its
//! weather for connections that are open as well as for new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::block_on;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Clear,
    /// Each piece waits.
    Delay(Duration),
    /// At most this many bytes every ten milliseconds.
    Throttle(usize),
    /// Connections open and nothing passes, until the weather changes.
    Blackhole,
    /// After this many more bytes towards the server their connection is cut; then it is clear again.
    CutAfter(usize),
    /// The next answer is cut off before the client sees any of it; then it is clear again.
    CutAnswer,
    /// The next COMMIT is cut off before the server sees it; then it is clear again.
    CutBeforeCommit,
    /// The next COMMIT reaches the server and its answer nobody; then it is clear again.
    CutAfterCommit,
}

struct State {
    server: String,
    weather: watch::Sender<Weather>,
    /// Counts up to end every open connection.
    resets: watch::Sender<usize>,
    /// Counts up to tell every open connection's server that its client says no more.
    half_closes: watch::Sender<usize>,
    budget: Mutex<usize>,
    cuts: AtomicUsize,
}

/// The proxy; it runs until the test's process ends.
#[derive(Clone)]
pub struct Proxy {
    state: Arc<State>,
    port: u16,
}

/// The connection was cut on purpose.
struct Cut;

impl Proxy {
    /// Stands in front of `host:port`.
    pub fn before(server: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: server.to_owned(),
            weather: watch::Sender::new(Weather::Clear),
            resets: watch::Sender::new(0),
            half_closes: watch::Sender::new(0),
            budget: Mutex::new(0),
            cuts: AtomicUsize::new(0),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, shared.clone()));
                }
            });
        });
        Self { state, port }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL with its host and port replaced by the proxy's.
    pub fn url(&self, direct: &str) -> String {
        let mut url = url::Url::parse(direct).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.to_string().trim_end_matches('/').to_owned()
    }

    pub fn set(&self, weather: Weather) {
        if let Weather::CutAfter(bytes) = weather {
            *self.state.budget.lock() = bytes;
        }
        self.state.weather.send_replace(weather);
    }

    /// Resets every open connection.
    pub fn reset(&self) {
        self.state.resets.send_modify(|count| *count += 1);
    }

    /// Says to the server, on every open connection, that the client has said its last.
    pub fn half_close(&self) {
        self.state.half_closes.send_modify(|count| *count += 1);
    }

    /// Connections that were cut by a byte count, an answer or a COMMIT.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

async fn serve(mut client: TcpStream, state: Arc<State>) {
    let (mut resets, mut half_closes) = (state.resets.subscribe(), state.half_closes.subscribe());
    resets.mark_unchanged();
    half_closes.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(&state.server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let up = async {
            let outcome = tokio::select! {
                outcome = forward(from_client, &mut to_server, &state, true) => outcome,
                _ = half_closes.changed() => Ok(()),
            };
            // No more is said; what the server answers still passes.
            let _ = to_server.shutdown().await;
            outcome
        };
        let down = forward(from_server, to_client, &state, false);
        tokio::select! {
            outcome = async { tokio::try_join!(up, down) } => outcome.map(drop),
            _ = resets.changed() => Err(Cut),
        }
    };
    if ended.is_err() {
        for stream in [&client, &server] {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Carries bytes one way until they end or the connection is cut.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    is_up: bool,
) -> Result<(), Cut> {
    let mut weather = state.weather.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return Err(Cut) };
        if read == 0 {
            let _ = to.shutdown().await;
            return Ok(());
        }
        while *weather.borrow_and_update() == Weather::Blackhole {
            weather.changed().await.map_err(|_| Cut)?;
        }
        let now = *weather.borrow();
        let piece = &buffer[..read];
        match now {
            Weather::Delay(pause) => tokio::time::sleep(pause).await,
            Weather::Throttle(bytes) => {
                for part in piece.chunks(bytes.max(1)) {
                    to.write_all(part).await.map_err(|_| Cut)?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                continue;
            }
            Weather::CutAfter(_) if is_up => {
                let left = spend(state, read);
                if left < read {
                    let _ = to.write_all(&piece[..left]).await;
                    return Err(clear_after_cut(state));
                }
            }
            Weather::CutAnswer if !is_up => return Err(clear_after_cut(state)),
            Weather::CutBeforeCommit if is_up && has_commit(piece) => return Err(clear_after_cut(state)),
            Weather::CutAfterCommit if is_up && has_commit(piece) => {
                let _ = to.write_all(piece).await;
                return Err(clear_after_cut(state));
            }
            _ => {}
        }
        to.write_all(piece).await.map_err(|_| Cut)?;
    }
}

/// How many of `wanted` bytes may still pass.
fn spend(state: &State, wanted: usize) -> usize {
    let mut budget = state.budget.lock();
    let granted = wanted.min(*budget);
    *budget -= granted;
    granted
}

fn clear_after_cut(state: &State) -> Cut {
    state.cuts.fetch_add(1, Ordering::SeqCst);
    state.weather.send_replace(Weather::Clear);
    Cut
}

fn has_commit(piece: &[u8]) -> bool {
    piece.windows(6).any(|word| word == b"COMMIT")
}
