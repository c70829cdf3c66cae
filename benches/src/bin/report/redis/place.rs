//! The server that is measured.

use std::time::Duration;

use anyhow::Result;
use redis_client::{Client, Config, redis};
use redis_harness::{Options, Server, unique_prefix};

/// A server, and the start of all keys that are written there.
pub(crate) struct Place {
    /// Stopped when dropped, if it was started for this.
    server: Option<Server>,
    url: String,
    prefix: String,
}

/// Long, as a busy machine is no reason to give up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Place {
    /// A server of its own without persistence, or the one somebody named.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self> {
        let server = match url {
            Some(_) => None,
            None => Some(Server::start_with(Options::default()).await),
        };
        let url = url.map(str::to_owned);
        let url = url.or_else(|| server.as_ref().map(|server| server.url().to_owned()));
        let prefix = match &server {
            // As long as the one a store has by default.
            Some(_) => "govern".to_owned(),
            None => unique_prefix("report"),
        };
        Ok(Self {
            server,
            url: url.unwrap_or_default(),
            prefix,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The start of the keys of one arm.
    pub(crate) fn prefix(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// A client as an application would have it.
    pub(crate) async fn client(&self) -> Result<Client> {
        connect(&self.url).await
    }

    /// A connection without the client.
    pub(crate) async fn connection(&self) -> Result<redis::aio::MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url.as_str())?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    /// Removes what was written to somebody else's server.
    pub(crate) async fn clean(&self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut connection = self.connection().await?;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}:*", self.prefix));
            let (next, keys): (u64, Vec<Vec<u8>>) = scan
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut connection)
                .await?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(keys).exec_async(&mut connection).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// A client of the server at an address.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let config = Config::builder()
        .address(url)
        .read_timeout(PATIENCE)
        .write_timeout(PATIENCE)
        .build()?;
    Ok(Client::connect(config).await?)
}
