//! What goes on at a connection: what has come in and what was answered, and with it what may be handed over next.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use futures_util::task::AtomicWaker;

/// Bytes of a body that says itself where it ends.
pub(super) const UNTIL_ITS_END: u64 = u64::MAX;

/// What goes on at a connection.
#[derive(Default)]
pub(super) struct Life {
    /// When it began, and later when some of a body came from the other side, or some of an answer was taken by it.
    pub(super) last: AtomicU64,
    /// Whether it was looked at since it began.
    pub(super) is_known: AtomicBool,
    /// Whether something came from the other side since it was last sent something.
    pub(super) is_heard: AtomicBool,
    /// Requests whose heads have come in so far.
    pub(super) begun: AtomicU64,
    /// Requests whose heads have come in, and whose answers are not complete yet.
    pub(super) requests: AtomicUsize,
    /// Requests that have come in to their end, and whose answers are not complete yet.
    pub(super) under_way: AtomicUsize,
    /// When the last of these had come in, by the clock of all connections, in milliseconds.
    pub(super) awaits_since: AtomicU64,
    /// Whether there is a question that others come before.
    pub(super) is_put_off: AtomicBool,
    /// Whether there was no room for it when it came.
    pub(super) is_one_too_many: AtomicBool,
    /// Whether the request that came last is the last of the connection.
    pub(super) is_last: AtomicBool,
    /// Whether the other side says nothing more. It may wait for an answer all the same.
    pub(super) is_hung_up: AtomicBool,
    /// Whether nothing of the answer is there yet, and the other side knows what an answer is that is none yet.
    pub(super) may_be_told_to_wait: AtomicBool,
    /// Whether the answer goes on for as long as there is somebody who reads it.
    pub(super) is_endless: AtomicBool,
    /// Whether the other side takes nothing of what it is sent.
    pub(super) is_stuck: AtomicBool,
    /// Bytes of the body of the last request that were not handed over yet, or [`UNTIL_ITS_END`].
    pub(super) body_left: AtomicU64,
    /// Whether the request has a body, of which nothing was handed over yet.
    pub(super) begins_body: AtomicBool,
    /// Whether the body of the request is not complete, and whoever reads it has nothing left to read.
    pub(super) wants_more: AtomicBool,
    /// Whether it has made room.
    pub(super) is_ended: AtomicBool,
    /// Bytes of answers that are kept for it.
    pub(super) held: AtomicUsize,
    /// To be woken when more of what has come may be handed over.
    pub(super) reader: AtomicWaker,
}

/// Answers that take no longer than this are waited for whoever comes, in milliseconds.
const QUICK: u64 = 1_000;

/// Who makes room, the first to do so first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It is waited for.
    Idle,
    /// It says no more, and waits for an answer if it is there.
    MayHaveGone,
    /// It was not looked at yet, and may have a quick question.
    Unknown,
    /// It waits for an answer that takes long.
    Waits,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The next request's.
    Head,
    /// That of so many bytes of the request's body.
    Body(u64),
    /// Nobody's.
    None,
}

impl Life {
    /// Whether the other side waits for us, and not we for it.
    fn is_awaiting_us(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0 && !self.is_stuck.load(Ordering::Relaxed)
    }

    /// Whether a request has come in whose answer is not complete yet.
    pub(super) fn has_request(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Whose turn it is: a body's when it is read or its request was answered, and a request's when there is none before it.
    pub(super) fn turn(&self) -> Turn {
        let left = self.body_left.load(Ordering::Relaxed);
        let has_request = self.has_request();
        let is_read =
            self.wants_more.load(Ordering::Relaxed) || self.begins_body.load(Ordering::Relaxed);
        if self.is_stuck.load(Ordering::Relaxed) {
            Turn::None
        } else if left > 0 && (is_read || !has_request) {
            Turn::Body(left)
        } else if has_request || self.is_last.load(Ordering::Relaxed) {
            Turn::None
        } else {
            Turn::Head
        }
    }

    /// Whether the other side is still to end what it has begun: a body that nobody reads, or the connection.
    pub(super) fn is_to_end(&self) -> bool {
        self.is_last.load(Ordering::Relaxed) || self.body_left.load(Ordering::Relaxed) > 0
    }

    /// Whether nobody is to be answered any more when the other side says no more: there is no request, or not all of it has
    /// come, or there is nothing that an answer could come to.
    pub(super) fn ends_with_words(&self) -> bool {
        let is_broken_off =
            self.body_left.load(Ordering::Relaxed) > 0 && self.wants_more.load(Ordering::Relaxed);
        !self.has_request() || is_broken_off || self.is_endless.load(Ordering::Relaxed)
    }

    /// Whether nothing has been said that is not answered.
    pub(super) fn has_said_nothing(&self) -> bool {
        !self.has_request() && !self.is_heard.load(Ordering::Relaxed)
    }

    /// How soon it has to make room, at this time by the clock of all connections; none for one that waits for an answer that
    /// may still be quick.
    pub(super) fn standing(&self, now: u64) -> Option<Standing> {
        if self.is_awaiting_us() {
            let waiting = now.saturating_sub(self.awaits_since.load(Ordering::Relaxed));
            let is_hung_up = self.is_hung_up.load(Ordering::Relaxed);
            let standing = if is_hung_up {
                Standing::MayHaveGone
            } else {
                Standing::Waits
            };
            return (waiting >= QUICK).then_some(standing);
        }
        if self.is_put_off.load(Ordering::Relaxed) {
            return None;
        }
        let is_known = self.is_known.load(Ordering::Relaxed);
        Some(if is_known {
            Standing::Idle
        } else {
            Standing::Unknown
        })
    }

    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}
