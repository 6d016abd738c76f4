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
