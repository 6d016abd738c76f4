//! A queue in PostgreSQL that another program empties, and whose ids begin anew, while a batch is on its way.

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};

use super::{postgres_site::PostgresSite, waiting::wait_until};

const READINGS: u32 = 500;

#[test]
fn readings_that_get_the_ids_of_a_batch_on_its_way_are_uploaded_as_well() {
    let site = PostgresSite::new().set("BATCH_SIZE", "500");
    let slow = FaultRule::on(
        FaultPath::Batch,
        FaultAction::Delay {
            milliseconds: 2_000,
        },
    );
    site.client_system.set_faults(vec![slow.times(1)]);
    site.insert(READINGS);
    let service = site.start();
    service.wait_until_connected();
    wait_until("a batch on its way", || site.count("upload_manifests") == 1);
    site.sql("TRUNCATE meter_readings RESTART IDENTITY");
    site.sql(&format!(
        "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value) \
         SELECT 'NEW', '2026-01-01', 'active_energy', n FROM generate_series(1, {READINGS}) AS n"
    ));
    let same_ids = format!("meter_readings WHERE id BETWEEN 1 AND {READINGS}");
    assert_eq!(site.count(&same_ids), u64::from(READINGS));

    wait_until("all readings to be settled", || {
        service.post("/api/v1/sync/trigger", None);
        site.count("meter_readings") == 0 && site.count("upload_manifests") == 0
    });
    service.stop();
    site.assert_all_delivered_once(u64::from(2 * READINGS));
    assert_eq!(site.client_system.ledger().raw_duplicates, 0);
}
