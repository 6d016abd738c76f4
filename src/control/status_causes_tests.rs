//! Tests of what the log is told anew.

use super::{notes::SET_BACK, *};

#[test]
fn a_cause_is_the_same_whatever_the_numbers_and_the_times() {
    let mut evidence = in_order();
    OFFLINE(&mut evidence);
    let refused = evidence.cause();
    for pending in [1, 2, 12_480] {
        evidence.database.queue.pending = pending;
        evidence.now = at(2_000);
        assert_eq!(evidence.cause(), refused, "{pending}");
    }
    evidence.connectivity.last_error = Some("no such name".into());
    assert_ne!(evidence.cause(), refused);

    let mut evidence = in_order();
    SET_BACK(&mut evidence);
    let hanging = evidence.cause();
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    (pass.id, pass.delivered) = (2, 1);
    let setback = pass.setback.as_mut().expect("a setback");
    setback.again_at = Some(at(900));
    assert_eq!(evidence.cause(), hanging);
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.setback = None;
    assert_ne!(evidence.cause(), hanging);

    let mut evidence = in_order();
    let well = evidence.cause();
    evidence.database.queue.pending = 3;
    assert_eq!(evidence.cause(), well);
    evidence.database.queue.quarantined = 1;
    let in_quarantine = evidence.cause();
    assert_ne!(in_quarantine, well);
    evidence.database.queue.quarantined = 7;
    assert_eq!(evidence.cause(), in_quarantine);
    let refused = |status: u16| HeartbeatStatus {
        failing_since: Some(at(980)),
        last_attempt_at: Some(at(990)),
        last_error: Some(format!("the Client System answered {status}: oh")),
        ..HeartbeatStatus::default()
    };
    evidence.heartbeat = refused(404);
    let not_found = evidence.cause();
    assert_ne!(not_found, in_quarantine);
    evidence.heartbeat = refused(500);
    assert_ne!(evidence.cause(), not_found);
}

#[actix::test]
async fn the_log_tells_of_a_certificate_that_ends_soon_as_the_status_does() {
    let near = at(3 * 86_400);
    let control = crate::control::testing::control(|parts| {
        parts.certificate_expires = crate::supervision::published::Published::new(Some(near));
    });
    let evidence = control.evidence();
    let told = control.verdict(&evidence).reason;
    assert!(
        told.contains("The certificate of the local API expires in 2 days"),
        "{told}"
    );
    assert_eq!(control.status().reason, told);
    let mut later = control.evidence();
    later.expiring = ExpiringCertificate::of(near, at(4 * 86_400));
    assert_ne!(later.cause(), evidence.cause());
}
