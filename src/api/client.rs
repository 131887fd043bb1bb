//! Where a request comes from and under which name it reached the hub, seen through trusted proxies only.
//!
//! What a proxy says of the original request counts when the connection comes from one of the configured networks;
//! anybody else could write anything into those headers.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;

use crate::actors::auth::Client;
use crate::config::Config;

/// The caller's address and what it says it is.
#[must_use]
pub fn client(request: &HttpRequest, config: &Config) -> Client {
    let user_agent = header(request, "user-agent").map(str::to_owned);
    Client { address: address(request, config), user_agent }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn is_trusted(address: IpAddr, config: &Config) -> bool {
    config.server.trusted_proxies.iter().any(|network| network.contains(address))
}

fn peer(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical())
}

/// The nearest address on the way that is no trusted proxy.
fn address(request: &HttpRequest, config: &Config) -> IpAddr {
    let mut nearest = peer(request);
    let lists = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = lists.flat_map(|list| list.split(',')).map_while(|hop| hop.trim().parse().ok()).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(nearest, config) {
            break;
        }
        nearest = hop.to_canonical();
    }
    nearest
}

/// What a trusted proxy says in a header; the nearest proxy's word when there are several.
fn forwarded<'a>(request: &'a HttpRequest, name: &str, config: &Config) -> Option<&'a str> {
    let said = header(request, name).filter(|_| is_trusted(peer(request), config))?;
    said.rsplit(',').map(str::trim).find(|part| !part.is_empty())
}

/// The host a person's browser sees, with its port if there is one in the name.
fn visible_host<'a>(request: &'a HttpRequest, config: &Config) -> &'a str {
    let host = forwarded(request, "x-forwarded-host", config).or_else(|| header(request, "host")).unwrap_or_default();
    let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    if host.len() <= 255 && host.bytes().all(is_sane) { host } else { "" }
}

/// What an `Origin` must name: the configured domain, else the visible host without its port.
#[must_use]
pub fn own_host(request: &HttpRequest, config: &Config) -> String {
    match &config.server.domain {
        Some(domain) => domain.clone(),
        None => without_port(visible_host(request, config)).to_owned(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are within its brackets.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// The base URL to tell people: the configured one, else the one they came by.
#[must_use]
pub fn base_url(request: &HttpRequest, config: &Config) -> String {
    let port = request.app_config().local_addr().port();
    if config.server.public_url.is_some() || config.server.domain.is_some() {
        return config.base_url(port);
    }
    let host = visible_host(request, config);
    if host.is_empty() {
        return config.base_url(port);
    }
    let is_https = forwarded(request, "x-forwarded-proto", config).is_some_and(|scheme| scheme == "https");
    let scheme = if is_https { "https" } else { "http" };
    format!("{scheme}://{host}{}", config.server.base_path)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn behind_proxy() -> Config {
        let mut config = Config::default();
        config.server.trusted_proxies = ["127.0.0.0/8"].iter().map(|network| network.parse().unwrap()).collect();
        config
    }

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1").parse().unwrap());
        for list in forwarded {
            request = request.append_header(("x-forwarded-for", *list));
        }
        address(&request.to_http_request(), &behind_proxy()).to_string()
    }

    #[test]
    fn nobody_is_a_proxy_unless_named() {
        let request = TestRequest::default().peer_addr("127.0.0.1:1".parse().unwrap());
        let request = request.insert_header(("x-forwarded-for", "198.51.100.1")).to_http_request();
        assert_eq!(address(&request, &Config::default()).to_string(), "127.0.0.1");
        assert_eq!(address(&request, &behind_proxy()).to_string(), "198.51.100.1");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1", "the client's own entry is first");
        assert_eq!(seen("127.0.0.1", &["198.51.100.1, 127.0.0.1"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(seen("[::ffff:127.0.0.1]", &[]), "127.0.0.1");
    }

    #[test]
    fn hosts_lose_their_port_only() {
        assert_eq!(without_port("hub.example:4800"), "hub.example");
        assert_eq!(without_port("hub.example"), "hub.example");
        assert_eq!(without_port("[::1]:4800"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }

    #[test]
    fn strangers_cannot_choose_the_host() {
        let request = TestRequest::default()
            .peer_addr("203.0.113.9:1".parse().unwrap())
            .insert_header(("host", "hub.example:4800"))
            .insert_header(("x-forwarded-host", "evil.example"))
            .to_http_request();
        assert_eq!(own_host(&request, &Config::default()), "hub.example");
        assert_eq!(base_url(&request, &Config::default()), "http://hub.example:4800");
    }
}
