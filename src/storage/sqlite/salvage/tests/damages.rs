//! Whatever is damaged, what lies on pages that are whole comes back, and nothing that had been deleted does.

use super::site::*;

const READINGS: i64 = 20_000;

async fn assert_all_back(site: &Site, salvage: &crate::domain::store::Salvage) {
    assert_eq!(site.count("meter_readings").await, READINGS, "{salvage:?}");
    assert_eq!(salvage.readings, 20_000);
    assert_eq!(salvage.lost_at_most, Some(0), "{salvage:?}");
    assert_eq!(salvage.quarantined, 0);
    assert_eq!(salvage.through, READINGS);
}

#[tokio::test]
async fn the_root_of_the_readings_costs_none_of_them() {
    let site = Site::with_readings(20_000, 1).await;
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    assert_all_back(&site, &salvage).await;
    assert_eq!(salvage.also_lost, [""; 0]);
}

#[tokio::test]
async fn only_tables_of_other_programs_are_told_as_theirs() {
    let site = Site::with_readings(2_000, 1).await;
    site.run(include_str!("../../queries/close_to_additions.sql"))
        .await;
    site.run("CREATE TABLE of_another (x); INSERT INTO of_another VALUES (1)")
        .await;
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    assert_eq!(
        salvage.also_lost,
        ["the tables of_another of other programs"]
    );
}

#[tokio::test]
async fn the_schema_costs_no_reading() {
    let site = Site::with_readings(20_000, 1).await;
    site.destroy(100, PAGE);
    let salvage = site.salvage().await;
    assert_all_back(&site, &salvage).await;
}

#[tokio::test]
async fn the_first_page_costs_no_reading_as_long_as_all_others_make_sense() {
    let site = Site::with_readings(20_000, 1).await;
    site.destroy_page(1);
    let salvage = site.salvage().await;
    assert_all_back(&site, &salvage).await;
}

#[tokio::test]
async fn deleted_readings_stay_deleted_without_the_first_page_or_the_root() {
    for spoil_root in [false, true] {
        let site = Site::with_readings(20_000, 1).await;
        site.run("DELETE FROM meter_readings WHERE id <= 7000 OR id % 5 = 0")
            .await;
        let left = site.count("meter_readings").await;
        assert!(
            site.integer("SELECT freelist_count FROM pragma_freelist_count")
                .await
                > 50
        );
        if spoil_root {
            site.destroy_page(site.root("meter_readings").await);
        } else {
            site.destroy_page(1);
        }
        let salvage = site.salvage().await;
        assert_eq!(site.count("meter_readings").await, left, "{salvage:?}");
        assert_eq!(salvage.quarantined, 0, "{salvage:?}");
        assert_eq!(salvage.lost_at_most, Some(0), "{salvage:?}");
        assert_eq!(
            site.count("meter_readings WHERE id <= 7000 OR id % 5 = 0")
                .await,
            0
        );
    }
}

#[tokio::test]
async fn where_free_pages_are_unknown_the_index_of_waiting_readings_decides() {
    let site = Site::with_readings(20_000, 1).await;
    site.run("DELETE FROM meter_readings WHERE id <= 7000")
        .await;
    let trunk = u32::from_be_bytes(site.bytes()[32..36].try_into().expect("four bytes"));
    site.destroy_page(site.root("meter_readings").await);
    site.destroy_page(trunk.into());
    let salvage = site.salvage().await;
    assert_eq!(site.count("meter_readings").await, 13_000, "{salvage:?}");
    assert_eq!(site.count("meter_readings WHERE id <= 7000").await, 0);
    assert_eq!(salvage.lost_at_most, Some(0), "{salvage:?}");
    // What lies on pages that may be free is kept, but not sent by itself.
    let words = site
        .count("quarantined_readings WHERE reason = 'possibly_stored' AND message LIKE '%damaged database%'")
        .await;
    assert_eq!(words, i64::try_from(salvage.quarantined).expect("a count"));
    assert_eq!(
        site.count("quarantine_audit WHERE action = 'quarantined'")
            .await,
        words
    );
}

#[tokio::test]
async fn where_nothing_decides_a_person_does() {
    let site = Site::with_readings(20_000, 1).await;
    site.run("DELETE FROM meter_readings WHERE id <= 7000")
        .await;
    let trunk = u32::from_be_bytes(site.bytes()[32..36].try_into().expect("four bytes"));
    for page in site
        .leaves_with("CREATE TABLE")
        .into_iter()
        .chain([1, trunk.into()])
    {
        site.destroy_page(page);
    }
    let salvage = site.salvage().await;
    assert_eq!(site.count("meter_readings").await, 0, "{salvage:?}");
    assert!(salvage.quarantined >= 13_000, "{salvage:?}");
    assert_eq!(
        site.count("quarantined_readings WHERE reading_id > 7000")
            .await,
        13_000
    );
    // It is begun again with nothing twice.
    std::fs::write(site.path().with_extension("db.salvage"), &salvage.set_aside)
        .expect("an intent");
    site.run("DELETE FROM service_facts WHERE name = 'salvage'")
        .await;
    let again = site.salvage().await;
    assert_eq!(again.quarantined, salvage.quarantined);
    assert_eq!(
        site.count("quarantined_readings").await,
        i64::try_from(salvage.quarantined).expect("a count")
    );
}

#[tokio::test]
async fn an_inner_page_costs_none_and_a_leaf_costs_its_own() {
    let site = Site::with_readings(60_000, 1).await;
    let leaves = site.leaves_with("active_energy");
    let lost = i64::from(u16::from_be_bytes(
        site.bytes()[usize::try_from((leaves[40] - 1) * PAGE).expect("there") + 3..][..2]
            .try_into()
            .expect("two bytes"),
    ));
    let inner = site.bytes();
    let inner = inner
        .chunks(4096)
        .skip(1)
        .position(|page| page[0] == 0x05)
        .expect("an inner page")
        + 2;
    for (page, lost) in [(inner as u64, 0), (leaves[40], lost)] {
        let site = copy(&site).await;
        site.destroy_page(page);
        let salvage = site.salvage().await;
        assert_eq!(
            site.count("meter_readings").await,
            60_000 - lost,
            "{salvage:?}"
        );
        assert_eq!(
            salvage.lost_at_most,
            u64::try_from(lost).ok(),
            "{salvage:?}"
        );
    }
}

async fn copy(site: &Site) -> Site {
    let copy = Site::empty().await;
    std::fs::copy(site.path(), copy.path()).expect("a copy");
    copy
}

#[tokio::test]
async fn a_file_that_is_cut_costs_what_was_cut_off() {
    let site = Site::with_readings(20_000, 1).await;
    let length = site.bytes().len() as u64;
    site.cut(length / 2 + 1_000);
    let there: u64 = site
        .leaves_with("active_energy")
        .iter()
        .filter(|page| **page * PAGE <= length / 2 + 1_000)
        .map(|page| {
            let at = usize::try_from((page - 1) * PAGE).expect("there") + 3;
            u64::from(u16::from_be_bytes(
                site.bytes()[at..at + 2].try_into().expect("two"),
            ))
        })
        .sum();
    let salvage = site.salvage().await;
    assert!(there > 5_000);
    assert_eq!(salvage.readings + salvage.quarantined, there, "{salvage:?}");
    assert_eq!(salvage.quarantined, 0, "{salvage:?}");
    let lost = salvage.lost_at_most.expect("a bound");
    assert_eq!(lost, 20_000 - there, "{salvage:?}");
}

#[tokio::test]
async fn high_and_sparse_ids_make_it_no_slower_and_the_bound_no_worse() {
    let site = Site::with_readings(20_000, 30_000_001).await;
    let first = site.leaves_with("active_energy")[0];
    site.destroy_page(first);
    let salvage = tokio::time::timeout(std::time::Duration::from_secs(20), site.salvage())
        .await
        .expect("in time");
    let lost = salvage.lost_at_most.expect("a bound");
    assert!(lost > 0 && lost < 100, "{salvage:?}");
    assert_eq!(salvage.readings + lost, 20_000);
    // Without the index that names them the room on a page is the bound.
    let site = Site::with_readings(20_000, 30_000_001).await;
    site.run("DROP INDEX meter_readings_pending").await;
    site.destroy_page(site.leaves_with("active_energy")[0]);
    let salvage = site.salvage().await;
    assert_eq!(salvage.readings + lost, 20_000);
    assert!(
        salvage.lost_at_most >= Some(lost) && salvage.lost_at_most <= Some(PAGE / 20),
        "{salvage:?}"
    );
}

#[tokio::test]
async fn an_emptied_file_says_that_nobody_can_tell() {
    let site = Site::with_readings(1_000, 1).await;
    site.cut(0);
    let salvage = site.salvage().await;
    assert_eq!((salvage.readings, salvage.lost_at_most), (0, None));
    site.run(&insert("LATER", 3)).await;
    assert_eq!(site.count("meter_readings").await, 3);
}

#[tokio::test]
async fn every_value_keeps_its_form() {
    const COLUMNS: [&str; 9] = [
        "id",
        "meter_external_id",
        "timestamp",
        "data_point",
        "value",
        "unit",
        "is_synchronized",
        "retry_count",
        "created_at",
    ];
    for spoil in ["meter_readings", "sqlite_schema"] {
        let site = Site::with_readings(2_000, 1).await;
        site.run(
            "INSERT INTO meter_readings (meter_external_id, timestamp, data_point, value, unit, is_synchronized, retry_count) VALUES \
             ('M', '2026-01-01 00:00:00', 'p', '123456789012.345', NULL, NULL, 3), \
             ('M', '2026-01-01 00:00:00', 'p', '0.12345678901234567890', 'kWh', 1, NULL), \
             ('M', 1767225600, 'p', 1e300, 'kWh', 0, 0), \
             ('M', '2026-01-01 00:00:00', CAST(X'FF00' AS TEXT), X'00FF', 'kWh', 0, 0), \
             ('Zähler', 'no time', X'00', -9223372036854775808, 'k', 1, 0)",
        )
        .await;
        site.run(&format!(
            "UPDATE meter_readings SET unit = hex(zeroblob(40000)) WHERE id = 5; {}",
            insert("REST", 2_000)
        ))
        .await;
        let before = site.all("meter_readings", &COLUMNS).await;
        let page = if spoil == "sqlite_schema" {
            1
        } else {
            site.root(spoil).await
        };
        if page == 1 {
            site.destroy(100, PAGE);
        } else {
            site.destroy_page(page);
        }
        let salvage = site.salvage().await;
        assert_eq!(
            site.all("meter_readings", &COLUMNS).await,
            before,
            "{salvage:?}"
        );
    }
}

#[tokio::test]
async fn a_batch_keeps_its_readings_its_key_and_its_body() {
    let site = Site::with_readings(5_000, 1).await;
    site.run(
        "INSERT INTO upload_manifests (key, root, state, attempts, failed_passes, claimed_at, reading_count, reading_ids, body) \
         SELECT 'key-' || value, 'root', 'claimed', 1, 0, '2026-01-01 00:00:00.000', 10, (value * 10 + 1) || '-' || (value * 10 + 10), \
         zeroblob(9000) FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]')",
    )
    .await;
    site.run("DELETE FROM upload_manifests WHERE key = 'key-7'")
        .await;
    site.destroy_page(site.root("upload_manifests").await);
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    assert_eq!(site.count("meter_readings").await, 5_000, "{salvage:?}");
    let kept = site
        .count("upload_manifests WHERE length(body) = 9000")
        .await;
    let lost = salvage.batches_lost_at_most.expect("a bound");
    assert!(
        kept + i64::try_from(lost).expect("a count") >= 9,
        "{kept} {salvage:?}"
    );
    assert_eq!(site.count("upload_manifests WHERE key = 'key-7'").await, 0);
}

#[tokio::test]
async fn what_was_in_quarantine_is_told_when_it_is_lost() {
    let site = Site::with_readings(100, 1).await;
    site.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
         INSERT INTO quarantined_readings (reading_id, meter_external_id, retry_count, reason, message, quarantined_at) \
         SELECT i, 'QUARANTINED', 0, 'refused', 'no such meter', '2026-01-01 00:00:00.000' FROM n",
    )
    .await;
    let leaves = site.leaves_with("QUARANTINED");
    for page in &leaves[3..5] {
        site.destroy_page(*page);
    }
    let salvage = site.salvage().await;
    let kept = site.count("quarantined_readings").await;
    assert_eq!(salvage.lost_at_most, Some(0));
    assert!(kept < 3_000 && kept > 2_500);
    assert_eq!(
        salvage.quarantine_lost_at_most,
        u64::try_from(3_000 - kept).ok(),
        "{salvage:?}"
    );
    assert_eq!(site.count("meter_readings").await, 100);
}

#[tokio::test]
async fn a_table_that_another_program_made_keeps_its_shape() {
    let site = Site::empty().await;
    site.run(
        "DROP TABLE meter_readings; CREATE TABLE meter_readings (unit TEXT, value NUMERIC NOT NULL, made_of TEXT, \
         id INTEGER PRIMARY KEY AUTOINCREMENT, data_point TEXT NOT NULL, timestamp TEXT NOT NULL, meter_external_id TEXT NOT NULL, \
         is_synchronized BOOLEAN DEFAULT FALSE, retry_count INTEGER DEFAULT 0, created_at TEXT, synchronized_at TEXT);",
    )
    .await;
    site.run(&insert("METER", 3_000)).await;
    site.destroy_page(site.root("meter_readings").await);
    let salvage = site.salvage().await;
    assert_eq!(salvage.readings, 3_000, "{salvage:?}");
    assert_eq!(
        site.count("meter_readings WHERE unit = 'kWh' AND value = id + 0.125 AND made_of IS NULL")
            .await,
        3_000
    );
}
