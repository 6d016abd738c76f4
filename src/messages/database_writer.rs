//! What may be said to the database writer: every change of the Sync Database. An answer comes only after
//! the change is durable. A change whose asker no longer waits is not begun.

use actix::Message;
use tracing::Span;

use crate::domain::{
    batch::{Batch, ClaimOrder, IdempotencyKey, Settlement},
    meter::{MeterChanges, MeterConfiguration},
    quarantine::{QuarantineCorrection, QuarantineFilter},
    reading::Reading,
    status::QueueStatus,
    store::{Attendance, Fact, Ingested, QuarantineActionResult, Salvage, StoreError},
    timestamp::Timestamp,
};

/// Store readings, all or none.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Ingested, StoreError>")]
pub struct InsertReadings {
    /// The readings.
    pub readings: Vec<Reading>,
    /// Makes a repetition harmless.
    pub key: Option<String>,
    /// The request that this belongs to.
    pub span: Span,
}

/// Claim pending readings as batches: their manifests are durable when the answer comes.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Claimed, StoreError>")]
pub struct ClaimBatches {
    /// Which readings.
    pub order: ClaimOrder,
    /// How many readings in a batch at most.
    pub limit: usize,
    /// How many batches at most, at least one; fewer come where no more are at hand.
    pub most: usize,
}

/// What a claim brought.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The batches, the oldest first; none when no such reading is pending, or when all that was looked at cannot be read: then
    /// there may be more behind it.
    pub batches: Vec<Batch>,
    /// Rows that cannot be serialised and went to quarantine on the way.
    pub unreadable: u64,
}

/// Take over what instances that are gone have left behind; answers with the live batches among it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<IdempotencyKey>, StoreError>")]
pub struct TakeOver;

/// Note durably that a batch is about to be sent (again); answers with the batch, or none once it is settled.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Batch>, StoreError>")]
pub struct BeginAttempt {
    /// Which batch.
    pub key: IdempotencyKey,
}

/// Carry out what an outcome means for a batch. Settling what is settled already changes nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Settled, StoreError>")]
pub struct SettleBatch {
    /// Which batch.
    pub key: IdempotencyKey,
    /// The epoch in which it was sent; the outcome of an earlier one changes nothing.
    pub epoch: u32,
    /// How many readings it has.
    pub readings: usize,
    /// What its outcome means.
    pub settlement: Settlement,
}

/// What settling did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Readings that are stored and left the queue.
    pub delivered: u64,
    /// Readings that went to quarantine.
    pub quarantined: u64,
    /// The parts that took the batch's place, in order.
    pub parts: Vec<IdempotencyKey>,
    /// Single readings kept aside.
    pub suspects: u64,
}

/// Decide about readings that were kept aside as suspects.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Settled, StoreError>")]
pub enum JudgeSuspects {
    /// The Client System takes others: those of this batch, or of all, are bad and go to quarantine.
    Condemn(Option<IdempotencyKey>),
    /// The Client System takes nothing: suspects and unsent parts are pending again.
    Release {
        /// Batches whose suspects stay suspects.
        except: Vec<IdempotencyKey>,
    },
}

/// Remember a fact, or forget it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct Remember {
    /// Which fact.
    pub fact: Fact,
    /// Its value.
    pub value: Option<String>,
}

/// Take a configuration's meters over.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<MeterChanges, StoreError>")]
pub struct ApplyMeters {
    /// All meters of the site.
    pub meters: Vec<MeterConfiguration>,
}

/// Return quarantined readings to the queue.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<QuarantineActionResult, StoreError>")]
pub struct RequeueQuarantined {
    /// Which.
    pub filter: QuarantineFilter,
    /// Whether those that may be stored already are meant as well.
    pub accept_double: bool,
}

/// Change fields of a quarantined reading; answers whether there is one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, StoreError>")]
pub struct CorrectQuarantined {
    /// Which entry.
    pub id: i64,
    /// The new contents.
    pub correction: QuarantineCorrection,
}

/// Remove quarantined readings for good.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<QuarantineActionResult, StoreError>")]
pub struct DiscardQuarantined {
    /// Which.
    pub filter: QuarantineFilter,
}

/// Write down for the history what there is to tell of the minute that has begun: it is the process's last.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct WriteLastMinute;

/// What the database writer publishes.
#[derive(Clone, Debug, Default)]
pub struct DatabaseSnapshot {
    /// This instance among those that share the Sync Database; none before the database was asked.
    pub attendance: Option<Attendance>,
    /// The queue.
    pub queue: QueueStatus,
    /// Whether the queue has been counted since the start.
    pub counted: bool,
    /// Since when the database cannot be used, and why.
    pub failing_since: Option<(String, Timestamp)>,
    /// What that was; none where it can be used.
    pub failure: Option<StoreError>,
    /// When a lock, or a silence, was last seen to be over that had been in the way.
    pub unlocked_at: Option<Timestamp>,
    /// Whether it fails because pages cannot be read, so that a new one is made of what can.
    pub is_damaged: bool,
    /// What became of damaged databases, the newest first, while they are kept.
    pub salvages: Vec<Salvage>,
    /// When another file was found in the place of the database's, and opened.
    pub replaced_at: Option<Timestamp>,
    /// When the newest reading was measured.
    pub last_collection: Option<Timestamp>,
    /// Transactions committed.
    pub commits: u64,
}

impl DatabaseSnapshot {
    /// It can be used, whatever was the matter with it before.
    pub fn note_usable(&mut self, now: Timestamp) {
        let failure = self.failure.take();
        if matches!(failure, Some(StoreError::Busy(_) | StoreError::Silent)) {
            self.unlocked_at = Some(now);
        }
        self.failing_since = None;
        self.is_damaged = false;
    }

    /// Whether what one instance does for all is this one's to do. Where nobody can say, everyone does it: the
    /// Client System had better hear of a site twice than not at all.
    pub fn leads(&self) -> bool {
        self.attendance.is_none_or(|attendance| attendance.leads)
    }
}
