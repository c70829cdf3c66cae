//! Ports for servers.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::TcpListener,
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// Below what systems give to outgoing connections (Linux from 32768, others from 49152). Those of
/// the tests themselves are many: one of them could take the port of a server before it starts, or
/// while it is restarted.
const PORTS: Range<u16> = 15_000..32_000;

/// Where to look next; every process begins somewhere else.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let number = RandomState::new().hash_one(std::process::id());
    let number = number % u64::from(PORTS.end - PORTS.start);
    AtomicU16::new(u16::try_from(number).unwrap_or_default())
});

/// A port nobody listens on now. Somebody may by the time a server does: starting is tried again.
pub(crate) fn free_port() -> u16 {
    let count = PORTS.end - PORTS.start;
    (0..count)
        .map(|_| PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % count)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap_or_else(|| panic!("no free port in {PORTS:?}"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::TcpListener};

    use super::{PORTS, free_port};

    #[test]
    fn ports_are_free_and_not_those_of_connections() {
        let ports: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }

    #[test]
    fn taken_port_is_passed_over() {
        let port = free_port();
        let taken = TcpListener::bind(("127.0.0.1", port)).expect("it was free");
        let others: Vec<u16> = (0..100).map(|_| free_port()).collect();
        assert!(!others.contains(&port));
        drop(taken);
    }
}
