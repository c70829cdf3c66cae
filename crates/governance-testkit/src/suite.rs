//! The list of cases, and the tests made of it.

use std::{collections::BTreeSet, future::Future};

/// Makes one test of every conformance case, for the harness the expression gives.
///
/// The tests are grouped in modules (`requests`, `states`, `commit`, `queries`, `feed`, `clock`,
/// `concurrency`, `scenarios`, `faults`), so `cargo test queries::` runs one group. Each has a
/// store of its own. No other dependency is needed for it.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::emit_conformance_tests! {
            $harness;
            requests {
                create_then_get,
                absent_is_none,
                duplicate_id_is_refused,
                repeated_create_finds_the_first,
                repeated_create_finds_the_request_as_it_is_now,
                duplicate_key_finds_the_first,
                keys_of_other_states_are_apart,
                create_of_a_request_that_is_not_new_is_refused,
                id_that_does_not_route_to_its_state_is_refused,
                change_from_the_stored_revision_is_stored,
                change_from_an_older_revision_conflicts,
                change_from_a_later_revision_conflicts,
                change_of_a_missing_request_is_not_found,
                rewritten_history_is_refused,
                replaced_decision_is_refused,
                dropped_decision_is_refused,
                repeated_change_finds_the_first_outcome,
                repeated_change_is_known_after_others,
                same_operation_on_an_old_form_finds_the_first_outcome,
                same_operation_on_the_stored_form_finds_the_first_outcome,
                get_many_keeps_order_and_gaps,
                purge_of_an_open_request_is_refused,
                purge_checks_the_revision,
                purge_frees_the_key,
                purge_removes_from_every_listing,
                purged_id_can_be_created_again,
                reopened_store_has_everything,
            }
            states {
                never_written_is_absent,
                save_from_the_stored_version_is_stored,
                save_from_another_version_conflicts,
                deleted_state_keeps_counting,
                repeated_save_finds_the_first_outcome,
                same_save_of_another_operation_conflicts,
                states_are_apart,
                reopened_store_goes_on_counting,
            }
            commit {
                request_and_state_change_together,
                commit_without_a_state,
                commit_can_delete_the_state,
                commit_does_to_the_state_what_its_request_says,
                nothing_is_stored_when_the_state_conflicts,
                nothing_is_stored_when_the_request_conflicts,
                nothing_is_stored_when_the_second_request_conflicts,
                nothing_is_stored_when_a_request_is_missing,
                nothing_is_stored_when_a_history_is_rewritten,
                repeated_commit_finds_the_first_outcome,
                repeated_commit_is_known_after_others,
                superseding_stores_both_sides,
                commit_across_slots_is_refused,
                malformed_commit_is_refused,
            }
            queries {
                presets_find_what_they_say,
                every_status_is_found,
                every_condition_and_its_negation,
                conditions_combine,
                tenants_are_apart,
                a_change_is_visible_at_once,
                orders_of_submission,
                order_of_deadlines,
                equal_deadlines_are_all_listed,
                paging_finds_everything_once,
                cursor_survives_its_text,
                paging_with_writes_between_pages,
                paging_under_writes,
                foreign_cursor_is_refused,
                malformed_cursor_is_refused,
                oversized_filter_is_refused,
                oversized_texts_are_refused,
                decidable_by_is_exact,
                counts_are_never_too_high,
            }
            listings {
                approvals_stand_as_they_stand,
                approvals_newest_first,
                decisions_in_the_order_they_were_stored,
                decisions_are_filtered,
                decisions_by_deadline_are_refused,
                decisions_after_a_purge,
                made_up_positions_are_answered_or_refused,
            }
            feed {
                events_of_one_state_are_in_order,
                refused_and_repeated_writes_are_not_told,
                reading_goes_on_from_any_token,
                each_state_keeps_its_order,
                head_is_behind_the_last_event,
                waiting_ends_with_a_write,
                foreign_token_is_refused,
                made_up_tokens_are_answered_or_refused,
                limits_are_checked,
                trimmed_feed_tells_that_a_token_expired,
                reopened_feed_goes_on_from_a_token,
                concurrent_writes_are_all_told,
            }
            clock {
                tells_a_plausible_time,
                every_handle_is_told_the_same_clock,
                set_clock_is_told,
                listings_go_by_the_clock,
            }
            concurrency {
                read_modify_write_of_a_state_loses_nothing,
                read_modify_write_of_a_request_loses_nothing,
                creates_of_one_id_have_one_winner,
                creates_of_one_key_have_one_winner,
                changes_from_one_revision_have_one_winner,
                commits_of_one_request_have_one_winner,
                executions_of_one_request_change_the_state_once,
                executions_about_one_state_add_up,
                votes_at_the_same_time_are_all_kept,
                one_voter_at_the_same_time_has_one_vote,
                one_operation_at_the_same_time_is_done_once,
                opposite_acts_end_in_one_outcome,
                overdue_request_expires_once,
                stale_reader_does_not_overwrite,
            }
            scenarios {
                submit_approve_execute,
                mutation_ends_the_state,
                denied_submission_is_remembered,
                rejected_request_stays_rejected,
                withdrawn_vote_can_be_given_again,
                roles_come_from_the_directory,
                unsatisfiable_request_is_refused,
                stale_request_is_rejected,
                stale_request_is_approved_again,
                stale_request_is_revalidated,
                stale_request_waits_when_policies_require_more,
                stale_request_runs_on_any_version,
                failed_execution_is_retried,
                superseded_request_is_linked_both_ways,
                amendments_are_recorded,
                tick_expires_what_is_due,
                overdue_request_takes_no_votes,
                submission_is_repeated_by_its_key,
                operation_is_repeated_by_its_id,
                dry_run_stores_nothing,
                other_tenants_do_not_exist,
            }
            faults {
                lost_reply_of_a_vote_is_settled,
                lost_reply_of_a_change_is_settled_by_the_store,
                lost_reply_of_an_execution_is_settled,
                lost_reply_of_a_superseding_is_settled,
                lost_reply_of_a_submission_is_settled,
                submission_that_stays_unknown_is_settled_later,
                write_that_stays_unanswered_is_unknown,
                lost_reply_and_no_reads_is_unknown,
                lost_execution_and_no_reads_is_unknown,
                failures_are_told_apart,
                sweep_goes_on_past_a_failure,
                stale_read_of_a_request_loses_no_vote,
                stale_read_of_a_state_is_caught_by_the_commit,
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! emit_conformance_tests {
    ($harness:expr; $($group:ident { $($case:ident),+ $(,)? })+) => {
        fn conformance_harness() -> impl $crate::ProviderHarness {
            $harness
        }

        $(mod $group {
            $(#[test]
            fn $case() {
                $crate::suite::run(async {
                    let trial = $crate::Trial::begin(super::conformance_harness()).await;
                    $crate::cases::$group::$case(&trial).await;
                });
            })+
        })+

        #[test]
        fn every_case_is_listed() {
            $crate::suite::assert_complete(&[$((stringify!($group), &[$(stringify!($case)),+])),+]);
        }
    };
}

/// Runs a case on a runtime of several threads.
///
/// # Panics
///
/// When the case does, or no runtime can be started.
#[doc(hidden)]
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(case);
}

/// The files the cases are in.
const FILES: &[(&str, &str)] = &[
    ("requests", include_str!("cases/requests.rs")),
    ("states", include_str!("cases/states.rs")),
    ("commit", include_str!("cases/commit.rs")),
    ("queries", include_str!("cases/queries.rs")),
    ("listings", include_str!("cases/listings.rs")),
    ("feed", include_str!("cases/feed.rs")),
    ("clock", include_str!("cases/clock.rs")),
    ("concurrency", include_str!("cases/concurrency.rs")),
    ("scenarios", include_str!("cases/scenarios.rs")),
    ("faults", include_str!("cases/faults.rs")),
];

/// Compares a list of cases with the files they are in: a case that is written but not listed, or
/// a whole file, would be a test that never runs.
///
/// # Panics
///
/// When something is left out.
#[doc(hidden)]
pub fn assert_complete(listed: &[(&str, &[&str])]) {
    let names: BTreeSet<_> = listed.iter().map(|(group, _)| *group).collect();
    let files: BTreeSet<_> = FILES.iter().map(|(group, _)| *group).collect();
    assert_eq!(names, files, "groups listed, and files");
    for (group, source) in FILES {
        let written: BTreeSet<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        let cases: BTreeSet<_> = listed
            .iter()
            .filter(|(name, _)| name == group)
            .flat_map(|(_, cases)| cases.iter().copied())
            .collect();
        assert_eq!(cases, written, "cases of {group} listed, and written");
        assert!(!cases.is_empty(), "{group} has no cases");
    }
}
