//! Addresses of servers.

use std::{fmt, path::PathBuf, sync::Arc};

use redis::{ConnectionAddr, IntoConnectionInfo};

use crate::config::{Problem, Secret};

/// Where a server listens. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Place);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Tcp(Arc<str>, u16),
    Unix(Arc<PathBuf>),
}

impl Address {
    /// An address of a host, which may be a name, an IPv4 or a bare IPv6 address.
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        Self(Place::Tcp(host.into(), port))
    }

    /// The host, if it is not a Unix socket.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.0 {
            Place::Tcp(host, _) => Some(host),
            Place::Unix(_) => None,
        }
    }

    /// The port, if it is not a Unix socket.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self.0 {
            Place::Tcp(_, port) => Some(port),
            Place::Unix(_) => None,
        }
    }

    pub(crate) fn to_driver(&self, tls: bool) -> ConnectionAddr {
        match &self.0 {
            Place::Tcp(host, port) if tls => ConnectionAddr::TcpTls {
                host: (**host).to_owned(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            Place::Tcp(host, port) => ConnectionAddr::Tcp((**host).to_owned(), *port),
            Place::Unix(path) => ConnectionAddr::Unix((**path).clone()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An address as written, with what else it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) address: Address,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<u32>,
}

/// Reads `host:port` or a URL. A plain address needs its port; in a URL the default is 6379.
pub(super) fn parse(text: &str) -> Result<Written, Problem> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if has_port(text) => ("redis", text),
        None => return Err(Problem::NotAnAddress),
    };
    let tls = match scheme {
        "rediss" | "valkeys" => true,
        "redis" | "valkey" | "unix" | "redis+unix" => false,
        _ => return Err(Problem::NotAnAddress),
    };
    if rest.contains(['?', '#']) {
        return Err(Problem::AddressOptions);
    }
    // The driver reads both forms but refuses TLS when it is built without.
    let scheme = if tls { "redis" } else { scheme };
    let info = format!("{scheme}://{rest}")
        .into_connection_info()
        .map_err(|_| Problem::NotAnAddress)?;
    let place = match info.addr() {
        ConnectionAddr::Tcp(host, port) if !host.is_empty() && *port != 0 => {
            Place::Tcp(host.as_str().into(), *port)
        }
        ConnectionAddr::Unix(path) => Place::Unix(path.clone().into()),
        _ => return Err(Problem::NotAnAddress),
    };
    let login = info.redis_settings();
    let names_database =
        matches!(place, Place::Tcp(..)) && rest.contains('/') && !rest.ends_with('/');
    let database = u32::try_from(login.db()).map_err(|_| Problem::NotAnAddress)?;
    Ok(Written {
        address: Address(place),
        tls,
        username: login.username().map(str::to_owned),
        password: login.password().map(Secret::from),
        database: names_database.then_some(database),
    })
}

fn has_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(address: Address) -> Written {
        Written {
            address,
            tls: false,
            username: None,
            password: None,
            database: None,
        }
    }

    #[test]
    fn forms() {
        assert_eq!(parse("h:6380"), Ok(plain(Address::tcp("h", 6380))));
        assert_eq!(parse("redis://h"), Ok(plain(Address::tcp("h", 6379))));
        assert_eq!(parse("redis://h/"), Ok(plain(Address::tcp("h", 6379))));
        assert_eq!(parse("[::1]:6380"), Ok(plain(Address::tcp("::1", 6380))));
        let full = parse("rediss://al%40ice:p%3Aw@h:1/3").unwrap();
        assert!(full.tls);
        assert_eq!(full.username.as_deref(), Some("al@ice"));
        assert_eq!(full.password, Some(Secret::from("p:w")));
        assert_eq!(full.database, Some(3));
        assert_eq!(parse("redis://h/0").unwrap().database, Some(0));
        let socket = parse("unix:///run/redis.sock").unwrap();
        assert_eq!(socket.address.to_string(), "/run/redis.sock");
        assert_eq!(socket.address.host(), None);
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "h",
            "h:",
            ":1",
            "h:99999",
            "http://h:1",
            "redis://",
            "h:1/x",
            "h:0",
        ] {
            assert_eq!(parse(text), Err(Problem::NotAnAddress), "{text:?}");
        }
        assert_eq!(parse("redis://h?db=1"), Err(Problem::AddressOptions));
        assert_eq!(parse("rediss://h#insecure"), Err(Problem::AddressOptions));
    }

    #[test]
    fn shown_as_it_is_written() {
        assert_eq!(Address::tcp("::1", 1).to_string(), "[::1]:1");
        assert_eq!(Address::tcp("h", 1).to_string(), "h:1");
    }
}
