//! Answers that are too slow, too long or a trap: refused within limits, and the batch is tried again.

use std::time::Duration;

use meterit_sync::demo::client_system::FaultAction;

use super::{STEP, assert_all_arrived_once};
use crate::helpers::{Plan, on_batch};

#[actix::test]
async fn an_answer_of_gigabytes_is_not_read() {
    let gigantic = FaultAction::Gigantic { bytes: 4 << 30 };
    let site = Plan::default()
        .fault(on_batch(gigantic).after_commit().times(2))
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.advance_until_drained(STEP).await;
    assert_eq!(site.batches().len(), 3);
    assert_all_arrived_once(site, 5).await;
}

#[actix::test]
async fn an_answer_that_never_comes_ends_with_the_timeout() {
    let site = Plan::default()
        .setting("api_timeout", "1000")
        .fault(on_batch(FaultAction::Hang).times(1))
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.advance_until_drained(Duration::from_millis(100)).await;
    assert_all_arrived_once(site, 5).await;
}
