//! What somebody else feels while a query runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use benches::Case;
use redis_client::redis;

use super::{pages::Listing, place::Place, stock::Stock};
use crate::{
    interleave::{now, quantile},
    outcome::Outcome,
};

/// Pings of a round, and how many rounds. The least disturbed round counts: a shared machine takes
/// the processor away for longer than any command takes.
const PINGS: usize = 1_000;
const ROUNDS: usize = 6;
const PAUSE: Duration = Duration::from_micros(200);

pub(crate) async fn measure(
    place: &Place,
    stock: &Stock,
    worst: Case,
    outcome: &mut Outcome,
) -> Result<()> {
    let idle = Pinger::start(place.url())?.rest().await?;
    let mut listing = Listing::new(stock, worst).await?;
    let pinger = Pinger::start(place.url())?;
    let mut queries = 0_u64;
    while !pinger.done.load(Ordering::Acquire) {
        listing.page().await?;
        queries += 1;
    }
    let busy = pinger.rest().await?;
    outcome.add(
        "redis.bystander_ping_p99_us",
        busy.0,
        Some(1_000.0),
        format!(
            "{:.0} us over all rounds; idle {:.0} us; beside {queries} pages of {}",
            busy.1,
            idle.0,
            worst.as_str()
        ),
    );
    Ok(())
}

/// The p99 of the best round and that of all, in microseconds.
type P99 = (f64, f64);

struct Pinger {
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<P99>>,
}

impl Pinger {
    /// Pings in a thread of its own, with a connection of its own.
    fn start(url: &str) -> Result<Self> {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut micros = Vec::with_capacity(PINGS * ROUNDS);
            let mut pinged = Ok(());
            for _ in 0..PINGS * ROUNDS {
                thread::sleep(PAUSE);
                let start = now();
                pinged = redis::cmd("PING").exec(&mut connection);
                micros.push(start.elapsed().as_nanos() as f64 / 1e3);
            }
            is_done.store(true, Ordering::Release);
            pinged?;
            let best = micros
                .chunks_exact(PINGS)
                .map(|round| quantile(round.to_vec(), 0.99))
                .fold(f64::INFINITY, f64::min);
            Ok((best, quantile(micros, 0.99)))
        });
        Ok(Self { done, thread })
    }

    async fn rest(self) -> Result<P99> {
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ended.map_err(|_| anyhow!("the thread that pings panicked"))?
    }
}
