//! `kill -9` in the middle of a drain, again and again, on one database.

use std::{collections::HashMap, thread::sleep, time::Duration};

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule, ReceivedBatch};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{site::Site, waiting::wait_until};

const READINGS: u32 = 300_000;
const KILLS: u32 = 20;
/// Milliseconds after a start's first upload within which it is killed.
const LATEST_KILL: u64 = 800;
/// Milliseconds that the Client System takes at the least before it commits, and at the most for each
/// of commit and answer: twenty kills fall into the drain, and into every part of an upload.
const ANSWER_TIMES: std::ops::Range<u64> = 10..120;

#[test]
fn twenty_kills_in_one_drain_lose_and_double_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new().set("BATCH_SIZE", "500");
    site.insert(READINGS);

    let mut cut_short = 0;
    for round in 0..KILLS {
        let delay = |random: &mut StdRng| {
            let milliseconds = random.random_range(ANSWER_TIMES);
            FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds })
        };
        let rules = vec![delay(&mut random), delay(&mut random).after_commit()];
        site.client_system.set_faults(rules);
        let received = site.client_system.batches().len();
        let service = site.start();
        wait_until("the drain to begin", || {
            site.client_system.batches().len() > received
        });
        sleep(Duration::from_millis(random.random_range(0..LATEST_KILL)));
        service.kill();
        let left = site.count("meter_readings");
        assert!(left > 0, "kill {round} came after the drain; seed {seed}");
        cut_short += site.count("upload_manifests");
    }

    site.client_system.clear_faults();
    let service = site.start();
    site.wait_until_drained(READINGS.into());
    service.stop();

    let ledger = site.assert_all_delivered_once(READINGS.into());
    assert_eq!(site.count("meter_readings"), 0);
    assert_eq!(site.count("upload_manifests"), 0);
    let batches = site.client_system.batches();
    let repeated = batches.len() as u64 - ledger.keys;
    println!("{cut_short} batches cut short, {repeated} sendings repeated, {ledger:?}");
    assert!(repeated > 0, "no kill hit an upload; seed {seed}");
    assert_no_reading_under_two_keys(&batches, READINGS as usize);
}

/// The first sendings of all keys together hold as many readings as there are; since all arrived, a reading
/// under two keys would make them more. That the repetitions are the same bytes is in the ledger.
pub fn assert_no_reading_under_two_keys(batches: &[ReceivedBatch], readings: usize) {
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for batch in batches {
        let key = batch.key.as_deref().expect("every batch has a key");
        let first = *by_key.entry(key).or_insert(batch.readings);
        assert_eq!(first, batch.readings, "{key}");
    }
    assert_eq!(by_key.values().sum::<usize>(), readings);
}
