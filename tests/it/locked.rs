//! A Sync Database that another program keeps locked, and lets go.

use std::time::Duration;

use meterit_sync::domain::status::State;

use crate::helpers::Plan;

/// What waits for a lock waits in real time, so that the clock must not run ahead meanwhile.
const STEP: Duration = Duration::from_millis(10);

#[actix::test]
async fn a_lock_says_what_to_do_and_is_not_blamed_once_it_is_gone() {
    // No pass comes by itself that would find out.
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(5)
        .await;
    site.until("the start is over", |status| {
        status.connectivity.is_connected
            && status.queue.pending == 5
            && status.config.last_success_at.is_some()
    })
    .await;
    let mut lock = site.database.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut lock)
        .await
        .expect("the lock");
    site.control().trigger_sync().await.expect("a pass");
    site.advance_until("the lock to be told", STEP, || {
        let status = site.status();
        let says = |words| status.reason.contains(words);
        status.last_pass.is_some()
            && says("is locked by another program")
            && says("end its transaction")
    })
    .await;
    assert_eq!(site.status().state, State::Degraded);
    // That the queue can still be read does not end it.
    let looked_at = site.clock.now();
    site.advance_until("another look", STEP, || {
        (site.clock.now() - looked_at).num_seconds() >= 5
    })
    .await;
    assert_eq!(site.status().state, State::Degraded);

    sqlx::raw_sql("ROLLBACK")
        .execute(&mut lock)
        .await
        .expect("the end of the lock");
    site.advance_until("the lock not to be blamed", STEP, || {
        site.status().state == State::Ok
    })
    .await;
    assert_eq!(
        site.status().reason,
        "5 readings wait for a trigger, for ENABLE_AUTO_SYNC is false."
    );
    site.pass().await;
    site.finish().await;
}

#[actix::test]
async fn a_lock_at_the_start_delays_the_configuration_no_longer_than_it_lasts() {
    let mut site = Plan::default().prepare().await;
    let mut lock = site.database.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut lock)
        .await
        .expect("the lock");
    site.start_service().await;
    site.advance_until("a configuration that is not taken", STEP, || {
        let error = site.status().config.last_error;
        error.is_some_and(|words| words.contains("is locked by another program"))
    })
    .await;
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut lock)
        .await
        .expect("the end of the lock");
    let free_at = site.clock.now();
    site.advance_until("the configuration", STEP, || {
        site.status().config.last_success_at.is_some()
    })
    .await;
    let took = site.clock.now() - free_at;
    assert!(took.num_seconds() <= 30, "{took}");
    assert_eq!(site.status().config.last_error, None);
    site.finish().await;
}
