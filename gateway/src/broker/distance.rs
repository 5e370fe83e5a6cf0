//! Whether a broker stands in the shop or far away. It decides only how patiently it is tried
//! again: a thousand gateways share a broker far away, and this one has its neighbour to itself.

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// A name that takes longer to resolve is not in the shop.
const LOOKUP: Duration = Duration::from_millis(250);

/// How far it is to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// This machine, or one on the same network, with no router between.
    Local,
    /// Everything else, and what is not known.
    Remote,
}

impl Distance {
    /// Looks where `host` (a name or an address) is now. Takes a quarter of a second at most.
    pub async fn to(host: &str) -> Self {
        if let Ok(address) = host.parse() {
            return Self::of(address, &networks());
        }
        let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0)));
        let Ok(Ok(addresses)) = lookup.await else {
            return Self::Remote;
        };
        let (networks, mut all) = (networks(), addresses.peekable());
        let known = all.peek().is_some();
        if known && all.all(|address| Self::of(address.ip(), &networks) == Self::Local) {
            Self::Local
        } else {
            Self::Remote
        }
    }

    fn of(address: IpAddr, networks: &[(IpAddr, IpAddr)]) -> Self {
        let near = networks
            .iter()
            .any(|(own, mask)| same_network(address, *own, *mask));
        if near || address.is_loopback() {
            Self::Local
        } else {
            Self::Remote
        }
    }
}

fn same_network(address: IpAddr, own: IpAddr, mask: IpAddr) -> bool {
    match (address, own, mask) {
        (IpAddr::V4(address), IpAddr::V4(own), IpAddr::V4(mask)) => {
            address.to_bits() & mask.to_bits() == own.to_bits() & mask.to_bits()
        }
        (IpAddr::V6(address), IpAddr::V6(own), IpAddr::V6(mask)) => {
            address.to_bits() & mask.to_bits() == own.to_bits() & mask.to_bits()
        }
        _ => false,
    }
}

/// Addresses and masks of this machine; none when the system does not say.
fn networks() -> Vec<(IpAddr, IpAddr)> {
    let interfaces = getifaddrs().into_iter().flatten();
    interfaces
        .filter_map(|interface| Some((ip(interface.address?)?, ip(interface.netmask?)?)))
        .collect()
}

fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| {
        let v6: Ipv6Addr = address.as_sockaddr_in6()?.ip();
        Some(IpAddr::V6(v6))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Distance {
        let networks = [
            ("192.168.7.20", "255.255.255.0"),
            ("10.8.0.2", "255.255.255.255"),
            ("fd00:7::20", "ffff:ffff:ffff:ffff::"),
        ];
        let networks = networks.map(|(own, mask)| (own.parse().unwrap(), mask.parse().unwrap()));
        Distance::of(address.parse().unwrap(), &networks)
    }

    #[test]
    fn what_no_router_stands_between_is_local() {
        for near in ["192.168.7.1", "127.0.0.1", "::1", "fd00:7::1"] {
            assert_eq!(of(near), Distance::Local, "{near}");
        }
        for far in ["192.168.8.1", "10.8.0.1", "203.0.113.5", "fd00:8::1"] {
            assert_eq!(of(far), Distance::Remote, "{far}");
        }
    }

    #[tokio::test]
    async fn names_are_looked_up_and_unknown_ones_are_far_away() {
        assert_eq!(Distance::to("localhost").await, Distance::Local);
        assert_eq!(Distance::to("127.0.0.1").await, Distance::Local);
        assert_eq!(Distance::to("no-such-host.invalid").await, Distance::Remote);
    }

    #[test]
    fn this_machine_knows_its_own_networks() {
        let own = networks();
        assert!(own.iter().any(|(own, _)| own.is_loopback()), "{own:?}");
        assert!(
            own.iter()
                .all(|(own, _)| Distance::of(*own, &networks()) == Distance::Local)
        );
    }
}
