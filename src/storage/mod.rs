//! The Sync Database behind one trait, whatever engine holds it.

mod errors;
mod fingerprint;
mod holding;
pub mod import;
pub mod postgres;
pub mod readable;
mod requeueing;
pub mod sqlite;
mod steps;
pub mod waiting;
pub mod workbench;

pub use self::steps::MigrationState;
pub use crate::domain::store::{
    Attendance, Fact, Flight, Ingested, Page, QuarantineActionResult, Reserve, Salvage, StoreError,
    Window,
};

use std::{collections::BTreeMap, ops::Range, slice};

use async_trait::async_trait;

use crate::domain::{
    batch::{Batch, ClaimOrder, IdempotencyKey, Manifest, ManifestState},
    census::{KnownStretch, Stretch},
    history::Sample,
    meter::{Meter, MeterChanges, MeterConfiguration},
    quarantine::{QuarantineCorrection, QuarantineFilter, QuarantineReason, QuarantinedReading},
    reading::{RawReading, Reading, ReadingId, ReadingRow},
    reading_ids::ReadingIds,
    sync_log::{SyncLogEntry, SyncStats},
    timestamp::Timestamp,
};

/// A reading to be set aside, and why.
#[derive(Clone, Debug)]
pub struct QuarantineEntry {
    /// The row in `meter_readings`.
    pub reading_id: ReadingId,
    /// Why.
    pub reason: QuarantineReason,
    /// HTTP status of the refusal.
    pub status: Option<u16>,
    /// The server's words, or what makes the row unreadable.
    pub message: String,
    /// The batch in which it was refused.
    pub key: Option<IdempotencyKey>,
}

/// Stays the same for as long as nobody but this instance commits anything. Says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignMark {
    /// Which connection tells.
    pub connection: u64,
    /// What it counts.
    pub version: i64,
}

/// By what an engine may tell that nobody has touched certain rows since they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowVersions {
    /// Nobody has touched any row for as long as the mark stays as it was then.
    AllAt(ForeignMark),
    /// The transactions that wrote them, ascending: whoever touches a row since is another one.
    WrittenBy(Vec<u32>),
}

/// A batch that the Client System has stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredBatch<'a> {
    /// Its key.
    pub key: &'a IdempotencyKey,
    /// The epoch in which it was sent.
    pub epoch: u32,
    /// Its readings.
    pub ids: &'a ReadingIds,
    /// By what can be told that they are as they were.
    pub versions: &'a RowVersions,
    /// They are marked as synchronized instead of deleted.
    pub is_kept: bool,
    /// When it was stored.
    pub now: Timestamp,
}

/// Takes rows in, and tells whether it wants more.
pub type TakeRows = Box<dyn FnMut(Vec<RawReading>) -> bool + Send>;

/// What an engine knows of the number of pending readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLength {
    /// It keeps the number itself.
    Kept(u64),
    /// They have to be counted, and again when `version` has changed: another program may have committed something
    /// since. Our own commits may change it as well.
    ToBeCounted {
        /// Says nothing but whether it is the same as before.
        version: i64,
    },
}

/// The queue's bounds, each found without a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueBounds {
    /// Highest id of all readings, pending or not.
    pub highest: Option<ReadingId>,
    /// Lowest id of a pending reading.
    pub lowest_pending: Option<ReadingId>,
    /// When the oldest pending reading came in, by what its row says; none where it says nothing.
    pub oldest_pending_at: Option<Timestamp>,
}

/// The Sync Database. Reads see what is committed; every write goes through a [`StoreTransaction`].
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// Whether other instances may serve the same queue.
    fn may_be_shared(&self) -> bool {
        true
    }
    /// Times that are closer together than so many nanoseconds are kept as one.
    fn nanoseconds_apart(&self) -> u32 {
        1
    }
    /// Tells the other instances that this one is alive, and stands for leader. Due every few seconds.
    async fn attend(&self) -> Result<Attendance, StoreError>;
    /// Waits until the database announces fresh readings, from the first poll on. Some may go unannounced where several
    /// instances share it, and none where they cannot.
    ///
    /// # Errors
    /// When it cannot announce them.
    async fn announced(&self) -> Result<(), StoreError>;
    /// How many readings are pending, as far as the engine knows.
    async fn length(&self) -> Result<QueueLength, StoreError>;
    /// A mark by which a later call can tell whether anyone else has committed since; none where the engine cannot tell.
    async fn foreign_mark(&self) -> Result<Option<ForeignMark>, StoreError> {
        Ok(None)
    }
    /// What is on its way, of all instances.
    async fn flight(&self) -> Result<Flight, StoreError>;
    /// Whether it could be written to now; changes nothing, and waits a bounded time for other programs' locks.
    async fn try_writing(&self) -> Result<(), StoreError> {
        self.begin().await.map(drop)
    }
    /// Begins a write transaction; waits a bounded time for other programs' locks.
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>, StoreError>;

    /// Where the queue begins and ends.
    async fn queue_bounds(&self) -> Result<QueueBounds, StoreError>;
    /// The lowest id of a pending reading above `after`.
    async fn next_pending(&self, after: ReadingId) -> Result<Option<ReadingId>, StoreError>;
    /// Reads pending readings with ids above `after`, ascending, as they lie there: what claims are likely to find. Hands up
    /// to `limit` at a time to `take`, on the thread that reads, for as long as that wants more and there are so many. Reads
    /// nothing where it is no better to do so now than in the claim.
    async fn read_ahead(
        &self,
        _after: ReadingId,
        _limit: usize,
        _take: TakeRows,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    /// Pending readings with ids in the stretch. Reads at most the stretch's rows.
    async fn count_pending(&self, stretch: Stretch) -> Result<u64, StoreError>;
    /// Whether a stretch holds as many pending readings as it did. May cost less than to count them.
    async fn has_pending(&self, known: KnownStretch) -> Result<bool, StoreError> {
        Ok(self.count_pending(known.stretch).await? == known.count)
    }
    /// Readings in quarantine.
    async fn quarantined_count(&self) -> Result<u64, StoreError>;
    /// This instance's manifests, oldest first, without bodies.
    async fn manifests(&self) -> Result<Vec<Manifest>, StoreError>;
    /// A manifest with its body; none once it is settled.
    async fn batch(&self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError>;
    /// A remembered fact.
    async fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError>;
    /// Local readings measured since a point in time, the latest first. Looks through a bounded number of those that came
    /// in last, which also bounds the total.
    async fn readings(
        &self,
        meter: Option<&str>,
        since: Timestamp,
        window: Window,
    ) -> Result<Page<ReadingRow>, StoreError>;
    /// Known meters by name.
    async fn meters(&self, window: Window) -> Result<Page<Meter>, StoreError>;
    /// When the newest reading of any meter was measured, uploaded or not.
    async fn last_collection(&self) -> Result<Option<Timestamp>, StoreError>;
    /// The operation log, newest first.
    async fn sync_log(&self, window: Window) -> Result<Page<SyncLogEntry>, StoreError>;
    /// Rows of the operation log that tell of a success, or of a failure; at most `limit`, newest first.
    async fn sync_log_by_outcome(
        &self,
        success: bool,
        limit: u32,
    ) -> Result<Vec<SyncLogEntry>, StoreError>;
    /// Sums over the operation log.
    async fn sync_stats(&self, since: Timestamp) -> Result<SyncStats, StoreError>;
    /// What the service looked like in these minutes since 1970, ascending; those in which it did not run are missing.
    async fn samples(&self, minutes: Range<i64>) -> Result<Vec<Sample>, StoreError>;
    /// Quarantine entries, newest first.
    async fn quarantine(
        &self,
        filter: &QuarantineFilter,
        window: Window,
    ) -> Result<Page<QuarantinedReading>, StoreError>;
    /// The bytes still free under the database; none where that cannot be known.
    async fn disk_free_bytes(&self) -> Option<u64>;
    /// Keeps room on the disk for what empties the queue, or takes it back once there is enough again.
    async fn keep_reserve(&self) -> Reserve {
        Reserve::None
    }
    /// Gives that room up to the next transaction.
    async fn give_up_reserve(&self) {}
    /// Whether that room was given up and is not back yet.
    fn reserve_is_in_use(&self) -> bool {
        false
    }
    /// Bytes of a log that programs which have been reading for long keep on the disk; none where it is not worth a word.
    fn log_kept_by_readers(&self) -> Option<u64> {
        None
    }
    /// Bytes that the disk lacks for that log to be emptied, without which nothing can be written; none where it lacks nothing.
    fn log_lacks_bytes(&self) -> Option<u64> {
        None
    }
    /// Goes after a database whose file was removed or replaced, to what is there now; tells whether it has just done so,
    /// so that nothing known of the queue holds any more. Due with every look at the queue.
    async fn follow(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
    /// Sets a database aside whose pages cannot be read, and puts a new one with everything that can in its place. Goes on
    /// where an earlier call failed.
    async fn replace_damaged(&self) -> Result<(), StoreError> {
        Err(StoreError::Failed(
            "whoever looks after the database server has to mend it".to_owned(),
        ))
    }
    /// What became of damaged databases, the newest first, for as long as they lie where they were put; first takes over
    /// what other programs have written into them since.
    async fn salvages(&self) -> Vec<Salvage> {
        Vec::new()
    }
    /// Closes all connections. What this instance holds is free for the others at once.
    async fn close(&self);
}

/// A write transaction. Dropping it without [`StoreTransaction::commit`] leaves the database as it was.
/// After an error of the engine the ways on are [`StoreTransaction::return_to_savepoint`] and dropping it;
/// where even the return fails, nothing else works any more.
#[async_trait]
pub trait StoreTransaction: Send {
    /// Marks a point to return to, so that one failing operation does not undo its neighbours.
    async fn set_savepoint(&mut self) -> Result<(), StoreError>;
    /// Undoes everything since the last savepoint.
    async fn return_to_savepoint(&mut self) -> Result<(), StoreError>;
    /// Makes everything durable: survives the loss of power from here on.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Adds readings. With a key, a repetition of the same contents adds nothing.
    async fn insert_readings(
        &mut self,
        readings: &[Reading],
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Ingested, StoreError>;
    /// Notes when meters were last measured, where that is later than what is known of them. Meters that are not known yet
    /// are passed over: a configuration brings them.
    async fn note_last_readings(
        &mut self,
        newest: &BTreeMap<String, Timestamp>,
    ) -> Result<(), StoreError>;
    /// The pending readings that no manifest of any instance holds, ascending by id, as they lie there. Other
    /// instances' claims wait until this transaction ends, so it is the first thing in one.
    async fn claimable(
        &mut self,
        order: ClaimOrder,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError>;
    /// A mark by which a later transaction can tell whether anyone else has committed since; none where the engine cannot
    /// tell.
    async fn foreign_mark(&mut self) -> Result<Option<ForeignMark>, StoreError> {
        Ok(None)
    }
    /// How many of these batches, from the first one on, could be claimed as they are: all of their readings are pending,
    /// which is not looked at where it is known, and no manifest of any instance holds one. Asked only where there is a mark.
    async fn claimable_of(
        &mut self,
        _batches: &[&ReadingIds],
        _are_pending: bool,
    ) -> Result<usize, StoreError> {
        Ok(0)
    }
    /// Writes manifests with their bodies.
    async fn insert_manifests(&mut self, batches: &[Batch]) -> Result<(), StoreError>;
    /// Writes a manifest with its body.
    async fn insert_manifest(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.insert_manifests(slice::from_ref(batch)).await
    }
    /// Makes the manifests of instances that are gone this instance's own; returns the live ones. Parts and
    /// suspects, of which nothing is stored for certain, are removed instead.
    async fn take_over(&mut self) -> Result<Vec<IdempotencyKey>, StoreError>;
    /// A manifest of this instance with its body; none once it is settled or another instance has it.
    async fn batch(&mut self, key: &IdempotencyKey) -> Result<Option<Batch>, StoreError>;
    /// Deletes those of these readings that are certainly as they were when this was noted; how many that were. Others may
    /// be as well.
    async fn delete_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
    ) -> Result<u64, StoreError>;
    /// The same for [`StoreTransaction::mark_synchronized`].
    async fn mark_as_read(
        &mut self,
        ids: &ReadingIds,
        versions: &RowVersions,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Settles a batch that is stored, all at once: its readings leave the queue, its manifest goes, the operation log tells.
    /// False, and nothing done, where its readings are not certainly as they were, and where the engine has no quicker way
    /// than step by step.
    ///
    /// # Errors
    /// As well where something has kept part of it, or it was settled before: then step by step it is.
    async fn settle_as_read(&mut self, _batch: &StoredBatch<'_>) -> Result<bool, StoreError> {
        Ok(false)
    }
    /// The rows that have these ids now, ascending, whatever they hold and whoever put them there. Nobody else changes them
    /// before this transaction ends.
    async fn lock_rows(&mut self, ids: &ReadingIds) -> Result<Vec<RawReading>, StoreError>;
    /// This instance's manifests in a state, without bodies; of one root only where given.
    async fn manifests_in(
        &mut self,
        state: ManifestState,
        root: Option<&IdempotencyKey>,
    ) -> Result<Vec<Manifest>, StoreError>;
    /// Overwrites what may change in a manifest: state, attempts, failed passes, last error and status.
    async fn update_manifest(&mut self, manifest: &Manifest) -> Result<(), StoreError>;
    /// Removes a manifest; its readings are pending again unless they are taken out as well.
    async fn remove_manifest(&mut self, key: &IdempotencyKey) -> Result<(), StoreError>;
    /// Removes a manifest of this instance and hands it over with its body; none, and nothing removed, once it is settled or
    /// has changed hands since this epoch.
    async fn take_batch(
        &mut self,
        key: &IdempotencyKey,
        epoch: u32,
    ) -> Result<Option<Batch>, StoreError>;
    /// Deletes readings: whatever has these ids, as with all that acts by a set of ids.
    async fn delete_readings(&mut self, ids: &ReadingIds) -> Result<(), StoreError>;
    /// Marks readings as synchronized.
    async fn mark_synchronized(
        &mut self,
        ids: &ReadingIds,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Adds one to the retry count of readings.
    async fn increment_retry_count(&mut self, ids: &ReadingIds) -> Result<(), StoreError>;
    /// Moves readings to quarantine and returns which. Ids that no longer exist are passed over, and so are rows that are not
    /// unreadable any more, or that somebody is about to change, where being unreadable was the reason.
    async fn quarantine(
        &mut self,
        entries: &[QuarantineEntry],
        now: Timestamp,
    ) -> Result<ReadingIds, StoreError>;
    /// Adds a row to the operation log.
    async fn append_sync_log(
        &mut self,
        batch_size: usize,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Adds what the service looked like in a minute, and forgets what is too old.
    async fn record_sample(&mut self, sample: &Sample) -> Result<(), StoreError>;
    /// Takes a configuration's meters over; deactivates those that it does not name, unless it names none.
    async fn upsert_meters(
        &mut self,
        meters: &[MeterConfiguration],
        now: Timestamp,
    ) -> Result<MeterChanges, StoreError>;
    /// Remembers a fact, or forgets it.
    async fn remember(&mut self, fact: Fact, value: Option<&str>) -> Result<(), StoreError>;
    /// Adds to a fact that is a number, whoever else does.
    async fn add_to_fact(&mut self, fact: Fact, amount: u64) -> Result<(), StoreError>;
    /// Returns quarantined readings to the queue under new ids and writes audit rows.
    async fn requeue(
        &mut self,
        filter: &QuarantineFilter,
        accept_double: bool,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError>;
    /// Changes fields of a quarantined reading and writes an audit row; false where there is none.
    async fn correct(
        &mut self,
        id: i64,
        correction: &QuarantineCorrection,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Removes quarantined readings for good and writes audit rows.
    async fn discard(
        &mut self,
        filter: &QuarantineFilter,
        now: Timestamp,
    ) -> Result<QuarantineActionResult, StoreError>;
    /// Deletes up to `limit` synchronized readings older than `before`; returns how many.
    async fn delete_synchronized_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// Deletes up to `limit` operation log rows older than `before`; returns how many.
    async fn delete_sync_log_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// Deletes up to `limit` remembered ingestion keys older than `before`; returns how many.
    async fn delete_ingestion_keys_before(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
