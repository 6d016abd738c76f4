//! PostgreSQL's SQLSTATE codes.

use crate::storage::StoreError;

/// What a failure of PostgreSQL means.
pub(in crate::storage) fn meaning(code: Option<&str>, message: &str) -> StoreError {
    let words = message.to_owned();
    match code.unwrap_or_default() {
        // Serialisation, deadlock, lock and statement timeouts, all connections taken.
        "40001" | "40P01" | "55P03" | "57014" | "53300" => StoreError::Busy(words),
        "53100" => StoreError::Full(words),
        "25006" => StoreError::Failed(format!(
            "{words}; the server takes no changes, as a standby or after a failover: the primary is looked for again"
        )),
        // The server ends, starts or crashed.
        "57P01" | "57P02" | "57P03" => StoreError::Failed(format!(
            "{words}; the server ends connections, as it does when it restarts: it is connected to again"
        )),
        "42501" => StoreError::Failed(format!(
            "{words}; the role in DATABASE_URL lacks rights: run `meterit-sync migrate` once as the owner of the tables, \
             or grant them"
        )),
        code if code.starts_with("28") => StoreError::Failed(format!(
            "{words}; the server does not accept the user or password in DATABASE_URL"
        )),
        _ => StoreError::Failed(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_is_full() {
        for busy in ["40001", "40P01", "55P03", "57014", "53300"] {
            assert!(matches!(meaning(Some(busy), ""), StoreError::Busy(_)));
        }
        assert!(matches!(meaning(Some("53100"), ""), StoreError::Full(_)));
        assert!(matches!(meaning(Some("23505"), ""), StoreError::Failed(_)));
        assert!(matches!(meaning(None, ""), StoreError::Failed(_)));
    }
}
