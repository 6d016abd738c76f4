//! What the queue has to do, on a page: where every reading is, and what each change does to it. A reading is in
//! exactly one place: waiting, in quarantine, delivered or discarded.

use std::collections::{BTreeMap, BTreeSet};

use meterit_sync::domain::{
    batch::ManifestState::{self, *},
    quarantine::QuarantineReason::{self, *},
};

use super::steps::{Minute, Number, Outcome, Place};

/// The queue, what is on its way, and what the records say.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub waiting: BTreeMap<Number, Reading>,
    pub kept: BTreeMap<Number, Minute>,
    pub batches: Vec<Batch>,
    pub quarantine: BTreeMap<Number, (QuarantineReason, Reading)>,
    pub delivered: BTreeSet<Number>,
    pub discarded: BTreeSet<Number>,
    pub log: Vec<(Minute, usize, bool)>,
    pub audit: BTreeMap<&'static str, usize>,
    pub keys: BTreeMap<String, (Minute, Vec<Number>)>,
    pub keep_synchronized: bool,
    pub now: Minute,
    pub batches_made: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    pub retries: u32,
    pub unreadable: bool,
}

#[derive(Clone, Debug)]
pub struct Batch {
    /// In the body's order.
    pub readings: Vec<Number>,
    pub name: usize,
    /// The batch of which this is a part; its own name where it is whole.
    pub root: usize,
    pub state: ManifestState,
    pub attempts: u32,
    pub failed_passes: u32,
    pub epoch: u32,
    /// None once the instance is gone.
    pub owner: Option<Place>,
}

impl Batch {
    /// Why a reading of it is set aside that the server refuses.
    fn refusal(&self) -> QuarantineReason {
        if self.attempts > 1 {
            PossiblyStored
        } else {
            Refused
        }
    }
}

/// What is answered, as far as it says what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reply {
    /// Readings delivered, stored, claimed or deleted, or entries changed.
    pub done: usize,
    /// Readings that went to quarantine on the way, or entries that stayed there.
    pub aside: usize,
    /// Batches or suspects made or found.
    pub batches: usize,
    /// Nothing was done, for it was done before or is not ours to do.
    pub passed_over: bool,
}

impl Queue {
    pub fn insert(&mut self, numbers: &[Number], key: Option<&str>) -> Reply {
        let stored = |passed_over| Reply {
            done: numbers.len(),
            passed_over,
            ..Reply::default()
        };
        if let Some(key) = key {
            match self.keys.get(key) {
                Some((_, before)) if before == numbers => return stored(true),
                Some(_) => {
                    return Reply {
                        passed_over: true,
                        ..Reply::default()
                    };
                }
                None => self
                    .keys
                    .insert(key.to_owned(), (self.now, numbers.to_vec())),
            };
        }
        self.arrive(numbers, false);
        stored(false)
    }

    pub fn arrive(&mut self, numbers: &[Number], unreadable: bool) {
        let reading = Reading {
            retries: 0,
            unreadable,
        };
        self.waiting
            .extend(numbers.iter().map(|number| (*number, reading)));
    }

    pub fn free(&self) -> BTreeSet<Number> {
        let held: BTreeSet<_> = self
            .batches
            .iter()
            .flat_map(|batch| &batch.readings)
            .collect();
        self.waiting
            .keys()
            .copied()
            .filter(|number| !held.contains(number))
            .collect()
    }

    /// The queue chooses what to claim among the free readings in question: up to the limit, all where there are no more, and
    /// none for now where as many as that had to be set aside.
    pub fn claim(
        &mut self,
        owner: Place,
        free: &BTreeSet<Number>,
        limit: usize,
        chosen: &[Number],
        aside: &[Number],
    ) -> Result<Reply, String> {
        let unreadable = |number: &Number| self.waiting[number].unreadable;
        let readable = free.iter().filter(|number| !unreadable(number)).count();
        let fits = chosen
            .iter()
            .all(|number| free.contains(number) && !unreadable(number))
            && aside
                .iter()
                .all(|number| free.contains(number) && unreadable(number))
            && chosen.len() + aside.len() <= limit
            && (!chosen.is_empty() || readable == 0 || aside.len() == limit)
            && (limit < free.len() || chosen.len() + aside.len() == free.len())
            && (chosen.is_empty() || chosen.len() + aside.len() >= limit.min(free.len()));
        if !fits {
            return Err(format!(
                "claimed {chosen:?} and set {aside:?} aside, of {free:?}, limit {limit}"
            ));
        }
        self.set_aside(aside, Unreadable);
        if !chosen.is_empty() {
            self.batches_made += 1;
            let (name, readings) = (self.batches_made, chosen.to_vec());
            self.batches.push(Batch {
                readings,
                name,
                root: name,
                state: Live,
                attempts: 1,
                failed_passes: 0,
                epoch: 0,
                owner: Some(owner),
            });
        }
        Ok(Reply {
            done: chosen.len(),
            aside: aside.len(),
            ..Reply::default()
        })
    }

    pub fn begin(&mut self, owner: Place, name: usize) -> Reply {
        let Some(batch) = self
            .batches
            .iter_mut()
            .find(|batch| batch.name == name && batch.owner == Some(owner))
        else {
            return Reply {
                passed_over: true,
                ..Reply::default()
            };
        };
        batch.attempts += 1;
        if batch.state == Part {
            batch.state = Live;
        }
        Reply {
            done: batch.readings.len(),
            ..Reply::default()
        }
    }

    pub fn settle(&mut self, owner: Place, name: usize, epoch: u32, outcome: &Outcome) -> Reply {
        let is_it = |batch: &Batch| {
            batch.name == name && batch.owner == Some(owner) && batch.epoch == epoch
        };
        let Some(at) = self.batches.iter().position(is_it) else {
            return Reply::default();
        };
        let batch = self.batches[at].clone();
        let size = batch.readings.len();
        match outcome {
            Outcome::Stored => {
                self.batches.remove(at);
                self.deliver(&batch.readings);
                self.log(size, true);
                Reply {
                    done: size,
                    ..Reply::default()
                }
            }
            Outcome::PartlyStored { .. } => {
                self.batches.remove(at);
                let (bad, good) = outcome.divide(&batch.readings);
                let reason = match outcome.reason() {
                    Refused => batch.refusal(),
                    reason => reason,
                };
                self.set_aside(&bad, reason);
                self.deliver(&good);
                if !good.is_empty() {
                    self.log(good.len(), true);
                }
                self.log(bad.len(), false);
                Reply {
                    done: good.len(),
                    aside: bad.len(),
                    ..Reply::default()
                }
            }
            Outcome::Split { .. } => {
                self.batches.remove(at);
                let (suspects, rest) = outcome.divide(&batch.readings);
                let halves = rest
                    .chunks(rest.len().div_ceil(2).max(1))
                    .map(|half| (half.to_vec(), Part));
                let pieces: Vec<_> = halves
                    .chain(suspects.iter().map(|one| (vec![*one], Suspect)))
                    .collect();
                let batches = pieces.len();
                for (readings, state) in pieces {
                    self.batches_made += 1;
                    self.batches.push(Batch {
                        readings,
                        state,
                        name: self.batches_made,
                        attempts: if state == Suspect { batch.attempts } else { 0 },
                        failed_passes: 0,
                        ..batch
                    });
                }
                self.log(size, false);
                Reply {
                    batches,
                    ..Reply::default()
                }
            }
            Outcome::Suspect => {
                self.batches[at].state = Suspect;
                Reply {
                    batches: 1,
                    ..Reply::default()
                }
            }
            Outcome::GiveUp { park } => {
                batch
                    .readings
                    .iter()
                    .for_each(|number| self.waiting.get_mut(number).unwrap().retries += 1);
                self.batches[at].failed_passes += 1;
                if *park {
                    self.batches[at].state = Parked;
                }
                self.log(size, false);
                Reply::default()
            }
            Outcome::Postpone { sent, words } => {
                self.batches[at].attempts -= u32::from(!sent && batch.attempts > 0);
                if *words {
                    self.log(size, false);
                }
                Reply::default()
            }
        }
    }

    pub fn condemn(&mut self, owner: Place, root: Option<usize>) -> Reply {
        let condemned = |batch: &Batch| {
            batch.owner == Some(owner)
                && batch.state == Suspect
                && root.is_none_or(|root| root == batch.root)
        };
        let bad: Vec<_> = self
            .batches
            .extract_if(.., |batch| condemned(batch))
            .collect();
        for suspect in &bad {
            self.set_aside(&suspect.readings, suspect.refusal());
        }
        let aside = bad.iter().map(|suspect| suspect.readings.len()).sum();
        if aside > 0 {
            self.log(aside, false);
        }
        Reply {
            aside,
            ..Reply::default()
        }
    }

    pub fn release(&mut self, owner: Place) -> Reply {
        self.batches
            .retain(|batch| batch.owner != Some(owner) || !matches!(batch.state, Part | Suspect));
        Reply::default()
    }

    pub fn lose_owner(&mut self, owner: Place, heir: Option<Place>) {
        let his = self
            .batches
            .iter_mut()
            .filter(|batch| batch.owner == Some(owner));
        his.for_each(|batch| batch.owner = heir);
    }

    pub fn take_over(&mut self, owner: Place) -> Reply {
        self.batches
            .retain(|batch| batch.owner.is_some() || !matches!(batch.state, Part | Suspect));
        let mut batches = 0;
        for batch in self
            .batches
            .iter_mut()
            .filter(|batch| batch.owner.is_none())
        {
            (batch.owner, batch.epoch) = (Some(owner), batch.epoch + 1);
            batches += usize::from(batch.state == Live);
        }
        Reply {
            batches,
            ..Reply::default()
        }
    }

    pub fn requeue(&mut self, which: &BTreeSet<Number>, accept_double: bool) -> Reply {
        let returns = |number: &Number, (reason, reading): &(QuarantineReason, Reading)| {
            which.contains(number)
                && !reading.unreadable
                && (accept_double || *reason != PossiblyStored)
        };
        let returning: Vec<_> = self
            .quarantine
            .extract_if(.., |number, entry| returns(number, entry))
            .collect();
        let aside = self
            .quarantine
            .keys()
            .filter(|number| which.contains(number))
            .count();
        let done = returning.len();
        self.waiting.extend(
            returning
                .into_iter()
                .map(|(number, (_, reading))| (number, reading)),
        );
        self.note("requeued", done);
        Reply {
            done,
            aside,
            ..Reply::default()
        }
    }

    pub fn correct(&mut self, number: Number) -> Reply {
        let corrected = self
            .quarantine
            .get_mut(&number)
            .map(|(_, reading)| reading.unreadable = false);
        let done = usize::from(corrected.is_some());
        self.note("corrected", done);
        Reply {
            done,
            ..Reply::default()
        }
    }

    pub fn discard(&mut self, which: &BTreeSet<Number>) -> Reply {
        let gone: BTreeSet<_> = self
            .quarantine
            .extract_if(.., |number, _| which.contains(number))
            .map(|(number, _)| number)
            .collect();
        let done = gone.len();
        self.discarded.extend(gone);
        self.note("discarded", done);
        Reply {
            done,
            ..Reply::default()
        }
    }

    pub fn clean_up(&mut self, before: Minute) -> Reply {
        let rows = |queue: &Self| queue.kept.len() + queue.log.len() + queue.keys.len();
        let there = rows(self);
        self.kept.retain(|_, at| *at >= before);
        self.log.retain(|(at, ..)| *at >= before);
        self.keys.retain(|_, (at, _)| *at >= before);
        Reply {
            done: there - rows(self),
            ..Reply::default()
        }
    }

    fn deliver(&mut self, numbers: &[Number]) {
        numbers.iter().for_each(|number| {
            self.waiting.remove(number);
        });
        self.delivered.extend(numbers);
        if self.keep_synchronized {
            self.kept
                .extend(numbers.iter().map(|number| (*number, self.now)));
        }
    }

    fn set_aside(&mut self, numbers: &[Number], reason: QuarantineReason) {
        for number in numbers {
            let reading = self.waiting.remove(number).unwrap();
            self.quarantine.insert(*number, (reason, reading));
        }
        self.note("quarantined", numbers.len());
    }

    fn log(&mut self, size: usize, success: bool) {
        self.log.push((self.now, size, success));
    }

    fn note(&mut self, action: &'static str, times: usize) {
        if times > 0 {
            *self.audit.entry(action).or_default() += times;
        }
    }
}
