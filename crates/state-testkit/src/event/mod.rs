//! The suite of `state_core::event`, and of caches that keep values in their process.

mod bench;
mod cases;

pub use bench::{Bench, Line, Recorder};
pub use cases::{gaps, topics, two_levels};

/// Makes one test of every case. The expression is a future of a [`Bench`], evaluated anew for each.
#[macro_export]
macro_rules! event_tests {
    ($bench:expr) => {
        $crate::event_cases! { $crate::emit_tests, [event, run, $bench] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! event_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            topics {
                events_come_in_order_and_once,
                n_eb_2_who_publishes_is_not_told,
                n_eb_3_events_have_an_id_and_a_number,
                reading_starts_behind_an_event,
                numbers_are_in_the_order_of_the_log,
                topics_are_apart,
                what_is_too_large_is_refused,
                a_handler_that_fails_is_told_the_next_thing,
                n_eb_4_nothing_is_told_after_the_end,
                each_outcome_is_told_once,
            }
            gaps {
                n_eb_1_what_happened_while_the_line_was_cut_is_told,
                t_eb_2_a_log_cut_behind_the_reader_is_a_gap,
                t_eb_3_a_lost_log_is_a_gap,
                n_eb_5_a_handler_that_is_too_slow_is_told_of_a_gap,
                a_number_that_did_not_come_is_a_gap,
                a_message_that_comes_twice_is_told_once,
                what_cannot_be_read_is_a_gap,
                who_starts_behind_what_is_gone_is_told_of_a_gap,
                n_eb_8_a_line_that_is_silent_is_not_live,
            }
            two_levels {
                what_is_kept_here_costs_no_read,
                n_ca_1_nothing_is_kept_longer_than_it_has_left,
                what_others_invalidate_is_not_kept,
                t_eb_1_nothing_is_stale_after_the_line_was_cut,
                n_ca_10_n_eb_6_a_gap_ends_what_is_kept,
                namespaces_share_a_topic,
                a_closed_cache_keeps_nothing,
                keeping_values_needs_a_bus,
            }
        }
    };
}

event_cases! { crate::suite::emit_run_all, [event, Bench, "cases/"] }
