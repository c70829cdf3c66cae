//! JSON in two instances of a service that keep what they read. When one changes something, the
//! other is told.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use examples::{
    Story,
    backend::{self, Stores},
};
use serde::{Deserialize, Serialize};
use state_core::{
    Namespace, NoObserver,
    cache::{Cache, CacheOptions, LoadOptions, Tags},
    event::{EventOptions, Events},
};

/// What is known about a map layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    title: String,
    revision: u32,
}

/// The database.
#[derive(Debug, Clone, Default)]
struct Database(Arc<Mutex<(BTreeMap<String, Metadata>, u32)>>);

impl Database {
    fn write(&self, id: &str, title: &str) -> anyhow::Result<()> {
        let mut inner = self.0.lock().ok().context("the database is broken")?;
        let entry = inner.0.entry(id.to_owned()).or_insert_with(|| Metadata {
            title: String::new(),
            revision: 0,
        });
        title.clone_into(&mut entry.title);
        entry.revision += 1;
        Ok(())
    }

    fn read(&self, id: &str) -> anyhow::Result<Option<Metadata>> {
        let mut inner = self.0.lock().ok().context("the database is broken")?;
        inner.1 += 1;
        Ok(inner.0.get(id).cloned())
    }

    fn reads(&self) -> u32 {
        self.0
            .lock()
            .map_or(0, |mut inner| std::mem::take(&mut inner.1))
    }
}

/// The codec of the values: what reads them checks it.
const JSON: u8 = 1;

/// One instance of the service.
struct Instance {
    stores: Stores,
    cache: Cache,
    database: Database,
    options: LoadOptions,
}

impl Instance {
    async fn start(backend: &backend::Backend, database: &Database) -> anyhow::Result<Self> {
        let stores = backend.open().await?;
        let events = Events::builder(Arc::clone(&stores.events))
            .options(EventOptions::default().poll_interval(Duration::from_secs(2)))
            .observer(Arc::new(NoObserver))
            .build()?;
        let cache = Cache::builder(Arc::clone(&stores.values), Namespace::new("metadata")?)
            .options(CacheOptions::default().l1_capacity(1_000).jitter_percent(0))
            .bus(events, Namespace::new("invalidation")?)
            .build()?;
        let instance = Self {
            stores,
            cache,
            database: database.clone(),
            options: LoadOptions::default()
                .codec(JSON)
                .tags(Tags::new(["metadata"])?),
        };
        instance.until(|| instance.cache.uses_local()).await?;
        Ok(instance)
    }

    async fn read(&self, id: &str) -> anyhow::Result<Option<Metadata>> {
        let (database, key) = (self.database.clone(), id.to_owned());
        let load = || async move {
            let found = database.read(&key)?;
            let json = found.map(|found| serde_json::to_vec(&found)).transpose()?;
            anyhow::Ok(json.map(Bytes::from))
        };
        let loaded = self.cache.get_or_load(id, &self.options, load).await?;
        ensure!(loaded.codec() == JSON, "the value is not JSON");
        let value = loaded.into_value();
        Ok(value
            .map(|json| serde_json::from_slice(&json))
            .transpose()?)
    }

    /// Changes the database first, then tells everybody.
    async fn write(&self, id: &str, title: &str) -> anyhow::Result<()> {
        self.database.write(id, title)?;
        self.cache.delete(id).await?;
        Ok(())
    }

    async fn until(&self, holds: impl Fn() -> bool + Send + Sync) -> anyhow::Result<()> {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        Ok(tokio::time::timeout(Duration::from_secs(30), waiting).await?)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.cache.close().await;
        self.stores.close().await
    }
}

fn line(found: Option<&Metadata>) -> String {
    found.map_or_else(
        || "nothing".to_owned(),
        |found| format!("{:?}, revision {}", found.title, found.revision),
    )
}

async fn story(backend: backend::Backend) -> anyhow::Result<()> {
    let mut story = Story::default();
    let database = Database::default();
    database.write("roads", "Roads")?;
    let (one, two) = (
        Instance::start(&backend, &database).await?,
        Instance::start(&backend, &database).await?,
    );
    // What an earlier run left behind does not count. The second has heard of that when nothing
    // is kept there any more.
    while two.cache.kept_here() == 0 {
        two.read("roads").await?;
    }
    one.cache.invalidate_namespace().await?;
    two.until(|| two.cache.kept_here() == 0).await?;
    database.reads();

    story.chapter("Two instances read the same a hundred times each")?;
    for _ in 0..100 {
        for instance in [&one, &two] {
            let found = instance.read("roads").await?;
            ensure!(found.is_some_and(|found| found.revision == 1));
        }
    }
    let reads = database.reads();
    story.say(format_args!("200 answers, {reads} read of the database"))?;
    ensure!(reads == 1);
    story.say(format_args!(
        "kept here: {} and {}",
        one.cache.kept_here(),
        two.cache.kept_here()
    ))?;
    ensure!(one.cache.kept_here() == 1 && two.cache.kept_here() == 1);

    story.chapter("The first changes it, the second is told")?;
    one.write("roads", "Roads and paths").await?;
    story.say(format_args!(
        "the first: {}",
        line(one.read("roads").await?.as_ref())
    ))?;
    // It takes a moment to arrive; until then the second may still have the old one.
    two.until(|| two.cache.kept_here() == 0).await?;
    let found = two.read("roads").await?;
    story.say(format_args!("the second: {}", line(found.as_ref())))?;
    ensure!(found.is_some_and(|found| found.revision == 2));
    let reads = database.reads();
    story.say(format_args!("{reads} read of the database"))?;
    ensure!(reads == 1);

    story.chapter("Everything of a tag ends at once")?;
    for id in ["rivers", "rails"] {
        database.write(id, id)?;
        two.read(id).await?;
    }
    one.cache.invalidate_tags(&one.options.tags).await?;
    database.reads();
    for id in ["roads", "rivers", "rails"] {
        one.read(id).await?;
    }
    let reads = database.reads();
    story.say(format_args!("3 answers, {reads} reads of the database"))?;
    ensure!(reads == 3);

    story.chapter("One that does not listen any more keeps nothing")?;
    two.cache.close().await;
    one.write("roads", "Roads, paths and stairs").await?;
    let found = two.read("roads").await?;
    story.say(format_args!("the second: {}", line(found.as_ref())))?;
    ensure!(found.is_some_and(|found| found.revision == 3));

    one.stop().await?;
    two.stop().await
}

fn main() -> ExitCode {
    backend::run(story)
}
