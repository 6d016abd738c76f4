//! The official clients of the protocol of assistants against the running service: over HTTP and over standard input
//! and output, in both eras of the protocol.

mod without_service;

use std::{io::Write, net::TcpStream, process::Command};

use meterit_sync::demo::client_system::{
    ClientSystemOptions, FaultAction, FaultPath, FaultRule, ServedMeter,
};
use serde_json::{Value, json};

use super::{
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};
use crate::helpers::peers;

const README: &str = include_str!("../../../README.md");
const READINGS: u32 = 3_000;
/// Two readings that the Client System refuses.
const BAD: &str = "UPDATE meter_readings SET data_point = '' WHERE id IN (17, 1500);";
const DELAY_MS: u64 = 300;

#[test]
fn the_python_client_does_everything_over_http_in_the_early_era() {
    tour(peers::python(), "legacy", over_http);
}

#[test]
fn the_python_client_does_everything_over_http_in_the_late_era() {
    tour(peers::python(), "auto", over_http);
}

#[test]
fn the_python_client_does_everything_over_stdio_in_the_early_era() {
    tour(peers::python(), "legacy", over_stdio);
}

#[test]
fn the_python_client_does_everything_over_stdio_in_the_late_era() {
    tour(peers::python(), "auto", over_stdio);
}

#[test]
fn the_typescript_client_does_everything_over_http() {
    tour(peers::typescript(), "legacy", over_http);
}

#[test]
fn the_typescript_client_does_everything_over_stdio() {
    tour(peers::typescript(), "legacy", over_stdio);
}

/// What the README has an assistant registered with, for a service on this port.
fn registered(port: u16) -> Value {
    let block = README.split("```json\n").find_map(|rest| {
        let block = rest.split("```").next()?;
        block.contains("mcpServers").then_some(block)
    });
    let block = block.expect("the README registers an assistant");
    let block = block.replace("3002", &port.to_string());
    let servers: Value = serde_json::from_str(&block).expect("JSON");
    servers["mcpServers"].clone()
}

fn over_http(port: u16) -> Value {
    registered(port)["meterit-over-http"]["url"].clone()
}

fn over_stdio(port: u16) -> Value {
    let server = &registered(port)["meterit"];
    assert_eq!(server["command"], "meterit-sync");
    let mut words = vec![json!(PROGRAM)];
    words.extend_from_slice(server["args"].as_array().expect("arguments"));
    // The README's service is at the usual address.
    words.extend([json!("--url"), json!(format!("http://127.0.0.1:{port}"))]);
    json!(words)
}

/// Runs a client; what it prints.
fn run(mut client: Command, task: &Value) -> Value {
    let output = client
        .arg(task.to_string())
        .output()
        .unwrap_or_else(|error| panic!("{client:?} must be there: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A site whose readings are uploaded when somebody asks for it, and that slowly.
fn site() -> Site {
    let mut options = ClientSystemOptions::default();
    options.configuration.meters = ["METER-1", "METER-2"]
        .map(|id| ServedMeter {
            external_id: id.to_owned(),
            name: format!("Meter {id}"),
            ..ServedMeter::default()
        })
        .into();
    let site = Site::with_client_system(options).set("ENABLE_AUTO_SYNC", "false");
    let slow = FaultAction::Delay {
        milliseconds: DELAY_MS,
    };
    site.client_system
        .set_faults(vec![FaultRule::on(FaultPath::Batch, slow)]);
    site.insert(READINGS);
    site.sql(BAD);
    site
}

fn tour(client: Command, mode: &str, connection: fn(u16) -> Value) {
    let site = site();
    let service = site.start();
    service.wait_until_connected();
    let told = run(
        client,
        &json!({
            "where": connection(service.port()),
            "mode": mode,
            "calls": calls(),
            "at_once": [
                { "tool": "trigger_sync", "progress": true },
                { "tool": "get_sync_stats" },
                { "tool": "get_connectivity_status" },
            ],
        }),
    );
    check_descriptions(&told, mode);
    check_answers(&told);
    check_refusals(&told, &service);
    check_concurrency(&told);
    let ledger = site.assert_all_delivered_once(u64::from(READINGS) - 2);
    assert_eq!(ledger.raw_duplicates, 0, "{ledger:?}");
    // One was discarded; the other went round once more, and was refused again.
    assert_eq!(service.get("/api/v1/quarantine")["total"], 1);
    service.stop();
}

/// Every tool, in an order in which each has something to do.
fn calls() -> Value {
    json!([
        { "tool": "check_connectivity" },
        { "tool": "get_connectivity_status" },
        { "tool": "send_heartbeat" },
        { "tool": "download_config" },
        { "tool": "get_meter_status" },
        { "tool": "get_meter_status", "arguments": { "meter_id": "METER-2" } },
        { "tool": "query_meter_readings", "arguments": { "hours": 200_000, "limit": 5, "meter_id": "METER-3" } },
        { "tool": "stop_sync" },
        { "tool": "trigger_sync" },
        { "tool": "start_sync" },
        { "tool": "trigger_sync", "progress": true },
        { "tool": "get_sync_status" },
        { "tool": "get_sync_stats", "arguments": { "hours": 1 } },
        { "tool": "list_quarantine", "arguments": { "reason": "refused" } },
        { "tool": "requeue_quarantined", "arguments": { "reason": "refused", "meter": "METER-17" } },
        { "tool": "requeue_quarantined", "arguments": {} },
        { "tool": "discard_quarantined", "arguments": { "id": 999 } },
        { "tool": "query_meter_readings", "arguments": { "limit": 0 } },
        { "tool": "stop_sync", "arguments": { "now": true } },
        { "tool": "discard_quarantined", "arguments": { "all": true } },
    ])
}

/// The answers of a tool, in order.
fn answers<'a>(told: &'a Value, tool: &str) -> Vec<&'a Value> {
    let steps = calls();
    let results = told["calls"].as_array().expect("a list");
    let steps = steps.as_array().expect("a list");
    assert_eq!(results.len(), steps.len());
    let of_tool = steps
        .iter()
        .zip(results)
        .filter(|(step, _)| step["tool"] == tool);
    of_tool.map(|(_, result)| result).collect()
}

fn check_descriptions(told: &Value, mode: &str) {
    assert_eq!(told["server"], "meterit-sync");
    assert_eq!(told["tools"].as_object().map(|tools| tools.len()), Some(14));
    assert_eq!(told["prompts"], json!(["diagnose_site"]));
    let prompt = told["prompt"].as_str().expect("a text");
    assert!(prompt.contains("\"state\": \"ok\""), "{prompt}");
    let status = &told["resources"]["meterit://status"];
    assert_eq!(status["queue"]["pending"], READINGS, "{status}");
    assert_eq!(told["resources"]["meterit://log"]["total"], 0);
    let is_late = told["protocol"] == "2026-07-28";
    assert_eq!(is_late, mode == "auto", "{}", told["protocol"]);
    let called: Vec<_> = calls()
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| step["tool"].clone())
        .collect();
    for tool in told["tools"].as_object().expect("tools").keys() {
        assert!(called.contains(&json!(tool)), "nobody calls {tool}");
    }
}

fn check_answers(told: &Value) {
    let answer = |tool: &str, index: usize| {
        let result = answers(told, tool)[index];
        assert_eq!(result["error"], false, "{tool}: {result}");
        result["answer"].clone()
    };
    assert_eq!(answer("check_connectivity", 0)["isConnected"], true);
    assert_eq!(answer("get_connectivity_status", 0)["isConnected"], true);
    assert!(answer("send_heartbeat", 0)["last_success_at"].is_string());
    assert_eq!(answer("download_config", 0)["configured"], 2);
    assert_eq!(answer("get_meter_status", 0)["count"], 2);
    let meter = &answer("get_meter_status", 1)["meters"][0];
    assert_eq!(meter["external_id"], "METER-2", "{meter}");
    let readings = answer("query_meter_readings", 0);
    assert_eq!(readings["count"], 5, "{readings}");
    assert_eq!(readings["total"], READINGS / 20);
    assert_eq!(readings["readings"][0]["meter_external_id"], "METER-3");
    assert!(readings["readings"][0]["value"].is_number(), "{readings}");
    assert_eq!(
        answer("stop_sync", 0),
        json!({ "changed": true, "isRunning": false })
    );
    assert_eq!(
        answer("start_sync", 0),
        json!({ "changed": true, "isRunning": true })
    );
    check_sync(answers(told, "trigger_sync")[1]);
    let overview = answer("get_sync_status", 0);
    assert_eq!(overview["sync_status"]["queueSize"], 0, "{overview}");
    assert_eq!(overview["connectivity"]["isConnected"], true);
    let logs = overview["recent_logs"].as_array().expect("a list");
    assert!(!logs.is_empty(), "{overview}");
    assert_eq!(overview["stats_24h"], answer("get_sync_stats", 0));
    assert_eq!(
        answer("get_sync_stats", 0)["total_readings_synced"],
        READINGS - 2
    );
    let quarantine = answer("list_quarantine", 0);
    assert_eq!(quarantine["total"], 2, "{quarantine}");
    assert_eq!(answer("requeue_quarantined", 0)["affected"], 1);
    assert_eq!(answer("discard_quarantined", 1)["affected"], 1);
}

fn check_sync(result: &Value) {
    let outcome = &result["answer"];
    assert_eq!(outcome["success"], true, "{outcome}");
    assert_eq!(outcome["queue_size_before"], READINGS);
    assert_eq!(outcome["queue_size_after"], 0);
    assert_eq!(outcome["last_sync_success"], true);
    let words = outcome["message"].as_str().expect("words");
    assert!(
        words.contains("2,998 readings arrived, 2 went to quarantine"),
        "{words}"
    );
    let progress = result["progress"].as_array().expect("a list");
    assert!(!progress.is_empty());
    let mut before = 0.0;
    for step in progress {
        let done = step["done"].as_f64().expect("a number");
        assert!(done > before, "{progress:?}");
        assert_eq!(step["total"], f64::from(READINGS), "{step}");
        before = done;
    }
}

/// The same words as over HTTP.
fn check_refusals(told: &Value, service: &Service) {
    let refusal = |tool: &str, index: usize| {
        let result = answers(told, tool)[index];
        assert_eq!(result["error"], true, "{tool}: {result}");
        result["answer"].clone()
    };
    service.post("/api/v1/sync/stop", None).expect_status(200);
    for (refused, method, path, status) in [
        (
            refusal("trigger_sync", 0),
            "POST",
            "/api/v1/sync/trigger?wait=true",
            409,
        ),
        (
            refusal("discard_quarantined", 0),
            "DELETE",
            "/api/v1/quarantine/999",
            404,
        ),
        (
            refusal("requeue_quarantined", 1),
            "POST",
            "/api/v1/quarantine/requeue",
            400,
        ),
    ] {
        let problem = service.ask(method, path, None).expect_status(status);
        for field in ["type", "title", "detail"] {
            assert_eq!(refused[field], problem[field], "{path}");
        }
    }
    for (refused, at_fault) in [
        (refusal("query_meter_readings", 1), "limit"),
        (refusal("stop_sync", 1), "now"),
    ] {
        assert_eq!(refused["type"], "urn:meterit-sync:problem:invalid-request");
        let words = refused["detail"].as_str().expect("words");
        assert!(words.contains(at_fault), "{words}");
    }
    service.post("/api/v1/sync/start", None).expect_status(200);
}

/// A sync under way, which the Client System holds up, holds up nothing else.
fn check_concurrency(told: &Value) {
    for result in told["at_once"].as_array().expect("a list") {
        assert_eq!(result["error"], false, "{result}");
    }
    let finished = told["finished"].as_array().expect("a list");
    assert_eq!(
        finished.last(),
        Some(&json!("trigger_sync")),
        "{finished:?}"
    );
}

#[test]
fn whoever_hangs_up_is_not_waited_for() {
    let site = Site::new()
        .set("ENABLE_AUTO_SYNC", "false")
        .set("API_TIMEOUT", "600000");
    let silent = FaultRule::on(FaultPath::Batch, FaultAction::Hang);
    site.client_system.set_faults(vec![silent]);
    site.insert(10);
    let service = site.start();
    service.wait_until_connected();
    service
        .post("/api/v1/sync/trigger", None)
        .expect_status(202);
    wait_until("the upload", || !site.client_system.batches().is_empty());
    let connections = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", service.id()));
        open.expect("it lives").count()
    };
    let before = connections();
    let message =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"trigger_sync"}}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    );
    // More than may come and go by themselves.
    let asking = [(); 5].map(|()| {
        let mut connection = TcpStream::connect(("127.0.0.1", service.port())).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        connection
    });
    wait_until("the connections", || connections() >= before + 4);
    drop(asking);
    wait_until("the end of the waiting", || connections() <= before);
    service.kill();
}

#[test]
fn pages_from_elsewhere_and_foreign_names_reach_nothing() {
    let site = Site::new();
    let service = site.start();
    let url = format!("http://127.0.0.1:{}/mcp", service.port());
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": "stop_sync" },
    })
    .to_string();
    let status = |header: &str| {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ])
            .args(["--header", "Content-Type: application/json"])
            .args(["--header", "Accept: application/json, text/event-stream"])
            .args(["--header", header, "--data", &message, &url])
            .output()
            .expect("curl must be installed");
        String::from_utf8(output.stdout).unwrap()
    };
    // All routes share one guard, which tells a foreign page from a foreign name.
    for (header, refused) in [
        ("Origin: https://evil.example", "403"),
        ("Origin: null", "403"),
        ("Host: evil.example", "421"),
    ] {
        assert_eq!(status(header), refused, "{header}");
    }
    assert_eq!(service.get("/api/v1/sync/status")["isRunning"], true);
    assert_eq!(status("Origin: http://localhost:6274"), "200");
    assert_eq!(service.get("/api/v1/sync/status")["isRunning"], false);
    service.stop();
}
