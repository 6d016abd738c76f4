//! Scripted faults, as they look from the other end of the wire.

use std::{
    io::{ErrorKind, Read},
    sync::mpsc,
    time::Duration,
};

use chrono::DateTime;
use serde_json::json;

use super::{
    super::{
        ClientSystemOptions, FaultAction, FaultPath, FaultRule, Naming, PartialFault, Rollback,
    },
    peer::{BATCH, ask, batch, connect, receive, send, start, start_with, upload},
};
use crate::clock::Clock;

fn on_batch(action: FaultAction) -> FaultRule {
    FaultRule::on(FaultPath::Batch, action)
}

#[test]
fn a_reset_after_the_commit_leaves_the_readings_stored() {
    let simulator = start();
    simulator.add_fault(on_batch(FaultAction::Reset).times(1).after_commit());
    let error = upload(&simulator, "k1", &batch(&["M1"])).expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(simulator.ledger().readings_stored, 1);
    assert_eq!(
        upload(&simulator, "k1", &batch(&["M1"]))
            .expect("an answer")
            .status,
        200
    );
    let ledger = simulator.ledger();
    assert_eq!((ledger.raw_duplicates, ledger.duplicates_after_key), (1, 0));
    assert_eq!(simulator.batches()[0].fault, Some("reset"));
}

#[test]
fn a_reset_or_close_before_the_commit_stores_nothing() {
    let simulator = start();
    for (action, seen) in [
        (FaultAction::Reset, ErrorKind::ConnectionReset),
        (FaultAction::Close, ErrorKind::UnexpectedEof),
    ] {
        simulator.set_faults(vec![on_batch(action)]);
        let error = upload(&simulator, "k1", &batch(&["M1"])).expect_err("no answer");
        assert_eq!(error.kind(), seen);
    }
    assert_eq!(simulator.ledger().readings_stored, 0);
}

#[test]
fn a_close_is_orderly_and_without_a_byte() {
    let simulator = start();
    simulator.add_fault(on_batch(FaultAction::Close));
    let mut socket = connect(&simulator);
    send(
        &mut socket,
        BATCH,
        "",
        batch(&["M1"]).to_string().as_bytes(),
    );
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an orderly close");
    assert!(bytes.is_empty());
}

#[test]
fn a_truncated_answer_breaks_off_in_its_body() {
    let simulator = start();
    simulator.add_fault(on_batch(FaultAction::Truncate { keep_bytes: 9 }).after_commit());
    let mut socket = connect(&simulator);
    send(
        &mut socket,
        BATCH,
        "",
        batch(&["M1"]).to_string().as_bytes(),
    );
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an orderly close");
    let text = String::from_utf8(bytes).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("the head is whole");
    assert!(head.starts_with("HTTP/1.1 200"));
    assert_eq!(body.len(), 9);
    assert_eq!(simulator.ledger().readings_stored, 1);
}

#[test]
fn answers_can_be_dictated_garbled_or_empty_of_meaning() {
    let simulator = start();
    let answer = FaultAction::Answer {
        status: 503,
        headers: vec![("Retry-After".to_owned(), "7".to_owned())],
        body: "busy".to_owned(),
    };
    simulator.set_faults(vec![
        on_batch(answer).times(1),
        on_batch(FaultAction::Garbage).times(1),
        on_batch(FaultAction::Unsuccessful).times(1),
        on_batch(FaultAction::Gigantic { bytes: 3_000_000 }).times(1),
    ]);
    let next = || upload(&simulator, "k1", &batch(&["M1"])).expect("an answer");
    let dictated = next();
    assert_eq!(
        (dictated.status, dictated.header("retry-after")),
        (503, Some("7"))
    );
    let garbled = next();
    assert_eq!(garbled.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&garbled.body).is_err());
    assert_eq!(next().json(), json!({"success": false}));
    assert_eq!(next().header("transfer-encoding"), Some("chunked"));
    assert_eq!(simulator.ledger().readings_stored, 0);
}

#[test]
fn a_gigantic_body_has_its_length() {
    let simulator = start();
    simulator.add_fault(FaultRule::on(
        FaultPath::Health,
        FaultAction::Gigantic { bytes: 3_000_000 },
    ));
    let mut socket = connect(&simulator);
    send(&mut socket, "GET /api/health", "Connection: close\r\n", b"");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an orderly close");
    assert!(bytes.len() > 3_000_000);
}

#[test]
fn a_refusal_names_the_readings_that_it_is_told_to() {
    let simulator = start();
    let refused = |naming, meters: &[&str]| {
        simulator.set_faults(vec![
            on_batch(FaultAction::Refuse { naming }).containing_meter("M2"),
        ]);
        let answer = upload(&simulator, "k1", &batch(meters)).expect("an answer");
        (
            answer.status,
            answer.json()["errors"].as_array().map_or(0, Vec::len),
        )
    };
    assert_eq!(refused(Naming::Every, &["M1", "M2", "M2"]), (400, 2));
    assert_eq!(refused(Naming::First, &["M1", "M2", "M2"]), (400, 1));
    assert_eq!(refused(Naming::Nothing, &["M1", "M2", "M2"]), (400, 0));
    assert_eq!(simulator.ledger().readings_stored, 0);
    assert_eq!(refused(Naming::Every, &["M1", "M3"]).0, 200);
}

#[test]
fn large_batches_can_be_singled_out() {
    let simulator = start();
    let answer = FaultAction::Answer {
        status: 413,
        headers: Vec::new(),
        body: String::new(),
    };
    simulator.add_fault(on_batch(answer).larger_than(2));
    assert_eq!(
        upload(&simulator, "k1", &batch(&["M1", "M2", "M3"]))
            .expect("an answer")
            .status,
        413
    );
    assert_eq!(
        upload(&simulator, "k2", &batch(&["M1", "M2"]))
            .expect("an answer")
            .status,
        200
    );
}

#[test]
fn rows_fail_by_script_in_either_version() {
    let simulator = start();
    let partial = PartialFault {
        rows: vec![1],
        rollback: Some(Rollback::Savepoint),
        ..Default::default()
    };
    let hidden = PartialFault {
        hide_errors: true,
        ..partial.clone()
    };
    simulator.set_faults(vec![
        on_batch(FaultAction::Partial(partial)).times(1),
        on_batch(FaultAction::Partial(hidden)).times(1),
        on_batch(FaultAction::Partial(PartialFault::default())).containing_meter("M3"),
    ]);
    let next = || {
        upload(&simulator, "k1", &batch(&["M1", "M2", "M3"]))
            .expect("an answer")
            .json()
    };
    assert_eq!(next()["errors"][0]["meter_external_id"], "M2");
    let hidden = next();
    assert_eq!(
        (&hidden["skipped"], &hidden["errors"]),
        (&json!(1), &json!([]))
    );
    let aborted = next();
    assert_eq!(
        (
            &aborted["inserted"],
            &aborted["errors"][0]["meter_external_id"]
        ),
        (&json!(2), &json!("M3"))
    );
    assert_eq!(simulator.ledger().readings_stored, 4);
}

#[test]
fn a_hanging_request_ends_with_its_client_and_does_not_count_as_open_after() {
    let simulator = start();
    simulator.add_fault(on_batch(FaultAction::Hang).times(1));
    let body = batch(&["M1"]).to_string();
    let mut socket = connect(&simulator);
    send(
        &mut socket,
        BATCH,
        "Idempotency-Key: k1\r\n",
        body.as_bytes(),
    );
    let patience = Some(Duration::from_millis(200));
    socket
        .set_read_timeout(patience)
        .expect("a timeout can be set");
    assert_eq!(
        receive(&mut socket).expect_err("no answer").kind(),
        ErrorKind::WouldBlock
    );
    drop(socket);
    assert_eq!(
        upload(&simulator, "k1", &batch(&["M1"]))
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(simulator.ledger().most_open_per_key, 1);
}

#[test]
fn two_open_requests_with_one_key_are_noticed() {
    let simulator = start();
    simulator.add_fault(on_batch(FaultAction::Hang).times(2));
    let body = batch(&["M1"]).to_string();
    let mut sockets = [connect(&simulator), connect(&simulator)];
    for socket in &mut sockets {
        send(socket, BATCH, "Idempotency-Key: k1\r\n", body.as_bytes());
    }
    while simulator.ledger().batches_received < 2 {
        std::thread::yield_now();
    }
    assert_eq!(simulator.ledger().most_open_per_key, 2);
}

#[test]
fn a_delay_goes_by_the_clock_and_may_come_after_the_commit() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let simulator = start_with(ClientSystemOptions {
        clock: clock.clone(),
        ..Default::default()
    });
    simulator.add_fault(
        on_batch(FaultAction::Delay {
            milliseconds: 60_000,
        })
        .after_commit(),
    );
    let (answered, answer) = mpsc::channel();
    let handle = simulator.handle();
    let client = std::thread::spawn(move || {
        let status = upload(&handle, "k1", &batch(&["M1"])).map(|received| received.status);
        answered.send(status).expect("the test waits for it");
    });
    while simulator.ledger().readings_stored == 0 {
        std::thread::yield_now();
    }
    assert!(answer.try_recv().is_err(), "stored, but not answered yet");
    let status = loop {
        clock.advance(Duration::from_secs(60));
        if let Ok(status) = answer.recv_timeout(Duration::from_millis(10)) {
            break status;
        }
    };
    assert_eq!(status.expect("an answer"), 200);
    client.join().expect("the client ends well");
}

#[test]
fn faults_are_set_over_the_control_api_too() {
    let simulator = start();
    let rules = br#"{"path":"health","times":1,"action":{"answer":{"status":502}}}"#;
    assert_eq!(
        ask(&simulator, "POST /_simulator/faults", "", rules)
            .expect("an answer")
            .status,
        204
    );
    assert_eq!(
        ask(&simulator, "GET /api/health", "", b"")
            .expect("an answer")
            .status,
        502
    );
    assert_eq!(
        ask(&simulator, "GET /api/health", "", b"")
            .expect("an answer")
            .status,
        200
    );
    let listed = ask(&simulator, "GET /_simulator/faults", "", b"")
        .expect("an answer")
        .json();
    assert_eq!(
        (&listed["total"], &listed["items"][0]["used"]),
        (&json!(1), &json!(1))
    );
    let refused = ask(
        &simulator,
        "PUT /_simulator/faults",
        "",
        br#"[{"action":"explode"}]"#,
    )
    .expect("an answer");
    assert_eq!(refused.status, 400);
    assert_eq!(
        ask(&simulator, "DELETE /_simulator/faults", "", b"")
            .expect("an answer")
            .status,
        204
    );
    assert!(simulator.faults().is_empty());
}
