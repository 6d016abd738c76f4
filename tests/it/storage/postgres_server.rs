//! The servers that tests restart, kill and starve are what the tests take them for.

use sqlx::{Connection, PgConnection};

use crate::helpers::postgres::{PostgresServer, blocking};

fn count(server: &PostgresServer) -> Option<String> {
    blocking::ask(&server.url("site"), "SELECT count(*) FROM kept").unwrap()
}

#[test]
fn a_server_keeps_its_data_and_its_address_until_it_is_gone() {
    let server = PostgresServer::start();
    server.create_database("site");
    let site = server.url("site");
    blocking::execute(
        &site,
        "CREATE TABLE kept (id INTEGER); INSERT INTO kept VALUES (1)",
    )
    .unwrap();
    server.restart();
    assert_eq!(count(&server).as_deref(), Some("1"));
    blocking::execute(&site, "INSERT INTO kept VALUES (2)").unwrap();
    server.crash();
    server.start_again();
    assert_eq!(count(&server).as_deref(), Some("2"));
    server.stop();
    let refused = blocking::ask(&site, "SELECT 1").expect_err("nobody listens");
    let sqlx::Error::Io(refused) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    drop(server);
    assert!(blocking::ask(&site, "SELECT 1").is_err());
}

#[tokio::test]
async fn chosen_connections_are_ended_and_settings_are_the_tests_own() {
    let server = PostgresServer::start_with(&["fsync=on", "max_connections=7"]);
    server.create_database("site");
    for (setting, expected) in [("fsync", "on"), ("max_connections", "7")] {
        let question = format!("SELECT current_setting('{setting}')");
        let answer = blocking::ask(&server.url("postgres"), &question).unwrap();
        assert_eq!(answer.as_deref(), Some(expected));
    }
    let mut chosen = PgConnection::connect(&server.url("site")).await.unwrap();
    let mut other = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    assert_eq!(server.kill_backends("sit%"), 1);
    assert!(chosen.ping().await.is_err());
    other.ping().await.unwrap();
}
