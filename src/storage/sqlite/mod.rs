//! The Sync Database in an embedded SQLite file: opening it, and what every use of it shares.

mod adoption;
mod cells;
mod claims;
mod cleanup;
mod disk;
mod facts;
mod foreign_changes;
mod full_disk;
mod import;
mod ingestion;
mod instance_lock;
mod manifests;
mod meters;
mod migrations;
mod operation_log;
mod options;
mod paging;
mod plain_rows;
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

/// Steps that brought a database to the present shape.
type Steps = Vec<(i64, &'static str)>;

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
        let was_ours = InstanceLock::was_taken_before(path);
        let lock = InstanceLock::take(path)?;
        salvage::resume(path).await?;
        let (connections, steps, salvage) = match Connections::open(path).await {
            // What no service ever had open may be anything, and is left alone.
            Err(StoreError::Damaged(words)) if was_ours => {
                tracing::error!(words, "the sync database is damaged");
                salvage::replace(path).await?;
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
        store.note_closed_table().await?;
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
        salvage::replace(&self.path).await?;
        let (connections, _, salvage) = Connections::open(&self.path).await?;
        *self
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(connections);
        self.set_salvage(salvage);
        Ok(())
    }

    fn known_salvage(&self) -> Option<Salvage> {
        self.salvage
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_salvage(&self, salvage: Option<Salvage>) {
        *self.salvage.write().unwrap_or_else(PoisonError::into_inner) = salvage;
    }

    /// Takes over what other programs write into a database that was set aside, for as long as it is there.
    async fn take_in_strays(&self, salvage: &Salvage) -> Result<(), StoreError> {
        if !Path::new(&salvage.set_aside).exists() {
            self.set_salvage(None);
            return Ok(());
        }
        let mut connection = self.connections().writer.acquire().await?;
        let now = salvage::take_in(&mut connection, salvage).await?;
        self.set_salvage(Some(now));
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
    /// With the steps that it took, and the salvage that the file came from.
    async fn open(path: &Path) -> Result<(Self, Steps, Option<Salvage>), StoreError> {
        let writer = options::writer_pool(path).await?;
        let mut connection = writer.acquire().await?;
        let steps = migrations::run(&mut connection).await?;
        let salvage = salvage::remembered(&mut connection).await?;
        drop(connection);
        let connections = Self {
            writer,
            readers: options::reader_pool(path),
            foreign_changes: ForeignChanges::new(path),
        };
        Ok((connections, steps, salvage))
    }

    async fn close(&self) {
        self.foreign_changes.close().await;
        self.readers.close().await;
        // The last connection to go folds the write-ahead log into the file.
        self.writer.close().await;
    }
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
