//! The scripts of caches.

use std::sync::LazyLock;

use redis_client::Script;

macro_rules! scripts {
    ($($name:ident $file:literal)+) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::embedded(include_str!(concat!("../../lua/", $file))));)+
    };
}

scripts! {
    ABANDON "cache_abandon.lua"
    BEGIN "cache_begin.lua"
    DELETE "cache_delete.lua"
    FILL "cache_fill.lua"
    INVALIDATE "cache_invalidate.lua"
    SET "cache_set.lua"
    SHORTEN "cache_shorten.lua"
}
