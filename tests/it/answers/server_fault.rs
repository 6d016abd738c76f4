//! 5xx, 408, 409 and 425: repeated with backoff, given up for a pass, parked after three.

use std::time::Duration;

use meterit_sync::{
    control::ControlError,
    demo::client_system::FaultPath,
    domain::{pass::PassEnd, status::State},
};

use crate::helpers::{Plan, answer, on_batch};

#[actix::test]
async fn every_such_status_repeats_the_same_bytes_under_the_same_key() {
    for status in [500, 502, 503, 504, 599, 408, 409, 425] {
        let site = Plan::default()
            .fault(on_batch(answer(status, r#"{"success":false}"#)).times(2))
            .start(5)
            .await;
        site.pause_of(Duration::from_secs(2), 1).await;
        site.pause_of(Duration::from_secs(4), 2).await;
        site.drained().await;
        let ledger = site.simulator.ledger();
        assert_eq!((ledger.keys, ledger.batches_received), (1, 3), "{status}");
        assert_eq!(ledger.distinct_readings, 5, "{status}");
        let link = site.status().connectivity;
        assert!(
            link.is_connected && link.last_failed_connection.is_none(),
            "{status}"
        );
        site.finish().await;
    }
}

#[actix::test]
async fn five_repetitions_then_the_batch_waits_for_the_next_pass_under_its_key() {
    let site = Plan::default()
        .batch_size(5)
        .fault(on_batch(answer(500, "out of order")).times(6))
        .start_settled(5)
        .await;
    let id = site.control().trigger_sync().await.expect("a pass");
    site.eventually("the first sending", || site.batches().len() == 1)
        .await;
    for (sendings, pause) in [2, 4, 8, 16, 32].into_iter().enumerate() {
        site.pause_of(Duration::from_secs(pause), sendings + 1)
            .await;
    }
    site.pass_ended(id).await;
    assert_eq!(site.batches().len(), 6);
    site.database.insert(5..8).await;
    assert_eq!(site.database.pending().await, 8);
    assert_given_up_in_words(&site).await;

    site.clock.advance(Duration::from_secs(1));
    let report = site.control().trigger_sync_and_wait().await;
    assert_eq!(report.expect("the server has recovered").delivered, 8);
    let batches = site.batches();
    assert_eq!(batches.len(), 8);
    assert!(batches[..7].iter().all(|batch| batch.key == batches[0].key));
    assert_ne!(batches[7].key, batches[0].key);
    assert_eq!(site.status().state, State::Ok);
    site.finish().await;
}

async fn assert_given_up_in_words(site: &crate::helpers::Site) {
    let retried = site
        .database
        .column("SELECT retry_count AS it FROM meter_readings ORDER BY id")
        .await;
    assert_eq!(retried, ["1", "1", "1", "1", "1", "0", "0", "0"]);
    let log = site
        .database
        .column("SELECT batch_size || ' ' || success || ' ' || error_message AS it FROM sync_log")
        .await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].starts_with("5 0 ") && log[0].contains("500"),
        "{log:?}"
    );
    let status = site.status();
    assert_eq!((status.sync.total_synced, status.sync.total_failed), (0, 5));
    assert_eq!(status.sync.last_sync_success, Some(false));
    assert!(
        status
            .sync
            .last_sync_error
            .is_some_and(|words| words.contains("500"))
    );
    assert_eq!(status.state, State::Degraded);
}

#[actix::test]
async fn while_a_pass_brings_nothing_the_sentence_says_why_and_when_it_goes_on() {
    let site = Plan::default()
        .fault(on_batch(answer(500, r#"{"message":"out of order"}"#)).times(2))
        .start_settled(5)
        .await;
    let id = site.control().trigger_sync().await.expect("a pass");
    site.until("the setback", |status| {
        status.state == State::Syncing
            && status
                .reason
                .contains("0 readings delivered so far, 5 to go")
            && status
                .reason
                .contains("the last sending failed (the Client System failed (500): out of order)")
            && status.reason.contains("it is repeated at ")
    })
    .await;
    assert_eq!(site.status().queue.eta_s, None);
    site.pause_of(Duration::from_secs(2), 1).await;
    site.pause_of(Duration::from_secs(4), 2).await;
    site.pass_ended(id).await;
    let status = site.status();
    assert_eq!(status.state, State::Ok, "{}", status.reason);
    site.finish().await;
}

#[actix::test]
async fn a_batch_that_goes_on_failing_is_told_until_it_is_taken_itself() {
    let site = Plan::default()
        .batch_size(5)
        .fault(on_batch(answer(500, "a row that I cannot digest")).containing_meter("M-2"))
        .start_settled(15)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.until("the others are taken", |status| {
        status.sync.total_synced == 10
    })
    .await;
    let trouble = site.status().upload_trouble.expect("a trouble");
    assert!(trouble.words.contains("that I cannot digest"));
    site.advance_until("degraded", Duration::from_millis(500), || {
        site.status().state == State::Degraded
    })
    .await;
    let status = site.status();
    assert_eq!(status.since, trouble.since);
    assert!(status.last_pass.is_none_or(|pass| pass.delivered == 0));
    assert!(
        status.reason.contains("that I cannot digest") && status.reason.contains("10 readings"),
        "{}",
        status.reason
    );
    site.database.insert(20..22).await;
    site.advance_until("others to be taken", Duration::from_millis(500), || {
        site.status().sync.total_synced == 12
    })
    .await;
    let told = site.status().upload_trouble.expect("it still fails");
    assert!(told.words.contains("that I cannot digest"), "{told:?}");

    site.simulator.clear_faults();
    site.advance_until_drained(Duration::from_millis(500)).await;
    let status = site.status();
    assert_eq!((status.state, status.upload_trouble), (State::Ok, None));
    site.finish().await;
}

#[actix::test]
async fn a_batch_that_fails_in_three_passes_steps_back_and_the_others_proceed() {
    let site = Plan::default()
        .batch_size(5)
        .setting("max_retries", "0")
        .fault(on_batch(answer(500, "a row that I cannot digest")).containing_meter("M-2"))
        .start_settled(15)
        .await;
    let first = site.pass().await;
    assert!(
        matches!(first.end, PassEnd::GivenUp { .. }),
        "one batch is still open: {first:?}"
    );
    assert_eq!((first.delivered, first.failed), (10, 5));
    assert_eq!(site.database.pending().await, 5);
    let second = site.control().trigger_sync_and_wait().await;
    assert!(
        matches!(&second, Err(ControlError::PassFailed { report, .. })
            if matches!(report.end, PassEnd::GivenUp { .. })),
        "{second:?}"
    );
    assert_eq!(site.status().queue.parked_batches, 0);
    let third = site.pass().await;
    assert!(!third.end.is_success(), "{third:?}");
    assert_eq!((third.delivered, third.failed), (0, 5));
    site.advance_until("degraded", Duration::from_millis(500), || {
        site.status().queue.parked_batches == 1
    })
    .await;
    assert_eq!(site.status().state, State::Degraded);

    // It is tried again in every pass, after all others.
    site.database.insert(20..22).await;
    let fourth = site.pass().await;
    assert_eq!(fourth.delivered, 2);
    let keys: Vec<_> = site.batches().into_iter().map(|batch| batch.key).collect();
    assert_eq!(keys.last(), keys.first());
    assert_ne!(keys[keys.len() - 2], keys[0]);

    site.simulator.clear_faults();
    let fifth = site
        .control()
        .trigger_sync_and_wait()
        .await
        .expect("digested");
    assert_eq!(fifth.delivered, 5);
    assert_eq!(site.simulator.ledger().readings_stored, 17);
    site.advance_until("no batch is parked", Duration::from_millis(500), || {
        site.status().queue.parked_batches == 0 && site.status().state == State::Ok
    })
    .await;
    site.finish().await;
}

#[actix::test]
async fn an_unfinished_batch_keeps_its_key_over_a_restart_of_the_service() {
    let mut site = Plan::default()
        .fault(on_batch(answer(500, "")).times(1).after_commit())
        .start(5)
        .await;
    site.at_rest_with(1).await;
    site.stop_service().await;
    site.start_service().await;
    site.drained().await;
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.keys, ledger.batches_received), (1, 2));
    assert_eq!(
        (ledger.distinct_readings, ledger.duplicates_after_key),
        (5, 0)
    );
    site.finish().await;
}

#[actix::test]
async fn a_failing_server_is_no_outage() {
    let site = Plan::default()
        .fault(meterit_sync::demo::client_system::FaultRule::on(
            FaultPath::Any,
            answer(500, ""),
        ))
        .start(1)
        .await;
    site.at_rest_with(1).await;
    let link = site.status().connectivity;
    assert!(link.is_connected && link.last_failed_connection.is_none());
    site.finish().await;
}

#[actix::test]
async fn a_batch_whose_kept_body_is_damaged_holds_up_no_other() {
    let site = Plan::default()
        .batch_size(5)
        .fault(on_batch(answer(500, "out of order")).times(1))
        .start_settled(12)
        .await;
    let id = site.control().trigger_sync().await.expect("a pass");
    site.eventually("the first sending", || site.batches().len() == 1)
        .await;
    site.at_rest_with(1).await;
    site.database
        .execute("UPDATE upload_manifests SET body = X'1f8b0800'")
        .await;
    site.advance_until("the pass to end", Duration::from_millis(500), || {
        site.delivered_by(id).is_some()
    })
    .await;
    assert_eq!(site.delivered_by(id), Some(7));
    assert_eq!(site.database.pending().await, 0);
    let set_aside = site
        .database
        .column("SELECT reason || ': ' || message AS it FROM quarantined_readings")
        .await;
    assert_eq!(set_aside.len(), 5);
    for entry in set_aside {
        assert!(entry.starts_with("possibly_stored: "), "{entry}");
        assert!(entry.contains("damaged"), "{entry}");
    }
    assert_eq!(site.simulator.ledger().distinct_readings, 7);
    site.finish().await;
}
