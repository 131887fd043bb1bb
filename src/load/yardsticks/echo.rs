//! A server on a thread of its own that sends back what it is sent, and clients that keep some records under way each.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;

use super::Rate;
use crate::error::{LoadError, Result};
use crate::process;
use crate::stats::to_f64;

const MEASURED: Duration = Duration::from_secs(2);
/// As large as the read buffers of the socket workers.
const BUFFER: usize = 16 << 10;
/// The bytes around the content of a message in its frame and JSON.
const ENVELOPE: usize = 100;

/// What the server's thread reports once it listens.
struct Server {
    address: SocketAddr,
    /// Its number, for its processor time.
    thread: Option<String>,
}

/// Records of a message's size, back and forth over this many connections, or as many as this process may open: both
/// ends are its own files.
pub async fn measure(connections: usize, inflight: usize, size: usize) -> Result<Rate> {
    let most = process::open_file_limit().map_or(connections, |limit| (limit / 2).saturating_sub(process::OTHER_FILES));
    let connections = connections.min(most.max(1));
    let (sender, receiver) = channel();
    // It ends with the process: its sockets are closed by then.
    thread::spawn(move || serve(&sender));
    let ended = |_| LoadError::protocol("the echo ended early");
    let Server { address, thread } = receiver.recv().map_err(ended)??;
    let cpu = || thread.as_deref().and_then(process::thread_cpu);
    let record = size + ENVELOPE;
    let until = Instant::now() + MEASURED;
    let before = cpu();
    let clients = (0..connections).map(|_| run_client(address, record, inflight, until));
    let echoes: u64 = try_join_all(clients).await?.into_iter().sum();
    let used = cpu().zip(before).map(|(after, before)| after - before).filter(|used| *used > 0.0);
    Ok(Rate { per_s: to_f64(echoes) / MEASURED.as_secs_f64(), per_cpu_s: used.map(|used| to_f64(echoes) / used) })
}

fn serve(ready: &Sender<Result<Server>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done: Result<()> = runtime.map_err(LoadError::io("start the echo")).and_then(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(LoadError::io("listen"))?;
            let address = listener.local_addr().map_err(LoadError::io("listen"))?;
            // Nobody waits any more if this fails.
            drop(ready.send(Ok(Server { address, thread: process::thread() })));
            loop {
                let (stream, _) = listener.accept().await.map_err(LoadError::io("accept"))?;
                tokio::spawn(echo(stream));
            }
        })
    });
    if let Err(why) = done {
        drop(ready.send(Err(why)));
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}

/// Keeps `inflight` records under way until the time is over; how many came back.
async fn run_client(address: SocketAddr, record: usize, inflight: usize, until: Instant) -> Result<u64> {
    let io = || LoadError::io("use the echo");
    let stream = TcpStream::connect(address).await.map_err(io())?;
    stream.set_nodelay(true).map_err(io())?;
    let (mut incoming, mut outgoing) = stream.into_split();
    let records = vec![b'x'; record * inflight];
    let (wanted, mut to_send) = unbounded_channel();
    // The receiver lives until the end of this function.
    let _ = wanted.send(inflight);
    let reading = async {
        let (mut buffer, mut partial, mut echoes) = (vec![0; BUFFER], 0, 0);
        while Instant::now() < until {
            partial += incoming.read(&mut buffer).await.map_err(io())?;
            let whole = partial / record;
            partial %= record;
            echoes += u64::try_from(whole).unwrap_or(0);
            let _ = wanted.send(whole);
        }
        Ok(echoes)
    };
    // Beside the reading: more than the buffers of both ends hold would never be read otherwise.
    let writing = async {
        while let Some(count) = to_send.recv().await {
            outgoing.write_all(records.get(..count * record).unwrap_or_default()).await.map_err(io())?;
        }
        std::future::pending().await
    };
    tokio::select! {
        echoes = reading => echoes,
        failed = writing => failed,
    }
}
