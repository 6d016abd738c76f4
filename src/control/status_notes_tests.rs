//! Tests of what is said beside the state in a word, so that it hides nothing.

use super::*;
use crate::{domain::words::START_A_PASS, messages::sync_manager::Setback};

fn ended(end: PassEnd) -> PassReport {
    PassReport {
        id: 1,
        trigger: PassTrigger::Schedule,
        started_at: at(900),
        finished_at: at(910),
        delivered: 0,
        quarantined: 0,
        failed: 0,
        requests: 1,
        end,
    }
}

fn locked() -> StoreError {
    StoreError::Busy("database is locked".into())
}

const LOCKED: Spoil = |evidence| {
    evidence.database.failing_since = Some((locked().to_string(), at(20)));
    evidence.database.failure = Some(locked());
};
const FULL: Spoil = |evidence| evidence.database.queue.disk_full_since = Some(at(50));
pub(super) const SET_BACK: Spoil = |evidence| {
    SYNCING(evidence);
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.delivered = 0;
    pass.setback = Some(Setback {
        words: "no clear answer within 30 s".into(),
        again_at: Some(at(1_008)),
        since: at(992),
    });
};

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
        since: at(992),
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
fn a_batch_that_goes_on_failing_is_told_however_many_others_are_taken() {
    let mut evidence = in_order();
    evidence.database.queue.pending = 5;
    SET_BACK(&mut evidence);
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.delivered = 1_200;
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Syncing);
    assert_eq!(
        verdict.reason,
        "A pass is uploading: 1,200 readings delivered so far, 5 to go; one batch failed (no clear answer within 30 s), and it \
         is repeated at 1970-01-01T00:16:48.000Z."
    );
    let since = evidence.upload_trouble().map(|trouble| trouble.since);
    assert_eq!(since, Some(at(992)));
    evidence.now = at(1_022);
    assert_eq!(evidence.verdict().state, State::Syncing);
    evidence.now = at(1_023);
    let verdict = evidence.verdict();
    assert_eq!((verdict.state, verdict.since), (State::Degraded, at(992)));
    assert_eq!(
        verdict.reason,
        "A batch has not been taken since 1970-01-01T00:16:32.000Z (no clear answer within 30 s), and it is being repeated; in \
         this pass 1,200 readings were delivered; 5 readings are kept in the Sync Database; if that lasts, tell whoever runs \
         the Client System what it answers."
    );
    // Not while it waits at the Client System's wish.
    evidence.api_client.held_until = Some(at(1_010));
    assert_eq!(evidence.verdict().state, State::Syncing);
    evidence.now = at(1_041);
    assert_eq!(evidence.verdict().state, State::Degraded);
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
        last_attempt_at: Some(at(990)),
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

    // After an outage the next one tells how they fare.
    evidence.connectivity.since = Some(at(995));
    assert_eq!(evidence.verdict().state, State::Ok);
    assert!(!evidence.verdict().reason.contains("404"));
    evidence.heartbeat.last_attempt_at = Some(at(1_000));
    let again = evidence.verdict();
    assert_eq!((again.state, again.since), (State::Degraded, at(400)));

    // With an interval of hours, one that failed has not failed for hours.
    evidence.heartbeat.consecutive_failures = 1;
    assert_eq!(evidence.verdict().state, State::Ok);
    // What keeps everything from the Client System is told for itself.
    evidence.heartbeat.consecutive_failures = 11;
    OFFLINE(&mut evidence);
    assert_eq!(evidence.verdict().state, State::Offline);
}

#[test]
fn a_download_of_the_configuration_that_failed_is_told_with_what_to_do() {
    let mut evidence = in_order();
    evidence.config.last_error = Some("the Client System answered 500: oh".into());
    evidence.connectivity.trouble = Some("it says 500 to /sync/config (oh)".into());
    let reason = evidence.verdict().reason;
    assert_eq!(
        reason,
        "All readings are uploaded; the last download of the configuration failed (the Client System answered 500: oh), so \
         the last good one stays in force: the next one comes by itself, `meterit-sync config download` tries at once, and if \
         it is the Client System that goes on failing, tell whoever runs it."
    );
    // What keeps everything from the Client System explains that as well.
    OFFLINE(&mut evidence);
    let reason = evidence.verdict().reason;
    assert!(!reason.contains("configuration"), "{reason}");
}

#[test]
fn one_reading_that_waits_is_told_as_one() {
    let mut evidence = in_order();
    evidence.database.queue.pending = 1;
    let reason = evidence.verdict().reason;
    assert_eq!(reason, "1 reading waits for the next pass.");
    evidence.automatic = false;
    let reason = evidence.verdict().reason;
    assert_eq!(
        reason,
        "1 reading waits for a trigger, for ENABLE_AUTO_SYNC is false."
    );
}

#[test]
fn one_reading_in_quarantine_is_told_as_one() {
    let mut evidence = in_order();
    evidence.database.queue.quarantined = 1;
    let reason = evidence.verdict().reason;
    assert_eq!(
        reason,
        "All readings are uploaded; 1 reading is in quarantine until somebody corrects, re-queues or discards it (GET \
         /api/v1/quarantine)."
    );
}

#[test]
fn a_batch_that_hangs_keeps_its_cause_when_readings_have_waited_for_long() {
    let mut evidence = in_order();
    evidence.database.queue.pending = 5;
    evidence.database.queue.oldest_pending_at = Some(at(40));
    SET_BACK(&mut evidence);
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.started_at = at(50);
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Degraded);
    assert!(
        verdict.reason.contains("no clear answer within 30 s"),
        "{}",
        verdict.reason
    );
    assert!(!verdict.reason.contains("sync log"), "{}", verdict.reason);
    // Its first sending is still under way.
    let pass = evidence.manager.current_pass.as_mut().expect("a pass");
    pass.setback = None;
    evidence.database.queue.in_flight = 5;
    let reason = evidence.verdict().reason;
    assert!(reason.contains("has not been answered yet"), "{reason}");
    // It was set back, and the sync log is not at hand.
    let mut evidence = in_order();
    evidence.database.queue.parked_batches = 1;
    evidence.database.queue.parked_error = Some("no clear answer within 90 s".into());
    let reason = evidence.verdict().reason;
    assert!(
        reason.starts_with("1 batch could not be delivered (the last time: no clear answer within 90 s) and was set back"),
        "{reason}"
    );
}

#[test]
fn uploads_that_are_not_taken_are_known_during_a_pass_and_between_two() {
    let told = |spoil: Spoil| {
        let mut evidence = in_order();
        evidence.database.queue.pending = 5;
        spoil(&mut evidence);
        evidence.upload_trouble()
    };
    let words = |spoil| told(spoil).expect("a trouble").words;
    assert_eq!(told(|_| {}), None);
    assert_eq!(told(SYNCING), None);
    assert_eq!(words(SET_BACK), "no clear answer within 30 s");
    let held: Spoil = |evidence| {
        evidence.manager.last_pass = Some(ended(PassEnd::Held { until: at(990) }));
    };
    assert!(words(held).contains("left alone until"));
    let mut evidence = in_order();
    evidence.database.queue.pending = 5;
    held(&mut evidence);
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Ok);
    assert_eq!(
        verdict.reason,
        "5 readings wait for the next pass; the last pass brought nothing (the Client System asked to be left alone until \
         1970-01-01T00:16:30.000Z)."
    );
    // What is taken again ends that.
    SYNCING(&mut evidence);
    assert_eq!(evidence.upload_trouble(), None);
    let hanging: Spoil = |evidence| {
        SYNCING(evidence);
        let pass = evidence.manager.current_pass.as_mut().expect("a pass");
        (pass.delivered, pass.started_at) = (0, at(980));
        evidence.database.queue.in_flight = 5;
    };
    assert!(words(hanging).contains("has not been answered yet"));
}

#[test]
fn a_full_disk_and_another_fault_are_both_told() {
    let failing: Spoil = |evidence| {
        let words = "the Client System failed (500)".to_owned();
        evidence.manager.failing_since = Some((PassEnd::GivenUp { words }, at(60)));
    };
    let parked: Spoil = |evidence| evidence.database.queue.parked_batches = 2;
    for (spoil, words) in [
        (LOCKED, "locked by another program"),
        (failing, "(500)"),
        (parked, "2 batches"),
        (DEGRADED, "is being restarted"),
        (SET_BACK, "no clear answer within 30 s"),
    ] {
        let mut evidence = in_order();
        FULL(&mut evidence);
        spoil(&mut evidence);
        let verdict = evidence.verdict();
        assert_eq!(verdict.state, State::Degraded);
        for words in [words, "disk under the Sync Database is full", " Besides: "] {
            assert!(
                verdict.reason.contains(words),
                "{words}: {}",
                verdict.reason
            );
        }
    }
    // Once is enough where the disk is why the database fails.
    let mut evidence = in_order();
    FULL(&mut evidence);
    let full = StoreError::Full("database or disk is full".into());
    evidence.database.failing_since = Some((full.to_string(), at(60)));
    evidence.database.failure = Some(full);
    let reason = evidence.verdict().reason;
    assert_eq!(reason.matches("is full").count(), 2, "{reason}");
    assert!(reason.contains("make room on that disk"), "{reason}");
}

#[test]
fn what_else_is_wrong_is_told_where_nothing_is_uploaded_anyhow() {
    let failing: Spoil = |evidence| {
        let failure = StoreError::Failed("the server closed the connection".into());
        evidence.database.failing_since = Some((failure.to_string(), at(20)));
        evidence.database.failure = Some(failure);
    };
    let full: Spoil = |evidence| {
        let failure = StoreError::Full("database or disk is full".into());
        evidence.database.failing_since = Some((failure.to_string(), at(20)));
        evidence.database.failure = Some(failure);
    };
    let ended: Spoil = |evidence| evidence.actors = vec![actor(ActorState::Stopped)];
    let unsettled: Spoil = |evidence| {
        evidence.manager.unsettled = Some(("7 outcomes cannot be written down".into(), at(30)));
    };
    for state in [RATE_LIMITED, OFFLINE, UNAUTHORIZED, MISCONFIGURED, STOPPED] {
        for (spoil, words) in [
            (LOCKED, "end its transaction"),
            (failing, "the server closed the connection"),
            (full, "make room on that disk"),
            (ended, "a restart of the service brings it back"),
            (unsettled, "7 outcomes cannot be written down"),
        ] {
            let mut evidence = in_order();
            state(&mut evidence);
            let alone = evidence.verdict();
            spoil(&mut evidence);
            let verdict = evidence.with_other_trouble(evidence.verdict());
            assert_eq!((verdict.state, verdict.since), (alone.state, alone.since));
            let reason = verdict.reason;
            assert!(
                reason.starts_with(&format!("{} Besides: ", alone.reason)),
                "{reason}"
            );
            assert!(reason.contains(words), "{words}: {reason}");
        }
        // The worst comes first, and is enough.
        let mut evidence = in_order();
        state(&mut evidence);
        ended(&mut evidence);
        LOCKED(&mut evidence);
        evidence.database.queue.uncounted = true;
        let reason = evidence.with_other_trouble(evidence.verdict()).reason;
        assert!(reason.contains("end its transaction"), "{reason}");
        assert!(!reason.contains("has ended"), "{reason}");
        assert_eq!(
            reason.matches("how many readings wait").count(),
            1,
            "{reason}"
        );
        // A full disk is told with the readings that wait.
        let mut evidence = in_order();
        state(&mut evidence);
        FULL(&mut evidence);
        full(&mut evidence);
        let reason = evidence.with_other_trouble(evidence.verdict()).reason;
        assert_eq!(reason.matches("is full").count(), 1, "{reason}");
    }
}

#[test]
fn nothing_is_promised_that_only_a_trigger_brings() {
    let full_log: Spoil = |evidence| {
        FULL(evidence);
        evidence.database.queue.log_lacks_bytes = Some(7_000_000);
    };
    let failing: Spoil = |evidence| {
        let words = "the Client System failed (500)".to_owned();
        evidence.manager.failing_since = Some((PassEnd::GivenUp { words }, at(60)));
    };
    let parked: Spoil = |evidence| evidence.database.queue.parked_batches = 2;
    let unsettled: Spoil = |evidence| {
        evidence.manager.unsettled = Some(("7 outcomes cannot be written down".into(), at(30)));
    };
    let given_up: Spoil = |evidence| {
        SET_BACK(evidence);
        let pass = evidence.manager.current_pass.as_mut().expect("a pass");
        pass.setback.as_mut().expect("a setback").again_at = None;
    };
    for spoil in [
        STOPPED,
        MISCONFIGURED,
        UNAUTHORIZED,
        OFFLINE,
        RATE_LIMITED,
        LOCKED,
        FULL,
        full_log,
        failing,
        parked,
        unsettled,
        given_up,
    ] {
        let mut evidence = in_order();
        spoil(&mut evidence);
        let reason = evidence.verdict().reason;
        assert!(!reason.contains("ENABLE_AUTO_SYNC"), "{reason}");
        evidence.automatic = false;
        let reason = evidence.verdict().reason;
        assert!(reason.contains(START_A_PASS), "{reason}");
        for promise in [
            "uploading resumes",
            "resumes the uploading",
            "tries again by itself",
            "half minute by itself",
            "goes on by itself and frees room",
            "for the next pass",
        ] {
            assert!(!reason.contains(promise), "{promise}: {reason}");
        }
    }
}

#[test]
fn a_lock_says_what_to_do_and_is_not_blamed_once_it_is_gone() {
    let mut evidence = in_order();
    LOCKED(&mut evidence);
    let reason = evidence.verdict().reason;
    assert!(reason.contains("end its transaction"), "{reason}");
    let words = "locked".to_owned();
    let end = PassEnd::DatabaseFailed { words };
    evidence.manager.failing_since = Some((end.clone(), at(20)));
    evidence.manager.last_pass = Some(ended(end));
    evidence.database.failing_since = None;
    assert_eq!(
        evidence.verdict().state,
        State::Degraded,
        "nobody has seen it gone"
    );
    evidence.database.unlocked_at = Some(at(905));
    assert_eq!(evidence.verdict().state, State::Degraded, "it came again");
    evidence.database.unlocked_at = Some(at(915));
    assert_eq!(evidence.verdict().state, State::Ok);
}

#[test]
fn clocks_that_differ_are_told_whatever_the_state() {
    for spoil in [OFFLINE, DEGRADED, SYNCING, |_: &mut Evidence| {}] {
        let mut evidence = in_order();
        spoil(&mut evidence);
        evidence.heartbeat.last_success_at = Some(at(900));
        evidence.heartbeat.server_time = Some(at(900 + 120));
        let told = |evidence: &Evidence| evidence.with_clocks(evidence.verdict()).reason;
        assert_eq!(told(&evidence), evidence.verdict().reason);
        evidence.heartbeat.server_time = Some(at(900 + 5_400));
        let reason = told(&evidence);
        assert!(
            reason.contains(
                " Besides, this machine's clock is 1 h 30 min behind that of the Client System: "
            ),
            "{reason}"
        );
        assert!(reason.contains("timedatectl set-ntp true"), "{reason}");
    }
}

#[test]
fn whoever_ends_a_stop_knows_that_the_way_is_closed_as_well() {
    let mut evidence = in_order();
    evidence.manager.running = false;
    OFFLINE(&mut evidence);
    let told = evidence.explained(evidence.verdict());
    assert_eq!(told.state, State::Stopped);
    let besides = "Besides: the Client System cannot be reached since ";
    assert!(told.reason.contains(besides), "{}", told.reason);
    let mut offline = in_order();
    OFFLINE(&mut offline);
    let told = offline.explained(offline.verdict());
    assert!(!told.reason.contains("Besides"), "{}", told.reason);
}
