//! How the server is connected to.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::errors;
use crate::storage::StoreError;

/// A server that does not answer at all is given up after this long.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Connections for reading.
const READERS: u32 = 3;

/// How long a connection for reading is used.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// What every session of ours sets for itself.
const SESSION: [(&str, &str); 9] = [
    // Times without zone are UTC.
    ("timezone", "UTC"),
    // A claim has to see what was committed while it waited for its turn.
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "30s"),
    // Everything else that is to be written waits as long.
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("jit", "off"),
    // A machine that vanishes must not keep its locks for hours.
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];

/// What the session that writes sets besides.
const WRITER: [(&str, &str); 4] = [
    // A batch is sent only once its key would survive the loss of power, whatever the server does by default.
    ("synchronous_commit", "on"),
    // Its plans must not depend on statistics: the queue goes from empty to millions between two looks of the server
    // at it.
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
];

/// Building an index may take its time. Waiting for a lock may not: others would wait behind it.
const PATIENT: [(&str, &str); 1] = [("statement_timeout", "0")];

/// Whoever looks from outside must not keep others waiting.
const LOOKING: [(&str, &str); 2] = [
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "10s"),
];

/// A database on a server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    options: PgConnectOptions,
}

impl Server {
    /// The one that `url` names.
    pub(super) fn new(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| {
                StoreError::Unsuitable(format!("DATABASE_URL cannot be understood: {error}"))
            })?
            .options(SESSION)
            .application_name("meterit-sync")
            // Only statements that fail are of interest, and whoever asked says so.
            .disable_statement_logging();
        Ok(Self { options })
    }

    /// A connection for writing.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        self.connect_with(self.options.clone().options(WRITER))
            .await
    }

    /// A connection for changing the tables themselves.
    pub(super) async fn connect_for_migrations(&self) -> Result<PgConnection, StoreError> {
        self.connect_with(self.options.clone().options(PATIENT))
            .await
    }

    /// A connection for somebody who changes nothing.
    pub(super) async fn connect_for_looking(&self) -> Result<PgConnection, StoreError> {
        self.connect_with(self.options.clone().options(LOOKING))
            .await
    }

    async fn connect_with(&self, options: PgConnectOptions) -> Result<PgConnection, StoreError> {
        let connected = tokio::time::timeout(CONNECT_PATIENCE, options.connect()).await;
        match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::Io(error))) => Err(self.unreachable(&error)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(self.unreachable(&std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// Connections for reading, made when they are first needed.
    pub(super) fn reader_pool(&self) -> PgPool {
        Self::pool(READERS).connect_lazy_with(self.options.clone())
    }

    /// The one connection that waits for announcements.
    pub(super) fn listener_pool(&self) -> PgPool {
        Self::pool(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone())
    }

    fn pool(connections: u32) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(connections)
            // After a failover the old primary may still answer, with what it knew.
            .max_lifetime(LONGEST_LIFE)
            .acquire_timeout(CONNECT_PATIENCE)
    }

    fn unreachable(&self, error: &std::io::Error) -> StoreError {
        let address = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        };
        errors::from_file_system(
            &format!("the PostgreSQL server at {address} cannot be reached"),
            error,
        )
    }
}
