//! The local API over real sockets: the shapes of the contract, control, readings and the size of the queue.

use std::time::Duration;

use meterit_sync::demo::client_system::FaultAction;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::helpers::{Plan, on_batch};

const STEP: Duration = Duration::from_millis(250);

fn assert_fields(object: &Value, names: &[&str]) {
    for name in names {
        assert!(
            object.get(name).is_some(),
            "{name} is missing in {object:#}"
        );
    }
}

#[actix::test]
async fn the_status_has_every_field_of_the_contract() {
    let site = Plan::default().start_settled(3).await;
    site.pass().await;
    let status = site.api().get("/status").await;
    assert_eq!(status.status, 200);
    let body = &status.body;
    assert_fields(
        body,
        &[
            "state",
            "reason",
            "since",
            "sync",
            "connectivity",
            "queue",
            "heartbeat",
            "config",
            "actors",
            "version",
            "uptime_s",
        ],
    );
    let sync = [
        "isRunning",
        "lastSyncTime",
        "lastSyncSuccess",
        "lastSyncError",
        "queueSize",
        "totalSynced",
        "totalFailed",
        "isClientConnected",
    ];
    assert_fields(&body["sync"], &sync);
    assert_fields(&site.api().get("/api/v1/sync/status").await.body, &sync);
    let connectivity = [
        "isConnected",
        "lastCheckTime",
        "lastSuccessfulConnection",
        "lastFailedConnection",
        "consecutiveFailures",
        "uptime",
        "downtime",
        "url",
        "lastError",
    ];
    assert_fields(&body["connectivity"], &connectivity);
    assert_fields(
        &site.api().get("/api/v1/connectivity").await.body,
        &connectivity,
    );
    assert_fields(
        &body["queue"],
        &[
            "pending",
            "in_flight",
            "quarantined",
            "oldest_pending_at",
            "drain_rate_per_s",
            "eta_s",
            "disk_free_bytes",
            "hours_until_full",
        ],
    );
    let actors = body["actors"].as_array().expect("a list");
    let mut names: Vec<_> = actors
        .iter()
        .filter_map(|actor| actor["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "api_client",
            "config_downloader",
            "connectivity_monitor",
            "database_writer",
            "heartbeat",
            "sync_manager"
        ]
    );
    actors
        .iter()
        .for_each(|actor| assert_fields(actor, &["state", "restarts", "last_failure"]));
    assert_eq!(
        (&body["state"], &body["sync"]["totalSynced"]),
        (&json!("ok"), &json!(3))
    );
    assert_eq!(body["sync"]["lastSyncTime"], "2026-03-01T12:00:00.000Z");
    let stats = site.api().get("/api/v1/sync/stats?hours=24").await.body;
    assert_eq!(
        stats,
        json!({"total_syncs": 1, "successful_syncs": 1, "failed_syncs": 0, "total_readings_synced": 3, "success_rate": 100.0})
    );
    site.finish().await;
}

#[actix::test]
async fn a_trigger_is_answered_by_what_stands_against_it() {
    let site = Plan::default()
        .fault(
            on_batch(FaultAction::Delay {
                milliseconds: 1_000,
            })
            .times(1),
        )
        .start_settled(5)
        .await;
    let api = site.api();
    let started = api.post("/api/v1/sync/trigger").await;
    assert_eq!(started.status, 202);
    assert!(started.body["pass_id"].is_u64(), "{started:?}");
    let running = api.post("/api/v1/sync/trigger").await;
    assert_eq!(
        (running.status, running.problem()),
        (409, "pass-already-running")
    );
    site.advance_until_drained(STEP).await;

    assert_eq!(api.post("/api/v1/sync/stop").await.status, 200);
    let stopped = api.post("/api/v1/sync/trigger").await;
    assert_eq!(
        (stopped.status, stopped.problem()),
        (409, "synchronisation-stopped")
    );
    assert_eq!(api.get("/status").await.body["state"], "stopped");
    assert_eq!(api.post("/api/v1/sync/start").await.status, 200);
    site.eventually("the pass that starting brings has ended", || {
        site.status().state == meterit_sync::domain::status::State::Ok
    })
    .await;

    site.simulator.set_down(true);
    let checked = api.post("/api/v1/connectivity/check").await;
    assert_eq!(
        (checked.status, &checked.body["isConnected"]),
        (200, &json!(false))
    );
    for path in ["/api/v1/sync/trigger", "/api/v1/sync/trigger?wait=true"] {
        let offline = api.post(path).await;
        assert_eq!(
            (offline.status, offline.problem()),
            (503, "client-system-offline")
        );
    }
    assert_eq!(
        api.get("/health/ready").await.status,
        200,
        "being offline is ready"
    );
    site.finish().await;
}

#[actix::test]
async fn waiting_covers_what_was_committed_before_the_request() {
    let site = Plan::default()
        .batch_size(5)
        .fault(
            on_batch(FaultAction::Delay {
                milliseconds: 1_000,
            })
            .times(1),
        )
        .start_settled(5)
        .await;
    site.control().trigger_sync().await.expect("a pass");
    site.eventually("the pass is on the wire", || site.batches().len() == 1)
        .await;
    site.database.insert(10..13).await;
    let api = site.api();
    let waiting = actix::spawn(async move { api.post("/api/v1/sync/trigger?wait=true").await });
    let moving = async {
        while !waiting.is_finished() {
            site.clock.advance(STEP);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), moving)
        .await
        .expect("the pass ends");
    let waited = waiting.await.expect("an answer");
    assert_eq!(waited.status, 200, "{waited:?}");
    assert_eq!(site.database.pending().await, 0);
    assert_eq!(site.simulator.ledger().distinct_readings, 8);
    site.finish().await;
}

#[actix::test]
async fn the_size_of_the_queue_is_exact_within_five_seconds_of_other_programs_changes() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(0)
        .await;
    let expect = async |what: &str| {
        let pending = site.database.pending().await;
        let changed_at = site.clock.now();
        site.advance_until(what, STEP, || site.status().sync.queue_size == pending)
            .await;
        let took = site.clock.now() - changed_at;
        assert!(took.num_milliseconds() <= 5_000, "{what}: {took}");
        assert_eq!(
            site.api().get("/status").await.body["queue"]["pending"],
            pending
        );
    };
    site.database.insert(0..1_000).await;
    expect("inserted").await;
    site.database
        .execute("DELETE FROM meter_readings WHERE id % 3 = 0")
        .await;
    expect("deleted").await;
    site.database
        .execute("UPDATE meter_readings SET is_synchronized = 1 WHERE id % 5 = 0")
        .await;
    expect("marked").await;
    site.database
        .execute("UPDATE meter_readings SET is_synchronized = NULL WHERE id % 5 = 0")
        .await;
    expect("NULL counts as false").await;
    site.database.execute("DELETE FROM meter_readings").await;
    expect("emptied").await;
    site.database
        .execute(
            "INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value)
             VALUES (5, 'late', '2026-03-01 11:00:00', 'energy_total', 1), (200000, 'far', '2026-03-01 11:00:00', 'energy_total', 1)",
        )
        .await;
    expect("late and far ids").await;
    assert_eq!(site.pass().await.delivered, 2);
    assert_eq!(site.status().sync.queue_size, 0);
    site.finish().await;
}

#[actix::test]
async fn a_deletion_anywhere_in_a_long_queue_is_noticed_as_soon() {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(160_000)
        .await;
    site.until("counted", |status| status.sync.queue_size == 160_000)
        .await;
    for (range, left) in [
        ("1 AND 10", 159_990),
        ("70000 AND 70009", 159_980),
        ("159991 AND 160000", 159_970),
    ] {
        site.database
            .execute(&format!(
                "DELETE FROM meter_readings WHERE id BETWEEN {range}"
            ))
            .await;
        let changed_at = site.clock.now();
        site.advance_until(range, STEP, || site.status().sync.queue_size == left)
            .await;
        let took = site.clock.now() - changed_at;
        assert!(took.num_milliseconds() <= 5_000, "{range}: {took}");
    }
    site.finish().await;
}

#[actix::test]
async fn a_deletion_behind_constant_additions_is_noticed_as_soon() {
    // Sixty groups of fifty, so far apart that each is counted on its own, as fifty thousand in a row would be.
    const LONG: &str =
        "INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value)
        WITH RECURSIVE numbers (n) AS (SELECT 50 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3049)
        SELECT n / 50 * 50000 + n % 50, 'M', '2026-03-01 11:00:00', 'energy_total', n FROM numbers";
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .start(0)
        .await;
    site.database.execute(LONG).await;
    site.advance_until("counted", STEP, || site.status().sync.queue_size == 3_000)
        .await;
    let mut added = 0;
    let mut pass_by = async |time: Duration| {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            site.database.insert(added..added + 1).await;
            added += 1;
            site.clock.advance(STEP);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        added
    };
    for (group, left) in [
        (59, 2_950),
        (2, 2_900),
        (31, 2_850),
        (12, 2_800),
        (45, 2_750),
    ] {
        // Wherever the verification has come to by then.
        pass_by(Duration::from_millis(1_750)).await;
        site.database
            .execute(&format!(
                "DELETE FROM meter_readings WHERE id / 50000 = {group}"
            ))
            .await;
        // What was added in the last five seconds need not show yet.
        let added_then = pass_by(Duration::ZERO).await;
        let added_now = pass_by(Duration::from_secs(5)).await;
        let allowed = left + added_then..=left + added_now;
        site.until(&format!("group {group}"), |status| {
            allowed.contains(&status.sync.queue_size)
        })
        .await;
    }
    site.finish().await;
}

#[actix::test]
async fn a_low_id_that_appears_late_is_still_uploaded() {
    let site = Plan::default().start_settled(0).await;
    let insert = async |id: u32| {
        site.database
            .execute(&format!(
                "INSERT INTO meter_readings (id, meter_external_id, timestamp, data_point, value)
                 VALUES ({id}, 'M', '2026-03-01 11:00:00', 'energy_total', {id})"
            ))
            .await;
    };
    insert(100).await;
    assert_eq!(site.pass().await.delivered, 1);
    insert(7).await;
    assert_eq!(site.pass().await.delivered, 1);
    assert_eq!(site.simulator.ledger().distinct_readings, 2);
    site.finish().await;
}

#[actix::test]
async fn readings_of_other_programs_start_a_pass_by_themselves() {
    let site = Plan::default().start_settled(10).await;
    let inserted_at = site.clock.now();
    site.advance_until_drained(STEP).await;
    let took = site.clock.now() - inserted_at;
    assert!(took.num_seconds() <= 120, "{took}");
    assert_eq!(site.simulator.ledger().readings_stored, 10);
    site.finish().await;
}

/// Who does not wait for an answer before the next question is answered in turn, whatever their bodies look like.
#[actix::test]
async fn questions_on_one_connection_are_answered_one_after_the_other() {
    let site = Plan::default().start_settled(0).await;
    let port = site.port();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let question =
        |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let json = "Content-Type: application/json\r\n";
    // With empty lines, as they are at the end of a head.
    let reading = "[\r\n\r\n{\"meter_external_id\": \"M\", \"timestamp\": \"2026-01-01T00:00:00Z\",\n\n\
                   \"data_point\": \"energy\", \"value\": 1}\r\n\r\n]";
    let whole = format!("{json}Content-Length: {}\r\n", reading.len());
    let in_chunks = format!("{json}Transfer-Encoding: chunked\r\n");
    let asked = [
        question("GET /nothing", ""),
        question("POST /api/v1/readings", &whole),
        reading.to_owned(),
        question("GET /health/live", ""),
        question("POST /api/v1/readings", &in_chunks),
        format!("{:x}\r\n", reading.len()),
    ];
    connection
        .write_all(asked.concat().as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let reading_in_pieces = format!("{reading}\r\n0\r\n\r\n");
    // Nobody reads what comes along; where it comes later than the answer, that is the last one.
    let stop = question(
        "POST /api/v1/sync/stop",
        &format!("{json}Content-Length: 2\r\n"),
    );
    let stop = format!("{stop}{{}}");
    let last_in_pieces = question("GET /health/ready", "Connection: close\r\n");
    let pieces = reading_in_pieces.as_bytes().chunks(7);
    let pieces = pieces.chain([stop.as_bytes()]);
    for piece in pieces.chain(last_in_pieces.as_bytes().chunks(7)) {
        connection.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut answers = String::new();
    connection.read_to_string(&mut answers).await.unwrap();
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(
        statuses,
        ["404", "201", "200", "201", "200", "200"],
        "{answers}"
    );
    site.finish().await;
}
