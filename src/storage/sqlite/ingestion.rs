//! Stores readings that came in through this service.

use std::sync::LazyLock;

use sqlx::SqliteConnection;

use super::cells;
use crate::{
    domain::{
        reading::{Reading, newest_by_meter},
        timestamp::Timestamp,
    },
    storage::{Ingested, StoreError, fingerprint::fingerprint},
};

/// Rows per statement. A few sizes, so that every statement is prepared once and kept.
const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];
/// Parameters of one row; the one that all rows share comes last.
const ROW_PARAMETERS: usize = 5;

static INSERTS: LazyLock<[String; 5]> = LazyLock::new(|| CHUNKS.map(insert_statement));

/// Only the shared parameter has a name: sqlx asks SQLite for the name of each, which goes through the names of all.
fn insert_statement(rows: usize) -> String {
    let shared = rows * ROW_PARAMETERS + 1;
    let row = format!("(?, ?, ?, ?, ?, 0, 0, ${shared})");
    format!(
        "{}{}",
        include_str!("queries/insert_readings.sql"),
        vec![row; rows].join(",")
    )
}

/// Adds readings, all or none. With a key, a repetition of the same contents adds nothing.
pub(super) async fn insert_readings(
    connection: &mut SqliteConnection,
    readings: &[Reading],
    key: Option<&str>,
    now: Timestamp,
) -> Result<Ingested, StoreError> {
    let count = readings.len();
    if let Some(key) = key {
        let fingerprint = fingerprint(readings);
        if was_stored_before(connection, key, &fingerprint).await? {
            return Ok(Ingested {
                count,
                repeated: true,
            });
        }
        remember_key(connection, key, count, fingerprint, now).await?;
    }
    insert_all(connection, readings, now).await?;
    note_last_readings(connection, readings).await?;
    Ok(Ingested {
        count,
        repeated: false,
    })
}

async fn insert_all(
    connection: &mut SqliteConnection,
    readings: &[Reading],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut rest = readings;
    for (size, statement) in CHUNKS.into_iter().zip(INSERTS.iter()) {
        while let Some((chunk, remaining)) = rest.split_at_checked(size) {
            insert_chunk(connection, statement, chunk, now).await?;
            rest = remaining;
        }
    }
    Ok(())
}

async fn insert_chunk(
    connection: &mut SqliteConnection,
    statement: &'static str,
    chunk: &[Reading],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut query = sqlx::query(statement);
    for reading in chunk {
        query = query
            .bind(reading.meter_external_id.clone())
            .bind(reading.timestamp.to_stored())
            .bind(reading.data_point.clone())
            // As text: the column's affinity turns it into a number, which is exact for 15 digits.
            .bind(reading.value.as_str().to_owned())
            .bind(reading.unit.clone());
    }
    query.bind(now.to_stored()).execute(connection).await?;
    Ok(())
}

async fn was_stored_before(
    connection: &mut SqliteConnection,
    key: &str,
    fingerprint: &str,
) -> Result<bool, StoreError> {
    let row = sqlx::query(include_str!("queries/ingestion_key.sql"))
        .bind(key.to_owned())
        .fetch_optional(connection)
        .await?;
    match row.map(|row| cells::required_text(&row, 0)).transpose()? {
        None => Ok(false),
        Some(known) if known == fingerprint => Ok(true),
        Some(_) => Err(StoreError::KeyReused(key.to_owned())),
    }
}

async fn remember_key(
    connection: &mut SqliteConnection,
    key: &str,
    count: usize,
    fingerprint: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/insert_ingestion_key.sql"))
        .bind(key.to_owned())
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(fingerprint)
        .bind(now.to_stored())
        .execute(connection)
        .await?;
    Ok(())
}

/// Meters that are not known yet are passed over: a configuration brings them.
async fn note_last_readings(
    connection: &mut SqliteConnection,
    readings: &[Reading],
) -> Result<(), StoreError> {
    let newest: serde_json::Map<String, serde_json::Value> = newest_by_meter(readings)
        .into_iter()
        .map(|(meter, time)| (meter.to_owned(), time.to_stored().into()))
        .collect();
    sqlx::query(include_str!("queries/note_last_readings.sql"))
        .bind(serde_json::Value::from(newest).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_a_sum_of_chunks() {
        assert_eq!(CHUNKS.last(), Some(&1));
        // SQLite takes 32766 parameters in one statement.
        assert!(1 + CHUNKS[0] * ROW_PARAMETERS < 32_766);
    }
}
