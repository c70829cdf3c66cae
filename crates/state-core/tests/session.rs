//! Ids, their hashes, and what a stored session is worth.

use std::time::Duration;

use state_core::{
    BackendError, Entropy, Timestamp,
    session::{Lifetime, SessionId, SessionKeys, Standing, Times, standing},
};

#[derive(Debug)]
struct Same(u8);

impl Entropy for Same {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        bytes.fill(self.0);
        Ok(())
    }
}

fn id(byte: u8) -> SessionId {
    SessionId::random(&Same(byte)).expect("bytes")
}

const SECRET: &[u8] = &[0x61; 32];

#[test]
fn n_se_5_an_id_is_stored_as_a_keyed_hash_and_never_shown() {
    let keys = SessionKeys::new(SECRET).expect("a secret");
    let (id, text) = (id(7), id(7).expose());
    let hash = keys.hash(&id);
    assert_ne!(hash.as_str(), text.as_str());
    let printed = format!("{id:?} {keys:?} {hash:?}");
    assert_eq!(printed, "SessionId(..) SessionKeys(..) SessionHash(..)");
    let other = SessionKeys::new(&[0x62; 32]).expect("a secret");
    assert_ne!(other.hash(&id), hash);
    let rotated = other.previous(SECRET).expect("a secret");
    assert_eq!(rotated.previous_hash(&id), Some(hash));
}

#[test]
fn only_the_text_of_an_id_is_an_id() {
    let text = id(255).expose();
    assert_eq!(text.len(), SessionId::CHARACTERS);
    assert!(SessionId::parse(&text).is_some());
    let longer = format!("{}a", *text);
    // The last character has two bits too many; they have to be zero.
    let bits_to_spare = format!("{}9", &text[..42]);
    for wrong in ["", &text[1..], &longer, &"+".repeat(43), &bits_to_spare] {
        assert!(SessionId::parse(wrong).is_none(), "{wrong}");
    }
    assert!(SessionKeys::new(&SECRET[1..]).is_err());
}

const T: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

fn at(seconds: u64) -> Timestamp {
    T.saturating_add(Duration::from_secs(seconds))
}

fn judge(seen: u64, now: u64, cut: Option<Timestamp>) -> Standing {
    let times = Times {
        created: T,
        seen: at(seen),
        ends: at(86_400),
    };
    standing(&Lifetime::default(), times, cut, at(now))
}

#[test]
fn n_se_7_a_request_is_written_once_in_a_tenth_of_the_idle_time() {
    let live = |touch, left| Standing::Live {
        touch,
        left: Duration::from_secs(left),
    };
    assert_eq!(judge(0, 179, None), live(false, 1_621));
    assert_eq!(judge(0, 180, None), live(true, 1_800));
    assert_eq!(judge(85_000, 86_300, None), live(true, 100));
}

#[test]
fn sessions_end_idle_or_old() {
    assert_eq!(judge(0, 1_800, None), Standing::Expired);
    assert_eq!(judge(86_399, 86_400, None), Standing::Expired);
    let mut shorter = Lifetime::default();
    shorter.max_age = Duration::from_secs(60);
    let times = Times {
        created: T,
        seen: at(60),
        ends: at(86_400),
    };
    assert_eq!(standing(&shorter, times, None, at(60)), Standing::Expired);
}

#[test]
fn n_se_11_revocation_is_compared_in_microseconds() {
    let just_before = T.saturating_sub(Duration::from_micros(1));
    let live = judge(0, 1, Some(just_before));
    assert!(matches!(live, Standing::Live { .. }));
    assert_eq!(judge(0, 1, Some(T)), Standing::Revoked);
}
