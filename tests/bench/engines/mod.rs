//! The databases that hold a queue, as another program fills them and looks into them.

mod postgres;
mod sqlite;

use std::{future::Future, path::Path};

use crate::readings::Reading;

/// One of the engines.
#[derive(Clone, Copy, Debug)]
pub enum EngineName {
    Sqlite,
    Postgresql,
}

impl EngineName {
    /// Makes the engine ready; what it puts into files goes into the folder.
    pub fn open(self, folder: &Path) -> Box<dyn Engine> {
        match self {
            Self::Sqlite => Box::new(sqlite::Sqlite::new(folder)),
            Self::Postgresql => Box::new(postgres::Postgres::start()),
        }
    }
}

/// Makes queues, each with the tables of a deployed site that the service has not seen yet.
pub trait Engine {
    /// Name and version.
    fn name(&self) -> String;
    /// A queue without readings.
    fn empty(&mut self) -> Box<dyn Queue>;
    /// A queue with the first so many readings.
    fn filled(&mut self, readings: usize) -> Box<dyn Queue>;
}

/// A queue of its own; gone when it is dropped.
pub trait Queue: Sync {
    /// Where it is, as the service is told.
    fn address(&self) -> String;
    /// Puts readings in, as a program does that comes for that alone.
    fn insert(&self, readings: &[Reading]);
    /// The readings in it.
    fn count(&self) -> usize;
    /// CPU seconds of the server so far; none without one, or where it is on another machine.
    fn server_cpu(&self) -> Option<f64>;
    /// Makes a server do at once what it would do by itself a little later.
    fn sweep(&self);
}

/// Waits for a database.
fn wait_for<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(work)
        .unwrap_or_else(|error| panic!("the database of the benchmark: {error}"))
}
