//! A long queue in PostgreSQL: what claims of several batches owe every one of them.

use super::{postgres_site::PostgresSite, service::Service, waiting::wait_until};

/// A site with an idle service, which counts the transactions that insert into a table.
fn counting_writers_of(table: &str) -> (PostgresSite, Service) {
    let site = PostgresSite::new().set("BATCH_SIZE", "100");
    let service = site.start();
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok"
    });
    site.sql(&format!(
        "CREATE TABLE transactions (id XID8 DEFAULT pg_current_xact_id() PRIMARY KEY); \
         CREATE FUNCTION note_transaction() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO transactions DEFAULT VALUES ON CONFLICT DO NOTHING; RETURN NULL; END'; \
         CREATE TRIGGER note_transaction AFTER INSERT ON {table} FOR EACH STATEMENT \
             EXECUTE FUNCTION note_transaction()"
    ));
    (site, service)
}

#[test]
fn however_many_cannot_be_read_they_leave_in_many_transactions() {
    const UNREADABLE: u32 = 5_000;
    let (site, service) = counting_writers_of("quarantined_readings");
    site.insert_partly_unreadable(UNREADABLE + 10, &format!("n <= {UNREADABLE}"));
    site.wait_until_drained(10);
    service.stop();
    site.assert_all_delivered_once(10);
    assert_eq!(site.count("quarantined_readings"), u64::from(UNREADABLE));
    let transactions = site.count("transactions");
    assert!(
        transactions >= u64::from(UNREADABLE) / 800,
        "{UNREADABLE} rows left in {transactions} transactions"
    );
}

#[test]
fn rows_that_cannot_be_read_leave_the_batches_that_are_claimed_with_theirs_alone() {
    const READINGS: u32 = 5_000;
    const BATCHES: u64 = 50;
    let (site, service) = counting_writers_of("upload_manifests");
    // Single ones, and all of a batch.
    site.insert_partly_unreadable(READINGS, "n % 500 = 7 OR n BETWEEN 2001 AND 2100");
    let unreadable = 9 + 100;
    let readable = u64::from(READINGS) - unreadable;
    site.wait_until_drained(readable);
    service.stop();
    site.assert_all_delivered_once(readable);
    let unreadable_rows = "quarantined_readings WHERE reason = 'unreadable'";
    assert_eq!(site.count(unreadable_rows), unreadable);
    let sent = site.client_system.batches().len() as u64;
    assert_eq!(
        sent,
        BATCHES - 1,
        "the others make up no batches of their own"
    );
    let claims = site.count("transactions");
    assert!(claims < BATCHES / 2, "{claims} claims for {sent} batches");
}
