//! One drain of a queue, from a service that knows the whole queue to one that has emptied it.

use std::{
    any::Any,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use meterit_sync::clock::Clock;

use crate::{
    Bench,
    engines::{Engine, Queue},
    figures::Figures,
    measure,
    readings::{Reading, readings},
    service::{Conditions, Refusal, Service, Setting},
    sink::{Account, Sink},
};

/// What a drain is like.
pub struct Plan<'a> {
    pub readings: usize,
    /// How long the Client System takes for an answer.
    pub latency: Duration,
    /// The encodings that the Client System says it takes; the deployed one says nothing.
    pub accept_encoding: &'a str,
    /// Settings besides those of production.
    pub settings: &'a [Setting],
    /// Another program puts a reading in this often meanwhile.
    pub neighbour_every: Option<Duration>,
    /// What runs the service, where it does not run by itself.
    pub under: &'a [&'a str],
}

/// As on a site, but that nothing starts before it is measured.
pub const PRODUCTION: [(&str, &str); 2] = [("BATCH_SIZE", "1000"), ("ENABLE_AUTO_SYNC", "false")];

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            readings: 0,
            latency: Duration::ZERO,
            accept_encoding: "",
            settings: &[],
            neighbour_every: None,
            under: &[],
        }
    }
}

/// A full queue and a service in front of it.
pub struct Ready {
    pub service: Service,
    // Dropped after the service, which would complain about losing them.
    sink: Sink,
    queue: Box<dyn Queue>,
    readings: usize,
    neighbour: Option<Neighbour>,
}

/// What a drain took, and how its bodies were compressed.
pub struct Drained {
    pub figures: Figures,
    pub account: Account,
}

/// Fills a queue, starts a service and waits until it has counted the queue and found the Client System.
///
/// # Errors
/// This version does not know one of the settings.
pub fn prepare(bench: &Bench, engine: &mut dyn Engine, plan: &Plan<'_>) -> Result<Ready, Refusal> {
    let queue = engine.filled(plan.readings);
    let sink = Sink::start_with(plan.latency, plan.accept_encoding);
    let mut service = Service::start(&Conditions {
        program: &bench.arguments.program,
        under: plan.under,
        folder: bench.folder.path(),
        client_system: sink.address(),
        database: queue.address(),
        variables: &PRODUCTION,
        settings: plan.settings,
    })?;
    service.wait_for_status("the queue is counted and the link is up", |status| {
        status["queue"]["pending"] == plan.readings && status["connectivity"]["isConnected"] == true
    });
    Ok(Ready {
        service,
        sink,
        queue,
        readings: plan.readings,
        neighbour: plan
            .neighbour_every
            .map(|every| Neighbour::new(plan.readings, every)),
    })
}

/// Readings that another program puts in during a drain, at most.
const MOST_INSERTED: usize = 10_000;

impl Ready {
    /// The service, and what has to outlive it.
    pub fn into_service(self) -> (Service, Box<dyn Any>) {
        (self.service, Box::new((self.sink, self.queue)))
    }

    fn pass(&self) {
        let answer = self.service.post("/api/v1/sync/trigger?wait=true");
        let words = String::from_utf8_lossy(&answer.body);
        let log = self.service.said();
        assert_eq!(answer.status, 200, "the pass failed: {words}\n{log}");
    }

    /// Drains the queue, and fails unless every reading arrived once and none is left.
    pub fn drain(&self) -> Drained {
        let process = self.service.id();
        let server_before = self.queue.server_cpu();
        let before = measure::cpu_seconds(process);
        let clock = Clock::system();
        let pass = || {
            self.pass();
            let cpu = measure::cpu_seconds(process) - before;
            (clock.elapsed().as_secs_f64(), cpu)
        };
        let ((wall, cpu), inserted) = match &self.neighbour {
            Some(neighbour) => neighbour.beside(self.queue.as_ref(), pass),
            None => (pass(), 0),
        };
        if inserted > 0 {
            // What came in last was no part of what was there.
            self.pass();
        }
        // Cleaning up behind a drain is a part of its price.
        self.queue.sweep();
        let server_cpu = self.queue.server_cpu().zip(server_before);
        let account = self.sink.check(self.readings + inserted);
        let log = self.service.said();
        assert_eq!(self.queue.count(), 0, "the queue is not empty\n{log}");
        let figures = Figures {
            readings: self.readings,
            cpu,
            server_cpu: server_cpu.map(|(after, before)| after - before),
            wall,
            peak_memory: measure::peak_memory(process),
            bytes: account.bytes as f64,
        };
        Drained { figures, account }
    }
}

/// Another program on the same database.
struct Neighbour {
    /// The first one is the next after those in the queue.
    readings: Vec<Reading>,
    every: Duration,
}

impl Neighbour {
    fn new(waiting: usize, every: Duration) -> Self {
        Self {
            readings: readings(waiting + MOST_INSERTED).skip(waiting).collect(),
            every,
        }
    }

    /// Does the work while it puts readings in; also returns how many these were.
    fn beside<T>(&self, queue: &dyn Queue, work: impl FnOnce() -> T) -> (T, usize) {
        thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            let inserting = scope.spawn(move || {
                // Nothing is ever sent: the sender goes with the work.
                let goes_on = |_: &&Reading| {
                    is_done.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout)
                };
                let due = self.readings.iter().take_while(goes_on);
                due.inspect(|reading| queue.insert(std::slice::from_ref(*reading)))
                    .count()
            });
            let result = work();
            drop(done);
            let inserted = inserting.join().expect("another program that works");
            (result, inserted)
        })
    }
}

/// Several drains of the same kind: their medians, and how most bodies were compressed.
///
/// # Errors
/// As [`prepare`].
pub fn repeat(
    bench: &Bench,
    engine: &mut dyn Engine,
    plan: &Plan<'_>,
    what: &str,
) -> Result<(Figures, String), Refusal> {
    let mut runs = Vec::new();
    let mut encoding = String::new();
    for run in 1..=bench.arguments.runs {
        let drained = prepare(bench, engine, plan)?.drain();
        let Figures { wall, .. } = drained.figures;
        eprintln!(
            "{what}: run {run} of {}: {wall:.2} s, {:.2} CPU-s per million",
            bench.arguments.runs,
            drained.figures.cpu_per_million()
        );
        encoding = drained.account.usual_encoding();
        runs.push(drained.figures);
    }
    Ok((Figures::medians(&runs), encoding))
}
