//! What the kernel was asked to do, in which order: nothing is said to anyone before it is safe on disk.

use std::{collections::HashMap, fs, process::Command};

use serde_json::json;

use super::{
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_for,
};

const READINGS: u32 = 3_000;
const TRACE: &str = "trace.txt";

#[test]
fn a_claim_is_on_disk_before_the_first_byte_leaves() {
    let site = Site::new().set("BATCH_SIZE", "500");
    site.insert(READINGS);
    let service = start_traced(&site);
    site.wait_until_drained(READINGS.into());
    let trace = end(&site, service);

    let keys = site.client_system.keys();
    assert_eq!(keys.len(), 6);
    for key in keys.keys() {
        let sent = trace.first_send(&["POST /api/sync/readings/batch", key]);
        trace.assert_on_disk_before(key, sent);
    }
}

#[test]
fn readings_are_on_disk_before_they_are_acknowledged() {
    let site = Site::new().set("ENABLE_AUTO_SYNC", "false");
    let service = start_traced(&site);
    let meters: Vec<String> = (1..=5).map(|n| format!("TRACED-METER-{n}-OF-5")).collect();
    for meter in &meters {
        let reading = json!([{"meter_external_id": meter, "timestamp": "2026-01-01T00:00:00Z",
            "data_point": "active_energy", "value": 1.5}]);
        service
            .post("/api/v1/readings", Some(&reading))
            .expect_status(201);
    }
    let trace = end(&site, service);

    let acknowledged = trace.sends(&["HTTP/1.1 201"]);
    assert_eq!(acknowledged.len(), meters.len());
    for (meter, sent) in meters.iter().zip(acknowledged) {
        trace.assert_on_disk_before(meter, sent);
    }
}

fn start_traced(site: &Site) -> Service {
    let mut command = Command::new("strace");
    // -D: the service is our own child, as without strace. -yy: paths and addresses besides the numbers.
    // The strings are as long as several pages of the database.
    let options =
        "-D -f -yy -s 65536 -e trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg";
    command.args(options.split(' ')).arg("-o").arg(TRACE);
    command.args([PROGRAM, "run"]);
    let path = std::env::var("PATH").expect("a search path");
    site.furnish(&mut command);
    command.env("PATH", path);
    Service::spawn(command)
}

fn end(site: &Site, service: Service) -> Trace {
    let process = service.id();
    service.stop();
    let last = format!("{process} +++ exited with 0 +++");
    let text = wait_for("the end of the trace", || {
        let text = fs::read_to_string(site.file(TRACE)).ok()?;
        text.lines()
            .any(|line| words(line) == words(&last))
            .then_some(text)
    });
    Trace::parse(&text)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A call of the traced service; the numbers are lines of the trace.
struct Call {
    name: String,
    arguments: String,
    begun: usize,
    returned: usize,
}

impl Call {
    fn is_on(&self, file: &str) -> bool {
        let descriptor = self.arguments.split('>').next().unwrap_or_default();
        descriptor.ends_with(file)
    }

    fn is_to_a_socket(&self) -> bool {
        let start: String = self.arguments.chars().take(40).collect();
        start.contains("<TCP:")
    }
}

struct Trace(Vec<Call>);

impl Trace {
    fn parse(text: &str) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        let mut open: HashMap<&str, usize> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some((process, what)) = line.split_once(' ') else {
                continue;
            };
            let what = what.trim_start();
            if what.starts_with("<... ") {
                if let Some(call) = open.remove(process) {
                    calls[call].returned = number;
                }
            } else if let Some((name, arguments)) = what.split_once('(') {
                let unfinished = arguments.ends_with("<unfinished ...>");
                if unfinished {
                    open.insert(process, calls.len());
                }
                calls.push(Call {
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                    begun: number,
                    returned: if unfinished { usize::MAX } else { number },
                });
            }
        }
        Self(calls)
    }

    /// Where each sending to a socket that contains all of these begins.
    fn sends(&self, contents: &[&str]) -> Vec<usize> {
        let is_meant = |call: &&Call| {
            call.is_to_a_socket() && contents.iter().all(|text| call.arguments.contains(text))
        };
        self.0
            .iter()
            .filter(is_meant)
            .map(|call| call.begun)
            .collect()
    }

    fn first_send(&self, contents: &[&str]) -> usize {
        let sends = self.sends(contents);
        *sends
            .first()
            .unwrap_or_else(|| panic!("nothing sent with {contents:?}"))
    }

    /// Fails unless `text` was written to the write-ahead log and synchronised before line `sent`.
    fn assert_on_disk_before(&self, text: &str, sent: usize) {
        let written = self.0.iter().find(|call| {
            call.name.starts_with("pwrite")
                && call.is_on("sync.db-wal")
                && call.arguments.contains(text)
        });
        let written = written
            .unwrap_or_else(|| panic!("{text} was never written"))
            .returned;
        assert!(
            written < sent,
            "{text}: written in line {written}, sent in line {sent}"
        );
        let synchronised = self.0.iter().any(|call| {
            ["fdatasync", "fsync"].contains(&call.name.as_str())
                && call.is_on("sync.db-wal")
                && call.begun > written
                && call.returned < sent
        });
        assert!(
            synchronised,
            "{text}: written in line {written}, sent in line {sent}, not synchronised in between"
        );
    }
}

#[test]
fn a_trace_with_the_wrong_order_is_noticed() {
    let right = "7 pwrite64(5</s/sync.db-wal>, \"KEY\", 3, 0) = 3\n\
                 7 fdatasync(5</s/sync.db-wal> <unfinished ...>\n\
                 8 sendto(9<TCP:[a->b]>, \"other\", 5, 0, NULL, 0) = 5\n\
                 7 <... fdatasync resumed>) = 0\n\
                 8 sendto(9<TCP:[a->b]>, \"KEY\", 3, 0, NULL, 0) = 3\n";
    let check = |text: &str| {
        let trace = Trace::parse(text);
        trace.assert_on_disk_before("KEY", trace.first_send(&["KEY"]));
    };
    check(right);
    let too_early: Vec<&str> = [0, 1, 4, 3]
        .map(|line| right.lines().nth(line).unwrap())
        .into();
    let noticed = std::panic::catch_unwind(|| check(&too_early.join("\n")));
    noticed.expect_err("sent while the log was still being synchronised");
}
