//! Every write to the Sync Database, in the order in which it was asked for, grouped into few commits. An
//! answer is given only after the commit is durable.

mod ahead;
mod as_read;
mod attendance;
mod census_taker;
mod claim;
mod cleaner;
mod drain_rate;
mod failing;
mod group;
mod historian;
mod last_readings;
mod mending;
mod operations;
mod queue_count;
mod settle;
mod waiting_since;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, Context, Handler, Message, Recipient, Supervised,
    dev::{MessageResponse, OneshotSender},
};
use tokio::sync::Notify;

pub use self::{ahead::Ahead, as_read::AsRead, historian::Written, last_readings::LastReadings};
use self::{
    attendance::attend_forever,
    census_taker::CensusTaker,
    cleaner::Cleaner,
    group::{Changes, Pending, Work, commit_group},
    historian::Historian,
    mending::Mending,
    operations::WriteOperation,
};
use super::{STANDSTILL_MARGIN, when_done};
use crate::{
    clock::Clock,
    domain::{
        compression::Compression, connectivity::ConnectivityStatus, schedule::SiteSeed,
        status::SyncStatus, store::StoreError,
    },
    messages::{
        api_client::{ApiClientSnapshot, HoldUntil},
        database_writer::DatabaseSnapshot,
        events::EventBus,
        sync_manager::FreshReadings,
    },
    settings::SyncSettings,
    storage::SyncStore,
    supervision::{
        failure_points::FailurePoints, progress::Progress, published::Published,
        supervisor::SupervisedActor,
    },
    telemetry::metrics::Metrics,
};

/// What the database writer is built from.
#[derive(Clone)]
pub struct DatabaseWriterParts {
    /// What becomes of readings that are stored, and how long rows are kept.
    pub settings: SyncSettings,
    /// Spreads sites over the day.
    pub seed: SiteSeed,
    /// The time.
    pub clock: Clock,
    /// The Sync Database.
    pub store: Arc<dyn SyncStore>,
    /// The batches that are likely to be claimed next; none at first.
    pub ahead: Rc<Ahead>,
    /// The rows of the batches on their way, as they were when they were claimed; none at first.
    pub as_read: Rc<AsRead>,
    /// When meters were last measured; nothing at first.
    pub last_readings: Rc<LastReadings>,
    /// What the history tells already; nothing at first.
    pub history: Rc<Written>,
    /// Who wants to know that readings came in.
    pub fresh_readings: Recipient<FreshReadings>,
    /// Who keeps to pauses that the Client System asked other instances for.
    pub hold: Recipient<HoldUntil>,
    /// What the Client System has let know about itself.
    pub api_snapshot: Published<ApiClientSnapshot>,
    /// Whether the Client System is reachable.
    pub connectivity: Published<ConnectivityStatus>,
    /// What has happened lately.
    pub events: EventBus,
    /// Where the snapshot is published.
    pub published: Published<DatabaseSnapshot>,
    /// Where the totals since the start of the process are kept: they count when a commit does.
    pub totals: Published<SyncStatus>,
    /// Where what the database takes its time for is counted.
    pub metrics: Metrics,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

impl DatabaseWriterParts {
    /// How to compress bodies now.
    fn compression(&self) -> Compression {
        let takes_zstd = self.api_snapshot.read(|snapshot| snapshot.takes_zstd);
        self.settings.upload_compression.for_keeping(takes_zstd)
    }
}

/// The database writer.
pub struct DatabaseWriter {
    parts: DatabaseWriterParts,
    desk: Rc<Desk>,
}

/// Work that waits to be written.
#[derive(Default)]
struct Desk {
    waiting: RefCell<VecDeque<Box<dyn Pending>>>,
    arrived: Notify,
    /// The database announced fresh readings.
    announced: Notify,
    /// A look found the same as the one before it.
    at_rest: Notify,
    /// Since when the database tells of every change, while it does.
    told_since: Cell<Option<Duration>>,
}

impl DatabaseWriter {
    /// Messages that wait here at the most; more are refused as busy.
    const LARGEST_QUEUE: usize = 1_000;

    /// A writer that has not written yet.
    pub fn new(parts: DatabaseWriterParts) -> Self {
        Self {
            parts,
            desk: Rc::default(),
        }
    }

    fn work(&self, context: &mut Context<Self>) {
        let (parts, desk) = (self.parts.clone(), self.desk.clone());
        let attending = attend_forever(parts.clone(), desk.clone());
        when_done(attending, context, |(), _, _| {});
        when_done(write_forever(parts, desk), context, |(), _, _| {});
    }
}

/// The one loop that touches the database, so that groups, counts and clean-ups never interleave.
async fn write_forever(parts: DatabaseWriterParts, desk: Rc<Desk>) {
    let mut census = CensusTaker::new(parts.clone());
    let mut cleaner = Cleaner::new(&parts);
    let mut historian = Historian::new(&parts);
    let mut mending = Mending::new(&parts);
    // A lock is held in real time, even where a test holds time still.
    let lock_clock = Clock::system();
    let in_hand = |what| parts.progress.begin(what, LONGEST_STEP);
    loop {
        while let Some(group) = take_group(&parts, &desk) {
            let _in_hand = in_hand("a change of the Sync Database");
            let begun = lock_clock.elapsed();
            let changes = parts
                .told_if_silent(async {
                    let points = &parts.failure_points;
                    points.hang_if_armed("database_writer.group").await;
                    commit_group(&parts, group).await
                })
                .await;
            let held = lock_clock.elapsed().saturating_sub(begun);
            if is_draining(&changes) && parts.ahead.others_write(parts.clock.elapsed()) {
                lock_clock.sleep((held / 2).min(LONGEST_ROOM)).await;
            }
            census.note(&changes).await;
            if changes.failure.is_some() {
                // Whoever goes on asking must not keep the database from being looked after.
                census.take_if_due(None).await;
                break;
            }
        }
        if census.is_damaged() {
            mending.begin_if_due();
        }
        let is_asked = !desk.waiting.borrow().is_empty();
        let pause = if is_asked {
            Duration::ZERO
        } else {
            census
                .until_due(desk.told_since.get())
                .min(cleaner.until_due())
                .min(historian.until_due())
        };
        tokio::select! {
            () = desk.arrived.notified() => {}
            () = mending.mended() => {
                // Nothing that was counted of the old database says anything about the new one.
                census = CensusTaker::new(parts.clone());
                let _in_hand = in_hand("a look at the queue");
                census.take_first().await;
            }
            () = desk.announced.notified() => {
                let _in_hand = in_hand("a look at the queue");
                census.take_now().await;
            }
            () = parts.clock.sleep(pause) => {
                let _in_hand = in_hand("a look at the queue, or the clean-up");
                parts.failure_points.pass("database_writer.timer");
                census.take_if_due(desk.told_since.get()).await;
                if census.is_at_rest() {
                    desk.at_rest.notify_one();
                }
                cleaner.clean_if_due().await;
                historian.write_if_due().await;
            }
        }
    }
}

/// Whether the lock would be taken again and again. Other programs that wait for it look at it now and then, and must find it
/// free some time: where one is seen to write, it stays so for half as long as it was held.
fn is_draining(changes: &Changes) -> bool {
    changes.delivered > 0 || changes.claimed_through.is_some()
}

fn take_group(parts: &DatabaseWriterParts, desk: &Desk) -> Option<Vec<Box<dyn Pending>>> {
    /// Changes and rows that share a transaction at the most: it has to stay short, for other programs insert
    /// between our commits.
    const MOST_CHANGES: usize = 16;
    const MOST_ROWS: usize = 4_000;
    /// Where other programs write, what they may have changed is read again, and they wait for the end of it.
    const MOST_ROWS_BESIDE_OTHERS: usize = 2_000;
    let others_write = parts.ahead.others_write(parts.clock.elapsed());
    let most_rows = if others_write {
        MOST_ROWS_BESIDE_OTHERS
    } else {
        MOST_ROWS
    };
    let mut waiting = desk.waiting.borrow_mut();
    waiting.retain(|pending| !pending.is_abandoned());
    let (mut group, mut rows) = (Vec::new(), 0);
    while let Some(next) = waiting.front() {
        let is_full = group.len() == MOST_CHANGES || rows + next.weight() > most_rows;
        if !group.is_empty() && is_full {
            break;
        }
        rows += next.weight();
        group.extend(waiting.pop_front());
    }
    parts.metrics.note_waiting_changes(waiting.len());
    // Nobody has been answered yet, so nobody can tell the order.
    group.sort_by_key(|pending| !pending.goes_first());
    (!group.is_empty()).then_some(group)
}

impl Actor for DatabaseWriter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.work(context);
    }
}

impl Supervised for DatabaseWriter {
    fn restarting(&mut self, _: &mut Self::Context) {
        // What was being written is rolled back and its askers are told. What had not been begun goes on.
        let waiting = self.desk.waiting.take();
        self.desk = Rc::new(Desk {
            waiting: RefCell::new(waiting),
            ..Desk::default()
        });
    }
}

impl SupervisedActor for DatabaseWriter {
    const NAME: &'static str = "database_writer";

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}

/// Who gets the answer to a message.
enum Asker<T> {
    /// Not known yet: the handler has not returned.
    Unknown,
    /// Nobody wants an answer.
    Nobody,
    /// Someone who waits, unless the channel is closed.
    Waiting(OneshotSender<T>),
}

impl<T> Asker<T> {
    fn answer(&mut self, answer: T) {
        if let Self::Waiting(sender) = std::mem::replace(self, Self::Nobody) {
            // Whoever asked may have gone meanwhile.
            let _ = sender.send(answer);
        }
    }
}

type Answer<R> = Result<R, StoreError>;
type Slot<R> = Rc<RefCell<Asker<Answer<R>>>>;

/// Where the answer to a message goes once its change is durable.
pub struct Deferred<R>(Slot<R>);

impl<M, R: 'static> MessageResponse<DatabaseWriter, M> for Deferred<R>
where
    M: Message<Result = Answer<R>>,
{
    fn handle(self, _: &mut Context<DatabaseWriter>, sender: Option<OneshotSender<Answer<R>>>) {
        *self.0.borrow_mut() = sender.map_or(Asker::Nobody, Asker::Waiting);
    }
}

impl<M> Handler<M> for DatabaseWriter
where
    M: WriteOperation + Message<Result = Answer<<M as WriteOperation>::Reply>> + 'static,
{
    type Result = Deferred<M::Reply>;

    fn handle(&mut self, message: M, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("database_writer.handler");
        let slot = Rc::new(RefCell::new(Asker::Unknown));
        if self.desk.waiting.borrow().len() >= Self::LARGEST_QUEUE {
            refuse_as_busy(slot.clone(), context);
        } else {
            let work = Work::new(message, slot.clone());
            let mut waiting = self.desk.waiting.borrow_mut();
            waiting.push_back(Box::new(work));
            self.parts.metrics.note_waiting_changes(waiting.len());
            self.desk.arrived.notify_one();
        }
        Deferred(slot)
    }
}

/// The asker is known only after the handler returned, so the refusal is a future of the actor.
fn refuse_as_busy<R: 'static>(slot: Slot<R>, context: &mut Context<DatabaseWriter>) {
    when_done(tokio::task::yield_now(), context, move |(), _, _| {
        let busy = StoreError::Busy("too many changes are waiting to be written".to_owned());
        slot.borrow_mut().answer(Err(busy));
    });
}

/// A database that does not answer at all, as one behind a broken network, is waited for no longer than this: whatever was
/// begun is undone when its connection is closed.
const DATABASE_PATIENCE: Duration = Duration::from_secs(45);
/// A group is written, or given up for a while; then the queue is counted, or something is cleaned up.
const LONGEST_STEP: Duration = DATABASE_PATIENCE
    .saturating_mul(3)
    .saturating_add(STANDSTILL_MARGIN);
/// Other programs do not need more at once.
const LONGEST_ROOM: Duration = Duration::from_millis(20);
/// How long the database is left alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
