//! How deep values may be.

use serde_json::{Map, Value};

/// Whether a value is not so deep that it could be written, and not be read again.
pub(crate) fn is_readable(value: &Value) -> bool {
    const DEEPEST: usize = 120;
    let mut level: Vec<&Value> = vec![value];
    for _ in 0..DEEPEST {
        let inner = level.into_iter().flat_map(|value| {
            let (list, map) = (value.as_array(), value.as_object());
            let list = list.into_iter().flatten();
            list.chain(map.into_iter().flat_map(Map::values))
        });
        level = inner
            .filter(|value| value.is_array() || value.is_object())
            .collect();
        if level.is_empty() {
            return true;
        }
    }
    false
}
