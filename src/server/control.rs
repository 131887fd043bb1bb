//! The control socket: how commands on the hub's own machine reach a running hub.
//!
//! It is a Unix socket in the data folder, open to the hub's own user alone: by its mode, and because the hub asks the
//! kernel who is at the other end. It carries one question and one answer per connection. Questions are bounded in size
//! and time and are answered one after the other, so nobody at the socket takes more of the hub than one command does.
//! The hub greets first: who is not greeted knows that the question was not read. What questions and answers mean is the
//! caller's business.

use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The socket's name in the data folder.
const NAME: &str = "control.sock";
/// Only the hub's own user reads and writes.
const MODE: u32 = 0o600;
/// What the hub says when it is ready to read a question.
const GREETING: [u8; 4] = *b"hxa\n";
/// Largest question: a command with all that its flags may say.
const QUESTION_BYTES: u64 = 64 * 1024;
/// How long a question may take to arrive; it is written at once.
const QUESTION_TIME: Duration = Duration::from_secs(5);
/// How long an answer may take to be read.
const READING_TIME: Duration = Duration::from_secs(30);
/// How long an answer may be waited for: more than a hub that can answer at all ever takes.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// Between two attempts to accept, when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a command that is under way may take when the hub stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The socket of a running hub; its file goes with it.
pub struct ControlSocket {
    place: Place,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// The file of a socket, and which one it is: another hub may have put its own there meanwhile.
struct Place {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) == self.id);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            log::debug!(error:% = error; "cannot remove the control socket");
        }
    }
}

impl ControlSocket {
    /// Opens the socket in a folder; `answer` is asked one question at a time. Must be called inside an actix system.
    ///
    /// # Errors
    /// While another hub has a socket there, or where there can be none.
    pub fn open<A, F>(folder: &Path, answer: A) -> io::Result<Self>
    where
        A: Fn(Vec<u8>) -> F + 'static,
        F: Future<Output = Vec<u8>> + 'static,
    {
        let path = folder.join(NAME);
        let listener = bind(folder)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        let (listener, about) = (UnixListener::from_std(listener)?, fs::symlink_metadata(&path)?);
        let place = Place { path, id: (about.dev(), about.ino()) };
        let (stop, stopped) = oneshot::channel();
        let task = actix_web::rt::spawn(serve(listener, about.uid(), stopped, answer));
        Ok(Self { place, stop: Some(stop), task })
    }

    /// Takes no further questions, and waits a moment for the answer to the last one.
    pub async fn close(mut self) {
        drop(self.stop.take());
        if timeout(STOP_GRACE, &mut self.task).await.is_err() {
            log::warn!("a command at the control socket is still under way");
            self.task.abort();
        }
        drop(self.place);
    }
}

/// Listens in a folder. What a killed hub left behind is replaced.
fn bind(folder: &Path) -> io::Result<StdListener> {
    let short = ShortPath::of(folder)?;
    match StdListener::bind(short.path()) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(folder.join(NAME)).is_ok_and(|about| about.file_type().is_socket());
            if !is_socket || StdStream::connect(short.path()).is_ok() {
                return Err(error);
            }
            fs::remove_file(folder.join(NAME))?;
            StdListener::bind(short.path())
        }
        outcome => outcome,
    }
}

async fn serve<A, F>(listener: UnixListener, owner: u32, mut stopped: oneshot::Receiver<()>, answer: A)
where
    A: Fn(Vec<u8>) -> F,
    F: Future<Output = Vec<u8>>,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Err(error) = converse(stream, owner, &answer).await {
                    log::debug!(error:% = error; "a command at the control socket went away");
                }
            }
            Err(error) => {
                log::warn!(error:% = error; "cannot accept at the control socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the question of one connection.
async fn converse<A, F>(mut stream: UnixStream, owner: u32, answer: &A) -> io::Result<()>
where
    A: Fn(Vec<u8>) -> F,
    F: Future<Output = Vec<u8>>,
{
    let user = stream.peer_cred()?.uid();
    if user != owner && user != 0 {
        log::warn!(user = user; "refused another user at the control socket");
        return Ok(());
    }
    stream.write_all(&GREETING).await?;
    let mut question = Vec::new();
    let mut bounded = (&mut stream).take(QUESTION_BYTES.saturating_add(1));
    timeout(QUESTION_TIME, bounded.read_to_end(&mut question)).await??;
    if question.is_empty() || u64::try_from(question.len()).is_ok_and(|bytes| bytes > QUESTION_BYTES) {
        return Ok(());
    }
    let answer = answer(question).await;
    timeout(READING_TIME, stream.write_all(&answer)).await??;
    stream.shutdown().await
}

/// Asks the hub whose socket is in this folder; `None` when there is none, or none that takes questions any more.
///
/// # Errors
/// When it goes away before it has answered.
pub async fn ask(folder: &Path, question: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match connect(folder).await {
        Some(stream) => timeout(ANSWER_TIME, exchange(stream, question)).await?,
        None => Ok(None),
    }
}

async fn exchange(mut stream: UnixStream, question: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut greeting = [0; GREETING.len()];
    if stream.read_exact(&mut greeting).await.is_err() || greeting != GREETING {
        return Ok(None);
    }
    stream.write_all(question).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(Some(answer)) }
}

/// Whether there may be a hub's socket in a folder: one of a killed hub looks the same.
#[must_use]
pub fn is_there(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(NAME)).is_ok_and(|about| about.file_type().is_socket())
}

async fn connect(folder: &Path) -> Option<UnixStream> {
    let short = ShortPath::of(folder).ok()?;
    match UnixStream::connect(short.path()).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            log::debug!(error:% = error; "no hub at the control socket");
            None
        }
    }
}

/// Longest path of a socket that every system takes, in bytes.
const LONGEST_PATH: usize = 100;

/// The path of the socket, short enough for the kernel: by the folder's descriptor where the name is too long.
struct ShortPath {
    path: PathBuf,
    _folder: Option<fs::File>,
}

impl ShortPath {
    fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path, _folder: None });
        }
        Self::by_descriptor(fs::File::open(folder)?)
    }

    #[cfg(target_os = "linux")]
    fn by_descriptor(folder: fs::File) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }

    #[cfg(not(target_os = "linux"))]
    fn by_descriptor(_: fs::File) -> io::Result<Self> {
        Err(io::Error::new(ErrorKind::InvalidInput, "the path of the data folder is too long for a socket in it"))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests;
