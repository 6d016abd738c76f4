//! What the service takes while there is nothing to do, with a Client System and without one.

use std::{fs, thread::sleep, time::Duration};

use crate::{
    Bench,
    engines::{Engine, Queue},
    measure,
    service::{Conditions, Service},
    sink::Sink,
    table::Table,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Nothing listens on this port, which only root could take.
const NOBODY: &str = "http://127.0.0.1:1/api";

struct Idler {
    what: String,
    service: Service,
    cpu_before: f64,
    // Dropped after the service, which would complain about losing them.
    _sink: Option<Sink>,
    _queue: Box<dyn Queue>,
}

/// All of them idle through the same minute: they are not in each other's way.
pub fn table(bench: &Bench, engines: &mut [Box<dyn Engine>]) -> Table {
    let mut table = Table::new(
        "A minute without work, with the default intervals".to_owned(),
        &["queue, link", "RSS MiB at its end", "CPU-s in it"],
    );
    let mut idlers = Vec::new();
    for engine in engines {
        for link in ["online", "offline"] {
            let what = format!("{}, {link}", engine.name());
            let sink = (link == "online").then(|| Sink::start(Duration::ZERO));
            idlers.push(start(bench, what, engine.empty(), sink));
        }
    }
    for idler in &mut idlers {
        idler.cpu_before = measure::cpu_seconds(idler.service.id());
    }
    eprintln!("idle: a minute");
    sleep(MINUTE);
    for idler in idlers {
        let process = idler.service.id();
        let cpu = measure::cpu_seconds(process) - idler.cpu_before;
        let memory = measure::memory_now(process);
        table.row(&idler.what, [format!("{memory:.1}"), format!("{cpu:.2}")]);
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
        cpu_before: 0.0,
        _sink: sink,
        _queue: queue,
    }
}
