//! The soak at the size that every run can afford; the README names the long one.

use std::process::Command;

use super::service::PROGRAM;
use crate::helpers::postgres::{blocking, shared_server, url_of};

fn soak(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .arg("soak")
        .args(arguments)
        .output()
        .expect("the program starts");
    let printed = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{complaints}");
    assert!(
        printed.contains(" queued=0 lost=0 doubled=0\n"),
        "{printed}"
    );
    printed
}

#[test]
fn nothing_is_lost_or_doubled_under_every_kind_of_cut_on_sqlite() {
    let printed = soak(&[
        "--seed=1",
        "--cuts=33",
        "--kills=6",
        "--panics=11",
        "--readings=20000",
    ]);
    for counted in [
        "| cuts | 33 |",
        "| kill -9 | 6 |",
        "| panics of actors | 11 |",
    ] {
        assert!(printed.contains(counted), "{counted}: {printed}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_under_cuts_kills_and_panics_on_postgresql() {
    let server = shared_server();
    let name = format!("soak_{}", uuid::Uuid::now_v7().simple());
    blocking::execute(&server, &format!("CREATE DATABASE {name}")).expect("a new database");
    let url = format!("--database-url={}", url_of(&server, &name));
    soak(&[
        "--seed=2",
        "--cuts=20",
        "--kills=4",
        "--panics=5",
        "--readings=12000",
        &url,
    ]);
    blocking::execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).expect("it goes");
}

/// The most memory that the service had while it drained so many readings in one go, in KiB.
fn peak_memory_of_draining(readings: u32) -> f64 {
    let printed = soak(&[
        "--cuts=0",
        "--kills=0",
        "--panics=0",
        "--invalid-one-in=0",
        &format!("--readings={readings}"),
    ]);
    let delivered = format!("written={readings} delivered={readings} quarantined=0 ");
    assert!(printed.contains(&delivered), "{printed}");
    let (_, rest) = printed
        .split_once("| peak memory of the last process in KiB | ")
        .expect("a peak");
    let (number, _) = rest.split_once(' ').expect("a number");
    number.parse().expect("a number")
}

#[test]
fn draining_five_times_as_much_takes_no_more_memory() {
    let peaks = [40_000, 200_000].map(peak_memory_of_draining);
    assert!(peaks[1] <= peaks[0] * 1.1, "{peaks:?}");
}

#[test]
fn a_database_with_readings_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--cuts=0",
        "--kills=0",
        "--panics=0",
        "--readings=0",
        "--data-dir",
    ];
    let at = |folder: &tempfile::TempDir| {
        let mut command = Command::new(PROGRAM);
        command.arg("soak").args(small).arg(folder.path());
        command.output().expect("the program starts")
    };
    assert!(at(&folder).status.success(), "an empty one is welcome");
    let insert = "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
                  VALUES ('M', '2026-01-01', 'energy', 1)";
    let inserted = Command::new("sqlite3")
        .arg(folder.path().join("sync.db"))
        .arg(insert)
        .status();
    assert!(inserted.expect("the sqlite3 shell").success());
    let refused = at(&folder);
    assert_eq!(refused.status.code(), Some(1));
    let complaints = String::from_utf8_lossy(&refused.stderr);
    assert!(
        complaints.contains("holds readings already"),
        "{complaints}"
    );
}
