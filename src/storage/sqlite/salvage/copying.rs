//! Copies what can be read of a damaged table, rows by ranges of their ids: a range that cannot be read is halved, until
//! single rows are left that cannot.

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::storage::StoreError;

/// Ids that are tried at once.
const RANGE: i64 = 1 << 14;
/// Where not even the highest id can be read, nothing is known to lie beyond it.
const UNKNOWN: i64 = 0;

/// What could be copied of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Copied {
    /// Rows.
    pub(super) rows: u64,
    /// Ranges of ids, ends included, that cannot be read.
    pub(super) unreadable: Vec<(i64, i64)>,
    /// The highest id that was ever given, as far as it is known.
    pub(super) highest: i64,
    /// Whether nothing of the table could be found at all.
    pub(super) is_missing: bool,
}

/// Copies a table with integer ids from the attached database `damaged` into the one of the same name and columns.
pub(super) async fn copy(
    connection: &mut SqliteConnection,
    table: &'static str,
) -> Result<Copied, StoreError> {
    let Some(columns) = common_columns(connection, table).await else {
        return Ok(Copied {
            is_missing: true,
            ..Copied::default()
        });
    };
    let mut copied = Copied {
        highest: highest_id(connection, table).await,
        ..Copied::default()
    };
    let mut from = 1;
    while from <= copied.highest {
        let to = from.saturating_add(RANGE - 1).min(copied.highest);
        copy_range(connection, table, &columns, (from, to), &mut copied).await?;
        from = to + 1;
    }
    never_reuse(connection, table, copied.highest).await?;
    Ok(copied)
}

/// Copies a table without integer ids, all of it or nothing.
pub(super) async fn copy_whole(
    connection: &mut SqliteConnection,
    table: &'static str,
) -> Result<bool, StoreError> {
    let Some(columns) = common_columns(connection, table).await else {
        return Ok(false);
    };
    let statement = format!(
        "INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM damaged.{table}"
    );
    let done = sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await;
    is_readable(done.map(drop))
}

async fn copy_range(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &str,
    whole: (i64, i64),
    copied: &mut Copied,
) -> Result<(), StoreError> {
    let statement = format!(
        "INSERT OR IGNORE INTO main.{table} ({columns}) \
         SELECT {columns} FROM damaged.{table} WHERE id BETWEEN ?1 AND ?2"
    );
    let mut ranges = vec![whole];
    while let Some((from, to)) = ranges.pop() {
        let done = sqlx::query(AssertSqlSafe(statement.clone()))
            .bind(from)
            .bind(to)
            .execute(&mut *connection)
            .await;
        let rows = done.as_ref().map_or(0, |done| done.rows_affected());
        if is_readable(done.map(drop))? {
            copied.rows += rows;
        } else if from == to {
            note_unreadable(&mut copied.unreadable, from);
        } else {
            let middle = from + (to - from) / 2;
            ranges.push((middle + 1, to));
            ranges.push((from, middle));
        }
    }
    Ok(())
}

/// Ids come in ascending order.
fn note_unreadable(ranges: &mut Vec<(i64, i64)>, id: i64) {
    match ranges.last_mut() {
        Some((_, end)) if *end + 1 == id => *end = id,
        _ => ranges.push((id, id)),
    }
}

/// A failure of the new database is no fault of the damaged one.
fn is_readable(done: Result<(), sqlx::Error>) -> Result<bool, StoreError> {
    match done.map_err(StoreError::from) {
        Ok(()) => Ok(true),
        Err(StoreError::Damaged(_)) => Ok(false),
        Err(StoreError::Failed(words)) => {
            tracing::debug!(words, "a part of a damaged database cannot be read");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The columns that both tables have; none where the damaged one cannot be found.
async fn common_columns(connection: &mut SqliteConnection, table: &str) -> Option<String> {
    let names = async |connection: &mut SqliteConnection, schema: &str| {
        let question = format!("SELECT name FROM pragma_table_info('{table}', '{schema}')");
        let rows = sqlx::query(AssertSqlSafe(question))
            .fetch_all(connection)
            .await
            .ok()?;
        Some(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>())
    };
    let old = names(connection, "damaged").await?;
    let new = names(connection, "main").await?;
    let common: Vec<String> = new.into_iter().filter(|name| old.contains(name)).collect();
    (!common.is_empty()).then(|| common.join(", "))
}

async fn highest_id(connection: &mut SqliteConnection, table: &str) -> i64 {
    let mut highest = UNKNOWN;
    for question in [
        format!("SELECT max(id) FROM damaged.{table}"),
        format!("SELECT seq FROM damaged.sqlite_sequence WHERE name = '{table}'"),
    ] {
        let found = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(question))
            .fetch_optional(&mut *connection)
            .await;
        // One of the two is enough.
        if let Ok(Some(Some(id))) = found {
            highest = highest.max(id);
        }
    }
    highest
}

/// An id that was lost must not come to mean another row.
async fn never_reuse(
    connection: &mut SqliteConnection,
    table: &str,
    highest: i64,
) -> Result<(), StoreError> {
    for statement in [
        "INSERT INTO main.sqlite_sequence (name, seq) SELECT ?1, 0 \
         WHERE NOT EXISTS (SELECT 1 FROM main.sqlite_sequence WHERE name = ?1)",
        "UPDATE main.sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
    ] {
        sqlx::query(statement)
            .bind(table)
            .bind(highest)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_a_range() {
        let mut ranges = Vec::new();
        for id in [3, 4, 5, 9, 11, 12] {
            note_unreadable(&mut ranges, id);
        }
        assert_eq!(ranges, [(3, 5), (9, 9), (11, 12)]);
    }
}
