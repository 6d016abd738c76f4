//! A database writer in a process of its own, which can be killed like one. It reads changes from its standard input, a
//! line for those that are asked for at once, and writes what was answered to its standard output.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler, Message, dev::ToEnvelope};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, future::LocalBoxFuture};
use meterit_sync::{
    actors::database_writer::{DatabaseWriter, DatabaseWriterParts},
    clock::Clock,
    domain::{
        batch::{ClaimOrder, IdempotencyKey, Settlement},
        outcome::RejectedReading,
        quarantine::{QuarantineCorrection, QuarantineFilter, QuarantineReason},
        schedule::SiteSeed,
        store::{QuarantineActionResult, StoreError},
    },
    messages::{
        api_client::HoldUntil,
        database_writer::{
            BeginAttempt, ClaimBatches, CorrectQuarantined, DiscardQuarantined, InsertReadings,
            JudgeSuspects, RequeueQuarantined, SettleBatch, Settled, TakeOver,
        },
        sync_manager::FreshReadings,
    },
    settings::SyncSettings,
    storage::{SyncStore, postgres::PostgresStore, sqlite::SqliteStore},
    supervision::failure_points::FailurePoints,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    reference::Reply,
    steps::{Minute, Number},
};
use crate::storage::site;

/// How the process learns that it is an instance, and of which queue.
const VARIABLE: &str = "METERIT_TEST_INSTANCE";
/// The test that turns into an instance where the variable is set.
const TEST: &str = "storage::model::instance::an_instance_answers_until_it_is_killed";

/// What an instance is told at its start.
#[derive(Serialize, Deserialize)]
pub struct Start {
    /// A file, or the address of a server.
    pub database: String,
    pub keep_synchronized: bool,
    pub now: Minute,
}

/// Changes asked for at once.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub orders: Vec<Order>,
    /// The failure point at which the process dies.
    pub die_at: Option<String>,
}

/// A change with everything named as the database names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    Insert {
        numbers: Vec<Number>,
        key: Option<String>,
    },
    Claim {
        limit: usize,
        after: Option<i64>,
    },
    TakeOver,
    Begin {
        key: String,
    },
    Settle {
        key: String,
        epoch: u32,
        settlement: PlainSettlement,
    },
    Condemn {
        root: Option<String>,
    },
    Release,
    Requeue {
        filter: PlainFilter,
        accept_double: bool,
    },
    Correct {
        id: i64,
    },
    Discard {
        filter: PlainFilter,
    },
    Pass {
        minutes: Minute,
    },
    CleanUp {
        before: Minute,
    },
    /// Ends in an orderly way.
    Close,
}

/// [`Settlement`] with positions only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PlainSettlement {
    Stored,
    PartlyStored {
        rejected: Vec<usize>,
        possibly_stored: bool,
    },
    Split {
        parts: Vec<Vec<usize>>,
        suspects: Vec<usize>,
    },
    Suspect,
    GiveUp {
        park: bool,
    },
    Postpone {
        sent: bool,
        words: bool,
    },
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlainFilter {
    pub id: Option<i64>,
    pub reason: Option<QuarantineReason>,
}

/// What came back: the database's refusals in words.
pub type Answer = Result<Reply, String>;

/// The process, seen from outside. Killed when let go of.
pub struct Instance {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Instance {
    pub fn start(start: &Start) -> Self {
        let told = serde_json::to_string(start).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(VARIABLE, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("this very program");
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut instance = Self {
            process,
            input,
            output,
        };
        let started = instance.read::<()>();
        started.expect("an instance that has opened its database");
        instance
    }

    /// Asks; [`Instance::answers`] waits.
    pub fn ask(&mut self, orders: Vec<Order>, die_at: Option<&str>) {
        let die_at = die_at.map(str::to_owned);
        let line = serde_json::to_string(&Request { orders, die_at }).unwrap();
        writeln!(self.input, "{line}").expect("an instance that reads");
    }

    /// The answers; none if it died instead.
    pub fn answers(&mut self) -> Option<Vec<Answer>> {
        self.read()
    }

    pub fn kill(mut self) {
        // It may have died already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness has its own lines, and may leave one open.
            if let Some((_, message)) = line.split_once('\u{1}') {
                return Some(serde_json::from_str(message).unwrap());
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // One that was killed or has ended is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_instance_answers_until_it_is_killed() {
    if let Ok(told) = std::env::var(VARIABLE) {
        return serve(&serde_json::from_str(&told).unwrap());
    }
    let site = site::SqliteSite::new();
    let database = site.file().to_str().unwrap().to_owned();
    let mut instance = Instance::start(&Start {
        database,
        keep_synchronized: false,
        now: 0,
    });
    let insert = Order::Insert {
        numbers: vec![1, 2],
        key: None,
    };
    instance.ask(vec![insert.clone()], None);
    let stored = Reply {
        done: 2,
        ..Reply::default()
    };
    assert_eq!(instance.answers(), Some(vec![Ok(stored)]));
    instance.ask(vec![insert], Some("database_writer.before_commit"));
    assert_eq!(instance.answers(), None);
}

fn say(message: &impl Serialize) {
    let line = format!("\u{1}{}\n", serde_json::to_string(message).unwrap());
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).unwrap();
    output.flush().unwrap();
}

/// A planned failure is no panic here but the end of the process, with nothing closed, written or said.
fn die_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let planned = panic
            .payload_as_str()
            .is_some_and(|words| words.starts_with("planned failure"));
        if !planned {
            eprintln!("{panic}");
        }
        std::process::abort();
    }));
}

fn serve(start: &Start) {
    die_of_panics();
    actix::System::new().block_on(async {
        let desk = Desk::open(start).await;
        say(&());
        let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        while let Some(line) = requests.recv().await {
            let request: Request = serde_json::from_str(&line).unwrap();
            if let Some(point) = request.die_at {
                desk.failure_points.arm(&point, 1);
            }
            let asked = request
                .orders
                .into_iter()
                .map(|order| desk.carry_out(order));
            say(&futures_util::future::join_all(asked).await);
        }
    });
}

/// The writer and what it takes to talk to it.
struct Desk {
    writer: Addr<DatabaseWriter>,
    store: Arc<dyn SyncStore>,
    clock: Clock,
    failure_points: FailurePoints,
}

/// Hears what nobody here is interested in.
struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<FreshReadings> for Nobody {
    type Result = ();
    fn handle(&mut self, _: FreshReadings, _: &mut Self::Context) {}
}

impl Handler<HoldUntil> for Nobody {
    type Result = ();
    fn handle(&mut self, _: HoldUntil, _: &mut Self::Context) {}
}

pub fn time(minute: Minute) -> DateTime<Utc> {
    site::now().0 + chrono::TimeDelta::minutes(minute.into())
}

impl Desk {
    async fn open(start: &Start) -> Self {
        let store: Arc<dyn SyncStore> = if start.database.starts_with("postgres") {
            Arc::new(
                PostgresStore::open(&start.database)
                    .await
                    .expect("the database"),
            )
        } else {
            Arc::new(
                SqliteStore::open(start.database.as_ref())
                    .await
                    .expect("the database"),
            )
        };
        store.attend().await.expect("the database");
        let clock = Clock::manual(time(start.now));
        let failure_points = FailurePoints::for_tests();
        let nobody = Nobody.start();
        let parts = DatabaseWriterParts {
            ahead: std::rc::Rc::default(),
            as_read: std::rc::Rc::default(),
            last_readings: std::rc::Rc::default(),
            history: std::rc::Rc::default(),
            api_snapshot: meterit_sync::supervision::published::Published::default(),
            connectivity: meterit_sync::supervision::published::Published::default(),
            events: meterit_sync::messages::events::EventBus::default(),
            progress: meterit_sync::supervision::progress::Progress::new(None),
            settings: SyncSettings {
                batch_size_max: None,
                max_bytes_per_second: None,
                interval: Duration::from_secs(300),
                batch_size: 1_000,
                max_in_flight: 16,
                upload_compression: meterit_sync::domain::compression::UploadCompression::Auto,
                max_retries: 3,
                auto: true,
                pinned_interval: false,
                pinned_batch_size: false,
                keep_synchronized: start.keep_synchronized,
                synchronized_retention_days: 3_650,
                sync_log_retention_days: 3_650,
            },
            seed: SiteSeed::new("model"),
            clock: clock.clone(),
            store: store.clone(),
            fresh_readings: nobody.clone().recipient(),
            hold: nobody.recipient(),
            published: Default::default(),
            totals: Default::default(),
            metrics: meterit_sync::telemetry::metrics::Metrics::new().expect("metrics"),
            failure_points: failure_points.clone(),
        };
        let writer = DatabaseWriter::new(parts).start();
        Self {
            writer,
            store,
            clock,
            failure_points,
        }
    }

    fn carry_out(&self, order: Order) -> LocalBoxFuture<'_, Answer> {
        match order {
            Order::Insert { numbers, key } => {
                let readings = numbers
                    .iter()
                    .map(|number| site::reading(&format!("{number}.125")))
                    .collect();
                let message = InsertReadings {
                    readings,
                    key,
                    span: tracing::Span::none(),
                };
                self.send(message, |ingested| Reply {
                    done: ingested.count,
                    passed_over: ingested.repeated,
                    ..Reply::default()
                })
            }
            Order::Claim { limit, after } => {
                let order = after.map_or(ClaimOrder::Oldest, ClaimOrder::After);
                self.send(
                    ClaimBatches {
                        order,
                        limit,
                        most: 1,
                    },
                    |claimed| Reply {
                        done: claimed.batches.iter().map(|batch| batch.len()).sum(),
                        aside: claimed.unreadable as usize,
                        ..Reply::default()
                    },
                )
            }
            Order::TakeOver => self.send(TakeOver, |live| Reply {
                batches: live.len(),
                ..Reply::default()
            }),
            Order::Begin { key } => self.send(
                BeginAttempt {
                    key: IdempotencyKey(key),
                },
                |batch| Reply {
                    passed_over: batch.is_none(),
                    done: batch.map_or(0, |batch| batch.len()),
                    ..Reply::default()
                },
            ),
            Order::Settle {
                key,
                epoch,
                settlement,
            } => self.send(
                SettleBatch {
                    key: IdempotencyKey(key),
                    epoch,
                    readings: 10,
                    settlement: settlement.spelled_out(),
                },
                settled,
            ),
            Order::Condemn { root } => {
                self.send(JudgeSuspects::Condemn(root.map(IdempotencyKey)), settled)
            }
            Order::Release => self.send(JudgeSuspects::Release { except: Vec::new() }, settled),
            Order::Requeue {
                filter,
                accept_double,
            } => self.send(
                RequeueQuarantined {
                    filter: filter.spelled_out(),
                    accept_double,
                },
                acted,
            ),
            Order::Discard { filter } => self.send(
                DiscardQuarantined {
                    filter: filter.spelled_out(),
                },
                acted,
            ),
            Order::Correct { id } => {
                let correction = QuarantineCorrection {
                    timestamp: Some(site::now()),
                    ..QuarantineCorrection::default()
                };
                self.send(CorrectQuarantined { id, correction }, |found| Reply {
                    done: usize::from(found),
                    ..Reply::default()
                })
            }
            Order::Pass { minutes } => async move {
                self.clock.advance(Duration::from_secs(60) * minutes);
                Ok(Reply::default())
            }
            .boxed_local(),
            Order::CleanUp { before } => self
                .clean_up(before)
                .map(|deleted| deleted.map_err(|error| error.to_string()))
                .boxed_local(),
            Order::Close => async {
                self.store.close().await;
                Ok(Reply::default())
            }
            .boxed_local(),
        }
    }

    fn send<M, R>(
        &self,
        message: M,
        reply: impl FnOnce(R) -> Reply + 'static,
    ) -> LocalBoxFuture<'_, Answer>
    where
        M: Message<Result = Result<R, StoreError>> + Send + 'static,
        R: Send + 'static,
        DatabaseWriter: Handler<M>,
        Context<DatabaseWriter>: ToEnvelope<DatabaseWriter, M>,
    {
        let sent = self.writer.send(message);
        async move {
            match sent.await.expect("a writer that lives") {
                Ok(answer) => Ok(reply(answer)),
                Err(StoreError::KeyReused(_)) => Ok(Reply {
                    passed_over: true,
                    ..Reply::default()
                }),
                Err(error) => Err(error.to_string()),
            }
        }
        .boxed_local()
    }

    async fn clean_up(&self, before: Minute) -> Result<Reply, StoreError> {
        const ALL: u32 = 100_000;
        let before = time(before).into();
        let mut transaction = self.store.begin().await?;
        let deleted = transaction.delete_synchronized_before(before, ALL).await?
            + transaction.delete_sync_log_before(before, ALL).await?
            + transaction
                .delete_ingestion_keys_before(before, ALL)
                .await?;
        transaction.commit().await?;
        Ok(Reply {
            done: deleted as usize,
            ..Reply::default()
        })
    }
}

fn settled(settled: Settled) -> Reply {
    Reply {
        done: settled.delivered as usize,
        aside: settled.quarantined as usize,
        batches: settled.parts.len() + settled.suspects as usize,
        passed_over: false,
    }
}

fn acted(result: QuarantineActionResult) -> Reply {
    Reply {
        done: result.affected as usize,
        aside: (result.possibly_stored + result.unreadable) as usize,
        ..Reply::default()
    }
}

impl PlainFilter {
    fn spelled_out(self) -> QuarantineFilter {
        QuarantineFilter {
            id: self.id,
            reason: self.reason,
            meter: None,
        }
    }
}

impl PlainSettlement {
    fn spelled_out(self) -> Settlement {
        let words = || "value out of range".to_owned();
        let named = |positions: Vec<usize>| {
            positions
                .into_iter()
                .map(|position| RejectedReading {
                    position,
                    words: words(),
                })
                .collect()
        };
        match self {
            Self::Stored => Settlement::Stored,
            Self::PartlyStored {
                rejected,
                possibly_stored,
            } => Settlement::PartlyStored {
                rejected: named(rejected),
                possibly_stored,
                status: 400,
            },
            Self::Split { parts, suspects } => Settlement::Split {
                parts,
                suspects: named(suspects),
                status: 400,
                words: words(),
            },
            Self::Suspect => Settlement::Suspect {
                status: 400,
                words: words(),
            },
            Self::GiveUp { park } => Settlement::GiveUp {
                words: words(),
                park,
            },
            Self::Postpone { sent, words: with } => Settlement::Postpone {
                words: with.then(words),
                sent,
            },
        }
    }
}
