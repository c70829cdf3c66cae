//! Clients of a cluster.

use redis_client::{Client, Config};
use redis_harness::{Cluster, unique_prefix};

use super::patient;

/// A client with a prefix that no other test has.
pub async fn client_of(cluster: &Cluster) -> Client {
    let builder = cluster
        .urls()
        .fold(Config::builder(), |builder, url| builder.address(url));
    let config = patient(builder)
        .cluster()
        .key_prefix(unique_prefix("state"))
        .build();
    let client = Client::connect(config.expect("a configuration")).await;
    client.expect("a client")
}
