//! What may happen to a queue, in any order.

use meterit_sync::domain::quarantine::QuarantineReason;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Names a reading: its value is the number and an eighth.
pub type Number = u32;
/// Minutes since the beginning of a plan.
pub type Minute = u32;
/// One of the instances that share the queue.
pub type Place = usize;

/// A life of a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Delivered readings are marked instead of deleted.
    pub keep_synchronized: bool,
    pub steps: Vec<Step>,
}

/// Numbers that choose one of several things count round what there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// An instance carries these changes out, asked for at once.
    Do(Place, Vec<Change>),
    /// The same, and it is killed meanwhile.
    DieDoing(Place, Vec<Change>, Moment),
    /// An instance stops and starts again.
    Restart(Place),
    /// Another program inserts.
    Foreign { readings: u8, unreadable: bool },
    /// Another program has its ids but does not commit yet.
    Reserve { readings: u8 },
    /// It commits.
    Commit,
    /// It does not.
    RollBack,
    /// Time passes.
    Pass { minutes: u8 },
    /// What is older than this leaves the records.
    CleanUp { minutes: u8 },
}

/// What an instance is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    Insert {
        readings: u8,
    },
    /// Under a key; one that was used before brings the same readings again, or others.
    InsertWithKey {
        readings: u8,
        key: u8,
        other_readings: bool,
    },
    /// Always asked for alone.
    Claim {
        limit: u8,
        after: Option<u8>,
    },
    /// Always asked for alone.
    TakeOver,
    Begin(u8),
    Settle {
        batch: u8,
        outcome: Outcome,
        wrong_epoch: bool,
    },
    /// The outcome of a batch that was settled comes a second time.
    SettleAgain,
    Condemn {
        root: Option<u8>,
    },
    Release,
    Requeue {
        which: Which,
        accept_double: bool,
    },
    Correct(u8),
    Discard(Which),
}

/// What a batch's sending brought. The mask chooses readings of the batch, at least one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Stored,
    PartlyStored { mask: u16, possibly_stored: bool },
    Split { mask: u16 },
    Suspect,
    GiveUp { park: bool },
    Postpone { sent: bool, words: bool },
}

impl Outcome {
    fn mask(&self) -> u16 {
        match self {
            Self::PartlyStored { mask, .. } => (*mask).max(1),
            Self::Split { mask } => *mask,
            _ => 0,
        }
    }

    /// The members chosen by the mask, and the others.
    pub fn divide<T: Copy>(&self, members: &[T]) -> (Vec<T>, Vec<T>) {
        let mask = self.mask();
        let is_chosen =
            |at: usize| (mask >> (at % 16)) & 1 == 1 || (mask > 0 && members.len() == 1);
        let (chosen, others): (Vec<_>, Vec<_>) = members
            .iter()
            .enumerate()
            .partition(|(at, _)| is_chosen(*at));
        let plain =
            |members: Vec<(usize, &T)>| members.into_iter().map(|(_, member)| *member).collect();
        (plain(chosen), plain(others))
    }

    pub fn reason(&self) -> QuarantineReason {
        match self {
            Self::PartlyStored {
                possibly_stored: true,
                ..
            } => QuarantineReason::PossiblyStored,
            _ => QuarantineReason::Refused,
        }
    }
}

/// Which quarantined readings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Which {
    All,
    One(u8),
    Because(QuarantineReason),
}

/// When an instance is killed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Moment {
    InHandler,
    InChange,
    BeforeCommit,
    AfterCommit,
    /// From outside, this long after it was asked.
    AfterMicroseconds(u16),
}

impl Moment {
    /// The failure point at which the instance dies by itself.
    pub fn point(self) -> Option<&'static str> {
        match self {
            Self::InHandler => Some("database_writer.handler"),
            Self::InChange => Some("database_writer.apply"),
            Self::BeforeCommit => Some("database_writer.before_commit"),
            Self::AfterCommit => Some("database_writer.after_commit"),
            Self::AfterMicroseconds(_) => None,
        }
    }
}

pub fn plans() -> impl Strategy<Value = Plan> {
    (any::<bool>(), prop::collection::vec(step(), 1..60)).prop_map(|(keep_synchronized, steps)| {
        Plan {
            keep_synchronized,
            steps,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = || 0_usize..4;
    prop_oneof![
        24 => (place(), asked()).prop_map(|(place, changes)| Step::Do(place, changes)),
        4 => (place(), asked(), moment()).prop_map(|(place, changes, moment)| Step::DieDoing(place, changes, moment)),
        1 => place().prop_map(Step::Restart),
        3 => (1_u8..12, prop::bool::weighted(0.3)).prop_map(|(readings, unreadable)| Step::Foreign { readings, unreadable }),
        2 => (1_u8..6).prop_map(|readings| Step::Reserve { readings }),
        2 => Just(Step::Commit),
        1 => Just(Step::RollBack),
        1 => (1_u8..5).prop_map(|minutes| Step::Pass { minutes }),
        1 => (0_u8..8).prop_map(|minutes| Step::CleanUp { minutes }),
    ]
}

fn asked() -> impl Strategy<Value = Vec<Change>> {
    let limit = prop_oneof![1_u8..5, 5_u8..40];
    let claim = (limit, prop::option::weighted(0.2, any::<u8>()))
        .prop_map(|(limit, after)| Change::Claim { limit, after });
    prop_oneof![
        5 => claim.prop_map(|claim| vec![claim]),
        1 => Just(vec![Change::TakeOver]),
        9 => change().prop_map(|change| vec![change]),
        2 => prop::collection::vec(change(), 2..6),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (1_u8..20).prop_map(|readings| Change::Insert { readings }),
        2 => (1_u8..9, 0_u8..4, prop::bool::weighted(0.3))
            .prop_map(|(readings, key, other_readings)| Change::InsertWithKey { readings, key, other_readings }),
        3 => any::<u8>().prop_map(Change::Begin),
        9 => (any::<u8>(), outcome(), prop::bool::weighted(0.1))
            .prop_map(|(batch, outcome, wrong_epoch)| Change::Settle { batch, outcome, wrong_epoch }),
        1 => Just(Change::SettleAgain),
        2 => prop::option::of(any::<u8>()).prop_map(|root| Change::Condemn { root }),
        1 => Just(Change::Release),
        2 => (which(), any::<bool>()).prop_map(|(which, accept_double)| Change::Requeue { which, accept_double }),
        1 => any::<u8>().prop_map(Change::Correct),
        1 => which().prop_map(Change::Discard),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Stored),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(mask, possibly_stored)| Outcome::PartlyStored { mask, possibly_stored }),
        3 => any::<u16>().prop_map(|mask| Outcome::Split { mask: mask & (mask >> 3) }),
        1 => Just(Outcome::Suspect),
        1 => any::<bool>().prop_map(|park| Outcome::GiveUp { park }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(sent, words)| Outcome::Postpone { sent, words }),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    use QuarantineReason::*;
    prop_oneof![
        Just(Which::All),
        any::<u8>().prop_map(Which::One),
        prop::sample::select(vec![Refused, Unreadable, PossiblyStored]).prop_map(Which::Because),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        Just(Moment::InHandler),
        Just(Moment::InChange),
        Just(Moment::BeforeCommit),
        Just(Moment::AfterCommit),
        (0_u16..4_000).prop_map(Moment::AfterMicroseconds),
    ]
}
