//! The Sync Database in an embedded SQLite file: opening it, and what every use of it shares.

mod adoption;
mod cells;
mod claims;
mod cleanup;
mod disk;
mod facts;
mod foreign_changes;
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
mod result_codes;
mod settlement;
mod store;
mod table_definition;
mod transaction;

use std::path::{Path, PathBuf};

use sqlx::{Sqlite, SqlitePool, pool::PoolConnection};

pub(super) use self::result_codes::meaning;
use self::{foreign_changes::ForeignChanges, instance_lock::InstanceLock};
use super::{StoreError, errors};

/// A Sync Database in one SQLite file, for this process alone among the instances of this service; other
/// programs may read and write the file at any time.
///
/// All writes go through one connection, so that our own writers queue here and not in SQLite's busy loop.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    foreign_changes: ForeignChanges,
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
        make_folder(path)?;
        let lock = InstanceLock::take(path)?;
        let writer = options::writer_pool(path).await?;
        let mut connection = writer.acquire().await?;
        adoption::adopt(&mut connection).await?;
        migrations::run(&mut connection).await?;
        drop(connection);
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers: options::reader_pool(path),
            foreign_changes: ForeignChanges::new(path),
            lock,
        })
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
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
