//! TLS, with certificates made for the test.
#![cfg(feature = "tls")]

mod common;

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use common::{INCR, config, connect, incr, key};
use redis_client::{Outcome, Signal, redis};
use redis_harness::{Options, Server, unique_prefix};

/// A directory with `ca.pem`, `server.pem` and `server.key`, removed when dropped.
struct Certificates(PathBuf);

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Certificates {
    fn make() -> Self {
        let directory = env::temp_dir().join(unique_prefix("tls").replace(':', "-"));
        assert!(
            fs::create_dir(&directory).is_ok(),
            "a directory for certificates"
        );
        let certificates = Self(directory);
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        certificates.openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca"
        ));
        certificates.openssl(&format!(
            "req -x509 {key} -keyout server.key -out server.pem -subj /CN=localhost \
             -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost \
             -addext basicConstraints=critical,CA:FALSE"
        ));
        certificates
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.0);
        match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "openssl {arguments}: {said}");
            }
            Err(_) => panic!("openssl is missing; install it with: apt-get install -y openssl"),
        }
    }

    /// A server with these on a port.
    fn options(&self, port: u16) -> Options {
        Options::default()
            .setting("tls-port", &port.to_string())
            .setting("tls-cert-file", &self.path("server.pem"))
            .setting("tls-key-file", &self.path("server.key"))
            .setting("tls-ca-cert-file", &self.path("ca.pem"))
            .setting("tls-auth-clients", "no")
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn nodes_of_a_cluster_are_found_by_their_names() {
    let certificates = Certificates::make();
    let port = free_port();
    let options = certificates
        .options(port)
        .setting("cluster-enabled", "yes")
        .setting("tls-cluster", "yes")
        .setting("cluster-port", &free_port().to_string())
        .setting("cluster-announce-hostname", "localhost")
        .setting("cluster-preferred-endpoint-type", "hostname");
    let server = Server::start_with(options).await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
    let mut admin = server.connection().await;
    slots.exec_async(&mut admin).await.unwrap();
    let ca = fs::read(certificates.path("ca.pem")).unwrap();
    let url = format!("rediss://localhost:{port}");
    let builder = config(&url, "tls-cluster").tls_ca_pem(ca).cluster();
    let client = connect(builder.retry_timeout(redis_harness::PATIENCE)).await;
    for tag in ["a", "b", "c"] {
        let key = key(&client, tag, "n");
        let count = client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
        assert_eq!(count, 1);
    }
}

#[tokio::test]
async fn a_trusted_server_is_used_and_no_other() {
    let certificates = Certificates::make();
    let port = free_port();
    let _server = Server::start_with(certificates.options(port)).await;
    let url = format!("rediss://localhost:{port}");
    let ca = fs::read(certificates.path("ca.pem")).unwrap();

    let client = connect(
        config(&url, "tls")
            .tls_ca_pem(ca.clone())
            .ping_on_build(true),
    )
    .await;
    let key = key(&client, "a", "n");
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
    client.close().await.unwrap();

    let wrong_name = format!("rediss://127.0.0.1:{port}");
    for builder in [
        config(&url, "tls"),
        config(&wrong_name, "tls").tls_ca_pem(ca),
    ] {
        let client = connect(builder.retry_timeout(Duration::ZERO)).await;
        let error = client
            .query::<i64>(INCR, &key, &incr(&key))
            .await
            .unwrap_err();
        assert_eq!(error.signal(), Signal::ConnectFailed, "{error:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}
