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
    accounts, doubtful, failed, import,
    known::{READINGS, TABLES},
    later::Later,
    pages::Value,
    plan::Doubt,
    set_aside::{self, Stamps},
    time_of,
};
use crate::{
    domain::{store::Salvage, timestamp::Timestamp},
    storage::StoreError,
};

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

/// Follows what is written into damaged databases after they were set aside, the newest first.
#[derive(Debug, Default)]
pub(in super::super) struct Strays(Mutex<Vec<Followed>>);

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

/// What a look brought.
enum Look {
    /// There is nothing that was not seen before.
    Nothing,
    /// It is still being read.
    GoesOn,
    /// This, from files that looked like that before.
    Found(Stamps, Later),
}

impl Strays {
    /// Follows these from now on, the newest first.
    pub(in super::super) async fn exchange(&self, salvages: Vec<Salvage>) {
        *self.0.lock().await = salvages.into_iter().map(Followed::new).collect();
    }

    /// All that are followed, as they are remembered.
    pub(in super::super) async fn known(&self) -> Vec<Salvage> {
        known(&self.0.lock().await)
    }

    /// Takes over what came since the last call, in so far as it can be told soon. Returns the salvages as they stand now;
    /// those whose damaged databases are there no more are forgotten.
    pub(in super::super) async fn follow(&self, writer: Option<&SqlitePool>) -> Vec<Salvage> {
        let mut all = self.0.lock().await;
        all.retain(|followed| Path::new(&followed.salvage.set_aside).exists());
        if let Some(writer) = writer {
            look_at(&mut all, writer).await;
        }
        all.iter().map(Followed::told).collect()
    }
}

/// One is read at a time: what takes long is waited for before the next one is begun.
async fn look_at(all: &mut [Followed], writer: &SqlitePool) {
    for index in 0..all.len() {
        let looked = match all.get_mut(index) {
            Some(followed) => followed.look().await,
            None => break,
        };
        let taken = match looked {
            Ok(Look::Nothing) => Ok(()),
            Ok(Look::GoesOn) => break,
            Ok(Look::Found(stamps, later)) => take(all, index, writer, stamps, later).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::debug!(%error, "a damaged database cannot be looked at now");
        }
    }
}

fn known(all: &[Followed]) -> Vec<Salvage> {
    all.iter().map(|one| one.salvage.clone()).collect()
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

    async fn look(&mut self) -> Result<Look, StoreError> {
        let database = PathBuf::from(&self.salvage.set_aside);
        let (stamps, mut reading) = match self.reading.take() {
            Some(begun) => begun,
            None => {
                let now = set_aside::stamps(&database, &set_aside::log_of(&database));
                let is_known = matches!(&self.seen, Some((seen, LOOKS_AT_SAME..)) if *seen == now);
                if is_known {
                    return Ok(Look::Nothing);
                }
                if self.pause > 0 {
                    self.pause -= 1;
                    return Ok(Look::Nothing);
                }
                (
                    now,
                    tokio::spawn(Later::read(database, self.salvage.through)),
                )
            }
        };
        let Ok(read) = tokio::time::timeout(PATIENCE, &mut reading).await else {
            self.reading = Some((stamps, reading));
            return Ok(Look::GoesOn);
        };
        let later = read.map_err(|error| failed(&std::io::Error::other(error)))??;
        self.pause = later.bytes / BYTES_A_LOOK;
        Ok(Look::Found(stamps, later))
    }

    fn note(&mut self, stamps: Stamps, is_unreadable: bool, is_all: bool) {
        if is_unreadable && !self.told().later_is_unreadable {
            tracing::error!(
                set_aside = self.salvage.set_aside,
                "what other programs have written into a damaged database since cannot all be taken over"
            );
        }
        self.is_unreadable = is_unreadable;
        let before = self.seen.take().filter(|(seen, _)| *seen == stamps);
        self.seen = is_all.then(|| (stamps, before.map_or(0, |(_, times)| times) + 1));
    }
}

async fn take(
    all: &mut [Followed],
    index: usize,
    writer: &SqlitePool,
    stamps: Stamps,
    later: Later,
) -> Result<(), StoreError> {
    let mut salvages = known(all);
    let (Some(followed), Some(salvage)) = (all.get_mut(index), salvages.get_mut(index)) else {
        return Ok(());
    };
    let (is_unreadable, is_all) = (later.is_unreadable, later.is_all);
    if later.through > salvage.through {
        let mut connection = writer.acquire().await?;
        let now = time_of(&mut connection).await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        *salvage = take_in(&mut transaction, salvage, later, now).await?;
        let as_it_stands = salvage.clone();
        accounts::remember(&mut transaction, &salvages).await?;
        transaction.commit().await?;
        followed.salvage = as_it_stands;
    }
    followed.note(stamps, is_unreadable, is_all);
    Ok(())
}

async fn take_in(
    connection: &mut SqliteConnection,
    salvage: &Salvage,
    later: Later,
    now: Timestamp,
) -> Result<Salvage, StoreError> {
    let mut doubtful = later.doubtful;
    let mut taken = 0;
    for rows in later.rows.chunks(ROWS) {
        let refused = insert(connection, rows).await?;
        taken += (rows.len() - refused.len()) as u64;
        doubtful.extend(refused.into_iter().map(|row| (row, Doubt::IsRefused)));
    }
    let entries: Vec<_> = doubtful
        .iter()
        .map(|(row, doubt)| doubtful::entry(row, *doubt))
        .collect();
    let quarantined = entries.len() as u64;
    if quarantined > 0 {
        quarantine::insert_with_audit(connection, entries, now).await?;
    }
    if taken + quarantined > 0 {
        tracing::warn!(
            set_aside = salvage.set_aside,
            readings = taken,
            quarantined,
            "another program still writes into a damaged database; its readings are taken over"
        );
    }
    Ok(Salvage {
        taken_in_later: salvage.taken_in_later + taken,
        quarantined: salvage.quarantined + quarantined,
        through: later.through,
        // What it goes past now is not looked at again.
        later_is_unreadable: salvage.later_is_unreadable || later.is_unreadable,
        ..salvage.clone()
    })
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
