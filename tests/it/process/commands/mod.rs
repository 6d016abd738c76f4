//! The commands on a running service, as people and scripts give them: words, documents and exit codes.

mod answers;
mod completions;
mod following;
mod quarantine;
mod status;
mod terminal;

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Told {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, where it must have ended well and without a complaint.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (Some(0), ""), "{self:?}");
        self.output
    }

    /// What it printed, where all went well and the service tells of trouble.
    #[track_caller]
    pub fn unwell(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (Some(5), ""), "{self:?}");
        self.output
    }

    /// What it said on standard error, where it must have ended with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.errors.starts_with("meterit-sync: "), "{self:?}");
        self.errors
    }
}

/// A command for the service on a port of this machine, with nothing else in its environment.
pub fn command(port: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .env("LOCAL_API_PORT", port.to_string())
        .stdin(Stdio::null());
    command
}

/// Runs such a command to its end.
pub fn run(port: u16, arguments: &[&str]) -> Told {
    Told::of(command(port, arguments).output().unwrap())
}

/// Runs such a command with `--json`; the one document that it prints.
#[track_caller]
pub fn document(port: u16, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let printed = run(port, &arguments).done();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(&printed).unwrap()
}

/// A site whose service uploads only when it is told to, and knows that the Client System can be reached.
pub fn quiet_site() -> Site {
    Site::new().set("ENABLE_AUTO_SYNC", "false")
}

/// Its service.
pub fn connected(site: &Site) -> Service {
    let service = site.start();
    service.wait_until_connected();
    wait_until("the queue to be counted", || {
        service.ask("GET", "/health/ready", None).status == 200
    });
    service
}
