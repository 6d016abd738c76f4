//! What systemd is told: that the service serves, that its parts move, that it reads its settings again, and that its end
//! is intended. And what reading them again changes.

use std::{
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use meterit_sync::clock::Clock;
use serde_json::Value;

use super::{
    http,
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);
const SETTINGS: &str = "site.toml";
const UNIT: &str = include_str!("../../../settings/systemd/meterit-sync.service");

fn listen(socket: &Path) -> UnixDatagram {
    let listener = UnixDatagram::bind(socket).expect("a socket");
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    listener
}

/// A state in a sentence is told whenever it changes.
fn next(listener: &UnixDatagram) -> String {
    loop {
        let told = next_or_status(listener).expect("news in time");
        if !told.starts_with("STATUS=") {
            return told;
        }
    }
}

fn next_or_status(listener: &UnixDatagram) -> Option<String> {
    let mut news = [0; 4096];
    let length = listener.recv(&mut news).ok()?;
    Some(String::from_utf8_lossy(&news[..length]).trim().to_owned())
}

/// With a listener in the place of systemd, and settings in a file.
fn supervised(settings: &str) -> (Site, UnixDatagram) {
    let site = Site::new();
    let socket = site.file("notify");
    let listener = listen(&socket);
    std::fs::write(site.file(SETTINGS), settings).unwrap();
    let site = site
        .set("NOTIFY_SOCKET", &socket.display().to_string())
        .set("WATCHDOG_USEC", "1000000");
    (site, listener)
}

fn start(site: &Site) -> Service {
    let mut command = site.command();
    command.args(["--config", SETTINGS]);
    Service::spawn(command)
}

#[test]
fn it_is_told_of_the_start_of_life_of_reloading_and_of_the_end() {
    let (site, listener) = supervised("");
    let service = start(&site);
    assert_eq!(next(&listener), "READY=1");
    service.port();
    let told = std::iter::from_fn(|| next_or_status(&listener));
    let status = told.take(50).find(|told| told.starts_with("STATUS="));
    assert!(status.expect("a status").ends_with('.'));
    for _ in 0..3 {
        assert_eq!(next(&listener), "WATCHDOG=1");
    }
    service.signal("HUP");
    let reloading = std::iter::from_fn(|| Some(next(&listener)))
        .find(|told| told != "WATCHDOG=1")
        .expect("news");
    assert!(
        reloading.starts_with("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    while next(&listener) != "READY=1" {}
    assert_eq!(next(&listener), "WATCHDOG=1");
    service.signal("TERM");
    while next(&listener) != "STOPPING=1" {}
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log:?}");
}

#[test]
fn more_time_is_asked_for_while_the_database_is_being_opened() {
    let (site, listener) = supervised("");
    let keeper = site.kept_by_another_program();
    let service = start(&site);
    let asked = next(&listener);
    assert!(asked.starts_with("EXTEND_TIMEOUT_USEC=60000000"), "{asked}");
    assert!(asked.contains("STATUS=The Sync Database is being opened"));
    keeper.let_go();
    let news = std::iter::from_fn(|| Some(next(&listener)));
    let first = news.into_iter().find(|news| !news.starts_with("EXTEND_"));
    assert_eq!(first.as_deref(), Some("READY=1"));
    wait_until("all to be well", || service.get("/status")["state"] == "ok");
    service.stop();
}

/// Its thread is that of all actors. The local API has others, which tell of it until the process ends.
#[test]
fn a_thread_that_hangs_is_not_fed_and_told_and_ends_the_process() {
    let (site, listener) = supervised("");
    let mut command = site.command();
    command
        .arg("--failure-points-from-stdin")
        .stdin(Stdio::piped());
    let mut service = Service::spawn_as_it_is(command);
    service.wait_until_connected();
    assert_eq!(next(&listener), "READY=1");
    assert_eq!(next(&listener), "WATCHDOG=1");
    let mut input = service.input();
    writeln!(input, "heartbeat.handler blocks").unwrap();
    let port = service.port();
    // Nobody answers it.
    std::thread::spawn(move || {
        let _ = Command::new("curl")
            .args(["--silent", "--max-time", "60", "--request", "POST"])
            .arg(format!("http://127.0.0.1:{port}/api/v1/heartbeat"))
            .output();
    });
    listener
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    // Three in a second, were it fed; those under way before are a handful.
    let fed = std::iter::from_fn(|| next_or_status(&listener))
        .take(60)
        .count();
    assert!(fed < 60, "the watchdog is still fed");
    let ask = |path| service.ask("GET", path, None);
    wait_until("it to be told", || ask("/health/live").status == 503);
    ask("/health/ready").expect_status(503);
    let status = service.get("/status");
    let reason = status["reason"].as_str().expect("a reason");
    assert_eq!(status["state"], "degraded", "{reason}");
    assert!(reason.contains("has not moved for"), "{reason}");
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(1));
    assert!(
        log.iter()
            .any(|line| line.contains("has hung for a minute"))
    );
}

fn setting(service: &Service, key: &str) -> Option<(String, String)> {
    let settings = service.get("/api/v1/settings");
    let rows = settings["settings"].as_array().expect("settings");
    let row = rows.iter().find(|row| row["key"] == key)?;
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    Some((text("value"), text("from")))
}

fn says(service: &Service, words: &str) -> bool {
    service.log().iter().any(|line| line.contains(words))
}

#[test]
fn settings_that_are_read_again_take_effect_and_wrong_ones_change_nothing() {
    let (site, _listener) = supervised("sync_interval_minutes = 7\nlog_level = \"info\"\n");
    let service = start(&site);
    service.wait_until_connected();
    // A claim that is on its way already is as large as was allowed when it was made.
    wait_until("the first pass to end", || {
        !service.get("/status")["last_pass"].is_null()
    });
    let interval = |service: &Service| {
        let config = service.get("/status")["config"].clone();
        config["sync_interval_minutes"]["value"].as_u64()
    };
    assert_eq!(interval(&service), Some(7));
    assert_eq!(
        setting(&service, "sync_interval_minutes").map(|(value, _)| value),
        Some("7".to_owned())
    );

    let rewrite = |text: &str| std::fs::write(site.file(SETTINGS), text).unwrap();
    rewrite("sync_interval_minutes = 0\nbatch_size = 10\n");
    service.signal("HUP");
    wait_until("the refusal to be told", || {
        says(&service, "nothing was changed")
    });
    assert!(!says(&service, "nothing was started"));
    assert!(says(&service, "SYNC_INTERVAL_MINUTES") || says(&service, "sync_interval_minutes"));
    assert_eq!(interval(&service), Some(7));
    assert_eq!(
        service.get("/status")["config"]["batch_size"]["value"],
        1000
    );

    rewrite(
        "sync_interval_minutes = 9\nbatch_size = 10\nlog_level = \"debug\"\nkeep_synchronized = true\n",
    );
    service.signal("HUP");
    wait_until("the new interval", || interval(&service) == Some(9));
    assert_eq!(service.get("/status")["config"]["batch_size"]["value"], 10);
    wait_until("what waits for the next start", || {
        service
            .log()
            .iter()
            .any(|line| line.contains("at_next_start") && line.contains("keep_synchronized"))
    });
    assert_eq!(
        setting(&service, "keep_synchronized").map(|(value, _)| value),
        Some("false".to_owned())
    );
    let warnings = service.get("/api/v1/settings")["warnings"].clone();
    assert!(
        warnings[0]
            .as_str()
            .is_some_and(|warning| warning.contains("KEEP_SYNCHRONIZED")),
        "{warnings}"
    );
    site.insert(25);
    site.wait_until_drained(25);
    let sizes: Vec<usize> = site
        .client_system
        .batches()
        .iter()
        .map(|batch| batch.stored_readings.len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    wait_until("the log to tell more", || says(&service, "DEBUG"));
    service.stop();
}

#[test]
fn a_new_key_resumes_the_uploading() {
    let (site, _listener) = supervised("");
    let key_file = site.file("key");
    std::fs::write(&key_file, "an-old-key").unwrap();
    let site = site
        .set("CLIENT_API_KEY", "")
        .set("CLIENT_API_KEY_FILE", &key_file.display().to_string());
    let mut command = site.command();
    command.env_remove("CLIENT_API_KEY");
    let service = Service::spawn(command);
    site.insert(5);
    let state = |service: &Service| -> Value { service.get("/status")["state"].clone() };
    wait_until("the refusal", || state(&service) == "unauthorized");
    std::fs::write(&key_file, site.client_system.api_key()).unwrap();
    service.signal("HUP");
    site.wait_until_drained(5);
    wait_until("all to be well", || state(&service) == "ok");
    assert!(says(&service, "client_api_key"));
    assert!(!says(&service, &site.client_system.api_key()));
    service.stop();
}

/// `ProcSubset=pid`: nothing but processes is in /proc.
fn start_where_only_processes_are_seen(site: &Site) -> Service {
    let mut command = Command::new("unshare");
    site.furnish(&mut command);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        // Whoever is not root becomes it in a namespace of their own.
        .args([
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args([
            "sh",
            "-c",
            "mount -t proc -o subset=pid proc /proc && exec \"$0\" run",
        ])
        .arg(PROGRAM);
    Service::spawn(command)
}

#[test]
fn process_figures_are_told_where_only_processes_are_seen() {
    assert!(UNIT.contains("\nProcSubset=pid\n"));
    let site = Site::new();
    let begun = Clock::system().now().timestamp() as f64;
    let service = start_where_only_processes_are_seen(&site);
    let metrics = http::request(service.port(), "GET", "/metrics", None).body;
    let told = |name: &str| -> f64 {
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("{name} is not told"));
        value.parse().expect("a number")
    };
    let started = told("process_start_time_seconds");
    assert!((begun - 2.0..begun + 60.0).contains(&started), "{started}");
    assert!(told("process_resident_memory_bytes") > 1e6);
    assert!(told("process_open_fds") > 3.0);
    assert!(told("process_max_fds") > 3.0);
    assert!(told("process_cpu_seconds_total") >= 0.0);
}

#[test]
fn nobody_else_writes_the_database_of_the_unit() {
    assert!(UNIT.contains("\nUMask=0027\n"));
    let site = Site::new();
    let mut command = Command::new("sh");
    site.furnish(&mut command);
    command.env("DATABASE_URL", "sqlite:fresh.db").args([
        "-c",
        "umask 0027 && exec \"$0\" run",
        PROGRAM,
    ]);
    let service = Service::spawn(command);
    service.wait_until_connected();
    for name in ["fresh.db", "fresh.db-wal", "fresh.db-shm"] {
        let mode = std::fs::metadata(site.file(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
    service.stop();
}
