//! A site whose queue is in PostgreSQL: a database, a Client System in this process, and the service's settings.

use std::process::Command;

use meterit_sync::demo::client_system::{ClientSystem, ClientSystemOptions};

use super::{
    service::{PROGRAM, Service},
    site::assert_all_delivered_once,
    waiting::wait_until,
};
use crate::helpers::postgres::{PostgresServer, blocking, shared_server, url_of};

/// What the deployed migrations have made: serial keys, times without zone, three indexes on the queue.
pub const DEPLOYED_TABLES: &str = include_str!("../../deployed_tables.sql");

/// A site with any number of instances of the service.
pub struct PostgresSite {
    pub client_system: ClientSystem,
    pub url: String,
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    /// The shared server, where the database is to be dropped at the end.
    drop_on: Option<(String, String)>,
}

impl PostgresSite {
    /// A site with the deployed tables in a new database on the shared server.
    pub fn new() -> Self {
        let server = shared_server();
        let name = format!("site_{}", uuid::Uuid::now_v7().simple());
        blocking::execute(&server, &format!("CREATE DATABASE {name}")).expect("a new database");
        let mut site = Self::at(&url_of(&server, &name));
        site.drop_on = Some((server, name));
        site.sql(DEPLOYED_TABLES);
        site
    }

    /// A site with the deployed tables on a server of the test's own.
    pub fn on(server: &PostgresServer) -> Self {
        let site = Self::at(&server.url("postgres"));
        site.sql(DEPLOYED_TABLES);
        site
    }

    /// A site with whatever is, or will be, at this address.
    pub fn at(url: &str) -> Self {
        let client_system =
            ClientSystem::start(ClientSystemOptions::default()).expect("the simulator starts");
        Self {
            client_system,
            url: url.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            drop_on: None,
        }
    }

    /// Sets an environment variable of the service.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts an instance of the service.
    pub fn start(&self) -> Service {
        Service::spawn(self.command())
    }

    /// The service's command with nothing in its environment but what this site says.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("run")
            .env_clear()
            .current_dir(self.folder.path())
            .env("CLIENT_API_URL", self.client_system.base_url())
            .env("CLIENT_API_KEY", self.client_system.api_key())
            .env("DATABASE_URL", &self.url)
            .env("LOCAL_API_PORT", "0")
            .envs(self.variables.iter().cloned());
        command
    }

    /// Runs statements as another program does.
    pub fn sql(&self, statements: &str) {
        blocking::execute(&self.url, statements)
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// What another program sees.
    pub fn ask(&self, question: &str) -> String {
        let answer = blocking::ask(&self.url, question);
        answer
            .unwrap_or_else(|error| panic!("{question}: {error}"))
            .unwrap_or_default()
    }

    /// A count as another program sees it.
    pub fn count(&self, from: &str) -> u64 {
        let answer = self.ask(&format!("SELECT count(*) FROM {from}"));
        answer.parse().unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Inserts so many readings in one statement, each different from all others of this site.
    pub fn insert(&self, readings: u32) {
        self.insert_partly_unreadable(readings, "false");
    }

    /// The same, of which those with certain numbers `n`, from 1 on, cannot be read.
    pub fn insert_partly_unreadable(&self, readings: u32, unreadable: &str) {
        self.sql(&format!(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
             SELECT 'METER-' || n % 20, timestamp '2026-01-01' + n * interval '1 second', 'active_energy', \
                    CASE WHEN {unreadable} THEN 'NaN' ELSE n + 0.125 END, 'kWh' \
             FROM generate_series(1, {readings}) AS n"
        ));
    }

    /// Waits until the Client System has so many different readings, and the Sync Database none.
    pub fn wait_until_drained(&self, readings: u64) {
        wait_until("all readings to arrive", || {
            self.client_system.delivered().1 >= readings
        });
        wait_until("an empty queue", || {
            self.count("meter_readings") == 0 && self.count("upload_manifests") == 0
        });
    }

    /// Fails unless everything arrived once, and the operation log and the count of the queue say so as well.
    pub fn assert_all_delivered_once(&self, readings: u64) {
        assert_all_delivered_once(&self.client_system, readings);
        let logged = "SELECT coalesce(sum(batch_size), 0) FROM sync_log WHERE success";
        assert_eq!(self.ask(logged), readings.to_string());
        assert_eq!(self.ask("SELECT sum(change) FROM queue_changes"), "0");
    }
}

impl Drop for PostgresSite {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.drop_on {
            // What is left of a failed test goes with the server.
            let _ = blocking::execute(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}
