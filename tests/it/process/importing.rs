//! `import`: a site that outgrows SQLite moves its queue into PostgreSQL, whatever happens on the way.

use std::{
    process::{Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use meterit_sync::demo::client_system::{FaultAction, FaultPath, FaultRule};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    crashes::assert_no_reading_under_two_keys, postgres_site::PostgresSite, service::PROGRAM,
    site::Site, waiting::wait_until,
};

fn import(from: &str, to: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["import", "--from", from, "--to", to])
        .env_clear()
        .stdin(Stdio::null());
    command
}

fn queue_of(site: &Site) -> String {
    format!("sqlite:{}", site.database().display())
}

/// Where the site goes on after the import: the Client System stays the same.
fn new_home(site: &Site) -> PostgresSite {
    PostgresSite::new()
        .set("CLIENT_API_URL", &site.client_system.base_url())
        .set("CLIENT_API_KEY", &site.client_system.api_key())
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The numbers of the account's line about them: by the run that prints it, and in all.
fn pending_readings(account: &str) -> [u32; 2] {
    let row = account
        .lines()
        .find(|line| line.contains("pending readings"));
    let row = row.unwrap_or_else(|| panic!("{account}"));
    let numbers: Vec<u32> = row
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().expect("two numbers")
}

#[test]
fn killed_at_any_moment_and_run_again_it_moves_everything_once() {
    const READINGS: u32 = 60_000;
    const KILLS: u32 = 8;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let old = Site::new().set("BATCH_SIZE", "500");
    let new = new_home(&old);
    old.insert(READINGS);
    // The service ends within an upload that the Client System has committed, so that its key has to come along.
    let milliseconds = 300;
    let slow = FaultRule::on(FaultPath::Batch, FaultAction::Delay { milliseconds });
    old.client_system.set_faults(vec![slow.after_commit()]);
    let service = old.start();
    wait_until("some uploads", || old.client_system.batches().len() >= 3);
    service.kill();
    old.client_system.clear_faults();
    // Those on their way, and those that were claimed to follow them.
    let batches = old.count("upload_manifests");
    assert!(batches > 0, "seed {seed}");

    let mut kills = 0;
    let account = loop {
        let mut process = import(&queue_of(&old), &new.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        if kills < KILLS {
            sleep(Duration::from_millis(random.random_range(20..200)));
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
            assert!(
                old.count("meter_readings") > 0,
                "kill {kills} came after the import; seed {seed}"
            );
        } else {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}; seed {seed}");
            break String::from_utf8(output.stdout).unwrap();
        }
    };
    let [by_the_last_run, in_all] = pending_readings(&account);
    assert!(by_the_last_run < in_all, "no kill hit a move; seed {seed}");
    for table in ["meter_readings", "upload_manifests", "sync_log"] {
        assert_eq!(old.count(table), 0, "{table}");
    }
    assert_eq!(new.count("upload_manifests"), batches);

    let service = new.start();
    wait_until("an empty queue", || {
        new.count("meter_readings") == 0 && new.count("upload_manifests") == 0
    });
    service.stop();
    let ledger = old.assert_all_delivered_once(READINGS.into());
    assert!(ledger.raw_duplicates > 0, "the key did not come along");
    assert_no_reading_under_two_keys(&old.client_system.batches(), READINGS as usize);
    let logged = "SELECT sum(batch_size) FROM sync_log WHERE success";
    assert_eq!(new.ask(logged), READINGS.to_string());
}

#[test]
fn it_tells_what_it_moved_and_finds_nothing_the_second_time() {
    let old = Site::new();
    let new = new_home(&old);
    old.insert(1_500);
    let first = import(&queue_of(&old), &new.url).output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", words(&first));
    let account = |output: Output| pending_readings(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(account(first), [1_500, 1_500]);
    let second = import(&queue_of(&old), &new.url).output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", words(&second));
    assert_eq!(account(second), [0, 1_500]);
    assert_eq!(new.count("meter_readings"), 1_500);
}

#[test]
fn what_it_cannot_do_is_refused_in_words_and_changes_nothing() {
    let old = Site::new();
    let new = new_home(&old);
    old.insert(10);
    let queue = queue_of(&old);
    let missing = format!("sqlite:{}", old.file("missing.db").display());
    let secret = new.url.replace("meterit@", "meterit:hidden-word@");
    let nobody = "postgres://meterit:hidden-word@127.0.0.1:1/site";
    for (from, to, code, expected) in [
        (new.url.as_str(), queue.as_str(), 2, "no other direction"),
        (&queue, &queue, 2, "no other direction"),
        (&new.url, &secret, 2, "no other direction"),
        (&missing, &new.url, 2, "missing.db"),
        ("mysql://meterit:hidden-word@h/d", &new.url, 2, "--from"),
        (&queue, nobody, 1, "Run the same command again"),
    ] {
        let output = import(from, to).output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(code), "{from} {to}: {said}");
        assert!(said.contains(expected), "{from} {to}: {said}");
        assert!(!said.contains("hidden-word"), "{said}");
    }
    assert!(!old.file("missing.db").exists());

    let service = old.set("ENABLE_AUTO_SYNC", "false");
    let running = service.start();
    running.wait_until_connected();
    let output = import(&queue, &new.url).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(words(&output).contains("another"), "{}", words(&output));
    running.stop();
    assert_eq!(service.count("meter_readings"), 10);
    assert_eq!(new.count("meter_readings"), 0);
}
