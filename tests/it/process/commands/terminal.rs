//! What is different when somebody sits at a terminal; `script` makes one.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};

use super::{
    super::{service::PROGRAM, waiting::wait_until},
    connected, document, quiet_site, run,
};

/// A command on a terminal of its own.
struct Terminal {
    process: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn start(port: u16, arguments: &str) -> Self {
        let mut process = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            // Some shells would stay in between, and end in their own way when they are interrupted.
            .args([&format!("exec {PROGRAM} {arguments}"), "/dev/null"])
            .env("LOCAL_API_PORT", port.to_string())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script must be installed (Debian: bsdutils)");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut output = process.stdout.take().unwrap();
        let reader = std::thread::spawn({
            let shown = Arc::clone(&shown);
            move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = output.read(&mut piece) {
                    shown.lock().unwrap().extend_from_slice(&piece[..length]);
                }
            }
        });
        Self {
            process,
            shown,
            reader: Some(reader),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, words: &str) {
        wait_until(words, || self.shown().contains(words));
    }

    fn type_in(&mut self, keys: &str) {
        let input = self.process.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// The exit code, and all that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.shown())
    }
}

#[test]
fn a_watched_status_is_redrawn_until_ctrl_c() {
    let site = quiet_site();
    let service = connected(&site);
    let mut watch = Terminal::start(service.port(), "status --watch");
    watch.wait_for("\x1b[2J\x1b[Hok: All readings are uploaded");
    run(service.port(), &["sync", "stop"]).done();
    watch.wait_for("\x1b[2J\x1b[Hstopped: ");
    watch.type_in("\x03");
    assert_eq!(watch.end().0, Some(5));
    service.stop();
}

#[test]
fn waiting_for_a_pass_shows_a_bar() {
    let site = quiet_site().set("BATCH_SIZE", "10");
    site.insert(100);
    let slow = FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds: 100 });
    site.client_system.set_faults(vec![slow]);
    let service = connected(&site);
    let (code, shown) = Terminal::start(service.port(), "sync trigger --wait").end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(" of 100 readings"), "{shown}");
    assert!(shown.contains("100 readings delivered"), "{shown}");
    service.stop();
}

#[test]
fn discarding_is_asked_about() {
    let site = quiet_site();
    site.insert(10);
    site.sql("UPDATE meter_readings SET data_point = '' WHERE id <= 3;");
    let service = connected(&site);
    let port = service.port();
    run(port, &["sync", "trigger", "--wait"]).done();
    let page = document(port, &["quarantine", "list"]);
    let id = page["items"][0]["id"].to_string();
    for (selection, question, answer, code, left) in [
        (
            "--all",
            "Discard 3 quarantined readings for good",
            "no",
            1,
            3,
        ),
        ("--all", "without uploading? [y/N]", "", 1, 3),
        (
            &id,
            &format!("Discard quarantined reading {id} (METER-"),
            "y",
            0,
            2,
        ),
        (
            "--reason refused",
            "Discard 2 quarantined readings",
            "yes",
            0,
            0,
        ),
    ] {
        let mut discard = Terminal::start(port, &format!("quarantine discard {selection}"));
        discard.wait_for(question);
        discard.type_in(&format!("{answer}\n"));
        let (ended, shown) = discard.end();
        assert_eq!(ended, Some(code), "{shown}");
        let words = if code == 0 {
            "discarded"
        } else {
            "nothing was discarded"
        };
        assert!(shown.contains(words), "{shown}");
        assert_eq!(document(port, &["quarantine", "list"])["total"], left);
    }
    service.stop();
}
