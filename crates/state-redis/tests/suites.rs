//! The suites on a server, a new one for each case.

mod support;

use crate::support::{On, OwnServer};

mod caches {
    use super::{On, OwnServer};

    state_testkit::cache_tests!(On::new(OwnServer).caches(100));
}

mod locks {
    use super::{On, OwnServer};

    state_testkit::lock_tests!(On::new(OwnServer));
}

mod processes_in_one_shard {
    use super::{On, OwnServer};

    state_testkit::process_tests!(On::new(OwnServer).shards(1));
}

mod processes_in_five_shards {
    use super::{On, OwnServer};

    state_testkit::process_tests!(On::new(OwnServer).shards(5));
}

mod rate_limits {
    use super::{On, OwnServer};

    state_testkit::rate_limit_tests!(On::new(OwnServer));
}

mod sessions {
    use super::{On, OwnServer};

    state_testkit::session_tests!(On::new(OwnServer));
}
