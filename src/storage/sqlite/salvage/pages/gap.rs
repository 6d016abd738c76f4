//! What is known of pages whose newest versions may have lain where the write-ahead log is damaged.

use std::path::Path;

use super::{file::Pages, wal::Log};

/// Whether the write-ahead log is damaged with commits behind it, so that SQLite would take them for not committed.
pub(in super::super) fn has_gap(log: &Path) -> bool {
    Log::open(log).is_ok_and(|log| log.is_some_and(|log| log.gap.is_some()))
}

impl Pages {
    /// Whether anything that was committed is known to be lost, or may be.
    pub(in super::super) fn has_gap(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.gap.is_some())
    }

    /// Frames of the log of which nobody can tell whose page they held: any page may have a newer version.
    pub(in super::super) fn unknown(&self) -> u64 {
        let gap = self.log.as_ref().and_then(|log| log.gap.as_ref());
        gap.map_or(0, |gap| gap.unknown)
    }

    /// Pages whose newest version is lost.
    pub(in super::super) fn lost(&self) -> Vec<u32> {
        self.log.as_ref().map_or_else(Vec::new, Log::lost)
    }

    /// Whether there can be no newer version of the page.
    pub(in super::super) fn is_newest(&self, number: u32) -> bool {
        self.log.as_ref().is_none_or(|log| log.is_newest(number))
    }

    /// Whether the page was written when what is lost was, or later.
    pub(in super::super) fn is_written_since(&self, number: u32) -> bool {
        let log = self.log.as_ref();
        log.is_some_and(|log| log.is_written_since(number))
    }
}
