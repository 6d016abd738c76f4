//! `migrate`: brings a database to the present shape before any service runs on it, or tells what is missing.

use std::process::{Command, Output};

use super::{postgres_site::PostgresSite, service::PROGRAM, site::Site};

fn migrate(url: &str, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .arg("migrate")
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url)
        .output()
        .unwrap()
}

/// Looks, migrates, looks again and migrates again a database with the deployed tables; `shape` tells whether anything
/// in it was changed.
fn assert_migrates(url: &str, shape: impl Fn() -> String) {
    let before = shape();
    let looked = migrate(url, &["--check"]);
    let listed = String::from_utf8(looked.stdout).unwrap();
    let advice = String::from_utf8(looked.stderr).unwrap();
    assert_eq!(looked.status.code(), Some(1), "{listed}{advice}");
    assert!(listed.contains("service tables"), "{listed}");
    assert!(advice.contains("`meterit-sync migrate`"), "{advice}");
    assert_eq!(shape(), before);

    let migrated = migrate(url, &[]);
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    let said = String::from_utf8(migrated.stdout).unwrap();
    assert!(said.contains("were done"), "{said}");
    let after = shape();
    assert_ne!(after, before);

    for (arguments, words) in [
        (&["--check"][..], "nothing is missing"),
        (&[], "nothing to do"),
    ] {
        let output = migrate(url, arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(shape(), after);
}

#[test]
fn a_file_is_brought_to_the_present_shape() {
    let site = Site::new();
    let url = format!("sqlite:{}", site.database().display());
    assert_migrates(&url, || {
        site.sql("SELECT group_concat(sql, ';') FROM sqlite_schema;")
    });
    let service = site.start();
    service.wait_until_connected();
    service.stop();
}

#[test]
fn a_database_on_a_server_is_brought_to_the_present_shape() {
    let site = PostgresSite::new();
    assert_migrates(&site.url, || {
        site.ask(
            "SELECT string_agg(relname || ' ' || attname, ',' ORDER BY relname, attname) \
             FROM pg_attribute INNER JOIN pg_class ON attrelid = pg_class.oid \
             WHERE relnamespace = 'public'::regnamespace",
        )
    });
    let service = site.start();
    service.wait_until_connected();
    service.stop();
}

#[test]
fn what_cannot_be_migrated_is_told_in_words() {
    let site = Site::new();
    let missing = format!("sqlite:{}", site.file("missing.db").display());
    let other = PostgresSite::new();
    other.sql("ALTER TABLE meter_readings DROP COLUMN value");
    for (url, arguments, code, words) in [
        (missing.as_str(), &["--check"][..], 1, "missing.db"),
        (&other.url, &["--check"], 2, "value"),
        (&other.url, &[], 2, "value"),
        (
            "postgres://meterit:hidden-word@127.0.0.1:1/site",
            &[],
            1,
            "DATABASE_URL",
        ),
        ("mysql://meterit:hidden-word@h/d", &[], 2, "DATABASE_URL"),
    ] {
        let output = migrate(url, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{url}: {said}");
        assert!(said.contains(words), "{url}: {said}");
        assert!(!said.contains("hidden-word"), "{said}");
    }
    assert!(!site.file("missing.db").exists());
}

/// The first start on a deployed database, killed at any moment, is only begun again by the next one.
#[test]
fn a_first_start_that_is_killed_half_way_costs_nothing() {
    let site = Site::new();
    // Ids that might be reused make it rebuild the table, which takes longest.
    site.sql(
        "DROP TABLE meter_readings; CREATE TABLE meter_readings (id INTEGER PRIMARY KEY, \
         meter_external_id VARCHAR(255) NOT NULL, timestamp TIMESTAMP NOT NULL, data_point VARCHAR(100) NOT NULL, \
         value NUMERIC(15,3) NOT NULL, unit VARCHAR(50), is_synchronized BOOLEAN DEFAULT 0, \
         retry_count INTEGER DEFAULT 0, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);",
    );
    site.insert(60_000);
    site.client_system.set_down(true);
    let url = format!("sqlite:{}", site.database().display());
    let mut interrupted = 0;
    for milliseconds in [1, 5, 10, 20, 30, 40, 50, 70, 90, 120] {
        let mut migration = Command::new(PROGRAM)
            .arg("migrate")
            .env_clear()
            .env("DATABASE_URL", &url)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        if migration.try_wait().unwrap().is_none() {
            interrupted += 1;
        }
        migration.kill().unwrap();
        migration.wait().unwrap();
        assert_eq!(
            site.count("meter_readings"),
            60_000,
            "after {milliseconds} ms"
        );
    }
    assert!(interrupted > 0, "none was killed half-way");
    site.client_system.set_down(false);
    let service = site.start();
    site.wait_until_drained(60_000);
    site.assert_all_delivered_once(60_000);
    service.stop();
}
