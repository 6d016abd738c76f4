//! A person before the dashboard: a real browser that does what a test says, step by step.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::{helpers::peers, process::service::Service};

/// A browser with one page; gone when the test lets go of it.
pub struct Viewer {
    browser: Child,
    input: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Viewer {
    /// Opens the dashboard and waits until it is live.
    pub fn at(service: &Service) -> Self {
        let mut viewer = Self::outside(service);
        let loaded = viewer.does(json!({"do": "open"}));
        let bytes = loaded["bytes"].as_u64().expect("a number");
        // All that comes with the page and in its first moments.
        assert!(bytes > 10_000 && bytes <= 150_000, "{bytes}");
        viewer
    }

    /// Has a browser, and has not opened the dashboard yet.
    pub fn outside(service: &Service) -> Self {
        let address = format!("http://127.0.0.1:{}/", service.port());
        let mut browser = peers::viewer(&address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let answers = BufReader::new(browser.stdout.take().expect("a pipe"));
        Self {
            input: browser.stdin.take(),
            browser,
            answers,
        }
    }

    #[track_caller]
    pub fn does(&mut self, command: Value) -> Value {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{command}").expect("the browser listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{command}: {error}: {line:?}"));
        assert!(answer["failed"].is_null(), "{answer}");
        answer
    }

    /// Opens a page of the service, without waiting for anything on it.
    #[track_caller]
    pub fn goes_to(&mut self, path: &str) {
        self.does(json!({"do": "go", "path": path}));
    }

    /// Opens a page at another port of the machine.
    #[track_caller]
    pub fn goes_to_port(&mut self, port: u16) {
        self.does(json!({"do": "go", "port": port}));
    }

    /// Types a text into a field, and Enter.
    #[track_caller]
    pub fn types(&mut self, selector: &str, text: &str) {
        self.does(json!({"do": "type", "selector": selector, "text": text}));
    }

    #[track_caller]
    pub fn clicks(&mut self, selector: &str) {
        self.does(json!({"do": "click", "selector": selector}));
    }

    #[track_caller]
    pub fn presses(&mut self, keys: &[&str]) {
        self.does(json!({"do": "press", "keys": keys}));
    }

    /// Waits until a text is at a selector.
    #[track_caller]
    pub fn reads(&mut self, selector: &str, text: &str) {
        self.does(json!({"do": "expect", "selector": selector, "text": text}));
    }

    /// Waits until there is nothing at a selector.
    #[track_caller]
    pub fn misses(&mut self, selector: &str) {
        self.does(json!({"do": "expect", "selector": selector}));
    }

    /// What a script finds on the page.
    #[track_caller]
    pub fn finds(&mut self, script: &str) -> Value {
        self.does(json!({"do": "look", "script": script}))["seen"].clone()
    }

    /// Waits until a script finds that something is true.
    #[track_caller]
    pub fn waits_until(&mut self, script: &str) {
        self.does(json!({"do": "until", "script": script}));
    }

    /// Fails where whoever does not see or use a mouse is kept out.
    #[track_caller]
    pub fn finds_no_barrier(&mut self) {
        let scanned = self.does(json!({"do": "scan"}));
        assert_eq!(scanned["found"], json!([]), "{scanned:#}");
    }

    /// Leaves pictures of the whole page under `target/screenshots`.
    #[track_caller]
    pub fn photographs(&mut self, name: &str) {
        self.takes_pictures(name, true);
    }

    /// As [`Viewer::photographs`], of what is in the window.
    #[track_caller]
    pub fn photographs_window(&mut self, name: &str) {
        self.takes_pictures(name, false);
    }

    #[track_caller]
    fn takes_pictures(&mut self, name: &str, whole: bool) {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "target/screenshots"]
            .iter()
            .collect();
        let taken =
            self.does(json!({"do": "photograph", "folder": folder, "name": name, "whole": whole}));
        assert_eq!(taken["tooWide"], json!([]), "{taken}");
    }

    /// Goes, and fails where the console told of an error, the policy was violated, or another host was asked.
    #[track_caller]
    pub fn leaves(mut self) {
        let told = self.does(json!({"do": "troubles"}));
        assert_eq!(told["troubles"], json!([]), "{told:#}");
        drop(self.input.take());
        assert!(self.browser.wait().expect("it ends").success());
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // Its browser ends with its input; one that has ended already is fine.
        drop(self.input.take());
        let _ = self.browser.wait();
    }
}
