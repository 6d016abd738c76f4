//! What SQLite's failures mean to those who asked.

use crate::storage::StoreError;

const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_FULL: i32 = 13;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(failure) => {
                from_result_code(failure.code().as_deref(), failure.message())
            }
            sqlx::Error::PoolTimedOut => {
                Self::Busy("all connections were in use for too long".to_owned())
            }
            sqlx::Error::PoolClosed => Self::Failed("it was closed".to_owned()),
            sqlx::Error::Io(failure) => from_file_system("reading or writing failed", failure),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The meaning of a failure of the file system during what `doing` says.
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

fn from_result_code(code: Option<&str>, message: &str) -> StoreError {
    // The low byte is the primary result code; the rest refines it.
    let primary = code
        .and_then(|code| code.parse::<i32>().ok())
        .map_or(0, |code| code & 0xff);
    match primary {
        SQLITE_BUSY | SQLITE_LOCKED => StoreError::Busy(message.to_owned()),
        SQLITE_FULL => StoreError::Full(message.to_owned()),
        _ => StoreError::Failed(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_result_codes_count_as_what_they_refine() {
        let busy_snapshot = from_result_code(Some("517"), "database is locked");
        assert!(matches!(busy_snapshot, StoreError::Busy(_)));
        assert!(matches!(
            from_result_code(Some("13"), ""),
            StoreError::Full(_)
        ));
        assert!(matches!(
            from_result_code(Some("2067"), ""),
            StoreError::Failed(_)
        ));
        assert!(matches!(from_result_code(None, ""), StoreError::Failed(_)));
    }
}
