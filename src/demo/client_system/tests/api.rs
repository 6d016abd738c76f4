//! The calls as deployed: answers, refusals, encodings, limits.

use std::{
    io::{Read, Write},
    time::Duration,
};

use chrono::DateTime;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::{
    super::{
        ClientSystemOptions, Deduplication, RateLimit, Rollback, ServedConfiguration, ServedMeter,
        body::BODY_LIMIT,
    },
    peer::{BATCH, ask, batch, connect, receive, send, start, start_with, upload},
};
use crate::clock::Clock;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

#[test]
fn a_batch_is_stored_and_known_to_the_ledger() {
    let simulator = start();
    let answer = upload(&simulator, "k1", &batch(&["M1", "M2"])).expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["inserted"], 2);
    assert_eq!(answer.json()["skipped"], 0);
    assert_eq!(answer.json()["errors"], json!([]));
    let received = simulator.batches();
    assert_eq!(
        (
            received[0].key.as_deref(),
            received[0].stored,
            received[0].status
        ),
        (Some("k1"), 2, Some(200))
    );
    let instant = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z")
        .expect("a valid time")
        .to_utc();
    assert_eq!(
        simulator.times_stored("M1", instant, "energy_total", "1.5"),
        1
    );
    assert_eq!(
        simulator.times_stored("M1", instant, "energy_total", "1.50"),
        0
    );
    assert_eq!(simulator.stored_readings()[1].meter, "M2");
    assert_eq!(simulator.ledger().most_open_per_key, 1);
}

#[test]
fn a_null_unit_is_refused_by_index() {
    let simulator = start();
    let mut readings = batch(&["M1", "M2", "M3"]);
    readings["readings"][2]["unit"] = json!(null);
    let answer = upload(&simulator, "k1", &readings).expect("an answer");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["message"], "Validation error");
    let expected = json!([{
        "type": "field", "value": null, "msg": "Unit must be a string", "path": "readings[2].unit",
        "location": "body",
    }]);
    assert_eq!(answer.json()["errors"], expected);
    assert_eq!(simulator.ledger().readings_stored, 0);
}

#[test]
fn only_the_health_call_is_open_to_everyone() {
    let simulator = start();
    simulator.set_api_key("another");
    assert_eq!(
        ask(&simulator, "GET /api/health", "", b"")
            .expect("an answer")
            .json(),
        json!({"status": "OK"})
    );
    for call in [
        "POST /api/sync/auth",
        "POST /api/sync/heartbeat",
        "GET /api/sync/config",
        BATCH,
    ] {
        let answer = ask(&simulator, call, "", b"").expect("an answer");
        assert_eq!(answer.status, 401, "{call}");
        assert_eq!(
            answer.json(),
            json!({"success": false, "message": "Invalid API key"})
        );
    }
    simulator.set_api_key("demo-key");
    let answer = ask(&simulator, "POST /api/sync/auth", "", b"{}").expect("an answer");
    assert_eq!(answer.json()["site"], json!({"id": 1, "name": "Site A"}));
}

#[test]
fn heartbeats_are_kept_and_the_configuration_is_served() {
    let simulator = start();
    let answer = ask(
        &simulator,
        "POST /api/sync/heartbeat",
        "",
        br#"{"status":"ok","extra":1}"#,
    )
    .expect("an answer");
    assert!(answer.json()["server_time"].is_string());
    assert_eq!(simulator.heartbeats()[0].body["extra"], 1);
    let meter = ServedMeter {
        external_id: "M1".to_owned(),
        name: "Main".to_owned(),
        ..Default::default()
    };
    let mut configuration = ServedConfiguration {
        meters: vec![meter],
        sync_interval_minutes: 7,
        batch_size: 10,
        meters_only: false,
    };
    simulator.set_configuration(configuration.clone());
    let served = ask(&simulator, "GET /api/sync/config", "", b"")
        .expect("an answer")
        .json();
    assert_eq!(served["config"]["sync_interval_minutes"], 7);
    assert_eq!(served["config"]["meters"][0]["bacnet_ip"], json!(null));
    configuration.meters_only = true;
    simulator.set_configuration(configuration);
    let served = ask(&simulator, "GET /api/sync/config", "", b"")
        .expect("an answer")
        .json();
    assert_eq!(served["meters"][0]["external_id"], "M1");
}

#[test]
fn gzip_is_understood_and_nothing_else() {
    let simulator = start();
    let plain = batch(&["M1"]).to_string();
    let packed = gzip(plain.as_bytes());
    let headers =
        |encoding: &str| format!("Idempotency-Key: k\r\nContent-Encoding: {encoding}\r\n");
    assert_eq!(
        ask(&simulator, BATCH, &headers("gzip"), &packed)
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(
        ask(&simulator, BATCH, &headers("identity"), plain.as_bytes())
            .expect("an answer")
            .status,
        200
    );
    let key = simulator.key("k").expect("the key was seen");
    assert!(key.identical, "the same bytes after decompression");
    assert_eq!(
        ask(&simulator, BATCH, &headers("zstd"), &packed)
            .expect("an answer")
            .status,
        415
    );
    assert_eq!(
        ask(&simulator, BATCH, &headers("gzip"), b"no gzip")
            .expect("an answer")
            .status,
        400
    );
}

#[test]
fn ten_megabytes_are_the_limit_after_decompression() {
    let simulator = start();
    let mut body = batch(&["M1"]).to_string().into_bytes();
    body.resize(BODY_LIMIT, b' ');
    assert_eq!(
        ask(&simulator, BATCH, "", &body).expect("an answer").status,
        200
    );
    body.push(b' ');
    for (headers, body) in [
        ("", body.clone()),
        ("Content-Encoding: gzip\r\n", gzip(&body)),
    ] {
        let answer = ask(&simulator, BATCH, headers, &body).expect("an answer");
        assert_eq!(answer.status, 413);
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
    }
}

#[test]
fn the_rate_limit_answers_as_deployed_and_opens_again() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let options = ClientSystemOptions {
        rate_limit: Some(RateLimit {
            requests: 1,
            window: Duration::from_secs(900),
        }),
        clock: clock.clone(),
        ..Default::default()
    };
    let simulator = start_with(options);
    let health = || ask(&simulator, "GET /api/health", "", b"").expect("an answer");
    let first = health();
    assert_eq!(
        (first.status, first.header("x-ratelimit-remaining")),
        (200, Some("0"))
    );
    let second = health();
    assert_eq!(
        (second.status, second.header("retry-after")),
        (429, Some("900"))
    );
    assert_eq!(second.header("x-ratelimit-limit"), Some("1"));
    assert_eq!(second.header("x-ratelimit-reset"), Some("900"));
    assert!(serde_json::from_slice::<serde_json::Value>(&second.body).is_err());
    assert_eq!(
        ask(&simulator, "GET /_simulator/ledger", "", b"")
            .expect("an answer")
            .status,
        200
    );
    clock.advance(Duration::from_secs(900));
    assert_eq!(health().status, 200);
}

#[test]
fn a_row_failing_in_the_database_takes_the_batch_with_it_unless_there_are_savepoints() {
    let simulator = start();
    let mut readings = batch(&["M1", "M2", "M3"]);
    readings["readings"][1]["value"] = json!(1e13);
    let aborted = upload(&simulator, "k1", &readings)
        .expect("an answer")
        .json();
    assert_eq!(
        (&aborted["inserted"], &aborted["skipped"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        aborted["errors"][0],
        json!({"meter_external_id": "M2", "error": "numeric field overflow"})
    );
    assert!(
        aborted["errors"][1]["error"]
            .as_str()
            .is_some_and(|words| words.contains("transaction is aborted"))
    );
    assert_eq!(simulator.ledger().readings_stored, 0);
    simulator.set_rollback(Rollback::Savepoint);
    simulator.set_failing_meters(["M3".to_owned()]);
    let partial = upload(&simulator, "k2", &readings)
        .expect("an answer")
        .json();
    assert_eq!(
        (&partial["inserted"], &partial["skipped"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(simulator.ledger().readings_stored, 1);
}

#[test]
fn a_key_is_ignored_as_deployed_and_honoured_by_the_newer_server() {
    let simulator = start();
    let readings = batch(&["M1"]);
    let inserted = |key: &str| {
        upload(&simulator, key, &readings)
            .expect("an answer")
            .json()["inserted"]
            .clone()
    };
    assert_eq!((inserted("k1"), inserted("k1")), (json!(1), json!(1)));
    let ledger = simulator.ledger();
    assert_eq!((ledger.raw_duplicates, ledger.duplicates_after_key), (1, 0));
    simulator.set_deduplication(Deduplication::ReplayAnswer);
    assert_eq!((inserted("k2"), inserted("k2")), (json!(1), json!(1)));
    simulator.set_deduplication(Deduplication::NothingInserted);
    assert_eq!(inserted("k2"), json!(0));
    assert_eq!(simulator.ledger().readings_stored, 3);
    assert_eq!(
        upload(&simulator, "k2", &batch(&["M2"]))
            .expect("an answer")
            .status,
        422
    );
    assert_eq!(simulator.ledger().keys_with_differing_bodies, 1);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_kept() {
    let idle = Duration::from_secs(1);
    let simulator = start_with(ClientSystemOptions {
        keep_alive: idle,
        ..Default::default()
    });
    let mut socket = connect(&simulator);
    for _ in 0..2 {
        send(&mut socket, "GET /api/health", "", b"");
        assert_eq!(receive(&mut socket).expect("an answer").status, 200);
    }
    let mut rest = Vec::new();
    assert_eq!(socket.read_to_end(&mut rest).expect("an orderly close"), 0);
}

#[test]
fn a_large_delivery_is_counted_exactly() {
    let simulator = start_with(ClientSystemOptions {
        keep_readings: false,
        ..Default::default()
    });
    let mut socket = connect(&simulator);
    for number in 0..20 {
        let rows: Vec<String> = (0..1000).map(|row| format!(
            r#"{{"meter_external_id":"M1","timestamp":"2026-01-01T00:00:{number:02}.{row:03}Z","data_point":"e","value":{row}.5}}"#
        )).collect();
        let body = format!(r#"{{"readings":[{}]}}"#, rows.join(","));
        send(
            &mut socket,
            BATCH,
            &format!("Idempotency-Key: {number}\r\n"),
            body.as_bytes(),
        );
        assert_eq!(receive(&mut socket).expect("an answer").status, 200);
    }
    assert_eq!(simulator.delivered(), (20_000, 20_000));
}
