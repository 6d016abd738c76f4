//! What an operator does, and what becomes of it.

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::{
    control::testing::{FakeStore, answering, control, gone, quarantined, silent},
    domain::{
        meter::MeterChanges,
        outcome::CallFailure,
        pass::{PassEnd, PassReport, PassTrigger},
        store::QuarantineActionResult,
        timestamp::Timestamp,
    },
    messages::{
        config_downloader::DownloadFailure,
        connectivity_monitor::CheckAnswer,
        database_writer::{CorrectQuarantined, RequeueQuarantined},
        sync_manager::TriggerRefusal,
    },
};

fn at(milliseconds: i64) -> Timestamp {
    Timestamp(DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds))
}

fn report(end: PassEnd) -> PassReport {
    PassReport {
        id: 7,
        trigger: PassTrigger::Manual,
        started_at: at(0),
        finished_at: at(10),
        delivered: 3,
        quarantined: 0,
        failed: 0,
        requests: 1,
        end,
    }
}

#[actix_web::test]
async fn starting_and_stopping_say_whether_that_is_new() {
    let control = control(|parts| {
        parts.start_sync = answering(|_| true);
        parts.stop_sync = answering(|_| false);
    });
    let started = post(control.clone(), "/api/v1/sync/start").await;
    assert_eq!(started.text, r#"{"changed":true,"isRunning":true}"#);
    let stopped = post(control, "/api/v1/sync/stop").await;
    assert_eq!(stopped.text, r#"{"changed":false,"isRunning":false}"#);
}

#[actix_web::test]
async fn a_trigger_answers_with_the_pass_or_the_refusal() {
    let triggering = |result: Result<u64, TriggerRefusal>| {
        control(|parts| parts.trigger_sync = answering(move |_| result.clone()))
    };
    let answer = post(triggering(Ok(7)), "/api/v1/sync/trigger").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (202, r#"{"pass_id":7}"#)
    );
    for (refusal, status, name, retry_after) in [
        (
            TriggerRefusal::AlreadyRunning,
            409,
            "pass-already-running",
            None,
        ),
        (
            TriggerRefusal::Stopped,
            409,
            "synchronisation-stopped",
            None,
        ),
        (
            TriggerRefusal::Offline("refused".into()),
            503,
            "client-system-offline",
            None,
        ),
        (
            TriggerRefusal::Held(at(1_500)),
            503,
            "client-system-held",
            Some("2"),
        ),
        (TriggerRefusal::Restarted, 503, "part-restarting", Some("1")),
    ] {
        let answer = post(triggering(Err(refusal)), "/api/v1/sync/trigger").await;
        answer.problem(status, name);
        assert_eq!(answer.header("retry-after"), retry_after, "{name}");
    }
}

#[actix_web::test]
async fn waiting_brings_the_report_whatever_became_of_the_pass() {
    let waiting = |end: PassEnd| {
        control(|parts| {
            parts.trigger_sync_and_wait = answering(move |_| Ok(report(end.clone())));
        })
    };
    let uri = "/api/v1/sync/trigger?wait=true";
    let answer = post(waiting(PassEnd::Drained), uri).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["delivered"], 3);
    let words = || "the server's words".to_owned();
    for (end, status, name) in [
        (PassEnd::Stopped, 409, "synchronisation-stopped"),
        (
            PassEnd::Offline { words: words() },
            503,
            "client-system-offline",
        ),
        (
            PassEnd::Held { until: at(60_000) },
            503,
            "client-system-held",
        ),
        (
            PassEnd::Unauthorized { words: words() },
            502,
            "client-system-unauthorized",
        ),
        (
            PassEnd::Misconfigured { words: words() },
            502,
            "client-system-misconfigured",
        ),
        (PassEnd::GivenUp { words: words() }, 502, "upload-given-up"),
        (
            PassEnd::DatabaseFailed { words: words() },
            503,
            "database-unavailable",
        ),
        (
            PassEnd::Interrupted { words: words() },
            503,
            "pass-interrupted",
        ),
    ] {
        let answer = post(waiting(end), uri).await;
        let problem = answer.problem(status, name);
        assert_eq!(problem["report"]["id"], 7);
        assert_eq!(
            answer.header("retry-after"),
            (name == "client-system-held").then_some("60")
        );
    }
}

#[actix_web::test]
async fn parts_that_do_not_answer_are_503_on_every_route() {
    for uri in [
        "/api/v1/sync/start",
        "/api/v1/sync/stop",
        "/api/v1/sync/trigger",
        "/api/v1/sync/trigger?wait=true",
        "/api/v1/connectivity/check",
        "/api/v1/heartbeat",
        "/api/v1/config/download",
        "/api/v1/quarantine/1/requeue",
        "/api/v1/quarantine/requeue?all=true",
    ] {
        let answer = post(control(|_| {}), uri).await;
        answer.problem(503, "part-restarting");
        assert_eq!(answer.header("retry-after"), Some("1"), "{uri}");
    }
    let hanging = control(|parts| {
        parts.trigger_sync_and_wait = gone();
        parts.force_check = silent();
    });
    post(hanging, "/api/v1/connectivity/check")
        .await
        .problem(503, "part-silent");
}

#[actix_web::test]
async fn a_forced_check_answers_held_until() {
    let held = control(|parts| {
        parts.force_check = answering(|_| CheckAnswer::HeldUntil(at(900_000)));
    });
    let answer = post(held, "/api/v1/connectivity/check").await;
    let problem = answer.problem(503, "client-system-held");
    assert_eq!(answer.header("retry-after"), Some("900"));
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("1970-01-01T00:15:00.000Z")
    );
}

#[actix_web::test]
async fn failed_calls_have_their_own_types() {
    for (failure, status, name) in [
        (
            CallFailure::Unreachable("x".into()),
            503,
            "client-system-offline",
        ),
        (
            CallFailure::NoAnswer("x".into()),
            504,
            "client-system-silent",
        ),
        (CallFailure::Held(at(1)), 503, "client-system-held"),
        (
            CallFailure::Unauthorized {
                status: 401,
                words: "x".into(),
            },
            502,
            "client-system-unauthorized",
        ),
        (
            CallFailure::Refused {
                status: 500,
                words: "x".into(),
            },
            502,
            "client-system-refused",
        ),
        (
            CallFailure::Unintelligible("x".into()),
            502,
            "client-system-unintelligible",
        ),
    ] {
        let control = control(|parts| {
            let other = failure.clone();
            parts.send_heartbeat = answering(move |_| Err(failure.clone()));
            parts.download_now = answering(move |_| Err(DownloadFailure::Call(other.clone())));
        });
        post(control.clone(), "/api/v1/heartbeat")
            .await
            .problem(status, name);
        post(control, "/api/v1/config/download")
            .await
            .problem(status, name);
    }
    let changes = MeterChanges {
        configured: 2,
        deactivated: 1,
    };
    let control = control(|parts| parts.download_now = answering(move |_| Ok(changes)));
    let answer = post(control, "/api/v1/config/download").await;
    assert_eq!(answer.text, r#"{"configured":2,"deactivated":1}"#);
}

fn quarantine(result: QuarantineActionResult) -> Control {
    control(|parts| {
        let other = result.clone();
        parts.requeue_quarantined = answering(move |_| Ok(result.clone()));
        parts.discard_quarantined = answering(move |_| Ok(other.clone()));
        parts.correct_quarantined = answering(|message: CorrectQuarantined| Ok(message.id == 1));
        parts.store = std::sync::Arc::new(FakeStore {
            quarantined: vec![quarantined(1)],
            ..FakeStore::default()
        });
    })
}

#[actix_web::test]
async fn single_quarantined_readings_are_missing_refused_or_done() {
    let none = QuarantineActionResult::default;
    let uri = "/api/v1/quarantine/1/requeue";
    post(quarantine(none()), uri)
        .await
        .problem(404, "not-found");
    ask(quarantine(none()), Method::DELETE, "/api/v1/quarantine/1")
        .await
        .problem(404, "not-found");
    let possibly_stored = QuarantineActionResult {
        possibly_stored: 1,
        ..none()
    };
    post(quarantine(possibly_stored), uri)
        .await
        .problem(409, "possibly-stored");
    let unreadable = QuarantineActionResult {
        unreadable: 1,
        first_problem: Some("column value holds nothing".into()),
        ..none()
    };
    let problem = post(quarantine(unreadable), uri)
        .await
        .problem(409, "unreadable");
    assert!(problem["detail"].as_str().unwrap().contains("column value"));
    let done = QuarantineActionResult {
        affected: 1,
        ..none()
    };
    let answer = post(quarantine(done), uri).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["affected"]),
        (200, &1.into())
    );
}

#[actix_web::test]
async fn a_filter_and_the_consent_reach_the_writer() {
    let control = control(|parts| {
        parts.requeue_quarantined = answering(|message: RequeueQuarantined| {
            assert!(message.accept_double);
            assert_eq!(message.filter.meter.as_deref(), Some("M 1"));
            Ok(QuarantineActionResult::default())
        });
    });
    let uri = "/api/v1/quarantine/requeue?meter=M%201&accept_double=true";
    assert_eq!(post(control, uri).await.status, 200);
}

#[actix_web::test]
async fn a_correction_answers_with_the_entry() {
    let correct = |id: i64, body: &'static str| {
        let request = TestRequest::patch()
            .uri(&format!("/api/v1/quarantine/{id}"))
            .set_payload(body);
        send(quarantine(QuarantineActionResult::default()), request)
    };
    let answer = correct(1, r#"{"value":2}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["reason"], "refused");
    correct(2, r#"{"value":2}"#).await.problem(404, "not-found");
    correct(1, r#"{"value":"2"}"#)
        .await
        .problem(400, "invalid-request");
}
