//! The Sync Database in an embedded SQLite file: opening it, and what every use of it shares.

mod adoption;
mod cells;
mod claims;
mod cleanup;
mod disk;
mod facts;
mod foreign_changes;
mod import;
mod ingestion;
mod instance_lock;
mod manifests;
mod meters;
mod migrations;
mod operation_log;
mod options;
mod paging;
mod quarantine;
mod queue;
mod readings;
mod requeue;
mod reserve;
mod result_codes;
mod salvage;
mod settlement;
mod store;
mod table_definition;
mod transaction;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool, pool::PoolConnection};

use self::{foreign_changes::ForeignChanges, instance_lock::InstanceLock, reserve::ReserveFile};
pub(super) use self::{import::ImportSource, result_codes::meaning};
use super::{MigrationState, Salvage, StoreError, SyncStore, errors};
use crate::{clock::Clock, domain::timestamp::Timestamp};

/// A Sync Database in one SQLite file, for this process alone among the instances of this service; other
/// programs may read and write the file at any time.
///
/// All writes go through one connection, so that our own writers queue here and not in SQLite's busy loop.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    /// Exchanged as a whole when a damaged database is replaced.
    connections: RwLock<Arc<Connections>>,
    reserve: ReserveFile,
    salvage: RwLock<Option<Salvage>>,
    lock: InstanceLock,
}

/// All connections to the file.
#[derive(Debug)]
struct Connections {
    writer: SqlitePool,
    readers: SqlitePool,
    foreign_changes: ForeignChanges,
}

impl SqliteStore {
    /// Opens the database in the file `path`; makes folder, file and tables where they are missing, and takes
    /// over the tables of a deployed site. Blocks briefly on the file system.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another instance has it, [`StoreError::Unsuitable`] where its tables cannot
    /// be taken over, [`StoreError::Busy`] and [`StoreError::Failed`] where trying again later may help.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::open_with_steps(path).await?.0)
    }

    /// Brings the database in the file `path` to the present shape; tells which steps it took.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn migrate(path: &Path) -> Result<Vec<(i64, &'static str)>, StoreError> {
        let (store, steps) = Self::open_with_steps(path).await?;
        store.close().await;
        Ok(steps)
    }

    /// How far the database in the file `path` is from the present shape. Changes nothing, also where there is no
    /// such file.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], but never [`StoreError::InUse`].
    pub async fn migration_state(path: &Path) -> Result<MigrationState, StoreError> {
        require_file(path)?;
        let mut connection = options::reader_options(path).connect().await?;
        let state = migrations::state(&mut connection).await;
        connection.close().await?;
        state
    }

    async fn open_with_steps(path: &Path) -> Result<(Self, Vec<(i64, &'static str)>), StoreError> {
        make_folder(path)?;
        let lock = InstanceLock::take(path)?;
        let mut salvage = salvage::resume(path, now()).await?;
        let (connections, steps) = match Connections::open(path).await {
            Err(StoreError::Damaged(words)) => {
                tracing::error!(words, "the sync database is damaged");
                salvage = Some(salvage::replace(path, now()).await?);
                Connections::open(path).await?
            }
            opened => opened?,
        };
        let store = Self {
            path: path.to_owned(),
            connections: RwLock::new(Arc::new(connections)),
            reserve: ReserveFile::beside(path),
            salvage: RwLock::new(salvage),
            lock,
        };
        Ok((store, steps))
    }

    fn connections(&self) -> Arc<Connections> {
        self.connections
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whoever has a connection loses it; whoever asks for one meanwhile is told that there is none.
    async fn replace_damaged_file(&self) -> Result<(), StoreError> {
        self.connections().close().await;
        let salvage = salvage::replace(&self.path, now()).await?;
        let (connections, _) = Connections::open(&self.path).await?;
        *self
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(connections);
        *self.salvage.write().unwrap_or_else(PoisonError::into_inner) = Some(salvage);
        Ok(())
    }

    /// Bytes of pages that hold nothing any more.
    async fn free_bytes_within(&self) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(include_str!("queries/free_bytes_within.sql"))
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(bytes.unsigned_abs())
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.connections().readers.acquire().await?)
    }
}

impl Connections {
    async fn open(path: &Path) -> Result<(Self, Vec<(i64, &'static str)>), StoreError> {
        let writer = options::writer_pool(path).await?;
        let mut connection = writer.acquire().await?;
        let steps = migrations::run(&mut connection).await?;
        drop(connection);
        let connections = Self {
            writer,
            readers: options::reader_pool(path),
            foreign_changes: ForeignChanges::new(path),
        };
        Ok((connections, steps))
    }

    async fn close(&self) {
        self.foreign_changes.close().await;
        self.readers.close().await;
        // The last connection to go folds the write-ahead log into the file.
        self.writer.close().await;
    }
}

fn now() -> Timestamp {
    Clock::system().now().into()
}

/// Fails where there is no such file.
fn require_file(file: &Path) -> Result<(), StoreError> {
    let refused = |error: &io::Error| {
        errors::from_file_system(&format!("the file {} is not there", file.display()), error)
    };
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(refused(&io::ErrorKind::IsADirectory.into())),
        Err(error) => Err(refused(&error)),
    }
}

fn make_folder(file: &Path) -> Result<(), StoreError> {
    let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        errors::from_file_system(
            &format!("the folder {} cannot be made", folder.display()),
            &error,
        )
    })
}
