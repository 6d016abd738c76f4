//! A frame of the write-ahead log: a version of a page, and what tells whether it is as it was written.

use super::{header::number32, index::Index, sums::Sums, wal::Log};

pub(super) const FRAME_HEADER: usize = 24;
/// Logs before this one of which something may still lie behind its end.
const EARLIER_LOGS: u32 = 1 << 16;

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All of it is as it was written.
    Valid,
    /// Its page is damaged, and it is known which one it was.
    Lost,
    /// Nobody can tell whose it was.
    Unknown,
}

/// A frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) at: u64,
    pub(super) page: u32,
    /// Pages of the database after the commit; 0 where none follows it.
    pub(super) pages_after: u32,
    pub(super) state: State,
    /// Its own numbers were damaged, and reckoned from all else.
    pub(super) is_mended: bool,
    /// Nothing has been written there under this log's salt: there are zeros, or there is what an earlier log left.
    pub(super) is_remains: bool,
}

impl Frame {
    /// `sums` are as the frame before says, whatever it is itself; they become what this one says.
    pub(super) fn read(bytes: &[u8], at: u64, sums: &mut Sums, log: &Log) -> Self {
        let numbers = [0, 4, 16, 20].map(|at| number32(bytes, at).unwrap_or_default());
        let [page, pages_after, first, second] = numbers;
        let before = *sums;
        let mut reckoned = before;
        reckoned.add(&bytes[..8]);
        reckoned.add(&bytes[FRAME_HEADER..]);
        *sums = Sums {
            first,
            second,
            ..before
        };
        let is_of_log = salt_of(bytes, 8) == log.salt;
        let mut frame = Self {
            at,
            page,
            pages_after,
            state: State::Unknown,
            is_mended: false,
            is_remains: !is_of_log && is_remains(bytes, log.salt),
        };
        if is_of_log && reckoned == *sums && page > 0 {
            frame.state = State::Valid;
        } else if is_of_log {
            // Where only the frame's own numbers are damaged, the others say what they were.
            let missing = before.missing_before(&bytes[FRAME_HEADER..], *sums);
            let [page, pages_after] = [0, 4].map(|at| number32(&missing, at).unwrap_or_default());
            let most = log.most_pages(at);
            let makes_sense = |page: u32| (1..=most).contains(&page);
            if makes_sense(page) && (pages_after == 0 || makes_sense(pages_after)) {
                frame = Self {
                    page,
                    pages_after,
                    state: State::Valid,
                    is_mended: true,
                    ..frame
                };
            } else if makes_sense(frame.page) {
                frame.state = State::Lost;
            }
        }
        frame
    }

    /// Of a log that ends before it.
    pub(super) fn missing(at: u64) -> Self {
        Self {
            at,
            page: 0,
            pages_after: 0,
            state: State::Unknown,
            is_mended: false,
            is_remains: false,
        }
    }

    /// Counted from 0.
    pub(super) fn number(&self, length: usize) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX) / length
    }

    /// Whether all of it is as it was written, its own numbers included.
    pub(super) fn is_sound(&self) -> bool {
        self.state == State::Valid && !self.is_mended
    }

    /// Whether it says, although damaged, that a transaction was committed with it.
    pub(super) fn is_damaged_commit(&self, most_pages: u32) -> bool {
        self.state == State::Lost && (1..=most_pages).contains(&self.pages_after)
    }

    /// The index of the log may know whose it was.
    pub(super) fn named_by(self, index: Option<&Index>, length: usize) -> Self {
        let named = index.and_then(|index| index.page(self.number(length)));
        match (self.state, named) {
            (State::Unknown, Some(page)) => Self {
                page,
                state: State::Lost,
                ..self
            },
            _ => self,
        }
    }
}

/// Whether nothing was ever written there, or nothing since the log was begun: each log has a number one higher than the
/// one before it in the first half of its salt.
fn is_remains(bytes: &[u8], salt: [u8; 8]) -> bool {
    let (Some(there), Some(here)) = (number32(bytes, 8), number32(&salt, 0)) else {
        return false;
    };
    let logs_ago = here.wrapping_sub(there);
    let is_earlier = (1..=EARLIER_LOGS).contains(&logs_ago) && number32(bytes, 0) != Some(0);
    is_earlier || bytes.iter().all(|byte| *byte == 0)
}

pub(super) fn salt_of(bytes: &[u8], at: usize) -> [u8; 8] {
    let salt = bytes.get(at..at + 8).and_then(|salt| salt.try_into().ok());
    salt.unwrap_or_default()
}
