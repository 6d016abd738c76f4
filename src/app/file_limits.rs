//! What the operating system allows this process: enough open files for whoever asks, and no core dumps.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that all else together needs at most: database, uploads, logs, event streams, probes.
const OF_THE_SERVICE: u64 = 256;
/// A connection of the local API takes two.
const BY_CONNECTION: u64 = 2;
/// More are not wanted at once: each may hold up to a quarter of a megabyte, by a head that does not end and an answer that
/// is not read.
const MOST_CONNECTIONS: u64 = 128;

/// Lets no memory of the process, and with it no key, come to lie on a disk; and lets it open as many files as it may need
/// where the machine has nothing against it.
pub fn set() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
    let allowed = getrlimit(Resource::Nofile);
    let wanted = OF_THE_SERVICE + BY_CONNECTION * MOST_CONNECTIONS;
    if allowed.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(allowed.maximum.map_or(wanted, |most| most.min(wanted))),
            maximum: allowed.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
}

/// How many connections the local API can serve at once and leave enough files for everything else.
pub(super) fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = (files.saturating_sub(OF_THE_SERVICE) / BY_CONNECTION).clamp(32, MOST_CONNECTIONS);
    usize::try_from(most).unwrap_or(usize::MAX)
}
