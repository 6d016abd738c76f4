//! What is known of pages whose newest versions may have lain where the write-ahead log is damaged.

use std::{collections::HashMap, io, path::Path};

use super::{file::Pages, wal::Log};

/// Whether something that was committed can be read no more in the write-ahead log, so that SQLite would take what follows
/// for not committed, or not even know that it was there.
pub(in super::super) fn has_gap(log: &Path) -> bool {
    let opened = Log::open(log).unwrap_or_default();
    opened.log.is_some_and(|log| log.gap.is_some())
}

/// Whether the log ends in what makes no sense, and nothing says what it was.
pub(in super::super) fn has_doubtful_end(log: &Path) -> bool {
    Log::open(log)
        .is_ok_and(|opened| opened.log.is_none_or(|log| log.gap.is_none()) && opened.doubtful > 0)
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

    /// The database as it was before the transaction in which the damage begins, but for what was copied into the file
    /// since; none without a gap.
    pub(in super::super) fn before_gap(&self) -> io::Result<Option<Self>> {
        self.under_some(Log::before_gap)
    }

    /// The same with what is certain of that transaction.
    pub(in super::super) fn before_damage(&self) -> io::Result<Option<Self>> {
        self.under_some(Log::before_damage)
    }

    /// The file alone.
    pub(in super::super) fn without_log(&self) -> io::Result<Option<Self>> {
        self.under_some(|_| Some(HashMap::new()))
    }

    fn under_some(
        &self,
        frames: impl FnOnce(&Log) -> Option<HashMap<u32, u64>>,
    ) -> io::Result<Option<Self>> {
        match self.log.as_ref().and_then(frames) {
            Some(frames) => self.under(frames),
            None => Ok(None),
        }
    }

    /// Whether it is known that nothing written since the gap has been copied into the file.
    pub(in super::super) fn is_nothing_copied_since(&self) -> bool {
        self.log.as_ref().is_some_and(Log::is_nothing_copied_since)
    }

    /// Whether the page was written after all that is lost.
    pub(in super::super) fn is_written_after(&self, number: u32) -> bool {
        let log = self.log.as_ref();
        log.is_some_and(|log| log.is_written_after(number))
    }

    /// Whether a version of the page is known to be lost.
    pub(in super::super) fn is_named(&self, number: u32) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_named(number))
    }
}
