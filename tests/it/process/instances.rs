//! Several instances on one queue in PostgreSQL.

use std::{thread::sleep, time::Duration};

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    crashes::assert_no_reading_under_two_keys, postgres_site::PostgresSite, service::Service,
    waiting::wait_until,
};

const INSTANCES: usize = 3;

/// Makes every upload take a while, so that the instances meet and kills hit something.
fn slow_uploads(site: &PostgresSite, milliseconds: u64) {
    let delay = || FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds });
    site.client_system
        .set_faults(vec![delay(), delay().after_commit()]);
}

#[test]
fn instances_share_a_queue_and_send_no_key_twice() {
    const READINGS: u32 = 30_000;
    let site = PostgresSite::new().set("BATCH_SIZE", "200");
    slow_uploads(&site, 5);
    site.insert(READINGS);
    let services: Vec<Service> = (0..INSTANCES).map(|_| site.start()).collect();
    site.wait_until_drained(READINGS.into());

    for service in &services {
        let status = service.get("/status");
        let synced = status["sync"]["totalSynced"].as_u64().unwrap();
        assert!(synced > 0, "an instance did nothing: {status}");
        assert_eq!(status["instance"]["instances"], INSTANCES, "{status}");
    }
    for service in services {
        service.stop();
    }
    site.assert_all_delivered_once(READINGS.into());
    let ledger = site.client_system.ledger();
    assert_eq!(ledger.raw_duplicates, 0, "{ledger:?}");
    assert_eq!(ledger.batches_received, ledger.keys, "{ledger:?}");
    assert_eq!(site.count("service_instances"), 0, "each has said good-bye");
}

#[test]
fn killed_instances_lose_and_double_nothing() {
    const READINGS: u32 = 60_000;
    const KILLS: usize = 10;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = PostgresSite::new().set("BATCH_SIZE", "200");
    slow_uploads(&site, 25);
    site.insert(READINGS);
    let mut services: Vec<Service> = (0..INSTANCES).map(|_| site.start()).collect();
    for _ in 0..KILLS {
        let received = site.client_system.batches().len();
        wait_until("more uploads", || {
            site.client_system.batches().len() >= received + INSTANCES
        });
        sleep(Duration::from_millis(random.random_range(0..300)));
        let killed = random.random_range(0..INSTANCES);
        services.remove(killed).kill();
        services.push(site.start());
    }
    assert!(
        site.count("meter_readings") > 0,
        "the kills came after the drain; seed {seed}"
    );
    site.client_system.clear_faults();

    // What the killed ones held waits for the end of their leases; an operator makes sure that a pass runs then.
    wait_until("all readings to be settled", || {
        services[0].post("/api/v1/sync/trigger", None);
        site.count("meter_readings") == 0 && site.count("upload_manifests") == 0
    });
    for service in services {
        service.stop();
    }
    site.assert_all_delivered_once(READINGS.into());
    assert_no_reading_under_two_keys(&site.client_system.batches(), READINGS as usize);
}

#[test]
fn one_instance_speaks_for_the_site_and_another_when_it_is_gone() {
    let site = PostgresSite::new().set("HEARTBEAT_INTERVAL_MS", "1000");
    let leads = |service: &Service| service.get("/status")["instance"]["leads"] == true;
    let first = site.start();
    wait_until("a leader", || leads(&first));
    let second = site.start();
    second.wait_until_connected();
    assert!(!leads(&second));
    wait_until("heartbeats", || site.client_system.heartbeats().len() > 2);
    assert_eq!(
        second.get("/status")["heartbeat"]["last_attempt_at"],
        serde_json::Value::Null
    );
    assert_eq!(
        second.get("/status")["config"]["last_attempt_at"],
        serde_json::Value::Null
    );

    first.kill();
    wait_until("the other to lead", || leads(&second));
    wait_until("its heartbeat", || {
        !second.get("/status")["heartbeat"]["last_success_at"].is_null()
    });
    wait_until("its configuration", || {
        !second.get("/status")["config"]["last_success_at"].is_null()
    });
    second.stop();
}

#[test]
fn what_an_instance_holds_at_its_end_is_free_at_once() {
    let site = PostgresSite::new().set("API_TIMEOUT", "1000");
    site.insert(10);
    site.client_system
        .set_faults(vec![FaultRule::on(FaultPath::Batch, FaultAction::Hang)]);
    let first = site.start();
    wait_until("a batch on its way", || {
        site.client_system.batches().len() == 1
    });
    first.stop();
    assert_eq!(site.count("upload_manifests"), 1);
    let key = site.ask("SELECT key FROM upload_manifests");
    site.client_system.clear_faults();
    let second = site.start();
    site.wait_until_drained(10);
    second.stop();
    site.assert_all_delivered_once(10);
    let batches = site.client_system.batches();
    assert!(
        batches
            .iter()
            .all(|batch| batch.key.as_deref() == Some(key.as_str()))
    );
}

#[test]
fn a_pause_is_kept_by_all() {
    let site = PostgresSite::new();
    let [first, second] = [site.start(), site.start()];
    first.wait_until_connected();
    second.wait_until_connected();
    let busy = r#"[{"path": "batch", "times": 1,
        "action": {"answer": {"status": 429, "headers": [["Retry-After", "600"]]}}}]"#;
    site.client_system
        .set_faults(serde_json::from_str(busy).unwrap());
    site.insert(5);
    for service in [&first, &second] {
        wait_until("a pause", || {
            service.get("/status")["state"] == "rate_limited"
        });
    }
}
