//! A control whose parts are scripted, for tests of this room and of HTTP.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, ActorContext, Context, Handler, Message, MessageResult, Recipient};
use async_trait::async_trait;
use chrono::DateTime;

use super::{Control, Parts, Patience};
use crate::{
    clock::Clock,
    domain::{
        batch::{Batch, IdempotencyKey, Manifest},
        census::Stretch,
        history::Sample,
        meter::Meter,
        quarantine::{QuarantineFilter, QuarantineReason, QuarantinedReading},
        reading::{ReadingId, ReadingRow},
        store::{Fact, Page, StoreError, Window},
        sync_log::{SyncLogEntry, SyncStats},
        timestamp::Timestamp,
    },
    messages::{database_writer::DatabaseSnapshot, sync_manager::SyncManagerSnapshot},
    storage::{Attendance, Flight, QueueBounds, QueueLength, StoreTransaction, SyncStore},
    supervision::{board::Board, published::Published},
};

/// Answers every message by a function, once it is started.
struct Scripted<M: Message>(Box<dyn FnMut(M) -> M::Result>);

impl<M: Message + 'static> Actor for Scripted<M> {
    type Context = Context<Self>;
}

impl<M: Message + 'static> Handler<M> for Scripted<M> {
    type Result = MessageResult<M>;

    fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
        MessageResult((self.0)(message))
    }
}

/// An actor that answers.
pub(crate) fn answering<M>(answer: impl FnMut(M) -> M::Result + 'static) -> Recipient<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    Scripted(Box::new(answer)).start().recipient()
}

/// An actor that is gone.
pub(crate) fn gone<M>() -> Recipient<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    struct Gone;
    impl Actor for Gone {
        type Context = Context<Self>;
        fn started(&mut self, context: &mut Self::Context) {
            context.terminate();
        }
    }
    impl<M: Message + 'static> Handler<M> for Gone {
        type Result = MessageResult<M>;
        fn handle(&mut self, _: M, _: &mut Self::Context) -> Self::Result {
            unreachable!("it ended when it started")
        }
    }
    Gone.start().recipient()
}

/// An actor that takes messages and never answers.
pub(crate) fn silent<M>() -> Recipient<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    struct Silent;
    impl Actor for Silent {
        type Context = Context<Self>;
    }
    impl<M> Handler<M> for Silent
    where
        M: Message + Send + 'static,
        M::Result: Send,
    {
        type Result = actix::ResponseFuture<M::Result>;
        fn handle(&mut self, _: M, _: &mut Self::Context) -> Self::Result {
            Box::pin(std::future::pending())
        }
    }
    Silent.start().recipient()
}

/// Parts in order, at the beginning of time, whose actors are all gone: a test scripts those that it asks.
pub(crate) fn parts() -> Parts {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    Parts {
        start_sync: gone(),
        stop_sync: gone(),
        trigger_sync: gone(),
        trigger_sync_and_wait: gone(),
        force_check: gone(),
        send_heartbeat: gone(),
        download_now: gone(),
        insert_readings: gone(),
        requeue_quarantined: gone(),
        correct_quarantined: gone(),
        discard_quarantined: gone(),
        sync_status: Published::default(),
        sync_manager: Published::new(SyncManagerSnapshot {
            running: true,
            interval_minutes: 5,
            ..SyncManagerSnapshot::default()
        }),
        connectivity: Published::default(),
        api_client: Published::default(),
        database: Published::new(DatabaseSnapshot {
            counted: true,
            ..DatabaseSnapshot::default()
        }),
        heartbeat: Published::default(),
        config: Published::default(),
        board: Board::new(clock.clone(), Arc::new(|_, _| {})),
        settings: Published::default(),
        certificate_expires: Published::default(),
        events: crate::messages::events::EventBus::default(),
        store: Arc::new(FakeStore::default()),
        started_at: Timestamp(clock.now()),
        clock,
        automatic: true,
        patience: Patience {
            short: Duration::from_millis(50),
            database: Duration::from_millis(50),
            call: Duration::from_millis(50),
            pass: Duration::from_millis(50),
        },
    }
}

/// A control over [`parts`] that a test has changed.
pub(crate) fn control(change: impl FnOnce(&mut Parts)) -> Control {
    let mut parts = parts();
    change(&mut parts);
    Control::new(parts)
}

/// An entry of the quarantine.
pub(crate) fn quarantined(id: i64) -> QuarantinedReading {
    QuarantinedReading {
        id,
        reading_id: 17,
        meter_external_id: Some("M-1".into()),
        timestamp: Some("2026-01-01T00:00:00.000Z".into()),
        data_point: Some("power".into()),
        value: Some("1.5".into()),
        unit: None,
        reason: QuarantineReason::Refused,
        status: Some(400),
        message: "unknown meter".into(),
        idempotency_key: None,
        quarantined_at: Timestamp(DateTime::UNIX_EPOCH),
    }
}

/// A Sync Database that holds what a test puts in and remembers what it was asked for.
#[derive(Default)]
pub(crate) struct FakeStore {
    /// What is in quarantine.
    pub(crate) quarantined: Vec<QuarantinedReading>,
    /// The meters.
    pub(crate) meters: Vec<Meter>,
    /// The readings.
    pub(crate) readings: Vec<ReadingRow>,
    /// The operation log.
    pub(crate) log: Vec<SyncLogEntry>,
    /// Fails all reads.
    pub(crate) failure: Option<StoreError>,
    /// What was asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl FakeStore {
    fn note(&self, question: String) -> Result<(), StoreError> {
        self.asked.lock().unwrap().push(question);
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn page<T: Clone>(&self, question: String, items: &[T]) -> Result<Page<T>, StoreError> {
        self.note(question)?;
        Ok(Page {
            total: i64::try_from(items.len()).unwrap(),
            items: items.to_vec(),
        })
    }
}

fn never() -> StoreError {
    StoreError::Failed("the control must not ask for this".into())
}

#[async_trait]
impl SyncStore for FakeStore {
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError> {
        Err(never())
    }
    async fn attend(&self) -> Result<Attendance, StoreError> {
        Ok(Attendance {
            leads: true,
            instances: 1,
        })
    }

    async fn announced(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn length(&self) -> Result<QueueLength, StoreError> {
        Err(never())
    }

    async fn flight(&self) -> Result<Flight, StoreError> {
        Ok(Flight::default())
    }

    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError> {
        Err(never())
    }
    async fn next_pending(&self, _: ReadingId) -> Result<Option<ReadingId>, StoreError> {
        Ok(None)
    }

    async fn count_pending(&self, _: Stretch) -> Result<u64, StoreError> {
        Err(never())
    }
    async fn quarantined_count(&self) -> Result<u64, StoreError> {
        Err(never())
    }
    async fn manifests(&self) -> Result<Vec<Manifest>, StoreError> {
        Err(never())
    }
    async fn batch(&self, _: &IdempotencyKey) -> Result<Option<Batch>, StoreError> {
        Err(never())
    }
    async fn fact(&self, _: Fact) -> Result<Option<String>, StoreError> {
        Err(never())
    }
    async fn readings(
        &self,
        meter: Option<&str>,
        since: Timestamp,
        window: Window,
    ) -> Result<Page<ReadingRow>, StoreError> {
        let question = format!("readings {meter:?} {since} {window:?}");
        self.page(question, &self.readings)
    }
    async fn meters(&self, window: Window) -> Result<Page<Meter>, StoreError> {
        self.page(format!("meters {window:?}"), &self.meters)
    }
    async fn last_collection(&self) -> Result<Option<Timestamp>, StoreError> {
        Err(never())
    }
    async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, StoreError> {
        self.page(format!("log {window:?}"), &self.log)
    }
    async fn sync_log_by_outcome(
        &self,
        success: bool,
        limit: u32,
    ) -> Result<Vec<SyncLogEntry>, StoreError> {
        self.note(format!("log of success {success}, {limit}"))?;
        let wanted = self.log.iter().filter(|entry| entry.success == success);
        Ok(wanted.take(limit as usize).cloned().collect())
    }
    async fn samples(&self, _: std::ops::Range<i64>) -> Result<Vec<Sample>, StoreError> {
        Ok(Vec::new())
    }

    async fn sync_stats(&self, since: Timestamp) -> Result<SyncStats, StoreError> {
        self.note(format!("stats {since}"))?;
        Ok(SyncStats::new(2, 1, 2_000))
    }
    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError> {
        let items: Vec<_> = self
            .quarantined
            .iter()
            .filter(|entry| filter.id.is_none_or(|id| id == entry.id))
            .cloned()
            .collect();
        self.page(format!("quarantine {filter:?} {window:?}"), &items)
    }
    async fn disk_free_bytes(&self) -> Option<u64> {
        None
    }
    async fn close(&self) {}
}
