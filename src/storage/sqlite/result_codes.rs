//! SQLite's result codes.

use crate::storage::StoreError;

const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_NOTADB: i32 = 26;

/// What a failure of SQLite means.
pub(in crate::storage) fn meaning(code: Option<&str>, message: &str) -> StoreError {
    // The low byte is the primary result code; the rest refines it.
    let primary = code
        .and_then(|code| code.parse::<i32>().ok())
        .map_or(0, |code| code & 0xff);
    match primary {
        SQLITE_BUSY | SQLITE_LOCKED => StoreError::Busy(message.to_owned()),
        SQLITE_FULL => StoreError::Full(message.to_owned()),
        SQLITE_CORRUPT | SQLITE_NOTADB => StoreError::Damaged(message.to_owned()),
        _ => StoreError::Failed(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_result_codes_count_as_what_they_refine() {
        let busy_snapshot = meaning(Some("517"), "database is locked");
        assert!(matches!(busy_snapshot, StoreError::Busy(_)));
        assert!(matches!(meaning(Some("13"), ""), StoreError::Full(_)));
        assert!(matches!(meaning(Some("2067"), ""), StoreError::Failed(_)));
        assert!(matches!(meaning(None, ""), StoreError::Failed(_)));
    }
}
