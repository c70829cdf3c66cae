//! The suite of locks on the twin.

use std::{sync::Arc, time::Duration};

use state_core::lock::{Acquired, Hold, LockStore as _, Mode, Realm, Target, Token};
use state_memory::{Faults, lock::MemoryLocks};
use state_testkit::{
    VirtualClock, async_trait,
    lock::{LockHarness, LockParts},
    lock_tests,
};

struct Memory;

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> LockParts {
        let clock = VirtualClock::new();
        LockParts {
            store: Arc::new(MemoryLocks::with(Arc::new(clock.clone()), Faults::new())),
            clock: Arc::new(clock.clone()),
            passage: Arc::new(clock),
            guard: Box::new(()),
        }
    }
}

lock_tests!(Memory);

/// What has expired is nobody's, and does not stay for ever either.
#[tokio::test]
async fn n_lk_13_expired_locks_do_not_pile_up() {
    let clock = VirtualClock::new();
    let store = MemoryLocks::with(Arc::new(clock.clone()), Faults::new());
    let ttl = Duration::from_millis(10);
    let hold = |name: usize, holder| Hold {
        target: Target::one(Realm::Lock, Mode::Exclusive, &format!("l{name}")).unwrap(),
        token: Token::from_bytes([holder; 16]),
        ttl,
    };
    let mut most = 0;
    for name in 0..20_000 {
        let acquired = store.acquire(&hold(name, 1), false).await.unwrap();
        assert!(matches!(acquired, Acquired::Granted { .. }));
        // Nobody ever releases, and at most ten are held at a time.
        clock.advance(ttl / 10);
        most = most.max(store.len());
    }
    assert!(most < 5_000, "{most} locks are kept where ten are held");
    clock.advance(ttl);
    let again = store.acquire(&hold(19_999, 2), false).await.unwrap();
    assert!(matches!(again, Acquired::Granted { .. }), "{again:?}");
    store.sweep();
    assert_eq!(store.len(), 1);
}
