//! A filled store, how it was filled, and how much room it takes.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use benches::Corpus;
use futures_util::future::{BoxFuture, try_join_all};
use governance_core::{RequestId, RequestStore as _};
use governance_redis::{Durability, RedisStore, RedisStoreOptions, Strictness};
use redis_client::{
    Client, ClientError, Operation,
    redis::{self, Cmd, FromRedisValue},
};

use super::place::{Place, connect};
use crate::{interleave::now, outcome::Outcome};

/// One request in so many is weighed.
const WEIGHED: u64 = 1_000;

const BENCH: Operation = Operation::read("bench");

/// A store with a corpus in it.
pub(crate) struct Stock {
    pub(crate) store: RedisStore,
    pub(crate) client: Client,
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) load: Load,
    options: RedisStoreOptions,
    /// The start of the keys of each partition.
    starts: Vec<String>,
    prefix: String,
}

/// What filling a store took.
pub(crate) struct Load {
    requests: usize,
    seconds: f64,
    /// Bytes of the server, all taken together.
    bytes: f64,
    /// Bytes a plain key with the document takes, and the document itself, on average.
    plain: f64,
    document: f64,
    terms: f64,
}

impl Load {
    /// Creates under way at a time.
    const TASKS: usize = 64;

    pub(crate) fn report(&self, name: &str, target: Option<f64>, outcome: &mut Outcome) {
        outcome.add(
            format!("redis.fill_s{name}"),
            self.seconds,
            None,
            format!(
                "{} requests by {} tasks, {:.0} a second",
                self.requests,
                Self::TASKS,
                self.requests as f64 / self.seconds
            ),
        );
        let each = self.bytes / self.requests as f64;
        outcome.add(
            format!("redis.bytes_per_request_beyond_document{name}"),
            each - self.plain,
            target,
            format!(
                "{each:.0} in all; a plain key with the document of {:.0} takes {:.0}; {:.1} terms",
                self.document, self.plain, self.terms
            ),
        );
    }
}

impl Stock {
    /// Fills a store with so many pending requests.
    pub(crate) async fn fill(
        place: &Place,
        name: &str,
        pending: usize,
        partitions: u16,
    ) -> Result<Self> {
        Self::of(place, name, Corpus::new(pending)?, partitions).await
    }

    /// Fills a store with a corpus.
    pub(crate) async fn of(
        place: &Place,
        name: &str,
        corpus: Corpus,
        partitions: u16,
    ) -> Result<Self> {
        let corpus = Arc::new(corpus);
        let options = RedisStoreOptions::default()
            .key_prefix(place.prefix(name))
            .partitions(partitions)
            .durability(Durability::Memory, Strictness::Warn);
        let client = place.client().await?;
        let store = RedisStore::connect(client.clone(), options.clone()).await?;
        let mut stock = Self {
            store,
            client,
            corpus,
            load: Load {
                requests: 0,
                seconds: 0.0,
                bytes: 0.0,
                plain: 0.0,
                document: 0.0,
                terms: 0.0,
            },
            options,
            starts: Vec::new(),
            prefix: place.prefix(name),
        };
        stock.load = stock.load().await?;
        stock.starts = stock.starts().await?;
        Ok(stock)
    }

    /// The same store by another way to the server.
    pub(crate) async fn by(&self, url: &str) -> Result<(RedisStore, Client)> {
        let client = connect(url).await?;
        let store = RedisStore::connect(client.clone(), self.options.clone()).await?;
        Ok((store, client))
    }

    async fn load(&self) -> Result<Load> {
        let total = self.corpus.total();
        let before = self.memory().await?;
        let start = now();
        let tasks = (0..Load::TASKS).map(|task| {
            let (store, corpus) = (self.store.clone(), Arc::clone(&self.corpus));
            tokio::spawn(async move {
                for number in (task..total).step_by(Load::TASKS) {
                    let request = corpus.request(u64::try_from(number)?)?;
                    store.create(Arc::new(request)).await?;
                }
                anyhow::Ok(())
            })
        });
        for done in try_join_all(tasks).await? {
            done?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let bytes = self.memory().await? - before;
        let (mut plain, mut document, mut terms, mut weighed) = (0.0, 0.0, 0.0, 0.0);
        for number in (1..self.corpus.total() as u64).step_by(usize::try_from(WEIGHED)?) {
            let request = self.corpus.request(number)?;
            let encoded = rmp_serde::to_vec_named(&request)?;
            // As long as the key of a request is.
            let key = format!("{}:{{0}}:r:{}", self.prefix, id_text(request.id()));
            let key = key.replace(":r:", ":R:");
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(&encoded);
            self.command(&set).await?;
            let mut usage = redis::cmd("MEMORY");
            usage.arg("USAGE").arg(&key);
            plain += self.query::<f64>(&usage).await?;
            self.command(redis::cmd("DEL").arg(&key)).await?;
            document += encoded.len() as f64;
            terms += governance_core::terms(&request).iter().count() as f64;
            weighed += 1.0;
        }
        Ok(Load {
            requests: total,
            seconds,
            bytes,
            plain: plain / weighed,
            document: document / weighed,
            terms: terms / weighed,
        })
    }

    async fn memory(&self) -> Result<f64> {
        let info: String = self.query(redis::cmd("INFO").arg("memory")).await?;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        Ok(line.context("no used_memory")?.trim().parse()?)
    }

    /// Calls of a command so far, and the microseconds of the server they took.
    pub(crate) async fn spent(&self, command: &str) -> Result<(f64, f64)> {
        let info: String = self.query(redis::cmd("INFO").arg("commandstats")).await?;
        let start = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        let Some((calls, rest)) = line.and_then(|line| line.split_once(",usec=")) else {
            return Ok((0.0, 0.0));
        };
        let (usec, _) = rest.split_once(',').context("no usec")?;
        Ok((calls.parse()?, usec.parse()?))
    }

    /// What the keys of each partition start with.
    async fn starts(&self) -> Result<Vec<String>> {
        let layout: String = self
            .query(redis::cmd("GET").arg(format!("{}:layout", self.prefix)))
            .await?;
        let layout: serde_json::Value = serde_json::from_str(&layout)?;
        let tags = layout["tags"].as_array().context("no tags")?;
        let start = |tag: &serde_json::Value| {
            let tag = tag.as_str().context("a tag is no text")?;
            Ok(format!("{}:{{{tag}}}", self.prefix))
        };
        tags.iter().map(start).collect()
    }

    /// Bytes of the keys of every kind, and how many keys there are.
    pub(crate) async fn kinds(&self) -> Result<BTreeMap<String, (f64, usize)>> {
        let mut kinds = BTreeMap::new();
        for start in &self.starts {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(format!("{start}:*"));
                let (next, keys): (u64, Vec<String>) =
                    self.query(scan.arg("COUNT").arg(512)).await?;
                let usages = keys.iter().map(|key| async move {
                    let mut usage = redis::cmd("MEMORY");
                    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(1_000);
                    self.query::<Option<f64>>(&usage).await
                });
                for (key, bytes) in keys.iter().zip(try_join_all(usages).await?) {
                    let mut parts = key[start.len() + 1..].split(':');
                    let kind = parts.next().unwrap_or_default();
                    let kind = kind.trim_end_matches(|c: char| c.is_ascii_digit());
                    let name = match (kind, parts.next()) {
                        ("z" | "q", Some(of)) => format!("{kind}.{of}"),
                        _ => kind.to_owned(),
                    };
                    let entry: &mut (f64, usize) = kinds.entry(name).or_default();
                    entry.0 += bytes.unwrap_or(0.0);
                    entry.1 += 1;
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(kinds)
    }

    /// The key of a request, in a store of one partition.
    pub(crate) fn key(&self, id: &RequestId) -> String {
        let start = self.starts.first().map_or("", String::as_str);
        format!("{start}:r:{}", id_text(id))
    }

    /// Runs a command by the client of the store.
    pub(crate) async fn query<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T> {
        // Boxed: the driver's futures are too deep for the compiler to see through.
        let answer: BoxFuture<'_, Result<T, ClientError>> =
            Box::pin(self.client.query(BENCH, &self.prefix, command));
        Ok(answer.await?)
    }

    /// Runs a command by the client of the store, whatever its answer.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<redis::Value> {
        self.query(command).await
    }
}

fn id_text(id: &RequestId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}
