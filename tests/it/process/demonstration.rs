//! `demo`: the account at its end, read as a person reads it.

use std::{collections::HashMap, process::Command};

use super::service::PROGRAM;

#[test]
fn the_demonstration_survives_an_outage_with_a_balanced_account() {
    let output = Command::new(PROGRAM)
        .args("demo --backlog 5000 --outage 3s --duration 12s".split(' '))
        .env_clear()
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}{said}");
    for address in [
        "Client System  http://127.0.0.1:",
        "Status         http://127.0.0.1:",
    ] {
        assert!(printed.contains(address), "{printed}");
    }

    let account = account(&printed);
    let number = |name: &str| account[name];
    assert!(
        number("generated") > 5000,
        "the meters went on: {account:?}"
    );
    assert!(number("delivered") >= 5000, "{account:?}");
    assert_eq!(
        number("generated"),
        number("delivered") + number("queued") + number("quarantined"),
        "{account:?}"
    );
    assert_eq!(
        (number("duplicates"), number("lost")),
        (0, 0),
        "{account:?}"
    );
}

fn account(printed: &str) -> HashMap<&str, u64> {
    let line = printed
        .lines()
        .find(|line| line.starts_with("generated="))
        .unwrap_or_else(|| panic!("no account: {printed}"));
    line.split(' ')
        .map(|entry| {
            let (name, number) = entry.split_once('=').expect("a name and a number");
            (name, number.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn a_reader_that_stops_reading_does_not_stop_the_demonstration() {
    let script = format!("set -o pipefail; {PROGRAM} demo --backlog 500 --duration 3s | head -n 1");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
}
