//! Another program may have had the damaged database open when it was set aside, and goes on writing into it: those
//! readings are taken over as they come. What was taken over is remembered in the new database itself, in the same
//! transaction.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::super::options;
use crate::{domain::store::Salvage, storage::StoreError};

/// The name under which it is remembered.
pub(super) const FACT: &str = "salvage";
/// What other programs write; everything else is this service's own, and it has a new database.
const COLUMNS: &str = "meter_external_id, timestamp, data_point, value, unit, created_at";

/// The salvage that this database came from, for as long as the damaged one lies where it was put.
pub(in super::super) async fn remembered(
    connection: &mut SqliteConnection,
) -> Result<Option<Salvage>, StoreError> {
    let told: Option<String> =
        sqlx::query_scalar("SELECT value FROM service_facts WHERE name = ?1")
            .bind(FACT)
            .fetch_optional(connection)
            .await?;
    let salvage: Option<Salvage> = told.and_then(|told| serde_json::from_str(&told).ok());
    Ok(salvage.filter(|salvage| Path::new(&salvage.set_aside).exists()))
}

/// Writes down how far it came.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    salvage: &Salvage,
) -> Result<(), StoreError> {
    let told = serde_json::to_string(salvage).map_err(|error| {
        StoreError::Failed(format!("a salvage cannot be written down: {error}"))
    })?;
    sqlx::query(
        "INSERT INTO service_facts (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(FACT)
    .bind(told)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes over what came into the damaged database since. Returns the salvage as it stands now.
pub(in super::super) async fn take_in(
    connection: &mut SqliteConnection,
    salvage: &Salvage,
) -> Result<Salvage, StoreError> {
    let highest = match highest_beyond(salvage).await {
        Ok(Some(highest)) => highest,
        Ok(None) => return Ok(salvage.clone()),
        Err(StoreError::Damaged(words)) => {
            if !salvage.later_is_unreadable {
                tracing::error!(
                    words,
                    "what other programs write into the damaged database from now on cannot be taken over"
                );
            }
            return Ok(Salvage {
                later_is_unreadable: true,
                ..salvage.clone()
            });
        }
        Err(error) => return Err(error),
    };
    sqlx::query("ATTACH DATABASE ?1 AS damaged")
        .bind(salvage.set_aside.as_str())
        .execute(&mut *connection)
        .await?;
    let taken = take_in_through(connection, salvage, highest).await;
    // A transaction that failed has been rolled back, and nothing else uses what is attached.
    sqlx::query("DETACH DATABASE damaged")
        .execute(connection)
        .await?;
    taken
}

async fn take_in_through(
    connection: &mut SqliteConnection,
    salvage: &Salvage,
    highest: i64,
) -> Result<Salvage, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Under new ids: the old ones may have been given to other readings by now.
    let statement = format!(
        "INSERT INTO main.meter_readings ({COLUMNS}) SELECT {COLUMNS} FROM damaged.meter_readings \
         WHERE id > ?1 AND id <= ?2 AND is_synchronized IS NOT 1 ORDER BY id"
    );
    let taken = sqlx::query(AssertSqlSafe(statement))
        .bind(salvage.through)
        .bind(highest)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    let now = Salvage {
        taken_in_later: salvage.taken_in_later + taken,
        through: highest,
        ..salvage.clone()
    };
    remember(&mut transaction, &now).await?;
    transaction.commit().await?;
    tracing::warn!(
        readings = taken,
        "another program still writes into the damaged database; its readings were taken over"
    );
    Ok(now)
}

/// The highest id that nobody has looked at; none where there is no such.
async fn highest_beyond(salvage: &Salvage) -> Result<Option<i64>, StoreError> {
    let path = Path::new(&salvage.set_aside);
    let mut connection = options::reader_options(path).connect().await?;
    let highest: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT max(id) FROM meter_readings WHERE id > ?1")
            .bind(salvage.through)
            .fetch_one(&mut connection)
            .await;
    // It only looked.
    let _ = connection.close().await;
    Ok(highest?)
}
