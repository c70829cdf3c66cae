//! Random orders of steps, and what must hold after each.
//!
//! There is a source whose value is a number that grows. Whoever changes it invalidates afterwards,
//! in one of the ways there are. A hit must not be older than the last change whose invalidation
//! had ended.
#![allow(clippy::unwrap_used, reason = "a step that fails is a case that fails")]

use std::time::Duration;

use bytes::Bytes;
use state_core::{
    Timestamp,
    cache::{
        Begin, Begun, Draft, Envelope, Epochs, Fill, Freshness, LeaseToken, Lives, Space, Tags,
        Target, judge,
    },
};

use crate::cache::Bench;

/// What a run saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interleaving {
    /// How many reads were hits.
    pub hits: u32,
    /// How many of them were over.
    pub stale: u32,
}

struct Load {
    token: LeaseToken,
    epochs: Epochs,
    /// What the source had when the loader asked it; none before that.
    value: Option<u64>,
}

const LIVES: Lives = Lives {
    fresh: Duration::from_secs(600),
    stored: Duration::from_secs(660),
};

/// Runs one random order of 40 steps on keys of its own.
///
/// # Panics
///
/// When the store fails.
pub async fn interleave(bench: &Bench, seed: u64) -> Interleaving {
    let (store, space) = (bench.store(), Bench::space());
    let key = format!("interleave {seed}");
    let tags = Tags::new(["t".to_owned(), format!("t{seed}")]).unwrap();
    let mut random = Random(seed);
    let (mut source, mut ended) = (0_u64, 0_u64);
    let mut loads: Vec<Load> = Vec::new();
    let mut seen = Interleaving { hits: 0, stale: 0 };
    for step in 0..40_u8 {
        match random.below(10) {
            0 | 1 => loads.extend(begin(bench, &space, &key, &tags, seed, step).await),
            2 | 3 => {
                let at = random.below(4);
                if let Some(load) = loads.get_mut(at) {
                    load.value = Some(source);
                }
            }
            4 | 5 => {
                let at = random.below(4);
                if loads.get(at).is_some_and(|load| load.value.is_some()) {
                    fill(bench, &space, &key, &tags, &loads.swap_remove(at)).await;
                }
            }
            6 => {
                source += 1;
                let keys = [key.as_str()];
                let target = match random.below(4) {
                    0 => Target::Namespace,
                    1 => Target::Keys(&keys),
                    2 => Target::Tags(&tags.as_slice()[..1]),
                    _ => Target::Tags(tags.as_slice()),
                };
                store.invalidate(&space, target).await.unwrap();
                ended = source;
            }
            7 => {
                source += 1;
                let draft = draft(&tags, source);
                store
                    .set(&space, &[(&key, &draft)], tags.as_slice(), LIVES)
                    .await
                    .unwrap();
                ended = source;
            }
            8 if random.below(2) == 0 => {
                let target = match random.below(2) {
                    0 => Target::Namespace,
                    _ => Target::Tags(tags.as_slice()),
                };
                let millisecond = Duration::from_millis(1);
                store.shorten(&space, target, millisecond).await.unwrap();
                bench.pass(2 * millisecond).await;
            }
            _ => {
                if let Some(value) = hit(bench, &space, &key, &tags).await {
                    seen.hits += 1;
                    seen.stale += u32::from(value < ended);
                }
            }
        }
    }
    seen
}

fn draft(tags: &Tags, value: u64) -> Draft {
    let payload = Bytes::copy_from_slice(&value.to_be_bytes());
    Draft::new(Some(&payload), tags.as_slice(), 0, Duration::ZERO)
}

async fn begin(
    bench: &Bench,
    space: &Space,
    key: &str,
    tags: &Tags,
    seed: u64,
    step: u8,
) -> Option<Load> {
    let mut token = [step; 16];
    token[..8].copy_from_slice(&seed.to_be_bytes());
    let token = LeaseToken::from_bytes(token);
    let read = bench.store().read(space, &[key], &[]).await.unwrap();
    let value = read.values[0].clone().unwrap_or_default();
    let begin = Begin {
        token,
        lease: Duration::from_secs(60),
        seen: Envelope::mark(&value),
        tags: tags.as_slice(),
        epochs: LIVES.epochs(),
    };
    match bench.store().begin(space, key, &begin).await.unwrap() {
        Begun::Won(epochs) => Some(Load {
            token,
            epochs,
            value: None,
        }),
        _ => None,
    }
}

async fn fill(bench: &Bench, space: &Space, key: &str, tags: &Tags, load: &Load) {
    let draft = draft(tags, load.value.unwrap());
    let fill = Fill {
        token: load.token,
        epochs: &load.epochs,
        tags: tags.as_slice(),
        draft: &draft,
        lives: LIVES,
    };
    bench.store().fill(space, key, &fill).await.unwrap();
}

async fn hit(bench: &Bench, space: &Space, key: &str, tags: &Tags) -> Option<u64> {
    let read = bench
        .store()
        .read(space, &[key], tags.as_slice())
        .await
        .unwrap();
    let envelope = Envelope::open(read.values[0].clone()?).unwrap();
    let epoch = |index: usize| read.tags[index];
    // Fresh by far: only the epochs count here.
    let now = Timestamp::default();
    (judge(&envelope, read.namespace, epoch, now) == Freshness::Fresh).then(|| {
        let bytes = envelope.payload()[..].try_into().unwrap();
        u64::from_be_bytes(bytes)
    })
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end).unwrap()
    }
}
