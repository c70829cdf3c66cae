//! The in-memory provider and the reference model do the same.

use std::sync::Arc;

use governance_core::Provider;
use governance_memory::MemoryStore;
use governance_testkit::{
    fixtures::VirtualClock,
    model::{self, Report},
    proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner},
};

#[test]
fn memory_and_model_do_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let total = std::cell::Cell::new(Report::default());
    let config = Config {
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::with_cases(150)
    };
    let ops = model::ops(VirtualClock::START, 120);
    let ran = TestRunner::new(config).run(&ops, |ops| {
        let clock = VirtualClock::new();
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let store: Arc<dyn Provider> = Arc::new(store);
        let report = runtime
            .block_on(model::run(&store, Some(&clock), &ops))
            .map_err(|differs| TestCaseError::fail(differs.to_string()))?;
        total.set(total.get().plus(report));
        Ok(())
    });
    if let Err(failed) = ran {
        panic!("{failed}");
    }
    // Too little traffic would prove nothing.
    let total = total.get();
    for (what, count, least) in [
        ("written", total.written, 1_000),
        ("repeated", total.repeated, 50),
        ("conflicts", total.conflicts, 50),
        ("refused", total.refused, 20),
        ("listed", total.listed, 2_000),
    ] {
        assert!(count >= least, "only {count} {what}: {total:?}");
    }
}
