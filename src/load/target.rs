//! Where the hub is: parsed once from `--url`. Also opens TCP connections, spread over loopback addresses when one
//! address would run out of ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use crate::error::{LoadError, Result};

/// Connections per local address; Linux hands out about 28,000 ports per address.
const PER_ADDRESS: usize = 20_000;

/// The hub's address in the forms that requests need.
#[derive(Debug, Clone)]
pub struct Target {
    /// Value of the `Host` header.
    pub host: String,
    /// Path prefix without a trailing slash, often empty.
    pub base: String,
    address: SocketAddr,
}

impl Target {
    /// Parses the URL and resolves its host.
    pub async fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|why| LoadError::Options(format!("--url {text}: {why}")))?;
        if url.scheme() != "http" {
            return Err(LoadError::Options(format!("--url {text}: only http is supported")));
        }
        let name = url.host_str().ok_or_else(|| LoadError::Options(format!("--url {text}: no host")))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = format!("{name}:{port}");
        let found = tokio::net::lookup_host(&host).await.map_err(LoadError::io(format!("resolve {host}")))?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.sort_by_key(|address| !address.is_ipv4());
        let address =
            addresses.first().copied().ok_or_else(|| LoadError::Options(format!("--url {text}: no address")))?;
        let base = url.path().trim_end_matches('/').to_owned();
        Ok(Self { host, base, address })
    }

    /// Opens the `nth` connection of a run.
    pub async fn connect(&self, nth: usize) -> Result<TcpStream> {
        let stream = self.try_connect(nth).await.map_err(LoadError::io(format!("connect to {}", self.address)))?;
        stream.set_nodelay(true).map_err(LoadError::io("set TCP_NODELAY"))?;
        Ok(stream)
    }

    async fn try_connect(&self, nth: usize) -> std::io::Result<TcpStream> {
        let block = u8::try_from(nth / PER_ADDRESS).unwrap_or(u8::MAX);
        if block == 0 || !self.address.ip().is_loopback() || self.address.is_ipv6() {
            return TcpStream::connect(self.address).await;
        }
        let socket = TcpSocket::new_v4()?;
        let local = Ipv4Addr::new(127, 0, 0, block.saturating_add(1));
        socket.bind(SocketAddr::new(IpAddr::V4(local), 0))?;
        socket.connect(self.address).await
    }
}
