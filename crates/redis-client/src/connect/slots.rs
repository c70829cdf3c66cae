//! Which node serves which slot.

use std::collections::{HashMap, HashSet};

use redis::{ErrorKind, RedisError, Value, from_redis_value};

use crate::config::Address;

/// The slots of a cluster as one of its nodes sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    /// Sorted by first slot, without overlap.
    ranges: Vec<SlotRange>,
    /// What redirections said since.
    moved: HashMap<u16, Address>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SlotRange {
    first: u16,
    last: u16,
    primary: Address,
}

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS` of a node.
    pub(crate) fn read(answer: Value, asked: &Address) -> Result<Self, RedisError> {
        let rows: Vec<Vec<Value>> = from_redis_value(answer)?;
        let mut ranges = Vec::with_capacity(rows.len());
        for row in rows {
            let mut row = row.into_iter();
            let mut next = || {
                row.next()
                    .ok_or_else(|| bad("a row of CLUSTER SLOTS is short"))
            };
            let first: u16 = from_redis_value(next()?)?;
            let last: u16 = from_redis_value(next()?)?;
            let node: Vec<Value> = from_redis_value(next()?)?;
            let mut node = node.into_iter();
            let host: Option<String> = from_redis_value(node.next().unwrap_or(Value::Nil))?;
            let port: u16 = from_redis_value(node.next().unwrap_or(Value::Nil))?;
            let primary = locate(host.as_deref().unwrap_or_default(), port, asked)?;
            ranges.push(SlotRange {
                first,
                last,
                primary,
            });
        }
        ranges.sort_by_key(|range| range.first);
        Ok(Self {
            ranges,
            moved: HashMap::new(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn primary(&self, slot: u16) -> Option<&Address> {
        self.moved.get(&slot).or_else(|| {
            let after = self.ranges.partition_point(|range| range.first <= slot);
            let range = self.ranges.get(after.checked_sub(1)?)?;
            (slot <= range.last).then_some(&range.primary)
        })
    }

    pub(crate) fn primaries(&self) -> HashSet<&Address> {
        let listed = self.ranges.iter().map(|range| &range.primary);
        listed.chain(self.moved.values()).collect()
    }

    pub(crate) fn record_move(&mut self, slot: u16, to: Address) {
        self.moved.insert(slot, to);
    }
}

/// Where a redirection points: `<slot> <host>:<port>`.
pub(crate) fn redirection(detail: &str, asked: &Address) -> Option<(u16, Address)> {
    let (slot, place) = detail.split_once(' ')?;
    let (host, port) = place.trim().rsplit_once(':')?;
    let address = locate(host, port.parse().ok()?, asked).ok()?;
    Some((slot.parse().ok()?, address))
}

/// A node that does not know its own name leaves it out or writes `?`; it is where it was asked.
fn locate(host: &str, port: u16, asked: &Address) -> Result<Address, RedisError> {
    match host {
        "" | "?" => asked
            .host()
            .map(|host| Address::tcp(host, port))
            .ok_or_else(|| bad("a node of the cluster has no host")),
        host => Ok(Address::tcp(host, port)),
    }
}

fn bad(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn row(first: i64, last: i64, host: Value, port: i64) -> Value {
        Value::Array(vec![
            Value::Int(first),
            Value::Int(last),
            Value::Array(vec![host, Value::Int(port), text("id")]),
            Value::Array(vec![text("replica"), Value::Int(9), text("id")]),
        ])
    }

    #[test]
    fn reads_rows_in_any_order_and_finds_slots() {
        let asked = Address::tcp("seed", 1);
        let answer = Value::Array(vec![
            row(100, 200, text("b"), 2),
            row(0, 99, text(""), 1),
            row(300, 300, Value::Nil, 3),
        ]);
        let map = SlotMap::read(answer, &asked).unwrap();
        for (slot, expected) in [
            (0, Some(Address::tcp("seed", 1))),
            (99, Some(Address::tcp("seed", 1))),
            (100, Some(Address::tcp("b", 2))),
            (200, Some(Address::tcp("b", 2))),
            (201, None),
            (299, None),
            (300, Some(Address::tcp("seed", 3))),
            (301, None),
        ] {
            assert_eq!(map.primary(slot), expected.as_ref(), "{slot}");
        }
        assert_eq!(map.primaries().len(), 3);
        assert_eq!(SlotMap::default().primary(0), None);
    }

    #[test]
    fn a_short_row_is_an_error() {
        let answer = Value::Array(vec![Value::Array(vec![Value::Int(1)])]);
        assert!(SlotMap::read(answer, &Address::tcp("h", 1)).is_err());
    }

    #[test]
    fn a_redirection_wins_over_the_list() {
        let asked = Address::tcp("seed", 1);
        let mut map = SlotMap::read(Value::Array(vec![row(0, 9, text("a"), 1)]), &asked).unwrap();
        let (slot, to) = redirection("5 10.0.0.1:7001", &asked).unwrap();
        map.record_move(slot, to);
        assert_eq!(map.primary(5), Some(&Address::tcp("10.0.0.1", 7001)));
        assert_eq!(map.primary(6), Some(&Address::tcp("a", 1)));
        assert_eq!(
            redirection("5 :7001", &asked),
            Some((5, Address::tcp("seed", 7001)))
        );
        assert_eq!(
            redirection("5 ::1:7001", &asked),
            Some((5, Address::tcp("::1", 7001)))
        );
        assert_eq!(redirection("5", &asked), None);
    }
}
