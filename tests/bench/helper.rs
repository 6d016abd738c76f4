//! The processes beside the service: this same program, started again in another role.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit},
    thread,
};

use serde_json::Value;

use crate::{asker, clients, limit, sink};

/// Plays a role if the word names one. It ends with whoever started it, or by itself.
pub fn play(role: &str, arguments: &[String]) -> bool {
    let played: fn(&[String]) = match role {
        "sink" => sink::serve,
        "limit" => limit::push,
        "clients" => clients::push,
        "asker" => asker::ask,
        _ => return false,
    };
    played(arguments);
    true
}

/// A process in a role; it ends when it is dropped.
pub struct Helper {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        let program = env::current_exe().expect("this program has a name");
        let mut process = Command::new(program)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let output = process.stdout.take().expect("a pipe");
        Self {
            input: process.stdin.take(),
            output: BufReader::new(output),
            process,
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        assert!(
            matches!(read, Ok(length) if length > 0),
            "a helper ended without the line that it owes; its words are above"
        );
        line.trim_end().to_owned()
    }

    /// What it found out.
    pub fn report(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a helper reports in JSON")
    }

    /// Tells it that enough has been done.
    pub fn enough(&mut self) {
        drop(self.input.take());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until whoever started this process has had enough of it, or is gone.
pub fn wait_for_the_end() {
    // Nothing is ever written there.
    let _ = io::stdin().read(&mut [0]);
}

/// Ends this process as soon as whoever started it has had enough of it, or is gone.
pub fn end_with_the_starter() {
    thread::spawn(|| {
        wait_for_the_end();
        exit(0);
    });
}

/// An argument by its position.
pub fn argument<'a>(arguments: &'a [String], position: usize, what: &str) -> &'a str {
    arguments
        .get(position)
        .unwrap_or_else(|| panic!("this role needs {what}"))
}
