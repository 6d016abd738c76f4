//! The steps that bring a database to the present shape, embedded in the program.

use sqlx::SqliteConnection;

use super::{adoption, cells};
use crate::storage::{
    MigrationState, StoreError,
    steps::{self, Step},
};

/// Number, description and SQL of every file in `migrations/sqlite`.
const STEPS: [Step; 4] = [
    (
        1,
        "deployed tables",
        include_str!("../../../migrations/sqlite/0001_deployed_tables.sql"),
    ),
    (
        2,
        "service tables",
        include_str!("../../../migrations/sqlite/0002_service_tables.sql"),
    ),
    (
        3,
        "indexes",
        include_str!("../../../migrations/sqlite/0003_indexes.sql"),
    ),
    (
        4,
        "status samples",
        include_str!("../../../migrations/sqlite/0004_status_samples.sql"),
    ),
];

/// What comes before the first step where another program made the tables.
const ADOPTION: (i64, &str) = (0, "taking over the tables of the site");

/// Takes over the tables that are there, and runs the steps that the database has not seen; tells which they were.
pub(super) async fn run(
    connection: &mut SqliteConnection,
) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let missing = state(connection).await?.missing;
    adoption::adopt(connection).await?;
    steps::run(&STEPS, connection).await?;
    Ok(missing)
}

/// Which steps were done. Refuses tables that cannot be taken over.
pub(super) async fn state(connection: &mut SqliteConnection) -> Result<MigrationState, StoreError> {
    let adoption_is_due = adoption::is_due(connection).await?;
    let record = sqlx::query(include_str!("queries/migrations_record.sql"))
        .fetch_one(&mut *connection)
        .await?;
    let mut done = Vec::new();
    if cells::boolean(&record, 0)?.unwrap_or_default() {
        let rows = sqlx::query(include_str!("queries/migrations_done.sql"))
            .fetch_all(connection)
            .await?;
        for row in &rows {
            done.push(cells::required_integer(row, 0)?);
        }
    }
    let mut state = MigrationState::new(&STEPS, done)?;
    if adoption_is_due {
        state.missing.insert(0, ADOPTION);
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded_under_its_own_number_and_name() {
        steps::assert_embedded("sqlite", &STEPS);
    }
}
