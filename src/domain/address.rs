//! Network addresses: who counts as one caller, and the allowed targets of webhooks: never private networks, unless the
//! operator allows them.
//!
//! An address is public if it is in none of the special-purpose ranges below; NAT64 and 6to4 count as special, since
//! they can lead back to private IPv4 addresses. A URL is checked once when it is set, and every address its host
//! resolves to is checked again before each connection, which then goes to a checked address and follows no redirect.
//! Hosts on the explicit allow list are trusted: they may be private and use plain HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::error::{ApiError, ApiResult};
use crate::limits;

/// IPv4 ranges that are not the public internet.
const SPECIAL_V4: [Ipv4Net; 15] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8), // "this" network; 0.0.0.0 reaches the own host
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8), // private
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8), // loopback
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16), // link-local, cloud metadata
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12), // private
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24), // protocol assignments
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24), // documentation
    Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16), // private
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarks
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4), // reserved and broadcast
];

/// The one IPv6 range of global unicast addresses; loopback, `::`, mapped and embedded IPv4, NAT64, unique local,
/// link-local and multicast all lie outside of it.
const GLOBAL_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Ranges within [`GLOBAL_V6`] that are not the public internet.
const SPECIAL_V6: [Ipv6Net; 4] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address belongs to the public internet. IPv4 written as IPv6 is judged as IPv4.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|range| range.contains(&address)),
    }
}

/// The addresses that count as one caller: one of IPv4, a /64 of IPv6, which is what one of them can change at will.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Net::new_assert(address, 64).network()),
        address => address,
    }
}

/// Hosts that webhooks may always reach, with a port or on every port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<(String, Option<u16>)>);

impl AllowList {
    /// Reads entries `host`, `host:port`, `[v6]` or `[v6]:port`; the error names an entry that is none of these.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let entries = entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(parse_entry).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether a host, in the form a URL has it, is trusted on a port.
    #[must_use]
    pub fn allows(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|(entry, on)| entry.eq_ignore_ascii_case(host) && on.is_none_or(|on| on == port))
    }
}

/// Reads one entry through the URL parser, so that hosts compare in one spelling.
fn parse_entry(entry: &str) -> Result<(String, Option<u16>), String> {
    let refusal = || format!("{entry:?} is not a host or host:port");
    let probe = Url::parse(&format!("ws://{entry}/")).map_err(|_| refusal())?;
    let is_bare = probe.path() == "/" && probe.username().is_empty() && probe.password().is_none();
    let is_bare = is_bare && !entry.ends_with(':');
    let host = probe.host_str().filter(|_| is_bare && probe.query().is_none() && probe.fragment().is_none());
    let has_port = entry.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    let port = if has_port { probe.port_or_known_default() } else { None };
    Ok((host.ok_or_else(refusal)?.to_owned(), port))
}

/// A webhook URL that passed the rules which need no look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// The parsed URL.
    pub url: Url,
    /// Its host, as in the URL.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the operator trusts it: then its addresses are not judged.
    pub is_allowed: bool,
}

impl WebhookUrl {
    /// Parses a webhook URL: at most 2048 bytes, `https` (or `http` where that is allowed), a host, no user name, and
    /// no address outside the public internet.
    pub fn parse(text: &str, allow_http: bool, allowed: &AllowList) -> ApiResult<Self> {
        if text.len() > limits::WEBHOOK_URL_BYTES {
            let most = limits::WEBHOOK_URL_BYTES;
            return Err(ApiError::validation(format!("webhook_url is too long (at most {most} bytes)")));
        }
        let url =
            Url::parse(text).map_err(|why| ApiError::validation(format!("webhook_url is no valid URL: {why}")))?;
        let is_web = matches!(url.scheme(), "http" | "https");
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), is_web) else {
            return Err(ApiError::validation("webhook_url must begin with https:// and name a host"));
        };
        let (host, is_allowed) = (host.to_owned(), allowed.allows(host, port));
        if url.scheme() == "http" && !allow_http && !is_allowed {
            return Err(ApiError::validation("webhook_url must use https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ApiError::validation("webhook_url must not hold a user name or password"));
        }
        let webhook = Self { url, host, port, is_allowed };
        if let Some(address) = webhook.literal_address() {
            webhook.check_addresses(&[address])?;
        }
        Ok(webhook)
    }

    /// The address, when the host is one; then nothing needs to be looked up.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        }
    }

    /// Judges everything the host resolved to: there must be an address, and all must be public, because the
    /// connection may pick any of them.
    pub fn check_addresses(&self, addresses: &[IpAddr]) -> ApiResult<()> {
        if addresses.is_empty() {
            return Err(ApiError::validation(format!("webhook_url: {} has no address", self.host)));
        }
        if !self.is_allowed && addresses.iter().any(|address| !is_public(*address)) {
            return Err(ApiError::validation("webhook_url must not point to a private or special address"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn a_caller_is_an_address_or_a_64_of_ipv6() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("198.51.100.7"), "198.51.100.7");
        assert_eq!(of("::ffff:198.51.100.7"), "198.51.100.7", "written as IPv6 it is the same caller");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:ffff:ffff:ffff:ffff"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
    }

    #[test]
    fn special_ranges_are_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:7f00:1",
            "::7f00:1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
            "2003::1",
            "3ffe::1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    fn parse(text: &str) -> Result<WebhookUrl, String> {
        WebhookUrl::parse(text, false, &AllowList::default()).map_err(|refusal| refusal.message().to_owned())
    }

    #[test]
    fn urls_are_https_to_public_hosts() {
        let webhook = parse("https://Example.com/hook?x=1").unwrap();
        assert_eq!((webhook.host.as_str(), webhook.port), ("example.com", 443));
        assert_eq!(webhook.literal_address(), None);
        assert!(parse("https://8.8.8.8:8443/").is_ok());
        for (text, words) in [
            ("nonsense", "no valid URL"),
            ("", "no valid URL"),
            ("http://example.com/", "must use https"),
            ("ftp://example.com/", "must begin with https://"),
            ("file:///etc/passwd", "must begin with https://"),
            ("https://u:p@example.com/", "user name"),
            ("https://127.0.0.1/", "private"),
            ("https://2130706433/", "private"),
            ("https://0x7f.1/", "private"),
            ("https://[::1]/", "private"),
            ("https://[::ffff:10.0.0.1]/", "private"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
        assert!(parse(&format!("https://example.com/{}", "a".repeat(2048))).unwrap_err().contains("too long"));
        assert!(WebhookUrl::parse("http://example.com/", true, &AllowList::default()).is_ok());
        assert!(WebhookUrl::parse("http://127.0.0.1/", true, &AllowList::default()).is_err());
    }

    #[test]
    fn every_resolved_address_must_be_public() {
        let webhook = parse("https://example.com/").unwrap();
        let at = |texts: &[&str]| {
            webhook.check_addresses(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>())
        };
        assert!(at(&["8.8.8.8", "2606:4700::1"]).is_ok());
        assert!(at(&["8.8.8.8", "10.0.0.1"]).is_err());
        assert!(at(&[]).is_err());
    }

    #[test]
    fn the_allow_list_opens_hosts_and_ports() {
        let allowed = AllowList::parse(["localhost", " 127.0.0.1:9000 ", "[::1]:80", ""]).unwrap();
        let open = |text: &str| WebhookUrl::parse(text, false, &allowed).is_ok_and(|webhook| webhook.is_allowed);
        assert!(open("http://LOCALHOST:1234/"));
        assert!(open("http://127.0.0.1:9000/hook"));
        assert!(open("http://[::1]/"));
        for text in ["http://127.0.0.1:9001/", "https://[::1]/", "https://localhost.example/", "http://u@localhost/"] {
            assert!(!open(text), "{text}");
        }
        for entry in ["a b", "http://x", "x/y", "x:99999", "u@x", ":80", "x:"] {
            assert!(AllowList::parse([entry]).is_err(), "{entry}");
        }
    }

    proptest! {
        #[test]
        fn mapped_addresses_are_judged_as_what_they_are(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_public(IpAddr::V4(address)), is_public(IpAddr::V6(address.to_ipv6_mapped())));
        }

        #[test]
        fn what_the_standard_library_calls_private_is_not_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let is_special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation();
            prop_assert!(!is_special || !is_public(IpAddr::V4(address)));
        }

        #[test]
        fn any_text_can_be_tried(text in "(https?://)?.{0,40}") {
            let _ = parse(&text);
        }
    }
}
