//! What observers, spans and metrics are told, and what they are not.

mod common;

use std::sync::Arc;

use common::{BUMP, GET, INCR, config, get, incr, key};
use parking_lot::Mutex;
use redis_client::{Client, CommandEvent, Observer, Signal, redis};
use redis_harness::{Persistence, Server};

const SECRET: &str = "hunter2";

#[derive(Debug, Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn command(&self, event: &CommandEvent<'_>) {
        let (name, outcome, access) = (event.operation(), event.outcome(), event.access().as_str());
        self.0
            .lock()
            .push(format!("{name} {access} {outcome} {}", event.attempts()));
    }

    fn script_loaded(&self, _instance: &str, script: &'static str) {
        self.0.lock().push(format!("load {script}"));
    }
}

#[tokio::test]
async fn each_command_is_one_event() {
    let server = Server::start(Persistence::None).await;
    let log = Arc::new(Log::default());
    let config = config(server.url(), "observe").build().unwrap();
    let client = Client::connect_observed(config, Arc::<Log>::clone(&log))
        .await
        .unwrap();
    let key = key(&client, SECRET, SECRET);
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    let mut push = redis::cmd("LPUSH");
    push.arg(&key).arg(SECRET);
    client.query::<i64>(INCR, &key, &push).await.unwrap_err();
    client
        .invoke::<i64>(&BUMP.call().key(&key).arg(1))
        .await
        .unwrap();
    assert_eq!(
        *log.0.lock(),
        [
            "incr write ok 1",
            "incr write redis.wrong_type 1",
            // The server did not have it yet.
            "test.bump write redis.no_script 1",
            "load test.bump",
            "test.bump write ok 1",
        ]
    );
}

#[tokio::test]
async fn tries_are_counted() {
    let mut server = Server::start(Persistence::None).await;
    server.kill();
    let log = Arc::new(Log::default());
    let retry = std::time::Duration::from_millis(50);
    let config = config(server.url(), "tries")
        .retry_timeout(retry)
        .build()
        .unwrap();
    let client = Client::connect_observed(config, Arc::<Log>::clone(&log))
        .await
        .unwrap();
    let key = key(&client, "a", "n");
    let error = client
        .query::<i64>(GET, &key, &get(&key))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::ConnectFailed);
    let log = log.0.lock();
    let tries = log[0].rsplit_once(' ').unwrap().1.parse::<u32>().unwrap();
    assert!(log.len() == 1 && tries >= 2, "{log:?}");
}

#[cfg(feature = "tracing")]
mod spans {
    use std::fmt;

    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    use super::*;

    /// Writes down every span's name and fields.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<String>>);

    impl Visit for Notes {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0
                .lock()
                .push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Subscriber for Notes {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("redis_client")
        }

        fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
            self.0.lock().push_str(span.metadata().name());
            span.record(&mut self.clone());
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, values: &span::Record<'_>) {
            values.record(&mut self.clone());
        }

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[tokio::test]
    async fn a_span_names_the_operation_and_the_error_but_no_key() {
        let server = Server::start(Persistence::None).await;
        let config = config(server.url(), "spans").build().unwrap();
        let client = Client::connect(config).await.unwrap();
        let key = key(&client, SECRET, SECRET);
        let notes = Notes::default();
        let guard = tracing::subscriber::set_default(notes.clone());
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
        let mut push = redis::cmd("LPUSH");
        push.arg(&key).arg(SECRET);
        client.query::<i64>(INCR, &key, &push).await.unwrap_err();
        drop(guard);
        let notes = notes.0.lock();
        for text in [
            "redis.command",
            "db.operation.name=\"incr\"",
            "error.type=\"redis.wrong_type\"",
        ] {
            assert!(notes.contains(text), "{notes}");
        }
        assert!(!notes.contains(SECRET), "{notes}");
    }
}

#[cfg(feature = "metrics")]
mod recorded {
    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };
    use redis_client::MetricsObserver;

    use super::*;

    /// Writes down every histogram value with its name and labels.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    struct Note(String, Notes);

    impl HistogramFn for Note {
        fn record(&self, _: f64) {
            self.1.0.lock().push(self.0.clone());
        }
    }

    impl Recorder for Notes {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.lock().push(key.to_string());
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(Note(key.to_string(), self.clone())))
        }
    }

    #[tokio::test]
    async fn metrics_have_labels_of_closed_sets() {
        let server = Server::start(Persistence::None).await;
        let config = config(server.url(), "metrics").build().unwrap();
        let observer = Arc::new(MetricsObserver);
        let client = Client::connect_observed(config, observer).await.unwrap();
        let key = key(&client, SECRET, SECRET);
        let notes = Notes::default();
        let guard = metrics::set_default_local_recorder(&notes);
        client
            .invoke::<i64>(&BUMP.call().key(&key).arg(1))
            .await
            .unwrap();
        drop(guard);
        let notes = notes.0.lock().join("\n");
        for text in [
            "db.client.operation.duration",
            "test.bump",
            "redis.client.script_loads",
        ] {
            assert!(notes.contains(text), "{notes}");
        }
        assert!(!notes.contains(SECRET), "{notes}");
    }
}
