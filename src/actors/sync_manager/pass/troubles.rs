//! The batches that failed in a pass, and what that says of the others. Pure.
//!
//! A bad batch and a bad server look the same until another batch is tried. So a failure raises a doubt, in which only two
//! batches are sent, one at a time: the one that failed, and another; and now and then fresh readings, which are not to wait. As soon as the Client System deals with any batch,
//! the rest goes on, and what failed is tried again beside it.

use std::time::Duration;

use super::Attempt;
use crate::domain::batch::IdempotencyKey;

/// While the doubt lasts, fresh readings have a try this often.
const FRESH_EVERY: Duration = Duration::from_secs(30);

/// A batch to try beside those that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The freshest if possible.
    Any,
    /// One of fresh readings.
    Fresh,
}

/// A batch that waits for its next try.
pub(super) struct Failed {
    /// What is sent again.
    pub(super) attempt: Attempt,
    /// Not before this time of the clock.
    pub(super) due_at: Duration,
    /// Whether the failed try may have stored the batch.
    pub(super) sent: bool,
    /// What the failed try brought.
    pub(super) words: String,
}

impl Failed {
    fn key(&self) -> &IdempotencyKey {
        &self.attempt.batch.manifest.key
    }
}

/// While the Client System may be taking nothing at all.
struct Doubt {
    /// The batch that raised it, and the other one.
    witnesses: Vec<IdempotencyKey>,
    /// From when on another batch may be tried; none where it would tell nothing.
    another_at: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Troubles {
    waiting: Vec<Failed>,
    doubt: Option<Doubt>,
}

impl Troubles {
    /// Whether nothing has been dealt with since a batch failed.
    pub(super) fn in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// A batch failed. `another_tells` says whether the next one may fare better.
    pub(super) fn raise(&mut self, key: &IdempotencyKey, another_tells: bool) {
        self.doubt.get_or_insert_with(|| Doubt {
            witnesses: vec![key.clone()],
            another_at: another_tells.then_some(Duration::ZERO),
        });
    }

    /// A failed batch waits for its next try.
    pub(super) fn wait(&mut self, failed: Failed) {
        self.waiting.push(failed);
    }

    /// The Client System dealt with a batch.
    pub(super) fn lay(&mut self) {
        self.doubt = None;
    }

    /// Which other batch to try now, if any.
    pub(super) fn wanted(&self, now: Duration) -> Option<Wanted> {
        let doubt = self.doubt.as_ref()?;
        let is_first = doubt.another_at? == Duration::ZERO;
        (doubt.another_at? <= now).then_some(if is_first { Wanted::Any } else { Wanted::Fresh })
    }

    /// The other batch, where there is one; else one of those that failed as well has to do.
    pub(super) fn ask_another(&mut self, key: Option<&IdempotencyKey>, now: Duration) {
        let Some(doubt) = &mut self.doubt else {
            return;
        };
        doubt.another_at = Some(now + FRESH_EVERY);
        let failed = || {
            let mut others = self.waiting.iter().map(Failed::key);
            let is_alone = doubt.witnesses.len() < 2;
            others.find(|key| is_alone && !doubt.witnesses.contains(key))
        };
        let another = key.or_else(failed).cloned();
        doubt.witnesses.extend(another);
    }

    /// How long until a batch may be tried again, or another one; none where none waits that may be tried again.
    pub(super) fn until_due(&self, now: Duration) -> Option<Duration> {
        let due_at = self.eligible().map(|(_, failed)| failed.due_at).min()?;
        let another_at = self.doubt.as_ref().and_then(|doubt| doubt.another_at);
        let next_at = another_at.map_or(due_at, |another_at| due_at.min(another_at));
        Some(next_at.saturating_sub(now))
    }

    /// The batch to try again now.
    pub(super) fn next_due(&mut self, now: Duration) -> Option<Failed> {
        let due = self.eligible().filter(|(_, failed)| failed.due_at <= now);
        let (position, _) = due.min_by_key(|(_, failed)| failed.due_at)?;
        Some(self.waiting.remove(position))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn take(&mut self) -> Vec<Failed> {
        std::mem::take(&mut self.waiting)
    }

    fn eligible(&self) -> impl Iterator<Item = (usize, &Failed)> {
        let may = |failed: &Failed| match &self.doubt {
            Some(doubt) => doubt.witnesses.contains(failed.key()),
            None => true,
        };
        let waiting = self.waiting.iter().enumerate();
        waiting.filter(move |(_, failed)| may(failed))
    }
}

#[cfg(test)]
#[path = "troubles_tests.rs"]
mod tests;
