//! The steps that bring a database to the present shape, embedded in the program.

use sqlx::{
    SqlSafeStr, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::storage::StoreError;

/// Remembers which steps were done. The usual name may belong to another program with the same library.
const RECORD: &str = "meterit_sync_migrations";

/// Number, description and SQL of every file in `migrations/sqlite`.
const STEPS: [(i64, &str, &str); 3] = [
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
    migrator()
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => StoreError::from(error),
            other => StoreError::Unsuitable(format!(
                "{other}; was it used by a newer version of this program?"
            )),
        })
}

fn migrator() -> Migrator {
    let steps = STEPS.map(|(number, description, sql)| {
        Migration::new(
            number,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(steps.into());
    migrator.dangerous_set_table_name(RECORD);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded_under_its_own_number_and_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        files.sort();
        let embedded = STEPS.map(|(number, description, _)| {
            format!("{number:04}_{}.sql", description.replace(' ', "_"))
        });
        assert_eq!(files, embedded);
    }
}
