//! Another program may have had a damaged database open when it was set aside, and goes on writing into it: those
//! readings are taken over as they come. What was taken over is remembered in the new database itself, in the same
//! transaction.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::{sync::Mutex, task::JoinHandle};

use super::{
    super::quarantine,
    doubtful, failed, import,
    known::{READINGS, TABLES},
    later::Later,
    pages::Value,
    plan::Doubt,
    set_aside::{self, Stamps},
    time_of,
};
use crate::{domain::store::Salvage, storage::StoreError};

/// The name under which it is remembered.
pub(super) const FACT: &str = "salvage";
/// What other programs write; everything else is this service's own, and it has a new database.
const COLUMNS: [&str; 6] = [
    "meter_external_id",
    "timestamp",
    "data_point",
    "value",
    "unit",
    "created_at",
];
/// Rows in one statement.
const ROWS: usize = 50;
/// How long one look waits for what is being read; then it goes on meanwhile, and a later look takes it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks at files that did not change before they are taken for read: some file systems count time in steps.
const LOOKS_AT_SAME: u32 = 2;
/// What is read for one look. Whatever takes more is read again only after as many looks.
const BYTES_A_LOOK: u64 = 64 << 20;

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

/// Follows what is written into a damaged database after it was set aside.
#[derive(Debug, Default)]
pub(in super::super) struct Strays(Mutex<Option<Followed>>);

/// A damaged database, and how far it was followed.
#[derive(Debug)]
struct Followed {
    /// As it is remembered.
    salvage: Salvage,
    /// Something that was written since may lie where it cannot be read.
    is_unreadable: bool,
    /// How its files looked when they were read last, and how often they were read like that.
    seen: Option<(Stamps, u32)>,
    /// Looks to pass over, for the last one cost as much.
    pause: u64,
    /// What is being read, and how the files looked before.
    reading: Option<(Stamps, JoinHandle<Result<Later, StoreError>>)>,
}

impl Strays {
    /// Follows another one from now on.
    pub(in super::super) async fn exchange(&self, salvage: Option<Salvage>) {
        *self.0.lock().await = salvage.map(Followed::new);
    }

    /// Takes over what came since the last call, in so far as it can be told soon. Returns the salvage as it stands now;
    /// none where the damaged database is there no more.
    pub(in super::super) async fn follow(&self, writer: Option<&SqlitePool>) -> Option<Salvage> {
        let mut state = self.0.lock().await;
        if !Path::new(&state.as_ref()?.salvage.set_aside).exists() {
            *state = None;
        }
        let followed = state.as_mut()?;
        if let Some(writer) = writer
            && let Err(error) = followed.look(writer).await
        {
            tracing::debug!(%error, "the damaged database cannot be looked at now");
        }
        Some(followed.told())
    }
}

impl Followed {
    fn new(salvage: Salvage) -> Self {
        Self {
            salvage,
            is_unreadable: false,
            seen: None,
            pause: 0,
            reading: None,
        }
    }

    fn told(&self) -> Salvage {
        Salvage {
            later_is_unreadable: self.salvage.later_is_unreadable || self.is_unreadable,
            ..self.salvage.clone()
        }
    }

    async fn look(&mut self, writer: &SqlitePool) -> Result<(), StoreError> {
        let database = PathBuf::from(&self.salvage.set_aside);
        if self.reading.is_none() {
            let now = set_aside::stamps(&database, &set_aside::log_of(&database));
            let is_known = matches!(&self.seen, Some((seen, LOOKS_AT_SAME..)) if *seen == now);
            if is_known {
                return Ok(());
            }
            if self.pause > 0 {
                self.pause -= 1;
                return Ok(());
            }
            let read = tokio::spawn(Later::read(database, self.salvage.through));
            self.reading = Some((now, read));
        }
        let Some((_, reading)) = &mut self.reading else {
            return Ok(());
        };
        let Ok(read) = tokio::time::timeout(PATIENCE, reading).await else {
            return Ok(());
        };
        let stamps = self.reading.take().map(|(stamps, _)| stamps);
        let later = read.map_err(|error| failed(&std::io::Error::other(error)))??;
        self.pause = later.bytes / BYTES_A_LOOK;
        self.take(writer, later, stamps).await
    }

    async fn take(
        &mut self,
        writer: &SqlitePool,
        later: Later,
        stamps: Option<Stamps>,
    ) -> Result<(), StoreError> {
        if later.is_unreadable && !self.told().later_is_unreadable {
            tracing::error!(
                set_aside = self.salvage.set_aside,
                "what other programs have written into the damaged database since cannot all be taken over"
            );
        }
        let (is_unreadable, is_all) = (later.is_unreadable, later.is_all);
        if later.through > self.salvage.through {
            let mut connection = writer.acquire().await?;
            self.salvage = take_in(&mut connection, &self.salvage, later).await?;
        }
        self.is_unreadable = is_unreadable;
        self.seen = stamps.filter(|_| is_all).map(|stamps| {
            let before = self.seen.take().filter(|(seen, _)| *seen == stamps);
            (stamps, before.map_or(0, |(_, times)| times) + 1)
        });
        Ok(())
    }
}

async fn take_in(
    connection: &mut SqliteConnection,
    salvage: &Salvage,
    later: Later,
) -> Result<Salvage, StoreError> {
    let now = time_of(connection).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut doubtful = later.doubtful;
    let mut taken = 0;
    for rows in later.rows.chunks(ROWS) {
        let refused = insert(&mut transaction, rows).await?;
        taken += (rows.len() - refused.len()) as u64;
        doubtful.extend(refused.into_iter().map(|row| (row, Doubt::IsRefused)));
    }
    let entries: Vec<_> = doubtful
        .iter()
        .map(|(row, doubt)| doubtful::entry(row, *doubt))
        .collect();
    let quarantined = entries.len() as u64;
    if quarantined > 0 {
        quarantine::insert_with_audit(&mut transaction, entries, now).await?;
    }
    let now = Salvage {
        taken_in_later: salvage.taken_in_later + taken,
        quarantined: salvage.quarantined + quarantined,
        through: later.through,
        // What it goes past now is not looked at again.
        later_is_unreadable: salvage.later_is_unreadable || later.is_unreadable,
        ..salvage.clone()
    };
    remember(&mut transaction, &now).await?;
    transaction.commit().await?;
    if taken + quarantined > 0 {
        tracing::warn!(
            readings = taken,
            quarantined,
            "another program still writes into the damaged database; its readings were taken over"
        );
    }
    Ok(now)
}

/// Adds readings under new ids: the old ones may have been given to other readings by now. Returns those that the tables
/// do not take.
async fn insert(
    connection: &mut SqliteConnection,
    rows: &[Vec<Value>],
) -> Result<Vec<Vec<Value>>, StoreError> {
    let mut attempt = connection.begin().await?;
    if import::insert_into(&mut attempt, READINGS_TABLE, &COLUMNS, &written(rows)).await?
        == rows.len() as u64
    {
        attempt.commit().await?;
        return Ok(Vec::new());
    }
    attempt.rollback().await?;
    let mut refused = Vec::new();
    for row in rows {
        let alone = written(std::slice::from_ref(row));
        if import::insert_into(connection, READINGS_TABLE, &COLUMNS, &alone).await? == 0 {
            refused.push(row.clone());
        }
    }
    Ok(refused)
}

const READINGS_TABLE: &str = TABLES[READINGS].name;

/// What of the readings other programs write.
fn written(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let of_ours = |row: &Vec<Value>| {
        let named = TABLES[READINGS].columns.iter().zip(row);
        let written = named.filter(|(column, _)| COLUMNS.contains(&column.name));
        written.map(|(_, value)| value.clone()).collect()
    };
    rows.iter().map(of_ours).collect()
}
