//! The conformance suite on one server, whole and cut into partitions.

mod support;

mod one_partition {
    use governance_testkit::conformance_tests;

    use crate::support::Standalone;

    conformance_tests!(Standalone(1));
}

mod sixteen_partitions {
    use governance_testkit::conformance_tests;

    use crate::support::Standalone;

    conformance_tests!(Standalone(16));
}
