//! `meterit-sync mcp` where no service runs, where one comes up, and where one goes away.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::JoinHandle,
};

use super::*;
use crate::process::{readme::free_port, waiting::wait_for};

/// A relay whose client is the test.
struct Relay {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    complaints: JoinHandle<String>,
}

impl Relay {
    fn start(port: u16) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(["mcp", "--url", &format!("http://127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = process.stderr.take().expect("a pipe");
        Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().expect("a pipe")),
            complaints: std::thread::spawn(move || std::io::read_to_string(stderr).expect("texts")),
            process,
        }
    }

    fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open");
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line, which is a message.
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn call(&mut self, id: u32, tool: &str) {
        let message = json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": "tools/call",
            "params": { "name": tool, "_meta": { "progressToken": id } },
        });
        self.say(&message.to_string());
    }

    /// Ends its input; it ends in good order. What it said on standard error.
    fn end(mut self) -> String {
        self.input = None;
        let status = wait_for("the end of the relay", || self.process.try_wait().unwrap());
        assert!(status.success(), "{status}");
        let mut rest = String::new();
        self.output.read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
        self.complaints.join().expect("a text")
    }
}

#[test]
fn requests_are_refused_in_clear_words_until_the_service_is_up() {
    let port = free_port();
    let mut relay = Relay::start(port);
    relay.call(1, "get_sync_status");
    let refused = relay.hear();
    assert_eq!(refused["id"], 1, "{refused}");
    let words = refused["error"]["message"]
        .as_str()
        .expect("words")
        .to_owned();
    let begin = format!("nothing answers at http://127.0.0.1:{port}/mcp (");
    assert!(words.starts_with(&begin), "{words}");
    assert!(
        words.contains("start it with `meterit-sync run`"),
        "{words}"
    );
    relay.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    relay.say("nonsense");
    assert_eq!(relay.hear()["error"]["code"], -32_700);

    let site = Site::new().set("LOCAL_API_PORT", &port.to_string());
    let service = site.start();
    service.port();
    relay.call(2, "get_sync_status");
    let answer = relay.hear();
    assert_eq!(answer["id"], 2, "{answer}");
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    service.stop();
    let service = site.start();
    service.port();
    relay.call(3, "get_sync_status");
    let answer = relay.hear();
    assert_eq!(
        answer["result"]["isError"], false,
        "a restart breaks nothing: {answer}"
    );
    service.stop();

    let complaints = relay.end();
    assert_eq!(
        complaints.matches("nothing answers at").count(),
        2,
        "{complaints}"
    );
}

#[test]
fn the_clients_are_told_that_no_service_runs() {
    let port = free_port();
    for mut client in [peers::python(), peers::typescript()] {
        let task = json!({ "where": over_stdio(port), "mode": "legacy", "calls": [] });
        let output = client.arg(task.to_string()).output().expect("the client");
        assert!(!output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("a document");
        let words = told["failed"].as_str().expect("words");
        assert!(words.contains("nothing answers at http://"), "{words}");
    }
}

#[test]
fn a_cancelled_request_is_not_waited_for_and_a_lost_one_is_answered() {
    let silent = FaultRule::on(FaultPath::Batch, FaultAction::Hang);
    let site = Site::new()
        .set("ENABLE_AUTO_SYNC", "false")
        .set("API_TIMEOUT", "600000");
    site.client_system.set_faults(vec![silent]);
    site.insert(10);
    let service = site.start();
    service.wait_until_connected();
    let mut relay = Relay::start(service.port());
    relay.call(1, "trigger_sync");
    wait_for("the upload", || {
        (!site.client_system.batches().is_empty()).then_some(())
    });
    relay.call(2, "trigger_sync");
    relay.call(3, "get_sync_stats");
    let answer = relay.hear();
    assert_eq!(answer["id"], 3, "{answer}");
    relay.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    // Lines are taken up in order: once this is answered, the cancellation has been heard.
    relay.call(4, "get_sync_stats");
    assert_eq!(relay.hear()["id"], 4);
    service.kill();
    let lost = relay.hear();
    assert_eq!(lost["id"], 2, "{lost}");
    let words = lost["error"]["message"].as_str().expect("words");
    assert!(words.contains("it is not known whether"), "{words}");
    relay.end();
}
