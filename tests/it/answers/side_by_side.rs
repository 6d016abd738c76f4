//! Several batches on their way at once.

use std::time::Duration;

use meterit_sync::{
    demo::client_system::{FaultAction, ServedConfiguration},
    domain::pass::PassEnd,
};

use crate::helpers::{Plan, Site, answer, on_batch};

/// Small against a round trip, so that what the service does meanwhile takes no time that counts.
const STEP: Duration = Duration::from_millis(2);
const ROUND_TRIP: FaultAction = FaultAction::Delay { milliseconds: 300 };

fn far_away() -> Plan {
    Plan::default().batch_size(5).fault(on_batch(ROUND_TRIP))
}

fn under_way(site: &Site) -> usize {
    let batches = site.batches();
    batches
        .iter()
        .filter(|batch| batch.status.is_none())
        .count()
}

async fn no_reading_was_sent_twice(site: &Site, readings: u64) {
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.distinct_readings, readings);
    assert_eq!(ledger.raw_duplicates, 0);
    assert_eq!(site.status().queue.possibly_doubled_uploads, 0);
}

#[actix::test]
async fn a_long_link_is_filled_with_as_many_uploads_as_may_be() {
    let site = far_away().start(600).await;
    site.advance_until("sixteen uploads are under way", STEP, || {
        assert!(under_way(&site) <= 16);
        under_way(&site) == 16
    })
    .await;
    site.advance_until_drained(STEP).await;
    no_reading_was_sent_twice(&site, 600).await;
    site.finish().await;
}

#[actix::test]
async fn no_more_are_under_way_than_the_setting_says() {
    for most in [1, 3] {
        let site = far_away()
            .setting("max_in_flight", &most.to_string())
            .start(60)
            .await;
        site.advance_until("so many uploads are under way", STEP, || {
            assert!(under_way(&site) <= most);
            under_way(&site) == most
        })
        .await;
        site.advance_until("all readings have arrived", STEP, || {
            assert!(under_way(&site) <= most);
            site.simulator.ledger().distinct_readings == 60
        })
        .await;
        site.advance_until_drained(STEP).await;
        no_reading_was_sent_twice(&site, 60).await;
        site.finish().await;
    }
}

/// A backlog may take hours.
#[actix::test]
async fn a_pass_under_way_keeps_to_a_batch_size_that_changes() {
    let wishing = |batch_size| ServedConfiguration {
        meters: Vec::new(),
        sync_interval_minutes: 5,
        batch_size,
        meters_only: false,
    };
    let site = far_away()
        .unset("batch_size")
        .setting("max_in_flight", "1")
        .client_system(|options| options.configuration = wishing(20))
        .start_settled(0)
        .await;
    let wish_is = async |size| {
        site.until("the wish has arrived", |status| {
            status.config.batch_size.value == size
        })
        .await;
    };
    wish_is(20).await;
    site.database.insert(0..200).await;
    let pass = site.control().trigger_sync().await.expect("a pass");
    site.eventually("the first batch is under way", || under_way(&site) == 1)
        .await;
    site.simulator.set_configuration(wishing(3));
    site.control().download_config().await.expect("a download");
    wish_is(3).await;
    site.advance_until_drained(25 * STEP).await;
    let batches = site.batches();
    let sizes = batches.iter().map(|batch| batch.stored_readings.len());
    let sizes: Vec<usize> = sizes.collect();
    let as_before = sizes.iter().filter(|size| **size == 20).count();
    assert!((1..=4).contains(&as_before), "{sizes:?}");
    assert!(
        sizes[as_before..].iter().all(|size| *size <= 3),
        "{sizes:?}"
    );
    assert_eq!(site.status().last_pass.expect("the pass").id, pass);
    no_reading_was_sent_twice(&site, 200).await;
    site.finish().await;
}

#[actix::test]
async fn one_that_fails_is_repeated_beside_the_others_after_its_pause() {
    let site = far_away()
        .fault(on_batch(answer(500, "out of order")).skip(6).times(1))
        .start(3_000)
        .await;
    let failed = || {
        let mut batches = site.batches().into_iter();
        batches.find(|batch| batch.status == Some(500))
    };
    let repetition = || {
        let key = failed()?.key;
        let mut batches = site.batches().into_iter();
        batches.find(|batch| batch.key == key && batch.status != Some(500))
    };
    site.advance_until("the failed one is sent again", STEP, || {
        repetition().is_some()
    })
    .await;
    let (first, second) = (failed().expect("one"), repetition().expect("another"));
    assert_eq!(first.body_hash, second.body_hash);
    let pause = second.at - first.at;
    assert!(
        (2_000..3_000).contains(&pause.num_milliseconds()),
        "{pause}"
    );
    let meanwhile = site.batches();
    let meanwhile = meanwhile
        .iter()
        .filter(|batch| (first.at..second.at).contains(&batch.at) && batch.key != first.key);
    assert!(meanwhile.count() > 20, "the others went on");
    site.advance_until_drained(25 * STEP).await;
    let ledger = site.simulator.ledger();
    assert_eq!(
        (ledger.distinct_readings, ledger.raw_duplicates),
        (3_000, 0)
    );
    site.finish().await;
}

#[actix::test]
async fn a_stop_lets_them_arrive_and_takes_back_what_was_not_sent() {
    let site = far_away().setting("max_in_flight", "4").start(200).await;
    site.advance_until("four uploads are under way", STEP, || under_way(&site) == 4)
        .await;
    site.control().stop_sync().await.expect("a stop");
    site.advance_until("the pass has ended", STEP, || {
        site.status().last_pass.is_some()
    })
    .await;
    let arrived = site.simulator.ledger().distinct_readings;
    let report = site.status().last_pass.expect("the pass");
    assert_eq!((report.end, report.delivered), (PassEnd::Stopped, arrived));
    assert!((20..100).contains(&arrived), "{arrived}");
    let unsent = "upload_manifests WHERE attempts = 0 AND state = 'live'";
    assert!((1..=6).contains(&site.database.count(unsent).await));
    assert_eq!(
        site.database.count("upload_manifests").await,
        site.database.count(unsent).await
    );
    site.control().start_sync().await.expect("a start");
    site.advance_until_drained(STEP).await;
    no_reading_was_sent_twice(&site, 200).await;
    site.finish().await;
}

#[actix::test]
async fn what_another_program_changes_while_a_batch_is_read_ahead_is_sent_as_it_is() {
    let site = far_away().setting("max_in_flight", "1").start(20).await;
    site.eventually("the first batch is under way", || under_way(&site) == 1)
        .await;
    site.database
        .execute(
            "UPDATE meter_readings SET value = 77.125 WHERE id BETWEEN 6 AND 9;
             DELETE FROM meter_readings WHERE id = 10",
        )
        .await;
    site.advance_until_drained(STEP).await;
    let batches = site.batches();
    let stored = batches.iter().flat_map(|batch| &batch.stored_readings);
    let changed = stored.filter(|reading| reading.value == "77.125").count();
    assert_eq!(changed, 4);
    no_reading_was_sent_twice(&site, 19).await;
    site.finish().await;
}

/// A control panel waits for the answer.
#[actix::test]
async fn whoever_waits_for_a_pass_is_answered_though_readings_come_in_faster_than_they_leave() {
    let site = far_away().setting("max_in_flight", "2").start(40).await;
    site.eventually("the first batch is under way", || under_way(&site) == 1)
        .await;
    let control = site.control();
    let waiting = actix::spawn(async move { control.trigger_sync_and_wait().await });
    let mut readings = 40;
    for _ in 0..1_500 {
        if waiting.is_finished() {
            break;
        }
        site.database.insert(readings..readings + 1).await;
        readings += 1;
        site.clock.advance(10 * STEP);
        tokio::time::sleep(STEP).await;
    }
    assert!(waiting.is_finished(), "with {readings} readings");
    let report = waiting.await.expect("it ends").expect("an outcome");
    assert_eq!(report.end, PassEnd::Drained);
    assert!(report.delivered >= 40, "{report:?}");
    assert!(report.delivered < readings, "not all that came in since");
    site.advance_until_drained(25 * STEP).await;
    no_reading_was_sent_twice(&site, readings).await;
    site.finish().await;
}
