//! What a process holds of the machine, as the kernel counts it.

use std::{fs, io};

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resources {
    /// Resident memory, in KiB.
    pub(super) resident: u64,
    /// Open file descriptors.
    pub(super) descriptors: u64,
    /// Those of them that are sockets.
    pub(super) sockets: u64,
}

/// Growth beyond this share is a leak.
const TOLERANCE: f64 = 0.1;

impl Resources {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The process is gone, or the machine has no `/proc`.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        let mut counted = Self {
            resident: memory(process, "VmRSS:")?,
            descriptors: 0,
            sockets: 0,
        };
        for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
            counted.descriptors += 1;
            // A descriptor may be closed while they are looked through.
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            counted.sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
        }
        Ok(counted)
    }

    /// The smaller of each.
    pub(super) fn least(self, other: Self) -> Self {
        Self {
            resident: self.resident.min(other.resident),
            descriptors: self.descriptors.min(other.descriptors),
            sockets: self.sockets.min(other.sockets),
        }
    }

    /// The most memory that the process ever had, in KiB.
    ///
    /// # Errors
    /// As [`Resources::of`].
    pub(super) fn peak_of(process: u32) -> io::Result<u64> {
        memory(process, "VmHWM:")
    }

    /// Whether this is as much as `before`, within a tenth.
    pub(super) fn equals(&self, before: &Self) -> bool {
        let pairs = [
            (self.resident, before.resident),
            (self.descriptors, before.descriptors),
            (self.sockets, before.sockets),
        ];
        pairs
            .iter()
            .all(|(now, then)| (*now as f64 - *then as f64).abs() <= *then as f64 * TOLERANCE)
    }
}

fn memory(process: u32, kind: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other("the kernel does not tell the memory of a process"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_or_less_is_equal() {
        let before = Resources {
            resident: 1_000,
            descriptors: 20,
            sockets: 10,
        };
        let with = |resident, sockets| Resources {
            resident,
            sockets,
            ..before
        };
        assert!(with(1_100, 11).equals(&before));
        assert!(!with(1_101, 10).equals(&before));
        assert!(!with(899, 10).equals(&before));
        assert!(!with(1_000, 12).equals(&before));
    }

    #[test]
    fn a_socket_of_our_own_is_counted() {
        let us = std::process::id();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let with = Resources::of(us).expect("we live");
        assert!(with.sockets >= 1 && with.descriptors > with.sockets && with.resident > 0);
        drop(listener);
    }
}
