//! A long queue in PostgreSQL: what claims of several batches owe every one of them.

use super::{postgres_site::PostgresSite, waiting::wait_until};

/// Counts the transactions that insert into a table.
fn note_writers_of(site: &PostgresSite, table: &str) {
    site.sql(&format!(
        "CREATE TABLE transactions (id XID8 DEFAULT pg_current_xact_id() PRIMARY KEY); \
         CREATE FUNCTION note_transaction() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO transactions DEFAULT VALUES ON CONFLICT DO NOTHING; RETURN NULL; END'; \
         CREATE TRIGGER note_transaction AFTER INSERT ON {table} FOR EACH STATEMENT \
             EXECUTE FUNCTION note_transaction()"
    ));
}

/// So many readings, of which those with certain numbers cannot be read.
fn insert(site: &PostgresSite, readings: u32, unreadable: &str) {
    site.sql(&format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'METER-' || n % 20, timestamp '2026-01-01' + n * interval '1 second', 'active_energy', \
                CASE WHEN {unreadable} THEN 'NaN' ELSE n + 0.125 END \
         FROM generate_series(1, {readings}) AS n"
    ));
}

#[test]
fn however_many_cannot_be_read_they_leave_in_many_transactions() {
    const UNREADABLE: u32 = 5_000;
    let site = PostgresSite::new().set("BATCH_SIZE", "100");
    let service = site.start();
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok"
    });
    note_writers_of(&site, "quarantined_readings");
    insert(&site, UNREADABLE + 10, &format!("n <= {UNREADABLE}"));
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
    let site = PostgresSite::new().set("BATCH_SIZE", "100");
    let service = site.start();
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok"
    });
    note_writers_of(&site, "upload_manifests");
    // Single ones, and all of a batch.
    insert(&site, READINGS, "n % 500 = 7 OR n BETWEEN 2001 AND 2100");
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
