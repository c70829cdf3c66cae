//! Clients of a cluster.

use std::time::Duration;

use redis_client::{Client, Config};
use redis_harness::{Cluster, unique_prefix};

/// A client with a prefix that no other test has.
pub async fn client_of(cluster: &Cluster) -> Client {
    // No case waits for one of these on purpose, and machines can be busy.
    let long = Duration::from_secs(10);
    let config = cluster
        .urls()
        .fold(Config::builder(), |builder, url| builder.address(url))
        .cluster()
        .key_prefix(unique_prefix("state"))
        .read_timeout(long)
        .write_timeout(long)
        .build();
    let client = Client::connect(config.expect("a configuration")).await;
    client.expect("a client")
}
