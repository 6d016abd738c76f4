//! Whoever wears the local API down: by requests that never end, bodies and addresses that are too large, and connections
//! without number. Others are served meanwhile, memory stays small, and uploading goes on.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use meterit_sync::clock::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::{Site, http, peak_memory, service::Service, waiting::wait_until};

/// Readings that are uploaded meanwhile, some at each attack.
const READINGS_EACH: u32 = 20;
/// What the process may take of memory, in KiB.
const MEMORY: u64 = 100 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);
const TWO_SECONDS: Duration = Duration::from_secs(2);

/// Asks for `/status` again and again.
struct Watch {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Duration>>,
}

impl Watch {
    fn begin(port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let asking = thread::spawn(move || {
            let clock = Clock::system();
            let mut waits = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let asked = clock.elapsed();
                let answer = ask(port);
                // While all others are answered, too, it is to be asked again.
                let is_busy = answer.starts_with("HTTP/1.1 503")
                    && answer.to_lowercase().contains("retry-after: 1\r\n");
                let is_told = answer.starts_with("HTTP/1.1 200") && answer.contains("\"state\"");
                assert!(is_busy || is_told, "cut or refused: {answer:?}");
                waits.push(clock.elapsed() - asked);
                thread::sleep(Duration::from_millis(20));
            }
            waits
        });
        Self { is_over, asking }
    }

    /// Fails where `/status` was not answered in time; one answer in twenty may come late, for the machine has other work.
    fn end(self, attack: &str) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut waits = self.asking.join().expect("every question is answered");
        waits.sort_unstable();
        let nearly_longest = waits[(waits.len() * 19 / 20).min(waits.len() - 1)];
        assert!(nearly_longest < PATIENCE, "{attack}: {nearly_longest:?}");
    }
}

/// All that is answered to a question for `/status`, nothing where it is cut.
fn ask(port: u16) -> String {
    let mut connection = connect(port);
    let question = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let _ =
        { connection.write_all(question) }.and_then(|()| connection.read_to_string(&mut answer));
    answer
}

fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    connection
}

/// Connections that say this, then a byte now and then, for some seconds.
fn trickle(port: u16, count: usize, beginning: &[u8]) {
    let mut connections: Vec<_> = (0..count).map(|_| connect(port)).collect();
    for connection in &mut connections {
        let _ = connection.write_all(beginning);
    }
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(500));
        for connection in &mut connections {
            // Some are ended by then.
            let _ = connection.write_all(b" ");
        }
    }
}

/// The status of the answer to a request that is sent piece by piece, as far as it is taken.
fn flood(port: u16, head: &str, piece: &[u8], pieces: usize) -> String {
    let mut connection = connect(port);
    let mut sent = connection.write_all(head.as_bytes());
    for _ in 0..pieces {
        if sent.is_err() {
            break;
        }
        sent = connection.write_all(piece);
    }
    let mut answer = [0; 12];
    let read = connection.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

fn post(more: &str) -> String {
    format!("POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

/// Connections that say this, and read nothing of what they are answered, for so long.
fn read_nothing(port: u16, count: usize, said: &[u8], lasting: Duration) {
    let held: Vec<_> = (0..count)
        .map(|_| {
            let mut connection = connect(port);
            // Some are ended by then.
            let _ = connection.write_all(said);
            connection
        })
        .collect();
    thread::sleep(lasting);
    drop(held);
}

/// Connections that ask for this again and again without waiting for the answers, which they read, for some seconds.
fn ask_ahead(port: u16, count: usize, asked: &[u8]) {
    let mut connections: Vec<_> = (0..count)
        .map(|_| {
            let connection = connect(port);
            connection.set_nonblocking(true).unwrap();
            (connection, 0)
        })
        .collect();
    let clock = Clock::system();
    let mut answers = vec![0; 1 << 16];
    let begun = clock.elapsed();
    while clock.elapsed() - begun < Duration::from_secs(4) {
        for (connection, said) in &mut connections {
            while connection.read(&mut answers).is_ok_and(|read| read > 0) {}
            // Where there is no room for more, the rest goes next time.
            let more = connection.write(&asked[*said..]).unwrap_or(0);
            *said = (*said + more) % asked.len();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A body for which there is no room, at a route that reads it in a way of its own.
fn ask_while_others_send(port: u16) {
    // What was sent before may still be in memory: then these are refused, and make no room scarce for longer than that.
    wait_until("the refusal of what there is no room for", || {
        let held = [9_900_000, 2_600_000].map(|size| send_a_part(port, size));
        let is_refused = (0..5).any(|_| {
            thread::sleep(Duration::from_millis(20));
            is_refused_for_room(port)
        });
        drop(held);
        is_refused
    });
}

/// A connection that has sent so much of a body, and goes on with it later.
fn send_a_part(port: u16, bytes: usize) -> TcpStream {
    let head = post("Content-Type: application/json\r\nContent-Length: 10000000\r\n");
    let mut connection = connect(port);
    // Whom there is no room for is refused before all is sent.
    let sent = connection.write_all(head.as_bytes());
    let _ = sent.and_then(|()| connection.write_all(&vec![b' '; bytes]));
    connection
}

fn is_refused_for_room(port: u16) -> bool {
    let question = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nContent-Length: 200000\r\n\r\n{}",
        " ".repeat(200_000)
    );
    let mut connection = connect(port);
    let _ = connection.write_all(question.as_bytes());
    let mut answer = [0; 4_096];
    let read = connection.read(&mut answer).unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    answer.starts_with("HTTP/1.1 503")
        && answer.contains("application/problem+json")
        && answer.to_lowercase().contains("retry-after: 1")
}

/// Beginnings of requests, bodies that never end, answers that nobody takes and connections without number, all at once.
fn everything_at_once(port: u16) {
    let is_over = AtomicBool::new(false);
    let again = |attack: &dyn Fn()| {
        while !is_over.load(Ordering::Relaxed) {
            attack();
        }
    };
    let hold = |count: usize, said: &[u8], lasting: u64| {
        read_nothing(port, count, said, Duration::from_millis(lasting));
    };
    let body = [
        post("Content-Type: application/json\r\nContent-Length: 10000000\r\n").as_bytes(),
        &[b' '; 1_000_000],
    ]
    .concat();
    let question = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    thread::scope(|scope| {
        scope.spawn(|| again(&|| hold(500, b"GET /status HTTP/1.1\r\nX: ", 1_500)));
        scope.spawn(|| again(&|| hold(700, b"", 500)));
        scope.spawn(|| again(&|| hold(10, &body, 500)));
        scope.spawn(|| again(&|| hold(200, question, 500)));
        thread::sleep(Duration::from_secs(6));
        is_over.store(true, Ordering::Relaxed);
    });
}

fn nested(depth: usize) -> String {
    format!("[{}{}]", "[".repeat(depth), "]".repeat(depth))
}

fn attacks(port: u16) {
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend([b'a'; 0x1_0000]);
    chunk.extend(b"\r\n");
    for (head, piece, pieces, expected) in [
        (
            post("Content-Type: application/json\r\nContent-Length: 1073741824\r\n"),
            &[b'a'; 0x1_0000][..],
            0x4000,
            "HTTP/1.1 413",
        ),
        (
            post("Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"),
            &chunk[..],
            1_600,
            "HTTP/1.1 413",
        ),
        (
            "GET /status HTTP/1.1\r\nHost: localhost\r\n".to_owned(),
            b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
            0x8000,
            "HTTP/1.1 4",
        ),
        (
            format!(
                "GET /status?{} HTTP/1.1\r\nHost: localhost\r\n",
                "a".repeat(10_000)
            ),
            b"\r\n",
            1,
            "HTTP/1.1 414",
        ),
        (
            post(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                nested(100_000).len()
            )),
            nested(100_000).as_bytes(),
            1,
            "HTTP/1.1 400",
        ),
    ] {
        let answer = flood(port, &head, piece, pieces);
        let begins = head.lines().next().unwrap_or_default();
        assert!(answer.starts_with(expected), "{begins:.60}: {answer}");
    }
}

#[test]
fn bodies_that_are_waited_for_cost_no_time_of_the_processor() {
    let site = Site::new();
    let service = site.start();
    service.wait_until_connected();
    let asked = [
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 8000\r\n\r\ntoken="
            .to_owned(),
        post("Content-Type: application/json\r\nContent-Length: 8000\r\n") + "[",
        post("Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n") + "1\r\n{\r\n",
    ];
    let held = asked.map(|asked| {
        let mut connection = connect(service.port());
        connection.write_all(asked.as_bytes()).unwrap();
        connection
    });
    thread::sleep(Duration::from_millis(300));
    let before = processor_seconds(&service);
    thread::sleep(TWO_SECONDS);
    let spent = processor_seconds(&service) - before;
    assert!(spent < 1.0, "{spent} s in two seconds");
    drop(held);
    service.stop();
}

fn processor_seconds(service: &Service) -> f64 {
    let metrics = service.ask("GET", "/metrics", None).body;
    let told = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
    told.and_then(|seconds| seconds.parse().ok())
        .expect("the processor's time")
}

/// What the pages of the Sync Frontend poll.
#[test]
fn many_who_only_read_hold_up_neither_uploading_nor_storing() {
    const READINGS: u32 = 20_000;
    let site = Site::new();
    site.client_system.set_down(true);
    let service = site.start();
    let port = service.port();
    site.insert(READINGS);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..40)
        .map(|_| {
            let over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut statuses = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    let path = "/api/local/readings?hours=876000";
                    statuses.insert(http::request(port, "GET", path, None).status);
                }
                statuses
            })
        })
        .collect();
    site.client_system.set_down(false);
    service.post("/api/v1/sync/trigger", None);
    let posted = json!([{"meter_external_id": "M", "timestamp": "2026-01-01T00:00:00Z", "data_point": "e", "value": 1}]);
    let clock = Clock::system();
    service
        .post("/api/v1/readings", Some(&posted))
        .expect_status(201);
    let stored_after = clock.elapsed();
    site.wait_until_drained(u64::from(READINGS) + 1);
    is_over.store(true, Ordering::Relaxed);
    let statuses: BTreeSet<u16> = readers
        .into_iter()
        .flat_map(|reader| reader.join().expect("answers"))
        .collect();
    assert!(stored_after < TWO_SECONDS, "{stored_after:?}");
    assert!(
        statuses.is_subset(&[200, 503].into()),
        "served or told to come back: {statuses:?}"
    );
    service.stop();
    site.assert_all_delivered_once(u64::from(READINGS) + 1);
}

#[test]
fn whoever_wears_it_down_keeps_nobody_out() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most,
            maximum: most,
        },
    )
    .expect("more connections than usual");
    let site = Site::new().set("SYNC_INTERVAL_MINUTES", "1");
    let service = site.start();
    service.wait_until_connected();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.id())).unwrap();
    let no_core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let no_core = no_core.expect("the kernel tells").split_whitespace();
    assert_eq!(no_core.skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let port = service.port();
    let mut delivered = 0;
    let mut during = |attack: &str, carry_out: &dyn Fn()| {
        let watch = Watch::begin(port);
        carry_out();
        site.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {READINGS_EACH}) \
             INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
             SELECT '{attack}', '2026-01-01 00:00:00', 'energy', i FROM n"
        ));
        service.post("/api/v1/sync/trigger?wait=true", None);
        delivered += u64::from(READINGS_EACH);
        site.wait_until_drained(delivered);
        watch.end(attack);
        let peak = peak_memory(service.id());
        println!("{attack}: {peak} KiB");
        assert!(peak < MEMORY, "{attack}: {peak} KiB");
    };
    during("heads without end", &|| {
        trickle(port, 500, b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: ");
    });
    during("bodies without end", &|| {
        let head = post("Content-Type: application/json\r\nContent-Length: 5000000\r\n");
        trickle(port, 500, head.as_bytes());
    });
    during("large bodies that never end", &|| {
        let held: Vec<_> = (0..40).map(|_| send_a_part(port, 9_900_000)).collect();
        thread::sleep(Duration::from_secs(1));
        drop(held);
    });
    during("too much at once", &|| ask_while_others_send(port));
    during("more bodies than connections", &|| {
        let head = post("Content-Type: application/json\r\nContent-Length: 5000000\r\n");
        read_nothing(port, 700, head.as_bytes(), TWO_SECONDS);
    });
    during("heads that nearly fit", &|| {
        let head = format!(
            "GET /status HTTP/1.1\r\nHost: localhost\r\nX: {}",
            "a".repeat(120_000)
        );
        // More than there is room for; a build for tests takes its time over each.
        read_nothing(port, 140, head.as_bytes(), TWO_SECONDS);
    });
    during("answers that nobody reads", &|| {
        let asked = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(4);
        read_nothing(port, 200, asked.as_bytes(), TWO_SECONDS);
    });
    during("questions ahead of their turn", &|| {
        let asked = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2_000);
        read_nothing(port, 150, asked.as_bytes(), TWO_SECONDS);
    });
    during("questions without a pause", &|| {
        let asked = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
        ask_ahead(port, 50, asked.as_bytes());
    });
    during("requests that are too large", &|| attacks(port));
    during("connections without number", &|| {
        let connections: Vec<_> = (0..10_000)
            .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection"))
            .collect();
        thread::sleep(Duration::from_secs(2));
        drop(connections);
    });
    during("everything at once", &|| everything_at_once(port));
    service.stop();
    site.assert_all_delivered_once(delivered);
}
