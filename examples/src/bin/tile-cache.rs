//! Map tiles: bytes under `z/x/y`, drawn once for all who ask, and drawn again when their layer
//! changes.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use bytes::{BufMut as _, Bytes, BytesMut};
use examples::{Story, backend};
use state_core::{
    Namespace,
    cache::{Cache, CacheOptions, CacheStore, LoadOptions, Loaded, Source, Tags},
};

/// A place of the map.
#[derive(Debug, Clone, Copy)]
struct Tile {
    z: u8,
    x: u32,
    y: u32,
}

impl Tile {
    fn key(self) -> String {
        format!("{}/{}/{}", self.z, self.x, self.y)
    }

    fn exists(self) -> bool {
        let side = 1_u32 << self.z;
        self.x < side && self.y < side
    }
}

/// Draws tiles, slowly, and counts.
#[derive(Debug, Clone, Default)]
struct Painter {
    drawn: Arc<AtomicU32>,
    edition: Arc<AtomicU32>,
}

impl Painter {
    /// A tile as a renderer would give it: bytes that are no text.
    async fn draw(self, tile: Tile) -> Result<Option<Bytes>, std::io::Error> {
        if !tile.exists() {
            return Ok(None);
        }
        self.drawn.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut image = BytesMut::from(&b"\x89TILE\r\n\x1a\n"[..]);
        image.put_u32(self.edition.load(Ordering::Relaxed));
        image.put_u8(tile.z);
        image.put_u32(tile.x);
        image.put_u32(tile.y);
        image.put_bytes(0xFF, 4_096);
        Ok(Some(image.freeze()))
    }

    fn drawn(&self) -> u32 {
        self.drawn.swap(0, Ordering::Relaxed)
    }
}

/// The tiles of one instance of a map service.
#[derive(Clone)]
struct Tiles {
    cache: Cache,
    painter: Painter,
    options: LoadOptions,
}

impl Tiles {
    fn new(values: Arc<dyn CacheStore>, painter: Painter) -> anyhow::Result<Self> {
        let options = CacheOptions::default()
            .default_ttl(Duration::from_secs(3_600))
            .stale_window(Duration::from_secs(600))
            .max_value_bytes(64 << 10);
        Ok(Self {
            cache: Cache::builder(values, Namespace::new("tiles")?)
                .options(options)
                .build()?,
            painter,
            options: LoadOptions::default().tags(Tags::new(["layer:roads"])?),
        })
    }

    async fn tile(&self, tile: Tile) -> anyhow::Result<Loaded> {
        let painter = self.painter.clone();
        let draw = move || painter.draw(tile);
        Ok(self
            .cache
            .get_or_load(&tile.key(), &self.options, draw)
            .await?)
    }
}

async fn story(backend: backend::Backend) -> anyhow::Result<()> {
    let mut story = Story::default();
    let painter = Painter::default();
    let (here, there) = (backend.open().await?, backend.open().await?);
    let one = Tiles::new(Arc::clone(&here.values), painter.clone())?;
    let two = Tiles::new(Arc::clone(&there.values), painter.clone())?;
    // What an earlier run left behind does not count.
    one.cache.invalidate_namespace().await?;
    let tile = Tile {
        z: 12,
        x: 2048,
        y: 1361,
    };

    story.chapter("Forty people open the map at the same place, at two instances")?;
    let mut people = tokio::task::JoinSet::new();
    for number in 0..40 {
        let tiles = if number % 2 == 0 {
            one.clone()
        } else {
            two.clone()
        };
        people.spawn(async move { tiles.tile(tile).await });
    }
    let mut images = Vec::new();
    while let Some(person) = people.join_next().await {
        images.push(person??);
    }
    let image = images[0].value().cloned();
    ensure!(images.iter().all(|other| other.value() == image.as_ref()));
    let drawn = painter.drawn();
    story.say(format_args!("{} answers, {drawn} drawing", images.len()))?;
    ensure!(drawn == 1);

    story.chapter("The next one")?;
    let loaded = two.tile(tile).await?;
    let bytes = loaded.value().map_or(0, Bytes::len);
    story.say(format_args!(
        "{}: {bytes} bytes, none of them encoded",
        loaded.source().as_str()
    ))?;
    ensure!(loaded.source() == Source::Hit && loaded.value() == image.as_ref());

    story.chapter("The neighbourhood, in one trip")?;
    for x in 2047..=2049 {
        one.tile(Tile { x, ..tile }).await?;
    }
    let keys: Vec<String> = (2046..=2050).map(|x| Tile { x, ..tile }.key()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = two.cache.get_many(&keys, &two.options.tags).await?;
    for (key, lookup) in keys.iter().zip(&found) {
        story.say(format_args!(
            "{key}: {}",
            if lookup.is_hit() { "hit" } else { "miss" }
        ))?;
    }
    ensure!(found.iter().filter(|lookup| lookup.is_hit()).count() == 3);
    painter.drawn();

    story.chapter("A place that is not on the map")?;
    let nowhere = Tile { z: 1, x: 9, y: 9 };
    for _ in 0..2 {
        let loaded = one.tile(nowhere).await?;
        let known = loaded.value().is_none();
        story.say(format_args!(
            "{}: nothing there: {known}",
            loaded.source().as_str()
        ))?;
        ensure!(known);
    }

    story.chapter("The roads change: one invalidation, however many tiles there are")?;
    painter.edition.fetch_add(1, Ordering::Relaxed);
    one.cache.invalidate_tags(&one.options.tags).await?;
    let again = two.tile(tile).await?;
    let drawn = painter.drawn();
    story.say(format_args!("{}: {drawn} drawing", again.source().as_str()))?;
    ensure!(again.source() == Source::Loaded && again.value() != image.as_ref());

    here.close().await?;
    there.close().await
}

fn main() -> ExitCode {
    backend::run(story)
}
