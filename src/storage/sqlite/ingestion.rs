//! Stores readings that came in through this service.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use sqlx::SqliteConnection;

use super::{
    cells,
    pieces::{Insert, pieces},
};
use crate::{
    domain::{
        reading::{Reading, newest_by_meter},
        timestamp::Timestamp,
        value::ReadingValue,
    },
    storage::{Ingested, StoreError, fingerprint::fingerprint},
};

/// Rows per statement: round numbers, as clients choose theirs.
const CHUNKS: [usize; 5] = [500, 100, 20, 5, 1];
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
    note_last_readings(connection, newest_by_meter(readings)).await?;
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
    let mut texts = SharedTexts::default();
    for (mut query, piece) in pieces(CHUNKS, &INSERTS, readings) {
        for reading in piece {
            query = bind(query, reading, &mut texts);
        }
        query
            .bind(now.to_stored())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn bind<'r>(query: Insert, reading: &'r Reading, texts: &mut SharedTexts<'r>) -> Insert {
    let query = query
        .bind(texts.text(&reading.meter_external_id))
        .bind(texts.time(reading.timestamp))
        .bind(texts.text(&reading.data_point));
    bind_value(query, &reading.value).bind(reading.unit.as_deref().map(|unit| texts.text(unit)))
}

/// The column's affinity turns a text into a number, which is exact for 15 digits. The nearest binary number is the same one,
/// and costs SQLite no parsing.
fn bind_value(query: Insert, value: &ReadingValue) -> Insert {
    let text = value.as_str();
    match text.parse::<f64>() {
        Ok(number) if value.fits_numeric_15_3() => query.bind(number),
        _ => query.bind(text.to_owned()),
    }
}

/// Texts that many rows have in common, each copied once.
#[derive(Default)]
struct SharedTexts<'r> {
    texts: HashMap<&'r str, Arc<str>>,
    last_time: Option<(Timestamp, Arc<str>)>,
}

impl<'r> SharedTexts<'r> {
    fn text(&mut self, text: &'r str) -> Arc<str> {
        let shared = self.texts.entry(text).or_insert_with(|| text.into());
        Arc::clone(shared)
    }

    /// Readings that were taken together mostly come together.
    fn time(&mut self, time: Timestamp) -> Arc<str> {
        match &self.last_time {
            Some((last, text)) if *last == time => Arc::clone(text),
            _ => {
                let text: Arc<str> = time.to_stored().into();
                self.last_time = Some((time, Arc::clone(&text)));
                text
            }
        }
    }
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
pub(super) async fn note_last_readings(
    connection: &mut SqliteConnection,
    newest: impl IntoIterator<Item = (&str, Timestamp)>,
) -> Result<(), StoreError> {
    let newest: serde_json::Map<String, serde_json::Value> = newest
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
    use proptest::{collection::vec, prelude::*};
    use sqlx::{Connection, Row};

    use super::*;

    /// What a column of the type of `meter_readings.value` keeps of numbers that are bound in two ways.
    fn kept(numbers: &[String]) -> Vec<[(String, i64); 2]> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let kept = async {
            let mut connection = SqliteConnection::connect(":memory:").await?;
            sqlx::raw_sql("CREATE TABLE kept (way, value NUMERIC(15, 3) NOT NULL)")
                .execute(&mut connection)
                .await?;
            let mut pairs = Vec::new();
            for number in numbers {
                let value = ReadingValue::parse(number).expect("a number");
                let insert = || sqlx::query("INSERT INTO kept VALUES (?, ?)");
                bind_value(insert().bind(1), &value)
                    .execute(&mut connection)
                    .await?;
                insert()
                    .bind(2)
                    .bind(number.as_str())
                    .execute(&mut connection)
                    .await?;
                let select = "SELECT typeof(value), CAST(value AS REAL) FROM kept ORDER BY way";
                let rows = sqlx::query(select).fetch_all(&mut connection).await?;
                let cells = rows.iter().map(|row| {
                    let bits = row.get::<f64, _>(1).to_bits();
                    (row.get::<String, _>(0), bits.cast_signed())
                });
                pairs.push(cells.collect::<Vec<_>>().try_into().expect("two rows"));
                sqlx::query("DELETE FROM kept")
                    .execute(&mut connection)
                    .await?;
            }
            Ok::<_, sqlx::Error>(pairs)
        };
        runtime.expect("a runtime").block_on(kept).expect("rows")
    }

    #[test]
    fn numbers_of_every_form_are_kept_as_their_texts_would_be() {
        let numbers = [
            "0",
            "-0",
            "-0.000",
            "5",
            "5.0",
            "-12.340",
            "0.001",
            "1e3",
            "1500e-3",
            "1E+2",
            "0e999",
            "999999999999.999",
            "-999999999999.999",
            "1.50000000000000000000",
            "1e15",
            "0.0001",
            "12345678901234567890",
            "1e400",
        ];
        let numbers = numbers.map(str::to_owned);
        for (number, [bound, text]) in numbers.iter().zip(kept(&numbers)) {
            assert_eq!(bound, text, "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn numbers_are_kept_as_their_texts_would_be(
            numbers in vec("-?(0|[1-9][0-9]{0,11})(\\.[0-9]{1,3})?", 50),
        ) {
            for (number, [bound, text]) in numbers.iter().zip(kept(&numbers)) {
                prop_assert_eq!(bound, text, "{}", number);
            }
        }
    }

    #[test]
    fn equal_texts_and_times_are_shared() {
        let mut texts = SharedTexts::default();
        let (one, other) = (texts.text("kWh"), texts.text("kWh"));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(&*texts.text("kW"), "kW");
        let time = |text| Timestamp::parse_stored(text).expect("a time");
        let first = texts.time(time("2026-01-01 00:00:00"));
        assert!(Arc::ptr_eq(
            &first,
            &texts.time(time("2026-01-01 00:00:00"))
        ));
        assert_eq!(
            &*texts.time(time("2026-01-01 00:00:01")),
            "2026-01-01 00:00:01.000"
        );
        assert_eq!(texts.time(time("2026-01-01 00:00:00")), first);
    }

    #[test]
    fn any_number_of_rows_is_a_sum_of_chunks() {
        assert_eq!(CHUNKS.last(), Some(&1));
        // SQLite takes 32766 parameters in one statement.
        assert!(1 + CHUNKS[0] * ROW_PARAMETERS < 32_766);
    }
}
