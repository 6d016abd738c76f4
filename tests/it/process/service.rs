//! The service as a process: started from environment variables, watched by its log, ended by signals.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;

use super::{
    http::{self, Answer},
    waiting::{wait_for, wait_until},
};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_meterit-sync");

/// A running service; killed when the test lets go of it.
pub struct Service {
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts what the command says; its standard error becomes the log.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn_as_it_is(command)
    }

    /// The same, and its standard input is the command's.
    pub fn spawn_as_it_is(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} must be there: {error}", command.get_program()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = process.stderr.take().expect("a pipe");
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || collect(stderr, &log)
        });
        Self {
            process,
            log,
            reader: Some(reader),
        }
    }

    /// The port of the local API, once the service serves it.
    pub fn port(&self) -> u16 {
        wait_for("the service to start", || {
            self.log()
                .iter()
                .find_map(|line| port_in(line))
                .or_else(|| self.panic_if_ended())
        })
    }

    fn panic_if_ended<T>(&self) -> Option<T> {
        let said = self.log().join("\n");
        let gone = std::fs::metadata(format!("/proc/{}/fd/0", self.id())).is_err();
        assert!(!gone, "the service has ended before it served: {said}");
        None
    }

    /// All lines that it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its standard input, where the command asked for a pipe.
    pub fn input(&mut self) -> ChildStdin {
        self.process.stdin.take().expect("a pipe")
    }

    /// Its standard output, where the command asked for a pipe.
    pub fn output(&mut self) -> ChildStdout {
        self.process.stdout.take().expect("a pipe")
    }

    pub fn get(&self, path: &str) -> Value {
        http::request(self.port(), "GET", path, None).expect_status(200)
    }

    pub fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        http::request(self.port(), "POST", path, body)
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        http::request(self.port(), method, path, body)
    }

    /// Waits until the service knows that the Client System can be reached.
    pub fn wait_until_connected(&self) {
        wait_until("a connection", || {
            self.get("/api/v1/connectivity")["isConnected"] == true
        });
    }

    /// Sends a signal such as `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &line]).status();
        assert!(sent.expect("a shell").success(), "{line}");
    }

    /// `kill -9`, at once.
    pub fn kill(mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it has ended");
    }

    /// Waits for its end; the status, and everything that it said.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait_for("the end of the process", || {
            self.process.try_wait().expect("it can be asked")
        });
        self.reader.take().expect("a reader").join().unwrap();
        (status, self.log())
    }

    /// Asks for an orderly end, which must succeed.
    pub fn stop(self) -> Vec<String> {
        self.signal("TERM");
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        log
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A failed test must not leave its process behind; one that has ended already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn collect(stderr: ChildStderr, log: &Mutex<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        log.lock().unwrap().push(line);
    }
}

fn port_in(line: &str) -> Option<u16> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "the service has started" {
        return None;
    }
    line["port"].as_u64()?.try_into().ok()
}
