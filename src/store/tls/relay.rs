//! The relay of one connection: TLS to the server on one side, a unix socket for libpq on the other.
//!
//! It runs on a thread of its own with its own runtime and ends with the connection, whichever side closes it. The
//! folder of the socket is created for this connection, only this user may enter it, and only this process may connect;
//! once libpq is connected the folder is removed. When the server disconnects, libpq's side is closed too, so that the
//! store notices it as it would without TLS.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, io};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::login::{self, Login};
use super::settings::{Mode, Patience, SOCKET_PORT, TlsSettings};
use super::trust;
use hxa_domain::secrets;

/// libpq connects right after the handshake, or not at all.
const CLAIM_WITHIN: Duration = Duration::from_secs(10);
/// The longest path that fits a unix socket's address on every platform.
const SOCKET_PATH: usize = 100;

/// The socket's private folder, removed when this is dropped.
pub struct Door(PathBuf);

impl Door {
    fn make() -> io::Result<Self> {
        let name = secrets::hex_token("hxa-tls-", 16);
        let place = std::env::temp_dir().join(&name);
        let place = if place.as_os_str().len() > SOCKET_PATH { Path::new("/tmp").join(name) } else { place };
        fs::DirBuilder::new().mode(0o700).create(&place)?;
        Ok(Self(place))
    }

    /// What libpq takes for the host.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn socket(&self) -> PathBuf {
        self.0.join(format!(".s.PGSQL.{SOCKET_PORT}"))
    }

    /// libpq's report with the server's name where it has the socket's.
    pub fn name_server(&self, report: &str, server: &str) -> String {
        let socket = format!("on socket \"{}\"", self.socket().display());
        report.replace(&socket, &format!("at {server} through TLS"))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!(path:% = self.0.display(), error:% = error; "cannot remove the folder of a connection's socket");
        }
    }
}

/// Connects to the server and opens the door for libpq; `None` when the server has no TLS and none is required.
///
/// # Errors
/// When the server cannot be reached or believed; the text is for the operator.
pub fn start(settings: &TlsSettings, trust: Arc<ClientConfig>) -> Result<Option<Door>, String> {
    let (send, receive) = mpsc::sync_channel(1);
    let (settings, server) = (settings.clone(), settings.server.to_string());
    let thread = std::thread::Builder::new().name("postgres-tls".to_owned());
    let spawned = thread.spawn(move || run(&settings, trust, &send));
    spawned.map_err(|error| format!("cannot start a thread for TLS: {error}"))?;
    let outcome = receive.recv().map_err(|_| "the thread for TLS ended early".to_owned())?;
    // The words by which the store tells a server that is away from one that refuses.
    outcome.map_err(|error| format!("connection to server at {server} through TLS failed: {error}"))
}

type Opened = Result<Option<Door>, String>;

fn run(settings: &TlsSettings, trust: Arc<ClientConfig>, opened: &mpsc::SyncSender<Opened>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Whoever asked for the connection waits for the answer, so it cannot have gone away.
    let tell = |outcome| drop(opened.send(outcome));
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tell(Err(format!("cannot start a runtime: {error}"))),
    };
    runtime.block_on(async {
        let stream = match handshake(settings, trust).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return tell(Ok(None)),
            Err(error) => return tell(Err(error)),
        };
        let (door, listener) = match open_door() {
            Ok(open) => open,
            Err(error) => return tell(Err(format!("cannot make a private socket: {error}"))),
        };
        tell(Ok(Some(door)));
        let ended = match timeout(CLAIM_WITHIN, accept(&listener)).await {
            Ok(Ok(local)) => {
                drop(listener);
                relay(local, stream).await
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        if let Err(error) = ended {
            log::debug!(server:% = settings.server, error:% = error; "a TLS connection to the database ended");
        }
    });
}

fn open_door() -> io::Result<(Door, UnixListener)> {
    let door = Door::make()?;
    let listener = UnixListener::bind(door.socket())?;
    Ok((door, listener))
}

/// The first connection that comes from this process.
async fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        let own = i32::try_from(std::process::id()).ok();
        if stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
        log::warn!("refused another process on the socket of a database connection");
    }
}

async fn handshake(settings: &TlsSettings, trust: Arc<ClientConfig>) -> Result<Option<TlsStream<TcpStream>>, String> {
    let late = |_| "it did not answer in time (timed out)".to_owned();
    timeout(settings.patience.connect, encrypt(settings, trust)).await.map_err(late)?
}

async fn encrypt(settings: &TlsSettings, trust: Arc<ClientConfig>) -> Result<Option<TlsStream<TcpStream>>, String> {
    let mut tcp = reach(settings).await.map_err(|error| error.to_string())?;
    let broken = |error: io::Error| format!("it ended the connection when asked for TLS: {error}");
    tcp.write_all(&login::SSL_REQUEST).await.map_err(broken)?;
    match tcp.read_u8().await.map_err(broken)? {
        b'S' => {}
        b'N' if settings.mode == Mode::Prefer => return Ok(None),
        b'N' => return Err("the server has no TLS (ssl = off), and the URL's sslmode asks for it".to_owned()),
        _ => return Err("it does not answer like a PostgreSQL server with TLS".to_owned()),
    }
    let name = ServerName::try_from(settings.server.host.clone())
        .map_err(|_| format!("\"{}\" is not a host name that a certificate can be for", settings.server.host))?;
    let stream = TlsConnector::from(trust).connect(name, tcp).await;
    stream.map(Some).map_err(|error| trust::explain(&error, settings))
}

/// Connects to the first address that takes the connection.
async fn reach(settings: &TlsSettings) -> io::Result<TcpStream> {
    let server = &settings.server;
    let place = server.address.as_ref().unwrap_or(&server.host);
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((place.as_str(), server.port)).await?.collect();
    let mut last = io::Error::other("its name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                tune(&stream, &settings.patience)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The limits that libpq would set on its own TCP connection.
fn tune(stream: &TcpStream, patience: &Patience) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    if let Some(idle) = patience.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    #[cfg(target_os = "linux")]
    if !patience.unacknowledged.is_zero() {
        socket.set_tcp_user_timeout(Some(patience.unacknowledged))?;
    }
    Ok(())
}

/// Copies both ways until one side ends; the other is closed then.
async fn relay(local: UnixStream, server: TlsStream<TcpStream>) -> io::Result<()> {
    let (from_libpq, mut to_libpq) = tokio::io::split(local);
    let (from_server, to_server) = tokio::io::split(server);
    tokio::select! {
        ended = upstream(from_libpq, to_server) => ended,
        ended = downstream(from_server, &mut to_libpq) => ended,
    }
}

async fn upstream(mut from: ReadHalf<UnixStream>, mut to: WriteHalf<TlsStream<TcpStream>>) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

async fn downstream(mut from: ReadHalf<TlsStream<TcpStream>>, to: &mut WriteHalf<UnixStream>) -> io::Result<()> {
    if let Err(error) = follow_login(&mut from, to).await {
        // A server that does not like the client's certificate says so only now.
        to.write_all(&login::refusal(&format!("the TLS connection broke: {error}"))).await?;
        return Err(error);
    }
    tokio::io::copy(&mut from, to).await?;
    to.shutdown().await
}

/// Passes on what the server says until the login is over.
async fn follow_login(from: &mut ReadHalf<TlsStream<TcpStream>>, to: &mut WriteHalf<UnixStream>) -> io::Result<()> {
    let mut login = Login::default();
    let mut buffer = [0; 4096];
    while !login.is_over() {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&login.pass(buffer.get(..count).unwrap_or_default())).await?;
    }
    Ok(())
}
