//! The conformance suite, every case a test of its own: on one server, whole and cut into
//! partitions, behind Sentinel, and on a cluster of three masters with a replica each.

mod support;

mod one_partition {
    use governance_testkit::conformance_tests;

    use crate::support::topology::On;

    conformance_tests!(On::Standalone(1));
}

mod sixteen_partitions {
    use governance_testkit::conformance_tests;

    use crate::support::topology::On;

    conformance_tests!(On::Standalone(16));
}

mod behind_sentinel {
    use governance_testkit::conformance_tests;

    use crate::support::topology::On;

    conformance_tests!(On::Sentinel(1));
}

mod on_a_cluster {
    use governance_testkit::conformance_tests;

    use crate::support::topology::On;

    conformance_tests!(On::Cluster(16));
}
