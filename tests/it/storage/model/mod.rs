//! Random lives of a queue, held against a reference: another program inserts and commits late, instances claim,
//! send, settle in every way, die at any moment and come back, people correct, return and discard. After every step
//! the database holds exactly what the reference does.
//!
//! A life that failed once is kept in `kept` and lived again in every run. `METERIT_MODEL_LIVES` sets how many new ones
//! are tried.

mod ground;
mod instance;
mod known;
mod life;
mod reference;
mod steps;
mod view;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use self::{ground::Ground, steps::Plan};
use crate::storage::site::{PostgresSite, SqliteSite};

fn sqlite() -> Ground {
    Ground::Sqlite(SqliteSite::new())
}

fn postgres() -> Ground {
    Ground::Postgres(PostgresSite::new())
}

#[test]
fn a_queue_in_sqlite_does_what_the_reference_does() {
    try_new_lives(sqlite, 80);
}

#[test]
fn a_queue_in_postgresql_does_what_the_reference_does() {
    // Every life has a database and two instances of its own there.
    try_new_lives(postgres, 30);
}

#[test]
fn kept_lives_go_well_in_sqlite() {
    live_kept(sqlite);
}

#[test]
fn kept_lives_go_well_in_postgresql() {
    live_kept(postgres);
}

fn try_new_lives(ground: fn() -> Ground, lives: u32) {
    let lives = std::env::var("METERIT_MODEL_LIVES").map_or(lives, |lives| lives.parse().unwrap());
    let config = Config {
        cases: lives,
        // What failed is kept as steps, which mean the same whatever becomes of the way they are drawn.
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps::plans(), |plan| {
        life::live(&plan, ground()).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, plan)) => {
            let plan = serde_json::to_string(&plan).unwrap();
            panic!("{reason}\nkeep this life in tests/it/storage/model/kept:\n{plan}");
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn live_kept(ground: fn() -> Ground) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/storage/model/kept");
    let mut lived = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let plan: Plan = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        life::live(&plan, ground())
            .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        lived += 1;
    }
    assert!(lived > 0, "{folder} is empty");
}
