//! A Client System that takes everything and costs as little as possible: it keeps the bodies as they come, and looks
//! into them only when it is asked for an account.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use chrono::{DateTime, Utc};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

use crate::{
    connection::Connection,
    helper::{self, Helper},
    http_head::{self, Head},
    readings::{number_of, readings},
};

/// What every upload is answered.
const STORED: &str = r#"{"success":true,"message":"Readings stored"}"#;
const CONFIGURATION: &str = r#"{"success":true,"config":{"site":{"name":"Bench"},"meters":[{"external_id":"METER-0001","name":"Meter 1"}]}}"#;
const ACCOUNT: &str = "/account/";
/// The upload call.
pub const UPLOAD: &str = "/api/sync/readings/batch";

/// What has arrived, compared with the readings that are known to have been in the queue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// Different readings, each with its right value.
    pub distinct: usize,
    /// Readings that came once more.
    pub doubled: usize,
    /// Readings that nobody had put into the queue.
    pub foreign: usize,
    /// Bytes of all bodies.
    pub bytes: usize,
    /// How they were compressed, and how many of them.
    encodings: BTreeMap<String, usize>,
}

impl Account {
    /// How most of them were compressed: before the Client System's first answer nobody knows what it takes.
    pub fn usual_encoding(&self) -> String {
        let most = self.encodings.iter().max_by_key(|(_, bodies)| **bodies);
        most.map_or_else(String::new, |(encoding, _)| encoding.clone())
    }
}

/// The Client System as a process of its own.
pub struct Sink {
    process: Helper,
    port: u16,
}

impl Sink {
    /// Every upload is answered after this time.
    pub fn start(latency: Duration) -> Self {
        Self::start_with(latency, "")
    }

    /// One that says in every answer which encodings it takes.
    pub fn start_with(latency: Duration, accept_encoding: &str) -> Self {
        let latency = latency.as_millis().to_string();
        let mut process = Helper::start("sink", &[&latency, accept_encoding]);
        let port = process.line().parse().expect("a sink prints its port");
        Self { process, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of its API, as the service is told.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }

    /// Fails unless exactly the first `count` readings have arrived, each once and with its value.
    pub fn check(&self, count: usize) -> Account {
        let path = format!("{ACCOUNT}{count}");
        let answer = Connection::open(self.port).and_then(|mut sink| sink.get(&path));
        let answer = answer.unwrap_or_else(|error| {
            panic!(
                "the sink (process {}) gives no account: {error}",
                self.process.id()
            )
        });
        let account: Account = serde_json::from_slice(&answer.body).expect("an account");
        assert!(
            account.distinct == count && account.doubled == 0 && account.foreign == 0,
            "not every one of {count} readings arrived once: {account:?}"
        );
        account
    }
}

/// A body as it came.
struct Kept {
    encoding: String,
    body: Vec<u8>,
}

type Bodies = Arc<Mutex<Vec<Kept>>>;

/// The role: serves until whoever started it is gone. Prints its port.
pub fn serve(arguments: &[String]) {
    let latency = helper::argument(arguments, 0, "the milliseconds before an answer");
    let latency = Duration::from_millis(latency.parse().expect("a number of milliseconds"));
    let mut headers = "content-type: application/json\r\n".to_owned();
    let accepted = helper::argument(arguments, 1, "the encodings that it tells of");
    if !accepted.is_empty() {
        headers += &format!("accept-encoding: {accepted}\r\n");
    }
    let headers: Arc<str> = headers.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    println!("{}", address.port());
    helper::end_with_the_starter();
    let bodies = Bodies::default();
    for stream in listener.incoming().map_while(Result::ok) {
        let (headers, bodies) = (Arc::clone(&headers), Arc::clone(&bodies));
        // A peer that is killed breaks its connection.
        thread::spawn(move || converse(stream, &headers, latency, &bodies));
    }
}

fn converse(
    stream: TcpStream,
    headers: &str,
    latency: Duration,
    bodies: &Bodies,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    while let Some(head) = http_head::read(&mut stream)? {
        let mut body = vec![0; head.length];
        stream.read_exact(&mut body)?;
        let answer = answer(head, body, latency, bodies);
        let message = format!(
            "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.get_mut().write_all(message.as_bytes())?;
    }
    Ok(())
}

fn answer(head: Head, body: Vec<u8>, latency: Duration, bodies: &Bodies) -> String {
    let path = head.first_line.split(' ').nth(1).unwrap_or_default();
    if path == UPLOAD {
        let encoding = head.encoding;
        lock(bodies).push(Kept { encoding, body });
        thread::sleep(latency);
        return STORED.to_owned();
    }
    if path.ends_with("/sync/config") {
        return CONFIGURATION.to_owned();
    }
    match path
        .strip_prefix(ACCOUNT)
        .and_then(|count| count.parse().ok())
    {
        Some(count) => serde_json::to_string(&account(&lock(bodies), count)).unwrap_or_default(),
        None => r#"{"success":true,"status":"OK"}"#.to_owned(),
    }
}

fn lock(bodies: &Bodies) -> MutexGuard<'_, Vec<Kept>> {
    bodies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
struct Upload<'a> {
    #[serde(borrow)]
    readings: Vec<Arrived<'a>>,
}

#[derive(Deserialize)]
struct Arrived<'a> {
    meter_external_id: &'a str,
    timestamp: DateTime<Utc>,
    data_point: &'a str,
    value: f64,
    unit: &'a str,
}

fn account(bodies: &[Kept], count: usize) -> Account {
    let mut account = Account::default();
    let mut expected: Vec<_> = readings(count).map(Some).collect();
    for kept in bodies {
        account.bytes += kept.body.len();
        *account.encodings.entry(kept.encoding.clone()).or_default() += 1;
        let json = unpack(kept);
        let upload: Upload<'_> = serde_json::from_slice(&json).expect("an upload in JSON");
        for arrived in upload.readings {
            let number = number_of(
                arrived.meter_external_id,
                arrived.data_point,
                arrived.timestamp,
            );
            let thousandths = (arrived.value * 1000.0).round() as i64;
            let place = number.and_then(|number| expected.get_mut(number));
            match place.map(Option::take) {
                Some(Some(reading))
                    if reading.thousandths == thousandths
                        && reading.point().unit == arrived.unit =>
                {
                    account.distinct += 1;
                }
                Some(None) => account.doubled += 1,
                _ => account.foreign += 1,
            }
        }
    }
    account
}

fn unpack(kept: &Kept) -> Vec<u8> {
    let mut json = Vec::new();
    let unpacked = match kept.encoding.as_str() {
        "gzip" => GzDecoder::new(kept.body.as_slice()).read_to_end(&mut json),
        "zstd" => zstd::Decoder::new(kept.body.as_slice())
            .and_then(|mut decoder| decoder.read_to_end(&mut json)),
        "" | "identity" => return kept.body.clone(),
        other => panic!("the sink does not know the encoding {other}"),
    };
    unpacked.expect("a body that was compressed as it says");
    json
}
