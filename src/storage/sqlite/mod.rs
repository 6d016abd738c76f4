//! The Sync Database in an embedded SQLite file: opening it, and what every use of it shares.

mod adoption;
mod announcements;
mod cells;
mod claims;
mod cleanup;
mod connections;
mod damage;
mod disk;
mod facts;
mod following;
mod foreign_changes;
mod full_disk;
mod import;
mod ingestion;
mod inspection;
mod instance_lock;
mod log_room;
mod manifests;
mod mending;
mod meters;
mod migrations;
mod operation_log;
mod options;
mod paging;
mod pieces;
mod place;
mod plain_rows;
mod quarantine;
mod queue;
mod readings;
mod requeue;
mod reserve;
mod result_codes;
mod room;
mod salvage;
mod samples;
mod settlement;
mod store;
mod table_definition;
mod transaction;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::{ConnectOptions, Connection, Sqlite, pool::PoolConnection};

use self::{
    connections::Connections, damage::Damage, instance_lock::InstanceLock, log_room::LogRoom,
    place::Patience, reserve::ReserveFile, salvage::Strays,
};
pub(super) use self::{import::ImportSource, result_codes::meaning};
use super::{MigrationState, StoreError, SyncStore, errors};

/// A Sync Database in one SQLite file, for this process alone among the instances of this service; other
/// programs may read and write the file at any time.
///
/// All writes go through one connection, so that our own writers queue here and not in SQLite's busy loop.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    /// Exchanged as a whole when the database is; until then the reason why there are none.
    connections: RwLock<Result<Arc<Connections>, StoreError>>,
    damage: Arc<Damage>,
    /// Held while the database is being replaced.
    replacing: tokio::sync::Mutex<()>,
    /// What is at the path where the file is gone.
    patience: Patience,
    reserve: ReserveFile,
    log_room: Arc<LogRoom>,
    strays: Strays,
    lock: InstanceLock,
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
        let usable = store.mend().await;
        store.close().await;
        usable.map(|()| steps)
    }

    /// How far the database in the file `path` is from the present shape. Changes nothing, also where there is no
    /// such file.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], but never [`StoreError::InUse`].
    pub async fn migration_state(path: &Path) -> Result<MigrationState, StoreError> {
        require_file(path)?;
        mending::require_readable_log(path)?;
        let mut connection = options::reader_options(path).connect().await?;
        let state = migrations::state(&mut connection).await;
        connection.close().await?;
        state
    }

    /// Where no service looks after the database: replaces one that is damaged before anything is asked of it.
    async fn mend(&self) -> Result<(), StoreError> {
        match self.connections() {
            Err(StoreError::Damaged(_)) => self.replace_damaged_file().await,
            other => other.map(drop),
        }
    }

    /// A damaged database is open as well: whatever is asked of it is answered with the damage, until that is mended.
    async fn open_with_steps(path: &Path) -> Result<(Self, Vec<(i64, &'static str)>), StoreError> {
        make_folder(path)?;
        // What no service ever had open may be anything, and is left alone.
        let was_ours = InstanceLock::was_taken_before(path);
        let known_damage = mending::known_damage(path, was_ours);
        let lock = InstanceLock::take(path)?;
        let opened = match known_damage? {
            Some(words) => Err(StoreError::Damaged(words)),
            None => Connections::open(path).await,
        };
        let (connections, steps, salvages) = match opened {
            Ok((connections, steps, salvages)) => {
                lock.note_use();
                (Ok(Arc::new(connections)), steps, salvages)
            }
            Err(StoreError::Damaged(words)) if was_ours => {
                tracing::error!(words, "the sync database is damaged");
                (Err(StoreError::Damaged(words)), Vec::new(), Vec::new())
            }
            Err(error) => return Err(error),
        };
        let store = Self {
            path: path.to_owned(),
            connections: RwLock::new(connections),
            damage: Arc::default(),
            replacing: tokio::sync::Mutex::default(),
            patience: Patience::default(),
            reserve: ReserveFile::beside(path),
            log_room: Arc::new(LogRoom::beside(path)),
            strays: Strays::default(),
            lock,
        };
        store.strays.exchange(salvages).await;
        store.note_closed_table().await;
        Ok((store, steps))
    }

    fn connections(&self) -> Result<Arc<Connections>, StoreError> {
        self.connections
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts others in their place; returns those that were there.
    fn exchange_connections(
        &self,
        now: Result<Arc<Connections>, StoreError>,
    ) -> Result<Arc<Connections>, StoreError> {
        let mut connections = self
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut connections, now)
    }

    /// Bytes of pages that hold nothing any more.
    async fn free_bytes_within(&self) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(include_str!("queries/free_bytes_within.sql"))
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(bytes.unsigned_abs())
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.connections()?.readers.acquire().await?)
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
