//! Answers that are too slow, too long or a trap: refused within limits of memory and time, and the batch is tried again
//! under its key.

use meterit_sync::demo::client_system::FaultAction;

use super::{STEP, assert_all_arrived_once};
use crate::helpers::{Plan, answer, on_batch};

/// The answer comes twice, after the batch was stored, and then a good one.
async fn survives(action: FaultAction) {
    let name = action.name();
    let site = Plan::default()
        .setting("api_timeout", "1000")
        .fault(on_batch(action).after_commit().times(2))
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.advance_until_drained(STEP).await;
    assert_eq!(site.batches().len(), 3, "{name}");
    assert_eq!(site.status().queue.possibly_doubled_uploads, 2, "{name}");
    assert_all_arrived_once(site, 5).await;
}

#[actix::test]
async fn an_answer_of_gigabytes() {
    survives(FaultAction::Gigantic { bytes: 4 << 30 }).await;
}

#[actix::test]
async fn an_answer_that_unpacks_to_far_more_than_it_is() {
    survives(FaultAction::Bomb { bytes: 256 << 20 }).await;
}

#[actix::test]
async fn an_answer_that_never_ends_and_hardly_moves() {
    survives(FaultAction::Drip { milliseconds: 50 }).await;
}

#[actix::test]
async fn an_answer_that_never_comes() {
    survives(FaultAction::Hang).await;
}

#[actix::test]
async fn headers_without_end() {
    let FaultAction::Answer { status, body, .. } = answer(200, "{}") else {
        unreachable!("it is an answer");
    };
    let header = |number| (format!("x-filler-{number}"), "x".repeat(1_000));
    survives(FaultAction::Answer {
        status,
        headers: (0..2_000).map(header).collect(),
        body,
    })
    .await;
}

/// All of them, while another process measures.
#[test]
fn none_of_these_takes_memory() {
    use crate::process::{self, Site};
    let site = Site::new().set("API_TIMEOUT", "2000");
    for action in [
        FaultAction::Gigantic { bytes: 4 << 30 },
        FaultAction::Bomb { bytes: 256 << 20 },
    ] {
        site.client_system
            .add_fault(on_batch(action).after_commit().times(1));
    }
    site.insert(1_000);
    let service = site.start();
    site.wait_until_drained(1_000);
    let peak = process::peak_memory(service.id());
    assert!(peak < 150 * 1024, "{peak} KiB");
    service.stop();
}
