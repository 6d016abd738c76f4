//! The steps that bring a database to the present shape, embedded in the program.

use sqlx::PgConnection;

use super::{adoption, cells};
use crate::storage::{
    MigrationState, StoreError,
    steps::{self, Step},
};

/// Number, description and SQL of every file in `migrations/postgres`.
const STEPS: [Step; 4] = [
    (
        1,
        "deployed tables",
        include_str!("../../../migrations/postgres/0001_deployed_tables.sql"),
    ),
    (
        2,
        "service tables",
        include_str!("../../../migrations/postgres/0002_service_tables.sql"),
    ),
    (
        3,
        "indexes",
        include_str!("../../../migrations/postgres/0003_indexes.sql"),
    ),
    (
        4,
        "status samples",
        include_str!("../../../migrations/postgres/0004_status_samples.sql"),
    ),
];

/// Runs the steps that the database has not seen; tells which they were. Several instances may start at once: one
/// runs them, the others wait.
pub(super) async fn run(
    connection: &mut PgConnection,
) -> Result<Vec<(i64, &'static str)>, StoreError> {
    // Looked at first: where nothing is missing, no rights to change tables are needed.
    let missing = state(connection).await?.missing;
    if !missing.is_empty() {
        steps::run(&STEPS, connection).await?;
        tracing::info!(steps = ?missing, "the sync database was brought to the present shape");
    }
    Ok(missing)
}

/// Which steps were done. Refuses a database that this service cannot work with.
pub(super) async fn state(connection: &mut PgConnection) -> Result<MigrationState, StoreError> {
    adoption::check(connection).await?;
    let record = sqlx::query(include_str!("queries/migrations_record.sql"))
        .fetch_one(&mut *connection)
        .await?;
    let mut done = Vec::new();
    if cells::get::<bool>(&record, 0)? {
        let rows = sqlx::query(include_str!("queries/migrations_done.sql"))
            .fetch_all(connection)
            .await?;
        for row in &rows {
            done.push(cells::get(row, 0)?);
        }
    }
    MigrationState::new(&STEPS, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded_under_its_own_number_and_name() {
        steps::assert_embedded("postgres", &STEPS);
    }
}
