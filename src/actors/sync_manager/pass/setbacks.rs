//! The batches that brought nothing when they were last sent, until they are dealt with. Pure.

use crate::{
    domain::{batch::IdempotencyKey, timestamp::Timestamp},
    messages::sync_manager::Setback,
};

/// Those of a pass, the one that has failed for the longest time first.
#[derive(Default)]
pub(super) struct Setbacks(Vec<(IdempotencyKey, Setback)>);

impl Setbacks {
    /// A sending of this batch brought nothing. It fails since it first did.
    pub(super) fn note(
        &mut self,
        key: &IdempotencyKey,
        words: String,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, setback)) => (setback.words, setback.again_at) = (words, again_at),
            None => {
                let setback = Setback {
                    words,
                    again_at,
                    since: now,
                };
                self.0.push((key.clone(), setback));
            }
        }
    }

    /// This batch needs no more sending. What became of others says nothing about it.
    pub(super) fn settle(&mut self, key: &IdempotencyKey) {
        self.0.retain(|(known, _)| known != key);
    }

    /// The one to tell.
    pub(super) fn longest(&self) -> Option<&Setback> {
        self.0.first().map(|(_, setback)| setback)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn a_batch_fails_until_it_is_settled_itself() {
        let at = |seconds| Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        let [bad, worse, good] = ["bad", "worse", "good"].map(|key| IdempotencyKey(key.into()));
        let mut setbacks = Setbacks::default();
        setbacks.note(&bad, "500".into(), Some(at(12)), at(10));
        setbacks.note(&worse, "502".into(), Some(at(22)), at(20));
        setbacks.settle(&good);
        setbacks.note(&bad, "no answer".into(), Some(at(34)), at(30));
        let told = Setback {
            words: "no answer".into(),
            again_at: Some(at(34)),
            since: at(10),
        };
        assert_eq!(setbacks.longest(), Some(&told));
        setbacks.settle(&bad);
        let since = setbacks.longest().map(|setback| setback.since);
        assert_eq!(since, Some(at(20)));
        setbacks.settle(&worse);
        assert_eq!(setbacks.longest(), None);
    }
}
