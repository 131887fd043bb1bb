//! The TCP connection of a socket, kept so that it can be closed from outside its actor.
//!
//! A second file descriptor for every connection would do, but it halves the number of sockets within a limit of open
//! files. On Linux the descriptor's number is enough: it is duplicated when the connection is to be closed, and the
//! kernel's cookie tells whether the number still means the same connection. If the kernel or its sandbox does not
//! allow that, the second descriptor is kept.

use std::net::Shutdown;
use std::sync::Arc;

use socket2::{SockRef, Socket};

/// Bytes that the kernel may hold of a socket beyond what is on its way: the least that keeps a fast peer busy.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 16 * 1024;

/// A way to a TCP connection; cheap to clone.
#[derive(Clone)]
pub enum Connection {
    /// Found again by its number.
    #[cfg(target_os = "linux")]
    Named(named::Name),
    /// By a handle of its own.
    Held(Arc<Socket>),
}

impl Connection {
    /// Remembers a connection.
    ///
    /// # Errors
    /// When the system gives no second handle.
    pub fn of(stream: &actix_web::rt::net::TcpStream) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(name) = named::Name::of(stream) {
            return Ok(Self::Named(name));
        }
        Ok(Self::Held(Arc::new(SockRef::from(stream).try_clone()?)))
    }

    /// Sends nothing more on it and tells so; the peer may still send.
    pub fn end(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Named(name) => name.shut(rustix::net::Shutdown::Write),
            Self::Held(socket) => drop(socket.shutdown(Shutdown::Write)),
        }
    }

    /// Leaves what the peer has no room for with the hub, but for a little, instead of in the kernel, which would take
    /// megabytes of it at once and then nothing for long: so the hub sees whether its peer reads.
    ///
    /// # Errors
    /// When the system does not know of this; then a slow peer is judged by larger steps.
    #[cfg(target_os = "linux")]
    pub fn limit_unsent(&self) -> std::io::Result<()> {
        match self {
            Self::Named(name) => name.limit_unsent(UNSENT),
            Self::Held(socket) => socket.set_tcp_notsent_lowat(UNSENT),
        }
    }

    /// As on Linux, where it has an effect.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(target_os = "linux"))]
    pub fn limit_unsent(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// Ends it in both directions. A connection that is already gone needs no cutting.
    pub fn cut(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Named(name) => name.shut(rustix::net::Shutdown::Both),
            Self::Held(socket) => drop(socket.shutdown(Shutdown::Both)),
        }
    }
}

#[cfg(target_os = "linux")]
mod named {
    use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
    use std::sync::LazyLock;

    use rustix::net::{Shutdown, shutdown, sockopt::socket_cookie};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use socket2::SockRef;

    /// This process, through which handles are taken by their numbers.
    static SELF: LazyLock<Option<OwnedFd>> = LazyLock::new(|| pidfd_open(getpid(), PidfdFlags::empty()).ok());

    /// A handle's number and the cookie of what it led to.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Name {
        number: RawFd,
        cookie: u64,
    }

    impl Name {
        /// `None` when a handle could not be taken by this name.
        pub fn of(stream: &(impl AsFd + AsRawFd)) -> Option<Self> {
            /// Whether the system allows it at all; asked once.
            static WORKS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
            let name = Self { number: stream.as_raw_fd(), cookie: socket_cookie(stream).ok()? };
            WORKS.get_or_init(|| name.handle().is_some()).then_some(name)
        }

        fn handle(self) -> Option<OwnedFd> {
            let handle = pidfd_getfd(SELF.as_ref()?, self.number, PidfdGetfdFlags::empty()).ok()?;
            (socket_cookie(&handle).ok()? == self.cookie).then_some(handle)
        }

        pub fn limit_unsent(self, bytes: u32) -> std::io::Result<()> {
            let Some(handle) = self.handle() else { return Ok(()) };
            SockRef::from(&handle).set_tcp_notsent_lowat(bytes)
        }

        pub fn shut(self, direction: Shutdown) {
            if let Some(handle) = self.handle() {
                // It may end by itself at this moment.
                let _ = shutdown(handle, direction);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::io::Read;
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn cuts_the_connection_it_was_made_of_and_no_other() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let Some(name) = Name::of(&accepted) else { return };
            let other = Name { cookie: name.cookie + 1, ..name };
            assert!(other.handle().is_none(), "the number means something else by now");
            name.shut(Shutdown::Both);
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "the peer sees the end");
            drop(accepted);
            name.shut(Shutdown::Both);
        }
    }
}
