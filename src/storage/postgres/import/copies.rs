//! Adds what an import copies, where it is not known yet; doing it again changes nothing.

use serde_json::json;
use sqlx::PgConnection;

use super::super::manifests::storable;
use crate::{
    domain::timestamp::Timestamp,
    storage::{StoreError, import::chunk::CopiedMeter},
};

/// Meters that are added with one statement.
const CHUNK: usize = 500;

/// Adds meters; returns how many cannot be held. Of one that is known, only the time of its last reading is taken, if
/// that is later.
pub(super) async fn meters(
    connection: &mut PgConnection,
    meters: &[CopiedMeter],
) -> Result<u64, StoreError> {
    let mut passed_over = 0;
    for chunk in meters.chunks(CHUNK) {
        if insert(connection, chunk).await.is_ok() {
            continue;
        }
        for meter in chunk {
            match insert(connection, std::slice::from_ref(meter)).await {
                Ok(()) => {}
                Err(sqlx::Error::Database(_)) => passed_over += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(passed_over)
}

async fn insert(connection: &mut PgConnection, meters: &[CopiedMeter]) -> Result<(), sqlx::Error> {
    let text = |text: &Option<String>| text.as_deref().map(storable);
    let time = |time: Option<Timestamp>| time.map(Timestamp::to_stored);
    let rows: Vec<_> = meters
        .iter()
        .map(|meter| {
            json!([
                storable(&meter.external_id),
                storable(&meter.name),
                meter.bacnet_device_id,
                text(&meter.bacnet_ip),
                text(&meter.config),
                time(meter.last_reading_at),
                meter.is_active,
                time(meter.created_at),
            ])
        })
        .collect();
    sqlx::query(include_str!("../queries/import_copy_meters.sql"))
        .bind(json!(rows).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds facts. One that a service has learned here in the meantime is newer.
pub(super) async fn facts(
    connection: &mut PgConnection,
    facts: &[(String, String)],
) -> Result<(), StoreError> {
    let (names, values): (Vec<_>, Vec<_>) = facts
        .iter()
        .map(|(name, value)| (storable(name), storable(value)))
        .unzip();
    sqlx::query(include_str!("../queries/import_copy_facts.sql"))
        .bind(names)
        .bind(values)
        .execute(connection)
        .await?;
    Ok(())
}
