//! The listening socket: its backlog, and the number of connections that one address may keep open.

use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

use hxa_domain::address::network;
use hxa_domain::shares::Shares;
use hxa_hub::config::Cidr;
use hxa_hub::hub::Hub;
use hxa_web::ws::connection::Connection;

/// Listens with a queue of our own length. An address in use by connections that have just ended may be used again.
pub fn listen(place: &str, backlog: u16) -> std::io::Result<TcpListener> {
    let mut refusal = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in place.to_socket_addrs()? {
        let listening = || {
            let domain = socket2::Domain::for_address(address);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(i32::from(backlog))?;
            Ok(socket)
        };
        match listening() {
            Ok(socket) => return Ok(socket.into()),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Shares the connections out between addresses, before anything is read from them.
#[derive(Clone)]
pub struct ConnectionShares {
    shares: Arc<Shares<IpAddr>>,
    hub: Hub,
}

impl ConnectionShares {
    /// Shares with all connections free.
    pub fn new(hub: &Hub) -> Self {
        Self { shares: Shares::new(hub.config().server.max_connections), hub: hub.clone() }
    }

    /// Admits a connection, or ends it when its address has as many as it may.
    pub fn admit(&self, stream: &TcpStream, extensions: &mut Extensions) {
        let proxies = &self.hub.config().server.trusted_proxies;
        if let Some(network) = stream.peer_addr().ok().and_then(|peer| limited(peer.ip(), proxies)) {
            match self.shares.take(network, network, 1) {
                Ok(share) => drop(extensions.insert(share)),
                Err(_) => {
                    self.hub.metrics().limited("connections");
                    // It has not asked for anything yet, so there is nothing to answer.
                    if let Err(error) = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Both) {
                        log::debug!(error:% = error; "cannot close a connection that exceeds its address's share");
                    }
                    return;
                }
            }
        }
        remember_connection(stream, extensions);
    }
}

/// Who counts as one peer: an address, or the /64 of an IPv6 one. Proxies and this machine speak for many.
fn limited(address: IpAddr, proxies: &[Cidr]) -> Option<IpAddr> {
    if address.to_canonical().is_loopback() || proxies.iter().any(|proxy| proxy.contains(address)) {
        return None;
    }
    Some(network(address))
}

/// Remembers each connection, so that a stalled socket can be cut from outside, and lets the kernel drop peers that
/// do not take what was sent.
fn remember_connection(stream: &TcpStream, extensions: &mut Extensions) {
    const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
    let socket = socket2::SockRef::from(stream);
    let tuned = socket.set_tcp_nodelay(true).and_then(|()| {
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        Connection::of(stream)
    });
    match tuned {
        Ok(connection) => {
            extensions.insert(connection);
        }
        Err(error) => log::debug!(error:% = error; "cannot set the options of a connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_networks_and_those_who_speak_for_many_are_none() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let of = |text: &str| limited(text.parse().unwrap(), &proxies).map(|peer| peer.to_string());
        assert_eq!(of("203.0.113.7"), Some("203.0.113.7".to_owned()));
        assert_eq!(of("::ffff:203.0.113.7"), Some("203.0.113.7".to_owned()));
        assert_eq!(of("2001:db8::1:2:3:4"), Some("2001:db8::".to_owned()));
        for exempt in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"] {
            assert_eq!(of(exempt), None, "{exempt}");
        }
    }

    #[test]
    fn one_address_holds_a_quarter_of_the_connections() {
        let shares = Shares::new(1000);
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = peer("203.0.113.7");
        let held: Vec<_> = (0..1000).filter_map(|_| shares.take(one, one, 1).ok()).collect();
        assert_eq!(held.len(), 250);
        let other = peer("203.0.113.8");
        assert!(shares.take(other, other, 1).is_ok());
        drop(held);
        assert_eq!(shares.held(), 0);
    }
}
