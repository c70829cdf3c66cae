//! The suite of `state_core::process`.

pub mod claims;
pub mod happenings;
pub mod listings;
pub mod records;
mod trial;

pub use trial::{ProcessHarness, ProcessParts, ProcessTrial};

/// Makes one test of every case, for the harness the expression gives.
#[macro_export]
macro_rules! process_tests {
    ($harness:expr) => {
        $crate::process_cases! { $crate::emit_tests, [process, run_stepwise, $crate::process::ProcessTrial::begin(&$harness)] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! process_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            records {
                created_process_is_there,
                taken_id_is_told,
                repeated_creation_is_recognised,
                changes_are_kept_and_the_rest_stays,
                t_ps_2_old_versions_are_refused,
                n_ps_12_missing_process_accepts_no_version,
                n_ps_13_versions_go_on_after_a_deletion,
                repeated_save_is_recognised,
                n_ps_2_nothing_leaves_an_end,
                n_ps_2_note_on_an_ended_process_does_not_revive_it,
                n_ps_1_late_progress_does_not_undo_the_end,
                n_ps_15_other_refusals_are_no_conflicts,
                every_transition_is_as_the_table_says,
                named_sources_are_checked_too,
                n_ps_3_every_end_has_a_time,
                n_ps_6_paused_process_stays,
                n_ps_14_ended_process_goes_after_its_retention,
                deletion_checks_the_version,
                n_ps_17_what_is_read_is_a_copy,
                t_ps_1_one_of_many_writers_wins,
                n_ps_10_an_end_is_written_though_nobody_waits,
                bad_arguments_are_refused,
            }
            claims {
                claimed_process_is_busy,
                repeated_claim_is_the_same,
                write_of_a_claimed_process_needs_its_fence,
                t_ps_5_n_ps_9_silent_worker_is_replaced,
                n_ps_16_odd_lease_is_taken_whole_or_not_at_all,
                heartbeat_prolongs,
                released_process_can_be_claimed,
                late_release_disturbs_nobody,
                cancelled_process_refuses_its_worker,
                ended_process_cannot_be_claimed,
                n_ps_11_one_of_many_workers_wins,
                kept_claim_lasts,
                lost_claim_is_signalled,
            }
            listings {
                listings_have_what_they_say,
                pages_have_everything_once,
                n_ps_5_ids_are_no_keys,
                n_ps_4_listings_follow_every_step,
                foreign_cursor_is_refused,
            }
            happenings {
                every_step_is_told,
                reading_goes_on_from_a_cursor,
                waiting_ends_with_an_event,
                trimmed_events_are_told_as_a_gap,
                each_outcome_is_observed_once,
            }
        }
    };
}

process_cases! { crate::suite::emit_run_all, [process, ProcessTrial, ""] }
