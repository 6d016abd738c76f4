//! Addresses of the Sync Database.

use std::path::Path;

use meterit_sync::settings::{DatabaseSettings, Layer, Settings};
use secrecy::ExposeSecret;

use super::site::{Site, assert_contains};

fn postgres_url(settings: &Settings) -> &str {
    match &settings.database {
        DatabaseSettings::Postgres { url } => url.expose_secret(),
        DatabaseSettings::Sqlite { path } => panic!("expected postgres, got {}", path.display()),
    }
}

#[test]
fn sqlite_addresses_name_a_file() {
    for (url, file) in [
        ("sqlite:queue.db", "queue.db"),
        ("sqlite://queue.db", "queue.db"),
        ("sqlite:///var/lib/queue.db", "/var/lib/queue.db"),
        ("sqlite:/var/lib/queue.db?mode=rwc", "/var/lib/queue.db"),
    ] {
        let settings = Site::new().with(&[("DATABASE_URL", url)]).settings();
        assert!(
            matches!(&settings.database, DatabaseSettings::Sqlite { path } if *path == Path::new(file)),
            "{url}"
        );
    }
}

#[test]
fn the_postgres_parts_compose_an_address() {
    let parts = [
        ("LOCAL_POSTGRES_HOST", "db.local"),
        ("LOCAL_POSTGRES_DB", "meter it"),
        ("LOCAL_POSTGRES_USER", "sync"),
        ("LOCAL_POSTGRES_PASSWORD", "p@ss/word"),
    ];
    let site = Site::new().with(&parts);
    assert_eq!(
        postgres_url(&site.settings()),
        "postgres://sync:p%40ss%2Fword@db.local:5432/meter%20it"
    );
    let loaded = site.loaded();
    let row = loaded.report.row("database_url").unwrap();
    assert_eq!(row.value, "postgres://sync:***@db.local:5432/meter%20it");
    assert_eq!(row.layer, Layer::Composed);

    let site = site.with(&[
        ("LOCAL_POSTGRES_HOST", "::1"),
        ("LOCAL_POSTGRES_PORT", "6000"),
    ]);
    assert_contains(postgres_url(&site.settings()), &["@[::1]:6000/"]);

    let site = site.with(&[("DATABASE_URL", "sqlite:own.db")]);
    assert!(matches!(
        site.settings().database,
        DatabaseSettings::Sqlite { .. }
    ));
    assert_contains(
        &site.loaded().report.warnings.join("\n"),
        &["local_postgres_*"],
    );
}

#[test]
fn incomplete_postgres_parts_are_refused() {
    let refusal = Site::new()
        .with(&[("LOCAL_POSTGRES_HOST", "a b"), ("LOCAL_POSTGRES_PORT", "0")])
        .refusal();
    assert_contains(
        &refusal,
        &[
            "LOCAL_POSTGRES_HOST (environment)",
            "LOCAL_POSTGRES_PORT (environment)",
            "LOCAL_POSTGRES_DB: missing",
            "LOCAL_POSTGRES_USER: missing",
        ],
    );
}
