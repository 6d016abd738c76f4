//! Looks at what lies in the database before anything is changed: tables of a deployed site are taken over as they
//! are, so they have to be what they are taken for.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::cells;
use crate::storage::StoreError;

/// Multiranges, `FOR UPDATE … SKIP LOCKED`, `CREATE OR REPLACE TRIGGER`: what sites are tested with.
const OLDEST_VERSION: i32 = 140_000;

/// A table of a deployed site and the types that its columns may have; all of them have to be there.
struct Deployed {
    table: &'static str,
    columns: &'static [(&'static str, &'static [&'static str])],
}

const WHOLE: &[&str] = &["integer", "bigint"];
const TEXT: &[&str] = &["character varying", "text"];
const TIME: &[&str] = &["timestamp without time zone"];
const TRUTH: &[&str] = &["boolean"];

const TABLES: [Deployed; 3] = [
    Deployed {
        table: "meters",
        columns: &[
            ("id", WHOLE),
            ("external_id", TEXT),
            ("name", TEXT),
            ("bacnet_device_id", &["integer"]),
            ("bacnet_ip", TEXT),
            ("config", &["jsonb", "json"]),
            ("last_reading_at", TIME),
            ("is_active", TRUTH),
            ("created_at", TIME),
            ("updated_at", TIME),
        ],
    },
    Deployed {
        table: "meter_readings",
        columns: &[
            ("id", WHOLE),
            ("meter_external_id", TEXT),
            ("timestamp", TIME),
            ("data_point", TEXT),
            ("value", &["numeric"]),
            ("unit", TEXT),
            ("is_synchronized", TRUTH),
            ("retry_count", &["integer"]),
            ("created_at", TIME),
        ],
    },
    Deployed {
        table: "sync_log",
        columns: &[
            ("id", WHOLE),
            ("batch_size", &["integer"]),
            ("success", TRUTH),
            ("error_message", TEXT),
            ("synced_at", TIME),
        ],
    },
];

/// Refuses a server or tables that this service cannot work with.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(include_str!("queries/server_version.sql"))
        .fetch_one(&mut *connection)
        .await?;
    let version: i32 = cells::get(&row, 0)?;
    if version < OLDEST_VERSION {
        return Err(StoreError::Unsuitable(format!(
            "the server is PostgreSQL {}, and 14 is the oldest that this service works with; upgrade the server",
            version / 10_000
        )));
    }
    for deployed in &TABLES {
        check_table(connection, deployed).await?;
    }
    Ok(())
}

async fn check_table(connection: &mut PgConnection, deployed: &Deployed) -> Result<(), StoreError> {
    let rows = sqlx::query(include_str!("queries/table_columns.sql"))
        .bind(deployed.table)
        .fetch_all(connection)
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        if cells::get::<&str>(row, 0)? != "r" {
            return Err(unsuitable(deployed, "is no ordinary table"));
        }
        found.insert(cells::get::<&str>(row, 1)?, cells::get::<&str>(row, 2)?);
    }
    if found.is_empty() {
        // Not there yet: the first migration makes it.
        return Ok(());
    }
    for (column, types) in deployed.columns {
        match found.get(column) {
            Some(kind) if types.contains(kind) => {}
            Some(kind) => {
                let expected = types.join(" or ");
                let words =
                    format!("has a column {column} of type {kind}, where {expected} is expected");
                return Err(unsuitable(deployed, &words));
            }
            None => return Err(unsuitable(deployed, &format!("has no column {column}"))),
        }
    }
    Ok(())
}

fn unsuitable(deployed: &Deployed, words: &str) -> StoreError {
    StoreError::Unsuitable(format!(
        "the table {} {words}; nothing was changed. Is this the database of the Meter Collection Service?",
        deployed.table
    ))
}
