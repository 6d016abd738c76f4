//! What the service takes while there is nothing to do, with a Client System and without one.

use std::{any::Any, fs, thread::sleep, time::Duration};

use crate::{
    Bench,
    draining::{self, Plan},
    engines::{Engine, Queue},
    measure,
    service::{Conditions, Service},
    sink::Sink,
    table::{Table, grouped},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Nothing listens on this port, which only root could take.
const NOBODY: &str = "http://127.0.0.1:1/api";

struct Idler {
    what: String,
    service: Service,
    // Dropped after the service, which would complain about losing them.
    _others: Box<dyn Any>,
}

/// All of them idle through the same minutes: they are not in each other's way.
pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let mut table = Table::new(
        "Two minutes without work, with the default intervals".to_owned(),
        &[
            "queue, link",
            "RSS MiB at the end",
            "CPU-s in the first minute",
            "CPU-s in the second",
        ],
    );
    let mut idlers = Vec::new();
    for engine in engines {
        for link in ["online", "offline"] {
            let what = format!("{}, {link}", engine.name());
            let sink = (link == "online").then(|| Sink::start(Duration::ZERO));
            idlers.push(start(bench, what, engine.empty(), sink));
        }
        idlers.push(start_and_drain(bench, engine.as_mut()));
    }
    let cpu = |idlers: &[Idler]| -> Vec<f64> {
        let seconds = |idler: &Idler| measure::cpu_seconds(idler.service.id());
        idlers.iter().map(seconds).collect()
    };
    let start = cpu(&idlers);
    eprintln!("idle: two minutes");
    sleep(MINUTE);
    let middle = cpu(&idlers);
    sleep(MINUTE);
    let end = cpu(&idlers);
    let minutes = start.iter().zip(&middle).zip(&end);
    for (idler, ((start, middle), end)) in idlers.iter().zip(minutes) {
        let memory = measure::memory_now(idler.service.id());
        let (first, second) = (middle - start, end - middle);
        table.row(
            &idler.what,
            [
                format!("{memory:.1}"),
                format!("{first:.2}"),
                format!("{second:.2}"),
            ],
        );
    }
    table
}

fn start(bench: &Bench, what: String, queue: Box<dyn Queue>, sink: Option<Sink>) -> Idler {
    let folder = bench.folder.path().join(&what);
    fs::create_dir_all(&folder).expect("a folder for the service");
    let is_online = sink.is_some();
    let address = sink.as_ref().map_or(NOBODY.to_owned(), Sink::address);
    let service = Service::start(&Conditions {
        program: &bench.arguments.program,
        under: &[],
        folder: &folder,
        client_system: address,
        database: queue.address(),
        variables: &[],
        settings: &[],
    });
    let Ok(mut service) = service else {
        panic!("the service refuses settings that nobody has made");
    };
    service.wait_for_status("it knows how the link is", |status| {
        let connectivity = &status["connectivity"];
        !connectivity["lastCheckTime"].is_null() && connectivity["isConnected"] == is_online
    });
    Idler {
        what,
        service,
        _others: Box::new((sink, queue)),
    }
}

/// One that has had much to do before.
fn start_and_drain(bench: &Bench, engine: &mut dyn Engine) -> Idler {
    let readings = bench.arguments.readings;
    let plan = Plan {
        readings,
        ..Plan::default()
    };
    let Ok(ready) = draining::prepare(bench, engine, &plan) else {
        panic!("the service refuses settings that nobody has made");
    };
    ready.drain();
    let (service, others) = ready.into_service();
    let count = grouped(readings as f64);
    Idler {
        what: format!("{}, online, after {count} readings", engine.name()),
        service,
        _others: others,
    }
}
