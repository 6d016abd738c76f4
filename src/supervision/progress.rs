//! Whether an actor gets on with what it has in hand. Each piece of work says how long it may take at the most; one that
//! takes longer is wedged, and its actor is restarted. Nothing in hand, as when idle or offline, is never wedged.
//!
//! This goes by the machine's clock even where a test holds time still: a wedge is a matter of real time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::clock::Clock;

/// What is due is overdue a little later.
const LATENESS: Duration = Duration::from_millis(1);

/// What one actor has in hand. Cheap to clone; all clones show the same.
#[derive(Clone, Debug)]
pub struct Progress {
    clock: Clock,
    longest: Option<Duration>,
    in_hand: Arc<Mutex<InHand>>,
    /// Work was begun that is due before anyone would look.
    due_sooner: Arc<Notify>,
}

#[derive(Debug, Default)]
struct InHand {
    last: u64,
    pieces: Vec<Piece>,
    /// When somebody looks next; none while nobody does, or will only once something is begun.
    looks_at: Option<Duration>,
}

#[derive(Debug)]
struct Piece {
    id: u64,
    what: &'static str,
    allowed: Duration,
    due_at: Duration,
}

/// A piece of work; done when dropped.
#[derive(Debug)]
pub struct Work {
    progress: Progress,
    id: u64,
}

impl Progress {
    /// Nothing in hand. `longest` makes every allowance shorter than it wants to be, for tests.
    pub fn new(longest: Option<Duration>) -> Self {
        Self {
            clock: Clock::system(),
            longest,
            in_hand: Arc::default(),
            due_sooner: Arc::default(),
        }
    }

    /// The time that work may really take which wants to be allowed this much.
    pub fn allowance(&self, wanted: Duration) -> Duration {
        self.longest.map_or(wanted, |longest| wanted.min(longest))
    }

    /// How many pieces of work are in hand.
    pub fn pieces_in_hand(&self) -> usize {
        self.in_hand().pieces.len()
    }

    /// Begins a piece of work that takes no longer than `allowed`.
    pub fn begin(&self, what: &'static str, allowed: Duration) -> Work {
        let piece = self.piece(what, allowed);
        let mut in_hand = self.in_hand();
        in_hand.last += 1;
        let id = in_hand.last;
        self.take_in_hand(&mut in_hand, Piece { id, ..piece });
        drop(in_hand);
        Work {
            progress: self.clone(),
            id,
        }
    }

    /// Tells of work that was given up because it took too long.
    pub fn gave_up(&self, what: &'static str, allowed: Duration) {
        let piece = self.piece(what, allowed);
        let overdue = Piece {
            due_at: Duration::ZERO,
            ..piece
        };
        self.take_in_hand(&mut self.in_hand(), overdue);
    }

    /// Waits for a piece of work that takes longer than it may, and answers with what it is, in words. What it tells is
    /// not told again.
    pub async fn wedged(&self) -> String {
        loop {
            if let Some(words) = self.take_overdue() {
                return words;
            }
            match self.until_look() {
                Some(pause) => tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    () = self.due_sooner.notified() => {}
                },
                None => self.due_sooner.notified().await,
            }
        }
    }

    /// The time until something in hand is overdue; none where nothing is in hand.
    fn until_look(&self) -> Option<Duration> {
        let mut in_hand = self.in_hand();
        let first = in_hand.pieces.iter().map(|piece| piece.due_at).min();
        in_hand.looks_at = first.map(|due_at| due_at.saturating_add(LATENESS));
        let now = self.clock.elapsed();
        in_hand.looks_at.map(|at| at.saturating_sub(now))
    }

    fn take_in_hand(&self, in_hand: &mut InHand, piece: Piece) {
        if in_hand.looks_at.is_none_or(|at| piece.due_at < at) {
            self.due_sooner.notify_one();
        }
        in_hand.pieces.push(piece);
    }

    fn take_overdue(&self) -> Option<String> {
        let now = self.clock.elapsed();
        let mut in_hand = self.in_hand();
        let (overdue, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut in_hand.pieces)
            .into_iter()
            .partition(|piece| now > piece.due_at);
        in_hand.pieces = rest;
        let piece = overdue.first()?;
        Some(format!(
            "no progress: {} took longer than {} s",
            piece.what,
            piece.allowed.as_secs_f64()
        ))
    }

    fn piece(&self, what: &'static str, allowed: Duration) -> Piece {
        let allowed = self.allowance(allowed);
        Piece {
            id: 0,
            what,
            allowed,
            due_at: self.clock.elapsed().saturating_add(allowed),
        }
    }

    fn in_hand(&self) -> MutexGuard<'_, InHand> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Goes on to the next step, which takes no longer than `allowed`.
    pub fn step(&self, what: &'static str, allowed: Duration) {
        let piece = self.progress.piece(what, allowed);
        let mut in_hand = self.progress.in_hand();
        in_hand.pieces.retain(|piece| piece.id != self.id);
        let next = Piece {
            id: self.id,
            ..piece
        };
        self.progress.take_in_hand(&mut in_hand, next);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut in_hand = self.progress.in_hand();
        in_hand.pieces.retain(|piece| piece.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1_000);

    #[test]
    fn only_work_in_hand_can_be_overdue() {
        let progress = Progress::new(None);
        assert_eq!(progress.take_overdue(), None, "idle");
        let work = progress.begin("a long piece", LONG);
        assert_eq!(progress.take_overdue(), None, "in good time");
        work.step("a short piece", Duration::ZERO);
        let words = progress.take_overdue().expect("overdue");
        assert!(words.contains("a short piece"), "{words}");
        assert_eq!(progress.take_overdue(), None, "told once");
        work.step("another short piece", Duration::ZERO);
        assert_eq!(progress.pieces_in_hand(), 1);
        drop(work);
        assert_eq!(progress.pieces_in_hand(), 0);
        assert_eq!(progress.take_overdue(), None, "done");
    }

    #[tokio::test]
    async fn what_is_due_before_the_next_look_is_noticed() {
        let progress = Progress::new(None);
        let _first = progress.begin("a long piece", LONG);
        let late = async {
            tokio::task::yield_now().await;
            progress.begin("a short piece", Duration::from_millis(5))
        };
        let (words, _work) = tokio::join!(progress.wedged(), late);
        assert!(words.contains("a short piece"), "{words}");
    }

    #[test]
    fn allowances_can_be_cut() {
        let progress = Progress::new(Some(Duration::ZERO));
        let _work = progress.begin("a long piece", LONG);
        assert!(progress.take_overdue().is_some());
        assert_eq!(Progress::new(None).allowance(LONG), LONG);
    }

    #[test]
    fn what_was_given_up_is_told() {
        let progress = Progress::new(None);
        progress.gave_up("an upload", LONG);
        let words = progress.take_overdue().expect("told");
        assert_eq!(words, "no progress: an upload took longer than 1000 s");
    }
}
