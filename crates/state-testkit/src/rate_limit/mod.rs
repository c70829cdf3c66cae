//! The suite of `state_core::rate_limit`.

pub mod counting;
pub mod fronts;
mod trial;

pub use trial::{RateLimitHarness, RateLimitParts, RateLimitTrial};

/// Makes one test of every case, for the harness the expression gives.
#[macro_export]
macro_rules! rate_limit_tests {
    ($harness:expr) => {
        $crate::rate_limit_cases! { $crate::emit_tests, [rate_limit, run_stepwise, $crate::rate_limit::RateLimitTrial::begin(&$harness)] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! rate_limit_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            counting {
                as_many_as_the_burst_and_no_more,
                denied_calls_can_be_repeated_in_time,
                n_rl_5_denied_calls_cost_nothing,
                n_rl_3_no_cost_is_negative,
                more_than_the_most_is_never_allowed,
                looking_costs_nothing,
                subjects_rules_and_scopes_are_apart,
                several_rules_take_place_together_or_not_at_all,
                rules_of_several_kinds_count_together,
                answers_at_once_and_later_count_together,
                refunds_give_back,
                resets_forget,
                smaller_limit_is_not_overdrawn,
                counters_end_by_themselves,
                t_rl_2_n_rl_7_many_callers_get_exactly_the_burst,
                n_rl_12_limits_are_kept_within_milliseconds,
            }
            fronts {
                remembered_denials_ask_nobody,
                smaller_costs_ask_again,
                deny_cache_can_be_off,
                silent_backend_is_answered_for_openly,
                silent_backend_is_answered_for_with_a_denial,
                n_rl_6_the_callers_clock_has_no_part,
                n_rl_11_local_share_is_a_share,
                bad_arguments_are_refused,
                each_outcome_is_observed_once,
            }
        }
    };
}

rate_limit_cases! { crate::suite::emit_run_all, [rate_limit, RateLimitTrial, ""] }
