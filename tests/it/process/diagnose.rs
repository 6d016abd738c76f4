//! `diagnose`: names what is wrong, with and without a running service, and packs what it saw without any secret.

mod beside_a_service;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use chrono::{TimeDelta, Utc};
use flate2::read::GzDecoder;
use meterit_sync::{
    clock::Clock,
    demo::client_system::{ClientSystemOptions, FaultAction, FaultPath, FaultRule, RateLimit},
};
use serde_json::Value;

use super::{
    postgres_site::PostgresSite, readme::free_port, service::PROGRAM, site::Site,
    waiting::wait_until,
};

const KEY: &str = "a-key-that-nobody-may-read-7f3a91";
const ARCHIVE: &str = "site.tar.gz";
const FILES: [&str; 7] = [
    "about.txt",
    "database.json",
    "finding.txt",
    "link.json",
    "log.txt",
    "settings.txt",
    "status.json",
];

/// What the command said, and what it packed.
struct Diagnosis {
    code: Option<i32>,
    said: String,
    files: BTreeMap<String, String>,
}

impl Diagnosis {
    /// Runs the command on a site, for a service on that port.
    fn of(site: &Site, service: u16) -> Self {
        let mut command = Command::new(PROGRAM);
        site.furnish(&mut command);
        Self::run(command, service, &site.file(ARCHIVE))
    }

    fn run(mut command: Command, service: u16, archive: &Path) -> Self {
        let _ = fs::remove_file(archive);
        command
            .args(["diagnose", "--output"])
            .arg(archive)
            .args(["--url", &format!("http://127.0.0.1:{service}")]);
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(archive.exists(), "{said}");
        let files = unpacked(archive);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, FILES);
        for (name, contents) in &files {
            assert!(!contents.contains(KEY), "{name}: {contents}");
        }
        assert!(!said.contains(KEY), "{said}");
        Self {
            code: output.status.code(),
            said,
            files,
        }
    }

    /// The first thing that is wrong.
    fn first(&self) -> &str {
        let lines = self.said.lines();
        let found = lines
            .into_iter()
            .find_map(|line| line.strip_prefix("What is wrong: "));
        found.unwrap_or_else(|| panic!("nothing is wrong: {}", self.said))
    }

    /// Fails unless this is what is found first, and said in the archive as well.
    #[track_caller]
    fn names(&self, fault: &str) {
        assert_eq!(self.code, Some(5), "{}", self.said);
        assert!(self.first().contains(fault), "{fault}: {}", self.said);
        for part in ["What it means: ", "What to do:    ", fault] {
            assert!(
                self.files["finding.txt"].contains(part),
                "{part}: {}",
                self.said
            );
        }
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.files[name]).unwrap()
    }
}

fn text(output: &Output) -> String {
    let both = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(both).unwrap()
}

fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let mode = fs::metadata(archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive).unwrap()));
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let folder = path.parent().unwrap().to_str().unwrap();
            assert!(folder.starts_with("meterit-sync-diagnosis-20"), "{folder}");
            let mut contents = String::new();
            entry.read_to_string(&mut contents).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.to_owned(), contents)
        })
        .collect()
}

/// A site with a key that can be recognised.
fn site() -> Site {
    let options = ClientSystemOptions {
        api_key: KEY.to_owned(),
        ..ClientSystemOptions::default()
    };
    Site::with_client_system(options)
}

#[test]
fn a_disk_that_hangs_is_told_and_all_else_is_looked_at() {
    let site = site();
    site.insert(3);
    // Whoever opens it waits for somebody who writes.
    let log = site.file("sync.db-wal");
    let made = Command::new("mkfifo").arg(&log).status().unwrap();
    assert!(made.success());
    let diagnosis = Diagnosis::of(&site, free_port());
    assert!(
        diagnosis.said.contains("the Sync Database does not answer"),
        "{}",
        diagnosis.said
    );
    assert!(diagnosis.said.contains("look whether its disk hangs"));
    assert!(
        diagnosis.said.contains("tcp      passed"),
        "{}",
        diagnosis.said
    );
}

/// A server that shows a certificate whose time is over. Nobody who is trusted has signed it either: a real one that has
/// expired can only be had from a public authority.
fn expired_tls_server() -> u16 {
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "an old Client System");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut server = rustls::ServerConnection::new(config.clone()).unwrap();
            // The other side breaks it off.
            let _ = server.complete_io(&mut stream);
        }
    });
    port
}

#[test]
fn a_name_that_nobody_knows_is_named() {
    let site = site()
        .set("CLIENT_API_URL", "http://client-system.invalid/api")
        .set("CLIENT_API_ALLOW_HTTP", "true");
    let found = Diagnosis::of(&site, free_port());
    found.names("the name client-system.invalid cannot be resolved");
    assert!(
        found.said.contains("the service does not run"),
        "{}",
        found.said
    );
}

#[test]
fn a_refused_connection_is_named() {
    let site = site();
    site.client_system.set_down(true);
    let found = Diagnosis::of(&site, free_port());
    found.names(&format!(
        "127.0.0.1:{} refuses connections",
        site.client_system.port()
    ));
    let steps = &found.json("link.json")["steps"];
    assert_eq!(steps[0]["name"], "dns");
    assert_eq!(
        (&steps[1]["name"], &steps[1]["passed"]),
        (&"tcp".into(), &false.into())
    );
}

#[test]
fn an_expired_certificate_is_named() {
    let port = expired_tls_server();
    let site = site().set("CLIENT_API_URL", &format!("https://localhost:{port}/api"));
    let found = Diagnosis::of(&site, free_port());
    found.names(&format!(
        "the certificate of localhost:{port} has expired on 2020-01-01T00:00:00.000Z"
    ));
    let certificate = &found.json("link.json")["certificate"];
    assert_eq!(
        certificate["subject"], "CN=an old Client System",
        "{certificate}"
    );
    assert_eq!(
        certificate["issuer"], "CN=an old Client System",
        "{certificate}"
    );
    assert_eq!(certificate["names"][0], "localhost", "{certificate}");
    assert_eq!(certificate["not_before"], "2019-01-01T00:00:00.000Z");
}

#[test]
fn a_key_that_is_not_accepted_is_named() {
    let site = Site::new().set("CLIENT_API_KEY", KEY);
    let found = Diagnosis::of(&site, free_port());
    found.names("the Client System does not accept the API key (401: Invalid API key)");
}

fn answering(status: u16, path: FaultPath, date: Option<String>) -> FaultRule {
    let headers = date.map(|date| ("Date".to_owned(), date));
    let action = FaultAction::Answer {
        status,
        headers: headers.into_iter().collect(),
        body: r#"{"status":"OK"}"#.to_owned(),
    };
    FaultRule::on(path, action)
}

#[test]
fn a_wrong_path_is_one_finding() {
    let site = site();
    for path in [FaultPath::Health, FaultPath::Auth] {
        site.client_system.add_fault(answering(404, path, None));
    }
    let found = Diagnosis::of(&site, free_port());
    found.names("/health is answered with 404");
    // The other two are about the database and the service, which has never run.
    assert_eq!(found.said.matches("What is wrong: ").count(), 3);
}

#[test]
fn a_health_check_that_wants_a_key_passes_with_a_reason() {
    let site = site();
    site.client_system
        .add_fault(answering(401, FaultPath::Health, None));
    let found = Diagnosis::of(&site, free_port());
    let words = "health   passed  /health is answered, though only to those who show a key (401)";
    assert!(found.said.contains(words), "{}", found.said);
}

#[test]
fn a_limit_that_is_used_up_is_named() {
    let site = site();
    let limit = RateLimit {
        requests: 1,
        ..RateLimit::DEPLOYED
    };
    site.client_system.set_rate_limit(Some(limit));
    let found = Diagnosis::of(&site, free_port());
    found.names("the Client System limits its callers, and takes no more calls from here for now; it wants to be left alone until 20");
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    let site = site();
    // It is the other side's clock that differs: this machine's own is everybody's.
    let now: chrono::DateTime<Utc> = Clock::system().now();
    let date = (now + TimeDelta::minutes(90)).format("%a, %d %b %Y %H:%M:%S GMT");
    site.client_system
        .add_fault(answering(200, FaultPath::Health, Some(date.to_string())));
    let found = Diagnosis::of(&site, free_port());
    found.names("this machine's clock is 1 h ");
    assert!(
        found.first().contains("behind that of the Client System"),
        "{}",
        found.said
    );
}

#[test]
fn a_proxy_that_does_not_let_through_is_named_without_its_password() {
    let port = free_port();
    let proxy = format!("http://site-7:hidden-word@127.0.0.1:{port}");
    let site = site()
        .set("HTTPS_PROXY", &proxy)
        .set("CLIENT_API_ALLOW_HTTP", "true");
    let found = Diagnosis::of(&site, free_port());
    found.names(&format!(
        "the proxy 127.0.0.1:{port} refuses the connection"
    ));
    let everything = format!("{}{:?}", found.said, found.files);
    assert!(!everything.contains("hidden-word"), "{everything}");
}

#[test]
fn beside_a_running_service_all_is_well_and_stays_so() {
    let site = site();
    let tools = site.file("tools");
    fs::create_dir(&tools).unwrap();
    // What a service must never log, to see that it would not leave the machine either.
    let journal = tools.join("journalctl");
    fs::write(
        &journal,
        format!("#!/bin/sh\necho \"$@\"\necho a line with {KEY}\n"),
    )
    .unwrap();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let site = site.set("PATH", &path);
    site.insert(100);
    let service = site.start();
    site.wait_until_drained(100);
    wait_until("rest", || service.get("/status")["state"] == "ok");

    let found = Diagnosis::of(&site, service.port());

    assert_eq!(found.code, Some(0), "{}", found.said);
    assert!(found.said.contains("Nothing is wrong"), "{}", found.said);
    assert_eq!(found.json("status.json")["state"], "ok");
    let database = found.json("database.json");
    assert_eq!(database["queue"]["pending"], 0, "{database}");
    assert_eq!(database["migrations_missing"], serde_json::json!([]));
    assert!(found.files["settings.txt"].contains("<redacted>"));
    let log = &found.files["log.txt"];
    assert!(log.contains("--unit meterit-sync"), "{log}");
    assert!(log.contains("a line with <redacted>"), "{log}");
    site.insert(10);
    wait_until("what comes later", || {
        site.client_system.delivered().0 == 110
    });
    service.stop();
}

#[test]
fn while_the_client_system_wants_to_be_left_alone_it_is_not_called() {
    let site = site();
    let limit = RateLimit {
        requests: 1,
        ..RateLimit::DEPLOYED
    };
    site.client_system.set_rate_limit(Some(limit));
    let service = site.start();
    wait_until("the limit", || {
        service.get("/status")["state"] == "rate_limited"
    });
    let found = Diagnosis::of(&site, service.port());
    found.names("the Client System limits its callers, and takes no more calls from here for now; it wants to be left alone until 20");
    let wrong = found.said.matches("What is wrong").count();
    assert_eq!(wrong, 1, "once is enough: {}", found.said);
    service.stop();
    // It is written down for whoever comes without the service.
    Diagnosis::of(&site, free_port()).names("it wants to be left alone until 20");
    // The service itself has no reason to try the key, and its first calls may have come side by side.
    let requests = site.client_system.ledger().requests;
    assert!(requests.values().sum::<u64>() > 0, "{requests:?}");
    let tried = requests.keys().any(|call| call.contains("auth"));
    assert!(!tried, "{requests:?}");
}

#[test]
fn a_queue_in_postgresql_is_looked_at_beside_its_service() {
    let site = PostgresSite::new();
    site.insert(500);
    site.client_system.set_down(true);
    let service = site.start();
    wait_until("the truth", || service.get("/status")["state"] == "offline");
    let folder = tempfile::tempdir().unwrap();
    let command = on_postgres(&site);
    let found = Diagnosis::run(command, service.port(), &folder.path().join(ARCHIVE));
    found.names("refuses connections");
    let database = found.json("database.json");
    assert_eq!(database["queue"]["pending"], 500, "{database}");
    assert!(
        database["queue"]["oldest_pending_at"].is_string(),
        "{database}"
    );
    site.client_system.set_down(false);
    site.wait_until_drained(500);
    service.stop();
}

/// Lets every upload fail in a way that leaves its fate open.
fn failing_uploads() -> FaultRule {
    answering(500, FaultPath::Batch, None)
}

const SET_ASIDE: &str = "INSERT INTO quarantined_readings \
     (reading_id, retry_count, reason, status, message, quarantined_at) VALUES \
     (1, 0, 'refused', 400, 'first', '2026-01-01 00:00:00'), \
     (2, 0, 'refused', 400, 'last', '2026-01-02 00:00:00'), \
     (3, 0, 'unreadable', NULL, 'no number', '2026-01-03 00:00:00')";

fn assert_counted(found: &Diagnosis) {
    let queue = &found.json("database.json")["queue"];
    assert_eq!(queue["pending"], 50, "{queue}");
    let batch = &queue["batches"][0];
    assert_eq!(
        (&batch["state"], &batch["batches"], &batch["readings"]),
        (&"live".into(), &1.into(), &50.into()),
        "{queue}"
    );
    assert!(batch["most_attempts"].as_u64() >= Some(1), "{queue}");
    assert!(batch["oldest_claimed_at"].is_string(), "{queue}");
    let refused = serde_json::json!({
        "reason": "refused",
        "status": 400,
        "readings": 2,
        "since": "2026-01-01T00:00:00.000Z",
        "until": "2026-01-02T00:00:00.000Z",
        "last_message": "last",
    });
    assert_eq!(queue["quarantine"][0], refused, "{queue}");
    assert_eq!(queue["quarantine"][1]["reason"], "unreadable", "{queue}");
    assert_eq!(queue["quarantine"][1]["status"], Value::Null, "{queue}");
}

#[test]
fn what_is_on_its_way_and_what_was_set_aside_is_counted_in_either_engine() {
    let site = site();
    site.client_system.add_fault(failing_uploads());
    site.insert(50);
    let service = site.start();
    wait_until("a failure", || !site.client_system.batches().is_empty());
    site.sql(SET_ASIDE);
    assert_counted(&Diagnosis::of(&site, service.port()));
    service.stop();

    let site = PostgresSite::new();
    site.client_system.add_fault(failing_uploads());
    site.insert(50);
    let service = site.start();
    wait_until("a failure", || !site.client_system.batches().is_empty());
    site.sql(SET_ASIDE);
    let folder = tempfile::tempdir().unwrap();
    let command = on_postgres(&site);
    assert_counted(&Diagnosis::run(
        command,
        service.port(),
        &folder.path().join(ARCHIVE),
    ));
    service.stop();
}

fn on_postgres(site: &PostgresSite) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("CLIENT_API_URL", site.client_system.base_url())
        .env("CLIENT_API_KEY", KEY)
        .env("DATABASE_URL", &site.url);
    command
}

#[test]
fn an_archive_that_is_there_already_is_left_alone() {
    let site = site();
    fs::write(site.file(ARCHIVE), "precious").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["diagnose", "--output", ARCHIVE]);
    site.furnish(&mut command);
    let output = command.output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("name another file with --output"), "{said}");
    assert_eq!(fs::read_to_string(site.file(ARCHIVE)).unwrap(), "precious");
}

#[test]
fn a_page_that_answers_in_the_client_systems_place_is_named() {
    let site = site();
    for path in [FaultPath::Health, FaultPath::Auth] {
        let page = FaultAction::Answer {
            status: 200,
            headers: vec![("Content-Type".to_owned(), "text/html".to_owned())],
            body: "<html>Please log in</html>".to_owned(),
        };
        site.client_system.add_fault(FaultRule::on(path, page));
    }
    let found = Diagnosis::of(&site, free_port());
    found.names("/health is answered with 200 (Please log in)");
}
