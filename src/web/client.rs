//! The client's address and the host name of a request, as seen through trusted proxies only.
//!
//! A proxy's headers about the original request count if the connection comes from one of the configured networks;
//! anybody else could write anything into them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use hxa_domain::hops::{entries, nearest_untrusted, parameter};
use hxa_hub::auth::Client;
use hxa_hub::config::{Config, ProxyHeader};

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";
const X_REAL_IP: &str = "x-real-ip";

/// The address that the hub listens on.
#[derive(Debug, Clone, Copy)]
pub struct Listening(pub SocketAddr);

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

/// The lines of a header as they came: a proxy may have appended to what is no text.
fn lines<'a>(request: &'a HttpRequest, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    request.headers().get_all(name).map(HeaderValue::as_bytes).collect::<Vec<_>>().into_iter()
}

/// The nearest address on the way that is no trusted proxy.
pub fn address(request: &HttpRequest, config: &Config) -> IpAddr {
    let peer = peer(request);
    if !is_trusted(peer, config) {
        return peer;
    }
    let has = |name| request.headers().contains_key(name);
    let header = match config.server.proxy_header {
        ProxyHeader::Auto if has(X_FORWARDED_FOR) => ProxyHeader::XForwardedFor,
        ProxyHeader::Auto if has(FORWARDED) => ProxyHeader::Forwarded,
        ProxyHeader::Auto => ProxyHeader::XRealIp,
        named => named,
    };
    let hops: Vec<&[u8]> = match header {
        ProxyHeader::Forwarded => {
            // An element without a node keeps its place: what stands left of it is not the proxies' word.
            lines(request, FORWARDED).flat_map(entries).map(|hop| parameter(hop, "for").unwrap_or_default()).collect()
        }
        ProxyHeader::XRealIp => lines(request, X_REAL_IP).collect(),
        ProxyHeader::XForwardedFor | ProxyHeader::Auto => lines(request, X_FORWARDED_FOR).flat_map(entries).collect(),
    };
    nearest_untrusted(peer, hops.into_iter(), |address| is_trusted(address, config))
}

/// What a trusted proxy says in a header, or in a parameter of `Forwarded`; the nearest proxy's word when there are
/// several.
fn forwarded<'a>(request: &'a HttpRequest, (name, parameter_name): (&str, &str), config: &Config) -> Option<&'a str> {
    if !is_trusted(peer(request), config) {
        return None;
    }
    let said = lines(request, name).flat_map(entries).next_back();
    let said = said.or_else(|| {
        let nearest = lines(request, FORWARDED).flat_map(entries).next_back()?;
        parameter(nearest, parameter_name)
    });
    said.and_then(|said| std::str::from_utf8(said).ok())
}

/// The host a person's browser sees, with its port if there is one in the name.
fn visible_host<'a>(request: &'a HttpRequest, config: &Config) -> &'a str {
    let host = forwarded(request, ("x-forwarded-host", "host"), config)
        .or_else(|| header(request, "host"))
        .unwrap_or_default();
    let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    if host.len() <= 255 && host.bytes().all(is_sane) { host } else { "" }
}

/// What an `Origin` must name: the configured domain, else the visible host without its port.
#[must_use]
pub fn own_host(request: &HttpRequest, config: &Config) -> String {
    match &config.server.domain {
        Some(domain) => domain.to_ascii_lowercase(),
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
    let port = request.app_data::<Listening>().map_or(0, |Listening(address)| address.port());
    if config.server.public_url.is_some() || config.server.domain.is_some() {
        return config.base_url(port);
    }
    let host = visible_host(request, config);
    if host.is_empty() {
        return config.base_url(port);
    }
    let is_https = forwarded(request, ("x-forwarded-proto", "proto"), config)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
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
        told(peer, &forwarded.iter().map(|list| ("x-forwarded-for", *list)).collect::<Vec<_>>(), ProxyHeader::Auto)
    }

    fn told(peer: &str, headers: &[(&str, &str)], header: ProxyHeader) -> String {
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1").parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        }
        let mut config = behind_proxy();
        config.server.proxy_header = header;
        address(&request.to_http_request(), &config).to_string()
    }

    #[test]
    fn other_headers_tell_it_too() {
        let auto = |headers: &[(&str, &str)]| told("127.0.0.1", headers, ProxyHeader::Auto);
        assert_eq!(auto(&[("forwarded", "for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https")]), "2001:db8::1");
        assert_eq!(auto(&[("forwarded", "for=6.6.6.6, proto=https")]), "127.0.0.1", "a hop that tells no node");
        assert_eq!(auto(&[("x-real-ip", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(
            auto(&[("x-real-ip", "6.6.6.6"), ("forwarded", "for=6.6.6.7"), ("x-forwarded-for", "198.51.100.1")]),
            "198.51.100.1"
        );
        assert_eq!(auto(&[("x-forwarded-for", "é, 198.51.100.1")]), "198.51.100.1", "a line that is no text");
        let all =
            [("x-real-ip", "198.51.100.1"), ("forwarded", "for=198.51.100.2"), ("x-forwarded-for", "198.51.100.3")];
        for (header, address) in [
            (ProxyHeader::XRealIp, "198.51.100.1"),
            (ProxyHeader::Forwarded, "198.51.100.2"),
            (ProxyHeader::XForwardedFor, "198.51.100.3"),
        ] {
            assert_eq!(told("127.0.0.1", &all, header), address);
            assert_eq!(told("203.0.113.9", &all, header), "203.0.113.9");
        }
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
