//! Stores readings that came in through this service.

use sqlx::PgConnection;

use super::cells;
use crate::{
    domain::{
        reading::{Reading, newest_by_meter},
        timestamp::Timestamp,
    },
    storage::{Ingested, StoreError, fingerprint::fingerprint},
};

/// Rows per statement.
const CHUNK: usize = 1000;

/// Adds readings, all or none. With a key, a repetition of the same contents adds nothing.
pub(super) async fn insert_readings(
    connection: &mut PgConnection,
    readings: &[Reading],
    key: Option<&str>,
    now: Timestamp,
) -> Result<Ingested, StoreError> {
    let count = readings.len();
    if let Some(key) = key {
        let fingerprint = fingerprint(readings);
        if !remember_key(connection, key, count, &fingerprint, now).await? {
            check_repetition(connection, key, &fingerprint).await?;
            return Ok(Ingested {
                count,
                repeated: true,
            });
        }
    }
    insert_all(connection, readings, now).await?;
    note_last_readings(connection, newest_by_meter(readings)).await?;
    Ok(Ingested {
        count,
        repeated: false,
    })
}

async fn insert_all(
    connection: &mut PgConnection,
    readings: &[Reading],
    now: Timestamp,
) -> Result<(), StoreError> {
    for chunk in readings.chunks(CHUNK) {
        sqlx::query(include_str!("queries/insert_readings.sql"))
            .bind(column(chunk, |reading| reading.meter_external_id.as_str()))
            .bind(column(chunk, |reading| reading.timestamp.0.naive_utc()))
            .bind(column(chunk, |reading| reading.data_point.as_str()))
            // As text, which the server turns into a number exactly.
            .bind(column(chunk, |reading| reading.value.as_str()))
            .bind(column(chunk, |reading| reading.unit.as_deref()))
            .bind(now.0.naive_utc())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn column<'r, T>(readings: &'r [Reading], of: impl Fn(&'r Reading) -> T) -> Vec<T> {
    readings.iter().map(of).collect()
}

/// Tells whether the key is new. Another instance that is storing the same key is waited for.
async fn remember_key(
    connection: &mut PgConnection,
    key: &str,
    count: usize,
    fingerprint: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(include_str!("queries/insert_ingestion_key.sql"))
        .bind(key)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(fingerprint)
        .bind(now.0.naive_utc())
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn check_repetition(
    connection: &mut PgConnection,
    key: &str,
    fingerprint: &str,
) -> Result<(), StoreError> {
    let row = sqlx::query(include_str!("queries/ingestion_key.sql"))
        .bind(key)
        .fetch_one(connection)
        .await?;
    if cells::get::<&str>(&row, 0)? == fingerprint {
        Ok(())
    } else {
        Err(StoreError::KeyReused(key.to_owned()))
    }
}

/// Meters that are not known yet are passed over: a configuration brings them.
pub(super) async fn note_last_readings(
    connection: &mut PgConnection,
    newest: impl IntoIterator<Item = (&str, Timestamp)>,
) -> Result<(), StoreError> {
    let (meters, times): (Vec<_>, Vec<_>) = newest
        .into_iter()
        .map(|(meter, time)| (meter, time.0.naive_utc()))
        .unzip();
    sqlx::query(include_str!("queries/note_last_readings.sql"))
        .bind(meters)
        .bind(times)
        .execute(connection)
        .await?;
    Ok(())
}
