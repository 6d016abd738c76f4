//! The steps that bring a database to the present shape, embedded in the program.

use sqlx::SqliteConnection;

use crate::storage::{
    StoreError,
    steps::{self, Step},
};

/// Number, description and SQL of every file in `migrations/sqlite`.
const STEPS: [Step; 3] = [
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
];

/// Runs the steps that the database has not seen.
pub(super) async fn run(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    steps::run(&STEPS, connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded_under_its_own_number_and_name() {
        steps::assert_embedded("sqlite", &STEPS);
    }
}
