//! Commands that follow the service until they are interrupted.

use std::{
    io::{BufRead, BufReader, Lines, Read},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use super::{super::waiting::wait_for, command, connected, quiet_site, run};

/// A command that goes on, read line by line.
struct Following {
    process: Child,
    said: BufReader<ChildStderr>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Following {
    /// Events are followed once it says so.
    fn events(port: u16, arguments: &[&str]) -> Self {
        let mut following = Self::start(port, &[&["events"], arguments].concat());
        let mut said = String::new();
        following.said.read_line(&mut said).unwrap();
        assert!(
            said.contains("following the events at http://127.0.0.1:"),
            "{said}"
        );
        following
    }

    fn start(port: u16, arguments: &[&str]) -> Self {
        let mut process = command(port, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = process
            .stdout
            .take()
            .map(|output| BufReader::new(output).lines());
        let said = BufReader::new(process.stderr.take().unwrap());
        Self {
            process,
            said,
            lines,
        }
    }

    fn line(&mut self) -> String {
        self.lines.as_mut().unwrap().next().unwrap().unwrap()
    }

    /// Reads until a line with these words.
    fn line_with(&mut self, words: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(words) {
                return line;
            }
        }
    }

    fn code(&mut self) -> Option<i32> {
        wait_for("the command's end", || self.process.try_wait().unwrap()).code()
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &line])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // A failed test must not leave it behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn events_are_told_one_a_line_until_interrupted() {
    let site = quiet_site();
    site.insert(5);
    let service = connected(&site);
    let port = service.port();
    let mut people = Following::events(port, &[]);
    let mut programs = Following::events(port, &["--json"]);
    run(port, &["sync", "trigger", "--wait"]).done();
    site.client_system.set_down(true);
    run(port, &["connectivity", "check"]).unwell();

    let started = people.line();
    assert!(
        started.contains("Z  pass-started     pass 1 (manual)"),
        "{started}"
    );
    let finished = people.line_with("pass-finished");
    assert!(finished.contains("5 readings delivered"), "{finished}");
    let down = people.line_with("disconnected");
    assert!(
        down.contains("the Client System cannot be reached: "),
        "{down}"
    );
    let kinds: Vec<Value> = (0..3)
        .map(|_| serde_json::from_str::<Value>(&programs.line()).unwrap()["event"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["pass_started", "pass_finished", "link"],
        "each once"
    );

    people.signal("INT");
    programs.signal("TERM");
    assert_eq!((people.code(), programs.code()), (Some(0), Some(0)));
    service.stop();
}

#[test]
fn events_end_when_nobody_reads_or_the_service_ends() {
    let site = quiet_site();
    let service = connected(&site);
    let port = service.port();
    let mut unread = Following::events(port, &[]);
    let mut left_alone = Following::events(port, &[]);
    drop(unread.lines.take());
    run(port, &["sync", "trigger", "--wait"]).done();
    assert_eq!(unread.code(), Some(0));

    left_alone.line_with("pass-finished");
    service.kill();
    assert_eq!(left_alone.code(), Some(4));
    let said = left_alone.said.by_ref().lines().next().unwrap().unwrap();
    assert!(
        said.contains("is no longer followed: it has ended the stream"),
        "{said}"
    );
}

#[test]
fn a_watched_status_is_a_line_for_every_change() {
    let site = quiet_site();
    let service = connected(&site);
    let port = service.port();
    let mut people = Following::start(port, &["status", "--watch"]);
    let mut programs = Following::start(port, &["status", "--watch", "--json"]);
    let states = |document: &str| serde_json::from_str::<Value>(document).unwrap()["state"].clone();
    let first = people.line();
    assert!(
        first.contains("Z  ok: All readings are uploaded"),
        "{first}"
    );
    assert_eq!(states(&programs.line()), "ok");

    run(port, &["sync", "stop"]).done();
    let stopped = people.line();
    assert!(stopped.contains("Z  stopped: "), "{stopped}");
    assert_eq!(states(&programs.line()), "stopped");
    programs.signal("INT");
    assert_eq!(programs.code(), Some(5), "as the last look says");

    service.stop();
    let gone = people.line_with("no service runs at");
    assert!(gone.contains("Start it"), "{gone}");
    people.signal("TERM");
    assert_eq!(people.code(), Some(3), "as the last look says");
}

#[test]
fn a_watch_on_nothing_fails_at_once() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    run(port, &["status", "--watch"]).failed(3);
    run(port, &["events"]).failed(3);
}
