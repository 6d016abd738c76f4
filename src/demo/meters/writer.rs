//! Writes readings into a Sync Database as the Meter Collection Service does: a stranger with plain SQL, who knows
//! the deployed columns and nothing else.

use std::{path::Path, time::Duration};

use sqlx::{
    Connection, PgConnection, QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::MeterReading;

/// Rows in one statement: five parameters each, well below SQLite's limit of 32,766.
const ROWS_PER_STATEMENT: usize = 1000;
/// The columns as arrays, for PostgreSQL counts parameters as well.
const POSTGRES_INSERT: &str = "INSERT INTO meter_readings \
    (meter_external_id, timestamp, data_point, value, unit) SELECT meter, at, point, value::NUMERIC, unit \
    FROM unnest($1::TEXT [], $2::TIMESTAMP [], $3::TEXT [], $4::TEXT [], $5::TEXT []) \
    AS reading (meter, at, point, value, unit)";

/// A connection of its own to a Sync Database.
#[derive(Debug)]
pub struct MeterWriter {
    engine: Engine,
    committed: u64,
}

#[derive(Debug)]
enum Engine {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl MeterWriter {
    /// Opens an existing SQLite database, and waits up to ten seconds for each lock.
    ///
    /// # Errors
    /// The file is missing or is no database.
    pub async fn open(path: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(10));
        let connection = SqliteConnection::connect_with(&options).await?;
        Ok(Self::with(Engine::Sqlite(connection)))
    }

    /// Connects to a PostgreSQL database.
    ///
    /// # Errors
    /// There is none at this address, or it does not let us in.
    pub async fn connect(url: &str) -> sqlx::Result<Self> {
        let connection = PgConnection::connect(url).await?;
        Ok(Self::with(Engine::Postgres(connection)))
    }

    fn with(engine: Engine) -> Self {
        Self {
            engine,
            committed: 0,
        }
    }

    /// Inserts all of these in one transaction.
    ///
    /// # Errors
    /// The database stays locked, is full, or lacks the table; then none of them was stored.
    pub async fn insert(&mut self, readings: &[MeterReading]) -> sqlx::Result<()> {
        if readings.is_empty() {
            return Ok(());
        }
        match &mut self.engine {
            Engine::Sqlite(connection) => insert_into_sqlite(connection, readings).await?,
            Engine::Postgres(connection) => insert_into_postgres(connection, readings).await?,
        }
        self.committed += readings.len() as u64;
        Ok(())
    }

    /// Inserts a backlog in transactions of `per_transaction` readings; `progress` hears the number
    /// committed so far after each.
    ///
    /// # Errors
    /// As [`Self::insert`]; what was committed before stays and is counted.
    pub async fn insert_backlog(
        &mut self,
        readings: impl IntoIterator<Item = MeterReading>,
        per_transaction: usize,
        mut progress: impl FnMut(u64),
    ) -> sqlx::Result<()> {
        let mut readings = readings.into_iter();
        loop {
            let part: Vec<MeterReading> = readings.by_ref().take(per_transaction.max(1)).collect();
            if part.is_empty() {
                return Ok(());
            }
            self.insert(&part).await?;
            progress(self.committed);
        }
    }

    /// Readings that are known to be committed through this writer.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Readings that lie in the database now: those that wait, and those in quarantine.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn left_behind(&mut self) -> sqlx::Result<(u64, u64)> {
        let waiting = self
            .count("SELECT count(*) FROM meter_readings WHERE is_synchronized IS NOT TRUE")
            .await?;
        let quarantined = self
            .count("SELECT count(*) FROM quarantined_readings")
            .await?;
        Ok((waiting, quarantined))
    }

    /// Batches that were begun and not ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_batches(&mut self) -> sqlx::Result<u64> {
        self.count("SELECT count(*) FROM upload_manifests").await
    }

    /// The ids that the readings in quarantine had in `meter_readings`, which counts from 1 in the order of
    /// insertion.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn quarantined_ids(&mut self) -> sqlx::Result<Vec<i64>> {
        let question = "SELECT reading_id FROM quarantined_readings ORDER BY reading_id";
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlx::query_scalar(question).fetch_all(connection).await,
            Engine::Postgres(connection) => {
                sqlx::query_scalar(question).fetch_all(connection).await
            }
        }
    }

    async fn count(&mut self, question: &'static str) -> sqlx::Result<u64> {
        let count: i64 = match &mut self.engine {
            Engine::Sqlite(connection) => {
                sqlx::query_scalar(question).fetch_one(connection).await?
            }
            Engine::Postgres(connection) => {
                sqlx::query_scalar(question).fetch_one(connection).await?
            }
        };
        Ok(count.unsigned_abs())
    }

    /// Closes the connection in good order.
    ///
    /// # Errors
    /// The database reports one on closing.
    pub async fn close(self) -> sqlx::Result<()> {
        match self.engine {
            Engine::Sqlite(connection) => connection.close().await,
            Engine::Postgres(connection) => connection.close().await,
        }
    }
}

async fn insert_into_sqlite(
    connection: &mut SqliteConnection,
    readings: &[MeterReading],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for rows in readings.chunks(ROWS_PER_STATEMENT) {
        insert_statement(rows)
            .build()
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

async fn insert_into_postgres(
    connection: &mut PgConnection,
    readings: &[MeterReading],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for rows in readings.chunks(ROWS_PER_STATEMENT) {
        sqlx::query(POSTGRES_INSERT)
            .bind(column(rows, |reading| reading.meter.clone()))
            .bind(column(rows, |reading| reading.timestamp.naive_utc()))
            .bind(column(rows, |reading| reading.data_point))
            .bind(column(rows, MeterReading::value))
            .bind(column(rows, |reading| reading.unit))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

fn column<'r, T>(readings: &'r [MeterReading], of: impl Fn(&'r MeterReading) -> T) -> Vec<T> {
    readings.iter().map(of).collect()
}

fn insert_statement(readings: &[MeterReading]) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit) ",
    );
    statement.push_values(readings, |mut row, reading| {
        row.push_bind(reading.meter.clone())
            .push_bind(
                reading
                    .timestamp
                    .format("%Y-%m-%d %H:%M:%S%.3f")
                    .to_string(),
            )
            .push_bind(reading.data_point)
            .push_bind(reading.value())
            .push_bind(reading.unit);
    });
    statement
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sqlx::Row;

    use super::{super::MeteredSite, *};

    const TABLE: &str = "CREATE TABLE meter_readings (id INTEGER PRIMARY KEY AUTOINCREMENT, \
        meter_external_id VARCHAR(255) NOT NULL, timestamp TIMESTAMP NOT NULL, data_point VARCHAR(100) NOT NULL, \
        value NUMERIC(15,3) NOT NULL, unit VARCHAR(50))";

    async fn database(directory: &tempfile::TempDir) -> (std::path::PathBuf, SqliteConnection) {
        let path = directory.path().join("sync.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .expect("a database can be made");
        sqlx::query(TABLE)
            .execute(&mut connection)
            .await
            .expect("the table can be made");
        (path, connection)
    }

    fn site() -> MeteredSite {
        MeteredSite {
            seed: 1,
            meters: 3,
            interval: Duration::from_secs(60),
            first: DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn what_is_committed_is_in_the_table_as_deployed() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let (path, mut reader) = database(&directory).await;
        let mut writer = MeterWriter::open(&path).await.expect("the database opens");
        let mut steps = Vec::new();
        let backlog = site().readings().take(5_500);
        writer
            .insert_backlog(backlog, 2_500, |count| steps.push(count))
            .await
            .expect("all are stored");
        assert_eq!(steps, [2_500, 5_000, 5_500]);
        let rows = sqlx::query(
            "SELECT timestamp, CAST(value AS TEXT), unit, data_point FROM meter_readings ORDER BY id",
        )
        .fetch_all(&mut reader)
        .await
        .expect("the table can be read");
        assert_eq!(rows.len() as u64, writer.committed());
        assert_eq!(rows[0].get::<String, _>(0), "1970-01-01 00:00:00.000");
        for (row, reading) in rows.iter().zip(site().readings()) {
            // A whole number in this column comes back from the cast with its decimal point or without.
            let value: String = row.get(1);
            assert_eq!(value.trim_end_matches(".0"), reading.value());
            assert_eq!(row.get::<Option<&str>, _>(2), reading.unit);
        }
        writer.close().await.expect("the connection closes");
    }

    #[tokio::test]
    async fn a_failed_transaction_counts_nothing() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let (path, mut reader) = database(&directory).await;
        let mut writer = MeterWriter::open(&path).await.expect("the database opens");
        sqlx::query("DROP TABLE meter_readings")
            .execute(&mut reader)
            .await
            .expect("the table can be dropped");
        let readings: Vec<_> = site().readings().take(10).collect();
        writer
            .insert(&readings)
            .await
            .expect_err("there is no table");
        assert_eq!(writer.committed(), 0);
        sqlx::query(TABLE)
            .execute(&mut reader)
            .await
            .expect("the table can be made again");
        writer.insert(&readings).await.expect("now there is");
        assert_eq!(writer.committed(), 10);
    }
}
