//! A server's time passes.

mod support;

use std::time::Duration;

use state_testkit::Passage as _;

use crate::support::{ServerTime, client, server};

#[tokio::test]
async fn time_passes_on_the_server() {
    let server = server().await;
    let time = ServerTime(client(server.url()).await);
    let before = time.micros().await;
    time.pass(Duration::from_millis(5)).await;
    assert!(time.micros().await >= before + 5_000);
}
