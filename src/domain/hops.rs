//! The path of a request, as reported by the proxies on it.
//!
//! Each proxy appends the address from which it received the request. The list is therefore walked from its right end,
//! as long as the reporting proxy is trusted: everything to the left of the first untrusted address was written by a
//! stranger. Entries are parsed as the walk reaches them, so nothing that a client writes affects how the entries of
//! its proxies are read.

use std::net::{IpAddr, SocketAddr};

/// The nearest address on the way that is no trusted proxy, or the last one known: an entry that names no address
/// (`unknown`, an obfuscated identifier, garbage) ends the walk.
pub fn nearest_untrusted<'a>(
    peer: IpAddr,
    entries: impl DoubleEndedIterator<Item = &'a [u8]>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut nearest = peer.to_canonical();
    for entry in entries.rev() {
        if !is_trusted(nearest) {
            break;
        }
        let Some(address) = node(entry) else { break };
        nearest = address;
    }
    nearest
}

/// The entries of one header line. Empty ones, which lists may have, tell nothing.
pub fn entries(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// A parameter of one element of a `Forwarded` header, without its quotes. Commas and semicolons count within quotes
/// too: no node, host or scheme has one, and a quote that a client leaves open must not swallow what follows.
#[must_use]
pub fn parameter<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    element.split(|byte| *byte == b';').find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at(at);
        let is_named = key.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        is_named.then(|| unquoted(value.get(1..).unwrap_or_default()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// The address of a node: bare, in brackets, with a port, with a zone, in quotes.
fn node(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(unquoted(entry)).ok()?.trim();
    let address = bare(text).or_else(|| with_port(text))?;
    Some(address.to_canonical())
}

fn bare(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let (address, _zone) = text.split_once('%').unwrap_or((text, ""));
    address.parse().ok()
}

/// Ports may be obfuscated, so they are not looked at.
fn with_port(text: &str) -> Option<IpAddr> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    let (address, _port) = text.rsplit_once(':')?;
    // Without brackets the last group of an IPv6 address would be taken for a port.
    bare(address).filter(|found| found.is_ipv4() || address.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walked(peer: &str, lines: &[&[u8]]) -> String {
        let is_trusted = |address: IpAddr| match address {
            IpAddr::V4(address) => address.is_loopback() || address.octets()[0] == 10,
            IpAddr::V6(address) => address.is_loopback(),
        };
        nearest_untrusted(
            peer.parse().unwrap(),
            lines.iter().flat_map(|line| entries(line)).collect::<Vec<_>>().into_iter(),
            is_trusted,
        )
        .to_string()
    }

    #[test]
    fn addresses_come_in_many_spellings() {
        for (entry, address) in [
            ("198.51.100.1", "198.51.100.1"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("198.51.100.1:_port", "198.51.100.1"),
            ("\"198.51.100.1:4711\"", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:80", "fe80::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("[::ffff:198.51.100.1]:80", "198.51.100.1"),
            ("::ffff:c633:6401", "198.51.100.1"),
        ] {
            assert_eq!(node(entry.as_bytes()).map(|found| found.to_string()).as_deref(), Some(address), "{entry}");
        }
        for none in ["", "unknown", "_hidden", "_hidden:80", "a.b.c.d", "1.2.3", "1.2.3.4.5", "[1", "]", ":", "\"", "é"]
        {
            assert_eq!(node(none.as_bytes()), None, "{none}");
        }
        assert_eq!(node(b"\xff\xfe"), None);
    }

    /// One entry that was no address, or a line that was no text, hid all the others: the client then counted as its proxy,
    /// and by guessing it locked out everybody behind it.
    #[test]
    fn nothing_that_a_client_writes_hides_its_address() {
        let others: [&[u8]; 9] =
            [b"unknown", b"garbage", b"\xff", b"_x", b"\"", b"6.6.6.6", b"10.0.0.9", b"[::1", b"6.6.6.6:1:2"];
        for written in others {
            let one = [written, b", 198.51.100.1, 10.0.0.2"].concat();
            assert_eq!(walked("127.0.0.1", &[&one]), "198.51.100.1", "{written:?}");
            assert_eq!(walked("127.0.0.1", &[written, b"198.51.100.1:80"]), "198.51.100.1", "{written:?}");
            assert_eq!(walked("203.0.113.9", &[&one]), "203.0.113.9", "who is no proxy is not believed");
        }
        assert_eq!(walked("127.0.0.1", &[b"198.51.100.1, unknown"]), "127.0.0.1", "what a proxy does not tell");
        assert_eq!(walked("::ffff:127.0.0.1", &[b"[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(walked("127.0.0.1", &[b"10.1.1.1, 10.2.2.2"]), "10.1.1.1", "all of them proxies");
        assert_eq!(walked("127.0.0.1", &[b" , ,"]), "127.0.0.1");
    }

    #[test]
    fn elements_have_parameters() {
        let element: &[u8] = b"For=\"[2001:db8::1]:4711\"; proto = https;host=\"hub.example\"";
        assert_eq!(parameter(element, "for"), Some(&b"[2001:db8::1]:4711"[..]));
        assert_eq!(parameter(element, "proto"), Some(&b"https"[..]));
        assert_eq!(parameter(element, "host"), Some(&b"hub.example"[..]));
        assert_eq!(parameter(element, "by"), None);
        let open: Vec<&[u8]> = entries(b"for=\"6.6.6.6, for=198.51.100.1").collect();
        assert_eq!(parameter(open[1], "for"), Some(&b"198.51.100.1"[..]), "an open quote swallows nothing");
    }

    proptest! {
        #[test]
        fn what_stands_left_of_a_stranger_does_not_count(written in proptest::collection::vec(any::<u8>(), 0..40)) {
            let line = [&written[..], b",198.51.100.1"].concat();
            prop_assert_eq!(walked("127.0.0.1", &[&line]), "198.51.100.1");
        }
    }
}
