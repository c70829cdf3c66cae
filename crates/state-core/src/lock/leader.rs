//! Standing for election.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::Timestamp,
    error::Classified as _,
    lock::{
        Acquired, Fence, Hold, InvalidOption, LockError, Mode, Realm, Released, Target, Token,
        inner::Inner, options::check_ttl,
    },
    observe::Capability,
};

/// Settings of a campaign.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderOptions {
    /// How long a term lasts without being renewed. Whole milliseconds; 30 s unless set.
    pub ttl: Duration,
    /// How often it is renewed: at most half of `ttl`; 10 s unless set.
    pub renew: Duration,
}

impl Default for LeaderOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            renew: Duration::from_secs(10),
        }
    }
}

impl LeaderOptions {
    /// The same with this lifetime, renewed three times in it.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self.renew = Duration::from_micros(ttl.as_micros() as u64 / 3);
        self
    }

    /// The same, renewed this often.
    #[must_use]
    pub const fn renew(mut self, renew: Duration) -> Self {
        self.renew = renew;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        check_ttl("ttl", self.ttl)?;
        if self.renew.is_zero() || self.renew > self.ttl / 2 {
            return Err(InvalidOption {
                option: "renew",
                rule: "more than zero and at most half of ttl",
            });
        }
        Ok(())
    }
}

/// Who leads, as far as a candidate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// Somebody else.
    Follower,
    /// The candidate.
    Leader {
        /// Larger than that of every term before: the fence of what the leader writes.
        term: Fence,
    },
    /// The backend has not answered yet, or not for a whole lifetime.
    Unknown,
}

/// A candidate. Dropping it ends the campaign and gives a leadership back.
pub struct Campaign {
    shared: Arc<Shared>,
    states: watch::Receiver<Leadership>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Option<Released>>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    hold: Hold,
    renew: Duration,
    /// Microseconds of the local clock.
    valid_until: AtomicU64,
}

impl Campaign {
    pub(super) fn begin(
        inner: Arc<Inner>,
        name: &str,
        options: LeaderOptions,
    ) -> Result<Self, LockError> {
        options.validate()?;
        let hold = Hold {
            target: Target::one(Realm::Leader, Mode::Exclusive, name)?,
            token: Token::random(&*inner.entropy)?,
            ttl: options.ttl,
        };
        let shared = Arc::new(Shared {
            inner,
            hold,
            renew: options.renew,
            valid_until: AtomicU64::new(0),
        });
        let (states, seen) = watch::channel(Leadership::Unknown);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::clone(&shared), states, stopped));
        Ok(Self {
            shared,
            states: seen,
            stop,
            task,
        })
    }

    /// Whether the candidate certainly leads now. Goes by the local clock, so it is false in time
    /// even when the whole process was stalled.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.term().is_some()
    }

    /// The term, while the candidate certainly leads.
    #[must_use]
    pub fn term(&self) -> Option<Fence> {
        match *self.states.borrow() {
            Leadership::Leader { term } if !self.shared.left().is_zero() => Some(term),
            _ => None,
        }
    }

    /// Who leads, and every change of that.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Leadership> {
        self.states.clone()
    }

    /// Ends the campaign; gives the leadership back if the candidate has it.
    ///
    /// Gives what came of that, or `None` when it did not lead or the backend did not answer.
    ///
    /// # Cancel safety
    ///
    /// The campaign ends all the same.
    pub async fn resign(mut self) -> Option<Released> {
        self.stop.send_replace(true);
        (&mut self.task).await.ok().flatten()
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Campaign")
            .field("state", &*self.states.borrow())
            .field("left", &self.shared.left())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn left(&self) -> Duration {
        self.valid_until().saturating_since(self.inner.clock.now())
    }

    fn valid_until(&self) -> Timestamp {
        Timestamp::from_micros(self.valid_until.load(Ordering::Acquire))
    }

    fn set_valid_until(&self, time: Timestamp) {
        self.valid_until.store(time.as_micros(), Ordering::Release);
    }
}

/// Asks for the leadership again and again. Asking with the token that holds it renews it, so a
/// leader that was cut off for a moment goes on at once.
async fn run(
    shared: Arc<Shared>,
    states: watch::Sender<Leadership>,
    mut stopped: watch::Receiver<bool>,
) -> Option<Released> {
    let inner = Arc::clone(&shared.inner);
    let mut failures = 0;
    loop {
        let asked = inner.clock.now();
        let pause = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            answer = inner.store.acquire(&shared.hold, true) => match answer {
                Ok(Acquired::Granted { fence }) => {
                    failures = 0;
                    shared.set_valid_until(inner.valid_until(asked, shared.hold.ttl));
                    if set(&states, Leadership::Leader { term: fence }) {
                        inner.tell(Capability::Leader, "campaign", "elected", Some(asked));
                    }
                    Pause::Until(asked.saturating_add(inner.jittered(shared.renew)))
                }
                Ok(Acquired::Held { remaining }) => {
                    failures = 0;
                    shared.set_valid_until(Timestamp::default());
                    if set(&states, Leadership::Follower) {
                        inner.tell(Capability::Leader, "campaign", "following", Some(asked));
                    }
                    Pause::Bell(remaining.max(inner.options.retry_min).min(inner.options.retry_max))
                }
                Err(error) => {
                    if failures == 0 {
                        inner.tell(Capability::Leader, "campaign", error.code(), Some(asked));
                    }
                    failures += 1;
                    Pause::Until(inner.clock.now().saturating_add(inner.pause(failures)))
                }
            },
            // Nobody knows who leads when an answer takes longer than the term.
            () = term_ends(&shared, &states) => {
                set(&states, Leadership::Unknown);
                continue;
            }
        };
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = pause.over(&shared) => {}
            () = term_ends(&shared, &states) => {
                set(&states, Leadership::Unknown);
            }
        }
    }
    let led = matches!(*states.borrow(), Leadership::Leader { .. });
    shared.set_valid_until(Timestamp::default());
    set(&states, Leadership::Follower);
    // An attempt that was broken off may have been granted.
    let asked = inner.started();
    let released = inner.store.release(&shared.hold).await;
    let outcome = match &released {
        Ok(released) => released.as_str(),
        Err(error) => error.code(),
    };
    inner.tell(Capability::Leader, "resign", outcome, asked);
    released.ok().filter(|_| led)
}

enum Pause {
    Until(Timestamp),
    Bell(Duration),
}

impl Pause {
    async fn over(self, shared: &Shared) {
        let clock = &shared.inner.clock;
        match self {
            Self::Until(time) => clock.sleep_until(time).await,
            Self::Bell(at_most) => {
                let target = &shared.hold.target;
                if shared.inner.store.wait(target, at_most).await.is_err() {
                    // The bell does not work now; time does.
                    let until = clock.now().saturating_add(at_most);
                    clock.sleep_until(until).await;
                }
            }
        }
    }
}

/// Returns when a term that was held is over; never when there is none.
async fn term_ends(shared: &Shared, states: &watch::Sender<Leadership>) {
    if matches!(*states.borrow(), Leadership::Leader { .. }) {
        shared.inner.clock.sleep_until(shared.valid_until()).await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn set(states: &watch::Sender<Leadership>, new: Leadership) -> bool {
    states.send_if_modified(|state| {
        let changed = *state != new;
        *state = new;
        changed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_at_most_half_of_the_lifetime() {
        let second = Duration::from_secs(1);
        let options = LeaderOptions::default().ttl(second);
        assert_eq!(options.validate(), Ok(()));
        assert!(options.renew(second / 2).validate().is_ok());
        for renew in [Duration::ZERO, second * 2 / 3] {
            assert_eq!(options.renew(renew).validate().unwrap_err().option, "renew");
        }
    }
}
