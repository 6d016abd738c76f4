//! A long queue in PostgreSQL: what claims of several batches owe every one of them.

use super::{postgres_site::PostgresSite, waiting::wait_until};

#[test]
fn rows_that_cannot_be_read_leave_the_batches_that_are_claimed_with_theirs_alone() {
    const READINGS: u32 = 5_000;
    const BATCHES: u64 = 50;
    let site = PostgresSite::new().set("BATCH_SIZE", "100");
    let service = site.start();
    wait_until("an idle service", || {
        service.get("/status")["state"] == "ok"
    });
    site.sql(
        "CREATE TABLE claims (made_by XID8 DEFAULT pg_current_xact_id() PRIMARY KEY); \
         CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO claims DEFAULT VALUES ON CONFLICT DO NOTHING; RETURN NULL; END'; \
         CREATE TRIGGER note_claim AFTER INSERT ON upload_manifests FOR EACH STATEMENT EXECUTE FUNCTION note_claim(); \
         ALTER SEQUENCE meter_readings_id_seq RESTART WITH 1",
    );
    // Single ones, and all of a batch.
    site.sql(&format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'METER-' || n % 20, timestamp '2026-01-01' + n * interval '1 second', 'active_energy', \
                CASE WHEN n % 500 = 7 OR n BETWEEN 2001 AND 2100 THEN 'NaN' ELSE n + 0.125 END \
         FROM generate_series(1, {READINGS}) AS n"
    ));
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
    let claims = site.count("claims");
    assert!(claims < BATCHES / 2, "{claims} claims for {sent} batches");
}
