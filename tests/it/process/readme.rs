//! The README's commands, run as they stand there; only ports, folders and what needs root are exchanged.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::{postgres_site::PostgresSite, service::PROGRAM, site::Site};

const README: &str = include_str!("../../../README.md");

/// All shell blocks of the README.
fn blocks() -> Vec<&'static str> {
    README
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a block has an end"))
        .collect()
}

fn block_with(words: &str) -> &'static str {
    let found = blocks().into_iter().find(|block| block.contains(words));
    found.unwrap_or_else(|| panic!("the README has a block with {words:?}"))
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(script: &str, folder: &Path, environment: &[(&str, &str)]) -> Output {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let script =
        format!("set -euo pipefail; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        // Whoever tests behind a proxy still has the simulator on the machine itself.
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy")
        .envs(environment.iter().copied())
        .output()
        .expect("bash must be installed");
    assert!(output.status.success(), "{script}\n{output:?}");
    output
}

#[test]
fn installing_and_trying_by_hand_work_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let built = Path::new(PROGRAM).parent().unwrap().display().to_string();
    let install = block_with("sudo install")
        .replace("cargo build --release --locked\n", "")
        .replace("sudo install", "install")
        .replace("target/release", &built)
        .replace("/usr/local/bin/", &format!("{}/", folder.path().display()));
    run(&install, folder.path(), &[]);

    let [upstream, local] = [free_port().to_string(), free_port().to_string()];
    let by_hand = block_with("simulate client-system")
        .replace("8080", &upstream)
        .replace("3002", &local);
    let output = run(&by_hand, folder.path(), &[("LOCAL_API_PORT", &local)]);

    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("<redacted>"),
        "check-config hides the key: {printed}"
    );
    // What curl printed follows without a line break in between.
    let documents = printed
        .split_once("{\"")
        .map(|(_, rest)| format!("{{\"{rest}"))
        .unwrap();
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&documents)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {printed}"));
    let [_, report, status] = &documents[..] else {
        panic!("three answers: {printed}")
    };
    assert_eq!(report["end"]["kind"], "drained", "{report}");
    assert_eq!(status["sync"]["totalSynced"], 1, "{status}");
    // The fresh reading starts a pass of its own, which finds nothing more when the triggered one came first.
    let is_well = ["ok", "syncing"]
        .iter()
        .any(|state| status["state"] == *state);
    assert!(is_well, "{status}");
}

#[test]
fn moving_from_sqlite_to_postgresql_works_as_written() {
    let old = Site::new();
    let new = PostgresSite::new();
    old.insert(100);
    let programs = Path::new(PROGRAM).parent().unwrap();
    let import = block_with("meterit-sync import")
        .replace(
            "sqlite:sync.db",
            &format!("sqlite:{}", old.database().display()),
        )
        .replace("postgres://meterit@127.0.0.1:5432/site", &new.url);
    let output = run(&import, programs, &[]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("nothing is missing"), "{printed}");
    assert_eq!(new.count("meter_readings"), 100);
}

#[test]
fn the_commands_on_a_running_service_work_as_written() {
    let site = Site::new();
    site.insert(10);
    let service = site.start();
    service.wait_until_connected();
    let programs = Path::new(PROGRAM).parent().unwrap();
    let port = service.port().to_string();
    let commands = block_with("meterit-sync sync trigger");
    let output = run(commands, programs, &[("LOCAL_API_PORT", &port)]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("\"total_readings_synced\":10"),
        "{printed}"
    );
    service.stop();
}

#[test]
fn the_measurement_of_what_a_drain_costs_runs() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/measure");
    assert!(README.contains("`tests/measure`"));
    let output = Command::new(script)
        .arg("3000")
        .env("PROGRAM", PROGRAM)
        .output()
        .expect("bash must be installed");
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("\n| 3000 | "), "{table}");
}

#[test]
fn the_table_of_the_fleet_is_what_the_command_prints() {
    let output = Command::new(PROGRAM)
        .args(["simulate", "fleet"])
        .output()
        .expect("the program starts");
    assert!(README.contains("`meterit-sync simulate fleet`"));
    let printed = String::from_utf8(output.stdout).unwrap();
    let rows = |text: &str| -> Vec<String> {
        let is_row = |line: &&str| line.starts_with("| ") && line.contains("0 to ");
        text.lines().filter(is_row).map(ToOwned::to_owned).collect()
    };
    let (told, printed) = (rows(README), rows(&printed));
    assert_eq!(told.len(), 8);
    assert_eq!(told, printed[..8]);
}

#[test]
fn every_command_of_the_readme_is_tried_somewhere() {
    let tried_here = [
        "sudo install",
        // By the test of the package.
        "cargo deb",
        "diagnose",
        "simulate client-system",
        "meterit-sync import",
        "meterit-sync sync trigger",
    ];
    // The other two are what is run before anything is merged, the demonstration at the size that the text names.
    let tried_before_merging = ["cargo run --release -- demo\n", "tests/run\n"];
    for block in blocks() {
        let tried = tried_here.iter().any(|words| block.contains(words))
            || tried_before_merging.contains(&block);
        assert!(tried, "nobody tries this: {block}");
    }
    let merge_check = include_str!("../../../.ci/run");
    assert!(merge_check.contains(
        "cargo run --release --locked -- demo --backlog 100000 --outage 20s --duration 60s"
    ));
    assert!(README.contains("`demo --backlog 100000 --outage 20s --duration 60s`"));
    assert!(merge_check.contains("\ntests/run\n"));
}
