//! The scripts. Each is a file under `lua/` whose head says what goes in and comes out.

use std::sync::LazyLock;

use redis_client::Script;

/// The only writer.
pub(crate) static APPLY: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/apply.lua")));

/// Reads a due set behind a place.
pub(crate) static DUE_PAGE: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/due_page.lua")));

/// Finds what sets of ordinals have in common.
pub(crate) static COMMON: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/common.lua")));

/// Changes the fence.
pub(crate) static FENCE: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/fence.lua")));

/// Looks up an idempotency key.
pub(crate) static FIND: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/find.lua")));

/// Writes for whoever moves the store to another number of partitions.
pub(crate) static COPY: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../lua/copy.lua")));
