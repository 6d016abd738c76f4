//! Waiting for what another process does: until it has happened, or until the test has failed.

use std::{thread::sleep, time::Duration};

use meterit_sync::clock::Clock;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Nothing that a test waits for takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until there is something to see, and fails the test when nothing comes.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            clock.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        sleep(LOOK);
    }
}

/// As [`wait_for`], for what is only true or not.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}
