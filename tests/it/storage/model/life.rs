//! Carries a plan out on a database and on the reference, and compares the two after every step.

use std::collections::BTreeSet;

use meterit_sync::domain::{
    batch::ManifestState, quarantine::QuarantineReason, reading::ReadingId,
};

use super::{
    ground::{Ground, Observed, Reservation},
    instance::{Answer, Instance, Order, PlainFilter, PlainSettlement, Start},
    known::Known,
    reference::{Batch, Queue, Reply},
    steps::{Change, Moment, Number, Outcome, Place, Plan, Step, Which},
    view::{compare, same},
};

/// Lives a whole plan; says where and how the database differs from the reference.
pub fn live(plan: &Plan, ground: Ground) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut life = Life::begin(plan, ground).await;
        for (at, step) in plan.steps.iter().enumerate() {
            let done = life.step(step).await;
            done.map_err(|problem| format!("step {at}, {step:?}: {problem}"))?;
        }
        Ok(())
    })
}

struct Life {
    ground: Ground,
    instances: Vec<Instance>,
    /// What the database calls them, and all that there were.
    names: Vec<String>,
    past_names: Vec<String>,
    queue: Queue,
    reserved: Option<(Reservation, Vec<Number>)>,
    last_number: Number,
    /// A batch that was settled last.
    last_settled: Option<(usize, u32)>,
    known: Known,
}

/// A change as the reference understands it.
enum Deed {
    Insert(Vec<Number>, Option<String>),
    Claim(usize, Option<ReadingId>),
    TakeOver,
    Begin(usize),
    Settle(usize, u32, Outcome),
    Condemn(Option<usize>),
    Release,
    Requeue(Whom, bool),
    Correct(Number),
    Discard(Whom),
}

enum Whom {
    All,
    One(Number),
    Because(QuarantineReason),
}

/// For what does not exist.
const NOTHING: Number = Number::MAX;

impl Life {
    async fn begin(plan: &Plan, ground: Ground) -> Self {
        let queue = Queue {
            keep_synchronized: plan.keep_synchronized,
            ..Queue::default()
        };
        let mut life = Self {
            ground,
            instances: Vec::new(),
            names: Vec::new(),
            past_names: Vec::new(),
            queue,
            reserved: None,
            last_number: 0,
            last_settled: None,
            known: Known::default(),
        };
        for place in 0..life.ground.places() {
            life.start_instance(place).await;
        }
        life
    }

    async fn start_instance(&mut self, place: Place) {
        let instance = Instance::start(&Start {
            database: self.ground.database(),
            keep_synchronized: self.queue.keep_synchronized,
            now: self.queue.now,
        });
        let mut names = self.ground.instance_names().await;
        names.retain(|name| !self.past_names.contains(name));
        self.past_names.extend(names.iter().cloned());
        self.instances.insert(place, instance);
        self.names.insert(place, names.concat());
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Do(place, changes) => {
                let place = place % self.instances.len();
                let (orders, deeds) = self.name_all(changes);
                self.instances[place].ask(orders, None);
                let answers = self.instances[place].answers().ok_or("the instance died")?;
                self.check_answered(place, &deeds, &answers).await
            }
            Step::DieDoing(place, changes, moment) => {
                let place = place % self.instances.len();
                let (orders, deeds) = self.name_all(changes);
                self.die_doing(place, orders, &deeds, *moment).await
            }
            Step::Restart(place) => {
                let place = place % self.instances.len();
                self.instances[place].ask(vec![Order::Close], None);
                self.instances[place].answers().ok_or("the instance died")?;
                self.replace(place).await
            }
            Step::Foreign {
                readings,
                unreadable,
            } => {
                let numbers = self.new_numbers(*readings);
                self.ground.insert(&numbers, *unreadable).await;
                self.queue.arrive(&numbers, *unreadable);
                self.check().await
            }
            Step::Reserve { readings } if self.reserved.is_none() => {
                let numbers = self.new_numbers(*readings);
                self.reserved = Some((self.ground.reserve(&numbers).await, numbers));
                self.check().await
            }
            Step::Commit => {
                if let Some((reservation, numbers)) = self.reserved.take() {
                    self.ground.commit(reservation, &numbers).await;
                    self.queue.arrive(&numbers, false);
                }
                self.check().await
            }
            Step::RollBack => {
                self.reserved = None;
                self.check().await
            }
            Step::Reserve { .. } => Ok(()),
            Step::Pass { minutes } => {
                self.queue.now += u32::from(*minutes);
                let orders = vec![Order::Pass {
                    minutes: (*minutes).into(),
                }];
                for instance in &mut self.instances {
                    instance.ask(orders.clone(), None);
                    instance.answers().ok_or("the instance died")?;
                }
                self.check().await
            }
            Step::CleanUp { minutes } => {
                let before = self.queue.now.saturating_sub((*minutes).into());
                self.instances[0].ask(vec![Order::CleanUp { before }], None);
                let answers = self.instances[0].answers().ok_or("the instance died")?;
                let expected = self.queue.clean_up(before);
                same("the answer", &answers, &vec![Ok(expected)])?;
                self.check().await
            }
        }
    }

    async fn die_doing(
        &mut self,
        place: Place,
        orders: Vec<Order>,
        deeds: &[Deed],
        moment: Moment,
    ) -> Result<(), String> {
        self.instances[place].ask(orders, moment.point());
        if let Moment::AfterMicroseconds(delay) = moment {
            std::thread::sleep(std::time::Duration::from_micros(delay.into()));
        } else if let Some(answers) = self.instances[place].answers() {
            // It did not come by the point at which it was to die.
            self.check_answered(place, deeds, &answers).await?;
            return self.replace(place).await;
        }
        self.kill(place);
        let all = deeds.len();
        // Changes asked for at once may share a transaction or not, but none overtakes another.
        let done = match moment {
            Moment::InHandler | Moment::InChange | Moment::BeforeCommit if all == 1 => 0..=0,
            Moment::AfterCommit => 1..=all,
            _ => 0..=all,
        };
        let observed = self.ground.observe().await;
        let mut problem = String::new();
        for done in done {
            let mut queue = self.queue.clone();
            let tried =
                carry_out(&mut queue, place, &deeds[..done], &observed, &self.known).map(|_| ());
            match tried.and_then(|()| compare(&queue, &observed, &self.known)) {
                Ok(()) => {
                    self.queue = queue;
                    self.known.learn(&self.queue, &observed)?;
                    return self.replace(place).await;
                }
                Err(difference) => problem = difference,
            }
        }
        Err(problem)
    }

    fn kill(&mut self, place: Place) {
        self.instances.remove(place).kill();
        self.names.remove(place);
    }

    /// Ends an instance, if it has not ended yet, and starts another in its place.
    async fn replace(&mut self, place: Place) -> Result<(), String> {
        if self.instances.len() == self.ground.places() {
            self.kill(place);
        }
        self.ground.end_leases(&self.names).await;
        let heir = (self.ground.places() == 1).then_some(place);
        self.queue.lose_owner(place, heir);
        self.start_instance(place).await;
        self.check().await
    }

    async fn check_answered(
        &mut self,
        place: Place,
        deeds: &[Deed],
        answers: &[Answer],
    ) -> Result<(), String> {
        let observed = self.ground.observe().await;
        let expected = carry_out(&mut self.queue, place, deeds, &observed, &self.known)?;
        let expected: Vec<Answer> = expected.into_iter().map(Ok).collect();
        same("the answers", &answers, &&expected[..])?;
        self.check_against(&observed)
    }

    async fn check(&mut self) -> Result<(), String> {
        let observed = self.ground.observe().await;
        self.check_against(&observed)
    }

    fn check_against(&mut self, observed: &Observed) -> Result<(), String> {
        compare(&self.queue, observed, &self.known)?;
        self.known.learn(&self.queue, observed)
    }

    fn new_numbers(&mut self, readings: u8) -> Vec<Number> {
        let first = self.last_number + 1;
        self.last_number += u32::from(readings);
        (first..=self.last_number).collect()
    }

    fn name_all(&mut self, changes: &[Change]) -> (Vec<Order>, Vec<Deed>) {
        changes.iter().map(|change| self.name(change)).unzip()
    }

    /// Names what a change is about: for the instance as the database does, for the reference as that does.
    fn name(&mut self, change: &Change) -> (Order, Deed) {
        match change {
            Change::Insert { readings } => {
                let numbers = self.new_numbers(*readings);
                (
                    Order::Insert {
                        numbers: numbers.clone(),
                        key: None,
                    },
                    Deed::Insert(numbers, None),
                )
            }
            Change::InsertWithKey {
                readings,
                key,
                other_readings,
            } => {
                let key = format!("key-{key}");
                let before = self
                    .queue
                    .keys
                    .get(&key)
                    .filter(|_| !other_readings)
                    .map(|(_, numbers)| numbers.clone());
                let numbers = before.unwrap_or_else(|| self.new_numbers(*readings));
                (
                    Order::Insert {
                        numbers: numbers.clone(),
                        key: Some(key.clone()),
                    },
                    Deed::Insert(numbers, Some(key)),
                )
            }
            Change::Claim { limit, after } => {
                let ids: Vec<_> = self.known.ids.values().copied().collect();
                let after = after.and_then(|nth| choose(&ids, nth));
                let limit = usize::from(*limit);
                (Order::Claim { limit, after }, Deed::Claim(limit, after))
            }
            Change::TakeOver => (Order::TakeOver, Deed::TakeOver),
            Change::Begin(nth) => {
                let name = self.sendable(*nth).map_or(0, |batch| batch.name);
                (
                    Order::Begin {
                        key: self.known.key(name),
                    },
                    Deed::Begin(name),
                )
            }
            Change::Settle {
                batch,
                outcome,
                wrong_epoch,
            } => {
                let Some(batch) = self.on_its_way(*batch) else {
                    return self.name(&Change::SettleAgain);
                };
                let epoch = batch.epoch + u32::from(*wrong_epoch);
                let settlement = plain(outcome, batch.readings.len());
                let name = batch.name;
                self.last_settled = Some((name, epoch));
                (
                    Order::Settle {
                        key: self.known.key(name),
                        epoch,
                        settlement,
                    },
                    Deed::Settle(name, epoch, outcome.clone()),
                )
            }
            Change::SettleAgain => {
                let (name, epoch) = self.last_settled.unwrap_or_default();
                let is_gone = self.queue.batches.iter().all(|batch| batch.name != name);
                let (name, epoch) = if is_gone { (name, epoch) } else { (0, 0) };
                let order = Order::Settle {
                    key: self.known.key(name),
                    epoch,
                    settlement: PlainSettlement::Stored,
                };
                (order, Deed::Settle(name, epoch, Outcome::Stored))
            }
            Change::Condemn { root } => {
                let roots: Vec<_> = self.queue.batches.iter().map(|batch| batch.root).collect();
                let root = root.and_then(|nth| choose(&roots, nth));
                (
                    Order::Condemn {
                        root: root.map(|root| self.known.key(root)),
                    },
                    Deed::Condemn(root),
                )
            }
            Change::Release => (Order::Release, Deed::Release),
            Change::Requeue {
                which,
                accept_double,
            } => {
                let (filter, whom) = self.whom(which);
                (
                    Order::Requeue {
                        filter,
                        accept_double: *accept_double,
                    },
                    Deed::Requeue(whom, *accept_double),
                )
            }
            Change::Correct(nth) => {
                let number = self.entry(*nth);
                (
                    Order::Correct {
                        id: self.known.entry(number),
                    },
                    Deed::Correct(number),
                )
            }
            Change::Discard(which) => {
                let (filter, whom) = self.whom(which);
                (Order::Discard { filter }, Deed::Discard(whom))
            }
        }
    }

    /// A batch that may be sent again.
    fn sendable(&self, nth: u8) -> Option<&Batch> {
        let batches = self.queue.batches.iter();
        choose(
            &batches
                .filter(|batch| batch.state != ManifestState::Suspect)
                .collect::<Vec<_>>(),
            nth,
        )
    }

    /// A batch that was sent, so that an outcome may come.
    fn on_its_way(&self, nth: u8) -> Option<&Batch> {
        let sent =
            |batch: &&Batch| matches!(batch.state, ManifestState::Live | ManifestState::Parked);
        choose(
            &self.queue.batches.iter().filter(sent).collect::<Vec<_>>(),
            nth,
        )
    }

    fn entry(&self, nth: u8) -> Number {
        choose(
            &self.queue.quarantine.keys().copied().collect::<Vec<_>>(),
            nth,
        )
        .unwrap_or(NOTHING)
    }

    fn whom(&self, which: &Which) -> (PlainFilter, Whom) {
        match which {
            Which::All => (PlainFilter::default(), Whom::All),
            Which::One(nth) => {
                let number = self.entry(*nth);
                (
                    PlainFilter {
                        id: Some(self.known.entry(number)),
                        reason: None,
                    },
                    Whom::One(number),
                )
            }
            Which::Because(reason) => (
                PlainFilter {
                    id: None,
                    reason: Some(*reason),
                },
                Whom::Because(*reason),
            ),
        }
    }
}

fn choose<T: Copy>(among: &[T], nth: u8) -> Option<T> {
    let at = usize::from(nth).checked_rem(among.len())?;
    among.get(at).copied()
}

fn plain(outcome: &Outcome, size: usize) -> PlainSettlement {
    let positions: Vec<usize> = (0..size).collect();
    let (chosen, others) = outcome.divide(&positions);
    match outcome {
        Outcome::Stored => PlainSettlement::Stored,
        Outcome::PartlyStored {
            possibly_stored, ..
        } => PlainSettlement::PartlyStored {
            rejected: chosen,
            possibly_stored: *possibly_stored,
        },
        Outcome::Split { .. } => PlainSettlement::Split {
            parts: others
                .chunks(others.len().div_ceil(2).max(1))
                .map(<[usize]>::to_vec)
                .collect(),
            suspects: chosen,
        },
        Outcome::Suspect => PlainSettlement::Suspect,
        Outcome::GiveUp { park } => PlainSettlement::GiveUp { park: *park },
        Outcome::Postpone { sent, words } => PlainSettlement::Postpone {
            sent: *sent,
            words: *words,
        },
    }
}

fn carry_out(
    queue: &mut Queue,
    place: Place,
    deeds: &[Deed],
    observed: &Observed,
    known: &Known,
) -> Result<Vec<Reply>, String> {
    deeds
        .iter()
        .map(|deed| carry_out_one(queue, place, deed, observed, known))
        .collect()
}

fn carry_out_one(
    queue: &mut Queue,
    place: Place,
    deed: &Deed,
    observed: &Observed,
    known: &Known,
) -> Result<Reply, String> {
    let chosen = |queue: &Queue, whom: &Whom| -> BTreeSet<Number> {
        let is_meant = |number: Number, reason: QuarantineReason| match whom {
            Whom::All => true,
            Whom::One(one) => *one == number,
            Whom::Because(because) => *because == reason,
        };
        queue
            .quarantine
            .iter()
            .filter(|(number, (reason, _))| is_meant(**number, *reason))
            .map(|(number, _)| *number)
            .collect()
    };
    Ok(match deed {
        Deed::Insert(numbers, key) => queue.insert(numbers, key.as_deref()),
        Deed::Claim(limit, after) => {
            let is_above = |number: &Number| after.is_none_or(|after| known.ids[number] > after);
            let free: BTreeSet<_> = queue.free().into_iter().filter(is_above).collect();
            let new = observed
                .manifests
                .iter()
                .find(|manifest| !known.bodies.contains_key(&manifest.key));
            let batch = new.map_or(Vec::new(), |manifest| manifest.sent.clone());
            let aside = observed
                .entries
                .iter()
                .map(|entry| entry.number)
                .filter(|number| free.contains(number));
            queue.claim(place, &free, *limit, &batch, &aside.collect::<Vec<_>>())?
        }
        Deed::TakeOver => queue.take_over(place),
        Deed::Begin(name) => queue.begin(place, *name),
        Deed::Settle(name, epoch, outcome) => queue.settle(place, *name, *epoch, outcome),
        Deed::Condemn(root) => queue.condemn(place, *root),
        Deed::Release => queue.release(place),
        Deed::Requeue(whom, accept_double) => queue.requeue(&chosen(queue, whom), *accept_double),
        Deed::Correct(number) => queue.correct(*number),
        Deed::Discard(whom) => queue.discard(&chosen(queue, whom)),
    })
}
