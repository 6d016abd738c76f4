//! A database whose pages are damaged: it is set aside as it is, and a new one takes its place with everything that can
//! still be read.
//!
//! Rows are read through SQLite itself, so that nothing comes back that had been deleted before: what lies on a page that
//! no tree leads to any more may have been uploaded long ago.

mod copying;
mod set_aside;
mod strays;

use std::path::Path;

use sqlx::SqliteConnection;

pub(super) use self::strays::{remembered, take_in};
use self::{copying::Copied, set_aside::Files};
use super::{cells, migrations, options};
use crate::{
    domain::{store::Salvage, timestamp::Timestamp},
    storage::{StoreError, errors},
};

/// Tables with integer ids, the most precious first.
const TABLES: [&str; 6] = [
    "meter_readings",
    "upload_manifests",
    "quarantined_readings",
    "meters",
    "quarantine_audit",
    "sync_log",
];
/// Tables without.
const KEYED: [&str; 2] = ["service_facts", "ingestion_keys"];
/// A reading takes no less of a page than this, in bytes.
const SHORTEST_READING: u64 = 24;

/// Goes on with a salvage that was interrupted.
pub(super) async fn resume(database: &Path) -> Result<(), StoreError> {
    match Files::interrupted(database).map_err(|error| failed(&error))? {
        Some(files) => salvage(&files).await,
        None => Ok(()),
    }
}

/// Sets a damaged database aside and puts a new one in its place. Nobody of this service may have it open.
pub(super) async fn replace(database: &Path) -> Result<(), StoreError> {
    let files = Files::begin(database).map_err(|error| failed(&error))?;
    salvage(&files).await
}

async fn salvage(files: &Files) -> Result<(), StoreError> {
    let new = files.new_database().map_err(|error| failed(&error))?;
    let pool = options::writer_pool(&new).await?;
    let mut connection = pool.acquire().await?;
    migrations::run(&mut connection).await?;
    let salvage = copy_all(&mut connection, files).await?;
    drop(connection);
    pool.close().await;
    files.finish().map_err(|error| failed(&error))?;
    tracing::error!(
        set_aside = salvage.set_aside,
        readings = salvage.readings,
        lost_at_most = salvage.lost_at_most,
        "the sync database was damaged; it was set aside, and a new one holds what could be read of it"
    );
    Ok(())
}

fn failed(error: &std::io::Error) -> StoreError {
    errors::from_file_system("a damaged database cannot be set aside", error)
}

async fn copy_all(connection: &mut SqliteConnection, files: &Files) -> Result<Salvage, StoreError> {
    let mut salvage = Salvage {
        at: time_of(connection).await?,
        set_aside: files.set_aside.display().to_string(),
        readings: 0,
        lost_at_most: 0,
        batches_lost_at_most: 0,
        taken_in_later: 0,
        through: 0,
    };
    let attached = sqlx::query("ATTACH DATABASE ?1 AS damaged")
        .bind(salvage.set_aside.as_str())
        .execute(&mut *connection)
        .await;
    if let Err(error) = attached {
        tracing::error!(%error, "nothing can be read of the damaged database");
        salvage.lost_at_most = as_many_as_fit(files);
        strays::remember(connection, &salvage).await?;
        return Ok(salvage);
    }
    for table in TABLES {
        let copied = copying::copy(connection, table).await?;
        note(&mut salvage, table, &copied, files);
    }
    for table in KEYED {
        if !copying::copy_whole(connection, table).await? {
            tracing::warn!(table, "a table of the damaged database cannot be read");
        }
    }
    sqlx::query("DETACH DATABASE damaged")
        .execute(&mut *connection)
        .await?;
    strays::remember(connection, &salvage).await?;
    Ok(salvage)
}

/// The time as the database has it, which is the machine's own.
async fn time_of(connection: &mut SqliteConnection) -> Result<Timestamp, StoreError> {
    let row = sqlx::query("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        .fetch_one(connection)
        .await?;
    cells::required_time(&row, 0)
}

fn note(salvage: &mut Salvage, table: &'static str, copied: &Copied, files: &Files) {
    let unreadable: u64 = copied
        .unreadable
        .iter()
        .map(|(from, to)| from.abs_diff(*to) + 1)
        .sum();
    if unreadable > 0 || copied.is_missing {
        tracing::error!(
            table,
            rows = copied.rows,
            unreadable = ?copied.unreadable,
            "a table of the damaged database cannot be read as a whole"
        );
    }
    match table {
        "meter_readings" => {
            salvage.readings = copied.rows;
            salvage.through = copied.highest;
            let is_unknown = copied.is_missing || copied.highest == 0;
            salvage.lost_at_most = if is_unknown {
                as_many_as_fit(files)
            } else {
                unreadable
            };
        }
        "upload_manifests" => salvage.batches_lost_at_most = unreadable,
        _ => {}
    }
}

/// How many readings the damaged file could have held.
fn as_many_as_fit(files: &Files) -> u64 {
    let bytes = std::fs::metadata(&files.set_aside).map_or(0, |file| file.len());
    // An empty file has lost nothing, nor has one that never got further than its first pages.
    bytes / SHORTEST_READING
}
