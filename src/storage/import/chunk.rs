//! A piece of a queue on its way into another database, as it lay in the first one.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        batch::{Batch, IdempotencyKey},
        import::ImportAccount,
        reading::RawReading,
        reading_ids::ReadingIds,
        sync_log::SyncLogEntry,
        timestamp::Timestamp,
    },
    storage::{StoreError, errors},
};

/// A row of `meter_readings`.
pub(in crate::storage) struct MovedReading {
    pub(in crate::storage) contents: RawReading,
    pub(in crate::storage) is_synchronized: bool,
    pub(in crate::storage) retry_count: i64,
    pub(in crate::storage) created_at: Option<Timestamp>,
    /// The same as it lies there.
    pub(in crate::storage) created_at_text: Option<String>,
    pub(in crate::storage) synchronized_at: Option<Timestamp>,
}

/// A row of `quarantined_readings`, under the id that it has there; its columns in the order of the table.
pub(in crate::storage) struct MovedEntry {
    pub(in crate::storage) id: i64,
    pub(in crate::storage) columns: Vec<serde_json::Value>,
}

/// A row of `quarantine_audit`.
pub(in crate::storage) struct MovedNote {
    pub(in crate::storage) quarantine_id: i64,
    pub(in crate::storage) action: String,
    pub(in crate::storage) details: String,
    pub(in crate::storage) at: Timestamp,
}

/// A row of `ingestion_keys`.
pub(in crate::storage) struct MovedKey {
    pub(in crate::storage) key: String,
    pub(in crate::storage) readings: i64,
    pub(in crate::storage) fingerprint: String,
    pub(in crate::storage) created_at: Timestamp,
}

/// A row of `meters`.
pub(in crate::storage) struct CopiedMeter {
    pub(in crate::storage) external_id: String,
    pub(in crate::storage) name: String,
    pub(in crate::storage) bacnet_device_id: Option<i64>,
    pub(in crate::storage) bacnet_ip: Option<String>,
    pub(in crate::storage) config: Option<String>,
    pub(in crate::storage) last_reading_at: Option<Timestamp>,
    pub(in crate::storage) is_active: bool,
    pub(in crate::storage) created_at: Option<Timestamp>,
}

/// What goes into the new database in one transaction, and then leaves the old one in one.
pub(in crate::storage) enum Chunk {
    /// A batch on its way with those of its readings that are still there.
    Batch {
        batch: Batch,
        readings: Vec<MovedReading>,
    },
    /// Quarantine entries and all that was noted about them, also about those that are gone.
    Quarantine {
        /// Ascending.
        ids: Vec<i64>,
        entries: Vec<MovedEntry>,
        notes: Vec<MovedNote>,
    },
    SyncLog(Vec<SyncLogEntry>),
    IngestionKeys(Vec<MovedKey>),
    /// Readings that no batch holds.
    Readings(Vec<MovedReading>),
}

/// Which rows of the old database a chunk holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::storage) enum ChunkRows {
    /// A row of `upload_manifests`, and rows of `meter_readings`.
    Batch {
        key: IdempotencyKey,
        readings: String,
    },
    /// Rows of `quarantined_readings`, and of `quarantine_audit` by the entry that they are about.
    Quarantine(String),
    SyncLog(String),
    IngestionKeys(Vec<String>),
    Readings(String),
}

impl Chunk {
    /// What has to leave the old database once the chunk is in the new one.
    pub(in crate::storage) fn rows(&self) -> ChunkRows {
        match self {
            Self::Batch { batch, readings } => ChunkRows::Batch {
                key: batch.manifest.key.clone(),
                readings: ids(readings).encode(),
            },
            Self::Quarantine { ids, .. } => {
                ChunkRows::Quarantine(ids.iter().copied().collect::<ReadingIds>().encode())
            }
            Self::SyncLog(rows) => {
                let ids: ReadingIds = rows.iter().map(|row| row.id).collect();
                ChunkRows::SyncLog(ids.encode())
            }
            Self::IngestionKeys(keys) => {
                ChunkRows::IngestionKeys(keys.iter().map(|key| key.key.clone()).collect())
            }
            Self::Readings(readings) => ChunkRows::Readings(ids(readings).encode()),
        }
    }

    /// All readings in it that were in the queue.
    pub(in crate::storage) fn readings(&self) -> &[MovedReading] {
        match self {
            Self::Batch { readings, .. } | Self::Readings(readings) => readings,
            Self::Quarantine { .. } | Self::SyncLog(_) | Self::IngestionKeys(_) => &[],
        }
    }

    /// What it adds to the account, `set_aside` of its readings being in the new quarantine.
    pub(in crate::storage) fn account(&self, set_aside: &SetAside) -> ImportAccount {
        let count = |rows: usize| rows as u64;
        let synchronized = self
            .readings()
            .iter()
            .filter(|reading| reading.is_synchronized)
            .count();
        let mut account = ImportAccount {
            pending: count(self.readings().len() - synchronized - set_aside.pending),
            synchronized: count(synchronized - set_aside.synchronized),
            set_aside: count(set_aside.pending + set_aside.synchronized),
            ..ImportAccount::default()
        };
        match self {
            Self::Batch { .. } => account.batches = 1,
            Self::Quarantine { entries, notes, .. } => {
                account.quarantined = count(entries.len());
                account.audit = count(notes.len());
            }
            Self::SyncLog(rows) => account.sync_log = count(rows.len()),
            Self::IngestionKeys(keys) => account.ingestion_keys = count(keys.len()),
            Self::Readings(_) => {}
        }
        account
    }
}

/// How many readings of a chunk went into the new quarantine, by what they were before.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storage) struct SetAside {
    pub(in crate::storage) pending: usize,
    pub(in crate::storage) synchronized: usize,
}

/// Reads the ids in a [`ChunkRows`].
pub(in crate::storage) fn decode(ids: &str) -> Result<ReadingIds, StoreError> {
    ReadingIds::decode(ids).ok_or_else(|| errors::nonsense("imports.chunk"))
}

fn ids(readings: &[MovedReading]) -> ReadingIds {
    let ids = readings.iter().map(|reading| reading.contents.id);
    ids.collect::<ReadingIds>()
}
