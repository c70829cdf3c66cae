//! The suite of `state_core::session`.

pub mod grace;
pub mod lives;
pub mod races;
mod trial;

use std::sync::Arc;

pub use trial::{SessionHarness, SessionParts, SessionTrial};

/// Makes one test of every case, for the harness the expression gives.
#[macro_export]
macro_rules! session_tests {
    ($harness:expr) => {
        $crate::session_cases! { $crate::emit_tests, [session, run_stepwise, std::future::ready($harness)] }
    };
}

/// The list of the cases, handed to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! session_cases {
    ($then:path, $first:tt) => {
        $then! { $first
            lives {
                created_session_is_loaded,
                what_is_no_id_is_gone,
                n_se_6_saves_do_not_overwrite_each_other,
                n_se_3_save_of_an_ended_session_is_lost,
                idle_session_ends,
                used_session_lives_to_its_age,
                new_id_opens_and_the_old_one_does_not,
                session_of_nobody_becomes_a_users,
                sessions_of_a_user_are_listed,
                n_se_9_index_forgets_what_is_over,
                t_se_2_revocation_ends_everything_that_had_begun,
                n_se_11_revocation_is_exact,
                spared_session_stays,
                oldest_session_makes_room,
                login_in_a_session_makes_room_too,
                shorter_life_holds_for_listings_too,
                what_a_listing_left_out_stays_over,
                longer_life_leaves_no_session_unlisted,
                longer_life_brings_nothing_back_that_was_revoked,
                rotated_keys_open_old_sessions,
                large_data_is_refused,
                each_outcome_is_observed_once,
            }
            grace {
                replaced_id_leads_to_the_session,
                change_of_rights_leaves_no_old_id,
                replaced_id_stops_by_itself,
                what_began_before_a_rotation_goes_on,
                end_by_an_old_id_ends_the_session,
                end_of_the_session_ends_old_ids,
                revocation_reaches_old_ids_and_spares_by_them,
                old_id_does_not_become_a_new_one,
                rotation_again_and_again_is_followed,
                rotated_keys_leave_old_ids_good,
                session_by_an_old_id_becomes_a_users,
                n_se_1_place_of_an_old_id_is_taken,
                list_has_no_old_ids,
            }
            races {
                n_se_1_create_does_not_overwrite,
                n_se_2_search_for_an_id_ends,
                n_se_4_time_is_the_backends,
                n_se_8_logout_elsewhere_is_seen_at_once,
                t_se_1_logout_and_save_at_once,
                t_se_2_revocation_and_logins_at_once,
            }
        }
    };
}

session_cases! { crate::suite::emit_run_all, [session, Arc<dyn SessionHarness>, ""] }
