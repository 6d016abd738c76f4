//! What the engines' failures mean to those who asked.

use super::{StoreError, postgres, sqlite};
use crate::domain::words::counted;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(failure) => {
                let code = failure.code();
                if failure
                    .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                    .is_some()
                {
                    postgres::meaning(code.as_deref(), failure.message())
                } else {
                    sqlite::meaning(code.as_deref(), failure.message())
                }
            }
            sqlx::Error::PoolTimedOut => Self::Silent,
            sqlx::Error::PoolClosed => Self::Failed("it was closed".to_owned()),
            sqlx::Error::Io(failure) => from_file_system("reading or writing failed", failure),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The meaning of a failure of the operating system during what `doing` says.
pub(super) fn from_file_system(doing: &str, error: &std::io::Error) -> StoreError {
    let words = format!("{doing}: {error}");
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full(words)
        }
        _ => StoreError::Failed(words),
    }
}

/// For rows of our own tables that hold what we never write.
pub(super) fn nonsense(what: &str) -> StoreError {
    StoreError::Failed(format!(
        "{what} holds something that this program did not write"
    ))
}

/// For readings that stay where they are although the engine was told to take them out, and said that it did.
pub(super) fn require_none_kept(kept: u64) -> Result<(), StoreError> {
    if kept == 0 {
        return Ok(());
    }
    Err(StoreError::Failed(format!(
        "{} to be taken out of meter_readings and still there, and no failure was reported: a trigger, a rule or a policy \
         on that table keeps them. Nothing was changed, for they would be uploaded again and again; let this service delete \
         and update rows there",
        counted(kept, "reading is", "readings are")
    )))
}
