//! TLS, with certificates made for the test.
#![cfg(feature = "tls")]

mod common;

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use common::{INCR, config, connect, incr, key};
use redis_client::{Outcome, Signal};
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

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

#[tokio::test]
async fn a_trusted_server_is_used_and_no_other() {
    let certificates = Certificates::make();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let options = Options::default()
        .setting("tls-port", &port.to_string())
        .setting("tls-cert-file", &certificates.path("server.pem"))
        .setting("tls-key-file", &certificates.path("server.key"))
        .setting("tls-ca-cert-file", &certificates.path("ca.pem"))
        .setting("tls-auth-clients", "no");
    let _server = Server::start_with(options).await;
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
