//! A site whose network lets nothing out but through a proxy: Debian's tinyproxy, as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use super::{
    readme::free_port,
    service::PROGRAM,
    site::Site,
    waiting::{wait_for, wait_until},
};

/// The proxy calls others from here, so that its calls can be told from the service's own.
const PROXY_CALLS_FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const USER: &str = "site-7";
const PASSWORD: &str = "pass-word-7f3a91";

/// A proxy that lets one user connect to one port.
struct Proxy {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Proxy {
    fn start(site: &Site, connect_port: u16) -> Self {
        let allowed = format!("ConnectPort {connect_port}\n");
        Self::start_in(&site.file(""), free_port(), &allowed)
    }

    /// In a folder, on a port, with more settings.
    fn start_in(folder: &Path, port: u16, more: &str) -> Self {
        let log = folder.join("tinyproxy.log");
        let settings = folder.join("tinyproxy.conf");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nBind {PROXY_CALLS_FROM}\nTimeout 60\nMaxClients 50\n\
             LogFile \"{}\"\nLogLevel Info\nBasicAuth {USER} {PASSWORD}\n{more}",
            log.display()
        );
        fs::write(&settings, text).unwrap();
        let process = Command::new("tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "tinyproxy must be installed (Debian: tinyproxy-bin); tests/run prepare does it",
            );
        wait_until("the proxy", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { process, port, log }
    }

    fn url(&self, password: &str) -> String {
        format!("http://{USER}:{password}@127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The door of the Client System, with a list of those who came through it.
struct Door {
    port: u16,
    callers: Arc<Mutex<Vec<IpAddr>>>,
}

impl Door {
    fn before(client_system: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let callers = Arc::new(Mutex::new(Vec::new()));
        let seen = callers.clone();
        std::thread::spawn(move || {
            while let Ok((caller, address)) = listener.accept() {
                seen.lock().unwrap().push(address.ip());
                let Ok(inner) = TcpStream::connect((Ipv4Addr::LOCALHOST, client_system)) else {
                    continue;
                };
                for (mut from, mut to) in [
                    (caller.try_clone().unwrap(), inner.try_clone().unwrap()),
                    (inner, caller),
                ] {
                    std::thread::spawn(move || {
                        let _ = forward(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { port, callers }
    }

    /// Who called, each once.
    fn callers(&self) -> Vec<IpAddr> {
        let mut callers = self.callers.lock().unwrap().clone();
        callers.sort_unstable();
        callers.dedup();
        callers
    }
}

fn forward(from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length])?,
        }
    }
}

/// A site whose Client System is behind a door, with a proxy on the way there.
fn proxied_site() -> (Site, Door, Proxy) {
    let site = Site::new();
    let door = Door::before(site.client_system.port());
    let proxy = Proxy::start(&site, door.port);
    let url = format!("http://127.0.0.1:{}/api", door.port);
    let site = site
        .set("CLIENT_API_URL", &url)
        .set("CLIENT_API_ALLOW_HTTP", "true")
        .set("HEARTBEAT_INTERVAL_MS", "1000")
        .set("CONNECTIVITY_CHECK_INTERVAL_MS", "1000");
    (site, door, proxy)
}

#[test]
fn everything_goes_through_the_proxy_and_nothing_beside_it() {
    let (site, door, proxy) = proxied_site();
    let site = site
        .set("HTTPS_PROXY", &proxy.url(PASSWORD))
        .set("LOG_LEVEL", "trace")
        .set("BATCH_SIZE", "100");
    site.insert(2_500);
    let service = site.start();
    site.wait_until_drained(2_500);
    wait_until("every kind of call", || {
        let status = service.get("/status");
        status["heartbeat"]["last_success_at"].is_string()
            && status["config"]["last_success_at"].is_string()
            && status["state"] == "ok"
    });
    site.insert(10);
    service
        .post("/api/v1/sync/trigger?wait=true", None)
        .expect_status(200);
    site.client_system.set_down(true);
    wait_until("an outage behind the proxy", || {
        service.get("/status")["state"] == "offline"
    });
    site.client_system.set_down(false);
    wait_until("its end", || service.get("/status")["state"] == "ok");
    let log = service.stop();

    assert_eq!(door.callers(), [IpAddr::from(PROXY_CALLS_FROM)]);
    let asked = format!("CONNECT 127.0.0.1:{} HTTP/1.1", door.port);
    let tunnels = proxy.log().matches(&asked).count();
    let calls = site.client_system.ledger().requests;
    let calls: u64 = calls.values().sum();
    assert!(
        tunnels > 0 && (tunnels as u64) < calls,
        "{tunnels} tunnels for {calls} calls"
    );
    for line in log {
        assert!(!line.contains(PASSWORD), "{line}");
        // USER:PASSWORD in Base64.
        assert!(!line.contains("c2l0ZS03OnBhc3Mtd29yZC03ZjNhOTE"), "{line}");
    }
}

#[test]
fn wrong_credentials_are_told_and_nothing_is_sent() {
    let (site, door, proxy) = proxied_site();
    let site = site.set("HTTPS_PROXY", &proxy.url("another"));
    site.insert(10);
    let service = site.start();
    let status = wait_for("the truth", || {
        let status = service.get("/status");
        (status["state"] == "offline").then_some(status)
    });
    for place in [&status["reason"], &status["connectivity"]["lastError"]] {
        let words = place.as_str().unwrap();
        assert!(
            words.contains(&format!("the proxy 127.0.0.1:{}", proxy.port))
                && words.contains("does not accept those in HTTPS_PROXY")
                && words.contains("40"),
            "{words}"
        );
        assert!(!words.contains("another"), "{words}");
    }
    assert_eq!(site.count("meter_readings"), 10);
    service.stop();
    assert_eq!(door.callers(), [] as [IpAddr; 0]);
}

#[test]
fn a_port_that_the_proxy_does_not_allow_is_told() {
    let (site, _door, proxy) = proxied_site();
    let url = site.client_system.base_url();
    let site = site
        .set("HTTPS_PROXY", &proxy.url(PASSWORD))
        .set("CLIENT_API_URL", &url);
    let service = site.start();
    let reason = wait_for("the truth", || {
        let status = service.get("/status");
        (status["state"] == "offline").then(|| status["reason"].as_str().unwrap().to_owned())
    });
    let told = format!(
        "does not allow connections to 127.0.0.1:{} (403",
        site.client_system.port()
    );
    assert!(reason.contains(&told), "{reason}");
    service.stop();
}

#[test]
fn what_is_excepted_is_reached_without_the_proxy() {
    let (site, door, proxy) = proxied_site();
    let site = site
        .set("HTTPS_PROXY", &proxy.url("another"))
        .set("NO_PROXY", "localhost,127.0.0.0/8");
    site.insert(100);
    let service = site.start();
    site.wait_until_drained(100);
    service.stop();
    site.assert_all_delivered_once(100);
    assert_eq!(door.callers(), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    assert!(!proxy.log().contains("CONNECT 127"), "{}", proxy.log());
}

/// The demonstration's account of so many lines: readings in the queue and delivered.
fn told(line: &str) -> Option<(u64, u64)> {
    let number = |words: &str, after: &str| {
        let before = words.split_once(after)?.0;
        before.rsplit(' ').next()?.replace(',', "").parse().ok()
    };
    Some((number(line, " in queue")?, number(line, " delivered")?))
}

/// Reads on until a line is as wanted.
fn read_until(
    lines: &mut std::io::Lines<BufReader<ChildStdout>>,
    mut is_it: impl FnMut(&str) -> bool,
) -> String {
    let found = lines.map_while(Result::ok).find(|line| is_it(line));
    found.expect("the demonstration tells it")
}

#[test]
fn the_demonstration_goes_through_the_proxy_and_stands_still_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let proxy = Proxy::start_in(folder.path(), port, "");
    let mut demonstration = Command::new(PROGRAM)
        .args("demo --backlog 3000 --duration 24s".split(' '))
        .env_clear()
        .env("HTTPS_PROXY", proxy.url(PASSWORD))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demonstration.stdout.take().unwrap()).lines();
    let way = format!(", through the proxy 127.0.0.1:{port} (HTTPS_PROXY)");
    let first = read_until(&mut lines, |line| line.starts_with("Client System"));
    assert!(first.ends_with(&way), "{first}");
    read_until(&mut lines, |line| {
        told(line).is_some_and(|told| told.1 >= 3_000)
    });
    assert!(
        proxy.log().contains("CONNECT 127.0.0.1:"),
        "{}",
        proxy.log()
    );

    drop(proxy);
    let offline = |line: &str| line.contains("  offline: ");
    let delivered = told(&read_until(&mut lines, offline)).expect("numbers").1;
    let later = told(&read_until(&mut lines, offline)).expect("numbers");
    assert_eq!(later.1, delivered, "nothing goes beside it");
    assert!(later.0 > 0, "what is measured waits");

    let _proxy = Proxy::start_in(folder.path(), port, "");
    read_until(&mut lines, |line| {
        told(line).is_some_and(|told| told.1 > delivered)
    });
    let account = read_until(&mut lines, |line| line.starts_with("generated="));
    assert!(account.ends_with("duplicates=0 lost=0"), "{account}");
    assert!(demonstration.wait().unwrap().success());
}
