//! The service as a process: started with an environment of its own, asked over HTTP, and killed at the end.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use meterit_sync::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    connection::{Answer, Connection},
    guard::Guard,
    measure,
};

/// The first start on a long queue builds indexes.
const PATIENCE: Duration = Duration::from_secs(600);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// How the service ends when its settings cannot be used.
const REFUSED: i32 = 2;

/// A setting that not every version has.
pub type Setting = (&'static str, String);

/// How the service is started.
pub struct Conditions<'a> {
    pub program: &'a Path,
    /// A program and its arguments that runs it, where one does.
    pub under: &'a [&'a str],
    /// Where it works and logs.
    pub folder: &'a Path,
    /// The address of the Client System's API.
    pub client_system: String,
    /// The address of the Sync Database.
    pub database: String,
    /// Further variables of its environment.
    pub variables: &'a [(&'a str, &'a str)],
    /// Settings that it may refuse.
    pub settings: &'a [Setting],
}

/// Why a version cannot be measured like this: it has no such setting.
pub struct Refusal(pub String);

/// A running service.
pub struct Service {
    process: Child,
    guard: Option<Guard>,
    log: PathBuf,
    port: u16,
}

impl Service {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// It does not know one of the settings, or has no use for it.
    pub fn start(conditions: &Conditions<'_>) -> Result<Self, Refusal> {
        let log = conditions.folder.join("service.log");
        let mut command = command(conditions);
        command
            .arg("run")
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .current_dir(conditions.folder)
            // As in settings/systemd/meterit-sync.service.
            .env("MALLOC_ARENA_MAX", "2")
            .env("CLIENT_API_URL", &conditions.client_system)
            .env("CLIENT_API_KEY", "bench")
            .env("DATABASE_URL", &conditions.database)
            .env("LOCAL_API_PORT", "0")
            .env("LOG_LEVEL", "warn")
            .envs(conditions.variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a file for the log"));
        if !conditions.settings.is_empty() {
            command.arg("--config").arg(write_settings(conditions));
        }
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", conditions.program.display()));
        let guard = Guard::new(r#"kill -9 "$1" 2>/dev/null"#, &[&process.id().to_string()]);
        let mut service = Self {
            process,
            guard: Some(guard),
            log,
            port: 0,
        };
        service.wait_for_port()?;
        service.wait_until("it is ready", |service| {
            service.try_get("/health/ready").is_some()
        });
        match service.line("has no effect") {
            Some(_) => Err(Refusal("this version has no such setting yet".to_owned())),
            None => Ok(service),
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The port of its local API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks for something and waits for the answer for as long as it takes.
    pub fn post(&self, path: &str) -> Answer {
        Connection::open(self.port)
            .and_then(|mut connection| connection.exchange("POST", path, "", b""))
            .unwrap_or_else(|error| panic!("POST {path}: {error}; the log: {}", self.said()))
    }

    /// Waits until `/status` fulfils a condition.
    pub fn wait_for_status(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) {
        self.wait_until(what, |service| {
            service
                .try_get("/status")
                .is_some_and(|status| is_so(&status))
        });
    }

    /// Stops it in order and returns all that it has logged.
    pub fn stop(mut self) -> String {
        // It lives until it is waited for.
        let terminated = kill_process(Pid::from_child(&self.process), Signal::TERM);
        terminated.expect("a child of our own");
        self.process.wait().expect("a child can be waited for");
        self.said()
    }

    /// All that it has logged.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn line(&self, with: &str) -> Option<String> {
        let said = self.said();
        said.lines()
            .find(|line| line.contains(with))
            .map(ToOwned::to_owned)
    }

    /// At the level of warnings it does not log its port, but the kernel knows who listens where.
    fn wait_for_port(&mut self) -> Result<(), Refusal> {
        let clock = Clock::system();
        loop {
            if let Some(port) = listening_port(self.id()) {
                self.port = port;
                return Ok(());
            }
            let ended = self.process.try_wait().expect("a child can be asked");
            if ended.is_some_and(|status| status.code() == Some(REFUSED))
                && let Some(line) = self.line("is not a known key")
            {
                return Err(Refusal(format!(
                    "refused by this version ({})",
                    line.trim_start_matches([' ', '-'])
                        .split(" (")
                        .next()
                        .unwrap_or_default()
                )));
            }
            assert!(
                ended.is_none() && clock.elapsed() < PATIENCE,
                "the service does not serve; its log: {}",
                self.said()
            );
            sleep(BETWEEN_LOOKS);
        }
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let clock = Clock::system();
        while !is_so(self) {
            let ended = self.process.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && clock.elapsed() < PATIENCE,
                "waited in vain until {what}; the log: {}",
                self.said()
            );
            sleep(BETWEEN_LOOKS);
        }
    }

    fn try_get(&self, path: &str) -> Option<Value> {
        let answer = Connection::open(self.port).ok()?.get(path).ok()?;
        (answer.status == 200).then(|| answer.json())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

fn command(conditions: &Conditions<'_>) -> Command {
    match conditions.under {
        [] => Command::new(conditions.program),
        [runner, arguments @ ..] => {
            let mut command = Command::new(runner);
            command.args(arguments).arg(conditions.program);
            command
        }
    }
}

/// A file refuses a name that the service does not know; the environment would pass over it.
fn write_settings(conditions: &Conditions<'_>) -> OsString {
    let lines: Vec<String> = conditions
        .settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    let path = conditions.folder.join("settings.toml");
    fs::write(&path, lines.concat()).expect("a file for the settings");
    path.into()
}

/// The port on which a process listens, as soon as it does.
fn listening_port(process: u32) -> Option<u16> {
    const LISTENING: &str = "0A";
    let sockets = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    let own = measure::sockets(process);
    sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let is_it = *state == LISTENING && own.iter().any(|socket| socket == inode);
        let (_, port) = address.split_once(':').filter(|_| is_it)?;
        u16::from_str_radix(port, 16).ok()
    })
}
