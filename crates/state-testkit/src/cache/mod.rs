//! The suite of `state_core::cache`.

mod bench;
mod cases;
mod interleave;

pub use bench::{Bench, Gate, Loading, text};
pub use cases::{invalidation, loads, values};
pub use interleave::{Interleaving, interleave};

/// Makes one test of every case. The expression is a future of a [`Bench`], evaluated anew for each.
#[macro_export]
macro_rules! cache_tests {
    ($bench:expr) => {
        $crate::cache_cases! { $crate::emit_tests, [cache, run, $bench] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! cache_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            values {
                a_value_that_was_set_is_found,
                n_ca_2_an_empty_value_is_a_value,
                n_ca_3_keys_that_differ_are_different,
                n_ca_4_any_bytes_come_back,
                a_value_whose_time_is_over_is_stale_and_then_gone,
                that_there_is_no_value_is_remembered,
                delete_tells_what_was_there,
                versions_are_apart,
                many_at_once,
                what_is_too_large_is_refused,
                n_ca_11_each_outcome_is_told_once,
            }
            invalidation {
                tags_end_what_has_them,
                tags_that_were_not_named_count_too,
                n_ca_7_a_namespace_ends_alone,
                n_ca_9_lost_epochs_end_values,
                n_ca_6_a_tag_reaches_what_is_stored_at_the_same_time,
                n_ca_12_a_load_does_not_overwrite_an_invalidation,
                n_ca_12_a_load_does_not_overwrite_a_set,
                n_ca_12_a_load_does_not_bring_back_what_was_deleted,
                who_comes_after_an_invalidation_joins_no_older_load,
                n_ca_12_an_old_lease_fills_nothing,
                t_ca_3_random_interleavings,
            }
            loads {
                a_miss_is_loaded_once_and_then_a_hit,
                that_there_is_nothing_to_load_is_remembered_if_wanted,
                an_error_of_the_loader_passes_through_and_is_not_kept,
                t_ca_1_many_misses_in_many_processes_are_one_load,
                n_ca_13_loads_of_other_keys_do_not_wait,
                who_waited_long_enough_loads_without_storing,
                somebody_elses_load_leaves_the_stale_value,
                soft_timeout_gives_the_stale_value_and_loads_on,
                hard_timeout_ends_a_load,
                a_failed_load_leaves_the_stale_value_and_a_pause,
                a_panic_of_the_loader_is_an_error_and_frees_the_key,
                a_caller_that_left_leaves_its_load,
            }
        }
    };
}

cache_cases! { crate::suite::emit_run_all, [cache, Bench, "cases/"] }
