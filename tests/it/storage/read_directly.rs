//! Rows are read past SQLite's own thread, to which that has to leave no trace.

use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use meterit_sync::domain::reading_ids::ReadingIds;

use super::site::*;

const READINGS: usize = 5_000;
/// Far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Threads that want all of the processor, so that others come to run late.
struct Crowd {
    threads: Vec<thread::JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Crowd {
    fn gather() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let stay = || {
            let is_over = is_over.clone();
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            })
        };
        let threads = (0..2 * cores).map(|_| stay()).collect();
        Self { threads, is_over }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It does nothing that fails.
            let _ = thread.join();
        }
    }
}

#[tokio::test]
async fn reading_one_by_one_on_a_busy_machine_comes_to_its_end() {
    let site = SqliteSite::new();
    let database = site.open().await;
    store(&*database, &readings(READINGS)).await;
    let crowd = Crowd::gather();
    for _ in 0..20 {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let take = move |rows: Vec<_>| {
            count.fetch_add(rows.len(), Ordering::Relaxed);
            true
        };
        let reading = database.read_ahead(0, 1, Box::new(take));
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.expect("an end").expect("rows");
        assert_eq!(seen.load(Ordering::Relaxed), READINGS);
    }
    drop(crowd);
}

#[tokio::test]
async fn rows_that_lie_far_apart_are_read_on_a_busy_machine() {
    let site = SqliteSite::new();
    let database = site.open().await;
    store(&*database, &readings(READINGS)).await;
    let apart: ReadingIds = (1..=READINGS as i64).step_by(100).collect();
    let crowd = Crowd::gather();
    for _ in 0..200 {
        let mut transaction = database.begin().await.unwrap();
        let reading = transaction.lock_rows(&apart);
        let rows = tokio::time::timeout(PATIENCE, reading).await;
        let rows = rows.expect("an end").expect("rows");
        assert_eq!(rows.len(), apart.len());
    }
    drop(crowd);
}
