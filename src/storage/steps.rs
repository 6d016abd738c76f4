//! Runs migrations that are embedded in the program, whatever the engine.

use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use super::StoreError;

/// Remembers which steps were done. The usual name may belong to another program with the same library.
const RECORD: &str = "meterit_sync_migrations";

/// Number, description and SQL of a file.
pub(super) type Step = (i64, &'static str, &'static str);

/// How far a database is from the present shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The steps that were done, by number.
    pub done: Vec<i64>,
    /// The steps that are still to do, with what they bring.
    pub missing: Vec<(i64, &'static str)>,
}

impl MigrationState {
    /// What is missing among `steps` where these are done.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] where a step was done that nobody here knows.
    pub(super) fn new(steps: &[Step], done: Vec<i64>) -> Result<Self, StoreError> {
        let is_known = |number: &&i64| steps.iter().any(|(known, ..)| known == *number);
        if let Some(unknown) = done.iter().find(|number| !is_known(number)) {
            return Err(StoreError::Unsuitable(format!(
                "it has seen migration {unknown}, which this program does not know; was it used by a newer version?"
            )));
        }
        let missing = steps
            .iter()
            .filter(|(number, ..)| !done.contains(number))
            .map(|(number, description, _)| (*number, *description))
            .collect();
        Ok(Self { done, missing })
    }
}

/// Runs the steps that the database has not seen.
pub(super) async fn run<C: Migrate>(steps: &[Step], connection: &mut C) -> Result<(), StoreError> {
    migrator(steps)
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                StoreError::from(error)
            }
            other => StoreError::Unsuitable(format!(
                "{other}; was it used by a newer version of this program?"
            )),
        })
}

fn migrator(steps: &[Step]) -> Migrator {
    let migration = |(number, description, sql): &Step| {
        Migration::new(
            *number,
            (*description).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations(steps.iter().map(migration).collect());
    migrator.dangerous_set_table_name(RECORD);
    migrator
}

/// Fails where the files of `migrations/<engine>` and the embedded steps differ.
#[cfg(test)]
pub(super) fn assert_embedded(engine: &str, steps: &[Step]) {
    let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
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
    let embedded: Vec<_> = steps
        .iter()
        .map(|(number, description, _)| {
            format!("{number:04}_{}.sql", description.replace(' ', "_"))
        })
        .collect();
    assert_eq!(files, embedded);
}
