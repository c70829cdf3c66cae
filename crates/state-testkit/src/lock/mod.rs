//! The suite of `state_core::lock`.

pub mod elections;
pub mod guards;
pub mod holds;
pub mod shared;
mod stalling;
mod trial;

pub use trial::{LockHarness, LockParts, LockTrial};

/// Makes one test of every case, for the harness the expression gives.
#[macro_export]
macro_rules! lock_tests {
    ($harness:expr) => {
        $crate::lock_cases! { $crate::emit_tests, [lock, run_stepwise, $crate::lock::LockTrial::begin(&$harness)] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! lock_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            holds {
                free_lock_is_granted,
                held_lock_is_granted_to_nobody_else,
                names_are_apart,
                released_lock_is_free,
                t_lk_4_same_token_has_the_same_fence,
                t_lk_2_fences_rise,
                expired_lock_goes_to_the_next,
                t_lk_5_release_of_an_expired_lock_is_told,
                n_lk_4_release_disturbs_no_other_holder,
                extension_prolongs,
                extension_of_a_lost_lock_changes_nothing,
                t_lk_6_short_lifetimes_work,
                several_names_are_locked_together_or_not_at_all,
                one_token_on_overlapping_names_has_one_fence,
                n_lk_5_partly_lost_names_are_told,
                t_lk_1_guarded_write_of_an_older_holder_is_refused,
                guarded_value_expires,
                lost_replies_change_nothing,
            }
            shared {
                readers_share,
                writer_is_alone,
                waiting_writer_keeps_new_readers_out,
                permits_are_counted,
                expired_permit_is_free,
                place_of_a_same_token_is_kept,
                release_of_a_lost_place_is_told,
                kinds_of_one_name_are_apart,
            }
            guards {
                guard_is_good_for_its_lifetime,
                n_lk_2_time_until_the_answer_counts,
                n_lk_6_who_held_it_before_has_no_rights,
                n_lk_11_failed_extension_leaves_nothing_locked,
                n_lk_15_no_name_is_told,
                guard_renews_itself,
                n_lk_3_lost_lock_is_signalled,
                extended_guard_lives_longer,
                n_lk_10_dropped_guard_is_released_in_the_background,
                cancelled_wait_leaves_nothing,
                n_lk_14_release_wakes_the_waiter,
                n_lk_12_wait_ends,
                waiters_take_turns,
                t_lk_3_contenders_are_never_two,
                n_lk_7_same_holder_may_hold_several,
                each_outcome_is_observed_once,
            }
            elections {
                one_candidate_leads,
                resignation_hands_over,
                n_lk_8_stalled_leader_knows_in_time,
                terms_rise,
                dropped_campaign_ends,
            }
        }
    };
}

lock_cases! { crate::suite::emit_run_all, [lock, LockTrial, ""] }
