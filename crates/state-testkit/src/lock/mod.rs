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
macro_rules! lock_contract_tests {
    ($harness:expr) => {
        $crate::lock_cases! { emit_lock_tests; $harness }
    };
}

/// Makes one test that runs all cases one after the other, for backends that are dear to start.
#[macro_export]
macro_rules! lock_contract_in_turn {
    ($harness:expr) => {
        $crate::lock_cases! { emit_lock_turns; $harness }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! lock_cases {
    ($emit:ident; $harness:expr) => {
        $crate::$emit! {
            $harness;
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

#[doc(hidden)]
#[macro_export]
macro_rules! emit_lock_tests {
    ($harness:expr; $($group:ident { $($case:ident),+ $(,)? })+) => {
        fn lock_harness() -> impl $crate::lock::LockHarness {
            $harness
        }

        $(mod $group {
            $(#[test]
            fn $case() {
                $crate::suite::run_stepwise(async {
                    let trial = $crate::lock::LockTrial::begin(&super::lock_harness()).await;
                    $crate::lock::$group::$case(&trial).await;
                });
            })+
        })+

        #[test]
        fn every_case_is_listed() {
            $($crate::suite::assert_complete(
                $crate::lock::$group::SOURCE,
                &[$(stringify!($case)),+],
            );)+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! emit_lock_turns {
    ($harness:expr; $($group:ident { $($case:ident),+ $(,)? })+) => {
        #[test]
        fn every_case_in_turn() {
            $crate::suite::run_stepwise(async {
                let harness = $harness;
                $($(
                    println!("{}::{}", stringify!($group), stringify!($case));
                    let trial = $crate::lock::LockTrial::begin(&harness).await;
                    $crate::lock::$group::$case(&trial).await;
                )+)+
            });
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! emit_lock_run_all {
    ($nothing:expr; $($group:ident { $($case:ident),+ $(,)? })+) => {
        /// Runs every case one after the other, on a runtime of one thread.
        pub async fn run_all(harness: &dyn LockHarness) {
            $($(
                println!("{}::{}", stringify!($group), stringify!($case));
                let trial = LockTrial::begin(harness).await;
                $group::$case(&trial).await;
            )+)+
        }
    };
}

lock_cases! { emit_lock_run_all; () }
