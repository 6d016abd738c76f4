//! Tests of what is said beside the state in a word, so that it hides nothing.

use super::*;
use crate::messages::sync_manager::Setback;

#[test]
fn a_pass_that_brings_nothing_says_why_and_promises_nothing() {
    let mut evidence = in_order();
    SYNCING(&mut evidence);
    evidence.database.queue.pending = 5;
    evidence.database.queue.eta_s = Some(3.0);
    assert!(evidence.verdict().reason.contains("the queue is empty in"));
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.delivered = 0;
    pass.setback = Some(Setback {
        words: "the Client System failed (500): oh".into(),
        again_at: Some(at(1_008)),
    });
    assert!(
        evidence.is_held_up(),
        "of the pace of this pass nothing is known"
    );
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Syncing);
    assert_eq!(
        verdict.reason,
        "A pass is trying to upload: 0 readings delivered so far, 5 to go; the last sending failed (the Client System failed \
         (500): oh), and it is repeated at 1970-01-01T00:16:48.000Z."
    );
    for (now, again_at, next) in [
        (1_008, Some(at(1_008)), "it is being repeated."),
        (1_008, None, "its readings are kept for the next pass."),
    ] {
        evidence.now = at(now);
        let pass = evidence.manager.current_pass.as_mut().expect("a pass");
        pass.setback.as_mut().expect("a setback").again_at = again_at;
        let reason = evidence.verdict().reason;
        assert!(reason.ends_with(next), "{reason}");
    }
}

#[test]
fn who_answers_without_being_well_is_not_called_well() {
    let mut evidence = in_order();
    evidence.connectivity.trouble = Some("its health check says 503".into());
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Ok);
    assert_eq!(
        verdict.reason,
        "All readings are uploaded; the Client System answers, but its health check says 503."
    );
}

#[test]
fn heartbeats_that_fail_are_told_at_once_and_need_attention_when_that_lasts() {
    let mut evidence = in_order();
    evidence.heartbeat = HeartbeatStatus {
        consecutive_failures: 11,
        failing_since: Some(at(400)),
        last_error: Some("the Client System answered 404: no such thing".into()),
        ..HeartbeatStatus::default()
    };
    let told = evidence.verdict();
    assert_eq!(told.state, State::Ok);
    assert!(
        told.reason
            .contains("the last heartbeat was not accepted (the Client System answered 404"),
        "{}",
        told.reason
    );
    evidence.now = at(1_001);
    let lasting = evidence.verdict();
    assert_eq!((lasting.state, lasting.since), (State::Degraded, at(400)));
    assert!(lasting.reason.contains("404"), "{}", lasting.reason);

    // With an interval of hours, one that failed has not failed for hours.
    evidence.heartbeat.consecutive_failures = 1;
    assert_eq!(evidence.verdict().state, State::Ok);
    // What keeps everything from the Client System is told for itself.
    evidence.heartbeat.consecutive_failures = 11;
    OFFLINE(&mut evidence);
    assert_eq!(evidence.verdict().state, State::Offline);
}
