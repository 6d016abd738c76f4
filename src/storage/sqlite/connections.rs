//! All connections to the file, made and let go together.

use std::{path::Path, sync::Arc};

use sqlx::SqlitePool;

use super::{foreign_changes::ForeignChanges, migrations, options, place::Place, salvage};
use crate::storage::{Salvage, StoreError};

/// Steps that brought a database to the present shape.
type Steps = Vec<(i64, &'static str)>;

/// All connections to the file.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    pub(super) foreign_changes: ForeignChanges,
    pub(super) place: Arc<Place>,
}

impl Connections {
    /// With the steps that it took, and the salvages that the file came from.
    pub(super) async fn open(path: &Path) -> Result<(Self, Steps, Vec<Salvage>), StoreError> {
        let writer = options::writer_pool(path).await?;
        let (steps, salvages) = match prepare(&writer).await {
            Ok(prepared) => prepared,
            Err(error) => {
                // Whoever replaces the file must not meet a connection to it that is about to go.
                writer.close().await;
                return Err(error);
            }
        };
        let connections = Self {
            writer,
            readers: options::reader_pool(path),
            foreign_changes: ForeignChanges::new(path),
            place: Arc::new(Place::of(path)),
        };
        Ok((connections, steps, salvages))
    }

    /// Waits for those that are in use.
    pub(super) async fn close(&self) {
        self.foreign_changes.close().await;
        self.readers.close().await;
        // The last connection to go folds the write-ahead log into the file.
        self.writer.close().await;
    }
}

async fn prepare(writer: &SqlitePool) -> Result<(Steps, Vec<Salvage>), StoreError> {
    let mut connection = writer.acquire().await?;
    let steps = migrations::run(&mut connection).await?;
    let salvages = salvage::remembered(&mut connection).await?;
    Ok((steps, salvages))
}
