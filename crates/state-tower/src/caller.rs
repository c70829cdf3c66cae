//! Who calls, behind proxies.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNetwork;

impl std::fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a network is an address, or an address and the length of its prefix")
    }
}

impl std::error::Error for InvalidNetwork {}

/// The address of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(IpAddr);

impl Caller {
    /// A caller at an address.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address)
    }

    /// What the caller is counted under: its address of IPv4, or its network of IPv6. One
    /// customer has a /64 at least, so single addresses would be no limit.
    #[must_use]
    pub fn subject(self) -> String {
        match plain(self.0) {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

/// IPv4 in IPv6 is IPv4.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| InvalidNetwork)?,
            None => most,
        };
        if prefix > most {
            return Err(InvalidNetwork);
        }
        // IPv4 in IPv6 is IPv4, as for those who connect.
        if let (plain @ IpAddr::V4(_), true, Some(prefix)) =
            (plain(address), address.is_ipv6(), prefix.checked_sub(96))
        {
            return Ok(Self {
                address: plain,
                prefix,
            });
        }
        Ok(Self { address, prefix })
    }

    fn has(self, address: IpAddr) -> bool {
        let (network, address, width) = match (self.address, plain(address)) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (
                u128::from(network.to_bits()),
                u128::from(address.to_bits()),
                32,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits(), address.to_bits(), 128)
            }
            _ => return false,
        };
        (network ^ address)
            .checked_shr(width - self.prefix)
            .unwrap_or(0)
            == 0
    }
}

/// Proxies whose word on where a call comes from is taken.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Proxies at these addresses or networks: `10.0.0.0/8`, `::1`.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`] for a text that is neither.
    pub fn new<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidNetwork> {
        let networks = networks.into_iter();
        networks
            .map(|network| Network::parse(network.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// No proxies: a caller is who connects.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Who calls: who connects, or, if that is a trusted proxy, the last in `X-Forwarded-For` that
    /// is none. What a caller writes into the field itself is never believed.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let mut client = peer;
        if !self.trusts(client) {
            return Caller(client);
        }
        let fields: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let hops = fields.iter().rev().flat_map(|field| {
            let text = field.to_str().unwrap_or_default();
            text.rsplit(',').map(str::trim)
        });
        for hop in hops {
            // Nothing before something that cannot be read is to be trusted.
            let Some(address) = parse_hop(hop) else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        Caller(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }
}

/// An address, perhaps with a port, perhaps in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse() {
        return Some(address);
    }
    if let Ok(address) = hop.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        headers
    }

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(proxies).unwrap();
        let client = proxies.client(peer.parse().unwrap(), &headers(forwarded));
        client.subject()
    }

    #[test]
    fn n_rl_10_callers_are_found_behind_their_proxies_and_cannot_pretend() {
        let proxies = ["10.0.0.0/8", "::1"];
        for (peer, forwarded, subject) in [
            ("192.0.2.1", vec![], "192.0.2.1"),
            // Not through a proxy of ours: the field is the caller's own invention.
            ("192.0.2.1", vec!["198.51.100.7"], "192.0.2.1"),
            ("10.1.2.3", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "10.1.2.3",
                vec!["203.0.113.9, 198.51.100.7, 10.9.9.9"],
                "198.51.100.7",
            ),
            (
                "10.1.2.3",
                vec!["203.0.113.9", "198.51.100.7"],
                "198.51.100.7",
            ),
            ("10.1.2.3", vec!["203.0.113.9, nonsense"], "10.1.2.3"),
            ("10.1.2.3", vec!["198.51.100.7:4711"], "198.51.100.7"),
            ("10.1.2.3", vec![], "10.1.2.3"),
            ("::1", vec!["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
            ("::1", vec!["[2001:db8:1:2::9]:80"], "2001:db8:1:2::/64"),
            ("::ffff:10.1.2.3", vec!["198.51.100.7"], "198.51.100.7"),
        ] {
            assert_eq!(
                client(&proxies, peer, &forwarded),
                subject,
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(client(&[], "10.1.2.3", &["198.51.100.7"]), "10.1.2.3");
        assert_eq!(
            client(&["0.0.0.0/0"], "192.0.2.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn networks_are_checked() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0", "10.0.0.0/x", "/8"] {
            assert_eq!(
                TrustedProxies::new([text]).err(),
                Some(InvalidNetwork),
                "{text}"
            );
        }
    }
}
