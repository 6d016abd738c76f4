//! The service under attack, as a process of its own.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::clock::Clock;

/// The service answers within this time, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How the service is started.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    /// Its environment.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Where it is started.
    pub(super) folder: PathBuf,
    /// The port of its local API.
    pub(super) port: u16,
}

/// A service that can be killed and started again.
pub(super) struct Service {
    conditions: Conditions,
    clock: Clock,
    client: awc::Client,
    process: Child,
    /// When the present process was started.
    pub(super) started_at: Duration,
}

impl Service {
    /// Starts it and waits until it serves.
    pub(super) async fn start(conditions: Conditions, clock: Clock) -> io::Result<Self> {
        let process = spawn(&conditions)?;
        let client = awc::Client::builder().timeout(CALL_TIMEOUT).finish();
        let started_at = clock.elapsed();
        let mut service = Self {
            conditions,
            clock,
            client,
            process,
            started_at,
        };
        service.wait_until_ready().await?;
        Ok(service)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`, and a new start.
    pub(super) async fn kill_and_start(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(&self.conditions)?;
        self.started_at = self.clock.elapsed();
        self.wait_until_ready().await
    }

    /// Lets an actor panic when it next passes this point.
    pub(super) fn arm(&mut self, point: &str) -> io::Result<()> {
        let input = self.process.stdin.as_mut();
        let input = input.ok_or_else(|| io::Error::other("the service has no standard input"))?;
        writeln!(input, "{point}")
    }

    /// Asks for a pass; refusals and lost answers are part of the game.
    pub(super) async fn nudge(&self) {
        let _ = self
            .client
            .post(self.url("/api/v1/sync/trigger"))
            .send()
            .await;
    }

    /// `start`s or `stop`s the uploading.
    pub(super) async fn switch(&self, how: &str) {
        // Should this be lost, the uploading goes on as it did.
        let _ = self
            .client
            .post(self.url(&format!("/api/v1/sync/{how}")))
            .send()
            .await;
    }

    /// How often its actors were restarted since the process started.
    pub(super) async fn restarts(&mut self) -> io::Result<u64> {
        let status = self.status().await?;
        let actors = status["actors"].as_array().cloned().unwrap_or_default();
        Ok(actors
            .iter()
            .filter_map(|actor| actor["restarts"].as_u64())
            .sum())
    }

    /// What `/status` says; asked again while the service is busy being restarted.
    pub(super) async fn status(&mut self) -> io::Result<Value> {
        let deadline = self.clock.elapsed() + PATIENCE;
        loop {
            if let Some(status) = self.get("/status").await {
                return Ok(status);
            }
            self.check_alive(deadline, "it does not answer /status")?;
            self.clock.sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = self.clock.elapsed() + PATIENCE;
        while self.get("/health/ready").await.is_none() {
            self.check_alive(deadline, "it did not get ready")?;
            self.clock.sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Fails when the process has ended by itself, or the deadline has passed.
    pub(super) fn check_alive(&mut self, deadline: Duration, trouble: &str) -> io::Result<()> {
        if let Some(status) = self.process.try_wait()? {
            return Err(io::Error::other(format!(
                "the service ended by itself ({status}); its log is in {}",
                self.conditions.log().display()
            )));
        }
        if self.clock.elapsed() > deadline {
            return Err(io::Error::other(format!(
                "the service is stuck: {trouble}; its log is in {}",
                self.conditions.log().display()
            )));
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let mut response = self.client.get(self.url(path)).send().await.ok()?;
        let body = response.body().limit(1 << 20).await.ok()?;
        response
            .status()
            .is_success()
            .then(|| serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.conditions.port)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Conditions {
    fn log(&self) -> PathBuf {
        self.folder.join("service.log")
    }
}

fn spawn(conditions: &Conditions) -> io::Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(conditions.log())?;
    Command::new(std::env::current_exe()?)
        .args(["run", "--failure-points-from-stdin"])
        .env_clear()
        .envs(conditions.variables.iter().cloned())
        .env("LOCAL_API_PORT", conditions.port.to_string())
        .current_dir(&conditions.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}
