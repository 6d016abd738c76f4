//! What every storage engine has to do; each case gets a fresh site.

pub mod claims;
pub mod intake;
pub mod quarantine;
pub mod records;
pub mod settlement;
pub mod transactions;

/// Runs every case as a test of its own on what `$site` makes.
macro_rules! conformance_suite {
    ($site:expr) => {
        conformance_suite!(@ $site;
            intake::stored_readings_are_claimed_as_they_came,
            intake::any_number_of_readings_is_stored,
            intake::values_that_fit_the_column_stay_exact,
            intake::times_as_fine_as_it_tells_apart_stay_exact,
            intake::a_repeated_key_adds_nothing,
            intake::a_key_with_other_contents_is_refused,
            intake::old_keys_are_forgotten,
            intake::known_meters_learn_of_their_last_reading,
            transactions::a_dropped_transaction_leaves_nothing,
            transactions::a_savepoint_protects_its_neighbours,
            transactions::a_panic_in_a_transaction_undoes_it,
            transactions::a_transaction_cancelled_at_any_await_leaves_nothing,
            claims::held_readings_are_passed_over,
            claims::scattered_held_readings_are_passed_over,
            claims::a_late_low_id_is_still_claimed,
            claims::an_unknown_flag_counts_as_pending,
            claims::a_removed_manifest_frees_its_readings,
            settlement::exactly_the_stored_readings_are_deleted,
            settlement::ids_are_never_given_twice,
            settlement::rows_that_nobody_touched_are_deleted_at_once,
            settlement::rows_that_others_touched_are_left_to_be_looked_at,
            settlement::rows_that_are_kept_in_silence_are_told,
            settlement::other_rows_with_the_ids_of_a_batch_are_no_rows_of_its_own,
            settlement::rows_are_read_by_their_ids,
            settlement::marked_readings_leave_the_queue,
            settlement::retries_are_counted,
            settlement::old_synchronized_readings_are_deleted_in_pieces,
            settlement::the_queue_knows_its_bounds,
            settlement::stretches_are_counted,
            settlement::a_kept_count_is_the_counted_one,
            quarantine::readings_are_set_aside_with_an_audit,
            quarantine::corrected_readings_return_under_new_ids,
            quarantine::unreadable_rows_are_named_and_return_corrected,
            quarantine::what_cannot_be_sent_does_not_return,
            quarantine::possible_doubles_need_consent,
            quarantine::filters_choose_entries,
            quarantine::discarded_readings_leave_an_audit,
            quarantine::thousands_return_at_once,
            records::manifests_survive_a_restart,
            records::many_manifests_are_written_at_once,
            records::what_is_on_its_way_is_known,
            records::manifests_are_found_by_state_and_root,
            records::facts_are_remembered_and_forgotten,
            records::the_operation_log_adds_up,
            records::configurations_bring_and_retire_meters,
            records::an_empty_configuration_retires_nobody,
            records::local_readings_are_shown_newest_first,
            records::the_last_collection_outlives_its_readings,
            records::minutes_are_kept_for_a_month,
            records::another_programs_commit_changes_the_length,
        );
    };
    (@ $site:expr; $($room:ident :: $case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::storage::conformance::$room::$case(&$site).await;
            }
        )*
    };
}
