//! What strangers write, read by the code that has to read it: looks for inputs that bring it down, and for answers that
//! contradict each other. `tests/fuzz/run` builds and runs it; METERIT_FUZZ_TARGET names one of [`TARGETS`].
#![no_main]

use std::{env, fs, path::PathBuf, process, str, sync::OnceLock};

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use meterit_sync::{
    control::{BodyFormat, parse_readings},
    domain::{
        connectivity::LinkChange, event::EventKind, outcome::UploadOutcome, timestamp::Timestamp,
    },
    messages::events::EventBus,
    settings::{LoadOptions, Settings},
    upstream::{
        answer::{Answer, LONGEST_PAUSE, parse_date, parse_rate_limit_reset, parse_retry_after},
        body,
        classify::{Sending, classify_upload, row_failure_mode, says_all_stored},
        configuration::parse_configuration,
        heartbeat::parse_heartbeat_answer,
    },
};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] = [
    ("ingestion", ingestion),
    ("answers", answers),
    ("settings", settings),
    ("headers", headers),
    ("events", events),
];

fuzz_target!(|data: &[u8]| target()(data));

fn target() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = env::var("METERIT_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|(known, _)| *known == name);
        found
            .unwrap_or_else(|| panic!("METERIT_FUZZ_TARGET names no target: {name:?}"))
            .1
    })
}

/// What is taken in is sent as it is understood: written out and read again it is the same.
fn ingestion(data: &[u8]) {
    for format in [BodyFormat::Json, BodyFormat::Lines] {
        let Ok(readings) = parse_readings(data, format) else {
            continue;
        };
        assert!(!readings.is_empty());
        let sent = body::encode(&readings);
        let again = parse_readings(&sent, BodyFormat::Json).expect("what is sent can be read");
        assert_eq!(again, readings);
        assert!(
            readings
                .iter()
                .all(|reading| reading.value.fits_numeric_15_3())
        );
        assert_eq!(
            body::identities(&sent).expect("an own body").len(),
            readings.len()
        );
    }
}

/// Only a success can say that readings are stored.
fn answers(data: &[u8]) {
    const STATUSES: [u16; 16] = [
        200, 201, 204, 207, 302, 400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503,
    ];
    let [status, repeated, keeps, body @ ..] = data else {
        return;
    };
    let answer = Answer {
        status: STATUSES[usize::from(*status) % STATUSES.len()],
        body: body.to_vec(),
        ..Answer::default()
    };
    let meters = ["M-1", "M-2", "M-1"].map(str::to_owned);
    let sending = Sending {
        meters: &meters,
        repeated: repeated % 2 == 1,
        keeps_rows_on_failure: [None, Some(false), Some(true)][usize::from(*keeps) % 3],
    };
    let outcome = classify_upload(&answer, &sending);
    let is_stored = matches!(outcome, UploadOutcome::Stored);
    assert!(!is_stored || answer.status < 300, "{outcome:?}");
    assert!(
        !says_all_stored(&answer, meters.len()) || is_stored,
        "{outcome:?}"
    );
    let _ = row_failure_mode(&answer, &sending);
    assert!(answer.words().len() < 4_000);
    let _ = parse_configuration(body);
    let _ = parse_heartbeat_answer(body);
}

/// Whatever else is wrong, no key is told.
fn settings(data: &[u8]) {
    const KEY: &str = "hush-0123456789ab";
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| env::temp_dir().join(format!("fuzz-{}.toml", process::id())));
    fs::write(file, text).expect("a file");
    let environment = [("CLIENT_API_KEY", KEY), ("CONTROL_TOKEN", KEY)];
    let options = LoadOptions {
        config_file: Some(file.clone()),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let told = match Settings::load(&options) {
        Ok(loaded) => format!("{:?} {}", loaded.settings, loaded.report),
        Err(error) => error.to_string(),
    };
    assert!(!told.contains(KEY) || text.contains(KEY), "{told}");
}

/// Nobody can make us wait for longer than an hour.
fn headers(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let now = DateTime::<Utc>::UNIX_EPOCH;
    let date = parse_date(other);
    for pause in [
        parse_retry_after(one, now),
        parse_rate_limit_reset(one, date, now),
        parse_rate_limit_reset(one, None, date.unwrap_or(now)),
    ] {
        assert!(
            pause.is_none_or(|pause| pause <= LONGEST_PAUSE),
            "{pause:?}"
        );
    }
}

/// Whoever comes back hears nothing twice.
fn events(data: &[u8]) {
    static BUS: OnceLock<(EventBus, String)> = OnceLock::new();
    let (bus, last) = BUS.get_or_init(|| {
        let bus = EventBus::default();
        for _ in 0..300 {
            let kind = EventKind::Link {
                change: LinkChange::Connected,
                reason: None,
            };
            bus.tell(Timestamp(DateTime::UNIX_EPOCH), kind);
        }
        let recent = bus.recent(1);
        let last = recent.first().map(|event| bus.listen_after(None).id(event));
        (bus, last.expect("it was told"))
    });
    let text = String::from_utf8_lossy(data);
    let run = last.rsplit_once('-').map_or("", |(run, _)| run);
    for id in [text.clone().into_owned(), text.replace("RUN", run)] {
        let listening = bus.listen_after(Some(&id));
        let numbers: Vec<_> = listening.earlier.iter().map(|event| event.number).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
        let seen = id
            .strip_prefix(&format!("{run}-"))
            .and_then(|number| number.parse().ok());
        let first = numbers.first().copied();
        assert!(seen.is_none_or(|seen: u64| first.is_none_or(|first| first > seen)));
    }
}
