//! One site: a folder with a Sync Database, a Client System in this process, and the service's settings.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use meterit_sync::demo::client_system::{ClientSystem, ClientSystemOptions, LedgerSummary};

use super::{
    service::{PROGRAM, Service},
    waiting::wait_until,
};

/// What the Meter Collection Service has made on the site before us.
const DEPLOYED_TABLES: &str = include_str!("../../../migrations/sqlite/0001_deployed_tables.sql");

/// A site whose service can be started again and again.
pub struct Site {
    folder: tempfile::TempDir,
    pub client_system: ClientSystem,
    variables: Vec<(String, String)>,
}

impl Site {
    /// A site with an empty queue and a Client System as deployed.
    pub fn new() -> Self {
        Self::with_client_system(ClientSystemOptions::default())
    }

    pub fn with_client_system(options: ClientSystemOptions) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            client_system: ClientSystem::start(options).expect("the simulator starts"),
            variables: Vec::new(),
        };
        site.sql(&format!("PRAGMA journal_mode = WAL; {DEPLOYED_TABLES}"));
        site
    }

    /// Sets an environment variable of the service.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.file("sync.db")
    }

    /// Starts the service.
    pub fn start(&self) -> Service {
        Service::spawn(self.command())
    }

    /// The service's command with nothing in its environment but what this site says.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("run");
        self.furnish(&mut command);
        command
    }

    /// Gives a command this site's folder and environment.
    pub fn furnish(&self, command: &mut Command) {
        command
            .env_clear()
            .current_dir(self.folder.path())
            .env("CLIENT_API_URL", self.client_system.base_url())
            .env("CLIENT_API_KEY", self.client_system.api_key())
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", self.database().display()),
            )
            .env("LOCAL_API_PORT", "0")
            .envs(self.variables.iter().cloned());
    }

    /// Runs SQL in the `sqlite3` shell and answers with what it prints.
    pub fn sql(&self, statements: &str) -> String {
        let mut shell = Command::new("sqlite3")
            .args(["-bail", "-cmd", ".timeout 10000"])
            .arg(self.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
        let mut input = shell.stdin.take().expect("a pipe");
        input.write_all(statements.as_bytes()).unwrap();
        drop(input);
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "sqlite3 failed: {statements}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Another program takes the database for itself.
    pub fn kept_by_another_program(&self) -> Keeper {
        let mut keeper = Command::new("sqlite3")
            .arg(self.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sqlite3 shell must be installed (Debian: sqlite3)");
        let input = keeper.stdin.as_mut().expect("a pipe");
        input
            .write_all(b"BEGIN EXCLUSIVE;\nSELECT 'kept';\n")
            .unwrap();
        let mut said = [0; 4];
        let output = keeper.stdout.as_mut().expect("a pipe");
        output.read_exact(&mut said).unwrap();
        Keeper(keeper)
    }

    /// A count as the `sqlite3` shell sees it.
    pub fn count(&self, select: &str) -> u64 {
        let printed = self.sql(&format!("SELECT count(*) FROM {select};"));
        printed.parse().unwrap_or_else(|_| panic!("{printed}"))
    }

    /// Inserts so many readings in one statement, each different from all others of this site.
    pub fn insert(&self, readings: u32) {
        self.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {readings}) \
             INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) \
             SELECT 'METER-' || (i % 20), \
                    strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', '+' || i || ' seconds'), \
                    'active_energy', i || '.125', 'kWh' FROM n;"
        ));
    }

    /// Waits until the Client System has so many different readings, and the Sync Database none.
    pub fn wait_until_drained(&self, readings: u64) {
        wait_until("all readings to arrive", || {
            self.client_system.delivered().1 >= readings
        });
        wait_until("an empty queue", || self.count("meter_readings") == 0);
    }

    /// Fails unless the Client System has so many readings, each once, each batch under one key, each key
    /// always with the same bytes.
    pub fn assert_all_delivered_once(&self, readings: u64) -> LedgerSummary {
        assert_all_delivered_once(&self.client_system, readings)
    }
}

/// A program that keeps a database locked for as long as it is there.
pub struct Keeper(Child);

impl Keeper {
    /// It ends, and with it the lock.
    pub fn let_go(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// Fails unless the Client System has so many readings, each once, each batch under one key, each key always with the
/// same bytes.
pub fn assert_all_delivered_once(client_system: &ClientSystem, readings: u64) -> LedgerSummary {
    let ledger = client_system.ledger();
    assert_eq!(ledger.distinct_readings, readings, "{ledger:?}");
    assert_eq!(ledger.duplicates_after_key, 0, "{ledger:?}");
    assert_eq!(ledger.keys_with_differing_bodies, 0, "{ledger:?}");
    assert_eq!(ledger.batches_without_key, 0, "{ledger:?}");
    assert!(ledger.most_open_per_key <= 1, "{ledger:?}");
    ledger
}
