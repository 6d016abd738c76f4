//! The local API with tokens and a certificate of its own: the commands find their way in, what is read again takes effect,
//! and nobody reads a secret anywhere.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Output, Stdio},
};

use chrono::Datelike;
use meterit_sync::clock::Clock;
use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
use serde_json::{Value, json};

use super::{
    http,
    readme::free_port,
    service::{PROGRAM, Service},
    site::Site,
    waiting::wait_until,
};

const CONTROL: &str = "control-token-5f21c07be9";
const READ: &str = "read-token-90d6e1a2b4";
const NAME: &str = "edge-7.example";

/// A site whose service asks for tokens, which are in files.
fn guarded() -> Site {
    let site = Site::new();
    let control = file(&site, "control-token", CONTROL);
    let read = file(&site, "read-token", READ);
    site.set("CONTROL_TOKEN_FILE", &control)
        .set("READ_TOKEN_FILE", &read)
}

/// As [`guarded`], with a certificate for [`NAME`] and a port that commands find.
fn encrypted() -> Site {
    let site = guarded();
    show_certificate(&site);
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| site.file(name).display().to_string());
    site.set("LOCAL_TLS_CERT_FILE", &cert)
        .set("LOCAL_TLS_KEY_FILE", &key)
        .set("LOCAL_API_NAMES", NAME)
        .set("LOCAL_API_PORT", &free_port().to_string())
}

fn file(site: &Site, name: &str, text: &str) -> String {
    fs::write(site.file(name), text).unwrap();
    site.file(name).display().to_string()
}

/// Puts another certificate into the site's folder.
fn show_certificate(site: &Site) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    // The key first: for a moment it is none for the certificate.
    file(site, "key.pem", &signing_key.serialize_pem());
    file(site, "cert.pem", &cert.pem());
}

/// Puts another certificate into the site's folder, which is valid for so many days more.
fn show_certificate_for_days(site: &Site, days: i64) {
    let mut parameters = CertificateParams::new([NAME.to_owned()]).expect("a name");
    let end = Clock::system().now() + chrono::TimeDelta::days(days);
    let (year, day) = (end.year(), end.day());
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(
        year,
        end.month().try_into().unwrap(),
        day.try_into().unwrap(),
    );
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    file(site, "key.pem", &key.serialize_pem());
    file(site, "cert.pem", &certificate.pem());
}

/// A command with the site's settings.
fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    site.furnish(&mut command);
    command.args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// `curl` over TLS to the service under its name, trusting a certificate of the site's folder.
fn curl(site: &Site, service: &Service, trusted: &str, arguments: &[&str]) -> Output {
    let port = service.port();
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--write-out",
            "\n%{http_code} %{http_version}",
        ])
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(site.file(trusted))
        .args(arguments)
        .arg(format!("https://{NAME}:{port}/status"))
        .output()
        .expect("curl must be installed")
}

fn ended_with(output: &Output, words: &str) -> bool {
    String::from_utf8_lossy(&output.stdout).ends_with(words)
}

#[test]
fn the_commands_bring_the_token_and_know_the_certificate() {
    let site = encrypted();
    let service = site.start();
    let port = service.port().to_string();
    wait_until("the service to be well", || {
        let told = command(&site, &["status"]).output().unwrap();
        told.status.code() == Some(0)
    });
    let stopped = command(&site, &["sync", "stop"]).output().unwrap();
    assert!(said(&stopped, 0).contains("stopped"));

    // As an assistant has it.
    let mut relay = command(&site, &["mcp"]);
    relay.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut relay = relay.spawn().unwrap();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "start_sync", "arguments": {}}});
    let mut input = relay.stdin.take().expect("a pipe");
    writeln!(input, "{call}").unwrap();
    drop(input);
    let answer: Value = serde_json::from_slice(&relay.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        answer["result"]["structuredContent"]["changed"], true,
        "{answer}"
    );

    let url = format!("https://127.0.0.1:{port}");
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command
    };
    let distrustful = bare(&["status", "--url", &url]).output().unwrap();
    assert!(said(&distrustful, 4).contains("--ca-file"));
    let certificate = site.file("cert.pem").display().to_string();
    let arguments = ["status", "--url", &url, "--ca-file", &certificate];
    let without_token = bare(&arguments).output().unwrap();
    assert!(said(&without_token, 1).contains("no token came"));
    let looking = bare(&arguments).env("READ_TOKEN", READ).output().unwrap();
    said(&looking, 0);
    let acting = ["sync", "stop", "--url", &url, "--ca-file", &certificate];
    let refused = bare(&acting).env("READ_TOKEN", READ).output().unwrap();
    assert!(said(&refused, 1).contains("may look only"));
    let plain = bare(&["status", "--url", &url.replace("https", "http")]);
    said(&{ plain }.output().unwrap(), 4);
    service.stop();
}

#[test]
fn a_certificate_whose_end_is_near_is_told_wherever_somebody_looks() {
    let site = encrypted();
    show_certificate_for_days(&site, 5);
    let service = site.start();
    let words = "The certificate of the local API expires in 4 days, at ";
    wait_until("the status to tell it", || {
        let told = command(&site, &["status"]).output().unwrap();
        String::from_utf8_lossy(&told.stdout).contains(words)
    });
    let archive = site.file("diagnosis.tar.gz").display().to_string();
    let diagnose = || {
        let found = command(&site, &["diagnose", "--output", &archive]).output();
        String::from_utf8_lossy(&found.unwrap().stdout).into_owned()
    };
    let found = diagnose();
    for part in [
        &words[4..],
        "LOCAL_TLS_CERT_FILE",
        "refuse the service then",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    show_certificate(&site);
    service.signal("HUP");
    wait_until("the status to forget it", || {
        let told = command(&site, &["status"]).output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        told.contains("queue") && !told.contains("certificate of the local API")
    });
    assert!(!diagnose().contains("certificate of the local API"));
    service.stop();
}

#[test]
fn another_certificate_is_shown_as_soon_as_it_is_there_and_one_that_is_none_never() {
    let site = encrypted();
    fs::copy(site.file("cert.pem"), site.file("first.pem")).unwrap();
    let service = site.start();
    let bearer = format!("Authorization: Bearer {READ}");
    let trusting = |trusted: &str| curl(&site, &service, trusted, &["--header", &bearer]);
    let first = trusting("first.pem");
    assert!(ended_with(&first, "\n200 1.1"), "{first:?}");
    let host = ["--header", &bearer, "--header", "Host: rebound.example"];
    let rebound = curl(&site, &service, "first.pem", &host);
    assert!(ended_with(&rebound, "\n421 1.1"), "{rebound:?}");

    file(&site, "cert.pem", "nonsense");
    service.signal("HUP");
    wait_until("the service to complain", || {
        let log = service.log();
        log.iter()
            .any(|line| line.contains("goes on with the certificate") && line.contains("cert.pem"))
    });
    assert!(ended_with(&trusting("first.pem"), "\n200 1.1"));

    show_certificate(&site);
    wait_until("the new certificate to be shown by itself", || {
        ended_with(&trusting("cert.pem"), "\n200 1.1")
    });
    assert!(!ended_with(&trusting("first.pem"), "\n200 1.1"));
    show_certificate(&site);
    service.signal("HUP");
    wait_until("the next one to be shown", || {
        ended_with(&trusting("cert.pem"), "\n200 1.1")
    });
    service.stop();

    file(&site, "key.pem", "nonsense");
    let (status, log) = site.start().wait();
    let log = log.join("\n");
    assert_eq!(status.code(), Some(2), "{log}");
    for part in ["cannot speak TLS", "key.pem", "LOCAL_TLS_CERT_FILE"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn a_token_leaves_the_machine_in_plain_http_only_where_somebody_says_so() {
    let site = guarded();
    let elsewhere = "http://edge-7.invalid:3002";
    for arguments in [&["status"][..], &["sync", "stop"], &["mcp"], &["events"]] {
        let arguments = [arguments, &["--url", elsewhere]].concat();
        let refused = command(&site, &arguments).output().unwrap();
        let said = said(&refused, 2);
        for part in [elsewhere, "plain http", "--allow-http", "nothing was asked"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains(CONTROL) && !said.contains(READ), "{said}");
    }
    let asking = ["status", "--url", elsewhere, "--allow-http"];
    said(&command(&site, &asking).output().unwrap(), 4);
    // Without a token, there is nothing to lose.
    let bare = Command::new(PROGRAM)
        .args(["status", "--url", elsewhere])
        .env_clear()
        .output()
        .unwrap();
    said(&bare, 4);
}

fn ask(service: &Service, method: &str, path: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    http::request_with(service.port(), method, path, &headers).status
}

#[test]
fn another_token_takes_the_place_of_the_old_one_and_ends_what_that_began() {
    let site = guarded();
    let service = site.start();
    assert_eq!(ask(&service, "POST", "/api/v1/sync/stop", CONTROL), 200);
    assert_eq!(ask(&service, "POST", "/api/v1/sync/stop", READ), 403);
    let mut watcher = Command::new("curl")
        .args(["--silent", "--no-buffer", "--header"])
        .arg(format!("Authorization: Bearer {READ}"))
        .arg(format!(
            "http://127.0.0.1:{}/api/v1/events?status=true",
            service.port()
        ))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl must be installed");
    let mut stream = BufReader::new(watcher.stdout.take().expect("a pipe"));
    stream.read_line(&mut String::new()).unwrap();
    file(&site, "control-token", "control-token-of-tomorrow");
    service.signal("HUP");
    wait_until("the new token to be taken", || {
        ask(
            &service,
            "POST",
            "/api/v1/sync/start",
            "control-token-of-tomorrow",
        ) == 200
    });
    assert_eq!(ask(&service, "POST", "/api/v1/sync/stop", CONTROL), 401);
    // Instead of its next word.
    stream.read_to_end(&mut Vec::new()).unwrap();
    watcher.wait().unwrap();
    let log = service.stop().join("\n");
    assert!(log.contains("tokens of the local API"), "{log}");
    assert!(!log.contains("of-tomorrow"), "{log}");
}

#[test]
fn nobody_reads_a_token_or_a_session_anywhere() {
    let site = encrypted().set("LOG_LEVEL", "trace");
    let service = site.start();
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let (control, read) = (bearer(CONTROL), bearer(READ));
    for token in [&control, &read] {
        let told = curl(&site, &service, "cert.pem", &["--header", token]);
        assert!(ended_with(&told, "\n200 1.1"), "{told:?}");
    }
    let origin = format!("Origin: https://{NAME}:{}", service.port());
    let base = format!("https://{NAME}:{}", service.port());
    let page = |path: &str, more: &[&str]| {
        let target = format!("{base}{path}");
        let arguments = [
            &["--include", "--header", &origin],
            more,
            &[target.as_str()],
        ]
        .concat();
        let output = curl(&site, &service, "cert.pem", &arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let logged_in = page("/login", &["--data", &format!("token={CONTROL}")]);
    let lower = logged_in.to_lowercase();
    for attribute in ["httponly", "samesite=strict", "secure"] {
        assert!(lower.contains(attribute), "{logged_in}");
    }
    let (_, cookie) = logged_in.split_once("meterit-session-").expect("a session");
    let cookie = cookie.split(';').next().expect("a pair");
    let (_, session) = cookie.split_once('=').expect("a value");
    let shown = format!("Cookie: meterit-session-{cookie}");
    let mut seen = page("/login", &["--data", "token=a-wrong-token-3c1d"]);
    // Assistants, the older protocol, and a token that is wrong.
    let listing = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let forms = "Accept: application/json, text/event-stream";
    let as_json = "Content-Type: application/json";
    let wrong = bearer("a-wrong-token-3c1d");
    for (token, found) in [(&control, " 200"), (&wrong, " 401")] {
        let asking = ["--http1.1", "--header", token, "--header", forms];
        let asking = [&asking[..], &["--header", as_json, "--data", listing]].concat();
        let answer = page("/mcp", &asking);
        assert!(answer.contains(found), "{answer}");
        seen.push_str(&answer);
    }
    for path in [
        "/",
        "/metrics",
        "/api/v1/settings",
        "/openapi.json",
        "/docs/",
        "/status",
    ] {
        let answer = page(path, &["--header", &shown]);
        assert!(answer.contains(" 200"), "{path}: {answer}");
        seen.push_str(&answer);
    }
    // In the wrong place, as people send them.
    for (arguments, found) in [
        (["--header", &format!("Content-Type: {CONTROL}")], " 415"),
        (
            ["--header", &format!("Content-Encoding: {CONTROL}")],
            " 415",
        ),
        (["--header", &format!("X-Token: {CONTROL}")], " 415"),
    ] {
        let post = [&["--header", &control, "--data", "x"][..], &arguments].concat();
        let answer = page("/api/v1/readings", &post);
        assert!(answer.contains(found), "{answer}");
        seen.push_str(&answer);
    }
    for (path, found) in [
        (format!("/status?token={CONTROL}"), " 200"),
        (format!("/api/v1/events?access_token={READ}"), " 400"),
        (format!("/mcp?token={CONTROL}"), " 405"),
        (format!("/api/local/meters?token={READ}"), " 200"),
    ] {
        let answer = page(&path, &["--header", &shown]);
        assert!(answer.contains(found), "{path}: {answer}");
        seen.push_str(&answer);
    }
    let archive = site.file("site.tar");
    let diagnosis = command(&site, &["diagnose", "--output"])
        .arg(&archive)
        .output()
        .unwrap();
    seen.push_str(&String::from_utf8_lossy(&diagnosis.stdout));
    let unpacked = Command::new("tar")
        .args(["--extract", "--to-stdout", "--gzip", "--file"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    seen.push_str(&String::from_utf8_lossy(&unpacked.stdout));
    assert!(
        seen.contains("\"refused_calls\""),
        "the status is packed as well"
    );
    let process = format!("/proc/{}/cmdline", service.id());
    seen.push_str(&fs::read_to_string(process).unwrap());
    let log = service.stop();
    assert!(log.iter().any(|line| line.contains("\"TRACE\"")));
    seen.push_str(&log.join("\n"));
    for secret in [CONTROL, READ, session, "a-wrong-token-3c1d"] {
        let found = seen
            .find(secret)
            .map(|at| &seen[at.saturating_sub(200)..at]);
        assert_eq!(found, None, "{secret}");
    }
}
